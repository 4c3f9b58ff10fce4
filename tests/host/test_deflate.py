"""The host's own DEFLATE: zlib, as an independent reader, inflates what it makes."""

import hashlib
import random
import subprocess
import sys
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.image import deflate as ours

TEXT = b"".join(b"line %d of some length\n" % (i * i) for i in range(400))
DATA = {
    "nothing": b"",
    "one byte": b"a",
    "two bytes": b"ab",
    "one byte for ever": b"a" * 5000,
    "a period of the whole window": hashlib.shake_128(b"w").digest(1024) * 3,
    "a period beyond the window": hashlib.shake_128(b"w").digest(1025) * 3,
    "noise": hashlib.shake_128(b"n").digest(3000),
    "each byte once": bytes(range(256)),
    "text": TEXT,
}


def inflated(stream):
    reader = zlib.decompressobj(-ours.WINDOW_BITS)
    content = reader.decompress(stream)
    assert reader.eof and not reader.unused_data
    return content


@pytest.mark.parametrize("what", DATA)
def test_zlib_inflates_what_was_deflated(what):
    assert inflated(ours.deflate(DATA[what])) == DATA[what]


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_bytes_come_back(data):
    assert inflated(ours.deflate(data)) == data


def test_few_different_bytes_come_back():
    rng = random.Random(4)
    for _ in range(60):
        data = bytes(rng.choices(range(rng.choice([1, 2, 3, 20])), k=rng.randrange(2000)))
        assert inflated(ours.deflate(data)) == data


def test_streams_are_no_larger_than_zlibs():
    for data in (TEXT, DATA["one byte for ever"], DATA["each byte once"] * 4):
        theirs = zlib.compressobj(9, zlib.DEFLATED, -ours.WINDOW_BITS, 9)
        assert len(ours.deflate(data)) <= len(theirs.compress(data) + theirs.flush())


def test_nothing_reaches_beyond_the_window():
    """What a period of 1024 bytes shrinks to, one of 1025 does not."""
    assert len(ours.deflate(DATA["a period of the whole window"])) < 1200
    assert len(ours.deflate(DATA["a period beyond the window"])) > 3000


def test_the_stream_is_the_one_that_it_was():
    """Images are compared by their digests: a stream that another version makes is a new format
    of each image. Neither the hash seed nor the machine changes it."""
    wanted = "ec7fdc246dd5667fa185324de2708282e3d89b5e23966d9c4f355e131a63089b"
    assert hashlib.sha256(ours.deflate(TEXT)).hexdigest() == wanted
    code = "from tests.host.test_deflate import *; import hashlib; "
    code += "print(hashlib.sha256(ours.deflate(TEXT)).hexdigest())"
    environment = {"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.stdout.strip() == wanted, done.stderr


def test_codes_keep_to_their_longest():
    fibonacci = [1, 1]
    while len(fibonacci) < 30:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    for most in (7, 15):
        counts = fibonacci[: 2 * most]
        bits = ours._huffman(counts, most)
        assert max(bits) == most and sum(2**-n for n in bits) == 1
    assert ours._huffman([0, 5, 0], 15) == [0, 1, 0]
    assert ours._huffman([0, 0], 15) == [0, 0]
