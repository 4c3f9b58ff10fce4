"""Cut the power at every flash operation of a program, and look at what each cut leaves.

The board runs once. At each operation one child is forked per way of cutting; the child takes the
power away there, verifies the flash that is left (usually by booting the next board from it) and
reports; the parent goes on with the intact operation. 300 cuts take about a minute.
"""

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from host_tools.targets.emulator.board import Board, Until
from host_tools.targets.emulator.flash import Cut, PowerCut

JOBS = 2
CHILD_S = 120
REPORT_BYTES = 1 << 16
MODES = ("before", "half", "torn", "after")

# (flash contents after the cut, console output up to it) -> "" or what is wrong
Verify = Callable[[bytes, bytes], str]


@dataclass
class Result:
    """`operations` of the whole run, `cuts` tried, and those that broke something."""

    operations: int = 0
    cuts: int = 0
    failures: list[tuple[Cut, str]] = field(default_factory=list[tuple[Cut, str]])


@dataclass
class _Child:
    cut: Cut
    pid: int
    pipe: int
    deadline: float


def sweep(
    board: Board,
    until: Until,
    verify: Verify,
    *,
    modes: tuple[str, ...] = MODES,
    every: int = 1,
    jobs: int = JOBS,
    wall_s: float = 600,
) -> Result:
    """Run `board` (one without network) until `until`, cutting at each `every`-th operation."""
    result = Result()
    children: list[_Child] = []

    def before_each(operation: int) -> None:
        result.operations = operation
        if operation % every:
            return
        for mode in modes:
            while len(children) >= jobs:
                _collect(children, result)
            cut = Cut(operation, mode, seed=operation)
            child = _fork(cut)
            if child is None:
                board.flash.before_each = None
                board.flash.cut = cut
                return
            children.append(child)

    board.flash.before_each = before_each
    finished = False
    try:
        finished = board.run(until, wall_s=wall_s)
    except PowerCut:
        _report(verify, board)
    while children:
        _collect(children, result)
    if not finished:
        result.failures.append((Cut(0, "after"), f"the uncut run did not end in {wall_s} s"))
    return result


_report_pipe = -1  # in a child: where its verdict goes


def _fork(cut: Cut) -> _Child | None:
    """None in the child."""
    global _report_pipe
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _report_pipe = writing
        return None
    os.close(writing)
    return _Child(cut, pid, reading, time.monotonic() + CHILD_S)


def _report(verify: Verify, board: Board) -> None:
    """In the child: judge what is left, tell the parent, and be gone without any clean-up."""
    try:
        complaint = verify(board.flash_bytes(), bytes(board.output))
    except BaseException as error:
        complaint = f"verify raised {type(error).__name__}: {error}"
    os.write(_report_pipe, json.dumps(complaint).encode()[:REPORT_BYTES])
    os._exit(0)


def _collect(children: list[_Child], result: Result) -> None:
    """Wait for one child and note what it found."""
    nearest = min(child.deadline for child in children)
    ready, _, _ = select.select(
        [child.pipe for child in children], [], [], max(0.0, nearest - time.monotonic())
    )
    for child in children:
        if child.pipe in ready or child.deadline <= time.monotonic():
            children.remove(child)
            result.cuts += 1
            complaint = _verdict(child, child.pipe in ready)
            if complaint:
                result.failures.append((child.cut, complaint))
            return


def _verdict(child: _Child, ready: bool) -> str:
    if not ready:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
    with os.fdopen(child.pipe, "rb") as pipe:
        report = pipe.read(REPORT_BYTES)
    os.waitpid(child.pid, 0)
    if not ready:
        return f"no verdict after {CHILD_S} s"
    try:
        return json.loads(report)
    except ValueError:
        return "the child ended without a verdict"
