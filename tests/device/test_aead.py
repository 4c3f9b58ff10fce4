"""crypto/aead: AES-CCM and AES-CTR, against RFC 3610, `cryptography` and tampering."""

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from uward import limits
from uward.crypto import aead
from uward.errors import BadMac, LimitError

MODULE = "uward.crypto.aead"
RFC3610_KEY = "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
RFC3610 = (  # section 8: nonce, aad, plaintext, ciphertext and tag
    (
        "00000003020100a0a1a2a3a4a5",
        bytes(range(8)).hex(),
        bytes(range(8, 31)).hex(),
        "588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0",
    ),
    (
        "00000004030201a0a1a2a3a4a5",
        bytes(range(8)).hex(),
        bytes(range(8, 32)).hex(),
        "72c91a36e135f8cf291ca894085c87e3cc15c439c9e43a3ba091d56e10400916",
    ),
    (
        "00000009080706a0a1a2a3a4a5",
        bytes(range(8)).hex(),
        bytes(range(8, 31)).hex(),
        "0135d1b2c95f41d5d1d4fec185d166b8094e999dfed96c048c56602c97acbb7490",
    ),
)


NIST_KEY = bytes(range(0x40, 0x50)).hex()
NIST = (  # SP 800-38C appendix C, examples 1 to 3; 4 has more associated data than is taken here
    (
        bytes(range(0x10, 0x17)).hex(),
        bytes(range(8)).hex(),
        bytes(range(0x20, 0x24)).hex(),
        "7162015b4dac255d",
    ),
    (
        bytes(range(0x10, 0x18)).hex(),
        bytes(range(16)).hex(),
        bytes(range(0x20, 0x30)).hex(),
        "d2a1f0e051ea5f62081a7792073d593d1fc64fbfaccd",
    ),
    (
        bytes(range(0x10, 0x1C)).hex(),
        bytes(range(20)).hex(),
        bytes(range(0x20, 0x38)).hex(),
        "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951",
    ),
)


def test_rfc_3610(device):
    check(device, RFC3610_KEY, RFC3610)


def test_sp_800_38c(device):
    check(device, NIST_KEY, NIST)


def check(device, key, vectors):
    """Each vector sealed and opened; its tag is what it is longer than the plaintext."""
    calls = []
    expected = []
    for nonce, aad, plain, sealed in vectors:
        tag = (len(sealed) - len(plain)) // 2
        head = ["hex:" + key, "hex:" + nonce]
        calls.append([MODULE, "seal", [*head, "hex:" + plain, "hex:" + aad, tag]])
        calls.append([MODULE, "open", [*head, "hex:" + sealed, "hex:" + aad, tag]])
        expected += [["ok", "hex:" + sealed], ["ok", "hex:" + plain]]
    assert device("device_call", "run", calls) == expected


@pytest.mark.parametrize("key_size", (16, 32))
@pytest.mark.parametrize("size", (0, 1, 15, 16, 17, 1023, 1024, 1025, 4096))
def test_agrees_with_cryptography(size, key_size):
    key, plain = bytes(range(key_size)), bytes(i & 255 for i in range(size))
    for nonce_size in range(7, 14):
        for tag in (4, 8, 16):
            for aad in (b"", b"a" * 14, b"b" * 15, b"c" * 300):
                nonce = bytes(range(nonce_size))
                sealed = AESCCM(key, tag).encrypt(nonce, plain, aad)
                assert aead.seal(key, nonce, plain, aad, tag) == sealed
                assert aead.open(key, nonce, sealed, aad, tag) == plain


def test_sizes_on_the_port(device):
    key, nonce = bytes(range(32)), bytes(range(13))
    calls = []
    expected = []
    for size in (0, 1, 16, 1024, 1040, 4097):
        plain = bytes(i * 7 & 255 for i in range(size))
        sealed = AESCCM(key, 16).encrypt(nonce, plain, b"aad")
        arguments = ["hex:" + part.hex() for part in (key, nonce, plain, b"aad")]
        calls.append([MODULE, "seal", arguments])
        expected.append(["ok", "hex:" + sealed.hex()])
    assert device("device_call", "run", calls) == expected


