"""How fast emulated time runs beside the wall clock."""

AHEAD_S = 0.010  # emulated time may run this far ahead of the wall clock in one batch
BEHIND_S = 30.0  # what a board is behind beyond that it stays behind: its host slept


class Pace:
    """rate: emulated seconds per wall second. catch_up: times that rate at which a board follows
    the wall clock that has fallen behind it, as in a boot; at 1 it stays behind."""

    def __init__(self, rate: float, catch_up: float = 1.0) -> None:
        self.rate = rate
        self.catch_up = catch_up
        self._clock: tuple[float, float] | None = None  # wall, emulated: the board was on time
        self._sprint = (0.0, 0.0)  # the same, since when it catches up

    def allowed(self, wall: float, seconds: float) -> float:
        """Emulated time that a board may reach at `wall` that is at `seconds` now."""
        if self._clock is None:
            self._clock = self._sprint = (wall, seconds)
        due = _at(self._clock, wall, self.rate)
        if seconds < due - BEHIND_S:
            self._clock, due = (wall, seconds), seconds
        quick = _at(self._sprint, wall, self.rate * self.catch_up)
        if seconds < quick - 2 * AHEAD_S:
            self._sprint, quick = (wall, seconds), seconds
        return min(due, quick)


def _at(since: tuple[float, float], wall: float, rate: float) -> float:
    return since[1] + (wall - since[0]) * rate
