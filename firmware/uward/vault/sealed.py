"""Sealed files (SPEC 6): 0x01 | salt16 | AES-CCM-16-128-256, written aside and renamed."""

import os

from uward import files, limits
from uward.compat import const
from uward.crypto import aead
from uward.crypto.rng import random
from uward.errors import BadMac, LimitError
from uward.vault import keys

_VERSION = b"\x01"
_FRAME = const(33)  # version, salt, tag
_NONCE = bytes(13)  # each salt gives its own key, used once


def write(secret, path, plaintext, base="", suffix=""):
    """Seal plaintext under the root secret; the file holds the old or the new, never neither.

    suffix: the file is called path + suffix until it is renamed to path, which it is bound to.
    """
    if len(plaintext) > limits.SEALED_BYTES:
        raise LimitError(
            "sealed: expected <= %d bytes, got %d" % (limits.SEALED_BYTES, len(plaintext))
        )
    with open(base + path + ".tmp", "wb") as f:
        f.write(seal(secret, path, plaintext))
    os.rename(base + path + ".tmp", base + path + suffix)


def seal(secret, path, plaintext):
    """-> the content of a sealed file."""
    salt = random(16)
    key = keys.file_key(secret, salt, path)
    return _VERSION + salt + aead.seal(key, _NONCE, plaintext, path.encode())


def read(secret, path, base=""):
    """-> plaintext. BadMac when it was not sealed here under this path; OSError when absent."""
    data = files.read(base + path, limits.SEALED_BYTES + _FRAME)
    if data[:1] != _VERSION or len(data) < 33:
        raise BadMac("sealed: expected format 1 in %s, got another" % path)
    key = keys.file_key(secret, data[1:17], path)
    return aead.open(key, _NONCE, data[17:], path.encode())
