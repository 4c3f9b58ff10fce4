"""What a client may send to the embedded broker: MQTT 3.1.1 packets, checked whole.

The broker library behind parses only packets that passed here: lengths that fit, valid UTF-8,
no wildcard in a topic name, no retained message, no quality of service 2.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from host_tools.errors import Refused
from host_tools.fleet import limits

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 4, 8, 10, 12, 14
FLAGS = {CONNECT: 0, PUBACK: 0, SUBSCRIBE: 2, UNSUBSCRIBE: 2, PINGREQ: 0, DISCONNECT: 0}
CONNACK_IDENTIFIER = b"\x20\x02\x00\x02"  # MQTT 3.1.1 3.2.2.3: identifier rejected
CONNACK_NOT_AUTHORIZED = b"\x20\x02\x00\x05"


class BrokenPacket(Refused):
    """A packet that breaks MQTT 3.1.1 or our limits: the connection ends."""


@dataclass(frozen=True)
class Connect:
    client_id: str
    keep_alive: int  # seconds; 0 = none asked
    will_topic: str | None


class Fields:
    """The variable header and payload of one packet, read from the front."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0

    def take(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self.body):
            raise BrokenPacket(f"expected {size} bytes more, got {len(self.body) - self.at}")
        data, self.at = self.body[self.at : end], end
        return data

    def uint(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def text(self, maximum: int) -> str:
        size = self.uint(2)
        if size > maximum:
            raise BrokenPacket(f"expected text of at most {maximum} bytes, got {size}")
        try:
            value = self.take(size).decode("utf-8")
        except UnicodeDecodeError as error:
            raise BrokenPacket("expected UTF-8, got other bytes") from error
        if "\0" in value:
            raise BrokenPacket("expected text without U+0000 (MQTT 1.5.3)")
        return value

    @property
    def done(self) -> bool:
        return self.at == len(self.body)


async def read_packet(
    readexactly: Callable[[int], Awaitable[bytes]], maximum: int
) -> tuple[int, bytes, bytes]:
    """One packet as (first byte, length bytes, body); its length is checked before it is read."""
    first = (await readexactly(1))[0]
    length, raw = 0, b""
    for shift in range(0, 28, 7):  # MQTT 3.1.1 2.2.3: at most four bytes
        byte = await readexactly(1)
        raw += byte
        length |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            break
    else:
        raise BrokenPacket("expected a length of at most 4 bytes, got more")
    if length > maximum:
        raise BrokenPacket(f"expected at most {maximum} bytes, got {length}")
    return first, raw, await readexactly(length)


def connect(first: int, body: bytes) -> Connect:
    """A CONNECT packet (3.1). Raises BrokenPacket."""
    if first != CONNECT << 4:
        raise BrokenPacket(f"expected CONNECT, got 0x{first:02x}")
    fields = Fields(body)
    if fields.text(8) != "MQTT" or fields.uint(1) != 4:
        raise BrokenPacket("expected MQTT 3.1.1, got another protocol")
    flags, keep_alive = fields.uint(1), fields.uint(2)
    if flags & 0x01 or flags & 0xC0 or flags & 0x20:
        raise BrokenPacket("expected no user name, no password and no retained will")
    client_id = fields.text(64)
    will_topic = fields.text(limits.TOPIC_BYTES) if flags & 0x04 else None
    if will_topic is not None:
        fields.take(fields.uint(2))
    if not fields.done or (flags & 0x18 and will_topic is None) or flags & 0x10:
        raise BrokenPacket("CONNECT: expected flags that fit the payload, got others")
    return Connect(client_id, keep_alive, will_topic)


def check(first: int, body: bytes) -> None:
    """Any packet after CONNECT. Raises BrokenPacket."""
    kind, flags = first >> 4, first & 15
    if kind == PUBLISH:
        _check_publish(flags, Fields(body))
    elif kind not in FLAGS or kind == CONNECT or flags != FLAGS[kind]:
        raise BrokenPacket(f"expected a packet of a client, got 0x{first:02x}")
    elif kind in (SUBSCRIBE, UNSUBSCRIBE):
        _check_filters(kind, Fields(body))
    elif len(body) != (2 if kind == PUBACK else 0):
        raise BrokenPacket(f"packet 0x{first:02x}: got {len(body)} bytes")


def _check_publish(flags: int, fields: Fields) -> None:
    qos = flags >> 1 & 3
    if flags & 1 or qos > 1:
        raise BrokenPacket("PUBLISH: expected no retain flag and quality of service 0 or 1")
    topic = fields.text(limits.TOPIC_BYTES)
    if not topic or "+" in topic or "#" in topic or topic.startswith("$"):
        raise BrokenPacket("PUBLISH: expected a plain topic name, got another")
    if qos and fields.uint(2) == 0:
        raise BrokenPacket("PUBLISH: expected a packet id, got 0")


def _check_filters(kind: int, fields: Fields) -> None:
    if fields.uint(2) == 0:
        raise BrokenPacket("expected a packet id, got 0")
    count = 0
    while not fields.done:
        if not fields.text(limits.TOPIC_BYTES):
            raise BrokenPacket("expected a topic filter, got none")
        if kind == SUBSCRIBE and fields.uint(1) > 2:
            raise BrokenPacket("SUBSCRIBE: expected quality of service 0 to 2")
        count += 1
    if not 1 <= count <= limits.FILTERS:
        raise BrokenPacket(f"expected 1 to {limits.FILTERS} topic filters, got {count}")
