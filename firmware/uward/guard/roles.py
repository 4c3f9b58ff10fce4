"""Who signed (SPEC 6, 11; S7): keys of the commanding roles, from the sealed file `/id/roles`.

`link/derive.py` writes it with `/id/peer`, so that no command needs the 40 KB that a trust
document takes. One record a key: thumbprint 32, SHA-256 of the holder's name cut to 8, x | y.
"""

from uward import limits
from uward.codec import cbor
from uward.compat import const
from uward.crypto import p256
from uward.crypto.hash import sha256
from uward.errors import BadSignature, CommandRefused, KeyRefused

OPERATOR = const(3)
ADMIN = const(4)
POLICY = const(8)
BREAKGLASS = const(9)
COMMANDING = (OPERATOR, ADMIN, BREAKGLASS)
KEPT = (OPERATOR, ADMIN, POLICY, BREAKGLASS)
_KID = const(8)
_HOLDER = const(32)  # offsets in a record
_POINT = const(40)
_FAR = const(104)


class Roles:
    """value: the content of /id/roles: {1: version of the trust document, 2: when it expires,
    3: {role: [threshold, records]}, 4: bytes of a record, 104 where it is absent}."""

    def __init__(self, value):
        self.version = value[1]
        self.expires = value[2]
        self._held = value[3]
        self._size = value.get(4, _FAR)

    def threshold(self, role):
        """How many holders the trust document asks of a role."""
        return self._held.get(role, (1, b""))[0]

    def authors(self, size):
        """-> thumbprints, cut to `size` bytes, of all who may command."""
        return [key[:size] for role in COMMANDING for key in self._keys(role, b"")]

    def find(self, kid, wanted):
        """-> [(role, record)] of the keys with this kid: a hint only (S7)."""
        return [(role, key) for role in wanted for key in self._keys(role, kid[:_KID])]

    def _keys(self, role, kid):
        records = self._held.get(role, (1, b""))[1]
        for o in range(0, len(records), self._size):
            if records[o : o + len(kid)] == kid:
                yield records[o : o + self._size]


def record(holder, key):
    """-> the record of one key."""
    return key.thumbprint() + sha256(holder.encode())[:8] + key.public


def content(version, expires, held):
    """-> the content of /id/roles. held: {role: [threshold, [record, ...]]}"""
    value = {1: version, 2: expires, 3: held}
    if 0 < sum(len(entry[1]) for entry in held.values()) <= limits.P256_FAR:
        for role in held:
            held[role][1] = [one + p256.far(one[_POINT:]) for one in held[role][1]]
            for one in held[role][1]:
                value[4] = len(one)
    for role in held:
        held[role][1] = b"".join(held[role][1])
    return cbor.encode(value)


def signers(blocks, digest, held, wanted, event, found):
    """Generator over the signatures: others run between two of them (S18). Fills `found` with
    (thumbprint, role, holder).

    A signature by no key of the wanted roles, one that does not verify and one that is there
    twice are refused: nothing unexplained goes along with a command.
    """
    for kid, signature in blocks:
        yield
        known = held.find(kid, wanted) if kid else ()
        before = len(found)
        for role, key in known:
            try:
                for _ in p256.verifying(key[_POINT:_FAR], digest, signature, key[_FAR:]):
                    yield
            except (BadSignature, KeyRefused):
                continue
            if any(key[:_HOLDER] == one[0] for one in found):
                raise CommandRefused(event, "key %s signed twice" % kid.hex())
            found.append((key[:_HOLDER], role, key[_HOLDER:_POINT]))
            break
        if len(found) == before:
            raise _nobody(kid, known, event)


def _nobody(kid, known, event):
    if known:
        event = "cmd.bad_sig" if event == "cmd.denied" else event
        return CommandRefused(event, "expected the signature of key %s, got another" % kid.hex())
    return CommandRefused(event, "key %s holds no role for this, or is revoked" % kid.hex())


def count(found, wanted):
    """How many distinct holders of these roles signed: by key *and* by name, so that one person
    with two keys is one."""
    names = set()
    for _, role, holder in found:
        if role in wanted:
            names.add(holder)
    return len(names)
