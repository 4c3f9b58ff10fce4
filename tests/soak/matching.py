"""Which row of the database is which reading of the board.

A row is found by its time on the board's clock and by its value. Where a boot's clock began is not
known before, nor how far it is set when the time is proved: there a row is the reading from which
most rows that follow agree too. The date of a boot that was not told the time may be any; that of
a row within its boot may not.
"""

from bisect import bisect_left

from tests.soak.app import PERIOD_S
from tests.soak.truth import Told

NEAR_S = PERIOD_S / 2  # a row further from every reading belongs to none
STEP_S = 2  # a row further off than that may come from a clock that was set
SET_S = 60  # how far it may be set within a boot: an emulated board falls behind when it boots
SAME_VALUE = 1e-4  # relative: single precision is coarser than what was read
WINDOW = 36  # rows that are looked at together: a third of them may be wrong
STREAK = 12  # rows without such a one: few enough agree by chance, where all around is lost
BEYOND = 2  # readings at the end of a boot that may not have been heard


def filled(told):
    """The readings of a boot, and one without value wherever one may not have been heard."""
    slots = []
    for one in told:
        missing = one.number - (slots[-1].number + 1 if slots else 0)
        step = (one.at - slots[-1].at) / (missing + 1) if slots else PERIOD_S
        for left in range(missing, 0, -1):
            slots.append(Told(one.number - left, one.at - left * step, None))
        slots.append(one)
    for _ in range(BEYOND if slots else 0):
        slots.append(Told(slots[-1].number + 1, slots[-1].at + PERIOD_S, None))
    return slots


