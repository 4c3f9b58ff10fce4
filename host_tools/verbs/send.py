"""`uward send`: a signed command to one device, and its signed answer."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_tools import project, ui
from host_tools.errors import DeviceError, Refused, UsageError
from host_tools.project import Project
from host_tools.verbs.options import DigestOut, Fleet, Passphrase, SignatureIn

if TYPE_CHECKING:
    from host_tools.fleet.commands import Result, Value

DEFAULT_ROLE = "operator"
VALID_S = 300
WAIT_S = 60.0
POLL_S = 0.2
EARLY_S = 60  # a device's clock may be behind ours by so much


@dataclass(frozen=True)
class Options:
    """What `uward send` was asked for, other than the command itself."""

    role: str = DEFAULT_ROLE
    valid_s: int = VALID_S
    wait_s: float = WAIT_S
    console: bool = False
    code_file: Path | None = None
    digest_out: Path | None = None
    signature_in: Path | None = None
    passphrase_file: Path | None = None


def command(
    device: Annotated[str | None, typer.Argument(metavar="DEVICE")] = None,
    name: Annotated[str | None, typer.Argument(metavar="COMMAND")] = None,
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE", help="The command's arguments.")
    ] = None,
    fleet: Fleet = None,
    role: Annotated[str, typer.Option(metavar="ROLE[:HOLDER]", help="Who signs.")] = DEFAULT_ROLE,
    cosign: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Sign what another person prepared, then deliver it."),
    ] = None,
    valid: Annotated[
        int, typer.Option(metavar="SECONDS", help="How long a device may take it.")
    ] = VALID_S,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long to wait for the answer; 0: not.")
    ] = WAIT_S,
    console: Annotated[
        bool, typer.Option("--console", help="Prepare it for a device's console: no network.")
    ] = False,
    code_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="First line: a one-time code (RFC 6238).")
    ] = None,
    digest_out: DigestOut = None,
    signature_in: SignatureIn = None,
    passphrase_file: Passphrase = None,
) -> None:
    """Send a signed command to a device, and wait for its signed answer.

    The device decides by the policy in force and its safety envelope. Where the policy asks for
    a second person, this writes a file that the other one signs with --cosign FILE; the last
    signature delivers it. A key in a token signs as always; one that is elsewhere: --digest-out
    FILE, then --cosign FILE --signature-in FILE (64 bytes r and s). Exit code 0: done, 1:
    refused or failed, 3: no answer.

    Example: uward send abcdefgh12345678 dose ml=2 --role operator:anna
    """
    found = project.load(fleet)
    options = Options(
        role, valid, wait, console, code_file, digest_out, signature_in, passphrase_file
    )
    if cosign is not None:
        if device is not None:
            raise UsageError("--cosign FILE signs what is in the file: no DEVICE or COMMAND")
        ui.result(do_cosign(found, cosign, options))
    elif device is None or name is None:
        raise UsageError("expected DEVICE and COMMAND, or --cosign FILE")
    else:
        ui.result(do_send(found, device, name, parse_arguments(arguments or []), options))


def parse_arguments(words: list[str]) -> dict[str, "Value"]:
    """`ml=2.5` -> {"ml": 2.5}; whole numbers, decimals, true, false, else text."""
    made: dict[str, Value] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name or name in made:
            raise UsageError(f"argument {word!r}: expected NAME=VALUE, each name once")
        made[name] = _value(text)
    return made


def do_send(
    found: Project, device: str, name: str, arguments: dict[str, "Value"], options: Options
) -> dict[str, Any]:
    """Prepare and sign; deliver when nothing is missing. Raises Refused, DeviceError."""
    from host_tools import keyring
    from host_tools.fleet import addressee, commands
    from host_tools.signing import cosign

    addressee.record(found, device)  # there is such a device
    public = keyring.public_key(found, options.role)
    now = time.time()
    payload = commands.Command(
        device,
        name,
        arguments,
        public.thumbprint,
        commands.next_counter(now),
        int(now) - EARLY_S,
        int(now) + options.valid_s,
        None if options.console else addressee.challenge(found, device),
        _code(options),
    ).encode()
    return _sign(found, cosign.sign(commands.KIND, payload, []), None, options)


def do_cosign(found: Project, path: Path, options: Options) -> dict[str, Any]:
    """Add a signature to a prepared command; deliver when nothing is missing."""
    from host_tools.pki import files

    return _sign(found, files.read(path, "prepared command"), path, options)


def _sign(found: Project, data: bytes, path: Path | None, options: Options) -> dict[str, Any]:
    from host_tools import keyring
    from host_tools.fleet import commands
    from host_tools.pki import files
    from host_tools.signing import cose, cosign, keys

    payload, _ = cosign.split(commands.KIND, data)
    asked = commands.parse(payload)
    public = keyring.public_key(found, options.role)
    if options.digest_out is not None:
        files.write(options.digest_out, cosign.to_be_signed(commands.KIND, payload, cose.ESP256))
    elif options.signature_in is not None:
        signature = files.read(options.signature_in, "signature")
        data = cosign.attach(commands.KIND, data, public, signature)
    else:
        passphrase = keys.passphrase_from(options.passphrase_file)
        (signer,) = keyring.signers(found, options.role, passphrase, [])[:1]
        data = cosign.add_signature(commands.KIND, data, signer)
    signed_by, missing = _missing(found, asked, data)
    shown = {"device": asked.device, "command": asked.name, "signed_by": signed_by}
    if missing or options.console:
        path = path or _draft(found, asked)
        files.write(path, data, force=True)
        ui.note(f"not sent yet: {missing}" if missing else "for the console: uward unlock")
        return {**shown, "file": os.path.relpath(path), "missing": missing or None}
    _deliver(found, data)
    if path is not None:
        path.unlink(missing_ok=True)
    return {**shown, **_answer(found, asked.device, data, options.wait_s)}


def _missing(found: Project, asked: Any, data: bytes) -> tuple[list[str], str]:
    """(who has signed, what the policy still asks for)."""
    from host_tools import keyring
    from host_tools.fleet import addressee, commands, dispatch, policies
    from host_tools.signing import cosign
    from host_tools.signing.roles import BY_NAME

    payload, blocks = cosign.split(commands.KIND, data)
    document = keyring.current_trust(found)
    held: list[tuple[str, str]] = []
    for role in policies.COMMANDING:
        number = BY_NAME[role].number
        if number in document.roles:
            holders = document.holders(BY_NAME[role])
            names = cosign.signed_by(commands.KIND, payload, blocks, holders)
            held += [(role, name) for name in names]
    newest = dispatch.newest_policy(found.folder("policy"))
    if newest is None:
        raise Refused(
            "this fleet has no policy: devices deny every command",
            "write one with `uward policy init`, then `uward policy publish`",
        )
    policy = policies.parse(cosign.split(policies.KIND, newest[1])[0])
    if asked.name not in policy.rules:
        raise Refused(f"policy {policy.version} does not name command {asked.name!r}")
    rule = policy.rules[asked.name]
    missing = policies.missing(
        rule, held, code=asked.code is not None, emergency=addressee.emergency(found, asked.device)
    )
    return [f"{role}:{holder}" for role, holder in held], missing


def _draft(found: Project, asked: Any) -> Path:
    name = f"{asked.device}-{asked.name}-{asked.counter}.part"
    return found.folder("commands") / name


def _deliver(found: Project, data: bytes) -> None:
    from host_tools.fleet import commands, dispatch
    from host_tools.pki import files

    if len(data) > commands.BYTES:
        raise Refused(f"the command is {len(data)} bytes, devices take {commands.BYTES}")
    path = dispatch.command_path(found.folder("commands"), commands.digest(data))
    files.write(path, data, secret=True)


def _answer(found: Project, device: str, data: bytes, wait_s: float) -> dict[str, Any]:
    from host_tools.fleet import commands, dispatch

    if not wait_s:
        return {"outcome": "sent"}
    result = _wait(found, device, data, wait_s)
    if result.outcome != "done":
        raise Refused(f"{result.outcome}: {result.event}: {result.detail}")
    signed = dispatch.result_path(found.folder("commands"), commands.digest(data))
    answer: dict[str, Any] = {
        "outcome": result.outcome,
        "detail": result.detail or None,
        "answer": os.path.relpath(signed),
    }
    if result.secret is not None:
        import base64

        answer["secret"] = base64.b32encode(result.secret).decode().rstrip("=")
    return answer


def _wait(found: Project, device: str, data: bytes, wait_s: float) -> "Result":
    """The device's answer, its signature checked with the identity key of the inventory."""
    from host_tools.fleet import addressee, commands, dispatch

    digest = commands.digest(data)
    path = dispatch.result_path(found.folder("commands"), digest)
    until = time.monotonic() + wait_s
    while not path.is_file():
        if time.monotonic() > until:
            raise DeviceError(
                f"{device}: no answer within {wait_s:.0f} s",
                "is `uward serve` running, and the device connected? "
                "a device that restarted since needs a new command",
            )
        time.sleep(POLL_S)
    result = commands.parse_result(path.read_bytes(), addressee.record(found, device))
    if result.device != device or result.digest != digest:
        raise Refused("the answer is to another command")
    return result


def _code(options: Options) -> str | None:
    from host_tools.pki import files

    if options.code_file is None:
        return None
    lines = files.read(options.code_file, "code").decode(errors="replace").splitlines()
    if not lines or not lines[0].isdecimal():
        raise UsageError(f"{options.code_file}: expected the digits of a code in the first line")
    return lines[0]


def _value(text: str) -> "Value":
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
