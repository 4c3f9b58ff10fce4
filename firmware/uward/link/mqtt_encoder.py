"""MQTT 3.1.1 packets to bytes by umqtt.simple, whose socket is replaced by a tape.

umqtt.simple is frozen into stock ESP32 images and installed elsewhere; every version writes the
same bytes. It never sees a socket again: neither a plaintext path nor a blocking read is left.
"""

from umqtt import simple

from uward.errors import LimitError
from uward.limits import MQTT_PUBLISH, MQTT_TOPIC


class _Tape:
    """Stands in for the socket: keeps what is written, answers CONNECT as a broker would."""

    def __init__(self):
        self.data = bytearray()

    def write(self, data, size=None):
        self.data.extend(data if size is None else data[:size])

    def read(self, n):
        return b"\x20\x02\0\0"

    def connect(self, address):
        pass

    def settimeout(self, seconds):
        pass

    def close(self):
        pass


class _Offline:
    """Stands in for the `socket` module that umqtt.simple imported."""

    socket = _Tape

    @staticmethod
    def getaddrinfo(host, port):
        return ((None,),)


simple.socket = _Offline


class Encoder(simple.MQTTClient):
    """umqtt.simple's client as a source of packets."""

    def _packet(self, method, *args):
        self.sock = _Tape()
        method(self, *args)
        data, self.sock = self.sock.data, None  # no packet stays in the middle of the heap (S20)
        return data

    def connect_packet(self, clean_session):
        return self._packet(simple.MQTTClient.connect, clean_session)

    def ping_packet(self):
        return self._packet(simple.MQTTClient.ping)

    def disconnect_packet(self):
        return self._packet(simple.MQTTClient.disconnect)

    def publish_packet(self, topic, msg, retain=False, pid=0):
        """QoS 1 if there is a packet id (MQTT 3.1.1 3.3).

        umqtt.simple encodes it as QoS 0 with the packet id before the payload: the same bytes
        but for the QoS bits, and no wait for the PUBACK in its own loop.
        """
        if len(msg) > MQTT_PUBLISH:
            raise LimitError("payload of %d bytes, at most %d" % (len(msg), MQTT_PUBLISH))
        if pid:
            msg = pid.to_bytes(2, "big") + msg
        packet = self._packet(simple.MQTTClient.publish, to_topic(topic), msg, retain, 0)
        if pid:
            packet[0] |= 2
        return packet

    def subscribe_packet(self, topic, qos, pid):
        """Ours, not umqtt.simple's, which waits for the SUBACK in the same call (3.8)."""
        topic = to_topic(topic)
        size = len(topic)
        head = bytes((0x82, size + 5)) + pid.to_bytes(2, "big") + bytes((0, size))
        return head + topic + bytes((qos,))


def to_bytes(text):
    return text.encode() if isinstance(text, str) else text


def to_topic(text):
    """-> topic as bytes; LimitError if it is empty or longer than MQTT_TOPIC."""
    topic = to_bytes(text)
    if not 0 < len(topic) <= MQTT_TOPIC:
        raise LimitError("topic of %d bytes, expected 1 to %d" % (len(topic), MQTT_TOPIC))
    return topic
