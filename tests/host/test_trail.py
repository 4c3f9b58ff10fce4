"""The collector follows the log of each boot: what is changed, left out or invented is seen."""

import secrets
import sqlite3
from dataclasses import replace

import pytest
from collector_kit import ALICE, EPOCH
from uward.crypto import p256, rng
from uward.crypto.hash import hkdf
from uward.vault import packs
from uward.vault.blind import Blind
from uward.vault.chain import Chain

from host_tools.errors import DeviceError
from host_tools.fleet import codec, trail
from host_tools.fleet.database import TABLES
from host_tools.fleet.store import Store
from host_tools.verbs import devices

NAME = "sensor.error"


@pytest.fixture
def alice(bench):
    """A device whose log has begun, as `link.audit` begins it."""
    device = bench.device()
    device.collector = bench.point
    begin(bench, device)
    return device


def begin(bench, device):
    private, start = p256.keygen(rng.random)
    shared = p256.ecdh(private, device.collector)
    device.chain = Chain()
    device.chain.begin(start, hkdf(shared, start, b"uward audit v1", 32))
    bench.hand(device, "att", device.hello())
    bench.hand(device, "log", device._number("log", start))


def proved(device, reason, when=5000):
    """-> the body of one event, in its place in the log."""
    plain = packs.event(NAME, reason, device.chain.seal(NAME, reason, when))
    return codec.decode(packs.finish("event", when, plain, EPOCH, 2))


def send(bench, device, *bodies):
    for body in bodies:
        bench.hand(device, "event", device._number("event", body))


def log(bench, device):
    return trail.find(bench.store, device.name, bytes(device.chain._name))


def tampered(bench):
    return [e.reason for e in bench.store.events() if e.name == "log.tamper"]


def test_events_are_proved_in_order_and_the_head_is_witnessed(bench, alice):
    send(bench, alice, *[proved(alice, f"n{n}") for n in range(5)])
    found = log(bench, alice)
    assert (found.number, found.broken) == (6, None)
    assert found.head == bytes(alice.chain._head)
    told = [e for e in bench.store.events() if e.source == "device"]
    assert [(e.reason, e.entry) for e in told] == [(f"n{n}", n + 2) for n in range(5)]
    assert tampered(bench) == []
    assert trail.latest(bench.store, ALICE) == found


def test_events_before_the_log_has_begun_have_no_entry(bench):
    device = bench.device()
    bench.hand(device, "event", device.event(NAME, "early"))
    (event,) = [e for e in bench.store.events() if e.source == "device"]
    assert event.entry is None
    assert trail.latest(bench.store, ALICE) is None


def changed_reason(bodies):
    bodies[2][1] = "nothing happened"


def changed_name(bodies):
    bodies[2][0] = "sensor.ok"


def changed_uptime(bodies):
    bodies[2][2][2] += 1


def changed_mac(bodies):
    bodies[2][2][3] = bytes(16)


def left_out(bodies):
    del bodies[2]


def swapped(bodies):
    bodies[2], bodies[3] = bodies[3], bodies[2]


def invented(bodies):
    bodies.insert(
        2, [NAME, "invented", [bodies[2][2][0], 4, 5000, secrets.token_bytes(16)], EPOCH, 2]
    )


@pytest.mark.parametrize(
    "edit, says",
    [
        (changed_reason, "audit entry 4 is not what the device wrote"),
        (changed_name, "audit entry 4 is not what the device wrote"),
        (changed_uptime, "audit entry 4 is not what the device wrote"),
        (changed_mac, "audit entry 4 is not what the device wrote"),
        (left_out, "audit entry 5, expected 4"),
        (swapped, "audit entry 5, expected 4"),
        (invented, "audit entry 4 is not what the device wrote"),
    ],
)
def test_what_was_edited_before_it_came_is_told_once_with_its_number(bench, alice, edit, says):
    """By somebody who has all of the flash, and so seals what the device would."""
    bodies = [proved(alice, f"n{n}") for n in range(8)]
    edit(bodies)
    send(bench, alice, *bodies)
    assert tampered(bench) == [f"log {bytes(alice.chain._name).hex()}: {says}"]
    assert log(bench, alice).broken == says
    assert log(bench, alice).number == 3
    told = [e for e in bench.store.events() if e.source == "device"]
    assert len(told) == len(bodies)  # they are kept as they came


def test_what_is_said_of_a_device_tells_how_far_its_log_is_whole(bench, alice):
    name = bytes(alice.chain._name).hex()
    bodies = [proved(alice, f"n{n}") for n in range(3)]
    send(bench, alice, bodies[0])
    head = log(bench, alice).head.hex()[:16]
    assert (
        devices._log(trail.latest(bench.store, ALICE)) == f"{name}: whole, 2 entries, head {head}"
    )
    send(bench, alice, bodies[2])
    assert devices._log(trail.latest(bench.store, ALICE)) == (
        f"{name}: NOT whole after entry 2: audit entry 4, expected 3"
    )


def test_a_new_boot_has_a_log_of_its_own(bench, alice):
    bodies = [proved(alice, "a"), proved(alice, "b")]
    send(bench, alice, bodies[1])
    assert len(tampered(bench)) == 1
    alice.boot()
    begin(bench, alice)
    send(bench, alice, proved(alice, "c"))
    assert (log(bench, alice).number, log(bench, alice).broken) == (2, None)
    assert len(tampered(bench)) == 1


