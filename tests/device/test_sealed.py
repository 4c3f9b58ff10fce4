"""Board-tier keys and sealed files (SPEC 6, S9): by an independent derivation, each refusal."""

import errno

from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ROOT = bytes(range(32))


def hkdf(salt, info):
    return HKDF(SHA256(), 32, salt or None, info).derive(ROOT)


def test_keys_are_those_of_the_spec(device):
    record, file = device("device_sealed", "derived")
    assert record == hkdf(b"", b"uward board record").hex()
    assert file == hkdf(bytes(16), b"uward board file /id/dev").hex()


def test_a_sealed_file_opens_by_the_spec_and_never_repeats(device, tmp_path):
    (tmp_path / "id").mkdir()
    secret = b"identity key".hex()
    (first, second), back = device("device_sealed", "cycle", str(tmp_path), "/id/dev", secret)
    assert back == secret
    for text in (first, second):
        data = bytes.fromhex(text)
        assert data[0] == 1
        key = hkdf(data[1:17], b"uward board file /id/dev")
        plaintext = AESCCM(key, tag_length=16).decrypt(bytes(13), data[17:], b"/id/dev")
        assert plaintext == b"identity key"
    assert first[2:34] != second[2:34]
    assert first[34:] != second[34:]
    assert not (tmp_path / "id/dev.tmp").exists()


def test_what_was_not_sealed_here_is_refused(device, tmp_path):
    (tmp_path / "id").mkdir()
    device("device_sealed", "cycle", str(tmp_path), "/id/dev", "00" * 40)
    file = tmp_path / "id/dev"
    good = file.read_bytes()
    (tmp_path / "id/net").write_bytes(good)

    def read(path="/id/dev", **options):
        return device("device_sealed", "read", str(tmp_path), path, *options.values())

    assert read() == "00" * 40
    assert read("/id/net")[0] == "BadMac"  # moved to another path
    assert read(root="ff" * 32)[0] == "BadMac"
    for i in (1, 16, 17, len(good) - 1):
        file.write_bytes(good[:i] + bytes([good[i] ^ 1]) + good[i + 1 :])
        assert read()[0] == "BadMac", i
    for data in (b"", good[:32], good[:-1], b"\x02" + good[1:], good + b"\0"):
        file.write_bytes(data)
        assert read()[0] == "BadMac", len(data)
    error, message = device("device_sealed", "too_long", str(tmp_path))
    assert (error, message) == ("LimitError", "sealed: expected <= 4096 bytes, got 4097")


def test_a_board_is_enrolled_by_its_root_secret(device, tmp_path):
    assert device("device_sealed", "root", str(tmp_path)) == [False, None]
    (tmp_path / "id").mkdir()
    assert device("device_sealed", "root", str(tmp_path)) == [False, None]
    (tmp_path / "id/root.new").write_bytes(ROOT)
    assert device("device_sealed", "root", str(tmp_path)) == [False, None]
    (tmp_path / "id/root").write_bytes(ROOT)
    assert device("device_sealed", "root", str(tmp_path)) == [True, ROOT.hex()]
    # an error that is not "there is none" must never look like a board of the factory: it is open
    assert device("device_sealed", "root", str(tmp_path / "id/root")) == ["OSError", errno.ENOTDIR]
    for size in (0, 31, 33, 100):
        (tmp_path / "id/root").write_bytes(bytes(size))
        assert "expected 32 bytes" in device("device_sealed", "root", str(tmp_path))[1]
