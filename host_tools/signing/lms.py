"""HSS-LMS with one level (RFC 8554; SHA-256/192 sets: SP 800-208): the mathematics, no state.

Nothing here keeps an index from being used twice: sign through `lms_key`, which does.
A software signer is sound engineering, but never "SP 800-208 conformant": that standard wants
the key made and used inside hardware that does not export it.
"""

import secrets
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from multiprocessing import get_context

from host_tools.errors import UsageError

I_SIZE = 16  # bytes of the key pair identifier I
W = 4  # Winternitz parameter in bits: 16 values a coefficient
CHAIN = (1 << W) - 1  # hash steps in a whole chain
HEIGHTS = (5, 10, 15, 20)
DIGEST_SIZES = (24, 32)  # bytes: SHA-256/192 (SP 800-208), SHA-256
D_PBLC, D_MESG, D_LEAF, D_INTR = b"\x80\x80", b"\x81\x81", b"\x82\x82", b"\x83\x83"  # 8554 7.1
LEAVES_A_JOB = 256  # a fifth of a second of work: progress moves, processes are not starved
PARALLEL_FROM = 1 << 12  # leaves; below, starting processes costs more than it saves

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Parameters:
    """One parameter set. `n` is the size in bytes of every hash, `p` the number of chains."""

    n: int
    height: int

    @property
    def lms_type(self) -> int:
        base = {24: 10, 32: 5}[self.n]  # LMS_SHA256_M24_H5, LMS_SHA256_M32_H5
        return base + HEIGHTS.index(self.height)

    @property
    def ots_type(self) -> int:
        return {24: 7, 32: 3}[self.n]  # LMOTS_SHA256_N24_W4, LMOTS_SHA256_N32_W4

    @property
    def p(self) -> int:
        return self.n * 8 // W + 3  # 3 coefficients of checksum (RFC 8554 appendix B)

    @property
    def leaves(self) -> int:
        return 1 << self.height

    @property
    def name(self) -> str:
        return f"SHA256_M{self.n}_H{self.height}/N{self.n}_W{W}"


@dataclass(frozen=True)
class Secret:
    """What a key pair is made from: identifier I (16 bytes) and SEED (n bytes)."""

    parameters: Parameters
    identifier: bytes
    seed: bytes


def parameters(height: int, n: int = 24) -> Parameters:
    """The set with this tree height and hash size. Raises UsageError for one that we lack."""
    if height not in HEIGHTS or n not in DIGEST_SIZES:
        raise UsageError(
            f"LMS: expected a height of {HEIGHTS} and a hash of {DIGEST_SIZES} bytes, "
            f"got {height} and {n}"
        )
    return Parameters(n, height)


def new_secret(chosen: Parameters) -> Secret:
    """A fresh identifier and seed."""
    return Secret(chosen, secrets.token_bytes(I_SIZE), secrets.token_bytes(chosen.n))


def build_tree(secret: Secret, processes: int = 2, progress: Progress | None = None) -> bytes:
    """All nodes T[1] .. T[2^(h+1) - 1], n bytes each (RFC 8554 5.3): 1.5 MB for M24 H15.

    `progress(done, total)` counts leaves.
    """
    total = secret.parameters.leaves
    leaves: list[bytes] = []
    for part in _leaf_parts(secret, processes):
        leaves += part
        if progress is not None:
            progress(len(leaves), total)
    return _interior(secret, leaves)


def public_key(secret: Secret, tree: bytes) -> bytes:
    """HSS public key with L = 1 (RFC 8554 6): 52 bytes with M24, 60 with M32."""
    chosen = secret.parameters
    head = _u32(1) + _u32(chosen.lms_type) + _u32(chosen.ots_type)
    return head + secret.identifier + _node(tree, 1, chosen.n)


