"""The primitives on the emulated Pico W, in the machine code that only it runs (S22): the field
machine and SHA-256 in Thumb, counter mode and chains in viper; reference vectors as a sample."""

import json
import random
from pathlib import Path

import pytest

from host_tools.boards import catalogue
from host_tools.image import compile as mpy
from host_tools.image import sources

PICO_W = catalogue.load("rpi_pico_w")
SCRIPTS = Path(__file__).resolve().parent.parent / "device"
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
R = 2**256
WALL_S = 250


@pytest.fixture(scope="module")
def agent():
    """codec and crypto as the build compiles them, in /lib."""
    modules = {
        path: text
        for path, text in sources.agent(PICO_W).items()
        if path.startswith(("/uward/c", "/uward/errors", "/uward/limits", "/uward/__init__"))
    }
    compiled = mpy.compile_all(modules, "armv6m", short=False)
    return {"/lib" + path: code for path, code in compiled.items()}


@pytest.fixture
def run(board, agent):
    """run(code, **files) -> what the code printed on a fresh board, as JSON."""

    def on_board(code, **files):
        scripts = [path for path in SCRIPTS.glob("device_*.py") if path.stem in code]
        extra = {"/lib/" + path.name: path.read_bytes() for path in scripts}
        data = {"/" + name: text for name, text in files.items()}
        made = board({**agent, **extra, **data}, seed=5)
        output, error = made.execute("import json, gc\ngc.collect()\n" + code, WALL_S)
        assert not error, error
        return json.loads(output.strip().splitlines()[-1])

    return on_board


def numbers(count, seed):
    chance = random.Random(seed)
    edges = [0, 1, 2, P - 1, P, P + 1, R - 1, R - P, R % P, 1 << 255, (1 << 96) - 1]
    return edges + [chance.randrange(R) for _ in range(count)]


FIELD = """
from uward.crypto import _p256_native as native
P, inverse = %d, %d
program = (b"\\1\\3\\1\\2" b"\\2\\4\\1\\1" b"\\3\\5\\1\\2" b"\\4\\6\\1\\2" b"\\1\\1\\1\\2"
           b"\\5\\0\\0\\0")
done, wrong = 0, []
with open("/pairs", "rb") as f:
    while True:
        pair = f.read(64)
        if not pair:
            break
        registers = bytearray(32) + pair + bytearray(32 * 4)
        native.fvm(program, registers, 1)
        a, b = [int.from_bytes(pair[o:o + 32], "little") for o in (0, 32)]
        expected = a * b * inverse, a * a * inverse, a + b, a - b, a * b * inverse
        for i, register in enumerate((3, 4, 5, 6, 1)):
            got = int.from_bytes(registers[32 * register:32 * register + 32], "little")
            if (got - expected[i]) %% P:
                wrong.append([i, a, b])
        done += 1
print(json.dumps([done, wrong[:3]]))
"""


def test_field_machine_against_big_integers(run):
    """MUL, SQR, ADD, SUB and MUL into its own operand; operands up to 2**256 - 1, above P too."""
    values = numbers(20, 1)
    pairs = [(a, b) for a in values[:11] for b in values[:11]]
    pairs += list(zip(values[11:], reversed(values[11:]), strict=True))
    data = b"".join(a.to_bytes(32, "little") + b.to_bytes(32, "little") for a, b in pairs)
    assert run(FIELD % (P, pow(R, -1, P)), pairs=data) == [141, []]


CHAINS = """
import os
from uward.crypto import _chain_native, _lms_native, _lms_plain
wrong = []
for n in (24, 32):
    for end in (1, 3, 15, 255):
        digits = bytearray([0, 1, end, end - 1] + [i * 37 % (end + 1) for i in range(3)])
        leaf = os.urandom(20)
        start = os.urandom(n * len(digits))
        results = []
        for module in (_lms_plain, _lms_native, _chain_native):
            values = bytearray(start)
            module.chains(leaf, digits, values, n, end)
            results.append(bytes(values))
        if results[0] != results[1] or results[0] != results[2] or results[0] == start:
            wrong.append([n, end])
    path = bytearray(os.urandom(10 * n))
    node = os.urandom(32)
    for q in (1024, 1025, 1500, 2047):
        way = leaf[:16], q, node, path, n
        if _lms_plain.climb(*way) != _lms_native.climb(*way):
            wrong.append([n, q])
print(json.dumps(wrong))
"""


SHA256 = """
import hashlib, os
from uward.crypto import _sha256_native as native
data = os.urandom(9000)
whole = memoryview(data)
wrong = []
for size in list(range(130)) + [1000, 4096, 8191, 9000]:
    digest = native.Digest()
    digest.update(data[:size])
    if digest.digest() != hashlib.sha256(data[:size]).digest():
        wrong.append(size)
for seed in range(40):  # in pieces, which begin at odd addresses
    digest, at = native.Digest(), 0
    for step in (seed, 63, 64, 7 * seed, 1, 128, 3000):
        digest.update(whole[at:at + step])
        at += step
    if digest.digest() != hashlib.sha256(data[:at]).digest():
        wrong.append([seed])
million = native.Digest()
block = bytearray(b"a" * 10000)
for _ in range(100):
    million.update(block)
print(json.dumps([wrong, "".join("%02x" % byte for byte in million.digest())]))
"""


def test_sha256_in_thumb(run):
    """Against `hashlib` at every length up to two blocks, and a million a's (FIPS 180-2 B.3)."""
    assert run(SHA256) == [
        [],
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
    ]


def test_three_kinds_of_chain_agree(run):
    assert run(CHAINS) == []


