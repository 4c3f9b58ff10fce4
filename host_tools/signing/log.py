"""The release log of a fleet: what was ever offered, so that nothing is shipped in secret (T15).

    transparency/entries   one entry after the other: u16 length | CBOR (SPEC 14); only grows
    transparency/head      the newest signed tree head
    transparency/pending   a head that more holders of role `log` have yet to sign, or absent

Order of an append: entry synced, head signed by the threshold of role `log`, head replaced, then
the witness told. A process that is killed in between leaves an entry behind the head, which the
next head covers.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from host_tools.errors import Refused
from host_tools.pki import files, lock
from host_tools.signing import cose, cosign, log_entry, log_tree
from host_tools.signing.cose import PublicKey, Signer
from host_tools.signing.log_entry import KIND, Entry, Head
from host_tools.signing.log_witness import Witness
from host_tools.signing.roles import LOG
from host_tools.signing.trust import TrustDocument

LENGTH = 2  # bytes before each entry
MORE_HINT = "have another holder of role log run `uward log sign`, then try again"
RESTORED_HINT = "bring transparency/ back from the newest copy; never sign a shorter log"


class Log:
    """The log in `folder`. Nothing is read before it is asked for."""

    def __init__(self, folder: Path, witness: Witness | None = None) -> None:
        self.folder = folder
        self.witness = witness
        self._entries = folder / "entries"
        self._head = folder / "head"
        self._pending = folder / "pending"

    def entries(self) -> list[bytes]:
        """Every whole entry; one that was cut off while it was written is none."""
        data = self._entries.read_bytes() if self._entries.exists() else b""
        found: list[bytes] = []
        while len(data) >= LENGTH:
            size = int.from_bytes(data[:LENGTH], "big")
            if len(data) < LENGTH + size:
                break
            found.append(data[LENGTH : LENGTH + size])
            data = data[LENGTH + size :]
        return found

    def signed_head(self) -> bytes | None:
        """The newest signed head, or None before the first release."""
        return self._head.read_bytes() if self._head.exists() else None

    def head(self) -> Head | None:
        """What the newest head says. Raises Refused for a damaged one."""
        signed = self.signed_head()
        return None if signed is None else log_entry.parse_head(cosign.split(KIND, signed)[0])

    def checked(self) -> tuple[list[bytes], Head | None]:
        """Entries and head, which agree with each other and with the witness. Raises Refused."""
        entries, head = self.entries(), self.head()
        if head is not None and (
            head.size > len(entries) or _root(entries[: head.size]) != head.root
        ):
            raise Refused(
                f"{self._entries} is not what {self._head} was signed for: "
                f"entries were lost or changed",
                RESTORED_HINT,
            )
        if self.witness is not None:
            self.witness.check(head, lambda size: _root(entries[:size]))
        return entries, head

    def append(self, envelope: bytes, trust: TrustDocument, signers: Iterable[Signer]) -> int:
        """Log a release; returns its index once a signed head covers it. Doing it again is safe.

        Raises Refused when books disagree, an index is reused, or signatures of role `log` are
        missing: then `pending` waits for them.
        """
        with self._locked():
            entries, head = self.checked()
            entry = log_entry.entry_for(envelope, int(time.time()))
            parsed = parse_all(entries)
            known = [i for i, one in enumerate(parsed) if one.digest == entry.digest]
            if not known:
                log_entry.refuse_reuse([*parsed, entry])
                self._append(log_entry.encode_entry(entry))
                entries.append(log_entry.encode_entry(entry))
            index = known[0] if known else len(entries) - 1
            if head is None or head.size <= index:
                self._sign(entries, trust, signers)
            return index

    def sign_again(self, trust: TrustDocument, signers: Iterable[Signer]) -> Head:
        """Complete the pending head, or sign one anew, as after role `log` changed hands."""
        with self._locked():
            entries, _ = self.checked()
            return self._sign(entries, trust, signers)

    def to_be_signed(self, trust: TrustDocument, public: PublicKey) -> bytes:
        """What a holder elsewhere signs for the pending head."""
        with self._locked():
            entries, _ = self.checked()
            payload, _ = cosign.split(KIND, self._begun(entries, trust))
            return cosign.to_be_signed(KIND, payload, public.alg)

    def attach(self, trust: TrustDocument, public: PublicKey, signature: bytes) -> Head:
        """Add a signature that was made elsewhere to the pending head. Raises Refused."""
        with self._locked():
            entries, _ = self.checked()
            begun = self._begun(entries, trust)
            return self._finish(cosign.attach(KIND, begun, public, signature), trust)

    def proof(self, digest: bytes, since: int) -> bytes | None:
        """That the manifest is logged, for a device that saw a tree of `since` entries (SPEC 14).

        None when it is not. Raises Refused when the device saw more than there is.
        """
        entries, head = self.entries(), self.head()
        if head is None or head.size > len(entries):
            return None
        if since > head.size:
            raise Refused(
                f"log.fork: a device saw a log of {since} entries, ours has {head.size}",
                RESTORED_HINT,
            )
        covered = entries[: head.size]
        index = next((i for i, one in enumerate(parse_all(covered)) if one.digest == digest), None)
        if index is None:
            return None
        leaves = [log_tree.leaf_hash(entry) for entry in covered]
        path = log_tree.consistency(leaves, since) if since else []
        inside = log_tree.inclusion(leaves, index)
        return cose.encode([self.signed_head(), covered[index], index, inside, path])

    def _sign(self, entries: list[bytes], trust: TrustDocument, signers: Iterable[Signer]) -> Head:
        begun = self._begun(entries, trust)
        for signer in signers:
            payload, blocks = cosign.split(KIND, begun)
            message = cosign.to_be_signed(KIND, payload, signer.public.alg)
            if not any(signer.public.accepts(message, block.signature) for block in blocks):
                begun = cosign.add_signature(KIND, begun, signer)
        return self._finish(begun, trust)

    def _begun(self, entries: list[bytes], trust: TrustDocument) -> bytes:
        """The pending head if it is of these entries, else a new one without a signature."""
        root = _root(entries)
        if self._pending.exists():
            pending = files.read(self._pending, "pending log head")
            head = log_entry.parse_head(cosign.split(KIND, pending)[0])
            if (head.fleet_id, head.size, head.root) == (trust.fleet_id, len(entries), root):
                return pending
        head = Head(trust.fleet_id, len(entries), root, int(time.time()))
        return cosign.sign(KIND, log_entry.encode_head(head), [])

    def _finish(self, begun: bytes, trust: TrustDocument) -> Head:
        head, signed = judge(begun, trust, demand=False)
        needed = trust.holders(LOG).threshold
        if len(signed) < needed:
            files.write(self._pending, begun, force=True)
            raise Refused(f"role log needs {needed} signature(s), got {len(signed)}", MORE_HINT)
        files.write(self._head, begun, force=True)
        self._pending.unlink(missing_ok=True)
        if self.witness is not None:
            self.witness.note_head(begun)
        return head

    def _append(self, entry: bytes) -> None:
        whole = sum(LENGTH + len(one) for one in self.entries())
        data = self._entries.read_bytes() if self._entries.exists() else b""
        if len(data) != whole or not data:
            files.write(self._entries, data[:whole], force=True)
        files.append(self._entries, len(entry).to_bytes(LENGTH, "big") + entry)

    def _locked(self) -> AbstractContextManager[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        return lock.held(self.folder / "lock", f"the log {self.folder}")


def judge(signed: bytes, trust: TrustDocument, demand: bool = True) -> tuple[Head, list[str]]:
    """(head, holders of role log who signed it). Raises Refused below the threshold."""
    payload, blocks = cosign.split(KIND, signed)
    head = log_entry.parse_head(payload)
    if head.fleet_id != trust.fleet_id:
        raise Refused("log head: it is of another fleet")
    held = trust.holders(LOG)
    count: Callable[..., list[str]] = cosign.demand if demand else cosign.signed_by
    whose = (f"role log of trust document {trust.version}",) if demand else ()
    return head, count(KIND, payload, blocks, held, *whose)


def parse_all(entries: list[bytes]) -> list[Entry]:
    """Raises Refused naming the first damaged one."""
    return [log_entry.parse_entry(one, f"log entry {i}") for i, one in enumerate(entries)]


def _root(entries: list[bytes]) -> bytes:
    return log_tree.root([log_tree.leaf_hash(entry) for entry in entries])
