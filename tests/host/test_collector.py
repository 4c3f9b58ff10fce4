"""The collector's decisions, message by message: kept before it is acknowledged (SPEC 9, S12)."""

import hashlib
import os
import secrets
import sqlite3
from dataclasses import replace

import pytest
from collector_kit import ALICE, BOB, CLASS, NOW, VENDOR, Bench, of
from uward.codec import cbor

from host_tools.errors import DeviceError, Refused
from host_tools.fleet import limits, messages, releases
from host_tools.fleet.inventory import last_seen
from host_tools.fleet.offers import Releases
from host_tools.fleet.store import Store
from host_tools.signing import author, cose, keys
from host_tools.signing.roles import TIME_DOMAIN
from host_tools.verbs import serve

# readings


def test_a_pack_is_kept_shown_and_acknowledged(bench, alice):
    outcome = bench.hand(alice, "tele", alice.reading(72.5))
    (reading,) = bench.store.readings(ALICE)
    assert (reading.name, reading.unit, reading.value) == ("heart-rate", "beat/min", 72.5)
    assert reading.time == 1_790_000_000
    assert [(n.kind, n.text) for n in outcome.notices] == [("reading", "heart-rate 72.5 beat/min")]
    assert bench.acks(alice) == [1]
    assert bench.acks(alice) == []  # once


def test_the_acknowledgement_waits_for_the_commit(bench, alice):
    """Another connection, as after a crash, sees the pack at the moment of `acknowledge`."""
    bench.hand(alice, "tele", alice.reading(72))
    other = sqlite3.connect(bench.folder / "c.db")
    assert other.execute("SELECT count(*) FROM message").fetchone() == (1,)
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert bench.store.one("PRAGMA synchronous") == (2,)  # FULL
    other.close()


def test_what_cannot_be_kept_is_not_acknowledged(bench, alice, monkeypatch):
    bench.hand(alice, "tele", alice.reading(71))
    assert bench.acks(alice) == [1]
    bench.store.execute("PRAGMA max_page_count=1")  # as a full disk
    with pytest.raises(DeviceError, match="full"):
        for value in range(400):
            bench.hand(alice, "tele", alice.pack({-2: "x", 3: "y" * 200 + str(value)}))
    bench.store.execute("PRAGMA max_page_count=1000000")
    committed, _ = bench.store.progress(ALICE, alice.stream)
    (acknowledged,) = bench.acks(alice)
    assert acknowledged == committed < alice.sequence
    bench.hand(alice, "tele", alice.packs[alice.sequence][1])  # and it goes on
    assert bench.acks(alice) == [committed + 1]


def test_a_pack_is_kept_whole_or_not_at_all(bench, alice, monkeypatch):
    """Its message, its progress and its readings are one transaction."""

    def full(*_):
        raise DeviceError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(bench.store, "add_readings", full)
        with pytest.raises(DeviceError):
            bench.hand(alice, "tele", alice.reading(72))
    assert bench.store.one("SELECT count(*) FROM message") == (0,)
    assert bench.store.progress(ALICE, alice.stream) == (0, 0)
    bench.hand(alice, "tele", alice.packs[1][1])
    assert bench.acks(alice) == [1]
    assert [r.value for r in bench.store.readings(ALICE)] == [72]


def test_the_database_is_for_its_owner(bench):
    assert (bench.folder / "c.db").stat().st_mode & 0o777 == 0o600


def test_one_acknowledgement_for_many(bench, alice):
    for value in range(5):
        bench.hand(alice, "tele", alice.reading(value))
    assert bench.acks(alice) == [5]


def test_a_repeated_pack_is_acknowledged_again_and_kept_once(bench, alice):
    sealed = alice.reading(72)
    for _ in range(3):
        bench.hand(alice, "tele", sealed)
        assert bench.acks(alice) == [1]
    assert len(bench.store.readings(ALICE)) == 1
    assert bench.events() == []


