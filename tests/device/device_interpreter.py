"""MicroPython's own updates on a model of an ESP32: two partitions, and ESP-IDF's boot loader."""

import os
import sys

from uward import limits
from uward.errors import UpdateRefused
from uward.trust import anchors, decide
from uward.update import install, starts
from uward.vault import sealed

ROOT = bytes(range(32))
INVALID = 0x1503  # ESP_ERR_OTA_VALIDATE_FAILED


class Flash:
    """Two application partitions and what ESP-IDF notes of them (esp_ota_img_states_t)."""

    def __init__(self, blocks, count=2):
        self.parts = [bytearray((b"\xe9" + b"old" * 1365) * blocks) for _ in range(count)]
        self.states = ["valid"] * count
        self.chosen = self.running = 0

    def boot(self):
        """A reset: an application that was not kept in its first run is given up."""
        if self.states[self.chosen] == "pending":
            self.states[self.chosen] = "aborted"
            self.chosen = 1 - self.chosen
        elif self.states[self.chosen] == "new":
            self.states[self.chosen] = "pending"
        self.running = self.chosen


class Partition:
    """As esp32.Partition of MicroPython's documentation."""

    BOOT, RUNNING = 0, 1
    flash = None

    def __init__(self, which):
        self.index = self.flash.running

    def get_next_update(self):
        if len(self.flash.parts) == 1:
            raise OSError(261)  # ESP_ERR_NOT_FOUND
        made = Partition(self.RUNNING)
        made.index = 1 - self.index
        return made

    def info(self):
        return (0, 16 + self.index, 0x10000, len(self.flash.parts[self.index]), self.label, False)

    @property
    def label(self):
        return "ota_%d" % self.index

    def readblocks(self, block, buffer):
        at = block * 4096
        buffer[:] = self.flash.parts[self.index][at : at + len(buffer)]

    def writeblocks(self, block, buffer):
        if len(buffer) % 4096:
            raise OSError(22)
        if self.index == self.flash.running:
            raise OSError(1)  # ESP-IDF protects what runs
        at = block * 4096
        self.flash.parts[self.index][at : at + len(buffer)] = buffer

    def set_boot(self):
        if self.flash.parts[self.index][0] != 0xE9:
            raise OSError(INVALID)
        self.flash.chosen = self.index
        self.flash.states[self.index] = "new"

    @classmethod
    def mark_app_valid_cancel_rollback(cls):
        cls.flash.states[cls.flash.running] = "valid"


class _Module:
    pass


_Module.Partition = Partition
sys.modules["esp32"] = _Module
from uward.port import esp32_interpreter as interpreter  # noqa: E402 (its module is modelled)


class Agent:
    def __init__(self):
        self.info = {}
        self.duties = []
        self.events = []
        self.committed = True
        self.failure = None
        self.now = 1000

    def event(self, name, reason=""):
        self.events.append([name, reason])

    def self_test(self):
        return self.failure

    def uptime(self):
        return self.now


class Uplink:
    def __init__(self):
        self.online = True
        self.broker_down = False
        self.told = []

    def tell_state(self, payload, name, detail):
        self.told.append([payload.hex(), name, detail])

    def greet(self):
        self.told.append("hello")


class Site:
    """One board; its flash outlives the writers, as over resets."""

    def __init__(self, root, envelope, document, ids, blocks=8, count=2):
        for name in ("", "/slot", "/id"):
            try:
                os.mkdir(root + name)
            except OSError:
                pass
        for name in (interpreter.STATE, install.DOWNLOAD, starts.PATH):
            try:
                os.remove(root + name)
            except OSError:
                pass
        with open(root + "/id/root", "wb") as f:
            f.write(ROOT)
        self.root = root
        self.data = bytes.fromhex(envelope)
        self.document = anchors.parse(bytes.fromhex(document))
        self.ids = ids
        Partition.flash = self.flash = Flash(blocks, count)

    def judge(self):
        vendor, klass = bytes.fromhex(self.ids[0]), bytes.fromhex(self.ids[1])
        device = install.device_identifier(klass, self.ids[2])
        identity = decide.Identity(vendor, klass, device, self.ids[3])
        return interpreter.judge(self.data, self.document, identity, ROOT, self.root)

    def writer(self, keks=None):
        envelope, plan = self.judge()
        release = {
            "manifest": envelope.digest,
            "version": plan.version,
            "digest": plan.digest,
            "size": plan.size,
            "hashes": plan.hashes,
            "encryption": plan.encryption,
        }
        release.update(interpreter.accept(self.data, envelope, plan, self.root))
        return interpreter.Writer(release, keks, ROOT, self.root)

    def fill(self, payload, stop=None, keks=None):
        """-> the block that a writer began with."""
        writer = self.writer(keks)
        began = writer.next
        with open(payload, "rb") as f:
            f.seek(began * limits.BLOCK_BYTES)
            while writer.next < writer.blocks and writer.next != stop:
                writer.write(writer.next, f.read(limits.BLOCK_BYTES))
        if stop is None:
            for _ in writer.finish_steps():
                pass
        return began

    def begin(self):
        agent, uplink = Agent(), Uplink()
        interpreter.begin(agent, uplink, self.root)
        return agent, uplink

    def state(self):
        state = interpreter.load(ROOT, self.root)
        return [state[0], state[1], state[2] is not None]


