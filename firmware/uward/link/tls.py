"""Mutual TLS 1.2 to one broker: `tls`, never `ssl`, which sets CERT_NONE (S11).

Sockets and contexts only; what is believed is decided in `peer.py`. There is no other way to a
stream in this package: no flag, no fallback.
"""

import select
import socket
from errno import EINPROGRESS

import tls

from uward import port as board
from uward.errors import KeyRefused, LinkClosed, LinkError, LinkTimeout, LowHeap, TlsRefused
from uward.limits import MQTT_POLL_MS, TCP_CONNECT_MS, TLS_ANCHORS
from uward.link.peer import Verifier, refusal
from uward.link.stream import Stream
from uward.trust import x509

_CIPHERS = ["TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256", "TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384"]
# RFC 5915 ECPrivateKey of P-256: version 1, key, curve, public key
_KEY_HEAD = b"\x30\x77\x02\x01\x01\x04\x20"
_KEY_TAIL = b"\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\xa1\x44\x03\x42\x00\x04"


class Credentials:
    """Who this device is and whom it believes: makes verified streams.

    name: the broker's, for SNI and its certificate; anchors: 1 or 2 DER certificates;
    certificate: the device's, DER; private_key: 32 bytes; revoked: container of serials.
    """

    def __init__(self, name, anchors, certificate, private_key, revoked=()):
        if not 0 < len(anchors) <= TLS_ANCHORS:
            raise KeyRefused("expected 1 to %d anchors, got %d" % (TLS_ANCHORS, len(anchors)))
        if len(private_key) != 32:
            raise KeyRefused("expected a private key of 32 bytes, got %d" % len(private_key))
        _demand_heap()
        own = x509.parse_certificate(certificate)
        self.start, self.end = own.not_before, own.not_after  # unix seconds
        self._name = name
        self._anchors = anchors
        self.revoked = revoked
        self._context = context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        context.verify_mode = tls.CERT_REQUIRED
        for anchor in anchors:
            context.load_verify_locations(anchor)
        key = _KEY_HEAD + private_key + _KEY_TAIL + own.public_key
        context.load_cert_chain(certificate, key)
        context.set_ciphers(_CIPHERS)

    async def stream(self, host, port, sleep=board.sleep_ms):
        """Open TCP. -> Stream at the start of its handshake, which its first write drives.

        Raises LowHeap before anything is sent, LinkTimeout, LinkClosed.
        """
        _demand_heap()
        verifier = Verifier(self._anchors, self.revoked)
        self._context.verify_callback = verifier
        if self._context.verify_mode != tls.CERT_REQUIRED or not self._context.verify_callback:
            raise TlsRefused("handshake", "this firmware's tls cannot check certificates")
        sock = await _connect(host, port, sleep)
        try:
            wrapped = self._context.wrap_socket(
                sock, server_hostname=self._name, do_handshake_on_connect=False
            )
        except (OSError, ValueError) as e:
            sock.close()
            raise refusal(e, verifier) from None
        return Stream(sock, wrapped, self._context, verifier, refusal)


def _demand_heap():
    """Out of memory inside TLS looks like a bad certificate, so it is judged before (S20)."""
    if not board.tls_heap_ok():
        raise LowHeap("too little heap for a TLS handshake, %d free" % board.heap_free())


async def _connect(host, port, sleep):
    try:
        address = socket.getaddrinfo(host, port)[0][-1]
    except OSError as e:
        raise LinkError("no address for %s: %r" % (host, e)) from None
    sock = socket.socket()
    try:
        sock.setblocking(False)
        await _connected(sock, address, sleep)
        return sock
    except OSError as e:
        sock.close()
        raise LinkClosed("no connection to %s port %d: %r" % (host, port, e)) from None
    except LinkError:
        sock.close()
        raise


async def _connected(sock, address, sleep):
    try:
        sock.connect(address)
    except OSError as e:
        if e.errno != EINPROGRESS:
            raise
    poller = select.poll()
    poller.register(sock, select.POLLOUT)
    start = board.ticks_ms()
    while True:
        for event in poller.poll(0):
            if event[1] & (select.POLLERR | select.POLLHUP):
                raise LinkClosed("no connection: refused or unreachable")
            return
        if board.ticks_diff(board.ticks_ms(), start) > TCP_CONNECT_MS:
            raise LinkTimeout("expected a TCP connection in %d ms" % TCP_CONNECT_MS)
        await sleep(MQTT_POLL_MS)
