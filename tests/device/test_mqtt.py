"""link/mqtt: seven hostile brokers, deadlines, retransmission, and sensing that goes on."""

import json
import sys
from pathlib import Path

import hostile_broker
import pytest
from device_mqtt import outcome as client_here
from device_mqtt import parsed as parse_here
from hostile_broker import Broker
from hypothesis import given, settings
from hypothesis import strategies as st
from uward import limits

from tests.conftest import FIRMWARE, run_unix
from tests.device.conftest import CALL

HERE = Path(__file__).resolve().parent
HEAP = "200k"  # of the Unix port, whose objects are twice the size of a board's
STEP_MS = 600

both = pytest.mark.parametrize("python", ["cpython", "unix"])


@pytest.fixture
def call(python, umqtt, tmp_path):
    """call(function, *arguments) of device_mqtt on one of the Pythons, in a small heap."""

    def run(function, *arguments):
        if python == "cpython":
            result = getattr(sys.modules["device_mqtt"], function)(str(umqtt), *arguments)
            return json.loads(json.dumps(result))
        (tmp_path / "arguments.json").write_text(json.dumps([str(umqtt), *arguments]))
        code = CALL % ("device_mqtt", function)
        out = run_unix(code, tmp_path, 60, (FIRMWARE, HERE), HEAP)
        return json.loads(out.strip().splitlines()[-1])

    return run


HOSTILE = {
    "silent": ("LinkTimeout", "expected CONNACK in 600 ms"),
    "one_byte_of_connack": ("LinkClosed", "closed the connection"),
    "endless_length": ("ProtocolError", "remaining length goes on after 4 bytes"),
    "huge_publish": ("ProtocolError", "packet of 16383 bytes or more, at most 12544"),
    "long_topic": ("ProtocolError", "PUBLISH topic ends at 60002, packet at 5"),
    "other_puback": ("ProtocolError", "PUBACK for packet id 8, expected one of [1]"),
    "deaf_to_publish": ("LinkTimeout", "expected PUBACK for 1 in 600 ms"),
    "refuses": ("LinkError", "code 5 (not authorised)"),
}


@both
@pytest.mark.parametrize("behaviour", HOSTILE)
def test_hostile_broker_ends_in_one_typed_error(call, behaviour):
    with Broker(getattr(hostile_broker, behaviour)) as broker:
        name, text, _, _, closed = call("met", broker.port, STEP_MS)
    expected, part = HOSTILE[behaviour]
    assert (name, closed) == (expected, True)
    assert part in text


@both
def test_honest_broker(call):
    with Broker(hostile_broker.honest) as broker:
        assert call("met", broker.port, 5000) == [None, "", [False, "acknowledged"], [], False]
    assert broker.received.endswith(b"\x32\x0c\x00\x01t\x00\x01reading")


@both
def test_kept_session_is_taken_up(call):
    with Broker(hostile_broker.session_present) as broker:
        assert call("met", broker.port, 5000) == [None, "", [True, "acknowledged"], [], False]


@both
def test_nobody_listens(call):
    with Broker(hostile_broker.silent) as broker:
        number = broker.port
    name, _, _, _, closed = call("met", number, STEP_MS)
    assert name in ("OSError", "ConnectionRefusedError") and closed


@both
@pytest.mark.parametrize("away", [0, 10 * limits.MQTT_REPLY_MS])
def test_unacknowledged_is_sent_again_with_dup(call, away):
    """Also when it was sent so long ago that its PUBACK would be overdue in one connection."""
    first_present, second_present, first, second, left = call("resumed", away)
    assert (first_present, second_present, left) == (False, True, [])
    connect = first[: 2 * 30]
    assert first == connect + "320600016100013132060001620002323004000163" + "33"
    assert second == connect + "3a06000162000232"


