"""Which slot runs, and what each event makes of the record (S1, S2). Pure; it changes `record`.

A slot is bootable when it is owned and either confirmed or the active one, which is then on
trial. Slots are 0 (a) and 1 (b); RECOVERY is the third image, which the record does not name.
"""

from uward import limits
from uward.boot.record import DIGEST, EMPTY
from uward.compat import const
from uward.errors import BootRefused, UpdateRefused

RECOVERY = const(2)
NAMES = "abr"


def on_trial(record):
    """The active slot has not been confirmed yet."""
    return not record.confirmed[record.active]


def candidates(record, crashes=0):
    """Slots to try at this boot, in order; RECOVERY stands for itself at the end.

    crashes: resets in a row without a healthy run and without a power cycle, of a confirmed
    image: at the limits the other slot is tried, then recovery alone.
    """
    if crashes >= limits.CRASHES_RECOVERY:
        return [RECOVERY]
    active = record.active
    other = 1 - active
    order = []
    if record.owned[active] and (record.confirmed[active] or record.tries):
        order.append(active)
    if record.owned[other] and record.confirmed[other]:
        order.append(other)
        if crashes == limits.CRASHES_SWITCH and not on_trial(record):
            order.reverse()
    return order + [RECOVERY]  # noqa: RUF005 (MicroPython has no [*a, b])


def hand_over(record, slot):
    """Slot is verified and about to run: count the try before it runs (S2).

    -> whether the record changed and must be written before the hand-over.
    """
    if slot == RECOVERY:
        failed = on_trial(record) and record.owned[record.active]
        if failed:
            _fail(record)
        return failed
    if slot != record.active:
        if on_trial(record):
            _fail(record)
        record.active = slot
        record.tries = 0
        return True
    if on_trial(record):
        if not record.tries:
            raise BootRefused("slots: expected a try left, got none")
        record.tries -= 1
        return True
    return False


def _fail(record):
    slot = record.active
    if record.owned[slot]:
        newest = record.slots[slot][0][:8]
        record.failed = [newest] + record.failed[:2]  # noqa: RUF005 (MicroPython has no [*a, b])
    _disown(record, slot)
    record.tries = 0


def _disown(record, slot):
    record.owned[slot] = record.confirmed[slot] = False
    record.slots[slot] = EMPTY


def target(record, running):
    """-> the slot that an update may write. running: 0, 1 or RECOVERY. Else UpdateRefused."""
    if running == RECOVERY:
        return 1 - record.active
    if on_trial(record) or running != record.active:
        raise UpdateRefused("upd.refused", "install: expected a confirmed image, got a trial")
    return 1 - running


def begin_install(record, running):
    """Disown the slot that will be written; -> its number."""
    slot = target(record, running)
    _disown(record, slot)
    return slot


def installed(record, slot, manifest_digest, image_digest):
    """The image is whole and was judged by the document in force: the next boot is its trial."""
    if record.owned[slot]:
        raise BootRefused("slots: expected a disowned slot, got an owned one")
    record.slots[slot] = judged_by(record, manifest_digest, image_digest)
    record.owned[slot] = True
    record.confirmed[slot] = False
    record.active = slot
    record.tries = limits.TRIAL_TRIES


def judged_by(record, manifest_digest, image_digest):
    """What the record says of a slot: these, and the trust document in force (S1)."""
    named = manifest_digest[:DIGEST], image_digest[:DIGEST]
    return named + (record.trust_version, record.trust_digest[:DIGEST])  # noqa: RUF005


def names(installed, manifest_digest):
    """Whether a slot's tuple is of this manifest."""
    return installed[0] == manifest_digest[:DIGEST]


def confirm(record, security, sequence):
    """The trial proved itself: it is kept, and the floor rises to its security version (S2)."""
    if not record.owned[record.active]:
        raise BootRefused("slots: expected an owned slot to confirm, got none")
    record.confirmed[record.active] = True
    record.tries = 0
    record.floor = max(record.floor, security)
    record.sequence = max(record.sequence, sequence)


def drop_fallback(record):
    """Give up the slot that does not run: its signer was revoked (S1). -> its number."""
    if on_trial(record):
        raise BootRefused("slots: expected a confirmed image, got a trial")
    other = 1 - record.active
    _disown(record, other)
    return other


def judge(record, digest, sequence, security):
    """May this manifest be installed? UpdateRefused `upd.rollback` or `upd.refused` (S1, S2)."""
    if digest[:8] in record.failed:
        raise UpdateRefused("upd.refused", "manifest: expected one that never failed, got one")
    if security < record.floor:
        raise UpdateRefused(
            "upd.rollback",
            "manifest: expected security version >= %d, got %d" % (record.floor, security),
        )
    if sequence < record.sequence:
        raise UpdateRefused(
            "upd.rollback",
            "manifest: expected sequence >= %d, got %d" % (record.sequence, sequence),
        )
    if sequence == record.sequence and not names(record.slots[record.active], digest):
        raise UpdateRefused("upd.rollback", "manifest: expected another sequence, got the same")
