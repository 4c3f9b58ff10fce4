"""MicroPython's own updates, on a model of esp32.Partition: kept, given up, refused (ADR 0016)."""

import random

import cbor2
import pytest
from uward.trust import suit

from tests.device import boot_kit as kit

IDS = [kit.VENDOR.hex(), kit.CLASS.hex(), kit.DEVICE, kit.NOW]
APPLICATION = b"\xe9" + random.Random(3).randbytes(5 * 4096 + 700)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    return kit.Fleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def trusted(fleet):
    return fleet.signed(fleet.document()).hex()


def release(fleet, sequence=7, **options):
    options = {"version": "1.28.0", "component": "interpreter", **options}
    return fleet.release(APPLICATION, sequence=sequence, **options)


@pytest.fixture
def given(fleet, trusted, tmp_path):
    """Arguments of the runs: folder, envelope, trust document, ids, file with the payload."""
    envelope, payload = release(fleet)
    (tmp_path / "payload").write_bytes(payload)
    return [str(tmp_path / "root"), envelope.hex(), trusted, IDS, str(tmp_path / "payload")]


def name(given):
    return suit.parse(bytes.fromhex(given[1])).digest[:8].hex()


@pytest.mark.parametrize("stops", [[], [3], [1, 2, 5]])
def test_it_is_written_tried_and_kept(device, given, stops):
    began, events, told, sequences, waits, state, states, left = device(
        "device_interpreter", "installed", *given, stops
    )
    assert began == [0, *stops]  # a reset costs no block
    assert not left
    assert events == [
        ["upd.trial", "interpreter 1.28.0"],
        ["upd.confirmed", "interpreter 1.28.0"],
    ]
    assert told == [[name(given), "confirmed", "1.28.0"], "hello"]
    assert sequences == [7, 7] and waits == 1 and state == [7, 1, False]
    assert states == [1, "valid", "valid"]


def test_an_encrypted_one_is_opened_on_the_way(device, given, fleet, trusted, tmp_path):
    kek = fleet.kek
    envelope, payload = release(fleet, encrypt=(kek.kid, kek.key))
    (tmp_path / "payload").write_bytes(payload)
    given[1] = envelope.hex()
    got = device("device_interpreter", "installed", *given, [2], [[kek.kid.hex(), kek.key.hex()]])
    assert got[0] == [0, 0] and got[5:7] == [[7, 1, False], [1, "valid", "valid"]]


@pytest.mark.parametrize("how", ["ill", "crash"])
def test_one_that_does_not_prove_itself_is_given_up(device, given, how):
    reset, events, told, state, running = device("device_interpreter", "reverted", *given, how)
    assert reset == (how == "ill")
    assert events == [
        ["upd.trial", "interpreter 1.28.0"],
        ["upd.reverted", "interpreter 1.28.0 failed its trial"],
    ]
    assert told == [[name(given), "reverted"]]
    assert state == [0, 0, False] and running == 0


def test_a_cut_before_the_boot_loader_heard_of_it_changes_nothing(device, given):
    got = device("device_interpreter", "reverted", *given, "cut")
    assert got == [False, [], [], [0, 0, False], 0]


def test_a_broker_that_is_down_does_not_end_a_trial(device, given):
    assert device("device_interpreter", "patience", *given) is False


def test_what_is_not_for_this_board_is_refused(device, fleet, trusted, tmp_path):
    good, image = release(fleet)[0], release(fleet, component="image")[0]
    trial = cbor2.dumps([6, 1, [bytes(8), 7, 1, "1.27", "ota_1", 1]]).hex()
    sealed = {text: cbor2.dumps(value).hex() for text, value in {"seq": [7, 1, None],
              "floor": [6, 2, None]}.items()}  # fmt: skip
    cases = {
        "good": (good, None, 8, 2, ""),
        "one partition": (good, None, 8, 1, "upd.wrong_class: interpreter: expected two"),
        "too large": (good, None, 5, 2, "upd.refused: interpreter: expected <= 20480 bytes"),
        "on trial": (good, trial, 8, 2, "upd.refused: interpreter: expected a confirmed one"),
        "the same again": (good, sealed["seq"], 8, 2, "upd.rollback: interpreter: expected seq"),
        "below the floor": (good, sealed["floor"], 8, 2, "upd.rollback: interpreter: expected"),
        "an image": (image, None, 8, 2, "upd.wrong_class: manifest: expected component"),
        "one role": (release(fleet, who=("release",))[0], None, 8, 2, "upd.quorum: "),
        "another class": (release(fleet, class_id=bytes(16))[0], None, 8, 2, "upd.wrong_class"),
        "late": (release(fleet, use_before=kit.NOW - 1)[0], None, 8, 2, "upd.expired: "),
    }  # fmt: skip
    sent = [[case[0].hex(), *case[1:4]] for case in cases.values()]
    got = device("device_interpreter", "refusals", str(tmp_path / "root"), sent, trusted, IDS)
    for (what, case), said in zip(cases.items(), got, strict=True):
        assert said.startswith(case[4]) and bool(said) == bool(case[4]), (what, said)


def test_spoiled_blocks_and_flash_are_refused(device, given):
    flipped, short, other, untouched, changed, idf, state, chosen = device(
        "device_interpreter", "spoiled", *given
    )
    assert flipped == "upd.bad_digest: block 0: expected its hash, got another"
    assert short == other == "upd.bad_digest: block: expected 0, got another"
    assert untouched
    assert changed == "upd.bad_digest: interpreter: expected its digest, got another"
    assert idf.startswith("upd.bad_digest: interpreter: refused by ESP-IDF: OSError(5379")
    assert state == [0, 0, False] and chosen == 0


def test_the_component_is_told_from_an_image(device, fleet):
    cases = [release(fleet)[0], release(fleet, component="image")[0], b"", b"\xff" * 9]
    got = device("device_interpreter", "components", [case.hex() for case in cases])
    assert got == [True, False, False, False]


def test_a_board_with_one_partition_says_nothing_of_it(device, tmp_path):
    assert device("device_interpreter", "single", str(tmp_path)) == [{}, 0, []]
