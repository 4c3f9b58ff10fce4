"""crypto/p256: RFC 6979, `cryptography` both ways, edge scalars, refusals; the programs of the
field machine, run on a model of it; the base-point tables, computed again."""

import ast
import hashlib
import importlib.util
import itertools
import random

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from uward.crypto import _p256_group, _p256_high, _p256_plain, _p256_table, p256
from uward.errors import BadSignature, KeyRefused, RngError

from tests.conftest import FIRMWARE

MODULE = "uward.crypto.p256"
P = p256._P
N = p256._N
PREHASHED = ec.ECDSA(utils.Prehashed(hashes.SHA256()))

# RFC 6979 A.2.5: private key, public key, and with SHA-256 the signatures of two messages
PRIVATE = bytes.fromhex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
PUBLIC = bytes.fromhex(
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)
SIGNATURES = {
    b"sample": "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    b"test": "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
    "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
}


def digest(message):
    return hashlib.sha256(message).digest()


def public_of(private):
    numbers = private.public_key().public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def test_rfc_6979(device):
    secret = "hex:" + PRIVATE.hex()
    calls = [[MODULE, "public_key", [secret]]]
    expected = [["ok", "hex:" + PUBLIC.hex()]]
    for message, signature in SIGNATURES.items():
        hashed = "hex:" + digest(message).hex()
        calls.append([MODULE, "sign", [secret, hashed]])
        expected.append(["ok", "hex:" + signature])
        calls.append([MODULE, "verify", ["hex:" + PUBLIC.hex(), hashed, "hex:" + signature]])
        expected.append(["ok", None])
    assert device("device_call", "run", calls) == expected


