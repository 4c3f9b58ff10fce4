"""Install on the device: judged releases, and payloads written block by block."""

import os

from uward.boot import record, slots, store
from uward.errors import UpdateRefused
from uward.trust import anchors, decide, suit
from uward.update import install, starts

KEY = bytes(32)


def board(state):
    """A record from {active, tries, floor, sequence, slots, owned, confirmed, failed}."""
    made = record.Record(record.LOCKED, state.get("trust", 1), bytes(32))
    made.active = state.get("active", 0)
    made.tries = state.get("tries", 0)
    made.floor = state.get("floor", 1)
    made.sequence = state.get("sequence", 1)
    made.owned = state.get("owned", [True, False])
    made.confirmed = state.get("confirmed", [True, False])
    for i, digest in enumerate(state.get("slots", [])):
        made.slots[i] = (bytes.fromhex(digest)[:16], bytes(16), 1, bytes(16))
    for i, digest in enumerate(state.get("failed", [])):
        made.failed[i] = bytes.fromhex(digest)
    return made


def judge(envelope, document, ids, state):
    device = install.device_identifier(ids[1], ids[2]) if ids[2] else None
    identity = decide.Identity(ids[0], ids[1], device, ids[3])
    running = state.get("running", 0)
    return install.judge(envelope, document, identity, board(state), running)


def judge_all(cases, document, vendor, klass, device, now):
    """[[envelope hex, {options}, {record}]] -> [event, message] or ["", version]."""
    ids = [bytes.fromhex(vendor), bytes.fromhex(klass), device, now]
    out = []
    for envelope, options, state in cases:
        who = (ids[0], ids[1], options.get("device", device), options.get("now", now))
        trusted = anchors.parse(bytes.fromhex(options.get("document", document)))
        try:
            plan = judge(bytes.fromhex(envelope), trusted, who, state)[1]
            out.append(["", plan.version])
        except UpdateRefused as e:
            out.append([e.event, str(e)])
    return out


def identifier(klass, device):
    return install.device_identifier(bytes.fromhex(klass), device).hex()


class Site:
    """A board's folders under `root`, and what a release for it is."""

    def __init__(self, root, envelope, document, ids):
        self.root = root
        self.data = bytes.fromhex(envelope)
        self.document = anchors.parse(bytes.fromhex(document))
        self.ids = [bytes.fromhex(ids[0]), bytes.fromhex(ids[1]), ids[2], ids[3]]

    def digest(self):
        return suit.parse(self.data).digest

    def open(self, keks=None):
        """Load the record, judge, and open the writer, as an agent does after each reset."""
        found = store.load(KEY, self.root)
        identity = decide.Identity(
            self.ids[0],
            self.ids[1],
            install.device_identifier(self.ids[1], self.ids[2]),
            self.ids[3],
        )
        judged = install.judge(self.data, self.document, identity, found, 0)
        self.plan = judged[1]
        keks = keks and {bytes.fromhex(kid): bytes.fromhex(kek) for kid, kek in keks}
        return install.SlotWriter(self.data, judged, found, KEY, 0, keks, self.root)


def prepare(root):
    for name in ("/slot", "/rec"):
        try:
            os.mkdir(root + name)
        except OSError:
            pass
    try:
        os.remove(root + starts.PATH)
    except OSError:
        pass
    store.create(board({}), KEY, root)


def write_all(root, envelope, document, ids, payload, keks, resets):
    """Write a payload, with a reset (a new writer) before each block in `resets`; finish.

    -> [starts of each writer, refusal or "", active, tries, owned, file in hex, files left].
    """
    prepare(root)
    site = Site(root, envelope, document, ids)
    data = bytes.fromhex(payload)
    writer = site.open(keks)
    starts = [writer.next]
    refusal = ""
    try:
        for index in range(writer.blocks):
            if index in resets:
                writer.close()
                writer = site.open(keks)
                starts.append(writer.next)
            writer.write(index, data[index * 4096 : index * 4096 + 4096])
        writer.finish()
    except UpdateRefused as e:
        refusal = "%s: %s" % (e.event, e)
    found = store.load(KEY, root)
    with open(root + "/slot/b.img", "rb") as f:
        image = f.read().hex()
    left = sorted(os.listdir(root + "/slot"))
    return [starts, refusal, found.active, found.tries, found.owned, image, left]


def refused_blocks(root, envelope, document, ids, blocks):
    """[[index, hex]] -> refusals; nothing of a refused block is written."""
    prepare(root)
    writer = Site(root, envelope, document, ids).open()
    out = []
    for index, data in blocks:
        try:
            writer.write(index, bytes.fromhex(data))
            out.append("")
        except UpdateRefused as e:
            out.append("%s: %s" % (e.event, e))
    writer.close()
    out.append(os.stat(root + "/slot/b.img")[6])
    return out


