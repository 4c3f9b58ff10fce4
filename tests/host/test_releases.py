"""Releases: published whole or not at all, offered to whom they fit, served within bounds."""

import json
import os
from dataclasses import replace

import pytest
from collector_kit import ALICE, BOB, NOW, Bench, of
from fake_device import FakeDevice
from uward.codec import cbor

from host_tools.errors import DeviceError, Refused, UsageError
from host_tools.fleet import limits, messages, offers, releases
from host_tools.fleet.messages import Get
from host_tools.fleet.offers import Releases
from host_tools.pki import names
from host_tools.signing import author, delta, keys

VENDOR = names.vendor_id("example.org")
CLASS = names.class_id(VENDOR, "unix")
IMAGE = os.urandom(4096 * 2 + 100)


def signed(sequence=2, image=IMAGE, class_id=CLASS, **options):
    manifest, payload = author.build_manifest(
        image, sequence, 1, f"{sequence}.0.0", VENDOR, class_id, **options
    )
    return author.sign(manifest), payload


def publish(folder, sequence=2, **options):
    envelope, payload = signed(sequence, **options)
    return releases.publish(folder, envelope, payload, "unix", CLASS)


def test_a_release_lies_whole_in_its_folder(tmp_path):
    envelope, payload = signed()
    release = releases.publish(tmp_path, envelope, payload, "unix", CLASS)
    assert (tmp_path / "2/envelope.suit").read_bytes() == envelope
    assert (tmp_path / "2/payload").read_bytes() == payload
    assert releases.load_all(tmp_path) == [release]
    assert (release.version, release.blocks, release.encrypted) == ("2.0.0", 3, False)
    assert [p.name for p in tmp_path.iterdir()] == ["2"]


def test_an_encrypted_payload_is_published_as_transferred(tmp_path):
    release = publish(tmp_path, encrypt=(b"kid-kid-", bytes(32)))
    assert release.encrypted
    assert (tmp_path / "2/payload").read_bytes() != IMAGE


def refused(folder, message, envelope, payload, board="unix", class_id=CLASS):
    before = sorted(p.name for p in folder.iterdir())
    with pytest.raises(Refused, match=message):
        releases.publish(folder, envelope, payload, board, class_id)
    assert sorted(p.name for p in folder.iterdir()) == before


def test_what_devices_would_refuse_is_refused_here(tmp_path):
    envelope, payload = signed()
    flipped = bytes([payload[0] ^ 1]) + payload[1:]
    other = names.class_id(VENDOR, "esp32")
    refused(tmp_path, "payload", envelope, flipped)
    refused(tmp_path, "payload: expected 8292 bytes, got 8291", envelope, payload[:-1])
    refused(tmp_path, "the manifest is for class", envelope, payload, "esp32", other)
    refused(tmp_path, "got one for recovery", *signed(component="recovery"))
    refused(tmp_path, "SUIT envelope", b"junk", payload)
    refused(tmp_path, "envelope: expected at most", bytes(limits.ENVELOPE_BYTES + 1), payload)
    refused(tmp_path, "payload: expected at most", envelope, bytes(limits.PAYLOAD_BYTES + 1))


def test_the_sequence_only_rises(tmp_path):
    publish(tmp_path, 5)
    for sequence in (4, 5):
        refused(tmp_path, f"sequence {sequence} is not above the last release's, 5",
                *signed(sequence, image=b"other"))  # fmt: skip
    publish(tmp_path, 6)
    assert [r.sequence for r in releases.load_all(tmp_path)] == [5, 6]


def test_a_publication_that_is_cut_off_leaves_nothing(tmp_path, monkeypatch):
    envelope, payload = signed()
    for step in ("write", "rename"):
        real = os.replace if step == "write" else os.rename

        def fail(*args, real=real):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace" if step == "write" else "rename", fail)
            with pytest.raises(DeviceError, match="No space left"):
                releases.publish(tmp_path, envelope, payload, "unix", CLASS)
        assert list(tmp_path.iterdir()) == []
    releases.publish(tmp_path, envelope, payload, "unix", CLASS)


