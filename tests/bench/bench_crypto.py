"""Primitives against their floor: the same work done by the stock firmware's C functions alone."""

import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from host_tools.signing import lms
from tests.bench.harness import Bench, Row

MESSAGE = b"a release manifest"
LMS_HEIGHT = 10
LMS_CHAIN_STEPS = 383  # mean at W4, SHA-256/192
LMS_HASHES = LMS_CHAIN_STEPS + LMS_HEIGHT
SHA_BLOCKS = 4096 // 64 + 1  # of 4 KB; a chain step hashes one
P256_KEYS = 5
FLASH_BYTES = 200 * 1024
CHUNK = 4096


def rows():
    yield from symmetric()
    yield from hss_lms()
    yield from p256()
    yield from throughput()


def symmetric():
    bench = Bench()
    bench.run(
        "from uward.crypto import aead, hash\nimport cryptolib, hashlib\n"
        "k = bytes(16); n = bytes(13); d = bytes(4096); e = bytearray(4096)\n"
        "a = cryptolib.aes(k, 1); c = cryptolib.aes(k, 2, k)\n"
    )
    ecb, cbc = bench.ms("a.encrypt(d, e)"), bench.ms("c.encrypt(d, e)")
    seal = bench.ms("aead.seal(k, n, d, b'')")
    yield Row("AES-CCM-128 seal 4 KB", seal, floor=ecb + cbc, limit=11.5)
    opened = bench.ms("aead.open(k, n, s, b'')", "s = aead.seal(k, n, d, b'')")
    yield Row("AES-CCM-128 open 4 KB", opened, floor=ecb + cbc)
    sha = bench.ms("hashlib.sha256(d).digest()")
    yield Row("HMAC-SHA-256 4 KB", bench.ms("hash.hmac(k, d)"), floor=sha)


def hss_lms():
    public, signature = average_signature()
    bench = Bench({"/public": public, "/signature": signature})
    bench.run(
        "from uward.crypto import lms\nimport hashlib\n"
        "p = open('/public', 'rb').read(); s = open('/signature', 'rb').read()\n"
        f"m = {MESSAGE!r}\nd = bytes(4096)\n"
    )
    floor = bench.ms("hashlib.sha256(d).digest()") / SHA_BLOCKS * LMS_HASHES
    measured = bench.ms("lms.verify(p, m, s)")
    yield Row("HSS-LMS verify M24/N24/W4 H10", measured, floor=floor, limit=50, goal=45)


def average_signature():
    """(public key, signature) that takes the mean number of hashes to verify: from one signature
    to the next it varies by 8 %."""
    secret = lms.new_secret(lms.parameters(LMS_HEIGHT))
    tree = lms.build_tree(secret)
    public = lms.public_key(secret, tree)
    signatures = [lms.sign(secret, tree, index, MESSAGE) for index in range(100)]
    return public, min(signatures, key=lambda each: abs(steps(public, each) - LMS_CHAIN_STEPS))


def steps(public, signature):
    """Chain steps to verify a signature of one level (RFC 8554 4.6)."""
    identifier, index, randomizer = public[12:28], signature[4:8], signature[12:36]
    digest = hashlib.sha256(identifier + index + b"\x81\x81" + randomizer + MESSAGE).digest()
    return sum(15 - digit for digit in lms.coefficients(digest[:24]))


RNG = "from uward.crypto import rng"
LOG = "from uward.vault.chain import Chain\nlog = Chain()\nlog.begin(bytes(64), bytes(32))"


def p256():
    """Means over several keys: a big-integer multiplication takes as long as its numbers."""
    cases = [ecdsa_case(scalar) for scalar in range(3, 3 + P256_KEYS)]
    setup = f"from uward.crypto import p256\nc = {cases!r}\np256.verify(*c[0][1:])\n"
    verify = "for _c in c: p256.verify(*_c[1:])"
    thumb = Bench()
    thumb.run(setup)
    yield Row("P-256 verify, Thumb", thumb.ms(verify) / P256_KEYS, limit=80, goal=75)
    signing = thumb.ms("for _c in c: p256.sign(_c[0], _c[2])") / P256_KEYS
    yield Row("P-256 sign, Thumb", signing)
    key = "p256.ecdh(p256.keygen(rng.random)[0], c[0][1])"
    yield Row("keys for a boot's log of events (keygen, ECDH)", thumb.ms(key, RNG), limit=200)
    yield Row("proof of one event in it", thumb.ms("log.seal('a.b', 'why', 1000)", LOG))
    portable = Bench(without=("_p256_native.mpy",))
    portable.run(setup)
    yield Row("P-256 verify, portable", portable.ms(verify, runs=1) / P256_KEYS, limit=680)


def ecdsa_case(seed):
    """(private key, public key, digest, signature) as bytes, the same for the same seed."""
    digest = hashlib.sha256(b"%d" % seed).digest()
    scalar = int.from_bytes(digest, "big") >> 1
    key = ec.derive_private_key(scalar, ec.SECP256R1())
    prehashed = utils.Prehashed(hashes.SHA256())
    der = key.sign(digest, ec.ECDSA(prehashed, deterministic_signing=True))
    numbers = key.public_key().public_numbers()
    public = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    signature = b"".join(part.to_bytes(32, "big") for part in utils.decode_dss_signature(der))
    return scalar.to_bytes(32, "big"), public, digest, signature


def throughput():
    """A release as boot reads it: from littlefs, deciphered and hashed in 4 KB chunks."""
    bench = Bench({"/big.bin": bytes(range(256)) * (FLASH_BYTES // 256)})
    bench.run(
        "from uward.crypto import aead\nimport cryptolib, hashlib\n"
        f"c = bytearray({CHUNK}); z = bytearray({CHUNK})\n"
        "def read(each):\n"
        " with open('/big.bin', 'rb') as f:\n"
        "  while f.readinto(c): each()\n"
        "def whole():\n"
        " h = hashlib.sha256(); s = aead.Ctr(bytes(32), bytes(16))\n"
        " def each(): s.crypt(c); h.update(c)\n"
        " read(each)\n"
        "def floor():\n"
        " h = hashlib.sha256(); a = cryptolib.aes(bytes(32), 1)\n"
        " def each(): a.encrypt(z, z); h.update(c)\n"
        " read(each)\n"
    )
    rate, best = (FLASH_BYTES / bench.ms(f"{name}()", runs=1) for name in ("whole", "floor"))
    what = "SHA-256 + A256CTR of 200 KB from littlefs"
    yield Row(what, rate / 1.024, "KB/s", floor=best / 1.024, limit=358, more=True)
