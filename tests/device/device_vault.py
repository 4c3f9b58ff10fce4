"""Random histories of the vault against plain models, run on CPython and MicroPython.

Each function raises when the vault differs from its model; what it returns is JSON.
"""

import os
import random

from uward.errors import KeyRefused, LimitError, ProtocolError, VaultFull, VaultTampered
from uward.vault import kept
from uward.vault.audit import Audit
from uward.vault.journal import Journal
from uward.vault.packs import Entry
from uward.vault.queue import Queue
from uward.vault.store import Store

KEY = bytes(range(32))
REFUSALS = (KeyError, KeyRefused, LimitError, ProtocolError, VaultFull, VaultTampered)


def need(condition, what):
    if not condition:
        raise ValueError(what)


def noise(n):
    return bytes(random.getrandbits(8) for _ in range(n))


def below(n):
    return random.getrandbits(20) % n


def refusal(call, *arguments):
    """-> [class, message] of what `call` is refused with, or what it returned."""
    try:
        return call(*arguments)
    except REFUSALS as e:
        return [type(e).__name__, str(e)]


class Told:
    """Collects reports."""

    def __init__(self):
        self.all = []

    def __call__(self, event, index, lost, reason):
        self.all.append([event, index, lost, reason])


# Store


def store_history(folder, seed, steps, bits):
    """-> [names left, segments, reports] after random sets, deletes, updates and mounts."""
    random.seed(seed)
    told = Told()
    store = Store(folder, KEY, "settings", told, bits, True)
    model = {}
    for step in range(steps):
        kind = below(20)
        name = "name-%d" % below(40)
        if kind < 12:
            value = noise(below(60)) if kind else noise(900)
            store.set(name, value)
            model[name] = value
        elif kind < 15:
            values = {"name-%d" % below(40): below(999) for _ in range(3)}
            gone = () if name in values or name not in model else (name,)
            store.update(values, gone)
            model.update(values)
            for each in gone:
                del model[each]
        elif kind < 17 and name in model:
            store.delete(name)
            del model[name]
        elif kind < 19:
            need(store.get(name, "none") == model.get(name, "none"), "get at %d" % step)
            need((name in store) == (name in model), "in at %d" % step)
        elif kind == 19:
            store = Store(folder, KEY, "settings", told, bits)
            need(dict(store.items()) == model, "mount at %d" % step)
            need(len(store) == len(model), "len at %d" % step)
    need(store.verify(), "verify")
    return [len(model), store._journal.segments, told.all]


def store_values(folder):
    """Every kind of value comes back. -> how many."""
    values = [None, True, -5, 1 << 40, 1.5, "text", b"bytes", [1, [2]], {"a": {1: b"x"}}, []]
    store = Store(folder, KEY, create=True)
    for i in range(len(values)):
        store.set("v%d" % i, values[i])
    store = Store(folder, KEY)
    for i in range(len(values)):
        need(store.get("v%d" % i) == values[i], "value %d" % i)
    return len(values)


def store_refusals(folder):
    store = Store(folder, KEY, create=True)
    store.update({"n%d" % i: i for i in range(200)})
    store.update({"m%d" % i: i for i in range(56)})
    before = dict(store.items())
    out = [
        refusal(store.set, "x" * 49, 1),
        refusal(store.set, "", 1),
        refusal(store.set, b"bytes", 1),
        refusal(store.set, "one more", 1),
        refusal(store.set, "n1", bytes(4090)),
        refusal(store.delete, "nobody"),
        refusal(Store, folder, bytes(32)),
        refusal(Store, folder, KEY, "another name"),
        refusal(Store, folder, KEY, "x" * 33),
    ]
    need(dict(Store(folder, KEY).items()) == before, "a refusal changed something")
    return out


def store_full(folder):
    """Set until it is full. -> [refusal, names, refused again, room after one was deleted]."""
    store = Store(folder, KEY, create=True)
    count = 0
    refused = None
    while refused is None:
        refused = refusal(store.set, "n%d" % count, bytes(1000))
        count += refused is None
    again = refusal(store.set, "n0", b"")
    need(len(Store(folder, KEY)) == count, "all that was set is there")
    for i in range(8):
        store.delete("n%d" % i)
    return [refused, count, again, refusal(store.set, "n0", b"")]


# Queue


