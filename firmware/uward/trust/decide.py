"""What a manifest demands: a bounded interpreter of SUIT command sequences -> Plan. Pure.

Refusals are `UpdateRefused` with an event: `upd.wrong_class` (vendor, class, device),
`upd.expired` (use-before), `upd.malformed` (all else that our profile does not run).
"""

from uward import limits
from uward.codec import cbor
from uward.compat import const
from uward.errors import CodecError, LimitError, UpdateRefused
from uward.trust import suit

_VALIDATE = const(7)
_INVOKE = const(9)
_FETCH = const(16)
_INSTALL = const(20)
_RUN_HERE = (1, 2, 3, _VALIDATE, _INVOKE, _INSTALL, 4, 5, 23)  # 4, 5 and 23 only inform

# parameter -> type; sizes and ranges are checked where they are used
_PARAMETERS = {1: bytes, 2: bytes, 3: bytes, 4: int, 5: int, 14: int, 19: bytes, 21: str}
_PARAMETERS.update({24: bytes, 28: bytes, -1: int, -2: int, -3: bytes, -4: int, -5: bytes})
_SHARED = (1, 2, 3, 14, 24, 28, -1, -2, -3)  # what boot and install must see alike


class Identity:
    """What this device is: ids of 16 bytes. device, now: None where they are not judged (S1)."""

    def __init__(self, vendor, klass, device=None, now=None, slot=0, component=b"image"):
        self.vendor = vendor
        self.klass = klass
        self.device = device
        self.now = now
        self.slot = slot
        self.component = component


class Plan:
    """What the manifest wants here; sizes in bytes, use_before in unix seconds or None.

    digest: SHA-256 of the image; hashes: 16 bytes for each block of the payload as transferred;
    encryption: COSE_Encrypt bytes or None; deltas: as encoded (`update/delta`) or None;
    security: what the floor is compared with (S2).
    """

    def __init__(self, sequence, parameters, most=limits.IMAGE_BYTES):
        get = parameters.get
        self.sequence = sequence
        self.digest = suit.digest(get(3))
        self.size = _range(get(14), 1, most, "image size")
        self.security = _range(get(-1), 0, 0xFFFFFFFF, "security version")
        self.version = _text(get(28))
        self.block_size = get(-2)
        self.hashes = get(-3)
        self.payload_size = get(-4)
        self.encryption = get(19)
        self.deltas = get(-5)
        self.use_before = get(4)


class _Failed(UpdateRefused):
    """A condition that does not hold: the only refusal that try-each survives."""


def boot(envelope, identity):
    """Plan of an installed image: validate and invoke. The signatures are checked elsewhere."""
    machine = _Machine(envelope, identity)
    machine.section(_VALIDATE, "an image match", (3,))
    machine.section(_INVOKE, "an invocation", (23,))
    return Plan(envelope.manifest[2], machine.parameters)


def install(envelope, identity):
    """Plan of a release: fetch, validate, invoke; each of them is demanded."""
    machine = _Machine(envelope, identity)
    machine.section(_INSTALL, "a fetch and an image match", (21, 3))
    machine.section(_VALIDATE, "an image match", (3,))
    machine.section(_INVOKE, "an invocation", (23,))
    interpreter = identity.component == b"interpreter"
    most = limits.INTERPRETER_BYTES if interpreter else limits.IMAGE_BYTES
    plan = Plan(envelope.manifest[2], machine.parameters, most)
    _check_payload(plan)
    return plan


def _check_payload(plan):
    if plan.block_size != limits.BLOCK_BYTES:
        _malformed("blocks of %d bytes, got %r" % (limits.BLOCK_BYTES, plan.block_size))
    if plan.payload_size != plan.size:
        _malformed("a payload of %d bytes, got %r" % (plan.size, plan.payload_size))
    blocks = (plan.size + plan.block_size - 1) // plan.block_size
    if not isinstance(plan.hashes, bytes) or len(plan.hashes) != 16 * blocks:
        _malformed("%d block hashes of 16 bytes, got another number" % blocks)