def test_every_bit_counts():
    key, nonce, aad = bytes(16), bytes(13), b"aad"
    sealed = aead.seal(key, nonce, b"plaintext", aad)
    for i in range(len(sealed) * 8):
        broken = bytearray(sealed)
        broken[i >> 3] ^= 1 << (i & 7)
        with pytest.raises(BadMac):
            aead.open(key, nonce, bytes(broken), aad)
    for change in (
        (b"\1" + key[1:], nonce, aad),
        (key, b"\1" + nonce[1:], aad),
        (key, nonce, b""),
    ):
        with pytest.raises(BadMac, match="matching tag of 16"):
            aead.open(change[0], change[1], sealed, change[2])


def test_refusals(device):
    key, nonce = "00" * 16, "00" * 13
    cases = (
        ("seal", "00" * 24, nonce, "", "", 16, "KeyRefused", "16 or 32 bytes, got 24"),
        ("seal", key, "00" * 6, "", "", 16, "KeyRefused", "7..13 bytes, got 6"),
        ("seal", key, "00" * 14, "", "", 16, "KeyRefused", "7..13 bytes, got 14"),
        ("seal", key, nonce, "", "", 2, "KeyRefused", "4, 6 .. 16 bytes, got 2"),
        ("seal", key, nonce, "", "", 5, "KeyRefused", "got 5"),
        ("seal", key, nonce, "", "00" * 4097, 16, "LimitError", "aad <= 4096, got 4097"),
        ("open", key, nonce, "00" * 15, "", 16, "BadMac", "at least a tag of 16 bytes, got 15"),
        ("open", key, nonce, "00" * 16, "", 16, "BadMac", "matching tag"),
    )
    calls = []
    for name, a, b, text, aad, tag, _, _ in cases:
        calls.append([MODULE, name, ["hex:" + a, "hex:" + b, "hex:" + text, "hex:" + aad, tag]])
    for (*_, error, part), outcome in zip(cases, device("device_call", "run", calls), strict=True):
        assert outcome[0] == error and part in outcome[1], outcome
    with pytest.raises(LimitError, match="65535 bytes, got 65536"):
        aead.seal(bytes(16), bytes(13), bytes(limits.AEAD_BYTES + 1))


def keystream(key, iv, size):
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update(bytes(size)).hex()


@pytest.mark.parametrize(
    "iv",
    (
        "00" * 16,
        "ff" * 16,
        "00" * 12 + "ffffffe0",
        "00" * 11 + "ffffffff" + "f0",
        "7f" + "ff" * 15,
    ),
)
def test_ctr_is_one_stream(device, iv):
    key = bytes(range(32))
    for chunks, batch in (([], 1024), ([16, 32, 2048, 1024], 1024), ([4096], 64)):
        made = device("device_aead", "stream", key.hex(), iv, 5001, chunks, batch)
        assert made == keystream(key, bytes.fromhex(iv), 5001)


def test_ctr_starts_at_a_block(device):
    key, iv = bytes(range(16)), "ff" * 15 + "fd"
    whole = keystream(key, bytes.fromhex(iv), 5000)
    assert device("device_aead", "from_block", key.hex(), iv, 256, 100) == whole[8192:8392]
    assert device("device_aead", "from_block", key.hex(), iv, 2, 100) == whole[64:264]


def test_ctr_refuses(device):
    outcome = device("device_aead", "after_partial", "00" * 16, "00" * 16)
    assert outcome == "aes-ctr: expected no data after a partial block, got more"
    calls = [[MODULE, "ctr", ["hex:" + "00" * 16, "hex:00", "hex:"]]]
    calls += [[MODULE, "ctr", ["hex:00", "hex:" + "00" * 16, "hex:"]]]
    outcomes = device("device_call", "run", calls)
    assert outcomes[0] == ["KeyRefused", "aes-ctr: expected an IV of 16 bytes, got 1"]
    assert outcomes[1] == ["KeyRefused", "aes: expected a key of 16 or 32 bytes, got 1"]
