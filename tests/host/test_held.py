"""Held packs in the collector (S9): kept, shown and acknowledged as plain ones are."""

from collector_kit import ALICE, EPOCH, held
from uward.crypto import rng
from uward.vault import packs
from uward.vault.blind import Blind


def test_readings_and_events_are_opened_dated_and_acknowledged(bench):
    alice = bench.device()
    series = packs.Series("spo2", "%")
    for n in range(3):
        series.add(5000 + 1000 * n, 97 + n)
    when, plain = series.close()
    bench.hand(alice, "tele", held(bench, alice, "tele", when, plain))
    told = held(bench, alice, "event", 9000, packs.event("sensor.error", "loose"))
    outcome = bench.hand(alice, "event", told)
    found = [(r.name, r.unit, r.time, r.value) for r in bench.store.readings(ALICE)]
    assert sorted(found) == [("spo2", "%", EPOCH + 5 + n, 97 + n) for n in range(3)]
    assert [n.text for n in outcome.notices] == ["sensor.error loose"]
    assert bench.acks(alice) == [2]


def test_what_says_nothing_is_noted_and_acknowledged(bench):
    alice = bench.device()
    sealed = Blind(bench.point, rng.random).seal("tele", packs.event("not", "readings"))
    body = [sealed[:-1] + bytes([sealed[-1] ^ 1]), EPOCH, 2]
    bench.hand(alice, "tele", alice._number("tele", body))
    assert bench.events() == [(ALICE, "proto.malformed")]
    assert bench.acks(alice) == [1]