@pytest.mark.parametrize("damage", ["{", "[]", '{"sequence": 2}', None])
def test_a_damaged_record_is_named_and_does_not_stop_the_service(tmp_path, damage):
    publish(tmp_path, 1)
    publish(tmp_path, 2)
    path = tmp_path / "2/release.json"
    if damage is None:
        data = json.loads(path.read_text())
        damage = json.dumps({**data, "sequence": 9})
    path.write_text(damage)
    with pytest.raises(UsageError, match=r"release\.json|expected the folder 9"):
        releases.load_all(tmp_path)
    assert Releases(tmp_path, lambda: 0.0).newest("unix", ALICE).sequence == 1


def hello(**changes):
    body = FakeDevice.hello_body(_Speaker(), **changes)
    return messages.parse_hello(body)


class _Speaker:
    packs, sequence, log, starts = {}, 0, None, None


def test_who_is_offered_what(tmp_path):
    service = Releases(tmp_path, lambda: 0.0)
    assert service.due(ALICE, hello()) is None  # nothing published, not even a folder's content
    publish(tmp_path, 3)
    assert service.due(ALICE, hello(sequence=2)).sequence == 3
    assert service.due(ALICE, hello(sequence=3)) is None
    assert service.due(ALICE, hello(sequence=4)) is None
    assert service.due(ALICE, hello(sequence=2, board="esp32")) is None
    assert service.due(ALICE, hello(sequence=9, slot="r")).sequence == 3
    publish(tmp_path, 4)
    assert service.due(ALICE, hello(sequence=3)).sequence == 4
    assert Releases(tmp_path / "absent", lambda: 0.0).due(ALICE, hello()) is None


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_blocks_are_served_within_bounds(tmp_path):
    clock = Clock()
    service = Releases(tmp_path, clock)
    key = publish(tmp_path).payload_key
    blocks = service.blocks(ALICE, Get(key, 0, 3))
    assert b"".join(block for _, block in blocks) == IMAGE
    assert [index for index, _ in blocks] == [0, 1, 2]
    with pytest.raises(Refused, match="blocks up to 3"):
        service.blocks(ALICE, Get(key, 2, 2))
    with pytest.raises(Refused, match="blocks up to 4294967298"):
        service.blocks(ALICE, Get(key, 2**32 - 1, 4))
    with pytest.raises(Refused, match="which is none of ours"):
        service.blocks(ALICE, Get(bytes(8), 0, 1))


def test_one_device_cannot_ask_for_more_than_its_rate(tmp_path):
    clock = Clock()
    service = Releases(tmp_path, clock)
    key = publish(tmp_path).payload_key
    served = 0
    with pytest.raises(Refused, match="more than 64 blocks a second"):
        for _ in range(1000):
            served += len(service.blocks(ALICE, Get(key, 0, 3)))
    assert served <= limits.BLOCK_BURST
    assert service.blocks("bob0123456789abcd", Get(key, 0, 3))  # others are not slowed
    clock.now += 1.0
    assert service.blocks(ALICE, Get(key, 0, 3))


@pytest.mark.parametrize(
    "body",
    [
        ["get", bytes(8), 0],
        ["get", bytes(7), 0, 1],
        ["get", bytes(8), -1, 1],
        ["get", bytes(8), 0, 5],  # above the window
        ["state", bytes(8), 1, ""],
        ["state", bytes(8), "x", "\x1b[2J"],
        ["put", bytes(8), 0, 1],
        {"get": 1},
    ],
)
def test_broken_requests_are_noted(tmp_path, body):
    bench = Bench(tmp_path)
    alice = bench.device()
    assert bench.hand(alice, "ota", alice.seal("ota", body)).down == []
    assert bench.events() == [(ALICE, "proto.malformed")]
    bench.store.close()


