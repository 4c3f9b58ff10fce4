"""The download window: complete under loss, disorder, corruption and resume; bounded waits."""

from itertools import pairwise

import cbor2
import pytest

ID = b"payload1"


def transfer(device, blocks, start=0, seed=1, loss=0, swap=0, corrupt=0, limit=10_000_000):
    return device("device_download", "transfer", blocks, start, seed, loss, swap, corrupt, limit)


def test_an_undisturbed_download_asks_for_each_block_once(device):
    written, requests, ms, refusal = transfer(device, 25)
    assert written == list(range(25)) and refusal is None
    assert ms == 250  # not one time-out
    assert requests <= 13


@pytest.mark.parametrize("blocks", [1, 2, 3, 4, 5])
def test_small_payloads(device, blocks):
    assert transfer(device, blocks)[0] == list(range(blocks))


@pytest.mark.parametrize("start", [0, 1, 24, 25])
def test_it_resumes_where_it_was(device, start):
    assert transfer(device, 25, start)[0] == list(range(start, 25))


@pytest.mark.parametrize("seed", range(6))
def test_loss_disorder_and_corruption_are_survived(device, seed):
    written, _, _, refusal = transfer(device, 60, seed=seed, loss=6, swap=3, corrupt=40)
    assert refusal is None
    assert written == list(range(60))


def test_a_source_of_bad_blocks_is_given_up(device):
    written, requests, _, refusal = transfer(device, 25, corrupt=1)
    assert written == [] and requests <= 16
    assert refusal.startswith("upd.bad_digest: block 0")


def test_waits_double_up_to_a_bound(device):
    asked = device("device_download", "waits", 10)
    assert all(item[1:] == [0, 4] for item in asked)
    times = [item[0] for item in asked]
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps[:7] == [4000, 8000, 16000, 32000, 64000, 128000, 128000]


def test_later_waits_are_shortened_by_chance(device):
    times = [item[0] for item in device("device_download", "waits", 10, 1)]  # all of the part
    assert [b - a for a, b in pairwise(times)][:6] == [4000, 4000, 8000, 16000, 32000, 64000]
    parts = device("device_download", "parts", 1000, 500)
    assert all(0 <= part <= 1000 for part in parts) and max(parts) - min(parts) > 500


def test_a_window_of_one_asks_for_one(device):
    plan = ["ask", "ask", 0, "ask", 2, "ask", 1]
    assert device("device_download", "steps", 20, plan, 1) == [
        [0, 1], None, True, [1, 1], False, None, True
    ]  # fmt: skip


def test_half_of_the_window_is_asked_for_while_the_rest_comes(device):
    plan = ["ask", "ask", 0, "ask", 1, "ask", "ask", 2, 3, "ask"]
    assert device("device_download", "steps", 20, plan) == [
        [0, 4], None, True, None, True, [4, 2], None, True, True, [6, 2]
    ]  # fmt: skip


def test_a_gap_asks_again_at_once(device):
    plan = ["ask", 1, "ask", 0, 1, "ask"]
    assert device("device_download", "steps", 20, plan) == [
        [0, 4], False, [0, 4], True, True, [4, 2]
    ]  # fmt: skip


def test_blocks_that_nobody_asked_for_change_nothing(device):
    assert device("device_download", "steps", 20, ["ask", 9, "ask", 19, "ask"]) == [
        [0, 4], False, None, False, None
    ]  # fmt: skip


def test_a_block_twice_is_taken_once(device):
    assert device("device_download", "steps", 20, ["ask", 0, 0, 1]) == [[0, 4], True, False, True]


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ([ID, 3, b"x"], [3, "78"]),
        ([b"payload2", 3, b"x"], None),
        ([ID, 3], "CodecError: block: expected [payload"),
        ({}, "CodecError: block: expected [payload"),
        ([ID, "3", b"x"], "CodecError: block: expected an index"),
        ([ID, True, b"x"], "CodecError: block: expected an index"),
        ([ID, 3, "x"], "CodecError: block: expected an index"),
    ],
)
def test_blocks_are_parsed_strictly(device, value, got):
    out = device("device_download", "parses", cbor2.dumps(value).hex())
    assert out == got if not isinstance(got, str) else out.startswith(got)


def test_blocks_are_parsed_as_the_decoder_would(device):
    assert device("device_download", "disagreements", 5, 3000) == []
