"""A device's identity over the years, on the Unix port before the real services: its certificate
is renewed in a live session, has ended while it lay in a drawer, or is believed no more; and its
clock is whatever an attacker or an empty battery made of it (S10, T08)."""

import asyncio
import sqlite3
import time
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest

from host_tools import project, pulse
from host_tools.demo.services import Services
from host_tools.demo.story import free_port
from host_tools.fleet import codec, est_service, mosquitto, service
from host_tools.fleet.answers import Down
from host_tools.fleet.inventory import Inventory
from host_tools.fleet.service import database_path
from host_tools.pki import leaf, profiles
from host_tools.pki.ca import Ca
from host_tools.signing import cose
from host_tools.signing.roles import TIME_DOMAIN
from host_tools.verbs import build, flash, init, provision, sign, stolen, target

WAIT_S = 400
YEAR_S = 365 * 86400


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A fleet with one signed image for the Unix port."""
    folder = tmp_path_factory.mktemp("life") / "fleet"
    options = init.Options(
        vendor="life.example", board="unix", port=free_port(), est_port=free_port(), height=10
    )
    init.do_init(folder, options, lambda done, total: None)
    found = project.load(folder)
    build.do_build(found, "unix")
    for name in ("image.img", "recovery.img"):
        sign.do_sign(found, images(found) / name, sign.Options())
    return found


def images(found):
    return found.image_folder("unix", found.app.version, found.app.sequence)


@contextmanager
def enrolled(found, name, life, monkeypatch):
    """A board whose certificate lives for `life` from five minutes ago. -> (its id, Unix)"""
    with monkeypatch.context() as patched:
        patched.setattr(profiles, "DEVICE_LIFE", life)
        flash.do_flash(found, "unix", name=name, images=images(found))
        made = provision.do_provision(found, "unix", name=name)
    board = target.open_target(found, "unix", name=name)
    pulse.replay(board, pulse.load())
    try:
        yield made["id"], board
    finally:
        board.stop()


class Serving(Services):
    """The services, and a way to say something to a device in their name."""

    async def _serve(self, ready):
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        running = service.running(self._folder, broker=self._broker, on_event=self.notices.append)
        async with running as self.up:
            ready.set()
            await self._ended.wait()

    def push(self, device, purpose, payload):
        said = self.up.link.push(Down(device, purpose, payload))
        asyncio.run_coroutine_threadsafe(said, self._loop).result(WAIT_S)


@contextmanager
def serving(found, broker="embedded"):
    services = Serving(found.root, broker)
    services.start()
    try:
        yield services
    finally:
        services.stop()


def heard(services, device, text, since=0, seconds=WAIT_S):
    def wanted(notice):
        return notice.device == device and text in notice.text

    return services.wait(text, wanted, seconds, since)


def certificates(found, device):
    return Ca(found.folder("ca")).shelf.index().of("device", device)


def test_a_certificate_is_renewed_for_a_new_key(fleet, monkeypatch):
    """Asked for in a live session, proved by the next one; the old pair ends with that."""
    with enrolled(fleet, "renewed", timedelta(minutes=7), monkeypatch) as (device, board):
        record = Inventory(fleet.folder("devices"))
        old = record.get(device).identity_public_key
        with serving(fleet) as services:
            board.start()
            heard(services, device, "est.issued")
            heard(services, device, "id.issued for a new key")
            heard(services, device, "heart-rate")
            first, second = certificates(fleet, device)
            assert second.key != first.key and (first.revoked, second.revoked) == (None, None)
            assert record.get(device).identity_public_key == old
        with serving(fleet) as services:  # the next connection shows the new pair
            heard(services, device, "est.rekeyed")
            heard(services, device, "id.renewed a new key, proved by this connection")
            first, second = certificates(fleet, device)
            assert (first.reason, second.revoked) == ("superseded", None)
            assert record.get(device).former_public_key == old
        with serving(fleet) as services:  # and the one after it
            attested = services.wait(
                "an attestation", lambda one: one.device == device and one.kind == "attest", WAIT_S
            )
            assert "does not verify" not in attested.text
            assert board.restarts == 0
        kept = sequences(fleet, device)
        assert kept == list(range(1, len(kept) + 1))  # nothing was lost on the way


def sequences(found, device):
    with closing(sqlite3.connect(database_path(found))) as database:
        rows = database.execute(
            "SELECT sequence FROM message WHERE device = ? ORDER BY sequence", (device,)
        )
        return [row[0] for row in rows]


@pytest.mark.parametrize("broker", ["embedded", "mosquitto"])
def test_an_expired_device_enrols_again_by_its_birth(fleet, monkeypatch, broker):
    if broker == "mosquitto" and mosquitto.find() is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    life = timedelta(minutes=1)  # over before the board is first started
    with enrolled(fleet, f"expired-{broker}", life, monkeypatch) as (device, board):
        with serving(fleet, broker) as services:
            board.start()
            heard(services, device, "id.renewed by the birth certificate")
            heard(services, device, "id.expired our certificate ended at")
            assert board.restarts == 0
        old, new = certificates(fleet, device)
        assert (old.key, old.revoked) == (new.key, None)
        assert new.not_after > time.time() + YEAR_S


def test_a_stolen_device_does_not_come_back_by_its_birth(fleet, monkeypatch):
    life = timedelta(minutes=1)
    with enrolled(fleet, "stolen", life, monkeypatch) as (device, board):
        stolen.do_stolen(fleet, device)
        with serving(fleet) as services:
            board.start()
            services.wait(
                "the refusal",
                lambda notice: "est.refused this certificate is revoked" in notice.text,
                WAIT_S,
            )
            assert not [one for one in services.notices if one.device == device]
        assert len(certificates(fleet, device)) == 1


def test_a_broker_that_is_revoked_is_left_and_its_old_list_does_not_bring_it_back(
    fleet, monkeypatch
):
    """T02: the serial is listed in number n + 1, then somebody serves number n again."""
    ca = Ca(fleet.folder("ca"))
    old = ca.crl_path("services").read_bytes()
    board_of = enrolled(fleet, "t02", timedelta(days=400), monkeypatch)
    with board_of as (device, board), serving(fleet) as services:
        board.start()
        heard(services, device, "hello")
        shown = leaf.certificate(fleet.folder("broker"))
        ca.revoke(f"{shown.serial_number:040x}", "keyCompromise")
        leaf.renew(ca, fleet.folder("broker"))
        heard(services, device, "tls.revoked certificate with serial")
        services.push(device, "crl", old)
        heard(services, device, "crl.rollback crl: expected number")
        assert board.restarts == 0


@pytest.mark.parametrize("years", [-26, 40])
def test_a_clock_that_is_years_off_does_no_harm(fleet, monkeypatch, years):
    """T08: the RTC says 2000, or 2066. The time comes from role `time` alone."""
    name = f"clock{years}".replace("-", "m")
    with enrolled(fleet, name, timedelta(days=400), monkeypatch) as (device, board):
        board.env["UWARD_CLOCK_OFFSET"] = str(years * YEAR_S)
        with serving(fleet) as services:
            board.start()
            heard(services, device, "hello")
            services.push(device, "time", forge(fleet, device))
            heard(services, device, "time.suspect")
        now = time.time()
        with closing(sqlite3.connect(database_path(fleet))) as database:
            rows = database.execute(
                "SELECT time, quality FROM event WHERE device = ? AND source = 'device'",
                (device,),
            ).fetchall()
        assert rows and {quality for _, quality in rows} == {2}  # told with a proved time
        assert all(now - 600 < when < now + 60 for when, _ in rows)


def forge(found, device):
    """A time answer by role time itself, for a nonce that the device never sent."""
    payload = codec.encode([bytes(16), device, int(time.time()) + YEAR_S])
    return cose.sign1(payload, est_service.time_signer(found), TIME_DOMAIN)
