"""The host's choice of a key source: the strongest that the board itself could use (S9)."""

import pytest

from host_tools.boards import catalogue
from host_tools.errors import Refused, UsageError
from host_tools.flash import key_source
from host_tools.image import sources

PICO_W = catalogue.load("rpi_pico_w")
S3 = catalogue.load("esp32_s3")
C3 = catalogue.load("esp32_c3")


def test_the_strongest_that_answers_is_taken():
    asked = []

    def probe(answers):
        def ask(place):
            asked.append(place.hex())
            return answers[place[0]]

        return ask

    both = key_source.choose(S3, "", probe({1: "", 2: ""}))
    assert (both.name, both.place) == ("efuse-hmac", bytes.fromhex("02001c000000"))
    chip = key_source.choose(S3, "", probe({1: "", 2: "no key of this purpose"}))
    assert (chip.name, chip.place) == ("secure-element", bytes.fromhex("010960000809"))
    assert chip.passed_over == {"efuse-hmac": "no key of this purpose"}
    none = key_source.choose(S3, "", probe({1: "absent", 2: "unburned"}))
    assert (none.name, none.place) == ("flash", None)
    assert none.passed_over == {"efuse-hmac": "unburned", "secure-element": "absent"}
    assert "Whoever dumps the flash has every key" in none.unprotected
    pico = key_source.choose(PICO_W, "", probe({1: ""}))
    assert pico.place == bytes.fromhex("010960000405")
    assert len(asked) == 6


def test_a_source_that_is_asked_for_is_used_or_refused():
    def unused(place):
        raise AssertionError("flash needs no chip")

    assert key_source.choose(C3, "flash", unused).place is None
    told = key_source.choose(C3, "efuse-hmac", lambda place: "")
    assert told.place == bytes.fromhex("020014000000")
    with pytest.raises(Refused, match="key source efuse-hmac: the eFuse is empty") as caught:
        key_source.choose(C3, "efuse-hmac", lambda place: "the eFuse is empty")
    assert "--key-source flash" in caught.value.hint
    with pytest.raises(UsageError, match="no key source of rpi_pico_w 'efuse-hmac'"):
        key_source.choose(PICO_W, "efuse-hmac", unused)
    with pytest.raises(UsageError, match="there are secure-element, flash"):
        key_source.choose(PICO_W, "pin", unused)


def test_each_board_gets_the_drivers_that_it_names():
    def drivers(name):
        found = sources.agent(catalogue.load(name), lambda: b"")
        return [path[20:-3] for path in sorted(found) if "/vault/source_" in path]

    assert drivers("unix") == []
    assert drivers("rpi_pico_w") == drivers("esp32") == ["element"]
    assert drivers("esp32_s3") == drivers("esp32_c3") == ["efuse", "element"]


def test_a_board_names_a_chip_and_says_where_it_is(tmp_path):
    text = (catalogue.BOARDS_DIR / "rpi_pico_w.toml").read_text()
    cut = text[: text.index("[secure_element]")]
    (tmp_path / "rpi_pico_w.toml").write_text(cut)
    with pytest.raises(UsageError, match="key source secure-element and its table come together"):
        catalogue.load("rpi_pico_w", tmp_path)
    (tmp_path / "rpi_pico_w.toml").write_text(text.replace('"secure-element", ', '"chip", '))
    with pytest.raises(UsageError, match="key source 'chip'"):
        catalogue.load("rpi_pico_w", tmp_path)
