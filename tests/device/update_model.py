"""The update state machine as a model: real decisions (`slots`, `record`) over an abstract flash.

A world is what one board's flash says. An event is a procedure of the device, a generator that
stops before each durable step; a cut ends it there. Each step is atomic, as littlefs makes it
(`powerfail` shows that on real flash operations); signatures are what `good` says.
"""

import hashlib
from collections import deque

from uward import limits
from uward.boot import record as records
from uward.boot import slots
from uward.errors import BootRefused, UpdateRefused

KEY = bytes(32)
RELEASES = {  # name: (sequence, security version)
    "first": (1, 1),
    "second": (2, 2),
    "third": (3, 1),  # older in security: refused once the second was confirmed
    "fourth": (4, 2),  # goes where the first was
}
REVOKED = "first"  # by trust document 2, its signer
PART, WHOLE, ROT = "part", "whole", "rot"


def digest(name):
    return hashlib.sha256(name.encode()).digest()


NAMES = {digest(name)[:16]: name for name in RELEASES}


def fast_mac(key, data):
    """In place of HMAC-SHA256 in Python: the model packs a record a million times."""
    return hashlib.blake2b(data, key=key, digest_size=32).digest()


class Broken(Exception):
    """A promise that does not hold; the message is the history that leads there."""


class World:
    """One board. copies: both files of the record; images, suits, dl: what /slot holds; flag:
    /slot/new; trust: versions in /trust; witness: floor and trust version in /id/floor.

    What no flash knows: running slot or None; floor: the highest that both copies had; faults:
    below 0 while flash may still be damaged; damaged: whether it was.
    """

    FIELDS = ("copies", "images", "suits", "dl", "flag", "trust", "witness")
    FIELDS += ("running", "floor", "faults", "damaged")

    def __init__(self):
        first = records.Record(records.LOCKED, 1, document(1))
        first.slots[0] = slots.judged_by(first, digest("first"), digest("first"))
        first.owned[0] = first.confirmed[0] = True
        first.floor = first.sequence = 1
        first.generation = 1
        old = records.pack(first, KEY)
        first.generation = 2
        self.copies = (old, records.pack(first, KEY))
        self.images = (("first", WHOLE), (None, PART))
        self.suits = ("first", None)
        self.dl = None
        self.flag = False
        self.trust = (1,)
        self.witness = (1, 1)
        self.running = None
        self.floor = 1
        self.faults = 0
        self.damaged = False

    def state(self):
        return tuple(getattr(self, name) for name in self.FIELDS)

    def copy(self):
        other = object.__new__(World)
        for name in self.FIELDS:
            setattr(other, name, getattr(self, name))
        return other

    # What the device reads and writes

    def load(self):
        return records.choose(self.copies, KEY)

    def save(self, record):
        """As `store.save`; generations are counted from 1 again, else no state came twice."""
        record.generation = 2
        record.copy = 1 - record.copy
        old = self.copies[1 - record.copy]
        try:
            older = records.unpack(old, KEY)
            older.generation = 1
            old = records.pack(older, KEY)
        except BootRefused:
            pass
        new = records.pack(record, KEY)
        self.copies = (new, old) if record.copy == 0 else (old, new)

    def put(self, slot, image=None, suit=None):
        if image is not None:
            self.images = tuple(image if i == slot else self.images[i] for i in (0, 1))
        if suit is not None:
            self.suits = tuple(suit if i == slot else self.suits[i] for i in (0, 1))

    def good(self, record, slot):
        """Whether stage 0 would run this slot."""
        if slot == slots.RECOVERY:
            return True
        release, condition = self.images[slot]
        installed = record.slots[slot]
        return (
            condition == WHOLE
            and NAMES.get(installed[0]) == release == self.suits[slot]
            and installed[2] in self.trust
            and RELEASES[release][1] >= record.floor
        )

    def lost(self):
        try:
            self.load()
            return False
        except BootRefused:
            return True


def document(version):
    return hashlib.sha256(b"document %d" % version).digest()


# Procedures: each `yield` stands before a durable step


def boot(world):
    """Power-on to the hand-over."""
    world.running = None
    if world.lost():
        world.running = slots.RECOVERY
        return
    record = world.load()
    for slot in slots.candidates(record):
        if world.good(record, slot):
            if slots.hand_over(record, slot):
                yield
                world.save(record)
            world.running = slot
            return
    raise Broken("nothing runs")


