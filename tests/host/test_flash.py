"""Flashing: ESP32 through esptool against a mock boot loader, RP2040 through its drive."""

import os
import pty
import shutil
import socket
import threading
import tty

import pytest

from host_tools.boards import catalogue
from host_tools.errors import DeviceError, Refused, UsageError
from host_tools.flash import console, esp, uf2
from host_tools.image import full
from host_tools.image import uf2 as image_uf2
from host_tools.targets import open_target
from host_tools.targets.hub import ConsoleHub, Lines
from host_tools.targets.serial import Serial

BOARD = catalogue.load("esp32")
INFO = "UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n"


def esp_image(firmware=b"\xe9" + b"firmware" * 1000, filesystem=b"fs" * 5000):
    flash = BOARD.flash
    middle = flash.fs_offset - flash.firmware_offset
    return firmware.ljust(middle, b"\xff") + filesystem.ljust(flash.fs_size, b"\xff")


def test_split_keeps_the_whole_file_system():
    (at, firmware), (fs_at, filesystem) = esp.split(BOARD, esp_image())
    assert (at, fs_at) == (0x1000, 0x200000)
    assert len(firmware) == 8192
    assert firmware.startswith(b"\xe9firmware")
    assert len(filesystem) == BOARD.flash.fs_size


def test_split_keeps_one_sector_of_blank_firmware():
    assert esp.split(BOARD, esp_image(firmware=b""))[0] == (0x1000, b"\xff" * 4096)


def test_split_refusals():
    with pytest.raises(Refused, match="image is 3 bytes, expected 4190208 for esp32"):
        esp.split(BOARD, b"abc")
    with pytest.raises(UsageError, match="rpi_pico_w is not flashed with esptool"):
        esp.split(catalogue.load("rpi_pico_w"), b"")


def test_absent_port_is_said():
    with pytest.raises(DeviceError, match=r"esptool write-flash failed: .*ttyNOPE") as refused:
        esp.write(BOARD, esp_image(), "/dev/ttyNOPE")
    assert "--port" in refused.value.hint


@pytest.mark.timeout(1500)
def test_esp32_is_written_and_verified():
    from esp32_mock_bootloader import mock_bootloader

    with mock_bootloader("esp32") as mock:
        esp.write(BOARD, esp_image(), mock.url())
        esp.verify(BOARD, esp_image(), mock.url())
        with pytest.raises(DeviceError, match="esptool verify-flash failed"):
            esp.verify(BOARD, esp_image(filesystem=b"other"), mock.url())


def drive(tmp_path, info=INFO):
    path = tmp_path / "RPI-RP2"
    path.mkdir()
    (path / "INFO_UF2.TXT").write_text(info)
    return path


IMAGE = image_uf2.encode({0: bytes(256)})


def test_uf2_goes_to_a_bootsel_drive(tmp_path):
    path = drive(tmp_path)
    uf2.write(IMAGE, path)
    assert (path / "uward.uf2").read_bytes() == IMAGE


def test_uf2_goes_nowhere_else(tmp_path):
    with pytest.raises(Refused, match="is not an RPI-RP2 drive") as refused:
        uf2.write(IMAGE, tmp_path)
    assert "BOOTSEL" in refused.value.hint
    with pytest.raises(Refused, match="is not an RPI-RP2 drive"):
        uf2.write(IMAGE, drive(tmp_path, "Board-ID: OTHER"))


def test_damaged_uf2_never_reaches_the_drive(tmp_path):
    path = drive(tmp_path)
    with pytest.raises(Refused, match="wrong magic"):
        uf2.write(b"x" * 512, path)
    assert [entry.name for entry in path.iterdir()] == ["INFO_UF2.TXT"]