def test_another_pack_with_a_known_number_is_a_clone(bench, alice):
    bench.hand(alice, "tele", alice.reading(72))
    assert bench.acks(alice) == [1]
    alice.sequence = 0
    outcome = bench.hand(alice, "tele", alice.reading(99))
    assert bench.acks(alice) == []
    assert [r.value for r in bench.store.readings(ALICE)] == [72]
    assert bench.events() == [(ALICE, "id.clone")]
    assert outcome.notices[0].text.startswith("id.clone")


def test_a_gap_is_noted_with_its_numbers_and_holds_acknowledgement(bench, alice):
    packs = [alice.reading(value) for value in range(5)]
    bench.hand(alice, "tele", packs[0])
    bench.hand(alice, "tele", packs[3])
    assert bench.acks(alice) == [1]
    assert bench.reasons() == ["expected 2, got 4: 2..3 missing"]
    for i in (2, 4):
        bench.hand(alice, "tele", packs[i])
    assert bench.acks(alice) == [1]
    bench.hand(alice, "tele", packs[1])
    assert bench.acks(alice) == [5]
    assert bench.events() == [(ALICE, "e2e.gap")]


def test_what_a_device_no_longer_has_is_written_off(bench, alice):
    """A collector whose database is lost for good meets a device at sequence 300."""
    alice.sequence = 299
    bench.hand(alice, "att", alice.hello(oldest=300))
    assert bench.acks(alice) == [299]
    assert bench.reasons() == ["1..299 are lost: the device keeps no older message"]
    bench.hand(alice, "tele", alice.reading(72))
    assert bench.acks(alice) == [300]
    assert bench.events() == [(ALICE, "e2e.gap")]


def test_streams_and_devices_do_not_mix(bench, alice):
    bob = bench.device(BOB)
    bench.hand(alice, "tele", alice.reading(1))
    bench.hand(bob, "tele", bob.reading(2))
    alice.stream, alice.sequence = os.urandom(16), 0
    bench.hand(alice, "tele", alice.reading(3))
    acks = bench.collector.acknowledge()
    assert [a.device for a in acks] == [ALICE, BOB, ALICE]
    assert [r.value for r in bench.store.readings(ALICE)] == [1, 3]
    assert bench.events() == []


SENML = [
    ([{0: "t", 2: 20}], [("t", "", NOW, 20)]),  # no time: the reception's
    ([{-2: "a:", -3: 1_790_000_000, -4: "Cel", 0: "t", 2: 20.5}, {0: "u", 1: "V", 2: 3, 6: 1}],
     [("a:t", "Cel", 1_790_000_000, 20.5), ("a:u", "V", 1_790_000_001, 3)]),
    ([{-2: "x", -5: 100, 2: 1}, {2: 2, 6: -5}], [("x", "", NOW, 101), ("x", "", NOW - 5, 102)]),
    ([{-2: "x", -6: 10, 5: 1}], [("x", "", NOW, 11)]),
    ([{0: "s", 3: "text"}, {0: "b", 4: True}, {0: "d", 8: b"\1\2"}],
     [("s", "", NOW, "text"), ("b", "", NOW, 1), ("d", "", NOW, b"\1\2")]),
    ([{-2: "x"}, {2: 1}], [("x", "", NOW, 1)]),
    ([{0: "x", 2: 1, "extra": 7}], [("x", "", NOW, 1)]),
    ([{0: "x", 2: 2**63 - 1}, {0: "y", 2: 2**63}, {0: "z", -5: -1, 2: -(2**63)}],
     [("x", "", NOW, 2**63 - 1), ("y", "", NOW, 2.0**63), ("z", "", NOW, -(2.0**63))]),
]  # fmt: skip


@pytest.mark.parametrize(("pack", "expected"), SENML)
def test_senml_is_resolved(bench, alice, pack, expected):
    bench.hand(alice, "tele", alice.pack(*pack))
    found = [(r.name, r.unit, r.time, r.value) for r in bench.store.readings(ALICE)]
    assert set(found) == set(expected)


