"""The outbox: bounded by bytes, declared overflow, no gap in what is sent."""

import random

from uward import limits

OVERHEAD = limits.OUTBOX_OVERHEAD


def test_oldest_unsent_pack_makes_way(device):
    room = 3 * (OVERHEAD + 10)
    took, left, dropped = device("device_outbox", "overflow", room, [10] * 5, [], 0)
    assert took == [True] * 5
    assert left == [[1, 2], [2, 3], [3, 4]]  # numbered without a gap
    assert dropped == 2


def test_sent_and_critical_packs_stay(device):
    room = 3 * (OVERHEAD + 10)
    took, left, dropped = device("device_outbox", "overflow", room, [10] * 5, [1], 1)
    assert took == [True] * 5
    assert left == [[1, 0], [2, 1], [3, 4]]
    assert dropped == 2


def test_a_pack_is_refused_when_nothing_can_make_way(device):
    room = 2 * (OVERHEAD + 10)
    took, left, dropped = device("device_outbox", "overflow", room, [10] * 3, [0, 1, 2], 0)
    assert took == [True, True, False]
    assert left == [[1, 0], [2, 1]]
    assert dropped == 1


def test_a_pack_larger_than_the_outbox_is_refused(device):
    took, left, dropped = device("device_outbox", "overflow", 300, [10, 301], [], 0)
    assert took == [True, False]
    assert left == [[1, 0]]
    assert dropped == 1


def test_random_histories_have_no_gap_and_lose_nothing_uncounted(device):
    rng = random.Random(4)
    for capacity in (600, 2000, 8192):
        steps = []
        for _ in range(400):
            kind = rng.choice("aapk")
            steps.append([kind, rng.randrange(200) if kind == "a" else rng.randrange(300)])
        out = device("device_outbox", "history", steps, capacity)
        sequences, whens, dropped, appended, refused, worst = out
        assert sequences == list(range(1, len(sequences) + 1))
        assert whens == sorted(set(whens))
        assert worst <= capacity
        assert len(whens) + dropped <= appended
        assert refused <= dropped
