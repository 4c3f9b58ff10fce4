"""A sealed journal (SPEC 10) read on the host, from its files alone.

Written from SPEC, not from the device's code: it shares nothing with the firmware, so that the
two check each other. Nothing here writes.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from host_tools.errors import Refused

VERSION = 1
MARK = 120
HALF = 60
FRAME = 20
TAG = 16
SEEK = 1024
KIND_SNAPSHOT = 0
KIND_DROP = 1
TAILS = 12
SEGMENT = re.compile(r"[1-9][0-9]{0,8}")  # a segment's file name; "007" is a stranger's
PLAINTEXT_MOST = 4_097  # bytes of a record with its kind: section 10

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Record:
    """One record: where it stood and what it said."""

    index: int
    segment: int
    offset: int
    kind: int
    payload: bytes


@dataclass(frozen=True)
class Damage:
    """`lost` records from `index` on (0: nothing of ours is missing, but bytes are foreign)."""

    index: int | None
    segment: int
    lost: int
    what: str


@dataclass
class Segment:
    """Structure of one segment as its unsealed headers tell it."""

    number: int
    size: int
    in_tails: int = 0
    marks: int = 0
    frames: int = 0
    first_index: int | None = None


@dataclass
class Journal:
    """All that was found. `records` and `damages` stay empty without the key."""

    segments: list[Segment] = field(default_factory=list[Segment])
    records: list[Record] = field(default_factory=list[Record])
    damages: list[Damage] = field(default_factory=list[Damage])
    verified: bool = False


@dataclass
class _Run:
    key: bytes
    epoch: int
    index: int
    tag: bytes
    count: int = 0


class Sealed:
    """Opens marks and frames of one vault: key K of 32 bytes, its name, AES of `bits`."""

    def __init__(self, key: bytes, name: str, bits: int = 128) -> None:
        self._key = key
        self._size = bits // 8
        raw = name.encode()
        self._aad = b"uward vault " + bytes((VERSION, self._size, len(raw))) + raw

    def mark(self, half: bytes, segment: int) -> _Run | None:
        """The run that this half of a mark begins, None when it is none of this segment."""
        if len(half) != HALF or half[:4] != struct.pack(">HH", 0xFFFF, VERSION):
            return None
        epoch, index = struct.unpack(">II", half[4:12])
        tag, salt = half[12:28], half[28:44]
        info = self._aad + half[4:8] + tag
        key = HKDF(hashes.SHA256(), self._size, salt, info).derive(self._key)
        aad = self._aad + struct.pack(">I", segment) + half[:44]
        run = _Run(key, epoch, index, tag)
        return run if self._open(run, 0, half[44:], aad) is not None else None

    def frame(self, run: _Run, count: int, sealed: bytes) -> bytes | None:
        """Plaintext of a frame, None when it is not what was sealed."""
        return self._open(run, count, sealed, self._aad)

    def _open(self, run: _Run, count: int, sealed: bytes, aad: bytes) -> bytes | None:
        try:
            return AESCCM(run.key, TAG).decrypt(count.to_bytes(13, "big"), sealed, aad)
        except InvalidTag:
            return None


def read(files: Files, sealed: Sealed | None = None) -> Journal:
    """`files`: those of the vault's folder, by path below it ("7", "t/0"). With `sealed`
    everything is opened, and what is not as it was sealed is listed."""
    numbers = sorted(int(name) for name in files if SEGMENT.fullmatch(name) and files[name])
    journal = Journal(verified=sealed is not None)
    if not numbers:
        return journal
    last = numbers[-1]
    if sealed is not None:
        last = next((n for n in reversed(numbers) if _begins(files[str(n)], n, sealed)), last)
    tails = _live_tails(files, files[str(last)])
    for number in numbers:
        data = files[str(number)] + (tails if number == last else b"")
        journal.segments.append(_structure(number, data, len(tails) if number == last else 0))
    if sealed is not None:
        _open_all(journal, files, numbers, last, tails, sealed)
    return journal


def _begins(data: bytes, number: int, sealed: Sealed) -> bool:
    halves = (data[:HALF], data[HALF:MARK])
    return any(sealed.mark(half, number) is not None for half in halves)


def _live_tails(files: Files, segment: bytes) -> bytes:
    """Tail files that the segment does not hold yet, in their order."""
    found = (files.get(f"t/{slot}", b"") for slot in range(TAILS))
    return b"".join(tail for tail in found if tail not in segment)


def _structure(number: int, data: bytes, in_tails: int) -> Segment:
    segment = Segment(number, len(data), in_tails)
    at = 0
    while at + FRAME <= len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        if size == 0xFFFF:
            segment.marks += 1
            if segment.first_index is None:
                segment.first_index = int.from_bytes(data[at + 8 : at + 12], "big")
            at += MARK
        else:
            segment.frames += 1
            at += FRAME + size
    return segment


def _open_all(
    journal: Journal, files: Files, numbers: list[int], last: int, tails: bytes, sealed: Sealed
) -> None:
    reader = _Reader(sealed, journal)
    for number in numbers:
        if number > last:
            reader.complain(number, 0, "not sealed by this key")
            continue
        data = files[str(number)] + (tails if number == last else b"")
        for record in reader.segment(number, data):
            journal.records.append(record)


class _Reader:
    def __init__(self, sealed: Sealed, journal: Journal) -> None:
        self._sealed = sealed
        self._journal = journal
        self._run: _Run | None = None
        self._index: int | None = None
        self._tag: bytes | None = None

    def complain(self, segment: int, lost: int, what: str) -> None:
        self._journal.damages.append(Damage(self._index, segment, lost, what))
        self._tag = None

    def segment(self, number: int, data: bytes) -> Iterator[Record]:
        self._run = None
        at = 0
        while at < len(data):
            start = next((p for p in range(at, len(data)) if self._is_ours(number, data, p)), None)
            if start is None:
                self.complain(number, 0, f"bytes from {at} on say nothing")
                return
            mark = self._mark(number, data, start, start == at)
            if mark is not None:
                run, end, whole = mark
                self._enter(number, run, start != at or not whole)
                at = end
                continue
            size, count = struct.unpack(">HH", data[start : start + 4])
            record = self._record(number, data, start, size, count)
            self._expect(number, record.index, start != at)
            self._index = record.index + 1
            at = start + FRAME + size
            self._tag = data[at - TAG : at]
            yield record

    def _is_ours(self, number: int, data: bytes, at: int) -> bool:
        return (
            self._plaintext(data, at) is not None or self._mark(number, data, at, True) is not None
        )

    def _mark(
        self, number: int, data: bytes, at: int, expected: bool
    ) -> tuple[_Run, int, bool] | None:
        """(run, end, both halves good). Where it is not expected, a lone half is the second."""
        half = data[at : at + HALF]
        run = self._sealed.mark(half, number)
        if run is None:
            return None
        whole = data[at + HALF : at + MARK] == half
        return run, at + (MARK if whole or expected else HALF), whole

    def _plaintext(self, data: bytes, at: int) -> bytes | None:
        if self._run is None or at + FRAME > len(data):
            return None
        size, count = struct.unpack(">HH", data[at : at + 4])
        end = at + FRAME + size
        if size > PLAINTEXT_MOST or end > len(data) or not 0 < count - self._run.count <= SEEK:
            return None
        return self._sealed.frame(self._run, count, data[at + 4 : end])

    def _record(self, number: int, data: bytes, at: int, size: int, count: int) -> Record:
        plaintext, run = self._plaintext(data, at), self._run
        if not plaintext or run is None:  # `_is_ours` has seen it
            raise Refused(f"segment {number}, byte {at}: expected the record that was found there")
        run.count = count
        return Record(run.index + count - 1, number, at, plaintext[0], plaintext[1:])

    def _enter(self, number: int, run: _Run, odd: bool) -> None:
        self._expect(number, run.index, odd)
        if self._tag is not None and self._tag != run.tag:
            self.complain(number, 0, "a run that follows another record")
        self._run, self._index, self._tag = run, run.index, run.tag

    def _expect(self, number: int, index: int, odd: bool) -> None:
        if self._index is None:
            self._index = index
        lost = index - self._index
        if lost or odd:
            self.complain(number, max(lost, 0), f"{lost} records are not what was sealed")