@pytest.mark.parametrize(
    ("pack", "reason"),
    [
        ([], "expected 1 to 64 records"),
        ([{0: "x", 2: 1}] * 65, "expected 1 to 64 records"),
        ([7], "expected a map"),
        ([{2: 1}], "expected a name"),
        ([{0: "-x", 2: 1}], "expected a name"),
        ([{0: "x\n", 2: 1}], "expected printable text"),
        ([{0: "x", 2: "1"}], "expected a number"),
        ([{0: "x", 2: float("inf")}], "expected a number"),
        ([{0: "x", 4: 1}], "expected a value of its label"),
        ([{0: "x", 2: 1, 3: "y"}], "expected one value"),
        ([{0: "x", 2: 1, "must_": 1}], "mandatory labels"),
        ([{-1: 11, 0: "x", 2: 1}], "expected version 10"),
        ([{0: "x", 2: 1, 6: "now"}], "expected a number"),
        ([{0: "x", 2: 1, 6: 2**38}], "time: expected 0 to 137438953472, got 2.74878e+11"),
        ([{0: "x", 2: 1, 6: -3e9}], "time: expected 0 to 137438953472, got -1.21e+09"),
        ([{0: "x", 1: "\x1b[2J", 2: 1}], "expected printable text"),
    ],
)
def test_a_pack_that_says_nothing_is_kept_noted_and_acknowledged(bench, alice, pack, reason):
    bench.hand(alice, "tele", alice.pack(*pack))
    assert bench.acks(alice) == [1]
    assert bench.events() == [(ALICE, "proto.malformed")]
    assert reason in bench.reasons()[0]
    assert bench.store.readings(ALICE) == []


# events


def test_events_are_kept_and_shown(bench, alice):
    outcome = bench.hand(alice, "event", alice.event("tls.reject", "other CA"))
    (event,) = bench.store.events(ALICE)
    assert (event.source, event.name, event.reason) == ("device", "tls.reject", "other CA")
    assert outcome.notices[0].text == "tls.reject other CA"
    last = bench.hand(alice, "event", alice.event("tls.reject", when=limits.TIME_MAX))
    serve._tell(last.notices[0])  # the last time that is taken can be shown
    bench.hand(alice, "tele", alice.reading(1))
    assert bench.acks(alice) == [3]  # one sequence space


@pytest.mark.parametrize(
    "body",
    [[], ["a.b", "", 1], ["A B", "", 1, 2], ["a.b", "\7", 1, 2], ["a.b", "", "", 2],
     ["a.b", "", 1, 3], ["a.b", "x" * 257, 1, 2], {1: 2}, ["a.b", "", 2**37 + 1, 2],
     ["a.b", "", -1, 2], ["a.b", "", 1e299, 2]],
)  # fmt: skip
def test_broken_events_are_noted_and_acknowledged(bench, alice, body):
    bench.hand(alice, "event", alice._number("event", body))
    assert bench.events() == [(ALICE, "proto.malformed")]
    assert bench.acks(alice) == [1]


# who speaks


def test_a_message_under_another_name_is_a_bad_mac(bench, alice):
    bench.device(BOB)
    bench.hand(alice, "tele", alice.reading(1), name=BOB)
    assert bench.events() == [(BOB, "e2e.bad_mac")]
    assert bench.collector.acknowledge() == []


def test_every_flipped_byte_is_refused(bench, alice):
    sealed = alice.reading(1)
    for at in range(len(sealed)):
        broken = sealed[:at] + bytes([sealed[at] ^ 0x40]) + sealed[at + 1 :]
        bench.hand(alice, "tele", broken)
    assert bench.collector.acknowledge() == []
    assert {name for _, name in bench.events()} == {"e2e.bad_mac", "proto.malformed"}
    assert bench.store.one("SELECT count(*) FROM message") == (0,)


