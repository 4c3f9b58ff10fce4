"""SUIT envelopes and manifests: the public vectors whole, and each refusal by name."""

import hashlib
import json

import cbor2
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from host_tools.signing import author, suit
from host_tools.signing.cose import encode
from tests.device import boot_kit as kit

SHA256 = -16


def sha(data):
    return hashlib.sha256(data).digest()


@pytest.fixture(scope="module")
def hss_cases(vectors):
    return json.loads((vectors / "suit/suit_hsslms_cases.json").read_text())["cases"]


def test_every_hss_envelope_gets_its_verdict(device, hss_cases):
    found = device(
        "device_suit",
        "verdicts",
        [[case["envelope_hex"], case["hss_public_key"]] for case in hss_cases],
    )
    assert len(found) == 22
    assert [not refusal for refusal in found] == [case["valid"] for case in hss_cases]
    refused = {
        case["name"]: refusal for case, refusal in zip(hss_cases, found, strict=True) if refusal
    }
    assert refused == {
        "neg_no_auth_block": "BadSignature",
        "neg_sig_first_bit": "BadSignature",
        "neg_sig_last_byte": "BadSignature",
        "neg_sig_truncated": "BadSignature",
        "neg_sig_extended": "BadSignature",
        "neg_sig_empty": "BadSignature",
        "neg_digest_bit": "BadDigest",
        "neg_alg_esp256": "KeyRefused",
        "neg_untagged_cose": "CodecError",
        "neg_q_out_of_range": "BadSignature",
        "neg_ots_type_unknown": "BadSignature",
        "neg_key_levels_1": "BadSignature",
    }


def test_the_drafts_examples_parse_and_verify(device, vectors):
    folder = vectors / "suit/manifest-spec"
    files = sorted(folder.glob("*.suit"))
    assert len(files) == 13
    public = load_pem_public_key((folder / "example_public_key.pem").read_bytes())
    numbers = public.public_numbers()
    found = device(
        "device_suit",
        "examples",
        [file.read_bytes().hex() for file in files],
        numbers.x.to_bytes(32, "big").hex(),
        numbers.y.to_bytes(32, "big").hex(),
    )
    for file, (sequence, signatures, verdict) in zip(files, found, strict=True):
        assert sequence == int(file.name[len("example")])
        signed = "unsigned" not in file.name
        assert signatures == signed
        assert verdict == ("" if signed else "BadSignature")


def manifest(**changes):
    """A manifest of ours as a map, with some members changed; None drops one."""
    raw, _ = author.build_manifest(b"x" * 5000, 7, 3, "1.7", kit.VENDOR, kit.CLASS)
    value = cbor2.loads(raw)
    for key, new in changes.items():
        key = int(key[1:])
        if new is None:
            del value[key]
        else:
            value[key] = new
    return value


def envelope(value, extra=None, digest=None, blocks=()):
    raw = encode(value)
    digest = digest or sha(encode(raw))
    wrapper = encode([encode([SHA256, digest]), *blocks])
    return encode(cbor2.CBORTag(107, {2: wrapper, 3: raw, **(extra or {})}))


def sequence(*commands):
    return encode(list(commands))


def shared(value):
    return cbor2.loads(cbor2.loads(value[3])[4])


def with_shared(commands, components=None, **changes):
    value = manifest(**changes)
    common = cbor2.loads(value[3])
    common[4] = encode(commands)
    if components is not None:
        common[2] = components
    value[3] = encode(common)
    return value


def parameters(**changes):
    """The shared sequence with parameters changed: p3=... sets 3, m1=... sets -1, None drops."""
    commands = shared(manifest())
    for key, new in changes.items():
        number = int(key[1:]) * (-1 if key[0] == "m" else 1)
        if new is None:
            commands[1].pop(number, None)
        else:
            commands[1][number] = new
    return commands


