"""The vault by itself: installed with mip from `vault.json`, used as `docs/VAULT.md` shows it."""

import http.server
import json
import re
import subprocess
import sys
import threading
from functools import partial

import cbor2
import pytest

from host_tools.flash.console import Console
from host_tools.image import full, sources
from host_tools.targets import open_target
from host_tools.vault import audit, journal
from tests.conftest import FIRMWARE, MICROPYTHON, ROOT, run_unix

PACKAGE = FIRMWARE / "vault.json"
ROOTS = ("audit", "keys", "queue", "store")
KEY = bytes(range(32))
GIVEN = """
import sys
key = bytes(range(32))
uptime_ms = 1234
sent = []
def encrypt(sequence, body):
    return b"sealed " + body
send = sent.append
wrap = bytes
"""
AFTER = """
assert sent == [b"sealed a pack"] and outbox.pending() == 0 and log.count == 2
assert store.verify() and outbox.verify() and log.verify()
print("LOW", Store(FOLDER + "/settings", key, "settings").get("low"))
print("AGENT", sorted(m for m in sys.modules if m.startswith(("uward.agent", "uward.link"))))
"""


def example():
    """The program of the docs, its folder turned into FOLDER."""
    text = (ROOT / "docs/VAULT.md").read_text()
    (found,) = re.findall(r"```python\n(from uward.vault.audit.*?)```", text, re.DOTALL)
    assert found.count('"/vault/') == 3
    return found.replace('"/vault/', 'FOLDER + "/')


def program(folder):
    return f"FOLDER = {str(folder)!r}\n{GIVEN}{example()}{AFTER}"


@pytest.fixture(scope="module")
def served():
    """-> the URL of vault.json on a server of this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(FIRMWARE))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/vault.json"
    server.shutdown()
    server.server_close()


def test_it_lists_what_the_vault_needs_and_nothing_of_the_agent():
    modules = sources.folder(FIRMWARE / "uward", "/uward")
    modules["/uward/__init__.py"] = b""  # it imports the agent when somebody asks for it
    needed = sources.closure(modules, [f"/uward/vault/{n}.py" for n in ROOTS], lazy=True)
    package = json.loads(PACKAGE.read_text())
    assert package["urls"] == [[path[1:], path[1:]] for path in sorted(needed)]
    assert package["deps"] == []
    assert package["version"] == json.loads((FIRMWARE / "package.json").read_text())["version"]
    strangers = ("agent", "boot/", "guard/", "link/", "port/", "trust/", "update/")
    assert not [path for path in needed if path.startswith(strangers, len("/uward/"))]


def test_installed_by_mip_into_an_empty_folder(served, tmp_path):
    if MICROPYTHON is None:
        pytest.skip("no micropython: pip install -e .[dev]")
    lib, folder = tmp_path / "lib", tmp_path / "vaults/of/mine"
    command = [MICROPYTHON, "-m", "mip", "install", "--no-mpy", "-t", str(lib), served]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "Done" in done.stdout, done.stdout + done.stderr
    out = run_unix(program(folder), tmp_path, path=(lib,))
    assert out.splitlines() == ["LOW 90", "AGENT []"]
    assert_whole(folder)


def assert_whole(folder):
    """The host's own decoder reads what was written."""
    for name in ("settings", "outbox", "audit"):
        files = {
            path.relative_to(folder / name).as_posix(): path.read_bytes()
            for path in (folder / name).rglob("*")
            if path.is_file()
        }
        found = journal.read(files, journal.Sealed(KEY, name))
        assert found.damages == []
        if name == "audit":
            kept = [record for record in found.records if record.kind in (2, 3)]
            entries = ((i + 1, kept[i].kind, kept[i].payload) for i in range(len(kept)))
            events, _ = audit.verify(entries, bytes)
            assert [cbor2.loads(event) for event in events] == [["door", "opened"]]


def test_installed_by_mpremote_on_a_board(tmp_path):
    """From a checkout; the board is the Unix port behind its console, on littlefs."""
    target = open_target("unix", tmp_path)
    target.flash(full.build(target.board, {}))
    target.start()
    try:
        command = [sys.executable, "-m", "mpremote", "connect", target.console(), "resume"]
        command += ["mip", "install", "--no-mpy", "--target", "/lib", str(PACKAGE)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0 and "Done" in done.stdout, done.stdout + done.stderr
        with Console(target.console()) as console:
            console.exec("import sys\nsys.path[:] = ['/lib', '.frozen']")
            out = console.exec(program("/vault"), timeout_s=120)
    finally:
        target.stop()
    assert out.split() == ["LOW", "90", "AGENT", "[]"]
