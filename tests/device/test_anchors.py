"""Trust documents and quorums (S7): accepted only with the thresholds, refused by name."""

import pytest

from host_tools.signing import author, cose, suit, trust
from tests.device import boot_kit as kit


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    return kit.Fleet(tmp_path_factory.mktemp("fleet"))


def pins(fleet, document, threshold=None, others=()):
    root = document.roles[0]
    prints = [key.thumbprint.hex() for _, key in root.keys]
    prints += [fleet.public[name].thumbprint.hex() for name in others]
    return [threshold or root.threshold, prints]


def first(fleet, document=None, *who, pinned=None, signed=None, fleet_id=kit.FLEET):
    document = document or fleet.document()
    signed = signed or fleet.signed(document, *who)
    return [signed.hex(), None, pinned or pins(fleet, document), fleet_id.hex()]


def raw(fleet, **members):
    """A signed document whose payload has members changed: m5=..., None drops one."""
    payload = cose.decode(trust.encode_unchecked(fleet.document()), "payload")
    for key, value in members.items():
        if key == "m5" and value is not None:
            value = {role: cose.encode(held) for role, held in value.items()}
        if value is None:
            payload.pop(int(key[1:]), None)
        else:
            payload[int(key[1:])] = value
    encoded = cose.encode(payload)
    return trust.sign(encoded, fleet.signers("root-lms", "root-p256"))


def plain_role(fleet):
    """A signed document whose release role is no byte string."""
    payload = cose.decode(trust.encode_unchecked(fleet.document()), "payload")
    payload[5][1] = cose.decode(payload[5][1], "role")
    return trust.sign(cose.encode(payload), fleet.signers("root-lms", "root-p256"))


def repeated(fleet, count):
    """The document with its P-256 block `count` times."""
    payload, blocks = trust.split(fleet.signed(fleet.document(), "root-p256"))
    body = [[cose.protected_header(-9), {4: b.kid}, b.signature] for b in blocks] * count
    return cose.encode(cose.CBORTag(98, [b"", {}, payload, body]))


def twice_signed(fleet):
    """The document with two different signatures of its P-256 root key."""
    payload, blocks = trust.split(fleet.signed(fleet.document(), "root-p256"))
    blocks += trust.split(fleet.signed(fleet.document(), "root-p256"))[1]
    assert blocks[0].signature != blocks[1].signature
    body = [[cose.protected_header(-9), {4: b.kid}, b.signature] for b in blocks]
    return cose.encode(cose.CBORTag(98, [b"", {}, payload, body]))


def test_the_first_document_needs_the_pinned_root(device, fleet):
    document = fleet.document()
    root1 = fleet.document(roles={0: fleet.held(2, "root-lms", "root-p256")})
    root2 = fleet.document(roles={0: fleet.held(1, "root-lms", "outsider")})
    cases = {
        "both": (first(fleet), "", ""),
        "one of two": (first(fleet, None, "root-p256"), "TrustError", "2 of role root, got 1"),
        "outsider beside": (
            first(fleet, None, "root-p256", "outsider"),
            "TrustError",
            "2 of role root, got 1",
        ),
        "block twice": (first(fleet, signed=repeated(fleet, 2)), "CodecError", "once"),
        "one key signing twice": (
            first(fleet, signed=twice_signed(fleet)),
            "TrustError",
            "2 of role root, got 1",
        ),
        "pins' threshold lower than its own": (
            first(fleet, root1, "root-lms", pinned=pins(fleet, root1, 1)),
            "TrustError",
            "2 of role root, got 1",
        ),
        "five blocks": (first(fleet, signed=repeated(fleet, 5)), "LimitError", "<= 4"),
        "none": (first(fleet, signed=repeated(fleet, 0)), "CodecError", "signatures, got none"),
        "own threshold lower than the pins'": (
            first(fleet, root2, "root-lms", pinned=pins(fleet, root2, 2)),
            "TrustError",
            "2 of role root, got 1",
        ),
        "a root key that is not pinned": (
            first(fleet, root2, "root-lms", "outsider", pinned=pins(fleet, document)),
            "TrustError",
            "only pinned root keys",
        ),
        "another fleet": (first(fleet, fleet_id=bytes(16)), "TrustError", "fleet"),
        "payload changed": (
            first(fleet, signed=fleet.signed(document).replace(kit.FLEET, bytes(16))),
            "TrustError",
            "fleet",
        ),
        "holder changed": (
            first(fleet, signed=fleet.signed(document).replace(b"approver", b"approver"[::-1])),
            "TrustError",
            "got 0",
        ),
    }
    found = device("device_anchors", "judge", [case[0] for case in cases.values()])
    for (name, case), (error, message) in zip(cases.items(), found, strict=True):
        assert (name, error) == (name, case[1]), message
        assert case[2] in message, (name, message)


