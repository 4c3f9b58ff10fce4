"""A vault under another key: each segment sealed anew, record by record, at the same indexes.

Works on marks and frames alone (SPEC 10), so it holds for every vault. A segment is the old or
the new one, never neither; whoever opened the vault in between would see damage, so nobody does:
`rotate` runs before any vault is opened, and goes on after a cut before anything else.
"""

import os

from uward import limits
from uward.compat import const
from uward.crypto.rng import random
from uward.vault.frames import MARK, Reader, Sealer

_HALF = const(60)
_NEXT = "/next"
_TAILS = "/t"
_ENOENT = const(2)


class _Source:
    """Bytes in RAM, as `Reader` asks for them."""

    def __init__(self, data):
        self._view = memoryview(data)
        self.size = len(data)

    def read(self, offset, n):
        return bytes(self._view[offset : offset + n])


def vault(folder, name, old, new, feed, bits=128):
    """Seal one vault anew. old, new: its keys; feed: called for each record.

    What does not open under the old key stays behind: the indexes go on after it, so that the
    loss is reported as it would have been. A segment of which nothing opens is left as it is.
    """
    name = name.encode()
    sealers = Sealer(old, name, bits), Sealer(new, name, bits)
    numbers = segments(folder)
    tag = bytes(16)
    for number in numbers:
        tag = _segment(folder, number, sealers, feed, tag, number == numbers[-1])
    _remove(folder + _NEXT)


def _segment(folder, number, sealers, feed, tag, last):
    """One segment; the last one takes over what lies in the tail files. tag: of the record before
    it, under the new key. -> that of its last record."""
    path = "%s/%d" % (folder, number)
    data = _read(path)
    if _is_under(sealers[1], data, number):  # a cut came after it
        tag = _last_tag(sealers[1], data, number) or tag
    else:
        if last:
            data += _tails(folder, data)
        anew = _anew(_Source(data), number, sealers, feed, tag)
        if not anew:
            return tag
        with open(folder + _NEXT, "wb") as f:
            f.write(anew)
        os.rename(folder + _NEXT, path)
        tag = bytes(anew[-16:])
    if last:
        for tail in names(folder + _TAILS):
            if tail.isdigit():
                os.remove("%s%s/%s" % (folder, _TAILS, tail))
    return tag


def _last_tag(sealer, data, number):
    reader = Reader(sealer, _ignore)
    for _ in reader.frames(number, _Source(data)):
        pass
    return reader.tag


def _ignore(event, index, lost, reason):
    """Whoever opens the vault reports it."""


def _is_under(sealer, data, number):
    first, second = data[:_HALF], data[_HALF : 2 * _HALF]
    return bool(sealer.open_mark(first, number) or sealer.open_mark(second, number))


def _anew(source, number, sealers, feed, tag):
    """-> the bytes of the segment under the new key. A run begins wherever an index is missing."""
    reader = Reader(sealers[0], _ignore)
    run = None
    out = bytearray()
    for index, plaintext in reader.frames(number, source):
        feed()
        if run is None or index != run.index + run.count:
            run, mark = sealers[1].mark(number, reader.epoch, index, tag, random(16))
            out.extend(mark)
        out.extend(sealers[1].seal(run, plaintext))
        tag = bytes(out[-16:])
    return out


def _tails(folder, segment):
    """The bytes of the tail files that the segment does not hold, in slot order (SPEC 10)."""
    out = b""
    for slot in range(limits.VAULT_TAILS):
        data = _read("%s%s/%d" % (folder, _TAILS, slot))
        if data and data not in segment:
            out += data
    return out


def segments(folder):
    """Numbers of the segments that are not empty, sorted."""
    found = [name for name in names(folder) if name.isdigit() and name[0] != "0"]
    numbers = sorted(int(name) for name in found if len(name) < 10)
    return [n for n in numbers if os.stat("%s/%d" % (folder, n))[6] >= MARK // 2]


def _read(path):
    try:
        with open(path, "rb") as f:
            return f.read(limits.VAULT_SEGMENT)
    except OSError as e:
        if e.args[0] != _ENOENT:
            raise
        return b""


def names(path):
    try:
        return os.listdir(path)
    except OSError as e:
        if e.args[0] != _ENOENT:
            raise
        return []


def _remove(path):
    try:
        os.remove(path)
    except OSError as e:
        if e.args[0] != _ENOENT:
            raise
