"""The COSE working group's examples: each of our algorithms, valid and broken, on each port."""

import base64
import json

import cbor2
import pytest
from uward.codec import cbor, cose
from uward.crypto import aead, keywrap
from uward.errors import KeyRefused

FOLDERS = ("RFC8152", "ecdsa-examples", "sign-tests", "sign1-tests", "hashsig")
SEALED = ("encrypted-tests", "aes-ccm-examples", "mac0-tests")

UNKNOWN = "expected algorithm"
BARE = "alg and crit protected"  # S19: an algorithm outside the protected header
OTHER_TAG = "expected tag"
BAD = "BadSignature"
# what is not simply believed; everything else must verify
REFUSED = {
    "RFC8152/Appendix_C_1_2": ["ok", "curve"],  # ES512 beside ES256: a P-521 key
    "RFC8152/Appendix_C_1_4": ["crit"],  # "reserved" is critical
    "RFC8152/Appendix_C_4_1": [UNKNOWN],  # AES-CCM-16-64-128
    "RFC8152/Appendix_C_4_2": [UNKNOWN],
    "RFC8152/Appendix_C_6_1": [UNKNOWN],  # AES-MAC
    "ecdsa-examples/ecdsa-02": ["curve"],
    "ecdsa-examples/ecdsa-03": ["curve"],
    "ecdsa-examples/ecdsa-04": [UNKNOWN],  # ES512 with a P-256 key
    "ecdsa-examples/ecdsa-sig-02": ["curve"],
    "ecdsa-examples/ecdsa-sig-03": ["curve"],
    "ecdsa-examples/ecdsa-sig-04": [UNKNOWN],
    "sign-tests/sign-fail-01": [OTHER_TAG],
    "sign-tests/sign-fail-02": [BAD],
    "sign-tests/sign-fail-03": [UNKNOWN],
    "sign-tests/sign-fail-04": [UNKNOWN],
    "sign-tests/sign-fail-06": [BAD],
    "sign-tests/sign-fail-07": [BAD],
    "sign1-tests/sign-fail-01": [OTHER_TAG],
    "sign1-tests/sign-fail-02": [BAD],
    "sign1-tests/sign-fail-03": [UNKNOWN],
    "sign1-tests/sign-fail-04": [UNKNOWN],
    "sign1-tests/sign-fail-06": [BAD],
    "sign1-tests/sign-fail-07": [BAD],
    "sign1-tests/sign-pass-01": [BARE],
    "mac0-tests/mac-fail-01": [OTHER_TAG],
    "mac0-tests/mac-fail-02": ["BadMac"],
    "mac0-tests/mac-fail-03": [UNKNOWN],
    "mac0-tests/mac-fail-04": [UNKNOWN],
    "mac0-tests/mac-fail-06": ["BadMac"],
    "mac0-tests/mac-fail-07": ["BadMac"],
    "mac0-tests/mac-pass-01": [BARE],
    "mac0-tests/mac-pass-02": [BARE],
    "mac0-tests/mac-pass-03": [BARE],
    "encrypted-tests/enc-fail-01": [OTHER_TAG],
    "encrypted-tests/enc-pass-01": [BARE],
    "encrypted-tests/enc-pass-03": [BARE],
}
BELIEVED = 17  # blocks and messages that verify


def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def coordinate(key, name):
    return bytes.fromhex(key[name + "_hex"]) if name + "_hex" in key else unbase64(key[name])


def cose_key(key):
    """The public part of an example's key, as a COSE_Key in hex."""
    if key["kty"] == "HSS-LMS":
        return cbor2.dumps({1: 5, -1: bytes.fromhex(key["public"])}).hex()
    curve = {"P-256": 1, "P-384": 2, "P-521": 3}[key["crv"]]
    members = {1: 2, -1: curve, -2: coordinate(key, "x"), -3: coordinate(key, "y")}
    return cbor2.dumps(members).hex()


def read(path):
    """One example -> the case that `device_cose.judge` takes, or None for other structures."""
    example = json.loads(path.read_text())
    kinds = [kind for kind in ("sign", "sign0", "mac0", "encrypted") if kind in example["input"]]
    if not kinds:
        return None
    body = example["input"][kinds[0]]
    if kinds[0] == "sign":
        keys = [cose_key(signer["key"]) for signer in body["signers"]]
        external = [signer.get("external", "") for signer in body["signers"]]
    elif kinds[0] == "sign0":
        keys, external = [cose_key(body["key"])], [body.get("external", "")]
    else:
        secret = unbase64(body["recipients"][0]["key"]["k"])
        keys, external = [secret.hex()], [body.get("external", "")]
    name = path.parent.name + "/" + path.stem
    text = example["output"]["cbor"]
    return {"name": name, "kind": kinds[0], "cbor": text, "keys": keys, "external": external}


