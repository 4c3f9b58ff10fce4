"""The limits hold. The table itself: `make bench`."""

import importlib

import pytest

from tests.bench import harness
from tests.bench.__main__ import modules

LONG = {"bench_storm", "bench_retire"}  # minutes; tests of their own are smaller


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", [name for name in modules([]) if name not in LONG])
def test_limits(name):
    from host_tools.targets.emulator import board

    if "fast core" not in board.CORE:
        pytest.skip("measured with the fast core only: " + board.CORE)
    rows = list(importlib.import_module(f"tests.bench.{name}").rows())
    board.set_xip_miss(0)
    missed = [row for row in rows if not row.met]
    assert rows
    assert not missed, "\n" + harness.table(missed)


def test_table_says_what_was_missed():
    rows = [
        harness.Row("a", 9.876, limit=10, goal=5, floor=2),
        harness.Row("b", 120, "KB/s", limit=200, more=True),
        harness.Row("c", 1),
    ]
    assert harness.table(rows).splitlines() == [
        "what | measured | floor | limit | goal | ok",
        "-----|----------|-------|-------|------|--------------",
        "a    | 9.88 ms  | 2     | 10    | 5    | short of goal",
        "b    | 120 KB/s |       | 200   |      | NO",
        "c    | 1 ms     |       |       |      | yes",
    ]
