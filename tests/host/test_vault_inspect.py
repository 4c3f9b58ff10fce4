"""`uward vault inspect`: structure without the key, the first bad index with it."""

import json

import pytest
from uward.vault import journal, mount, segment
from uward.vault.keys import vault_key
from uward.vault.store import Store

from host_tools import cli, ui
from host_tools.boards import catalogue
from host_tools.image import lfs
from tests.device.memory_files import MemoryFiles

ROOT_SECRET = bytes(range(32))
KEY = vault_key(ROOT_SECRET, "store")
PICO_W = catalogue.load("rpi_pico_w")
CANARY = "a reading that nobody may see"


@pytest.fixture
def files(monkeypatch):
    disk = MemoryFiles()
    disk.put_under(monkeypatch, journal, mount, segment)
    store = Store("/vault/store", KEY, create=True)
    for i in range(250):
        store.set(f"name-{i % 50}", [i, CANARY])
    return disk.files


@pytest.fixture
def run(capsys, monkeypatch):
    monkeypatch.setattr(ui, "json_mode", False)

    def command(*arguments):
        code = cli.run(["vault", "inspect", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "vault.key"
    path.write_text(KEY.hex() + "\n")
    return path


def dump(tmp_path, files, whole=True):
    image = lfs.build(PICO_W, files)
    path = tmp_path / "dump.bin"
    path.write_bytes((b"\xff" * PICO_W.flash.fs_offset if whole else b"") + image)
    return path


WHERE = ("--folder", "/vault/store", "--name", "store")


@pytest.mark.parametrize("whole", [True, False])
def test_a_whole_vault(tmp_path, files, run, key_file, whole):
    path = dump(tmp_path, files, whole)
    code, out, err = run(path, *WHERE)
    assert (code, err) == (0, "") and "not verified: no key" in out
    assert CANARY not in path.read_bytes().decode("latin-1")
    code, out, _ = run(path, *WHERE, "--key", key_file, "--json")
    facts = json.loads(out)
    assert code == 0 and facts["verdict"] == "whole" and facts["damage"] == []
    assert facts["verified"] == facts["records"] > 250
    assert sum(row["records"] for row in facts["segments"]) == facts["records"]
    assert CANARY.encode().hex() not in out
    code, out, _ = run(path, *WHERE, "--key", key_file, "--contents")
    assert code == 0 and out.count(CANARY.encode().hex()) == 250


def test_the_first_bad_index_is_named(tmp_path, files, run, key_file):
    data = files["/vault/store/1"]
    files["/vault/store/1"] = data[:300] + bytes((data[300] ^ 4,)) + data[301:]
    code, out, err = run(dump(tmp_path, files), *WHERE, "--key", key_file)
    assert code == 1 and "damaged" in out
    assert "uward: error: record 3 is not what was sealed: segment 1" in err


def test_what_it_refuses(tmp_path, files, run, key_file):
    path = dump(tmp_path, files)
    code, _, err = run(path, "--folder", "/vault/other", "--name", "store")
    assert code == 1 and "no vault at /vault/other" in err
    code, _, err = run(path, *WHERE, "--contents")
    assert code == 2 and "--contents needs --key" in err
    code, _, err = run(path, *WHERE, "--bits", "192")
    assert code == 2 and "expected 128 or 256" in err
    wrong = tmp_path / "wrong.key"
    wrong.write_bytes(b"short")
    code, _, err = run(path, *WHERE, "--key", wrong)
    assert code == 1 and "is no vault key" in err
    wrong.write_bytes(bytes(32))
    code, _, err = run(path, *WHERE, "--key", wrong)
    assert code == 1 and "is not what was sealed" in err
    code, _, err = run(tmp_path / "absent.bin", *WHERE)
    assert code == 1 and "expected a file at" in err
    path.write_bytes(b"\xff" * 100)
    code, _, err = run(path, *WHERE)
    assert code == 1 and "dump is 100 bytes" in err


def test_a_folder_is_read_as_well(tmp_path, files, run, key_file):
    for name, data in files.items():
        path = tmp_path / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    code, out, _ = run(tmp_path, *WHERE, "--key", key_file)
    assert code == 0 and "whole" in out