def test_examples(device, vectors):
    paths = [
        p for name in FOLDERS + SEALED for p in sorted((vectors / "cose" / name).glob("*.json"))
    ]
    cases = [case for case in map(read, paths) if case]
    assert len(cases) == 65
    believed = 0
    for case, verdicts in zip(cases, device("device_cose", "judge", cases), strict=True):
        name = case["name"]
        expected = REFUSED.get(name)
        if expected is None and "CCM" in name.upper() and verdicts != ["ok"]:
            expected = [UNKNOWN]  # other lengths of CCM: `test_every_ccm_example`
        if expected is None and name.startswith("encrypted-tests"):
            expected = [UNKNOWN]  # AES-GCM
        for part, verdict in zip(expected or ["ok"] * len(verdicts), verdicts, strict=True):
            assert part in verdict, (name, verdicts)
        believed += verdicts.count("ok")
    assert believed == BELIEVED


CCM = {"16-128/64": 8, "16-128/128": 16, "64-128/64": 8, "64-128/128": 16}
CCM.update({"16-256/64": 8, "16-256/128": 16, "64-256/64": 8, "64-256/128": 16})


def test_every_ccm_example(vectors):
    """All eight lengths of CCM, COSE_Encrypt included: through `aead`, with the printed AAD."""
    seen = 0
    for path in sorted((vectors / "cose/aes-ccm-examples").glob("*.json")):
        example = json.loads(path.read_text())
        body = example["input"].get("encrypted") or example["input"]["enveloped"]
        tag = CCM[body["protected"]["alg"][8:]]
        message = cbor2.loads(bytes.fromhex(example["output"]["cbor"])).value
        steps = example["intermediates"]
        key, aad = bytes.fromhex(steps["CEK_hex"]), bytes.fromhex(steps["AAD_hex"])
        assert aead.open(key, message[1][5], message[2], aad, tag) == b"This is the content."
        assert aead.seal(key, message[1][5], b"This is the content.", aad, tag) == message[2]
        if "encrypted" in example["input"]:
            parsed = cose.parse(bytes.fromhex(example["output"]["cbor"]), cose.ENCRYPT0)
            assert parsed.structure() == aad
        seen += 1
    assert seen == 16


def test_partial_iv_of_rfc_8152(vectors):
    """Appendix C.4.2: context IV xor left-padded partial IV (its algorithm is none of ours)."""
    example = json.loads((vectors / "cose/RFC8152/Appendix_C_4_2.json").read_text())
    nonce = bytes.fromhex(example["input"]["encrypted"]["unsent"]["IV_hex"])
    message = cose.parse(bytes.fromhex(example["output"]["cbor"]), cose.ENCRYPT0)
    context_iv = bytearray(nonce)
    context_iv[-2:] = bytes(2)  # the partial IV is 61a7, the context IV ends in zeros
    message.headers[cose.ALG] = cose.AES_CCM_16_128_128
    key = bytes.fromhex(example["intermediates"]["CEK_hex"])
    assert cose._nonce(message, key, bytes(context_iv)) == nonce
    aad = bytes.fromhex(example["intermediates"]["AAD_hex"])
    assert aead.open(key, nonce, message.payload, aad, 8) == b"This is the content."


def test_key_wrap_examples(vectors):
    unwrapped = refused = 0
    for path in sorted((vectors / "cose/aes-wrap-examples").glob("*.json")):
        example = json.loads(path.read_text())
        body = example["input"].get("mac") or example["input"]["enveloped"]
        kek = unbase64(body["recipients"][0]["key"]["k"])
        message = cbor.decode(bytes.fromhex(example["output"]["cbor"]), ordered=False)
        recipient = message.value[-1][0]
        merged = cose.headers(recipient[0], recipient[1], bare_alg=True)[1]
        assert merged[cose.ALG] in (-3, -4, -5)
        if len(kek) == 24:
            with pytest.raises(KeyRefused):
                keywrap.unwrap(kek, recipient[2])
            refused += 1
            continue
        cek = bytes.fromhex(example["intermediates"]["CEK_hex"])
        assert keywrap.unwrap(kek, recipient[2]) == cek
        assert keywrap.wrap(kek, cek) == recipient[2]
        unwrapped += 1
    assert (unwrapped, refused) == (10, 5)
