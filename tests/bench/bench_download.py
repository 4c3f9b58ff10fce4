"""A download over mutual TLS with a round trip of 50 ms, into flash that takes its time."""

import asyncio
import hashlib
import sys
import tempfile
from pathlib import Path

import cbor2

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "device"))

import hostile_broker
from hostile_broker import Broker

from host_tools.signing import delta
from host_tools.targets.emulator.net import Network
from tests.bench.bench_update import enrolled_files
from tests.bench.harness import XIP_MISS, Row
from tests.board import link_board
from tests.board.world import GUEST_PORT, World
from tests.device import boot_kit as kit

PAYLOAD_BYTES, OLD_BYTES = 200_000, 80_000
BLOCK = 4096
DELAY_S = 0.05
FLASH_KB_S = 80  # what the flash of an RP2040 takes: 45 ms an erase, 0.4 ms a page
TOPIC = b"uward/v1/abcdefgh12345678/down/blk"
SCRIPT = """
from uward import lazy
from uward.link import tls
from uward.link.mqtt import Client
from uward.codec import cbor
with open("/slot/new", "wb") as f:
    f.write(b"1")  # the board has written to its folder since the host laid it
info = {"slot": "a"}
info["release"] = cbor.decode(read("/release"))  # as it was judged at boot
port.set_time(info["release"]["now"])
gc.collect()

class Agent:
    done = False
    def __init__(self):
        self.info = info
        self.asked = []
        self.marks = []
    def uptime(self):
        return time.ticks_ms()
    def reset_soon(self):
        self.done = True
    def event(self, name, reason=""):
        self.marks.append([name, time.ticks_ms(), reason])
    def refused(self, error):
        raise error
    def tell(self, purpose, body):
        self.asked.append(body)
    def tell_state(self, payload, name, detail):
        self.marks.append([name, time.ticks_ms(), detail])

async def main():
    agent = Agent()
    client = Client("abcdefgh12345678")
    made = tls.Credentials(
        "broker.local", [read("/ca.der")], read("/device.der"), read("/device.key"))
    await client.open(await made.stream("192.0.2.1", 8883))
    del made
    gc.collect()
    work = lazy.use("update.updater").Updater(agent, agent)
    client.set_callback(lambda topic, payload: work.block(payload))
    client.views = True  # as the agent does
    began = time.ticks_ms()
    whole = None
    while not agent.done:
        client.poll()
        if whole is None and not work.active:
            whole = time.ticks_ms()
        await work.step()
        while agent.asked:
            await client.publish("uward/v1/x/up/ota", cbor.encode(agent.asked.pop(0)))
        await asyncio.sleep_ms(1 if work.active else 10)
    end = time.ticks_ms()
    print(json.dumps([(whole or end) - began, end - began, [m[0] for m in agent.marks]]))

asyncio.run(main())
"""


def rows():
    fast, spent = _whole_image()
    yield Row(
        "download 200 KB, round trip 50 ms", fast, "KB/s", limit=30, goal=FLASH_KB_S / 2, more=True
    )
    yield Row("download 200 KB, checked and ready to boot", spent / 1000, "s")
    size, patched = _patch()
    yield Row("patch for 80 KB, two places changed", size / 1024, "KB")
    yield Row("the same by patch, ready to boot", patched / 1000, "s")


def _whole_image():
    new = bytes(range(250)) * (PAYLOAD_BYTES // 250)
    with tempfile.TemporaryDirectory() as folder:
        files = judged(enrolled_files(Path(folder), b"x" * 5000, new))
    taken, whole, _ = _run(files, files["/payload"])
    return PAYLOAD_BYTES / 1024 / (taken / 1000), whole


def _patch():
    old = bytes(hash_of(at) for at in range(OLD_BYTES))
    new = old[:20_000] + b"new" * 900 + old[20_000:60_000] + b"other" * 500 + old[61_000:]
    made = delta.make(old, new)
    with tempfile.TemporaryDirectory() as folder:
        files = judged(enrolled_files(Path(folder), old, new, deltas=[made]))
    blocks = files["/payload"].ljust(-(-len(new) // BLOCK) * BLOCK, b"\0") + made.payload
    _, whole, said = _run(files, blocks)
    if "upd.delta" in said:
        raise RuntimeError("the patch was not taken")
    return len(made.payload), whole


def judged(files):
    """The files after the boot that judged: the verdict in /release, the envelope under way."""
    from uward.trust import decide, suit
    from uward.update import delta as patches
    from uward.update import offer

    envelope = files.pop("/slot/man.suit")
    parsed = suit.parse(envelope)
    plan = decide.install(parsed, decide.Identity(kit.VENDOR, kit.CLASS))
    release = offer._plain(parsed, plan, 0)
    running = hashlib.sha256(files["/slot/a.img"]).digest()[:16]
    if plan.deltas is not None:
        release["delta"] = patches.choose(plan.deltas, running, len(plan.hashes) // 16)
    return {**files, "/slot/dl.suit": envelope, "/slot/b.img": b"", "/release": release}


def hash_of(at):
    """A byte that does not compress: from a generator that is the same everywhere."""
    return (at * 2654435761 >> 13) & 0xFF


def _run(files, served):
    """-> ms until every block was taken, ms until the next boot would try it, what was told."""
    from uward.codec import cbor

    from host_tools.targets.emulator import board

    board.set_xip_miss(XIP_MISS)
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        release = {**files["/release"], "now": world.answered, "expires": world.answered + 999}
        given = {**files, **world.files(), "/release": cbor.encode(release)}
        del given["/payload"], given["/settings"]
        with Broker(lambda connection: _serve(connection, served), world.context) as broker:
            network = Network(ports={GUEST_PORT: broker.port}, delay_s=DELAY_S)
            return asyncio.run(link_board.run(SCRIPT, given, network, busy_flash=True))


def _serve(connection, served):
    """A broker and collector in one: what is asked for comes, block by block."""
    connection.packet()
    connection.send(hostile_broker.CONNACK)
    while True:
        _, body = connection.packet()
        skip = 2 + int.from_bytes(body[:2], "big")
        _, name, first, count = cbor2.loads(body[skip:])
        for index in range(first, first + count):
            block = served[index * BLOCK : (index + 1) * BLOCK]
            connection.send(_publish(cbor2.dumps([name, index, block])))


def _publish(payload):
    message = len(TOPIC).to_bytes(2, "big") + TOPIC + payload
    left, length = len(message), b""
    while True:
        left, digit = left >> 7, left & 0x7F
        length += bytes([digit | 0x80 if left else digit])
        if not left:
            return b"\x30" + length + message
