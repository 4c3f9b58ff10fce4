"""MQTT 3.1.1 packets out of a broker's bytes, one step at a time: bounded, no socket, no clock.

The caller reads into `space()` and tells `advance(n)` how many bytes came; nothing is read ahead,
so nothing has to be moved. A length is compared with its limit at the byte that makes it too
large, before anything is allocated for it (S19).
"""

from uward.compat import const
from uward.errors import LowHeap, ProtocolError
from uward.limits import MQTT_BUFFER, MQTT_PACKET

CONNACK = const(2)  # packet types (MQTT 3.1.1 2.2.1) that a broker may send to us
PUBLISH = const(3)
PUBACK = const(4)
SUBACK = const(9)
PINGRESP = const(13)

_LENGTHS = {CONNACK: 2, PUBACK: 2, SUBACK: 3, PINGRESP: 0}  # fixed remaining lengths
_LENGTH_END = const(5)  # header bytes: type and at most 4 of length (MQTT 3.1.1 2.2.3)


class Parser:
    """Incremental parser; keeps one buffer of MQTT_BUFFER bytes, larger packets get their own."""

    def __init__(self):
        self._head = bytearray(_LENGTH_END)
        self._buffer = bytearray(MQTT_BUFFER)
        self.reset()

    def reset(self):
        """Forget a packet that was under way."""
        self._body = None  # None: still in the header
        self._view = memoryview(self._head)
        self._have = 0
        self._need = 2  # the shortest packet, so nothing is read beyond one

    def space(self):
        """-> memoryview for the bytes still missing of this step (1 or more)."""
        return self._view[self._have : self._need]

    def advance(self, n):
        """`n` bytes were put into `space()`. -> None, or (first byte, body) of a whole packet.

        `body` is a memoryview, valid until the next call. ProtocolError or LowHeap: give up.
        """
        self._have += n
        if self._have < self._need:
            return None
        if self._body is None and not self._header():
            return None
        packet = self._head[0], self._body
        self.reset()
        return packet

    def _header(self):
        """The bytes so far are a header's. -> True if the packet has no body."""
        head = self._head
        at = self._have - 1
        expected = _check_type(head[0])
        length = 0
        for i in range(at):
            length |= (head[i + 1] & 0x7F) << 7 * i
        if length > MQTT_PACKET:
            raise ProtocolError("packet of %d bytes or more, at most %d" % (length, MQTT_PACKET))
        if head[at] & 0x80:
            if self._have == _LENGTH_END:
                raise ProtocolError("remaining length goes on after 4 bytes")
            self._need += 1
            return False
        if expected is not None and length != expected:
            raise ProtocolError(
                "packet 0x%02x has %d bytes, expected %d" % (head[0], length, expected)
            )
        self._body = self._view = self._room(length)
        self._have = 0
        self._need = length
        return not length

    def _room(self, length):
        if length <= MQTT_BUFFER:
            return memoryview(self._buffer)[:length]
        try:
            return memoryview(bytearray(length))
        except MemoryError:
            raise LowHeap("packet of %d bytes does not fit in the heap" % length) from None


def _check_type(first):
    """-> fixed remaining length of this type, None if it varies (MQTT 3.1.1 2.2.2)."""
    kind = first >> 4
    if kind == PUBLISH:
        qos = first >> 1 & 3
        if qos > 1 or (first & 8 and not qos):
            raise ProtocolError("PUBLISH flags 0x%x, expected QoS 0 or 1" % (first & 15))
        return None
    if kind not in _LENGTHS or first & 15:
        raise ProtocolError("packet type 0x%02x, not one that a broker sends us" % first)
    return _LENGTHS[kind]


def parse_publish(first, body):
    """PUBLISH -> (topic bytes, view of the payload, packet id, 0 for QoS 0) (MQTT 3.1.1 3.3)."""
    end = 2 + (body[0] << 8 | body[1]) if len(body) > 2 else 0
    start = end + 2 if first & 6 else end
    if end < 3 or start > len(body):
        raise ProtocolError("PUBLISH topic ends at %d, packet at %d" % (end, len(body)))
    topic = bytes(body[2:end])
    try:
        str(topic, "utf-8")
    except UnicodeError:
        raise ProtocolError("PUBLISH topic is not UTF-8") from None  # MQTT 3.1.1 1.5.3
    if b"\0" in topic or b"#" in topic or b"+" in topic:
        raise ProtocolError("PUBLISH topic with a wildcard or NUL")
    pid = 0
    if first & 6:
        pid = body[end] << 8 | body[end + 1]
        if not pid:
            raise ProtocolError("PUBLISH with packet id 0")
    return topic, body[start:], pid
