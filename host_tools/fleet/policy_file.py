"""Policies as people write and read them: a TOML file in, words out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from host_tools import strict
from host_tools.errors import Refused, UsageError
from host_tools.fleet import policies
from host_tools.fleet.policies import COMMANDING, FACTORS, LIMITS, Policy, Rule, Way


def load(path: Path, issued: int) -> Policy:
    """The policy that a person wrote. Raises UsageError for anything unexpected in it."""
    where = str(path)
    data = strict.load(path)
    _keys(data, ("version", "commands"), where)
    version: Any = data.get("version")
    if not policies.is_int(version) or not 1 <= version < 2**32:
        raise UsageError(f"{where}: version must be an integer from 1, one more than the last")
    commands = _table(data.get("commands", {}), f"{where}: commands")
    rules = {name: _rule(value, f"{where}: {name}") for name, value in commands.items()}
    policy = Policy(version, issued, rules)
    try:
        policies.check(policy)
    except Refused as error:
        raise UsageError(f"{where}: {error}", error.hint) from error
    return policy


def explain(policy: Policy) -> list[dict[str, Any]]:
    """One row a command: who may, and within what."""
    return [
        {
            "command": name,
            "who": "; or ".join(map(_way_words, rule.ways)),
            "envelope": "; ".join(_limit_words(*item) for item in rule.limits.items()) or None,
            "cool_down": f"{rule.cooldown_s} s" if rule.cooldown_s else None,
            "valid": f"{rule.window_s} s",
            "offline": rule.offline,
        }
        for name, rule in sorted(policy.rules.items())
    ]


def _way_words(way: Way) -> str:
    who = " or ".join(way.roles)
    count = f"{way.signers} persons of {who}" if way.signers > 1 else who
    factor = {"none": "", "presence": " and the button", "totp": " and a code"}[way.factor]
    return count + factor + (", in an emergency only" if way.emergency else "")


def _limit_words(name: str, one: Mapping[str, Any]) -> str:
    if "choices" in one:
        return f"{name} one of {', '.join(map(str, one['choices']))}"
    words = f"{name} {one['low']}..{one['high']}"
    if "step" in one:
        words += f", steps of {one['step']} from {one['start']}"
    if "total" in one:
        words += f", {one['total']} in {one['seconds']} s"
    return words


def _rule(value: object, where: str) -> Rule:
    data = _table(value, where)
    _keys(data, ("allow", "arguments", "cooldown_s", "window_s", "offline"), where)
    allow = data.get("allow", [])
    if not isinstance(allow, list):
        raise UsageError(f"{where}: allow must be a list of tables")
    ways = tuple(_way(item, where) for item in cast("list[Any]", allow))
    arguments = _table(data.get("arguments", {}), f"{where}: arguments")
    limits = {name: _limits(one, f"{where}: {name}") for name, one in arguments.items()}
    return Rule(
        ways,
        limits,
        data.get("cooldown_s", 0),
        data.get("window_s", policies.WINDOW_MAX_S),
        data.get("offline", False),
    )


def _way(value: object, where: str) -> Way:
    data = _table(value, f"{where}: allow")
    _keys(data, ("roles", "signers", "factor", "emergency"), f"{where}: allow")
    roles = data.get("roles")
    if not isinstance(roles, list) or not roles:
        raise UsageError(f"{where}: roles must be a list such as ['operator']")
    for role in cast("list[Any]", roles):
        strict.choice("role that commands", str(role), COMMANDING)
    factor = strict.choice("factor", str(data.get("factor", "none")), FACTORS)
    signers = data.get("signers", 1)
    return Way(tuple(cast("list[str]", roles)), signers, factor, data.get("emergency", False))


def _limits(value: object, where: str) -> dict[str, Any]:
    data = _table(value, where)
    _keys(data, LIMITS, where)
    return data


def _table(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where}: expected a table, got {type(value).__name__}")
    return cast("dict[str, Any]", value)


def _keys(data: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in data:
        if key not in known:
            raise UsageError(f"{where}: unknown key {key!r}", strict.nearest(key, known))
