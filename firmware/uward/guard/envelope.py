"""The safety envelope (SPEC 11, S16): it holds for a validly signed command too. Pure.

Limits, rate of change, total in a time, cool-down. Time is uptime: what was done before a reset
counts as done at it, so the cool-down starts again.
"""

from uward import limits
from uward.compat import const
from uward.errors import CommandRefused

_LOW, _HIGH, _STEP, _START, _TOTAL, _SECONDS, _CHOICES = 1, 2, 3, 4, 5, 6, 7
_LAST = const(0)  # of what is kept of an argument: the last value
_SPENT = const(1)  # and what was spent of its total


def check(rule, arguments, kept, recent, uptime):
    """-> (kept, recent) as they are to be after the command; both are new.

    kept: {argument: [last, spent]} of the command, from flash, or None before its first run;
    recent: {"": ms of the last run, argument: [[ms, amount], ...]} of this boot, or None.
    CommandRefused `safety.refused`.
    """
    _cool(rule, kept, recent, uptime)
    after, now = {}, {"": uptime}
    for name in arguments:
        if name not in rule.limits:
            raise CommandRefused("cmd.denied", "expected an argument of the policy, got " + name)
        one = rule.limits[name]
        value = arguments[name]
        before = (kept or {}).get(name)
        _bounds(name, value, one)
        if _STEP in one:
            last = one[_START] if before is None else before[_LAST]
            _step(name, value, last, one[_STEP])
        spent = 0
        if _TOTAL in one:
            amounts = _amounts(before, (recent or {}).get(name), uptime - one[_SECONDS] * 1000)
            spent = sum(amount for _, amount in amounts) + value
            if not spent <= one[_TOTAL]:
                _refuse(name, "at most %s in %d s" % (one[_TOTAL], one[_SECONDS]), spent)
            amounts.append([uptime, value])
            now[name] = _bounded(amounts)
        after[name] = [value, spent]
    for name in kept or ():  # of arguments that this run did not name
        if name not in after:
            after[name] = kept[name]
    for name in recent or ():
        if name not in now:
            now[name] = recent[name]
    return after, now


def _cool(rule, kept, recent, uptime):
    if recent is not None:
        since = uptime - recent[""]
    elif kept is not None:
        since = uptime
    else:
        return
    left = rule.cooldown * 1000 - since
    if left > 0:
        raise CommandRefused("safety.refused", "cool-down: %d s left" % ((left + 999) // 1000))


def _bounds(name, value, one):
    if _CHOICES in one:
        for choice in one[_CHOICES]:
            if type(choice) is type(value) and choice == value:
                return
        _refuse(name, "one of its choices", value)
    within(name, value, one[_LOW], one[_HIGH])


def within(name, value, low, high):
    """CommandRefused unless it is a number from low to high; True and False are none."""
    if type(value) not in (int, float) or not low <= value <= high:
        _refuse(name, "%s..%s" % (low, high), value)


def _step(name, value, last, step):
    if type(last) not in (int, float) or not -step <= value - last <= step:
        _refuse(name, "a change of at most %s from %s" % (step, last), value)


def _amounts(before, recent, since):
    """What was spent since then: of this boot, or what flash says as of the reset."""
    if recent is None:
        recent = [[0, before[_SPENT]]] if before is not None else []
    return [one for one in recent if one[0] > since]


def _bounded(amounts):
    while len(amounts) > limits.ENVELOPE_AMOUNTS:
        amounts[1] = [amounts[1][0], amounts[0][1] + amounts[1][1]]  # as late as the later one
        del amounts[0]
    return amounts


def _refuse(name, expected, got):
    raise CommandRefused("safety.refused", "%s: expected %s, got %r" % (name, expected, got))
