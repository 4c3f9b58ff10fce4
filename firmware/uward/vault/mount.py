"""How a journal begins (SPEC 10): find the newest state, take the tail files in, replay.

The other half of `journal`, in a module of its own: it is needed at the start and after a write
that failed, and is dropped afterwards (S20).
"""

import os
from struct import unpack

from uward import limits
from uward.compat import const
from uward.errors import VaultTampered
from uward.vault.frames import MARK, Reader
from uward.vault.journal import ignore
from uward.vault.segment import Segment

_SNAPSHOT = const(0)  # kinds, as in `journal`: on a board no module sees another's private const
_DROP = const(1)
_ENOENT = const(2)
_EEXIST = const(17)
_CHUNK = const(1024)
_HEAD = const(12)  # bytes of a mark up to its index
_END = const(0x3FFFFFFF)


def mount(journal, create):
    """Put `journal` into the state that its folder says: see `Journal.mount`."""
    if create:
        _make_folders(journal)
    numbers = _numbers(journal)
    last, start = _newest(journal, numbers)
    journal._pending = bytearray()
    journal._slot = journal._slot_at = 0
    journal._run = None
    journal._hop = Reader(journal._sealer, ignore)
    journal._stale = journal._odd = False
    journal.first, journal._first_index = 1, 0
    journal.last = last
    journal.starts = []
    if last:
        journal.size = journal._length(last)
        _take_tails(journal)
        _replay(journal, start)
        _list(journal, numbers)
    elif create and not any(journal._length(number) for number in numbers):
        journal.size = journal.index = journal._epoch = 0
        journal._tag = bytes(16)
        journal.rotate()
    else:
        raise VaultTampered(None, "vault: expected segments sealed by this key, got none")


def verify(journal):
    """Read everything -> whether all of it is as it was sealed; else it was reported."""
    reader = Reader(journal._sealer, journal._report)
    reader.index = journal._first_index
    for number in range(journal.first, journal.last + 1):
        for _ in journal._frames(reader, number):
            pass
    return not reader.damaged and reader.index == journal.index


def _make_folders(journal):
    parts = (journal._folder + "/t").split("/")
    for n in range(1, len(parts) + 1):
        try:
            os.mkdir("/".join(parts[:n]) or "/")
        except OSError as e:
            if e.args[0] != _EEXIST:
                raise


def _numbers(journal):
    """Numbers of the segments, sorted."""
    names = [n for n in os.listdir(journal._folder) if n.isdigit() and n[0] != "0"]
    return sorted(int(n) for n in names if len(n) < 10)


def _newest(journal, numbers):
    """Restore the newest whole snapshot -> (the last segment of ours, the one that has it)."""
    last = 0
    journal.last = 0
    for number in reversed(numbers):
        reader = Reader(journal._sealer, ignore)
        _, plaintext = journal._look(reader, number, 0)
        if reader.index is None:  # no mark of ours
            continue
        last = last or number
        if plaintext and plaintext[0] == _SNAPSHOT:
            journal._client.restore(plaintext[9:])
            return last, number
    journal._client.restore(b"")
    return last, numbers[0] if numbers else 0


def _take_tails(journal):
    """Into `_pending` what the segment does not hold yet; the rest are copies of its end."""
    tails = {}
    for slot in range(limits.VAULT_TAILS):
        try:
            with open(journal._tail(slot), "rb") as f:
                tails[slot] = f.read(limits.VAULT_INLINE)
        except OSError as e:
            if e.args[0] != _ENOENT:
                raise
    source = Segment(journal._path(journal.last), journal.size, b"")
    for o in range(0, journal.size, _CHUNK - limits.VAULT_INLINE):
        chunk = source.read(o, _CHUNK)
        for slot in list(tails):
            if tails[slot] in chunk:
                del tails[slot]
    for slot in sorted(tails):
        journal._pending.extend(tails[slot])
        journal._slot = slot + 1
    journal._slot_at = len(journal._pending)


def _replay(journal, start):
    """Tell the client what happened since the snapshot of segment `start`."""
    reader = Reader(journal._sealer, journal._report)
    for number in range(start, journal.last + 1):
        for index, plaintext in journal._frames(reader, number):
            if plaintext[0] > _DROP:
                journal._client.replay(index, plaintext[0], plaintext[1:])
                continue
            journal.first, journal._first_index = unpack(">II", plaintext[1:9])
    journal.index = reader.index
    journal._tag = reader.tag or bytes(16)
    journal._epoch = reader.epoch
    journal._odd = reader.damaged


def _list(journal, numbers):
    """Note where each segment begins; report those that are missing, none of ours, or back."""
    for number in numbers:
        if number < journal.first:
            if number < journal.first - 1:
                journal._report("store.tamper", None, 0, "segment %d is back" % number)
            journal._remove(journal._path(number))
        elif number > journal.last and journal._length(number):  # an empty file is absent (S21)
            reason = "segment %d is none of ours" % number
            journal._report("store.tamper", journal.index, 0, reason)
    for number in range(journal.first, journal.last + 1):
        claim = _claim(journal, number) if number in numbers else None
        if claim is None:
            claim = _end_before(journal, number - journal.first)
            journal._report("store.tamper", claim, 0, "segment %d is missing" % number)
        journal.starts.append(claim)
    journal.start(journal.last - journal.first)  # what is written to is known at once


def _claim(journal, number):
    """~index with which a segment says that it begins: read, not opened; None for no mark."""
    with open(journal._path(number), "rb") as f:
        head = f.read(_HEAD)
    return ~unpack(">I", head[8:])[0] if len(head) == _HEAD else None


def start_of(journal, i):
    """The index with which the kept segment i begins: that of its mark, opened; where neither
    half fits, what follows the segment before it."""
    number = journal.first + i
    with open(journal._path(number), "rb") as f:
        head = f.read(MARK)
    seen = journal._sealer.open_mark
    run = seen(head[: MARK // 2], number) or seen(head[MARK // 2 :], number)
    return run.index if run else _end_before(journal, i)


def _end_before(journal, i):
    """The index after the last record of the segment before the kept segment i."""
    if not i:
        return journal._first_index
    reader = Reader(journal._sealer, ignore)
    journal._look(reader, journal.first + i - 1, _END)
    return journal.start(i - 1) if reader.index is None else reader.index
