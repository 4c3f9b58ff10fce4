"""Policies (SPEC 11): which command needs whom, and the safety envelope that holds in any case.

A signed file of role `policy`, versioned, never back. What it does not name is denied, and nothing
in it is believed half: a rule that is not understood makes the whole policy bad.
"""

from uward import limits
from uward.codec import cbor
from uward.compat import const
from uward.crypto.hash import sha256
from uward.errors import CodecError, CommandRefused
from uward.guard import roles

DOMAIN = b"uward.policy.v1"
ALONE = const(0)  # factors: the signatures are enough
PRESENCE = const(1)  # somebody presses the button
TOTP = const(2)  # a code of RFC 6238

# What no policy can grant with less: two persons, or one with another factor (S15, S16)
_TWO_PERSONS = ("retire",)
_TWO_FACTORS = ("rotate-keys", "unlock-console", "totp")
BREAKGLASS = "breakglass"

_LOW, _HIGH, _STEP, _START, _TOTAL, _SECONDS, _CHOICES = 1, 2, 3, 4, 5, 6, 7


class Way:
    """Who together may command: roles, threshold of distinct holders, factor, emergency only."""

    def __init__(self, value):
        _need(isinstance(value, list) and len(value) == 4, "a way of four")
        self.roles, self.threshold, self.factor, self.emergency = value
        _need(isinstance(self.roles, list) and self.roles, "roles in a way")
        for role in self.roles:
            _need(type(role) is int and role in roles.COMMANDING, "a role that commands")
        _need(type(self.threshold) is int and self.threshold >= 1, "a threshold from 1")
        _need(self.threshold <= limits.COSE_SIGNATURES, "a threshold that signatures can reach")
        _need(type(self.factor) is int and self.factor in (ALONE, PRESENCE, TOTP), "a factor")
        _need(type(self.emergency) is bool, "whether the way is for emergencies only")


class Rule:
    """ways; limits: {argument: map}; cooldown, window in seconds; offline: also at the console."""

    def __init__(self, value):
        _need(isinstance(value, dict), "a rule")
        _known(value, 1, 5)
        ways = value.get(1)
        _need(isinstance(ways, list) and 0 < len(ways) <= limits.POLICY_WAYS, "ways in a rule")
        self.ways = [Way(way) for way in ways]
        self.limits = value.get(2, {})
        _need(isinstance(self.limits, dict), "limits in a map")
        _need(len(self.limits) <= limits.COMMAND_ARGUMENTS, "fewer arguments")
        for name in self.limits:
            _name(name)
            _check(self.limits[name])
        self.cooldown = _seconds(value.get(3, 0), 0)
        self.window = _seconds(value.get(4, limits.COMMAND_WINDOW_S), 1)
        _need(self.window <= limits.COMMAND_WINDOW_S, "a window of at most a day")
        self.offline = value.get(5, False)
        _need(type(self.offline) is bool, "whether it is taken offline")


def rule(policy, command):
    """The rule of one command. policy: bytes that were accepted. CommandRefused `cmd.denied`."""
    rules = _rules(_payload(policy))
    if command not in rules:
        raise CommandRefused("cmd.denied", "policy: expected a command it names, got %s" % command)
    return Rule(cbor.decode(rules[command]))


def weak(command, way):
    """Whether no policy can allow this way for this command."""
    if command == BREAKGLASS:
        return way.roles != [roles.BREAKGLASS]
    if command in _TWO_PERSONS:
        return way.threshold < 2
    return command in _TWO_FACTORS and way.threshold < 2 and way.factor == ALONE


