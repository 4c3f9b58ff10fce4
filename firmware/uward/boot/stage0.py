"""Stage 0: which image may run (S1-S5). Reads flash, decides with pure modules, mounts nothing.

Installed once and never updated over the air, so its formats are frozen.
"""

import os

from uward import limits
from uward.boot import early, record, slots, store, wipe
from uward.codec import cbor
from uward.errors import BootRefused
from uward.trust import anchors, decide, suit
from uward.vault import keys

try:
    from uward.crypto._sha256_native import Digest
except (ImportError, ValueError, SyntaxError):  # S22: not RP2040
    from uward.crypto._primitives import sha256 as Digest

FACTORY = 0
_RECOVERY = slots.RECOVERY


class _Board:
    """What is known before an image is judged. record: None in `factory` and when it is lost."""

    def __init__(self):
        self.pins = cbor.decode(_read("/s0/pins", limits.CBOR_BYTES))
        self.state = FACTORY
        self.record = None
        self.key = None
        self.reasons = []
        if keys.enrolled():
            self._load()

    def _load(self):
        self.state = record.LOCKED  # until the record proves another
        try:
            self.key = keys.record_key(keys.root())
            self.record = store.load(self.key)
            self.state = self.record.state
        except Exception as e:
            self.refuse("record", e)

    def order(self):
        if self.state == FACTORY:
            return [0, _RECOVERY]
        if self.record is None:
            return [_RECOVERY]
        if self.state == record.DEVELOPMENT:
            return slots.candidates(self.record)
        return slots.candidates(self.record, early.crashes())

    def refuse(self, what, error):
        self.reasons.append("%s: %s" % (what, str(error) or type(error).__name__))

    def is_open(self):
        return self.state in (FACTORY, record.DEVELOPMENT)


def run():
    """-> what is handed over (see handover.py), with the image's path and the most files in it.

    slot None: no image, in an open state; there the reasons are printed. BootRefused in `locked`.
    """
    board = _Board()
    watchdog = None if board.is_open() else early.watchdog()
    if wipe.due(board.state):
        wipe.run(watchdog.feed if watchdog else _nothing, early.flash())
        raise BootRefused("retired")  # boot.py resets
    for slot in board.order():
        try:
            info = _judge(board, slot)
        except Exception as e:  # whatever it was: this slot does not run, and `reason` says why
            board.refuse("slot " + slots.NAMES[slot], e)
            continue
        _count(board, slot)
        return info
    reason = "; ".join(board.reasons)
    if not board.is_open():
        raise BootRefused(reason)
    print("uward: error: no image can run: " + reason)
    return {"slot": None}


def _nothing():
    """No watchdog to feed."""


def _count(board, slot):
    """Before the hand-over: the try of a trial, and the crashes of a confirmed image."""
    if board.record is None:
        return
    if slots.hand_over(board.record, slot):
        store.save(board.record, board.key)
    if board.is_open() or slot == _RECOVERY:
        return
    early.set_crashes(0 if slots.on_trial(board.record) else early.crashes() + 1)


def _judge(board, slot):
    name = slots.NAMES[slot]
    recovery = slot == _RECOVERY
    path = "/slot/%s.img" % name
    envelope = suit.parse(_read("/slot/%s.suit" % name, limits.ENVELOPE_BYTES))
    installed = None if recovery or board.record is None else board.record.slots[slot]
    if installed and not slots.names(installed, envelope.digest):
        raise BootRefused("expected the manifest that was installed, got another")
    if installed:
        document = _installed_under(installed)
    else:
        document = _factory_document(board.pins)
    anchors.release(document, envelope)
    component = b"recovery" if recovery else b"image"
    identity = decide.Identity(board.pins[2], board.pins[3], component=component)
    plan = decide.boot(envelope, identity)
    if installed and plan.security < board.record.floor:
        raise BootRefused(
            "expected security version >= %d, got %d" % (board.record.floor, plan.security)
        )
    if installed and plan.digest[: record.DIGEST] != installed[1]:
        raise BootRefused("expected the image that was installed, got another")
    _check_image(path, plan)
    return {
        "path": path,
        "files": limits.IMAGE_FILES,
        "slot": name,
        "trial": bool(installed) and slots.on_trial(board.record) and slot == board.record.active,
        "state": board.state,
        "reason": "; ".join(board.reasons),
        "version": plan.version,
        "sequence": plan.sequence,
        "security": plan.security,
        "manifest": envelope.digest,
        "trust": board.record.trust_version if board.record else document.version,
        "vendor": board.pins[2],
        "class": board.pins[3],
        "fleet": board.pins[5],
        "board": board.pins[6],
        "lost": board.record is None and board.state != FACTORY,
    }


def _check_image(path, plan):
    """The file is as long as the manifest says and has its digest; streamed."""
    digest = Digest()
    block = bytearray(limits.HASH_BYTES)
    view = memoryview(block)
    left = plan.size
    with open(path, "rb") as f:
        while True:
            n = f.readinto(block)
            left -= n
            if not n or left < 0:
                break
            digest.update(view[:n])
    if left:
        raise BootRefused("expected an image of %d bytes, got another size" % plan.size)
    if digest.digest() != plan.digest:
        raise BootRefused("expected the image's digest, got another")


def _installed_under(installed):
    """The document that judged a slot at its install, known by its digest (S1)."""
    data = _read("/trust/%d" % installed[2], limits.CBOR_BYTES)
    return anchors.judged(data, installed[3], (anchors.RELEASE, anchors.APPROVER))


def _factory_document(pins):
    """The oldest document here, as the factory wrote it, judged by the pins."""
    versions = [int(name) for name in os.listdir("/trust") if name.isdigit()]
    if not versions:
        raise BootRefused("expected a trust document, got none")
    document = anchors.parse(_read("/trust/%d" % min(versions), limits.CBOR_BYTES))
    anchors.accept_first(document, pins[4][0], pins[4][1], pins[5])
    return document


def _read(path, most):
    with open(path, "rb") as f:
        size = f.seek(0, 2)
        if size > most:
            raise BootRefused("expected <= %d bytes in %s, got %d" % (most, path, size))
        f.seek(0)
        return f.read(size)
