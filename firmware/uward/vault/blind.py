"""Readings that the board itself cannot read again (S9): sealed to the collector's public key.

Where the data tier has a lock, packs wait in flash like this, whether it is open or not. Each
boot has an ephemeral key pair whose private half is forgotten at once:

    0xFF | ephemeral public key 64 | u32 counter | AES-CCM(key, nonce = counter, pack, aad)

key = HKDF(ECDH(ephemeral, collector), ephemeral, "uward held v1", 16); aad = purpose. Sent with
its time beside it (`packs.finish`); the collector opens it where it opens the message around it.
"""

from struct import pack

from uward.compat import const
from uward.crypto import aead
from uward.crypto.hash import hkdf
from uward.errors import LimitError

MARK = b"\xff"
_LAST = const(0xFFFFFFFF)


class Blind:
    """Seals for one boot. public: role collector's, x | y, 64 bytes; random: of `rng`."""

    def __init__(self, public, random):
        from uward.crypto import p256

        private, self._ephemeral = p256.keygen(random)
        shared = p256.ecdh(private, public)
        self._key = hkdf(shared, self._ephemeral, b"uward held v1", 16)
        self._counter = 0

    def seal(self, purpose, body):
        """-> the body as it waits in flash. Each attempt takes a counter of its own (S13)."""
        if self._counter >= _LAST:
            raise LimitError("held: expected < 2**32 packs of one boot")
        self._counter += 1
        nonce = bytes(9) + pack(">I", self._counter)
        sealed = aead.seal(self._key, nonce, body, purpose.encode())
        return MARK + self._ephemeral + nonce[9:] + sealed
