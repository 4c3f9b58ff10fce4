"""MQTT 3.1.1 client for asyncio: umqtt.simple's encoding, a bounded parser and deadlines of ours.

The stream is non-blocking: `readinto(buffer)` and `write(data)` return a count, or None where
they would block; `readinto` returns 0 at the end. Nothing here waits without a deadline, and one
`poll()` takes a few milliseconds at most (S18). Unacknowledged QoS 1 publishes outlive the
connection and are sent again on the next one (MQTT 3.1.1 4.4).
"""

from uward import port
from uward.errors import LinkClosed, LinkError, LinkTimeout, LowHeap, ProtocolError
from uward.limits import (
    MQTT_CONNECT_MS,
    MQTT_KEEPALIVE_S,
    MQTT_PACKET_MS,
    MQTT_POLL_MS,
    MQTT_QUEUE,
    MQTT_READS,
    MQTT_REPLY_MS,
    MQTT_WINDOW,
    MQTT_WRITE_MS,
)
from uward.link.mqtt_encoder import Encoder, to_bytes
from uward.link.mqtt_parser import CONNACK, PUBACK, PUBLISH, SUBACK, Parser, parse_publish

_REFUSALS = ("", "protocol version", "client id", "server unavailable", "user", "not authorised")


class Client(Encoder):
    """One MQTT session; the connections under it come and go.

    `set_callback(f)`: f(topic, payload) for each message, both bytes; it runs inside `poll()`,
    and QoS 1 is acknowledged after it returned. Retained messages are dropped (S11).
    """

    retained = False  # deliver retained messages
    views = False  # the payload is a view, overwritten after the callback: no copy of 4 KB (S20)
    delivered = 0  # messages given to the callback

    def __init__(self, client_id, server="", port=8883, user=None, password=None, keepalive=0):
        keepalive = keepalive or MQTT_KEEPALIVE_S
        Encoder.__init__(self, to_bytes(client_id), server, port, user, password, keepalive)
        self._parser = Parser()
        self._flight = []  # [packet id, packet, ticks when sent], oldest first
        self._reset(None)

    def _reset(self, stream):
        self.stream = stream  # None: not connected
        self._parser.reset()
        self._queue = []  # packets to write, oldest first
        self._sent = 0  # bytes of the first one that the stream took
        self._present = None  # session present; None before CONNACK
        self._asked = None  # packet id of the SUBSCRIBE under way
        self._pinged = None  # ticks of the PINGREQ under way
        self._began = None  # ticks of the first byte of the packet that is coming
        self._said = self._heard = self._moved = port.ticks_ms()

    @property
    def connected(self):
        return self._present is not None

    @property
    def unacknowledged(self):
        """Packet ids of the QoS 1 publishes that the broker has not acknowledged, oldest first."""
        return [entry[0] for entry in self._flight]

    async def open(self, stream, clean_session=False):
        """Connect over `stream`. -> True if the broker kept the session (MQTT 3.1.1 3.2.2.2).

        A stream that is still in its TLS handshake is driven through it by the first write.
        """
        self.close()
        self._reset(stream)
        if clean_session:
            self._flight = []
        packet = self.connect_packet(clean_session)
        start, taken = port.ticks_ms(), None
        while not taken:
            # Called from here: a handshake takes half of the C stack (8 KB on RP2040), and the
            # interrupt that drains a sensor (S18) needs an eighth of it on top
            try:
                taken = stream.write(packet)
            except (LinkError, LowHeap, OSError) as e:
                self._fail(LinkClosed("connection lost: %r" % e) if isinstance(e, OSError) else e)
            if not taken:
                await self._pause(start, MQTT_CONNECT_MS, "CONNACK")
        if taken < len(packet):
            self._send(memoryview(packet)[taken:])
        await self._until(lambda: self.connected, MQTT_CONNECT_MS, "CONNACK", start)
        if clean_session and self._present:
            self._fail(ProtocolError("session present although a clean one was asked for"))
        for entry in self._flight:
            entry[1][0] |= 8  # DUP (MQTT 3.1.1 3.3.1.1)
            self._send(entry[1])
        return self._present

    async def publish(self, topic, msg, qos=0):
        """Queue one message as soon as there is room. -> packet id, 0 for QoS 0."""
        while not self._room(qos):
            await self._until(lambda: self._room(qos), MQTT_REPLY_MS, "room for a PUBLISH")
        return self._publish(topic, msg, False, qos)

    async def subscribe(self, topic, qos=1):
        """Subscribe and wait for the broker's word. -> granted QoS."""
        pid = self._next_id()
        self._send(self.subscribe_packet(topic, qos, pid))
        self._asked = pid
        await self._until(lambda: self._asked is None, MQTT_REPLY_MS, "SUBACK")
        return self._granted

    def poll(self):
        """One step: write, read, deliver, watch the deadlines. Never waits.

        Raises LinkClosed, LinkTimeout, ProtocolError, TlsRefused or LowHeap after closing.
        """
        if self.stream is None:
            raise LinkClosed("not connected")
        try:
            self._write()
            self._read()
            self._write()
            self._watch()
        except (LinkError, LowHeap) as e:
            self._fail(e)

    def ping(self):
        """Ask the broker for a sign of life; its answer has a deadline."""
        self._send(self.ping_packet())
        self._pinged = port.ticks_ms()

    def disconnect(self):
        """Say good-bye if the stream takes it at once, and close."""
        try:
            self._send(self.disconnect_packet())
            self._write()
        finally:
            self.close()

    def close(self):
        """Drop the connection; what is unacknowledged stays for the next one."""
        stream = self.stream
        self._reset(None)
        if stream:
            stream.close()

    def gather(self):
        """Copy what is unacknowledged to the lowest holes of the heap (S20)."""
        self._flight = [[pid, bytearray(packet), ticks] for pid, packet, ticks in self._flight]

    def _publish(self, topic, msg, retain, qos):
        pid = self._next_id() if qos else 0
        packet = self.publish_packet(topic, msg, retain, pid)
        self._send(packet)
        if pid:
            self._flight.append([pid, packet, port.ticks_ms()])
        return pid

    def _next_id(self):
        while True:
            self.pid = self.pid % 65535 + 1  # 1 to 65535 (MQTT 3.1.1 2.3.1)
            if self.pid not in self.unacknowledged:
                return self.pid

    def _room(self, qos):
        return len(self._queue) < MQTT_QUEUE and (not qos or len(self._flight) < MQTT_WINDOW)

    def _send(self, packet):
        if self.stream is None:
            raise LinkClosed("not connected")
        if not self._queue:
            self._moved = port.ticks_ms()
        self._queue.append(packet)

    def _write(self):
        while self._queue:
            packet = self._queue[0]
            # After a None the same bytes are offered again: TLS has encrypted them already
            n = _stream(self.stream.write, memoryview(packet)[self._sent :])
            if not n:
                return
            self._said = self._moved = port.ticks_ms()
            self._sent += n
            if self._sent == len(packet):
                self._queue.pop(0)
                self._sent = 0

    def _read(self):
        for _ in range(MQTT_READS):
            if self.stream is None or len(self._queue) >= MQTT_QUEUE:
                return  # closed by the callback, or the peer asks more than it reads
            n = _stream(self.stream.readinto, self._parser.space())
            if n is None:
                return
            if not n:
                raise LinkClosed("broker closed the connection")
            self._heard = port.ticks_ms()
            if self._began is None:
                self._began = self._heard
            packet = self._parser.advance(n)
            if packet:
                self._began = None
                self._handle(packet[0], packet[1])
                if packet[0] >> 4 == PUBLISH:
                    return  # others go on: a block takes 0.1 s to write (S18)

    def _handle(self, first, body):
        kind = first >> 4
        if (kind == CONNACK) == self.connected:
            raise ProtocolError("packet 0x%02x, expected one CONNACK and it first" % first)
        if kind == PUBLISH:
            self._deliver(first, body)
        elif kind == PUBACK:
            self._acknowledged(body[0] << 8 | body[1])
        elif kind == CONNACK:
            self._accepted(body[0], body[1])
        elif kind == SUBACK:
            self._subscribed(body[0] << 8 | body[1], body[2])
        elif self._pinged is None:
            raise ProtocolError("PINGRESP without a PINGREQ")
        else:
            self._pinged = None

    def _accepted(self, flags, code):
        if code:
            why = _REFUSALS[code] if code < len(_REFUSALS) else "unknown"
            raise LinkError("broker refused CONNECT with code %d (%s)" % (code, why))
        if flags > 1:
            raise ProtocolError("CONNACK flags 0x%02x, expected 0 or 1" % flags)
        self._present = bool(flags)
        for entry in self._flight:
            entry[2] = port.ticks_ms()  # `open` sends it again: its PUBACK is due from now on

    def _acknowledged(self, pid):
        sent = self.unacknowledged
        if pid not in sent:
            raise ProtocolError("PUBACK for packet id %d, expected one of %s" % (pid, sent))
        self._flight.pop(sent.index(pid))

    def _subscribed(self, pid, code):
        if pid != self._asked:
            raise ProtocolError("SUBACK for packet id %d, expected %s" % (pid, self._asked))
        if code > 2:
            raise LinkError("broker refused SUBSCRIBE with code 0x%02x" % code)
        self._asked = None
        self._granted = code

    def _deliver(self, first, body):
        topic, msg, pid = parse_publish(first, body)
        if self.cb and (self.retained or not first & 1):
            self.cb(topic, msg if self.views else bytes(msg))
            self.delivered += 1
        if pid and self.stream:
            self._send(b"\x40\x02" + pid.to_bytes(2, "big"))

    def _watch(self):
        if not self.connected:
            return  # open() has its own deadline
        if self._queue and _since(self._moved) > MQTT_WRITE_MS:
            raise LinkTimeout("broker took no byte in %d ms" % MQTT_WRITE_MS)
        if self._began is not None and _since(self._began) > MQTT_PACKET_MS:
            raise LinkTimeout("expected the rest of a packet in %d ms" % MQTT_PACKET_MS)
        if self._flight and _since(self._flight[0][2]) > MQTT_REPLY_MS:
            pid = self._flight[0][0]
            raise LinkTimeout("expected PUBACK for %d in %d ms" % (pid, MQTT_REPLY_MS))
        if self._pinged is not None:
            if _since(self._pinged) > MQTT_REPLY_MS:
                raise LinkTimeout("expected PINGRESP in %d ms" % MQTT_REPLY_MS)
        elif max(_since(self._said), _since(self._heard)) > self.keepalive * 500:
            self.ping()

    async def _until(self, done, ms, what, start=None):
        start = port.ticks_ms() if start is None else start
        while True:
            self.poll()
            if done():
                return
            await self._pause(start, ms, what)

    async def _pause(self, start, ms, what):
        """A short wait, no longer than `ms` after `start`."""
        if _since(start) > ms:
            self._fail(LinkTimeout("expected %s in %d ms" % (what, ms)))
        await self._sleep(MQTT_POLL_MS)

    def _sleep(self, ms):
        return port.sleep_ms(ms)

    def _fail(self, error):
        self.close()
        raise error


def _since(ticks):
    return port.ticks_diff(port.ticks_ms(), ticks)


def _stream(call, data):
    try:
        return call(data)
    except OSError as e:
        raise LinkClosed("connection lost: %r" % e) from None
