"""Promise 3 for outbox and audit log: nothing acknowledged by `append` or `seal` is ever lost."""

import random
from functools import partial

import pytest
from uward.vault.audit import Audit
from uward.vault.queue import Queue

from host_tools.vault import audit as host
from tests.powerfail.vault_kit import KEY, Bench

CAPACITY = 6000  # three segments of 2000


@pytest.fixture
def bench(monkeypatch):
    def make(report, new):
        return Queue("/q", KEY, report=report, create=new, capacity=CAPACITY)

    return Bench(monkeypatch, make)


class Model:
    """What was appended and sealed, and what a cut step may have added."""

    def __init__(self):
        self.appended = 0
        self.critical = set()
        self.sealed = {}
        self.acknowledged = 0


def drain(queue, sealed):
    """Send everything -> {number: time of its pack}; asserts that sealed bytes are the same."""
    sent = {}
    while True:
        entries = queue.batch(8)
        if not entries:
            return sent
        for entry in entries:
            if entry.sealed is None:
                assert entry.sequence not in sealed
                queue.seal(entry, b"%d" % entry.when)
            sent[entry.sequence] = int(entry.sealed)
            assert sealed.get(entry.sequence, entry.sealed) == entry.sealed
        queue.acknowledge(entries[-1].sequence)


def check(queue, model, doing, bench):
    """After a cut in step `doing` = (kind, what): everything before it is there, in order."""
    kind, what = doing
    allowed = {model.acknowledged, what if kind == "ack" else model.acknowledged}
    assert queue.acknowledged in allowed
    known = dict(model.sealed)
    if kind == "seal":
        known.pop(what[0], None)
    acknowledged = queue.acknowledged
    sent = drain(queue, known)
    assert sorted(sent) == list(range(acknowledged + 1, acknowledged + 1 + len(sent)))
    for number, sealed in model.sealed.items():
        assert number <= acknowledged or sent[number] == int(sealed)
    gone = {int(sealed) for number, sealed in model.sealed.items() if number <= acknowledged}
    times = list(sent.values())
    assert len(set(times)) == len(times) and not gone & set(times)
    assert model.critical <= gone | set(times)
    assert len(gone) + len(times) + queue.dropped >= model.appended
    assert [r for r in bench.reports if r[0] != "out.dropped"] == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_cut_keeps_what_was_taken(bench, seed):
    rng = random.Random(seed)
    queue, model = bench.blank(), Model()
    for _ in range(60):
        kind, step, what = choose(rng, queue, model)
        if step is None:
            continue
        modes = ("torn", "after") if rng.random() < 0.7 else ("before", "half")
        doing = partial(check, model=model, doing=(kind, what), bench=bench)
        bench.sweep(queue, step, doing, modes)
        note(queue, model, kind, what)
    assert bench.cuts > 150
    assert model.appended > 20 and model.sealed


def choose(rng, queue, model):
    """-> (kind, step(queue), what it is about)."""
    kind = rng.choice(["append"] * 4 + ["seal", "seal", "ack"])
    if kind == "append":
        critical, body = rng.random() < 0.2, rng.randbytes(rng.randrange(150, 300))
        time = model.appended
        return kind, lambda it: it.append("tele", time, body, critical), (time, critical)
    if kind == "seal":
        entry = queue.peek(queue._sealed)
        if entry is None:
            return kind, None, None
        return kind, seal_next, (entry.sequence, entry.when)
    number = rng.randint(model.acknowledged, max([model.acknowledged, *model.sealed]))
    return kind, lambda it: it.acknowledge(number), number


def seal_next(queue):
    entry = queue.peek(queue._sealed)
    queue.seal(entry, b"%d" % entry.when)


def note(queue, model, kind, what):
    if kind == "append":
        model.appended += 1
        if what[1]:
            model.critical.add(what[0])
    elif kind == "seal":
        model.sealed[what[0]] = b"%d" % what[1]
    else:
        model.acknowledged = what
    assert queue.dropped <= model.appended


def test_every_cut_leaves_an_audit_log_that_verifies(monkeypatch):
    def make(report, new):
        return Audit("/a", KEY, lambda key: b"w" + key, report=report, create=new, capacity=6000)

    bench = Bench(monkeypatch, make)
    log = bench.blank()
    done = []

    def check(it):
        before = it.count
        it.append("after")
        events, head = host.verify(it.entries(), lambda wrapped: wrapped[1:])
        assert head == it.head and it.count == before + 2  # a start key, and the event
        texts = [event[1:].decode() for event in events[:-1]]
        assert texts in (done, [*done, f"event {len(done)}"])
        assert bench.reports == []

    for i in range(45):
        bench.sweep(log, lambda it, i=i: it.append(f"event {i}"), check, ("torn", "after"))
        done.append(f"event {i}")
        if i % 20 == 19:
            log = bench.open()
    assert bench.cuts > 100
