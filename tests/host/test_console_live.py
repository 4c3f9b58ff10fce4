"""The service console whole: a locked board on the Unix port, its strap, services (T20, T21)."""

import socket
import time
from pathlib import Path

import pytest
from live_fleet import LiveFleet

from host_tools import keyring
from host_tools.errors import DeviceError, Refused
from host_tools.flash import service
from host_tools.flash.service import ServiceConsole
from host_tools.fleet.inventory import Inventory
from host_tools.signing import cose, cosign, keys
from host_tools.verbs import policy, send, unlock


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    made = LiveFleet(tmp_path_factory.mktemp("console"))
    made.device = made.enrol("first")
    made.services.start()
    yield made
    made.services.stop()


@pytest.fixture
def board(fleet):
    """The board, connected, its strap closed."""
    with fleet.board("first") as made:
        made.strap(False)
        since = len(fleet.services.notices)
        made.start()
        fleet.wait("attest", "attested TRUSTED", since)
        made.strap(True)
        fleet.wait("event", "con.open strap", since)
        yield made
        made.strap(False)


def signers(fleet, role="admin"):
    return keyring.signers(fleet.found, role, None, [])


def greeted(fleet, line):
    return line.hello(Inventory(fleet.found.folder("devices")))


def test_unlock_shows_status_and_locks_again(fleet, board):
    told = unlock.do_unlock(fleet.found, board.console(), ("status",))
    assert told["device"] == fleet.device
    assert (told["board"], told["slot"], told["online"]) == ("unix", "a", True)
    fleet.wait("event", "con.unlock by ")
    fleet.wait("event", "con.close strap")
    with pytest.raises(DeviceError, match=r"no answer to hello"):
        service.ANSWER_S, kept = 1.0, service.ANSWER_S
        try:
            unlock.do_lock(fleet.found, board.console())
        finally:
            service.ANSWER_S = kept


def test_nothing_but_the_challenge_before_it_is_answered(fleet, board):
    with ServiceConsole(board.console()) as line:
        hello = greeted(fleet, line)
        assert (hello.device, hello.board, hello.unlocked) == (fleet.device, "unix", False)
        for request in (("status",), ("wifi", "x", "12345678"), ("recovery",), ("command", b"")):
            with pytest.raises(Refused, match=r"con.locked: expected hello and unlock before"):
                line.ask(*request)


def answer(fleet, hello, *, device=None, host=None, nonce=None, who=None):
    payload = cose.encode([device or hello.device, host or hello.host_nonce, nonce or hello.nonce])
    return cosign.sign(service.UNLOCK, payload, who or signers(fleet))


def test_wrong_answers_lock_twice_as_long_and_a_reset_does_not_help(fleet, board):
    with ServiceConsole(board.console()) as line:
        hello = greeted(fleet, line)
        assert hello.wait_s == 0
        good = answer(fleet, hello)
        with pytest.raises(Refused, match=r"con.break: key .* holds no role .*; 5 s to wait"):
            line.ask("unlock", answer(fleet, hello, who=signers(fleet, "operator")))
        with pytest.raises(Refused, match=r"con.lockout: 5 s to wait"):
            line.ask("unlock", good)
        time.sleep(5.2)
        with pytest.raises(Refused, match=r"con.break: expected hello before each answer"):
            line.ask("unlock", good)  # its nonce is used up
        greeted(fleet, line)
        with pytest.raises(Refused, match=r"answer to this challenge, got another; 10 s to wait"):
            line.ask("unlock", good)  # replayed
        since = len(fleet.services.notices)
    board.reset()
    fleet.wait("event", "con.open strap", since)
    with ServiceConsole(board.console()) as line:
        hello = greeted(fleet, line)
        assert 5 <= hello.wait_s <= 10
        with pytest.raises(Refused, match=r"con.lockout: "):
            line.ask("unlock", answer(fleet, hello))
        time.sleep(hello.wait_s)
        assert line.unlock(greeted(fleet, line), signers(fleet)) == 4
        assert greeted(fleet, line).unlocked
    events = [notice.text for notice in fleet.services.notices if notice.kind == "event"]
    assert any(text.startswith("con.break answer 1: key ") for text in events)
    assert any(text.startswith("con.break answer 2: expected an answer") for text in events)
    assert "con.lockout 2 wrong answers, 10 s" in events


