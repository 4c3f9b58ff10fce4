"""What is done to the files of store, outbox and audit log is seen: on CPython and MicroPython.

A case makes a vault, changes its files, and mounts it; what differs from the expected event, index
or loss is returned as text.
"""

import os
from struct import unpack

from uward import limits
from uward.errors import ProtocolError, VaultRestored, VaultTampered
from uward.vault.audit import Audit
from uward.vault.queue import Queue
from uward.vault.store import Store

KEY = bytes(range(32))
OTHER = bytes(32)
MARK = 120
FRAME = 20
RECORDS = 200


def small(scenario):
    """Segments of 2,600 bytes, as many as come, while the scenario runs."""

    def run(*arguments):
        before = limits.VAULT_SEGMENT, limits.STORE_SEGMENTS
        limits.VAULT_SEGMENT, limits.STORE_SEGMENTS = 2600, 99
        try:
            return scenario(*arguments)
        finally:
            limits.VAULT_SEGMENT, limits.STORE_SEGMENTS = before

    return run


class Told:
    """Collects reports."""

    def __init__(self):
        self.all = []

    def __call__(self, event, index, lost, reason):
        self.all.append((event, index, lost, reason))

    def indexes(self):
        return sorted({index for _, index, _, _ in self.all})

    def events(self):
        return {event for event, _, _, _ in self.all}


class Values:
    """A store: 200 values, each in a record of its own."""

    event = "store.tamper"

    def make(self, folder):
        store = Store(folder, KEY, create=True)
        for i in range(RECORDS):
            if i == RECORDS // 2:
                store = Store(folder, KEY)  # another run inside a segment
            store.set("n%d" % i, i)
        return store

    def open(self, folder, told, key=KEY):
        return Store(folder, key, report=told)

    def content(self, store):
        return [value for _, value in sorted(store.items(), key=lambda pair: pair[1])]

    def go_on(self, store):
        store.set("after", RECORDS)


class Packs:
    """An outbox: 160 packs, of which 16 are sealed and 10 acknowledged."""

    event = "store.tamper"

    def make(self, folder):
        queue = Queue(folder, KEY, create=True)
        for i in range(160):
            queue.append("tele", i, b"pack %d" % i)
        for number in (8, 10):
            for entry in queue.batch(8):
                if entry.sealed is None:
                    queue.seal(entry, b"%d" % entry.when)
            queue.acknowledge(number)
        return queue

    def open(self, folder, told, key=KEY):
        return Queue(folder, key, report=told)

    def content(self, queue):
        """Times of all packs that are still sent; those that are sealed have their old bytes."""
        found = []
        while True:
            entries = queue.batch(8)
            if not entries:
                return sorted(set(found))
            for entry in entries:
                if entry.sealed is None:
                    queue.seal(entry, b"%d" % entry.when)
                found.append(int(entry.sealed))
            queue.acknowledge(entries[-1].sequence)

    def go_on(self, queue):
        queue.append("tele", RECORDS, b"after")


class Events:
    """An audit log: 200 entries of two boots."""

    event = "log.tamper"

    def make(self, folder):
        for boot in range(2):
            log = Audit(folder, KEY, bytes, create=boot == 0)
            for i in range(99):
                log.append([boot, i])
        return log

    def open(self, folder, told, key=KEY):
        return Audit(folder, key, bytes, report=told)

    def content(self, log):
        return [payload for _, _, payload in log.entries()]

    def go_on(self, log):
        log.append("after")


HIT = {  # segments whose records may be lost
    "deleted": "2",
    "swapped": "23",
    "replayed": "3",
    "cut out": "2",
    "doubled": "",
    "truncated": "2",
    "torn": "2",
}
KINDS = {"store": Values(), "outbox": Packs(), "audit": Events()}


# Files


def paths(folder):
    """Paths below the folder: segments by number, then tail files by slot."""
    segments = sorted(int(name) for name in os.listdir(folder) if name.isdigit())
    tails = sorted(int(name) for name in os.listdir(folder + "/t"))
    return ["%d" % number for number in segments], ["t/%d" % slot for slot in tails]


def read(folder):
    found = {}
    for group in paths(folder):
        for path in group:
            with open(folder + "/" + path, "rb") as f:
                found[path] = f.read()
    return found


def write(folder, files):
    """Exactly these files."""
    for group in paths(folder):
        for path in group:
            if path not in files:
                os.remove(folder + "/" + path)
    for path in files:
        with open(folder + "/" + path, "wb") as f:
            f.write(files[path])


def records(data):
    """[(offset, end, index)] of a segment's records, as its headers say; marks lie between."""
    found = []
    at = index = 0
    while at + FRAME <= len(data):
        size = unpack(">H", data[at : at + 2])[0]
        if size == 0xFFFF:
            index = unpack(">I", data[at + 8 : at + 12])[0]
            at += MARK
            continue
        found.append((at, at + FRAME + size, index))
        at += FRAME + size
        index += 1
    return found


