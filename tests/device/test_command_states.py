"""What commands leave a device in (SPEC 11, S16): envelope, factors, quarantine, policies."""

import dataclasses
from types import SimpleNamespace

import pytest
from command_kit import NOW, POLICY, TRUST, outcomes
from uward.errors import CommandRefused
from uward.guard import judge, rules, totp

from host_tools.errors import Refused
from host_tools.fleet import plain, policies
from host_tools.fleet.commands import Result
from host_tools.fleet.policies import Policy, Rule, Way

DONE, UNSAFE, DENIED = ("done", ""), ("refused", "safety.refused"), ("refused", "cmd.denied")
BOTH = ("anna", "bert")


def results(out):
    return [one for one in out if isinstance(one, Result)]


# The safety envelope


def test_limits_hold_for_a_validly_signed_command(obeying, people):
    """The policy's, and the device's own where they are narrower; NaN and True are no numbers."""
    values = [51, -1, 45, True, "5", float("nan"), float("inf"), 10]
    steps = [("cmd", people.command("dose", {"ml": value}, BOTH)) for value in values]
    out, events, done = obeying(*steps)
    assert outcomes(out) == [UNSAFE] * 7 + [DONE]
    assert "ml: expected 0..40, got 45" in out[2].detail
    assert done == [["dose", 10]]
    assert [name for name, _ in events] == ["safety.refused"] * 7 + ["cmd.done"]


def test_rate_of_change_total_and_cool_down(obeying, people):
    def dose(ml):
        return "cmd", people.command("dose", {"ml": ml}, BOTH)

    wait = ("pass", 61_000)
    out, _, done = obeying(
        dose(11),  # from 0 in steps of 10
        dose(10),
        dose(5),  # cool-down
        wait,
        dose(21),
        dose(20),
        wait,
        dose(30),
        wait,
        dose(20),  # 10 + 20 + 30 + 20 are more than 60 in 600 s
        ("pass", 430_000),
        dose(20),  # the 10 are over, 70 are left
        ("pass", 50_000),
        dose(20),
    )
    assert outcomes(results(out)) == [
        UNSAFE, DONE, UNSAFE, UNSAFE, DONE, DONE, UNSAFE, UNSAFE, DONE
    ]  # fmt: skip
    assert "a change of at most 10 from 0" in out[0].detail
    assert "cool-down: 60 s left" in out[2].detail
    assert "at most 60 in 600 s, got 80" in results(out)[6].detail
    assert [ml for _, ml in done] == [10, 20, 30, 20]


def test_after_a_reset_the_cool_down_starts_again_and_what_was_spent_stays(obeying, people):
    def dose(ml):
        return "cmd", people.command("dose", {"ml": ml}, BOTH)

    out, _, done = obeying(
        dose(10),
        ("boot", 0),
        ("pass", 59_000),
        dose(20),
        ("pass", 2_000),
        dose(25),
        dose(20),
        ("boot", 0),
        ("pass", 61_000),
        dose(30),
        ("pass", 61_000),
        dose(25),  # 60 were spent, as far as the device knows, at the reset or since
        ("pass", 600_000),
        dose(30),
    )
    assert outcomes(results(out)) == [DONE, UNSAFE, UNSAFE, DONE, DONE, UNSAFE, DONE]
    assert "a change of at most 10 from 10" in results(out)[2].detail
    assert [ml for _, ml in done] == [10, 20, 30, 30]


@pytest.mark.parametrize("arguments", [{}, {"ml": 1, "more": 1}, {"other": 1}])
def test_a_command_takes_its_own_arguments_only(obeying, people, arguments):
    out, _, _ = obeying(("cmd", people.command("dose", arguments, BOTH)))
    assert outcomes(out) == [DENIED]


def test_settings_are_typed_and_limited_and_stay(obeying, people):
    def choose(**settings):
        return "cmd", people.command("set", settings, ("carl",))

    out, _, _ = obeying(
        choose(interval=30, light="red"),
        choose(light=True),
        choose(light=1),  # a choice of another type
        choose(light="blue"),
        choose(interval=61),
        choose(gain=1.5),
        choose(gain=3.0),
        choose(unknown=1),
        choose(),
        ("boot",),
        ("state",),
    )
    assert outcomes(out[:9]) == [DONE, DONE, UNSAFE, UNSAFE, UNSAFE, DONE, UNSAFE, DENIED, DENIED]
    assert out[-1][4] == {"interval": 30, "light": True, "gain": 1.5}


# Second factors


