"""What a connection needs of the trust document, kept as one sealed file `/id/peer` (SPEC 6).

Made at enrolment and when a document is accepted, so that no boot has to parse a document and
multiply a point: that takes 40 KB of heap and 50 to 200 ms (S20).
"""

from uward import files, limits
from uward.boot import store
from uward.codec import cbor
from uward.codec.cosekey import ESP256
from uward.crypto import p256
from uward.errors import TrustError
from uward.guard import roles
from uward.trust import anchors
from uward.vault import keys, sealed


def write(root, own):
    """Derive from the document in force and the pairing key. -> the content of /id/peer.

    root: root secret; own: /id/dev. TrustError unless the document is the boot record's.
    """
    record = store.load(keys.record_key(root))
    path = "/trust/%d" % record.trust_version
    document = anchors.parse(files.read(path, limits.CBOR_BYTES))
    if document.digest != record.trust_digest:
        raise TrustError("trust: expected the document in the boot record, got another")
    collectors = document.keys(anchors.COLLECTOR)[1]
    if not collectors:
        raise TrustError("trust: expected a key of role collector, got none")
    value = {
        1: document.digest,
        2: document.version,
        3: document.issued,
        4: document.expires,
        5: document.anchors,
        6: [key.to_map() for key in document.keys(anchors.TIME)[1]],
        7: p256.ecdh(own[3], collectors[0].public),
        8: collectors[0].public,
    }
    _write_roles(root, document)
    sealed.write(root, "/id/peer", cbor.encode(value))
    return value


def _write_roles(root, document):
    """The keys that may command, as `guard.roles` reads them; before /id/peer, which tells that
    both are there."""
    held = {}
    for role in roles.KEPT:
        threshold, holders = document.roles.get(role, (1, ()))
        held[role] = [threshold, []]
        for name, key in holders:
            if key.alg == ESP256 and key.thumbprint() not in document.revoked:
                held[role][1].append(roles.record(name, key))
    value = roles.content(document.version, document.expires, held)
    sealed.write(root, "/id/roles", value)