@both
def test_sensor_samples_between_any_two_bytes(call):
    """S18: a slow packet costs the sensor nothing; one poll reads a bounded number of times."""
    samples, read, most, reads = call("sensed", 300)
    assert samples >= 300
    assert read >= 150  # the stream pauses after each byte
    assert most <= limits.MQTT_READS
    assert reads <= limits.MQTT_READS


@both
def test_window_is_bounded(call):
    sent, name, text = call("window")
    assert len(sent) == limits.MQTT_WINDOW and len(set(sent)) == len(sent)
    assert (name, "expected PUBACK for 1" in text or "room" in text) == ("LinkTimeout", True)


CASES = {  # name: (CONNACK, what follows, error, part of its text)
    "puback before connack": ("40020001", "", "ProtocolError", "expected one CONNACK"),
    "second connack": ("20020000", "20020000", "ProtocolError", "expected one CONNACK"),
    "flags of connack": ("20020200", "", "ProtocolError", "CONNACK flags 0x02"),
    "refused": ("20020003", "", "LinkError", "code 3 (server unavailable)"),
    "unknown refusal": ("20020063", "", "LinkError", "code 99 (unknown)"),
    "length of connack": ("2003000000", "", "ProtocolError", "has 3 bytes, expected 2"),
    "qos 2": ("20020000", "340500017400", "ProtocolError", "expected QoS 0 or 1"),
    "qos 3": ("20020000", "360500017400", "ProtocolError", "expected QoS 0 or 1"),
    "dup of qos 0": ("20020000", "380500017400", "ProtocolError", "expected QoS 0 or 1"),
    "packet id 0": ("20020000", "32060001740000aa", "ProtocolError", "packet id 0"),
    "no room for the id": ("20020000", "320400017400", "ProtocolError", "topic ends at 3"),
    "empty topic": ("20020000", "30020000", "ProtocolError", "topic ends at"),
    "empty publish": ("20020000", "3000", "ProtocolError", "topic ends at"),
    "wildcard": ("20020000", "3003000123", "ProtocolError", "wildcard"),
    "topic not in UTF-8": ("20020000", "300400" + "02c328", "ProtocolError", "not UTF-8"),
    "client's packet": ("20020000", "82050000", "ProtocolError", "packet type 0x82"),
    "reserved flags": ("20020000", "d100", "ProtocolError", "packet type 0xd1"),
    "stray pong": ("20020000", "d000", "ProtocolError", "PINGRESP without"),
    "stray suback": ("20020000", "9003000101", "ProtocolError", "SUBACK for packet id 1"),
    "stray puback": ("20020000", "40020001", "ProtocolError", "expected one of []"),
}


@both
@pytest.mark.parametrize("case", CASES)
def test_broken_packet(call, case):
    connack, incoming, error, part = CASES[case]
    name, text, _, got = call("outcome", connack, incoming, 3)
    assert (name, got) == (error, [])
    assert part in text


@both
def test_messages_are_delivered_and_acknowledged_but_retained_ones_dropped(call):
    publishes = (
        "3005000174" + "6869" + "3207000174" + "0009" + "6869" + "3307000174" + "000a" + "6869"
    )
    name, _, sent, got = call("outcome", "20020000", publishes, 4)
    assert (name, got) == (None, [["t", "6869"], ["t", "6869"]])
    assert sent == "40020009" + "4002000a"


@both
def test_flood_is_read_no_faster_than_it_is_answered(call):
    """T06: a broker that does not take our PUBACKs is not read beyond a bounded queue."""
    flood = ("3207000174" + "0009" + "6869") * 40
    _, text, sent, got = call("outcome", "20020000", flood, 40, True, 100)
    assert (len(got), sent, text) == (limits.MQTT_QUEUE, "", "")
    assert len(call("outcome", "20020000", flood, 40, False, 100)[3]) == 40


