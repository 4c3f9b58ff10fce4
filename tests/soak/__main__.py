"""`python -m tests.soak`: days without network on the emulated Pico W, then all must come, once.

A board reads two sensors, each every 10 s, while there is no network, through resets and power
cuts, in emulated time that runs free. Then the network is back, and the collector's database is
compared with every reading that the board took. Exit code 1 when one is lost, wrong, late, or
there twice.
"""

import argparse
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from host_tools.demo.services import Services
from tests.soak import app, fleet, offline
from tests.soak.replay import MARGIN_S, Replay, later
from tests.soak.report import table
from tests.soak.verdict import judge
from tests.soak.watch import Stopped, Watch

ONLINE_S = 60  # wall and emulated, before the network goes
FIRST_S = 180  # until the first reading is in the database
MOST_HOURS = 14 * 24  # certificates hold longer, revocation lists do not


def soak(folder, options):
    """-> whether all is well; prints what happens."""
    since = time.monotonic()

    def tell(line):
        print(f"{(time.monotonic() - since) / 60:6.1f} min  {line}", flush=True)

    chance = random.Random(options.seed)
    tell(f"seed {options.seed}, in {folder}")
    found, device = fleet.make(folder)
    with ExitStack() as stack:
        log = stack.enter_context(open(folder / "console.log", "w", buffering=1))
        board = stack.enter_context(fleet.board(found))
        watch = Watch(board, log)
        online(found, watch)
        began, real = watch.look(), time.monotonic()
        tell(f"{watch.truth.count} readings online; the network goes down")
        board.network(down=True)
        board.pace(0)
        planned = offline.incidents(options.incidents, options.hours * offline.HOUR_S, chance)
        offline.spend(watch, options.hours, planned, tell)
        board.pace(1)
        ahead = watch.look() - began - (time.monotonic() - real)
        offline_used = watch.used()
        stack.enter_context(later(ahead + MARGIN_S))
        tell(f"the network is back, {ahead / offline.HOUR_S:.1f} h ahead of this machine's clock")
        replay = Replay(found, device, watch, tell)
        replay.run()
    readings, events = fleet.rows(replay.services.database, device)
    verdicts = {name: judge(watch.truth.boots, name, readings[name]) for name, _ in app.SENSORS}
    print(table(verdicts, watch, offline_used, events, time.monotonic() - since))
    return not any(verdict.faults for verdict in verdicts.values())


def online(found, watch):
    """Some readings reach the collector, and the board knows the time."""
    services = Services(found.root, "embedded")
    services.start()
    try:
        watch.start()
        services.wait("a reading", lambda notice: notice.kind == "reading", FIRST_S)
        time.sleep(ONLINE_S)
    finally:
        services.stop()


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=72, help="without network, emulated")
    parser.add_argument("--incidents", type=int, default=11, help="resets and power cuts")
    parser.add_argument("--seed", type=int, help="of the incidents; default: a new one")
    parser.add_argument("--folder", type=Path, help="where the fleet is made, and stays")
    options = parser.parse_args()
    if not 0 < options.hours <= MOST_HOURS:
        parser.error(f"--hours {options.hours}, expected up to {MOST_HOURS}")
    if options.seed is None:
        options.seed = random.randrange(1 << 32)
    with ExitStack() as stack:
        folder = options.folder
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-"))
        Path(folder).mkdir(parents=True, exist_ok=True)
        try:
            return 0 if soak(Path(folder).resolve(), options) else 1
        except Stopped as stopped:
            print(f"the board's program reads no more; its console said last:\n{stopped}")
            return 1


if __name__ == "__main__":
    sys.exit(main())