def test_lms_sample(run, vectors):
    """Each parameter set that is not dear: valid and broken."""
    cases = json.loads((vectors / "lms/lms_hss_sha256.json").read_text())
    fast = [case for case in cases if case["ots"] not in (4, 8)]  # W8 takes 7 times as long
    chosen = [case for case in fast if case["lms"] in (5, 6, 10, 11, 12)]
    result = run(
        "import device_lms\nprint(json.dumps(device_lms.verify_lines('/cases')))",
        cases="\n".join(map(json.dumps, chosen)).encode(),
    )
    valid = sum(case["valid"] for case in chosen)
    assert result == {"valid": valid, "invalid": len(chosen) - valid, "wrong": []}
    assert (valid, len(chosen)) == (16, 64)


def ecdsa_sample(vectors):
    """Wycheproof's crafted cases, the others thinned: first, edge keys, one in twelve."""
    path = vectors / "wycheproof/ecdsa_secp256r1_sha256_p1363_test.json"
    document = json.loads(path.read_text())
    crafted = {"EdgeCaseShamirMultiplication", "PointDuplication", "ArithmeticError"}
    groups = []
    for group in document["testGroups"]:
        tests = [
            test
            for test in group["tests"]
            if crafted & set(test["flags"]) or not test["tcId"] % 12
        ]
        key = {"uncompressed": group["publicKey"]["uncompressed"]}
        tests = [{name: test[name] for name in ("tcId", "msg", "sig", "result")} for test in tests]
        groups.append({"publicKey": key, "tests": tests})
    return {"testGroups": groups}


def test_ecdsa_sample(run, vectors):
    sample = ecdsa_sample(vectors)
    tests = [test for group in sample["testGroups"] for test in group["tests"]]
    result = run(
        "import device_wycheproof as w\nprint(json.dumps(w.ecdsa('/sample')))",
        sample=json.dumps(sample).encode(),
    )
    assert result["wrong"] == []
    accepted = sum(test["result"] == "valid" for test in tests)
    assert (result["accepted"], result["refused"]) == (accepted, len(tests) - accepted)
    assert len(tests) > 30 and result["refused"] > 5


POINTS = """
from uward.crypto import _p256_group, p256
g = p256._affine(_p256_group.combine(1, 0, 0, 0))
n, p = p256._N, p256._P
opposite = g[0], p - g[1]
wrong = []
for case in ((1, 1, g), (2, 1, g), (1, 1, opposite), (n - 1, 2, g), (5, n - 3, g),
             (0, 7, opposite), (n - 1, 0, g), ((1 << 255) + 1, 0, g), (n - (1 << 30), 3, g),
             (0, 0, g)):
    u1, u2, q = case
    fast, exact = p256.combine(u1, u2, *q), _p256_group.combine(u1, u2, *q)
    if not exact[2]:
        if fast[2]:
            wrong.append("infinity")
    elif p256._affine(fast) != p256._affine(exact):
        wrong.append(str(u1))
print(json.dumps(wrong))
"""


def test_crafted_sums(run):
    assert run(POINTS) == []


RFC6979 = """
from uward.crypto import p256, hash
from binascii import unhexlify as unhex
private = unhex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
signature = p256.sign(private, hash.sha256(b"sample"))
a, b = bytes(31) + b"\\7", bytes(31) + b"\\5"
shared = p256.ecdh(a, p256.public_key(b)) == p256.ecdh(b, p256.public_key(a))
print(json.dumps([signature.hex(), shared]))
"""


def test_sign_and_agree(run):
    signature, shared = run(RFC6979)
    assert signature == (
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    )
    assert shared is True


def test_sealing_sample(run, vectors):
    """Counter mode on odd addresses (RP2040 faults on unaligned words), and Wycheproof's CCM."""
    document = json.loads((vectors / "wycheproof/aes_ccm_test.json").read_text())
    for group in document["testGroups"]:
        group["tests"] = group["tests"][:1]
    keep = ("key", "iv", "aad", "msg", "ct", "tag", "tcId", "result")
    groups = [
        {
            "keySize": group["keySize"],
            "tagSize": group["tagSize"],
            "tests": [{name: test[name] for name in keep} for test in group["tests"]],
        }
        for group in document["testGroups"]
    ]
    result = run(
        "import device_wycheproof as w\nprint(json.dumps(w.ccm('/sample')))",
        sample=json.dumps({"testGroups": groups}).encode(),
    )
    assert result["wrong"] == [] and result["accepted"] > 20
    streams = run(
        "import device_aead as a\n"
        "k, iv = '00' * 32, '00' * 15 + 'f0'\n"
        "print(json.dumps([a.stream(k, iv, 5001, c, 1024) == a.stream(k, iv, 5001, [], 1024)"
        " for c in ([16], [32, 4096], [4096, 16, 16])]))"
    )
    assert streams == [True] * 3


def test_sp_800_38c(run):
    """Appendix C, example 3: tags of 8 bytes, a nonce of 12."""
    sealed = run(
        "from uward.crypto import aead\n"
        "k, n, a, p = [bytes(range(*r)) for r in ((64, 80), (16, 28), (20,), (32, 56))]\n"
        "print(json.dumps(aead.seal(k, n, p, a, 8).hex()))"
    )
    assert sealed == "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951"


def test_random_source(run):
    code = "from uward.crypto import rng\nrng.health_check()\n"
    code += "print(json.dumps(len({rng.random(16) for _ in range(50)})))"
    assert run(code) == 50


DEAD = """
from uward.crypto import rng
from uward.errors import RngError
rng.urandom = lambda n: b"\\x2a" * n
try:
    rng.random(16)
except RngError as e:
    print(json.dumps(str(e)))
"""


def test_dead_source_is_refused(run):
    assert "6 equal bytes in a row" in run(DEAD)