class _Machine:
    def __init__(self, envelope, identity):
        self.envelope = envelope
        self.identity = identity
        self.left = limits.SUIT_COMMANDS
        self.parameters = {}
        self.done = []  # commands that took effect, in order
        for key in envelope.manifest:
            if key not in _RUN_HERE:
                _malformed("no manifest member %d, got one" % key)
        common = cbor.decode(envelope.manifest[3])
        if not isinstance(common, dict) or set(common) != {2, 4}:
            _malformed("components and a shared sequence in common, got another")
        self._component(common[2])
        self.shared = True
        self.run(common[4], 0)
        self.shared = False
        self.demand("conditions on vendor and class", (1, 2))

    def _component(self, components):
        if not isinstance(components, list) or len(components) > limits.SUIT_COMPONENTS:
            _malformed("<= %d components, got another" % limits.SUIT_COMPONENTS)
        if components != [[self.identity.component]]:
            raise UpdateRefused(
                "upd.wrong_class",
                "manifest: expected component %r, got %r" % (self.identity.component, components),
            )

    def section(self, key, what, commands):
        """Run one section, in which `commands` must have taken effect."""
        section = self.envelope.section(key)
        if section is None:
            _malformed("%s in section %d, got no section" % (what, key))
        self.done = []
        self.run(section, 0)
        self.demand(what, commands)

    def demand(self, what, commands):
        for command in commands:
            if command not in self.done:
                _malformed("%s, got commands %s" % (what, self.done))

    def run(self, raw, depth):
        """One command sequence; recursion is bounded by limits.SUIT_DEPTH."""
        if depth > limits.SUIT_DEPTH:
            raise LimitError("suit: expected depth <= %d, got more" % limits.SUIT_DEPTH)
        if not isinstance(raw, bytes):
            raise CodecError("suit: expected a sequence in bytes, got %s" % type(raw).__name__)
        commands = cbor.decode(raw)
        if not isinstance(commands, list) or len(commands) & 1:
            raise CodecError("suit: expected commands in pairs, got another")
        for i in range(0, len(commands), 2):
            self.left -= 1
            if self.left < 0:
                raise LimitError("suit: expected <= %d commands, got more" % limits.SUIT_COMMANDS)
            self._command(commands[i], commands[i + 1], depth)

    def _command(self, code, argument, depth):
        if type(code) is not int:
            _malformed("a command number, got %s" % type(code).__name__)
        if code == 20:
            self._override(argument)
        elif code == 15:
            self._try_each(argument, depth)
        elif code == 32:
            self.run(argument, depth + 1)
        elif code == 12:
            if argument is not True and argument != 0 and argument != [0]:
                _malformed("component index 0, got %r" % (argument,))
        elif code in _CONDITIONS:
            _CONDITIONS[code](self, self.parameters)
            self.done.append(code)
        elif code == 21:
            if self.parameters.get(21) != "#image":
                _malformed("URI #image, got %r" % (self.parameters.get(21),))
            self.done.append(code)
        elif code == 23:
            self.done.append(code)
        else:
            _malformed("a known command, got %r" % (code,))

    def _override(self, parameters):
        if not isinstance(parameters, dict):
            raise CodecError("suit: expected parameters in a map, got another")
        for key in parameters:
            if key not in _PARAMETERS:
                _malformed("a known parameter, got %r" % (key,))
            if type(parameters[key]) is not _PARAMETERS[key]:
                _malformed("parameter %d of another type, got one" % key)
            if key in _SHARED and not self.shared:
                _malformed("parameter %d in the shared sequence only, got it later" % key)
            self.parameters[key] = parameters[key]

    def _try_each(self, branches, depth):
        """Directive 15: the first branch whose conditions hold; nil at the end gives up."""
        if not isinstance(branches, list) or not branches:
            _malformed("branches to try, got none")
        for branch in branches:
            if branch is None and branch is branches[-1]:
                return
            try:
                return self.run(branch, depth + 1)
            except _Failed as e:
                failure = e
        raise failure

    # Conditions (draft 8.4.8, 8.7.6; use-before: update management draft)

    def _vendor(self, values):
        self._same("vendor", values.get(1), self.identity.vendor)

    def _class(self, values):
        self._same("class", values.get(2), self.identity.klass)

    def _device(self, values):
        if self.identity.device is not None:
            self._same("device", values.get(24), self.identity.device)

    def _same(self, what, got, expected):
        if got != expected:
            raise _Failed(
                "upd.wrong_class",
                "manifest: expected %s %s, got %s" % (what, _hex(expected), _hex(got)),
            )

    def _image_match(self, values):
        suit.digest(values.get(3))  # compared with flash by who writes or boots it

    def _use_before(self, values):
        now = self.identity.now
        until = values.get(4)
        if until is None:
            _malformed("a time for use-before, got none")
        if now is not None and now > until:
            raise _Failed("upd.expired", "manifest: expected use before %d, now %d" % (until, now))

    def _slot(self, values):
        if values.get(5) != self.identity.slot:
            raise _Failed(
                "upd.wrong_class",
                "manifest: expected slot %d, got %r" % (self.identity.slot, values.get(5)),
            )


_CONDITIONS = {
    1: _Machine._vendor,
    2: _Machine._class,
    3: _Machine._image_match,
    4: _Machine._use_before,
    5: _Machine._slot,
    24: _Machine._device,
}


def _malformed(message):
    raise UpdateRefused("upd.malformed", "manifest: expected " + message)


def _hex(value):
    return "none" if value is None else value.hex()


def _range(value, low, high, what):
    if value is None or not low <= value <= high:
        _malformed("%s in %d..%d, got %r" % (what, low, high, value))
    return value


def _text(raw):
    if raw is not None and len(raw) > limits.VERSION_BYTES:
        _malformed("a version of <= %d bytes, got %d" % (limits.VERSION_BYTES, len(raw)))
    try:
        return str(raw or b"", "utf-8")
    except UnicodeError:
        _malformed("a version in UTF-8, got other bytes")