def test_a_log_whose_start_was_never_told_is_not_believed(bench, alice):
    alice.chain._name = b"invented"
    send(bench, alice, proved(alice, "a"), proved(alice, "b"))
    assert tampered(bench) == ["log 696e76656e746564: audit entry 2, expected 1"]


def test_packs_that_come_out_of_order_are_no_alarm(bench, alice):
    sealed = [alice._number("event", proved(alice, f"n{n}")) for n in range(4)]
    for n in (2, 0, 3, 3):
        bench.hand(alice, "event", sealed[n])
    assert log(bench, alice).number == 2
    bench.hand(alice, "event", sealed[1])
    assert (log(bench, alice).number, tampered(bench)) == (5, [])


def test_a_restart_of_the_collector_goes_on(bench, alice):
    send(bench, alice, proved(alice, "a"))
    bench.restart()
    send(bench, alice, proved(alice, "b"))
    assert (log(bench, alice).number, tampered(bench)) == (3, [])


def test_what_a_device_has_lost_for_good_breaks_its_log(bench, alice):
    send(bench, alice, proved(alice, "a"))
    alice._number("event", proved(alice, "lost"))
    send(bench, alice, proved(alice, "c"))
    assert tampered(bench) == []  # it may come yet
    bench.hand(alice, "att", alice.hello(oldest=4))
    assert len(tampered(bench)) == 1 and "audit entry 4, expected 3" in tampered(bench)[0]


def test_events_that_the_board_cannot_read_again_are_proved_too(bench, alice):
    blind = Blind(alice.collector, rng.random)
    plain = packs.event(NAME, "held", alice.chain.seal(NAME, "held", 7000))
    final = packs.finish("event", 7000, blind.seal("event", plain), EPOCH, 2)
    send(bench, alice, codec.decode(final), proved(alice, "plain"))
    assert (log(bench, alice).number, tampered(bench)) == (3, [])


def test_a_new_stream_goes_on_with_the_log(bench, alice):
    """An outbox that begins one takes along what it has not sent (S12)."""
    bodies = [proved(alice, "a"), proved(alice, "b")]
    send(bench, alice, bodies[0])
    alice.stream, alice.sequence, alice.packs = secrets.token_bytes(16), 0, {}
    send(bench, alice, bodies[1])
    assert (log(bench, alice).number, tampered(bench)) == (3, [])


@pytest.mark.parametrize("reason", ["a", "invented"])
def test_an_entry_that_was_there_before_is_told(bench, alice, reason):
    """Else events could be invented under numbers that are long checked."""
    bodies = [proved(alice, "a"), proved(alice, "b")]
    send(bench, alice, *bodies)
    send(bench, alice, [NAME, reason, *bodies[0][2:]])
    assert len(tampered(bench)) == 1 and "audit entry 2, expected 4" in tampered(bench)[0]


def test_another_device_cannot_go_on_with_a_log(bench, alice):
    send(bench, alice, proved(alice, "a"))
    bob = bench.device("bob0123456789abcd")
    send(bench, bob, proved(alice, "b"))
    assert (log(bench, alice).number, len(tampered(bench))) == (2, 1)


@pytest.mark.parametrize(
    "start, says",
    [
        (b"", "start of the log: expected 64 bytes"),
        (7, "start of the log: expected 64 bytes"),
        (bytes(64), "start of the log: expected a point of P-256"),
    ],
)
def test_a_start_that_is_none_is_refused(bench, alice, start, says):
    bench.hand(alice, "log", alice._number("log", start))
    assert says in bench.reasons()[-1]
    assert bench.acks(alice) == [2]  # it would be offered for ever


@pytest.mark.parametrize(
    "proof",
    [None, 1, [], [b"x" * 8, 2, 3], [b"x" * 7, 2, 3, bytes(16)], [b"x" * 8, -1, 3, bytes(16)],
     [b"x" * 8, 2**32, 3, bytes(16)], [b"x" * 8, 2, "3", bytes(16)], [b"x" * 8, 2, 3, bytes(15)]],
)  # fmt: skip
def test_a_proof_that_says_nothing_is_malformed(bench, alice, proof):
    send(bench, alice, [NAME, "a", proof, EPOCH, 2])
    assert (ALICE, "proto.malformed") in bench.events()
    assert bench.acks(alice) == [2]


def test_a_database_of_the_schema_before_is_taken_over(tmp_path):
    path = tmp_path / "c.db"
    with sqlite3.connect(path) as db:
        db.executescript(TABLES + "PRAGMA user_version=1;")
        db.execute(
            "INSERT INTO event (device, source, name, reason, time, quality, received) "
            "VALUES ('a', 'device', 'b.c', 'd', 1, 2, 3)"
        )
    with pytest.raises(DeviceError, match="expected schema 2, got 1; `uward serve`"):
        Store(path, read_only=True)
    store = Store(path)
    (event,) = store.events()
    assert (event.name, event.entry) == ("b.c", None)
    store.add_event(replace(event, entry=4))
    store.close()
    assert [e.entry for e in Store(path, read_only=True).events()] == [None, 4]
