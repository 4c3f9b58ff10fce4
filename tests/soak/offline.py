"""The hours without network, as fast as this machine can: readings go on, resets and cuts come."""

import time
from dataclasses import dataclass
from itertools import cycle

from host_tools.targets.emulator.flash import MODES
from tests.soak.watch import LOOK_S

HOUR_S = 3600
REPORT_S = 6 * HOUR_S  # emulated, between two lines of progress; at least four lines
AHEAD = 40  # flash operations at most until the power is cut
CUT_S = 900  # emulated: a board that writes nothing for so long loses its power all the same
CALM = 0.2  # of the time from one incident to the next, in which there is none


@dataclass(frozen=True)
class Incident:
    """at: seconds after the network went. kind: `reset`, or `cut` in `mode` at the flash operation
    that is `ahead`."""

    at: float
    kind: str
    mode: str = ""
    ahead: int = 0
    seed: int = 0


def incidents(count, span, chance):
    """`count` of them spread over `span` seconds at random, resets and cuts by turns."""
    each = span / max(count, 1)
    kinds = cycle(chance.sample(("reset", "cut"), 2))
    modes = cycle(chance.sample(MODES, len(MODES)))
    for number in range(count):
        at = each * (number + chance.uniform(CALM, 1))
        if next(kinds) == "reset":
            yield Incident(at, "reset")
        else:
            yield Incident(at, "cut", next(modes), chance.randint(1, AHEAD), chance.randrange(99))


def spend(watch, hours, planned, tell):
    """`hours` of emulated time with `planned` incidents; the board runs free. tell: of lines."""
    began, since = watch.look(), time.monotonic()
    step = min(REPORT_S, hours * HOUR_S / 4)
    waiting, reported = list(planned), 0
    while (passed := watch.look() - began) < hours * HOUR_S:
        if passed >= (reported + 1) * step:
            reported = int(passed / step)
            tell(_progress(watch, passed, time.monotonic() - since))
        if waiting and passed >= waiting[0].at:
            incident = waiting.pop(0)
            how = strike(watch, incident)
            tell(f"{passed / HOUR_S:5.1f} h: {how}")
        time.sleep(LOOK_S)
    tell(_progress(watch, passed, time.monotonic() - since))


def strike(watch, incident):
    """Let it happen. -> what happened; the board is on again when this returns."""
    board, truth = watch.board, watch.truth
    if incident.kind == "reset":
        truth.end("reset")
        board.reset()
        return "reset"
    cuts = board.status()["cuts"]
    board.cut_at(incident.ahead, incident.mode, incident.seed)
    until = watch.look() + CUT_S
    while board.status()["on"] and watch.look() < until:
        time.sleep(LOOK_S)
    how = f"power cut {incident.mode} flash operation {incident.ahead}"
    if board.status()["cuts"] == cuts:
        board.power_cut()
        how = f"power off, no flash operation in {CUT_S} s"
    time.sleep(LOOK_S)  # for what the console still says
    truth.end(how)
    watch.start()
    return how


def _progress(watch, passed, wall):
    truth = watch.truth
    return (
        f"{passed / HOUR_S:5.1f} h: {wall / 60:.1f} min of wall time, {truth.count} readings, "
        f"{watch.operations} flash operations, {watch.erases} erases, "
        f"{truth.pending} packs wait, heap {truth.heap} B at least"
    )
