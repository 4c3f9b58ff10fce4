"""Releases: what the author writes is what SPEC 5 says and what the device reads."""

from dataclasses import replace
from hashlib import sha256

import cbor2
import pytest
import signing_kit
from hypothesis import given, settings
from hypothesis import strategies as st
from signing_kit import CLASS, IMAGE, VENDOR
from uward import errors
from uward.crypto import aead, keywrap
from uward.trust import anchors, decide
from uward.trust import suit as device_suit

from host_tools.errors import HostError, Refused, UsageError
from host_tools.pki import names
from host_tools.signing import author, content, cose, keys, lms, suit, trust

DEVICE = "abcdefghij0123456789"


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return signing_kit.make(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def envelope(kit):
    return kit.release()


def identity(**options):
    return decide.Identity(VENDOR, CLASS, **options)


def device_judges(kit, envelope):
    """The device's verdict over signatures; returns its parsed envelope."""
    parsed = device_suit.parse(envelope)
    anchors.release(anchors.parse(kit.signed()), parsed)
    return parsed


def test_manifest_is_that_of_the_specification(kit):
    manifest, payload = author.build_manifest(IMAGE, 7, 2, "1.2.3", VENDOR, CLASS)
    assert payload == IMAGE
    digest = cbor2.dumps([-16, sha256(IMAGE).digest()])
    hashes = b"".join(sha256(IMAGE[at : at + 4096]).digest()[:16] for at in (0, 4096, 8192))
    parameters = {1: VENDOR, 2: CLASS, 3: digest, 14: 10240, 28: b"1.2.3", -1: 2, -2: 4096}
    shared = [20, {**parameters, -3: hashes}, 1, 15, 2, 15]
    install = [20, {21: "#image", -4: 10240}, 21, 2, 3, 15]
    common = {2: [[b"image"]], 4: cbor2.dumps(shared)}
    assert cbor2.loads(manifest) == {
        1: 1,
        2: 7,
        3: cbor2.dumps(common),
        7: cbor2.dumps([3, 15]),
        9: cbor2.dumps([23, 2]),
        20: cbor2.dumps(install),
    }


def test_same_inputs_same_bytes():
    assert signing_kit.author.build_manifest(IMAGE, 1, 1, "1", VENDOR, CLASS) == (
        author.build_manifest(IMAGE, 1, 1, "1", VENDOR, CLASS)
    )


def test_device_reads_what_was_written(kit, envelope):
    plan = decide.install(device_judges(kit, envelope), identity())
    assert (plan.sequence, plan.security, plan.version) == (7, 2, "1.2.3")
    assert plan.digest == sha256(IMAGE).digest() == author.image_digest(kit.manifest())
    assert (plan.size, plan.payload_size, plan.block_size) == (10240, 10240, 4096)
    assert plan.hashes == author.block_hashes(IMAGE)
    assert plan.encryption is None and plan.use_before is None
    assert device_suit.parse(envelope).digest == suit.manifest_digest(kit.manifest())


def test_recovery_component(kit):
    envelope = kit.release(kit.manifest(component="recovery"))
    decide.install(device_suit.parse(envelope), identity(component=b"recovery"))
    with pytest.raises(errors.UpdateRefused, match="expected component"):
        decide.install(device_suit.parse(envelope), identity())
    assert author.inspect(envelope)["component"] == "recovery"


def test_use_before_and_device_are_conditions(kit):
    manifest = kit.manifest(use_before=2_000, device_id=DEVICE)
    envelope = kit.release(manifest)
    device = names.device_identifier(CLASS, DEVICE)
    parsed = device_suit.parse(envelope)
    assert decide.install(parsed, identity(device=device, now=2_000)).use_before == 2_000
    with pytest.raises(errors.UpdateRefused, match="use before 2000, now 2001") as caught:
        decide.install(parsed, identity(device=device, now=2_001))
    assert caught.value.event == "upd.expired"
    with pytest.raises(errors.UpdateRefused, match="expected device") as caught:
        decide.install(parsed, identity(device=bytes(16), now=1))
    assert caught.value.event == "upd.wrong_class"
    shown = author.inspect(envelope)
    assert (shown["use_before"], shown["device_identifier"]) == (2_000, device.hex())


def test_encrypted_payload_opens_on_the_device(kit, tmp_path):
    kek = keys.create_kek(tmp_path / "kek")
    manifest, payload = author.build_manifest(
        IMAGE, 8, 2, "1", VENDOR, CLASS, encrypt=(kek.kid, kek.key)
    )
    assert payload != IMAGE and len(payload) == len(IMAGE)
    author.check_payload(manifest, payload)
    envelope = kit.release(manifest)
    assert author.inspect(envelope)["encrypted_for"] == kek.kid.hex()
    info = decide.install(device_judges(kit, envelope), identity()).encryption
    box = cbor2.loads(info)
    assert box.tag == 96
    protected, headers, inside, ((empty, recipient, wrapped),) = box.value
    assert (protected, inside, empty) == (b"", None, b"")
    assert headers[1] == -65532 and recipient == {1: -5, 4: kek.kid}
    cek = keywrap.unwrap(kek.key, wrapped)
    assert aead.ctr(cek, headers[5], payload) == IMAGE
    assert content.decrypt(payload, info, kek.key) == IMAGE
    with pytest.raises(Refused, match="group KEK is not the one"):
        content.decrypt(payload, info, bytes(32))


def test_content_key_and_iv_are_fresh(kit):
    infos = []
    for _ in range(2):
        manifest, payload = author.build_manifest(
            IMAGE, 8, 2, "1", VENDOR, CLASS, encrypt=(b"kid", bytes(32))
        )
        infos.append((suit.parameters(manifest)[19], payload))
    (first, one), (second, two) = infos
    assert one != two
    assert cbor2.loads(first).value[1][5] != cbor2.loads(second).value[1][5]
    assert cbor2.loads(first).value[3][0][2] != cbor2.loads(second).value[3][0][2]


@pytest.mark.parametrize(
    ("arguments", "options", "part"),
    [
        ((b"", 1, 1, "1", VENDOR, CLASS), {}, "image: expected some bytes"),
        ((IMAGE, -1, 1, "1", VENDOR, CLASS), {}, "sequence: expected 0 to 4294967295, got -1"),
        ((IMAGE, 1, 1 << 32, "1", VENDOR, CLASS), {}, "security version: expected"),
        ((IMAGE, 1, 1, "1", b"x", CLASS), {}, "vendor id: expected 16 bytes, got 1"),
        ((IMAGE, 1, 1, "1", VENDOR, b""), {}, "class id: expected 16 bytes, got 0"),
        ((IMAGE, 1, 1, "1", VENDOR, CLASS), {"component": "app"}, "component: expected one of"),
        ((IMAGE, 1, 1, "1", VENDOR, CLASS), {"device_id": "Bob"}, "device id: expected 16 to 32"),
        ((IMAGE, 1, 1, "1", VENDOR, CLASS), {"encrypt": (b"k", b"x")}, "KEK: expected 32 bytes"),
    ],
)
def test_bad_inputs(arguments, options, part):
    with pytest.raises(UsageError, match=part):
        author.build_manifest(*arguments, **options)


def test_two_persons_on_two_machines(kit):
    first = author.sign(kit.manifest(), kit.signer("release"))
    with pytest.raises(Refused, match="role approver needs 1 signature") as caught:
        author.verify(first, kit.document)
    assert "have a holder of approver sign" in caught.value.hint
    with pytest.raises(errors.UpdateRefused, match="approver") as refused:
        device_judges(kit, first)
    assert refused.value.event == "upd.quorum"
    both = author.add_signature(first, kit.signer("approver"))
    assert author.verify(both, kit.document) == {
        "release": ["release-holder"],
        "approver": ["approver-holder"],
    }
    device_judges(kit, both)


def test_signature_made_elsewhere(kit):
    manifest = kit.manifest()
    unsigned = author.sign(manifest)
    for role in ("release", "approver"):
        public = kit.public(role)
        message = author.to_be_signed(manifest, public.alg)
        bare = kit.signer(role).sign(message)
        with pytest.raises(Refused, match="does not verify"):
            author.attach(unsigned, public, bare[:-1] + bytes([bare[-1] ^ 1]))
        unsigned = author.attach(unsigned, public, bare)
        with pytest.raises(Refused, match="has signed this envelope already"):
            author.attach(unsigned, public, bare)
    device_judges(kit, unsigned)


def test_second_signature_by_one_key_is_refused_before_it_costs_an_index(kit, envelope):
    before = lms_status(kit)
    with pytest.raises(Refused, match="has signed this envelope already"):
        author.add_signature(envelope, kit.signer("release"))
    assert lms_status(kit) == before


def lms_status(kit):
    return kit.signer("release").status()


def test_one_role_twice_is_not_two_roles(kit):
    document = kit.with_role(1, 1, ("a", kit.public("release")), ("b", kit.public("operator")))
    envelope = kit.release(None, "release", "operator")
    with pytest.raises(Refused, match="role approver needs 1 signature"):
        author.verify(envelope, document)


def test_release_by_keys_of_other_roles_is_refused(kit):
    envelope = kit.release(None, "release", "approver", "operator")
    with pytest.raises(Refused, match="is of no holder of release or approver"):
        author.verify(envelope, kit.document)


def test_threshold_of_two(kit):
    document = kit.with_role(2, 2, ("a", kit.public("approver")), ("b", kit.public("operator")))
    with pytest.raises(Refused, match=r"role approver needs 2 signature\(s\), got 1"):
        author.verify(kit.release(), document)
    envelope = kit.release(None, "release", "approver", "operator")
    assert author.verify(envelope, document)["approver"] == ["a", "b"]


def test_revoked_key_does_not_count(kit, envelope):
    document = replace(kit.document, revoked=(kit.public("approver").thumbprint,))
    with pytest.raises(Refused, match="is of no holder"):
        author.verify(envelope, document)


def test_blocks_are_bounded_and_distinct(envelope):
    taken = suit.parse(envelope)
    many = tuple(replace(taken.blocks[0], signature=bytes([n])) for n in range(5))
    with pytest.raises(Refused, match="at most 4 signatures, got 5"):
        author._wrap(taken.manifest, many)
    with pytest.raises(Refused, match="a signature is there twice"):
        author._wrap(taken.manifest, (taken.blocks[0],) * 2)


def test_payload_must_be_that_of_the_manifest(kit):
    manifest = kit.manifest()
    author.check_payload(manifest, IMAGE)
    with pytest.raises(Refused, match="expected 10240 bytes, got 10239"):
        author.check_payload(manifest, IMAGE[:-1])
    with pytest.raises(Refused, match="block hashes are not those"):
        author.check_payload(manifest, IMAGE[:-1] + b"x")


def test_inspect(kit, envelope):
    shown = author.inspect(envelope)
    assert shown["profile"] == "suit-sha256-hsslms-a256kw-a256ctr"
    assert (shown["sequence"], shown["security_version"], shown["version"]) == (7, 2, "1.2.3")
    assert (shown["image_size"], shown["payload_size"], shown["blocks"]) == (10240, 10240, 3)
    assert shown["signatures"] == [
        {"algorithm": "HSS-LMS", "kid": kit.public("release").kid.hex()},
        {"algorithm": "ESP256", "kid": kit.public("approver").kid.hex()},
    ]
    assert shown["payload_id"] == shown["manifest_digest"][:16]


def test_used_indices_are_the_witness_of_a_restored_key(kit, tmp_path):
    public = keys.create_lms(tmp_path / "release", 5)
    envelopes = [
        author.sign(kit.manifest(sequence=n), keys.load_signer(tmp_path / "release"))
        for n in range(3)
    ]
    used = author.used_indices(envelopes, public)
    assert list(used) == [0, 1, 2]
    keys.load_signer(tmp_path / "release", witness=used).sign(b"next")
    keys.create_lms(tmp_path / "other", 5)
    other = keys.load_signer(tmp_path / "other", witness=used)
    with pytest.raises(Refused, match="the log knows a signature with index 0"):
        other.sign(b"next")
    assert author.used_indices(envelopes, kit.public("approver")) == {}


def test_every_changed_byte_is_refused(kit, envelope):
    taken = suit.parse(envelope)
    hints = [block.kid for block in taken.blocks]
    for position in range(0, len(envelope), 5):
        broken = bytearray(envelope)
        broken[position] ^= 4
        try:
            author.verify(bytes(broken), kit.document)
        except Refused:
            continue
        # Only a kid, a hint, is outside the signatures (S7).
        assert [block.kid for block in suit.parse(bytes(broken)).blocks] != hints


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda e: e[:-1], "expected CBOR"),
        (lambda e: e + b"\0", "not in deterministic encoding"),
        (lambda e: e[2:], "expected CBOR tag 107"),
        (lambda e: cose.encode(cbor2.CBORTag(107, {2: b"", 3: b"", 4: b""})), "expected authent"),
        (lambda e: cose.encode(cbor2.CBORTag(107, [])), "expected a map"),
        (lambda e: remake(e, lambda items: []), "expected .digest, signature"),
        (lambda e: remake(e, lambda items: [b"\x82\x26\x40", *items[1:]]), "SHA-256 digest"),
        (lambda e: remake(e, lambda items: [items[0], b"\xd2\x80"]), "expected an array of 4"),
        (lambda e: remake(e, lambda items: [items[0], block({1: -8})]), "expected ESP256 or HSS"),
        (lambda e: remake(e, lambda items: [items[0], block({1: -9}, {1: -9})]), "may hold a kid"),
        (lambda e: remake(e, lambda items: [items[0], block({1: -9}, inside=b"")]), "detached"),
    ],
)
def test_malformed_envelopes(envelope, change, part):
    with pytest.raises(Refused, match=part):
        suit.parse(change(envelope))


