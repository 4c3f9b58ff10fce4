"""A board in the field: what is handed to it is believed for its signature, never for its sender.

Trust documents and revocation lists (S7, S11), group KEKs (S6), the end of a trial (S1, S2),
enrolment (S8): each refusal by name, and what lies in flash afterwards.
"""

import builtins
import datetime as dt
import os

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pki import BROKER, CLIENT, DEVICE, SERVER, Identity
from uward.boot import record as records
from uward.trust import suit
from uward.vault import keys, sealed

from host_tools.signing import cose, trust
from tests.device import boot_kit as kit

PAIRING = (7).to_bytes(32, "big")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    return kit.Fleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(autouse=True)
def own_files():
    """On CPython the scripts move a board's paths: back after each test."""
    names = ("stat", "rename", "remove", "mkdir", "listdir")
    kept = builtins.open, [getattr(os, name) for name in names]
    yield
    builtins.open = kept[0]
    for name, call in zip(names, kept[1], strict=True):
        setattr(os, name, call)


def place(folder, files):
    for path, data in files.items():
        target = folder / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return str(folder)


def field(folder, fleet, document=None, files=None, change=None, clock=False):
    """A folder with what an enrolled board has beside its images. -> its path."""
    document = document or fleet.document()
    image = b"x" * 5000
    made = {
        "/slot/a.suit": fleet.release(image)[0],
        "/slot/a.img": image,
        "/slot/b.img": b"",
        "/trust/1": fleet.signed(document),
        **(files or {}),
    }
    root = place(folder, kit.enrolled(made, fleet, change=change, document=document))
    own = {1: DEVICE, 2: PAIRING, 3: PAIRING, 4: b"", 5: b""}
    net = {1: "ward", 2: "secret", 3: "h", 4: 8883, 5: "b", 6: {}}
    sealed_files = {"/id/dev": own, "/id/net": net}
    if clock:
        sealed_files["/id/clock"] = {1: kit.NOW, 2: kit.NOW}
    for path, value in sealed_files.items():
        sealed.write(kit.ROOT_SECRET, path, cbor2.dumps(value), root)
    return root


# Trust documents


def test_a_trust_document_needs_the_old_and_the_new_root(device, fleet, tmp_path):
    first = fleet.document()
    name = trust.digest(first)
    second = fleet.document(2, name)
    good = fleet.signed(second)
    third = fleet.document(3, trust.digest(second))
    moved = fleet.document(2, name, roles={0: fleet.held(2, "release2", "outsider")})
    sent = [
        fleet.signed(fleet.document(2, name), "root-p256"),
        fleet.signed(moved),
        fleet.signed(moved, "release2", "outsider"),
        fleet.signed(fleet.document(2, bytes(32))),
        fleet.signed(third),
        good[:-1] + bytes([good[-1] ^ 1]),
        b"\xff" * 40,
        fleet.signed(first),
        good,
        fleet.signed(fleet.document(2, name, expires=kit.NOW + 5)),
        fleet.signed(third),
    ]
    root = field(tmp_path, fleet)
    found = device("device_defences", "trust", root, [data.hex() for data in sent])
    *outcomes, listed, adopted = found
    assert [version for _, version in outcomes] == [1] * 8 + [2, 2, 3]
    parts = ("root, got 1", "root, got 0", "root, got 0", "follow version 1", "version 2, got 3")
    for (told, _), part in zip(outcomes, parts, strict=False):
        assert told.startswith("TrustError trust.refused: ")
        assert part in told
    assert outcomes[5][0].startswith("TrustError trust.refused: ")
    assert outcomes[6][0].startswith("CodecError proto.malformed: ")
    assert [told for told, _ in outcomes[7:]] == [1, 2, 2, 3]
    assert (listed, adopted) == (["1", "3"], [2, 3])  # nobody needs the second


def test_the_root_takes_back_a_floor_that_a_stolen_time_key_has_raised(device, fleet, tmp_path):
    """S10: a version of the trust document counts once, so the reset cannot be replayed."""
    far = kit.NOW + 3 * 365 * 86400
    name = trust.digest(fleet.document())
    document = fleet.document(2, name, resets_clock=True)
    cases = {
        "root": (fleet.signed(document), [document.issued, document.issued - far, 2]),
        "no reset": (fleet.signed(fleet.document(2, name)), [far, 0, 2]),
    }
    for case, (data, expected) in cases.items():
        root = field(tmp_path / case, fleet)
        floor, moved, outcome = device("device_defences", "clock_after", root, far, data.hex())
        assert [floor, outcome] == [expected[0], expected[2]], case
        assert abs(moved - expected[1]) <= 2, case
    root = field(tmp_path / "half", fleet)
    half = fleet.signed(document, "root-p256").hex()
    floor, moved, outcome = device("device_defences", "clock_after", root, far, half)
    assert floor == far and moved <= 2 and "of role root, got 1" in outcome


