"""TLS and MQTT on the emulated Pico W: little heap, a slow broker, a weak access point."""

import asyncio
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "device"))

import hostile_broker
from hostile_broker import Broker

from host_tools.targets.emulator.net import Network
from tests.board import link_board
from tests.board.world import GUEST_PORT, World

OPEN = """
from uward.link import tls
from uward.link.mqtt import Client
port.set_time(eval(read("/settings"))["now"])
credentials = tls.Credentials(
    "broker.local", [read("/ca.der")], read("/device.der"), read("/device.key"))
client = Client("abcdefgh12345678")
client.set_callback(lambda topic, msg: None)
"""

LOW_HEAP = """
believe_it = port.tls_heap_ok
log = []

async def session():
    stream = await credentials.stream("192.0.2.1", 8883)
    try:
        await client.open(stream)
    finally:
        client.close()
        stream.close()

def trial(free, whole, check):
    # Leave `free` bytes, in one block or in many, and open a session
    port.tls_heap_ok = believe_it if check else lambda: True
    gc.collect()
    held = [] if whole else [bytearray(1024) for _ in range(free // 1024)]
    kept = bytearray(free) if whole else None
    ballast = []
    for size in (4096, 1024, 256, 64, 16):
        try:
            while True:
                ballast.append(bytearray(size))
        except MemoryError:
            pass
        if not whole:  # holes of 1 KB
            ballast.append(held)
            held = []
    kept = held = None
    try:
        asyncio.run(session())
        result = "good"
    except Exception as e:
        result = type(e).__name__ + " " + str(e)
    ballast.clear()
    gc.collect()
    log.append([free, whole, check, result])

for free in range(40, 56, 2):  # half KB: around what just suffices
    trial(free * 512, True, False)
trial(16 * 1024, True, True)
trial(40 * 1024, True, True)
print(json.dumps(log))
"""

SLOW = """
samples = []

async def sensor():
    due = port.ticks_ms()
    while True:
        samples.append(port.ticks_ms())
        due = port.ticks_add(due, 1000)
        await asyncio.sleep_ms(port.ticks_diff(due, port.ticks_ms()))

async def main():
    await client.open(await credentials.stream("192.0.2.1", 8883))
    task = asyncio.create_task(sensor())
    end = port.ticks_add(port.ticks_ms(), 10000)
    slowest = 0
    while port.ticks_diff(end, port.ticks_ms()) > 0:
        began = time.ticks_us()
        client.poll()
        slowest = max(slowest, time.ticks_diff(time.ticks_us(), began))
        await asyncio.sleep_ms(10)
    task.cancel()
    gaps = [port.ticks_diff(b, a) for a, b in zip(samples, samples[1:])]
    print(json.dumps([gaps, slowest, client._parser._have]))

asyncio.run(main())
"""

SAMPLING = """
from app.max30102 import MAX30102
taken = []
sensor = MAX30102(port.i2c())
sensor.start(port.hard_timer)

async def main():
    began = time.ticks_us()
    await client.open(await credentials.stream("192.0.2.1", 8883))
    blocked = time.ticks_diff(time.ticks_us(), began)
    client.disconnect()
    await asyncio.sleep_ms(500)
    sensor.read(taken.append)
    print(json.dumps([blocked, len(taken), sensor.lost, sensor.errors]))

asyncio.run(main())
"""

TWIN = """
from uward.link import wifi
wlan.disconnect()
while wlan.isconnected():
    time.sleep_ms(20)
try:
    asyncio.run(wifi.join("RP2040PY-GUEST", "password1"))
except Exception as e:
    print(json.dumps([type(e).__name__, e.event, str(e)]))
"""


def live(folder, script, behaviour, devices=(), more=None):
    world = World(folder, months_old=1)
    files = {**world.files(), **(more or {})}
    files["/settings"] = repr({"now": world.answered}).encode()
    with Broker(behaviour, world.context) as broker:
        network = Network(ports={GUEST_PORT: broker.port})
        return asyncio.run(link_board.run(OPEN + script, files, network, devices))


def test_low_heap_is_never_a_bad_certificate(stock, tmp_path):
    """S20: from far too little to enough, the answer is LowHeap or a session, nothing else."""
    *unchecked, refused, good = live(tmp_path, LOW_HEAP, hostile_broker.honest)
    results = [result for *_, result in unchecked]
    assert {result.partition(" ")[0] for result in results} == {"LowHeap", "good"}, results
    assert results[0].startswith("LowHeap") and results[-1] == "good"
    assert refused[3].startswith("LowHeap too little heap for a TLS handshake")
    assert good[3] == "good"


def test_one_byte_a_second_does_not_stall_sensing(stock, tmp_path):
    """T06, S18: the sensor's period stays within 5 % by its own sample times."""
    drip = partial(hostile_broker.drips, seconds=1.0)
    gaps, slowest_us, have = live(tmp_path, SLOW, drip)
    assert len(gaps) >= 8
    assert all(950 <= gap <= 1050 for gap in gaps), gaps
    assert slowest_us < 20_000  # one poll, garbage collection counted
    assert have > 0  # and the broker was in the middle of its packet


def test_no_sample_is_lost_in_a_handshake(stock, tmp_path):
    """S18: the handshake blocks Python for more than a second, the FIFO holds 320 ms."""
    from host_tools.targets.emulator.i2c import I2CBus
    from host_tools.targets.emulator.max30102 import ADDRESS, Max30102

    model = Max30102([1000 + i for i in range(3000)], 100.0)
    devices = [I2CBus({ADDRESS: model})]
    driver = link_board.example("max30102")
    blocked_us, taken, lost, errors = live(
        tmp_path, SAMPLING, hostile_broker.honest, devices, driver
    )
    assert blocked_us > 1_000_000
    assert taken > 150 and (lost, errors, model.lost) == (0, 0, 0)


def test_weak_access_point_is_not_joined(stock):
    network = Network(security="wpa")
    name, event, text = asyncio.run(link_board.run(TWIN, {}, network))
    assert (name, event) == ("LinkError", "wifi.posture")
    assert "got 1 weaker ones" in text
