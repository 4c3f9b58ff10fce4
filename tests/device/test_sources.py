"""Key sources (SPEC 6, S9): packets and registers by independent figures, every refusal."""

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY = bytes(range(32))
SALT = bytes(range(50, 82))
SERIAL = b"\x01\x23\x00\x01\x02\x03\x04\x05\xee"
ELEMENT = "01" + "0960010203"
EFUSE = "02" + "031c000000"


def element(challenge):
    message = KEY + challenge + b"\x08\x40\x09\x00" + bytes(11)
    serial = SERIAL[8:] + SERIAL[4:8] + SERIAL[:2] + SERIAL[2:4]
    return hashlib.sha256(message + serial).digest()


def efuse(challenge):
    return hmac.digest(KEY, challenge, "sha256")


def root(answer, salt=SALT):
    return HKDF(SHA256(), 32, salt, b"uward root").derive(answer).hex()


def test_crc_is_that_of_the_data_sheet(device):
    # the wake answer and a Random command, as every library for these chips prints them
    assert device("device_sources", "crc_of", "0411") == "3343"
    assert device("device_sources", "crc_of", "071b000000") == "24cd"


def test_the_secure_element_answers(device):
    got, pulses, bus = device("device_sources", "element_answer", SALT.hex())
    assert got == element(SALT).hex()
    assert (pulses, bus) == (1, [1, 2, 3, 100_000])


@pytest.mark.parametrize(
    ("faults", "says"),
    [
        (["torn"], None),
        (["awake", "status"], None),
        (["torn"] * 3, "an answer with its CRC"),
        (["awake"] * 3, "its wake answer"),
        (["status"] * 3, "expected 32 bytes, got status 15"),
        (["absent"] * 3, "expected an answer at 0x60"),
    ],
)
def test_a_disturbed_bus_is_tried_thrice(device, faults, says):
    got, pulses, _ = device("device_sources", "element_answer", SALT.hex(), faults)
    assert pulses == (len(faults) + 1 if says is None else 3)
    if says is None:
        assert got == element(SALT).hex()
    else:
        assert got.startswith("secure element: ") and says in got


def test_the_efuse_engine_answers_and_forgets(device):
    assert device("device_sources", "efuse_answer", SALT.hex()) == [
        efuse(SALT).hex(),
        3,
        bytes(32).hex(),
    ]
    told = device("device_sources", "efuse_answer", SALT.hex(), 9)
    assert told[0] == "efuse: expected key block 3 of purpose HMAC_UP"
    told = device("device_sources", "efuse_answer", SALT.hex(), 8, True)
    assert told[0] == "efuse: expected an idle HMAC engine, got a busy one"


@pytest.mark.parametrize(("place", "answer"), [(ELEMENT, element), (EFUSE, efuse)])
def test_a_source_is_made_and_opened(device, place, answer):
    data, got = device("device_sources", "made", place, SALT.hex())
    assert data == "01" + place + SALT.hex()
    assert got == root(answer(SALT))
    told = device("device_sources", "opened", data)
    assert told[:2] == [got, True]
    assert told[2] == (1 if place == ELEMENT else 0)  # asked once in a boot: the bus is the app's


def test_what_is_no_source_is_refused(device):
    def says(place):
        return device("device_sources", "made", place, SALT.hex())[0]

    assert says("0109") == "source: expected 6 bytes of place, got 2"
    assert says("03" + "00" * 5) == "source: expected one that this board has, got 3"
    for faults in ([None, None, "other"], [None, None, "other", "other", "other"]):
        told = device("device_sources", "made", ELEMENT, SALT.hex(), faults)
        assert told == ["source: expected one answer a salt, got another", None]
    for data in ("", "00" * 31, "00" * 65):
        told = device("device_sources", "opened", data)[0]
        assert told == "root: expected 32 bytes, got %d" % (len(data) // 2)
    for data in ("01" + ELEMENT + "00" * 31, "02" + ELEMENT + "00" * 32):
        told = device("device_sources", "opened", data)[0]
        assert told.startswith("root: expected 32 bytes or source format 1, got ")