def test_a_rotation_needs_the_old_and_the_new_root(device, fleet):
    old = fleet.document()
    current = fleet.signed(old).hex()
    name = trust.digest(old)
    new_root = {0: fleet.held(2, "release2", "outsider")}
    both = ("root-lms", "root-p256", "release2", "outsider")

    def step(document, *who):
        return [fleet.signed(document, *who).hex(), current, None, None]

    cases = {
        "same root": (step(fleet.document(2, name)), "", ""),
        "new root": (step(fleet.document(2, name, roles=new_root), *both), "", ""),
        "only the old": (
            step(fleet.document(2, name, roles=new_root), *both[:2]),
            "TrustError",
            "2 of role root, got 0",
        ),
        "only the new": (
            step(fleet.document(2, name, roles=new_root), *both[2:]),
            "TrustError",
            "2 of role root, got 0",
        ),
        "half of the new": (
            step(fleet.document(2, name, roles=new_root), *both[:3]),
            "TrustError",
            "2 of role root, got 1",
        ),
        "the same version": (step(fleet.document(1)), "TrustError", "version 2, got 1"),
        "a version left out": (step(fleet.document(3, name)), "TrustError", "version 2, got 3"),
        "another history": (
            step(fleet.document(2, bytes(32))),
            "TrustError",
            "to follow version 1",
        ),
        "no history": (step(fleet.document(2)), "CodecError", "digest of the previous"),
        "another fleet": (
            step(fleet.document(2, name, fleet_id=bytes(16))),
            "TrustError",
            "fleet",
        ),
        "a root key revoked": (
            step(fleet.document(2, name, revoked=(fleet.public["root-lms"].thumbprint,))),
            "TrustError",
            "2 of role root, got 1",
        ),
    }
    found = device("device_anchors", "judge", [case[0] for case in cases.values()])
    for (label, case), (error, message) in zip(cases.items(), found, strict=True):
        assert (label, error) == (label, case[1]), message
        assert case[2] in message, (label, message)
    assert device("device_anchors", "digest", current) == name.hex()


def test_documents_that_break_a_rule_are_refused(device, fleet):
    def members(name):
        return fleet.public[name].members

    good = cose.decode(trust.encode_unchecked(fleet.document()), "payload")[5]
    good = {role: cose.decode(held, "role") for role, held in good.items()}

    def roles(**changes):
        table = {**good, **{int(key[1:]): value for key, value in changes.items()}}
        return raw(fleet, m5={role: value for role, value in table.items() if value is not None})

    release = [["release", members("release")]]
    many = [["holder %d" % i, members("time")] for i in range(9)]
    cases = {
        "unknown member": (raw(fleet, m10=0), "CodecError", "members 1..9"),
        "clock not reset": (raw(fleet, m9=0), "CodecError", "true as member 9, got 0"),
        "no version": (raw(fleet, m1=None), "CodecError", "member 1"),
        "version in text": (raw(fleet, m1="1"), "CodecError", "member 1"),
        "version true": (raw(fleet, m1=True), "CodecError", "member 1"),
        "fleet of 15 bytes": (raw(fleet, m2=bytes(15)), "CodecError", "16 bytes as fleet id"),
        "no expiry": (raw(fleet, m4=None), "CodecError", "member 4"),
        "no roles": (raw(fleet, m5=None), "CodecError", "roles in a map"),
        "a role as array": (
            plain_role(fleet),
            "CodecError",
            "role release in bytes",
        ),
        "three anchors": (raw(fleet, m6=[b"", b"", b""]), "CodecError", "<= 2 anchors"),
        "anchor in text": (raw(fleet, m6=["x"]), "CodecError", "anchors in DER"),
        "33 revoked": (raw(fleet, m7=[bytes(32)] * 33), "CodecError", "<= 32 revoked"),
        "previous of version 1": (raw(fleet, m8=b"x"), "CodecError", "previous document"),
        "role 10": (roles(r10=[1, [["x", members("outsider")]]]), "TrustError", "role in 0..9"),
        "no approver": (roles(r2=None), "TrustError", "role approver, got none"),
        "threshold 0": (roles(r1=[0, release]), "TrustError", "1..1 of release, got 0"),
        "threshold 2 of 1": (roles(r1=[2, release]), "TrustError", "1..1 of release, got 2"),
        "threshold true": (roles(r1=[True, release]), "TrustError", "got True"),
        "key in two roles": (
            roles(r2=[1, [["x", members("release")]]]),
            "TrustError",
            "once, got one twice in approver",
        ),
        "key twice": (
            roles(r1=[1, [["x", members("release")], ["y", members("release")]]]),
            "TrustError",
            "twice in release",
        ),
        "holder twice": (
            roles(r1=[1, [["x", members("release")], ["x", members("release2")]]]),
            "TrustError",
            "x twice",
        ),
        "nine keys": (roles(r5=[1, many]), "CodecError", "<= 8 keys of time"),
        "no algorithm": (
            roles(r2=[1, [["x", {k: v for k, v in members("approver").items() if k != 3}]]]),
            "TrustError",
            "another algorithm in approver",
        ),
        "ECDH key as approver": (
            roles(r2=[1, [["x", members("collector")]]], r6=None),
            "TrustError",
            "another algorithm in approver",
        ),
        "ES256 key": (
            roles(r2=[1, [["x", {**members("approver"), 3: -7}]]]),
            "TrustError",
            "another algorithm in approver",
        ),
        "P-384 key": (
            roles(r2=[1, [["x", {**members("approver"), -1: 2}]]]),
            "KeyRefused",
            "curve P-256",
        ),
        "root without HSS-LMS": (
            roles(r0=[1, [["x", members("root-p256")]]]),
            "TrustError",
            "HSS-LMS key in role root",
        ),
        "no COSE_Sign": (cose.encode(cose.CBORTag(18, [b"", {}, b"", b""])), "CodecError", "tag"),
    }
    found = device(
        "device_anchors",
        "judge",
        [[case[0].hex(), None, [1, []], kit.FLEET.hex()] for case in cases.values()],
    )
    for (name, case), (error, message) in zip(cases.items(), found, strict=True):
        assert (name, error) == (name, case[1]), message
        assert case[2] in message, (name, message)


