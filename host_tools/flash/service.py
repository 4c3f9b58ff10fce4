"""The service console of a locked board (SPEC 12, S17), spoken from the host.

Lines `uward:` + hex of CBOR, one request and one answer. Who answers the challenge signs a
statement that names the device, its nonce and ours: it opens this device, now, once.
"""

import contextlib
import secrets
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import serial

from host_tools.errors import DeviceError, Refused
from host_tools.fleet import device_keys
from host_tools.fleet.inventory import Inventory
from host_tools.signing import cose, cosign
from host_tools.signing.cose import Signer
from host_tools.signing.roles import HELLO_DOMAIN, UNLOCK_DOMAIN

MARK = b"uward:"
PROMPT = b">>>"
LOCKED = "con.locked"  # what the device answers to all but hello and unlock, before that
NONCE = 32  # bytes
DEVICE_NONCE = 16
LINE_BYTES = 16 * 1024  # an answer of the device is below 2 KB
READ_S = 0.1
KNOCK_S = 2.0  # between two questions whether anybody listens
ANSWER_S = 60.0  # the slowest answer verifies two signatures on a board with little heap
OPEN_S = 20.0  # a strap is seen within a second, and USB takes some more
UNLOCK = cosign.Kind("answer to the console", UNLOCK_DOMAIN)
CLOSED_HINT = "tie the strap to ground first (`uward boards NAME`), or send unlock-console"


@dataclass(frozen=True)
class Hello:
    """What the device says of itself, its signature checked."""

    device: str
    host_nonce: bytes
    nonce: bytes
    board: str
    wait_s: int
    unlocked: bool


class ServiceConsole:
    """The line to one board at `port`. Raises DeviceError when nobody answers."""

    def __init__(self, port: str, wait_s: float = OPEN_S) -> None:
        self.port = port
        self._rest = b""
        self._line = self._open(wait_s)

    def hello(self, inventory: Inventory) -> Hello:
        """Ask who is there, as soon as anybody is. Raises Refused for a device that is not of
        this fleet, or whose signature is not its own."""
        knocks = self._knock()
        nonce = secrets.token_bytes(NONCE)
        self._request("hello", nonce)
        answer = self._reply("hello")
        for _ in range(knocks - 1):  # the first was answered
            if answer[:2] != ["no", LOCKED] and not isinstance(answer[1], dict):
                break
            answer = self._reply("hello")
        return check_hello(self._value("hello", answer), nonce, inventory)

    def unlock(self, hello: Hello, signers: list[Signer]) -> int:
        """Answer the challenge. -> the role that it was believed to be. Raises Refused."""
        payload = cose.encode([hello.device, hello.host_nonce, hello.nonce])
        return int(self.ask("unlock", cosign.sign(UNLOCK, payload, signers)))

    def ask(self, name: str, *arguments: Any) -> Any:
        """One request. Raises Refused with the event that the device names."""
        self._request(name, *arguments)
        return self._value(name, self._reply(name))

    def close(self) -> None:
        """Let go of the port; the console stays as it is."""
        self._line.close()

    def __enter__(self) -> "ServiceConsole":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self, wait_s: float) -> serial.Serial:
        """The port, which a USB board shows only while its console is open."""
        deadline = time.monotonic() + wait_s
        while True:
            try:
                return serial.serial_for_url(self.port, timeout=READ_S, exclusive=True)
            except (OSError, ValueError) as error:
                if time.monotonic() > deadline:
                    raise DeviceError(f"cannot open {self.port}: {error}", CLOSED_HINT) from error
                time.sleep(READ_S)

    def _knock(self) -> int:
        """Ask for the status until anything is answered: a UART is there before the console
        opens, and what is typed by then is lost. A hello is not to be repeated: each makes the
        device forget the nonce of the one before. -> how often it asked."""
        deadline = time.monotonic() + ANSWER_S
        knocks = 0
        while knocks == 0 or time.monotonic() < deadline:
            self._request("status")
            knocks += 1
            if self._heard("hello", min(KNOCK_S, ANSWER_S)) is not None:
                return knocks
        raise self._silence("hello")

    def _request(self, name: str, *arguments: Any) -> None:
        line = MARK + cose.encode([name, *arguments]).hex().encode() + b"\n"
        try:
            self._line.write(b"\n" + line)
        except (OSError, serial.SerialException) as error:
            raise DeviceError(f"{self.port}: connection lost: {error}") from error

    def _reply(self, name: str) -> list[Any]:
        """["ok", value] or ["no", event, reason]."""
        data = self._heard(name, ANSWER_S)
        if data is None:
            raise self._silence(name)
        answer = cose.items(cose.decode(data, "answer of the console"), "answer")
        if [type(item) for item in answer[:1]] == [str] and len(answer) in (2, 3):
            return list(answer)
        raise DeviceError(f"{self.port}: expected an answer to {name}, got {answer!r}")

    def _value(self, name: str, answer: list[Any]) -> Any:
        if len(answer) == 2 and answer[0] == "ok":
            return answer[1]
        if len(answer) == 3 and answer[0] == "no":
            raise Refused(f"{answer[1]}: {answer[2]}")
        raise DeviceError(f"{self.port}: expected an answer to {name}, got {answer!r}")

    def _heard(self, name: str, wait_s: float) -> bytes | None:
        """The next answer's bytes, or None when there is none in time."""
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            line = self._next()
            if line.startswith(PROMPT):
                raise DeviceError(f"{self.port}: a REPL answered to {name}", CLOSED_HINT)
            if line.startswith(MARK):
                with contextlib.suppress(ValueError):  # cut off at its beginning
                    return bytes.fromhex(line[len(MARK) :].decode("ascii", "replace"))
        return None

    def _silence(self, name: str) -> DeviceError:
        return DeviceError(f"{self.port}: no answer to {name} in {ANSWER_S:.0f} s", CLOSED_HINT)

    def _next(self) -> bytes:
        """A line, or b"" when none is whole yet."""
        try:
            self._rest += self._line.read(max(1, self._line.in_waiting))
        except (OSError, serial.SerialException) as error:
            raise DeviceError(f"{self.port}: connection lost: {error}") from error
        line, end, rest = self._rest.partition(b"\n")
        if len(self._rest) > LINE_BYTES:
            self._rest = b""
        if not end:
            return b""
        self._rest = rest
        return line.strip()


def check_hello(signed: object, nonce: bytes, inventory: Inventory) -> Hello:
    """Judge the COSE_Sign1 of a hello by the key that the device was enrolled with."""
    what = "hello of the console"
    data = signed if isinstance(signed, bytes) else b""
    _, _, payload, _ = cose.tagged(data, cose.TAG_SIGN1, 4, what)
    body = cose.mapping(cose.decode(payload, what), what)
    if set(body) != set(range(1, 7)):
        raise Refused(f"{what}: expected members 1 to 6, got {sorted(body, key=str)}")
    record = inventory.get(body[1]) if isinstance(body[1], str) else None
    if record is None:
        raise Refused(f"{what}: {body[1]!r} is no device of this fleet")
    device_keys.verify1(data, record, HELLO_DOMAIN, what)
    if body[2] != nonce:
        raise Refused(f"{what}: answers another nonce")
    found = Hello(*(body[key] for key in range(1, 7)))
    for name, kind in Hello.__annotations__.items():
        if type(getattr(found, name)) is not kind:
            raise Refused(f"{what}: {name} is of the wrong type")
    if len(found.nonce) != DEVICE_NONCE:
        raise Refused(f"{what}: expected a nonce of {DEVICE_NONCE} bytes")
    return found
