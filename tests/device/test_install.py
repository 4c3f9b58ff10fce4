"""Releases: judged at install (S1, S2), written so that a reset resumes (S21), T10 to T15."""

import random

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from uward.trust import suit

from host_tools.pki import names
from host_tools.signing import cose
from tests.device import boot_kit as kit

IDS = [kit.VENDOR.hex(), kit.CLASS.hex(), kit.DEVICE, kit.NOW]
IMAGE = random.Random(7).randbytes(5 * 4096 + 100)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    return kit.Fleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def trusted(fleet):
    return fleet.signed(fleet.document()).hex()


@pytest.fixture(scope="module")
def release(fleet):
    return fleet.release(IMAGE, sequence=2)[0]


def digest(envelope):
    return suit.parse(envelope).digest


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_the_device_identifier_is_the_hosts(device):
    expected = names.device_identifier(kit.CLASS, kit.DEVICE).hex()
    assert device("device_install", "identifier", kit.CLASS.hex(), kit.DEVICE) == expected


def test_every_reason_to_refuse_has_its_event(device, fleet, trusted, release):
    def made(**options):
        return fleet.release(IMAGE, **{"sequence": 2, **options})[0]

    manifest_at = release.index(b"1.2")
    signature_at = release.index(b"\x00\x00\x00\x00") + 500
    expired = fleet.signed(fleet.document(expires=kit.NOW - 1)).hex()
    both = {"slots": [bytes(32).hex(), digest(release).hex()]}
    cases = {
        "good": (release, {}, {}, "", "1.2"),
        "for this device": (made(device_id=kit.DEVICE), {}, {}, "", "1.2"),
        "used in time": (made(use_before=kit.NOW), {}, {}, "", "1.2"),
        "encrypted": (made(encrypt=(fleet.kek.kid, fleet.kek.key)), {}, {}, "", "1.2"),
        "a repair in recovery": (
            release,
            {},
            {**both, "active": 1, "sequence": 2, "running": 2},
            "",
            "1.2",
        ),
        "manifest changed": (flipped(release, manifest_at), {}, {}, "upd.bad_digest", "manifest"),
        "signature changed": (flipped(release, signature_at), {}, {}, "upd.bad_sig", "role "),
        "unsigned": (made(who=()), {}, {}, "upd.bad_sig", "1 of role release, got 0"),
        "release alone": (made(who=("release",)), {}, {}, "upd.quorum", "approver, got 0"),
        "approver alone": (made(who=("approver",)), {}, {}, "upd.quorum", "release, got 0"),
        "no CBOR": (b"\xff" * 40, {}, {}, "upd.malformed", "cbor"),
        "too long": (bytes(20_000), {}, {}, "upd.malformed", "<= 12288 bytes"),
        "empty": (b"", {}, {}, "upd.malformed", "cbor"),
        "another class": (
            made(class_id=bytes(16)),
            {},
            {},
            "upd.wrong_class",
            "expected class " + kit.CLASS.hex(),
        ),
        "another vendor": (made(vendor_id=bytes(16)), {}, {}, "upd.wrong_class", "vendor"),
        "another device": (
            made(device_id="other0device000001"),
            {},
            {},
            "upd.wrong_class",
            "device",
        ),
        "a recovery image": (made(component="recovery"), {}, {}, "upd.wrong_class", "component"),
        "used too late": (
            made(use_before=kit.NOW - 1),
            {},
            {},
            "upd.expired",
            "use before %d, now %d" % (kit.NOW - 1, kit.NOW),
        ),
        "trust expired": (release, {"document": expired}, {}, "upd.expired", "trust document 1"),
        "time unproved": (release, {"now": None}, {}, "upd.refused", "a proved time"),
        "nameless": (release, {"device": None}, {}, "upd.refused", "a device id"),
        "older sequence": (release, {}, {"sequence": 3}, "upd.rollback", "sequence >= 3, got 2"),
        "below the floor": (
            release,
            {},
            {"floor": 2},
            "upd.rollback",
            "security version >= 2, got 1",
        ),
        "same sequence, other manifest": (
            release,
            {},
            {"sequence": 2, "slots": [bytes(32).hex()]},
            "upd.rollback",
            "another sequence",
        ),
        "runs already": (
            release,
            {},
            {"sequence": 2, "slots": [digest(release).hex()]},
            "upd.rollback",
            "another release, got this one",
        ),
        "failed before": (
            release,
            {},
            {"failed": [digest(release)[:8].hex()]},
            "upd.refused",
            "never failed",
        ),
    }
    found = device(
        "device_install",
        "judge_all",
        [[case[0].hex(), case[1], case[2]] for case in cases.values()],
        trusted,
        *IDS,
    )
    for (name, case), (event, detail) in zip(cases.items(), found, strict=True):
        assert (name, event) == (name, case[3]), detail
        assert case[4] in detail, (name, detail)