def test_a_document_is_known_again_by_its_digest_alone(device, fleet):
    document = fleet.document()
    name = trust.digest(document).hex()[:32]  # as a slot's record keeps it
    odd = [7, {}, [], [b""] * 3, {2: b""}, [b"", {}, 7, []], b"1234"]
    cases = [[fleet.signed(document).hex(), name], [fleet.signed(document).hex(), "00" * 16]]
    cases += [[fleet.signed(fleet.document(expires=kit.NOW)).hex(), name]]
    cases += [[cose.encode(cose.CBORTag(98, value)).hex(), name] for value in odd]
    cases += [["00", name]]
    found = device("device_anchors", "known_again", cases)
    assert found[0] == ""
    refusal = "TrustError: trust: expected the document that was accepted, got another"
    assert set(found[1:]) == {refusal}


def test_a_release_needs_two_persons_of_two_roles(device, fleet):
    """T15: one signature, the same role twice, a revoked signer: the missing role is named."""
    document = fleet.document(
        roles={1: fleet.held(1, "release", "release2"), 2: fleet.held(1, "approver", "approver2")}
    )
    two = fleet.document(roles={2: fleet.held(2, "approver", "approver2")})
    revoking = fleet.document(revoked=(fleet.public["approver"].thumbprint,))
    image = kit.image()

    def signed(*who):
        return fleet.release(image, who=who)[0]

    both = signed("release", "approver")
    parsed = suit.parse(both)
    again = suit.parse(signed("approver")).blocks[0]
    doubled = author._wrap(parsed.manifest, (*parsed.blocks, again))
    hss = next(block for block in parsed.blocks if block.alg == cose.HSS_LMS)
    p256 = next(block for block in parsed.blocks if block.alg == cose.ESP256)
    lying = p256.kid
    cases = {
        "both": (document, both, "", ""),
        "other holders": (document, signed("approver2", "release2"), "", ""),
        "release alone": (document, signed("release"), "upd.quorum", "1 of role approver, got 0"),
        "approver alone": (document, signed("approver"), "upd.quorum", "1 of role release, got 0"),
        "release twice": (
            document,
            signed("release", "release2"),
            "upd.quorum",
            "1 of role approver, got 0",
        ),
        "approvers only": (
            document,
            signed("approver", "approver2"),
            "upd.quorum",
            "1 of role release, got 0",
        ),
        "one of two approvers": (two, both, "upd.quorum", "2 of role approver, got 1"),
        "one approver signing twice": (two, doubled, "upd.quorum", "2 of role approver, got 1"),
        "two of two approvers": (two, signed("release", "approver", "approver2"), "", ""),
        "a revoked approver": (revoking, both, "upd.quorum", "1 of role approver, got 0"),
        "somebody else": (
            document,
            signed("release", "outsider"),
            "upd.quorum",
            "1 of role approver, got 0",
        ),
        "unsigned": (document, signed(), "upd.bad_sig", "1 of role release, got 0"),
        "HSS signature changed": (
            document,
            both.replace(hss.signature[-8:], bytes(8)),
            "upd.bad_sig",
            "1 of role release, got 0",
        ),
        "P-256 signature changed": (
            document,
            both.replace(p256.signature[-8:], bytes(8)),
            "upd.bad_sig",
            "1 of role approver, got 0",
        ),
        "a kid that lies is no harm": (
            document,
            both.replace(lying, fleet.public["approver2"].kid),
            "",
            "",
        ),
        "a kid that means nobody": (document, both.replace(lying, bytes(8)), "", ""),
        "the kid of the release key": (document, both.replace(lying, hss.kid), "", ""),
    }
    documents = {id(item): fleet.signed(item).hex() for item in (document, two, revoking)}
    found = device(
        "device_anchors",
        "quorum",
        [[documents[id(case[0])], case[1].hex()] for case in cases.values()],
    )
    for (name, case), (event, message) in zip(cases.items(), found, strict=True):
        assert (name, event) == (name, case[2]), message
        assert case[3] in message, (name, message)
