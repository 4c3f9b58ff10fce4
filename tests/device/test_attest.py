"""Attestation (SPEC 13): the device's token on three runtimes, judged by the host's own code."""

import hashlib
import uuid
from dataclasses import replace

import pytest
from uward.boot import record as boot_record
from uward.codec import cbor
from uward.crypto import p256
from uward.vault import keys, sealed

from host_tools.errors import Refused
from host_tools.fleet import attest
from host_tools.fleet.attest import Before, References
from host_tools.fleet.inventory import Device
from host_tools.signing import cose
from host_tools.signing.keys import Esp256Key
from tests.device import boot_kit as kit

ROOT = bytes(range(32))
PRIVATE = bytes(range(1, 33))
NONCE = bytes(range(32, 64))
UNIQUE = bytes(8)  # what the Unix port and CPython call themselves in tests
IMAGE = hashlib.sha256(b"image").digest()
MANIFEST = hashlib.sha256(b"manifest").digest()
DOCUMENT = hashlib.sha256(b"document").digest()
INFO = {
    "board": "unix", "version": "1.2.3", "sequence": 7, "security": 2, "slot": "b",
    "trial": False, "state": 2, "manifest": MANIFEST.hex(), "vendor": kit.VENDOR.hex(),
    "class": kit.CLASS.hex(),
}  # fmt: skip
LIVE = {"uptime": 61, "console": 1}
PUBLIC = p256.public_key(PRIVATE)
RECORD = Device(kit.DEVICE, "unix", UNIQUE.hex(), PUBLIC.hex(), PUBLIC.hex(), "01", 1)
ABSENT = dict.fromkeys(attest.STAGE0, "")  # no stage 0 lies at / of the host that tests
KNOWN = References(
    kit.VENDOR, kit.CLASS, (ABSENT,), {MANIFEST: IMAGE}, frozenset([IMAGE]), {3: DOCUMENT}
)


@pytest.fixture
def root(tmp_path):
    """The board's files: slot b runs, under trust document 3."""
    folder = tmp_path / "flash"
    for name in ("id", "rec", "slot", "trust"):
        (folder / name).mkdir(parents=True)
    (folder / "id/root").write_bytes(ROOT)
    own = {1: kit.DEVICE, 2: PRIVATE, 3: PRIVATE, 4: b"", 5: PUBLIC}
    sealed.write(ROOT, "/id/dev", cbor.encode(own), str(folder))
    made = boot_record.Record(boot_record.LOCKED, 3, DOCUMENT)
    made.generation, made.floor = 9, 2
    made.slots[1] = (MANIFEST, IMAGE[:16], 3, *boot_record.EMPTY[3:])
    for copy in (0, 1):
        data = boot_record.pack(made, keys.record_key(ROOT))
        (folder / f"rec/{copy}").write_bytes(data)
    return folder


def test_a_token_says_what_runs_and_verifies(device, root):
    token = bytes.fromhex(device("device_attest", "token", str(root), NONCE.hex(), INFO, LIVE))
    assert len(token) < attest.TOKEN_BYTES
    found = attest.verify(token, RECORD, NONCE)
    assert (found.board, found.version, found.slot) == ("unix", "1.2.3", "b")
    assert (found.state, found.console, found.uptime) == (2, 1, 61)
    assert (found.sequence, found.security_version, found.floor) == (7, 2, 2)
    assert (found.trust_version, found.generation, found.key_source) == (3, 9, "flash")
    assert found.ueid == b"\1" + uuid.uuid5(uuid.UUID(bytes=kit.CLASS), kit.DEVICE).bytes
    assert found.measured[7] == IMAGE[:16] and found.measured[8] == DOCUMENT
    assert attest.judge(found, RECORD, KNOWN, Before(2, 9)).status == attest.TRUSTED


@pytest.mark.parametrize("challenge", [[0] * 7, [0] * 65, "text", 7, [[0] * 16]])
def test_a_challenge_that_is_no_nonce_is_refused(device, challenge):
    if challenge == [[0] * 16]:
        challenge = {"nonce": 1}
    said = device("device_attest", "asked", challenge)
    assert (
        said == "ProtocolError proto.malformed: att: expected a nonce of 8..64 bytes, got another"
    )


def test_a_challenge_heard_before_is_not_answered(device):
    assert device("device_attest", "asked", None) == []


# the host's side: claims as a device could tell them, signed with its key


def signer():
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.derive_private_key(int.from_bytes(PRIVATE, "big"), ec.SECP256R1())
    return Esp256Key(private, cose.ec2_key(private.public_key()))