def test_no_flipped_byte_is_accepted(device, fleet, trusted, release):
    """T10: every byte of the manifest and a sample of the rest."""
    start = release.index(cose.encode(suit.parse(release).manifest[3])[:4])
    places = [*range(start, len(release)), *range(0, start, 97)]
    cases = [[flipped(release, at).hex(), {}, {}] for at in places]
    found = []
    for at in range(0, len(cases), 100):
        part = cases[at : at + 100]
        found += device("device_install", "judge_all", part, trusted, *IDS)
    kids = [fleet.public[name].kid for name in ("release", "approver")]
    hints = {at for kid in kids for at in range(release.index(kid), release.index(kid) + 8)}
    accepted = [at for at, (event, _) in zip(places, found, strict=True) if not event]
    assert set(accepted) <= hints  # a kid decides nothing (S7)
    events = {event for event, _ in found if event}
    assert events <= {"upd.bad_sig", "upd.bad_digest", "upd.malformed"}


def write_all(device, folder, envelope, trusted, payload=IMAGE, keks=None, resets=()):
    found = device(
        "device_install",
        "write_all",
        str(folder),
        envelope.hex(),
        trusted,
        IDS,
        payload.hex(),
        keks,
        list(resets),
    )
    keys = ("starts", "refusal", "active", "tries", "owned", "image", "left")
    return dict(zip(keys, found, strict=True))


INSTALLED = {
    "refusal": "",
    "active": 1,
    "tries": 3,
    "owned": [True, True],
    "image": IMAGE.hex(),
    "left": ["b.img", "b.suit", "starts"],
}


def test_a_payload_becomes_the_next_boots_trial(device, tmp_path, trusted, release):
    found = write_all(device, tmp_path, release, trusted)
    assert found == {"starts": [0], **INSTALLED}
    assert (tmp_path / "slot/b.suit").read_bytes() == release


def test_a_reset_before_any_block_resumes_there(device, tmp_path, trusted, release):
    found = write_all(device, tmp_path, release, trusted, resets=[1, 2, 3, 5])
    assert found == {"starts": [0, 1, 2, 3, 5], **INSTALLED}


def test_an_encrypted_payload_lies_in_clear_in_the_slot(device, tmp_path, fleet, trusted):
    envelope, payload = fleet.release(IMAGE, sequence=2, encrypt=(fleet.kek.kid, fleet.kek.key))
    assert payload != IMAGE
    keks = [[fleet.kek.kid.hex(), fleet.kek.key.hex()]]
    found = write_all(device, tmp_path, envelope, trusted, payload, keks, resets=[0, 2, 4])
    assert found == {"starts": [0, 0, 2, 4], **INSTALLED}


def test_a_kek_that_does_not_fit_is_refused(device, tmp_path, fleet, trusted):
    envelope, _ = fleet.release(IMAGE, sequence=2, encrypt=(fleet.kek.kid, fleet.kek.key))
    options = (str(tmp_path), envelope.hex(), trusted, IDS)
    for keks, message in (
        (None, "upd.refused: payload: expected KEK %s, got none" % fleet.kek.kid.hex()),
        ([["00" * 8, fleet.kek.key.hex()]], "expected KEK"),
        ([[fleet.kek.kid.hex(), "00" * 32]], "upd.bad_digest: payload: "),
    ):
        found = device("device_install", "open_refusal", *options, keks)
        assert message in found


def test_a_block_is_checked_before_it_is_written(device, tmp_path, trusted, release):
    first, second = IMAGE[:4096], IMAGE[4096:8192]
    found = device(
        "device_install",
        "refused_blocks",
        str(tmp_path),
        release.hex(),
        trusted,
        IDS,
        [
            [0, flipped(first, 0).hex()],
            [0, first[:-1].hex()],
            [0, (first + b"\0").hex()],
            [1, second.hex()],
            [0, ""],
            [0, first.hex()],
            [0, first.hex()],
            [1, second.hex()],
        ],
    )
    assert found[0] == "upd.bad_digest: block 0: expected its hash, got another"
    assert found[1] == "upd.bad_digest: block: expected 0 with 4096 bytes, got 0 with 4095"
    assert "got 0 with 4097" in found[2]
    assert "expected 0 with 4096 bytes, got 1 with 4096" in found[3]
    assert found[5] == ""
    assert "expected 1 with 4096 bytes, got 0" in found[6]
    assert found[7] == ""
    assert found[8] == 8192


def test_an_image_that_ends_wrong_is_not_installed(device, tmp_path, fleet, trusted):
    """The blocks are those of the manifest and the whole is not: hashes over another image."""
    other = flipped(IMAGE, 10)
    envelope = kit.swapped_blocks(fleet, IMAGE, other, sequence=2)
    found = write_all(device, tmp_path, envelope, trusted, other)
    assert found["refusal"] == "upd.bad_digest: image: expected its digest, got another"
    assert (found["active"], found["owned"]) == (0, [True, False])
    assert (found["image"], found["left"]) == ("", ["b.img", "starts"])


def test_a_slot_is_disowned_and_emptied_before_a_byte_arrives(device, tmp_path, trusted, release):
    found = device("device_install", "disowned_first", str(tmp_path), release.hex(), trusted, IDS)
    assert found == [[True, False], 0]