def test_presence_is_asked_for_after_the_command_came(obeying, people):
    """One person and the button; nobody presses it; no button; a button that is always down."""
    alone = [people.command("dose", {"ml": 0}) for _ in range(3)]
    out, events, done = obeying(
        ("cmd", alone[0], {"pressed": True}),
        ("pass", 61_000),
        ("cmd", alone[1], {"pressed": False}),
        ("cmd", alone[1], {"pressed": True}),
        ("cmd", alone[2]),
    )
    assert outcomes(results(out)) == [DONE, DENIED, ("refused", "cmd.replay"), DENIED]
    assert results(out)[1].detail == "nobody pressed the button"
    assert [name for name, _ in events].count("cmd.presence") == 2
    assert done == [["dose", 0]]


# RFC 6238 appendix B, HMAC-SHA-256
VECTORS = {
    59: "46119246",
    1111111109: "68084774",
    1111111111: "67062674",
    1234567890: "91819424",
    2000000000: "90698825",
    20000000000: "77737706",
}


@pytest.mark.parametrize("when", VECTORS)
def test_codes_are_those_of_rfc_6238(when):
    assert totp.code(b"12345678901234567890123456789012", when // 30) == VECTORS[when]


def test_codes_are_a_second_factor_where_a_chip_keeps_the_secret(obeying, people):
    """Two persons make a secret; it is in the result alone, never in an event."""
    out, events, _ = obeying(("chip",), ("cmd", people.command("totp", {}, BOTH)))
    assert outcomes(results(out)) == [DONE]
    secret = results(out)[0].secret
    assert len(secret) == 32 and secret != bytes(32)
    assert secret.hex() not in str(events)


def test_a_code_counts_once_and_too_many_wrong_ones_lock(obeying, people):
    step = NOW // 30

    def dose(code, who=("anna",)):
        return "cmd", people.command("dose", {"ml": 0}, who, code=code)

    out, _, _ = obeying(
        ("chip",),
        ("code", people.public["anna"].thumbprint, b"s" * 32),
        dose(totp.code(b"s" * 32, step)),
        ("boot", 100_000),
        ("chip",),
        dose(totp.code(b"s" * 32, step)),  # its step is used, the reset changes nothing
        dose(totp.code(b"s" * 32, step + 1)),
        dose(totp.code(b"s" * 32, step + 2)),  # not yet
        dose("12345678", ("bert",)),
        *[dose("00000000") for _ in range(4)],
        ("pass", 61_000),
        dose(totp.code(b"s" * 32, step + 1)),
    )
    said = results(out)
    assert outcomes(said) == [DONE, DENIED, DONE, *[DENIED] * 7]
    assert "no secret for codes" in said[4].detail
    assert "expected the code of now" in said[8].detail
    assert "codes are locked: 5 were wrong" in said[9].detail


def test_a_key_source_in_flash_takes_no_codes(obeying, people):
    good = totp.code(b"s" * 32, NOW // 30)
    out, _, done = obeying(
        ("code", people.public["anna"].thumbprint, b"s" * 32),
        ("cmd", people.command("dose", {"ml": 0}, code=good)),
    )
    assert outcomes(out[1:]) == [DENIED] and "this key source cannot keep" in out[1].detail
    assert done == []


# Quarantine, break-glass


def test_quarantine_stops_all_but_its_end_and_survives_a_reset(obeying, people):
    out, _, done = obeying(
        ("cmd", people.command("quarantine")),
        ("state",),
        ("boot",),
        ("state",),
        ("cmd", people.command("light")),
        ("cmd", people.command("reboot")),
        ("cmd", people.command("release", {}, ("carl",))),
        ("cmd", people.command("release", {}, ("carl", "dora"))),
        ("state",),
        ("cmd", people.command("light")),
        ("boot",),
        ("state",),
    )
    assert outcomes(results(out)) == [DONE, DENIED, DENIED, DENIED, DONE, DONE]
    held = [one[:2] for one in out if isinstance(one, list) and len(one) == 5]
    assert held == [[True, False], [True, False], [False, True], [False, True]]
    assert done == ["safe", "safe", "light"]
    assert "in quarantine: expected release" in results(out)[1].detail


def test_break_glass_is_loud_expires_and_ends_with_a_reset(obeying, people):
    """It lifts a quarantine, opens what is for emergencies, keeps the envelope; once each."""

    def glass(minutes=5):
        return people.command("breakglass", {"minutes": minutes}, ("eve",))

    def dose(ml=10):
        return "cmd", people.command("dose", {"ml": ml})

    once = glass()
    out, events, done = obeying(
        ("cmd", people.command("quarantine")),
        dose(),
        ("cmd", once),
        dose(),
        dose(50),
        ("pass", 301_000),
        dose(),
        ("cmd", once),
        ("cmd", glass()),
        ("boot", 100_000),
        ("state",),
        dose(),
        ("cmd", glass(31)),
        ("cmd", people.command("breakglass", {"minutes": 1}, ("carl",))),
    )
    assert outcomes(results(out)) == [
        DONE, DENIED, DONE, DONE, UNSAFE, DENIED, ("refused", "cmd.replay"), DONE, DENIED, UNSAFE,
        DENIED,
    ]  # fmt: skip
    names = [name for name, _ in events]
    assert names.count("cmd.breakglass") == 2 and names.count("cmd.breakglass_end") == 1
    assert people.public["eve"].kid.hex() in dict(events)["cmd.breakglass"]
    assert done == ["safe", ["dose", 10], "safe", "safe"]  # begun, lifted, over, after the reset


def test_an_expired_trust_document_ends_all_but_break_glass(obeying, people):
    late = {"now": NOW + 100}
    glass = people.command("breakglass", {"minutes": 5}, ("eve",))
    out, _, _ = obeying(
        ("cmd", people.command("light"), late), ("cmd", glass, late), expires=NOW + 99
    )
    assert outcomes(out) == [DENIED, DONE]
    assert out[0].detail == "the trust document has expired"


def test_roles_of_another_trust_document_say_nothing(obeying, people):
    out, _, _ = obeying(("cmd", people.command("light")), policy=None, version=TRUST - 1)
    assert outcomes(out) == [DENIED] and "no roles of trust document 3" in out[0].detail


# Policies


def test_without_a_policy_everything_is_denied_and_the_program_goes_on(obeying, people):
    out, _, _ = obeying(("cmd", people.command("light")), ("boot",), ("state",), policy=None)
    assert outcomes(out[:1]) == [DENIED] and "no policy in force" in out[0].detail
    assert out[-1][1] is True


def versioned(version, **changes):
    return dataclasses.replace(POLICY, version=version, **changes)


def test_policies_only_rise_and_are_signed_by_their_role(obeying, people):
    second = people.policy(versioned(2))
    forged = bytearray(people.policy(versioned(9)))
    forged[-1] ^= 1
    out, events, _ = obeying(
        ("policy", second),
        ("policy", second),
        ("policy", people.policy(versioned(1))),
        ("policy", people.policy(versioned(2, issued=NOW))),
        ("policy", people.policy(versioned(3), who=("carl",))),
        ("policy", people.policy(versioned(3), who=())),
        ("policy", bytes(forged)),
        ("policy", b"\xa0"),
        ("policy", bytes(5000)),
        ("policy", people.command("light")),
        ("policy", people.policy(versioned(3), who=("paul", "petra"))),
        ("cmd", people.command("light")),
    )
    said = [text.partition(":")[0] for text in out[:11]]
    bad, back = "CommandRefused policy.refused", "CommandRefused policy.rollback"
    assert said == ["", "", back, back, bad, bad, bad, bad, bad, bad, ""]
    assert outcomes(out[11:]) == [DONE]
    assert [reason for name, reason in events if name == "policy.adopted"] == [
        "version 2",
        "version 3",
    ]


def test_the_threshold_of_role_policy_counts(obeying, people):
    out, _, _ = obeying(
        ("policy", people.policy(versioned(1))),
        ("policy", people.policy(versioned(1), who=("paul", "petra"))),
        policy=None,
        thresholds={8: 2},
    )
    assert out[0] == "CommandRefused policy.refused: policy: expected 2 of role policy, got fewer"
    assert out[1] == ""


WEAK = [
    ("retire", Way(("admin",), 1, "presence")),
    ("rotate-keys", Way(("admin",))),
    ("unlock-console", Way(("operator", "admin"))),
    ("totp", Way(("admin",))),
    ("breakglass", Way(("breakglass", "admin"))),
    ("breakglass", Way(("operator",))),
]


@pytest.mark.parametrize(("name", "way"), WEAK)
def test_no_policy_grants_less_than_the_device_demands(obeying, people, name, way):
    """The host does not make it, and the device does not take it."""
    weak = Policy(2, NOW, {name: Rule((way,), {})})
    with pytest.raises(Refused, match=name):
        policies.encode(weak)
    out, _, _ = obeying(("policy", people.policy(weak, check=False)))
    assert out == [
        f"CommandRefused policy.refused: policy: expected a second factor for {name}, got another"
    ]


@pytest.mark.parametrize(("name", "way"), WEAK)
def test_a_weak_way_that_is_in_flash_opens_nothing(name, way):
    """What a policy may say is judged when it comes, and again whenever it is used."""
    payload = policies.encode_unchecked(Policy(2, NOW, {name: Rule((way,), {})}))
    rules_ = plain.encode(plain.decode(payload, "policy")[3])
    rule = rules.rule(payload, payload.index(rules_), name)
    numbers = rule.ways[0].roles
    signers = [(bytes([i]) * 32, role, bytes([i]) * 8) for i, role in enumerate(numbers)]
    command = SimpleNamespace(name=name, code=None)
    agent = SimpleNamespace(emergency=False, present=lambda: True)
    with pytest.raises(CommandRefused, match="expected another set of signers"):
        judge._way(command, SimpleNamespace(agent=agent), rule, signers)


def test_a_damaged_policy_rests_actuators_and_a_new_one_ends_it(obeying, people):
    """S16: actuators safe, sensing open. The same policy, handed down again, mends it too."""
    first = people.policy()
    out, events, done = obeying(
        ("damage", "/id/policy1"),
        ("cmd", people.command("light")),
        ("state",),
        ("boot",),
        ("state",),
        ("policy", first),
        ("cmd", people.command("light")),
        ("remove", "/id/policy1"),
        ("boot",),
        ("state",),
        ("policy", people.policy(versioned(2))),
        ("state",),
        policy=first,
    )
    assert outcomes(results(out)) == [("refused", "policy.bad"), DONE]
    states = [one[1:3] for one in out if isinstance(one, list) and len(one) == 5]
    assert [actuators for actuators, _ in states] == [False, False, False, True]
    assert all("policy 1 is not what was accepted" in why for _, why in states[:3])
    assert done == ["safe", "safe", "light", "safe"]
    assert [name for name, _ in events].count("policy.bad") == 4  # a command, its answer, boots


@pytest.mark.parametrize("how", ["damage", "remove"])
def test_a_damaged_book_is_a_quarantine(obeying, people, how):
    """Whoever makes a device forget its counters gains nothing but a device at rest."""
    data = people.command("light")
    out, events, done = obeying(
        ("cmd", data),
        (how, "/id/cmd"),
        ("boot",),
        ("state",),
        ("cmd", people.command("light")),
        ("policy", people.policy()),
        ("cmd", people.command("light")),
        ("cmd", people.command("release", {}, ("carl", "dora"))),
        ("cmd", people.command("light")),
    )
    assert out[3][:2] == [True, False]
    assert outcomes(results(out)) == [DONE, DENIED, DENIED, DONE, DONE]
    assert "store.tamper" in [name for name, _ in events]
    assert done == ["light", "safe", "light"]


def test_actuators_rest_when_nobody_can_tell_which_policies_are_there(obeying, people):
    out, events, done = obeying(("unreadable", "/id/policy1"), ("boot",), ("state",))
    assert out[2][1] is False and out[2][2]
    assert "policy.bad" in [name for name, _ in events] and done == ["safe"]


# At most once


def test_a_command_that_a_reset_interrupts_is_told_and_never_runs_again(obeying, people):
    data = people.command("dose", {"ml": 10}, BOTH)
    out, events, done = obeying(
        ("cut", True),
        ("cmd", data),
        ("boot", 0),
        ("cmd", data),
        ("cmd", people.command("dose", {"ml": 10}, BOTH)),
        ("boot",),
    )
    assert out[1] == "cut" and done == []
    (told,) = out[2]
    told = people.result(told[4:])  # a bstr of less than 256 bytes
    assert (told.outcome, told.event) == ("interrupted", "cmd.interrupted")
    assert outcomes(out[3:5]) == [("refused", "cmd.replay"), UNSAFE]
    assert out[5] == [] and [name for name, _ in events].count("cmd.interrupted") == 1


def test_a_program_that_fails_is_told_and_its_command_is_used_up(obeying, people):
    data = people.command("fails")
    out, _, _ = obeying(("cmd", data), ("cmd", data), ("boot",))
    assert outcomes(out[:2]) == [("failed", "cmd.failed"), ("refused", "cmd.replay")]
    assert out[0].detail == "motor stalled"
    assert out[2] == []  # not interrupted: its end was written down
