"""The envelopes a fleet has kept, read while others come and go: the collector must not end."""

import itertools
import os
import shutil
import threading
from types import SimpleNamespace

import pytest

from host_tools import keyring
from host_tools.errors import Refused

READS = 400


def kept_in(folder):
    return keyring.signed_envelopes(SimpleNamespace(folder=lambda name: folder / name))


@pytest.fixture
def fleet(tmp_path):
    for place in ("releases/1", "build/unix/1.0.0"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "envelope.suit").write_bytes(place.encode())
    return tmp_path


def test_those_that_come_and_go_meanwhile_hide_none_that_stays(fleet):
    done = threading.Event()

    def others():
        for number in itertools.cycle(range(2, 40)):
            if done.is_set():
                return
            folder = fleet / "releases" / str(number)
            folder.mkdir()
            (folder / "envelope.suit").write_bytes(b"other")
            shutil.rmtree(folder)

    thread = threading.Thread(target=others)
    thread.start()
    try:
        seen = [kept_in(fleet) for _ in range(READS)]
    finally:
        done.set()
        thread.join()
    stays = {b"releases/1", b"build/unix/1.0.0"}
    assert all(stays <= set(one) <= stays | {b"other"} | {b""} for one in seen)


@pytest.mark.parametrize("what", ["releases/1", "releases/1/envelope.suit"])
def test_what_cannot_be_read_is_refused(fleet, what, monkeypatch):
    scan, read = os.scandir, keyring.Path.read_bytes

    def denied(path):
        if str(path) == str(fleet / what):
            raise PermissionError(13, "Permission denied", str(path))

    # root reads everything: the refusal comes from where the kernel's would
    monkeypatch.setattr(os, "scandir", lambda path: denied(path) or scan(path))
    monkeypatch.setattr(keyring.Path, "read_bytes", lambda path: denied(path) or read(path))
    with pytest.raises(Refused, match=f"{what}: cannot be read: Permission denied"):
        kept_in(fleet)
