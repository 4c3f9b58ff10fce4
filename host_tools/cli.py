"""The command line: `uward <verb>`. One verb is one file in `verbs/`; see `ui.py` for the rules
of talk.

Exit codes: 0 ok, 1 refused or a failed check, 2 usage, 3 device or transport, 130 interrupted.
"""

import errno
import functools
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.main import get_command

from host_tools import ui
from host_tools.errors import HostError
from host_tools.verbs import (
    attest,
    boards,
    build,
    ca,
    demo,
    devices,
    doctor,
    flash,
    init,
    interpreter,
    keys,
    log,
    policy,
    provision,
    release,
    retire,
    rollout,
    rollover,
    send,
    serve,
    sign,
    stolen,
    trust,
    unlock,
    vault,
    verify,
)
from host_tools.verbs import run as run_board

EXIT_INTERNAL = 1
EXIT_USAGE = 2

VERBS: dict[str, Callable[..., None]] = {
    "init": init.command,
    "build": build.command,
    "sign": sign.command,
    "verify": verify.command,
    "flash": flash.command,
    "provision": provision.command,
    "unlock": unlock.unlock,
    "lock": unlock.lock,
    "run": run_board.command,
    "serve": serve.command,
    "release": release.command,
    "interpreter": interpreter.command,
    "devices": devices.command,
    "attest": attest.command,
    "send": send.command,
    "stolen": stolen.command,
    "retire": retire.command,
    "boards": boards.command,
    "doctor": doctor.command,
    "demo": demo.command,
}
GROUPS: dict[str, tuple[str, dict[str, Callable[..., None]]]] = {
    "keys": (
        "Role keys: which are here, how many signatures they have left.",
        {
            "status": keys.status,
            "new": keys.new,
            "sign": keys.sign_bytes,
            "token": keys.token,
            "adopt": keys.adopt,
        },
    ),
    "trust": (
        "Trust documents: who may say what to devices; the next one, drafted, signed, published.",
        {
            "show": trust.show,
            "renew": trust.renew,
            "add-key": trust.add_key,
            "drop-key": trust.drop_key,
            "revoke-key": trust.revoke_key,
            "set-threshold": trust.set_threshold,
            "rotate-root": trust.rotate_root,
            "reset-clock": trust.reset_clock,
            "sign": trust.sign,
            "discard": trust.discard,
        },
    ),
    "rollout": (
        "Staged releases: how they stand; halt, resume, advance.",
        {
            "show": rollout.show,
            "halt": rollout.halt,
            "resume": rollout.resume,
            "advance": rollout.advance,
        },
    ),
    "log": (
        "The release log: what was ever offered to devices, and who signed for it.",
        {"show": log.show, "verify": log.verify, "sign": log.sign, "witness": log.witness},
    ),
    "policy": (
        "Policies: who may command what, within which safety envelope.",
        {
            "init": policy.init,
            "check": policy.check,
            "publish": policy.publish,
            "show": policy.show,
        },
    ),
    "ca": (
        "The certificate authority: what ends when, who takes over, who is asked elsewhere.",
        {
            "status": ca.status,
            "renew": ca.renew,
            "lists": ca.lists,
            "revoke": ca.revoke,
            "prepare": rollover.prepare,
            "switch": rollover.switch,
            "finish": rollover.finish,
            "token": rollover.token,
            "sign": ca.sign,
            "est": ca.est,
        },
    ),
    "vault": (
        "Vaults: what a flash dump tells about the records that a device keeps.",
        {"inspect": vault.inspect, "backup": vault.backup, "restore": vault.restore},
    ),
}
JSON = inspect.Parameter(
    "json",
    inspect.Parameter.KEYWORD_ONLY,
    default=typer.Option(False, "--json", help="Print the result as JSON."),
    annotation=bool,
)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run(sys.argv[1:] if args is None else args))


