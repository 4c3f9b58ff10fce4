"""Scenarios for `faults`: the vault over VfsLfs2 on MicroPython, cut at every flash operation."""

import os

import faults
from uward import limits
from uward.errors import VaultFull
from uward.vault.audit import Audit
from uward.vault.queue import Queue
from uward.vault.store import Store

limits.VAULT_SEGMENT = 2000
limits.VAULT_TAILS = 4
limits.STORE_SEGMENTS = 2
KEY = bytes(range(32))
AT = "/board"


def told(*what):
    raise ValueError("a cut was reported as %r" % (what,))


def need(condition, what):
    if not condition:
        raise ValueError("after a cut: " + what)


def store(root, create=False):
    return Store(root + "/v", KEY, report=told, create=create)


def queue(root, create=False):
    return Queue(root + "/q", KEY, create=create, capacity=6000)


class Setting:
    """One set: what the store may hold when it is cut."""

    def __init__(self, model, name, value):
        self.before = dict(model)
        self.name, self.value = name, value
        model[name] = value
        self.after = dict(model)

    def run(self, root):
        store(root).set(self.name, self.value)

    def check(self, root, done):
        state = dict(store(root).items())
        need(state == self.after or (state == self.before and not done), "the store")


def settings(steps):
    """Sets of the store through rotation and cleaning. -> cuts"""
    data = faults.blank(48)
    faults.powered(data, AT, lambda root: store(root, True))
    model = {}
    cuts = 0
    for step in range(steps):
        one = Setting(model, "name%d" % (step % 5), bytes(60) + bytes((step,)))
        cuts += faults.sweep(data, AT, one.run, one.check, ("torn", "half"))
        faults.powered(data, AT, one.run)
    return cuts


class Sending:
    """One append or seal of an outbox that overflows; `sent`: sealed bytes by number."""

    def __init__(self, sent, step):
        self.sent, self.step = sent, step
        self.sealed = None

    def run(self, root):
        box = queue(root)
        if self.step % 4 < 3:
            box.append("tele", self.step, bytes(250), self.step % 7 == 0)
            return
        entry = box.peek(box.sent)
        if entry is not None:
            self.sealed = (entry.sequence, b"%d" % entry.when)
            box.seal(entry, self.sealed[1])

    def check(self, root, done):
        taken = {}
        for entry in queue(root).batch(8):
            if entry.sealed is not None:
                taken[entry.sequence] = entry.sealed
        for sequence in self.sent:
            need(taken.get(sequence) == self.sent[sequence], "sealed bytes of %d" % sequence)


def packs(steps):
    """Appends and seals of the outbox while it overflows. -> [cuts, packs sealed]"""
    data = faults.blank(48)
    faults.powered(data, AT, lambda root: queue(root, True))
    sent = {}
    cuts = 0
    for step in range(steps):
        one = Sending(sent, step)
        cuts += faults.sweep(data, AT, one.run, one.check, ("torn", "after"))
        one.sealed = None
        faults.powered(data, AT, one.run)
        if one.sealed:
            sent[one.sealed[0]] = one.sealed[1]
    return [cuts, len(sent)]


def full_flash(blocks):
    """A flash that others fill up to the last block. -> [taken before, refusals, taken after]."""
    data = faults.blank(blocks)
    return faults.powered(data, AT, _full_flash)[0]


def _full_flash(root):
    box = store(root, True)
    box.set("first", 1)
    with open(root + "/stranger", "wb") as f:
        _fill(f, root)
    taken = refused = 0
    model = {"first": 1}
    for i in range(200):
        try:
            box.set("n%d" % (i % 20), bytes(100) + bytes((i,)))
            model["n%d" % (i % 20)] = bytes(100) + bytes((i,))
            taken += 1
        except VaultFull:
            refused += 1
    need(dict(box.items()) == model, "all that was taken, while it is full")
    need(dict(store(root).items()) == model, "all that was taken, mounted while it is full")
    os.remove(root + "/stranger")
    box.set("last", 2)
    model["last"] = 2
    need(dict(store(root).items()) == model, "all, with room again")
    need(box.verify(), "verify")
    return [taken, refused]


def _fill(f, root):
    try:
        while os.statvfs(root)[3] > 0:
            f.write(bytes(4096))
            f.flush()
    except OSError as e:
        need(e.args[0] == 28, "no space is what is refused")


def log(events):
    """An audit log on flash. -> its count."""
    data = faults.blank(48)

    def scenario(root):
        audit = Audit(root + "/a", KEY, lambda key: key, report=told, create=True)
        for i in range(events):
            audit.append(["event", i])
        return audit.count

    return faults.powered(data, AT, scenario)[0]
