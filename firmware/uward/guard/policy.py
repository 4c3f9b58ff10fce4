"""Policies (SPEC 11): which command needs whom, and the safety envelope that holds in any case.

A signed file of role `policy`, versioned, never back. What it does not name is denied, and nothing
in it is believed half: a rule that is not understood makes the whole policy bad.
"""

from uward import limits
from uward.codec import cbor
from uward.crypto.hash import sha256
from uward.errors import CodecError, CommandRefused
from uward.guard import roles, signed
from uward.guard.rules import ALONE, PRESENCE, TOTP, Way, weak

DOMAIN = b"uward.policy.v1"
_LOW, _HIGH, _STEP, _START, _TOTAL, _SECONDS, _CHOICES = 1, 2, 3, 4, 5, 6, 7


def judge(data, held, known):
    """A new policy: signed by enough of role `policy`, and higher than the one before.

    held: Roles; known: [version, digest, ..] of the one in force. -> (version, digest, where its
    rules begin), or None when it is the same. CommandRefused `policy.refused`, `policy.rollback`.
    """
    digest = sha256(data)
    if digest == known[1]:
        return None
    try:
        payload, blocks = signed.parse(data, limits.POLICY_BYTES, "policy")
        version, size = _checked(payload)
    except CodecError as e:
        raise CommandRefused("policy.refused", str(e)) from None
    if version <= known[0]:
        raise CommandRefused(
            "policy.rollback", "policy: expected a version above %d, got %d" % (known[0], version)
        )
    found = []
    hashed = signed.digest(payload, DOMAIN)
    for _ in roles.signers(blocks, hashed, held, (roles.POLICY,), "policy.refused", found):
        pass
    threshold = held.threshold(roles.POLICY)
    if roles.count(found, (roles.POLICY,)) < threshold:
        raise CommandRefused(
            "policy.refused", "policy: expected %d of role policy, got fewer" % threshold
        )
    return version, digest, data.find(payload) + len(payload) - size


def _checked(raw):
    """Every rule of it, once: what is accepted is understood. -> (version, bytes of its rules,
    which are its last member)."""
    payload = cbor.decode(raw)
    _need(isinstance(payload, dict), "a map")
    _known(payload, 1, 3)
    version = payload.get(1)
    _need(type(version) is int and 1 <= version < 1 << 32, "a version as u32 from 1")
    _need(type(payload.get(2)) is int, "when it was issued")
    rules = payload.get(3)
    _need(isinstance(rules, dict) and len(rules) <= limits.POLICY_COMMANDS, "rules in a map")
    for command in rules:
        _name(command)
        _need(isinstance(rules[command], bytes), "a rule in bytes")
        value = cbor.decode(rules[command])
        _check_rule(value)
        for way in value[1]:
            _need(not weak(command, Way(way)), "a second factor for %s" % command)
    return version, len(cbor.encode(rules))


def _check_rule(value):
    _need(isinstance(value, dict), "a rule")
    _known(value, 1, 5)
    ways = value.get(1)
    _need(isinstance(ways, list) and 0 < len(ways) <= limits.POLICY_WAYS, "ways in a rule")
    for way in ways:
        _check_way(way)
    arguments = value.get(2, {})
    _need(isinstance(arguments, dict), "limits in a map")
    _need(len(arguments) <= limits.COMMAND_ARGUMENTS, "fewer arguments")
    for name in arguments:
        _name(name)
        _check(arguments[name])
    _seconds(value.get(3, 0), 0, limits.ENVELOPE_S)
    _seconds(value.get(4, limits.COMMAND_WINDOW_S), 1, limits.COMMAND_WINDOW_S)
    _need(type(value.get(5, False)) is bool, "whether it is taken offline")


def _check_way(value):
    _need(isinstance(value, list) and len(value) == 4, "a way of four")
    way = Way(value)
    _need(isinstance(way.roles, list) and 0 < len(way.roles) <= 3, "roles in a way")
    for role in way.roles:
        _need(type(role) is int and role in roles.COMMANDING, "a role that commands")
    _need(type(way.threshold) is int, "a threshold")
    _need(1 <= way.threshold <= limits.COSE_SIGNATURES, "a threshold that signatures can reach")
    _need(type(way.factor) is int and way.factor in (ALONE, PRESENCE, TOTP), "a factor")
    _need(type(way.emergency) is bool, "whether the way is for emergencies only")


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
        _need(_number(one[label]), "numbers as limits")
    low, high = one[_LOW], one[_HIGH]
    _need(low <= high, "the lowest value below the highest")
    _need((_STEP in one) == (_START in one), "a step with its start")
    if _STEP in one:
        _need(one[_STEP] > 0 and low <= one[_START] <= high, "a step from within the range")
    _need((_TOTAL in one) == (_SECONDS in one), "a total with its seconds")
    if _TOTAL in one:
        _need(low >= 0 and one[_TOTAL] > 0, "a total of what is not negative")
        _seconds(one[_SECONDS], 1, limits.ENVELOPE_S)


def _number(value):
    """Whether it is a finite number; True and False are none."""
    return type(value) in (int, float) and value - value == 0


def _seconds(value, least, most):
    _need(type(value) is int and least <= value <= most, "seconds from %d to %d" % (least, most))


def _name(value):
    _need(type(value) is str and 0 < len(value) <= limits.COMMAND_NAME, "short names")


def _known(value, first, last):
    for label in value:
        _need(type(label) is int and first <= label <= last, "members %d..%d" % (first, last))


def _need(condition, what):
    if not condition:
        raise CodecError("policy: expected %s, got another" % what)
