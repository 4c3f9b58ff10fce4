"""The search for a repeated (key, nonce) pair finds one when there is one (S13)."""

import pytest
from test_journal import World
from uward import limits
from uward.vault import frames, journal


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "VAULT_SEGMENT", 1200)
    return World(tmp_path, monkeypatch)


def steps(world, most):
    for _ in range(most):
        world.step()


def test_a_salt_that_repeats_is_found(world, monkeypatch):
    """Clones and restored boards have the same key, epoch and last tag: the salt alone differs."""
    monkeypatch.setattr(journal, "random", bytes)
    with pytest.raises(AssertionError, match="a second time"):
        steps(world, 400)


def test_a_counter_that_stands_still_is_found(world, monkeypatch):
    seal = frames.Sealer.seal

    def again(self, run, plaintext):
        if run.count == 5:
            run.count = 4
        return seal(self, run, plaintext)

    monkeypatch.setattr(frames.Sealer, "seal", again)
    with pytest.raises(AssertionError, match="a second time"):
        steps(world, 400)


def test_a_run_that_goes_on_after_a_failed_write_is_found(world, monkeypatch):
    """The record of the failed write may be in flash: its counter is not given again."""
    save = journal.Journal._save

    def forgiving(self, *arguments):
        try:
            save(self, *arguments)
        except OSError:
            self._run.count -= 1
            self._stale = False
            raise

    monkeypatch.setattr(journal.Journal, "_save", forgiving)
    with pytest.raises(AssertionError, match="a second time"):
        steps(world, 400)
