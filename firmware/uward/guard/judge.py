"""Is this command to be obeyed? (SPEC 11, S16). Pure: bytes and what is known in, Verdict out.

Cheap checks first; what anybody can check comes before signatures, what costs a counter after.
"""

from uward import limits
from uward.codec import cbor
from uward.compat import const
from uward.crypto.hash import sha256
from uward.errors import CodecError, CommandRefused
from uward.guard import envelope, roles, rules, signed
from uward.vault import keys

DOMAIN = b"uward.cmd.v1"
AUTHOR = const(16)  # bytes of a thumbprint that name an author in the book
_SET = "set"
_RELEASE = "release"
# Bounds of the device itself, argument by argument: a policy can only narrow them
_CORE = {
    "reboot": {},
    _SET: None,  # any setting that the policy names
    "update-now": {},
    "quarantine": {},
    _RELEASE: {},
    "unlock-console": {"seconds": (30, 3600)},
    "rotate-keys": {},
    "retire": {},
    rules.BREAKGLASS: {"minutes": (1, 60)},
    "totp": {},
}


class Context:
    """What a command is judged by.

    device: our id; book: Book; roles: Roles; policy: the bytes in force, or None; now: unix
    seconds, proved: whether by role time; uptime in ms; challenge: what an answer to us must
    carry, or None; online: by way of the collector; agent: its orders, recent, quarantined,
    emergency, present.
    """

    def __init__(self, agent, book, held, known):
        self.agent = agent
        self.book = book
        self.roles = held
        self.policy = known
        self.challenge = None
        self.online = True
        self.proved = True


class Command:
    """What a command says; nobody has checked its signatures. data: COSE_Sign bytes."""

    def __init__(self, data):
        self.digest = sha256(data)
        self.raw, self.blocks = signed.parse(data, limits.COMMAND_BYTES, "command")
        payload = cbor.decode(self.raw)
        if not isinstance(payload, dict):
            raise CodecError("command: expected a map, got another")
        self.device = _typed(payload, 1, str)
        self.name = _typed(payload, 2, str)
        self.arguments = _typed(payload, 3, dict)
        self.author = _typed(payload, 4, bytes)
        self.counter = _typed(payload, 5, int)
        self.first = _typed(payload, 6, int)
        self.last = _typed(payload, 7, int)
        self.challenge = _typed(payload, 8, bytes) if 8 in payload else None
        self.code = _typed(payload, 9, str) if 9 in payload else None
        if len(payload) != 7 + (8 in payload) + (9 in payload):
            raise CodecError("command: expected members 1..9, got others")
        for name in self.arguments:
            if type(name) is not str or len(name) > limits.COMMAND_NAME:
                raise CodecError("command: expected short names of arguments, got another")
            if type(self.arguments[name]) not in (bool, int, float, str, bytes):
                raise CodecError("command: expected plain arguments, got another")


def fresh(command, context):
    """Nothing but this device, this moment, once: no signature needed (T04)."""
    if command.device != context.device:
        raise CommandRefused("cmd.replay", "expected our device id, got %s" % command.device)
    last = context.book.counters.get(command.author[:AUTHOR], 0)
    if command.counter <= last:
        raise CommandRefused(
            "cmd.replay", "expected a counter above %d, got %d" % (last, command.counter)
        )
    wanted = context.online or command.challenge is not None
    if wanted and (context.challenge is None or command.challenge != context.challenge):
        raise CommandRefused("cmd.replay", "expected the challenge of now, got another")
    if not 0 < command.last - command.first <= limits.COMMAND_WINDOW_S:
        raise CommandRefused("cmd.expired", "expected a window of at most a day, got another")
    # without proved time the clock is at its floor or later: what ended before it has ended
    if context.now >= command.last or (context.proved and context.now < command.first):
        raise CommandRefused(
            "cmd.expired",
            "valid %d..%d, it is %d" % (command.first, command.last, context.now),
        )
    if context.online and not context.proved:
        raise CommandRefused("cmd.denied", "the time is not proved")


def rule(command, context):
    """The policy's rule for it; what is not named is denied."""
    if command.name not in _CORE and command.name not in context.agent.orders:
        raise CommandRefused("cmd.denied", "no command %s in this device" % command.name)
    if context.policy is None:
        raise CommandRefused("cmd.denied", "there is no policy in force")
    found = rules.rule(context.policy, context.book.policy[3], command.name)
    if not context.online and not found.offline:
        raise CommandRefused("cmd.denied", "the policy takes %s online only" % command.name)
    if command.last - command.first > found.window:
        raise CommandRefused("cmd.denied", "the policy takes a window of %d s" % found.window)
    return found


