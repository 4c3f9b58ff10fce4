"""The collector's decisions: a message of a device in, rows and answers out (SPEC 8, 9; S12).

No socket here. `handle` returns when what it accepted is on disk; `acknowledge` seals what is due
after that. A message is never trusted for where it came from, only for the key that sealed it.
"""

import hashlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from host_tools.errors import DeviceError, HostError, Refused
from host_tools.fleet import attest, codec, dense, messages, seal
from host_tools.fleet.acl import DEVICE
from host_tools.fleet.answers import (
    Answers,
    Down,
    Known,
    Notebook,
    Notice,
    Outcome,
    Publications,
    Sealer,
)
from host_tools.fleet.attestations import Attestations
from host_tools.fleet.inventory import ACTIVE, Device, Inventory, last_seen
from host_tools.fleet.messages import Plaintext, Topic
from host_tools.fleet.offers import Releases
from host_tools.fleet.registrar import Registrar
from host_tools.fleet.renewals import Renewals
from host_tools.fleet.store import Boot, CloneSeen, Event, Store
from host_tools.fleet.trail import Trail
from host_tools.signing import cose

UNLOCKED = (attest.TRUSTED, attest.DEVELOPMENT)  # who gets its half of the data key (S9)
EVENTS = {attest.UNKNOWN: "att.unknown", attest.CLONED: "id.clone"}


class Barred(Refused):
    """A message of a device that is reported stolen, or retired; event `id.revoked`."""


