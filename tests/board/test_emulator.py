"""The emulated Pico W is what the other tests take it for: stock firmware, a believable board."""

import asyncio
import errno
import math
import os
import re
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from host_tools.boards import catalogue
from host_tools.errors import DeviceError, Refused, UsageError
from host_tools.flash.console import Console, RemoteError
from host_tools.image import full, lfs
from host_tools.targets.emulator import core, fixes
from host_tools.targets.emulator.board import Board
from host_tools.targets.emulator.flash import MODES, Cut, PowerCut
from host_tools.targets.emulator.i2c import I2CBus
from host_tools.targets.emulator.max30102 import ADDRESS, Max30102
from host_tools.targets.emulator.net import Network, _local_bridge, answer_dns
from host_tools.targets.emulator.sweep import sweep

PICO_W = catalogue.load("rpi_pico_w")
UNKNOWN = bytes(12) + b"\x88\xb5" + bytes(50)  # an Ethernet frame that no stack takes (IEEE 802)
UID = b"\x01\x02\x03\x04\x05\x06\x07\x08"


def ask(board, expression):
    output, error = board.execute(f"import os, machine, time\nprint({expression})")
    assert not error, error
    return output.strip()


def test_stock_image_boots_and_runs_main(board):
    booted = board({"/main.py": b"print('main runs')"})
    booted.send(b"\r")
    assert booted.run(b">>> ", wall_s=30)
    assert b"main runs" in booted.output
    assert b"MicroPython v1.27.0 on 2025-12-09; Raspberry Pi Pico W" in booted.output
    assert booted.seconds < 0.1


def test_entropy_differs_between_boots(board):
    assert ask(board(), "os.urandom(16)") != ask(board(), "os.urandom(16)")


