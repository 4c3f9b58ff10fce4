"""What devices are told: acknowledgements, the time, trust, keys, releases (SPEC 8; S7, S10, S12).

Pure but for the store: every method adds messages and notices to an `Outcome`.
"""

import hashlib
import os
from collections.abc import Callable

from host_tools.errors import DeviceError, Refused
from host_tools.fleet import codec, limits, messages, rollouts
from host_tools.fleet.inventory import Device
from host_tools.fleet.messages import Hello
from host_tools.fleet.offers import Releases, Withdrawn
from host_tools.fleet.outcome import (
    Down,
    Known,
    Notebook,
    Notice,
    Outcome,
    Publications,
    Sealer,
)
from host_tools.fleet.releases import FINAL, INSTALLED, Release
from host_tools.fleet.store import Store
from host_tools.signing import cose
from host_tools.signing.keys import Kek
from host_tools.signing.roles import TIME_DOMAIN


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
