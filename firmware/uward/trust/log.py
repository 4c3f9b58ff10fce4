"""The release log (SPEC 14, T15): is a release in it, and is it the log that was seen before?

Pure. Refusals are `UpdateRefused`: `upd.not_logged` without a proof that holds, `log.fork` for a
log that does not continue the one whose head this device keeps. Proofs: RFC 9162 2.1.
"""

from uward import limits
from uward.codec import cbor, cose
from uward.codec.cosekey import HSS_LMS
from uward.compat import const
from uward.crypto.hash import sha256
from uward.errors import CodecError, UpdateRefused
from uward.trust import anchors

_DOMAIN = b"uward.log.v1"
_FORMAT = const(1)
_MISSING = "upd.not_logged"
_FORK = "log.fork"


def judge(proof, envelope, document, last):
    """Bytes of a proof (b"": none), Envelope, Document in force, the head kept or None.

    -> [size, root, [thumbprint], manifest digest]: what is to be kept as `last`.
    """
    if not proof:
        _refuse(_MISSING, "a proof that the release is in the log, got none")
    if len(proof) > limits.LOG_PROOF:
        _refuse(_MISSING, "a proof of <= %d bytes, got %d" % (limits.LOG_PROOF, len(proof)))
    try:
        signed, entry, index, inside, path = _array(cbor.decode(proof), 5, "the proof")
        size, root, signers = _head(signed, document)
        _entry(entry, envelope)
    except CodecError as e:
        raise UpdateRefused(_MISSING, str(e)) from e
    if not _included(sha256(b"\x00" + _bytes(entry)), index, size, _path(inside), root):
        _refuse(_MISSING, "the release in the tree of %d, got a path elsewhere" % size)
    if last is not None and any(key in last[2] for key in signers):
        _continues(last, size, root, _path(path))
    return [size, root, signers, envelope.digest]


def _head(signed, document):
    """Size and root of a head that the threshold of role `log` signed, thumbprints of the role."""
    message = cose.parse(_bytes(signed), cose.SIGN)
    threshold, keys = document.keys(anchors.LOG)
    got = anchors.count(message, threshold, keys, _DOMAIN)
    if got < threshold:
        _refuse(_MISSING, "%d of role log on the head, got %d" % (threshold, got))
    form, fleet, size, root, _ = _array(cbor.decode(_bytes(message.payload)), 5, "the head")
    if form != _FORMAT or fleet != document.fleet:
        _refuse(_MISSING, "a log head of this fleet, got another")
    if type(size) is not int or not 0 < size <= 1 << limits.LOG_PATH:
        _refuse(_MISSING, "a tree of 1..%d, got %r" % (1 << limits.LOG_PATH, size))
    return size, root, [key.thumbprint() for key in keys]


def _entry(entry, envelope):
    """The entry is about this envelope, and hides none of the one-time indices in it (T14)."""
    value = _array(cbor.decode(_bytes(entry)), 6, "the entry")
    if value[0] != _FORMAT or value[1] != envelope.digest:
        _refuse(_MISSING, "an entry for %s, got another" % envelope.digest.hex())
    used = []
    for message in envelope.signatures:
        if message.headers.get(cose.ALG) == HSS_LMS:
            index = int.from_bytes(message.blocks[0].value[4:8], "big")  # RFC 8554 6.2: q
            used.append([message.headers.get(cose.KID), index])
    if value[5] != used:
        _refuse(_MISSING, "an entry with the one-time indices of the signatures, got others")


def _included(value, index, size, path, root):
    """RFC 9162 2.1.3.2."""
    if type(index) is not int or not 0 <= index < size:
        return False
    last = size - 1
    for step in path:
        if not last:
            return False
        if index & 1 or index == last:
            value = _node(step, value)
            while index and not index & 1:
                index >>= 1
                last >>= 1
        else:
            value = _node(value, step)
        index >>= 1
        last >>= 1
    return not last and value == root


def _continues(known, size, root, path):
    """RFC 9162 2.1.4.2: the tree begins with the one whose head is kept."""
    if size < known[0]:
        _refuse(_FORK, "a log of >= %d entries, got %d" % (known[0], size))
    if size == known[0]:
        good = not path and root == known[1]
    else:
        good = _consistent(known[0], known[1], size - 1, root, path)
    if not good:
        _refuse(_FORK, "a log that continues the %d entries seen, got another" % known[0])


def _consistent(size, first, last, second, path):
    if not size & (size - 1):
        path.insert(0, first)
    if not path:
        return False
    index = size - 1
    while index & 1:
        index >>= 1
        last >>= 1
    old = new = path[0]
    for step in path[1:]:
        if not last:
            return False
        if index & 1 or index == last:
            old = _node(step, old)
            new = _node(step, new)
            while index and not index & 1:
                index >>= 1
                last >>= 1
        else:
            new = _node(new, step)
        index >>= 1
        last >>= 1
    return not last and old == first and new == second


def _node(left, right):
    return sha256(b"\x01" + left + right)


def _path(value):
    if not isinstance(value, list) or len(value) > 2 * limits.LOG_PATH:
        _refuse(_MISSING, "<= %d hashes of a path, got another" % (2 * limits.LOG_PATH))
    for step in value:
        if not isinstance(step, bytes) or len(step) != 32:
            _refuse(_MISSING, "hashes of 32 bytes in a path, got another")
    return value


def _array(value, size, what):
    if not isinstance(value, list) or len(value) != size:
        raise CodecError("log: expected %d members of %s, got another" % (size, what))
    return value


def _bytes(value):
    if not isinstance(value, bytes):
        raise CodecError("log: expected bytes, got %s" % type(value).__name__)
    return value


def _refuse(event, message):
    raise UpdateRefused(event, "log: expected " + message)