def claims(**own):
    measured = dict.fromkeys(range(1, 6), b"") | {6: MANIFEST, 7: IMAGE[:16], 8: DOCUMENT}
    told = dict(zip(range(1, 14), (
        "unix", UNIQUE, 2, "b", False, 7, 2, 2, 3, 9, "flash", 1, "MicroPython",
    ), strict=True))  # fmt: skip
    told.update({int(key[1:]): value for key, value in own.items()})
    ueid = b"\1" + uuid.uuid5(uuid.UUID(bytes=kit.CLASS), kit.DEVICE).bytes
    return {
        6: 1, 10: NONCE, 256: ueid, 258: kit.VENDOR, 259: kit.CLASS, 261: 5, 262: True, 263: 0,
        265: attest.PROFILE, 271: ["1.2.3"], 273: [[60, cose.encode(measured)]], -70000: told,
    }  # fmt: skip


def signed(value, domain=b"uward.att.v1"):
    payload = cose.encode(value)
    protected = cose.protected_header(cose.ESP256)
    signature = signer().sign(cose.sig_structure1(protected, payload, domain))
    from cbor2 import CBORTag

    return cose.encode(CBORTag(18, [protected, {}, payload, signature]))


def judged(value, known=KNOWN, before=None):
    evidence = attest.verify(signed(value), RECORD, NONCE)
    return attest.judge(evidence, RECORD, known, before or Before())


def test_the_claims_above_are_trusted():
    assert judged(claims()).status == attest.TRUSTED


def test_no_byte_of_a_token_can_be_changed():
    token = signed(claims())
    for at in range(len(token)):
        for bit in (1, 0x80):
            changed = bytearray(token)
            changed[at] ^= bit
            with pytest.raises(Refused):
                attest.verify(bytes(changed), RECORD, NONCE)
    for size in range(len(token)):
        with pytest.raises(Refused):
            attest.verify(token[:size], RECORD, NONCE)


@pytest.mark.parametrize(
    ("token", "says"),
    [
        (lambda: signed({**claims(), 10: bytes(32)}), "the nonce is another"),
        (lambda: signed(claims(), b"uward.enrol.v1"), "does not verify"),
        (lambda: signed({**claims(), 265: "urn:uuid:0"}), "expected profile"),
        (lambda: signed({k: v for k, v in claims().items() if k != 263}), "expected the claims"),
        (lambda: signed({**claims(), 99: 1}), "expected the claims"),
        (lambda: signed(claims(_3="2")), "state is of the wrong type"),
        (lambda: signed(claims(_4="c")), "expected a slot a, b or r"),
        (lambda: signed(claims(_12=3)), "a console 0..2"),
        (lambda: signed({**claims(), 273: [[0, b""]]}), "expected measurements in CBOR"),
        (lambda: signed({**claims(), 273: [[60, cose.encode({6: MANIFEST})]]}), "1 to 8"),
        (lambda: b"\0" * 3000, "expected at most 2048 bytes"),
    ],
)
def test_a_token_of_another_form_is_refused(token, says):
    with pytest.raises(Refused, match=says):
        attest.verify(token(), RECORD, NONCE)


@pytest.mark.parametrize(
    ("told", "status", "says"),
    [
        ({"_2": b"other"}, "CLONED", "speak from board 6f74686572"),
        ({"_1": "esp32"}, "UNKNOWN", "board is 'esp32', expected 'unix'"),
        ({"_7": 1}, "UNKNOWN", "security version 1 is below the floor 2"),
        ({"_9": 4}, "UNKNOWN", "trust document 4 is none of this fleet"),
        ({"_3": 1, "_12": 0}, "DEVELOPMENT", "open REPL"),
        ({"_12": 0}, "DEVELOPMENT", "open REPL"),
        ({"_8": 1}, "UNKNOWN", "security floor fell from 2 to 1"),
        ({"_10": 8}, "UNKNOWN", "boot record fell from generation 9 to 8"),
        ({"_12": 2}, "TRUSTED", ""),
    ],
)
def test_what_a_device_tells_is_compared(told, status, says):
    verdict = judged(claims(**told), before=Before(2, 9))
    assert verdict.status == status
    assert says in "; ".join(verdict.reasons)


@pytest.mark.parametrize(
    ("known", "says"),
    [
        ({"images": {}}, "was not signed by this fleet"),
        ({"built": frozenset()}, "has no reference values here"),
        ({"images": {MANIFEST: DOCUMENT}, "built": frozenset([DOCUMENT])}, "another image than"),
        ({"stage0": ()}, "no build of this fleet has reference values"),
        ({"stage0": ({**ABSENT, "boot.py": "00"},)}, "stage 0 is of no build .* boot.py differ"),
        ({"trust": {3: MANIFEST}}, "trust document 3 has another digest"),
        ({"vendor": bytes(16)}, "vendor id is"),
        ({"model": bytes(16)}, "UEID is"),
    ],
)
def test_what_this_fleet_never_made_is_unknown(known, says):
    verdict = judged(claims(), replace(KNOWN, **known))
    assert verdict.status == attest.UNKNOWN
    (reason,) = verdict.reasons
    import re

    assert re.search(says, reason)


def test_another_devices_key_does_not_attest():
    other = replace(RECORD, identity_public_key=p256.public_key(bytes(range(2, 34))).hex())
    with pytest.raises(Refused, match="does not verify"):
        attest.verify(signed(claims()), other, NONCE)