def test_entropy_is_equal_with_the_same_seed(board):
    drawn = [ask(board(seed=seed), "os.urandom(16)") for seed in (7, 7, 8)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_unique_id(board):
    assert ask(board(uid=UID), "machine.unique_id()") == repr(UID)


def test_unique_id_of_wrong_length_is_refused(board):
    with pytest.raises(ValueError, match="unique id has 3 bytes, expected 8"):
        board(uid=b"abc")


def test_flash_larger_than_the_chip_is_refused():
    with pytest.raises(Refused, match="has 2097152"):
        Board(bytes(2 << 20) + b"x")


COMES_AND_GOES = b"""
import machine, micropython, sys
micropython.kbd_intr(-1)
usb = machine.USBDevice()
strap = machine.Pin(22, machine.Pin.IN, machine.Pin.PULL_UP)
while True:
    usb.active(False)
    while strap():
        machine.idle()
    usb.builtin_driver = usb.BUILTIN_CDC
    usb.active(True)
    while not strap():
        print('got', sys.stdin.buffer.read(1))
"""


def test_the_host_sees_usb_go_and_come_back(board):
    """What a board does that hides its console again: it lets go of the pull-up."""
    booted = board({"/boot.py": COMES_AND_GOES})
    for turn in (1, 2, 3):
        booted.run(emulated_s=0.5)
        assert (booted.connected, booted.connections) == (False, turn - 1)
        booted.mcu.gpio[22].set_input_value(False)
        assert booted.run(lambda b: b.connected, emulated_s=2)
        booted.mcu.gpio[22].set_input_value(True)
        booted.send(b"\x03")
        assert booted.run(
            lambda b, turn=turn: b.output.count(b"got b'\\x03'") == turn, emulated_s=2
        )


def test_watchdog_reset_reboots_once(board):
    main = b"import machine, time\nprint('up')\nmachine.WDT(timeout=500)\ntime.sleep(0.9)"
    booted = board({"/main.py": main})
    booted.send(b"\r")
    assert booted.run(lambda b: len(b.resets) == 1, wall_s=30)
    seconds, reason = booted.resets[0]
    assert reason == "watchdog"
    assert 0.5 <= seconds < 0.6
    assert booted.run(lambda b: len(b.resets) == 2, wall_s=30)  # main.py armed it again
    assert booted.resets[1][0] - seconds == pytest.approx(0.5, abs=0.1)


def test_a_watchdog_that_fired_is_disarmed(board):
    boot = b"import machine\nif machine.reset_cause() == 1: machine.WDT(timeout=300)\n"
    booted = board({"/boot.py": boot, "/main.py": b"while True: pass"})
    booted.run(emulated_s=1.5, wall_s=60)
    assert [reason for _, reason in booted.resets] == ["watchdog"]


def test_machine_reset_and_reset_button(board):
    booted = board()
    booted.send(b"\rimport machine\rmachine.reset()\r")
    assert booted.run(lambda b: b.resets, wall_s=30)
    assert booted.resets[0][1] == "software"
    booted.send(b"\r")
    assert booted.run(lambda b: b.connections == 2, wall_s=30)
    booted.reset()
    assert booted.resets[1][1] == "run-pin"
    assert ask(booted, "1 + 1") == "2"


def test_flash_busy_time_advances_the_clock(board):
    code = (
        "import time\nt = time.ticks_us()\n"
        "with open('/x', 'wb') as f: f.write(b'1' * 3000)\n"
        "print(time.ticks_diff(time.ticks_us(), t))"
    )
    elapsed = {}
    for busy in (True, False):
        booted = board(busy_flash=busy)
        output, error = booted.execute(code)
        assert not error
        elapsed[busy] = int(output)
        erases, programs = sum(booted.flash.erases.values()), booted.flash.programs
        assert erases == 2
        assert booted.flash.operations == erases + programs
    expected = 45_000 * erases + 400 * programs
    assert elapsed[True] - elapsed[False] == pytest.approx(expected, rel=0.05)


def test_uart_sends(board):
    booted = board()
    heard = bytearray()
    booted.mcu.uart[0].on_byte = heard.append
    ask(booted, "machine.UART(0, 115200, tx=machine.Pin(0), rx=machine.Pin(1)).write(b'hello')")
    booted.run(emulated_s=0.01)
    assert heard == b"hello"


def test_usb_stays_quiet(board, monkeypatch):
    """As shipped, the emulator's USB host interrupts the program all the time."""
    code = (
        "import time\nn = 0\nt = time.ticks_us()\n"
        "while time.ticks_diff(time.ticks_us(), t) < 100_000: n += 1\nprint(n)"
    )
    quiet = int(board().execute(code)[0])
    monkeypatch.setattr(fixes, "quiet_usb", lambda cdc: None)
    noisy = int(board().execute(code)[0])
    assert quiet > 1.5 * noisy


@pytest.mark.parametrize("mode", MODES)
def test_power_cut_leaves_what_its_mode_says(board, mode):
    booted = board()
    ask(booted, "0")
    before = booted.flash_bytes()
    booted.flash.cut = Cut(booted.flash.operations + 1, mode, seed=5)
    with pytest.raises(PowerCut, match=f"power cut {mode}"):
        booted.execute("open('/x', 'wb').write(b'1' * 3000)")
    changed = sum(a != b for a, b in zip(before, booted.flash_bytes(), strict=True))
    assert (changed == 0) == (mode == "before")


def test_unknown_cut_mode_is_refused():
    with pytest.raises(ValueError, match="cut mode 'soft', expected one of before, half"):
        Cut(1, "soft")


COUNTER = """
from struct import pack, unpack
def read():
    try:
        with open('/n', 'rb') as f: data = f.read()
    except OSError: return 0
    n, check = unpack('<II', data)
    if n ^ check != 0xffffffff: raise ValueError('torn')
    return n
def write(n):
    %s
n = read()
print('FOUND', n)
while n < 6:
    n += 1
    write(n)
    print('ACK', n)
print('END')
"""
CAREFUL = """with open('/n.new', 'wb') as f: f.write(pack('<II', n, n ^ 0xffffffff))
    os.rename('/n.new', '/n')"""
CARELESS = """os.remove('/n') if n > 1 else None
    with open('/n', 'wb') as f: f.write(pack('<II', n, n ^ 0xffffffff))"""


def old_or_new(flash, output):
    """Boot what is left: the last acknowledged count, or the one after it."""
    acknowledged = [int(n) for n in re.findall(rb"ACK (\d+)\r", output)]
    last = acknowledged[-1] if acknowledged else 0
    board = Board(flash)
    board.send(b"\r")
    board.run(lambda b: b"FOUND" in b.output or b"Error" in b.output, emulated_s=5)
    board.run(b">>> ", emulated_s=5)
    found = re.search(rb"FOUND (\d+)\r", board.output)
    if found is None:
        return f"did not boot after {last}: {bytes(board.output[-120:])!r}"
    got = int(found.group(1))
    return "" if got in (last, last + 1) else f"found {got} after {last}"


def counting_board(board, write):
    return board({"/main.py": ("import os\n" + COUNTER % write).encode()})


@pytest.mark.timeout(1500)
def test_cut_sweep_passes_a_careful_program(board):
    result = sweep(counting_board(board, CAREFUL), b"END", old_or_new)
    assert result.failures == []
    assert result.cuts == 4 * result.operations > 40


@pytest.mark.timeout(1500)
def test_cut_sweep_catches_a_careless_program(board):
    result = sweep(counting_board(board, CARELESS), b"END", old_or_new, modes=("before",))
    assert result.failures
    complaints = [complaint for _, complaint in result.failures]
    assert any(re.match(r"found 0 after [1-9]", complaint) for complaint in complaints), complaints


SENSOR_SETUP = """
import machine, time
i = machine.I2C(0, sda=machine.Pin(4), scl=machine.Pin(5), freq=400000)
def w(r, v): i.writeto_mem(0x57, r, bytes([v]))
def r(r, n): return i.readfrom_mem(0x57, r, n)
def begin():
    w(0x09, 0x40); w(0x08, 0x10); w(0x0c, 0x24); w(0x0d, 0x24); w(0x0a, 0x27)
    for p in (4, 5, 6): w(p, 0)
    w(0x09, 0x03)
"""


def sensor_board(board, hz=100):
    sensor = Max30102([math.sin(2 * math.pi * n / 80) for n in range(800)], hz)
    return sensor, board(devices=[I2CBus({ADDRESS: sensor})])


def test_max30102_is_drained_by_stock_i2c(board):
    sensor, booted = sensor_board(board)
    code = SENSOR_SETUP + (
        "assert i.scan() == [0x57] and r(0xff, 1) == b'\\x15'\n"
        "begin()\nd = b''\n"
        "t = time.ticks_ms()\n"
        "while time.ticks_diff(time.ticks_ms(), t) < 1000:\n"
        " a, o, b = r(4, 3)\n"
        " if a != b: d += r(7, 6 * ((a - b) & 31))\n"
        " time.sleep_ms(50)\n"
        "print(d.hex())\n"
    )
    output, error = booted.execute(code)
    assert not error, error
    data = bytes.fromhex(output.strip())
    samples = [int.from_bytes(data[at + 3 : at + 6], "big") for at in range(0, len(data), 6)]
    assert 95 <= len(samples) <= 100
    assert sensor.lost == 0
    assert sensor.fetched == len(samples)
    middle = 0x24 * 3000
    assert max(samples) - min(samples) == pytest.approx(0.02 * middle, rel=0.05)  # the pulse
    assert sum(samples) / len(samples) == pytest.approx(middle, rel=0.01)


def test_max30102_counts_overflow(board):
    sensor, booted = sensor_board(board)
    code = SENSOR_SETUP + "begin()\ntime.sleep_ms(500)\nprint(r(4, 3))"
    output, error = booted.execute(code)
    assert not error, error
    written, overflow, read = eval(output)
    assert overflow == sensor.lost == sensor.produced - 32
    assert 15 <= overflow <= 20
    assert written == read  # full, and the oldest were overwritten


def test_max30102_burst_takes_bus_time(board):
    _, booted = sensor_board(board)
    code = SENSOR_SETUP + (
        "begin()\ntime.sleep_ms(200)\nt = time.ticks_us()\nr(7, 60)\n"
        "print(time.ticks_diff(time.ticks_us(), t))"
    )
    output, _ = booted.execute(code)
    assert 63 * 22.5 <= int(output) < 63 * 22.5 + 400  # nine bits a byte at 400 kHz


def test_soft_i2c_and_absent_devices(board):
    _, booted = sensor_board(board)
    code = SENSOR_SETUP + (
        "s = machine.SoftI2C(sda=machine.Pin(4), scl=machine.Pin(5))\n"
        "print(s.scan(), s.readfrom_mem(0x57, 0xff, 1))\n"
        "i = machine.I2C(0, sda=machine.Pin(4), scl=machine.Pin(5), freq=400000)\n"
        "for f in (lambda: i.readfrom(0x33, 1), lambda: i.writeto(0x33, b'123')):\n"
        " try: f()\n"
        " except OSError as e: print(e.errno)\n"
    )
    output, error = booted.execute(code)
    assert not error, error
    assert output.split("\r\n")[:3] == ["[87] b'\\x15'", "5", "5"]


JOIN = """
import network, socket, time
w = network.WLAN(network.STA_IF)
w.active(True)
w.connect('ward', 'password')
while not w.isconnected(): time.sleep_ms(10)
"""


SCANS_AT_EACH_BOOT = b"""
import machine, network
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
print('FOUND', len(wlan.scan()))
if machine.reset_cause() == machine.PWRON_RESET:
    machine.reset()
"""


def test_wifi_starts_at_once_after_a_reset(stock):
    board = Board(stock({"/main.py": SCANS_AT_EACH_BOOT}), network=Network(), seed=1)
    assert asyncio.run(board.arun(lambda b: b.output.count(b"FOUND 1") == 2))
    assert len(board.resets) == 1
    assert b"Failed to start" not in board.output


def test_wifi_reaches_127_0_0_1_only(stock):
    async def run():
        async def echo(reader, writer):
            writer.write(b"echo " + await reader.read(100))
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        network = Network(ports={8883: port}, refuse={99}, names={"broker.example"})
        board = Board(stock({}), network=network, pace=1.0)
        code = JOIN + (
            "a = socket.getaddrinfo('broker.example', 8883)[0][-1]\n"
            "s = socket.socket(); s.connect(a); s.send(b'hi'); print(s.recv(99)); s.close()\n"
            "for b in (lambda: socket.getaddrinfo('other.example', 1),\n"
            "          lambda: socket.socket().connect(('8.8.8.8', 99))):\n"
            " try: b()\n"
            " except OSError as e: print(e.errno)\n"
        )
        answer = await board.aexecute(code, wall_s=120)
        server.close()
        return answer, network.log

    (output, error), log = asyncio.run(run())
    assert not error, error
    assert output.split("\r\n")[:3] == ["b'echo hi'", "-2", "104"]
    assert log == [("192.0.2.1", 8883), ("8.8.8.8", 99)]


def test_a_guest_that_received_256_frames_more_than_it_sent_still_sends(stock):
    """The chip grants what may be sent by a number of 8 bits: it must not run round."""

    async def run():
        network = Network(names=set())
        board = Board(stock({}), network=network, pace=1.0)
        bus = network.bus
        sent, send = [], bus._write_wlan
        bus._write_wlan = lambda data: (sent.append(data[4]), send(data))
        _, error = await board.aexecute(JOIN, wall_s=120)
        assert not error, error
        for _ in range(256):
            bus.queue_rx_ethernet_frame(UNKNOWN)
            granted = [bus._rx_packet, *bus._rx_queue][-1][9]
            stuck = granted == (sent[-1] + 1) % 256
            if stuck:
                break
        answer = await board.aexecute(
            "try: socket.getaddrinfo('other.example', 1)\nexcept OSError as e: print(e.errno)\n",
            wall_s=120,
        )
        return answer, stuck

    (output, error), stuck = asyncio.run(run())
    assert not error, error
    assert output.split() == ["-2"]  # and no word of a stalled driver
    assert not stuck


def test_dns_answers_known_names_only():
    query = bytes.fromhex("abcd01000001000000000000") + b"\x01a\x01b\0\0\x01\0\x01"
    assert answer_dns(query, {"a.b"})[-4:] == bytes([192, 0, 2, 1])
    refused = answer_dns(query, {"c.d"})
    assert refused[3] & 15 == 3  # RFC 1035 4.1.1: name error
    assert refused[:2] == query[:2]
    assert len(refused) == len(query)


def test_console_through_mpremote(picow):
    target = picow({"/main.py": b"import time\nwhile True: time.sleep_ms(5)"})
    target.start()
    data = bytes(range(256)) * 9
    with Console(target.console()) as console:
        assert console.exec("print(6 * 7)").strip() == "42"
        assert console.eval_hex("b'\\x00\\xff'") == b"\x00\xff"
        console.put("/a/b/c.bin", data)
        assert console.get("/a/b/c.bin") == data
        with pytest.raises(RemoteError, match="ZeroDivisionError: divide by zero"):
            console.exec("1/0")
        with pytest.raises(DeviceError, match="cannot read /nope on the board"):
            console.get("/nope")
        with pytest.raises(DeviceError, match="did not answer"):
            console.exec("import time\ntime.sleep(9)", timeout_s=0.3)
    target.power_cut()
    files = lfs.read(target.board, lfs.area(target.board, target.flash_dump()))
    assert files["/a/b/c.bin"] == data
    assert "/a/b/c.bin.new" not in files


def test_picow_lives_through_cut_reset_and_reattachment(picow, tmp_path):
    target = picow({"/main.py": b"import os\nprint('COUNT', os.listdir('/'))"})
    lines = []
    target.on_line = lines.append
    target.start()
    with pytest.raises(UsageError, match="is on"):
        target.flash(full.build(target.board, {}))
    with Console(target.console()) as console:
        target.cut_at(2, "half")
        with pytest.raises(DeviceError):
            console.exec("open('/x', 'wb').write(b'1' * 5000)", timeout_s=2)
    assert target.status()["on"] is False
    assert target.status()["cuts"] == 1
    target.start()
    with Console(target.console()) as console:
        assert "main.py" in console.exec("import os\nprint(os.listdir('/'))")
    target.reset()
    assert target.status()["resets"][0][1] == "run-pin"
    with pytest.raises(DeviceError, match="refuses cut_at: ValueError: cut mode 'soft'"):
        target.cut_at(1, "soft")

    from host_tools.targets.picow import PicoW

    other = PicoW(target.folder)
    assert other.status()["on"] is True
    assert other.console() == target.console()
    assert any("MicroPython v1.27.0" in line for line in lines)


def test_board_ends_with_its_owner_and_keeps_its_flash(stock, tmp_path):
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from host_tools.flash.console import Console\n"
        "from host_tools.targets.picow import PicoW\n"
        "board = PicoW(Path(sys.argv[1]))\n"
        "board.start()\n"
        "with Console(board.console()) as console: console.put('/kept', b'kept')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    folder = tmp_path / "board"
    folder.mkdir()
    (folder / "flash.bin").write_bytes(stock({}))
    subprocess.run([sys.executable, "-c", code, str(folder)], timeout=120)
    deadline = time.monotonic() + 20
    while (folder / "state.json").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    flash = (folder / "flash.bin").read_bytes()
    assert lfs.read(PICO_W, lfs.area(PICO_W, flash)) == {"/kept": b"kept"}
    assert not (folder / "state.json").exists()


def test_stop_and_start_again(picow):
    target = picow()
    for _ in range(2):
        target.start()
        with Console(target.console()) as console:
            assert console.exec("print(6 * 7)").strip() == "42"
        target.stop()
    assert not (target.folder / "state.json").exists()


def test_pace_is_changed_while_the_board_runs(picow):
    """An idle board that runs free is hours ahead soon; back at 1 it keeps to the wall clock."""
    target = picow({"/main.py": b"import time\nwhile True: time.sleep_ms(500)"})
    target.start()
    time.sleep(1)
    target.pace(0)
    time.sleep(1)
    assert target.status()["seconds"] > 60
    target.pace(1)
    since, began = target.status()["seconds"], time.monotonic()
    time.sleep(2)
    passed = target.status()["seconds"] - since
    assert passed <= (time.monotonic() - began) * 2 + 0.1
    assert target.status()["on"]
    with pytest.raises(DeviceError, match="expected 0 or more"):
        target.pace(-1)


def test_control_channel_wants_its_token(picow):
    import json
    import socket

    target = picow()
    target.status()
    state = json.loads((target.folder / "state.json").read_text())
    assert (target.folder / "state.json").stat().st_mode & 0o077 == 0
    with socket.create_connection(("127.0.0.1", state["control"]), 60) as sock:
        sock.sendall(b'{"op": "leave", "token": "guess"}\nnot json\n')
        lines = sock.makefile()  # one: it reads ahead
        answers = lines.readline(), lines.readline()
    assert json.loads(answers[0]) == {"error": "wrong token"}
    assert target.status()["on"] is False


def test_never_flashed_is_said(tmp_path):
    from host_tools.targets.picow import PicoW

    with pytest.raises(UsageError, match="was never flashed"):
        PicoW(tmp_path / "nothing").start()


def test_without_a_compiler_the_shipped_core_runs(stock, tmp_path):
    """In a process of its own: a core is chosen once."""
    (tmp_path / "flash").write_bytes(stock({}))
    code = (
        "import sys\n"
        "from host_tools.targets.emulator import board\n"
        "b = board.Board(open(sys.argv[1], 'rb').read())\n"
        "print(board.CORE, b.execute('print(6 * 7)'), board.set_xip_miss(60))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "flash")],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": "/nonexistent", "UWARD_CACHE": str(tmp_path / "cache")},
    )
    assert "slow core that rp2040py ships: there is no C compiler" in done.stdout, done.stderr
    assert "('42\\r\\n', '') False" in done.stdout


