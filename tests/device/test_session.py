"""Sealed messages against a derivation of our own (SPEC 8, RFC 9052, RFC 5869, S12)."""

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

DEVICE = "dev0123456789abcdef"
SECRET = bytes(range(32))
BOOT = bytes(range(64, 80))
STREAM = bytes(range(16))
GEN1 = b"\xa1" * 16
GEN2 = b"\xb2" * 16
PROTECTED = cbor2.dumps({1: 30})


def keys(context, direction, purpose, secret=SECRET):
    info = f"uward.v1 {direction} {purpose}".encode()
    okm = HKDF(hashes.SHA256(), 29, context, info).derive(secret)
    return okm[:16], okm[16:]


def frame(context, partial, direction, purpose, device=DEVICE):
    """-> (key, nonce, associated data) of one message."""
    key, iv = keys(context, direction, purpose)
    nonce = (int.from_bytes(iv, "big") ^ int.from_bytes(partial, "big")).to_bytes(13, "big")
    external = cbor2.dumps(["uward.v1", device, direction, purpose])
    return key, nonce, cbor2.dumps(["Encrypt0", PROTECTED, external])


def unseal(data, purpose):
    """Open what the device sealed -> (plaintext, partial IV)."""
    tag = cbor2.loads(data)
    protected, unprotected, ciphertext = tag.value
    assert tag.tag == 16 and protected == PROTECTED and set(unprotected) == {6, 10}
    assert unprotected[10] == BOOT
    key, nonce, aad = frame(BOOT, unprotected[6], "up", purpose)
    return AESCCM(key).decrypt(nonce, ciphertext, aad), unprotected[6]


def down(purpose, value, number=0, generation=GEN1, boot=BOOT, device=DEVICE):
    """What the collector would send, as hex."""
    context = boot + generation
    partial = number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")
    key, nonce, aad = frame(context, partial, "down", purpose, device)
    sealed = AESCCM(key).encrypt(nonce, cbor2.dumps(value), aad)
    return cbor2.dumps(cbor2.CBORTag(16, [PROTECTED, {6: partial, 10: context}, sealed])).hex()


def ack(sequence, number=0, generation=GEN1, stream=STREAM, inner=None):
    return down("ack", [inner or generation, stream, sequence], number, generation)


def run(device, steps, **more):
    arguments = [SECRET.hex(), BOOT.hex(), STREAM.hex(), steps, *more.values()]
    return device("device_session", "session", *arguments)


def test_sealed_messages_open_with_an_independent_derivation(device):
    texts = [("tele", b"one"), ("event", b"two"), ("tele", b""), ("ota", b"x" * 300)]
    sealed = device(
        "device_session",
        "seals",
        SECRET.hex(),
        BOOT.hex(),
        [[purpose, text.hex()] for purpose, text in texts],
    )
    for number, ((purpose, text), data) in enumerate(zip(texts, sealed, strict=True)):
        assert unseal(bytes.fromhex(data), purpose) == (text, bytes([number]))


def test_partial_iv_is_minimal_and_never_repeats(device):
    sealed = device("device_session", "seals", SECRET.hex(), BOOT.hex(), [["tele", "00"]] * 258)
    partials = [unseal(bytes.fromhex(data), "tele")[1] for data in sealed]
    assert partials[255:] == [b"\xff", b"\x01\x00", b"\x01\x01"]
    assert len(set(partials)) == 258


def test_a_failed_attempt_uses_its_partial_iv_up(device):
    messages = [["tele", "00"], ["tele", 65_536], ["tele", "00"]]
    first, failed, last = device("device_session", "seals", SECRET.hex(), BOOT.hex(), messages)
    assert failed.startswith("LimitError: aead: expected <= 65535 bytes")
    assert unseal(bytes.fromhex(first), "tele")[1] == b"\x00"
    assert unseal(bytes.fromhex(last), "tele")[1] == b"\x02"


def test_what_is_gathered_seals_with_the_next_partial_iv(device):
    messages = [["tele", "01"], ["gather", ""], ["tele", "02"]]
    sealed = device("device_session", "seals", SECRET.hex(), BOOT.hex(), messages)
    opened = [unseal(bytes.fromhex(data), "tele") for data in sealed]
    assert opened == [(b"\x01", b"\x00"), (b"\x02", b"\x01")]