def _refusal(function, *arguments):
    try:
        function(*arguments)
    except UpdateRefused as e:
        return "%s: %s" % (e.event, e)
    return ""


def installed(root, envelope, document, ids, payload, stops, keks=None):
    """Download with resets before the blocks in `stops`, boot, confirm, boot once more.

    -> [blocks that the writers began with, events, told, hello's sequence before and after,
    state, states of the partitions, whether dl.suit is left]
    """
    site = Site(root, envelope, document, ids)
    keks = keks and {bytes.fromhex(kid): bytes.fromhex(kek) for kid, kek in keks}
    began = [site.fill(payload, stop, keks) for stop in stops]
    began.append(site.fill(payload, None, keks))
    left = install.pending(root) != b""
    site.flash.boot()
    agent, uplink = site.begin()
    before = agent.info["interpreter"]
    agent.failure = "sensor x"
    agent.duties[0]()
    waits = len(agent.duties)
    agent.failure = None
    agent.duties[0]()
    site.flash.boot()
    after, _ = site.begin()
    sequences = [before, after.info["interpreter"]]
    states = [site.flash.running] + site.flash.states  # noqa: RUF005 (MicroPython)
    events = agent.events + after.events
    return [began, events, uplink.told, sequences, waits, site.state(), states, left]


def reverted(root, envelope, document, ids, payload, how):
    """how: "ill" (deadline of the trial), "crash" (a reset in it), "cut" (before set_boot).

    -> [whether it reset itself, events, told, state, running]
    """
    site = Site(root, envelope, document, ids)
    start = interpreter.Slots.start
    if how == "cut":

        def cut(slots):
            raise KeyboardInterrupt

        interpreter.Slots.start = cut
    try:
        site.fill(payload)
    except KeyboardInterrupt:
        pass
    interpreter.Slots.start = start
    site.flash.boot()
    agent, _ = site.begin()
    reset = False
    if how == "ill":
        agent.failure = "check alive"
        agent.now = limits.TRIAL_MS + 1
        try:
            agent.duties[0]()
        except SystemExit:
            reset = True
    site.flash.boot()
    later, _ = site.begin()
    told = [[payload.hex(), name] for payload, name, _ in later.info.get("told", [])]
    return [reset, agent.events + later.events, told, site.state(), site.flash.running]


def patience(root, envelope, document, ids, payload):
    """While only the broker is down, a trial goes on. -> whether it reset."""
    site = Site(root, envelope, document, ids)
    site.fill(payload)
    site.flash.boot()
    agent, uplink = site.begin()
    uplink.online, uplink.broker_down = False, True
    agent.now = limits.TRIAL_MS + 1
    try:
        agent.duties[0]()
    except SystemExit:
        return True
    return False


def refusals(root, cases, document, ids):
    """[[envelope hex, state or None, blocks of a partition, partitions]] -> refusals."""
    out = []
    for envelope, state, blocks, count in cases:
        site = Site(root, envelope, document, ids, blocks, count)
        if state is not None:
            sealed.write(ROOT, interpreter.STATE, bytes.fromhex(state), root)
        out.append(_refusal(site.judge))
    return out


def spoiled(root, envelope, document, ids, payload):
    """-> refusals: of a flipped block, a short one, of flash that changed, and of ESP-IDF."""
    site = Site(root, envelope, document, ids)
    with open(payload, "rb") as f:
        block = f.read(limits.BLOCK_BYTES)
    flipped = bytes([block[0] ^ 1]) + block[1:]
    out = [_refusal(site.writer().write, 0, flipped), _refusal(site.writer().write, 0, b"x")]
    out.append(_refusal(site.writer().write, 1, block))
    out.append(site.flash.parts[1][:4096] != block)
    site.fill(payload, 100)
    writer = site.writer()
    site.flash.parts[1][5000] ^= 1
    out.append(_refusal(list, writer.finish_steps()))
    site.flash.parts[1][5000] ^= 1
    site.flash.parts[1][0] ^= 1  # as if ESP-IDF saw no application there
    image = site.flash.parts[1][: writer._release["size"]]
    writer._release["digest"] = install.sha256(image).digest()
    out.append(_refusal(list, writer.finish_steps()))
    return out + [site.state(), site.flash.chosen]  # noqa: RUF005 (MicroPython)


def components(cases):
    return [interpreter.fits(bytes.fromhex(data)) for data in cases]


def single(root):
    """A board with one partition: nothing begins, hello says nothing of it."""
    Partition.flash = Flash(2, 1)
    agent, uplink = Agent(), Uplink()
    interpreter.begin(agent, uplink, root)
    return [agent.info, len(agent.duties), agent.events]
