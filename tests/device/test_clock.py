"""link/clock, link/peer, link/wifi: what is believed of time, broker and radio (S10, S11, T07)."""

import hypothesis
import pytest
from device_clock import EXPIRES, NOW
from device_clock import verified as verify_here
from hypothesis import strategies as st
from pki import BROKER, CLIENT, SERVER, Identity

TWO_YEARS = 2 * 365 * 86400
both = pytest.mark.parametrize("device", ["cpython", "unix"], indirect=True)


@both
def test_the_clock_never_wakes_below_the_floor_or_above_the_ceiling(device):
    assert device("device_clock", "start", 1_609_459_200, NOW) == [NOW, NOW, 0]
    assert device("device_clock", "start", NOW + 7, NOW) == [NOW + 7, NOW, 0]
    far = EXPIRES + TWO_YEARS
    assert device("device_clock", "start", far + 1, NOW) == [NOW, NOW, 0]
    assert device("device_clock", "start", 0, far + 9) == [far, far, 0]  # floor is capped


@both
def test_a_signed_answer_proves_the_time_once(device):
    for change in ("none", "at floor"):
        *rest, again = device("device_clock", "proved", change)
        assert rest == [0, 0, 0, 2]
        assert again == "a time answer that nobody asked for"


REFUSED = {
    "no nonce": ("ClockRefused", "time.suspect", "answer to another question"),
    "other device": ("ClockRefused", "time.suspect", "answer to another question"),
    "other key": ("BadSignature", None, ""),
    "no key": ("BadSignature", None, "by role time"),
    "other domain": ("BadSignature", None, ""),
    "below floor": ("ClockRefused", "time.suspect", "expected a time from 1799999940"),
    "beyond ceiling": ("ClockRefused", "time.suspect", "expected a time from 1799999940"),
    "text": ("ClockRefused", "time.suspect", "expected [nonce, device, time]"),
    "long": ("ClockRefused", "time.suspect", "expected at most 512 bytes"),
    "garbage": ("CodecError", "proto.malformed", "cbor"),
    "late": ("ClockRefused", "time.suspect", "later than 30000 ms"),
    "unasked": ("ClockRefused", "time.suspect", "nobody asked for"),
    "certificate expired by then": ("TlsRefused", "expired", "certificate expired at"),
    "certificate starts after it": ("TlsRefused", "not-yet-valid", "certificate starts at"),
    "revoked meanwhile": ("TlsRefused", "revoked", "serial 05 is revoked"),
}


@both
@pytest.mark.parametrize("change", REFUSED)
def test_other_answers_change_nothing(device, change):
    name, event, text, moved, quality = device("device_clock", "proved", change)
    expected, reason, part = REFUSED[change]
    assert (name, event, quality) == (expected, reason, 0)
    assert part in text
    assert -50 <= moved < -45  # the clock stands where it woke up


@both
def test_a_future_certificate_is_tried_once_at_its_start(device):
    result, seen, during, after = device("device_clock", "tried", ["not-yet-valid", "good"])
    assert result == "stream"
    assert seen[0][1] == 0 and seen[1] == [500, 1]  # tentative: exactly the certificate's start
    assert during[1] == 1 and after[1] == 0
    assert after[0] < 10  # a session that ends unproved takes the tentative time back


@both
@pytest.mark.parametrize("second", ["not-yet-valid", "untrusted", "wrong-name"])
def test_the_clock_is_restored_when_the_chain_does_not_verify(device, second):
    result, seen, during, _ = device("device_clock", "tried", ["not-yet-valid", second])
    assert (result, len(seen)) == (["TlsRefused", second], 2)
    assert during[1] == 0 and during[0] < 10


@both
@pytest.mark.parametrize("first", ["untrusted", "expired", "revoked", "wrong-name"])
def test_no_other_refusal_moves_the_clock(device, first):
    result, seen, during, _ = device("device_clock", "tried", [first, "good"])
    assert (result, len(seen)) == (["TlsRefused", first], 1)
    assert during[0] < 10


@both
def test_no_tentative_time_beyond_the_bounds_or_after_a_proof(device):
    for not_before, quality in ((EXPIRES + TWO_YEARS + 1, 0), (NOW - 11, 0), (NOW + 500, 2)):
        result, seen, during, _ = device(
            "device_clock", "tried", ["not-yet-valid", "good"], not_before, quality
        )
        assert (result, len(seen)) == (["ClockRefused", "time.suspect"], 1)
        assert during[0] < 10


MEANINGS = [
    ("text", "\nThe certificate validity starts in the future\n", "not-yet-valid"),
    ("text", "\nThe certificate validity has expired\n", "expired"),
    ("text", "\nThe certificate is not correctly signed by the trusted CA\n", "untrusted"),
    (
        "text",
        "\nThe certificate Common Name (CN) does not match with the expected CN\n",
        "wrong-name",
    ),
    ("text", "\nUsage does not match the extendedKeyUsage extension\n", "not-a-server"),
    ("text", "\nThe certificate is signed with an unacceptable hash.\n", "untrusted"),
    ("text", "something new", "certificate"),
    ("number", -0x7780, "protocol"),
    ("number", -0x6E80, "handshake"),
]


