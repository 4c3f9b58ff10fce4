"""What is demanded of the broker's certificate, and what a failed handshake means (S11). Pure.

Reasons, as events name them: untrusted, not-pinned, chain, ca-as-leaf, not-a-server, revoked,
wrong-name, expired, not-yet-valid, malformed, certificate, protocol, refused-us, handshake.
"""

import gc

from uward import port
from uward.compat import const
from uward.errors import LinkClosed, LowHeap, TlsRefused, UwardError
from uward.limits import TLS_HEAP_VERIFY
from uward.link.stream import NOT_YET_VALID, recheck
from uward.trust import x509

_REFUSE = const(-0x3000)  # MBEDTLS_ERR_X509_FATAL_ERROR: ends the handshake
_FATAL_ALERT = const(-0x7780)  # MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE
_CONN_EOF = const(-0x7280)  # MBEDTLS_ERR_SSL_CONN_EOF
# Out of memory in mbedTLS: ENOMEM, MPI and ASN1 (low level), then SSL, PK, X509, ECP, MD, CIPHER
_NO_MEMORY = (12, 16, 106)
_NO_MEMORY_HIGH = (0x7F00, 0x3F80, 0x2880, 0x4D80, 0x5180, 0x6180)
# mbedTLS's sentences, the gravest first: a forged certificate is never called merely early (S10)
_SENTENCES = (
    ("not correctly signed", "untrusted"),
    ("does not match with the expected CN", "wrong-name"),
    ("sage does not match", "not-a-server"),
    ("unacceptable", "untrusted"),
    ("has expired", "expired"),
    ("starts in the future", NOT_YET_VALID),
)
# What a handshake that runs out of memory may look like: measured on the Pico W
_DOUBTFUL = ("untrusted", "refused-us", "protocol", "handshake", "certificate")


class Verifier:
    """TLS's verify_callback of one handshake: called for the issuer (depth 1), then the leaf (0).

    anchors: DER certificates of the issuing CAs that the trust document pins; revoked: serials.
    After the handshake `leaf` is the broker's certificate, `refusal` the error of a refused one.
    """

    def __init__(self, anchors, revoked):
        self._anchors = anchors
        self._revoked = revoked
        self._pinned = False
        self.leaf = None
        self.refusal = None
        self.heap_low = False

    def __call__(self, der, depth):
        """-> 0, or a negative number that ends the handshake. Never raises: mbedTLS is in C."""
        try:
            if depth == 0:
                self.heap_low = _heap_low()
            self._check(bytes(der), depth)
            return 0
        except TlsRefused as e:
            self.refusal = e
        except MemoryError:
            self.refusal = LowHeap("no room to parse the broker's certificate")
        except UwardError as e:
            self.refusal = TlsRefused("malformed", "certificate of the broker: %s" % e)
        except BaseException as e:
            self.refusal = TlsRefused("malformed", "certificate of the broker: %r" % e)
        return _REFUSE

    def _check(self, der, depth):
        if depth > 1:
            raise TlsRefused("chain", "expected the issuer to be a pinned CA, got a longer chain")
        if depth == 0:
            self._check_leaf(x509.parse_certificate(der))
        elif der in self._anchors:
            self._pinned = True
        else:
            raise TlsRefused("not-pinned", "issuer is none of the trust document's CAs")

    def _check_leaf(self, leaf):
        self.leaf = leaf
        if not self._pinned:
            raise TlsRefused("untrusted", "certificate was not issued by a pinned CA")
        if leaf.is_ca:
            raise TlsRefused("ca-as-leaf", "expected a server certificate, got a CA's")
        if x509.SERVER_AUTH not in (leaf.extended_key_usage or ()):
            raise TlsRefused("not-a-server", "certificate is not for server authentication")
        if leaf.key_usage is not None and not leaf.key_usage & x509.DIGITAL_SIGNATURE:
            raise TlsRefused("not-a-server", "certificate's key may not sign")
        now = port.now()
        if port.TLS_CHECKS_START:
            now = max(now, leaf.not_before)  # TLS judges the start itself, after this call
        recheck(leaf, now, self._revoked)


def _heap_low():
    if port.heap_free() < TLS_HEAP_VERIFY:
        gc.collect()
    return port.heap_free() < TLS_HEAP_VERIFY


def refusal(error, verifier):
    """What the OSError or ValueError of a failed handshake means. -> UwardError to raise.

    Its `not_before` is the start of the broker's certificate, 0 if none was seen.
    """
    meaning = _meaning(error, verifier)
    meaning.not_before = verifier.leaf.not_before if verifier.leaf else 0
    return meaning


def _meaning(error, verifier):
    meaning = verifier.refusal
    if not meaning and isinstance(error, ValueError):
        meaning = _by_sentence(str(error))
    if not meaning:
        meaning = _by_code(error.args[0], verifier)
    if verifier.heap_low and getattr(meaning, "reason", None) in _DOUBTFUL:
        return LowHeap("TLS failed as %s with too little heap to tell" % meaning.reason)
    return meaning


def _by_code(code, verifier):
    if code in _NO_MEMORY or -code & 0xFF80 in _NO_MEMORY_HIGH:
        return LowHeap("TLS handshake ran out of memory (%d)" % code)
    if code > 0 or code == _CONN_EOF:
        return LinkClosed("connection lost in the TLS handshake (%d)" % code)
    if code == _FATAL_ALERT and verifier.leaf:
        return TlsRefused("refused-us", "broker does not accept this device's certificate")
    if code == _FATAL_ALERT:
        return TlsRefused("protocol", "expected TLS 1.2 with ECDHE-ECDSA and AES-GCM, got none")
    return TlsRefused("handshake", "TLS handshake failed with %d" % code)


def _by_sentence(text):
    for part, reason in _SENTENCES:
        if part in text:
            return TlsRefused(reason, "certificate of the broker: " + text.strip())
    return TlsRefused("certificate", "certificate of the broker: " + text.strip())