def judge(data, held, known):
    """A new policy: signed by enough of role `policy`, and higher than the one before.

    held: Roles; known: [version, digest, slot] of the one in force. -> (version, digest), or None
    when it is the same. CommandRefused `policy.refused`, `policy.rollback`.
    """
    if len(data) > limits.POLICY_BYTES:
        raise CommandRefused(
            "policy.refused", "policy: expected <= %d bytes" % limits.POLICY_BYTES
        )
    digest = sha256(data)
    if digest == known[1]:
        return None
    try:
        payload = _payload(data)
        version = _checked(payload)
    except CodecError as e:
        raise CommandRefused("policy.refused", str(e)) from None
    if version <= known[0]:
        raise CommandRefused(
            "policy.rollback", "policy: expected a version above %d, got %d" % (known[0], version)
        )
    signers = roles.signers(data, held, DOMAIN, (roles.POLICY,), "policy.refused")
    threshold = held.threshold(roles.POLICY)
    if roles.count(signers, (roles.POLICY,)) < threshold:
        raise CommandRefused(
            "policy.refused", "policy: expected %d of role policy, got fewer" % threshold
        )
    return version, digest


def _payload(data):
    value = cbor.decode(data)
    body = value.value if isinstance(value, cbor.Tag) else None
    _need(isinstance(body, list) and len(body) == 4 and isinstance(body[2], bytes), "a COSE_Sign")
    payload = cbor.decode(body[2])
    _need(isinstance(payload, dict), "a map")
    return payload


def _rules(payload):
    _known(payload, 1, 3)
    rules = payload.get(3)
    _need(isinstance(rules, dict) and len(rules) <= limits.POLICY_COMMANDS, "rules in a map")
    return rules


def _checked(payload):
    """Every rule of it, once: what is accepted is understood. -> its version."""
    version = payload.get(1)
    _need(type(version) is int and 1 <= version < 1 << 32, "a version as u32 from 1")
    _need(type(payload.get(2)) is int, "when it was issued")
    rules = _rules(payload)
    for command in rules:
        _name(command)
        _need(isinstance(rules[command], bytes), "a rule in bytes")
        found = Rule(cbor.decode(rules[command]))
        for way in found.ways:
            _need(not weak(command, way), "a second factor for %s" % command)
    return version


def _check(one):
    """The limits of one argument: a range of numbers, or choices."""
    _need(isinstance(one, dict), "limits of an argument in a map")
    _known(one, 1, 7)
    if _CHOICES in one:
        choices = one[_CHOICES]
        _need(len(one) == 1 and isinstance(choices, list), "choices alone")
        _need(0 < len(choices) <= limits.ENVELOPE_CHOICES, "some choices")
        for choice in choices:
            _need(type(choice) in (bool, int, str), "choices of bool, int or text")
            _need(type(choice) is not str or len(choice) <= limits.COMMAND_TEXT, "short choices")
        return
    for label in (_LOW, _HIGH):
        _need(label in one, "a lowest and a highest value")
    for label in one:
        _need(number(one[label]), "numbers as limits")
    low, high = one[_LOW], one[_HIGH]
    _need(low <= high, "the lowest value below the highest")
    _need((_STEP in one) == (_START in one), "a step with its start")
    if _STEP in one:
        _need(one[_STEP] > 0 and low <= one[_START] <= high, "a step from within the range")
    _need((_TOTAL in one) == (_SECONDS in one), "a total with its seconds")
    if _TOTAL in one:
        _need(low >= 0 and one[_TOTAL] > 0, "a total of what is not negative")
        _seconds(one[_SECONDS], 1)


def number(value):
    """Whether it is a finite number; True and False are none."""
    return type(value) in (int, float) and value - value == 0


def _seconds(value, least):
    _need(type(value) is int and least <= value <= limits.ENVELOPE_S, "seconds up to a week")
    return value


def _name(value):
    _need(type(value) is str and 0 < len(value) <= limits.COMMAND_NAME, "short names")


def _known(value, first, last):
    for label in value:
        _need(type(label) is int and first <= label <= last, "members %d..%d" % (first, last))


def _need(condition, what):
    if not condition:
        raise CodecError("policy: expected %s, got another" % what)
