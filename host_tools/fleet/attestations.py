"""Attestations of a fleet: who is asked, what came of it, what `uward devices` makes of it.

    attest/<device>.ask    `uward attest` wants this nonce answered (JSON); taken by `uward serve`
    attest/<device>.json   the last answer: token, nonce, verdict, and what the device proved

A device is also asked after each hello, so that the inventory rests on evidence, not on what a
device says of itself.
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from host_tools.errors import DeviceError, HostError, Refused
from host_tools.fleet import attest
from host_tools.fleet.attest import Before, Evidence, References, Verdict
from host_tools.fleet.inventory import ACTIVE, Device
from host_tools.pki import files, names

NONCE = 32  # bytes (RFC 9711 4.1: 8 to 64)
PENDING = 4  # nonces of one device that wait: each hello and each `uward attest` makes one
ANSWER_S = 180.0  # a device on its first connection may have a release to finish first
STALE_S = 26 * 3600.0  # a session is renewed every 24 h, and attests then
Known = Callable[[str], References]


@dataclass(frozen=True)
class Result:
    """attest/<device>.json. Bytes are hex, times unix seconds; `facts` as told and verified."""

    device: str
    status: str
    reasons: list[str]
    time: float
    nonce: str
    token: str
    facts: dict[str, Any]
    floor: int = 0
    generation: int = 0
    key: str = ""  # that signed the token, x | y


@dataclass(frozen=True)
class Waiting:
    """A nonce that was sent, until when it counts, and whether somebody asked."""

    nonce: bytes
    until: float
    asked: bool


class Folder:
    """The files. No member is secret: a token shows nothing that the device does not tell."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, result: Result) -> None:
        data = json.dumps(asdict(result), indent=2).encode() + b"\n"
        files.write(self._file(result.device, "json"), data, force=True)

    def load(self, device: str) -> Result | None:
        """The last answer, None before the first or where the file is damaged."""
        try:
            data: Any = json.loads(self._file(device, "json").read_text("utf-8"))
            return Result(**cast("dict[str, Any]", data))
        except (OSError, ValueError, TypeError):
            return None

    def ask(self, device: str) -> bytes:
        """Have `uward serve` ask. -> the nonce that the answer will carry."""
        nonce = secrets.token_bytes(NONCE)
        body = json.dumps({"nonce": nonce.hex()}).encode()
        files.write(self._file(device, "ask"), body, force=True)
        return nonce

    def asked(self) -> list[tuple[str, bytes]]:
        """(device, nonce) of what was asked for since the last call."""
        found: list[tuple[str, bytes]] = []
        for path in sorted(self.path.glob("*.ask")):
            try:
                nonce = bytes.fromhex(json.loads(path.read_text("utf-8"))["nonce"])
                path.unlink()
            except (OSError, ValueError, KeyError, TypeError):
                continue  # half written: it is whole at the next look
            if len(nonce) == NONCE:
                found.append((path.stem, nonce))
        return found

    def _file(self, device: str, kind: str) -> Path:
        return self.path / f"{names.check_device_id(device)}.{kind}"


class Attestations:
    """The collector's part: makes nonces, judges tokens, keeps the verdicts."""

    def __init__(self, folder: Folder, known: Known) -> None:
        self.folder = folder
        self._known = known
        self._pending: dict[str, list[Waiting]] = {}

    def challenge(self, device: str, now: float, asked: bytes | None = None) -> bytes:
        """A nonce for `device`, which has ANSWER_S to answer it.

        asked: that of `uward attest`. At a hello it is sent again as long as it waits: what was
        sealed for an earlier boot is lost.
        """
        waiting = [one for one in self._pending.get(device, []) if one.until >= now]
        if asked is None:
            again = next((one for one in waiting if one.asked), None)
            if again is not None:
                return again.nonce
        made = Waiting(asked or secrets.token_bytes(NONCE), now + ANSWER_S, asked is not None)
        self._pending[device] = [*waiting, made][-PENDING:]
        return made.nonce

    def take(self, record: Device, token: bytes, now: float) -> Result:
        """Judge one token and keep the verdict.

        Raises Refused for an answer that nobody waits for, which changes nothing, and
        DeviceError when the verdict cannot be kept.
        """
        nonce = self._taken(record.id, token, now)
        before = self.folder.load(record.id)
        result = judged(record, token, nonce, self._known, before, now)
        try:
            self.folder.save(result)
        except OSError as error:
            raise DeviceError(f"{self.folder.path}: cannot be written: {error}") from error
        return result

    def _taken(self, device: str, token: bytes, now: float) -> bytes:
        """The nonce that this token answers, used up."""
        waiting = [one for one in self._pending.get(device, []) if one.until >= now]
        found = next((one for one in waiting if one.nonce in token), None)
        if found is None:
            raise Refused("attestation: answers no question of the last minutes")
        self._pending[device] = [one for one in waiting if one is not found]
        return found.nonce


