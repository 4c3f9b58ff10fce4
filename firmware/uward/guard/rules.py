"""The rule of one command in a policy that was accepted (SPEC 11): whom it takes, and how."""

from uward import limits
from uward.codec import cbor
from uward.compat import const
from uward.errors import CommandRefused

ALONE = const(0)  # factors: the signatures are enough
PRESENCE = const(1)  # somebody presses the button
TOTP = const(2)  # a code of RFC 6238
BREAKGLASS = "breakglass"
_BREAKGLASS = const(9)  # the role

# What no policy can grant with less: two persons, or one with another factor (S15, S16)
_TWO_PERSONS = ("retire",)
_TWO_FACTORS = ("rotate-keys", "unlock-console", "totp")


class Way:
    """Who together may command: roles, threshold of distinct holders, factor, emergency only."""

    def __init__(self, value):
        self.roles, self.threshold, self.factor, self.emergency = value


class Rule:
    """ways; limits: {argument: map}; cooldown, window in seconds; offline: also at the console.

    value: of a policy that was accepted, so `policy` has looked at it.
    """

    def __init__(self, value):
        self.ways = [Way(way) for way in value[1]]
        self.limits = value.get(2, {})
        self.cooldown = value.get(3, 0)
        self.window = value.get(4, limits.COMMAND_WINDOW_S)
        self.offline = value.get(5, False)


def rule(policy, start, command):
    """The rule of one command. policy: bytes that were accepted; start: where its rules begin.

    Its structure is known to be good, so this only walks over what comes before. CommandRefused
    `cmd.denied`.
    """
    wanted = command.encode()
    count, o = _head(policy, start)
    for _ in range(count):
        size, o = _head(policy, o)
        found = policy[o : o + size] == wanted
        size, o = _head(policy, o + size)
        if found:
            return Rule(cbor.decode(policy[o : o + size]))
        o += size
    raise CommandRefused("cmd.denied", "policy: expected a command it names, got %s" % command)


def _head(data, o):
    """-> (argument, next offset) of a map, text or bytes of less than 64 KB (RFC 8949 3)."""
    number = data[o] & 31
    if number < 24:
        return number, o + 1
    size = 1 << number - 24
    return int.from_bytes(data[o + 1 : o + 1 + size], "big"), o + 1 + size


def weak(command, way):
    """Whether no policy can allow this way for this command."""
    if command == BREAKGLASS:
        return way.roles != [_BREAKGLASS]
    if command in _TWO_PERSONS:
        return way.threshold < 2
    return command in _TWO_FACTORS and way.threshold < 2 and way.factor == ALONE
