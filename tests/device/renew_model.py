"""A device that renews its key pair and the host that certifies it, walked through every order of
events: answers and attestations that are lost, connections that fail, the power that goes at each
flash operation, resets, days that pass (SPEC 8, S8, S10).

The device's part is the real code, over files in a dictionary and with names for keys; the host's
is the table of SPEC 8 in a few lines, without its books.
"""

from contextlib import contextmanager
from types import SimpleNamespace

from uward.guard import signed
from uward.link import renewal, station
from uward.link.station import Station

KEYS = 4  # that a device makes; the walk ends there


class Cut(BaseException):
    """The power is gone."""


class Broken(Exception):
    """A state that must not be."""


class Flash:
    """Files; the power goes before (or after) operation `cut`, counted from 1."""

    def __init__(self, files, cut=0, after=False):
        self.files = dict(files)
        self.cut, self.after = cut, after
        self.operations = 0

    def _change(self, change):
        self.operations += 1
        if self.operations != self.cut:
            change()
            return
        if self.after:
            change()
        raise Cut

    def write(self, secret, path, plaintext):
        self._change(lambda: self.files.__setitem__(path, plaintext))

    def read(self, secret, path):
        if path not in self.files:
            raise OSError(2)
        return self.files[path]

    def remove(self, path):
        self._change(lambda: self.files.pop(path))


class Host:
    """What SPEC 8 says of it. gone: the keys whose certificates are revoked; certified: all that
    have one; today: the new key of today, of which there is one a day. refused: keys whose
    certificates the broker does not take, as in the middle of a rollover."""

    refused = ()

    def __init__(self, identity=0, following=None, certified=(0,), gone=(), today=None):
        self.identity, self.following, self.today = identity, following, today
        self.certified, self.gone = set(certified), set(gone)

    def state(self):
        books = tuple(sorted(self.certified)), tuple(sorted(self.gone))
        return self.identity, self.following, *books, self.today

    def believes(self, key):
        return key in self.certified and key not in self.gone and key not in self.refused

    def asked(self, by, key):
        """-> whether it certifies the key."""
        if by not in (self.identity, self.following):
            return False
        self.heard(by)
        if key not in (self.identity, self.following):
            if self.today is not None and self.today == self.following:
                return False
            self.following = self.today = key
        self.certified.add(key)
        return True

    def heard(self, key):
        """Something that this key has signed."""
        if key is not None and key == self.following:
            self.identity, self.following = key, None
            self.gone = self.certified - {key}


def key_of(name):
    return int(name[1:])


@contextmanager
def device(flash, made):
    """The real code over this flash; made: how many keys the device has made, changed in place."""

    def keygen(rng):
        made[0] += 1
        return b"K%d" % made[0], b""

    def certificate(der):
        return SimpleNamespace(
            public_key=b"P" + der[1:], common_name="d", is_ca=False, not_after=9, not_before=0,
            extended_key_usage=(renewal.x509.CLIENT_AUTH,),
        )  # fmt: skip

    names = {
        "sealed": SimpleNamespace(read=flash.read, write=flash.write),
        "keys": SimpleNamespace(root=lambda: b""),
        "os": SimpleNamespace(remove=flash.remove),
        "port": SimpleNamespace(now=lambda: 1),
        "p256": SimpleNamespace(keygen=keygen, public_key=lambda k: b"P" + k[1:], sign=None),
        "x509": SimpleNamespace(
            parse_certificate=certificate,
            csr=lambda name, public, sign: public,
            CLIENT_AUTH=renewal.x509.CLIENT_AUTH,
        ),
    }
    kept = {name: getattr(renewal, name) for name in names}
    looks = {name: getattr(station, name) for name in ("_read", "sealed", "keys")}
    sign1 = signed.sign1
    signed.sign1 = lambda private, payload, domain: (key_of(private), key_of(payload))
    vars(renewal).update(names)
    vars(station).update(sealed=names["sealed"], keys=names["keys"])
    station._read = lambda root, path: flash.files.get(path)
    try:
        yield
    finally:
        vars(renewal).update(kept)
        vars(station).update(looks)
        signed.sign1 = sign1


