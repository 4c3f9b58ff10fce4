"""Begins the chain of this boot's events (S14; SPEC 8): once, when the collector is there.

Loaded for that, dropped afterwards (S20). The start is an ephemeral public key whose private half
is forgotten: whoever has all of the flash later cannot find the keys of earlier events.
"""

from uward import limits, port
from uward.codec import cbor
from uward.crypto import p256, rng
from uward.crypto.hash import hkdf
from uward.vault import keys, sealed


async def begin(agent):
    """BadMac, OSError, KeyRefused, RngError, MemoryError: then no chain is begun."""
    private, start = p256.keygen(rng.random)
    await port.sleep_ms(limits.SUPERVISE_MS)  # each half takes long: sensors come in between
    collector = cbor.decode(sealed.read(keys.root(), "/id/peer"))[8]
    shared = p256.ecdh(private, collector)
    agent.keep("log", agent.uptime(), cbor.encode(start), True)
    agent.chain.begin(start, hkdf(shared, start, b"uward audit v1", 32))
