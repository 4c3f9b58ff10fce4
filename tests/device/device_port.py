"""The Unix port's `uward.port`, and umqtt.simple's calls over a scripted broker."""

import asyncio
import sys

from uward import port


def clock(to):
    """Set our clock; the host's stays. -> [difference after, difference restored]"""
    before = port.now()
    port.set_time(to)
    after = port.now()
    port.set_time(before)
    return [after - to, port.now() - before]


def reset():
    try:
        port.reset()
    except Exception:
        return "caught by except Exception"
    except SystemExit as e:
        return e.args[0]


def heap():
    free = port.heap_free()
    return [free > 0, port.block_ok(16), port.block_ok(1 << 50), port.tls_heap_ok()]


def timer(period_ms, count):
    """-> the grid points that `count` calls of a timer were late by, and calls after deinit"""
    calls = []

    async def main():
        began = port.ticks_ms()
        handle = port.hard_timer(period_ms, lambda _: calls.append(port.ticks_ms()))
        while len(calls) < count:
            await port.sleep_ms(1)
        handle.deinit()
        done = len(calls)
        await port.sleep_ms(5 * period_ms)
        return [len(calls) - done, port.ticks_diff(calls[-1], began) >= (count - 1) * period_ms]

    return asyncio.run(main())


def identity():
    port.watchdog(8000).feed()
    return [port.unique_id().hex(), len(port.entropy(33)), port.wifi() is None]


class Wire:
    """A broker in a stream: answers each packet as it is written."""

    def __init__(self, log):
        self.log = log
        self.incoming = b"\x20\x02\x01\x00"

    def write(self, data):
        data = bytes(data)
        self.log.append(data.hex())
        if data[0] & 0xF2 == 0x32:
            self.incoming += b"\x40\x02" + data[5:7]
        if data[0] == 0x82:
            self.incoming += b"\x90\x03" + data[2:4] + b"\x01" + b"\x31\x06\x00\x01they"
        return len(data)

    def readinto(self, buffer):
        n = min(len(buffer), len(self.incoming))
        buffer[:n] = self.incoming[:n]
        self.incoming = self.incoming[n:]
        return n or None

    def close(self):
        self.log.append("closed")


class Credentials:
    """What link.tls.Credentials is to a client: a source of streams."""

    def __init__(self):
        self.log = []

    async def stream(self, server, number, sleep):
        await sleep(1)
        self.log.append([server, number])
        return Wire(self.log)


def blocking(umqtt):
    """A program for umqtt.simple, unchanged but for its import and its credentials."""
    sys.path.append(umqtt)
    from uward.errors import KeyRefused
    from uward.link.umqtt import MQTTClient

    try:
        MQTTClient("abcdefgh12345678", "broker.local")
        return "plaintext"
    except KeyRefused as e:
        refusal = str(e)
    credentials = Credentials()
    client = MQTTClient("abcdefgh12345678", "broker.local", ssl=credentials)
    got = []
    client.set_callback(lambda topic, msg: got.append([topic.decode(), msg.decode()]))
    present = client.connect(clean_session=False)
    client.publish(b"a", b"1")
    client.publish("b", "2".encode(), qos=1)
    client.subscribe("t", qos=1)
    client.check_msg()
    client.wait_msg(20)
    client.ping()
    client.disconnect()
    return [refusal, present, got, credentials.log]
