"""Updates of MicroPython itself, on an ESP32 with two partitions for it (ADR 0016, SPEC 5).

Not verified on hardware. The partition that does not run is written block by block, hashed, and
named to ESP-IDF's boot loader, which goes back by itself when the new interpreter is not kept
before the next reset. `/id/int`, sealed, holds `[sequence, floor, trial]` of the one in use;
trial: None or `[payload id, sequence, security version, version, partition, armed]`.
"""

import os

from esp32 import Partition

from uward import limits, port
from uward.codec import cbor
from uward.compat import const
from uward.crypto._primitives import sha256
from uward.errors import UpdateRefused
from uward.update import install, starts
from uward.vault import keys, sealed

COMPONENT = b"interpreter"
STATE = "/id/int"
_ENOENT = const(2)


class Slots:
    """The partition that runs and the one that may be written; OSError when there is one only."""

    def __init__(self):
        running = Partition(Partition.RUNNING)
        self._next = running.get_next_update()
        self.running = running.info()[4]
        info = self._next.info()
        self.next = info[4]
        self.size = info[3]

    def read(self, block, buffer):
        """Fill a buffer of limits.BLOCK_BYTES from a block."""
        self._next.readblocks(block, buffer)

    def write(self, block, buffer):
        """Erase a block and write it; buffer: limits.BLOCK_BYTES."""
        self._next.writeblocks(block, buffer)

    def start(self):
        """Boot from the other partition. OSError when ESP-IDF finds no application in it."""
        self._next.set_boot()

    def keep(self):
        """The one that runs proved itself: the boot loader does not go back any more."""
        Partition.mark_app_valid_cancel_rollback()


def fits(data):
    """Whether an envelope, well formed or not, names this component; it is judged afterwards."""
    from uward.trust import suit

    try:
        return cbor.decode(suit.parse(data).manifest[3])[2] == [[COMPONENT]]
    except Exception:  # `install.judge` says what is wrong with it
        return False


def load(root, base=""):
    """-> [sequence, floor, trial]."""
    try:
        return cbor.decode(sealed.read(root, STATE, base))
    except OSError as e:
        if e.args[0] != _ENOENT:
            raise
        return [0, 0, None]


def save(root, state, base=""):
    sealed.write(root, STATE, cbor.encode(state), base)


def judge(data, document, identity, root, base=""):
    """Envelope bytes -> (Envelope, Plan). UpdateRefused as `install.judge`, and where the board
    has one partition, where a trial goes on, or when the application is too large."""
    try:
        room = Slots().size
    except OSError as e:
        raise UpdateRefused(
            "upd.wrong_class", "interpreter: expected two partitions, got %r" % e
        ) from None
    identity.component = COMPONENT
    envelope, plan = install.examine(data, document, identity)
    state = load(root, base)
    if state[2] is not None:
        raise UpdateRefused("upd.refused", "interpreter: expected a confirmed one, got a trial")
    if plan.security < state[1] or plan.sequence <= state[0]:
        raise UpdateRefused(
            "upd.rollback",
            "interpreter: expected sequence > %d and security version >= %d, got %d and %d"
            % (state[0], state[1], plan.sequence, plan.security),
        )
    if plan.size > room:
        raise UpdateRefused(
            "upd.refused", "interpreter: expected <= %d bytes, got %d" % (room, plan.size)
        )
    return envelope, plan


def accept(data, envelope, plan, base=""):
    """Name what is coming, so that a reset goes on with it. -> what `Writer` needs besides."""
    if install.pending(base) != data:
        starts.count(envelope.digest, base)
        with open(base + install.DOWNLOAD, "wb") as f:
            f.write(data)
    return {"sequence": plan.sequence, "security": plan.security}