@pytest.mark.parametrize("name", ["unknown0123456789", "../../etc/passwd", "x" * 500, ""])
def test_unknown_devices_are_refused_and_their_names_not_kept(bench, alice, name):
    bench.collector.handle(f"uward/v1/{name}/up/tele", alice.reading(1), NOW)
    ((device, event),) = bench.events()
    assert event in ("e2e.bad_mac", "proto.malformed")
    assert device in ("", "unknown0123456789")


@pytest.mark.parametrize(
    "topic",
    ["", "uward/v1/x/up", "uward/v1/x/down/tele", "uward/v2/x/up/tele", "uward/v1/x/up/other"],
)
def test_strange_topics_are_refused(bench, alice, topic):
    bench.collector.handle(topic, alice.reading(1), NOW)
    assert bench.events() == [("", "proto.malformed")]


def test_arbitrary_bytes_are_refused(bench, alice):
    for size in (0, 1, 17, 40, 200):
        bench.hand(alice, "tele", os.urandom(size))
    assert {name for _, name in bench.events()} == {"proto.malformed"}
    assert bench.collector.acknowledge() == []


@pytest.mark.parametrize(
    "plaintext",
    [7, [], [b"short", 1, []], [bytes(16), -1, []], [bytes(16), 2**60, []], [bytes(16), True, []]],
)
def test_sealed_nonsense_is_malformed(bench, alice, plaintext, monkeypatch):
    real = cbor.encode
    once = iter([plaintext])
    monkeypatch.setattr(
        cbor, "encode",
        lambda v: real(next(once)) if isinstance(v, list) and v[:1] == [alice.stream] else real(v),
    )  # fmt: skip
    bench.hand(alice, "tele", alice.seal("tele", [], 1))
    assert bench.events() == [(ALICE, "proto.malformed")]


def test_a_flood_is_counted_but_not_kept(bench, alice):
    for _ in range(limits.ROGUE_EVENTS + 50):
        outcome = bench.hand(alice, "tele", b"junk")
    assert outcome.notices == []
    assert len(bench.store.events(last=1000)) == limits.ROGUE_EVENTS
    assert bench.collector.notebook.counts["proto.malformed"] == limits.ROGUE_EVENTS + 50


def test_a_damaged_device_record_stops_that_device_only(bench, alice):
    bob = bench.device(BOB)
    bench.inventory.path(ALICE).write_text("{}")
    bench.hand(alice, "tele", alice.reading(1))
    bench.hand(bob, "tele", bob.reading(1))
    assert bench.acks(bob) == [1]
    assert bench.events() == [(ALICE, "collector.refused")]


def test_a_context_of_another_length_or_a_numbered_hello_is_malformed(bench, alice):
    bench.hand(alice, "att", alice._number("att", alice.hello_body()))
    alice.context = os.urandom(32)  # as the collector's own messages have
    bench.hand(alice, "tele", alice.reading(1))
    assert bench.events() == [(ALICE, "proto.malformed")] * 2
    assert bench.reasons() == [
        "att: expected sequence 0, got 1",
        "kid context: expected 16 bytes from a device",
    ]
    assert bench.collector.acknowledge() == []


# hello, time, trust


def test_hello_is_answered_with_the_time_and_remembered(bench, alice):
    outcome = bench.hand(alice, "att", alice.hello(version="1.2.3", slot="b", trial=True))
    (answer,) = of(outcome, "time")
    payload = cose.verify1(answer, bench.time.public, TIME_DOMAIN)
    assert cbor.decode(payload) == [alice.nonce, ALICE, int(NOW)]
    seen = last_seen(bench.store)[ALICE]
    assert (seen.hello.version, seen.hello.slot, seen.hello.trial) == ("1.2.3", "b", True)
    assert outcome.notices[0].text == "hello 1.2.3 slot b on trial"
    assert bench.acks(alice) == [0]


def test_a_host_without_a_clock_tells_no_time(bench, alice):
    outcome = bench.collector.handle(f"uward/v1/{ALICE}/up/att", alice.hello(), 1e9)
    assert of(outcome, "time") == []
    assert bench.events() == [(ALICE, "time.suspect")]


