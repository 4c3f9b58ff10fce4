"""A boot's judgement of what was handed down (S1, S3, S7): trust documents in batches, what is
kept of them, a fallback whose key was revoked, a boot record that was lost."""

import pytest
from test_defences import field, own_files, place, revoking  # noqa: F401 (own_files: fixture)
from uward import limits

from host_tools.signing import trust
from tests.device import boot_kit as kit

LOST = ["/rec/0", "/rec/1"]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    return kit.Fleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def chain(fleet):
    """chain(n) -> documents 1..n, each following the one before."""
    made = [fleet.document()]

    def upto(count):
        while len(made) < count:
            last = made[-1]
            made.append(fleet.document(last.version + 1, trust.digest(last)))
        return made[:count]

    return upto


def batch(*documents):
    return b"".join(len(data).to_bytes(2, "big") + data for data in documents)


def settled(device, root, **options):
    found = device("device_settle", "settle", root, *options.values())
    keys = ("news", "told", "trust", "seen", "documents", "slots", "record", "armed")
    return dict(zip(keys, found, strict=True))


def test_documents_that_came_together_are_applied_one_by_one(device, fleet, chain, tmp_path):
    second, third, fourth = chain(4)[1:]
    expired = fleet.document(2, second.previous, expires=kit.NOW - 5, issued=kit.NOW - 9)
    third = fleet.document(3, trust.digest(expired))
    fourth = fleet.document(4, trust.digest(third))
    junk = b"\xff" * 40
    signed = [fleet.signed(document) for document in (expired, third, fourth)]
    waiting = batch(signed[0], junk, signed[1], signed[1], signed[2]) + b"\x7f\xff torn"
    root = field(tmp_path, fleet, files={"/trust/new": waiting})
    found = settled(device, root)
    assert (found["trust"], found["record"][5]) == (4, 4)
    assert found["seen"] == 6
    assert [event for event, _ in found["news"]] == ["proto.malformed"] * 2
    assert found["documents"] == ["1", "4"]  # 2 and 3 judged no slot
    assert found["armed"] == 6


def test_a_document_that_skips_a_version_waits_for_the_one_between(device, fleet, chain, tmp_path):
    documents = [fleet.signed(document) for document in chain(4)]
    root = field(tmp_path, fleet, files={"/trust/new": batch(documents[1], documents[3])})
    found = settled(device, root)
    assert found["trust"] == 2
    assert found["news"] == [["trust.refused", "trust: expected version 3, got 4"]]
    assert found["documents"] == ["1", "2"]


def test_versions_that_were_missed_for_years_do_not_unseat_a_slot(fleet, chain, tmp_path):
    """On CPython: 40 documents; slot a is still judged by the first (S1), and nothing piles up."""
    import device_settle

    documents = [fleet.signed(document) for document in chain(41)[1:]]
    root = field(tmp_path, fleet)
    for start in range(0, 40, 4):
        place(tmp_path, {"/trust/new": batch(*documents[start : start + 4])})
        found = device_settle.settle(root)
        assert found[0] == []
        assert found[6][5] == start + 5
        assert found[4] == ["1", str(start + 5)]
    assert found[6][:4] == [2, [True, False], [True, False], 1]


def test_what_a_slot_was_judged_by_stays_as_long_as_the_slot(device, fleet, chain, tmp_path):
    _, second, third, fourth = chain(4)
    envelope, _ = fleet.release(b"y" * 5000, sequence=4)

    def change(record):
        record.slots[1] = kit.slot(envelope, second)
        record.owned[1] = record.confirmed[1] = True

    files = {
        "/slot/b.suit": envelope,
        "/trust/2": fleet.signed(second),
        "/trust/3": fleet.signed(third),
        "/trust/3.tmp": b"torn",
        "/trust/new": batch(fleet.signed(fourth)),
    }
    root = field(tmp_path, fleet, third, files, change)
    assert settled(device, root)["documents"] == ["1", "2", "4"]


@pytest.mark.parametrize(("role", "name"), [(5, "time"), (6, "collector")])
def test_a_document_that_would_cut_the_device_off_is_refused(
    device, fleet, chain, tmp_path, role, name
):
    second = chain(2)[1]
    roles = {number: held for number, held in second.roles.items() if number != role}
    lonely = trust.TrustDocument(**{**vars(second), "roles": roles})
    root = field(tmp_path, fleet, files={"/trust/new": batch(fleet.signed(lonely))})
    found = settled(device, root)
    reason = "trust: expected a key of role %s, got none" % name
    assert (found["trust"], found["news"]) == (1, [["trust.refused", reason]])


# A session keeps what comes


def test_a_session_keeps_each_document_once_and_within_bounds(device, fleet, chain, tmp_path):
    one, two = (fleet.signed(document) for document in chain(3)[1:])
    root = field(tmp_path, fleet)
    sent = [one, two, one, bytes(12_288), b"x"]
    sizes, resets = device("device_settle", "hand_over", root, [data.hex() for data in sent])
    first = len(one) + 2
    both = first + len(two) + 2
    assert sizes == [first, both, both, both, both + 3]
    assert resets == [limits.TRUST_MS] * 3
    other = tmp_path / "other"
    other.mkdir()
    root = field(other, fleet)
    assert device("device_settle", "hand_over", root, [one.hex()], True) == [[None], []]


# A revoked fallback


