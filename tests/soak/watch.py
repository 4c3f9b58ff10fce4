"""An eye on the board: its emulated time, its console, and what it does to its flash."""

import time

from littlefs import UserContext

from host_tools.image import lfs
from tests.soak.truth import Truth

LOOK_S = 0.2  # of wall time between two looks
SILENCE_S = 300  # emulated, without a reading: the program has ended, or hangs
BOOT_S = 60  # wall, until a board that was switched on has said its first reading


class Stopped(Exception):
    """The program reads no more; the last lines of the console."""


class Watch:
    """board: a PicoW; log: the file that keeps its console.

    operations, erases, resets (reasons): over all power-ons of its process."""

    def __init__(self, board, log):
        self.board = board
        self.truth = Truth()
        self._log = log
        board.on_line = self._on_line
        self.operations = self.erases = 0
        self.resets = []
        self._before = (0, 0, [])  # the same of the power-ons before this one
        self._told = (0, 0.0)  # readings, emulated time at which they became more

    def _on_line(self, line):
        self._log.write(line + "\n")
        self.truth.on_line(line)

    def start(self):
        """Switch the board on, wait for its first reading."""
        self._before = (self.operations, self.erases, self.resets)
        told = self.truth.count
        self.board.start()
        deadline = time.monotonic() + BOOT_S
        while self.truth.count == told and time.monotonic() < deadline:
            self.look()
            time.sleep(LOOK_S)

    def look(self):
        """-> emulated seconds since the first power-on; raises Stopped."""
        status = self.board.status()
        lived = status["lived"]
        if status["on"]:
            self.operations = self._before[0] + status["operations"]
            self.erases = self._before[1] + status["erases"]
            self.resets = self._before[2] + [reason for _, reason in status["resets"]]
        if self.truth.count != self._told[0]:
            self._told = (self.truth.count, lived)
        elif status["on"] and lived - self._told[1] > SILENCE_S:
            raise Stopped("\n".join(self.truth.other) or "the console said nothing")
        return lived

    def used(self):
        """-> (blocks of the file system in use, {folder: blocks of its files})."""
        board = self.board.board
        image = lfs.area(board, self.board.flash_dump())
        blocks = {}
        for path, data in lfs.read(board, image).items():
            top = "/" + path.split("/")[1]
            blocks[top] = blocks.get(top, 0) + -(-len(data) // board.flash.fs_block)
        context = UserContext(buffsize=len(image))
        context.buffer[:] = image
        system = lfs._littlefs(board.flash, context, lfs.NEWEST)
        system.mount()
        return system.used_block_count, blocks