def remake(envelope, change):
    """The envelope with another authentication wrapper."""
    body = dict(cbor2.loads(envelope).value)
    body[2] = cose.encode(change(cbor2.loads(body[2])))
    return cose.encode(cbor2.CBORTag(107, body))


def block(protected, unprotected=None, inside=None):
    parts = [cose.encode(protected), unprotected or {}, inside, bytes(64)]
    return cose.encode(cbor2.CBORTag(18, parts))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(data):
    for judge in (suit.parse, suit.parameters, suit.component, author.inspect):
        with pytest.raises(HostError):
            judge(data)


MANIFEST = author.build_manifest(IMAGE, 7, 2, "1.2.3", VENDOR, CLASS)[0]


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(MANIFEST) - 1), st.integers(0, 255))
def test_any_manifest_is_shown_or_refused(position, value):
    broken = bytearray(MANIFEST)
    broken[position] = value
    envelope = author._wrap(bytes(broken), ())
    try:
        author.inspect(envelope)
    except Refused:
        return


def test_index_of_wants_a_signature():
    with pytest.raises(UsageError, match="expected at least 8 bytes, got 3"):
        lms.index_of(b"abc")


def test_trust_document_names_the_signers(kit, envelope):
    document = trust.parse(trust.split(kit.signed())[0])
    assert author.verify(envelope, document)["release"] == ["release-holder"]
