"""Arbitrary bytes into every parser of the services: a typed refusal, or a value."""

import asyncio
import contextlib

from fleet_kit import connect, publish, subscribe
from hypothesis import example, given, settings
from hypothesis import strategies as st
from uward.codec import cbor

from host_tools.errors import Refused
from host_tools.fleet import acl, codec, limits, messages, packets, seal

# what CBOR holds, nested
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.binary(max_size=40)
    | st.text(max_size=20) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.integers(-8, 16), inner),
    max_leaves=20,
)  # fmt: skip
TOPICS = st.lists(st.sampled_from(["uward", "v1", "a", "+", "#", "", "up"]), max_size=6)


class Reader:
    """A stream that ends where its bytes end."""

    def __init__(self, data):
        self.data = data
        self.asked = 0

    async def readexactly(self, n):
        self.asked = max(self.asked, n)
        if n > len(self.data):
            raise EOFError
        taken, self.data = self.data[:n], self.data[n:]
        return taken


@given(st.binary(max_size=300))
@example(b"\x30\xff\xff\xff\x7f")
@example(connect("x" * 40))
@example(subscribe("a/b"))
@example(publish("a/b", b"x", qos=1))
def test_packets(data):
    async def run():
        reader = Reader(data)
        try:
            first, _, body = await packets.read_packet(reader.readexactly, limits.MESSAGE_BYTES)
            assert reader.asked <= limits.MESSAGE_BYTES
            with contextlib.suppress(packets.BrokenPacket):
                packets.check(first, body)
            packets.connect(first, body)
        except (packets.BrokenPacket, EOFError):
            pass

    asyncio.run(run())


@given(st.sampled_from([0x30, 0x32, 0x82, 0xA2, 0x10, 0x40, 0xC0, 0xE0]), st.binary(max_size=80))
def test_bodies_of_known_packets(first, body):
    for parse in (packets.check, packets.connect):
        with contextlib.suppress(packets.BrokenPacket):
            parse(first, body)


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_cbor_and_sealed_messages(data):
    for parse in (codec.decode, seal.parse, messages.parse_plaintext):
        with contextlib.suppress(codec.Malformed):
            parse(data)


@given(VALUES)
@settings(max_examples=300, deadline=None)
def test_bodies(value):
    parsers = (messages.parse_hello, messages.parse_event, messages.parse_ota)
    for parse in (*parsers, lambda v: messages.parse_plaintext(codec.encode(v))):
        with contextlib.suppress(codec.Malformed):
            parse(value)


@given(VALUES)
@settings(max_examples=200, deadline=None)
def test_what_the_device_encodes_is_what_the_host_decodes(value):
    try:
        data = cbor.encode(value)
    except cbor.CodecError:
        return
    assert codec.decode(data) == value


@given(st.lists(st.dictionaries(st.integers(-6, 8), VALUES, max_size=6), min_size=1, max_size=5))
@settings(max_examples=80, deadline=None)
def test_senml(records):
    with contextlib.suppress(codec.Malformed):
        for reading in messages.parse_senml(records, 1_790_000_000.0):
            assert messages.SENML_NAME.fullmatch(reading.name)
            assert isinstance(reading.value, (int, float, str, bool, bytes))


@given(TOPICS.map("/".join))
def test_rights_never_reach_beyond_the_own_topics(topic):
    name = "alice0123456789a"
    for allowed in (acl.may_publish(name, topic), acl.may_subscribe(name, topic)):
        assert not allowed  # none of these holds the device's id


@given(TOPICS.map("/".join), TOPICS.map("/".join))
def test_a_filter_covers_what_it_matches_only(allowed, asked):
    if acl.covers(allowed, asked) and "#" not in allowed:
        for pattern, level in zip(allowed.split("/"), asked.split("/"), strict=True):
            assert pattern in ("+", level)


@given(st.text(max_size=200))
def test_topics(topic):
    with contextlib.suppress(Refused):
        parsed = messages.parse_topic(topic)
        assert parsed.purpose in messages.UP
