"""Policies (SPEC 11): which command needs whom, and what no signature can override.

A person writes a TOML file (`policy_file`); devices take its signed form. What a device would
refuse is refused here first.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from host_tools.errors import Refused
from host_tools.fleet import codec, plain
from host_tools.signing.cosign import Kind
from host_tools.signing.roles import BY_NAME, BY_NUMBER

KIND = Kind("policy", b"uward.policy.v1")
COMMANDING = ("operator", "admin", "breakglass")
FACTORS = ("none", "presence", "totp")
TWO_PERSONS = ("retire",)
TWO_FACTORS = ("rotate-keys", "unlock-console", "totp")
BREAKGLASS = "breakglass"
BYTES = 4096  # of a signed policy: as POLICY_BYTES on the device
COMMANDS, WAYS, ARGUMENTS, CHOICES = 48, 6, 8, 16  # as on the device
NAME, TEXT = 32, 64  # bytes
WINDOW_MAX_S = 86_400
ENVELOPE_MAX_S = 604_800
SIGNATURES = 4
LIMITS = ("low", "high", "step", "start", "total", "seconds", "choices")


@dataclass(frozen=True)
class Way:
    """Who together may command."""

    roles: tuple[str, ...]
    signers: int = 1
    factor: str = "none"
    emergency: bool = False


@dataclass(frozen=True)
class Rule:
    """How one command is authorised, and the safety envelope of its arguments."""

    ways: tuple[Way, ...]
    limits: Mapping[str, Mapping[str, Any]]
    cooldown_s: int = 0
    window_s: int = WINDOW_MAX_S
    offline: bool = False


@dataclass(frozen=True)
class Policy:
    """version: rises with each; issued: unix seconds."""

    version: int
    issued: int
    rules: Mapping[str, Rule]


def encode(policy: Policy) -> bytes:
    """The payload that is signed. Raises Refused for a policy that no device would take."""
    check(policy)
    return encode_unchecked(policy)


def encode_unchecked(policy: Policy) -> bytes:
    """As `encode`, but says whatever it is told: for tests of the device's refusals."""
    rules = {name: plain.encode(_rule_map(rule)) for name, rule in policy.rules.items()}
    return plain.encode({1: policy.version, 2: policy.issued, 3: rules})


def parse(payload: bytes) -> Policy:
    """The policy in a payload. Raises Refused."""
    what = "policy"
    body = codec.mapping(plain.decode(payload, what), what)
    if set(body) != {1, 2, 3}:
        raise Refused(f"{what}: expected the members 1 to 3")
    rules = {
        codec.text(name, "command"): _from_map(plain.decode(value, f"{what}: {name}"))
        for name, value in codec.mapping(body[3], f"{what}: rules").items()
    }
    policy = Policy(
        codec.uint(body[1], 2**32 - 1, "version"), codec.uint(body[2], 2**53, "issued"), rules
    )
    check(policy)
    return policy


def check(policy: Policy) -> None:
    """Raise Refused for the first thing that a device would not take."""
    if len(policy.rules) > COMMANDS:
        raise Refused(f"policy: at most {COMMANDS} commands, got {len(policy.rules)}")
    for name, rule in policy.rules.items():
        _expect(0 < len(name.encode()) <= NAME, name, f"a command's name is 1 to {NAME} bytes")
        _check_ways(name, rule)
        _check_rule(name, rule)


def weak(command: str, way: Way) -> str:
    """Why no policy can allow this way for this command, or nothing (S15, S16)."""
    if command == BREAKGLASS and way.roles != (BREAKGLASS,):
        return "is for role breakglass alone"
    if command in TWO_PERSONS and way.signers < 2:
        return "needs two persons"
    if command in TWO_FACTORS and way.signers < 2 and way.factor == "none":
        return "needs two persons, or one with presence or a code"
    return ""


def missing(rule: Rule, held: Iterable[tuple[str, str]], *, code: bool, emergency: bool) -> str:
    """What a command still lacks when these (role, holder) pairs have signed, or nothing."""
    signers = list(held)
    lacks: list[str] = []
    for way in rule.ways:
        if way.emergency and not emergency:
            continue
        count = len({holder for role, holder in signers if role in way.roles})
        if count < way.signers:
            lacks.append(f"{way.signers - count} more of {' or '.join(way.roles)}")
        elif way.factor != "totp" or code:
            return ""
        else:
            lacks.append("a code (--code-file)")
    return ", or ".join(lacks) or "an emergency: it is for break-glass only"


# Checks, as the device makes them


def _check_ways(name: str, rule: Rule) -> None:
    _expect(0 < len(rule.ways) <= WAYS, name, f"1 to {WAYS} ways in `allow`")
    for way in rule.ways:
        _expect(way.roles, name, "a way names roles")
        for role in way.roles:
            _expect(role in COMMANDING, name, f"role {role} commands nothing")
        good = is_int(way.signers) and 1 <= way.signers <= SIGNATURES
        _expect(good, name, f"signers is 1 to {SIGNATURES}")
        _expect(way.factor in FACTORS, name, f"factor is one of {', '.join(FACTORS)}")
        _expect(_is_bool(way.emergency), name, "emergency is true or false")
        _expect(not weak(name, way), name, weak(name, way))