class Case:
    """One vault, its files as they were, and where each of its records lies."""

    def __init__(self, kind, folder):
        self.kind = KINDS[kind]
        self.folder = folder
        self.made = self.kind.make(folder)
        self.files = read(folder)
        self.whole = self.kind.content(self.kind.open(folder, Told()))
        write(folder, self.files)
        segments, tails = paths(folder)
        self.last = segments[-1]
        self.live = [path for path in tails if self.files[path] not in self.files[self.last]]
        self.spans = {path: records(self.files[path]) for path in segments}
        ends = b"".join([self.files[path] for path in self.live])
        self.spans[self.last] = records(self.files[self.last] + ends)
        self.end = self.spans[self.last][-1][2] + 1

    def place(self, path, at):
        """-> (segment, offset in it) of a byte; None in a tail file that is a copy."""
        if path in self.spans:
            return path, at
        if path not in self.live:
            return None
        before = self.live[: self.live.index(path)]
        return self.last, len(self.files[self.last]) + sum(len(self.files[p]) for p in before) + at

    def record_at(self, path, at):
        """-> (index of the record of that byte, or of the one after the mark; is in a mark)."""
        segment, offset = self.place(path, at)
        for start, end, index in self.spans[segment]:
            if offset < end:
                return index, offset < start
        raise ValueError("no record at %d of %s" % (at, path))

    def look(self, changed, key=KEY):
        """Mount these files -> (reports of mount and verify, content or None for a refusal)."""
        write(self.folder, changed)
        told = Told()
        try:
            vault = self.kind.open(self.folder, told, key)
        except VaultTampered:
            return told, None
        vault.verify()
        reports = Told()
        reports.all = list(told.all)
        content = self.kind.content(vault)
        self.kind.go_on(vault)
        return reports, content


@small
def flips(kind, folder, stride, first):
    """Each `stride`th byte of every file changed, one at a time. -> [how many, complaints]"""
    case = Case(kind, folder)
    complaints = []
    tried = 0
    position = first
    for path in sorted(case.files):
        data = case.files[path]
        while position < len(data):
            changed = bytearray(data)
            changed[position] ^= 1 << position % 8
            told, content = case.look(dict(case.files, **{path: bytes(changed)}))
            wrong = judge(case, path, position, told, content)
            if wrong:
                complaints.append("%s byte %d: %s" % (path, position, wrong))
            tried += 1
            position += stride
        position -= len(data)
    return [tried, complaints]


def judge(case, path, at, told, content):
    """What is wrong with the reports and the content after a flip, "" when all is right."""
    if content is None:
        return "refused as a whole"
    if told.events() != {case.kind.event}:
        return "events %r" % told.events()
    lost = len([one for one in case.whole if one not in content])
    if case.place(path, at) is None:  # a copy: what it says stands in the segment, too
        return "lost %d" % lost if lost else ""
    index, mark = case.record_at(path, at)
    indexes = told.indexes()
    if path == case.last and indexes[-1] == case.end:
        indexes = indexes[:-1]  # a tail file was its copy, and now stands for itself at the end
    if (indexes or [case.end]) != [index]:
        return "indexes %r, expected %d" % (told.indexes(), index)
    return "lost %d" % lost if lost > (not mark) else ""


@small
def moves(kind, folder):
    """Segments deleted, swapped, replayed, spliced, truncated, foreign. -> complaints"""
    case = Case(kind, folder)
    files = case.files
    first = {path: case.spans[path][0][2] for path in case.spans}
    start, end, index = case.spans["2"][5]
    after = case.spans["2"][6][2]
    two = files["2"]
    inside = {
        "deleted": ({p: files[p] for p in files if p != "2"}, first["2"]),
        "swapped": (dict(files, **{"2": files["3"], "3": two}), first["2"]),
        "replayed": (dict(files, **{"3": two}), first["3"]),
        "cut out": (dict(files, **{"2": two[:start] + two[end:]}), index),
        "doubled": (dict(files, **{"2": two[:end] + two[start:]}), after),
        "truncated": (dict(files, **{"2": two[:start]}), index),
        "torn": (dict(files, **{"2": two[: start + 9]}), index),
    }
    complaints = []
    for what in sorted(inside):
        changed, expected = inside[what]
        told, content = case.look(changed)
        if told.events() != {case.kind.event} or told.indexes()[0] != expected:
            complaints.append("%s: %r, expected index %d" % (what, told.all, expected))
        gone = sum(len(case.spans[path]) for path in HIT[what])
        lost = len([one for one in case.whole if one not in (content or [])])
        if lost > gone:
            complaints.append("%s: lost %d, expected <= %d" % (what, lost, gone))
    told, content = case.look(files, OTHER)
    if content is not None:
        complaints.append("another board opened it")
    return complaints


@small
def yesterday(kind, folder):
    """The whole folder of yesterday is back: nothing in it says so, and its witness sees it.
    -> [events, class of the refusal]"""
    case = Case(kind, folder)
    vault = case.kind.open(folder, Told())
    if kind == "outbox":
        for entry in vault.batch(4):
            if entry.sealed is None:
                vault.seal(entry, b"s")
        number, head = seal_more(vault), None
    else:
        case.kind.go_on(vault)
        number, head = vault.count, vault.head
    write(folder, case.files)
    told = Told()
    vault = case.kind.open(folder, told)
    vault.verify()
    try:
        if head:
            vault.witness(number, head)
        else:
            vault.acknowledge(number)
    except (ProtocolError, VaultRestored) as e:
        return [sorted(told.events()), type(e).__name__]
    return [sorted(told.events()), None]


def seal_more(queue):
    """Seal and acknowledge everything -> the last number."""
    while True:
        entries = queue.batch(8)
        if not entries:
            return queue.sent
        for entry in entries:
            if entry.sealed is None:
                queue.seal(entry, b"s")
        queue.acknowledge(entries[-1].sequence)
