"""Updates whole, on the Unix port against the real services: patches, loss, secrets, bad releases.

One board lives through all of it: each test brings it the next release.
"""

import random

import pytest

from host_tools.fleet.link import Link
from host_tools.image import sources
from host_tools.signing import delta
from host_tools.verbs import release as verb
from tests.board.field import APP, BOOT_S, Field
from tests.board.plain import assert_only_in_the_slot

BROKEN = "raise ValueError('broken release')\n"
ILL = APP.replace(
    "agent.run()", '@agent.health("sensor-alive")\ndef alive():\n    return False\n\n\nagent.run()'
)
LOSS = 5  # one block message in so many is lost: 20 %


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    made = Field(tmp_path_factory.mktemp("field"), "unix")
    made.make()
    with made:
        made.wait("hello 1.0.0", "hello", BOOT_S)
        yield made


def grown(size, seed=1):
    """The program with a table that does not shrink: a larger payload."""
    return APP.replace("ticks = 0", f"TABLE = {random.Random(seed).randbytes(size)!r}\nticks = 0")


def test_a_patch_is_taken_in_place_of_the_image(field):
    older = field.images("1.0.0", 1) / "image.img"
    made = field.release("1.1.0", 2, grown(6000), delta_from=(older,))
    field.wait("confirmed 1.1.0", "update")
    assert len(made["patches"]) == 1 and made["patches"][0] < made["payload_size"] // 10
    blocks = -(-made["patches"][0] // 4096)
    assert field.heard("update", "progress")[-1].endswith(f" of {blocks}")
    assert 1 < blocks < made["blocks"] // 5
    assert field.update() == ("confirmed", "1.1.0")
    assert field.heard("event", "upd.delta") == []


def test_a_wrong_patch_gives_way_to_the_image_through_loss(field, monkeypatch):
    """A block in five is lost, and the patch makes another image than what was signed."""
    make = delta.make

    def wrong(source, image, encrypt):
        other = image[:-1] + bytes([image[-1] ^ 1])
        return make(source, other, encrypt)

    monkeypatch.setattr(delta, "make", wrong)
    rng, send, lost = random.Random(3), Link._send, []

    async def lossy(self, client, messages):
        kept = [m for m in messages if m.purpose != "blk" or rng.randrange(LOSS)]
        lost.append(len(messages) - len(kept))
        await send(self, client, kept)

    monkeypatch.setattr(Link, "_send", lossy)
    older = field.images("1.1.0", 2) / "image.img"
    made = field.release("1.2.0", 3, delta_from=(older,))
    assert "expected its digest" in field.wait("upd.delta", "event").text
    field.wait("confirmed 1.2.0", "update")
    assert sum(lost) >= made["blocks"] // 10
    assert field.heard("update", "progress")[-1].endswith(f" of {made['blocks']}")


def test_a_program_that_crashes_is_reverted(field):
    field.release("1.3.0", 4, BROKEN)
    installed = field.services.notices.index(field.wait("installed 1.3.0", "update"))
    field.wait("reverted", "update")
    assert "failed its trial" in field.wait("upd.reverted", "event").text
    field.wait("ticks", "reading", since=len(field.services.notices))
    assert field.update() == ("reverted", "")
    assert field.heard("hello")[-1].startswith("hello 1.2.0")
    later = field.services.notices[installed:]
    assert not any(notice.text.startswith("offered") for notice in later)


def test_a_program_that_is_not_well_is_reverted(field, monkeypatch):
    """The maker's check fails until the trial's time is over, three boots long (S2)."""
    agent = sources.agent

    def hurried(board, **options):
        found = agent(board, **options)
        limits = found["/uward/limits.py"]
        short = limits.replace(b"TRIAL_MS = const(300_000)", b"TRIAL_MS = const(4_000)")
        assert short != limits
        return {**found, "/uward/limits.py": short}

    monkeypatch.setattr(sources, "agent", hurried)
    since = len(field.services.notices)
    field.release("1.4.0", 5, ILL)
    field.wait("hello 1.4.0", "hello", since=since)
    field.wait("reverted", "update", since=since)
    field.wait("upd.reverted", "event", since=since)
    assert field.update() == ("reverted", "")
    assert len(field.heard("hello", "hello 1.4.0")) == 3
    assert field.heard("update", "confirmed 1.4.0") == []


def test_a_release_is_taken_back_while_it_is_downloaded(field, monkeypatch):
    send = Link._send

    async def stalled(self, client, messages):
        """Blocks from the fourth on stay on the way."""
        kept = [m for m in messages if m.purpose != "blk" or field.passed < 4]
        field.passed += sum(m.purpose == "blk" for m in kept)
        await send(self, client, kept)

    field.passed = 0
    monkeypatch.setattr(Link, "_send", stalled)
    since = len(field.services.notices)
    field.release("1.5.0", 6)
    field.wait("accepted 1.5.0", "update", since=since)
    while field.passed < 4:
        field.wait("ticks", "reading", since=len(field.services.notices))
    verb.do_withdraw(field.found, 6)
    field.wait("upd.withdrawn", "event", since=since)
    field.wait("withdrawn", "update", since=since)
    assert field.update() == ("withdrawn", "")
    assert "/slot/dl.suit" not in field.files()
    assert field.heard("update", "installed 1.5.0") == []


def test_a_newer_release_takes_the_place_of_one_under_way(field, monkeypatch):
    send = Link._send

    async def stalled(self, client, messages):
        kept = [m for m in messages if m.purpose != "blk" or m.payload[2:10] != field.stuck]
        await send(self, client, kept)

    field.stuck = None
    monkeypatch.setattr(Link, "_send", stalled)
    since = len(field.services.notices)
    made = field.release("1.6.0", 7)
    field.stuck = bytes.fromhex(made["payload_id"])
    field.wait("accepted 1.6.0", "update", since=since)
    field.release("1.7.0", 8)
    field.wait("confirmed 1.7.0", "update", since=since)
    assert field.heard("update", "installed 1.6.0") == []


def test_a_release_for_this_device_alone_comes_encrypted(field):
    secret = random.Random(8).randbytes(3000)
    app = APP.replace("ticks = 0", f"SECRET = {secret!r}\nticks = 0")
    since = len(field.services.notices)
    before = field.target.flash_dump()
    made = field.release("1.8.0", 9, app, encrypt=True, device=field.device)
    assert made["encrypted"] and made["device_identifier"]
    field.wait("confirmed 1.8.0", "update", since=since)
    payload = (field.found.folder("releases") / "9/payload").read_bytes()
    image = (field.images("1.8.0", 9) / "image.img").read_bytes()
    assert payload != image and secret[:64] in image and secret[:64] not in payload
    own = field.found.folder("keys") / f"kek-{field.device}"
    assert own.stat().st_mode & 0o077 == 0
    assert_only_in_the_slot(image, before, field.target.flash_dump())