def test_a_document_that_the_record_does_not_name_leads_nowhere(device, fleet, tmp_path):
    """Whoever swaps /trust/1 for one of its own cannot rotate from there."""
    forged = fleet.document(roles={0: fleet.held(1, "outsider", "release2")})
    root = field(tmp_path, fleet)
    place(tmp_path, {"/trust/1": fleet.signed(forged, "outsider")})
    following = fleet.signed(fleet.document(2, trust.digest(forged)), "outsider", "root-lms")
    (told, version), listed, _ = device("device_defences", "trust", root, [following.hex()])
    assert "the document in the boot record, got another" in told
    assert (version, listed) == (1, ["1"])
    assert "in the boot record" in device("device_defences", "derived", root)


def test_what_a_session_needs_is_derived_from_the_document_in_force(device, fleet, tmp_path):
    root = field(tmp_path, fleet)
    public = ec.derive_private_key(7, ec.SECP256R1()).public_key()
    collector = fleet.folder / "collector"
    private = serialization.load_pem_private_key(collector.read_bytes(), None)
    secret = private.exchange(ec.ECDH(), public).hex()
    found = device("device_defences", "derived", root)
    assert found == [trust.digest(fleet.document()).hex(), 1, secret]


def test_nobody_to_seal_for_is_refused(device, fleet, tmp_path):
    document = fleet.document()
    alone = {role: held for role, held in document.roles.items() if role != 6}
    root = field(tmp_path, fleet, trust.TrustDocument(**{**vars(document), "roles": alone}))
    assert "a key of role collector, got none" in device("device_defences", "derived", root)


# Revocation lists


def revocation_list(ca, serials, number, day=10, days=30, extension=None):
    """A DER list of `ca`, made on `day` of June 2026; next update after `days`, or None."""
    made = dt.datetime(2026, 6, day, tzinfo=dt.timezone.utc)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca.certificate.subject)
        .last_update(made)
        .next_update(made + dt.timedelta(days=days))
    )
    if number is not None:
        builder = builder.add_extension(x509.CRLNumber(number), False)
    if extension is not None:
        builder = builder.add_extension(extension, True)
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(made)
        builder = builder.add_revoked_certificate(entry.build())
    crl = builder.sign(ca.key, hashes.SHA256())
    return crl.public_bytes(serialization.Encoding.DER)


def taken(device, root, anchors, sent, leaf, day=20):
    """What becomes of revocation lists on `day` of June 2026."""
    now = dt.datetime(2026, 6, 1, tzinfo=dt.timezone.utc) + dt.timedelta(days=day - 1)
    return device(
        "device_defences",
        "revocations",
        root,
        [anchor.der.hex() for anchor in anchors],
        [data.hex() for data in sent],
        leaf.serial.hex(),
        int(dt.datetime(2026, 5, 1, tzinfo=dt.timezone.utc).timestamp()),
        int(leaf.certificate.not_valid_after_utc.timestamp()),
        int(now.timestamp()),
    )


def test_revocation_lists_are_a_pinned_cas_and_their_number_never_falls(device, fleet, tmp_path):
    ca, other = Identity("Services", ca=True), Identity("Services", ca=True)
    leaf = Identity(BROKER, ca, usage=[SERVER])
    serial = leaf.certificate.serial_number
    sent = [
        revocation_list(ca, [5], 10),
        revocation_list(other, [6], 11),
        revocation_list(ca, [], 9, day=19),  # made later, and yet an old one
        revocation_list(ca, [5], 11)[:-1],
        revocation_list(ca, [5], 10),  # the same number, signed anew
        revocation_list(ca, [], None),
        revocation_list(ca, [], 1 << 64),
        revocation_list(ca, [], 11, extension=x509.DeltaCRLIndicator(1)),
        revocation_list(ca, [5, 7], 12),
        revocation_list(ca, [5, 7], 10),
        revocation_list(ca, [5, serial], 13),
    ]
    *outcomes, kept = taken(device, field(tmp_path, fleet), [ca], sent, leaf)
    told = [outcome for outcome, *_ in outcomes]
    assert [serials for _, serials, *_ in outcomes[:10]] == [["05"]] * 8 + [["05", "07"]] * 2
    assert [i for i, (*_, written) in enumerate(outcomes) if written] == [0, 8, 10]
    assert told[0] == told[4] == told[8] == ""
    assert told[1].startswith("BadSignature ")
    assert told[2] == "TrustError crl.rollback: crl: expected number 10 or above, got 9"
    assert told[3].startswith("CodecError proto.malformed: ")
    assert told[5].endswith("crl: expected a number of at most 8 bytes, got none")
    assert told[6].endswith("crl: expected a number of at most 8 bytes, got none")
    assert told[7].endswith("crl: expected a whole list, got a part of one")
    assert told[9] == "TrustError crl.rollback: crl: expected number 12 or above, got 10"
    assert told[10].startswith("TlsRefused tls.revoked: ")  # the live peer is on it
    assert kept == sorted(["05", leaf.serial.hex()])