def test_another_board_s_hello_is_not_believed(fleet, board, tmp_path):
    with ServiceConsole(board.console()) as line:
        signed = line.ask("hello", bytes(32))
    other = Inventory(tmp_path)
    with pytest.raises(Refused, match=r"is no device of this fleet"):
        service.check_hello(signed, bytes(32), other)
    record = Inventory(fleet.found.folder("devices")).get(fleet.device)
    from dataclasses import replace

    other.add(replace(record, identity_public_key=record.pairing_public_key))
    with pytest.raises(Refused, match=r"does not verify"):
        service.check_hello(signed, bytes(32), other)
    with pytest.raises(Refused, match=r"answers another nonce"):
        service.check_hello(signed, bytes(31) + b"\1", Inventory(fleet.found.folder("devices")))


def test_wifi_is_changed_by_an_admin_only(fleet, board):
    port = board.console()
    with pytest.raises(Refused, match=r"con.denied: wifi takes role admin"):
        unlock.do_unlock(fleet.found, port, ("wifi", "ward8", "new password"), role="breakglass")
    fleet.wait("event", "con.unlock")
    since = len(fleet.services.notices)
    with ServiceConsole(port) as line:
        line.unlock(greeted(fleet, line), signers(fleet))
        with pytest.raises(Refused, match=r"an SSID of 1..32 bytes, a key of 8..63"):
            line.ask("wifi", "ward8", "short")
        line.ask("wifi", "ward8", "new password")
    fleet.wait("event", "con.wifi now 'ward8'", since)
    fleet.wait("hello", "hello", since)  # the reset that takes it over


def test_break_glass_works_at_the_console_and_is_loud(fleet, board):
    """Role breakglass unlocks, hands over its one command, and everybody hears of it."""
    rules = fleet.root / "policy.toml"
    rules.write_text(policy.STARTER)
    policy.do_publish(fleet.found, rules, "policy")
    fleet.wait("event", "policy.adopted")
    options = send.Options(role="breakglass", console=True)
    made = send.do_send(fleet.found, fleet.device, "breakglass", {"minutes": 1}, options)
    command = Path(made["file"]).read_bytes()
    port = board.console()
    told = unlock.do_unlock(fleet.found, port, ("command", command), role="breakglass", stay=True)
    assert told["outcome"] == "done"
    fleet.wait("event", "cmd.breakglass by ")
    with pytest.raises(Refused, match=r"refused: cmd.replay: "):
        unlock.do_unlock(fleet.found, port, ("command", command), role="breakglass")


def test_recovery_is_entered_and_left(fleet, board):
    since = len(fleet.services.notices)
    unlock.do_unlock(fleet.found, board.console(), ("recovery",))
    fleet.wait("hello", "slot r", since)
    board.strap(False)
    board.power_cut()
    since = len(fleet.services.notices)
    board.start()
    fleet.wait("hello", "slot a", since)


def test_bytes_at_the_closed_console_are_told_and_do_nothing(fleet):
    with fleet.board("first") as board:
        board.strap(False)
        since = len(fleet.services.notices)
        board.start()
        fleet.wait("hello", "hello", since)
        port = int(board.console().rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall(
                b"\x01\x04\r\nimport os\r\nuward:" + cose.encode(["status"]).hex().encode()
            )
            fleet.wait("event", "con.break bytes typed at the closed console", since)
            line.settimeout(1)
            with pytest.raises(TimeoutError):
                line.recv(1)


def test_a_key_of_another_fleet_does_not_unlock(fleet, board, tmp_path):
    keys.create_esp256(tmp_path / "thief")
    thief = keys.load_signer(tmp_path / "thief")
    with ServiceConsole(board.console()) as line:
        hello = greeted(fleet, line)
        with pytest.raises(Refused, match=r"con.break: key [0-9a-f]{16} holds no role"):
            line.ask("unlock", answer(fleet, hello, who=[thief]))
