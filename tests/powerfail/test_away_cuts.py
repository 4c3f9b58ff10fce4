"""Promise 3 for a board that is away: what was read and written is sent once, in order."""

from pathlib import Path

from tests.conftest import FIRMWARE

HERE = Path(__file__).parent
CODE = "import json\nimport device_away_cuts as it\nprint(json.dumps(it.away(%d)))\n"


def test_a_board_that_is_away_loses_nothing_and_sends_nothing_twice(unix, emit):
    assert emit(unix(CODE % 60, timeout=280, path=(FIRMWARE, HERE), heap="24m")) > 300
