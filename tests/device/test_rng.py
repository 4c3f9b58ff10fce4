"""crypto/rng: mixing, health tests, refusal of a source that stands still."""

import importlib
import itertools
import os

import pytest
from uward import limits
from uward.errors import LimitError, RngError


@pytest.fixture
def rng():
    """A fresh module: a failed source stays refused for the life of one."""
    module = importlib.import_module("uward.crypto.rng")
    return importlib.reload(module)


def test_lengths_and_difference(rng):
    assert [len(rng.random(n)) for n in (0, 1, 31, 32, 33, 64, 1024)] == [
        0,
        1,
        31,
        32,
        33,
        64,
        1024,
    ]
    drawn = [rng.random(16) for _ in range(200)]
    assert len(set(drawn)) == 200
    for n in (-1, limits.RNG_REQUEST + 1):
        with pytest.raises(LimitError, match="got %d" % n):
            rng.random(n)


def source(rng, monkeypatch, chunks):
    monkeypatch.setattr(rng, "urandom", lambda n: next(chunks)[:n])


def counting():
    """Bytes that pass the tests and that everybody can predict."""
    for i in itertools.count():
        yield bytes((i * 7 + k * 13) & 255 for k in range(1024))


def test_a_constant_source_is_refused_for_good(rng, monkeypatch):
    monkeypatch.setattr(rng, "urandom", lambda n: b"\x2a" * n)
    with pytest.raises(RngError, match="6 equal bytes in a row"):
        rng.random(16)
    monkeypatch.setattr(rng, "urandom", os.urandom)
    with pytest.raises(RngError, match="6 equal bytes in a row"):
        rng.random(16)


def test_repetition_count_is_exact(rng, monkeypatch):
    body = bytes(range(64))
    source(rng, monkeypatch, iter([body * 16, body, b"\7" * 5 + body]))
    rng.random(1)
    rng.random(1)
    source(rng, monkeypatch, iter([bytes(range(10)) + b"\7" * 6 + body]))
    with pytest.raises(RngError, match="6 equal bytes"):
        rng.random(1)


def test_adaptive_proportion(rng, monkeypatch):
    fair = bytes(i & 127 for i in range(512))
    biased = bytes(9 if i % 8 == 0 else i & 255 for i in range(512))  # 64 of 512
    source(rng, monkeypatch, iter([fair + biased]))
    with pytest.raises(RngError, match=r"one byte 6\d times in 512"):
        rng.health_check()


def test_two_equal_draws_are_refused(rng, monkeypatch):
    same = bytes(i & 255 for i in range(1024))
    source(rng, monkeypatch, itertools.repeat(same))
    rng.random(1)
    with pytest.raises(RngError, match="two draws equal"):
        rng.random(1)


def test_added_entropy_and_jitter_count(rng, monkeypatch):
    def run(entropy, ticks):
        module = importlib.reload(rng)
        source(module, monkeypatch, counting())
        monkeypatch.setattr(module, "_ticks", lambda: ticks)
        module.add_entropy(entropy)
        return module.random(32)

    first = run(b"a", 1)
    assert run(b"a", 1) == first  # the test holds all inputs still
    assert run(b"b", 1) != first
    assert run(b"a", 2) != first


def test_concatenation_is_unambiguous(rng):
    rng.add_entropy(b"ab")
    rng.add_entropy(b"c")
    first = bytes(rng._pool)
    rng = importlib.reload(rng)
    rng.add_entropy(b"a")
    rng.add_entropy(b"bc")
    assert rng._pool != first


def test_the_pool_moves_on(rng):
    """What was in RAM before does not give the next output away, nor the other way round."""
    rng.random(32)
    before = bytes(rng._pool)
    out = rng.random(32)
    assert rng._pool not in (before, out)


def test_on_the_port(unix, emit):
    code = """
import json
from uward.crypto import rng
from uward.errors import RngError
drawn = {rng.random(16) for _ in range(50)}
rng.urandom = lambda n: b"*" * n
try:
    rng.random(1)
    refused = ""
except RngError as e:
    refused = str(e)
print(json.dumps([len(drawn), refused]))
"""
    count, refused = emit(unix(code))
    assert count == 50
    assert "6 equal bytes in a row" in refused
