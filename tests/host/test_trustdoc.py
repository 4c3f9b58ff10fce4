"""Trust documents: the host's judge and the device's give the same verdicts (SPEC 4, S7)."""

from dataclasses import replace

import pytest
import signing_kit
from hypothesis import given, settings
from hypothesis import strategies as st
from signing_kit import ANCHOR
from uward.codec import cbor as device_cbor
from uward.errors import CodecError, KeyRefused, TrustError
from uward.trust import anchors

from host_tools.errors import Refused
from host_tools.signing import cose, cosign, keys, trust
from host_tools.signing.roles import COLLECTOR, RELEASE, ROOT


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return signing_kit.make(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def spare(tmp_path_factory):
    """Public keys that nobody holds yet, by algorithm."""
    folder = tmp_path_factory.mktemp("spare")
    found = {}
    for alg in (cose.ESP256, cose.HSS_LMS):
        signing_kit.make_key(folder / str(alg), alg)
        found[alg] = keys.load_signer(folder / str(alg))
    return found


def device_first(kit, envelope):
    """The device's verdict by the kit's pins."""
    pins = device_cbor.decode(kit.pins())
    anchors.accept_first(anchors.parse(envelope), *pins[4], pins[5])


def both_refuse(kit, envelope, part):
    with pytest.raises(Refused, match=part):
        trust.verify_first(envelope, kit.pins())
    with pytest.raises((TrustError, CodecError, KeyRefused)):
        device_first(kit, envelope)


def test_both_accept_and_read_the_same(kit):
    envelope = kit.signed()
    assert trust.verify_first(envelope, kit.pins()) == kit.document
    device_first(kit, envelope)
    device = anchors.parse(envelope)
    assert device.digest == trust.digest(kit.document)
    assert device.anchors == list(kit.document.anchors)
    for role in kit.document.roles:
        assert [key.thumbprint() for key in device.keys(role)[1]] == [
            key.thumbprint for _, key in kit.document.roles[role].keys
        ]


def test_pins(kit):
    root = kit.public("root").thumbprint
    assert cose.decode(kit.pins(), "pins") == {
        1: 1,
        2: signing_kit.VENDOR,
        3: signing_kit.CLASS,
        4: [1, [root]],
        5: kit.document.fleet_id,
        6: "rpi_pico_w",
    }


def test_pinned_root_must_sign(kit):
    both_refuse(kit, kit.signed(None, "release"), "root needs 1 holders, 0 signed")
    both_refuse(kit, trust.sign(trust.encode_payload(kit.document), []), "0 signed")


def test_other_fleet_and_unpinned_root(kit, spare):
    other = replace(kit.document, fleet_id=bytes(16))
    both_refuse(kit, kit.signed(other), "another fleet")
    added = kit.with_role(
        0, 1, ("root-holder", kit.public("root")), ("stranger", spare[cose.ESP256].public)
    )
    both_refuse(kit, kit.signed(added), "not among the pinned")


def test_the_pins_may_ask_for_more_than_the_document(kit):
    """Else whoever holds one of two root keys writes a first document with a threshold of 1."""
    body = cose.decode(kit.pins(), "pins")
    body[4][0] = 2
    with pytest.raises(Refused, match="the pins' root needs 2 holders, 1 signed"):
        trust.verify_first(kit.signed(), cose.encode(body))


def changed(kit, spare, **changes):
    return replace(kit.document, **changes)


BAD = {
    "the version is a u32 from 1": lambda k, s: changed(k, s, version=1 << 32),
    "fleet id has 16 bytes": lambda k, s: changed(k, s, fleet_id=b"short"),
    "expected issued < expires": lambda k, s: changed(k, s, expires=1 << 32),
    "1 to 2 CA certificates": lambda k, s: changed(k, s, anchors=(ANCHOR,) * 3),
    "at most 32 revoked": lambda k, s: changed(k, s, revoked=(bytes(32),) * 33),
    "names the digest of the one before": lambda k, s: changed(k, s, version=2),
    "there is no role 10": lambda k, s: k.with_role(10, 1, ("x", s[cose.ESP256].public)),
    "threshold of 0": lambda k, s: k.with_role(3, 0, ("x", s[cose.ESP256].public)),
    "threshold of 2 with 1": lambda k, s: k.with_role(3, 2, ("x", s[cose.ESP256].public)),
    "names a holder twice": lambda k, s: k.with_role(
        2, 1, ("x", s[cose.ESP256].public), ("x", s[cose.HSS_LMS].public)
    ),
    "one key: one role": lambda k, s: k.with_role(3, 1, ("x", k.public("approver"))),
    "is there twice": lambda k, s: k.with_role(
        3, 1, ("x", s[cose.ESP256].public), ("y", s[cose.ESP256].public)
    ),
    "takes no ECDH": lambda k, s: changed(
        k,
        s,
        roles={**k.with_role(1, 1, ("x", k.public("collector"))).roles, 6: k.document.roles[1]},
    ),
    "collector takes no ESP256": lambda k, s: k.with_role(6, 1, ("x", s[cose.ESP256].public)),
    "root needs at least one HSS-LMS": lambda k, s: k.with_role(
        0, 1, ("x", s[cose.ESP256].public)
    ),
    "nobody holds role approver": lambda k, s: changed(
        k, s, roles={n: held for n, held in k.document.roles.items() if n != 2}
    ),
}


@pytest.mark.parametrize("part", BAD)
def test_both_refuse_a_document_that_breaks_a_rule(kit, spare, part):
    document = BAD[part](kit, spare)
    with pytest.raises(Refused, match=part):
        trust.encode_payload(document)
    payload = trust.encode_unchecked(document)
    with pytest.raises(Refused, match=part):
        trust.parse(payload)
    with pytest.raises((TrustError, CodecError)):
        device_first(kit, trust.sign(payload, [spare[cose.ESP256]]))


def test_malformed_payloads(kit):
    body = cose.decode(trust.encode_payload(kit.document), "payload")
    for change, part in (
        ({10: 1}, "expected keys 1 to 6"),
        ({9: 1}, "expected true as key 9"),
        ({1: "one"}, "must be integers"),
        ({1: True}, "must be integers"),
        ({2: "fleet"}, "must be a byte string"),
        ({5: []}, "expected a map"),
        ({5: {0: [1, []]}}, "must be a byte string"),
        ({5: {0: cose.encode([1])}}, "expected an array of 2"),
        ({5: {0: cose.encode(["1", []])}}, "threshold must be an integer"),
        ({5: {0: cose.encode([1, [[b"x", {}]]])}}, "name must be text"),
        ({5: {0: cose.encode([1, [["x", {1: 9}]]])}}, "is not used here"),
        ({6: ["DER"]}, "expected byte strings"),
    ):
        payload = cose.encode({**body, **change})
        with pytest.raises(Refused, match=part):
            trust.parse(payload)
        with pytest.raises((TrustError, CodecError, KeyRefused)):
            anchors.parse(trust.sign(payload, []))


def test_signatures_are_counted_by_key(kit, spare):
    second = spare[cose.HSS_LMS]
    two = kit.with_role(0, 2, ("a", kit.public("root")), ("b", second.public))
    pins = trust.pins(two, signing_kit.VENDOR, signing_kit.CLASS, "rpi_pico_w")
    one = trust.sign(trust.encode_payload(two), [kit.signer("root")])
    with pytest.raises(Refused, match="needs 2 holders, 1 signed"):
        trust.verify_first(one, pins)
    with pytest.raises(Refused, match="has signed this trust document already"):
        trust.add_signature(one, kit.signer("root"))
    assert trust.verify_first(trust.add_signature(one, second), pins) == two
    # Two signatures by one key, with different bytes, are still one holder.
    payload, blocks = trust.split(one)
    again = trust.split(trust.sign(payload, [kit.signer("root")]))[1]
    with pytest.raises(Refused, match="needs 2 holders, 1 signed"):
        trust.verify_first(cosign._envelope(trust.KIND, payload, [*blocks, *again]), pins)


def test_used_indices_are_the_witness_of_a_restored_root(kit, tmp_path):
    public = keys.create_lms(tmp_path / "root", 5)
    payload = trust.encode_payload(kit.document)
    envelopes = [trust.sign(payload, [keys.load_signer(tmp_path / "root")]) for _ in range(2)]
    used = trust.used_indices(envelopes, public)
    assert list(used) == [0, 1]
    keys.load_signer(tmp_path / "root", witness=used).sign(b"next")
    with pytest.raises(Refused, match="another message signed with index 1"):
        keys.load_signer(tmp_path / "root", witness={1: "0" * 64}).sign(b"next")


def test_blocks_are_bounded_and_distinct(kit, spare):
    payload = trust.encode_payload(kit.document)
    block = trust.split(kit.signed())[1][0]
    with pytest.raises(Refused, match="a signature is there twice"):
        cosign._envelope(trust.KIND, payload, [block, block])
    five = [replace(block, signature=bytes([n])) for n in range(5)]
    with pytest.raises(Refused, match="at most 4 signatures, got 5"):
        cosign._envelope(trust.KIND, payload, five)


def test_rotation_needs_the_old_and_the_new_root(kit, spare):
    current = kit.document
    following = replace(
        kit.with_role(0, 1, ("new", spare[cose.HSS_LMS].public)),
        version=2,
        previous=trust.digest(current),
    )
    payload = trust.encode_payload(following)
    old, new = kit.signer("root"), spare[cose.HSS_LMS]
    device = anchors.parse(kit.signed())
    for signers, part in (([old], "version 2's root"), ([new], "version 1's root")):
        envelope = trust.sign(payload, signers)
        with pytest.raises(Refused, match=part):
            trust.verify_next(envelope, current)
        with pytest.raises(TrustError, match="expected 1 of role root, got 0"):
            anchors.accept_next(anchors.parse(envelope), device)
    envelope = trust.sign(payload, [old, new])
    assert trust.verify_next(envelope, current) == following
    anchors.accept_next(anchors.parse(envelope), device)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"version": 3}, "expected version 2, got 3"),
        ({"fleet_id": bytes(16)}, "another fleet"),
        ({"previous": bytes(32)}, "does not follow the one in force"),
    ],
)
def test_successor_must_follow(kit, changes, part):
    good = {"version": 2, "previous": trust.digest(kit.document)}
    document = replace(kit.document, **{**good, **changes})
    envelope = kit.signed(document)
    with pytest.raises(Refused, match=part):
        trust.verify_next(envelope, kit.document)
    with pytest.raises(TrustError):
        anchors.accept_next(anchors.parse(envelope), anchors.parse(kit.signed()))


def test_revoked_key_counts_no_more(kit):
    revoked = replace(kit.document, revoked=(kit.public("root").thumbprint,))
    both_refuse(kit, kit.signed(revoked), "needs 1 holders, 0 signed")
    assert revoked.holders(RELEASE).keys
    assert not revoked.holders(ROOT).keys
    with pytest.raises(Refused, match="nobody holds role collector"):
        replace(kit.document, roles={}).holders(COLLECTOR)


def test_every_changed_byte_is_seen(kit):
    envelope = kit.signed()
    for position in range(0, len(envelope), 7):
        broken = bytearray(envelope)
        broken[position] ^= 1
        try:
            found = trust.verify_first(bytes(broken), kit.pins())
        except Refused:
            continue
        # Only the kid, a hint, is outside the signature (S7).
        assert found == kit.document
        assert trust.split(bytes(broken))[1][0].kid != trust.split(envelope)[1][0].kid


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(data):
    for judge in (trust.split, trust.parse):
        with pytest.raises(Refused):
            judge(data)