def mend(world):
    """Recovery without a record (`rebuild`)."""
    made = records.Record(records.LOCKED, world.witness[1], document(world.witness[1]))
    made.floor = world.witness[0]
    for generation in (1, 2):
        yield
        made.generation = generation
        made.copy = generation - 1
        packed = records.pack(made, KEY)
        world.copies = (packed, world.copies[1]) if generation == 1 else (world.copies[0], packed)


def install(world, name, careless=False):
    """A release that came: judged, written, made the next boot's trial.

    careless: the slot is written before the record disowns it, which the check must notice.
    """
    record = world.load()
    slots.judge(record, digest(name), *RELEASES[name])
    if world.running != slots.RECOVERY and slots.names(record.slots[world.running], digest(name)):
        raise UpdateRefused("upd.rollback", "this one runs")
    if record.trust_version > 1 and name == REVOKED:
        raise UpdateRefused("upd.quorum", "its signer is revoked")
    slot = slots.target(record, world.running)
    resumes = not record.owned[slot] and world.dl == name and world.images[slot][1] != ROT
    named = not record.owned[slot] and world.dl is None and world.suits[slot] == name
    if named and world.images[slot] == (name, WHOLE):  # a cut came after the last rename
        yield
        world.dl = name
        world.put(slot, suit="")
        resumes = True
    if not resumes:
        slots.begin_install(record, world.running)
        if not careless:
            yield
            world.save(record)
        yield
        world.put(slot, image=(None, PART))
        yield
        world.dl = name
    if world.images[slot] != (name, WHOLE):
        yield
        world.put(slot, image=(name, PART))
        yield
        world.put(slot, image=(name, WHOLE))
    yield
    world.dl = None
    world.put(slot, suit=name)
    slots.installed(record, slot, digest(name), digest(name))
    yield
    world.save(record)


def confirm(world, careless=False):
    """careless: one copy of the record says so."""
    record = world.load()
    sequence, security = RELEASES[world.images[world.running][0]]
    slots.confirm(record, security, sequence)
    yield
    world.witness = (record.floor, record.trust_version)
    yield
    world.flag = True
    if careless:
        yield
        world.save(record)
        return
    yield from _save_both(world, record)


def _save_both(world, record):
    for _ in range(2):
        yield
        world.save(record)


def rotate(world):
    """Trust document 2, which revokes a signer."""
    record = world.load()
    yield
    world.trust = (1, 2)
    record.trust_version, record.trust_digest = 2, document(2)
    yield
    world.witness = (record.floor, 2)
    yield from _save_both(world, record)
    yield
    world.flag = True


def judge_fallback(world):
    record = world.load()
    other = 1 - record.active
    if record.trust_version > 1 and not slots.on_trial(record) and record.owned[other]:
        names = [NAMES.get(record.slots[slot][0]) for slot in (record.active, other)]
        if names[1] == REVOKED != names[0]:
            slots.drop_fallback(record)
            yield
            world.put(other, image=(None, PART))
            yield from _save_both(world, record)
    yield
    world.flag = False


def rot_slot(world, slot):
    yield
    world.put(slot, image=(world.images[slot][0], ROT))
    world.faults += 1
    world.damaged = True


def rot_record(world, copies):
    yield
    world.copies = tuple(bytes(200) if i in copies else world.copies[i] for i in (0, 1))
    world.faults += 1
    world.damaged = True


def events(world, releases):
    """-> (name, procedure, arguments) of all that may happen now."""
    yield "boot", boot, ()
    if world.faults < 0:
        for slot in (0, 1):
            if world.images[slot][1] != ROT:
                yield "rot of slot %d" % slot, rot_slot, (slot,)
        for copies in ((0,), (1,), (0, 1)):
            yield "rot of record %r" % (copies,), rot_record, (copies,)
    if world.running is None:
        return
    if world.lost():
        if world.running == slots.RECOVERY:
            yield "mend", mend, ()
        return
    record = world.load()
    if world.running != slots.RECOVERY and slots.on_trial(record):
        if world.running == record.active and record.owned[record.active]:
            yield "confirm", confirm, ()
        return  # else the reset into the trial is due
    if world.flag and world.running != slots.RECOVERY:
        yield "judge fallback", judge_fallback, ()
    if record.trust_version == 1:
        yield "rotate", rotate, ()
    for name in releases:
        yield "install " + name, install, (name,)


def after(world, procedure, arguments, steps=None):
    """-> (the world after `steps` durable steps, whether that was all); None: refused."""
    other = world.copy()
    run = procedure(other, *arguments)
    taken = 0
    try:
        for _ in run:
            if taken == steps:
                other.running = None  # the power is gone
                return other, False
            taken += 1
    except UpdateRefused:
        return None
    return other, True


