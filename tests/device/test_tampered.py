"""T10, T13: payloads changed, cut short, prolonged, mixed up or without an end. Nothing of them is
written, what runs stays as it is, and the fourth bad block ends the download by its name."""

import random

import pytest

from tests.device import boot_kit as kit
from tests.device.test_install import IDS, IMAGE

BLOCKS = [IMAGE[at : at + 4096] for at in range(0, len(IMAGE), 4096)]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    return kit.Fleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture
def feed(device, fleet, tmp_path):
    trusted = fleet.signed(fleet.document()).hex()
    envelope = fleet.release(IMAGE, sequence=2)[0].hex()

    def run(*parts):
        sent = [[index, data.hex()] for index, data in parts]
        found = device("device_tampered", "feed", str(tmp_path), envelope, trusted, IDS, sent)
        told, written, size, kept, owned = found
        assert kept and owned == [True, False]
        assert size == min(written * 4096, len(IMAGE))
        return told, written

    return run


def flipped(block, seed):
    at = random.Random(seed).randrange(len(block))
    return block[:at] + bytes([block[at] ^ 1 << seed % 8]) + block[at + 1 :]


@pytest.mark.parametrize("bad", range(len(BLOCKS)))
def test_one_changed_byte_in_any_block_is_noticed_before_it_is_written(feed, bad):
    good = [(index, BLOCKS[index]) for index in range(bad)]
    told, written = feed(*good, *[(bad, flipped(BLOCKS[bad], seed)) for seed in range(4)])
    expected = f"upd.bad_digest: block {bad}: expected its hash, got another"
    assert told == ["taken"] * bad + ["", "", "", expected]
    assert written == bad


def test_a_block_that_comes_again_right_is_taken(feed):
    told, written = feed((0, flipped(BLOCKS[0], 1)), (0, BLOCKS[0]), (1, BLOCKS[1]))
    assert (told, written) == (["", "taken", "taken"], 2)


def test_a_payload_cut_short_or_prolonged_is_no_payload(feed):
    good = list(enumerate(BLOCKS[:-1]))
    last = len(BLOCKS) - 1
    ends = [BLOCKS[-1][:-1], BLOCKS[-1] + b"\0", b"", BLOCKS[-1] + bytes(4096 - 100)]
    told, written = feed(*good, *[(last, end) for end in ends])
    assert told[:-1] == ["taken"] * last + [""] * 3
    assert (
        told[-1] == f"upd.bad_digest: block: expected {last} with 100 bytes, got {last} with 4096"
    )
    assert written == last


def test_endless_data_ends_with_the_declared_size(feed):
    whole = list(enumerate(BLOCKS))
    more = [(len(BLOCKS) + i, bytes(4096)) for i in range(40)]
    told, written = feed(*whole, *more)
    assert told == ["taken"] * len(BLOCKS) + [""] * 40
    assert written == len(BLOCKS)


def test_blocks_of_another_release_or_another_place_do_not_mix(feed):
    older = random.Random(8).randbytes(4096)
    told, written = feed((0, older), (0, BLOCKS[1]), (0, BLOCKS[2]), (0, BLOCKS[3]))
    assert told[-1].startswith("upd.bad_digest: block 0")
    assert written == 0
