"""Signed policies and commands on their way to devices, and what devices answered (SPEC 11).

    policy/<version>          signed policies, decimal version
    commands/<digest>.cmd     a command that is to be sent; digest: 32 hex digits of its SHA-256
    commands/<digest>.sent    the same, handed to the broker: never sent twice
    commands/<digest>.result  the device's signed answer, kept once

`uward send` writes the first and waits for the last; `uward serve` does the rest.
"""

import logging
import os
from pathlib import Path

from host_tools.errors import HostError, Refused
from host_tools.fleet import codec, commands
from host_tools.pki import files
from host_tools.signing import cosign

log = logging.getLogger(__name__)
DIGITS = 32


class Dispatch:
    """The two folders of a fleet, polled."""

    def __init__(self, policy: Path, commands_: Path) -> None:
        self._policy = policy
        self._commands = commands_
        self._given: set[tuple[str, bytes, int]] = set()  # device, boot, policy version
        self._seen: tuple[list[str], list[str]] | None = None

    def changed(self) -> bool:
        """Whether something was written since the last call."""
        now = (_names(self._policy), _names(self._commands))
        waiting = any(name.endswith(".cmd") for name in now[1])
        new = self._seen is None or now[0] != self._seen[0] or waiting
        self._seen = now
        return new

    def due(
        self, device: str, version: int, context: bytes, now: float
    ) -> list[tuple[str, bytes]]:
        """(purpose, signed bytes) for a device with this policy version, in the boot `context`.

        A command for another boot or past its time stays unsent: the device would refuse it.
        """
        found: list[tuple[str, bytes]] = []
        newest = newest_policy(self._policy)
        given = (device, context, newest[0] if newest else 0)
        if newest is not None and newest[0] > version and given not in self._given:
            self._given.add(given)
            found.append(("policy", newest[1]))
        for name in _names(self._commands):
            if name.endswith(".cmd"):
                found += self._command(self._commands / name, device, context, now)
        return found

    def _command(
        self, path: Path, device: str, context: bytes, now: float
    ) -> list[tuple[str, bytes]]:
        try:
            data = path.read_bytes()
            command = commands.parse(cosign.split(commands.KIND, data)[0])
        except (HostError, OSError) as error:
            log.warning("command left out: %s: %s", path, error)
            return []
        if command.device != device or now >= command.not_after:
            return []
        if command.challenge not in (None, context):
            return []
        os.replace(path, path.with_suffix(".sent"))  # first: a crash must not send it twice
        return [("cmd", data)]

    def answered(self, device: str, data: bytes) -> str:
        """Keep a result for the verb that waits, which checks its signature. -> it in words.

        Raises Malformed for what is no result. The first answer to a command counts.
        """
        result = commands.peek_result(data)
        if result.device != device:
            raise codec.Malformed(f"result: it is of device {codec.brief(result.device)}")
        path = result_path(self._commands, result.digest)
        try:
            files.write(path, data, secret=True)
        except Refused:
            log.warning("a second result for %s: %s", path.stem, result.detail)
        return f"{result.outcome} {result.event} {result.detail}".replace("  ", " ").rstrip()


def newest_policy(folder: Path) -> tuple[int, bytes] | None:
    """(version, signed bytes) of the newest policy, or None."""
    versions = [int(name) for name in _names(folder) if name.isdecimal()]
    return (max(versions), (folder / str(max(versions))).read_bytes()) if versions else None


def command_path(folder: Path, digest: bytes) -> Path:
    return folder / f"{digest.hex()[:DIGITS]}.cmd"


def result_path(folder: Path, digest: bytes) -> Path:
    return folder / f"{digest.hex()[:DIGITS]}.result"


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