def test_each_pinned_ca_has_its_own_list_and_others_are_forgotten(device, fleet, tmp_path):
    """While the services' CA rolls over there are two; the numbers of one say nothing of the
    other's."""
    old, new = Identity("Services", ca=True), Identity("Services 2", ca=True)
    leaf = Identity(BROKER, old, usage=[SERVER])
    sent = [revocation_list(old, [5], 40), revocation_list(new, [6], 1)]
    root = field(tmp_path, fleet)
    first, second, kept = taken(device, root, [old, new], sent, leaf)
    assert first == ["", ["05"], True, True]  # the next CA's list is still missing
    assert second == ["", ["05", "06"], False, True]
    assert kept == ["05", "06"]
    sent = [revocation_list(new, [6, 7], 2)]
    first, kept = taken(device, field(tmp_path / "later", fleet), [new], sent, leaf)
    assert (first[1:3], kept) == ([["06", "07"], False], ["06", "07"])


@pytest.mark.parametrize(
    ("day", "days", "stale"), [(39, 30, False), (41, 30, True), (54, 90, False), (56, 90, True)]
)
def test_a_list_past_its_time_closes_commands(device, fleet, tmp_path, day, days, stale):
    """After its nextUpdate, and after 45 days whatever it says (T02)."""
    ca = Identity("Services", ca=True)
    leaf = Identity(BROKER, ca, usage=[SERVER])
    sent = [revocation_list(ca, [], 1, days=days)]
    (outcome, _, got, _), _ = taken(device, field(tmp_path, fleet), [ca], sent, leaf, day)
    assert (outcome, got) == ("", stale)


# Group KEKs


def test_group_keks_are_bounded_and_have_their_size(device, fleet, tmp_path):
    root = field(tmp_path, fleet)
    good = [[bytes([i]) * 8, bytes([i]) * 32] for i in range(6)]
    bad = [[b"k" * 8, bytes(31)], ["k", bytes(32)], [b"k" * 8], {}, [b"k" * 8, "x" * 32]]
    sent = [cbor2.dumps(value).hex() for value in (*bad, *good, good[5])]
    *outcomes, kept = device("device_defences", "shares", root, sent)
    assert all(told.startswith("ProtocolError proto.malformed: share") for told in outcomes[:5])
    assert outcomes[5:] == [""] * 7
    assert kept == [bytes([i]).hex() * 8 for i in (2, 3, 4, 5)]  # the first of too many go


# The end of a trial


def test_a_confirmed_trial_raises_the_floor_in_flash(device, fleet, tmp_path):
    envelope, _ = fleet.release(b"y" * 5000, sequence=4, security=3)

    def change(record):
        record.slots[1] = kit.slot(envelope, fleet.document())
        record.owned[1] = True
        record.active, record.tries = 1, 2

    root = field(tmp_path, fleet, files={"/slot/b.suit": envelope}, change=change)
    info = {"security": 3, "sequence": 4, "trial": True}
    floor, sequence, kept, tries, owned, _ = device("device_defences", "confirmed", root, info)
    assert (floor, sequence, kept, tries, owned) == (3, 4, [True, True], 0, [True, True])


def test_a_trial_that_failed_is_told_once(device, fleet, tmp_path):
    envelope, _ = fleet.release(b"y" * 5000, sequence=4)
    name = suit.parse(envelope).digest[:8]

    def change(record):
        record.failed[0] = name

    root = field(tmp_path, fleet, files={"/slot/b.suit": envelope}, change=change)
    found = device("device_defences", "reverted", root, 2)
    assert found == [name.hex(), None]


# A revoked fallback


def revoking(fleet, *names, **changes):
    """Version 2 of the fleet's document, with another release key, and these keys revoked."""
    thumbprints = tuple(fleet.public[name].thumbprint for name in names)
    table = {1: fleet.held(1, "release", "release2")}
    name = trust.digest(fleet.document())
    return fleet.document(2, name, revoked=thumbprints, roles=table, **changes)


