"""What a place elsewhere remembers of a fleet: its log's newest head, its one-time keys' indices.

A backup restores key journals and release log together, and both agree with each other (S6). So
another directory, best on another disk or machine, keeps for a fleet

    <fleet id>.head      the newest signed tree head
    <fleet id>.indices   JSON {HSS-LMS key thumbprint: next index}

Both only grow. They are compared before anything is signed, and an index is noted here before its
signature is made; a directory that is not there stops signing.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from host_tools.errors import Refused
from host_tools.pki import files
from host_tools.signing import cosign, log_entry
from host_tools.signing.log_entry import Head

BEGIN_HINT = "if this is a new witness, `uward log witness` begins it"
RESTORED_HINT = "this folder was restored from a backup: bring the newest copy back"


@dataclass(frozen=True)
class Witness:
    """The witness of a fleet in `folder`. Raises Refused in each method when it is not there."""

    folder: Path
    fleet_id: bytes

    def check(self, head: Head | None, root_at: Callable[[int], bytes]) -> None:
        """Raises Refused unless the log (head, and its root at each size) continues ours."""
        self._present()
        path = self._path("head")
        if not path.exists():
            if head is not None:
                raise Refused(f"{path}: the witness knows no head of this log", BEGIN_HINT)
            return
        seen = _head(files.read(path, "witnessed head"))
        size = 0 if head is None else head.size
        if size < seen.size:
            raise Refused(
                f"the witness saw a log of {seen.size} entries, this one has {size}",
                RESTORED_HINT,
            )
        if root_at(seen.size) != seen.root:
            raise Refused(
                f"log.fork: the witness saw another log: the roots of {seen.size} entries differ",
                RESTORED_HINT,
            )

    def knows_a_head(self) -> bool:
        self._present()
        return self._path("head").exists()

    def note_head(self, signed: bytes) -> None:
        """Remember a head that was just signed and checked."""
        self._present()
        files.write(self._path("head"), signed, force=True)

    def next_index(self, thumbprint: bytes) -> int | None:
        """The first index that may be unused, or None for a key that it does not know."""
        self._present()
        value = self._indices().get(thumbprint.hex())
        return None if value is None else int(value)

    def note_index(self, thumbprint: bytes, following: int) -> None:
        """Remember that every index below `following` is used. It never goes back."""
        self._present()
        indices = self._indices()
        if following > indices.get(thumbprint.hex(), -1):
            indices[thumbprint.hex()] = following
            data = json.dumps(indices, indent=1, sort_keys=True).encode() + b"\n"
            files.write(self._path("indices"), data, force=True)

    def _indices(self) -> dict[str, int]:
        path = self._path("indices")
        if not path.exists():
            return {}
        try:
            body: object = json.loads(files.read(path, "witnessed indices"))
        except ValueError as error:
            raise Refused(f"{path} is damaged: not JSON") from error
        values = cast("dict[Any, Any]", body if isinstance(body, dict) else {"": None})
        if not all(isinstance(k, str) and type(v) is int for k, v in values.items()):
            raise Refused(f"{path} is damaged: expected an object of integers")
        return values

    def _present(self) -> None:
        if not self.folder.is_dir():
            raise Refused(
                f"the witness {self.folder} is not there, and nothing is signed without it (S6)",
                "mount it, or change [log] witness in uward.toml",
            )

    def _path(self, suffix: str) -> Path:
        return self.folder / f"{self.fleet_id.hex()}.{suffix}"


@dataclass(frozen=True)
class KeyWitness:
    """What a witness says of one key: handed to `lms_state` (its `Elsewhere`)."""

    witness: Witness
    thumbprint: bytes

    def next_index(self) -> int | None:
        return self.witness.next_index(self.thumbprint)

    def note(self, following: int) -> None:
        self.witness.note_index(self.thumbprint, following)


def _head(signed: bytes) -> Head:
    return log_entry.parse_head(cosign.split(log_entry.KIND, signed)[0])