MALFORMED = {
    "no tag": (encode({2: b"", 3: b""}), "CodecError", "expected tag 107"),
    "another tag": (encode(cbor2.CBORTag(106, {})), "CodecError", "expected tag 107"),
    "no map": (encode(cbor2.CBORTag(107, [])), "CodecError", "a map as envelope"),
    "unknown integer key": (envelope(manifest(), {24: b""}), "CodecError", "envelope member"),
    "text key": (envelope(manifest(), {"#image": b""}), "CodecError", "envelope member"),
    "no manifest": (
        encode(cbor2.CBORTag(107, {2: b""})),
        "CodecError",
        "members 2 and 3",
    ),
    "manifest changed": (envelope(manifest(), digest=bytes(32)), "BadDigest", "the manifest"),
    "digest of another algorithm": (
        encode(cbor2.CBORTag(107, {2: encode([encode([-43, bytes(32)])]), 3: encode(manifest())})),
        "CodecError",
        "a SHA-256 digest",
    ),
    "digest of 31 bytes": (envelope(manifest(), digest=bytes(31)), "CodecError", "32 bytes"),
    "unknown manifest member": (envelope(manifest(_12=0)), "CodecError", "manifest member"),
    "version 2": (envelope(manifest(_1=2)), "CodecError", "version 1"),
    "sequence of 33 bits": (envelope(manifest(_2=1 << 32)), "CodecError", "u32"),
    "sequence true": (envelope(manifest(_2=True)), "CodecError", "u32"),
    "severed member without digest": (
        envelope(manifest(_20=None), {20: b"\x80"}),
        "CodecError",
        "SHA-256 digest",
    ),
    "severed member changed": (
        envelope(manifest(_20=[SHA256, bytes(32)]), {20: b"\x80"}),
        "BadDigest",
        "member 20",
    ),
    "block twice": (
        envelope(manifest(), blocks=[encode(cbor2.CBORTag(18, [b"", {}, None, b""]))] * 2),
        "CodecError",
        "once",
    ),
    "five blocks": (envelope(manifest(), blocks=[b""] * 5), "LimitError", "<= 4 signatures"),
    "payload inside": (
        envelope(manifest(), blocks=[encode(cbor2.CBORTag(18, [b"", {}, b"", b""]))]),
        "CodecError",
        "detached payload",
    ),
    "a MAC": (
        envelope(manifest(), blocks=[encode(cbor2.CBORTag(17, [b"", {}, None, b""]))]),
        "CodecError",
        "tag",
    ),
    "12 KB": (bytes(12289), "LimitError", "<= 12288"),
    "indefinite": (bytes.fromhex("d86bbf0240ff"), "CodecError", "definite"),
    "duplicate key": (bytes.fromhex("d86ba2024002 40".replace(" ", "")), "CodecError", "unique"),
    "trailing": (envelope(manifest()) + b"\0", "CodecError", "end"),
}


def test_malformed_envelopes_are_refused_by_name(device):
    found = device("device_suit", "refusals", [case[0].hex() for case in MALFORMED.values()])
    for name, case, (error, message) in zip(MALFORMED, MALFORMED.values(), found, strict=True):
        assert (name, error) == (name, case[1])
        assert case[2] in message, name


OTHER = bytes(16)
DEVICE_ID = author.names.device_identifier(kit.CLASS, kit.DEVICE)
FETCH = ({21: "#image", -4: 5000}, 21, 2, 3, 15)


def installing(*commands):
    return envelope(manifest(_20=sequence(*commands)))


def sharing(*commands, **changes):
    return envelope(with_shared(list(commands) or parameters(**changes)))


GOOD = [7, 3, 5000, "1.7"]
NESTED = sequence(1, 15)
for _ in range(5):
    NESTED = sequence(32, NESTED)