def sign(secret: Secret, tree: bytes, index: int, message: bytes) -> bytes:
    """HSS signature with L = 1 (RFC 8554 6.2). `index` must never have been used before."""
    chosen = secret.parameters
    randomizer = secrets.token_bytes(chosen.n)
    iq = secret.identifier + _u32(index)
    digest = sha256(iq + D_MESG + randomizer + message).digest()[: chosen.n]
    chains = (
        _chain(iq, i, 0, steps, _start(iq, i, secret.seed, chosen.n), chosen.n)
        for i, steps in enumerate(coefficients(digest))
    )
    ots = _u32(chosen.ots_type) + randomizer + b"".join(chains)
    path = _path(tree, index, chosen)
    return _u32(0) + _u32(index) + ots + _u32(chosen.lms_type) + path


def coefficients(digest: bytes) -> list[int]:
    """The digest and its checksum in 4-bit values (RFC 8554 4.4; ls = 4 for both sets)."""
    values = [nibble for byte in digest for nibble in (byte >> 4, byte & 15)]
    checksum = sum(CHAIN - value for value in values)
    return values + [(checksum >> shift) & 15 for shift in (8, 4, 0)]


def index_of(signature: bytes) -> int:
    """The one-time index q in an HSS signature with L = 1. Raises UsageError when too short."""
    if len(signature) < 8:
        raise UsageError(f"HSS-LMS signature: expected at least 8 bytes, got {len(signature)}")
    return int.from_bytes(signature[4:8], "big")


def leaf_range(secret: Secret, first: int, count: int) -> list[bytes]:
    """Leaf nodes first .. first + count - 1; runs in a process of its own."""
    chosen = secret.parameters
    tables = [[_u16(i) + bytes([j]) for j in range(CHAIN)] for i in range(chosen.p)]
    return [_leaf(secret, q, tables) for q in range(first, first + count)]


def _leaf(secret: Secret, q: int, tables: list[list[bytes]]) -> bytes:
    # RFC 8554 4.3 and appendix A. This loop is the whole cost of a key: 26.7 million hashes at
    # H15, so it is written flat.
    chosen, seed = secret.parameters, secret.seed
    n, iq = chosen.n, secret.identifier + _u32(q)
    public = sha256(iq + D_PBLC)
    for i, table in enumerate(tables):
        value = _start(iq, i, seed, n)
        for step in table:
            value = sha256(iq + step + value).digest()[:n]
        public.update(value)
    node = _u32(chosen.leaves + q)
    return sha256(secret.identifier + node + D_LEAF + public.digest()[:n]).digest()[:n]


def _leaf_parts(secret: Secret, processes: int) -> Generator[list[bytes]]:
    total = secret.parameters.leaves
    starts = range(0, total, min(LEAVES_A_JOB, total))
    count = min(LEAVES_A_JOB, total)
    if total < PARALLEL_FROM or processes < 2:
        for first in starts:
            yield leaf_range(secret, first, count)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        jobs = len(starts)
        yield from pool.map(leaf_range, [secret] * jobs, starts, [count] * jobs)


def _interior(secret: Secret, leaves: list[bytes]) -> bytes:
    n, total = secret.parameters.n, secret.parameters.leaves
    nodes = [b""] * total + leaves
    for r in range(total - 1, 0, -1):
        pair = nodes[2 * r] + nodes[2 * r + 1]
        nodes[r] = sha256(secret.identifier + _u32(r) + D_INTR + pair).digest()[:n]
    return b"".join(nodes)


def _path(tree: bytes, index: int, chosen: Parameters) -> bytes:
    node, path = chosen.leaves + index, b""
    while node > 1:
        path += _node(tree, node ^ 1, chosen.n)
        node >>= 1
    return path


def _node(tree: bytes, r: int, n: int) -> bytes:
    return tree[(r - 1) * n : r * n]


def _start(iq: bytes, i: int, seed: bytes, n: int) -> bytes:
    # RFC 8554 appendix A: x_q[i] = H(I || u32str(q) || u16str(i) || u8str(0xff) || SEED)
    return sha256(iq + _u16(i) + b"\xff" + seed).digest()[:n]


def _chain(iq: bytes, i: int, first: int, last: int, value: bytes, n: int) -> bytes:
    for j in range(first, last):
        value = sha256(iq + _u16(i) + bytes([j]) + value).digest()[:n]
    return value


def _u16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "big")