def heard(lines, text):
    """Wait for what the program says: Ctrl-C of a console that opens earlier would end it."""
    deadline = time.monotonic() + 60
    while not any(text in line for line in lines):
        assert time.monotonic() < deadline, lines
        time.sleep(0.05)


def test_unix_board_boots_from_its_file(unix_board):
    main = b"import os, sys\nprint('UP', os.listdir('/'), sys.path)"
    target = unix_board({"/main.py": main, "/lib/m.py": b"x = 5"})
    lines = []
    target.on_line = lines.append
    target.start()
    heard(lines, "UP ['lib', 'main.py'] ['', '.frozen', '/lib']")
    with Console(target.console()) as console:
        assert console.exec("import m\nprint(m.x)").strip() == "5"
        console.put("/kept.bin", b"kept" * 300)
    target.power_cut()
    files = lfs.read(target.board, target.flash_dump())
    assert files["/kept.bin"] == b"kept" * 300
    target.start()
    with Console(target.console()) as console:
        assert console.get("/kept.bin") == b"kept" * 300


def test_unix_board_restarts_when_its_program_leaves(unix_board):
    main = (
        b"import os, sys\n"
        b"n = int(open('/n').read()) if 'n' in os.listdir('/') else 0\n"
        b"print('BOOT', n)\n"
        b"if n < 2:\n"
        b" with open('/n', 'w') as f: f.write(str(n + 1))\n"
        b" sys.exit(75)\n"
    )
    target = unix_board({"/main.py": main})
    lines = []
    target.on_line = lines.append
    target.start()
    heard(lines, "BOOT 2")
    with Console(target.console()) as console:
        assert console.exec("print(open('/n').read())").strip() == "2"
    assert [line for line in lines if "BOOT" in line] == ["BOOT 0", "BOOT 1", "BOOT 2"]
    assert target.restarts == 2


