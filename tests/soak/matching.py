"""Which row of the database is which reading of the board.

A row is found by its time on the board's clock and by its value. Where a boot's clock began is not
known before: there a row is the reading from which the most rows that follow agree too. The date
of a boot that was not told the time may be any; that of a row within its boot may not.
"""

from bisect import bisect_left

from tests.soak.app import PERIOD_S
from tests.soak.truth import Told

NEAR_S = PERIOD_S / 2  # a row further from every reading belongs to none
SAME_VALUE = 1e-4  # relative: single precision is coarser than what was read
RUN = 24  # rows that agree: more of them say nothing more
DIFFER = 12  # rows among them that may be wrong
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
        self._until = {}  # boot -> time of its latest row
        self._seen = set()  # rows

    def run(self):
        for number in range(len(self.rows)):
            self._take(number)

    def _take(self, number):
        row = self.rows[number]
        slot = self._free(self._boot, row)
        if slot is not None and self.slots[self._boot][slot].value is not None:
            self._place(self._boot, slot, row)
            return
        stay = self._stay(number)
        score, boot, begin = self._begin(number) if stay < RUN else (0, 0, 0)
        if score > stay:
            self.back += self._boot >= 0 and row[0] <= self._until[self._boot]
            self._boot = boot
            self._first[boot] = self._base[boot] = row[0] - self._times[boot][begin]
            self._place(boot, begin, row)
        elif self._again(row):
            self.twice += 1
        elif slot is not None:
            self._place(self._boot, slot, row)
        else:
            self._stray(row)

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
        self._until[boot] = max(time, self._until.get(boot, time))

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
        """How many of the next rows are explained if no boot begins here; RUN at most."""
        following = self.rows[number : number + 2 * RUN]
        explained = sum(
            row in self._seen or self._free(self._boot, row) is not None for row in following
        )
        return min(explained, RUN)

    def _begin(self, number):
        """-> (rows that agree, boot, slot) where a later boot explains most of what follows."""
        following = len(self.rows) - number
        enough = min(RUN, following - min(following // 3, DIFFER))
        value, best = self.rows[number][1], (STREAK - 1, 0, 0)
        for boot in range(self._boot + 1, len(self.slots)):
            for slot, told in enumerate(self.slots[boot]):
                if told.value is not None and _equal(value, told.value):
                    score, streak = self._agree(number, boot, slot)
                    if score >= enough:
                        return score, boot, slot
                    if streak > best[0]:
                        best = (streak, boot, slot)
        return best if best[0] >= STREAK else (0, 0, 0)

    def _agree(self, number, boot, slot):
        """-> (rows that agree if the first is `slot`, and before the first that does not); what
        follows may be in later boots."""
        base, before = self.rows[number][0] - self._times[boot][slot], slot - 1
        score = differ = streak = 0
        for time, value in self.rows[number : number + RUN + DIFFER]:
            near = _nearest(self._times[boot], time, base)
            if near is None and boot + 1 < len(self.slots) and self.slots[boot + 1]:
                boot, near, before = boot + 1, 0, -1
                base = time - self._times[boot][0]
            if near is None or near <= before or not _equal(value, self.slots[boot][near].value):
                differ += 1
            else:
                score += 1
                streak += not differ
                before = near
            if score == RUN or differ > DIFFER:
                break
        return score, streak


def _nearest(times, time, base):
    at = bisect_left(times, time - base)
    near = [slot for slot in (at - 1, at) if 0 <= slot < len(times)]
    slot = min(near, key=lambda slot: abs(times[slot] + base - time), default=None)
    return None if slot is None or abs(times[slot] + base - time) > NEAR_S else slot


def _equal(value, told):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return told is None or abs(value - told) <= SAME_VALUE * max(1.0, abs(told))