def test_what_is_gathered_knows_what_it_has_seen(device):
    messages = [
        ["ack", down("ack", "old", 0, GEN1)],
        ["ack", down("ack", "a", 1, GEN2)],
        ["gather", ""],
        ["ack", down("ack", "a", 1, GEN2)],
        ["ack", down("ack", "b", 2, GEN2)],
        ["ack", down("ack", "late", 9, GEN1)],
    ]
    out = device("device_session", "opens", SECRET.hex(), BOOT.hex(), messages)
    assert [got is None for got in out[:4]] == [False, False, True, False]
    assert out[4].startswith("ProtocolError: session: expected the current generation")


def test_down_messages_open(device):
    value = [7, b"kek", "text"]
    messages = [["share", down("share", value)]]
    out = device("device_session", "opens", SECRET.hex(), BOOT.hex(), messages)
    assert out == [cbor2.dumps(value).hex()]


def flipped(data, index):
    raw = bytearray.fromhex(data)
    raw[index] ^= 1
    return raw.hex()


@pytest.mark.parametrize(
    ("purpose", "data", "refusal"),
    [
        ("ack", down("share", 1), "BadMac"),  # another purpose
        ("ack", down("ack", 1, boot=b"\0" * 16), "ProtocolError: session: expected this boot"),
        ("ack", down("ack", 1, device="dev0123456789abcdee"), "BadMac"),
        ("ack", down("ack", 1, generation=GEN1[1:]), "ProtocolError: session: expected this boot"),
        ("ack", down("ack", 1, generation=GEN1 * 2), "ProtocolError: session: expected this boot"),
        ("ack", flipped(down("ack", 1), -1), "BadMac"),
        ("ack", "d08340a040", "CodecError: session: expected an Encrypt0"),  # no headers at all
        ("ack", "00", "CodecError: session: expected tag"),
        ("ack", "", "CodecError"),
        ("ack", down("ack", 1, number=1 << 40), "CodecError: session: expected a partial IV"),
    ],
)
def test_foreign_down_messages_are_refused(device, purpose, data, refusal):
    (got,) = device("device_session", "opens", SECRET.hex(), BOOT.hex(), [[purpose, data]])
    assert got.startswith(refusal)


