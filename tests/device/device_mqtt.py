"""MQTT on both Pythons: against real sockets, and against scripted streams and clock."""

import asyncio
import socket
import sys

MICROPYTHON = sys.implementation.name == "micropython"


class SocketStream:
    """CPython's socket with the stream calls that MicroPython's has."""

    def __init__(self, sock):
        self._sock = sock
        self.close = sock.close

    def readinto(self, buffer):
        try:
            return self._sock.recv_into(buffer)
        except BlockingIOError:
            return None

    def write(self, data):
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return None


def dial(port):
    sock = socket.socket()
    sock.connect(socket.getaddrinfo("127.0.0.1", port)[0][-1])
    sock.setblocking(False)
    return sock if MICROPYTHON else SocketStream(sock)


def modules(umqtt):
    if umqtt not in sys.path:
        sys.path.append(umqtt)
    from uward import port
    from uward.link import mqtt

    return mqtt, port


LIMITS = ("MQTT_CONNECT_MS", "MQTT_REPLY_MS", "MQTT_PACKET_MS", "MQTT_WRITE_MS")


def met(umqtt, number, milliseconds):
    """Open, publish at QoS 1, wait for the PUBACK, all within `milliseconds` a step.

    -> [error class or None, its text, events, unacknowledged ids]
    """
    mqtt, _ = modules(umqtt)
    kept = [getattr(mqtt, name) for name in LIMITS]
    for name in LIMITS:
        setattr(mqtt, name, milliseconds)
    client = mqtt.Client("abcdefgh12345678")
    events = []
    client.set_callback(lambda topic, msg: events.append([topic.decode(), len(msg)]))

    async def main():
        events.append(await client.open(dial(number)))
        await client.publish("t", b"reading", 1)
        while client.unacknowledged or len(events) < 2:
            client.poll()
            await mqtt.port.sleep_ms(5)
            if not client.unacknowledged and len(events) == 1:
                events.append("acknowledged")

    error = None
    try:
        asyncio.run(main())
    except Exception as e:
        error = e
    for i, name in enumerate(LIMITS):
        setattr(mqtt, name, kept[i])
    closed = client.stream is None
    client.close()
    name = type(error).__name__ if error else None
    return [name, str(error or ""), events, client.unacknowledged, closed]


class Script:
    """A stream that gives `replies` when it saw what they answer, and counts its calls.

    chunk: at most so many bytes in a read, and then once None.
    """

    def __init__(self, data=b"", chunk=None):
        self.incoming = data
        self.outgoing = b""
        self.reads = 0
        self.open = True
        self.full = False
        self._chunk = chunk
        self._pause = False

    def readinto(self, buffer):
        self.reads += 1
        if self._pause or not self.incoming:
            self._pause = False
            return None
        n = min(len(buffer), len(self.incoming), self._chunk or len(buffer))
        buffer[:n] = self.incoming[:n]
        self.incoming = self.incoming[n:]
        self._pause = bool(self._chunk)
        return n

    def write(self, data):
        if self.full:
            return None
        self.outgoing += bytes(data)
        return len(data)

    def close(self):
        self.open = False


class Time:
    """The port's clock replaced: each sleep of a coroutine moves it, and lets the others run."""

    def __init__(self, port):
        self.port = port
        self.now = 0
        self.kept = port.ticks_ms, port.ticks_diff, port.sleep_ms

    def __enter__(self):
        self.port.ticks_ms = lambda: self.now
        self.port.ticks_diff = lambda end, start: end - start
        self.port.sleep_ms = self.sleep
        return self

    def __exit__(self, *_):
        self.port.ticks_ms, self.port.ticks_diff, self.port.sleep_ms = self.kept

    async def sleep(self, ms):
        self.now += ms
        await asyncio.sleep(0)


def resumed(umqtt, away):
    """Two publishes, one acknowledged, the connection lost for `away` ms; what the next connection
    carries."""
    mqtt, port = modules(umqtt)
    client = mqtt.Client("abcdefgh12345678")
    first = Script(b"\x20\x02\x00\x00")
    second = Script(b"\x20\x02\x01\x00")
    out = []

    async def main():
        out.append(await client.open(first))
        await client.publish("a", b"1", 1)
        await client.publish("b", b"2", 1)
        await client.publish("c", b"3")
        first.incoming = b"\x40\x02\x00\x01"
        client.poll()
        client.close()
        await port.sleep_ms(away)
        out.append(await client.open(second))
        second.incoming = b"\x40\x02\x00\x02"
        client.poll()

    with Time(port):
        asyncio.run(main())
    out.extend((first.outgoing.hex(), second.outgoing.hex(), client.unacknowledged))
    return out


