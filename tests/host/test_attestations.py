"""Whom the collector asks, what it keeps, and what the inventory makes of it."""

import json
from dataclasses import replace

import pytest
from collector_kit import ALICE, NOW, of

from host_tools.fleet import attest, attestations
from host_tools.fleet.attestations import Attestations, Folder, Result
from host_tools.fleet.collector import Collector
from host_tools.fleet.inventory import Device
from host_tools.fleet.offers import Releases

RECORD = Device(ALICE, "unix", "00", "11" * 64, "11" * 64, "01", 1000)
GOOD = Result(ALICE, "TRUSTED", [], 2000.0, "", "", {}, 3, 9)


def unknown_board(board):
    raise AssertionError("nothing is compared before the signature is checked")


@pytest.fixture
def bench(bench, tmp_path):
    bench.folder_of = Folder(tmp_path / "attest")
    bench.attestations = Attestations(bench.folder_of, unknown_board)
    releases = Releases(tmp_path / "releases", lambda: 0.0)
    bench.collector = Collector(
        bench.store, bench.inventory, releases, bench.private, bench.time, bench.publications,
        bench.attestations,
    )  # fmt: skip
    return bench


def test_each_hello_is_asked_after_the_time(bench):
    alice = bench.device()
    outcome = bench.hand(alice, "att", alice.hello())
    purposes = [down.purpose for down in outcome.down]
    assert purposes.index("time") < purposes.index("att")
    nonce, _, _ = alice.open("att", of(outcome, "att")[0])
    assert len(nonce) == attestations.NONCE


def test_a_question_of_the_verb_is_asked_once(bench):
    alice = bench.device()
    bench.hand(alice, "att", alice.hello())
    nonce = bench.folder_of.ask(ALICE)
    (down,) = bench.collector.rollout(NOW).down
    assert alice.open("att", down.payload)[0] == nonce
    assert bench.collector.rollout(NOW).down == []


def test_a_question_is_put_again_to_a_device_that_was_reset(bench):
    alice = bench.device()
    bench.hand(alice, "att", alice.hello())
    nonce = bench.folder_of.ask(ALICE)
    bench.collector.rollout(NOW)  # sealed for this boot, which is over
    alice.boot()
    outcome = bench.hand(alice, "att", alice.hello())
    assert alice.open("att", of(outcome, "att")[0])[0] == nonce


def test_an_answer_that_does_not_verify_is_an_event_and_the_verdict(bench):
    alice = bench.device()
    outcome = bench.hand(alice, "att", alice.hello())
    nonce, _, _ = alice.open("att", of(outcome, "att")[0])
    bench.hand(alice, "att", alice.seal("att", b"no token at all" + nonce))
    assert bench.events() == [(ALICE, "att.unknown")]
    assert bench.folder_of.load(ALICE).status == "UNKNOWN"


def test_an_answer_that_nobody_waits_for_changes_nothing(bench):
    alice = bench.device()
    bench.folder_of.save(GOOD)
    bench.hand(alice, "att", alice.hello())
    bench.hand(alice, "att", alice.seal("att", b"an old token"))
    assert bench.events() == [(ALICE, "att.unknown")]
    assert "answers no question" in bench.reasons()[-1]
    assert bench.folder_of.load(ALICE) == GOOD


def test_a_nonce_is_good_once_and_for_a_while(bench):
    made = bench.attestations
    nonce = made.challenge(ALICE, NOW)
    assert made._taken(ALICE, b"x" + nonce, NOW) == nonce
    with pytest.raises(Exception, match="answers no question"):
        made._taken(ALICE, nonce, NOW)
    nonce = made.challenge(ALICE, NOW)
    with pytest.raises(Exception, match="answers no question"):
        made._taken(ALICE, nonce, NOW + attestations.ANSWER_S + 1)


def test_questions_that_wait_are_bounded(bench):
    nonces = [bench.attestations.challenge(ALICE, NOW) for _ in range(attestations.PENDING + 3)]
    assert len(bench.attestations._pending[ALICE]) == attestations.PENDING
    with pytest.raises(Exception, match="answers no question"):
        bench.attestations._taken(ALICE, nonces[0], NOW)


@pytest.mark.parametrize(
    ("result", "seen", "clones", "status", "says"),
    [
        (None, None, None, "UNKNOWN", "never attested"),
        (GOOD, 1999.0, None, "TRUSTED", ""),
        (replace(GOOD, time=999.0), None, None, "UNKNOWN", "never attested since"),
        (replace(GOOD, status="UNKNOWN", reasons=["x"]), None, None, "UNKNOWN", "x"),
        (GOOD, 1999.0, 1500.0, "CLONED", "two boards"),
        (GOOD, 1999.0, 500.0, "TRUSTED", ""),  # enrolled anew since
        (replace(GOOD, status="DEVELOPMENT"), 1999.0, None, "DEVELOPMENT", ""),
    ],
)
def test_standing(result, seen, clones, status, says):
    got, reasons = attestations.standing(result, RECORD, seen, clones, 2100.0)
    assert got == status and says in "; ".join(reasons)


def test_a_verdict_grows_stale():
    late = 2000.0 + attestations.STALE_S + 1
    assert attestations.standing(GOOD, RECORD, 1999.0, None, late)[0] == attest.STALE
    silent = attestations.standing(GOOD, RECORD, 3000.0, None, 3001.0 + attestations.ANSWER_S)
    assert silent == (attest.STALE, ["it connected and did not answer when it was asked"])
    assert attestations.standing(GOOD, RECORD, 3000.0, None, 3001.0)[0] == "TRUSTED"


def test_a_stolen_device_is_shown_as_stolen():
    stolen = replace(RECORD, status="stolen")
    assert attestations.standing(GOOD, stolen, 1999.0, None, 2100.0)[0] == "STOLEN"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"device": 1}'])
def test_a_damaged_verdict_is_none(tmp_path, text):
    folder = Folder(tmp_path)
    folder.save(GOOD)
    (tmp_path / f"{ALICE}.json").write_text(text)
    assert folder.load(ALICE) is None


@pytest.mark.parametrize("text", ["", "{}", json.dumps({"nonce": "zz"}), '{"nonce": "00"}'])
def test_a_damaged_question_is_not_asked(tmp_path, text):
    (tmp_path / f"{ALICE}.ask").write_text(text)
    assert Folder(tmp_path).asked() == []
