"""What must be known of commands after a power cut: one sealed file, `/id/cmd` (SPEC 11, S16)."""

from uward import files, limits
from uward.codec import cbor
from uward.compat import const
from uward.crypto.hash import sha256
from uward.errors import CodecError, CommandRefused
from uward.vault import sealed

PATH = "/id/cmd"
POLICY = "/id/policy%d"
ROLES = "/id/roles"
_ENOENT = const(2)


class Book:
    """counters: {author, 16 bytes of a thumbprint: last counter}; pending: [digest, command,
    counter, author] of one that is carried out, or None; quarantined; kept: {command: {argument:
    [last, spent]}}; policy: [version, digest, slot,
    where its rules begin]; totp: {author: [secret, step, failures]};
    chosen: {setting: value}.
    """

    def __init__(self, value=None):
        value = value or {}
        self.counters = value.get(1, {})
        self.pending = value.get(2)
        self.quarantined = value.get(3, False)
        self.kept = value.get(4, {})
        self.policy = value.get(5, [0, b"", 0, 0])
        self.totp = value.get(6, {})
        self.chosen = value.get(7, {})

    def value(self):
        """-> the map that `Book` takes: without its class, which would keep this module."""
        return {
            1: self.counters,
            2: self.pending,
            3: self.quarantined,
            4: self.kept,
            5: self.policy,
            6: self.totp,
            7: self.chosen,
        }


def load(root, base=""):
    """-> Book; a new one when there is none. BadMac when it was not written here."""
    try:
        data = sealed.read(root, PATH, base)
    except OSError as e:
        if e.args[0] != _ENOENT:
            raise
        return Book()
    value = cbor.decode(data)
    if not isinstance(value, dict):
        raise CodecError("book: expected a map, got %s" % type(value).__name__)
    return Book(value)


def save(root, book, base=""):
    """Old or new after a cut, never neither."""
    sealed.write(root, PATH, cbor.encode(book.value()), base)


def current(found):
    """-> bytes of the policy in force, or None before the first. CommandRefused `policy.bad`."""
    version, digest, slot, _ = found.policy
    if not version:
        return None
    try:
        data = files.read(POLICY % slot, limits.POLICY_BYTES)
    except OSError:
        data = b""
    if sha256(data) != digest:
        raise CommandRefused("policy.bad", "policy %d is not what was accepted" % version)
    return data


def roles(agent, root):
    """-> Roles of the trust document in force, which changes at a boot only. CommandRefused."""
    from uward.guard import roles as module

    if agent.held is None:
        try:
            value = cbor.decode(sealed.read(root, ROLES))
        except OSError as e:
            if e.args[0] != _ENOENT:
                raise
            value = {1: 0}
        version = agent.info["trust"]
        if value[1] != version:
            raise CommandRefused("cmd.denied", "no roles of trust document %d" % version)
        agent.held = value
    return module.Roles(agent.held)