def sensed(umqtt, turns):
    """A broker that sends one byte a turn beside a sensor that samples once a turn.

    -> [samples, bytes read, most samples without a byte, reads of the greediest poll]
    """
    mqtt, port = modules(umqtt)
    log = []
    most = [0]

    async def sensor():
        while True:
            log.append("s")
            await port.sleep_ms(10)

    async def link(client, stream):
        for _ in range(turns):
            before, left = stream.reads, len(stream.incoming)
            client.poll()
            most[0] = max(most[0], stream.reads - before)
            log.extend("b" * (left - len(stream.incoming)))
            await port.sleep_ms(10)

    async def main():
        client = mqtt.Client("abcdefgh12345678")
        stream = Script(b"\x20\x02\x00\x00")
        await client.open(stream)
        stream.incoming = b"\x30\xff\x1f\x00\x01t" + bytes(4092)
        stream._chunk = 1
        task = asyncio.create_task(sensor())
        await link(client, stream)
        task.cancel()

    with Time(port):
        asyncio.run(main())
    between = [len(run) for run in "".join(log).split("s")]
    return [log.count("s"), log.count("b"), max(between), most[0]]


def outcome(umqtt, connack, incoming, steps, full=False, apart=1000):
    """Open on a scripted stream with CONNACK `connack`, then feed `incoming` (hex) and poll.

    steps: polls, `apart` ms of the scripted clock between two.
    -> [error class, text, sent (hex), got]
    """
    mqtt, port = modules(umqtt)
    got = []

    async def main(client, stream):
        await client.open(stream)
        stream.outgoing = b""
        stream.incoming = bytes.fromhex(incoming)
        stream.full = full
        for _ in range(steps):
            client.poll()
            await port.sleep_ms(apart)

    with Time(port):
        client = mqtt.Client("abcdefgh12345678")
        client.set_callback(lambda topic, msg: got.append([topic.decode(), msg.hex()]))
        stream = Script(bytes.fromhex(connack))
        try:
            asyncio.run(main(client, stream))
        except Exception as e:
            return [type(e).__name__, str(e), stream.outgoing.hex(), got]
    return [None, "", stream.outgoing.hex(), got]


def subscribed(umqtt, answer):
    """Subscribe, with a broker that answers `answer` (hex). -> granted QoS or [error, text]."""
    mqtt, port = modules(umqtt)

    class Answers(Script):
        def write(self, data):
            if data[0] == 0x82:
                self.incoming = bytes.fromhex(answer)
            return Script.write(self, data)

    async def main(client):
        await client.open(Answers(bytes.fromhex("20020000")))
        return await client.subscribe("t", 1)

    with Time(port):
        try:
            return asyncio.run(main(mqtt.Client("abcdefgh12345678")))
        except Exception as e:
            return [type(e).__name__, str(e)]


def opened_clean(umqtt, connack):
    """Ask for a clean session. -> session present or [error, text]."""
    mqtt, port = modules(umqtt)
    with Time(port):
        client = mqtt.Client("abcdefgh12345678")
        try:
            return asyncio.run(client.open(Script(bytes.fromhex(connack)), True))
        except Exception as e:
            return [type(e).__name__, str(e)]


def without_room(umqtt, size):
    """A packet of `size` bytes for which the heap has no room. -> [error, text]."""
    modules(umqtt)
    from uward.link import mqtt_parser

    def full(size):
        raise MemoryError

    parser = mqtt_parser.Parser()
    mqtt_parser.bytearray = full
    try:
        for byte in (0x30, size & 0x7F | 0x80, size >> 7):
            parser.space()[0] = byte
            parser.advance(1)
    except Exception as e:
        return [type(e).__name__, str(e)]
    finally:
        del mqtt_parser.bytearray


def refused(umqtt):
    """What is never sent. -> [error, text] of each."""
    mqtt, _ = modules(umqtt)
    from uward.link import umqtt as blocking

    encoder = mqtt.Client("abcdefgh12345678")
    out = []
    for call in (
        lambda: encoder.publish_packet(b"t" * 97, b""),
        lambda: encoder.publish_packet("", b""),
        lambda: encoder.subscribe_packet(b"t" * 97, 1, 1),
        lambda: encoder.publish_packet("t", bytes(4097)),
        lambda: blocking.MQTTClient("abcdefgh12345678", "broker.local"),
    ):
        try:
            call()
            out.append(None)
        except Exception as e:
            out.append([type(e).__name__, str(e)])
    return out


def window(umqtt):
    """Publishes at QoS 1 to a broker that acknowledges nothing. -> [how many went, error, text]"""
    mqtt, port = modules(umqtt)
    sent = []

    async def main():
        client = mqtt.Client("abcdefgh12345678")
        await client.open(Script(b"\x20\x02\x00\x00"))
        while True:
            sent.append(await client.publish("t", b"x", 1))

    with Time(port):
        try:
            asyncio.run(main())
        except Exception as e:
            return [sent, type(e).__name__, str(e)]


def parsed(data, splits):
    """Feed `data` (hex) in pieces of the given sizes, cycled. -> packets, and the error if any."""
    from uward.errors import UwardError
    from uward.link.mqtt_parser import Parser, parse_publish

    data = bytes.fromhex(data)
    parser = Parser()
    out = []
    at = turn = 0
    try:
        while at < len(data):
            space = parser.space()
            n = min(len(space), len(data) - at, splits[turn % len(splits)])
            space[:n] = data[at : at + n]
            at += n
            turn += 1
            packet = parser.advance(n)
            if packet:
                out.append([packet[0], bytes(packet[1]).hex()])
                if packet[0] >> 4 == 3:
                    parse_publish(packet[0], packet[1])
    except UwardError as e:
        out.append([type(e).__name__, str(e)])
    return out
