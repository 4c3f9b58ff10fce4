"""A retirement on the emulated Pico W as two admins order it: broker, collector, receipt, erase,
the dump that closes the case. Minutes; on the Unix port it is part of `make test`."""

import tempfile
import time
from pathlib import Path

from host_tools.errors import Refused
from host_tools.fleet import retirement
from host_tools.verbs import policy, retire, send
from tests.bench.harness import PICO_W, Row
from tests.board.ward import BOTH, Ward
from tests.interop import command_round

LIMIT_S = 120  # emulated
WAIT_S = 1200
LOOK_S = 2


def rows():
    with tempfile.TemporaryDirectory() as folder:
        ward = Ward(Path(folder))
        with command_round.serving(ward.found, "embedded") as services, ward.board:
            ward.services = services
            ward.board.start()
            yield from _retired(ward)


def _retired(ward):
    ward.heard("ticks")
    (ward.found.root / "policy.toml").write_text(command_round.POLICY, "utf-8")
    policy.do_publish(ward.found, ward.found.root / "policy.toml", "policy")
    ward.heard("policy.adopted")
    root = ward.root()
    prepared = ward.prepare("retire")
    began = ward.board.status()["seconds"]
    options = send.Options(role=BOTH[1], wait_s=command_round.WAIT_S)
    told = retire.do_cosign(ward.found, prepared, options)
    receipt = ward.board.status()["seconds"] - began
    left = _left(ward)
    erased = ward.board.status()["seconds"] - began
    dump = Path(ward.found.root) / "dump.bin"
    dump.write_bytes(ward.file_system())
    closed = retire.do_close(ward.found, ward.device, BOTH[0], dump, None)
    yield Row("a retirement: to the signed receipt", receipt, "s", limit=LIMIT_S)
    yield Row("to the erased file system", erased, "s", limit=LIMIT_S)
    yield Row("root secrets in the whole flash then", left.count(root), "", limit=0)
    proven = told["outcome"] == "done" and closed["proven"]
    yield Row("cases that a dump did not close", int(not proven), "", limit=0)


def _left(ward):
    """-> the flash, once its file system is erased."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        try:
            retirement.check_erased(PICO_W, ward.file_system())
        except Refused:
            time.sleep(LOOK_S)
            continue
        return ward.board.flash_dump()
    raise TimeoutError(f"not erased within {WAIT_S} s")
