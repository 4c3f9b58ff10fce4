"""The log of one boot on the device: proofs of events, and the states before they are given."""

from uward.vault import packs
from uward.vault.chain import Chain

EPOCH = 1_800_000_000


def _begun(start, key):
    chain = Chain()
    chain.begin(bytes.fromhex(start), bytes.fromhex(key))
    return chain


def proofs(start, key, events):
    """-> final bodies (hex) of [name, reason, when] events."""
    chain = _begun(start, key)
    out = []
    for name, reason, when in events:
        body = packs.event(name, reason, chain.seal(name, reason, when))
        out.append(packs.finish("event", when, body, EPOCH, 2).hex())
    return out


def life(start, key):
    """-> number of the proof of an event before, during and after a log."""
    chain, out = Chain(), []
    for step in (None, chain.begin, chain.end, chain.begin):
        if step == chain.end:
            step()
        elif step:
            step(bytes.fromhex(start), bytes.fromhex(key))
        proof = chain.seal("a.b", "", 1)
        out.append(proof and proof[1])
    return out


def memory(start, key):
    """-> whether the keys of past events, or of the start, are in what a chain holds."""
    chain = _begun(start, key)
    for n in range(3):
        chain.seal("a.b", "", n)
    return bytes(chain._key).hex(), bytes(chain._head).hex(), chain.count
