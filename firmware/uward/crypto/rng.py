"""Random bytes: os.urandom mixed with what the device adds, watched by health tests.

A pool of 32 bytes takes everything in (SHA-256); each request mixes fresh operating-system bytes
and clock jitter in, takes its output from HMAC over the mixture, and moves the pool on, so that
neither a weak source nor a later look at the RAM gives past output away. The tests are those of
SP 800-90B 4.4 for a claim of 4 bits a byte; a source that fails stays refused until a reset (S13).
"""

from os import urandom

from uward import limits
from uward.compat import const
from uward.crypto.hash import hmac, sha256
from uward.errors import LimitError, RngError

try:
    from time import ticks_cpu as _ticks
except ImportError:  # CPython; ports without a cycle counter
    from time import time_ns as _ticks

_DRAW = const(32)  # bytes of operating-system entropy a request
_REPEATS = const(6)  # repetition count: 1 + 20 / 4 equal bytes (false alarm 2**-20)
_WINDOW = const(512)  # adaptive proportion: samples a window
_PROPORTION = const(62)  # of them equal to the first: critical binomial(512, 2**-4, 2**-20)

_pool = bytearray(32)  # overwritten in place: nothing of it is left behind, nor moves (S20)
_last = bytearray(_DRAW)
_failed = None  # why the source is refused
_tested = False


def add_entropy(data):
    """Mix bytes in: unique id, ADC noise, the seed in flash, a host's entropy. Never hurts."""
    _pool[:] = sha256(_pool + len(data).to_bytes(4, "big") + data)


def random(n):
    """-> n <= 1024 bytes. RngError while the source is unhealthy, LimitError for more."""
    if not 0 <= n <= limits.RNG_REQUEST:
        raise LimitError("rng: expected 0..%d bytes, got %d" % (limits.RNG_REQUEST, n))
    if not _tested:
        health_check()
    key = hmac(_pool, _draw() + _jitter())
    _pool[:] = hmac(key, b"pool")
    out = b""
    count = 0
    while len(out) < n:
        out += hmac(key, count.to_bytes(4, "big"))
        count += 1
    return out[:n]


def health_check():
    """The start-up test (SP 800-90B 4.3), at boot and on demand; RngError when it fails."""
    global _tested
    _require_healthy()
    samples = urandom(limits.RNG_STARTUP)
    _judge(samples)
    add_entropy(samples)
    _tested = True


def _draw():
    """One draw from the operating system, tested on its own and against the one before."""
    _require_healthy()
    raw = urandom(_DRAW)
    if raw == _last:
        _fail("two draws equal")
    _judge(raw)
    _last[:] = raw
    return raw


def _jitter():
    out = b""
    for _ in range(4):
        out += (_ticks() & 0xFFFFFFFF).to_bytes(4, "big")
    return out


def _judge(samples):
    """Repetition count and adaptive proportion (SP 800-90B 4.4.1, 4.4.2) over bytes."""
    run = 0
    before = -1
    for byte in samples:
        run = run + 1 if byte == before else 1
        before = byte
        if run >= _REPEATS:
            _fail("%d equal bytes in a row" % run)
    for o in range(0, len(samples) - _WINDOW + 1, _WINDOW):
        window = samples[o : o + _WINDOW]
        if window.count(window[:1]) >= _PROPORTION:
            _fail("one byte %d times in %d" % (window.count(window[:1]), _WINDOW))


def _fail(why):
    global _failed
    _failed = why
    _require_healthy()


def _require_healthy():
    if _failed is not None:
        raise RngError("rng: expected a healthy source, got " + _failed)