def test_full_drive_is_said(tmp_path, monkeypatch):
    path = drive(tmp_path)
    usage = shutil.disk_usage(path)._replace(free=100)
    monkeypatch.setattr(uf2.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(Refused, match="has room for 100 bytes, the image has 512"):
        uf2.write(IMAGE, path)


def test_drive_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(uf2, "_places", lambda: [tmp_path])
    with pytest.raises(DeviceError, match="no RPI-RP2 drive is mounted"):
        uf2.find()
    path = drive(tmp_path)
    monkeypatch.setattr(uf2, "_places", lambda: [tmp_path, path])
    assert uf2.find() == path
    monkeypatch.setattr(uf2, "_places", lambda: [path, path])
    with pytest.raises(DeviceError, match="several RPI-RP2 drives"):
        uf2.find()


@pytest.mark.parametrize(
    ("port", "message"),
    [
        ("/dev/ttyNOPE", "there is no such port"),
        ("socket://127.0.0.1:9", "Connection refused"),
        ("bogus://x", "not known"),
    ],
)
def test_console_port_that_does_not_open(port, message):
    with pytest.raises(DeviceError, match=message):
        console.Console(port)


def test_console_busy_port():
    import serial

    ours, theirs = pty.openpty()
    path = os.ttyname(theirs)
    busy = pytest.raises(DeviceError, match="it is busy")
    with serial.Serial(path, exclusive=True), busy as refused:
        console.Console(path)
    assert "close the program" in refused.value.hint
    os.close(ours)
    os.close(theirs)


def test_console_of_a_silent_board():
    hub = ConsoleHub(lambda data: None)
    with pytest.raises(DeviceError, match="no REPL after 1 s") as refused:
        console.Console(hub.url, timeout_s=1)
    hub.close()
    assert "locked" in refused.value.hint


def test_console_that_goes_away():
    hub = ConsoleHub(lambda data: hub.publish(b"raw REPL; CTRL-B to exit\r\n>"))
    opened = console.Console(hub.url)
    closer = threading.Timer(0.2, hub.close)
    closer.start()
    with pytest.raises(DeviceError, match=r"connection lost|did not answer"):
        opened.exec("print(1)", timeout_s=3)
    closer.join()
    opened.close()


def test_console_on_a_pty(tmp_path):
    """The Unix port behind a pseudo-terminal: what a serial port is to mpremote."""
    target = open_target("unix", tmp_path)
    target.flash(full.build(target.board, {}))
    target.start()
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    hub = socket.create_connection(("127.0.0.1", int(target.console().rpartition(":")[2])))
    for source, sink in ((ours, hub.fileno()), (hub.fileno(), ours)):
        threading.Thread(target=carry, args=(source, sink), daemon=True).start()
    try:
        with console.Console(os.ttyname(theirs)) as opened:
            assert opened.exec("print(6 * 7)").strip() == "42"
            opened.put("/x", b"data")
            assert opened.get("/x") == b"data"
    finally:
        target.stop()
    hub.close()


def carry(source, sink):
    """Bytes from one file to another, until one of them ends."""
    try:
        while data := os.read(source, 4096):
            os.write(sink, data)
    except OSError:
        return


def test_lines_are_whole_and_bounded():
    got = []
    lines = Lines(got.append)
    for part in (b"one\r\ntw", b"o\n", b"x" * 5000):
        lines.feed(part)
    assert got == ["one", "two", "x" * 5000]


def test_hub_serves_several_and_drops_the_gone():
    typed = bytearray()
    hub = ConsoleHub(typed.extend)
    first, second = (socket.create_connection(("127.0.0.1", hub.port), 5) for _ in range(2))
    first.sendall(b"a")
    second.sendall(b"b")
    deadline = threading.Event()
    for _ in range(100):
        if sorted(typed) == [97, 98]:
            break
        deadline.wait(0.02)
    hub.publish(b"out")
    assert first.recv(9) == second.recv(9) == b"out"
    first.close()
    hub.publish(b"more")
    hub.publish(b"more")
    assert second.recv(4) == b"more"
    hub.close()


def test_targets_are_opened_by_name(tmp_path):
    assert open_target("unix", tmp_path).board.name == "unix"
    assert open_target("picow", tmp_path).board.name == "rpi_pico_w"
    assert open_target("serial", tmp_path, board="esp32", port="/dev/x").console() == "/dev/x"
    with pytest.raises(UsageError, match="needs --port"):
        open_target("serial", tmp_path)
    with pytest.raises(UsageError, match="no target 'cloud'"):
        open_target("cloud", tmp_path)


def test_serial_target_refusals(tmp_path):
    with pytest.raises(UsageError, match="unix has no serial port"):
        Serial(catalogue.load("unix"), "/dev/x")
    target = Serial(BOARD, "/dev/ttyNOPE")
    with pytest.raises(DeviceError, match="cannot open /dev/ttyNOPE"):
        target.start()
    with pytest.raises(DeviceError, match="there is no such port"):
        target.reset()
    for refuse in (target.power_cut, target.flash_dump):
        with pytest.raises(UsageError):
            refuse()


def test_serial_target_hears_lines():
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    heard = threading.Event()
    target = Serial(BOARD, os.ttyname(theirs))
    target.on_line = lambda line: heard.set() if line == "hello" else None
    target.start()
    os.write(ours, b"hello\r\n")
    assert heard.wait(120)
    target.stop()
    os.close(ours)
    os.close(theirs)