def test_a_replayed_hello_is_not_answered(bench, alice):
    sealed = alice.hello()
    bench.hand(alice, "att", sealed)
    assert bench.hand(alice, "att", sealed).down == []
    assert bench.events() == [(ALICE, "e2e.replay")]


def start(bench, device, starts):
    device.boot()
    device.starts = starts
    bench.hand(device, "att", device.hello())


def test_an_older_flash_that_was_put_back_is_seen_by_its_starts(bench, alice):
    for starts in (3, 4, 7):
        start(bench, alice, starts)
    bench.hand(alice, "att", alice.hello())  # the same context: another connection
    assert bench.events() == []
    start(bench, alice, 5)
    assert bench.events() == [(ALICE, "store.rollback")]
    assert bench.reasons() == ["start 5 of a flash that was at start 7: an older one is back"]
    start(bench, alice, 5)  # or a copy of it
    assert [name for _, name in bench.events()] == ["store.rollback"] * 2
    start(bench, alice, 6)
    assert len(bench.events()) == 2


def test_starts_begin_again_with_an_enrolment(bench, alice):
    start(bench, alice, 7)
    record = bench.inventory.get(ALICE)
    bench.inventory.add(replace(record, enrolled=int(NOW) + 1), replace=True)
    start(bench, alice, 1)
    assert bench.events() == []


def test_an_earlier_boot_that_speaks_again_is_a_clone(bench, alice):
    bench.hand(alice, "att", alice.hello())
    first = alice.context, alice.counter
    alice.boot()
    bench.hand(alice, "att", alice.hello())
    assert bench.events() == []
    alice.context, alice.counter = first
    assert of(bench.hand(alice, "att", alice.hello()), "time")
    assert bench.events() == [(ALICE, "id.clone")]


def test_a_pack_of_an_earlier_boot_is_acknowledged_to_the_present_one(bench, alice):
    sealed = alice.reading(72)
    bench.hand(alice, "att", alice.hello())
    alice.boot()
    bench.hand(alice, "att", alice.hello())
    bench.collector.acknowledge()
    bench.hand(alice, "tele", sealed)
    assert bench.acks(alice) == [1]


@pytest.mark.parametrize(
    "changes",
    [{"nonce": bytes(15)}, {"slot": "c"}, {"trial": 1}, {"state": None}, {"digest": b""},
     {"board": 7}, {"heap": -1}, {"version": "\x1b"}, {"quality": 9}],
)  # fmt: skip
def test_broken_hellos_are_not_answered(bench, alice, changes):
    body = alice.hello_body()
    order = ["nonce", "version", "sequence", "security", "slot", "trial", "state", "trust",
             "board", "digest", "quality", "heap", "lost"]  # fmt: skip
    for name, value in changes.items():
        body[order.index(name) + 1] = value
    outcome = bench.hand(alice, "att", alice.seal("att", body))
    assert outcome.down == []
    assert bench.events() == [(ALICE, "proto.malformed")]


def test_hello_without_its_optional_member_is_taken(bench, alice):
    assert of(bench.hand(alice, "att", alice.hello(oldest=None)), "time")


def test_newer_trust_the_crl_and_the_group_key_are_handed_out(tmp_path):
    (tmp_path / "trust").mkdir()
    for version in (1, 2, 3):
        (tmp_path / "trust" / str(version)).write_bytes(b"document %d" % version)
    (tmp_path / "services.crl").write_bytes(b"crl")
    kek = keys.Kek(b"kid-kid-", bytes(32))
    bench = Bench(tmp_path, trust=tmp_path / "trust", crl=tmp_path / "services.crl", kek=kek)
    alice = bench.device()
    outcome = bench.hand(alice, "att", alice.hello(trust=1))
    assert of(outcome, "trust") == [b"document 2", b"document 3"]
    (word,) = of(outcome, "man")
    sealed, envelope = cbor.decode(word)
    assert alice.open("man", sealed)[0] == hashlib.sha256(b"document 3").digest()
    assert envelope == b""
    assert of(outcome, "crl") == [b"crl"]
    (share,) = of(outcome, "share")
    assert alice.open("share", share)[0] == [b"kid-kid-", bytes(32)]
    bench.store.close()


