"""No (key, nonce) pair twice: sealed files and rotations, through restores and clones (S13).

The journal's own histories are in test_journal.
"""

import random
import shutil

from uward.crypto import aead
from uward.vault import frames, keys, reseal, sealed
from uward.vault.store import Store

HISTORIES = 1000


class World:
    """Boards that are copies of each other, and every pair that any of them seals with."""

    def __init__(self, folder, monkeypatch):
        self._folder = folder
        self._rng = random.Random(21)
        self._seal = aead.seal
        self._boards = 1
        self.pairs = set()
        monkeypatch.setattr(sealed.aead, "seal", self._collect)
        monkeypatch.setattr(frames.aead, "seal", self._collect)
        first = folder / "1"
        (first / "id").mkdir(parents=True)
        (first / "root").write_bytes(bytes(32))
        (first / "vault").mkdir()
        Store(str(first / "vault/s"), keys.vault_key(bytes(32), "s"), "s", create=True)

    def _collect(self, key, nonce, plaintext, aad=b"", tag_len=16):
        assert (key, nonce) not in self.pairs
        self.pairs.add((key, nonce))
        return self._seal(key, nonce, plaintext, aad, tag_len)

    def step(self):
        board = self._folder / str(self._rng.randint(1, self._boards))
        kind = self._rng.random()
        if kind < 0.05 and self._boards < 8:  # a clone
            self._boards += 1
            shutil.copytree(board, self._folder / str(self._boards))
        elif kind < 0.10:  # an older state comes back
            other = self._folder / str(self._rng.randint(1, self._boards))
            if other != board:
                shutil.rmtree(board)
                shutil.copytree(other, board)
        elif kind < 0.16:
            self._rotate(board)
        elif kind < 0.6:
            root = (board / "root").read_bytes()
            path = self._rng.choice(["/id/net", "/id/clock", "/id/seed"])
            sealed.write(root, path, self._rng.randbytes(40), str(board))
        else:
            root = (board / "root").read_bytes()
            store = Store(str(board / "vault/s"), keys.vault_key(root, "s"), "s")
            store.set(f"n{self._rng.randrange(4)}", self._rng.randbytes(30))

    def _rotate(self, board):
        """As `rotate` does, sometimes cut before the new root is kept: then it is drawn anew."""
        old = (board / "root").read_bytes()
        new = self._rng.randbytes(32)
        for path in [f"/id/{one.name}" for one in (board / "id").iterdir()]:
            sealed.write(new, path, sealed.read(old, path, str(board)), str(board), ".next")
        if self._rng.random() < 0.3:
            for one in (board / "id").glob("*.next"):
                one.unlink()
            return
        for one in (board / "id").glob("*.next"):
            one.rename(one.with_suffix(""))
        olds, news = keys.vault_key(old, "s"), keys.vault_key(new, "s")
        reseal.vault(str(board / "vault/s"), "s", olds, news, lambda: None)
        (board / "root").write_bytes(new)


def test_no_key_and_nonce_seal_twice(tmp_path, monkeypatch):
    world = World(tmp_path, monkeypatch)
    for _ in range(HISTORIES):
        world.step()
    assert len(world.pairs) > 2 * HISTORIES
