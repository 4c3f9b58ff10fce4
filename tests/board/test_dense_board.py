"""Dense packs of the emulated Pico W, whose floats have 32 bits: the values are those of the
sensor to the last digit, and a reading costs the board little."""

import json
import random
from pathlib import Path

import pytest

from host_tools.boards import catalogue
from host_tools.fleet import codec, dense
from host_tools.image import compile as mpy
from host_tools.image import sources

PICO_W = catalogue.load("rpi_pico_w")
SCRIPT = Path(__file__).resolve().parent.parent / "device/device_dense.py"
MODULES = ("__init__", "errors", "limits", "compat", "codec", "vault/__init__", "vault/packs")
EPOCH = 1_800_000_000
WALL_S = 250
WHOLES = """
import json
import device_dense
with open("/cases") as f:
    print(json.dumps([device_dense.wholes(*case) for case in json.load(f)]))
"""
COST = """
import gc, json, time
from uward.vault import packs
from uward.vault.dense import Dense
dense = Dense("heart-rate", "beat/min", 10_000)
values = [72.5, 72.9, 71.8, 72.4] * 25
dense.add(5, 72.5)
gc.collect()
free, before = gc.mem_free(), time.ticks_us()
for i in range(100):
    dense.add(10_005 + 10_000 * i, values[i])
spent = time.ticks_diff(time.ticks_us(), before)
made = free - gc.mem_free()
pack = packs.finish("tele", dense.began, dense.body(), %d, 2)
print(json.dumps([spent // 100, made // 100, pack.hex()]))
"""


@pytest.fixture
def run(board):
    """run(code, **files) -> what the code printed on a fresh board, as JSON."""
    wanted = tuple("/uward/" + name for name in (*MODULES, "vault/dense"))
    modules = {p: t for p, t in sources.agent(PICO_W).items() if p.startswith(wanted)}
    compiled = mpy.compile_all(modules, "armv6m", short=False)
    lib = {"/lib" + path: code for path, code in compiled.items()}

    def on_board(code, **files):
        data = {"/" + name: text for name, text in files.items()}
        made = board({**lib, "/lib/device_dense.py": SCRIPT.read_bytes(), **data}, seed=5)
        output, error = made.execute(code, WALL_S)
        assert not error, error
        return json.loads(output.strip().splitlines()[-1])

    return on_board


def test_values_come_back_to_the_last_digit(run):
    chance, cases = random.Random(7), []
    for decimals in (1, 2, 3):
        edge = [(1 << 24) - 1, 1 - (1 << 24), 0, 1, -1, 5, 999, 1001]
        near = [10**decimals * 97 + chance.randrange(-99, 100) for _ in range(40)]
        far = [chance.randrange(-(1 << 23), 1 << 23) for _ in range(40)]
        cases.append([decimals, edge + near + far, 1000, EPOCH])
    result = run(WHOLES, cases=json.dumps(cases).encode())
    for (decimals, wholes, _, _), (packs, left) in zip(cases, result, strict=True):
        found = [
            row for pack in packs for row in dense.readings(codec.decode(bytes.fromhex(pack)))
        ]
        wanted = [m / 10**decimals for i, m in enumerate(wholes) if i not in left]
        assert len(left) <= 2  # at the end of what is exact, where 32 bits round upwards
        assert [row.value for row in found] == wanted


def test_what_a_reading_costs(run):
    us, made, pack = run(COST % EPOCH)
    assert us < 1000 and made < 160, (us, made)  # 405 us and 80 bytes of garbage measured
    rows = dense.readings(codec.decode(bytes.fromhex(pack)))
    assert [row.value for row in rows] == [72.5, *[72.5, 72.9, 71.8, 72.4] * 25]
    assert [row.time for row in rows][-2:] == [EPOCH + 990.005, EPOCH + 1000.005]
