"""The stream that MQTT runs over: a TLS connection whose peer was verified by its first byte."""

from uward.errors import LinkClosed, TlsRefused
from uward.lazy import again

NOT_YET_VALID = "not-yet-valid"


def _refuse(der, depth):
    """verify_callback of a connection that stands: a second handshake in it is refused."""
    return -0x3000  # MBEDTLS_ERR_X509_FATAL_ERROR


class Leaf:
    """What is kept of the broker's certificate: serial (bytes), not_before, not_after (unix s).

    certificate: one of x509, or a Leaf, of which it is a copy elsewhere in the heap.
    """

    def __init__(self, certificate):
        self.serial = again(certificate.serial)
        self.not_before = again(certificate.not_before)
        self.not_after = again(certificate.not_after)


def recheck(leaf, now, revoked):
    """TlsRefused if the broker's certificate does not hold at `now` or its serial is revoked.

    Also for a live session: when the time was proved (S10), when a revocation list came (S11).
    """
    if leaf.serial in revoked:
        raise TlsRefused("revoked", "certificate with serial %s is revoked" % leaf.serial.hex())
    if now > leaf.not_after:
        raise TlsRefused("expired", "certificate expired at %d, now %d" % (leaf.not_after, now))
    if now < leaf.not_before:
        raise TlsRefused(
            NOT_YET_VALID, "certificate starts at %d, now %d" % (leaf.not_before, now)
        )


class Stream:
    """A TLS connection as `link.mqtt` wants it. `verified`: the handshake is over and good.

    refusal(error, verifier) -> what to raise for a failed handshake. `write` and `readinto` call
    TLS themselves: a function for both would be one more frame below a handshake (ADR 0043).
    """

    def __init__(self, sock, wrapped, context, verifier, refusal):
        self._sock = sock
        self._tls = wrapped
        self._context = context
        self._refusal = refusal
        self.verifier = verifier
        self.verified = False

    def settle(self):
        """The peer is believed: let go of who judged it, 15 KB of code (S20). -> Leaf."""
        leaf = Leaf(self.verifier.leaf)
        self._context.verify_callback = _refuse
        self._context = self._refusal = self.verifier = None
        return leaf

    def write(self, data):
        """-> bytes taken, or None; the first one taken proves that the peer was verified."""
        try:
            n = self._tls.write(data)
        except (OSError, ValueError) as e:
            raise self._meaning(e) from None
        if n:
            self.verified = True
        return n

    def readinto(self, buffer):
        """-> bytes put into buffer, 0 at the end, or None."""
        try:
            n = self._tls.readinto(buffer)
        except (OSError, ValueError) as e:
            raise self._meaning(e) from None
        if n:
            self.verified = True
        return n

    def _meaning(self, error):
        if self.verified:
            return LinkClosed("connection lost: %r" % error)
        return self._refusal(error, self.verifier)

    def close(self):
        """Close both layers, once; after a refused handshake TLS has let go of the socket."""
        sock, self._sock = self._sock, None
        if sock:
            try:
                self._tls.close()
            finally:
                sock.close()