def run(args: Sequence[str]) -> int:
    """Run one command; returns the exit code. Whatever happens is said in words."""
    try:
        return _invoke(list(args) or ["--help"])
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            return _closed_pipe()
        message, hint, code = _explain(error)
        ui.error(message, hint)
        ui.trace(error)
        return code


def _explain(error: BaseException) -> tuple[str, str, int]:
    """(message, hint, exit code) of whatever ended a command."""
    if isinstance(error, HostError):
        return str(error), error.hint, error.exit_code
    if isinstance(error, typer.TyperException):
        return _sentence(error.format_message()), _help_hint(error), EXIT_USAGE
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return "interrupted", "", ui.EXIT_INTERRUPTED
    if isinstance(error, OSError):
        return *_system(error), EXIT_INTERNAL
    return f"internal: {type(error).__name__}: {error}", "UWARD_DEBUG=1 shows where", EXIT_INTERNAL


def _invoke(args: list[str]) -> int:
    code = get_command(_app())(args, prog_name="uward", standalone_mode=False)
    sys.stdout.flush()
    if code == ui.EXIT_INTERRUPTED:
        ui.error("interrupted")
    return code if isinstance(code, int) else 0


def _app() -> typer.Typer:
    app = typer.Typer(
        name="uward",
        help=(
            "A security agent for medical-IoT prototypes on stock MicroPython boards: build, "
            "sign, flash, enrol, and watch a fleet."
        ),
        epilog="First time? `make demo` shows all of it, `uward init DIR` makes a fleet.",
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
    )
    app.callback()(_whole)
    for name, verb in VERBS.items():
        app.command(name, short_help=_first_sentence(verb))(_with_json(verb))
    for name, (about, verbs) in GROUPS.items():
        group = typer.Typer(help=about, rich_markup_mode=None)
        group.callback()(_nothing)
        for verb_name, verb in verbs.items():
            group.command(verb_name, short_help=_first_sentence(verb))(_with_json(verb))
        app.add_typer(group, name=name)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        ui.result({"version": metadata.version("uward")}, metadata.version("uward"))
        raise typer.Exit


def _nothing() -> None:
    """A group needs a callback, else typer runs a single verb without its name."""


def _whole(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Show it.")
    ] = False,
) -> None:
    """What stands before the verb."""


def _with_json(verb: Callable[..., None]) -> Callable[..., None]:
    """`verb` with --json: so every verb has it."""

    @functools.wraps(verb)
    def command(*args: Any, json: bool, **kwargs: Any) -> None:
        ui.use_json(json)
        verb(*args, **kwargs)

    signature = inspect.signature(verb)
    parameters = [*signature.parameters.values(), JSON]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {**verb.__annotations__, "json": bool}
    return command


def _first_sentence(verb: Callable[..., None]) -> str:
    """What the list of verbs says of one: whole, where typer would cut it off."""
    first, _, _ = (verb.__doc__ or "").partition("\n")
    return first.strip().rstrip(".")


def _sentence(text: str) -> str:
    """Typer's `No such option: --x` as one of ours: small first letter, no full stop."""
    return text[:1].lower() + text[1:].rstrip(".")


def _help_hint(error: typer.TyperException) -> str:
    context: Any = getattr(error, "ctx", None)
    path = context.command_path if context else "uward"
    return f"`{path} --help` shows what it takes"


def _system(error: OSError) -> tuple[str, str]:
    what = f"{error.filename}: " if error.filename else ""
    message = f"{what}{(error.strerror or str(error)).lower()}"
    hints = {
        errno.ENOSPC: "free some space; what was there before is unchanged",
        errno.EACCES: "check who owns it",
        errno.EROFS: "the file system is read-only",
    }
    return message, hints.get(error.errno or 0, "")


def _closed_pipe() -> int:
    """The reader of stdout left (`uward devices | head`): no error of ours."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_INTERNAL


if __name__ == "__main__":
    main()
