"""Sealed messages and outbox, run on CPython and MicroPython. Bytes travel as hex."""

from uward.codec import cbor
from uward.errors import UwardError
from uward.link.session import Sealer, Session
from uward.vault.outbox import Outbox

DEVICE = "dev0123456789abcdef"


def _sealer(secret, context):
    return Sealer(DEVICE, bytes.fromhex(secret), bytes.fromhex(context))


def seals(secret, context, messages):
    """[[purpose, plaintext or its length], ...] -> sealed bytes or refusals, by one sealer.
    Purpose "gather": see `Sealer.gather`."""
    sealer = _sealer(secret, context)
    out = []
    for purpose, text in messages:
        if purpose == "gather":
            sealer.gather()
            continue
        try:
            plaintext = bytes(text) if isinstance(text, int) else bytes.fromhex(text)
            out.append(sealer.seal(purpose, plaintext).hex())
        except UwardError as e:
            out.append("%s: %s" % (type(e).__name__, e))
    return out


def opens(secret, context, messages):
    """[[purpose, sealed], ...] -> for each: hex of the value re-encoded, None, or the refusal.
    Purpose "gather": see `Sealer.gather`."""
    sealer = _sealer(secret, context)
    out = []
    for purpose, data in messages:
        if purpose == "gather":
            sealer.gather()
            continue
        try:
            opened = sealer.open(purpose, bytes.fromhex(data))
            out.append(None if opened is None else cbor.encode(opened[0]).hex())
        except UwardError as e:
            out.append("%s: %s" % (type(e).__name__, e))
    return out


def new_sealer(secret, context):
    try:
        _sealer(secret, context)
    except UwardError as e:
        return "%s: %s" % (type(e).__name__, e)
    return None


def session(secret, context, stream, steps, capacity=8192):
    """Run steps on one session -> what each gave. Steps: [name, arguments...]:

    append purpose when body | next | ack sealed | restart | once purpose | state
    """
    outbox = Outbox(bytes.fromhex(stream), capacity)
    finished = []

    def finish(entry):
        finished.append(entry.when)
        return entry.body

    run = Session(_sealer(secret, context), outbox, finish)
    out = []
    for step in steps:
        try:
            out.append(_step(run, outbox, finished, step))
        except UwardError as e:
            out.append("%s: %s" % (type(e).__name__, e))
    return out


def _step(run, outbox, finished, step):
    name = step[0]
    if name == "append":
        critical = len(step) > 4
        return outbox.append(step[1], step[2], bytes.fromhex(step[3]), critical)
    if name == "next":
        sent = run.next()
        return None if sent is None else [sent[0], sent[1].hex()]
    if name == "ack":
        return run.acknowledge(bytes.fromhex(step[1]))
    if name == "restart":
        return run.restart()
    if name == "once":
        return run.once(step[1], step[2]).hex()
    return [outbox.sent, outbox.acknowledged, outbox.pending(), outbox.dropped, finished]
