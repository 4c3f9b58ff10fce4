"""Board-tier keys (SPEC 6, S9): root secret -> HKDF(label) -> one key a purpose.

`/id/root` is the root secret itself with key source `flash`, so that whoever dumps the flash has
it (said by `uward doctor`), or what a chip makes it from (`sources`).
"""

import os

from uward.compat import const
from uward.crypto.hash import hkdf
from uward.errors import KeyLocked, KeyRefused

ROOT = "/id/root"
DATA = "/id/data"
_SIZE = const(32)
_MOST = const(64)
_ENOENT = const(2)
_data = None  # the data secret, once it is unlocked
_asked = None  # what the chip was asked with, and the root that came of it: its bus is the app's


def enrolled(base=""):
    """Whether this board has a root secret; without one it is in state `factory` (SPEC 3)."""
    return _exists(base + ROOT)


def _exists(path):
    try:
        os.stat(path)
    except OSError as e:
        if e.args[0] == _ENOENT:
            return False
        raise
    return True


def root(base=""):
    """-> 32 bytes. KeyRefused when the file or the chip gives none, OSError when it is absent."""
    with open(base + ROOT, "rb") as f:
        return open_root(f.read(_MOST + 1))


def in_chip(base=""):
    """Whether a chip makes the root: what is sealed under it is in no dump of the flash."""
    return os.stat(base + ROOT)[6] > _SIZE


def open_root(data):
    """The content of /id/root -> root secret. A chip is asked once."""
    global _asked
    if len(data) == _SIZE:
        return data
    if not _SIZE < len(data) <= _MOST:
        raise KeyRefused("root: expected %d bytes, got %d" % (_SIZE, len(data)))
    if _asked is None or _asked[0] != data:
        from uward.vault import sources

        _asked = data, sources.derive(data)
    return _asked[1]


def data(base=""):
    """-> the data tier's secret: the root, unless the tier has a lock of its own (S9).

    KeyLocked until `hold` was called.
    """
    if _data is not None:
        return _data
    if data_locked(base):
        raise KeyLocked("data: expected a PIN or the collector's share before, got none")
    return root(base)


def data_locked(base=""):
    """Whether the data tier has a lock of its own (S9), open or not."""
    return _exists(base + DATA)


def hold(secret):
    """The data tier is unlocked until the next boot."""
    global _data
    _data = secret


def open_already():
    """Whether `hold` was called in this boot."""
    return _data is not None


def record_key(secret):
    """K_record, the MAC key of the boot record."""
    return hkdf(secret, b"", b"uward board record")


def file_key(secret, salt, path):
    """K_file, which seals one version of one file; salt: 16 bytes, fresh for each write."""
    return hkdf(secret, salt, b"uward board file " + path.encode())


def vault_key(secret, name):
    """K of one vault: parent of the keys of its runs (SPEC 10)."""
    return hkdf(secret, b"", b"uward vault " + name.encode())