def test_trust_comes_before_releases_and_in_batches(tmp_path):
    """A release that is signed under a newer document would be refused for good (S7)."""
    (tmp_path / "trust").mkdir()
    documents = {version: bytes([version]) * 4000 for version in range(1, 9)}
    for version, document in documents.items():
        (tmp_path / "trust" / str(version)).write_bytes(document)
    bench = Bench(tmp_path, trust=tmp_path / "trust")
    manifest, payload = author.build_manifest(b"image", 2, 1, "2.0.0", VENDOR, CLASS)
    folder = tmp_path / "releases"
    releases.publish(folder, author.sign(manifest), payload, "unix", CLASS)
    alice = bench.device()
    for version, given in ((1, [2, 3, 4]), (4, [5, 6, 7]), (7, [8])):
        outcome = bench.hand(alice, "att", alice.hello(trust=version))
        assert of(outcome, "trust") == [documents[one] for one in given]
        (word,) = of(outcome, "man")
        assert cbor.decode(word)[1] == b""
        assert bench.store.offer(ALICE, author.payload_id(manifest)) is None
    (word,) = of(bench.hand(alice, "att", alice.hello(trust=8)), "man")
    assert alice.take_release(word) == author.sign(manifest)
    (tmp_path / "trust" / "9").write_bytes(bytes(12_288))
    outcome = bench.hand(alice, "att", alice.hello(trust=8))
    assert [len(document) for document in of(outcome, "trust")] == [12_288]  # one at least
    bench.store.close()


def test_what_changes_later_reaches_devices_that_stay_connected(tmp_path):
    (tmp_path / "trust").mkdir()
    crl = tmp_path / "services.crl"
    crl.write_bytes(b"one")
    bench = Bench(tmp_path, trust=tmp_path / "trust", crl=crl)
    alice = bench.device()
    bench.device(BOB)  # never said hello
    bench.hand(alice, "att", alice.hello(trust=1))
    assert bench.collector.rollout(NOW).down == []
    assert bench.collector.rollout(NOW).down == []
    (tmp_path / "trust" / "2").write_bytes(b"document 2")
    crl.write_bytes(b"two")
    os.utime(crl, ns=(1, 1))
    down = bench.collector.rollout(NOW).down
    assert {d.device for d in down} == {ALICE}
    assert [d.purpose for d in down] == ["trust", "man", "crl"]
    assert (down[0].payload, down[2].payload) == (b"document 2", b"two")
    assert bench.collector.rollout(NOW).down == []
    bench.store.close()


# generations and counters


def test_what_was_sealed_in_a_refused_message_is_not_sent(tmp_path, monkeypatch):
    """Its partial IV was rolled back with it, and will be used for something else (S12)."""
    bench = Bench(tmp_path, kek=keys.Kek(b"kid-kid-", bytes(32)))
    alice = bench.device()

    def refuse(*_):
        raise Refused("a release that nobody expected")

    with monkeypatch.context() as patch:
        patch.setattr(Releases, "due", refuse)
        assert bench.hand(alice, "att", alice.hello()).down == []
    assert bench.events() == [(ALICE, "collector.refused")]
    assert len(of(bench.hand(alice, "att", alice.hello()), "share")) == 1
    bench.store.close()


def test_partial_ivs_never_repeat_in_one_context(bench, alice):
    seen = set()
    for round in range(4):
        bench.hand(alice, "tele", alice.reading(round))
        for ack in bench.collector.acknowledge():
            _, generation, partial = alice.open("ack", ack.payload)
            assert (generation, partial) not in seen
            seen.add((generation, partial))
        if round == 1:
            bench.restart()
    assert len({generation for generation, _ in seen}) == 1  # a restart is no restore
    assert len(seen) == 4


