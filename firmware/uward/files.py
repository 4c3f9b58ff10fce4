"""Reading a whole file without a buffer for the largest one: `read(n)` takes n bytes first."""

from uward.errors import LimitError


def read(path, most):
    """-> content of at most `most` bytes. LimitError for a longer file, OSError when absent."""
    with open(path, "rb") as f:
        size = f.seek(0, 2)
        if size > most:
            raise LimitError("%s: expected <= %d bytes, got %d" % (path, most, size))
        f.seek(0)
        return f.read(size)
