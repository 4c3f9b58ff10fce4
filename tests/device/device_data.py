"""The data tier on the device: its locks, in a folder that stands for the flash."""

import asyncio
import os

from uward import limits
from uward.codec import cbor
from uward.errors import UwardError
from uward.vault import data, keys, pin, sealed

ROOT = bytes(range(32))


def _flash(folder):
    os.mkdir(folder + "/id")
    with open(folder + "/id/root", "wb") as f:
        f.write(ROOT)
    keys._data = None


def told(function, *arguments):
    try:
        found = function(*arguments)
        return found.hex() if isinstance(found, bytes) else found
    except UwardError as e:
        return "%s %s: %s" % (type(e).__name__, e.event, e)


def stretched(text, salt, rounds):
    limits.PIN_ROUNDS = rounds
    return asyncio.run(pin.stretch(text.encode(), bytes.fromhex(salt))).hex()


def plain(folder):
    """Without a lock the root stands for the data secret."""
    _flash(folder)
    return [data.kind(folder), keys.data(folder) == ROOT]


class _Uplink:
    """A session that opens what it is told to."""

    def __init__(self, value):
        self.session = self
        self.value = value
        self.events = []

    def open(self, purpose, payload):
        return self.value

    def event(self, name, reason=""):
        self.events.append(name)


def network(folder, share, others):
    """Locked, then opened by each of `others` in turn. -> [kind, locked, outcomes, secret]."""
    _flash(folder)
    data.make(ROOT, data.NETWORK, bytes.fromhex(share), folder)
    out = [data.kind(folder), told(keys.data, folder)]
    read = data.read
    data.read = lambda root: read(root, folder)
    keys_root = keys.root
    keys.root = lambda base="": keys_root(folder)
    try:
        for other in others:
            value = bytes.fromhex(other) if isinstance(other, str) else other
            uplink = _Uplink(value)
            out.append([told(data.take, uplink, uplink, "key", b""), uplink.events])
    finally:
        data.read, keys.root = read, keys_root
    out.append(told(keys.data, folder))
    return out


def refusals(folder):
    _flash(folder)
    out = [told(data.make, ROOT, 3, bytes(32), folder)]
    out.append(told(data.make, ROOT, data.NETWORK, bytes(31), folder))
    for text in ("123", "1" * 33):
        out.append(told(asyncio.run, pin.make(ROOT, text.encode(), folder)))
    return out


class _Clock:
    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


def pins(folder, tries, rounds=3):
    """tries: [ms of uptime, PIN, or "boot"]. The PIN is 482913. -> what each gave, the secret."""
    limits.PIN_ROUNDS = rounds
    _flash(folder)
    asyncio.run(pin.make(ROOT, b"482913", folder))
    clock = _Clock()
    lock = pin.Lock(clock, folder)
    out = []
    for when, text in tries:
        if text == "boot":
            clock.now = 0
            lock = pin.Lock(clock, folder)
            out.append(lock.left())
            continue
        clock.now = when
        out.append(told(asyncio.run, lock.open(text.encode())))
    out.append(data.read(ROOT, folder)[4])
    out.append(keys.open_already())
    return out


def cut_while_judged(folder):
    """The count is in flash before the PIN is judged. -> count after a cut at that moment."""
    limits.PIN_ROUNDS = 2
    _flash(folder)
    asyncio.run(pin.make(ROOT, b"482913", folder))
    lock = pin.Lock(_Clock(), folder)
    unlock = data.unlock

    def cut(value, outside):
        raise OSError(5)

    data.unlock = cut
    try:
        asyncio.run(lock.open(b"111111"))
    except OSError:
        pass
    finally:
        data.unlock = unlock
    return data.read(ROOT, folder)[4]


def survives_rotation(folder, share):
    """The file is sealed anew under another root: the share still opens it."""
    _flash(folder)
    data.make(ROOT, data.NETWORK, bytes.fromhex(share), folder)
    value = sealed.read(ROOT, keys.DATA, folder)
    sealed.write(bytes(32), keys.DATA, value, folder)
    data.unlock(cbor.decode(sealed.read(bytes(32), keys.DATA, folder)), bytes.fromhex(share))
    return keys.open_already()
