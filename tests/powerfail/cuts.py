"""`python -m tests.powerfail.cuts [WORD...]`: every cut in all four ways, and every pair of cuts.

`make test` cuts at the same operations in one way each. Prints what was tried; exit code 1 when
a cut broke something. WORD: only what has it in its name.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
MINUTES = 60
MODES = ("before", "half", "torn", "after")
BOARD = (  # what, blocks that are still to come, ways of cutting, at each n-th operation
    ("last block to confirmation", 1, MODES, 1),
    ("whole update", None, ("torn",), 2),
)
VAULT = {"store": 150, "outbox": 90, "audit": 150}  # records on the Pico W, every cut
LIMITS = ("tiny_sets", "tiny_packs")  # 50,000 of them on the Unix port's littlefs
sys.path[:0] = [str(HERE), str(HERE.parent / "device"), str(HERE.parents[1] / "firmware")]

import lives_kit  # noqa: E402
import update_model  # noqa: E402
from test_update_cuts import LIVES, PAIRS  # noqa: E402

from tests.conftest import FIRMWARE, run_unix  # noqa: E402
from tests.device import boot_kit as kit  # noqa: E402


def unix(folder, call):
    code = "import device_lives, json\nprint(json.dumps(device_lives.%s))\n" % call
    out = run_unix(code, folder, MINUTES * 60, (FIRMWARE, HERE), "32m")
    return json.loads(out.strip().splitlines()[-1])


def modelled():
    """The model with a damage at any time, and two releases. -> (what, cuts, failures)"""
    update_model.records.hmac = update_model.fast_mac
    what = "model: one damage"
    try:
        worlds, transitions, cuts = update_model.explore(1, ("second", "fourth"))
    except update_model.Broken as e:
        return what, 0, [str(e)]
    return "%s, %d worlds, %d transitions" % (what, worlds, transitions), cuts, []


def rows(folder, words):
    """-> (what, cuts, failures) as they are found."""
    if wanted("model", words):
        yield modelled()
    lives_kit.lay(folder, kit.Fleet(folder / "keys"))
    for name in LIVES:
        if wanted("unix " + name, words):
            call = "run(%r, [%r], device_lives.every)" % (str(folder), name)
            (_, _, operations, cuts, failures), *_ = unix(folder, call)
            yield "Unix port, %s: %d operations" % (name, operations), cuts, failures
    for name, boots in PAIRS.items():
        if wanted("unix pairs " + name, words):
            call = "run_pairs(%r, %r, device_lives.every)" % (str(folder), {name: boots})
            ((_, cuts, failures),) = unix(folder, call)
            yield "Unix port, %s: pairs" % name, cuts, failures
    for what, left, modes, every in BOARD:
        if wanted("board " + what, words):
            operations, cuts, failures = emulated(left, modes, every)
            yield "Pico W, %s: %d operations" % (what, operations), cuts, failures
    yield from vaults(words)


def vaults(words):
    """Store, outbox and audit log: each cut on the Pico W; 50,000 records of next to nothing."""
    from tests.board import vault_cuts

    for kind, records in VAULT.items():
        if wanted("vault " + kind, words):
            result = vault_cuts.sweep(kind, records, MODES, 1, MINUTES * 60)
            what = "Pico W, %s of %d records: %d operations" % (kind, records, result.operations)
            yield what, result.cuts, ["%s: %s" % failure for failure in result.failures]
    for name in LIMITS:
        if wanted("vault limits " + name, words):
            code = "import json, device_vault_limits as it\nprint(it.on_flash(212, it.%s, 50000))"
            with tempfile.TemporaryDirectory() as folder:
                out = run_unix(code % name, folder, MINUTES * 60, (FIRMWARE, HERE), "24m")
            yield "Unix port, %s of 50,000: %s" % (name, out.strip()), 0, []


def emulated(left, modes, every):
    """Cuts on the emulated Pico W; left: blocks to come, None for a whole update."""
    from host_tools.targets.emulator import board, sweep
    from tests.board import update_board

    with tempfile.TemporaryDirectory() as name:
        made = board.Board(update_board.flash(Path(name), left), seed=1)
        result = sweep.sweep(
            made,
            update_board.idle,
            update_board.verify,
            modes=modes,
            every=every,
            wall_s=MINUTES * 60,
        )
    failures = ["%s: %s" % failure for failure in result.failures]
    return result.operations, result.cuts, failures


def wanted(name, words):
    return not words or any(word in name for word in words)


def main(words):
    broken = 0
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "keys").mkdir()
        for what, cuts, failures in rows(Path(name), words):
            print("%-62s %6d cuts, %d failures" % (what, cuts, len(failures)), flush=True)
            for failure in failures:
                print("    " + failure)
            broken += len(failures)
    return 1 if broken else 0


if __name__ == "__main__":
    begun = time.monotonic()
    code = main(sys.argv[1:])
    print("in %.0f s" % (time.monotonic() - begun))
    sys.exit(code)