def test_every_start_leaves_a_distance_to_the_counters_before(bench, alice, monkeypatch):
    """The second line behind the witness: a restore that nothing shows reuses no partial IV."""
    monkeypatch.setattr(secrets, "randbelow", lambda most: most - 1)
    numbers = []
    for value in range(3):
        bench.hand(alice, "tele", alice.reading(value))
        (ack,) = bench.collector.acknowledge()
        numbers.append(int.from_bytes(alice.open("ack", ack.payload)[2], "big"))
        bench.restart()
    distance = limits.COUNTER_DISTANCE + 1
    assert numbers == [0, distance, 2 * distance]


def test_a_counter_is_on_disk_before_it_is_used(bench, alice):
    bench.hand(alice, "tele", alice.reading(1))
    (ack,) = bench.collector.acknowledge()
    _, _, partial = alice.open("ack", ack.payload)
    other = sqlite3.connect(bench.folder / "c.db")
    row = other.execute("SELECT next FROM counter WHERE purpose='ack'").fetchone()
    assert row[0] > int.from_bytes(partial, "big")
    other.close()


def test_a_restored_database_is_a_new_generation_and_asks_again(bench, alice):
    bench.hand(alice, "att", alice.hello())
    bench.hand(alice, "tele", alice.reading(1))
    assert bench.acks(alice) == [1]
    bench.restart()
    backup = (bench.folder / "c.db").read_bytes()
    for value in (2, 3):
        bench.hand(alice, "tele", alice.reading(value))
    assert bench.acks(alice) == [3]
    before = alice.generation
    bench.store.close()
    (bench.folder / "c.db").write_bytes(backup)
    bench.start()
    (ack,) = bench.collector.resume()
    assert alice.take_ack(ack.payload) == 1
    assert alice.generation != before
    for sequence in (2, 3):
        bench.hand(alice, *alice.packs[sequence])
    assert bench.acks(alice) == [3]
    assert [r.value for r in bench.store.readings(ALICE)] == [1, 2, 3]


@pytest.mark.parametrize("how", ["crash", "touched", "copied", "told", "with a log"])
def test_whatever_is_not_the_closed_file_is_a_new_generation(bench, how):
    path, before = bench.folder / "c.db", bench.store.generation
    if how == "crash":
        bench.store._db.close()  # without the note that `close` leaves
    else:
        bench.store.close()
    assert (bench.folder / "c.db.closed").exists() is (how != "crash")
    if how == "with a log":
        (bench.folder / "c.db-wal").write_bytes(b"")
    if how == "touched":
        os.utime(path)
    if how == "copied":
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
    bench.start(restored=how == "told")
    assert bench.store.generation != before
    assert not (bench.folder / "c.db.closed").exists()  # used up: a crash now is a crash


def test_a_database_of_something_else_is_refused(tmp_path):
    path = tmp_path / "c.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(DeviceError, match="not a collector database"):
        Store(path)
    path.unlink()
    sqlite3.connect(path).execute("PRAGMA user_version=9").connection.close()
    with pytest.raises(DeviceError, match="expected schema 2, got 9"):
        Store(path)


def test_a_reader_beside_the_writer(bench, alice):
    bench.hand(alice, "tele", alice.reading(72))
    reader = Store(bench.folder / "c.db", read_only=True)
    assert [r.value for r in reader.readings(ALICE, "heart-rate")] == [72]
    assert reader.readings(ALICE, "other") == []
    bench.hand(alice, "tele", alice.reading(73))
    assert [r.value for r in reader.readings(ALICE, last=1)] == [73]
    with pytest.raises(DeviceError, match="readonly"), reader.transaction():
        reader.save_hello(ALICE, b"", NOW)
    reader.close()


def test_down_topics():
    assert messages.down_topic(ALICE, "ack") == f"uward/v1/{ALICE}/down/ack"
