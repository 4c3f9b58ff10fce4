"""Who signed (SPEC 6, 11; S7): keys of the commanding roles, from the sealed file `/id/roles`.

`link/derive.py` writes it with `/id/peer`, so that no command needs the 40 KB that a trust
document takes. One record a key: kid 8, SHA-256 of the holder's name cut to 8, x | y.
"""

from uward.codec import cose
from uward.codec.cosekey import EC2, ESP256, Key
from uward.compat import const
from uward.crypto.hash import sha256
from uward.errors import BadSignature, CodecError, CommandRefused, KeyRefused

OPERATOR = const(3)
ADMIN = const(4)
POLICY = const(8)
BREAKGLASS = const(9)
COMMANDING = (OPERATOR, ADMIN, BREAKGLASS)
KEPT = (OPERATOR, ADMIN, POLICY, BREAKGLASS)
_RECORD = const(80)


class Roles:
    """value: the content of /id/roles: {1: version of the trust document, 2: when it expires,
    3: {role: [threshold, records]}}."""

    def __init__(self, value):
        self.version = value[1]
        self.expires = value[2]
        self._held = value[3]

    def threshold(self, role):
        """How many holders the trust document asks of a role."""
        return self._held.get(role, (1, b""))[0]

    def authors(self, size):
        """-> thumbprints, cut to `size` bytes, of all who may command."""
        found = []
        for role in COMMANDING:
            for _, key in self._keys(role, None):
                found.append(key.thumbprint()[:size])
        return found

    def find(self, kid, wanted):
        """Yields (role, holder tag, Key) of the keys with this kid: a hint only (S7)."""
        for role in wanted:
            for holder, key in self._keys(role, kid):
                yield role, holder, key

    def _keys(self, role, kid):
        records = self._held.get(role, (1, b""))[1]
        for o in range(0, len(records), _RECORD):
            if kid is None or records[o : o + 8] == kid:
                yield records[o + 8 : o + 16], Key(EC2, records[o + 16 : o + _RECORD], ESP256)


def record(holder, key):
    """-> the record of one key."""
    return key.thumbprint()[:8] + sha256(holder.encode())[:8] + key.public


def signers(data, held, domain, wanted, event="cmd.denied"):
    """Every signature of a COSE_Sign, checked -> [(thumbprint, role, holder tag)].

    As `slices`, in one go.
    """
    found = []
    for _ in slices(data, held, domain, wanted, event, found):
        pass
    return found


def slices(data, held, domain, wanted, event, found):
    """Generator over the signatures: others run between two of them (S18). found: is filled.

    A signature by no key of the wanted roles, one that does not verify and one that is there
    twice are refused: nothing unexplained goes along with a command.
    """
    message = cose.parse(data, cose.SIGN)
    if message.headers or message.payload is None:
        raise CodecError("command: expected empty headers and a payload inside")
    for block in message.blocks:
        yield
        thumbprint, role, holder = _signer(message, block, held, domain, wanted, event)
        if any(thumbprint == known[0] for known in found):
            raise CommandRefused(event, "key %s signed twice" % thumbprint[:8].hex())
        found.append((thumbprint, role, holder))


def _signer(message, block, held, domain, wanted, event):
    kid = block.headers.get(cose.KID)
    for label in block.headers:
        if label not in (cose.ALG, cose.KID):
            raise CodecError("command: expected algorithm and kid, got %r" % (label,))
    tried = False
    for role, holder, key in held.find(kid, wanted):
        tried = True
        try:
            cose.verify(message, block, key, domain)
        except (BadSignature, KeyRefused):
            continue
        return key.thumbprint(), role, holder
    shown = kid.hex() if kid else "none"
    if tried:
        event = "cmd.bad_sig" if event == "cmd.denied" else event
        raise CommandRefused(event, "expected the signature of key %s, got another" % shown)
    raise CommandRefused(event, "key %s holds no role for this, or is revoked" % shown)


def count(found, wanted):
    """How many distinct holders of these roles signed: by key *and* by name, so that one person
    with two keys is one."""
    names = set()
    for _, role, holder in found:
        if role in wanted:
            names.add(holder)
    return len(names)