def test_every_flipped_byte_of_a_down_message_is_refused(device):
    data = down("ack", [1, 2], number=3)
    messages = [["ack", flipped(data, i)] for i in range(len(data) // 2)]
    out = device("device_session", "opens", SECRET.hex(), BOOT.hex(), messages)
    kinds = {got.split(":")[0] for got in out}
    assert kinds <= {"BadMac", "CodecError", "LimitError", "ProtocolError", "KeyRefused"}


def test_a_replayed_down_message_is_opened_once(device):
    messages = [
        ["ack", down("ack", "a", 1)],
        ["ack", down("ack", "a", 1)],
        ["ack", down("ack", "old", 0)],
        ["share", down("share", "own counter", 0)],
        ["ack", down("ack", "b", 2)],
    ]
    out = device("device_session", "opens", SECRET.hex(), BOOT.hex(), messages)
    assert [got is None for got in out] == [False, True, True, False, False]


def test_a_generation_that_was_replaced_stays_out(device):
    messages = [
        ["ack", down("ack", "a", 5, GEN1)],
        ["ack", down("ack", "b", 0, GEN2)],
        ["ack", down("ack", "c", 6, GEN1)],
    ]
    out = device("device_session", "opens", SECRET.hex(), BOOT.hex(), messages)
    assert out[1] == cbor2.dumps("b").hex()
    assert out[2].startswith("ProtocolError: session: expected the current generation")


def test_generations_are_bounded(device):
    messages = [["ack", down("ack", 0, 0, bytes([i]) * 16)] for i in range(10)]
    out = device("device_session", "opens", SECRET.hex(), BOOT.hex(), messages)
    assert out[:9] == ["00"] * 9
    assert out[9] == "ProtocolError: session: expected <= 8 generations"


def test_a_forged_generation_does_not_retire_the_true_one(device):
    forged = flipped(down("ack", "x", 0, GEN2), -1)
    messages = [["ack", down("ack", 1, 0)], ["ack", forged], ["ack", down("ack", 2, 1)]]
    out = device("device_session", "opens", SECRET.hex(), BOOT.hex(), messages)
    assert out[0] == "01" and out[1].startswith("BadMac") and out[2] == "02"


def test_keys_of_the_wrong_size_are_refused(device):
    for secret, context in ((SECRET[1:], BOOT), (SECRET, BOOT[1:])):
        got = device("device_session", "new_sealer", secret.hex(), context.hex())
        assert got.startswith("KeyRefused: session: expected a secret of 32")


def packs(count):
    return [["append", "tele", i, bytes([0x18, 0x20 + i]).hex()] for i in range(count)]


def opened(sent):
    """[purpose, hex] -> [stream, sequence, body]."""
    return cbor2.loads(unseal(bytes.fromhex(sent[1]), sent[0])[0])


def test_packs_are_numbered_from_one_and_sealed_once(device):
    steps = [*packs(3), ["next"], ["next"], ["restart"], ["next"], ["next"], ["next"], ["next"]]
    out = run(device, steps)[3:]
    assert [opened(s) for s in out[:2]] == [[STREAM, 1, 0x20], [STREAM, 2, 0x21]]
    assert out[2] is None  # restart
    assert out[3:5] == out[0:2]  # the same bytes
    assert opened(out[5]) == [STREAM, 3, 0x22]
    assert out[6] is None


def test_acknowledged_packs_are_not_sent_again(device):
    steps = [*packs(3), ["next"], ["next"], ["ack", ack(1)], ["restart"], ["next"], ["state"]]
    out = run(device, steps)
    assert out[5] == 1
    assert opened(out[7])[1] == 2
    assert out[8][:3] == [2, 1, 2]


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (ack(3), "ProtocolError: ack: expected <= 2, got 3"),
        (ack(1, stream=b"\0" * 16), "ProtocolError: ack: expected this stream"),
        (ack(1, inner=GEN2), "ProtocolError: ack: expected [generation"),
        (ack(-1), "ProtocolError: ack: expected a sequence number"),
        (ack(True), "ProtocolError: ack: expected a sequence number"),
        (ack("1"), "ProtocolError: ack: expected a sequence number"),
        (down("ack", [GEN1, STREAM]), "ProtocolError: ack: expected [generation"),
        (down("ack", {}), "ProtocolError: ack: expected [generation"),
    ],
)
def test_wrong_acknowledgements_are_refused_and_change_nothing(device, data, refusal):
    out = run(device, [*packs(3), ["next"], ["next"], ["ack", data], ["state"]])
    assert out[5].startswith(refusal)
    assert out[6][:3] == [2, 0, 3]


def test_the_window_is_bounded(device):
    out = run(device, [*packs(10), *[["next"]] * 9, ["ack", ack(2)], *[["next"]] * 3])
    sent = out[10:19]
    assert [s is None for s in sent] == [False] * 8 + [True]
    assert [opened(s)[1] for s in out[20:22]] == [9, 10]


def test_a_restored_collector_gets_packs_again(device):
    steps = [*packs(3), ["next"], ["next"], ["next"], ["ack", ack(3)], ["next"]]
    steps += [["ack", ack(1, generation=GEN2)], ["next"], ["next"], ["next"], ["state"]]
    out = run(device, steps)
    assert out[7] is None
    assert out[8] == 1
    assert out[9:11] == out[4:6]  # sequences 2 and 3, the same bytes
    assert out[11] is None
    assert out[12][:3] == [3, 1, 2]  # and they wait again: nothing may take their space


def test_messages_without_acknowledgement_have_sequence_zero(device):
    (data,) = run(device, [["once", "att", {"1": 2}]])
    assert cbor2.loads(unseal(bytes.fromhex(data), "att")[0]) == [STREAM, 0, {"1": 2}]


def test_bodies_are_finished_when_they_are_first_sent(device):
    out = run(device, [*packs(2), ["next"], ["restart"], ["next"], ["state"]])
    assert out[5][4] == [0]
