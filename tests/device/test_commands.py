"""Whom a device obeys (SPEC 11, S16; T04, T25): each refusal by name, signed by the device."""

import hashlib

import pytest
from cbor2 import CBORTag
from command_kit import NOW, outcomes
from uward.codec import cosekey
from uward.guard import roles

from host_tools.fleet import commands, plain, policies
from host_tools.signing import cose, cosign


def test_a_command_is_done_and_its_result_is_signed(obeying, people):
    data = people.command("reboot", counter=12345)
    out, events, _ = obeying(("cmd", data), ("resetting",))
    assert out[0].outcome == "done" and out[1] is True
    assert out[0].device == "test0device0000001"
    assert out[0].digest == hashlib.sha256(data).digest()
    ((name, reason),) = events
    assert name == "cmd.done" and reason.startswith("reboot 12345 by ")
    assert people.public["anna"].kid.hex() in reason


# Replay (T04)


def test_a_captured_command_is_refused_each_time(obeying, people):
    """Same device, after a reset, after a clock change, another device, a restored book."""
    data = people.command("light")
    out, events, done = obeying(
        ("cmd", data),
        ("cmd", data),
        ("boot",),
        ("cmd", data),
        ("cmd", data, {"now": NOW - 20}),
        ("cmd", data, {"device": "other0device00001"}),
        ("remove", "/id/cmd"),
        ("boot",),
        ("cmd", data, {"challenge": "aa" * 16}),
    )
    results = [item for item in out if isinstance(item, commands.Result)]
    assert outcomes(results[:1]) == [("done", "")]
    assert outcomes(results[1:]) == [("refused", "cmd.replay")] * 5
    assert "counter above" in results[1].detail and "device id" in results[4].detail
    assert "challenge of now" in results[5].detail
    assert done.count("light") == 1
    assert [name for name, _ in events].count("cmd.replay") == 5
    assert ["store.tamper", "the book of commands is gone"] in events


def test_commands_are_taken_in_order_only(obeying, people):
    first, second = people.command("light"), people.command("light")
    out, _, done = obeying(("cmd", second), ("cmd", first))
    assert outcomes(out) == [("done", ""), ("refused", "cmd.replay")]
    assert done == ["light"]


def test_a_refused_command_is_never_valid_later(obeying, people):
    """What its author was told is refused must not happen when the cool-down has passed."""
    dose, again = (people.command("dose", {"ml": 10}, who=("anna", "bert")) for _ in range(2))
    out, _, done = obeying(("cmd", dose), ("cmd", again), ("pass", 61_000), ("cmd", again))
    assert outcomes([out[0], out[1], out[3]]) == [
        ("done", ""),
        ("refused", "safety.refused"),
        ("refused", "cmd.replay"),
    ]
    assert done == [["dose", 10]]


# Freshness

LATE = {"now": NOW + 300}
WINDOWS = [
    ({"not_before": NOW + 60}, {}, "cmd.expired"),
    ({}, LATE, "cmd.expired"),
    ({"not_after": NOW - 40}, {}, "cmd.expired"),
    ({"not_after": NOW + 86_400}, {}, "cmd.expired"),
    ({"not_after": NOW + 3600}, {}, "cmd.denied"),  # the policy takes an hour for a reboot
    ({"challenge": b"d" * 16}, {}, "cmd.replay"),
    ({"challenge": None}, {}, "cmd.replay"),
    ({}, {"challenge": ""}, "cmd.replay"),
    ({}, {"proved": False}, "cmd.denied"),
    ({}, {"online": False}, "cmd.denied"),  # the policy takes a reboot online only
]


def test_freshness(obeying, people):
    steps = [("cmd", people.command("reboot", **how), given) for how, given, _ in WINDOWS]
    out, _, _ = obeying(*steps, ("resetting",))
    assert outcomes(out[:-1]) == [("refused", event) for _, _, event in WINDOWS]
    assert out[-1] is False


def test_the_console_takes_what_the_policy_allows_offline(obeying, people):
    """Its own nonce is the challenge; a command without one is fresh by its counter alone."""
    nonce = {"online": False, "challenge": "6e" * 32, "proved": False}
    good = people.command("quarantine", challenge=b"n" * 32)
    out, _, _ = obeying(
        ("cmd", people.command("quarantine", challenge=b"m" * 32), nonce),
        ("cmd", good, nonce),
        ("cmd", good, nonce),
        ("cmd", people.command("breakglass", {"minutes": 5}, who=("eve",), challenge=None), nonce),
        ("state",),
    )
    assert outcomes(out[:4]) == [
        ("refused", "cmd.replay"),
        ("done", ""),
        ("refused", "cmd.replay"),
        ("done", ""),
    ]
    assert out[4][:2] == [True, True]  # in quarantine, lifted by break-glass


# Who


SETS = [("anna",), ("carl",), ("eve",), ("paul",), ("outsider",), ("anna", "bert")]
SETS += [("carl", "dora"), ("anna", "carl"), ("anna", "outsider"), ("carl", "eve")]
ASKED = {
    "light": {}, "set": {"interval": 5}, "dose": {"ml": 0}, "update-now": {}, "totp": {},
    "breakglass": {"minutes": 5}, "reboot": {}, "retire": {}, "unknown": {}, "fails": {},
}  # fmt: skip


