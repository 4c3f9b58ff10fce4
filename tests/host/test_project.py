"""uward.toml: read strictly, each mistake named with what was expected."""

import datetime

import pytest

from host_tools import project, template
from host_tools.errors import UsageError
from host_tools.pki import names

GOOD = """
[project]
name = "ward 7"
vendor = "example.org"
board = "rpi_pico_w"
[app]
version = "1.0.0"
sequence = 3
date = 2026-11-21
[broker]
host = "192.168.1.10"
port = 8883
name = "broker.ward-7"
[wifi]
ssid = "ward"
"""


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    monkeypatch.delenv("UWARD_FLEET", raising=False)
    monkeypatch.delenv("UWARD_WIFI_PSK", raising=False)
    (tmp_path / "uward.toml").write_text(GOOD)
    return tmp_path


def edited(fleet, old, new):
    assert old in GOOD
    (fleet / "uward.toml").write_text(GOOD.replace(old, new))
    return project.load(fleet)


def test_a_good_file(fleet):
    loaded = project.load(fleet)
    assert (loaded.name, loaded.board, loaded.app.sequence) == ("ward 7", "rpi_pico_w", 3)
    assert loaded.app.date == datetime.date(2026, 11, 21)
    assert loaded.build_time == 1795219200
    assert loaded.vendor_id == names.vendor_id("example.org")
    assert loaded.roles["release"] == project.Role(1, ["release"])
    assert loaded.app_folder is None


def test_it_is_found_upwards_and_by_environment(fleet, monkeypatch, tmp_path_factory):
    below = fleet / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert project.load().root == fleet
    monkeypatch.chdir(tmp_path_factory.mktemp("other"))
    with pytest.raises(UsageError, match=r"no uward.toml in .* or above"):
        project.load()
    monkeypatch.setenv("UWARD_FLEET", str(fleet))
    assert project.load().root == fleet


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("[wifi]", "[wify]", "unknown table 'wify'", "did you mean 'wifi'?"),
        ("vendor =", "vender =", "unknown key 'vender'", "did you mean 'vendor'?"),
        ("port = 8883\n", "", "key 'port' is missing", ""),
        ("port = 8883", 'port = "8883"', "'port' must be an integer, got str", ""),
        ("port = 8883", "port = true", "'port' must be an integer, got bool", ""),
        ("port = 8883", "port = 70000", "port is 1 to 65535", ""),
        ("date = 2026-11-21", 'date = "today"', "'date' must be a date", ""),
        ("sequence = 3", "sequence = 0", "sequence is 1 to 4294967295", ""),
        ("sequence = 3", "sequence = 4294967296", "sequence is 1 to 4294967295", ""),
        ('version = "1.0.0"', 'version = "../x"', "version is letters, digits", ""),
        ("example.org", "example", "expected a domain name", ""),
        ("rpi_pico_w", "rpi_pico", "no board 'rpi_pico'", "did you mean 'rpi_pico_w'?"),
        ("sequence = 3", 'sequence = 3\nallow = ["sockets"]', "does not know", "'socket'"),
        ("sequence = 3", 'sequence = 3\nentry = "app/main"', "entry is a module", ""),
        ('ssid = "ward"', f'ssid = "{"x" * 33}"', "ssid is at most 32 bytes", ""),
        ("[wifi]", "wifi = 3\n[x]", "unknown table", ""),
        ('ssid = "ward"', 'ssid = "ward"\npsk = "hunter22"', "unknown key 'psk'", ""),
        ("[wifi]", "[roles.releaser]\n[wifi]", "unknown role 'releaser'", "'release'"),
        ("[wifi]", "[roles.root]\nthreshold = 2\n[wifi]", "expected 1 to 1", ""),
        ("[wifi]", "[roles.root]\nthreshold = 0\n[wifi]", "expected 1 to 1", ""),
        ("[wifi]", '[roles.root]\nholders = ["a", "a"]\n[wifi]', "named twice", ""),
        ("[wifi]", '[roles.root]\nholders = ["../a"]\n[wifi]', "holder '../a'", ""),
        ("[project]", "[project", "not TOML", ""),
    ],
)
def test_each_mistake_is_named(fleet, old, new, message, hint):
    with pytest.raises(UsageError) as caught:
        edited(fleet, old, new)
    assert message in str(caught.value)
    assert str(fleet / "uward.toml") in str(caught.value)
    assert hint in caught.value.hint


def test_two_of_three_holders(fleet):
    loaded = edited(
        fleet,
        "[wifi]",
        '[roles.release]\nthreshold = 2\nholders = ["anna", "bert", "cleo"]\n[wifi]',
    )
    assert loaded.roles["release"] == project.Role(2, ["anna", "bert", "cleo"])


def test_the_wifi_password_comes_from_environment_or_file(fleet, monkeypatch):
    loaded = project.load(fleet)
    with pytest.raises(UsageError, match="no password for Wi-Fi 'ward'"):
        loaded.wifi_psk()
    (fleet / "keys").mkdir()
    (fleet / "keys" / "wifi.psk").write_text("from the file\n")
    assert loaded.wifi_psk() == "from the file"
    monkeypatch.setenv("UWARD_WIFI_PSK", "from the environment")
    assert loaded.wifi_psk() == "from the environment"
    monkeypatch.setenv("UWARD_WIFI_PSK", "short")
    with pytest.raises(UsageError, match="has 5 characters, expected 8 to 63"):
        loaded.wifi_psk()


def test_a_new_file_reads_back_whatever_the_names_are(fleet, tmp_path):
    values = {
        "name": 'the "seventh" ward\\',
        "vendor": "example.org",
        "board": "unix",
        "date": datetime.date(2026, 1, 2),
        "host": "127.0.0.1",
        "port": 8883,
        "broker": "broker.example.org",
        "ssid": "Kr\u00e4nze {net}",
    }
    path = tmp_path / "new" / "uward.toml"
    template.write(path, values)
    loaded = project.load(path.parent)
    assert (loaded.name, loaded.wifi.ssid) == (values["name"], values["ssid"])
    assert loaded.app.date == values["date"]