@both
def test_meanings_of_handshake_errors(device):
    for kind, value, reason in MEANINGS:
        got = device("device_clock", "meant", kind, value)
        assert got[:2] == ["TlsRefused", reason]
    assert device("device_clock", "meant", "number", -0x7780, True)[1] == "refused-us"
    for number in (104, 32, -0x7280):
        assert device("device_clock", "meant", "number", number)[0] == "LinkClosed"
    for number in (12, -0x7F00, -0x2880, -0x4D80, -0x3F80, -0x6180):
        assert device("device_clock", "meant", "number", number)[0] == "LowHeap"


@both
def test_the_gravest_reason_is_told_and_forgery_in_low_heap_is_low_heap(device):
    future = "\nThe certificate validity starts in the future\n"
    forged = "\nThe certificate is not correctly signed by the trusted CA\n"
    assert device("device_clock", "meant", "text", forged + future)[1] == "untrusted"
    assert device("device_clock", "meant", "text", forged, False, True)[0] == "LowHeap"
    assert device("device_clock", "meant", "number", -0x7780, True, True)[0] == "LowHeap"
    assert device("device_clock", "meant", "text", future, False, True)[1] == "not-yet-valid"


@pytest.fixture(scope="module")
def chain():
    ca = Identity("Services", ca=True)
    return ca, Identity(BROKER, ca, usage=[SERVER])


def seconds(moment):
    return int(moment.timestamp())


@both
def test_verifier(device, chain):
    ca, leaf = chain
    start = seconds(leaf.certificate.not_valid_before_utc)
    end = seconds(leaf.certificate.not_valid_after_utc)
    pair = [[ca.der.hex(), 1], [leaf.der.hex(), 0]]

    def verdict(pairs, anchors=(ca,), revoked=(), at=start + 5, tls_checks_start=True):
        trusted = [anchor.der.hex() for anchor in anchors]
        return device(
            "device_clock", "verified", pairs, trusted, list(revoked), at, tls_checks_start
        )

    assert verdict(pair) == [[0, 0], "NoneType", "None", start]
    assert verdict(pair, at=start - 9)[0] == [0, 0]  # TLS itself judges the start
    assert verdict(pair, at=start - 9, tls_checks_start=False)[1] == "not-yet-valid"
    assert verdict(pair, tls_checks_start=False)[0] == [0, 0]
    assert verdict(pair, at=end + 1)[1] == "expired"
    assert verdict(pair, revoked=["0102", leaf.serial.hex()])[1] == "revoked"
    assert verdict(pair, anchors=(leaf,))[1] == "untrusted"
    assert verdict(pair[1:])[:2] == [[-0x3000], "untrusted"]
    assert verdict([[ca.der.hex(), 2], *pair])[1] == "chain"
    assert verdict([[ca.der.hex(), 1], [ca.der.hex(), 0]])[1] == "ca-as-leaf"
    client = Identity(BROKER, ca, usage=[CLIENT])
    assert verdict([pair[0], [client.der.hex(), 0]])[1] == "not-a-server"
    mute = Identity(BROKER, ca, usage=[SERVER], signs=False)
    assert verdict([pair[0], [mute.der.hex(), 0]])[1] == "not-a-server"
    assert verdict([["3003020101", 0]])[:2] == [[-0x3000], "malformed"]


@both
def test_verifier_answers_whatever_goes_wrong(device):
    """An exception in the callback would end in C with nobody to catch it."""
    for what in ("no bytes", "no memory", "Ctrl-C"):
        verdict, kind = device("device_clock", "stumbled", what)
        assert verdict == -0x3000
        assert kind == ("LowHeap" if what == "no memory" else "TlsRefused")


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(st.binary(max_size=200), st.integers(0, 3))
def test_verifier_never_raises(der, depth):
    verdicts, reason, _, _ = verify_here([[der.hex(), depth]], [], [], NOW)
    assert verdicts == [-0x3000]
    assert reason in ("malformed", "not-pinned", "chain")


@both
def test_join(device):
    ward, weak = ["ward", -60, "wpa2"], ["ward", -30, "open"]
    seen = device(
        "device_clock", "joined", [["else", -20, "wpa3"], ward, ["ward", -50, "wpa3"]], 3
    )
    assert seen == [["wpa3", "02", 6, 0], ["active", "join 2"]]
    seen = device("device_clock", "joined", [weak, ward, ["ward", -10, "wep"]], 3)
    assert seen == [["wpa2", "01", 6, 2], ["active", "join 1"]]  # two twins passed over
    seen = device("device_clock", "joined", [ward], 0)
    assert seen == [[None, "", 0, 0], ["active"]]


@both
def test_no_join(device):
    for posture in ("open", "wep", "wpa"):
        (name, event, text), calls = device("device_clock", "joined", [["ward", -3, posture]], 3)
        assert (name, event, calls) == ("LinkError", "wifi.posture", ["active"])
        assert "got 1 weaker ones" in text
    (name, event, text), _ = device("device_clock", "joined", [["else", -3, "wpa2"]], 3)
    assert (name, event) == ("LinkError", "link.down")
    (name, _, text), calls = device("device_clock", "joined", [["ward", -3, "wpa2"]], 1000)
    assert (name, calls) == ("LinkTimeout", ["active", "join 0", "disconnect"])
    assert "in 15000 ms" in text


@both
def test_backoff(device):
    *steps, again = device("device_clock", "waits", 6)
    for step, most in zip(steps, [1000, 2000, 4000, 8000, 8000, 8000], strict=True):
        assert most // 2 <= step <= most
    assert 500 <= again <= 1000
