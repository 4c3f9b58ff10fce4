"""The update state machine, every reachable world of it, every event, every cut between two
durable steps: see SPEC 15 for the table that the model follows (T11, T12; S1-S4)."""

import functools

import pytest
import update_model as model


@pytest.fixture(autouse=True)
def fast_records(monkeypatch):
    monkeypatch.setattr(model.records, "hmac", model.fast_mac)


@pytest.mark.parametrize(
    ("faults", "releases", "worlds"),
    [(0, ("second", "third", "fourth"), 5_000), (1, ("second",), 20_000)],
)
def test_no_event_and_no_cut_breaks_a_promise(faults, releases, worlds):
    """A slot or a copy of the record, or both, may rot once; `make cuts` looks at more worlds."""
    found, transitions, cuts = model.explore(faults, releases)
    print("%d worlds, %d transitions, %d of them cuts" % (found, transitions, cuts))
    assert found > worlds
    assert cuts > found


@pytest.mark.parametrize(
    ("procedure", "says"),
    [("install", "a confirmed slot 0 is whole"), ("confirm", "both copies have the floor")],
)
def test_the_check_notices_a_careless_order(monkeypatch, procedure, says):
    careless = functools.partial(getattr(model, procedure), careless=True)
    monkeypatch.setattr(model, procedure, careless)
    with pytest.raises(model.Broken, match=says) as caught:
        model.explore(0, ("second", "fourth"))
    assert "start; boot; install second" in str(caught.value)
