"""The sealed journal by itself: refusals, strangers' files, nonces that never repeat (S13)."""

import base64
import random
import shutil

import pytest
from uward import limits
from uward.crypto import aead, rng
from uward.errors import RngError, VaultFull
from uward.vault import frames, journal, mount, segment
from uward.vault.store import Store

from tests.device.memory_files import MemoryFiles
from tests.powerfail.lfs_flash import Files, Flash, put_under

SCRIPT = "device_vault"
KEY = bytes(range(32))
HISTORIES = 2500


def test_refusals(device, tmp_path):
    got = device(SCRIPT, "journal_refusals", str(tmp_path / "j"))
    none = "expected segments sealed by this key, got none"
    expected = [
        ("VaultTampered", none),
        ("LimitError", "expected <= 4096 bytes, got 4097"),
        ("VaultTampered", "expected record"),
        ("VaultTampered", none),
        ("VaultTampered", none),
        ("VaultTampered", none),
    ]
    for (kind, message), wanted in zip(got, expected, strict=True):
        assert (kind, wanted[1] in message) == (wanted[0], True), message


def test_strangers_files_do_no_harm(device, tmp_path):
    good, reports = device(SCRIPT, "journal_among_strangers", str(tmp_path / "j"), 300)
    assert good is True
    assert reports == []


def test_a_failed_random_source_blocks_sealing(tmp_path, monkeypatch):
    store = Store(str(tmp_path / "s"), KEY, create=True)
    store.set("a", 1)
    store = Store(str(tmp_path / "s"), KEY)

    def fails(n):
        raise RngError("rng: expected a healthy source, got none")

    monkeypatch.setattr(journal, "random", fails)
    with pytest.raises(RngError):
        store.set("a", 2)
    assert store.get("a") == 1
    monkeypatch.setattr(journal, "random", rng.random)
    store.set("a", 3)
    assert dict(Store(str(tmp_path / "s"), KEY).items()) == {"a": 3}


class Cut(BaseException):
    pass


def test_no_key_and_nonce_seal_twice(tmp_path, monkeypatch):
    """Cuts, failed writes, reboots, restored backups and clones, all with one root key."""
    monkeypatch.setattr(limits, "VAULT_SEGMENT", 1200)
    world = World(tmp_path, monkeypatch)
    for _ in range(HISTORIES):
        world.step()
    assert world.marks > HISTORIES // 4
    assert len(world.pairs) > 2 * HISTORIES


class World:
    """Boards that share a root key, their backups, and all (key, nonce) pairs they seal with."""

    def __init__(self, folder, monkeypatch):
        self._folder = folder
        self._rng = random.Random(13)
        self._fails = None
        self._seal = aead.seal
        self._boards = 0
        self.pairs = set()
        self.marks = 0
        monkeypatch.setattr(frames.aead, "seal", self._collect)
        monkeypatch.setattr(journal, "open", self._open, raising=False)
        Store(str(self._new()), KEY, create=True)
        self._running = {}

    def _new(self):
        self._boards += 1
        return self._folder / str(self._boards)

    def _collect(self, key, nonce, plaintext, aad=b"", tag_len=16):
        assert (key, nonce) not in self.pairs, "key and nonce a second time"
        self.pairs.add((key, nonce))
        self.marks += not plaintext
        return self._seal(key, nonce, plaintext, aad, tag_len)

    def _open(self, path, mode):
        """Writes fail now and then: with an error, or with a cut before or after."""
        if mode != "rb" and self._fails == "before":
            raise Cut
        if mode != "rb" and self._fails in (5, 28):
            raise OSError(self._fails, "cannot write")
        return open(path, mode)

    def step(self):
        board = self._folder / str(self._rng.randint(1, self._boards))
        kind = self._rng.random()
        if kind < 0.04:
            self._running.pop(board, None)
        elif kind < 0.06 and self._boards < 12:
            shutil.copytree(board, self._new())
        elif kind < 0.08:
            other = self._folder / str(self._rng.randint(1, self._boards))
            if other != board:
                self._running.pop(board, None)
                shutil.rmtree(board)
                shutil.copytree(other, board)
        else:
            self._write(board)

    def _write(self, board):
        if board not in self._running:
            self._running[board] = Store(str(board), KEY)
        store = self._running[board]
        self._fails = self._rng.choice([None] * 9 + ["before", 5, 28])
        try:
            for _ in range(self._rng.randint(1, 4)):
                store.set(f"n{self._rng.randrange(8)}", self._rng.randbytes(30))
        except Cut:
            del self._running[board]
        except (OSError, VaultFull):
            pass  # the same board goes on
        finally:
            self._fails = None


def test_fifty_thousand_tiny_records(monkeypatch):
    MemoryFiles().put_under(monkeypatch, journal, mount, segment)
    log = journal.Journal("/v", KEY, "log", Silent())
    log.mount(True)
    for i in range(50_000):
        log.append(2, i.to_bytes(2, "big"))
    again = journal.Journal("/v", KEY, "log", Silent())
    again.mount()
    assert again.index == log.index and again.segments > 200
    read = [int.from_bytes(payload, "big") for _, _, payload in again.records()]
    assert read == list(range(50_000))


def test_records_of_4_kb(monkeypatch):
    disk = MemoryFiles()
    disk.put_under(monkeypatch, journal, mount, segment)
    log = journal.Journal("/v", KEY, "log", Silent())
    log.mount(True)
    values = [bytes([i]) * 4096 for i in range(60)]
    indexes = [log.append(2, value) for value in values]
    log = journal.Journal("/v", KEY, "log", Silent())
    log.mount()
    assert [log.read(index)[1] for index in indexes] == values
    assert max(map(len, disk.files.values())) <= limits.VAULT_SEGMENT


class Silent:
    def snapshot(self):
        return b""

    def restore(self, snapshot):
        pass

    def replay(self, index, kind, payload):
        pass


def test_the_flash_holds_no_plaintext(monkeypatch):
    """Planted values are in no encoding anywhere in the raw flash, not after deletion either."""
    flash = Flash(64)
    put_under(monkeypatch, Files(flash).format().mount(), journal, mount, segment)
    store = Store("/s", KEY, create=True)
    canaries = [b"heart rate 61 bpm", b"wifi password 7x", b"private key bytes"]
    for turn in range(300):
        for canary in canaries:
            store.set(f"canary {canary[:5].decode()} {turn % 9}", canary)
        if turn % 9 == 8:
            store.delete("canary heart 3")
    assert store._journal.first > 1
    image = flash.image()
    for canary in [*canaries, b"canary ", KEY]:
        for form in (canary, canary.hex().encode(), base64.b64encode(canary)[:-4], canary[::-1]):
            assert form not in image
    assert store.get("canary wifi  3") == canaries[1]


def test_a_run_ends_before_its_counter_does(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "LAST", 40)
    store = Store(str(tmp_path / "s"), KEY, create=True)
    for i in range(90):
        store.set("n", i)
    assert store._journal._epoch == 3
    assert store.verify() and Store(str(tmp_path / "s"), KEY).get("n") == 89


def test_aes_256_takes_keys_of_32_bytes(tmp_path, monkeypatch):
    keys = set()
    seal = aead.seal

    def collect(key, *arguments):
        keys.add(len(key))
        return seal(key, *arguments)

    monkeypatch.setattr(frames.aead, "seal", collect)
    Store(str(tmp_path / "a"), KEY, bits=256, create=True).set("a", 1)
    assert keys == {32}
    Store(str(tmp_path / "b"), KEY, create=True).set("a", 1)
    assert keys == {16, 32}
