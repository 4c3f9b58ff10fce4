"""The Merkle tree of the release log, against its own definition and RFC 9162's examples."""

from hashlib import sha256

import pytest

from host_tools.signing import log_tree as tree

MOST = 33  # leaves: every shape of tree up to depth 6


def leaves(count):
    return [tree.leaf_hash(bytes([i])) for i in range(count)]


def by_definition(some):
    """MTH of RFC 9162 2.1.1, as it is written there."""
    if len(some) == 1:
        return some[0]
    split = 1
    while split * 2 < len(some):
        split *= 2
    left, right = by_definition(some[:split]), by_definition(some[split:])
    return sha256(b"\x01" + left + right).digest()


@pytest.mark.parametrize("count", range(1, MOST))
def test_the_root_is_that_of_the_definition(count):
    assert tree.root(leaves(count)) == by_definition(leaves(count))
    assert tree.root([]) == sha256(b"").digest()


def test_paths_of_the_example():
    """RFC 9162 2.1.5: seven leaves; their nodes are named as there."""
    seven = leaves(7)
    a, b, c, d, e, f, j = seven
    g, h, i = (tree.node_hash(*pair) for pair in ((a, b), (c, d), (e, f)))
    k, last = tree.node_hash(g, h), tree.node_hash(i, j)
    assert tree.inclusion(seven, 0) == [b, h, last]
    assert tree.inclusion(seven, 3) == [c, g, last]
    assert tree.inclusion(seven, 4) == [f, j, k]
    assert tree.inclusion(seven, 6) == [i, k]
    assert tree.consistency(seven, 3) == [c, d, g, last]
    assert tree.consistency(seven, 4) == [last]
    assert tree.consistency(seven, 6) == [i, j, k]


@pytest.mark.parametrize("count", range(1, MOST))
def test_inclusion_holds_for_its_leaf_place_and_tree_only(count):
    whole = leaves(count)
    top = tree.root(whole)
    for index in range(count):
        path = tree.inclusion(whole, index)
        assert tree.included(whole[index], index, count, path, top)
        assert not any(
            tree.included(whole[index], other, count, path, top)
            for other in range(count + 1)
            if other != index
        )
        assert not tree.included(whole[index - 1], index, count, path, top) or count == 1
        assert not tree.included(whole[index], index, count, [*path, top], top)
        assert not path or not tree.included(whole[index], index, count, path[:-1], top)


@pytest.mark.parametrize("count", range(1, MOST))
def test_consistency_holds_for_older_states_of_this_tree_only(count):
    whole = leaves(count)
    top = tree.root(whole)
    for size in range(1, count + 1):
        old, path = tree.root(whole[:size]), tree.consistency(whole, size)
        assert tree.consistent(size, old, count, top, path)
        forked = [*whole[: size - 1], tree.leaf_hash(b"other")]
        assert not tree.consistent(size, tree.root(forked), count, top, path)
        assert not tree.consistent(size, old, count, tree.root([*forked, *whole[size:]]), path)
        assert not tree.consistent(size, old, count, top, [*path, top])
        assert not path or not tree.consistent(size, old, count, top, path[:-1])
    assert not tree.consistent(0, tree.EMPTY, count, top, [])
    assert not tree.consistent(count + 1, top, count, top, [])
