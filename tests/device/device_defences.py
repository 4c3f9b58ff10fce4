"""What a board in the field does with what is handed to it: files at absolute paths, as on flash.

Each function first makes `root`, a folder of the host, the root of the file system.
"""

import os
import sys

_MOVED = ("/rec", "/id", "/trust", "/slot")


def at(root):
    """Absolute paths of a board lie under `root` from now on."""
    if sys.implementation.name == "micropython":
        _mount(root)
        return
    import builtins

    def place(path):
        return root + path if isinstance(path, str) and path.startswith(_MOVED) else path

    def moved(call):
        call = getattr(call, "original", call)

        def inner(*arguments, **options):
            return call(*[place(argument) for argument in arguments], **options)

        inner.original = call
        return inner

    builtins.open = moved(builtins.open)
    for name in ("stat", "rename", "remove", "mkdir", "listdir"):
        setattr(os, name, moved(getattr(os, name)))


class _Ram:
    """A block device in RAM, extended interface."""

    def __init__(self, blocks):
        self.data = bytearray(blocks * 512)

    def readblocks(self, number, buffer, offset=0):
        start = number * 512 + offset
        buffer[:] = self.data[start : start + len(buffer)]

    def writeblocks(self, number, buffer, offset=0):
        start = number * 512 + offset
        self.data[start : start + len(buffer)] = buffer

    def ioctl(self, operation, argument):
        return {4: len(self.data) // 512, 5: 512}.get(operation, 0)


def _mount(root):
    """The Unix port: `/` becomes a littlefs with the folder's files; modules stay at /m0, .."""
    import vfs

    device = _Ram(400)
    vfs.VfsLfs2.mkfs(device)
    places = [place for place in sys.path if place.startswith("/")]
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(device), "/")
    vfs.mount(vfs.VfsPosix(root), "/folder")
    for i, place in enumerate(places):
        vfs.mount(vfs.VfsPosix(place), "/m%d" % i)
        sys.path[sys.path.index(place)] = "/m%d" % i
    for folder in os.listdir("/folder"):
        if "/" + folder in _MOVED:
            os.mkdir("/" + folder)
            for name in os.listdir("/folder/" + folder):
                path = "/%s/%s" % (folder, name)
                with open("/folder" + path, "rb") as old, open(path, "wb") as new:
                    new.write(old.read())


def _station(anchors):
    """The real one, as far as `inbox` asks of it, without a board's identity."""
    from uward.link.station import Station

    class Board(Station):
        def __init__(self):
            self.anchors = anchors
            self.revoked = set()
            self.crl = []

    return Board()


class Leaf:
    """The live broker's certificate."""

    def __init__(self, serial, not_before, not_after):
        self.serial = serial
        self.not_before = not_before
        self.not_after = not_after


def told(error):
    return "%s %s: %s" % (type(error).__name__, error.event, error)


def _record():
    from uward.boot import store
    from uward.vault import keys

    return store.load(keys.record_key(keys.root()))


def clock_after(root, now, document):
    """The floor in flash and the board's clock after a document, and the outcome; the floor in
    /id/clock is `now` before."""
    at(root)
    from uward import port
    from uward.codec import cbor
    from uward.errors import UwardError
    from uward.update import rotate
    from uward.vault import keys, sealed

    port.set_time(now)
    secret = keys.root()
    sealed.write(secret, "/id/clock", cbor.encode({1: now, 2: now}))
    try:
        outcome = rotate.accept(bytes.fromhex(document))
    except UwardError as e:
        outcome = told(e)
    return [cbor.decode(sealed.read(secret, "/id/clock"))[1], port.now() - now, outcome]


def trust(root, documents):
    """Hand each document in. -> [[outcome, version in the record], ..], the files, and the
    versions that /id/peer was derived from."""
    at(root)
    from uward.codec import cbor
    from uward.errors import UwardError
    from uward.update import rotate
    from uward.vault import keys, sealed

    out = []
    derived = []
    for data in documents:
        try:
            outcome = rotate.accept(bytes.fromhex(data))
            rotate.finish()
        except UwardError as e:
            outcome = told(e)
        version = _record().trust_version
        out.append([outcome, version])
        if version > 1 and version not in derived:
            derived.append(cbor.decode(sealed.read(keys.root(), "/id/peer"))[2])
    out.append(sorted(os.listdir("/trust")))
    out.append(derived)
    return out


