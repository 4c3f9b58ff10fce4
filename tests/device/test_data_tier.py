"""The data tier's locks (S9): what opens them, what does not, and what a try costs."""

import hashlib

import pytest

SHARE = "5a" * 32
LOCKED = "KeyLocked data.locked: data: expected a PIN or the collector's share before, got none"
WRONG_PIN = "KeyLocked data.locked: data: expected the right PIN, got another"


@pytest.mark.parametrize("rounds", [1, 2, 33, 100])
def test_a_pin_is_stretched_by_pbkdf2(device, rounds):
    got = device("device_data", "stretched", "482913", "00112233445566778899aabbccddeeff", rounds)
    salt = bytes.fromhex("00112233445566778899aabbccddeeff")
    assert got == hashlib.pbkdf2_hmac("sha256", b"482913", salt, rounds).hex()


def test_without_a_lock_the_root_stands_for_it(device, tmp_path):
    assert device("device_data", "plain", str(tmp_path)) == [None, True]


def test_only_the_collectors_share_opens_it(device, tmp_path):
    told = device("device_data", "network", str(tmp_path), SHARE, ["5b" * 32, 7, SHARE, "5b" * 32])
    kind, locked, other, nonsense, opened, again, secret = told
    assert (kind, locked) == (2, LOCKED)
    wrong = "KeyLocked data.locked: data: expected the right share, got another"
    assert other == [wrong, []]
    assert nonsense[0].startswith("ProtocolError proto.malformed: key: expected a share")
    assert opened == [None, ["data.unlocked"]]
    assert again == [None, []]  # it stays open until the next boot
    assert len(secret) == 64 and secret != bytes(range(32)).hex()


def test_what_is_no_lock_is_refused(device, tmp_path):
    kind, share, short, long = device("device_data", "refusals", str(tmp_path))
    assert kind == "CodecError proto.malformed: data: expected kind 1 or 2, got 3"
    assert share == "KeyRefused None: data: expected a share of 32 bytes, got 31"
    assert short == "KeyRefused None: pin: expected 4..32 bytes, got 3"
    assert long == "KeyRefused None: pin: expected 4..32 bytes, got 33"


def test_wrong_pins_cost_time_that_doubles_and_outlives_a_boot(device, tmp_path):
    told = device("device_data", "pins", str(tmp_path), [
        [0, "000000"], [0, "111111"], [0, "222222"],  # three are free
        [29_000, "482913"],  # too early, also for the right one
        [30_000, "333333"],
        [60_000, "482913"],
        [0, "boot"],
        [59_000, "482913"],
        [60_000, "482913"],
    ])  # fmt: skip
    assert told[:3] == [WRONG_PIN] * 3
    assert told[3] == "KeyLocked data.locked: pin: expected none for 2 s, got one"
    assert told[4] == WRONG_PIN
    assert told[5] == "KeyLocked data.locked: pin: expected none for 31 s, got one"
    assert told[6] == 60_000
    assert told[7] == "KeyLocked data.locked: pin: expected none for 2 s, got one"
    assert told[8:] == [None, 0, True]


def test_a_cut_buys_no_try(device, tmp_path):
    assert device("device_data", "cut_while_judged", str(tmp_path)) == 1


def test_the_wait_ends_at_an_hour(device, tmp_path):
    tries = [[n * 4_000_000, "000000"] for n in range(12)]
    told = device("device_data", "pins", str(tmp_path), [*tries, [0, "boot"]])
    assert told[-3:] == [3_600_000, 12, False]


def test_a_rotation_of_the_root_keeps_the_lock(device, tmp_path):
    assert device("device_data", "survives_rotation", str(tmp_path), SHARE) is True
