"""A release key was stolen (S1, S7, T15): how a fleet gets out of it, with the real services and
a real device on the Unix port, which was off while the trust documents were published."""

import dataclasses
import shutil
import time

import pytest

from host_tools import keyring
from host_tools.demo import rogue
from host_tools.demo.story import BOOT_S, UPDATE_S, Story
from host_tools.fleet import releases
from host_tools.image import lfs
from host_tools.signing import keys, trust
from host_tools.signing.roles import RELEASE
from host_tools.verbs import release as publishing

MINUTES = 20


class Theft(Story):
    """The steps of the demo up to a device that measures; then the theft."""

    def run(self):
        try:
            self._make_fleet()
            self._flash_and_enrol(self._make_image("1.0.0", 1))
            self._serve()
            self._steal()
            self.board.stop()
            self._revoke()
            since = len(self.services.notices)
            self.board.start()
            self._wait("the documents", "hello", "hello 1.0.0", BOOT_S, since)
            stolen = self._wait("the refusal", "event", "upd.", UPDATE_S, since)
            assert "upd.quorum expected 1 of role release, got 0" in stolen.text
            shutil.rmtree(self.planted)
            return self._replace()
        finally:
            if self._board is not None:
                self._board.stop()
            self.services.stop()

    def _steal(self):
        """The thief signs a release of his own with the stolen key, and has it logged."""
        found = self.found
        first = found.image_folder(self.board_name, "1.0.0", 1)
        image = (first / "image.img").read_bytes()
        given = rogue.Material(found, self.board_name, image, 2, "2.0.0", first)
        envelope = given.signed(given.manifest(), "release", "approver")
        signers = keyring.signers(found, "log", None, [])
        keyring.release_log(found).append(envelope, keyring.current_trust(found), signers)
        self.case = rogue.Case("stolen", "upd.quorum", lambda given: (envelope, image))
        self.given = given

    def _revoke(self):
        """A new key in a document that has expired since, then the old one revoked in the next.

        Nobody needs a key that is revoked; the thief's release is offered all the same.
        """
        found = self.found
        old = found.folder("keys") / "release"
        stolen = keys.load_public(keys.public_path(old))
        for path in old.parent.glob("release*"):
            path.rename(path.with_name("stolen" + path.name[len("release") :]))
        fresh = keys.create_lms(old, 10)
        current = keyring.current_trust(found)
        now = int(time.time())
        both = trust.Holders(1, (("release", fresh), ("stolen", stolen)))
        added = dataclasses.replace(
            current,
            version=2,
            previous=trust.digest(current),
            issued=now - 9,
            expires=now - 1,
            roles={**current.roles, RELEASE.number: both},
        )
        revoked = dataclasses.replace(
            added,
            version=3,
            previous=trust.digest(added),
            issued=now,
            expires=current.expires,
            revoked=(stolen.thumbprint,),
        )
        signers = keyring.signers(found, "root", None, [])
        for document in (added, revoked):
            envelope = trust.sign(trust.encode_payload(document), signers)
            (found.folder("trust") / str(document.version)).write_bytes(envelope)
        self.planted = rogue.plant(self.case, self.given)

    def _replace(self):
        """A release by the new key; once it is confirmed and the board was reset, the fallback,
        which the stolen key signed, is gone. -> the board's files"""
        since = len(self.services.notices)
        found = self._make_image("3.0.0", 3)
        publishing.do_release(
            found, self.board_name, found.image_folder(self.board_name, "3.0.0", 3)
        )
        self._wait("the confirmation", "event", "upd.confirmed", UPDATE_S, since)
        self.board.reset()
        self._wait("the fallback's end", "event", "upd.fallback", BOOT_S, since)
        self.board.stop()
        return lfs.read(self.board.board, self.board.flash_dump())


@pytest.mark.timeout(MINUTES * 60)
def test_a_fleet_recovers_from_a_stolen_release_key(tmp_path):
    said = []
    story = Theft(tmp_path / "theft", "unix", "embedded", said.append)
    files = story.run()
    assert len(files["/slot/b.img"]) > 50_000
    assert files.get("/slot/a.img", b"") == b""
    assert sorted(path for path in files if path.startswith("/trust/")) == ["/trust/1", "/trust/3"]
    texts = [notice.text for notice in story.services.notices]
    assert not any("offered 2.0.0" in text for text in texts[: texts.index(documents(texts))])
    known = [release.sequence for release in releases.load_all(story.found.folder("releases"))]
    assert known == [3]


def documents(texts):
    """The first notice after which the device had the new documents: its second hello."""
    return [text for text in texts if text.startswith("hello 1.0.0")][1]
