"""Promise 3 for the store: a power cut at any flash operation leaves it before or after the step.

Workloads come from hypothesis; the model is a dict. Limits are small, so that segments are
rotated and cleaned within a few steps. A cut must not look like tampering either.
"""

import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uward import limits
from uward.vault import journal
from uward.vault.store import Store

from tests.powerfail.lfs_flash import MODES, Files, Flash, PowerCut, put_under

KEY = bytes(range(32))
NAMES = [f"name{i}" for i in range(6)]
VALUES = st.one_of(
    st.integers(-5, 5), st.none(), st.binary(max_size=90), st.binary(min_size=400, max_size=600)
)
STEPS = st.lists(
    st.one_of(
        st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=3),
        st.sampled_from(NAMES),
    ),
    min_size=6,
    max_size=16,
)


class Bench:
    """A store on a flash that can be set back, and what is reported."""

    def __init__(self, monkeypatch):
        self._monkeypatch = monkeypatch
        self.reports = []
        self.power(Flash(48), True)
        self.store = self.open(True)

    def __deepcopy__(self, memo):
        return self  # stores are copied, not what they report to

    def power(self, flash, blank=False):
        files = Files(flash)
        self.flash = flash
        put_under(self._monkeypatch, (files.format() if blank else files).mount(), journal)

    def open(self, create=False):
        return Store("/v", KEY, report=self._report, create=create)

    def _report(self, *what):
        self.reports.append(what)

    def cut(self, image, before, step, at, mode):
        """Run step on a copy of `before` over `image`; -> whether the power went."""
        self.power(Flash(image=image))
        self.flash.cut = (at, mode)
        try:
            apply(copy.deepcopy(before), step)
        except PowerCut:
            self.power(Flash(image=self.flash.image()))
            return True
        return False


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


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.setattr(limits, "VAULT_SEGMENT", 2000)
    monkeypatch.setattr(limits, "STORE_SEGMENTS", 2)
    monkeypatch.setattr(limits, "VAULT_TAILS", 4)
    return Bench(monkeypatch)


SETTINGS = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@SETTINGS
@given(STEPS)
def test_every_cut_leaves_old_or_new(bench, steps):
    bench.power(Flash(48), True)
    store, model = bench.open(True), {}
    for step in steps:
        image = bench.flash.image()
        after = model_after(model, step)
        at = 1
        while cuts_at(bench, image, store, step, at, (model, after)):
            at += 1
        bench.power(Flash(image=image))
        apply(store, step)
        model = after
    assert dict(store.items()) == model
    assert bench.reports == []


def cuts_at(bench, image, store, step, at, allowed):
    """Cut at operation `at` in each way; False when the step has fewer operations."""
    for mode in MODES:
        if not bench.cut(image, store, step, at, mode):
            return False
        found = bench.open()
        state = dict(found.items())
        assert state in allowed, (step, at, mode)
        found.set("again", at)
        assert found.verify() and dict(bench.open().items()) == {**state, "again": at}
        assert bench.reports == [], (step, at, mode)
    return True


def test_two_cuts_in_a_row_while_segments_rotate_and_are_cleaned(bench):
    """The second cut hits what the first one left, at every operation of the same step."""
    model, busiest = {}, 0
    store = bench.store
    for turn in range(40):
        step = {f"name{turn % 5}": bytes(60) + bytes([turn])}
        image, before = bench.flash.image(), copy.deepcopy(store)
        operations = bench.flash.operations
        apply(store, step)
        if bench.flash.operations - operations > busiest:
            busiest = bench.flash.operations - operations
            worst = (image, before, step, dict(model))
        model.update(step)
    image, before, step, model = worst
    assert busiest > 8  # a segment was begun and another cleaned
    pairs, first = 0, 1
    while bench.cut(image, before, step, first, "torn"):
        left = bench.flash.image()
        second = 1
        while bench.cut(left, bench.open(), step, second, "half"):
            state = dict(bench.open().items())
            assert state in (model, {**model, **step}), (first, second)
            pairs += 1
            second += 1
            bench.power(Flash(image=left))
        first += 1
    assert pairs > 50
    assert bench.reports == []
