"""What we sign, read and verified by others: cbor2, pycose, pyhsslms, cryptography."""

import json
from collections.abc import Mapping
from hashlib import sha256

import cbor2
import pyhsslms
import pytest
import signing_kit
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from pycose.algorithms import CoseAlgorithm, Es256
from pycose.headers import KID
from pycose.keys import EC2Key
from pycose.messages import Sign1Message, SignMessage
from signing_kit import IMAGE

from host_tools.errors import Refused
from host_tools.signing import author, cose, keys, roles, suit, trust


@CoseAlgorithm.register_attribute()
class Esp256(Es256):
    """ES256 with P-256 alone (RFC 9864): newer than pycose, whose arithmetic is used."""

    identifier = -9
    fullname = "ESP256"


@CoseAlgorithm.register_attribute()
class HssLms(CoseAlgorithm):
    """RFC 8778: pycose knows the name of it only; the arithmetic is pyhsslms's."""

    identifier = -46
    fullname = "HSS-LMS"


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return signing_kit.make(tmp_path_factory.mktemp("keys"))


def thawed(value):
    """What cbor2 6 gives inside a tag (tuples, frozen maps) as pycose expects it."""
    if isinstance(value, Mapping):
        return {key: thawed(item) for key, item in value.items()}
    return [thawed(item) for item in value] if isinstance(value, (list, tuple)) else value


def read(kind, data):
    """A pycose message of this class from the bytes of a tagged one."""
    tagged = cbor2.loads(data)
    assert tagged.tag == kind.cbor_tag
    return kind.from_cose_obj(thawed(tagged.value), True)


def pycose_key(public: cose.PublicKey) -> EC2Key:
    members = public.members
    return EC2Key(crv="P_256", x=members[-2], y=members[-3])


def hss(public: cose.PublicKey):
    return pyhsslms.HssPublicKey.deserialize(public.members[-1])


def test_time_answer_is_a_sign1_that_pycose_verifies(kit):
    signed = cose.sign1(b"payload", kit.signer("time"), roles.TIME_DOMAIN)
    message = read(Sign1Message, signed)
    message.external_aad = roles.TIME_DOMAIN
    message.key = pycose_key(kit.public("time"))
    assert message.verify_signature()
    message.external_aad = roles.ENROL_DOMAIN
    assert not message.verify_signature()


def test_sign1_by_pycose_is_accepted(kit, tmp_path):
    public = keys.create_esp256(tmp_path / "time")
    private = keys.load_signer(tmp_path / "time").private.private_numbers().private_value
    message = Sign1Message(phdr={"ALG": Esp256}, payload=b"payload")
    message.external_aad = roles.TIME_DOMAIN
    key = pycose_key(public)
    key.d = private.to_bytes(32, "big")
    message.key = key
    assert cose.verify1(message.encode(), public, roles.TIME_DOMAIN) == b"payload"


def test_trust_document_in_pycose_and_pyhsslms(kit):
    envelope = trust.sign(
        trust.encode_payload(kit.document), [kit.signer("root"), kit.signer("admin")]
    )
    message = read(SignMessage, envelope)
    body = cbor2.loads(message.payload)
    assert body[2] == kit.document.fleet_id and body[1] == 1
    root, admin = message.signers
    for signature in (root, admin):
        signature.external_aad = roles.TRUST_DOMAIN
    to_be_signed = root._create_sig_structure()
    assert hss(kit.public("root")).verify(to_be_signed, root.signature)
    assert not hss(kit.public("root")).verify(to_be_signed + b"\0", root.signature)
    admin.key = pycose_key(kit.public("admin"))
    assert admin.verify_signature()


def test_envelope_in_cbor2_pycose_and_pyhsslms(kit):
    envelope = cbor2.loads(kit.release())
    assert envelope.tag == 107
    digest, *blocks = cbor2.loads(envelope.value[2])
    assert list(cbor2.loads(digest)) == [-16, sha256(cbor2.dumps(envelope.value[3])).digest()]
    release, approver = (read(Sign1Message, block) for block in blocks)
    for message, role in ((release, "release"), (approver, "approver")):
        assert message.payload is None
        assert message.uhdr == {KID: kit.public(role).kid}
        message.payload = digest
    assert hss(kit.public("release")).verify(release._create_sig_structure(), release.signature)
    approver.key = pycose_key(kit.public("approver"))
    assert approver.verify_signature()
    approver.payload = digest[:-1] + b"\0"
    assert not approver.verify_signature()


def test_encryption_info_in_pycose_and_cryptography(kit):
    kek = bytes(range(32))
    manifest, payload = author.build_manifest(
        IMAGE, 1, 1, "1", signing_kit.VENDOR, signing_kit.CLASS, encrypt=(b"kid", kek)
    )
    box = cbor2.loads(suit.parameters(manifest)[19])
    assert box.tag == 96
    _, headers, _, ((_, recipient, wrapped),) = box.value
    cek = aes_key_unwrap(kek, wrapped)
    cipher = Cipher(algorithms.AES(cek), modes.CTR(headers[5])).decryptor()
    assert cipher.update(payload) == IMAGE
    assert recipient[4] == b"kid"


def test_thumbprint_of_rfc_9679(kit):
    # RFC 9679 6: required members alone, deterministic; alg is left out
    members = kit.public("time").members
    required = {1: 2, -1: 1, -2: members[-2], -3: members[-3]}
    encoded = b"\xa4\x01\x02\x20\x01\x21\x58\x20" + members[-2] + b"\x22\x58\x20" + members[-3]
    assert cbor2.loads(encoded) == required
    assert kit.public("time").thumbprint == sha256(encoded).digest()


def host_accepts(case):
    # Two-level keys are not used by us, so `hss_key` refuses them: built by hand.
    public = cose.PublicKey(cose.encode({1: 5, 3: -46, -1: bytes.fromhex(case["hss_public_key"])}))
    try:
        taken = suit.parse(bytes.fromhex(case["envelope_hex"]))
    except Refused:
        return False
    message = author.to_be_signed(taken.manifest, cose.HSS_LMS)
    return any(
        block.alg == cose.HSS_LMS and public.accepts(message, block.signature)
        for block in taken.blocks
    )


def test_host_agrees_with_the_public_cases(vectors):
    cases = json.loads((vectors / "suit/suit_hsslms_cases.json").read_text())["cases"]
    assert len(cases) == 22
    wrong = [case["name"] for case in cases if host_accepts(case) != case["valid"]]
    assert wrong == []