def test_a_release_is_offered_until_it_is_refused(tmp_path):
    bench = Bench(tmp_path)
    alice = bench.device()
    key = publish(tmp_path / "releases").payload_key
    for _ in range(2):
        assert len(of(bench.hand(alice, "att", alice.hello()), "man")) == 1
    for state in ("accepted", "progress"):
        bench.hand(alice, "ota", alice.ota("state", key, state, ""))
        assert of(bench.hand(alice, "att", alice.hello()), "man")
    bench.hand(alice, "ota", alice.ota("state", key, "installed", ""))
    assert of(bench.hand(alice, "att", alice.hello()), "man") == []  # it may say why it is back
    assert of(bench.hand(alice, "att", alice.hello()), "man")
    for state in ("refused", "reverted"):
        bench.hand(alice, "ota", alice.ota("state", key, state, "upd.bad_sig"))
        assert of(bench.hand(alice, "att", alice.hello()), "man") == []
    publish(tmp_path / "releases", 3)
    assert of(bench.hand(alice, "att", alice.hello()), "man")
    bench.store.close()


def test_unknown_blocks_are_noted_and_the_boot_stays_known(tmp_path):
    bench = Bench(tmp_path)
    alice = bench.device()
    request = alice.ota("get", bytes(8), 0, 1)
    assert bench.hand(alice, "ota", request).down == []
    bench.hand(alice, "ota", request)
    assert [name for _, name in bench.events()] == ["release.refused", "e2e.replay"]
    bench.store.close()


def test_blocks_go_down_as_spec_says(tmp_path):
    bench = Bench(tmp_path)
    alice = bench.device()
    key = publish(tmp_path / "releases").payload_key
    down = bench.collector.handle(
        f"uward/v1/{ALICE}/up/ota", alice.ota("get", key, 1, 2), NOW
    ).down
    assert [(d.purpose, d.qos) for d in down] == [("blk", 0)] * 2
    assert [cbor.decode(d.payload) for d in down] == [
        [key, 1, IMAGE[4096:8192]],
        [key, 2, IMAGE[8192:]],
    ]
    bench.store.close()


def test_a_release_that_was_withdrawn_is_offered_no_more(tmp_path):
    service = Releases(tmp_path, lambda: 0.0)
    publish(tmp_path, 2)
    key = publish(tmp_path, 3, image=b"newer").payload_key
    before = service.names()
    assert releases.withdraw(tmp_path, 3).version == "3.0.0"
    assert service.names() != before  # which tells the collector that something is new
    assert service.due(ALICE, hello(sequence=1)).sequence == 2
    with pytest.raises(offers.Withdrawn, match=r"release 3\.0\.0 was withdrawn"):
        service.blocks(ALICE, Get(key, 0, 1))
    refused(tmp_path, "not above the last release's, 3", *signed(3, image=b"again"))
    with pytest.raises(Refused, match="there is no release 9"):
        releases.withdraw(tmp_path, 9)


def test_who_downloads_a_withdrawn_release_is_told_under_seal(tmp_path):
    bench = Bench(tmp_path)
    alice = bench.device()
    key = publish(tmp_path / "releases").payload_key
    bench.hand(alice, "att", alice.hello())
    releases.withdraw(tmp_path / "releases", 2)
    (down,) = bench.hand(alice, "ota", alice.ota("get", key, 0, 1)).down
    word, envelope = cbor.decode(down.payload)
    assert down.purpose == "man" and envelope == b""
    assert alice.open("man", word)[0] == key
    assert of(bench.hand(alice, "att", alice.hello()), "man") == []
    assert bench.events() == []
    bench.store.close()