class Writer:
    """What `Download` fills: the blocks of an application, checked, into the other partition.

    release: map of `update.offer`; keks: {kid: KEK}. What is in flash already is found by its
    hashes, so that a reset costs no block.
    """

    first = 0
    busy = False
    window = limits.DOWNLOAD_WINDOW

    def __init__(self, release, keks, root, base=""):
        self.version = release["version"]
        self._release = release
        self._hashes = release["hashes"]
        self._root = root
        self._base = base
        self._slots = Slots()
        self._cipher = None
        self.blocks = len(self._hashes) // 16
        self.next = 0
        block = bytearray(limits.BLOCK_BYTES)
        if release["encryption"] is None:
            while self.next < self.blocks and self._is_there(block):
                self.next += 1
        else:
            from uward.update import payload

            self._cipher = payload.cipher(release["encryption"], keks or {})

    def _is_there(self, block):
        self._slots.read(self.next, block)
        good = self._hashes[16 * self.next : 16 * self.next + 16]
        return sha256(memoryview(block)[: self._size(self.next)]).digest()[:16] == good

    def _size(self, index):
        return min(limits.BLOCK_BYTES, self._release["size"] - index * limits.BLOCK_BYTES)

    def write(self, index, data):
        """One block as transferred. UpdateRefused `upd.bad_digest` before anything is written."""
        good = self._hashes[16 * index : 16 * index + 16]
        if index != self.next or len(data) != self._size(index):
            raise UpdateRefused("upd.bad_digest", "block: expected %d, got another" % self.next)
        if sha256(data).digest()[:16] != good:
            raise UpdateRefused(
                "upd.bad_digest", "block %d: expected its hash, got another" % index
            )
        block = bytearray(data)
        if self._cipher:
            self._cipher.crypt(block)
        if len(block) < limits.BLOCK_BYTES:
            block.extend(b"\xff" * (limits.BLOCK_BYTES - len(block)))
        self._slots.write(index, block)
        self.next += 1

    def close(self):
        """Everything is durable already."""

    def cancel(self):
        """Nothing resumes; what was written is in a partition that does not boot."""
        try:
            os.remove(self._base + install.DOWNLOAD)
        except OSError:
            pass  # it was not there

    def finish_steps(self):
        """Hash the partition, then make it the next boot's trial; each step reads one block."""
        release = self._release
        digest = sha256()
        block = bytearray(limits.BLOCK_BYTES)
        for index in range(self.blocks):
            self._slots.read(index, block)
            digest.update(memoryview(block)[: self._size(index)])
            yield
        if digest.digest() != release["digest"]:
            raise UpdateRefused("upd.bad_digest", "interpreter: expected its digest, got another")
        state = load(self._root, self._base)
        name = release["manifest"][: limits.PAYLOAD_ID]
        trial = [name, release["sequence"], release["security"], self.version]
        state[2] = trial + [self._slots.next, 0]  # noqa: RUF005 (MicroPython)
        save(self._root, state, self._base)  # before: else a trial would run that nobody ends
        try:
            self._slots.start()
        except OSError as e:
            state[2] = None
            save(self._root, state, self._base)
            raise UpdateRefused(
                "upd.bad_digest", "interpreter: refused by ESP-IDF: %r" % e
            ) from None
        state[2][5] = 1
        save(self._root, state, self._base)
        self.cancel()


class Trial:
    """A new interpreter on trial: kept after the agent's health check, else given up (S2)."""

    def __init__(self, agent, uplink, root, state, base=""):
        self._agent = agent
        self._uplink = uplink
        self._root = root
        self._state = state
        self._base = base
        self.duty = self.look  # one object, to be found again

    def look(self):
        """A duty of the agent's. As for an image: while only the broker is down it goes on."""
        agent, uplink = self._agent, self._uplink
        failure = agent.self_test()
        if uplink.online and agent.committed and failure is None:
            agent.duties.remove(self.duty)
            self._confirm()
        elif agent.uptime() > limits.TRIAL_MS and (failure or not uplink.broker_down):
            port.reset()

    def _confirm(self):
        name, sequence, security, version = self._state[2][:4]
        Slots().keep()
        state = [sequence, max(self._state[1], security), None]
        save(self._root, state, self._base)
        self._agent.info["interpreter"] = sequence
        self._agent.event("upd.confirmed", "interpreter " + version)
        self._uplink.tell_state(name, "confirmed", version)
        self._uplink.greet()


def begin(agent, uplink, base=""):
    """At the agent's start: watch over a trial, or tell that the boot loader went back."""
    try:
        slots = Slots()
    except OSError:
        return  # one partition: nothing of this is for this board
    root = keys.root(base)
    state = load(root, base)
    agent.info["interpreter"] = state[0]
    if state[2] is None:
        return
    name, _, _, version, label, armed = state[2]
    if label == slots.running:
        agent.info["interpreter"] = state[2][1]
        agent.event("upd.trial", "interpreter " + version)
        agent.duties.append(Trial(agent, uplink, root, state, base).duty)
        return
    state[2] = None
    save(root, state, base)
    if armed:  # else a cut came before the boot loader heard of it
        agent.event("upd.reverted", "interpreter %s failed its trial" % version)
        agent.info.setdefault("told", []).append((name, "reverted", ""))
