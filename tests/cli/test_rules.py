"""The command line's own rules: who talks, how fast help is, how it ends."""

import ast
import json
import os
import pty
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools import cli, ui
from host_tools.errors import DeviceError, Refused, UsageError

HOST_TOOLS = Path(cli.__file__).parent
TALKERS = {
    "ui.py",
    "cli.py",  # flushes, and closes stdout for a reader that left
    "targets/emulator/run.py",  # the emulated board's own process
    "targets/unix_boot.py",  # runs on the board
}
HEAVY = {"cryptography", "amqtt", "aiomqtt", "rp2040py", "littlefs", "cbor2", "requests", "rich"}
STREAMS = {"sys.stdout", "sys.stderr", "sys.stdin"}
END_S = 30


def uses_terminal(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("print", "input"):
                yield node.lineno
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in STREAMS:
            yield node.lineno


def test_only_one_file_talks_to_the_terminal():
    found = [
        f"{path.relative_to(HOST_TOOLS)}:{line}"
        for path in sorted(HOST_TOOLS.rglob("*.py"))
        if path.relative_to(HOST_TOOLS).as_posix() not in TALKERS
        for line in uses_terminal(ast.parse(path.read_text("utf-8")))
    ]
    assert found == []


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from host_tools import cli; cli.get_command(cli._app()); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == set()


def test_every_verb_has_help_with_an_example_and_json():
    for name, verb in cli.VERBS.items():
        assert verb.__doc__, name
        first = verb.__doc__.splitlines()[0]
        assert first.endswith(".") and len(first) < 90, name
        if name != "demo":
            example = verb.__doc__.partition("Example: ")[2]
            assert "uward " + name in example, name


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Refused("no"), 1, "uward: error: no\n"),
        (UsageError("what?", "so"), 2, "uward: error: what?\nuward: hint: so\n"),
        (DeviceError("gone"), 3, "uward: error: gone\n"),
        (KeyboardInterrupt(), 130, "uward: error: interrupted\n"),
        (
            ZeroDivisionError("x"),
            1,
            "uward: error: internal: ZeroDivisionError: x\nuward: hint: UWARD_DEBUG=1",
        ),
        (OSError(28, "No space left on device", "/x/y"), 1, "/x/y: no space left on device\n"),
    ],
)
def test_how_each_end_is_said(error, code, said, monkeypatch, capsys):
    def verb():
        raise error

    monkeypatch.setitem(cli.VERBS, "boards", verb)
    monkeypatch.delenv("UWARD_DEBUG", raising=False)
    assert cli.run(["boards"]) == code
    out, err = capsys.readouterr()
    assert out == "" and said in err and "Traceback" not in err
    monkeypatch.setenv("UWARD_DEBUG", "1")
    assert cli.run(["boards"]) == code
    if code == ui.EXIT_INTERRUPTED:
        return  # there is nothing to trace
    assert "Traceback" in capsys.readouterr().err


def test_version(capsys):
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.count(".") == 2


def test_text_and_json_of_the_same_result(capsys, monkeypatch):
    monkeypatch.setattr(ui, "json_mode", False)
    ui.result({"some_key": True, "raw": b"\x01", "none": None, "list": ["a", "b"]})
    assert capsys.readouterr().out == "some key  yes\nraw       01\nnone      -\nlist      a, b\n"
    ui.table([], ("a",), "nothing here")
    assert capsys.readouterr() == ("", "uward: nothing here\n")
    monkeypatch.setattr(ui, "json_mode", True)
    ui.result({"some_key": True, "raw": b"\x01"}, "text")
    assert json.loads(capsys.readouterr().out) == {"some_key": True, "raw": "01"}
    ui.table([], ("a",), "nothing here")
    assert capsys.readouterr() == ("[]\n", "")


def test_progress_is_drawn_on_a_terminal_only(tmp_path):
    code = (
        "from host_tools import ui\n"
        "with ui.progress('making keys') as advance:\n advance(1, 2)\n"
        "ui.result({}, 'done')\n"
    )
    quiet = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert (quiet.stdout, quiet.stderr) == ("done\n", "")
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm"}
    loud = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=slave, env=env, check=True
    )
    os.close(slave)
    assert loud.stdout == b"done\n" and b"making keys" in os.read(master, 1 << 16)
    os.close(master)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet") / "f"
    arguments = ["init", str(folder), "--vendor", "example.org", "--lms-height", "10"]
    assert cli.run(arguments) == 0
    return folder


def serve(fleet, *arguments):
    command = [sys.executable, "-m", "host_tools.cli", "serve", "--fleet", str(fleet), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_serve_ends_in_words_when_it_is_told_to(fleet, sent, code):
    process = serve(fleet, "--port", "0")
    try:
        assert "serving on 127.0.0.1:" in process.stderr.readline()
        process.send_signal(sent)
        _, err = process.communicate(timeout=END_S)
    finally:
        process.kill()
    assert process.returncode == code
    assert err == ("uward: error: interrupted\n" if code else "")


def test_a_port_that_is_taken_is_a_device_error(fleet):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = serve(fleet, "--port", str(taken.getsockname()[1]))
        _, err = process.communicate(timeout=END_S)
    assert process.returncode == 3
    assert "the broker cannot listen on 127.0.0.1:" in err and "uward: hint:" in err


def test_mosquitto_that_is_absent_is_named(fleet, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("host_tools.fleet.mosquitto.PLACES", "")
    assert cli.run(["serve", "--fleet", str(fleet), "--broker", "mosquitto", "--port", "0"]) == 2


def test_a_full_disk_leaves_no_half_fleet(tmp_path, monkeypatch, capsys):
    from host_tools.pki import files

    real, count = files.write, 0

    def fails_late(path, data, **options):
        nonlocal count
        count += 1
        if count == 20:
            raise OSError(28, "No space left on device", str(path))
        real(path, data, **options)

    monkeypatch.setattr(files, "write", fails_late)
    folder = tmp_path / "f"
    assert cli.run(["init", str(folder), "--vendor", "example.org", "--lms-height", "10"]) == 1
    assert "no space left on device" in capsys.readouterr().err
    assert not folder.exists()


def test_a_passphrase_locks_every_key_but_the_services(tmp_path, monkeypatch, capsys):
    folder, secret = tmp_path / "f", tmp_path / "passphrase"
    secret.write_text("correct horse\n")
    arguments = ["init", str(folder), "--vendor", "example.org", "--board", "unix"]
    assert cli.run([*arguments, "--lms-height", "10", "--passphrase-file", str(secret)]) == 0
    for name in ("approver", "admin"):
        assert b"ENCRYPTED" in (folder / "keys" / name).read_bytes()
    for name in ("time", "collector"):
        assert b"ENCRYPTED" not in (folder / "keys" / name).read_bytes()
    monkeypatch.chdir(folder)
    assert cli.run(["build"]) == 0
    assert cli.run(["sign"]) == 1
    assert "is protected by a passphrase" in capsys.readouterr().err
    monkeypatch.setenv("UWARD_PASSPHRASE", "wrong")
    assert cli.run(["sign"]) == 1
    monkeypatch.setenv("UWARD_PASSPHRASE", "correct horse")
    assert cli.run(["sign"]) == 0
