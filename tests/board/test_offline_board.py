"""A Pico W without a network for a while, reset meanwhile, before the real services: its readings
wait in flash, come in order, each once, and RAM serves again when all is committed."""

import sqlite3
import time
from contextlib import closing

import pytest

from tests.board.field import BOOT_S, Field
from tests.board.test_story import C_STACK

MINUTES = 8
AWAY_S = 75
BROUGHT_S = 240

CUT_S = 8  # readings of so many seconds may be lost by a reset: a pack, and what is on its way


@pytest.fixture
def field(tmp_path, stock):
    made = Field(tmp_path, "picow")
    made.make()
    with made:
        made.wait("hello 1.0.0", "hello", BOOT_S)
        yield made


def readings(field):
    """(unix seconds, value) in the order in which they came."""
    with closing(sqlite3.connect(field.services.database)) as database:
        rows = database.execute(
            "SELECT time, value FROM reading WHERE name = 'ticks' ORDER BY rowid"
        )
        return rows.fetchall()


def events(field):
    with closing(sqlite3.connect(field.services.database)) as database:
        return database.execute(
            "SELECT name, reason FROM event WHERE source = 'device' ORDER BY id"
        ).fetchall()


@pytest.mark.timeout(MINUTES * 60)
def test_readings_of_a_time_without_network_come_each_once_and_in_order(field):
    field.wait("ticks", seconds=BOOT_S)
    field.target.network(down=True, drop=True)
    time.sleep(AWAY_S)
    assert "/vault/away" in field.files()
    field.target.reset()
    time.sleep(AWAY_S)
    came = len(readings(field))
    field.target.network(down=False)
    deadline = time.monotonic() + BROUGHT_S
    while "/vault/away" in field.files() and time.monotonic() < deadline:
        time.sleep(5)
    files = field.files()
    assert "/vault/away" not in files and "/vault/outbox/1" in files
    told = readings(field)
    values = [value for _, value in told]
    second = values.index(1, 1)  # the program counts from 1 again after the reset
    assert values[:second] == list(range(1, second + 1))
    assert values[second:] == list(range(1, len(values) - second + 1))
    assert second > came + AWAY_S - 2 * CUT_S
    assert len(values) - second > AWAY_S - CUT_S
    times = [when for when, _ in told]
    assert times == sorted(times)
    assert abs(times[-1] - time.time()) < 60
    assert field.target.status()["stack"] <= C_STACK
    assert {"heap.low", "store.tamper", "outbox.overflow", "flash.error"}.isdisjoint(
        name for name, _ in events(field)
    )