@both
def test_a_subscription_counts_when_the_broker_says_so(call):
    assert call("subscribed", "9003000101") == 1
    assert call("subscribed", "9003000100") == 0
    assert call("subscribed", "9003000180") == [
        "LinkError",
        "broker refused SUBSCRIBE with code 0x80",
    ]
    name, text = call("subscribed", "9003000201")
    assert (name, text) == ("ProtocolError", "SUBACK for packet id 2, expected 1")
    assert call("subscribed", "") == ["LinkTimeout", "expected SUBACK in 10000 ms"]


@both
def test_one_poll_delivers_one_message(call):
    """T06, S18: a block takes 0.1 s to write; sensing, and asking for more, go on in between."""
    flood = ("3005000174" + "6869") * 40
    assert len(call("outcome", "20020000", flood, 1)[3]) == 1
    assert len(call("outcome", "20020000", flood, 40, False, 100)[3]) == 40


@both
def test_a_clean_session_that_is_none_is_refused(call):
    assert call("opened_clean", "20020000") is False
    name, text = call("opened_clean", "20020100")
    assert (name, text) == ("ProtocolError", "session present although a clean one was asked for")


@both
def test_a_packet_without_room_is_low_heap(call):
    name, text = call("without_room", 8000)
    assert (name, text) == ("LowHeap", "packet of 8000 bytes does not fit in the heap")


@both
def test_what_is_never_sent(call):
    assert call("refused") == [
        ["LimitError", "topic of 97 bytes, expected 1 to 96"],
        ["LimitError", "topic of 0 bytes, expected 1 to 96"],
        ["LimitError", "topic of 97 bytes, expected 1 to 96"],
        ["LimitError", "payload of 4097 bytes, at most 4096"],
        ["KeyRefused", "expected TLS credentials, got none"],  # there is no way without
    ]


@both
def test_keep_alive(call):
    """Half the keep-alive after the last word a PINGREQ goes out; its answer has a deadline."""
    assert call("outcome", "20020000", "", 30)[2] == ""
    assert call("outcome", "20020000", "", 33)[2] == "c000"
    name, text, _, _ = call("outcome", "20020000", "", 60)
    assert (name, text) == ("LinkTimeout", "expected PINGRESP in 10000 ms")


@both
def test_unfinished_packet_and_full_stream_have_deadlines(call):
    name, text, _, _ = call("outcome", "20020000", "30", 60)
    assert (name, text) == ("LinkTimeout", "expected the rest of a packet in 30000 ms")
    name, text, _, _ = call("outcome", "20020000", "3207000174" + "0009" + "6869", 60, True)
    assert (name, text) == ("LinkTimeout", "broker took no byte in 10000 ms")


def test_parser_splits():
    data = "2002010030050001746869400200019003000101d000"
    whole = parse_here(data, [1000])
    assert [first for first, _ in whole] == [0x20, 0x30, 0x40, 0x90, 0xD0]
    for split in ([1], [2], [3, 1], [5]):
        assert parse_here(data, split) == whole


def test_packet_at_the_limit():
    for size, error in ((limits.MQTT_PACKET, False), (limits.MQTT_PACKET + 1, True)):
        body = b"\x00\x01t" + bytes(size - 3)
        head = bytes([0x30, size & 0x7F | 0x80, size >> 7])
        out = parse_here((head + body).hex(), [4096])
        assert (out[-1][0] == "ProtocolError") is error
        assert error or out == [[0x30, body.hex()]]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_arbitrary_answers(umqtt, data):
    """Whatever follows CONNACK: messages, or one LinkError, and the stream is closed."""
    name, text, _, _ = client_here(str(umqtt), "20020000", data.hex(), 3)
    assert name in (None, "ProtocolError", "LinkError")
    assert bool(name) == bool(text)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_arbitrary_bytes(data, splits):
    """Any bytes in any split: packets and one refusal of ours; the split does not matter."""
    whole = parse_here(data.hex(), [10_000])
    assert parse_here(data.hex(), splits) == whole
