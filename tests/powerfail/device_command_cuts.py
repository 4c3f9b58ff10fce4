"""Scenarios for `faults`: a command is carried out at most once, wherever the power goes (S16).

Paths of guard/ are absolute, so the flash of the sweep is mounted at `/`.
"""

import os
import sys


def _away():
    """Modules stay at /m0, /m1, ..; `/` is free."""
    import vfs

    places = [place for place in sys.path if place.startswith("/")]
    vfs.umount("/")
    for i, place in enumerate(places):
        vfs.mount(vfs.VfsPosix(place), "/m%d" % i)
        sys.path[sys.path.index(place)] = "/m%d" % i


def _need(condition, what):
    if not condition:
        raise ValueError("after a cut: " + what)


def doses(files, commands, careless=False):
    """Two doses, the same bytes again after the cut. files: {path: hex} of an enrolled board with
    a policy; careless: the state is written after the execution only. -> [cuts, interrupted]"""
    _away()
    import asyncio

    import commanded
    import faults
    from uward.guard import book, command
    from uward.vault import keys

    data = faults.blank(40)

    def ready(_):
        os.mkdir("/id")
        for path in files:
            with open(path, "wb") as f:
                f.write(bytes.fromhex(files[path]))

    faults.powered(data, "/", ready)
    given = [bytes.fromhex(one) for one in commands]
    ran = {}  # doses by command, over all boots since the flash was as at first
    events = []

    def start():
        board = commanded.Board()
        board.now = 0
        board.event = lambda name, reason="": events.append(name)
        board.begin_orders()
        board.now = 10**6  # the cool-down is over
        return board

    def obey(board, index):
        def dose(ml):
            ran[index] = ran.get(index, 0) + 1

        board.orders["dose"] = (dose, {"ml": (0, 40)})
        command.port.set_time(commanded.NOW)
        asyncio.run(command.obey(board, commanded.DEVICE, given[index], b"c" * 16, True))
        board.now += 61_000  # the cool-down, not the time of the total

    def scenario(_):
        ran.clear()
        board = start()
        for index in range(len(given)):
            obey(board, index)

    def check(_, done):
        before = dict(ran)
        found = book.load(keys.root())
        board = start()
        for index in range(len(given)):
            obey(board, index)
        for index in range(len(given)):
            _need(ran.get(index, 0) <= 1, "a dose was given twice")
        spent = 5 * len(before)  # ml: what was given is in the envelope, whatever was cut
        _need(not before or found.kept["dose"]["ml"][1] >= spent, "a dose is accounted for")
        if done:
            _need(len(before) == len(given), "all doses")
        _need(book.load(keys.root()).pending is None, "nothing is pending")

    if careless:
        save = book.save

        def later(root, found, base=""):
            if found.pending is None:
                save(root, found, base)

        book.save = later
    cuts = faults.sweep(data, "/", scenario, check)
    return [cuts, events.count("cmd.interrupted")]
