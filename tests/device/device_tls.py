"""What a device does with a TLS listener; runs on MicroPython (CPython has no `tls`)."""

import asyncio
import sys


def attempt(umqtt, number, anchors, certificate, secret, revoked, milliseconds, heap=True):
    """Open TLS and MQTT to 127.0.0.1. Bytes are hex. heap False: skip the check before TLS.

    -> [error class and event or None, reason, text, verified]
    """
    sys.path.append(umqtt)
    from uward import port
    from uward.link import mqtt, tls

    mqtt.MQTT_CONNECT_MS = milliseconds
    tls.TCP_CONNECT_MS = milliseconds
    if not heap:
        port.tls_heap_ok = lambda: True
    streams = []

    async def main():
        credentials = tls.Credentials(
            "broker.local",
            [bytes.fromhex(anchor) for anchor in anchors],
            bytes.fromhex(certificate),
            bytes.fromhex(secret),
            [bytes.fromhex(serial) for serial in revoked],
        )
        client = mqtt.Client("abcdefgh12345678")
        streams.append(await credentials.stream("127.0.0.1", number))
        await client.open(streams[0])
        client.disconnect()

    try:
        asyncio.run(main())
    except Exception as e:
        verified = bool(streams) and streams[0].verified
        name = "%s %s" % (type(e).__name__, getattr(e, "event", None))
        return [name, getattr(e, "reason", None), str(e), verified]
    return [None, None, "", streams[0].verified]


def refused(anchor, certificate, secret):
    """What is refused before a socket is opened. Bytes are hex. -> [error, text] of each."""
    from uward import port
    from uward.link import tls

    anchor, certificate, secret = map(bytes.fromhex, (anchor, certificate, secret))
    out = []
    for anchors, key, room in (
        ([], secret, True),
        ([anchor] * 3, secret, True),
        ([anchor], secret[1:], True),
        ([anchor], secret, False),
    ):
        port.tls_heap_ok = lambda room=room: room
        try:
            tls.Credentials("broker.local", anchors, certificate, key)
            out.append(None)
        except Exception as e:
            out.append([type(e).__name__, str(e)])
    return out


class _Nowhere:
    """A socket and a poller to an address that never answers."""

    POLLOUT = POLLERR = POLLHUP = 0

    def connect(self, address):
        raise OSError(115)

    def poll(self, *_):
        return self if not _ else []

    def register(self, *_):
        pass


def unanswered(milliseconds):
    """Connect TCP to nobody. -> [error, text]"""
    from uward.link import tls

    tls.TCP_CONNECT_MS = milliseconds
    tls.EINPROGRESS = 115
    tls.select = _Nowhere()
    try:
        asyncio.run(asyncio.wait_for(tls._connected(_Nowhere(), None, asyncio.sleep_ms), 3))
    except Exception as e:
        return [type(e).__name__, str(e)]
