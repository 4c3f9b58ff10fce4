"""Scenarios for `faults`: a board is retired, cut at every flash operation, and scanned raw."""

import os

import faults
from leaks import encodings
from uward.boot import record, store, wipe
from uward.vault import erase, keys, sealed
from uward.vault.store import Store

AT = "/board"
ROOT = bytes((i * 37 + 11) & 0xFF for i in range(32))
OLD_ROOT = bytes((i * 53 + 7) & 0xFF for i in range(32))
WIFI = b"correct horse battery staple"
PRIVATE = bytes((i * 91 + 3) & 0xFF for i in range(32))
READING = b"SpO2 97 canary of a patient"
TOKEN = b"console-token-0123456789abcdef"


def need(condition, what):
    if not condition:
        raise ValueError(what)


def canaries():
    """{name: its encodings}; derived keys count as well: with one of them a record opens."""
    secrets = {"root": ROOT, "old root": OLD_ROOT, "wifi": WIFI, "private": PRIVATE}
    secrets["reading"], secrets["token"] = READING, TOKEN
    secrets["record key"] = keys.record_key(ROOT)
    secrets["vault key"] = keys.vault_key(ROOT, "settings")
    return {name: encodings(secret) for name, secret in secrets.items()}


def found(data, sought=None):
    """-> names of the canaries that are in the raw flash."""
    sought = sought or canaries()
    return sorted(name for name in sought if any(data.find(text) >= 0 for text in sought[name]))


def _write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def _ready(root):
    for name in ("/slot", "/rec", "/id", "/trust", "/vault"):
        os.mkdir(root + name)
    _write(root + "/boot.py", b"# stage 0")
    _write(root + "/slot/a.img", bytes(5000))
    _write(root + "/trust/1", bytes(700))
    made = record.Record(record.LOCKED, 1, bytes(32))
    made.owned[0] = made.confirmed[0] = True
    store.create(made, keys.record_key(ROOT), root)
    for n in range(2):
        sealed.write(ROOT, "/id/net", WIFI + bytes((n,)), root)
        sealed.write(ROOT, "/id/dev", PRIVATE + bytes(600), root)
    box = Store(root + "/vault/s", keys.vault_key(ROOT, "settings"), create=True)
    for n in range(6):
        box.set("n%d" % (n % 3), READING + TOKEN + bytes(200))
    for secret in (OLD_ROOT, ROOT):  # renamed over: the old one stays in the metadata log
        _write(root + "/id/root.new", secret)
        os.rename(root + "/id/root.new", root + "/id/root")


def board(blocks=28):
    data = faults.blank(blocks)
    faults.powered(data, AT, _ready)
    return data


def _due(root):
    state = 0
    if keys.enrolled(root):
        state = store.load(keys.record_key(keys.root(root)), root).state
    return wipe.due(state, root)


def _begin(root):
    """As `erase.begin`, without its reset."""
    key = keys.record_key(keys.root(root))
    now = store.load(key, root)
    now.state = record.RETIRING
    store.save(now, key, root)


def what_a_dump_shows():
    """Before: what key source `flash` gives away, by name."""
    return found(board())


def removing_is_not_erasing():
    """Files removed, nothing overwritten: what a naive retirement leaves behind."""
    data = board()

    def naive(root):
        wipe._remove(root + "/id")
        wipe._remove(root + "/vault")

    faults.powered(data, AT, naive)
    return found(data)


def scrubbed():
    """Without a block device: -> [canaries left, files left]."""
    data = board()
    faults.powered(data, AT, _begin)

    def run(root):
        need(_due(root), "due")
        wipe.run(_nothing, None, root)
        return sorted(os.listdir(root)), sorted(os.listdir(root + "/rec"))

    left = faults.powered(data, AT, run)[0]
    return [found(data), left]


def _nothing():
    pass


def cuts(step, modes):
    """Cut anywhere from the record's change on: a remount is due again or shows no canary. -> n"""
    sought = canaries()
    data = board()
    count = 0

    def run(root):
        _begin(root)
        wipe.run(_nothing, None, root)

    for mode in modes:
        at = 1
        while True:
            flash = bytearray(data)
            if not faults.powered(flash, AT, run, at, mode)[1]:
                need(not found(flash, sought), "uncut: %r" % found(flash, sought))
                break
            count += 1
            faults.powered(flash, AT, _finish)
            need(not found(flash, sought), "%s %d: %r" % (mode, at, found(flash, sought)))
            at += step
    return count


def _finish(root):
    """What the next boot does: not yet retiring -> the order is carried out; else it goes on."""
    if not _due(root):
        _begin(root)
    need(_due(root), "due after a cut")
    wipe.run(_nothing, None, root)


def raw():
    """With the block device: -> [bytes that are not erased, times that feed was called]."""
    data = board()
    fed = []
    flash = faults.Flash(data)

    def run(root):
        wipe.run(lambda: fed.append(1), flash, root)

    faults.powered(data, AT, run)
    return [sum(1 for byte in data if byte != 0xFF), len(fed)]


def raw_cuts(step):
    """Cut in the last phase: no canary is there any more, whatever still mounts. -> cuts"""
    sought = canaries()
    data = board()
    faults.powered(data, AT, _begin)
    faults.powered(data, AT, lambda root: wipe.run(_nothing, None, root))
    blocks = len(data) // faults.BLOCK
    for last in range(blocks, 0, -step):
        flash = bytearray(data)
        flash[last * faults.BLOCK :] = b"\xff" * ((blocks - last) * faults.BLOCK)
        need(not found(flash, sought), "after block %d" % last)
    return blocks


class _Agent:
    """What `erase` asks of an agent."""

    def __init__(self, waiting=2, trial=False):
        self.info = {"trial": trial}
        self.duties = []
        self.events = []
        self.now = 0
        self.waiting = waiting
        self.outbox = self

    def uptime(self):
        return self.now

    def pending(self):
        return self.waiting

    def event(self, name, reason=""):
        self.events.append(name)


def orders():
    """The image's part: -> [refused on trial, looks before the erase began, resumed]."""
    begun = []
    erase.begin = lambda: begun.append(1)
    erase.INTENT = "retire.intent"
    out = []
    try:
        erase.intend(_Agent(trial=True))
    except Exception as e:
        out.append([type(e).__name__, str(e)])
    agent = _Agent()
    erase.intend(agent)
    looks = []
    for now, waiting in ((0, 0), (2999, 0), (3000, 2), (9000, 1), (9500, 0)):
        agent.now, agent.waiting = now, waiting
        agent.duties[0]()
        looks.append(len(begun))
    again = _Agent()
    erase.resume(again)
    os.remove("retire.intent")
    out += [looks, agent.events + again.events, len(again.duties)]
    return out