def _check_rule(name: str, rule: Rule) -> None:
    _expect(len(rule.limits) <= ARGUMENTS, name, f"at most {ARGUMENTS} arguments")
    for argument, one in rule.limits.items():
        where = f"{name}: {argument}"
        _expect(0 < len(argument.encode()) <= NAME, where, f"a name is 1 to {NAME} bytes")
        _check_limits(where, one)
    _seconds(name, "cooldown_s", rule.cooldown_s, 0, ENVELOPE_MAX_S)
    _seconds(name, "window_s", rule.window_s, 1, WINDOW_MAX_S)
    _expect(_is_bool(rule.offline), name, "offline is true or false")


def _check_limits(where: str, one: Mapping[str, Any]) -> None:
    if "choices" in one:
        choices = one["choices"]
        _expect(len(one) == 1, where, "choices stand alone")
        _expect(isinstance(choices, list), where, "choices are a list")
        _expect(0 < len(choices) <= CHOICES, where, f"1 to {CHOICES} choices")
        for choice in choices:
            _expect(isinstance(choice, (bool, int, str)), where, "choices: bool, int or text")
            short = not isinstance(choice, str) or len(choice.encode()) <= TEXT
            _expect(short, where, f"a choice is at most {TEXT} bytes")
        return
    _expect("low" in one and "high" in one, where, "expected low and high, or choices")
    for value in one.values():
        _expect(_is_number(value), where, "limits are finite numbers")
    _expect(one["low"] <= one["high"], where, "low is above high")
    _expect(("step" in one) == ("start" in one), where, "step and start go together")
    if "step" in one:
        _expect(one["step"] > 0, where, "step is above 0")
        _expect(one["low"] <= one["start"] <= one["high"], where, "start is within low and high")
    _expect(("total" in one) == ("seconds" in one), where, "total and seconds go together")
    if "total" in one:
        _expect(one["low"] >= 0 and one["total"] > 0, where, "a total needs low >= 0, total > 0")
        _seconds(where, "seconds", one["seconds"], 1, ENVELOPE_MAX_S)


def _seconds(where: str, name: str, value: object, low: int, high: int) -> None:
    good = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    _expect(good, where, f"{name} is {low} to {high} whole seconds")


def is_int(value: object) -> bool:
    """An integer; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_number(value: object) -> bool:
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1 << 128
    )


def _expect(good: object, where: str, message: str) -> None:
    if not good:
        raise Refused(f"{where}: {message}")


# To and from the wire


def _rule_map(rule: Rule) -> dict[int, Any]:
    body: dict[int, Any] = {
        1: [
            [
                [BY_NAME[role].number for role in way.roles],
                way.signers,
                FACTORS.index(way.factor),
                way.emergency,
            ]
            for way in rule.ways
        ]
    }
    if rule.limits:
        body[2] = {
            name: {LIMITS.index(label) + 1: value for label, value in one.items()}
            for name, one in rule.limits.items()
        }
    if rule.cooldown_s:
        body[3] = rule.cooldown_s
    body[4] = rule.window_s
    body[5] = rule.offline
    return body


def _from_map(value: object) -> Rule:
    body = codec.mapping(value, "rule")
    if not {1} <= set(body) <= {1, 2, 3, 4, 5}:
        raise Refused("rule: expected the members 1 to 5")
    arguments = codec.mapping(body.get(2, {}), "arguments")
    return Rule(
        tuple(map(_way, _list(body[1], "ways"))),
        {codec.text(name, "argument"): _limits(one) for name, one in arguments.items()},
        body.get(3, 0),
        body.get(4, WINDOW_MAX_S),
        body.get(5, False),
    )


def _way(value: object) -> Way:
    roles, signers, factor, emergency = codec.array(value, 4, "way")
    named: list[str] = []
    for number in _list(roles, "roles"):
        role = BY_NUMBER.get(codec.uint(number, 255, "role"))
        if role is None:
            raise Refused(f"way: there is no role {number}")
        named.append(role.name)
    label = FACTORS[codec.uint(factor, len(FACTORS) - 1, "factor")]
    return Way(tuple(named), signers, label, emergency)


def _limits(value: object) -> dict[str, Any]:
    one = codec.mapping(value, "limits")
    known = dict(enumerate(LIMITS, 1))
    if not all(isinstance(label, int) and label in known for label in one):
        raise Refused(f"limits: expected the labels 1 to {len(LIMITS)}")
    return {known[label]: limit for label, limit in one.items()}


def _list(value: object, what: str) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise Refused(f"{what}: expected an array, got {codec.brief(value)}")
    return list(cast("list[Any]", value))