@pytest.mark.parametrize("pressed", [None, True])
def test_who_may(obeying, people, pressed):
    """T25: every set of signers and every command, by the words of the policy."""
    given = {} if pressed is None else {"pressed": pressed}
    pairs = [(name, who) for name in ASKED for who in SETS]
    steps = []
    for name, who in pairs:
        steps.append(("cmd", people.command(name, ASKED[name], who), given))
        steps.append(("pass", 700_000))  # the cool-down is over, and any emergency
    out, _, _ = obeying(*steps)
    found = [result.event != "cmd.denied" for result in out[::2]]
    wanted = [_may(name, who, pressed) for name, who in pairs]
    wrong = [
        (*pair, got) for pair, got, may in zip(pairs, found, wanted, strict=True) if got != may
    ]
    assert wrong == []


def _may(name, who, pressed):
    """What the policy of command_kit says in words, by hand."""
    people = set(who)
    operators, admins = people & {"anna", "bert"}, people & {"carl", "dora"}
    if people & {"paul", "outsider"}:  # nothing unexplained goes along
        return False
    good = {
        "light": bool(operators),
        "fails": bool(operators),
        "set": bool(admins),
        "dose": len(operators) == 2 or bool(operators and pressed),
        "update-now": bool(admins),
        "breakglass": "eve" in people,
        "totp": len(operators | admins) == 2,
        "reboot": bool(operators | admins),
        "retire": len(admins) == 2,
    }
    return good.get(name, False)


def enveloped(payload, *signatures, kid):
    """A COSE_Sign that the host's own code would refuse to make."""
    blocks = [[cose.protected_header(cose.ESP256), {4: kid}, one] for one in signatures]
    return cose.encode(CBORTag(cose.TAG_SIGN, [b"", {}, payload, blocks]))


def test_signatures_are_counted_by_person_and_key(obeying, people):
    """One signer twice, a signature of something else, another domain, a revoked key."""
    twice = people.command("dose", {"ml": 1})
    payload, (block,) = cosign.split(commands.KIND, twice)
    _, (other,) = cosign.split(commands.KIND, people.command("dose", {"ml": 2}))
    again = people.signers["anna"].sign(cosign.to_be_signed(commands.KIND, payload, cose.ESP256))
    doubled = enveloped(payload, block.signature, again, kid=block.kid)
    forged = enveloped(payload, other.signature, kid=block.kid)
    steps = [
        ("cmd", doubled),
        ("cmd", forged),
        ("cmd", people.command("light", kind=policies.KIND)),
        ("cmd", people.command("light", who=("bert",))),
        ("cmd", people.command("light", who=("anna",), author="bert")),
        ("cmd", people.command("light", who=())),
    ]
    out, events, done = obeying(*steps, without=("bert",))
    said = [(result.event, result.detail) for result in out]
    anna, bert = (people.public[name].kid.hex() for name in ("anna", "bert"))
    assert said == [
        ("cmd.denied", f"key {anna} signed twice"),
        ("cmd.bad_sig", f"expected the signature of key {anna}, got another"),
        ("cmd.bad_sig", f"expected the signature of key {anna}, got another"),
        ("cmd.denied", f"key {bert} holds no role for this, or is revoked"),
        ("cmd.denied", "the author of the counter has not signed"),
        ("proto.malformed", "command: expected 1..4 signatures"),
    ]
    assert [name for name, _ in events] == [event for event, _ in said]
    assert done == []


def test_long_records_of_keys_change_no_verdict(obeying, people):
    """2**128 times a key beside it (SPEC 6)."""
    dose = people.command("dose", {"ml": 5}, ("anna", "bert"))
    forged = bytearray(people.command("light"))
    forged[-1] ^= 1
    light = people.command("light")
    out, _, done = obeying(("cmd", dose), ("cmd", bytes(forged)), ("cmd", light), far=True)
    assert outcomes(out) == [("done", ""), ("refused", "cmd.bad_sig"), ("done", "")]
    assert done == [["dose", 5], "light"]


def test_a_wrong_multiple_of_a_key_lets_nobody_in(obeying, people):
    light = ("cmd", people.command("light")), ("cmd", people.command("light", who=("bert",)))
    far = {"anna": "bert"}
    out, _, done = obeying(*light, far=lambda name: people.far(far.get(name, name)))
    assert [result.event for result in out] == ["cmd.bad_sig", ""] and done == ["light"]


def test_records_are_long_where_keys_are_few(people):
    def held(role, names):
        keys = [(name, cosekey.parse(people.public[name].members)) for name in names]
        return {role: [1, [roles.record(name, key) for name, key in keys]]}

    few = plain.decode(roles.content(7, 9, held(3, ["anna", "bert"])), "roles")
    anna = people.public["anna"]
    first = anna.thumbprint + hashlib.sha256(b"anna").digest()[:8]
    first += anna.members[-2] + anna.members[-3] + people.far("anna")
    assert few[3][3][1][:168] == first
    assert (few[1], few[2], few[4], len(few[3][3][1])) == (7, 9, 168, 336)
    many = plain.decode(roles.content(7, 9, held(3, ["anna"] * 9)), "roles")
    assert 4 not in many and len(many[3][3][1]) == 9 * 104
    assert 4 not in plain.decode(roles.content(7, 9, held(3, [])), "roles")


def test_one_person_with_two_keys_is_one():
    """The holder counts, not the key alone: anna as operator and as admin."""
    from uward.guard import roles

    found = [(b"1" * 32, 3, b"anna----"), (b"2" * 32, 4, b"anna----"), (b"3" * 32, 3, b"bert----")]
    assert roles.count(found[:2], (3, 4)) == 1
    assert roles.count(found, (3, 4)) == 2
