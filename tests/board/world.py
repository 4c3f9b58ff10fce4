"""A CA, a broker that answers the time, and an emulated board that connects to it (S10)."""

import asyncio
import hashlib
import sys
import time
from pathlib import Path

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "device"))

import hostile_broker
from hostile_broker import Broker
from pki import BROKER, CLIENT, DAY, DEVICE, SERVER, Identity, server_context

from host_tools.targets.emulator.net import Network
from tests.board import link_board

GUEST_PORT = 8883
SCRIPT = """
from uward.codec.cosekey import ESP256, Key
from uward.link import clock, tls
from uward.link.mqtt import Client
ANSWER = b"uward/v1/abcdefgh12345678/down/time"
settings = eval(read("/settings"))
credentials = tls.Credentials(
    "broker.local", [read("/ca.der")], read("/device.der"), read("/device.key"))
woken = clock.Clock(settings["floor"], settings["expires"])
client = Client("abcdefgh12345678")
log = [["woken", port.now() - settings["floor"], woken.quality]]
answers = []
client.set_callback(lambda topic, msg: answers.append(msg))
streams = []

async def attempt():
    log.append(["attempt", port.now() - settings["floor"], woken.quality])
    streams.append(await credentials.stream("192.0.2.1", 8883))
    return await client.open(streams[-1])

async def main():
    await clock.connect(attempt, woken)
    log.append(["connected", port.now() - settings["floor"], woken.quality])
    await client.publish("uward/v1/abcdefgh12345678/up/att", woken.ask())
    while not answers:
        client.poll()
        await asyncio.sleep_ms(10)
    keys = [Key(2, read("/time.key"), ESP256)]
    unix = woken.prove(answers[0], "abcdefgh12345678", keys, streams[-1].verifier.leaf)
    log.append(["proved", unix, woken.quality, port.now() - unix, woken.floor - unix])
    client.close()

try:
    asyncio.run(main())
except Exception as e:
    log.append([type(e).__name__, getattr(e, "reason", None), str(e)])
    client.close()
    woken.restore()
    log.append(["restored", port.now() - settings["floor"], woken.quality])
print(json.dumps(log))
"""


class World:
    """A CA, a device, the key of role `time`, and what a broker answers to a nonce."""

    def __init__(self, folder, months_old=90, starts=-10):
        self.folder = folder
        self.ca = Identity("Services", ca=True, days=(-400, 3650))
        devices = Identity("Devices", ca=True, days=(-400, 3650))
        self.device = Identity(DEVICE, devices, usage=[CLIENT], days=(-100, 300))
        self.broker = Identity(BROKER, self.ca, usage=[SERVER], san=BROKER, days=(starts, 90))
        self.context = server_context(folder, self.broker, [devices])
        self.signer = ec.generate_private_key(ec.SECP256R1())
        self.floor = int(time.time()) - months_old * DAY
        self.answered = int(time.time())

    def files(self):
        settings = {"floor": self.floor, "expires": int(time.time()) + 365 * DAY}
        numbers = self.signer.public_key().public_numbers()
        return {
            "/ca.der": self.ca.der,
            "/device.der": self.device.der,
            "/device.key": self.device.secret,
            "/time.key": numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big"),
            "/settings": repr(settings).encode(),
        }

    def answer(self, nonce):
        """COSE_Sign1 by role time, made without our own code."""
        protected = cbor2.dumps({1: -9})
        payload = cbor2.dumps([nonce, DEVICE, self.answered])
        to_sign = cbor2.dumps(["Signature1", protected, b"uward.time.v1", payload])
        prehashed = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
        signature = self.signer.sign(hashlib.sha256(to_sign).digest(), prehashed)
        r, s = utils.decode_dss_signature(signature)
        raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, raw]))

    def behave(self, connection):
        connection.packet()
        connection.send(hostile_broker.CONNACK)
        _, body = connection.packet()
        topic = b"uward/v1/%s/down/time" % DEVICE.encode()
        message = len(topic).to_bytes(2, "big") + topic + self.answer(body[-16:])
        length = bytes([len(message) & 0x7F | 0x80, len(message) >> 7])
        connection.send(b"\x30" + length + message)
        hostile_broker.until_gone(connection)

    def live(self):
        """Run the board against this broker. -> its log."""
        with Broker(self.behave, self.context) as broker:
            network = Network(ports={GUEST_PORT: broker.port})
            log = asyncio.run(link_board.run(SCRIPT, self.files(), network))
        self.heard = broker.received
        return log