def signatures(command, context, found):
    """Generator: checks every signature, fills `found`; others run between two (S18)."""
    digest = signed.digest(command.raw, DOMAIN)
    held, wanted = context.roles, roles.COMMANDING
    for _ in roles.signers(command.blocks, digest, held, wanted, "cmd.denied", found):
        yield
    if not any(command.author == thumbprint for thumbprint, _, _ in found):
        raise CommandRefused("cmd.denied", "the author of the counter has not signed")


def count(command, context):
    """Take the counter; of too many authors those go who hold no role any more."""
    counters = context.book.counters
    author = command.author[:AUTHOR]
    if author not in counters and len(counters) >= limits.COMMAND_AUTHORS:
        held = context.roles.authors(AUTHOR)
        for known in list(counters):
            if known not in held:
                del counters[known]
    counters[author] = command.counter


def decide(command, context, rule, signers):
    """Roles, second factor, state of the device, envelope -> (whether the button must be pressed,
    what is kept of the envelope in flash, and of this boot; None where nothing is).

    The counter is taken by now: a command that is refused here is never valid again.
    """
    _check_state(command, context, signers)
    way = _way(command, context, rule, signers)
    _check_arguments(command, context)
    name = command.name
    kept, recent = context.book.kept.get(name), context.agent.recent.get(name)
    state = envelope.check(rule, command.arguments, kept, recent, context.uptime)
    if not rule.limits and not rule.cooldown:
        state = None, None  # nothing that a later run is compared with
    return way.factor == rules.PRESENCE, state[0], state[1]


def _check_state(command, context, signers):
    agent = context.agent
    emergency = [role for _, role, _ in signers] == [roles.BREAKGLASS]
    if context.proved and context.now > context.roles.expires and not emergency:
        raise CommandRefused("cmd.denied", "the trust document has expired")
    core = command.name in _CORE
    free = command.name in (_RELEASE, rules.BREAKGLASS, "retire")
    if agent.quarantined and not agent.emergency and not free:
        raise CommandRefused("cmd.denied", "in quarantine: expected release")
    if not core and not agent.actuators:
        raise CommandRefused("cmd.denied", "actuators rest: %s" % (agent.unsafe or "quarantine"))


def _way(command, context, rule, signers):
    """The first way of the rule that these signers satisfy; of those, one without a button."""
    refusal = "expected another set of signers for %s" % command.name
    pressed = None
    for way in rule.ways:
        if rules.weak(command.name, way) or (way.emergency and not context.agent.emergency):
            continue
        if roles.count(signers, way.roles) < way.threshold:
            continue
        if way.factor == rules.ALONE:
            return way
        if way.factor == rules.PRESENCE:
            if context.agent.present is not None:
                pressed = pressed or way
            else:
                refusal = "expected a button, this device has none"
        elif not keys.in_chip():
            refusal = "no codes: this key source cannot keep their secret"
        elif command.code is None:
            refusal = "expected a code"
        else:
            _take_code(command, context)
            return way
    if pressed is None:
        raise CommandRefused("cmd.denied", refusal)
    return pressed


def _take_code(command, context):
    from uward.guard import totp

    entry = context.book.totp.get(command.author[:AUTHOR])
    if entry is None:
        raise CommandRefused("cmd.denied", "no secret for codes of this key")
    if not context.proved:
        raise CommandRefused("cmd.denied", "no codes while the time is not proved")
    totp.check(entry, command.code, context.now)


def _check_arguments(command, context):
    """Exactly the arguments that there are, within the device's own bounds."""
    bounds = _CORE.get(command.name)
    if command.name not in _CORE:
        bounds = context.agent.orders[command.name][1]
    if bounds is None:
        if not command.arguments:
            raise CommandRefused("cmd.denied", "expected settings, got none")
        return
    for name in bounds:
        if name not in command.arguments:
            raise CommandRefused("cmd.denied", "expected argument %s" % name)
    for name in command.arguments:
        if name not in bounds:
            raise CommandRefused("cmd.denied", "expected no argument %s" % name)
        if bounds[name] is not None:
            envelope.within(name, command.arguments[name], *bounds[name])


def _typed(payload, label, kind):
    value = payload.get(label)
    if type(value) is not kind:
        raise CodecError("command: expected %s at %d, got another" % (kind.__name__, label))
    return value
