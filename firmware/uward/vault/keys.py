"""Board-tier keys (SPEC 6, S9): root secret -> HKDF(label) -> one key a purpose.

Key source `flash`: the root secret is a file, so whoever dumps the flash has it (said by
`uward doctor`). Other sources replace `root`.
"""

import os

from uward.compat import const
from uward.crypto.hash import hkdf
from uward.errors import KeyRefused

ROOT = "/id/root"
_SIZE = const(32)
_ENOENT = const(2)


def enrolled(base=""):
    """Whether this board has a root secret; without one it is in state `factory` (SPEC 3)."""
    try:
        os.stat(base + ROOT)
    except OSError as e:
        if e.args[0] == _ENOENT:
            return False
        raise
    return True


def root(base=""):
    """-> 32 bytes. KeyRefused for another length, OSError when there is none."""
    with open(base + ROOT, "rb") as f:
        secret = f.read(_SIZE + 1)
    if len(secret) != _SIZE:
        raise KeyRefused("root: expected %d bytes, got %d" % (_SIZE, len(secret)))
    return secret


def record_key(secret):
    """K_record, the MAC key of the boot record."""
    return hkdf(secret, b"", b"uward board record")


def file_key(secret, salt, path):
    """K_file, which seals one version of one file; salt: 16 bytes, fresh for each write."""
    return hkdf(secret, salt, b"uward board file " + path.encode())


def vault_key(secret, name):
    """K of one vault: parent of the keys of its runs (SPEC 10)."""
    return hkdf(secret, b"", b"uward vault " + name.encode())
