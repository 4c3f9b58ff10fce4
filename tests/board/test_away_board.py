"""A Pico W that lay in a drawer for three months, before the real services: the broker's
certificate starts long after the device's clock (T08, S10), its own has ended, and it enrols again
by its birth (RFC 7030). Then it renews with a new key pair (S8), by which it obeys two persons."""

import sqlite3
import ssl
import time
from contextlib import closing
from datetime import timedelta

import pytest

from host_tools import pulse
from host_tools.fleet import service
from host_tools.pki import ca as pki
from host_tools.pki import leaf, profiles
from host_tools.targets.picow import PicoW
from host_tools.verbs import policy, target
from tests.interop import command_round

MINUTES = 10
HOUR_S = 3600
LIFE = timedelta(days=30)  # of the device's certificate
AWAY = timedelta(days=90)
NEXT_LIFE = timedelta(days=120)  # of the next ones: two thirds of it are over at once
RENEWED = timedelta(days=80)  # when the broker's certificate begins
NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: OpenSSL asks this machine's clock


@pytest.fixture
def board(tmp_path, stock, monkeypatch):
    """-> (fleet, device id, board), three months after it was enrolled."""
    with monkeypatch.context() as patched:
        patched.setattr(profiles, "DEVICE_LIFE", LIFE)
        found, device = command_round.fleet(tmp_path, "rpi_pico_w", "picow")
    folder, real = found.folder("ca"), time.time

    def in_days(days):
        return pki.Ca(folder, clock=lambda: pki.utc_now() + days)

    leaf.renew(in_days(RENEWED), found.folder("broker"))
    in_days(AWAY).renew_crl("services")
    monkeypatch.setattr(profiles, "DEVICE_LIFE", NEXT_LIFE)
    monkeypatch.setattr(time, "time", lambda: real() + AWAY.total_seconds())
    make = service.client_context

    def untimed(*arguments):
        context = make(*arguments)
        context.verify_flags |= ssl.VerifyFlags(NO_CHECK_TIME)
        return context

    monkeypatch.setattr(service, "client_context", untimed)
    with PicoW(target.folder(found, "picow", None)) as made:
        pulse.replay(made, pulse.load())
        yield found, device, made


@pytest.mark.timeout(MINUTES * 60)
def test_a_board_that_was_away_comes_back_and_obeys(board):
    found, device, pico = board
    with command_round.serving(found, "embedded") as services:
        pico.start()
        command_round.heard(services, "id.expired our certificate ended at")
        command_round.heard(services, "id.renewed by the birth certificate")
        command_round.heard(services, "id.issued for a new key")
    with command_round.serving(found, "embedded") as services:
        command_round.heard(services, "id.renewed a new key, proved by this connection")
        command_round.heard(services, "est.rekeyed")
        command_round.heard(services, "ticks")
        policy.do_publish(found, found.root / "policy.toml", "policy")
        command_round.heard(services, "policy.adopted version 1")
        both = ("operator:anna", "operator:bert")
        told = command_round.order(found, device, "dose", {"ml": 5}, *both)
        assert told["detail"] == "5 ml given"
    with closing(sqlite3.connect(service.database_path(found))) as database:
        told = database.execute(
            "SELECT name, time, quality FROM event WHERE source = 'device'"
        ).fetchall()
    assert "cmd.done" in [name for name, _, _ in told]
    assert {quality for _, _, quality in told} == {2}  # dated by a time that role time has proved
    assert all(abs(when - time.time()) < HOUR_S for _, when, _ in told)
