"""Wycheproof on CPython, the Unix port and the Unix port without native code: every verdict."""

import pytest

COUNTS = {  # function: file, accepted, refused; 192-bit AES keys are refused, valid or not
    "ccm": ("aes_ccm_test.json", 270, 282),
    "wrap": ("aes_wrap_test.json", 24, 141),
    "hmac": ("hmac_sha256_test.json", 66, 108),
    "hkdf": ("hkdf_sha256_test.json", 83, 3),
    "ecdsa": ("ecdsa_secp256r1_sha256_p1363_test.json", 173, 89),
    "ecdsa_far": ("ecdsa_secp256r1_sha256_p1363_test.json", 173, 89),
}


@pytest.mark.parametrize("function", COUNTS)
def test_every_verdict(device, vectors, function):
    name, accepted, refused = COUNTS[function]
    result = device("device_wycheproof", function, str(vectors / "wycheproof" / name))
    assert result["wrong"] == []
    assert (result["accepted"], result["refused"]) == (accepted, refused)
    known = {"BadMac", "BadSignature", "KeyRefused", "LimitError"}
    assert set(result["classes"]) <= known
