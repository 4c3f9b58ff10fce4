"""Trust documents (S7): accepted one by one, by the roots of the one before and of their own.

A document is in flash before the boot record names it. Versions that came while a device was
offline may have expired: only the last one must not have, when a release is judged.
"""

import os

from uward import port
from uward.boot import store
from uward.codec import cbor
from uward.errors import TrustError
from uward.link import derive
from uward.trust import anchors
from uward.update import documents, witness
from uward.vault import keys, sealed


def accept(data):
    """-> the version in force afterwards; an older document, or the same, changes nothing."""
    root = keys.root()
    key = keys.record_key(root)
    record = store.load(key)
    document = anchors.parse(data)
    if document.version <= record.trust_version:
        return record.trust_version
    anchors.accept_next(document, documents.in_force(record))
    for role in (anchors.COLLECTOR, anchors.TIME):
        if not document.keys(role)[1]:  # nobody could reach this device any more
            raise TrustError("trust: expected a key of role %s, got none" % anchors.name(role))
    path = documents.path(document.version)
    with open(path + ".tmp", "wb") as f:
        f.write(data)
    os.rename(path + ".tmp", path)
    if document.resets_clock:
        _reset_clock(root, document.issued)
    record.trust_version = document.version
    record.trust_digest = document.digest
    witness.write(root, record)
    store.save_both(record, key)
    return document.version


def _reset_clock(root, unix):
    """The root takes back what a stolen time key made of the clock (S10). Before the record names
    the document: after a cut between them it comes again, and does the same again."""
    sealed.write(root, "/id/clock", cbor.encode({1: unix, 2: unix}))
    port.set_time(unix)


def finish():
    """After the last of several: what sessions need of it, and no file that nobody needs."""
    root = keys.root()
    derive.write(root, cbor.decode(sealed.read(root, "/id/dev")))
    prune()


def prune():
    """Remove the documents that nobody needs: neither stage 0 (the factory's, which judges the
    recovery image, and those that judged a slot) nor the next rotation (the one in force)."""
    record = store.load(keys.record_key(keys.root()))
    names = os.listdir(documents.FOLDER)
    versions = [int(name) for name in names if name.isdigit()]
    needed = [min(versions)]
    needed += [record.slots[slot][2] for slot in (0, 1) if record.owned[slot]]
    for version in versions:
        if version < record.trust_version and version not in needed:
            os.remove(documents.path(version))
    for name in names:
        if name.endswith(".tmp"):
            os.remove(documents.FOLDER + "/" + name)
