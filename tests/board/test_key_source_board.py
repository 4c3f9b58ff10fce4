"""Key source `secure-element` on the emulated Pico W: the real driver, the modelled chip (S9)."""

import hashlib

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from host_tools.image import compile as mpy
from host_tools.image import sources
from host_tools.targets.emulator.atecc import ADDRESS, MAC, SERIAL, WITH_SERIAL, Atecc
from host_tools.targets.emulator.i2c import I2CBus
from tests.board import test_boot
from tests.board.conftest import PICO_W
from tests.device import boot_kit as kit

SLOT = 9
SECRET = bytes(range(100, 132))
CHALLENGE = bytes(range(32))
PLACE = (SLOT, ADDRESS, 0, 4, 5)
MODULES = ("vault/source_element", "vault/__init__", "errors", "compat", "__init__")


@pytest.fixture
def asked(board):
    """asked(element, call) -> what the driver's call prints on a board with that chip."""
    agent = sources.agent(PICO_W)
    wanted = {path: agent[path] for path in ("/uward/%s.py" % name for name in MODULES)}
    files = mpy.compile_all(wanted, PICO_W.mpy_arch, short=False)

    def ask(element, call, place=PLACE):
        there = board(files, devices=[element, I2CBus({ADDRESS: element})])
        code = "from uward.vault import source_element as s\nplace = bytes(%r)\n" % (place,)
        code += "try:\n    print(%s)\nexcept Exception as e:\n    print(repr(e))" % call
        output, error = there.execute(code)
        assert not error, error
        return output.strip()

    return ask


def expected(challenge=CHALLENGE):
    """ATECC508A data sheet 9.11, by hand."""
    message = SECRET + challenge + bytes([MAC, WITH_SERIAL, SLOT, 0]) + bytes(11)
    message += SERIAL[8:] + SERIAL[4:8] + SERIAL[:2] + SERIAL[2:4]
    assert len(message) == 88
    return hashlib.sha256(message).hexdigest()


def test_the_chip_answers_a_challenge(asked):
    element = Atecc({SLOT: SECRET})
    assert asked(element, "s.answer(place, bytes(range(32))).hex()") == expected()
    assert element.answered == 1


def test_a_chip_that_is_not_there_or_not_set_up_is_refused(asked):
    element = Atecc({SLOT: SECRET})
    told = asked(element, "s.answer(place, bytes(32))", (SLOT, 0x35, 0, 4, 5))
    assert told.startswith("KeyRefused('secure element: expected an answer at 0x35")
    told = asked(element, "s.answer(place, bytes(32))", (3, ADDRESS, 0, 4, 5))
    assert told == "KeyRefused('secure element: expected 32 bytes, got status 15',)"
    assert asked(element, "s.check(place)") == "None"
    told = asked(Atecc({SLOT: SECRET}, locked=False), "s.check(place)")
    assert told == "KeyRefused('secure element: expected both zones locked, got an open one',)"
    for config in (b"\x0f\x0f", b"\x9f\x0f"):  # readable; not for MAC
        told = asked(Atecc({SLOT: SECRET}, slot_config=config), "s.check(place)")
        assert told == "KeyRefused('secure element: expected slot 9 secret and for MAC',)"


def test_the_wake_pulse_is_long_enough_only_at_100_khz(asked):
    call = "s._once(__import__('machine').I2C(0, freq=400_000), 0x60, b'', 1)"
    told = asked(Atecc({SLOT: SECRET}), call)
    assert told.startswith("KeyRefused('secure element: expected an answer at 0x60")


def test_enrolment_tries_a_source_and_says_why_not(board):
    modules = {p: t for p, t in sources.agent(PICO_W, lambda: b"").items() if "umqtt" not in p}
    files = mpy.compile_all(modules, PICO_W.mpy_arch)
    element = Atecc({SLOT: SECRET})
    there = board(files, devices=[element, I2CBus({ADDRESS: element})])
    output, error = there.execute(
        "from uward.boot import handover\nhandover.info['state'] = 0\n"
        "from uward import enrol\n"
        "enrol.probe(bytes.fromhex('010960000405'))\n"
        "enrol.probe(bytes.fromhex('010360000405'))"
    )
    assert not error, error
    good, bad = [bytes.fromhex(line.strip()[6:]) for line in output.splitlines()]
    assert good == b""
    assert bad == b"secure element: expected slot 3 secret and for MAC"


# Stage 0: the boot record's key comes from the root, so the chip is asked before anything runs

SALT = bytes(range(200, 232))
ROOT_FILE = bytes([1, 1, *PLACE]) + SALT


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    return kit.Fleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def enrolled(fleet):
    """A locked board whose record is sealed by what the chip of SECRET makes of SALT."""
    images = [kit.image(test_boot.STAY, version=v, board=PICO_W) for v in ("1", "rescue")]
    answer = bytes.fromhex(expected(SALT))
    root = HKDF(SHA256(), 32, SALT, b"uward root").derive(answer)
    files = kit.enrolled(kit.factory(fleet, *images, PICO_W), fleet, secret=root)
    return {**files, "/id/root": ROOT_FILE}


def test_stage_0_asks_the_chip(board, enrolled):
    element = Atecc({SLOT: SECRET})
    pico = board(enrolled, devices=[element, I2CBus({ADDRESS: element})])
    pico.run(emulated_s=3)
    assert test_boot.left(pico) == ["a False "]
    assert element.answered == 1
    assert pico.connections == 0


def test_the_flash_of_another_board_leads_to_recovery(board, enrolled):
    """A dump, or a clone on a board with another chip, opens neither record nor console (T22)."""
    other = Atecc({SLOT: bytes(32)})
    pico = board(enrolled, devices=[other, I2CBus({ADDRESS: other})])
    pico.run(emulated_s=3)
    assert test_boot.left(pico)[0].startswith("r False record: record: expected a MAC of this")
    pico = board(enrolled)  # no chip at all
    pico.run(emulated_s=5)
    told = test_boot.left(pico)[0]
    assert told.startswith("r False record: secure element: expected an answer at 0x60")
    assert pico.connections == 0
