"""The slots' state machine, exhaustively: every state that events can reach, every event in it.

Whatever happens, what runs is verified, owned, not below the floor, and on trial at most three
times; while a confirmed slot is good, recovery does not run; something can always run.
"""

import hashlib
from collections import deque

import pytest
from uward import limits
from uward.boot import record as records
from uward.boot import slots
from uward.errors import BootRefused, UpdateRefused

GOOD, BAD = "good", "bad"
RELEASES = {  # name: (sequence, security version)
    "first": (1, 1),
    "second": (2, 2),
    "low": (3, 1),  # refused once the second was confirmed: its security version is lower
}


def digest(name):
    return hashlib.sha256(name.encode()).digest()


NAMES = {digest(name)[:16]: name for name in RELEASES}


class World:
    """Record and flash of one board. flash: what each slot holds, as (release, condition)."""

    def __init__(self):
        self.record = records.Record(records.LOCKED, 1, bytes(32))
        self.record.slots[0] = slots.judged_by(self.record, digest("first"), digest("first"))
        self.record.owned[0] = self.record.confirmed[0] = True
        self.record.floor = self.record.sequence = 1
        self.flash = [("first", GOOD), (None, BAD)]
        self.running = None  # slot, or None before a boot
        self.trials = {}  # release -> boots on trial since it was installed
        self.floor = 1  # the highest that ever was confirmed

    def copy(self):
        other = World()
        other.record = copied(self.record)
        other.flash = list(self.flash)
        other.running = self.running
        other.trials = dict(self.trials)
        other.floor = self.floor
        return other

    def key(self):
        r = self.record
        fixed = (r.active, r.tries, tuple(r.owned), tuple(r.confirmed), r.floor, r.sequence)
        named = (tuple(item[0] for item in r.slots), tuple(r.failed))
        real = (tuple(self.flash), self.running, tuple(sorted(self.trials.items())))
        return fixed + named + real

    def verifies(self, slot):
        if slot == slots.RECOVERY:
            return True
        release, condition = self.flash[slot]
        good = condition == GOOD and NAMES.get(self.record.slots[slot][0]) == release
        return good and RELEASES[release][1] >= self.record.floor

    def boot(self):
        """What stage 0 does, with `verifies` in place of signatures."""
        for slot in slots.candidates(self.record):
            if not self.verifies(slot):
                continue
            trial = slot != slots.RECOVERY and not self.record.confirmed[slot]
            slots.hand_over(self.record, slot)
            self.running = slot
            if trial:
                release = self.flash[slot][0]
                self.trials[release] = self.trials.get(release, 0) + 1
            return
        raise AssertionError("nothing runs")


def copied(record):
    other = records.Record(record.state, record.trust_version, record.trust_digest)
    other.__dict__.update(record.__dict__)
    for name in ("owned", "confirmed", "slots", "failed"):
        setattr(other, name, list(getattr(record, name)))
    return other


def events(world):
    """-> (name, the world after it) for all that may happen now."""
    after = world.copy()
    after.boot()
    yield "boot", after
    cut = world.copy()
    cut.boot()
    cut.record = copied(world.record)  # the record was not written: the image did not run
    cut.running = world.running
    cut.trials = dict(world.trials)
    yield "cut before the record", cut
    for slot in (0, 1):
        after = world.copy()
        after.flash[slot] = (world.flash[slot][0], BAD)
        yield "rot %d" % slot, after
    if world.running is None:
        return
    on_trial = slots.on_trial(world.record) and world.running == world.record.active
    if on_trial and world.record.owned[world.running]:
        after = world.copy()
        sequence, security = RELEASES[world.flash[world.running][0]]
        slots.confirm(after.record, security, sequence)
        after.floor = max(after.floor, security)
        yield "confirm", after
    if world.running != slots.RECOVERY and not slots.on_trial(world.record):
        after = world.copy()
        slots.drop_fallback(after.record)
        yield "drop fallback", after
    for name in RELEASES:
        yield from installs(world, name)


def installs(world, name):
    sequence, security = RELEASES[name]
    after = world.copy()
    try:
        slots.judge(after.record, digest(name), sequence, security)
        slot = slots.begin_install(after.record, after.running)
    except UpdateRefused:
        return
    after.flash[slot] = (name, BAD)
    yield "begin " + name, after.copy()
    after.flash[slot] = (name, GOOD)
    yield "written " + name, after.copy()
    slots.installed(after.record, slot, digest(name), digest(name))
    after.trials.pop(name, None)
    yield "installed " + name, after


def check(before, event, world):
    record = world.record
    assert record.floor >= before.record.floor, event
    assert record.floor == world.floor, event
    if event == "boot":
        slot = world.running
        if slot != slots.RECOVERY:
            assert world.verifies(slot)
            assert record.owned[slot]
            assert slot == record.active
            assert RELEASES[world.flash[slot][0]][1] >= world.floor
        confirmed = [s for s in (0, 1) if before.record.owned[s] and before.record.confirmed[s]]
        if any(before.verifies(s) for s in confirmed):
            assert slot != slots.RECOVERY, "a confirmed slot is good"
    for release, count in world.trials.items():
        assert count <= limits.TRIAL_TRIES, (event, release)
    if record.failed != before.record.failed:
        assert record.failed[1:] == before.record.failed[:2]
    for name, (sequence, security) in RELEASES.items():
        if digest(name)[:8] in record.failed:
            with pytest.raises(UpdateRefused, match="never failed"):
                slots.judge(record, digest(name), sequence, security)