class World:
    """flash: files; trial: of the station; host; made: keys so far."""

    def __init__(self, files, trial, host, made):
        self.files, self.trial, self.host, self.made = files, trial, host, made

    def state(self):
        return tuple(sorted(self.files.items())), self.trial, self.host.state(), self.made

    def copy(self):
        return World(dict(self.files), self.trial, Host(*self.host.state()), self.made)

    def station(self, due=False):
        class _Station:
            trial = self.trial
            clock = SimpleNamespace(restore=lambda: None)
            renewal_due = staticmethod(lambda: due)
            restore = Station.restore

            shows = Station._pair

        return _Station()


def shown(pair):
    if pair[4][1:] != pair[2][1:]:
        raise Broken("a certificate of another key")
    return key_of(pair[2])


def first():
    own = renewal.cbor.encode({1: "d", 2: b"K0", 4: b"C0"})
    return World({"/id/dev": own}, None, Host(), 0)


EVENTS = [("session", due, answer, attested) for due in (0, 1) for answer in range(3)
          for attested in (0, 1) if due or not answer]  # fmt: skip
EVENTS += [("fails",), ("reset",), ("midnight",)]


def after(world, event, cut=0, late=False):
    """-> (the world that this event leads to, flash operations that it took)."""
    world = world.copy()
    flash = Flash(world.files, cut, late)
    made = [world.made]
    if event[0] == "midnight":
        world.host.today = None
    elif event[0] == "reset":
        world.trial = None
    else:
        ours = world.station(due=event[0] == "session" and event[1] and world.made < KEYS)
        try:
            with device(flash, made):
                _connection(world, ours, event)
            ours.restore()
            world.trial = ours.trial
        except Cut:
            world.trial = None
    world.files, world.made = flash.files, made[0]
    return world, flash.operations


def _connection(world, ours, event):
    """event: (fails,), or (session, due, answer 0 lost, 1 to the request alone, 2 taken,
    attested)."""
    pair, new = ours.shows()
    if new:
        ours.trial = True
    if event[0] == "fails" or not world.host.believes(shown(pair)):
        return
    told = []
    agent = SimpleNamespace(event=lambda name, reason: None)
    uplink = SimpleNamespace(station=ours, tell=lambda purpose, body: told.append(body[1]))
    renewal.proved(agent, uplink)
    if event[3]:
        world.host.heard(key_of(renewal.own()[2]))
    if told and event[2]:
        by, key = told[0]
        if world.host.asked(by, key) and event[2] == 2:
            answer = ["issued", b"C%d" % key]
            uplink.session = SimpleNamespace(open=lambda purpose, payload: answer)
            renewal.take(agent, uplink, "est", b"")


def check(world):
    """Whatever came before: within two connections the device is believed, and what it signs is
    by a key that the host knows as its."""
    flash = Flash(world.files)
    with device(flash, [world.made]):
        own = key_of(renewal.own()[2])
        ours = world.station()
        for _ in range(2):
            pair, new = ours.shows()
            if world.host.believes(shown(pair)):
                break
            ours.trial = True if new else ours.trial
            ours.restore()
        else:
            raise Broken("no pair is believed")
    if own not in (world.host.identity, world.host.following):
        raise Broken("it signs with a key that the host does not know")


def explore(refused=()):
    """-> (states, transitions, cuts); raises Broken. refused: as in Host."""
    Host.refused = refused
    todo, seen = [first()], set()
    transitions = cuts = 0
    while todo:
        world = todo.pop()
        if world.state() in seen:
            continue
        seen.add(world.state())
        check(world)
        for event in EVENTS:
            following, operations = after(world, event)
            transitions += 1
            todo.append(following)
            for cut in range(1, operations + 1):
                for late in (False, True):
                    todo.append(after(world, event, cut, late)[0])
                    cuts += 1
    return len(seen), transitions, cuts
