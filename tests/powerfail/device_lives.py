"""Whole updates on the Unix port: a board's real code over a flash that dies at any operation.

A *life* is what a board does until nothing is left to do: stage 0, the judgement of what waits, a
session that hands trust documents and a release over, the download, the trial and its
confirmation; after each a reset. `sweep` cuts the power once in it, at each operation of the
flash, `pairs` once more while the board recovers; each time the life then goes on to its end.

Signatures are really checked, each distinct one once: what was checked is remembered.
"""

# ruff: noqa: E402
import asyncio
import os

import faults
import vfs

faults.free_root()
from uward.boot import early, handover, slots, stage0, store
from uward.codec import cbor, cose
from uward.crypto import p256
from uward.crypto.hash import sha256
from uward.link import inbox
from uward.trust import suit
from uward.update import install, offer, trial, updater
from uward.vault import keys

_BOOTS = 14  # a life without cuts has at most 8
_STEPS = 400  # of one download
_WAITING = handover._WAITING


class Machine:
    """`machine` of this board: memory that a power cut clears, no watchdog."""

    def __init__(self):
        self.kept = b""

    def RTC(self):
        return self

    def memory(self, data=None):
        if data is None:
            return self.kept
        self.kept = data


class Broken(Exception):
    """A promise was broken; the message says which."""


def need(condition, what):
    if not condition:
        raise Broken(what)


def _remembered(function, key):
    known = {}

    def call(*arguments, **options):
        name = key(*arguments, **options)
        if name not in known:
            known[name] = function(*arguments, **options)
        return known[name]

    return call


def _signature(message, block, key, external_aad=b"", payload=None):
    signed = message.payload if payload is None else payload
    return (sha256(signed), sha256(block.value), key.public, external_aad, bytes(block.protected))


class Agent:
    """What the updater and the inbox ask of the agent and its uplink."""

    def __init__(self, info):
        self.info = info
        self.now = 0
        self.resetting = False
        self.asked = []
        self.events = []

    def uptime(self):
        self.now += 10
        return self.now

    def reset_soon(self, earliest=0):
        self.resetting = True

    def event(self, name, reason=""):
        self.events.append(name)

    def refused(self, error):
        self.events.append(error.event)

    def tell(self, purpose, body):
        self.asked.append(body)

    def tell_state(self, payload, name, detail):
        pass


class Life:
    """release: envelope and payload that are offered, or None; trust: documents by version;
    dies: the trial never proves itself. `seen`: versions that ran, `floor`: the highest floor."""

    def __init__(self, machine, release, trust, dies=False):
        self.machine = machine
        self.envelope, self.payload = release
        self.digest = suit.parse(self.envelope).digest
        self.trust = trust
        self.dies = dies
        self.begin()

    def begin(self):
        self.floor = 0
        self.boots = 0
        self.ran = []
        self.done = False
        self.told = []

    def state(self):
        return self.floor, self.boots, list(self.ran), list(self.told)

    def resume(self, state):
        self.floor, self.boots, self.ran, self.told = state[0], state[1], state[2][:], state[3][:]
        self.done = False

    def boot(self, _):
        """From power-on or reset to the next reset. Sets `done` when nothing is left to do."""
        self.boots += 1
        need(self.boots <= _BOOTS, "it ends (%s)" % self.ran)
        info = stage0.run()
        self.ran.append(info["slot"] + info["version"])
        self._check(info)
        waits = info["lost"] or any(map(_exists, _WAITING))
        if waits:
            offer.settle(info)
            self.told += info["told"]
        self._session(info)

    def _check(self, info):
        record = None if info["lost"] else store.load(keys.record_key(keys.root()))
        if record is not None:
            need(record.floor >= self.floor, "the floor stays")
            self.floor = record.floor
            confirmed = [i for i in (0, 1) if record.owned[i] and record.confirmed[i]]
            if info["slot"] == "r":
                need(not confirmed or self.damaged, "a confirmed image runs, not recovery")
        if info["slot"] != "r":
            need(info["security"] >= self.floor, "nothing below the floor runs")

    damaged = False

    def _session(self, info):
        agent = Agent(info)
        if info["trial"]:
            if not self.dies:
                trial.confirm(info)
            return
        payload = trial.reverted()
        if payload:
            self.told.append((payload, "reverted", ""))
        if info["trust"] < max(self.trust):
            for version in range(info["trust"] + 1, max(self.trust) + 1):
                inbox.take(agent, None, "trust", self.trust[version])
        elif "release" in info:
            asyncio.run(self._download(agent))
        elif info["manifest"] != self.digest and not self._final():
            with open(offer.MANIFEST, "wb") as f:
                f.write(self.envelope)
        else:
            self.done = not any(map(_exists, _WAITING))

    def _final(self):
        """The collector was told that this release will not be taken."""
        return any(state[1] in ("refused", "reverted") for state in self.told)

    async def _download(self, agent):
        work = updater.Updater(agent, agent)
        for _ in range(_STEPS):
            await work.step()
            while agent.asked:
                _, name, first, count = agent.asked.pop(0)
                for index in range(first, first + count):
                    block = self.payload[index * 4096 : index * 4096 + 4096]
                    work.block(cbor.encode([name, index, block]))
            if agent.resetting:
                return
        raise Broken("the download ends, heard " + repr(agent.events))