def queue_history(folder, seed, steps, capacity):
    """-> [packs appended, sent, dropped, segments, reports that are no overflow]."""
    random.seed(seed)
    told = Told()
    queue = Queue(folder, KEY, report=told, create=True, capacity=capacity)
    model = QueueModel()
    for _ in range(steps):
        kind = below(20)
        if kind < 12:
            model.append(queue)
        elif kind < 15:
            model.send(queue, 1 + below(6))
        elif kind < 17 and model.sealed:
            low = queue.acknowledged
            queue.acknowledge(low + below(max(model.sealed) - low + 1))
        elif kind == 17:
            acknowledged, pending = queue.acknowledged, queue.pending()
            queue = Queue(folder, KEY, report=told, capacity=capacity)
            need(queue.acknowledged == acknowledged, "acknowledged survives")
            need(queue.pending() == pending, "pending survives")
        elif kind == 18:
            queue.rewind(max(queue.oldest - 1, queue.acknowledged - below(10)))
    while model.send(queue, 8):
        queue.acknowledge(max(model.sealed))
    model.check(queue)
    need(queue.verify(), "verify")
    reports = [each for each in told.all if each[0] != "out.dropped"]
    return [model.count, len(model.sealed), queue.dropped, queue._journal.segments, reports]


class QueueModel:
    """What was appended, and which bytes each number was sealed with."""

    def __init__(self):
        self.count = 0
        self.critical = []
        self.sealed = {}

    def append(self, queue):
        critical = below(10) == 0
        if queue.append("tele", self.count, noise(below(120)), critical) and critical:
            self.critical.append(self.count)
        self.count += 1

    def send(self, queue, most):
        entries = queue.batch(most)
        for entry in entries:
            text = b"sealed %d" % entry.when
            if entry.sealed is None:
                need(entry.sequence not in self.sealed, "number %d twice" % entry.sequence)
                queue.seal(entry, text)
                self.sealed[entry.sequence] = text
            need(entry.sealed == self.sealed[entry.sequence], "the same bytes again")
        return len(entries)

    def check(self, queue):
        need(sorted(self.sealed) == list(range(1, len(self.sealed) + 1)), "no gap")
        sent = list(self.sealed.values())
        need(len(set(sent)) == len(sent), "no pack twice")
        need(all(b"sealed %d" % n in sent for n in self.critical), "no critical pack lost")
        need(len(sent) + queue.dropped == self.count, "what is lost is counted")
        need(queue.pending() == 0, "nothing is left")


def queue_in_order(folder, count):
    """Packs come in the order of their appends. -> [[sequence, when, body], ...]"""
    queue = Queue(folder, KEY, create=True)
    for i in range(count):
        queue.append("event", i, b"%d" % i)
    out = []
    queue = Queue(folder, KEY)
    while True:
        entries = queue.batch(3)
        if not entries:
            return out
        for entry in entries:
            out.append([entry.sequence, entry.when, entry.body.decode()])
            queue.seal(entry, b"s")
        queue.acknowledge(entries[-1].sequence)


def queue_replays(folder, capacity):
    """Filled to its bound, then sent while a third as much comes anew.

    -> [appended, sent, dropped, most segments]"""
    queue = Queue(folder, KEY, create=True, capacity=capacity)
    count = most = 0
    while queue._journal.segments < 3 or queue._journal.room(400):
        queue.append("tele", count, bytes(140))
        count += 1
    whens = []
    full = count
    while True:
        entries = queue.batch(8)
        if not entries:
            return [count, len(whens), queue.dropped, most]
        for entry in entries:
            queue.seal(entry, bytes(260))
            whens.append(entry.when)
            if len(whens) % 3 == 0 and count < 2 * full:
                need(queue.append("tele", count, bytes(140)), "taken while it is sent")
                count += 1
        need(whens == list(range(len(whens))), "in order")
        most = max(most, queue._journal.segments)
        queue.acknowledge(entries[-1].sequence)


def queue_adopts(folder):
    """A stream that was elsewhere goes on here. -> [what was sent], [refusals]."""
    queue = Queue(folder, KEY, create=True)
    queue.append("tele", 0, b"old")
    sent = []
    _send(queue, "old", sent)
    kept.adopt(queue, b"n" * 16, 7)
    for sequence in (8, 9):
        entry = Entry("tele", sequence, b"", False)
        entry.sequence, entry.sealed = sequence, b"was %d" % sequence
        queue.adopt_sealed(entry)
    need(queue.pending() == 2 and queue.oldest == 8, "two wait")
    refusals = [refusal(kept.adopt, queue, b"o" * 16, 9), refusal(queue.adopt_sealed, entry)]
    queue = Queue(folder, KEY)
    need(queue.stream == b"n" * 16 and queue.pending() == 2, "two wait after a reboot")
    queue.append("tele", 10, b"")
    _send(queue, "new", sent)
    queue = Queue(folder, KEY)
    need(queue.acknowledged == queue.sent == 10 and not queue.pending(), "nothing waits")
    return [sent, refusals]


def _send(queue, name, sent):
    for entry in queue.batch(8):
        if entry.sealed is None:
            queue.seal(entry, b"s %d" % entry.sequence)
        sent.append(["%s %d" % (name, entry.sequence), entry.sequence, entry.sealed.decode()])
    queue.acknowledge(entry.sequence)