def test_a_release_for_one_device_is_for_nobody_else(tmp_path):
    own = keys.create_kek(tmp_path / "own")
    bench = Bench(tmp_path, own_kek={ALICE: own}.get)
    alice, bob = bench.device(), bench.device(BOB)
    for device in (alice, bob):
        bench.hand(device, "att", device.hello())
    publish(tmp_path / "releases", device_id=ALICE, encrypt=(own.kid, own.key))
    (release,) = releases.load_all(tmp_path / "releases")
    assert release.encrypted
    assert release.device_identifier == names.device_identifier(CLASS, ALICE).hex()
    told = bench.collector.rollout(NOW).down
    assert [(down.device, down.purpose) for down in told] == [(ALICE, "share"), (ALICE, "man")]
    assert alice.open("share", told[0].payload)[0] == [own.kid, own.key]  # before what needs it
    assert of(bench.hand(bob, "att", bob.hello()), "man") == []
    assert of(bench.hand(bob, "att", bob.hello()), "share") == []
    bench.store.close()


def test_the_last_word_of_an_update_is_what_is_shown(tmp_path):
    bench = Bench(tmp_path)
    alice = bench.device()
    assert bench.store.last_update(ALICE) is None
    first = publish(tmp_path / "releases").payload_key
    bench.hand(alice, "att", alice.hello())
    assert bench.store.last_update(ALICE) == ("offered", "")
    bench.hand(alice, "ota", alice.ota("state", first, "progress", "1 of 3"))
    assert bench.store.last_update(ALICE) == ("progress", "1 of 3")
    publish(tmp_path / "releases", 3)
    bench.collector.rollout(NOW + 1)
    assert bench.store.last_update(ALICE) == ("offered", "")
    bench.store.close()


def test_patches_are_served_behind_the_payload(tmp_path):
    older = [IMAGE[:4096] + os.urandom(4096) + IMAGE[8192:], b"old" + IMAGE]
    made = [delta.make(old, IMAGE) for old in older]
    envelope, payload = signed(deltas=made)
    patches = [one.payload for one in made]
    for given, says in ((patches[:1], "names 2 patches, got 1"), (patches[::-1], "is not the")):
        with pytest.raises(Refused, match=says):
            releases.publish(tmp_path, envelope, payload, "unix", CLASS, patches=given)
    release = releases.publish(tmp_path, envelope, payload, "unix", CLASS, patches=patches)
    assert releases.load_all(tmp_path) == [release]
    assert release.patches == tuple(len(patch) for patch in patches)
    assert release.all_blocks == 3 + 2 + 1 and 4096 < len(patches[0]) < 8192
    service = Releases(tmp_path, Clock())
    blocks = service.blocks(ALICE, Get(release.payload_key, 3, 3))
    assert [index for index, _ in blocks] == [3, 4, 5]
    assert blocks[0][1] + blocks[1][1] == patches[0] and blocks[2][1] == patches[1]
    with pytest.raises(Refused, match=r"blocks up to 6, payload .* has 6"):
        service.blocks(ALICE, Get(release.payload_key, 5, 2))
    (tmp_path / "2/patch-1").write_bytes(b"")
    with pytest.raises(DeviceError, match="it was damaged"):
        Releases(tmp_path, Clock()).blocks(ALICE, Get(release.payload_key, 0, 1))


def test_the_interpreter_comes_after_the_image_to_boards_with_room_for_two(tmp_path):
    publish(tmp_path, 2)
    newer = publish(tmp_path, 3, component="interpreter")
    assert newer.component == releases.INTERPRETER
    service = Releases(tmp_path, lambda: 0.0)

    def due(**changes):
        found = service.due(ALICE, replace(hello(**{"sequence": 2}), **changes))
        return None if found is None else (found.sequence, found.component)

    assert due(sequence=1, interpreter=0) == (2, "image")
    assert due(interpreter=0) == (3, "interpreter")
    assert due(interpreter=3) is None
    assert due(interpreter=None) is None  # no room for two
    assert due(interpreter=0, trial=True) is None
    releases.withdraw(tmp_path, 3)
    assert due(interpreter=0) is None
