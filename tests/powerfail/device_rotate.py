"""Scenarios for `faults`: the keys of a board rotate, cut at every flash operation."""

import os

import faults
from device_wipe import PRIVATE, READING, ROOT, TOKEN, WIFI, found, need
from leaks import encodings
from uward import limits
from uward.boot import record, store
from uward.errors import BadMac
from uward.vault import keys, rotate, sealed
from uward.vault.queue import Queue
from uward.vault.store import Store

limits.VAULT_SEGMENT = 2000
limits.VAULT_TAILS = 4
AT = "/board"
_COPY = "/vault/open/0"  # of a pack that was open
CHIP = bytes((1, 2, 0, 0x1C, 0, 0, 0)) + bytes(range(32))


def told(*what):
    raise ValueError("damage was reported: %r" % (what,))


def _write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def _store(root, secret, create=False):
    key = keys.vault_key(secret, "settings")
    return Store(root + "/vault/settings", key, "settings", told, create=create)


def _queue(root, secret, create=False):
    key = keys.vault_key(secret, "outbox")
    return Queue(root + "/vault/outbox", key, report=told, create=create, capacity=6000)


def _ready(root):
    for name in ("/slot", "/rec", "/id", "/vault"):
        os.mkdir(root + name)
    _write(root + "/id/root", ROOT)
    _write(root + "/id/policy0", b"signed by people, sealed by nobody")
    made = record.Record(record.LOCKED, 1, bytes(32))
    made.owned[0] = made.confirmed[0] = True
    made.floor = 7
    store.create(made, keys.record_key(ROOT), root)
    sealed.write(ROOT, "/id/net", WIFI, root)
    sealed.write(ROOT, "/id/dev", PRIVATE + bytes(500), root)
    box = _store(root, ROOT, True)
    for n in range(14):
        box.set("n%d" % (n % 3), READING + TOKEN + bytes(150) + bytes((n,)))
    box.set("small", 1)  # in a tail file
    queue = _queue(root, ROOT, True)
    for n in range(7):
        queue.append("tele", n, READING + bytes((n,)), n == 3)
        if n < 3:
            entry = queue.peek(queue.sent)
            queue.seal(entry, b"sealed %d" % n)
    os.mkdir(root + "/vault/open")
    _write(root + _COPY, sealed.seal(ROOT, _COPY, READING))
    _write(root + "/vault/away", b"\x01")
    _write(root + "/id/rotate", b"\x01")


def board(blocks=40):
    data = faults.blank(blocks)
    faults.powered(data, AT, _ready)
    return data


def _nothing():
    pass


def _state(root):
    """All that the board knows, read with the root that holds."""
    secret = keys.root(root)
    box = dict(_store(root, secret).items())
    queue = _queue(root, secret)
    packs = [(e.sequence, e.purpose, e.when, e.body, e.sealed) for e in queue.batch(9)]
    files = [sealed.read(secret, path, root) for path in ("/id/net", "/id/dev", _COPY)]
    return box, packs, files, sorted(os.listdir(root + "/id"))


def _look(root):
    """Whatever was cut: stage 0 finds its record, and the next boot ends the rotation."""
    now = store.load(keys.record_key(keys.root(root)), root)
    need((now.floor, now.confirmed) == (7, [True, False]), "the record")
    if rotate.due(root):
        rotate.resume(_nothing, root)
    need(not rotate.due(root), "it is over")


_EXPECTED = []


def _expect(data):
    """What the board knows before, without the plan."""
    state = faults.powered(bytearray(data), AT, _state)[0]
    state[3].remove("rotate")
    return state


def _check(root):
    _look(root)
    need(keys.root(root) != ROOT, "a new root")
    need(_state(root) == _EXPECTED[0], "what it knows")


def _gone(flash, sought):
    need(not found(flash, sought), "in the raw flash: %r" % found(flash, sought))


def _sought():
    """The old root and what comes of it; and what no root may give away."""
    secrets = {"root": ROOT, "vault": keys.vault_key(ROOT, "settings")}
    secrets["record"] = keys.record_key(ROOT)
    secrets["wifi"], secrets["private"], secrets["token"] = WIFI, PRIVATE, TOKEN
    return {name: encodings(secret) for name, secret in secrets.items()}


