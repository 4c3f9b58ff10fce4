"""Promise 3 for the store: a power cut at any flash operation leaves it before or after the step.

Workloads come from hypothesis; the model is a dict. Limits are small, so that segments are
rotated and cleaned within a few steps. A cut must not look like tampering either.
"""

import copy
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uward import limits
from uward.vault.store import Store

from tests.powerfail.vault_kit import KEY, Bench

NAMES = [f"name{i}" for i in range(6)]
VALUES = st.one_of(
    st.integers(-5, 5),
    st.none(),
    st.binary(max_size=90),
    st.binary(min_size=400, max_size=600),
)
STEPS = st.lists(
    st.one_of(
        st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=3),
        st.sampled_from(NAMES),
    ),
    min_size=6,
    max_size=16,
)
SETTINGS = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.setattr(limits, "STORE_SEGMENTS", 2)
    return Bench(monkeypatch, lambda report, new: Store("/v", KEY, report=report, create=new))


def apply(store, step):
    if isinstance(step, dict):
        store.update(step)
    elif step in store:
        store.delete(step)


def model_after(model, step):
    after = dict(model)
    if isinstance(step, dict):
        after.update(step)
    else:
        after.pop(step, None)
    return after


def test_every_cut_leaves_old_or_new(bench):
    @SETTINGS
    @given(STEPS)
    def histories(steps):
        store, model = bench.blank(), {}
        for step in steps:
            after = model_after(model, step)
            allowed = (model, after)
            bench.sweep(store, partial(apply, step=step), partial(check, allowed=allowed))
            model = after
        assert dict(store.items()) == model

    def check(store, allowed):
        state = dict(store.items())
        assert state in allowed
        store.set("again", 1)
        assert store.verify()
        assert dict(bench.open().items()) == {**state, "again": 1}
        assert bench.reports == []

    histories()
    assert bench.cuts > 1000


def test_two_cuts_in_a_row_while_segments_rotate_and_are_cleaned(bench):
    """The second cut hits what the first one left, at every operation of the same step."""
    store, model, busiest = bench.blank(), {}, 0
    for turn in range(40):
        step = {f"name{turn % 5}": bytes(60) + bytes([turn])}
        image, before, operations = bench.flash.image(), copy.deepcopy(store), busy(bench)
        apply(store, step)
        if busy(bench) - operations > busiest:
            busiest = busy(bench) - operations
            worst = (image, before, step, dict(model))
        model.update(step)
    image, before, step, model = worst
    assert busiest > 8  # a segment was begun and another cleaned
    allowed = (model, {**model, **step})
    pairs, first = 0, 1
    again = partial(apply, step=step)
    while bench.cut(image, before, again, first, "torn"):
        left, mounted, second = bench.flash.image(), bench.open(), 1
        while bench.cut(left, mounted, again, second, "half"):
            assert dict(bench.open().items()) in allowed, (first, second)
            pairs += 1
            second += 1
        first += 1
    assert pairs > 50
    assert bench.reports == []


def busy(bench):
    return bench.flash.operations


def test_the_sweep_catches_a_step_that_is_two(bench):
    """The proof of the helper: two sets in a row are seen half done by some cut."""
    store = bench.blank()

    def two(it):
        it.set("a", 1)
        it.set("b", 2)

    def check(it):
        assert dict(it.items()) in ({}, {"a": 1, "b": 2})

    with pytest.raises(AssertionError):
        bench.sweep(store, two, check)
