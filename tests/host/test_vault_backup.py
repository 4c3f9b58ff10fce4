"""`uward vault backup` and `restore`: signed, sealed as it lay, of use to one board (S12)."""

import pytest
from uward.vault import journal, mount, segment
from uward.vault.keys import vault_key
from uward.vault.store import Store

from host_tools import cli, project
from host_tools.boards import catalogue
from host_tools.errors import Refused
from host_tools.fleet.inventory import Device, Inventory
from host_tools.image import lfs
from host_tools.vault import backup as papers
from tests.device.memory_files import MemoryFiles

ROOT = bytes(range(32))
DEVICE = "backup0device000001"
CANARY = "a setting of a patient"
UNIX = catalogue.load("unix")


@pytest.fixture
def disk(monkeypatch):
    made = MemoryFiles()
    made.put_under(monkeypatch, journal, mount, segment)
    return made


def board_files(disk, value, root=ROOT):
    """The files of a board whose settings say `value`, and whose outbox has something."""
    disk.files.clear()
    store = Store("/vault/settings", vault_key(root, "settings"), "settings", create=True)
    store.set("low", [value, CANARY])
    return {**disk.files, "/id/root": root, "/vault/outbox/1": b"packs of %d" % value}


@pytest.fixture
def fleet(tmp_path):
    made = ["init", str(tmp_path / "f"), "--vendor", "example.org", "--board", "unix"]
    assert cli.run([*made, "--lms-height", "10"]) == 0
    found = project.load(tmp_path / "f")
    key = "11" * 64
    Inventory(found.folder("devices")).add(Device(DEVICE, "unix", "00", key, key, "01", 1))
    return found


def run(fleet, *words):
    return cli.run(["vault", *map(str, words), "--fleet", str(fleet.root)])


def test_settings_go_back_to_the_board_that_they_are_of(fleet, disk, tmp_path):
    before, now, kept, new = (tmp_path / name for name in ("before", "now", "kept", "new"))
    before.write_bytes(lfs.build(UNIX, board_files(disk, 90)))
    assert run(fleet, "backup", DEVICE, before, "--out", kept) == 0
    assert CANARY.encode() not in kept.read_bytes() and ROOT not in kept.read_bytes()
    now.write_bytes(lfs.build(UNIX, board_files(disk, 10)))
    assert run(fleet, "restore", kept, now, "--out", new) == 0
    made = lfs.read(UNIX, new.read_bytes())
    assert made["/vault/outbox/1"] == b"packs of 10"
    disk.files.clear()
    disk.files.update({path: data for path, data in made.items() if "settings" in path})
    store = Store("/vault/settings", vault_key(ROOT, "settings"), "settings")
    assert store.get("low") == [90, CANARY]


def test_another_boards_keys_are_refused(fleet, disk, tmp_path, capsys):
    mine, other, kept = (tmp_path / name for name in ("mine", "other", "kept"))
    mine.write_bytes(lfs.build(UNIX, board_files(disk, 90)))
    other.write_bytes(lfs.build(UNIX, board_files(disk, 10, bytes(32))))
    assert run(fleet, "backup", DEVICE, mine, "--out", kept) == 0
    assert run(fleet, "restore", kept, other, "--out", tmp_path / "new") == 1
    told = capsys.readouterr().err
    assert "the dump's keys are not those of the backup" in told
    assert "a replacement board gets its settings anew" in told
    assert not (tmp_path / "new").exists()


def test_a_changed_backup_is_refused_at_every_byte(fleet, disk):
    from host_tools import keyring
    from host_tools.signing.roles import BY_NAME

    (signer,) = keyring.signers(fleet, "admin", None, [])
    dump = lfs.build(UNIX, board_files(disk, 90))
    data = papers.make(UNIX, DEVICE, dump, 1_790_000_000, signer)
    admins = [key for _, key in keyring.current_trust(fleet).holders(BY_NAME["admin"]).keys]
    kept = papers.check(data, admins)
    assert (kept.device, kept.board, kept.made) == (DEVICE, "unix", 1_790_000_000)
    hint = data.index(signer.public.kid)  # says which key to try first, decides nothing (S7)
    for at in (at for at in range(0, len(data), 7) if not hint <= at < hint + 8):
        broken = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(Refused):
            papers.check(broken, admins)
    (other,) = keyring.signers(fleet, "operator", None, [])
    with pytest.raises(Refused):
        papers.check(papers.make(UNIX, DEVICE, dump, 1, other), admins)
    with pytest.raises(Refused, match="no key of role admin"):
        papers.check(data, [])


def test_what_is_no_board_with_vaults_is_refused(fleet, disk):
    from host_tools import keyring

    (signer,) = keyring.signers(fleet, "admin", None, [])
    with pytest.raises(Refused, match="there is no vault in this dump"):
        papers.make(UNIX, DEVICE, lfs.build(UNIX, {"/id/root": ROOT}), 1, signer)
    files = board_files(disk, 1)
    del files["/id/root"]
    with pytest.raises(Refused, match="not enrolled"):
        papers.make(UNIX, DEVICE, lfs.build(UNIX, files), 1, signer)