def judged(
    record: Device, token: bytes, nonce: bytes, known: Known, before: Result | None, now: float
) -> Result:
    """The verdict on one token. What is not believed is UNKNOWN; what was proved before stays."""
    floor, generation = (before.floor, before.generation) if before else (0, 0)
    empty = Result(
        record.id, attest.UNKNOWN, [], now, nonce.hex(), token.hex(), {}, floor, generation
    )
    try:
        evidence = attest.verify(token, record, nonce)
        past = Before() if _enrolled_anew(record, before) else Before(floor, generation)
        verdict = attest.judge(evidence, record, known(record.board), past)
    except HostError as error:
        return replace(empty, reasons=[str(error)])
    return _result(empty, evidence, verdict, past)


def _enrolled_anew(record: Device, before: Result | None) -> bool:
    return before is not None and before.time < record.enrolled


def _result(empty: Result, evidence: Evidence, verdict: Verdict, past: Before) -> Result:
    good = verdict.status in (attest.TRUSTED, attest.DEVELOPMENT)
    return replace(
        empty,
        status=verdict.status,
        reasons=list(verdict.reasons),
        facts=facts(evidence),
        floor=evidence.floor if good else past.floor,
        generation=evidence.generation if good else past.generation,
        key=evidence.key,
    )


def facts(evidence: Evidence) -> dict[str, Any]:
    """Evidence as JSON."""
    found = asdict(replace(evidence, measured={}))
    del found["measured"], found["key"]
    shown = {
        key: value.hex() if isinstance(value, bytes) else value for key, value in found.items()
    }
    return {
        **shown,
        "state": _state(evidence.state),
        "console": attest.CONSOLES[evidence.console],
        "stage0": evidence.stage0,
        "manifest_digest": evidence.measured[attest.MANIFEST].hex(),
        "trust_digest": evidence.measured[attest.TRUST].hex(),
    }


def _state(number: int) -> str:
    return attest.STATES[number] if 0 <= number < len(attest.STATES) else str(number)


def standing(
    result: Result | None, record: Device, seen: float | None, clones: float | None, now: float
) -> tuple[str, list[str]]:
    """(status, reasons) of a device now.

    seen: unix seconds of its last hello; clones: of the last `id.clone` about it. A clone that
    was seen stays one until the device is enrolled anew: which of the two is real nobody knows.
    """
    if record.status != ACTIVE:
        return record.status.upper(), ["nothing of it is taken"]
    if clones is not None and clones >= record.enrolled:
        return attest.CLONED, ["two boards used its identity, see its id.clone events"]
    if result is None or result.time < record.enrolled:
        return attest.UNKNOWN, ["it never attested since it was enrolled"]
    if result.status in (attest.CLONED, attest.UNKNOWN):
        return result.status, result.reasons
    if now - result.time > STALE_S:
        return attest.STALE, [f"its last attestation is {(now - result.time) / 3600:.0f} h old"]
    if seen is not None and seen - result.time > 0 and now - seen > ANSWER_S:
        return attest.STALE, ["it connected and did not answer when it was asked"]
    return result.status, result.reasons