class Matcher:
    """slots: `filled` of each boot. rows: [(time in s, value)] in the order of their arrival.

    After `run`, used: of each boot the numbers of its slots that have a row; and the counts that
    `verdict.Verdict` explains."""

    def __init__(self, slots, rows):
        self.slots = slots
        self.rows = rows
        self.used = [set() for _ in slots]
        self.kept = self.unheard = self.twice = self.wrong = self.late = self.back = 0
        self.skew = 0.0
        self._times = [[slot.at for slot in boot] for boot in slots]
        self._boot = -1  # the one whose rows come
        self._first, self._base = {}, {}  # boot -> time when its clock began: at first, now
        self._last = {}  # boot -> highest slot that has a row
        self._until = float("-inf")  # time of the latest row
        self._seen = set()  # rows

    def run(self):
        for number in range(len(self.rows)):
            self._take(number)

    def _take(self, number):
        row = self.rows[number]
        slot = self._free(self._boot, row)
        if slot is not None and self._follows(slot, row):
            self._place(self._boot, slot, row)
            return
        known = slot is not None or self._again(row)
        stay = self._stay(number)
        score, boot, begin = self._begin(number) if stay < WINDOW - known else (0, 0, 0)
        if score > stay or (score == stay > 0 and not known):
            if boot != self._boot:
                self._boot = boot
                self._first[boot] = row[0] - self._times[boot][begin]
            self._place(boot, begin, row)
        elif slot is not None and self.slots[self._boot][slot].value is not None:
            self._place(self._boot, slot, row)
        elif self._again(row):
            self.twice += 1
        elif slot is not None:
            self._place(self._boot, slot, row)
        else:
            self._stray(row)

    def _follows(self, slot, row):
        """Whether it is the reading after the last one, at its time: then there is no question."""
        slots = self.slots[self._boot]
        between = slots[self._last[self._boot] + 1 : slot]
        off = row[0] - self._base[self._boot] - slots[slot].at
        heard = slots[slot].value is not None
        return heard and abs(off) < STEP_S and all(one.value is None for one in between)

    def _stray(self, row):
        """A row that continues nothing: of an earlier boot, or wrong."""
        for boot in self._base:
            slot = self._free(boot, row)
            if slot is not None and self.slots[boot][slot].value is not None:
                self._place(boot, slot, row)
                return
        self.wrong += 1
        near = self._near(self._boot, row[0])
        if near is not None and near not in self.used[self._boot]:
            self.used[self._boot].add(near)  # it came, but wrong
            self._last[self._boot] = max(near, self._last[self._boot])

    def _place(self, boot, slot, row):
        time = row[0]
        self.late += boot < self._boot or slot < self._last.get(boot, -1)
        self.used[boot].add(slot)
        self._seen.add(row)
        if self.slots[boot][slot].value is None:
            self.unheard += 1
        else:
            self.kept += 1
        self._base[boot] = time - self._times[boot][slot]
        self.skew = max(self.skew, abs(self._base[boot] - self._first[boot]))
        self._last[boot] = max(slot, self._last.get(boot, -1))
        self.back += time <= self._until
        self._until = time

    def _near(self, boot, time):
        """The slot of a boot whose clock is known that is nearest to `time`, or None."""
        return (
            None if boot not in self._base else _nearest(self._times[boot], time, self._base[boot])
        )

    def _free(self, boot, row):
        """The slot that `row` fits and that has no row, or None."""
        slot = self._near(boot, row[0])
        if slot is None or slot in self.used[boot]:
            return None
        return slot if _equal(row[1], self.slots[boot][slot].value) else None

    def _again(self, row):
        """Whether its reading has a row already."""
        slot = self._near(self._boot, row[0])
        here = slot is not None and slot in self.used[self._boot]
        return row in self._seen or (here and _equal(row[1], self.slots[self._boot][slot].value))

    def _stay(self, number):
        """How many of the next rows are explained if no boot begins here, nor is a clock set."""
        return self._agree(number, self._boot, self._base.get(self._boot), -1)[0]

    def _begin(self, number):
        """-> (rows that agree, boot, slot) where a later boot, or another setting of the clock,
        explains most of what follows."""
        following = min(WINDOW, len(self.rows) - number)
        best = (0, 0, 0)
        for boot, slot in self._beginnings(self.rows[number]):
            base = self.rows[number][0] - self._times[boot][slot]
            score, streak = self._agree(number, boot, base, slot - 1)
            if score > best[0] and (3 * score >= 2 * following or streak >= STREAK):
                best = (score, boot, slot)
                if score == following:
                    break
        return best

    def _beginnings(self, row):
        """(boot, slot) of this boot if its clock was set just now, then of all later boots."""
        time, value = row
        for boot in range(max(self._boot, 0), len(self.slots)):
            base = self._base.get(boot)
            for slot, told in enumerate(self.slots[boot]):
                if told.value is None or not _equal(value, told.value):
                    continue
                off = 0 if base is None else abs(time - base - told.at)
                if off <= SET_S and slot > self._last.get(boot, -1):
                    yield boot, slot

    def _agree(self, number, boot, base, before):
        """-> (rows that agree, before the first that does not) of a window that begins after the
        slot `before` of a boot whose clock began at `base`; it may go on in the next boots."""
        score = differ = streak = 0
        for at, row in enumerate(self.rows[number : number + WINDOW]):
            near = None if base is None else _nearest(self._times[boot], row[0], base)
            if at and self._goes_on(boot, near, row[1]):
                boot, near, before = boot + 1, 0, -1
                base = row[0] - self._times[boot][0]
            fits = near is not None and near > before and near not in self.used[boot]
            if fits and _equal(row[1], self.slots[boot][near].value):
                before, base = near, row[0] - self._times[boot][near]
            elif row not in self._seen:
                differ += 1
                if 3 * differ > WINDOW:
                    break
                continue
            score += 1
            streak += not differ
        return score, streak

    def _goes_on(self, boot, near, value):
        """Whether a row that is `near` in `boot`, or nowhere, is the first of the next one."""
        following = self.slots[boot + 1] if boot + 1 < len(self.slots) else ()
        if not following:
            return False
        tail = len(self.slots[boot]) - BEYOND if boot >= 0 else 0
        return near is None or (near >= tail and _equal(value, following[0].value))


def _nearest(times, time, base):
    at = bisect_left(times, time - base)
    near = [slot for slot in (at - 1, at) if 0 <= slot < len(times)]
    slot = min(near, key=lambda slot: abs(times[slot] + base - time), default=None)
    return None if slot is None or abs(times[slot] + base - time) > NEAR_S else slot


def _equal(value, told):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return told is None or abs(value - told) <= SAME_VALUE * max(1.0, abs(told))
