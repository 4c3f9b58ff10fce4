"""A Pico W without a network for a while, reset meanwhile, before the real services: its readings
wait in flash, come in order, each once, and RAM serves again when all is committed."""

import sqlite3
import time
from contextlib import closing

import pytest

from host_tools.verbs import devices
from tests.board.field import BOOT_S, Field
from tests.board.test_story import C_STACK

MINUTES = 8
AWAY_S = 75
BROUGHT_S = 240
BEGUN_S = 120
READ_S = 45  # at least: a busy machine's board is slower than the clock


@pytest.fixture
def field(tmp_path, stock):
    made = Field(tmp_path, "picow")
    made.make()
    with made:
        made.wait("hello 1.0.0", "hello", BOOT_S)
        yield made


def readings(field):
    """(unix seconds, value) in the order in which they came."""
    return rows(field, "SELECT time, value FROM reading WHERE name = 'ticks' ORDER BY rowid")


def events(field):
    return rows(field, "SELECT name, reason FROM event WHERE source = 'device' ORDER BY id")


def rows(field, query, *arguments):
    with closing(sqlite3.connect(field.services.database)) as database:
        return database.execute(query, arguments).fetchall()


def begun(field):
    """-> the id of this boot's log, once the board has told its start (S14)."""
    deadline = time.monotonic() + BEGUN_S
    while time.monotonic() < deadline:
        if found := rows(field, "SELECT id FROM log"):
            return found[0][0]
        time.sleep(2)
    pytest.fail("the log of this boot has not begun")


@pytest.mark.timeout(MINUTES * 60)
def test_readings_of_a_time_without_network_come_each_once_and_in_order(field):
    field.wait("ticks", seconds=BOOT_S)
    log = begun(field)
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
    assert second > came + READ_S
    assert len(values) - second > READ_S
    times = [when for when, _ in told]
    assert times == sorted(times)
    assert abs(times[-1] - time.time()) < 60
    [(number, broken)] = rows(field, "SELECT number, broken FROM log WHERE id = ?", log)
    assert "whole" in devices.do_device(field.found, field.device)["log"]
    assert number > 1 and broken is None  # what it told before the reset, offline, is proved
    assert field.target.status()["stack"] <= C_STACK
    assert {"heap.low", "store.tamper", "outbox.overflow", "flash.error"}.isdisjoint(
        name for name, _ in events(field)
    )
