"""What commands left behind, at boot; and a new policy (SPEC 11, S16).

A book or policy that is not what was written here means: actuators rest, sensing goes on, and the
device is in quarantine until people with the right role end it.
"""

import os

from uward import files
from uward.compat import const
from uward.errors import BadMac, CodecError
from uward.guard import book as books
from uward.vault import keys

_SLOTS = const(2)


def begin(agent):
    """Take over quarantine and settings, tell of a command that was interrupted, check the policy.

    CommandRefused `policy.bad`.
    """
    root = keys.root()
    found = _book(agent, root)
    agent.quarantined = found.quarantined
    agent.chosen = found.chosen
    agent.policy = found.policy[0]
    if found.pending is not None:
        _interrupted(agent, root, found)
    if found.policy[0]:
        agent.book = found.value()
        books.current(found)


def _book(agent, root):
    try:
        found = books.load(root)
    except (BadMac, CodecError) as e:
        return _afresh(agent, root, "the book of commands: %s" % e)
    policies = any(files.exists(books.POLICY % slot) for slot in range(_SLOTS))
    if policies and not files.exists(books.PATH):
        return _afresh(agent, root, "the book of commands is gone")
    return found


def _afresh(agent, root, reason):
    """Counters are lost: only what carries this boot's challenge is fresh now."""
    agent.event("store.tamper", reason)
    found = books.Book()
    found.quarantined = True
    books.save(root, found)
    return found


def _interrupted(agent, root, found):
    """At most once (S16): it may have run or not, and it will not run again."""
    from uward.guard import result

    digest, name, counter, author = found.pending
    reason = "%s %d by %s: a reset came before its result" % (name, counter, author[:8].hex())
    agent.event("cmd.interrupted", reason)
    result.tell(agent, result.sign(root, digest, result.INTERRUPTED, "cmd.interrupted", reason))
    found.pending = None
    books.save(root, found)


def adopt(agent, data):
    """A policy that was handed down. It is in flash before the book names it."""
    from uward.guard import policy

    root = keys.root()
    found = books.load(root)
    known = policy.judge(data, books.roles(agent, root), found.policy)
    slot = found.policy[2]
    if known is None:
        if not agent.unsafe:
            return
        version, digest, _, start = found.policy  # the same: the copy in flash is damaged
    else:
        version, digest, start = known
        slot = 1 - slot
    path = books.POLICY % slot
    with open(path + ".tmp", "wb") as f:
        f.write(data)
    os.rename(path + ".tmp", path)
    found.policy = [version, digest, slot, start]
    agent.book = None
    books.save(root, found)
    agent.unsafe = ""
    agent.policy = version
    agent.event("policy.adopted", "version %d" % version)
