"""What became of a command, signed by the device's identity (SPEC 11)."""

from uward import limits
from uward.codec import cbor
from uward.compat import const
from uward.guard import signed
from uward.vault import sealed

DONE = const(0)
REFUSED = const(1)
FAILED = const(2)
INTERRUPTED = const(3)
_DOMAIN = b"uward.result.v1"


def sign(root, digest, outcome, event, detail, secret=None):
    """-> COSE_Sign1. digest: SHA-256 of the command's bytes; event: "" when it was done."""
    own = cbor.decode(sealed.read(root, "/id/dev"))
    payload = {1: own[1], 2: digest, 3: outcome, 4: event, 5: detail[: limits.REASON_CHARS]}
    if secret is not None:
        payload[6] = secret

    return signed.sign1(own[2], cbor.encode(payload), _DOMAIN)


def tell(agent, signed):
    """Into the outbox: it is sent until the collector has committed it."""
    agent.keep("cmd", agent.uptime(), cbor.encode(signed), True)