def test_no_event_in_any_state_breaks_a_promise():
    start = World()
    seen = {start.key()}
    todo = deque([start])
    checked = 0
    while todo:
        world = todo.popleft()
        for event, after in events(world):
            check(world, event, after)
            checked += 1
            if after.key() not in seen:
                seen.add(after.key())
                todo.append(after)
    assert len(seen) > 80_000  # all of them: 82,986
    assert checked > 500_000


# One by one


def two_slots():
    record = World().record
    slots.installed(record, 1, digest("second"), digest("second"))
    return record


def test_a_trial_counts_before_it_runs_and_then_reverts():
    record = two_slots()
    assert slots.candidates(record) == [1, 0, slots.RECOVERY]
    for left in (2, 1, 0):
        assert slots.hand_over(record, 1)
        assert record.tries == left
    assert slots.candidates(record) == [0, slots.RECOVERY]
    with pytest.raises(BootRefused, match="a try left, got none"):
        slots.hand_over(record, 1)
    assert slots.hand_over(record, 0)
    assert record.active == 0
    assert record.failed[0] == digest("second")[:8]
    assert not slots.hand_over(record, 0)


def test_a_confirmed_trial_keeps_its_fallback_until_the_floor_rises():
    record = two_slots()
    slots.hand_over(record, 1)
    slots.confirm(record, 1, 2)
    assert slots.candidates(record) == [1, 0, slots.RECOVERY]
    assert (record.tries, record.floor, record.sequence) == (0, 1, 2)


def test_crashes_lead_to_the_other_slot_and_then_to_recovery():
    record = two_slots()
    slots.confirm(record, 1, 2)
    active_first = [1, 0, slots.RECOVERY]
    assert slots.candidates(record, limits.CRASHES_SWITCH - 1) == active_first
    assert slots.candidates(record, limits.CRASHES_SWITCH) == [0, 1, slots.RECOVERY]
    assert slots.candidates(record, limits.CRASHES_SWITCH + 1) == active_first
    assert slots.candidates(record, limits.CRASHES_RECOVERY) == [slots.RECOVERY]
    assert slots.candidates(record, 255) == [slots.RECOVERY]


def test_recovery_remembers_the_trial_that_failed():
    record = two_slots()
    record.confirmed[0] = False
    assert slots.hand_over(record, slots.RECOVERY)
    assert record.failed[0] == digest("second")[:8]
    assert not slots.hand_over(record, slots.RECOVERY)
    assert slots.begin_install(record, slots.RECOVERY) == 0


def test_what_may_not_happen_is_refused():
    record = two_slots()
    with pytest.raises(UpdateRefused, match="a confirmed image, got a trial"):
        slots.begin_install(record, 1)
    with pytest.raises(UpdateRefused, match="a confirmed image, got a trial"):
        slots.begin_install(record, 0)
    with pytest.raises(BootRefused, match="disowned slot"):
        slots.installed(record, 1, digest("third"), digest("third"))
    with pytest.raises(BootRefused, match="a confirmed image, got a trial"):
        slots.drop_fallback(record)
    record.owned[1] = False
    with pytest.raises(BootRefused, match="an owned slot to confirm"):
        slots.confirm(record, 1, 1)


def test_states_that_no_event_leads_to_are_safe_too():
    """The record is authenticated; these guards are the second line behind that."""
    record = two_slots()
    record.owned[1] = False  # on trial, with tries left, and disowned
    assert slots.candidates(record) == [0, slots.RECOVERY]
    record.confirmed[1] = True
    assert slots.candidates(record) == [0, slots.RECOVERY]
    slots.installed(record, 1, digest("third"), digest("third"))
    assert slots.on_trial(record)  # whatever the flag was before
    slots.confirm(record, 5, 9)
    slots.confirm(record, 4, 8)
    assert (record.floor, record.sequence) == (5, 9)  # never lower
    with pytest.raises(UpdateRefused, match="a confirmed image, got a trial"):
        slots.begin_install(record, 0)  # the other slot runs, the active one would be written


@pytest.mark.parametrize(
    ("name", "sequence", "security", "event", "message"),
    [
        ("third", 3, 1, "upd.rollback", "security version >= 2, got 1"),
        ("third", 1, 2, "upd.rollback", "sequence >= 2, got 1"),
        ("third", 2, 2, "upd.rollback", "another sequence, got the same"),
        ("low", 9, 9, "upd.refused", "never failed"),
    ],
)
def test_a_release_that_does_not_fit_the_record_is_refused(
    name, sequence, security, event, message
):
    record = two_slots()
    slots.confirm(record, 2, 2)
    record.failed[2] = digest("low")[:8]
    with pytest.raises(UpdateRefused, match=message) as refusal:
        slots.judge(record, digest(name), sequence, security)
    assert refusal.value.event == event
    slots.judge(record, digest("second"), 2, 2)  # the same release again: a repair
    slots.judge(record, digest("third"), 3, 2)
