"""What becomes of a trial boot: confirmed, or found to have failed at an earlier boot (S2)."""

import os

from uward import files, limits
from uward.boot import slots, store
from uward.errors import UwardError
from uward.update import witness
from uward.vault import keys

CONFIRMED = "/slot/new"


def confirm(info):
    """The running image proved itself: keep its slot, raise the floor.

    The record comes last: what goes with the confirmation is there when it counts.
    """
    root = keys.root()
    key = keys.record_key(root)
    record = store.load(key)
    slots.confirm(record, info["security"], info["sequence"])
    witness.write(root, record)
    with open(CONFIRMED, "wb") as f:
        f.write(b"1")  # the next boot looks whether the fallback is revoked
    store.save_both(record, key)
    info["trial"] = False


def reverted():
    """-> payload id of the release whose trial failed since this was last asked, or None."""
    record = store.load(keys.record_key(keys.root()))
    other = 1 - record.active
    path = "/slot/%s.suit" % slots.NAMES[other]
    if slots.on_trial(record) or record.owned[other] or not any(record.failed[0]):
        return None
    payload = _payload(path)
    if payload != record.failed[0]:
        return None
    os.remove(path)
    return payload


def _payload(path):
    from uward.trust import suit

    try:
        return suit.parse(files.read(path, limits.ENVELOPE_BYTES)).digest[:8]
    except (OSError, UwardError):
        return None  # no manifest there, or a torn one: then it was never on trial