def test_both_ways_with_cryptography():
    for i in range(10):
        private = ec.generate_private_key(ec.SECP256R1())
        secret = private.private_numbers().private_value.to_bytes(32, "big")
        public, hashed = public_of(private), digest(b"%d" % i)
        assert p256.public_key(secret) == public
        r, s = utils.decode_dss_signature(private.sign(hashed, PREHASHED))
        p256.verify(public, hashed, r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        raw = p256.sign(secret, hashed)
        pair = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        private.public_key().verify(utils.encode_dss_signature(*pair), hashed, PREHASHED)
        other = ec.generate_private_key(ec.SECP256R1())
        shared = private.exchange(ec.ECDH(), other.public_key())
        assert p256.ecdh(secret, public_of(other)) == shared


def test_edge_scalars():
    """Sums that meet equal points, opposite points and infinity (only crafted inputs do)."""
    g = p256._affine(_p256_plain.combine(1, 0, 0, 0))
    negative = g[0], P - g[1]
    for u1, u2, point, total in (
        (1, 1, g, 2),
        (2, 1, g, 3),
        (3, 1, negative, 2),
        (N - 1, 2, g, 1),
        (5, N - 3, g, 2),
        (0, 7, negative, N - 7),
        (N - 1, 0, g, N - 1),
        ((1 << 255) + 1, 0, g, (1 << 255) + 1),
    ):
        private = ec.derive_private_key(total, ec.SECP256R1()).public_key().public_numbers()
        for combine in (p256.combine, _p256_group.combine):
            assert p256._affine(combine(u1, u2, *point)) == (private.x, private.y)
    for u1, u2, point in ((1, 1, negative), (0, 0, g), (2, N - 2, g)):
        assert p256.combine(u1, u2, *point)[2] == 0
        assert _p256_group.combine(u1, u2, *point)[2] == 0


def test_signature_refusals(device):
    hashed, good = digest(b"sample"), bytes.fromhex(SIGNATURES[b"sample"])
    zero, n = bytes(32), N.to_bytes(32, "big")
    off_curve = PUBLIC[:63] + bytes((PUBLIC[63] ^ 1,))
    big = (P + 5).to_bytes(32, "big")
    y_at_0 = pow(p256._B, (P + 1) // 4, P).to_bytes(32, "big")  # x = P would be x = 0 again
    one = (1).to_bytes(32, "big")
    opposite = (N - int.from_bytes(PRIVATE, "big")).to_bytes(32, "big")
    cases = (
        (PUBLIC, digest(b"other"), good, "BadSignature", "key's signature"),
        (PUBLIC, hashed, good[:32] + digest(b"s"), "BadSignature", "key's signature"),
        (PUBLIC, hashed, good[:63], "BadSignature", "64 bytes, got 63"),
        (PUBLIC, hashed, good + b"\0", "BadSignature", "64 bytes, got 65"),
        (PUBLIC, hashed, zero + good[32:], "BadSignature", "1..n-1"),
        (PUBLIC, hashed, good[:32] + zero, "BadSignature", "1..n-1"),
        (PUBLIC, hashed, n + good[32:], "BadSignature", "1..n-1"),
        (PUBLIC, hashed, good[:32] + n, "BadSignature", "1..n-1"),
        (PUBLIC, hashed[:31], good, "KeyRefused", "32 bytes, got 31"),
        (PUBLIC[:63], hashed, good, "KeyRefused", "64 bytes, got 63"),
        (off_curve, hashed, good, "KeyRefused", "point on the curve"),
        (bytes(64), hashed, good, "KeyRefused", "point on the curve"),
        (big + PUBLIC[32:], hashed, good, "KeyRefused", "point on the curve"),
        (P.to_bytes(32, "big") + y_at_0, hashed, good, "KeyRefused", "point on the curve"),
        # R is the point at infinity
        (PUBLIC, opposite, one + one, "BadSignature", "key's signature"),
    )
    calls = [[MODULE, "verify", ["hex:" + part.hex() for part in case[:3]]] for case in cases]
    outcomes = device("device_call", "run", calls)
    for (*_, error, part), outcome in zip(cases, outcomes, strict=True):
        assert outcome[0] == error and part in outcome[1], outcome


def test_private_key_refusals():
    for private in (bytes(32), N.to_bytes(32, "big"), b"\xff" * 32, bytes(31), b"\1" * 33):
        for use in (
            lambda key: p256.sign(key, bytes(32)),
            p256.public_key,
            lambda key: p256.ecdh(key, PUBLIC),
        ):
            with pytest.raises(KeyRefused, match=r"private key of 32 bytes in 1\.\.n-1"):
                use(private)
    with pytest.raises(KeyRefused, match="point on the curve"):
        p256.ecdh(PRIVATE, bytes(64))


def test_keygen_rejects_what_is_out_of_range():
    draws = [bytes(32), b"\xff" * 32, PRIVATE]
    assert p256.keygen(lambda n: draws.pop(0)[:n]) == (PRIVATE, PUBLIC)
    with pytest.raises(RngError, match="scalar in 8 tries"):
        p256.keygen(bytes)


def test_a_key_that_is_known_for_long():
    """2**128 times it halves the doublings; a wrong multiple refuses what is good."""
    hashed = digest(b"sample")
    for scalar in (1, 2, int.from_bytes(PRIVATE, "big"), N - 1, 1 << 128, (1 << 128) - 1):
        secret = scalar.to_bytes(32, "big")
        public, signature = p256.public_key(secret), p256.sign(secret, hashed)
        far = p256.far(public)
        high = ec.derive_private_key((scalar << 128) % N, ec.SECP256R1()).public_key()
        numbers = high.public_numbers()
        assert far == numbers.x.to_bytes(32, "big") + (2 * numbers.y % P).to_bytes(32, "big")
        assert len(list(p256.verifying(public, hashed, signature, far))) >= 10  # slices
        for other, given in ((digest(b"other"), far), (hashed, p256.far(PUBLIC[:32] * 2))):
            with pytest.raises(BadSignature, match="expected the key's signature"):
                list(p256.verifying(public, other, signature, given))
    with pytest.raises(KeyRefused, match="point on the curve"):  # whatever is known of it
        list(p256.verifying(PUBLIC[:32] * 2, hashed, bytes(31) + b"\1" * 33, far))


def test_scalars_as_signed_digits():
    chance = random.Random(3)
    scalars = [1, 2, 127, 128, 255, 2**128 - 1, 2**128, 2**255, 2**256 - 1, N - 1]
    scalars += [chance.randrange(1 << chance.randrange(1, 257)) for _ in range(50)]
    for width in (5, 7, 8):
        for scalar in scalars:
            digits = _p256_group._digits(scalar, width)
            assert sum(digit << i for i, digit in digits) == scalar
            assert all(digit & 1 and abs(digit) < 1 << width - 1 for _, digit in digits)
            gaps = [b - a for (a, _), (b, _) in itertools.pairwise(digits)]
            assert all(gap >= width for gap in gaps)


def test_high_r_is_reduced():
    """x(R) >= n: r = x - n, which verify must find again."""
    # a signature made for such an R: x = n + 4 is on the curve; any key follows from (r, s, e)
    x = N + 4
    root = pow(x**3 - 3 * x + p256._B, (P + 1) // 4, P)
    assert root * root % P == (x**3 - 3 * x + p256._B) % P
    r, s, e = 4, 7, 9
    inverse = pow(r, -1, N)
    point = _p256_plain.combine(-e * inverse % N, s * inverse % N, x, root)
    public = b"".join(v.to_bytes(32, "big") for v in p256._affine(point))
    p256.verify(public, e.to_bytes(32, "big"), r.to_bytes(32, "big") + s.to_bytes(32, "big"))


# The field machine of RP2040: its programs on a model, its constants and tables


def native_constants():
    """The module-level constants of the native modules, which CPython cannot import."""
    names = {"const": lambda value: value}
    for name in ("_field_native", "_p256_native"):
        source = (FIRMWARE / "uward/crypto" / (name + ".py")).read_text()
        for node in ast.parse(source).body:
            if isinstance(node, (ast.Assign, ast.AugAssign)):
                exec(compile(ast.Module([node], []), name, "exec"), names)
    return names


NATIVE = native_constants()
R = 1 << 256


def machine(program, registers, times=1):
    """What `fvm` does, by its description, on plain integers modulo P."""
    for _ in range(times):
        for o in range(0, len(program), 4):
            operation, d, a, b = program[o : o + 4]
            if operation == 1:
                registers[d] = registers[a] * registers[b] * pow(R, -1, P) % P
            elif operation == 2:
                registers[d] = registers[a] ** 2 * pow(R, -1, P) % P
            elif operation == 3:
                registers[d] = (registers[a] + registers[b]) % P
            elif operation == 4:
                registers[d] = (registers[a] - registers[b]) % P
            elif operation == 5:
                assert o == len(program) - 4
            else:
                raise AssertionError("operation %d" % operation)


def registers_of(*sum_and_operand):
    registers = [value * R % P for value in sum_and_operand[:3]] + [0] * 10
    registers += [value * R % P for value in sum_and_operand[3:]]
    registers += [0] * (18 - len(registers))
    constants = NATIVE["CONSTANTS"]
    return registers + [int.from_bytes(constants[o : o + 32], "little") for o in (0, 32, 64)]


def plain(registers):
    return tuple(value * pow(R, -1, P) % P for value in registers[:3])


def points(count, seed=1):
    chance = random.Random(seed)
    out = []
    for _ in range(count):
        x, y = p256._affine(_p256_plain.combine(chance.randrange(1, N), 0, 0, 0))
        z = chance.randrange(1, P)
        out.append((x * z * z % P, 2 * y * z**3 % P, z))
    return out


def test_programs_compute_the_group_law():
    for first, second in zip(points(5), points(5, 2), strict=True):
        registers = registers_of(*first)
        machine(NATIVE["DOUBLE"], registers, 3)
        assert plain(registers) == _p256_group._double(first, 3)
        x, y = p256._affine(second)
        for program, w in ((0, 2 * y), (1, -2 * y)):
            registers = registers_of(*first, x, 2 * y)
            machine(NATIVE["PROGRAMS"][program], registers)
            assert plain(registers) == _p256_group._add(first, x, w % P)
        z = second[2]
        for program, w in ((2, 2 * y), (3, -2 * y)):
            registers = registers_of(*first, *second, z * z, z**3)
            machine(NATIVE["PROGRAMS"][program], registers)
            total = _p256_group._add(first, x, w % P)
            assert p256._affine(plain(registers)) == p256._affine(total)
        registers = registers_of(*first)
        machine(NATIVE["SQUARES"], registers)
        assert registers[3] == first[2] ** 2 * R % P
        assert registers[4] == first[2] ** 3 * R % P


def test_equal_points_are_noticed():
    """Z becomes 0 and stays it: `combine` then takes the exact path."""
    (point,) = points(1)
    x, y = p256._affine(point)
    registers = registers_of(*point, x, 2 * y)
    machine(NATIVE["PROGRAMS"][0], registers)
    assert registers[2] == 0
    machine(NATIVE["DOUBLE"], registers, 2)
    assert registers[2] == 0


def test_entering_and_leaving():
    registers = registers_of()
    registers[:3] = [5, P - 1, 1]
    machine(NATIVE["ENTER"], registers)
    assert registers[:3] == [5 * R % P, -R % P, R % P]
    assert registers[2] == int.from_bytes(NATIVE["ONE"], "little")
    machine(NATIVE["LEAVE"], registers)
    assert registers[:3] == [5, P - 1, 1]


@pytest.mark.parametrize("name", ("plain", "high", "native"))
def test_base_point_tables(name):
    table, width, shift = {
        "plain": (_p256_table.ODD_MULTIPLES, _p256_plain._WIDTH, 0),
        "high": (_p256_high.HIGH_MULTIPLES, _p256_plain._WIDTH_HIGH, 128),
        "native": (NATIVE["_TABLE"], NATIVE["_WIDTH_G"], 0),
    }[name]
    order, factor = ("little", R) if name == "native" else ("big", 1)
    assert len(table) == 64 << width - 2
    for i in range(len(table) // 64):
        scalar = (2 * i + 1 << shift) % N
        numbers = ec.derive_private_key(scalar, ec.SECP256R1()).public_key().public_numbers()
        x, w = numbers.x * factor % P, 2 * numbers.y * factor % P
        assert table[64 * i : 64 * i + 64] == x.to_bytes(32, order) + w.to_bytes(32, order)


def test_native_code_is_not_for_cpython():
    assert p256.combine is _p256_plain.combine
    spec = importlib.util.find_spec("uward.crypto._p256_native")
    assert spec is not None
    with pytest.raises(ImportError):
        importlib.import_module("uward.crypto._p256_native")
    assert issubclass(BadSignature, Exception)
