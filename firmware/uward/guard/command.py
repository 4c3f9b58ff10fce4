"""Commands and policies that come down: judged one by one, carried out at most once (SPEC 11).

`handed_down` is for what the collector hands on (by `take`), `obey` also for the console. Both run
beside the sensors: between two slices of a signature, and while a person walks to the button, all
else goes on (S18).
"""

from uward import limits, port
from uward.compat import const
from uward.errors import CommandRefused, UwardError
from uward.guard import begin, judge, result
from uward.guard import book as books
from uward.vault import keys

_PROVED = const(2)  # time quality (SPEC 8)


async def handed_down(agent, uplink, purpose, data):
    """One command or policy that the collector handed down."""
    if purpose == "policy":
        begin.adopt(agent, data)
        uplink.greet()  # it is in force
        return
    proved = uplink.station.clock.quality == _PROVED
    device, challenge = uplink.station.device, uplink.session.context
    result.tell(agent, await obey(agent, device, data, challenge, proved, uplink=uplink))


async def obey(agent, device, data, challenge, proved, online=True, uplink=None):
    """Judge one command and carry it out. -> the signed result, also of a refusal.

    device: our id; data: COSE_Sign bytes; challenge: what the command must carry; proved: the
    time is. online=False: at the console, where the policy must allow it. OSError and MemoryError
    come out as they are.
    """
    root = keys.root()
    digest = judge.sha256(data)
    if agent.obeying:
        return _refusal(agent, root, digest, CommandRefused("cmd.busy", "another one runs"), "")
    agent.obeying = True
    named = ""
    try:
        command = judge.Command(data)
        named = "%s %d by %s" % (command.name, command.counter, command.author[:8].hex())
        context = gather(agent, root, device)
        context.challenge, context.proved, context.online = challenge, proved, online
        verdict = await _judged(agent, root, command, context)
        return _carried_out(agent, root, verdict, context.book, uplink, named)
    except UwardError as e:
        return _refusal(agent, root, digest, e, named)
    finally:
        agent.obeying = False


def gather(agent, root, device):
    """-> Context of now: book, roles, policy in force. CommandRefused, BadMac.

    What was read stays in RAM as plain values; the book goes out of it while it may differ from
    flash, and comes back when it was written.
    """
    book = books.load(root) if agent.book is None else books.Book(agent.book)
    agent.book = None
    try:
        policy = begin.current(book)
    except CommandRefused as e:
        agent.rest(str(e))
        raise
    context = judge.Context(agent, book, begin.roles(agent, root), policy)
    context.device = device
    context.now = port.now()
    context.uptime = agent.uptime()
    return context


async def _judged(agent, root, command, context):
    """-> Verdict. Once its signatures are found good the command's counter is used up, on flash,
    whatever comes then."""
    signers = []
    try:
        judge.fresh(command, context)
        rule = judge.rule(command, context)
        for _ in judge.signatures(command, context, signers):
            await port.sleep_ms(limits.COMMAND_BEAT_MS)
    except CommandRefused:
        context.agent.book = context.book.value()  # as it was
        raise
    _count(context, command)
    try:
        verdict = judge.decide(command, context, rule, signers)
    except CommandRefused:
        _save(context.agent, root, context.book)
        raise
    if verdict.presence:
        _save(context.agent, root, context.book)
        await _pressed(agent, command)
    return verdict


def _save(agent, root, book):
    books.save(root, book)
    agent.book = book.value()


def _count(context, command):
    """Take the counter; of too many authors those go who hold no role any more."""
    counters = context.book.counters
    author = command.author[: judge.AUTHOR]
    if author not in counters and len(counters) >= limits.COMMAND_AUTHORS:
        held = context.roles.authors(judge.AUTHOR)
        for known in list(counters):
            if known not in held:
                del counters[known]
    counters[author] = command.counter


async def _pressed(agent, command):
    """Somebody stands at the device: asked after the command came, so that it is for this one."""
    agent.event("cmd.presence", "%s waits for the button" % command.name)
    until = agent.uptime() + limits.PRESENCE_MS
    while agent.uptime() < until:
        if agent.present():
            return
        await port.sleep_ms(limits.PRESENCE_POLL_MS)
    raise CommandRefused("cmd.denied", "nobody pressed the button")


def _carried_out(agent, root, verdict, book, uplink, named):
    """Write down what is about to happen, do it, write down that it was done. -> signed result."""
    from uward.guard import core

    command = verdict.command
    book.pending = [command.digest, command.name, command.counter, command.author[: judge.AUTHOR]]
    if verdict.kept is not None:
        book.kept[command.name] = verdict.kept
    core.before(command, book)
    agent.book = None
    books.save(root, book)
    if verdict.recent is not None:
        agent.recent[command.name] = verdict.recent
    outcome, event, secret = result.DONE, "", None
    try:
        detail, secret = core.run(agent, uplink, command, book)
    except Exception as e:  # whatever a maker's function raises
        outcome, event = result.FAILED, "cmd.failed"
        detail = str(e) or repr(e)
    book.pending = None
    _save(agent, root, book)
    for thumbprint, _, _ in verdict.signers:
        if thumbprint != command.author:
            named += ", " + thumbprint[:8].hex()
    agent.event(event or "cmd.done", named + ": " + detail if detail else named)
    return result.sign(root, command.digest, outcome, event, detail, secret)


def _refusal(agent, root, digest, error, named):
    event = error.event or "cmd.denied"
    agent.event(event, "%s: %s" % (named, error) if named else str(error))
    return result.sign(root, digest, result.REFUSED, event, str(error))
