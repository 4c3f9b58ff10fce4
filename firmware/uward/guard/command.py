"""Commands and policies: judged one by one, carried out at most once (SPEC 11, S16).

`handed_down` is for what the collector hands on (by `take`), `obey` also for the console. Both run
beside the sensors: between two slices of a signature, and while a person walks to the button, all
else goes on (S18). What judges, what executes and what signs are never loaded together (S20), so
what passes from one to the next is plain values: an instance would keep its module.
"""

import sys

from uward import lazy, limits, port
from uward.compat import const
from uward.crypto.hash import sha256
from uward.errors import CommandRefused, UwardError
from uward.vault import keys

_PROVED = const(2)  # time quality (SPEC 8)
_CRYPTO = "crypto.p256 guard.signed"
_JUDGES = _CRYPTO + " guard.roles guard.rules guard.envelope guard.book guard.judge"
_POLICY = _CRYPTO + " guard.roles guard.rules guard.policy guard.book guard.begin"
_SIGNS = _CRYPTO + " guard.result"
_JUDGED = ("guard.judge", "guard.r", "guard.envelope", "guard.signed", "crypto.p256")
_JUDGED += ("crypto._p256", "crypto._field", "crypto._inverse")
_DONE, _REFUSED, _FAILED = 0, 1, 2  # outcomes (SPEC 11)


async def handed_down(agent, uplink, purpose, data):
    """One command or policy that the collector handed down."""
    if purpose == "policy":
        (await _load(_POLICY)).adopt(agent, data)
        uplink.greet()  # it is in force
        return
    proved = uplink.station.clock.quality == _PROVED
    device, challenge = uplink.station.device, uplink.session.context
    before = agent.obedience()
    signed = await obey(agent, device, data, challenge, proved, uplink=uplink)
    _use("guard.result").tell(agent, signed)
    if agent.obedience() != before:
        uplink.greet()  # quarantine, emergency: whoever watches sees it


async def _load(names):
    """From the bottom: an import inside an import takes a fifth of the C stack. -> the last."""
    for name in names.split():
        module = _use(name)
        await port.sleep_ms(limits.COMMAND_BEAT_MS)
    return module


def _use(name):
    """As `lazy.use`; what is loaded needs no room, and to collect the heap takes 15 ms."""
    return sys.modules.get("uward." + name) or lazy.use(name)


async def obey(agent, device, data, challenge, proved, online=True, uplink=None):
    """Judge one command and carry it out. -> the signed result, also of a refusal.

    device: our id; data: COSE_Sign bytes; challenge: what the command must carry; proved: the
    time is. online=False: at the console, where the policy must allow it. OSError and MemoryError
    come out as they are.
    """
    if agent.obeying:
        raise CommandRefused("cmd.busy", "another command is under way")
    agent.obeying = True
    told = _REFUSED, "", "", None
    try:
        given = device, challenge, proved, online
        verdict = await _judged(agent, data, given)
        lazy.drop(*_JUDGED)
        if verdict["pressed"]:
            await _pressed(agent, verdict)
        told = _carried_out(agent, verdict, uplink)
    except UwardError as e:
        told = _REFUSED, e.event or "cmd.denied", str(e), None
        agent.event(told[1], agent.named + told[2])
    finally:
        agent.obeying = False
        lazy.drop("guard.core", "guard.book", *_JUDGED)
    result = await _load(_SIGNS)
    return result.sign(keys.root(), sha256(data), *told)


async def _judged(agent, data, given):
    """-> what is to be done, plain. Once its signatures are found good the command's counter is
    used up, on flash, whatever comes then."""
    judge = await _load(_JUDGES)
    agent.named = ""
    command = judge.Command(data)
    agent.named = "%s %d by %s: " % (command.name, command.counter, command.author[:8].hex())
    context = gather(agent, keys.root(), given)
    book, signers = context.book, []
    try:
        judge.fresh(command, context)
        rule = judge.rule(command, context)
        for _ in judge.signatures(command, context, signers):
            await port.sleep_ms(limits.COMMAND_BEAT_MS)
    except CommandRefused:
        agent.book = book.value()  # as it was
        raise
    judge.count(command, context)
    try:
        pressed, kept, recent = judge.decide(command, context, rule, signers)
    except CommandRefused:
        _save(agent, book)
        raise
    if pressed:
        _save(agent, book)
    for thumbprint, _, _ in signers:
        if thumbprint != command.author:
            agent.named = "%s, %s: " % (agent.named[:-2], thumbprint[:8].hex())
    return {
        "name": command.name,
        "arguments": command.arguments,
        "author": command.author[: judge.AUTHOR],
        "pending": [command.digest, command.name, command.counter, command.author[: judge.AUTHOR]],
        "pressed": pressed,
        "kept": kept,
        "recent": recent,
        "book": book.value(),
    }


def gather(agent, root, given):
    """-> Context of now: book, roles, policy in force. CommandRefused, BadMac.

    given: device, challenge, proved, online. What was read stays in RAM as plain values; the book
    goes out of it while it may differ from flash, and comes back when it was written.
    """
    books = _use("guard.book")
    book = books.load(root) if agent.book is None else books.Book(agent.book)
    agent.book = None
    try:
        policy = books.current(book)
    except CommandRefused as e:
        agent.rest(str(e))
        raise
    context = _use("guard.judge").Context(agent, book, books.roles(agent, root), policy)
    context.device, context.challenge, context.proved, context.online = given
    context.now = port.now()
    context.uptime = agent.uptime()
    return context


def _save(agent, book):
    _use("guard.book").save(keys.root(), book)
    agent.book = book.value()


async def _pressed(agent, verdict):
    """Somebody stands at the device: asked after the command came, so that it is for this one."""
    agent.event("cmd.presence", "%s waits for the button" % verdict["name"])
    until = agent.uptime() + limits.PRESENCE_MS
    while agent.uptime() < until:
        if agent.present():
            return
        await port.sleep_ms(limits.PRESENCE_POLL_MS)
    raise CommandRefused("cmd.denied", "nobody pressed the button")


def _carried_out(agent, verdict, uplink):
    """Write down what is about to happen, do it, write down that it was done.

    -> (outcome, event, detail, secret)
    """
    core = _use("guard.core")
    book = _use("guard.book").Book(verdict["book"])
    book.pending = verdict["pending"]
    if verdict["kept"] is not None:
        book.kept[verdict["name"]] = verdict["kept"]
    core.before(verdict, book)
    agent.book = None
    _use("guard.book").save(keys.root(), book)
    if verdict["recent"] is not None:
        agent.recent[verdict["name"]] = verdict["recent"]
    outcome, event, secret = _DONE, "", None
    try:
        detail, secret = core.run(agent, uplink, verdict, book)
    except Exception as e:  # whatever a maker's function raises
        outcome, event = _FAILED, "cmd.failed"
        detail = str(e) or repr(e)
    book.pending = None
    _save(agent, book)
    agent.event(event or "cmd.done", agent.named + detail if detail else agent.named[:-2])
    return outcome, event, detail, secret
