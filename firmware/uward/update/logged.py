"""A release must be in the release log before its first block is written (S1: judged here only).

`/slot/man.log` holds the proof that came with the envelope; `/id/log`, sealed, the last head seen
and the manifest that it let in, so that a download goes on after a reset without its proof.
"""

import os

from uward import files, limits
from uward.codec import cbor
from uward.compat import const
from uward.errors import LimitError
from uward.trust import anchors, log
from uward.vault import sealed

PROOF = "/slot/man.log"
HEAD = "/id/log"
_ENOENT = const(2)


def demand(root, document, envelope):
    """Where the trust document gives keys to role `log` (SPEC 14). UpdateRefused otherwise.

    root: the root secret, for the sealed head.
    """
    if anchors.LOG not in document.roles:
        return
    last = seen(root)
    if last is not None and last[3] == envelope.digest:
        return  # let in before
    head = log.judge(_proof(), envelope, document, last)
    sealed.write(root, HEAD, cbor.encode(head))


def _proof():
    """What came with the envelope, once; b"" when nothing did, or what no proof can be."""
    try:
        proof = files.read(PROOF, limits.LOG_PROOF)
    except LimitError:
        proof = b""
    except OSError:
        return b""
    os.remove(PROOF)
    return proof


def seen(root):
    """-> [size, root, [thumbprint], manifest digest] of the last head, or None. BadMac."""
    try:
        return cbor.decode(sealed.read(root, HEAD))
    except OSError as e:
        if e.args[0] != _ENOENT:
            raise
        return None