DECISIONS = {
    # what: (envelope, options, phase, event or "", message part or plan)
    "ours": (envelope(manifest()), {}, "install", "", GOOD),
    "ours at boot": (envelope(manifest()), {}, "boot", "", GOOD),
    "severed install": (
        envelope(
            manifest(_20=[SHA256, sha(encode(sequence(20, *FETCH)))]),
            {20: sequence(20, *FETCH)},
        ),
        {},
        "install",
        "",
        GOOD,
    ),
    "severed and absent": (
        envelope(manifest(_20=[SHA256, bytes(32)])),
        {},
        "install",
        "CodecError",
        "severed member 20",
    ),
    "severed and absent at boot": (
        envelope(manifest(_20=[SHA256, bytes(32)])),
        {},
        "boot",
        "",
        GOOD,
    ),
    "vendor": (sharing(p1=OTHER), {}, "boot", "upd.wrong_class", "expected vendor"),
    "class": (sharing(p2=OTHER), {}, "boot", "upd.wrong_class", "expected class"),
    "vendor unset": (sharing(p1=None), {}, "boot", "upd.wrong_class", "got none"),
    "component": (
        envelope(with_shared(parameters(), [[b"other"]])),
        {},
        "boot",
        "upd.wrong_class",
        "component",
    ),
    "two components": (
        envelope(with_shared(parameters(), [[b"image"], [b"image"]])),
        {},
        "boot",
        "upd.wrong_class",
        "component",
    ),
    "class not asked": (
        sharing(20, parameters()[1], 1, 15),
        {},
        "boot",
        "upd.malformed",
        "conditions on vendor and class",
    ),
    "this device": (
        sharing(*parameters(p24=DEVICE_ID), 24, 15),
        {"device": DEVICE_ID.hex()},
        "install",
        "",
        GOOD,
    ),
    "another device": (
        sharing(*parameters(p24=DEVICE_ID), 24, 15),
        {"device": OTHER.hex()},
        "install",
        "upd.wrong_class",
        "device",
    ),
    "in time": (
        installing(20, {21: "#image", -4: 5000, 4: 100}, 4, 15, 21, 2, 3, 15),
        {"now": 100},
        "install",
        "",
        GOOD,
    ),
    "too late": (
        installing(20, {21: "#image", -4: 5000, 4: 100}, 4, 15, 21, 2, 3, 15),
        {"now": 101},
        "install",
        "upd.expired",
        "use before 100, now 101",
    ),
    "no time to use before": (
        installing(20, FETCH[0], 4, 15, 21, 2, 3, 15),
        {"now": 1},
        "install",
        "upd.malformed",
        "a time",
    ),
    "too late is not judged at boot": (
        installing(20, {21: "#image", -4: 5000, 4: 100}, 4, 15, 21, 2, 3, 15),
        {"now": 101},
        "boot",
        "",
        GOOD,
    ),
    "no install": (envelope(manifest(_20=None)), {}, "install", "upd.malformed", "section 20"),
    "no fetch": (installing(20, FETCH[0], 3, 15), {}, "install", "upd.malformed", "a fetch"),
    "no match": (installing(20, FETCH[0], 21, 2), {}, "install", "upd.malformed", "image match"),
    "another URI": (
        installing(20, {21: "http://example.com", -4: 5000}, 21, 2, 3, 15),
        {},
        "install",
        "upd.malformed",
        "URI #image",
    ),
    "no validate": (envelope(manifest(_7=None)), {}, "boot", "upd.malformed", "section 7"),
    "empty validate": (
        envelope(manifest(_7=sequence())),
        {},
        "boot",
        "upd.malformed",
        "an image match",
    ),
    "empty validate at install": (
        envelope(manifest(_7=sequence())),
        {},
        "install",
        "upd.malformed",
        "an image match",
    ),
    "no invoke": (envelope(manifest(_9=None)), {}, "boot", "upd.malformed", "section 9"),
    "a load section": (
        envelope(manifest(_8=sequence())),
        {},
        "boot",
        "upd.malformed",
        "manifest member 8",
    ),
    "unknown command": (sharing(99, 0), {}, "boot", "upd.malformed", "a known command, got 99"),
    "a copy": (sharing(22, 2), {}, "boot", "upd.malformed", "a known command, got 22"),
    "a write": (sharing(18, 2), {}, "boot", "upd.malformed", "a known command, got 18"),
    "a command in text": (sharing("x", 2), {}, "boot", "upd.malformed", "a command number"),
    "half a command": (sharing(1), {}, "boot", "CodecError", "in pairs"),
    "unknown parameter": (sharing(p18=b""), {}, "boot", "upd.malformed", "a known parameter"),
    "parameter of another type": (sharing(p14="1"), {}, "boot", "upd.malformed", "another type"),
    "digest changed for install": (
        installing(20, {3: encode([SHA256, bytes(32)])}, 20, *FETCH),
        {},
        "install",
        "upd.malformed",
        "in the shared sequence only",
    ),
    "no digest": (sharing(p3=None), {}, "boot", "CodecError", "image digest"),
    "no size": (sharing(p14=None), {}, "boot", "upd.malformed", "image size"),
    "size 0": (sharing(p14=0), {}, "boot", "upd.malformed", "image size"),
    "size beyond the slot": (sharing(p14=400_000), {}, "boot", "upd.malformed", "image size"),
    "no security version": (sharing(m1=None), {}, "boot", "upd.malformed", "security version"),
    "negative security version": (sharing(m1=-1), {}, "boot", "upd.malformed", "security version"),
    "version not UTF-8": (sharing(p28=b"\xff"), {}, "boot", "upd.malformed", "UTF-8"),
    "version of 33 bytes": (sharing(p28=b"1" * 33), {}, "boot", "upd.malformed", "<= 32 bytes"),
    "other blocks": (sharing(m2=2048), {}, "install", "upd.malformed", "blocks of 4096"),
    "a hash short": (sharing(m3=bytes(16)), {}, "install", "upd.malformed", "2 block hashes"),
    "payload of another size": (
        installing(20, {21: "#image", -4: 4999}, 21, 2, 3, 15),
        {},
        "install",
        "upd.malformed",
        "payload of 5000",
    ),
    "component 1": (sharing(12, 1, *parameters()), {}, "boot", "upd.malformed", "index 0"),
    "component 0": (sharing(12, 0, *parameters()), {}, "boot", "", GOOD),
    "every component": (sharing(12, True, *parameters()), {}, "boot", "", GOOD),
    "nested too deep": (sharing(32, NESTED), {}, "boot", "LimitError", "depth"),
    "endless": (sharing(*[12, 0] * 80), {}, "boot", "LimitError", "commands"),
    "second try": (
        sharing(
            20,
            parameters()[1],
            15,
            [sequence(20, {5: 1}, 5, 5), sequence(20, {5: 0}, 5, 5)],
            1,
            15,
            2,
            15,
        ),
        {},
        "boot",
        "",
        GOOD,
    ),
    "no try left": (
        sharing(20, parameters()[1], 15, [sequence(20, {5: 1}, 5, 5)]),
        {},
        "boot",
        "upd.wrong_class",
        "slot 0",
    ),
    "may fail": (
        sharing(20, parameters()[1], 15, [sequence(20, {5: 1}, 5, 5), None], 1, 15, 2, 15),
        {},
        "boot",
        "",
        GOOD,
    ),
    "an unknown command is no soft failure": (
        sharing(20, parameters()[1], 15, [sequence(99, 0), None]),
        {},
        "boot",
        "upd.malformed",
        "a known command",
    ),
    "nothing to try": (sharing(15, []), {}, "boot", "upd.malformed", "branches"),
    "abort": (sharing(14, 15), {}, "boot", "upd.malformed", "a known command, got 14"),
}


def test_manifests_are_decided(device):
    cases = [[case[0].hex(), case[1], case[2]] for case in DECISIONS.values()]
    found = device(
        "device_suit", "decide_all", cases, kit.VENDOR.hex(), kit.CLASS.hex(), timeout=120
    )
    for name, case, (event, detail) in zip(DECISIONS, DECISIONS.values(), found, strict=True):
        assert (name, event, detail) == (name, case[3], detail)
        if case[3]:
            assert case[4] in detail, name
        else:
            assert detail == case[4], name


def test_the_hosts_constants_are_the_devices():
    assert suit.P_SECURITY_VERSION == -1
    assert suit.P_BLOCK_HASHES == -3
