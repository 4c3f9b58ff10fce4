"""crypto/hash and crypto/keywrap against the numbers printed in their RFCs."""

MODULE = "uward.crypto.hash"
WRAP = "uward.crypto.keywrap"

HMAC = (  # RFC 4231 4.2, 4.3, 4.4, 4.7: key, data, MAC
    (
        "0b" * 20,
        b"Hi There".hex(),
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
    (
        b"Jefe".hex(),
        b"what do ya want for nothing?".hex(),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    ("aa" * 20, "dd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (
        "aa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First".hex(),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
)
HKDF = (  # RFC 5869 A.1, A.2, A.3: ikm, salt, info, okm
    (
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        bytes(range(80)).hex(),
        bytes(range(0x60, 0xB0)).hex(),
        bytes(range(0xB0, 0x100)).hex(),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c6"
        "5e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ),
    (
        "0b" * 22,
        "",
        "",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
)
KEYWRAP = (  # RFC 3394 4.1, 4.3, 4.5, 4.6: KEK bytes, data, wrapped
    (
        16,
        "00112233445566778899aabbccddeeff",
        "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5",
    ),
    (
        32,
        "00112233445566778899aabbccddeeff",
        "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7",
    ),
    (
        32,
        "00112233445566778899aabbccddeeff0001020304050607",
        "a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1",
    ),
    (
        32,
        "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
        "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
    ),
)


def test_sha256(device):
    (outcome,) = device("device_call", "run", [[MODULE, "sha256", ["hex:616263"]]])
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2 B.1
    assert outcome == ["ok", "hex:" + known]


def test_hmac(device):
    calls = [[MODULE, "hmac", ["hex:" + key, "hex:" + data]] for key, data, _ in HMAC]
    outcomes = device("device_call", "run", calls)
    assert outcomes == [["ok", "hex:" + mac] for _, _, mac in HMAC]


def test_hkdf(device):
    calls = []
    for ikm, salt, info, okm in HKDF:
        arguments = ["hex:" + ikm, "hex:" + salt, "hex:" + info, len(okm) // 2]
        calls.append([MODULE, "hkdf", arguments])
    outcomes = device("device_call", "run", calls)
    assert outcomes == [["ok", "hex:" + okm] for _, _, _, okm in HKDF]


def test_hkdf_length_is_bounded(device):
    calls = [[MODULE, "hkdf", ["hex:00", "hex:", "hex:", n]] for n in (0, 8161, 8160)]
    outcomes = device("device_call", "run", calls)
    assert [outcome[0] for outcome in outcomes] == ["LimitError", "LimitError", "ok"]
    assert "expected 1..8160 bytes, got 8161" in outcomes[1][1]


def test_equal(device):
    pairs = (("", ""), ("00", "00"), ("00", "01"), ("0001", "00"), ("ff" * 32, "ff" * 31 + "fe"))
    calls = [[MODULE, "equal", ["hex:" + a, "hex:" + b]] for a, b in pairs]
    outcomes = device("device_call", "run", calls)
    assert [outcome[1] for outcome in outcomes] == [True, True, False, False, False]


def test_key_wrap(device):
    calls = []
    for size, data, wrapped in KEYWRAP:
        kek = "hex:" + bytes(range(size)).hex()
        calls.append([WRAP, "wrap", [kek, "hex:" + data]])
        calls.append([WRAP, "unwrap", [kek, "hex:" + wrapped]])
    outcomes = device("device_call", "run", calls)
    expected = []
    for _, data, wrapped in KEYWRAP:
        expected += [["ok", "hex:" + wrapped], ["ok", "hex:" + data]]
    assert outcomes == expected


def test_key_wrap_refuses(device):
    kek, wrapped = bytes(range(16)).hex(), KEYWRAP[0][2]
    cases = (
        ("wrap", "00" * 24, "00" * 16, "KeyRefused", "KEK of 16 or 32 bytes, got 24"),
        ("wrap", kek, "00" * 8, "KeyRefused", "16, 24 .. 512 bytes, got 8"),
        ("wrap", kek, "00" * 17, "KeyRefused", "got 17"),
        ("wrap", kek, "00" * 520, "KeyRefused", "got 520"),
        ("unwrap", kek, "", "KeyRefused", "got -8"),
        ("unwrap", kek, wrapped[:-2], "KeyRefused", "got 15"),
        ("unwrap", kek, wrapped[:-2] + "e4", "BadMac", "check value"),
        ("unwrap", "01" + kek[2:], wrapped, "BadMac", "check value"),
    )
    calls = [[WRAP, name, ["hex:" + a, "hex:" + b]] for name, a, b, _, _ in cases]
    outcomes = device("device_call", "run", calls)
    for (*_, error, part), outcome in zip(cases, outcomes, strict=True):
        assert outcome[0] == error and part in outcome[1], outcome
