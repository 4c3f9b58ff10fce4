"""Applies a detools patch (format sequential, compression crle) as its bytes come. Pure.

Nothing of the patch is kept and nothing is read twice: one buffer of the new image is all that it
takes. The format is that of detools (https://detools.readthedocs.io): a byte that names it, the
size of the new image, then crle segments that hold in turn: size of a difference, the difference,
size of what is new, the new bytes, and how far to move on in the source.
"""

from uward import limits
from uward.compat import const
from uward.errors import UpdateRefused

_SEQUENTIAL_CRLE = const(0x02)  # patch type 0 in bits 4..6, compression 2 in bits 0..3
_REPEATED = const(1)  # crle segment of one byte that repeats; 0: of bytes as they are
_SIZE_BITS = const(27)  # of the longest number: limits.IMAGE_BYTES needs 19
_FORMAT, _DIFF, _EXTRA, _ADJUST, _END = range(5)  # the number that comes next


class Patch:
    """Applies a patch that is fed to it in parts of any size.

    source: file of the old image; size: bytes of the new one; skip: how many of these are there
    already; write(view): takes what follows, at most limits.PATCH_BUFFER at a time, which are
    written over afterwards.
    """

    def __init__(self, source, size, skip, write):
        self._source = source
        self._source_size = source.seek(0, 2)
        self._at = self._source_size  # where the file stands
        self._from = 0  # where the patch stands in it
        self._write = write
        self._made = 0  # bytes of the new image, those that were skipped too
        self._size = size
        self._skip = skip
        self._out = memoryview(bytearray(limits.PATCH_BUFFER))
        self._fill = 0
        self._head = 0  # 0: format comes, 1: size of the image comes, 2: both came
        self._kind = None  # of the segment, once its first byte came
        self._count = None  # bytes of the segment that are left, once they are known
        self._field = _FORMAT
        self._left = 0  # bytes of diff or extra that are left
        self._extra = False
        self._value = self._bits = 0  # of a number that is coming

    def feed(self, data):
        """A generator: each step makes at most limits.PATCH_BUFFER of the image (S18).

        UpdateRefused `upd.malformed` for what is no patch of this source and size.
        """
        view = memoryview(data)
        at = 0
        while at < len(view):
            if self._count and self._kind != _REPEATED:
                n = min(self._count, len(view) - at)
                self._count -= n
                yield from self._take(view[at : at + n], n)
                at += n
            else:
                byte = view[at]
                at += 1
                if self._head < 2:
                    self._header(byte)
                elif not self._count:
                    self._segment(byte)
                else:
                    n, self._count = self._count, 0
                    yield from self._take(byte, n)

    def finish(self):
        """The patch has ended: write what is left. UpdateRefused when the image is not whole."""
        if self._field != _END or self._count or self._kind is not None:
            _refuse("an image of %d bytes, got %d" % (self._size, self._made))
        self._flush()

    def _header(self, byte):
        if not self._head:
            if byte != _SEQUENTIAL_CRLE:
                _refuse("format 0x%02x, got 0x%02x" % (_SEQUENTIAL_CRLE, byte))
            self._head = 1
            return
        size = self._number(byte)
        if size is not None:
            if size != self._size:
                _refuse("one to %d bytes, got one to %d" % (self._size, size))
            self._head = 2

    def _segment(self, byte):
        """The head of a crle segment: its kind, then its length, 7 bits a byte, lowest first."""
        if self._kind is None:
            if byte > _REPEATED:
                _refuse("a segment of kind 0 or 1, got %d" % byte)
            self._kind = byte
            self._count = None
            return
        if self._grow(byte & 0x7F, byte, 7):
            self._count, self._value, self._bits = self._value, 0, 0
            if not self._count:
                self._kind = None

    def _grow(self, bits, byte, width):
        """Add bits to the number that is coming. -> whether it is whole."""
        self._value |= bits << self._bits
        self._bits += width
        if self._bits > _SIZE_BITS:
            _refuse("numbers of <= %d bits, got more" % _SIZE_BITS)
        return not byte & 0x80

    def _number(self, byte):
        """A byte of a signed number: sign and 6 bits, then 7 bits a byte. -> it, or None."""
        if not self._bits:
            self._sign = -1 if byte & 0x40 else 1
            whole = self._grow(byte & 0x3F, byte, 6)
        else:
            whole = self._grow(byte & 0x7F, byte, 7)
        if not whole:
            return None
        value, self._value, self._bits = self._value * self._sign, 0, 0
        return value

    def _take(self, data, n):
        """n bytes of the segment: a view, or one byte that repeats."""
        repeats = isinstance(data, int)
        at = 0
        while at < n:
            if self._left:
                m = min(n - at, self._left, self._skip or limits.PATCH_BUFFER - self._fill)
                if self._skip:
                    self._skip -= m
                else:
                    self._put(data if repeats else data[at : at + m], m, repeats)
                at += m
                self._advance(m)
                if self._fill == limits.PATCH_BUFFER:
                    self._flush()
                    yield
            else:
                value = self._number(data if repeats else data[at])
                at += 1
                if value is not None:
                    self._control(value)
        if not self._count:
            self._kind = self._count = None

    def _advance(self, m):
        self._made += m
        self._left -= m
        if not self._extra:
            self._from += m

    def _control(self, value):
        """A number of the patch: form of the data, size of a diff or of new data, adjustment."""
        field = self._field
        if field == _END:
            _refuse("its end after %d bytes, got more" % self._size)
        if field == _FORMAT and value:
            _refuse("plain data, got a format of %d bytes" % value)
        if field == _ADJUST:
            self._from += value
            if not 0 <= self._from <= self._source_size:
                _refuse("a place in the source, got %d" % self._from)
            self._field = _END if self._made == self._size else _DIFF
            return
        if field != _FORMAT:
            if not 0 <= value <= self._size - self._made:
                _refuse("<= %d bytes more, got %d" % (self._size - self._made, value))
            self._left = value
            self._extra = field == _EXTRA
            if not self._extra and self._from + value > self._source_size:
                _refuse("a source of %d bytes, got a longer one" % self._source_size)
        self._field = field + 1

    def _put(self, data, m, repeats):
        """m bytes of the new image: of the source with differences added, or new ones."""
        out = self._out[self._fill : self._fill + m]
        self._fill += m
        if self._extra:
            if repeats:
                data = bytes([data]) * m
            out[:] = data
            return
        self._read(out, m)
        if repeats:
            if data:
                for i in range(m):
                    out[i] = out[i] + data & 0xFF
            return
        for i in range(m):
            if data[i]:
                out[i] = out[i] + data[i] & 0xFF

    def _read(self, out, m):
        if self._at != self._from:
            self._source.seek(self._from)
        if self._source.readinto(out) != m:
            _refuse("%d bytes at %d of the source, got less" % (m, self._from))
        self._at = self._from + m

    def _flush(self):
        if self._fill:
            self._write(self._out[: self._fill])
            self._fill = 0


def _refuse(message):
    raise UpdateRefused("upd.malformed", "patch: expected " + message)
