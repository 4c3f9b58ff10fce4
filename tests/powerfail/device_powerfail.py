"""Scenarios for `faults`: what each leaves behind is old or new, never neither."""

import os

import faults
from uward.boot import record, slots, store
from uward.crypto.hash import sha256
from uward.trust import decide, suit
from uward.update import install
from uward.vault import sealed

KEY = bytes(32)
ROOT = bytes(range(32))
AT = "/board"


def _ready(root):
    for name in ("/slot", "/rec", "/id"):
        os.mkdir(root + name)
    made = record.Record(record.LOCKED, 1, bytes(32))
    made.owned[0] = made.confirmed[0] = True
    made.slots[0] = (b"\x01" * 16, b"\x01" * 16, 1, bytes(16))
    store.create(made, KEY, root)
    sealed.write(ROOT, "/id/net", b"old", root)


def _flash():
    data = faults.blank(40)
    faults.powered(data, AT, _ready)
    return data


def _need(condition, what):
    if not condition:
        raise ValueError("after a cut: " + what)


def record_saves(faulty=False):
    """Trial counted, confirmed: each save is old or new. -> cuts."""
    before = _flash()

    def begin(root):
        found = store.load(KEY, root)
        slots.installed(found, 1, b"\x02" * 32, b"\x02" * 16)
        store.save(found, KEY, root)

    faults.powered(before, AT, begin)

    def overwrite(found, root):
        for copy in ("/rec/0", "/rec/1"):  # what S3 rules out: both copies, one after the other
            with open(root + copy, "wb") as f:
                f.write(b"")
            with open(root + copy, "wb") as f:
                f.write(record.pack(found, KEY))

    def scenario(root):
        for _ in range(3):
            found = store.load(KEY, root)
            slots.hand_over(found, 1)
            if faulty:
                overwrite(found, root)
                found.copy = 0
            else:
                store.save(found, KEY, root)
        for floor in range(1, 10):
            found = store.load(KEY, root)
            slots.confirm(found, floor, 2)
            store.save(found, KEY, root)

    def check(root, done):
        found = store.load(KEY, root)
        _need(found.owned == [True, True], "both slots owned")
        _need(0 <= found.tries <= 3, "tries in range")
        _need((found.floor > 0) == found.confirmed[1], "floor with the confirmation")
        if done:
            _need(found.confirmed == [True, True] and found.floor == 9, "confirmed")

    return faults.sweep(before, AT, scenario, check)


def sealed_writes():
    """A sealed file replaced: the old or the new plaintext. -> cuts."""

    def scenario(root):
        sealed.write(ROOT, "/id/net", b"new" * 100, root)

    def check(root, done):
        got = sealed.read(ROOT, "/id/net", root)
        _need(got == b"new" * 100 or (got == b"old" and not done), "old or new")

    return faults.sweep(_flash(), AT, scenario, check)


def _judged(envelope, vendor, klass):
    parsed = suit.parse(bytes.fromhex(envelope))
    identity = decide.Identity(bytes.fromhex(vendor), bytes.fromhex(klass))
    return parsed, decide.install(parsed, identity)


def erased(envelope, payload, vendor, klass):
    """Blocks erased while an image comes, as the slot's writer flushes it and every 16 KB."""
    data, content = bytes.fromhex(envelope), bytes.fromhex(payload)
    judged = _judged(envelope, vendor, klass)
    counts = []

    def take(write):
        counts.append(0)
        for at in range(0, len(content), 4096):
            write(content[at : at + 4096])

    def run(root, flash):
        change = flash._change

        def counted(start, wanted, erase):
            if counts:
                counts[-1] += erase
            change(start, wanted, erase)

        flash._change = counted
        writer = install.SlotWriter(data, judged, store.load(KEY, root), KEY, 0, None, root)
        take(lambda block: writer.write(writer.next, block))
        writer.close()
        with open(root + "/slot/b.img", "wb") as f:

            def write(block):
                f.write(block)
                if not f.tell() % 16384:
                    f.flush()

            take(write)

    faults.powered(_flash(), AT, run, hand=True)
    return counts


def installs(envelope, payload, vendor, klass, step):
    """A whole install: a stays, b is nothing or whole, and it can be finished. -> cuts."""
    data = bytes.fromhex(envelope)
    content = bytes.fromhex(payload)
    judged = _judged(envelope, vendor, klass)

    def scenario(root):
        found = store.load(KEY, root)
        if found.owned[1]:
            return
        writer = install.SlotWriter(data, judged, found, KEY, 0, None, root)
        for index in range(writer.next, writer.blocks):
            writer.write(index, content[index * 4096 : index * 4096 + 4096])
        writer.finish()

    def whole(root):
        with open(root + "/slot/b.img", "rb") as f:
            image = sha256(f.read())
        with open(root + "/slot/b.suit", "rb") as f:
            return image == judged[1].digest and f.read() == data

    def check(root, done):
        found = store.load(KEY, root)
        _need(found.owned[0] and found.confirmed[0], "slot a is kept")
        if found.owned[1] or done:
            _need(found.active == 1 and found.tries == 3, "a trial")
            _need(whole(root), "slot b is whole")
        else:
            _need(slots.candidates(found) == [0, slots.RECOVERY], "slot a runs")
        scenario(root)
        _need(store.load(KEY, root).owned[1] and whole(root), "it can be finished")

    return faults.sweep(_flash(), AT, scenario, check, step=step)