def disowned_first(root, envelope, document, ids):
    """-> [owned in the record on flash, size of the old image] when the writer was opened."""
    prepare(root)
    found = store.load(KEY, root)
    found.owned[1] = found.confirmed[1] = True
    store.save(found, KEY, root)
    with open(root + "/slot/b.img", "wb") as f:
        f.write(bytes(8192))
    with open(root + install.DOWNLOAD, "wb") as f:
        f.write(bytes.fromhex(envelope))  # as if it were under way: the record says otherwise
    Site(root, envelope, document, ids).open().close()
    return [store.load(KEY, root).owned, os.stat(root + "/slot/b.img")[6]]


def finished_early(root, envelope, document, ids, payload):
    """Finish after one block. -> [refusal, bytes in the slot, what a new writer wants next]."""
    prepare(root)
    site = Site(root, envelope, document, ids)
    writer = site.open()
    writer.write(0, bytes.fromhex(payload)[:4096])
    try:
        writer.finish()
        refusal = ""
    except UpdateRefused as e:
        refusal = "%s: %s" % (e.event, e)
    size = os.stat(root + "/slot/b.img")[6]
    writer = site.open()
    writer.close()
    return [refusal, size, writer.next]


def pending(root, size):
    """-> bytes that `pending` takes of a file of `size` bytes."""
    prepare(root)
    with open(root + install.DOWNLOAD, "wb") as f:
        f.write(bytes(size))
    return len(install.pending(root))


def ciphers(cases):
    """[[encryption-info hex, {kid: KEK}]] -> refusals."""
    from uward.update import payload

    out = []
    for encryption, keks in cases:
        keks = {bytes.fromhex(kid): bytes.fromhex(keks[kid]) for kid in keks}
        try:
            payload.cipher(bytes.fromhex(encryption), keks)
            out.append("")
        except UpdateRefused as e:
            out.append("%s: %s" % (e.event, e))
    return out


def many_starts(root, envelope, document, ids, times):
    """Cancel and begin again. -> refusals."""
    prepare(root)
    site = Site(root, envelope, document, ids)
    out = []
    for _ in range(times):
        try:
            site.open().cancel()
            out.append("")
        except UpdateRefused as e:
            out.append("%s: %s" % (e.event, e))
    return out


def resume_states(root, envelope, document, ids, payload, image, keks, sizes):
    """File sizes that a cut could leave -> [block that a new writer wants, active slot then]."""
    site = Site(root, envelope, document, ids)
    data, image = bytes.fromhex(payload), bytes.fromhex(image)
    out = []
    for size in sizes:
        prepare(root)
        site.open(keks).close()
        with open(root + "/slot/b.img", "wb") as f:
            f.write((image + b"1")[:size])
        writer = site.open(keks)
        out.append([writer.next])
        for index in range(writer.next, writer.blocks):
            writer.write(index, data[index * 4096 : index * 4096 + 4096])
        writer.finish()
        out[-1].append(store.load(KEY, root).active)
    return out


def many_names(root, envelope, document, ids, others):
    """Begin this manifest, then some others, then this one until it is refused. -> starts left."""
    many_starts(root, envelope, document, ids, 1)
    for i in range(others):
        starts.count(bytes([i]) * 32, root)
    left = 0
    while True:
        try:
            starts.count(Site(root, envelope, document, ids).digest(), root)
        except UpdateRefused:
            return [left, os.stat(root + starts.PATH)[6]]
        left += 1


def interrupted(root, envelope, document, ids, payload, rename):
    """A cut between the last rename and the record; `rename`: another name than the slot's.
    -> [block that a new writer wants, active slot after `finish`, starts that were counted]"""
    prepare(root)
    site = Site(root, envelope, document, ids)
    data = bytes.fromhex(payload)
    writer = site.open()
    for index in range(writer.blocks):
        writer.write(index, data[index * 4096 : index * 4096 + 4096])
    writer.close()
    os.rename(root + install.DOWNLOAD, root + "/slot/" + rename)
    writer = site.open()
    wanted = writer.next
    for index in range(wanted, writer.blocks):
        writer.write(index, data[index * 4096 : index * 4096 + 4096])
    writer.finish()
    with open(root + starts.PATH, "rb") as f:
        return [wanted, store.load(KEY, root).active, f.read()[8]]


def in_trial(root, envelope, document, ids):
    prepare(root)
    found = store.load(KEY, root)
    slots.installed(found, 1, bytes(32), bytes(16))
    store.save(found, KEY, root)
    try:
        Site(root, envelope, document, ids).open()
    except UpdateRefused as e:
        return "%s: %s" % (e.event, e)


def open_refusal(root, envelope, document, ids, keks):
    prepare(root)
    try:
        Site(root, envelope, document, ids).open(keks)
    except UpdateRefused as e:
        return "%s: %s" % (e.event, e)
