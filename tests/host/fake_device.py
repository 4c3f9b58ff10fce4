"""A device on CPython: SPEC 8 written a third time, over the firmware's own primitives.

Independent of host_tools/fleet (cryptography, cbor2) and of uward.link.session.
"""

import asyncio
import hashlib
import os

import aiomqtt
from cryptography.hazmat.primitives.asymmetric import ec
from uward.codec import cbor
from uward.crypto import aead, hash


def xy(private):
    numbers = private.public_key().public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


class FakeDevice:
    """One board: keys, a stream, packs that wait for their acknowledgement."""

    log = None  # entries of the release log that it saw
    starts = None  # how many contexts its flash has begun

    def __init__(self, name, collector_public, pairing=None):
        self.name = name
        self.pairing = pairing or ec.generate_private_key(ec.SECP256R1())
        self.secret = self.pairing.exchange(ec.ECDH(), collector_public)
        self.stream = os.urandom(16)
        self.sequence = 0
        self.packs = {}  # sequence -> (purpose, sealed)
        self.generation = None
        self.acknowledged = 0
        self.down = asyncio.Queue()
        self.boot()

    def boot(self):
        """A reset: a fresh context; the vault (stream, packs) stays."""
        self.context = os.urandom(16)
        self.counter = 0

    @property
    def public(self):
        return xy(self.pairing)

    # sealing

    def _aead(self, context, direction, purpose, partial):
        info = b"uward.v1 %s %s" % (direction.encode(), purpose.encode())
        okm = hash.hkdf(self.secret, context, info, 29)
        iv, padded = okm[16:], bytes(13 - len(partial)) + partial
        nonce = bytes(a ^ b for a, b in zip(iv, padded, strict=True))
        external = cbor.encode(["uward.v1", self.name, direction, purpose])
        aad = cbor.encode(["Encrypt0", b"\xa1\x01\x18\x1e", external])
        return okm[:16], nonce, aad

    def seal(self, purpose, body, sequence=0):
        number, self.counter = self.counter, self.counter + 1
        partial = number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")
        key, nonce, aad = self._aead(self.context, "up", purpose, partial)
        plaintext = cbor.encode([self.stream, sequence, body])
        ciphertext = aead.seal(key, nonce, plaintext, aad)
        return cbor.encode(
            cbor.Tag(16, [b"\xa1\x01\x18\x1e", {6: partial, 10: self.context}, ciphertext])
        )

    def open(self, purpose, data):
        _, headers, ciphertext = cbor.decode(data).value
        context, partial = headers[10], headers[6]
        assert context[:16] == self.context, "sealed for another boot"
        key, nonce, aad = self._aead(context, "down", purpose, partial)
        return cbor.decode(aead.open(key, nonce, ciphertext, aad)), context[16:], partial

    # what it says

    def pack(self, *records):
        return self._number("tele", list(records))

    def reading(self, value, when=1_790_000_000, name="heart-rate", unit="beat/min"):
        return self.pack({-2: name, -3: when, -4: unit, 2: value})

    def event(self, name, reason="", when=1_790_000_000):
        return self._number("event", [name, reason, when, 2])

    def _number(self, purpose, body):
        self.sequence += 1
        sealed = self.seal(purpose, body, self.sequence)
        self.packs[self.sequence] = (purpose, sealed)
        return sealed

    def hello_body(self, **changes):
        body = {
            "nonce": os.urandom(16), "version": "1.0.0", "sequence": 1, "security": 1,
            "slot": "a", "trial": False, "state": 2, "trust": 1, "board": "unix",
            "digest": hashlib.sha256(b"manifest").digest(), "quality": 0, "heap": 100_000,
            "lost": 0, "oldest": min(self.packs, default=self.sequence + 1),
        }  # fmt: skip
        body.update(changes)
        self.nonce = body["nonce"]
        found = {i: value for i, value in enumerate(body.values(), 1) if value is not None}
        more = {16: self.starts, 17: self.log}
        return {**found, **{i: value for i, value in more.items() if value is not None}}

    def hello(self, **changes):
        return self.seal("att", self.hello_body(**changes))

    def ota(self, *body):
        return self.seal("ota", list(body))

    # what it hears

    def take_ack(self, data):
        """`down/ack` -> sequence; packs up to it go, packs beyond it wait."""
        (generation, stream, sequence), context, _ = self.open("ack", data)
        assert generation == context and stream == self.stream
        assert sequence <= self.sequence, "acknowledges what was never sent"
        self.generation = generation
        self.acknowledged = sequence
        return sequence

    def take_release(self, data):
        """`down/man` -> envelope: only with the collector's sealed word for it."""
        word, envelope, *self.proof = cbor.decode(data)
        digest, _, _ = self.open("man", word)
        known = [hashlib.sha256(part).digest() for part in (envelope, *self.proof)]
        if len(known) == 2:
            known = [hashlib.sha256(known[0] + known[1]).digest()]
        assert [digest] == known, "another envelope was announced"
        return envelope

    # on the wire

    def client(self, port, tls_context):
        return aiomqtt.Client(
            "127.0.0.1",
            port,
            identifier=self.name,
            clean_session=False,
            tls_context=tls_context,
            timeout=60,
        )

    async def publish(self, client, purpose, sealed, qos=1):
        await client.publish(f"uward/v1/{self.name}/up/{purpose}", sealed, qos=qos)

    async def listen(self, client):
        """Subscribe, and sort what comes into `self.down` as (purpose, payload)."""
        await client.subscribe(f"uward/v1/{self.name}/down/#", qos=1)
        async for message in client.messages:
            if not message.retain:
                await self.down.put((str(message.topic).split("/")[4], message.payload))

    async def expect(self, purpose, wait=10.0):
        """The next message of this purpose; others that come before it are dropped."""
        while True:
            got, payload = await asyncio.wait_for(self.down.get(), wait)
            if got == purpose:
                return payload
