"""Gives up a fallback whose signers were revoked, once a replacement is confirmed (S1)."""

from uward import limits
from uward.boot import slots, store
from uward.errors import UpdateRefused
from uward.trust import anchors, suit
from uward.vault import keys


def drop_revoked(root=""):
    """-> whether there was one: it is disowned first, then its blocks are free.

    What runs is kept, and so is the fallback of an image that is revoked itself: revoking a key
    must not brick the fleet. Two releases are judged: 40 KB of heap, not beside a TLS session.
    """
    key = keys.record_key(keys.root(root))
    record = store.load(key, root)
    if slots.on_trial(record) or not record.owned[1 - record.active]:
        return False
    revoked = _document(root, record.trust_version).revoked
    if not revoked or _is_revoked(root, record, record.active, revoked):
        return False
    if not _is_revoked(root, record, 1 - record.active, revoked):
        return False
    slot = slots.drop_fallback(record)
    store.save(record, key, root)
    with open(root + "/slot/%s.img" % slots.NAMES[slot], "wb"):
        pass  # closed: the blocks are free
    return True


def _is_revoked(root, record, slot, revoked):
    """Whether too few of its signers are left, by the document that it was installed under."""
    document = _document(root, record.slots[slot][2])
    document.revoked = revoked
    envelope = suit.parse(_read(root + "/slot/%s.suit" % slots.NAMES[slot]))
    try:
        anchors.release(document, envelope)
    except UpdateRefused:
        return True
    return False


def _document(root, version):
    return anchors.parse(_read(root + "/trust/%d" % version))


def _read(path):
    with open(path, "rb") as f:
        return f.read(limits.CBOR_BYTES + 1)
