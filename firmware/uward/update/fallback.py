"""Gives up a fallback whose signers were revoked, once a replacement is confirmed (S1)."""

from uward import files, limits
from uward.boot import slots, store
from uward.errors import UpdateRefused
from uward.trust import anchors, suit
from uward.update import documents
from uward.vault import keys


def drop_revoked(root=""):
    """-> whether there was one. It is erased first: what a cut leaves is judged again.

    What runs is kept, and so is the fallback of an image that is revoked itself: revoking a key
    must not brick the fleet. Two releases are judged: 40 KB of heap, not beside a TLS session.
    """
    key = keys.record_key(keys.root(root))
    record = store.load(key, root)
    if slots.on_trial(record) or not record.owned[1 - record.active]:
        return False
    revoked = documents.in_force(record, root).revoked
    if not revoked or _is_revoked(root, record, record.active, revoked):
        return False
    if not _is_revoked(root, record, 1 - record.active, revoked):
        return False
    slot = slots.drop_fallback(record)
    with open(root + "/slot/%s.img" % slots.NAMES[slot], "wb"):
        pass  # closed: the blocks are free
    store.save_both(record, key, root)
    return True


def _is_revoked(root, record, slot, revoked):
    """Whether too few of its signers are left, by the document that it was installed under."""
    installed = record.slots[slot]
    document = documents.read(installed[2], installed[3], root)
    document.revoked = revoked
    path = root + "/slot/%s.suit" % slots.NAMES[slot]
    envelope = suit.parse(files.read(path, limits.ENVELOPE_BYTES))
    try:
        anchors.release(document, envelope)
    except UpdateRefused:
        return True
    return False
