"""Enrolment refuses what is out of order, before it writes anything (SPEC 7, S8)."""

import cbor2
import pytest

NONCE = "hex:" + "11" * 32
ENTROPY = "hex:" + "22" * 32
DEVICE = "abcdefgh12345678"


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "flash"
    for name in ("rec", "id", "trust", "slot"):
        (folder / name).mkdir(parents=True)
    return folder


@pytest.mark.parametrize("state", [1, 2, 3])
def test_an_enrolled_board_is_not_enrolled_again(device, root, state):
    steps = [
        ["request", [NONCE, ENTROPY, DEVICE]],
        ["accept", ["hex:a0"]],
        ["lock", []],
    ]
    for told in device("device_enrol", "calls", str(root), state, steps):
        assert told.startswith(f"BootRefused: enrol: expected state factory, got {state}")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["hex:11", ENTROPY, DEVICE], "a nonce and entropy of 32 bytes"),
        ([NONCE, "hex:" + "22" * 33, DEVICE], "a nonce and entropy of 32 bytes"),
        ([NONCE, ENTROPY, "short"], "a device id [a-z0-9]{16,32}"),
        ([NONCE, ENTROPY, "a" * 33], "a device id [a-z0-9]{16,32}"),
        ([NONCE, ENTROPY, "Abcdefgh12345678"], "a device id [a-z0-9]{16,32}"),
        ([NONCE, ENTROPY, "abcdefgh/2345678"], "a device id [a-z0-9]{16,32}"),
    ],
)
def test_a_bad_request_is_refused(device, root, arguments, says):
    (told,) = device("device_enrol", "calls", str(root), 0, [["request", arguments]])
    assert told.startswith("CodecError: enrol: expected ") and says in told


def test_nothing_is_accepted_without_a_request(device, root):
    config = "hex:" + cbor2.dumps({1: b"", 2: {}, 3: 0}).hex()
    (told,) = device("device_enrol", "calls", str(root), 0, [["accept", [config]]])
    assert told == "KeyRefused: enrol: expected a request before, got none"


def test_a_board_is_locked_into_two_states_only(device, root):
    (told,) = device("device_enrol", "calls", str(root), 0, [["lock", [3]]])
    assert told == "BootRefused: enrol: expected state 1 or 2, got 3"
    assert [path.name for path in (root / "id").iterdir()] == []