def rotated():
    """-> [canaries before, canaries after, root before == after]."""
    data = board()
    _EXPECTED[:] = [_expect(data)]
    before = found(data, _sought())
    faults.powered(data, AT, _check)
    return [before, found(data, _sought())]


def old_segments_stay():
    """Without the scrub: whether the old root is still in the raw flash (negative control)."""
    rotate._scrub = lambda root, feed: None
    data = board()
    _EXPECTED[:] = [_expect(data)]
    faults.powered(data, AT, _check)
    return found(data, _sought())


def _run(root):
    rotate.resume(_nothing, root)


def cuts(step, modes, pairs=0):
    """Cut anywhere; pairs: cut what follows as well, at every `pairs`-th operation. -> cuts."""
    sought = _sought()
    data = board()
    _EXPECTED[:] = [_expect(data)]
    count = 0
    for mode in modes:
        at = 1
        while True:
            flash = bytearray(data)
            if not faults.powered(flash, AT, _run, at, mode)[1]:
                break
            count += 1
            if pairs:
                count += _second(flash, mode, pairs, sought)
            faults.powered(flash, AT, _check)
            _gone(flash, sought)
            at += step
    return count


def _second(first, mode, step, sought):
    """The boot that follows a cut is cut, too."""
    at = 1
    count = 0
    while True:
        flash = bytearray(first)
        if not faults.powered(flash, AT, _look, at, mode)[1]:
            return count
        count += 1
        faults.powered(flash, AT, _check)
        _gone(flash, sought)
        at += step


def damaged():
    """A vault with damage keeps its damage, at its index. -> [reports before, reports after]."""
    data = board()
    seen = []

    def hurt(root):
        name = root + "/vault/settings/1"
        with open(name, "rb") as f:
            content = bytearray(f.read())
        content[400] ^= 1
        _write(name, content)

    def reports(root):
        heard = []
        key = keys.vault_key(keys.root(root), "settings")

        def hear(event, index, lost, reason):
            heard.append([event, index, lost])

        Store(root + "/vault/settings", key, "settings", hear).verify()
        seen.append(heard)

    faults.powered(data, AT, hurt)
    faults.powered(data, AT, reports)
    faults.powered(data, AT, _run)
    faults.powered(data, AT, reports)
    return seen


class _Agent:
    def __init__(self, trial=False):
        self.info = {"trial": trial}
        self.resets = 0

    def reset_soon(self):
        self.resets += 1


def orders():
    """The command's part -> refusals, whether the plan is there."""
    rotate.PLAN = "rotate.plan"
    out = []
    before = limits.ROTATE_BLOCKS
    for trial, blocks in ((True, 0), (False, 1 << 40), (False, 0)):
        agent = _Agent(trial)
        limits.ROTATE_BLOCKS = blocks
        try:
            rotate.start(agent)
            out.append(["", agent.resets])
        except Exception as e:
            out.append([type(e).__name__, str(e)[:60], agent.resets])
    limits.ROTATE_BLOCKS = before
    os.remove("rotate.plan")
    return out


def given_up():
    """A rotation that cannot be prepared: the old root stays, nothing is left of it. -> files."""
    data = board()

    def run(root):
        rotate._draw(root)
        sealed.write(ROOT, "/id/net", WIFI, root, ".next")
        rotate.give_up(root)
        need(not rotate.due(root), "over")
        need(sealed.read(ROOT, "/id/net", root) == WIFI, "the old root")
        try:
            sealed.read(bytes(32), "/id/net", root)
        except BadMac:
            return sorted(os.listdir(root + "/id"))

    return faults.powered(data, AT, run)[0]


def new_salt():
    """With a chip its place stays and its salt changes. -> [place kept, salt changed]."""
    data = faults.blank(16)

    def run(root):
        os.mkdir(root + "/id")
        _write(root + "/id/root", CHIP)
        rotate._draw(root)
        with open(root + "/id/root.next", "rb") as f:
            fresh = f.read()
        return [fresh[:7] == CHIP[:7], len(fresh), fresh[7:] != CHIP[7:]]

    return faults.powered(data, AT, run)[0]
