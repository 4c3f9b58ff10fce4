"""The gate before the embedded broker, by itself: bounds and deadlines before anything is kept."""

import asyncio
import time

import pytest
from fleet_kit import ALICE, connect, packet

from host_tools.errors import Refused
from host_tools.fleet import acl, limits
from host_tools.fleet.gate import Gate

ENDLESS = b"\x30\xff\xff\xff\x7f"  # 268,435,455 bytes announced


WAIT_S = 30  # of a test that hangs


def gated(data, use):
    """What `use(gate)` gives while `data` is all that came, and the connection stays open."""

    async def run():
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        return await asyncio.wait_for(use(Gate(reader)), WAIT_S)

    return asyncio.run(run())


async def first(gate):
    return await gate.first()


def test_a_length_is_judged_before_its_bytes_come():
    async def read(gate):
        return await gate.read(1), gate.reason

    assert gated(ENDLESS, read) == (
        b"",
        f"expected at most {limits.MESSAGE_BYTES} bytes, got 268435455",
    )
    with pytest.raises(Refused, match=f"at most {limits.CONNECT_BYTES} bytes"):
        gated(b"\x10" + ENDLESS[1:], first)


def test_connect_has_a_deadline(monkeypatch):
    monkeypatch.setattr(limits, "CONNECT_WAIT_S", 0.05)
    for data in (b"", b"\x10", connect(ALICE)[:-1]):
        started = time.monotonic()
        with pytest.raises(asyncio.TimeoutError):
            gated(data, first)
        assert time.monotonic() - started < WAIT_S


@pytest.mark.parametrize(("asked", "seconds"), [(0, 450), (10, 15), (300, 450), (65535, 450)])
def test_nobody_may_be_silent_for_longer_than_the_maximum(asked, seconds):
    async def deadline(gate):
        await gate.first()
        return gate.deadline

    assert gated(connect(ALICE, keep_alive=asked), deadline) == seconds


def connect_with(flags, level=4, name=b"\x00\x04MQTT", rest=b""):
    body = name + bytes([level, flags, 0, 60]) + b"\x00\x10" + ALICE.encode()[:16] + rest
    return packet(0x10, body)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (connect_with(2, level=5), "MQTT 3.1.1"),
        (connect_with(2, name=b"\x00\x06MQIsdp"), "MQTT 3.1.1"),
        (connect_with(3), "no user name"),
        (connect_with(0x82, rest=b"\x00\x01u"), "no user name"),
        (connect_with(0x42, rest=b"\x00\x01p"), "no password"),
        (connect_with(0x26, rest=b"\x00\x01t\x00\x01m"), "no retained will"),
        (connect_with(0x0A), "flags that fit"),
        (connect_with(0x16, rest=b"\x00\x01t\x00\x01m"), "flags that fit"),
        (connect_with(2, rest=b"x"), "flags that fit"),
        (packet(0x30, b"\x00\x01t"), "expected CONNECT"),
    ],
)
def test_another_connect_is_refused(data, message):
    with pytest.raises(Refused, match=message):
        gated(data, first)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (packet(0x34, b"\x00\x01t\x00\x01"), "quality of service 0 or 1"),
        (packet(0x36, b"\x00\x01t\x00\x01"), "quality of service 0 or 1"),
        (packet(0x31, b"\x00\x01t"), "no retain flag"),
        (packet(0x30, b"\x00\x00"), "a plain topic name"),
        (packet(0x30, b"\x00\x01#"), "a plain topic name"),
        (packet(0x30, b"\x00\x01+"), "a plain topic name"),
        (packet(0x30, b"\x00\x04$SYS"), "a plain topic name"),
        (packet(0x32, b"\x00\x01t\x00\x00"), "a packet id, got 0"),
        (packet(0x82, b"\x00\x01" + b"\x00\x01t\x01" * (limits.FILTERS + 1)), "1 to 8 topic"),
        (packet(0x82, b"\x00\x01"), "1 to 8 topic filters, got 0"),
        (packet(0x82, b"\x00\x01\x00\x00\x01"), "a topic filter, got none"),
        (packet(0x82, b"\x00\x01\x00\x01t\x03"), "quality of service 0 to 2"),
        (packet(0x80, b"\x00\x01\x00\x01t\x01"), "a packet of a client"),
        (connect_with(2), "a packet of a client"),
        (packet(0x40, b"\x00"), "got 1 bytes"),
        (b"\xc0\xff\xff\xff\xff\x01", "at most 4 bytes"),
    ],
)
def test_a_broken_packet_ends_the_connection_with_its_reason(data, message):
    async def read(gate):
        return await gate.read(1), gate.reason

    got, reason = gated(data, read)
    assert got == b""
    assert message in reason


def test_nobody_reads_beyond_its_topics():
    for asked in ("#", "+/#", "uward/#", "uward/v1/#", "uward/v1/+/#", "uward/v1/+/+/#", "$SYS/#"):
        assert not acl.may_subscribe(acl.COLLECTOR, asked)
        assert not acl.may_subscribe(ALICE, asked)
    assert acl.may_subscribe(acl.COLLECTOR, "uward/v1/+/up/tele")
    assert not acl.covers("a/+", "a/#")
    for name in ("+", "#", "", "x", ALICE.upper(), ALICE + "/up", "broker"):
        assert not acl.may_publish(name, f"uward/v1/{name}/up/tele")
        assert not acl.may_subscribe(name, f"uward/v1/{name}/down/#")
