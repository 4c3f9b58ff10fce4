"""No policy, however odd, grants what its words do not say (SPEC 11, T25); CPython.

The oracle is written from SPEC 11 in a few lines; device and host are two other programs.
"""

from itertools import pairwise

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uward.errors import CodecError, CommandRefused
from uward.guard import envelope, judge, policy
from uward.guard import rules as device_rules
from uward.orders import Orders
from uward.vault import keys

from host_tools.errors import Refused
from host_tools.fleet import plain, policies
from host_tools.fleet.policies import Policy, Rule, Way

EXAMPLES = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
ROLE_NUMBERS = {"operator": 3, "admin": 4, "breakglass": 9}
COMMANDS = ("reboot", "dose", "retire", "totp", "unlock-console", "breakglass", "release")
PEOPLE = [
    (bytes([i]) * 32, role, bytes([i % 5]) * 8) for i, role in enumerate((3, 3, 4, 4, 9, 9, 3))
]

numbers = st.integers(-100, 100) | st.floats(-100, 100, width=16)
odd_numbers = numbers | st.sampled_from([float("inf"), float("nan"), True, "1", None, 2**70])
ways = st.builds(
    Way,
    st.lists(st.sampled_from(sorted(ROLE_NUMBERS)), min_size=1, max_size=3, unique=True).map(
        tuple
    ),
    st.integers(1, 4),
    st.sampled_from(policies.FACTORS),
    st.booleans(),
)
bounds = st.tuples(numbers, numbers).map(sorted).map(lambda two: {"low": two[0], "high": two[1]})
rules = st.builds(
    Rule,
    st.lists(ways, min_size=1, max_size=4).map(tuple),
    st.dictionaries(st.sampled_from(["ml", "rate"]), bounds, max_size=2),
    st.integers(0, 100),
    st.integers(1, 86_400),
    st.booleans(),
)
named = st.dictionaries(st.sampled_from(COMMANDS), rules, max_size=7)
whole = st.builds(Policy, st.integers(1, 9), st.integers(0, 2**40), named)
some = st.lists(st.sampled_from(PEOPLE), max_size=4, unique=True)


@pytest.fixture(autouse=True)
def no_chip(monkeypatch):
    monkeypatch.setattr(keys, "in_chip", lambda: False)


def lenient(value):
    """A policy as any author may write it, the host's checks left out."""
    return policies.encode_unchecked(value)


def device_takes(payload):
    try:
        return policy._checked(payload)
    except CodecError:
        return None


@EXAMPLES
@given(whole)
def test_host_and_device_agree_on_what_a_policy_is(value):
    try:
        payload = policies.encode(value)
    except Refused:
        assert device_takes(lenient(value)) is None
        return
    version, size = device_takes(payload)
    assert version == value.version and policies.parse(payload) == value
    for name, rule in value.rules.items():
        found = device_rules.rule(payload, len(payload) - size, name)
        assert [(tuple(way.roles), way.threshold) for way in found.ways] == [
            (tuple(ROLE_NUMBERS[role] for role in way.roles), way.signers) for way in rule.ways
        ]
        assert (found.cooldown, found.window) == (rule.cooldown_s, rule.window_s)
    for name in COMMANDS:
        if name not in value.rules:
            with pytest.raises(CommandRefused, match="a command it names"):
                device_rules.rule(payload, len(payload) - size, name)


class Agent(Orders):
    def uptime(self):
        return 10**6


def granted(rule, name, signers, *, pressed, emergency):
    """The words of SPEC 11, once more: does some way of the rule let these people command?"""
    for way in rule.ways:
        numbers_ = {ROLE_NUMBERS[role] for role in way.roles}
        holders = {holder for _, role, holder in signers if role in numbers_}
        if len(holders) < way.signers or (way.emergency and not emergency):
            continue
        if way.factor == "none" or (way.factor == "presence" and pressed):
            return True
    return False


@EXAMPLES
@given(whole, some, st.booleans(), st.booleans())
def test_nobody_is_let_in_by_more_than_a_way_says(value, signers, pressed, emergency):
    payload = lenient(value)
    taken = device_takes(payload)
    if taken is None:
        return
    agent = Agent()
    agent.present = (lambda: True) if pressed else None
    agent.emergency = int(emergency)
    for name, rule in value.rules.items():
        found = device_rules.rule(payload, len(payload) - taken[1], name)
        command = type("Command", (), {"name": name, "code": None})
        context = type("Context", (), {"agent": agent})
        try:
            way = judge._way(command, context, found, signers)
        except CommandRefused:
            assert not granted(rule, name, signers, pressed=pressed, emergency=emergency)
            continue
        assert granted(rule, name, signers, pressed=pressed, emergency=emergency)
        if name == "retire":
            assert way.threshold >= 2
        if name in ("totp", "unlock-console"):
            assert way.threshold >= 2 or way.factor
        if name == "breakglass":
            assert way.roles == [9]


leaves = st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.floats()
leaves |= st.text(max_size=5) | st.binary(max_size=5)
labels = st.integers(0, 8) | st.text(max_size=3)
junk = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(labels, inner, max_size=4),
    max_leaves=12,
)


@EXAMPLES
@given(junk, st.sampled_from([(), (3,), (3, "reboot"), (3, "reboot", 1), (3, "reboot", 2, "ml")]))
def test_junk_anywhere_refuses_the_whole(value, where):
    """Whatever stands at a place of a policy: it is understood as SPEC 11 says, or refused."""
    body = {1: 1, 2: 0, 3: {"reboot": {1: [[[3], 1, 0, False]], 2: {"ml": {1: 0, 2: 1}}}}}
    target = body
    for step in where[:-1]:
        target = target[step]
    if where:
        target[where[-1]] = value
    else:
        body = value
    try:
        if isinstance(body, dict) and isinstance(body.get(3), dict):
            body[3] = {name: plain.encode(rule) for name, rule in body[3].items()}
        payload = plain.encode(body)
    except (cbor2.CBOREncodeError, OverflowError, TypeError):
        return
    taken = device_takes(payload)
    try:
        policies.parse(payload)
        host = True
    except Refused:
        host = False
    assert (taken is not None) == host


@EXAMPLES
@given(bounds, st.lists(odd_numbers, min_size=1, max_size=6), numbers, st.integers(1, 60))
def test_no_value_leaves_its_envelope(limits_, values, step, seconds):
    """Whatever is asked in whatever order: within bounds, near the last one, below the total."""
    low, high = sorted(map(abs, limits_.values()))
    step = abs(step) or 1
    one = {1: low, 2: high, 3: step, 4: low, 5: high * 2 or 1, 6: seconds}
    rule = type("Rule", (), {"limits": {"ml": one}, "cooldown": 0})
    kept = recent = None
    given_ = []
    uptime = 0
    for value in values:
        uptime += 1000
        try:
            kept, recent = envelope.check(rule, {"ml": value}, kept, recent, uptime)
        except CommandRefused as error:
            assert error.event == "safety.refused"
            continue
        given_.append((uptime, value))
    assert all(type(value) in (int, float) and low <= value <= high for _, value in given_)
    assert all(abs(b - a) <= step for (_, a), (_, b) in pairwise([(0, low), *given_]))
    for when, _ in given_:
        window = [value for at, value in given_ if when - seconds * 1000 < at <= when]
        assert sum(window) <= one[5] + 1e-6
