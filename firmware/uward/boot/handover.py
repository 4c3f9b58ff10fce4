"""What stage 0 hands to the image, and the image's first step. This module is in both.

`info`, a plain map (version 1 of it; stage 0 is never updated over the air, so only add to it):
slot "a", "b" or "r"; trial; state 0 factory, 1 development, 2 locked, 3 retiring; reason of a
fallback or ""; version, sequence, security, manifest (digest); trust version; board, vendor,
class, fleet. Of an image in `locked` state whoever runs it feeds the watchdog.
"""

import gc

from uward import limits
from uward.codec import cbor

FACTORY = 0
DEVELOPMENT = 1
LOCKED = 2
RETIRING = 3
info = {}


def run(found):
    """Start the image. -> True: the console stays open, in `factory` and `development` only."""
    info.update(found)
    if info["state"] <= DEVELOPMENT:
        return True
    start()


def start():
    """Import the agent around one block that stays free for TLS, then run the entry (S20)."""
    held = bytearray(limits.HELD_BYTES)
    if info["slot"] != "r":
        __import__("uward.agent")
    del held
    gc.collect()
    with open("/rom/build", "rb") as f:
        build = cbor.decode(f.read())
    __import__(build[7])


def healthy():
    """The image has run well for a while: forget the crashes before it (S5)."""
    from uward.boot import early

    early.set_crashes(0)