def queue_refuses(folder, capacity):
    """Policy "refuse", all critical, and numbers out of turn. -> refusals and counts."""
    told = Told()
    queue = Queue(folder, KEY, report=told, create=True, capacity=capacity, drop=False)
    kept = 0
    while queue.append("tele", kept, bytes(500)):
        kept += 1
    need(queue.pending() == kept, "all that was taken is there")
    entries = queue.batch(4)
    out = [refusal(queue.seal, entries[1], b"out of turn"), refusal(queue.acknowledge, 1)]
    for entry in entries:
        queue.seal(entry, b"sealed")
    out.append(refusal(queue.seal, entries[0], b"again"))
    out.append(refusal(queue.acknowledge, 5))
    out.append(refusal(queue.rewind, 5))
    return [out, kept, queue.dropped, told.all[-1]]


def queue_full_of_critical(folder, capacity):
    """-> [taken, refused, sent] when every pack is critical."""
    queue = Queue(folder, KEY, create=True, capacity=capacity)
    taken = refused = 0
    for i in range(capacity // 200):
        if queue.append("event", i, bytes(300), True):
            taken += 1
        else:
            refused += 1
    model = QueueModel()
    while model.send(queue, 8):
        queue.acknowledge(max(model.sealed))
    return [taken, refused, len(model.sealed)]


# Audit


def wrap(start):
    return b"wrapped" + start


def audit_log(folder, events, boots):
    """-> [entries as [number, kind, hex], head, reports]: `events` in each of `boots` boots."""
    told = Told()
    for boot in range(boots):
        audit = Audit(folder, KEY, wrap, report=told, create=boot == 0)
        for i in range(events):
            audit.append(["tls.reject", "peer %d" % i, boot])
    audit = Audit(folder, KEY, wrap, report=told)
    need(audit.verify(), "verify")
    entries = [[number, kind, payload.hex()] for number, kind, payload in audit.entries()]
    return [entries, audit.head.hex(), told.all]


def fill(audit):
    audit.append(bytes(200))


def audit_makes_way(folder, capacity):
    """Until it is full; what is witnessed makes way. -> refusals, numbers kept, reports."""
    told = Told()
    audit = Audit(folder, KEY, wrap, report=told, create=True, capacity=capacity)
    out = []
    for _ in range(2):
        refused = None
        while refused is None:
            refused = refusal(fill, audit)
        out.append(refused)
        full = audit.count
        heads = audit.head
        out.append(refusal(audit.witness, full + 1, heads))
        out.append(refusal(audit.witness, full, bytes(32)))
        audit.witness(full, heads)
        audit = Audit(folder, KEY, wrap, report=told, capacity=capacity)
        need((audit.count, audit.head, audit.witnessed) == (full, heads, full), "state survives")
        for _ in range(30):
            audit.append("more")
        numbers = [number for number, _, _ in audit.entries()]
        need(numbers == list(range(numbers[0], audit.count + 1)), "numbers go on")
        out.append(numbers[0] > 1)
    return [out, [each[0] for each in told.all]]


# Journal


class Client:
    """Keeps what it is told."""

    def snapshot(self):
        return b""

    def restore(self, snapshot):
        self.seen = []

    def replay(self, index, kind, payload):
        self.seen.append([index, kind, payload])


def journal_refusals(folder):
    client = Client()
    empty = Journal(folder, KEY, "log", client)
    os.mkdir(folder)
    os.mkdir(folder + "/t")
    out = [refusal(empty.mount)]
    empty.mount(True)
    out.append(refusal(empty.append, 2, bytes(4097)))
    index = empty.append(2, bytes(4096))
    need(empty.read(index) == (2, bytes(4096)), "the largest record")
    out.append(refusal(empty.read, index + 1))
    out.append(refusal(Journal(folder, bytes(32), "log", client).mount))
    out.append(refusal(Journal(folder, KEY, "lag", client).mount))
    out.append(refusal(Journal(folder, KEY, "log", client, bits=256).mount))
    return out


def journal_among_strangers(folder, count):
    """A folder full of other people's files. -> [records read, reports]."""
    told = Told()
    journal = Journal(folder, KEY, "log", Client(), told)
    journal.mount(True)
    for name in ["README", "0", "007", "1x", "-1", "t/x", "t/99", "1234567890123"]:
        with open(folder + "/" + name, "wb") as f:
            f.write(b"what is this")
    with open(folder + "/8", "wb") as f:
        f.write(b"")  # an empty file is absent
    for i in range(count):
        journal.append(2, b"%d" % i)
    journal = Journal(folder, KEY, "log", Client(), told)
    journal.mount()
    need([int(p) for _, _, p in journal.records()] == list(range(count)), "records")
    return [journal.verify(), told.all]