def test_nothing_is_finished_before_its_last_block(device, tmp_path, trusted, release):
    arguments = (str(tmp_path), release.hex(), trusted, IDS, IMAGE.hex())
    refusal, size, wanted = device("device_install", "finished_early", *arguments)
    assert refusal == "upd.bad_digest: image: expected 6 blocks, got 1"
    assert (size, wanted) == (4096, 1)  # what came is kept


def test_an_envelope_under_way_is_never_longer_than_one_can_be(device, tmp_path):
    for size, taken in ((0, 0), (12288, 12288), (12289, 0), (60000, 0)):
        assert device("device_install", "pending", str(tmp_path), size) == taken


def test_other_encryptions_are_refused(device):
    kid, kek, iv = b"kid-kid-", bytes(32), bytes(16)

    def info(tag=96, body=b"", head=None, recipient=None, count=1, payload=None, key=bytes(32)):
        wrapped = aes_key_wrap(kek, key)
        recipient = recipient or [b"", {1: -5, 4: kid}, wrapped]
        head = head or {1: -65532, 5: iv}
        return cose.encode(cose.CBORTag(tag, [body, head, payload, [recipient] * count])).hex()

    odd = "upd.malformed: payload: expected "
    cases = {
        "ours": (info(), ""),
        "another tag": (info(16), odd + "tag 96"),
        "A128CTR": (info(head={1: -65534, 5: iv}), odd + "algorithm -65532"),
        "AES-GCM": (info(head={1: 3, 5: iv}), odd + "algorithm -65532"),
        "a protected header": (info(body=b"\xa1\x01\x03", head={5: iv}), odd + "algorithm -65532"),
        "A128KW": (info(recipient=[b"", {1: -3, 4: kid}, b""]), odd + "algorithm -5"),
        "direct": (info(recipient=[b"", {1: -6, 4: kid}, b""]), odd + "algorithm -5"),
        "a short IV": (info(head={1: -65532, 5: iv[1:]}), odd + "an IV of 16 bytes"),
        "no IV": (info(head={1: -65532}), odd + "an IV of 16 bytes"),
        "no kid": (info(recipient=[b"", {1: -5}, b""]), odd + "an IV of 16 bytes, a kid"),
        "ciphertext inside": (info(payload=b"x"), odd + "an IV of 16 bytes, a kid and no cipher"),
        "two recipients": (info(count=2), odd + "an array of 1"),
        "a CEK of 16 bytes": (info(key=bytes(16)), odd + "a CEK of 32 bytes"),
        "another CEK": (
            info(recipient=[b"", {1: -5, 4: kid}, bytes(40)]),
            f"upd.bad_digest: payload: KEK {kid.hex()}: keywrap: expected a matching",
        ),
    }
    sent = [[encryption, {kid.hex(): kek.hex()}] for encryption, _ in cases.values()]
    found = device("device_install", "ciphers", sent)
    for (name, (_, part)), refusal in zip(cases.items(), found, strict=True):
        assert part in refusal, (name, refusal)
        assert bool(part) == bool(refusal), (name, refusal)


def test_flash_writes_of_one_manifest_are_limited(device, tmp_path, trusted, release):
    """S6; the count is in flash, so that resets do not help."""
    arguments = (str(tmp_path), release.hex(), trusted, IDS)
    found = device("device_install", "many_starts", *arguments, 7)
    assert found[:5] == [""] * 5
    assert found[5:] == ["upd.refused: install: expected <= 5 starts, got more"] * 2
    assert device("device_install", "many_names", *arguments, 2) == [4, 27]
    assert device("device_install", "many_names", *arguments, 4) == [5, 36]  # it was forgotten


def test_a_cut_before_the_record_costs_no_second_download(device, tmp_path, trusted, release):
    for name, expected in (("b.suit", [6, 1, 1]), ("c.suit", [0, 1, 2])):
        folder = tmp_path / name
        folder.mkdir()
        arguments = (str(folder), release.hex(), trusted, IDS, IMAGE.hex(), name)
        assert device("device_install", "interrupted", *arguments) == expected


@pytest.mark.parametrize("sealed", [False, True])
def test_a_download_goes_on_at_any_byte(device, tmp_path, fleet, trusted, sealed):
    """The block in which the file ends comes again, and its rest is written. Too long: anew."""
    kek = (fleet.kek.kid, fleet.kek.key)
    envelope, payload = fleet.release(IMAGE, sequence=2, encrypt=kek if sealed else None)
    sizes = [0, 1, 4095, 4096, 8192, 8193, 4 * 4096 - 16, len(IMAGE) - 1, len(IMAGE)]
    sizes.append(len(IMAGE) + 1)
    keks = [[kek[0].hex(), kek[1].hex()]] if sealed else None
    arguments = (str(tmp_path), envelope.hex(), trusted, IDS, payload.hex(), IMAGE.hex(), keks)
    found = device("device_install", "resume_states", *arguments, sizes)
    assert found == [[first, 1] for first in (0, 0, 0, 1, 2, 2, 3, 5, 6, 0)]


def test_a_trial_installs_nothing(device, tmp_path, trusted, release):
    found = device("device_install", "in_trial", str(tmp_path), release.hex(), trusted, IDS)
    assert found == "upd.refused: install: expected a confirmed image, got a trial"