def test_unix_board_refuses_a_wrong_image(unix_board):
    target = unix_board()
    with pytest.raises(Refused, match="image is 3 bytes, expected 868352"):
        target.flash(b"abc")
    target.start()
    with pytest.raises(UsageError, match="the board is on"):
        target.flash(bytes(868352))


def test_same_file_system_on_both():
    """One image fits both targets: same paths, same parameters."""
    files = {"/slot/a.img": b"image" * 1000, "/boot.rec": b"r" * 150}
    images = [lfs.build(board, files) for board in (catalogue.load("unix"), PICO_W)]
    assert images[0] == images[1]


def test_a_guest_that_closes_after_its_peer_has_reset(stock):
    """The host's socket is gone before the guest's FIN: the flow ends, the emulation goes on."""
    core.activate()
    from rp2040py.external.cyw43 import nat, net

    class Gone:
        closed = False

        def can_write_eof(self):
            return True

        def write_eof(self):
            raise OSError(errno.ENOTCONN, "not connected")

        def close(self):
            self.closed = True

    frames = []
    bus = SimpleNamespace(queue_rx_ethernet_frame=frames.append)
    bridge = _local_bridge(Network(), None, bus)
    key = nat.TcpFlowKey(50000, b"\x7f\0\0\1", 8883)
    flow = nat.TcpFlow(key, bytes(6), bytes(4), 1, 2, 4096, 1460)
    flow.state, flow.writer, flow.host_fin_sent = nat._FlowState.ESTABLISHED, Gone(), True
    flow.unacked = bytearray()
    bridge._tcp._flows[key] = flow
    fin = net.TcpSegment(50000, 8883, 2, 1, net.TCP_FIN | net.TCP_ACK, 4096, None, b"")
    bridge._tcp._on_guest_segment(flow, fin)
    assert flow.writer.closed and key not in bridge._tcp._flows and len(frames) == 1
