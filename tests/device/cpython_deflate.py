"""What MicroPython's module `deflate` does with a raw stream, for device code on CPython."""

import io
import zlib

RAW = 1


class DeflateIO(io.BytesIO):
    """A stream that is read from its begin to its end; nothing is left for a second one."""

    def __init__(self, stream, form, window_bits):
        assert form == RAW
        inflating = zlib.decompressobj(-window_bits)
        try:
            super().__init__(inflating.decompress(stream.read()))
        except zlib.error:
            raise OSError(22) from None
        if not inflating.eof:
            raise EOFError
