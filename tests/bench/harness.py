"""Measure MicroPython code on the emulated Pico W, with the flash cache modelled.

A file `bench_*.py` in this folder has a function `rows()` that yields `Row`s. Times are those of
`time.ticks_us()` on the board; they do not depend on the machine that emulates it.
"""

import functools
import statistics
from dataclasses import dataclass

from host_tools.boards import catalogue
from host_tools.image import compile as mpy
from host_tools.image import full, sources, uf2

XIP_MISS = 60  # cycles a flash cache miss costs: within 18 % of real boards
RUNS = 3
WALL_S = 300
PICO_W = catalogue.load("rpi_pico_w")


@dataclass(frozen=True)
class Row:
    """One measurement. `limit` must be met (at most, or at least where `more` is better); `goal`
    is what we aim for; `floor` is what the stock firmware's own part of the work takes."""

    what: str
    measured: float
    unit: str = "ms"
    floor: float | None = None
    limit: float | None = None
    goal: float | None = None
    more: bool = False

    @property
    def met(self):
        return self._reaches(self.limit)

    @property
    def verdict(self):
        """`NO` where the limit is missed, `short of goal`, or `yes`."""
        if not self.met:
            return "NO"
        return "yes" if self._reaches(self.goal) else "short of goal"

    def _reaches(self, figure):
        if figure is None:
            return True
        return self.measured >= figure if self.more else self.measured <= figure


@functools.lru_cache(maxsize=4)
def agent(without=()):
    """The agent's modules for the Pico W as files in /lib; without: parts of paths to leave out.

    Each takes a block of flash, where an image has them all in one file: a bench that needs flash
    leaves out what it does not load.
    """
    modules = sources.agent(PICO_W)
    compiled = mpy.compile_all(modules, PICO_W.mpy_arch)
    return {
        "/lib" + path: code
        for path, code in compiled.items()
        if not any(part in path for part in without)
    }


class Bench:
    """A booted board with `files` and the agent's modules; state stays from call to call."""

    def __init__(self, files=None, *, without=(), xip_miss=XIP_MISS):
        from host_tools.targets.emulator import board

        image = full.build(PICO_W, {**agent(tuple(without)), **(files or {})})
        self.modelled = board.set_xip_miss(xip_miss)
        self.board = board.Board(uf2.to_flash(image, PICO_W.flash.size), seed=1)
        self.run("import gc, sys, time\nsys.path.append('/')\ngc.collect()")

    def run(self, code):
        """Run `code`; what it printed. A traceback on the board is an error here."""
        output, error = self.board.execute(code, WALL_S)
        if error:
            raise RuntimeError(f"on the board: {error}")
        return output

    def ms(self, statement, setup="pass", runs=RUNS):
        """Median milliseconds of `statement`, the garbage collected before each run."""
        lines = self.run(
            f"{setup}\n"
            f"for _i in range({runs}):\n"
            " gc.collect()\n"
            " _t = time.ticks_us()\n"
            f" {statement}\n"
            " print(time.ticks_diff(time.ticks_us(), _t))\n"
        )
        return statistics.median(int(line) for line in lines.split()) / 1000


def table(rows):
    """The rows as text: what | measured | floor | limit | goal | ok."""
    head = ("what", "measured", "floor", "limit", "goal", "ok")
    cells = [head]
    for row in rows:
        figures = [_figure(value) for value in (row.floor, row.limit, row.goal)]
        cells.append((row.what, f"{_figure(row.measured)} {row.unit}", *figures, row.verdict))
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    return "\n".join([lines[0], "-|-".join("-" * width for width in widths), *lines[1:]])


def _figure(value):
    return "" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"
