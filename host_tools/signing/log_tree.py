"""The Merkle tree of a log (RFC 9162 2.1), over SHA-256: roots, proofs, and how they are checked.

Pure. A leaf is given by its hash, `leaf_hash(entry)`; proofs are lists of hashes of 32 bytes.
"""

from collections.abc import Sequence
from hashlib import sha256

HASH = 32  # bytes
EMPTY = sha256(b"").digest()  # RFC 9162 2.1.1: the tree without a leaf


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """RFC 9162 2.1.1: the hash of the whole tree."""
    if not leaves:
        return EMPTY
    # A full subtree of 2^k leaves a stack entry; merged when two of one size meet.
    stack: list[tuple[int, bytes]] = []
    for leaf in leaves:
        size, value = 1, leaf
        while stack and stack[-1][0] == size:
            value, size = node_hash(stack.pop()[1], value), size * 2
        stack.append((size, value))
    _, value = stack.pop()
    while stack:
        value = node_hash(stack.pop()[1], value)
    return value


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """RFC 9162 2.1.3.1: the path that proves that leaf `index` is in the tree."""
    path: list[bytes] = []
    first, count = 0, len(leaves)
    while count > 1:
        split = _split(count)
        if index - first < split:
            path.append(root(leaves[first + split : first + count]))
            count = split
        else:
            path.append(root(leaves[first : first + split]))
            first, count = first + split, count - split
    return path[::-1]


def consistency(leaves: Sequence[bytes], size: int) -> list[bytes]:
    """RFC 9162 2.1.4.1: proves that the first `size` leaves are an older state of this tree."""
    path: list[bytes] = []
    first, count, whole = 0, len(leaves), True
    while size != count:
        split = _split(count)
        if size <= split:
            path.append(root(leaves[first + split : first + count]))
            count = split
        else:
            path.append(root(leaves[first : first + split]))
            first, count, size, whole = first + split, count - split, size - split, False
    if not whole:
        path.append(root(leaves[first : first + count]))
    return path[::-1]


def included(leaf: bytes, index: int, size: int, path: Sequence[bytes], top: bytes) -> bool:
    """RFC 9162 2.1.3.2: whether `path` leads from the leaf at `index` to the root `top`."""
    if not 0 <= index < size:
        return False
    node, last, value = index, size - 1, leaf
    for step in path:
        if not last:
            return False
        if node & 1 or node == last:
            value = node_hash(step, value)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            value = node_hash(value, step)
        node, last = node >> 1, last >> 1
    return not last and value == top


def consistent(
    old_size: int, old_root: bytes, size: int, new_root: bytes, path: Sequence[bytes]
) -> bool:
    """RFC 9162 2.1.4.2: whether the tree of `size` leaves begins with that of `old_size`."""
    if not 0 < old_size <= size:
        return False
    if old_size == size:
        return not path and old_root == new_root
    steps = list(path)
    if old_size & (old_size - 1) == 0:
        steps.insert(0, old_root)
    if not steps:
        return False
    node, last = old_size - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if not last:
            return False
        if node & 1 or node == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, step)
        node, last = node >> 1, last >> 1
    return not last and old == old_root and new == new_root


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1
