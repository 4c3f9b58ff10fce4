"""What stage 0 hands to the image, and the image's first step. This module is in both.

`info`, a plain map (version 1 of it; stage 0 is never updated over the air, so only add to it):
slot "a", "b" or "r"; trial; state 0 factory, 1 development, 2 locked, 3 retiring; reason of a
fallback or ""; version, sequence, security, manifest (digest); trust version; board, vendor,
class, fleet; lost: no copy of the boot record is valid. Of an image in `locked` state whoever
runs it feeds the watchdog.
"""

import os

from uward.codec import cbor
from uward.errors import UwardError

FACTORY = 0
DEVELOPMENT = 1
LOCKED = 2
RETIRING = 3
_WAITING = (
    "/trust/new",
    "/trust/was",
    "/slot/new",
    "/slot/man.suit",
    "/slot/dl.suit",
)  # see `update.offer`
info = {}
_program = None  # True while the entry is imported, then what it left to run


def run(found):
    """Start the image. -> its program; True: the console stays open, in `factory` and
    `development` only."""
    info.update(found)
    return True if info["state"] <= DEVELOPMENT else start()


def start():
    """Import what stays, then the entry (S20). -> what it left to run, None when it has ended.

    The entry's loop runs after its import, not inside, and by whoever called us: an import takes
    a fifth of the C stack, a call a twentieth, and the TLS handshake half of it (8 KB on RP2040).
    """
    global _program
    with open("/rom/build", "rb") as f:
        build = cbor.decode(f.read())
    info["built"] = build[5]
    info["strap"] = build.get(9, -1)
    from uward import lazy

    if _asks_chip():  # before it all else: its driver leaves no hole, and the bus is free
        try:
            lazy.use("vault.keys").root()
        except UwardError:
            pass  # stage 0 met it too, and `reason` says so: recovery runs without
        lazy.drop("vault.source")
    rotated = _exists("/id/rotate") and lazy.use("vault.rotate").at_boot(info)
    waits = info["lost"] or any(_exists(path) for path in _WAITING)
    if waits and info["state"] in (DEVELOPMENT, LOCKED):
        lazy.use("update.offer").settle(info)
    if rotated:
        info["news"] = [rotated] + info.get("news", [])  # noqa: RUF005
    if waits or rotated:
        lazy.drop("update.", "vault.", "boot.wipe")
        lazy.spare()
    lazy.use("warm").run()
    lazy.drop("warm")
    _program = True
    __import__(build[7])
    left, _program = _program, None
    return None if left is True else left


def defer(function):
    """Leave `function` to be run after the entry's import. -> False when none is under way."""
    global _program
    if _program is None:
        return False
    _program = function
    return True


def _asks_chip():
    """Whether a chip makes the root (SPEC 6): then /id/root is longer than a secret."""
    try:
        return os.stat("/id/root")[6] > 32
    except OSError:
        return False


def _exists(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def healthy():
    """The image has run well for a while: forget the crashes before it (S5)."""
    from uward.boot import early

    early.set_crashes(0)
