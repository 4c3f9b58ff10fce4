"""The data tier (SPEC 6, S9; ADR 0055): a key of its own for what patients said of themselves.

`/id/data`, sealed by the board tier, holds the data secret wrapped by a KEK that needs both the
board's half, which lies beside it, and what is not on the board: a PIN, or the share that the
collector gives after attestation. Until one of them came the data tier is locked; identity, Wi-Fi
and boot are the board tier's and go on. Without `/id/data` the root stands for the data secret.
"""

import os

from uward import limits
from uward.codec import cbor
from uward.compat import const
from uward.crypto import keywrap
from uward.crypto.hash import hkdf
from uward.crypto.rng import random
from uward.errors import BadMac, CodecError, KeyLocked, KeyRefused, ProtocolError
from uward.vault import keys, sealed

PIN = const(1)
NETWORK = const(2)
_SECRET = const(32)
_LABELS = {PIN: b"uward data pin", NETWORK: b"uward data share"}


def make(root, kind, outside, base=""):
    """At enrolment. kind: PIN or NETWORK; outside: 32 bytes, the share or the stretched PIN with
    its salt before it."""
    if kind not in _LABELS:
        raise CodecError("data: expected kind 1 or 2, got %r" % (kind,))
    salt, outside = (outside[:16], outside[16:]) if kind == PIN else (random(16), outside)
    if len(outside) != _SECRET:
        raise KeyRefused("data: expected a share of 32 bytes, got %d" % len(outside))
    half = random(_SECRET)
    wrapped = keywrap.wrap(_kek(kind, salt, half, outside), random(_SECRET))
    value = {1: kind, 2: salt, 3: wrapped, 4: 0, 5: half}
    sealed.write(root, keys.DATA, cbor.encode(value), base)


def kind(base=""):
    """PIN or NETWORK; None when the data tier has no lock of its own."""
    try:
        os.stat(base + keys.DATA)
    except OSError:
        return None
    return read(keys.root(base), base)[1]


def read(root, base=""):
    """-> {1: kind, 2: salt, 3: wrapped secret, 4: wrong PINs in a row, 5: the board's half}."""
    return cbor.decode(sealed.read(root, keys.DATA, base))


def unlock(value, outside):
    """value: as `read` gives it; outside: 32 bytes. KeyLocked when they are not the right ones."""
    try:
        secret = keywrap.unwrap(_kek(value[1], value[2], value[5], outside), value[3])
    except BadMac:
        raise KeyLocked("data: expected the right %s, got another" % _what(value[1])) from None
    keys.hold(secret)


def take(agent, uplink, purpose, payload):
    """`down/key`: the collector's share. A board that is reported stolen never gets it."""
    share = uplink.session.open("key", payload)
    if share is None or keys.open_already():
        return
    value = read(keys.root())
    if type(share) is not bytes or len(share) != _SECRET or value[1] != NETWORK:
        raise ProtocolError("key: expected a share for this board, got another")
    unlock(value, share)
    agent.event("data.unlocked", "by the collector's share")


def _kek(which, salt, half, outside):
    return hkdf(half + outside, salt, _LABELS[which])


def _what(which):
    return "PIN" if which == PIN else "share"


def waits(failures):
    """ms of uptime before the next PIN may be tried, after so many wrong ones in a row."""
    beyond = failures - limits.PIN_FREE
    return 0 if beyond < 0 else min(limits.PIN_WAIT_MS << beyond, limits.PIN_WAIT_MOST_MS)