def revocations(root, anchors, lists, serial, start, end, at_time=None):
    """Hand revocation lists over. -> [outcome, serials in force, stale, written] of each, and the
    serials in flash. written: whether /id/crl changed."""
    at(root)
    from uward import port
    from uward.errors import UwardError
    from uward.link import inbox
    from uward.vault import keys

    port.set_time(at_time or (start + end) // 2)
    leaf = Leaf(bytes.fromhex(serial), start, end)
    station = _station([bytes.fromhex(anchor) for anchor in anchors])
    out = []
    before = None
    for data in lists:
        try:
            inbox.crl(station, bytes.fromhex(data), leaf)
            outcome = ""
        except UwardError as e:
            outcome = told(e)
        flash = _bytes("/id/crl") if "crl" in _names("/id") else None
        serials = sorted(serial.hex() for serial in station.revoked)
        out.append([outcome, serials, station.stale(), flash != before])
        before = flash
    kept = _station(station.anchors)
    kept.revoke(kept.lists(keys.root()))
    out.append(sorted(serial.hex() for serial in kept.revoked))
    return out


def shares(root, values):
    """Group KEKs, [kid, KEK] in CBOR as hex. -> refusals, then the kids that are kept."""
    at(root)
    from uward.codec import cbor
    from uward.errors import UwardError
    from uward.link import inbox
    from uward.vault import keys, sealed

    out = []
    for value in values:
        try:
            inbox.share(cbor.decode(bytes.fromhex(value)))
            out.append("")
        except UwardError as e:
            out.append(told(e))
    net = cbor.decode(sealed.read(keys.root(), "/id/net"))
    out.append(sorted(kid.hex() for kid in net.get(6) or {}))
    return out


def derived(root):
    """-> what /id/peer would say, or the refusal."""
    at(root)
    from uward.codec import cbor
    from uward.errors import UwardError
    from uward.link import derive
    from uward.vault import keys, sealed

    secret = keys.root()
    try:
        value = derive.write(secret, cbor.decode(sealed.read(secret, "/id/dev")))
    except UwardError as e:
        return told(e)
    return [value[1].hex(), value[2], value[7].hex()]


def confirmed(root, info):
    """Confirm the trial. -> [floor, sequence, confirmed, tries, owned, sizes of the images]"""
    at(root)
    from uward.update import trial

    trial.confirm(info)
    record = _record()
    sizes = [os.stat("/slot/%s.img" % name)[6] for name in "ab"]
    return [record.floor, record.sequence, record.confirmed, record.tries, record.owned, sizes]


def dropped(root):
    """Give up a revoked fallback. -> [whether, owned, sizes of the images]"""
    at(root)
    from uward.update import fallback

    found = fallback.drop_revoked()
    sizes = [os.stat("/slot/%s.img" % name)[6] for name in "ab"]
    return [found, _record().owned, sizes]


def reverted(root, times):
    """-> what is told of a failed trial, each time that it is asked."""
    at(root)
    from uward.update import trial

    out = []
    for _ in range(times):
        payload = trial.reverted()
        out.append(payload.hex() if payload else None)
    return out


def enrolment(root, info, secret, steps):
    """Steps of the factory console: [name, arguments ..]; bytes are hex.

    secret: both private keys that the board makes.
    -> [outcome or refusal, files in /id] of each, then the root secret and the record's copies.
    """
    at(root)
    from uward import enrol
    from uward.boot import handover
    from uward.errors import UwardError

    secret = bytes.fromhex(secret)
    pair = secret, enrol.p256.public_key(secret)
    kept, enrol.p256.keygen = enrol.p256.keygen, lambda rng: pair
    handover.info.clear()
    for name in info:
        value = info[name]
        binary = name in ("manifest", "vendor", "class", "fleet")
        handover.info[name] = bytes.fromhex(value) if binary else value
    out = []
    for step in steps:
        try:
            outcome = _enrol(enrol, handover, *step)
        except UwardError as e:
            outcome = told(e)
        except OSError:
            outcome = "OSError"
        out.append([outcome, _names("/id")])
    enrol.p256.keygen = kept
    handover.info.clear()
    out.append([_bytes(path).hex() for path in ("/id/root", "/rec/0", "/rec/1")])
    return out


def _bytes(path):
    with open(path, "rb") as f:
        return f.read()


def _enrol(enrol, handover, name, *arguments):
    if name == "state":
        handover.info["state"] = arguments[0]
    elif name == "booted":
        handover.info["manifest"] = bytes.fromhex(arguments[0])
    elif name == "request":
        nonce, entropy, device = arguments
        return enrol.request(bytes.fromhex(nonce), bytes.fromhex(entropy), device).hex()
    elif name == "accept":
        enrol.accept(bytes.fromhex(arguments[0]))
    else:
        enrol.lock(*arguments)
    return ""


def _names(folder):
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
