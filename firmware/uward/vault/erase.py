"""Retirement (S15), the image's part: first the receipt, then the erase.

`intend` comes from the command `retire`, which two persons have signed. Its result, signed by the
device, is the receipt of intent; the erase begins when the collector has committed it and all
that came before. `boot/wipe.py` does the rest, at every boot until it is done.
"""

from uward import limits, port
from uward.boot import store
from uward.boot.record import RETIRING
from uward.errors import BootRefused
from uward.vault import keys

INTENT = "/id/retire"


def intend(agent):
    """The order was judged: whatever follows, also a reset, ends in the erase.

    BootRefused during a trial: the record of a board that may fall back must not change.
    """
    if agent.info["trial"]:
        raise BootRefused("retire: expected a confirmed image, got a trial")
    with open(INTENT, "wb") as f:
        f.write(b"\x01")
    _wait(agent, "everything goes when this is acknowledged")


def resume(agent):
    """At boot: an order that a reset came before."""
    _wait(agent, "resumed after a reset")


def _wait(agent, reason):
    """Until all is acknowledged, without a deadline: a board that is offline keeps what it has.

    By limits.RETIRE_MS the receipt is in the outbox, and the event is from the start.
    """
    earliest = agent.uptime() + limits.RETIRE_MS
    agent.event("erase.intent", reason)

    def look():
        if agent.uptime() >= earliest and not agent.outbox.pending():
            begin()

    agent.duties.append(look)


def begin(root=""):
    """State `retiring`: stage 0 erases from the next boot on. Does not return."""
    key = keys.record_key(keys.root(root))
    record = store.load(key, root)
    record.state = RETIRING
    store.save(record, key, root)
    port.reset()
