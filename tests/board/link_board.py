"""A Pico W with the agent's modules as .mpy in /lib, to run one script over its Wi-Fi."""

import json

from host_tools.image import compile as compiler
from host_tools.image import sources
from tests.board.conftest import PICO_W, flash_of

JOIN = """
import asyncio, gc, json, sys, time
from uward import port
wlan = port.wifi()
wlan.active(True)
port.wifi_join(wlan, "RP2040PY-GUEST", "password1", b"")
while not wlan.isconnected():
    time.sleep_ms(20)
def read(name):
    with open(name, "rb") as f:
        return f.read()
"""
WALL_S = 200


def modules():
    """{path: .mpy} of the agent and umqtt.simple as images have them, under /lib."""
    wanted = sources.asked_for(sources.agent(PICO_W), {})
    compiled = compiler.compile_all(wanted, PICO_W.mpy_arch, short=False)
    return {"/lib" + path: code for path, code in compiled.items()}


def example(module):
    """{path: .mpy} of one module of the example app."""
    source = (sources.EXAMPLE_APP / (module + ".py")).read_bytes()
    path = "/app/%s.py" % module
    compiled = compiler.compile_all({path: source}, PICO_W.mpy_arch)
    return {"/lib" + path: code for path, code in compiled.items()}


async def run(script, files, network, devices=(), **options):
    """Boot, join, run `script` at the raw REPL. -> the JSON of its last line."""
    from host_tools.targets.emulator.board import Board

    flash = flash_of({**modules(), **files})
    board = Board(flash, network=network, devices=devices, pace=1.0, **options)
    output, error = await board.aexecute(JOIN + script, wall_s=WALL_S)
    assert not error, error
    return json.loads(output.strip().splitlines()[-1])
