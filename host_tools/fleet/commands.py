"""Commands to devices (SPEC 11): what one says, and what a device answers. Pure."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from host_tools.errors import Refused
from host_tools.fleet import codec, device_keys, plain
from host_tools.fleet.inventory import Device
from host_tools.signing import cose
from host_tools.signing.cosign import Kind

Value = bool | int | float | str
KIND = Kind("command", b"uward.cmd.v1")
RESULT_DOMAIN = b"uward.result.v1"
OUTCOMES = ("done", "refused", "failed", "interrupted")
BYTES = 2048  # of one command: as COMMAND_BYTES on the device
WINDOW_MAX_S = 86_400  # as COMMAND_WINDOW_S on the device
THUMBPRINT = 32  # bytes


@dataclass(frozen=True)
class Command:
    """What is asked of one device. Times are unix seconds; `author` is the thumbprint of the
    signer whose counter it is."""

    device: str
    name: str
    arguments: Mapping[str, Value]
    author: bytes
    counter: int
    not_before: int
    not_after: int
    challenge: bytes | None = None
    code: str | None = field(default=None, repr=False)

    def encode(self) -> bytes:
        body: dict[int, Any] = {
            1: self.device,
            2: self.name,
            3: dict(self.arguments),
            4: self.author,
            5: self.counter,
            6: self.not_before,
            7: self.not_after,
        }
        if self.challenge is not None:
            body[8] = self.challenge
        if self.code is not None:
            body[9] = self.code
        return plain.encode(body)


@dataclass(frozen=True)
class Result:
    """What a device says of a command. `secret` is given once, for codes (RFC 6238)."""

    device: str
    digest: bytes
    outcome: str
    event: str
    detail: str
    secret: bytes | None = field(default=None, repr=False)


def next_counter(now: float | None = None) -> int:
    """A counter above every earlier one of the same author, on whichever machine: microseconds of
    unix time."""
    return int((time.time() if now is None else now) * 1_000_000) + secrets.randbelow(1000)


def parse(payload: bytes) -> Command:
    """The command in a payload. Raises Refused."""
    what = "command"
    body = codec.mapping(plain.decode(payload, what), what)
    if set(body) - {8, 9} != set(range(1, 8)):
        raise Refused(f"{what}: expected the members 1 to 7 and perhaps 8 and 9")
    arguments = codec.mapping(body[3], "arguments")
    for name, value in arguments.items():
        codec.text(name, "argument")
        if not isinstance(value, (bool, int, float, str)):
            raise Refused(f"{what}: argument {name} must be a plain value")
    big = 2**64 - 1
    return Command(
        codec.text(body[1], "device"),
        codec.text(body[2], "command"),
        arguments,
        codec.octets(body[4], THUMBPRINT, "author"),
        codec.uint(body[5], big, "counter"),
        codec.uint(body[6], big, "not before"),
        codec.uint(body[7], big, "not after"),
        body.get(8),
        body.get(9),
    )


def digest(data: bytes) -> bytes:
    """What a result names a command by: SHA-256 of the signed object."""
    return sha256(data).digest()


def parse_result(data: bytes, device: Device) -> Result:
    """A device's answer, signed by its identity key. Raises Refused."""
    return _result(device_keys.verify1(data, device, RESULT_DOMAIN, "result", former=True)[0])


def peek_result(data: bytes) -> Result:
    """An answer whose signature nobody has checked. Raises Malformed."""
    try:
        payload = cose.tagged(data, cose.TAG_SIGN1, 4, "result")[2]
        return _result(codec.blob(payload, "result"))
    except Refused as error:
        raise codec.Malformed(str(error)) from error


def _result(payload: bytes) -> Result:
    what = "result"
    body = codec.mapping(plain.decode(payload, what), what)
    if set(body) - {6} != {1, 2, 3, 4, 5}:
        raise Refused(f"{what}: expected the members 1 to 5 and perhaps 6")
    secret = body.get(6)
    return Result(
        codec.text(body[1], "device"),
        codec.octets(body[2], 32, "digest"),
        OUTCOMES[codec.uint(body[3], len(OUTCOMES) - 1, "outcome")],
        codec.text(body[4], "event"),
        codec.text(body[5], "detail"),
        None if secret is None else codec.octets(secret, 32, "secret"),
    )
