"""Which one-time indices of an LMS key are used: reserved on disk *before* anything is signed.

Three files stand beside the key `NAME` and are backed up and restored together with it (S6):

- `NAME.state`, replaced whole at each reservation: the next free index, the journal's head
  as it was then, and to which place the key is bound;
- `NAME.journal`, one line an index: index, digest of the message, time, chained by hash;
- `NAME.lock`, held while an index is reserved and used.

Order of a reservation: lock; state with index + 1 written, synced, renamed, directory synced;
journal line appended and synced; only then the signature is made. A process that is killed
between two steps loses at most one index, and no index ever signs two messages.

What is refused: a missing or damaged file, a state that is older than the journal, a journal that
lost lines, a key that was copied or restored (its place differs), an index that a log elsewhere
knows and this journal does not (T14), a key of which a witness elsewhere knows a higher index,
and a key that is used up.
"""

import json
import os
import platform
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from host_tools.errors import Refused
from host_tools.pki import files, lock
from host_tools.signing.lms_books import (
    ADOPTED,
    RESTORED_HINT,
    Elsewhere,
    State,
    Used,
    ask,
    compare,
)

GENESIS = "0" * 32  # head of an empty journal
HEAD_SIZE = 16  # bytes of SHA-256 that chain the journal's lines and check the state
ADOPT_SKIP = 64  # indices given up on adoption: signatures that the copied-from key made unseen
MACHINE_ID = Path("/etc/machine-id")


@dataclass(frozen=True)
class Status:
    """How far an LMS key is used: counts of indices."""

    used: int
    left: int
    total: int


class Ledger:
    """The used indices of the key at `key_path`, which has `total` of them."""

    def __init__(self, key_path: Path, total: int) -> None:
        self.key_path = key_path
        self.total = total
        self.state_path, self.journal_path, self.lock_path = family(key_path)

    def create(self) -> None:
        """Begin an unused key's books: journal first, so that a state is never without one."""
        files.write(self.journal_path, b"", secret=True, force=True)
        self._write_state(State(0, GENESIS, place_of(self.key_path)))

    def reserve(
        self,
        message: bytes,
        witness: Mapping[int, str] | None = None,
        at: files.Step = files.no_step,
        elsewhere: Elsewhere | None = None,
    ) -> int:
        """Mark the next index as used, for good. The caller holds the lock.

        `witness` maps indices, known as used from a log elsewhere, to message digests (hex);
        `elsewhere` is asked before and told after. Raises Refused for every reason in the
        module's head.
        """
        state, journal = self._checked()
        compare(state, journal, witness or {})
        ask(elsewhere, state)
        self._refuse_used_up(state.next)
        at("checked")
        head = head_of(journal)
        self._write_state(State(state.next + 1, head, state.place), at)
        at("reserved")
        self._append(state.next, sha256(message).hexdigest(), head)
        at("journaled")
        if elsewhere is not None:
            elsewhere.note(state.next + 1)
            at("witnessed")
        return state.next

    def adopt(
        self,
        witness: Mapping[int, str] | None = None,
        skip: int = ADOPT_SKIP,
        elsewhere: Elsewhere | None = None,
    ) -> int:
        """Take a copied or restored key to work here; returns the first index that may sign.

        Everything that state, journal, `witness` or `elsewhere` knows, and `skip` indices more,
        is given up. The key's other copies must be destroyed: nothing here can stop them.
        """
        with self.locked():
            journal = self._read_journal()
            known = [used.index + 1 for used in journal] + [i + 1 for i in witness or {}]
            known.append((elsewhere.next_index() if elsewhere else None) or 0)
            try:
                known.append(self._read_state().next)
            except Refused:
                known.append(0)  # the state is lost: the journal has every signature made here
            self._refuse_used_up(max(known))
            first = min(max(known) + max(skip, 1), self.total)
            head = head_of(journal)
            self._write_state(State(first, head, place_of(self.key_path)))
            self._append(first - 1, ADOPTED, head)
            if elsewhere is not None:
                elsewhere.note(first)
            return first

    def status(self) -> Status:
        """Counts, without the lock. Raises Refused when the books do not agree."""
        state, _ = self._checked()
        return Status(state.next, self.total - state.next, self.total)

    @contextmanager
    def locked(self) -> Generator[None]:
        """Hold the key's lock. Raises Refused when another process has it."""
        with lock.held(self.lock_path, f"the key {self.key_path}"):
            yield

    def _refuse_used_up(self, following: int) -> None:
        if following >= self.total:
            raise Refused(
                f"{self.key_path} is used up: all {self.total} one-time keys have signed",
                "make a new key and publish it in a new trust document",
            )

    def _checked(self) -> tuple[State, list[Used]]:
        state, journal = self._read_state(), self._read_journal()
        last = journal[-1].index if journal else -1
        if state.next <= last:
            raise Refused(
                f"{self.state_path} is older than the journal: next index {state.next}, "
                f"but {last} is used",
                RESTORED_HINT,
            )
        # The last reservation's line is there, or the process ended before it was written;
        # a journal that is older by just this line looks the same: only a witness tells.
        if state.head not in (head_of(journal), head_of(journal[:-1])):
            raise Refused(
                f"{self.journal_path} does not continue as {self.state_path} says: "
                f"lines were lost or it is older",
                RESTORED_HINT,
            )
        if state.place != place_of(self.key_path):
            raise Refused(
                f"{self.key_path} was copied, moved or restored from a backup: "
                f"expected it where it was made (place {state.place})",
                RESTORED_HINT,
            )
        return state, journal

    def _write_state(self, state: State, at: files.Step = files.no_step) -> None:
        body = asdict(state)
        body["check"] = _check(body)
        data = json.dumps(body, sort_keys=True).encode() + b"\n"
        files.write(self.state_path, data, secret=True, force=True, at=at)

    def _read_state(self) -> State:
        data = files.read(self.state_path, "LMS state (without it an index could be reused)")
        body = _object(data, self.state_path)
        check = body.pop("check", None)
        if check != _check(body) or set(body) != {"next", "head", "place"}:
            raise Refused(f"{self.state_path} is damaged: its check value differs", RESTORED_HINT)
        return State(**body)

    def _append(self, index: int, digest: str, head: str) -> None:
        self._cut_torn_tail()
        line = json.dumps(asdict(Used(index, digest, int(time.time()), head)), sort_keys=True)
        files.append(self.journal_path, line.encode() + b"\n")

    def _cut_torn_tail(self) -> None:
        # A line without its end was cut off while it was written: its index never signed.
        data = self.journal_path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            files.write(self.journal_path, data[:whole], secret=True, force=True)

    def _read_journal(self) -> list[Used]:
        data = files.read(self.journal_path, "LMS journal (the record of used indices)")
        journal: list[Used] = []
        for line in data.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            body = _object(line, self.journal_path)
            if set(body) != {"index", "digest", "time", "previous"}:
                raise Refused(f"{self.journal_path} is damaged at line {len(journal) + 1}")
            used = Used(**body)
            if used.previous != head_of(journal) or (journal and used.index <= journal[-1].index):
                raise Refused(f"{self.journal_path} is broken at line {len(journal) + 1}")
            journal.append(used)
        return journal


