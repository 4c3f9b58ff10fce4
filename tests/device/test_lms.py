"""crypto/lms: HSS/LMS verification, every SHA-256 parameter set, both verdicts."""

import pyhsslms
import pytest
from uward.crypto import lms
from uward.errors import BadSignature, KeyRefused


@pytest.fixture(scope="module")
def signed():
    """One signature of two levels (M32 H5 W8 over M32 H5 W8) by an independent implementation."""
    private = pyhsslms.HssPrivateKey(
        levels=2, lms_type=pyhsslms.lms_sha256_m32_h5, lmots_type=pyhsslms.lmots_sha256_n32_w8
    )
    return private.publicKey().serialize(), b"message", private.sign(b"message")


def test_reference_cases(device, vectors):
    result = device("device_lms", "verify_all", str(vectors / "lms/lms_hss_sha256.json"))
    assert result == {"valid": 43, "invalid": 124, "wrong": []}


def test_parameter_tables():
    ots = [lms._ots(code, KeyRefused) for code in range(1, 9)]
    assert ots[:4] == [(32, 1, 265, 7), (32, 2, 133, 6), (32, 4, 67, 4), (32, 8, 34, 0)]
    assert ots[4:] == [(24, 1, 200, 8), (24, 2, 101, 6), (24, 4, 51, 4), (24, 8, 26, 0)]
    trees = [lms._lms(code, KeyRefused) for code in range(5, 15)]
    assert trees == [(m, h) for m in (32, 24) for h in (5, 10, 15, 20, 25)]


def test_rfc_8554_appendix_f(device):
    from rfc8554_f import MESSAGE, PUBLIC_KEY, SIGNATURE

    case = ["hex:" + PUBLIC_KEY, "hex:" + MESSAGE.hex(), "hex:" + SIGNATURE]
    other = [case[0], "hex:" + MESSAGE[1:].hex(), case[2]]
    calls = [["uward.crypto.lms", "verify", each] for each in (case, other)]
    good, bad = device("device_call", "run", calls)
    assert good == ["ok", None]
    assert bad == ["BadSignature", "lms: expected the root of the key, got another"]


def test_two_levels(signed):
    lms.verify(*signed)


@pytest.mark.parametrize("where", range(0, 2600, 97))
def test_every_part_of_a_signature_counts(signed, where):
    public, message, signature = signed
    where %= len(signature)
    broken = bytearray(signature)
    broken[where] ^= 1
    with pytest.raises(BadSignature):
        lms.verify(public, message, bytes(broken))


def test_refusals(signed):
    public, message, signature = signed

    def patched(data, o, value):
        return data[:o] + value.to_bytes(4, "big") + data[o + 4 :]

    for key, error, part in (
        (b"", KeyRefused, "got 0 bytes"),
        (patched(public, 0, 0), KeyRefused, "1..8 levels, got 0"),
        (patched(public, 0, 9), KeyRefused, "1..8 levels, got 9"),
        (patched(public, 4, 15), KeyRefused, "LMS type 5..14, got 15"),
        (patched(public, 8, 9), KeyRefused, "LM-OTS type 1..8, got 9"),
        (patched(public, 8, 5), KeyRefused, "one hash"),
        (public[:-1], KeyRefused, "as long as its type"),
        (public + b"\0", KeyRefused, "as long as its type"),
        (patched(public, 0, 1), BadSignature, "1 levels, got 2"),
    ):
        with pytest.raises(error, match=part):
            lms.verify(key, message, signature)
    for broken, part in (
        (b"", "expected 4 bytes, got 0"),
        (signature[:100], "expected"),
        (signature[:-1], "got %d" % (1292 - 1)),
        (signature + b"\0", "got %d" % (1292 + 1)),
        (patched(signature, 4, 32), "leaf below 32, got 32"),
        (patched(signature, 8, 3), "types of the key"),
        (patched(signature, 0, 0), "2 levels, got 1"),
    ):
        with pytest.raises(BadSignature, match=part):
            lms.verify(public, message, broken)
    with pytest.raises(BadSignature, match="root of the key"):
        lms.verify(public, message + b"x", signature)
