"""The readings of one sensor in the collector's database against those that the board took."""

from dataclasses import dataclass, field

from tests.soak.app import PERIOD_S
from tests.soak.matching import Matcher, filled

UNWRITTEN_S = 3 * PERIOD_S  # what was read before an incident and need not be in flash yet
FLYING_S = 60  # what was read before the end and may be under way


@dataclass
class Verdict:
    """Of one sensor. unwritten: seconds before the last word of the boot, of each such reading."""

    told: int = 0
    kept: int = 0
    unheard: int = 0  # in the database, and not heard on the console
    unwritten: list[float] = field(default_factory=list)
    flying: int = 0  # under way at the end
    lost: int = 0
    twice: int = 0
    wrong: int = 0
    late: int = 0  # after a reading that was taken later
    back: int = 0  # dated before the one before: a boot that did not know the time
    skew: float = 0.0  # seconds that a row is off its boot's clock at most

    @property
    def faults(self):
        return self.lost + self.twice + self.wrong + self.late


def judge(boots, name, rows):
    """boots: of `truth.Truth`; rows: [(time in s, value)] as they were committed. -> Verdict."""
    matcher = Matcher([filled(boot.readings.get(name, [])) for boot in boots], rows)
    matcher.run()
    verdict = Verdict(
        kept=matcher.kept,
        unheard=matcher.unheard,
        twice=matcher.twice,
        wrong=matcher.wrong,
        late=matcher.late,
        back=matcher.back,
        skew=matcher.skew,
    )
    for boot, slots, used in zip(boots, matcher.slots, matcher.used, strict=True):
        _missing(verdict, boot, slots, used)
    return verdict


def _missing(verdict, boot, slots, used):
    """Count the readings of one boot that are in no row."""
    tail = max(used, default=-1)
    for number, slot in enumerate(slots):
        if slot.value is None:
            continue
        verdict.told += 1
        before = boot.last - slot.at
        if number in used:
            continue
        if number > tail and boot.end and before <= UNWRITTEN_S:
            verdict.unwritten.append(before)
        elif number > tail and not boot.end and before <= FLYING_S:
            verdict.flying += 1
        else:
            verdict.lost += 1
