"""Verbs without a terminal: `do_verb`, where a transcript would say less."""

import dataclasses
import datetime
import os

import pytest

from host_tools import cli, project, pulse
from host_tools.errors import UsageError
from host_tools.verbs import devices, doctor, keys, sign, target


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verbs") / "f"
    arguments = ["init", str(folder), "--vendor", "example.org", "--lms-height", "10"]
    assert cli.run([*arguments, "--ssid", "ward"]) == 0
    return project.load(folder)


def with_host(found, host):
    return dataclasses.replace(found, broker=dataclasses.replace(found.broker, host=host))


def test_each_target_gets_the_network_of_its_surroundings(fleet, monkeypatch):
    monkeypatch.setenv("UWARD_WIFI_PSK", "password")
    name, ports = "broker.example.org", {4: 8883, 7: 8884}  # of the broker and of EST
    assert target.network(fleet, "unix") == {1: "ward", 2: "", 3: "127.0.0.1", 5: name, **ports}
    emulated = target.network(fleet, "picow")
    assert (emulated[1], emulated[3]) == ("RP2040PY-GUEST", name)  # 127.0.0.1 is the board itself
    assert target.network(with_host(fleet, "192.168.1.5"), "picow")[3] == "192.168.1.5"
    real = target.network(with_host(fleet, "192.168.1.5"), "serial")
    assert real == {1: "ward", 2: "password", 3: "192.168.1.5", 5: name, **ports}


def test_an_esp32_is_not_any_board(fleet):
    with pytest.raises(UsageError, match="board is rpi_pico_w, which is no ESP32"):
        target.board_name(fleet, "esp32")
    there = dataclasses.replace(fleet.project, board="esp32_c3")
    assert target.board_name(dataclasses.replace(fleet, project=there), "esp32") == "esp32_c3"


@pytest.mark.parametrize(
    ("text", "seconds"), [(None, None), ("1900000000", 1900000000), ("2027-01-31", 1801353600)]
)
def test_use_before_is_a_date_or_seconds(text, seconds):
    assert sign._moment(text) == seconds


def test_use_before_that_is_neither_is_refused():
    with pytest.raises(UsageError, match="'tomorrow', expected a date such as 2027-01-31"):
        sign._moment("tomorrow")


def states(found):
    return {finding.what: finding.state for finding in doctor.do_doctor(found)}


def test_the_doctor_finds_a_new_fleet_well(fleet):
    found = states(fleet)
    assert found["trust document 1"] == found["certificate broker/cert.pem"] == doctor.OK
    assert found["root keys"] == doctor.WARN
    assert doctor.FAIL not in found.values()


def test_the_doctor_sees_what_ends_soon():
    day, now = 86_400, datetime.datetime.now().timestamp()
    assert doctor._term("x", now - day).state == doctor.FAIL
    assert doctor._term("x", now + 20 * day).state == doctor.WARN
    assert doctor._term("x", now + 40 * day).state == doctor.OK


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("broker/cert.pem", None, "certificates"),
        ("trust/1", b"nonsense", "trust documents"),
        ("releases/7/release.json", b"{}", "releases"),
        ("devices/abcdefghij0123456789.json", b"{}", "releases"),
    ],
)
def test_the_doctor_finds_what_is_broken(fleet, name, data, what):
    path = fleet.root / name
    before = path.read_bytes() if path.exists() else None
    if data is None:
        path.unlink()
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    try:
        assert states(fleet)[what] == doctor.FAIL
    finally:
        path.unlink() if before is None else path.write_bytes(before)
        if path.parent.name == "7":
            path.parent.rmdir()


def test_a_key_near_its_end_is_said(fleet, monkeypatch):
    rows = [{"role": "release", "holder": "release", "left": 63}]
    monkeypatch.setattr(keys, "do_status", lambda found: rows)
    assert states(fleet)["key release:release"] == doctor.WARN


def test_devices_without_a_database(fleet):
    assert devices.do_devices(fleet) == []


def test_a_pulse_file_is_read_strictly(tmp_path):
    path = tmp_path / "pulse.csv"
    path.write_text("1\n2.5\n" * 60)
    assert pulse.load(path)[:2] == [1.0, 2.5]
    assert len(pulse.load()) > pulse.SAMPLES_MIN
    path.write_text("1\nx\n" * 60)
    with pytest.raises(UsageError, match="expected one number a line"):
        pulse.load(path)
    path.write_text("1\n")
    with pytest.raises(UsageError, match="1 samples, expected 100 to 360000"):
        pulse.load(path)
    with pytest.raises(UsageError, match="cannot be read"):
        pulse.load(tmp_path / "none")


def test_secrets_are_for_their_owner(fleet):
    for pattern in doctor.SECRETS:
        for path in fleet.root.glob(pattern):
            if path.suffix not in (".pub", ".lock"):
                assert os.stat(path).st_mode & 0o077 == 0, path