def family(key_path: Path) -> tuple[Path, Path, Path]:
    """Paths of state, journal and lock of a key."""
    state, journal, held = (
        key_path.with_name(key_path.name + suffix) for suffix in (".state", ".journal", ".lock")
    )
    return state, journal, held


def head_of(journal: list[Used]) -> str:
    """Hash over the last line, which holds the hash of the line before it."""
    if not journal:
        return GENESIS
    line = json.dumps(asdict(journal[-1]), sort_keys=True).encode()
    return sha256(line).hexdigest()[: 2 * HEAD_SIZE]


def place_of(key_path: Path) -> str:
    """Where a key file was made: this machine, this very file. Any copy differs.

    The change time of the inode cannot be set by a copy or a restore. Where inode numbers do not
    last, as on FAT, a key must be adopted after each mount: keep it on a real file system.
    """
    machine = MACHINE_ID.read_text() if MACHINE_ID.exists() else platform.node()
    about = os.stat(key_path)
    text = f"{machine.strip()} {about.st_ino} {about.st_ctime_ns}"
    return sha256(text.encode()).hexdigest()[: 2 * HEAD_SIZE]


def _check(body: Mapping[str, Any]) -> str:
    return sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[: 2 * HEAD_SIZE]


def _object(data: bytes, path: Path) -> dict[str, Any]:
    try:
        body: object = json.loads(data)
    except ValueError as error:
        raise Refused(f"{path} is damaged: not JSON") from error
    if not isinstance(body, dict):
        raise Refused(f"{path} is damaged: expected an object, got {type(body).__name__}")
    return cast(dict[str, Any], body)
