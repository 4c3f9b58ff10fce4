"""The bytes of one segment of a journal, for `frames`: its file, then what lies in tail files."""

from uward.compat import const

_CHUNK = const(1024)


class Segment:
    """path: of its file; durable: bytes of it that count; rest: what lies in the tail files.

    The file is open for one window only: readers stop where they like, and to littlefs the flash
    is full of the blocks of files that are open while they change (ADR 0057).
    """

    def __init__(self, path, durable, rest):
        self._path = path
        self._durable = durable
        self._rest = rest
        self._from = 0
        self._window = b""
        self.size = durable + len(rest)

    def read(self, offset, n):
        """n bytes, fewer at the end."""
        o = offset - self._from
        if o < 0 or o + n > len(self._window):
            self._from, o = offset, 0
            self._window = self._fetch(offset, max(n, _CHUNK))
        return self._window[o : o + n]

    def _fetch(self, offset, n):
        out = b""
        if offset < self._durable:
            with open(self._path, "rb") as f:
                f.seek(offset)
                out = f.read(min(n, self._durable - offset))
        start = offset + len(out) - self._durable
        return out if start < 0 else out + bytes(self._rest[start : start + n - len(out)])
