"""The network is back: what waited goes to the real collector, with faults on the way."""

import time
from contextlib import contextmanager

from host_tools.demo.services import Services
from host_tools.fleet import mosquitto
from tests.soak import fleet
from tests.soak.verdict import judge

LOOK_S = 0.05
BACK_S = 420  # until the board is back: longer than the longest wait between its attempts
STILL_S = 90  # without progress, after which the next fault comes all the same
SETTLED_S = 420  # without progress, after which what is missing is lost
JUDGE_S = 30
LONGEST_S = 3 * 3600
SILENT_S = 2  # no frame passes: acknowledgements are lost
MARGIN_S = 60  # by which the services' clock is ahead: the board's must never be


@contextmanager
def later(seconds):
    """The services' clock goes `seconds` ahead of this machine's."""
    real = time.time
    time.time = lambda: real() + seconds
    try:
        yield
    finally:
        time.time = real


class Replay:
    """services: those that run. found, device: the fleet and its board's id."""

    def __init__(self, found, device, watch, tell):
        self.found, self.device, self.watch, self.tell = found, device, watch, tell
        self.services = None
        self.began = time.monotonic()

    def run(self):
        """Until nothing more comes; the board is off then, and the services are down."""
        self.serve("embedded")
        self.watch.board.pace(1)
        self.watch.board.network(down=False)
        missing = self.missing()
        self.shrunk(missing - 1, BACK_S)
        faults = [
            (0.05, self.lose_acknowledgements),
            (0.15, self.restart_broker),
            (0.25, self.lose_acknowledgements),
            (0.40, self.reset),
            (0.50, self.lose_acknowledgements),
            (0.60, self.change_broker),
            (0.75, self.lose_acknowledgements),
            (0.85, self.drop),
        ]
        for share, fault in faults:
            self.shrunk((1 - share) * missing)
            self.tell(f"{self.rows()} of {self.watch.truth.count} readings: {fault()}")
        self.settle()
        self.watch.board.stop()
        time.sleep(1)  # for what the broker still has
        self.services.stop()

    # faults; each says what it did

    def lose_acknowledgements(self):
        self.shrunk(self.missing() - 1)
        self.watch.board.network(down=True)
        time.sleep(SILENT_S)
        self.watch.board.network(drop=True, down=False)
        return "lost what was on its way to the board, and the connection"

    def drop(self):
        self.watch.board.network(drop=True)
        return "lost the connection"

    def restart_broker(self):
        self.serve("embedded")
        return "restarted broker and collector"

    def change_broker(self):
        if mosquitto.find() is None:
            return "no mosquitto here: the broker stays"
        self.serve("mosquitto")
        return "changed the broker to mosquitto"

    def reset(self):
        self.watch.truth.end("reset while it sent")
        self.watch.board.reset()
        return "reset the board"

    # what is there

    def serve(self, broker):
        if self.services is not None:
            self.services.stop()
        self.services = Services(self.found.root, broker)
        self.services.start()

    def rows(self):
        return fleet.count(self.services.database, self.device)

    def missing(self):
        """Readings that were taken and are not in the database: those of now among them."""
        return self.watch.truth.count - self.rows()

    def shrunk(self, wanted, seconds=STILL_S):
        """Wait until no more than `wanted` are missing, or no fewer for `seconds`."""
        least, since = None, time.monotonic()
        while (now := self.missing()) > wanted:
            if least is None or now < least:
                least, since = now, time.monotonic()
            if time.monotonic() - since > seconds:
                return
            self.watch.look()
            time.sleep(LOOK_S)

    def settle(self):
        """Wait until nothing is missing, or what is missing has not become less for SETTLED_S."""
        least, since = None, time.monotonic()
        while time.monotonic() - self.began < LONGEST_S:
            readings, _ = fleet.rows(self.services.database, self.device)
            verdicts = [judge(self.watch.truth.boots, name, readings[name]) for name in readings]
            missing = sum(verdict.lost for verdict in verdicts)
            if least is None or missing < least:
                least, since = missing, time.monotonic()
                self.tell(f"{sum(map(len, readings.values()))} rows, {missing} missing")
            settled = time.monotonic() - since
            if settled > (SETTLED_S if missing else JUDGE_S):
                return
            for _ in range(JUDGE_S):
                self.watch.look()
                time.sleep(1)
