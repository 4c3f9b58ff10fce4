"""What devices are told: acknowledgements, the time, trust, keys, releases (SPEC 8; S7, S10, S12).

Pure but for the store: every method adds messages and notices to an `Outcome`.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from host_tools.errors import DeviceError, Refused
from host_tools.fleet import codec, held, limits, messages, rollouts, seal
from host_tools.fleet.acl import DEVICE
from host_tools.fleet.dispatch import Dispatch
from host_tools.fleet.inventory import Device
from host_tools.fleet.messages import Hello
from host_tools.fleet.releases import FINAL, INSTALLED, Release, Releases, Withdrawn
from host_tools.fleet.rollouts import Rollouts
from host_tools.fleet.store import Event, Reading, Store
from host_tools.signing import cose
from host_tools.signing.keys import Kek
from host_tools.signing.roles import TIME_DOMAIN

QUALITY_HOST = 2  # the collector's own events carry the host's clock


@dataclass(frozen=True)
class Down:
    """A message for a device."""

    device: str
    purpose: str
    payload: bytes
    qos: int = 1

    @property
    def topic(self) -> str:
        return messages.down_topic(self.device, self.purpose)


@dataclass(frozen=True)
class Notice:
    """What an operator may want to see. `kind`: reading, event, hello, update, attest."""

    time: float
    device: str
    kind: str
    text: str


@dataclass
class Outcome:
    """What one message led to."""

    down: list[Down] = field(default_factory=list[Down])
    notices: list[Notice] = field(default_factory=list[Notice])

    def reading(self, device: str, reading: Reading) -> None:
        text = f"{reading.name} {_shown(reading.value)} {reading.unit}".rstrip()
        self.notices.append(Notice(reading.time, device, "reading", text))


@dataclass(frozen=True)
class Known:
    """A device, the context of its latest boot, and what it said of itself then."""

    record: Device
    context: bytes
    hello: Hello


@dataclass(frozen=True)
class Publications:
    """Files that devices are given when they connect; each is read anew."""

    trust: Path | None = None  # folder of trust documents, named by version
    crl: Path | None = None  # DER: the revocation list of the services' CA
    kek: Kek | None = None  # the group KEK, for devices that were not given this one
    own_kek: Callable[[str], Kek | None] | None = None  # device id -> its own KEK (S6)
    orders: Dispatch | None = None  # policies and commands that people signed
    rollouts: Rollouts | None = None  # releases that not everybody may have yet
    log: Callable[[bytes, int], bytes | None] | None = None  # (manifest, entries seen) -> proof
    share: Callable[[str], bytes | None] | None = None  # device id -> half of its data key (S9)

    def lists(self) -> list[Path]:
        """The revocation lists: `services.crl`, `services-2.crl` while the CA rolls over."""
        return sorted(self.crl.parent.glob(self.crl.stem + "*.crl")) if self.crl else []


class Notebook:
    """What the collector itself notices: counted, shown, and kept within bounds."""

    def __init__(self, store: Store) -> None:
        self.counts: Counter[str] = Counter()
        self._kept: Counter[tuple[str, str]] = Counter()
        self._store = store

    def note(self, outcome: Outcome, device: str, name: str, reason: str, now: float) -> None:
        """One event; of one kind and device at most ROGUE_EVENTS are kept a run."""
        known = device if DEVICE.fullmatch(device) else ""
        self.counts[name] += 1
        self._kept[known, name] += 1
        if self._kept[known, name] > limits.ROGUE_EVENTS:
            return
        with self._store.transaction():
            self._store.add_event(Event(known, "collector", name, reason, now, QUALITY_HOST, now))
        outcome.notices.append(Notice(now, known, "event", f"{name} {reason}"))


class Sealer:
    """Opens and seals with the pair secrets of role collector."""

    def __init__(self, store: Store, private: ec.EllipticCurvePrivateKey) -> None:
        self._store = store
        self._private = private
        self._secrets: dict[bytes, bytes] = {}  # pairing key -> pair secret

    def open(self, record: Device, purpose: str, sealed: seal.Sealed) -> bytes:
        """Raises BadMac."""
        return seal.open_sealed(self._secret(record), record.id, "up", purpose, sealed)

    def seal(self, record: Device, context: bytes, purpose: str, plaintext: bytes) -> Down:
        """A sealed message for the boot `context`; its counter is committed first (SPEC 8)."""
        down = context + self._store.generation
        counter = self._store.take_counter(record.id, down, purpose)
        secret = self._secret(record)
        sealed = seal.seal(secret, record.id, "down", purpose, down, counter, plaintext)
        return Down(record.id, purpose, sealed)

    def plain(self, purpose: str, body: Any) -> Any:
        """A body, opened where a device sealed it to the collector's public key when it happened
        (S9). Raises Malformed."""
        return held.opened(self._private, purpose, body) if held.is_held(body) else body

    def _secret(self, record: Device) -> bytes:
        if record.pairing not in self._secrets:
            self._secrets[record.pairing] = seal.pair_secret(self._private, record.pairing)
        return self._secrets[record.pairing]


class Answers:
    """What a hello and a download request are answered with. `time`: signer of role time."""

    def __init__(
        self,
        store: Store,
        sealer: Sealer,
        notebook: Notebook,
        releases: Releases,
        time: cose.Signer | None,
        publications: Publications,
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._notebook = notebook
        self._releases = releases
        self._time = time
        self._publications = publications
        self._handed_out: tuple[list[str], list[str], int] | None = None

    def hello(
        self, record: Device, hello: Hello, context: bytes, now: float, outcome: Outcome
    ) -> None:
        """Time first: a device takes releases and keys only when it knows the time (S10)."""
        text = f"hello {hello.version} slot {hello.slot}" + (" on trial" if hello.trial else "")
        outcome.notices.append(Notice(now, record.id, "hello", text))
        self._tell_time(record.id, hello, now, outcome)
        known = Known(record, context, hello)
        behind = self._give_trust(known, outcome)
        self._give_crl(record.id, outcome)
        self._share(record, context, outcome)
        self._give_orders(known, now, outcome)
        if not behind:
            self._offer(known, now, outcome)

    def rollout(self, known: Callable[[], list[Known]], now: float, outcome: Outcome) -> None:
        """What is new since the last call, to devices that may be connected for hours yet.

        A device that is not gets it when it says hello. At the first call only releases: trust
        and revocation list went out with each hello.
        """
        given, before = self._publications, self._handed_out
        names = [*self._releases.names(), *self._advance(now, outcome)]
        trust = sorted(os.listdir(given.trust)) if given.trust and given.trust.is_dir() else []
        crl = sum(path.stat().st_mtime_ns for path in given.lists())
        self._handed_out = (names, trust, crl)
        if self._handed_out == before:
            return
        for one in known():
            device, hello = one.record.id, one.hello
            if before is not None and trust != before[1]:
                self._give_trust(one, outcome)
            if before is not None and crl != before[2]:
                self._give_crl(device, outcome)
            if (before is None or names != before[0]) and self._unoffered(device, hello):
                self._offer(one, now, outcome)

    def _advance(self, now: float, outcome: Outcome) -> list[str]:
        """Judge the staged rollouts -> what changes when one of them does."""
        staged = self._publications.rollouts
        if staged is None:
            return []
        for before, after in staged.advance(self._releases, now):
            name = "rollout." + after.state.status
            self._notebook.note(outcome, "", name, rollouts.said(before, after), now)
        return staged.stamp()

    def command(self, known: Callable[[], list[Known]], now: float, outcome: Outcome) -> None:
        """Commands and policies that were signed since the last call."""
        orders = self._publications.orders
        if orders is not None and orders.changed():
            for one in known():
                self._give_orders(one, now, outcome)

    def _give_orders(self, to: Known, now: float, outcome: Outcome) -> None:
        """A newer policy, then commands: each sealed, so that no broker invents them."""
        orders = self._publications.orders
        if orders is None:
            return
        device = to.record.id
        for purpose, data in orders.due(device, to.hello.policy, to.context, now):
            down = self._sealer.seal(to.record, to.context, purpose, codec.encode(data))
            outcome.down.append(down)
            outcome.notices.append(Notice(now, device, "command", f"{purpose} sent"))

    def result(self, device: str, body: object, now: float, outcome: Outcome) -> None:
        """What a device says of a command: kept for who waits for it. Raises Malformed."""
        orders = self._publications.orders
        if orders is not None:
            said = orders.answered(device, codec.blob(body, "result"))
            outcome.notices.append(Notice(now, device, "command", said))

    def _unoffered(self, device: str, hello: Hello) -> bool:
        release = self._releases.due(device, hello)
        if self._newer_trust(hello.trust_version):
            return False
        return release is not None and self._store.offer(device, release.payload_key) is None

    def _tell_time(self, device: str, hello: Hello, now: float, outcome: Outcome) -> None:
        """S10: the time, bound to this device's nonce, by role `time`."""
        if self._time is None:
            return
        if now < limits.CLOCK_FLOOR:
            self._notebook.note(outcome, device, "time.suspect", "this host's clock is unset", now)
            return
        payload = codec.encode([hello.nonce, device, int(now)])
        outcome.down.append(Down(device, "time", cose.sign1(payload, self._time, TIME_DOMAIN)))

    def _give_trust(self, to: Known, outcome: Outcome) -> bool:
        """Newer trust documents, one by one (S7). -> whether there are any.

        As many as a device judges in one boot, then our sealed word that they are worth a reset;
        its next hello asks for the rest. Until it has them all it is offered no release: one that
        is signed under a newer document it would refuse for good.
        """
        documents = self._newer_trust(to.hello.trust_version)
        for document in documents:
            outcome.down.append(Down(to.record.id, "trust", document))
        if documents:
            digest = codec.encode(hashlib.sha256(documents[-1]).digest())
            word = self._sealer.seal(to.record, to.context, "man", digest)
            down = Down(to.record.id, "man", codec.encode([word.payload, b""]))
            outcome.down.append(down)
        return bool(documents)

    def _newer_trust(self, version: int) -> list[bytes]:
        folder = self._publications.trust
        found: list[bytes] = []
        room = limits.TRUST_BATCH_BYTES
        while folder is not None and (path := folder / str(version + 1)).is_file():
            document = path.read_bytes()
            room -= len(document)
            if room < 0 and found:
                break
            found.append(document)
            version += 1
        return found

    def _give_crl(self, device: str, outcome: Outcome) -> None:
        for path in self._publications.lists():
            outcome.down.append(Down(device, "crl", path.read_bytes()))

    def _share(self, record: Device, context: bytes, outcome: Outcome) -> None:
        """The group KEK, to a device that was enrolled with another."""
        kek = self._publications.kek
        if kek is not None and record.group_kek != kek.kid.hex():
            self._share_key(record, context, kek, outcome)

    def _share_key(self, record: Device, context: bytes, kek: Kek, outcome: Outcome) -> None:
        share = codec.encode([kek.kid, kek.key])
        outcome.down.append(self._sealer.seal(record, context, "share", share))

    def _share_own(self, to: Known, release: Release, outcome: Outcome) -> None:
        """The device's own KEK, just before the release that is encrypted for it alone."""
        find = self._publications.own_kek
        if release.encrypted and release.device_identifier and find is not None:
            kek = find(to.record.id)
            if kek is not None:
                self._share_key(to.record, to.context, kek, outcome)

    def unlock(self, record: Device, context: bytes, now: float, outcome: Outcome) -> None:
        """The collector's half of the data key, to a device that attested well (S9)."""
        share = self._publications.share(record.id) if self._publications.share else None
        if share is not None:
            outcome.down.append(self._sealer.seal(record, context, "key", codec.encode(share)))
            outcome.notices.append(Notice(now, record.id, "hello", "data key given"))

    def _offer(self, to: Known, now: float, outcome: Outcome) -> None:
        """A release, and our sealed word for it: without that a device does not even judge it."""
        device = to.record.id
        release = self._releases.due(device, to.hello)
        if release is None:
            return
        known = self._store.offer(device, release.payload_key)
        if known is not None and known[0] in FINAL:
            return
        if known is not None and known[0] == INSTALLED:
            # it runs the old image again and may say why in a moment; the next hello counts
            self._store.set_offer(device, release.payload_key, "returned", "", now)
            return
        try:
            parts = self._parts(release, to.hello)
        except (DeviceError, Refused) as error:
            name = "log.fork" if isinstance(error, Refused) else "release.unreadable"
            self._notebook.note(outcome, device, name, str(error), now)
            return
        if known is None:
            self._store.set_offer(device, release.payload_key, "offered", "", now)
        self._share_own(to, release, outcome)
        outcome.down.append(self._announce(to.record, to.context, _digest(*parts), *parts))
        text = f"offered {release.version} (sequence {release.sequence})"
        outcome.notices.append(Notice(now, device, "update", text))

    def _parts(self, release: Release, hello: Hello) -> list[bytes]:
        """Envelope, and the proof that it is logged if it is. Refused: the device saw more."""
        envelope, prove = self._releases.envelope(release), self._publications.log
        digest = bytes.fromhex(release.manifest_digest)
        proof = None if prove is None else prove(digest, hello.log)
        return [envelope] if proof is None else [envelope, proof]

    def _announce(self, record: Device, context: bytes, word: bytes, *parts: bytes) -> Down:
        """`down/man`: our sealed word, and an envelope; none for a release that was withdrawn."""
        sealed = self._sealer.seal(record, context, "man", codec.encode(word))
        return Down(record.id, "man", codec.encode([sealed.payload, *parts]))

    def ota(
        self,
        record: Device,
        context: bytes,
        asked: messages.Get | messages.State,
        now: float,
        outcome: Outcome,
    ) -> None:
        """Blocks that were asked for, or progress that was told."""
        device = record.id
        if isinstance(asked, messages.State):
            self._store.set_offer(device, asked.payload, asked.name, asked.detail, now)
            text = f"{asked.name} {asked.detail}".rstrip()
            outcome.notices.append(Notice(now, device, "update", text))
            return
        try:
            blocks = self._releases.blocks(device, asked)
        except Withdrawn:
            outcome.down.append(self._announce(record, context, asked.payload, b""))
            return
        except (Refused, DeviceError) as error:
            self._notebook.note(outcome, device, "release.refused", str(error), now)
            return
        for index, block in blocks:
            payload = codec.encode([asked.payload, index, block])
            outcome.down.append(Down(device, "blk", payload, qos=0))


def _digest(*parts: bytes) -> bytes:
    """SHA-256 of an envelope; of both digests where a log proof comes with it (SPEC 8)."""
    known = [hashlib.sha256(part).digest() for part in parts]
    return known[0] if len(known) == 1 else hashlib.sha256(b"".join(known)).digest()


def _shown(value: float | str | bool | bytes) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, (str, bool)) else f"{value:g}"
