"""Keys rotate, then the board is retired: a real agent, broker and collector (S14, S15, T18)."""

import time
from pathlib import Path

import pytest

from host_tools.boards import catalogue
from host_tools.errors import Refused
from host_tools.fleet import retirement
from host_tools.fleet.inventory import RETIRED, Inventory
from host_tools.image import lfs
from host_tools.pki.ca import Ca
from host_tools.targets.unix import Unix
from host_tools.verbs import policy, retire, send, target
from tests.interop import command_round

WAIT_S = 400  # a board that erases itself resets several times; machines are shared
UNIX = catalogue.load("unix")


def root_of(flash):
    return lfs.read(UNIX, flash.read_bytes())["/id/root"]


def erased(flash):
    """Whether it is done; a board that started since has an empty file system already."""
    try:
        retirement.check_erased(UNIX, flash.read_bytes())
    except Refused:
        return False
    return True


def wait_for(what, condition):
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {WAIT_S} s")
        time.sleep(0.3)


def ask(found, device, name):
    told = send.do_send(found, device, name, {}, send.Options(role="admin:carl", wait_s=WAIT_S))
    return Path(told["file"]), send.Options(role="admin:dora", wait_s=WAIT_S)


@pytest.mark.timeout(3 * WAIT_S)
def test_keys_rotate_and_the_board_erases_itself(tmp_path):
    found, device = command_round.fleet(tmp_path, "unix", "unix")
    (found.root / "policy.toml").write_text(command_round.POLICY)
    flash = target.folder(found, "unix", None) / "flash.bin"
    first = root_of(flash)
    with command_round.serving(found, "embedded") as services:
        board = Unix(target.folder(found, "unix", None))
        board.start()
        try:
            command_round.heard(services, "ticks")
            policy.do_publish(found, found.root / "policy.toml", "policy")
            command_round.heard(services, "policy.adopted")
            assert send.do_cosign(found, *ask(found, device, "rotate-keys"))["outcome"] == "done"
            command_round.heard(services, "key.rotated")
            second = root_of(flash)
            assert second != first and first not in flash.read_bytes()
            since = len(services.notices)
            command_round.heard(services, "ticks", since)

            with pytest.raises(Refused, match="expected the command retire, got 'rotate-keys'"):
                retire.do_cosign(found, *ask(found, device, "rotate-keys"))
            with pytest.raises(Refused, match="has given no receipt"):
                retire.do_close(found, device, "admin:carl", flash, None)
            told = retire.do_cosign(found, *ask(found, device, "retire"))
            assert told["outcome"] == "done"
            command_round.heard(services, "erase.intent", since)
            wait_for("the erase", lambda: erased(flash))
        finally:
            board.stop()
    assert second not in flash.read_bytes()
    closed = retire.do_close(found, device, "admin:carl", flash, None)
    assert closed == {"device": device, "status": RETIRED, "proven": True}
    assert Inventory(found.folder("devices")).get(device).status == RETIRED
    reasons = [one.reason for one in Ca(found.folder("ca")).issued() if one.name == device]
    assert set(reasons) == {"cessationOfOperation"}
    papers = sorted(path.suffix for path in (found.root / "retired").iterdir())
    assert papers == [".closed", ".receipt"]


def test_a_dump_that_is_not_erased_closes_nothing():
    blank = b"\xff" * UNIX.flash.fs_size
    retirement.check_erased(UNIX, blank)
    retirement.check_erased(UNIX, lfs.build(UNIX, {}))
    with pytest.raises(Refused, match="blocks are not erased, the first is 0"):
        retirement.check_erased(UNIX, lfs.build(UNIX, {"/id/root": bytes(32)}))
    with pytest.raises(Refused, match="1 of 212 blocks are not erased, the first is 100"):
        retirement.check_erased(UNIX, blank[: 100 * 4096] + b"\0" + blank[100 * 4096 + 1 :])
