"""Files: whether one is there, and reading a whole one without a buffer for the largest."""

import os

from uward.errors import LimitError

_ENOENT = 2


def exists(path):
    """Whether there is such a file or folder. OSError when nobody can tell."""
    try:
        os.stat(path)
        return True
    except OSError as e:
        if e.args[0] != _ENOENT:
            raise
        return False


def read(path, most):
    """-> content of at most `most` bytes. LimitError for a longer file, OSError when absent."""
    with open(path, "rb") as f:
        size = f.seek(0, 2)
        if size > most:
            raise LimitError("%s: expected <= %d bytes, got %d" % (path, most, size))
        f.seek(0)
        return f.read(size)