@pytest.mark.parametrize(
    ("names", "running", "confirmed", "gone"),
    [
        (["release"], "release2", True, True),
        (["release"], "release2", False, False),  # the replacement is on trial
        (["release"], "release", True, False),  # what runs is revoked itself: no replacement
        (["release2"], "release2", True, False),
        (["release2"], "release", True, False),  # neither was signed by it
        ([], "release2", True, False),
    ],
)
def test_a_revoked_fallback_is_erased_once_its_replacement_is_confirmed(
    device, fleet, tmp_path, names, running, confirmed, gone
):
    document = revoking(fleet, *names)
    envelope, _ = fleet.release(b"y" * 6000, sequence=4, who=(running, "approver"))

    def change(record):
        record.slots[1] = kit.slot(envelope, document)
        record.owned[1] = True
        record.confirmed[1] = confirmed
        record.active, record.tries = 1, 0 if confirmed else 2

    files = {
        "/slot/b.suit": envelope,
        "/slot/b.img": b"y" * 6000,
        "/trust/1": fleet.signed(fleet.document()),
        "/trust/2": fleet.signed(document),
    }
    root = field(tmp_path, fleet, document, files, change)
    expected = [gone, [not gone, True], [0 if gone else 5000, 6000]]
    if running == "release":  # signed under version 1, as the fallback
        expected = [False, [True, True], [5000, 6000]]
    assert device("device_defences", "dropped", root) == expected


# Enrolment


def test_enrolment_goes_in_order_and_takes_its_own_certificate_only(device, fleet, tmp_path):
    document = fleet.document()
    envelope, _ = fleet.release(b"x" * 5000)
    files = {"/slot/a.suit": envelope, "/trust/1": fleet.signed(document)}
    root = place(tmp_path, files)
    ca = Identity("Devices", ca=True)
    mine = Identity(DEVICE, ca, usage=[CLIENT])
    other = Identity(DEVICE, ca, usage=[CLIENT])

    def config(der, born=mine.der):
        net = {1: "w", 2: "p", 3: "h", 4: 1, 5: "b", 6: {}}
        return cose.encode({1: der, 2: net, 3: kit.NOW, 5: born}).hex()

    info = {
        "state": 0, "slot": "a", "trust": 1, "board": "unix",
        "manifest": suit.parse(envelope).digest.hex(), "vendor": kit.VENDOR.hex(),
        "class": kit.CLASS.hex(), "fleet": kit.FLEET.hex(),
    }  # fmt: skip
    nonce, entropy = "11" * 32, "22" * 32
    steps = {
        "no request yet": (["accept", config(mine.der)], "KeyRefused"),
        "nothing to lock": (["lock"], "OSError"),
        "short nonce": (["request", "11", entropy, DEVICE], "CodecError proto.malformed"),
        "short entropy": (["request", nonce, "22", DEVICE], "CodecError proto.malformed"),
        "short id": (["request", nonce, entropy, "abc"], "CodecError proto.malformed"),
        "id with a slash": (["request", nonce, entropy, "a/" * 10], "CodecError proto.malformed"),
        "asked": (["request", nonce, entropy, DEVICE], "d2"),
        "another key": (["accept", config(other.der)], "KeyRefused"),
        "another name": (["accept", config(renamed(mine, ca))], "KeyRefused"),
        "another birth": (["accept", config(mine.der, other.der)], "KeyRefused"),
        "no map": (["accept", "80"], "CodecError proto.malformed"),
        "taken": (["accept", config(mine.der)], ""),
        "again": (["accept", config(mine.der)], "KeyRefused"),
        "to no state": (["lock", 3], "BootRefused"),
        "asked again": (["request", nonce, entropy, DEVICE], "d2"),
        "out of factory": (["state", 2], ""),
        "then nothing is taken": (["accept", config(mine.der)], "BootRefused"),
        "then no request": (["request", nonce, entropy, DEVICE], "BootRefused"),
        "then no lock": (["lock"], "BootRefused"),
        "back": (["state", 0], ""),
        "another manifest": (["booted", "00" * 32], ""),
        "not what was booted": (["lock", 2], "BootRefused"),
        "the manifest": (["booted", info["manifest"]], ""),
        "locked": (["lock", 2], ""),
    }
    *found, flash = device(
        "device_defences",
        "enrolment",
        root,
        info,
        mine.secret.hex(),
        [step for step, _ in steps.values()],
    )
    for (name, (_, expected)), (outcome, listed) in zip(steps.items(), found, strict=True):
        assert outcome.startswith(expected), (name, outcome)
        assert bool(expected) == bool(outcome), (name, outcome)
        assert ("root" in listed) == (name == "locked"), name  # a board is enrolled at the end
    secret, *copies = map(bytes.fromhex, flash)
    made = records.choose(copies, keys.record_key(secret))
    assert (made.state, made.confirmed, made.floor, made.sequence) == (2, [True, False], 1, 1)
    assert made.trust_digest == trust.digest(document)


def renamed(identity, ca):
    """A certificate of the same key under another name."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "other0device00001")])
    start = dt.datetime(2026, 1, 1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.certificate.subject)
        .public_key(identity.key.public_key())
        .serial_number(5)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=900))
    )
    made = builder.sign(ca.key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER)