def successors(world, releases):
    """-> (event, world): each event whole, and cut before each of its durable steps."""
    for name, procedure, arguments in events(world, releases):
        steps = 0
        while True:
            found = after(world, procedure, arguments, steps)
            if found is None:
                break
            other, whole = found
            other.floor = max(other.floor, _floor(other))
            yield name if whole else "%s, cut before step %d" % (name, steps + 1), other
            if whole:
                break
            steps += 1


def _floor(world):
    """The floor that no loss of one copy takes away."""
    found = []
    for data in world.copies:
        try:
            found.append(records.unpack(data, KEY).floor)
        except BootRefused:
            pass
    return min(found) if found else 0


# What must hold


def check(world, event, before, known):
    """Raise Broken unless every promise holds in this world. known: states after a power-on whose
    future was looked at."""
    lost = world.lost()
    if not lost:
        record = world.load()
        _need(record.floor >= before.floor, "the floor stays")
        if event == "confirm":
            _need(_floor(world) == record.floor, "both copies have the floor")
        for slot in (0, 1):
            kept = record.owned[slot] and record.confirmed[slot]
            revoked = NAMES.get(record.slots[slot][0]) == REVOKED and world.flag
            if kept and not world.damaged and record.slots[slot][0] and not revoked:
                whole = world.images[slot][1] == WHOLE
                _need(whole, "a confirmed slot %d is whole after %s" % (slot, event))
    _need(world.witness[0] >= world.floor, "the witness is not below the floor")
    runs = _powered_on(world)
    if runs.running != slots.RECOVERY:
        record = runs.load()
        _need(runs.good(record, runs.running), "what runs is verified")
        release = runs.images[runs.running][0]
        _need(RELEASES[release][1] >= world.floor, "nothing below the floor runs")
    elif not lost:
        record = world.load()
        kept = [slot for slot in (0, 1) if record.owned[slot] and record.confirmed[slot]]
        _need(not any(world.good(record, slot) for slot in kept), "a good confirmed slot runs")
    state = runs.state()
    if state not in known:
        known.add(state)
        _settles(runs)
        _progresses(runs)


def _powered_on(world):
    """Boots without a cut, at most two, until something runs."""
    for _ in range(2):
        other, _ = after(world, boot, ())
        if other.running is not None:
            return other
        world = other
    raise Broken("something runs within two boots")


def _settles(world):
    """Boot after boot without a confirmation ends with an image that is not on trial."""
    for _ in range(limits.TRIAL_TRIES + 1):
        if world.running == slots.RECOVERY or not slots.on_trial(world.load()):
            return
        world, _ = after(world, boot, ())
    raise Broken("trials end")


def _progresses(world):
    """From anywhere, a release can still be brought in and confirmed."""
    for _ in range(limits.TRIAL_TRIES + 1):
        if world.running == slots.RECOVERY or not slots.on_trial(world.load()):
            break
        world = _powered_on(world)
    if world.lost():
        world, _ = after(world, mend, ())
        world = _powered_on(world)
    record = world.load()
    if digest("second")[:8] in record.failed or record.sequence > RELEASES["second"][0]:
        return
    found = after(world, install, ("second",))
    if found is not None:
        world = _powered_on(found[0])
        _need(world.running == world.load().active, "the trial runs")
        world, _ = after(world, confirm, ())
    world = _powered_on(world)
    if not world.damaged:
        _need(world.images[world.running][0] == "second", "the release runs")


def _need(condition, what):
    if not condition:
        raise Broken(what)


def explore(faults=0, releases=RELEASES):
    """Every world that these releases and so many damages can lead to. -> (worlds, transitions,
    cuts). Broken names the history."""
    start = World()
    start.faults = -faults
    came = {start.state(): (None, "start")}
    todo = deque([start])
    known = set()
    transitions = cuts = 0
    while todo:
        world = todo.popleft()
        for event, other in successors(world, releases):
            transitions += 1
            cuts += ", cut " in event
            state = other.state()
            if state in came:
                continue
            came[state] = (world.state(), event)
            try:
                check(other, event, world, known)
            except Broken as e:
                raise Broken("%s: %s" % (e, _history(came, state))) from None
            todo.append(other)
    return len(came), transitions, cuts


def _history(came, state):
    events = []
    while state is not None:
        state, event = came[state]
        events.append(event)
    return "; ".join(reversed(events))