@pytest.fixture
def revoked(fleet, tmp_path):
    """A board that runs b, by a new key; the key of its fallback is revoked."""
    document = revoking(fleet, "release")
    envelope, _ = fleet.release(b"y" * 6000, sequence=4, who=("release2", "approver"))

    def made(flag, confirmed=True):
        def change(record):
            record.slots[1] = kit.slot(envelope, document)
            record.owned[1] = True
            record.confirmed[1] = confirmed
            record.active, record.tries = 1, 0 if confirmed else 2

        files = {
            "/slot/b.suit": envelope,
            "/slot/b.img": b"y" * 6000,
            "/slot/new": flag,
            "/trust/1": fleet.signed(fleet.document()),
            "/trust/2": fleet.signed(document),
        }
        return field(tmp_path, fleet, document, files, change)

    return made


def test_the_boot_after_a_confirmation_erases_a_revoked_fallback(device, revoked, tmp_path):
    found = settled(device, revoked(b"1"), slot="b")
    assert found["news"] == [["upd.fallback", "the other slot was signed by a revoked key"]]
    assert found["record"][1] == [False, True]
    assert "new" not in found["slots"]


def test_a_trial_leaves_the_fallback_to_a_later_boot(device, revoked, tmp_path):
    found = settled(device, revoked(b"1", False), slot="b", trial=True)
    assert (found["news"], found["record"][1]) == ([], [True, True])
    assert "new" in found["slots"]


def test_a_judge_that_never_comes_back_is_not_asked_for_ever(device, revoked, tmp_path):
    """Boots that died on the way left their count; after three the fallback stays unjudged."""
    found = settled(device, revoked(b"111"), slot="b")
    assert found["record"][1] == [False, True]
    (tmp_path / "again").mkdir()
    found = settled(device, revoked(b"1111"), slot="b")
    assert (found["news"], found["record"][1]) == ([], [True, True])
    assert "new" not in found["slots"]


# A release


def test_a_release_by_a_revoked_key_is_refused_by_name(device, fleet, tmp_path):
    document = revoking(fleet, "release")
    envelope, _ = fleet.release(b"y" * 6000, sequence=4, vendor_id=bytes(16), class_id=bytes(16))
    files = {
        "/trust/1": fleet.signed(fleet.document()),
        "/trust/2": fleet.signed(document),
        "/slot/man.suit": envelope,
    }
    root = field(tmp_path, fleet, document, files, clock=True)
    found = settled(device, root)
    reason = "expected 1 of role release, got 0"
    assert found["news"] == [["upd.quorum", reason]]
    assert found["told"] == [["refused", "upd.quorum: " + reason]]
    assert found["slots"] == ["a.img", "a.suit", "b.img"]


def test_a_document_that_was_swapped_judges_nothing(device, fleet, tmp_path):
    """Whoever writes flash cannot have a release judged by a document of its own."""
    forged = fleet.document(roles={1: fleet.held(1, "release2"), 2: fleet.held(1, "outsider")})
    envelope, _ = fleet.release(
        b"y" * 6000, 4, who=("release2", "outsider"), vendor_id=bytes(16), class_id=bytes(16)
    )
    root = field(tmp_path, fleet, files={"/slot/man.suit": envelope}, clock=True)
    place(tmp_path, {"/trust/1": fleet.signed(forged, "outsider")})
    found = settled(device, root)
    reason = "trust: expected the document in the boot record, got another"
    assert found["news"] == [["trust.refused", reason]]
    assert found["slots"] == ["a.img", "a.suit", "b.img"]


def test_what_is_no_envelope_is_told_without_a_name(device, fleet, tmp_path):
    root = field(tmp_path, fleet, files={"/slot/man.suit": b"\xff" * 99}, clock=True)
    found = settled(device, root)
    assert [event for event, _ in found["news"]] == ["upd.malformed", "upd.malformed"]
    assert found["told"] == []


# A lost boot record


def test_recovery_makes_a_lost_record_again_and_owns_nothing(device, fleet, tmp_path):
    def change(record):
        record.floor, record.sequence = 7, 9

    root = field(tmp_path, fleet, change=change)
    made = device("device_settle", "witness", root, LOST)
    assert made == [2, [False, False], 7, 9, 1]


@pytest.mark.parametrize(
    ("security", "sequence", "reason"),
    [
        (6, 10, "manifest: expected security version >= 7, got 6"),
        (7, 8, "manifest: expected sequence >= 9, got 8"),
    ],
)
def test_an_older_release_is_refused_after_the_record_was_reset(
    device, fleet, tmp_path, security, sequence, reason
):
    """T11: both copies of the record are taken away, an older release is replayed."""

    def change(record):
        record.floor, record.sequence = 7, 9

    ids = {"vendor_id": bytes(16), "class_id": bytes(16)}
    envelope, _ = fleet.release(b"y" * 6000, sequence, security, **ids)
    root = field(tmp_path, fleet, files={"/slot/man.suit": envelope}, change=change, clock=True)
    found = settled(device, root, slot="r", trial=False, boots=1, lose=LOST)
    assert found["news"] == [
        ["boot.rebuilt", "no slot owned, floor 7"],
        ["upd.rollback", reason],
    ]
    assert found["told"] == [["refused", "upd.rollback: " + reason]]
    assert found["record"][1:5] == [[False, False], [False, False], 7, 9]


@pytest.mark.parametrize(
    ("drop", "forge", "says"),
    [
        ([], [], None),
        (["/rec/0"], [], None),
        (LOST, ["/id/floor"], "BadMac"),
        ([*LOST, "/id/floor"], [], "OSError"),
        (LOST, ["/trust/1"], "TrustError"),
        ([*LOST, "/trust/1"], [], "OSError"),
    ],
)
def test_nothing_is_made_up_for_a_lost_record(device, fleet, tmp_path, drop, forge, says):
    found = device("device_settle", "witness", field(tmp_path, fleet), drop, forge)
    if says == "OSError":
        assert found in ("OSError", "FileNotFoundError")
    elif says == "TrustError":
        assert found in ("TrustError", "CodecError")
    else:
        assert found == says