def _exists(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False


class Course:
    """One life without cuts: its snapshots, and how many flash operations each boot has."""

    def __init__(self, life, flash, check):
        self.life = life
        self.check = check
        self.snapshots = []  # flash, state of the life, operations of this boot
        life.begin()
        life.machine.kept = b""
        while not life.done:
            before = bytearray(flash), life.state(), life.machine.kept
            chip = faults.Flash(flash)
            _run(chip, life.boot)
            self.snapshots.append(before + (chip.operations,))  # noqa: RUF005
        _run(faults.Flash(flash), check)
        self.operations = sum(one[3] for one in self.snapshots)

    def finish(self, flash):
        """After a cut: power on, to the end of the life. What it came to is checked."""
        self.life.machine.kept = b""
        while not self.life.done:
            _run(faults.Flash(flash), self.life.boot)
        _run(faults.Flash(flash), self.check)

    def cut(self, number, at, mode):
        """The flash after a cut at operation `at` of boot `number`; the life stands there."""
        flash, state, kept, _ = self.snapshots[number]
        flash = bytearray(flash)
        self.life.resume(state)
        self.life.machine.kept = kept
        need(_cut(flash, self.life, at, mode), "the power is cut")
        return flash


def _cut(flash, life, at, mode):
    """One boot with a cut at operation `at`. -> whether it came to that."""
    chip = faults.Flash(flash)
    chip.mode = mode
    return _run(chip, life.boot, at)


def _run(chip, step, left=None):
    """Mount and run one boot. -> whether the power was cut in it."""
    vfs.mount(vfs.VfsLfs2(chip, readsize=32, progsize=256, lookahead=32), "/")
    chip.left = left
    try:
        step("/")
        return False
    except faults.Cut:
        return True
    finally:
        chip.dead = True  # files that are still open
        vfs.umount("/")


def sweep(course, modes, boots=None):
    """A cut at each operation of all boots, or of some. modes(i) -> ways for the i-th of them.
    -> cuts, failures."""
    cuts = 0
    failures = []
    for number in boots or range(len(course.snapshots)):
        for at in range(1, course.snapshots[number][3] + 1):
            for mode in modes(cuts):
                where = "boot %d, operation %d %s" % (number, at, mode)
                cuts += 1
                try:
                    course.finish(course.cut(number, at, mode))
                except Exception as e:
                    failures.append("%s: %r (%s)" % (where, e, course.life.ran))
    return cuts, failures


def pairs(course, boots, modes):
    """Two cuts: at each operation of `boots`, then at each of the boot that follows it."""
    cuts = 0
    failures = []
    for number in boots:
        for first in range(1, course.snapshots[number][3] + 1):
            for mode in modes(first):
                flash = course.cut(number, first, mode)
                state = course.life.state()
                second = 0
                while True:
                    second += 1
                    again = False
                    for other in modes(first + second):
                        where = "boot %d, %d %s, then %d %s" % (number, first, mode, second, other)
                        course.life.resume(state)
                        course.life.machine.kept = b""
                        copy = bytearray(flash)
                        try:
                            if not _cut(copy, course.life, second, other):
                                continue
                            again = True
                            cuts += 1
                            course.finish(copy)
                        except Exception as e:
                            failures.append("%s: %r (%s)" % (where, e, course.life.ran))
                            again = True
                    if not again:
                        break
    return cuts, failures


# The board of a test: files in /folder, as the host laid them


def read(path):
    with open(path, "rb") as f:
        return f.read()


def setup(folder, blocks=96):
    """Make `/` a littlefs with the folder's files. -> (flash, Machine)"""
    machine = Machine()
    early.machine = machine
    cose.verify = _remembered(cose.verify, _signature)
    p256.ecdh = _remembered(p256.ecdh, lambda private, public: (private, public))
    vfs.mount(vfs.VfsPosix(folder), "/folder")
    flash = faults.blank(blocks)

    def lay(_):
        for name in os.listdir("/folder/board"):
            path = name.replace("+", "/")
            parent = path.rsplit("/", 1)[0]
            if parent and not _exists(parent):
                os.mkdir(parent)
            with open(path, "wb") as f:
                f.write(read("/folder/board/" + name))
        from uward.update import witness

        try:
            witness.write(keys.root(), store.load(keys.record_key(keys.root())))
        except Exception:
            pass  # a board whose record is lost comes with its witness

    _run(faults.Flash(flash), lay)
    return flash, machine


def changed(flash, change):
    """The flash after change("/")."""
    copy = bytearray(flash)
    _run(faults.Flash(copy), change)
    return copy


# The lives

EVERY = faults.MODES


def in_turn(i):
    """One way of cutting, another at each operation: the subset that `make test` runs."""
    return (EVERY[i % len(EVERY)],)


def every(_):
    return EVERY


def lives(folder):
    """-> (flash, {name: (Life, flash at its start, check at its end)})"""
    flash, machine = setup(folder)
    made = {}
    for name in ("second", "by-new-key"):
        made[name] = (
            read("/folder/%s.suit" % name),
            read("/folder/%s.img" % name),
        )
    trust = {1: b""}
    for version in (2, 3):
        trust[version] = read("/folder/trust-%d" % version)

    def record():
        return store.load(keys.record_key(keys.root()))

    def runs_b(floor):
        def check(_):
            found = record()
            need(found.active == 1 and found.confirmed[1], "b is confirmed")
            need(found.floor == floor, "the floor rose")
            need(not _exists(install.DOWNLOAD), "nothing is under way")

        return check

    def reverted(_):
        found = record()
        need(found.active == 0 and found.owned == [True, False], "a runs, b is disowned")
        need(found.failed[0] == life_of["revert"][0].digest[:8], "the failure is remembered")

    def revoked(_):
        runs_b(2)(_)
        found = record()
        need(found.trust_version == 3, "the trust document rotated")
        need(found.owned == [False, True], "the revoked fallback is disowned")
        need(os.stat("/slot/a.img")[6] == 0, "the revoked fallback is erased")
        need(sorted(os.listdir("/trust")) == ["1", "3"], "no document is left over")

    def damage(_):
        with open("/slot/a.img", "wb") as f:
            f.write(b"rot")

    def lose(_):
        os.remove("/rec/0")
        os.remove("/rec/1")

    only_first = {1: b""}
    life_of = {
        "update": (Life(machine, made["second"], only_first), flash, runs_b(2)),
        "revert": (Life(machine, made["second"], only_first, dies=True), flash, reverted),
        "revoke": (Life(machine, made["by-new-key"], trust), flash, revoked),
        "recover": (Life(machine, made["second"], only_first), changed(flash, damage), runs_b(2)),
        "rebuild": (Life(machine, made["second"], only_first), changed(flash, lose), runs_b(2)),
    }
    for name in ("recover", "rebuild"):
        life_of[name][0].damaged = True
    return life_of


def run(folder, names, modes=in_turn):
    """-> of each life: [name, boots, operations, cuts, failures]"""
    out = []
    found = lives(folder)
    for name in names:
        life, flash, check = found[name]
        course = Course(life, bytearray(flash), check)
        cuts, failures = sweep(course, modes)
        out.append([name, len(course.snapshots), course.operations, cuts, failures])
    return out


def run_pairs(folder, chosen, modes=in_turn):
    """chosen: {life: [boots in which the first cut falls]}. -> of each [name, pairs, failures]"""
    out = []
    found = lives(folder)
    for name in chosen:
        life, flash, check = found[name]
        course = Course(life, bytearray(flash), check)
        cuts, failures = pairs(course, chosen[name], modes)
        out.append([name, cuts, failures])
    return out


def _fill(_):
    """Write until no block is free; small files, so that the last block goes too."""
    for i in range(6):
        try:
            with open("/fill%d" % i, "wb") as f:
                while True:
                    f.write(bytes(4096))
                    f.flush()  # what an error follows is not kept
        except OSError:
            pass


def run_full(folder):
    """From each boot on without a free block. -> [what ran, error or ""] of two boots each"""
    out = []
    life, flash, check = lives(folder)["update"]
    course = Course(life, bytearray(flash), check)
    for image, state, kept, _ in course.snapshots:
        full = changed(image, _fill)
        life.resume(state)
        life.machine.kept = kept
        told = []
        for _ in range(2):
            life.ran = []
            try:
                _run(faults.Flash(full), life.boot)
                told.append([life.ran[0], ""])
            except OSError as e:
                told.append([life.ran[0] if life.ran else "", str(e)])
        out.append(told)
    return out


def broken(folder):
    """The negative control: a confirmation that writes the record before the flag that has the
    fallback judged. -> failures of a sweep with cuts after an operation"""
    kept = trial.confirm

    def backwards(info):
        key = keys.record_key(keys.root())
        found = store.load(key)
        slots.confirm(found, info["security"], info["sequence"])
        store.save(found, key)
        kept(info)

    trial.confirm = backwards
    life, flash, check = lives(folder)["revoke"]
    course = Course(life, bytearray(flash), check)
    failures = sweep(course, lambda i: ("after",), [3])[1]
    trial.confirm = kept
    return failures
