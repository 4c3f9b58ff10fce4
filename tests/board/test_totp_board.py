"""Codes as second factor on the emulated Pico W, whose keys a modelled secure element makes (S16):
two persons order a secret, it comes back in the signed result alone, and its codes count once."""

import hashlib
import hmac
from pathlib import Path

import pytest
from command_kit import DEVICE, NOW, Kit
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from uward.vault import sealed

from host_tools.fleet import plain
from host_tools.image import compile as mpy
from host_tools.image import sources
from host_tools.targets.emulator.atecc import ADDRESS, Atecc
from host_tools.targets.emulator.i2c import I2CBus
from tests.board.conftest import PICO_W
from tests.board.test_key_source_board import ROOT_FILE, SALT, SECRET, SLOT, expected

CHALLENGE = b"c" * 16
READY = f"""
import asyncio
from uward import port
from uward.errors import UwardError
from uward.guard import begin, command
from uward.orders import Orders
port.set_time({NOW})
class Agent(Orders):
    info = {{"trust": 3}}
    events = []
    def uptime(self): return 10**6
    def event(self, name, reason=""): self.events.append((name, reason))
agent = Agent()
agent.orders["dose"] = (lambda ml: "%s ml" % ml, {{"ml": (0, 40)}})
def adopt(path):
    with open(path, "rb") as f:
        begin.adopt(agent, f.read())
def obey(data):
    data = bytes.fromhex(data)
    print(asyncio.run(command.obey(agent, {DEVICE!r}, data, {CHALLENGE!r}, True)).hex())
"""


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return Kit(tmp_path_factory.mktemp("people"))


@pytest.fixture
def powered(board, people, tmp_path):
    """powered(element) -> what runs code on a board that was enrolled with the chip of SECRET."""
    root = HKDF(SHA256(), 32, SALT, b"uward root").derive(bytes.fromhex(expected(SALT)))
    secret = people.identity.private_numbers().private_value.to_bytes(32, "big")
    own = {1: DEVICE, 2: secret, 3: secret, 4: b"", 5: b""}
    (tmp_path / "id").mkdir()
    sealed.write(root, "/id/dev", plain.encode(own), str(tmp_path))
    sealed.write(root, "/id/roles", people.roles(), str(tmp_path))
    files = {"/id/" + path.name: path.read_bytes() for path in Path(tmp_path / "id").iterdir()}
    files["/id/root"] = ROOT_FILE
    files["/policy"] = people.policy()
    wanted = sources.agent(PICO_W, lambda: b"")
    files.update(mpy.compile_all(wanted, PICO_W.mpy_arch))

    def start(element):
        pico = board(files, devices=[element, I2CBus({ADDRESS: element})])

        def run(code):
            output, error = pico.execute(code, wall_s=300)
            assert not error, error
            return output.strip()

        run(READY)
        return run

    return start


def code_of(secret, when):
    """RFC 6238 with SHA-256 and 8 digits, by Python's own hmac."""
    mac = hmac.new(secret, (when // 30).to_bytes(8, "big"), hashlib.sha256).digest()
    place = mac[-1] & 15
    number = int.from_bytes(mac[place : place + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**8:08d}"


@pytest.mark.timeout(1500)
def test_codes_where_a_chip_keeps_their_secret(powered, people):
    run = powered(Atecc({SLOT: SECRET}))
    run("adopt('/policy')")

    def obeyed(name, arguments, who, **more):
        data = people.command(name, arguments, who, **more)
        return people.result(run(f"obey({data.hex()!r})").splitlines()[-1])

    made = obeyed("totp", {}, ("anna", "bert"))
    assert (made.outcome, len(made.secret)) == ("done", 32)
    assert made.secret.hex() not in run("print(agent.events)")
    good = code_of(made.secret, NOW)
    dose = obeyed("dose", {"ml": 5}, ("anna",), code=good)
    assert (dose.outcome, dose.detail) == ("done", "5 ml")
    again = obeyed("dose", {"ml": 5}, ("anna",), code=good)
    assert (again.event, again.detail) == (
        "cmd.denied",
        "expected the code of now, unused, got another",
    )
    bert = obeyed("dose", {"ml": 5}, ("bert",), code=code_of(made.secret, NOW + 30))
    assert bert.event == "cmd.denied" and "no secret for codes of this key" in bert.detail


def test_another_chip_opens_neither_keys_nor_codes(powered, people):
    run = powered(Atecc({SLOT: bytes(32)}))
    told = run("try:\n    adopt('/policy')\nexcept UwardError as e:\n    print(repr(e))")
    assert told.startswith("BadMac(")