class Collector:
    """Opens, keeps and answers. `private`: role collector; `time`: role time, or None."""

    def __init__(
        self,
        store: Store,
        inventory: Inventory,
        releases: Releases,
        private: ec.EllipticCurvePrivateKey,
        time: cose.Signer | None,
        publications: Publications | None = None,
        attestations: Attestations | None = None,
        registrar: Registrar | None = None,
    ) -> None:
        self.store = store
        self.notebook = Notebook(store)
        self._inventory = inventory
        self._sealer = Sealer(store, private)
        self._trail = Trail(store, private, self._sealer, self.notebook)
        self._attestations = attestations
        self._answers = Answers(
            store, self._sealer, self.notebook, releases, time, publications or Publications()
        )
        self._renewals = Renewals(registrar, self._sealer, self.notebook)
        self._due: dict[tuple[str, bytes], bytes] = {}  # (device, stream) -> context

    def handle(self, topic: str, payload: bytes, now: float) -> Outcome:
        """One message. Raises DeviceError when it cannot be kept: then it is not acknowledged."""
        outcome = Outcome()
        device = ""
        try:
            address = messages.parse_topic(topic)
            device = address.device
            with self.store.transaction():
                self._accept(address, payload, now, outcome)
        except DeviceError:
            raise
        except HostError as error:
            outcome.down.clear()  # sealed with counters that were rolled back: never sent (S12)
            self.notebook.note(outcome, device, _event_of(error), str(error), now)
        return outcome

    def acknowledge(self) -> list[Down]:
        """Cumulative acknowledgements of what was committed since the last call."""
        due, self._due = self._due, {}
        acks: list[Down] = []
        for (device, stream), context in due.items():
            record = self._inventory.get(device)
            if record is not None and record.status == ACTIVE:
                committed, _ = self.store.progress(device, stream)
                plaintext = codec.encode([self.store.generation, stream, committed])
                acks.append(self._sealer.seal(record, context, "ack", plaintext))
        return acks

    def resume(self) -> list[Down]:
        """After a start: tell each device what is here, so that it sends again what is not."""
        for device, stream, _ in self.store.streams():
            context = self.store.latest_boot(device)
            if context is not None:
                self._due[device, stream] = context
        return self.acknowledge()

    def rollout(self, now: float) -> Outcome:
        """What was published since the last call, for devices that are known. Call it often."""
        outcome = Outcome()
        with self.store.transaction():
            self._answers.rollout(self._known, now, outcome)
            if self._attestations is not None:
                for device, nonce in self._attestations.folder.asked():
                    self._ask(device, nonce, now, outcome)
            self._answers.command(self._known, now, outcome)
            self._renewals.rollout(self._known, now, outcome)
        return outcome

    def _known(self) -> list[Known]:
        """Every device of the inventory that ever said hello."""
        found: list[Known] = []
        for device, seen in last_seen(self.store).items():
            record, context = self._inventory.get(device), self.store.latest_boot(device)
            if record is not None and record.status == ACTIVE and context is not None:
                found.append(Known(record, context, seen.hello))
        return found

    def _accept(self, address: Topic, payload: bytes, now: float, outcome: Outcome) -> None:
        record = self._inventory.get(address.device) if DEVICE.fullmatch(address.device) else None
        if record is None:
            raise seal.BadMac(f"{codec.brief(address.device)}: not a device of this fleet")
        if record.status != ACTIVE:
            raise Barred(f"{record.id} is {record.status}: nothing of it is taken")
        sealed = seal.parse(payload)
        if len(sealed.kid_context) != seal.CTX:
            raise codec.Malformed(f"kid context: expected {seal.CTX} bytes from a device")
        data = self._sealer.open(record, address.purpose, sealed)
        plaintext = messages.parse_plaintext(data)
        if plaintext.sequence:
            digest = hashlib.sha256(payload).digest()
            self._numbered(address, sealed, digest, data, plaintext, now, outcome)
        else:
            self._unnumbered(record, address, sealed, plaintext, now, outcome)

    # numbered messages: readings and events

    def _numbered(
        self,
        address: Topic,
        sealed: seal.Sealed,
        digest: bytes,
        data: bytes,
        plaintext: Plaintext,
        now: float,
        outcome: Outcome,
    ) -> None:
        device, stream, sequence = address.device, plaintext.stream, plaintext.sequence
        if address.purpose not in messages.NUMBERED:
            raise codec.Malformed(f"{address.purpose}: expected sequence 0, got {sequence}")
        arrival = self.store.arrive(device, stream, sequence, digest, address.purpose, data, now)
        if arrival.gap:
            first, last = arrival.gap
            reason = f"expected {first}, got {sequence}: {first}..{last} missing"
            self.notebook.note(outcome, device, "e2e.gap", reason, now)
        if arrival.fresh:
            self._keep(address, plaintext, now, outcome)
            self._trail.follow(device, stream, now, outcome)
        # a pack of an earlier boot is acknowledged to the boot that sends it now
        self._due[device, stream] = self.store.latest_boot(device) or sealed.kid_context

    def _keep(self, address: Topic, plaintext: Plaintext, now: float, outcome: Outcome) -> None:
        """Expand a body into rows.

        A body that says nothing is kept as it came, noted and acknowledged: this device has
        sealed it, and would offer it for ever.
        """
        device = address.device
        try:
            body = self._sealer.plain(address.purpose, plaintext.body)
            if address.purpose == "tele":
                readings = dense.parse_tele(body, now)
                self.store.add_readings(device, plaintext.stream, plaintext.sequence, readings)
                for reading in readings:
                    outcome.reading(device, reading)
            elif address.purpose == "cmd":
                self._answers.result(device, body, now, outcome)
            elif address.purpose == "log":
                self._trail.begin(device, messages.parse_log(body), now)
            else:
                self._told(device, body, now, outcome)
        except codec.Malformed as error:
            self.notebook.note(outcome, device, "proto.malformed", str(error), now)

    def _told(self, device: str, body: Any, now: float, outcome: Outcome) -> None:
        told = messages.parse_event(body)
        self.store.add_event(
            Event(
                device, "device", told.name, told.reason, told.time, told.quality, now,
                told.proof.number if told.proof else None,
            )
        )  # fmt: skip
        text = f"{told.name} {told.reason}".rstrip()
        outcome.notices.append(Notice(told.time, device, "event", text))

    # messages that want no acknowledgement

    def _unnumbered(
        self,
        record: Device,
        address: Topic,
        sealed: seal.Sealed,
        plaintext: Plaintext,
        now: float,
        outcome: Outcome,
    ) -> None:
        boot = self.store.note_boot(record.id, sealed.kid_context, sealed.counter)
        if boot is Boot.REPLAY:
            reason = f"{address.purpose}: {boot.value}"
            self.notebook.note(outcome, record.id, "e2e.replay", reason, now)
            return
        if boot is Boot.BACK:
            self.notebook.note(outcome, record.id, "id.clone", boot.value, now)
        if address.purpose == "att" and isinstance(plaintext.body, bytes):
            self._attested(record, plaintext.body, now, outcome)
        elif address.purpose == "att":
            if boot is Boot.FRESH:
                self._witness(record, plaintext, now, outcome)
            self._hello(record, plaintext, sealed.kid_context, now, outcome)
        elif address.purpose == "ota":
            asked = messages.parse_ota(plaintext.body)
            self._answers.ota(record, sealed.kid_context, asked, now, outcome)
        elif address.purpose == "est":
            request = messages.parse_est(plaintext.body)
            self._renewals.asked(record, sealed.kid_context, request, now, outcome)
        else:
            self._keep(address, plaintext, now, outcome)

    def _hello(
        self, record: Device, plaintext: Plaintext, context: bytes, now: float, outcome: Outcome
    ) -> None:
        hello = messages.parse_hello(plaintext.body)
        self.store.save_hello(record.id, codec.encode(plaintext.body), now)
        self.store.note_stream(record.id, plaintext.stream, now)
        if hello.oldest is not None:
            lost = self.store.write_off(record.id, plaintext.stream, hello.oldest, now)
            if lost:
                reason = f"{lost[0]}..{lost[1]} are lost: the device keeps no older message"
                self.notebook.note(outcome, record.id, "e2e.gap", reason, now)
                self._trail.follow(record.id, plaintext.stream, now, outcome)
        self._answers.hello(record, hello, context, now, outcome)
        self._ask(record.id, None, now, outcome)
        self._due[record.id, plaintext.stream] = context

    def _witness(self, record: Device, plaintext: Plaintext, now: float, outcome: Outcome) -> None:
        """A new context has a new number: else an older flash was put back, or copied (T17)."""
        last, starts = self.store.hello(record.id), messages.parse_hello(plaintext.body).starts
        if last is None or starts is None or last[0] < record.enrolled:
            return
        known = messages.parse_hello(codec.decode(last[1])).starts
        if known is not None and starts <= known:
            reason = f"start {starts} of a flash that was at start {known}: an older one is back"
            self.notebook.note(outcome, record.id, "store.rollback", reason, now)

    # attestation

    def _ask(self, device: str, nonce: bytes | None, now: float, outcome: Outcome) -> None:
        """A nonce for the device's latest boot (SPEC 13); after the time, which it needs first."""
        record, context = self._inventory.get(device), self.store.latest_boot(device)
        if self._attestations is None or record is None or context is None:
            return
        made = codec.encode(self._attestations.challenge(device, now, nonce))
        outcome.down.append(self._sealer.seal(record, context, "att", made))

    def _attested(self, record: Device, token: bytes, now: float, outcome: Outcome) -> None:
        if self._attestations is None:
            raise codec.Malformed("att: nobody asked for an attestation")
        try:
            result = self._attestations.take(record, token, now)
        except Refused as error:
            self.notebook.note(outcome, record.id, "att.unknown", str(error), now)
            return
        if result.status != attest.CLONED:
            self._renewals.proved(record, result.key, now, outcome)
        reasons = "; ".join(result.reasons)
        if result.status in EVENTS:
            self.notebook.note(outcome, record.id, EVENTS[result.status], reasons, now)
        text = f"attested {result.status}" + (f": {reasons}" if reasons else "")
        outcome.notices.append(Notice(now, record.id, "attest", text))
        context = self.store.latest_boot(record.id)
        if result.status in UNLOCKED and context is not None:
            self._answers.unlock(record, context, now, outcome)


def _event_of(error: HostError) -> str:
    if isinstance(error, CloneSeen):
        return "id.clone"
    if isinstance(error, seal.BadMac):
        return "e2e.bad_mac"
    if isinstance(error, Barred):
        return "id.revoked"
    return "proto.malformed" if isinstance(error, codec.Malformed) else "collector.refused"
