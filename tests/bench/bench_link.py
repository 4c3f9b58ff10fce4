"""TLS + CONNECT against a bare `tls` client that does the same, and what a session costs."""

import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "device"))

import hostile_broker
from hostile_broker import Broker

from host_tools.targets.emulator.net import Network
from tests.bench.harness import XIP_MISS, Row
from tests.board import link_board
from tests.board.world import GUEST_PORT, World

PAIRS = 7  # a handshake's own time varies by 10 %: blinded scalars
SLOWER = 1.15  # ours against the bare client

SCRIPT = """
import socket
import tls as stock
from uward.link import tls
from uward.link.mqtt import Client
port.set_time(eval(read("/settings"))["now"])
CONNECT = b"\\x10\\x1c\\x00\\x04MQTT\\x04\\x00\\x00<\\x00\\x10abcdefgh12345678"
certificate, secret = read("/device.der"), read("/device.key")
key = tls._KEY_HEAD + secret + tls._KEY_TAIL + tls.x509.parse_certificate(certificate).public_key
client = Client("abcdefgh12345678")
now = time.ticks_us

def spent(since):
    return time.ticks_diff(now(), since)

def largest():
    low, high = 0, 200000
    while high - low > 256:
        middle = (low + high) // 2
        low, high = (middle, high) if port.block_ok(middle) else (low, middle)
    return low

def bare():
    began = now()
    context = stock.SSLContext(stock.PROTOCOL_TLS_CLIENT)
    context.verify_mode = stock.CERT_REQUIRED
    context.load_verify_locations(read("/ca.der"))
    context.load_cert_chain(certificate, key)
    sock = socket.socket()
    sock.connect(socket.getaddrinfo("192.0.2.1", 8883)[0][-1])
    wrapped = context.wrap_socket(sock, server_hostname="broker.local")
    wrapped.write(CONNECT)
    wrapped.read(4)
    took = spent(began)
    wrapped.close()
    sock.close()
    return took

async def ours():
    began = now()
    credentials = tls.Credentials("broker.local", [read("/ca.der")], certificate, secret)
    await client.open(await credentials.stream("192.0.2.1", 8883))
    return spent(began)

async def main():
    times = []
    for _ in range(PAIRS):
        gc.collect()
        times.append([bare()])
        gc.collect()
        times[-1].append(await ours())
        client.disconnect()
    gc.collect()
    before = gc.mem_free()
    await ours()
    gc.collect()
    cost = before - gc.mem_free()
    began = now()
    client.poll()
    idle = spent(began)
    began = now()
    await client.publish("uward/v1/abcdefgh12345678/up/tele", bytes(400), 1)
    client.poll()
    sent = spent(began)
    client.close()
    print(json.dumps([times, cost, idle, sent]))

asyncio.run(main())
"""


def rows():
    times, cost, idle, sent = measure()
    bare = statistics.median(pair[0] for pair in times) / 1000
    ours = statistics.median(pair[1] for pair in times) / 1000
    yield Row("TLS + CONNECT", ours, floor=bare, limit=bare * SLOWER)
    yield Row("heap of a TLS session with MQTT", cost / 1024, "KB", limit=34)
    yield Row("idle poll of the connection", idle / 1000, limit=5)
    yield Row("publish 400 B at QoS 1", sent / 1000)


def measure():
    from host_tools.targets.emulator import board

    board.set_xip_miss(XIP_MISS)
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        files = world.files()
        files["/settings"] = repr({"now": world.answered}).encode()
        with Broker(hostile_broker.honest, world.context) as broker:
            network = Network(ports={GUEST_PORT: broker.port})
            script = SCRIPT.replace("PAIRS", str(PAIRS))
            return asyncio.run(link_board.run(script, files, network))
