"""An expired device enrols again: EST (RFC 7030) over TLS with the birth certificate (S10).

    GET  /.well-known/uward/time/<nonce>    the time first: until it is proved nothing is believed
    POST /.well-known/est/simpleenroll      then a certificate for the key that we have

No broker takes the birth certificate, and the EST service gives nothing else for it. Loaded when
it is needed, dropped afterwards (S20).
"""

from binascii import b2a_base64

from uward import limits, port
from uward.codec import cbor
from uward.errors import LinkClosed, LinkTimeout, ProtocolError
from uward.link import clock, est_answer, renewal, tls
from uward.vault import keys, sealed

_HEAD = "%s /.well-known/%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n%s\r\n"
_POST = "Content-Type: application/pkcs10\r\nContent-Transfer-Encoding: base64\r\n"


async def enrol(agent, uplink):
    """Get a certificate that holds. -> whether there is a service to ask.

    LinkError, TlsRefused, ClockRefused, TrustError, KeyRefused, CodecError.
    """
    station = uplink.station
    root = keys.root()
    net = cbor.decode(sealed.read(root, "/id/net"))
    if 7 not in net:
        return False
    birth = cbor.decode(sealed.read(root, "/id/birth"))
    station.release()
    made = tls.Credentials(net[5], station.anchors, birth[2], birth[1], station.revoked)
    del birth
    nonce = station.clock.ask()
    first = _request("GET", "uward/time/" + nonce.hex(), net[5])

    async def attempt():
        stream = await made.stream(net[3], net[7])
        try:
            await _write(stream, first)  # it drives the handshake
        except BaseException:
            stream.close()
            raise
        return stream

    stream = await clock.connect(attempt, station.clock)
    try:
        answer = await _read(stream)
        leaf = stream.verifier.leaf
        station.clock.prove(answer, station.device, station.time_keys(), leaf, station.revoked)
        station.keep_clock()
        own = renewal.own()
        body = b2a_base64(renewal.request(own[1], own[2])).strip()
        await _write(stream, _request("POST", "est/simpleenroll", net[5], body))
        renewal.keep(own, est_answer.find(await _read(stream), own))
    finally:
        stream.close()
    agent.event("id.renewed", "by the birth certificate")
    return True


def _request(method, path, host, body=b""):
    more = _POST if body else ""
    return (_HEAD % (method, path, host, len(body), more)).encode() + body


async def _write(stream, data):
    start = port.ticks_ms()
    view = memoryview(data)
    while len(view):
        n = stream.write(view)
        if n:
            view = view[n:]
            continue
        await _wait(start, "the service to take a request")


async def _wait(start, what):
    if port.ticks_diff(port.ticks_ms(), start) > limits.EST_MS:
        raise LinkTimeout("est: expected %s in %d ms" % (what, limits.EST_MS))
    await port.sleep_ms(limits.MQTT_POLL_MS)


async def _read(stream):
    """-> the body of one answer 200. ProtocolError; TrustError `id.refused` for another status."""
    start = port.ticks_ms()
    data = b""
    size = None
    buffer = bytearray(512)
    while size is None or len(data) < size:
        n = stream.readinto(buffer)
        if n == 0:
            raise LinkClosed("est: the service closed before it had answered")
        if n is None:
            await _wait(start, "an answer")
            continue
        data += bytes(buffer[:n])
        if size is None and b"\r\n\r\n" in data:
            status, size, at = est_answer.parse(data)
            data = data[at:]
        if len(data) > limits.DER_BYTES:
            raise ProtocolError("est: expected an answer of at most %d bytes" % limits.DER_BYTES)
    if len(data) > size:
        raise ProtocolError("est: expected %d bytes of answer, got more" % size)
    if status != 200:
        reason = str(data[: limits.REASON_CHARS], "utf-8") if _plain(data) else ""
        raise renewal.refused("the service says %d %s" % (status, reason.strip()))
    return data


def _plain(data):
    return all(32 <= byte < 127 or byte in b"\r\n" for byte in data)
