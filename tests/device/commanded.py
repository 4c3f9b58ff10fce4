"""A board that is commanded: the real guard/ over files, a maker's program, a clock that obeys."""

import asyncio

from device_defences import told
from uward import files, lazy, limits, port
from uward.errors import UwardError
from uward.orders import Orders
from uward.vault import keys


class _Heap:
    """A test's heap is 64 MB and more: to collect it twenty times a command takes seconds."""

    @staticmethod
    def collect():
        pass


lazy.gc = _Heap
lazy.drop = lambda *names: None  # each import would compile again
limits.COMMAND_BEAT_MS = 0
limits.PRESENCE_POLL_MS = 0
DEVICE = "test0device0000001"
NOW = 1800000000


class Cut(BaseException):
    """The power goes; no handler of the code under test keeps it."""


class Board(Orders):
    """What guard/ asks of the agent; the program has two actuators."""

    def __init__(self):
        Orders.__init__(self)
        self.now = 10**6  # ms of uptime
        self.step = 0  # ms that pass at each look at the clock
        self.events = []
        self.told = []
        self.duties = []
        self.info = {"trust": 3}
        self.resetting = False
        self.done = []
        self.cut = False

        @self.command("dose", ml=(0, 40))
        def dose(ml):
            if self.cut:
                raise Cut
            self.done.append(["dose", ml])
            return "%s ml" % ml

        @self.command("light")
        def light():
            self.done.append("light")

        @self.command("fails")
        def fails():
            raise ValueError("motor stalled")

        @self.safe
        def stop():
            self.done.append("safe")

    def uptime(self):
        self.now += self.step
        return self.now

    def event(self, name, reason=""):
        self.events.append([name, reason])

    def refused(self, error):
        self.event(error.event, str(error))

    def keep(self, purpose, when, body, critical=False):
        self.told.append([purpose, body.hex()])

    def reset_soon(self):
        self.resetting = True


def run(steps):
    """Each step is [what, ...]. -> [what came of each, the events, what actuators did]."""
    keys.in_chip = lambda: False
    exists = files.exists
    try:
        return _run(steps)
    finally:
        files.exists = exists


def _run(steps):
    board = Board()
    out = []
    events = []
    done = []
    for step in steps:
        what = step[0]
        if what == "boot":
            events += board.events
            done += board.done
            board = Board()
            board.now = step[1] if len(step) > 1 else 0
            board.begin_orders()
            out.append([body for _, body in board.told])
            continue
        out.append(_STEPS[what](board, *step[1:]))
    return [out, events + board.events, done + board.done]


def _command(board, data, given=None):
    """given: now, proved, online, challenge, pressed, strong: what differs from an online device
    that knows the time."""
    from uward.guard import command

    given = given or {}
    port.set_time(given.get("now", NOW))
    board.step = 100 if "pressed" in given else 0
    looks = []

    def present():
        looks.append(1)
        return given["pressed"] and len(looks) > 3

    board.present = present if "pressed" in given else None
    challenge = bytes.fromhex(given.get("challenge", "63" * 16)) or None
    online = given.get("online", True)
    proved = given.get("proved", True)
    device = given.get("device", DEVICE)
    data = bytes.fromhex(data)
    coroutine = command.obey(board, device, data, challenge, proved, online)
    try:
        return asyncio.run(coroutine).hex()
    except Cut:
        return "cut"
    finally:
        board.step = 0


def _policy(board, data):
    from uward.guard import begin

    try:
        begin.adopt(board, bytes.fromhex(data))
    except UwardError as e:
        return told(e)
    return ""


def _pass(board, ms):
    board.now += ms
    for duty in board.duties:
        duty()


def _state(board):
    return [board.quarantined, board.actuators, board.unsafe, board.emergency, board.chosen]


def _cut(board, on):
    board.cut = on


def _damage(board, path):
    with open(path, "rb") as f:
        data = bytearray(f.read())
    data[len(data) // 2] ^= 1
    with open(path, "wb") as f:
        f.write(data)


def _remove(board, path):
    import os

    os.remove(path)


def _resetting(board):
    return board.resetting


def _chip(board):
    """From here on the key source is a chip's."""
    keys.in_chip = lambda: True


def _code(board, author, secret):
    """A secret for codes, as `totp` makes one."""
    from uward.guard import book

    found = book.load(keys.root())
    found.totp[bytes.fromhex(author)[:16]] = [bytes.fromhex(secret), 0, 0]
    book.save(keys.root(), found)


def _unreadable(board, path):
    """From now on nobody can tell whether `path` is there."""
    real = files.exists

    def exists(asked):
        if asked == path:
            raise OSError(5)
        return real(asked)

    files.exists = exists


_STEPS = {
    "chip": _chip,
    "code": _code,
    "cmd": _command,
    "policy": _policy,
    "pass": _pass,
    "state": _state,
    "cut": _cut,
    "damage": _damage,
    "remove": _remove,
    "unreadable": _unreadable,
    "resetting": _resetting,
}
