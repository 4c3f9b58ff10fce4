"""`uward provision`: a flashed board makes its keys, gets its certificate, and locks (S8)."""

from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import project, ui
from host_tools.project import Project
from host_tools.verbs import target
from host_tools.verbs.options import Fleet, Passphrase


def command(
    kind: target.Kind = "serial",
    port: target.Port = "",
    name: target.Name = None,
    fleet: Fleet = None,
    development: Annotated[
        bool, typer.Option("--development", help="Leave the console open: for development only.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Enrol a known board anew; its old key is revoked.")
    ] = False,
    key_source: Annotated[
        str,
        typer.Option(
            "--key-source",
            metavar="NAME",
            help="Where its keys come from; default: the strongest that answers.",
        ),
    ] = "",
    data_key: Annotated[
        str,
        typer.Option(
            "--data-key", metavar="NAME", help="What opens readings and settings: see below."
        ),
    ] = "board",
    pin_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="First line: the PIN of --data-key pin.")
    ] = None,
    passphrase_file: Passphrase = None,
) -> None:
    """Enrol a board: it makes its keys, gets a certificate, and locks.

    The board must be freshly flashed (`uward flash`). This machine is trusted at this moment:
    it names the device and hands over Wi-Fi, broker and time, but never sees a private key. A
    locked board opens no console; --development leaves it open and says so to the collector.
    The board's keys come from the strongest source that it has: --key-source chooses another.
    Settings at rest open with the board's own keys, with a PIN (--data-key pin) or with a share
    that the collector gives after attestation and withholds from a stolen board (network).

    Example: uward provision --target picow
    """
    found = project.load(fleet)
    with ui.progress("the board makes its keys"):
        made = do_provision(
            found,
            kind,
            port=port,
            name=name,
            development=development,
            replace=replace,
            key_source=key_source,
            data_key=data_key,
            pin=_pin(pin_file),
            passphrase=_passphrase(passphrase_file),
        )
    said = ("unprotected", "passed_over", "data_unprotected")  # said below, to whoever reads along
    ui.result(made, ui.lines({key: value for key, value in made.items() if key not in said}))
    for source, why in made["passed_over"].items():
        ui.note(f"key source {source} was passed over: {why}")
    ui.note(f"keys come from {made['key_source']}. {made['unprotected']}")
    if data_key != "board":
        ui.note(f"settings open by {data_key}. {made['data_unprotected']}")
    if development:
        ui.note("this board is open: whoever holds it reads and runs what they like")


def do_provision(
    found: Project,
    kind: str,
    *,
    port: str = "",
    name: str | None = None,
    development: bool = False,
    replace: bool = False,
    key_source: str = "",
    data_key: str = "board",
    pin: bytes | None = None,
    passphrase: bytes | None = None,
) -> dict[str, Any]:
    """Enrol one board and write its record. Raises Refused, DeviceError, UsageError."""
    from dataclasses import asdict

    from host_tools import keyring
    from host_tools.boards import catalogue
    from host_tools.flash import enrol, open_board
    from host_tools.flash import key_source as sources
    from host_tools.fleet import shares
    from host_tools.fleet.inventory import Inventory
    from host_tools.pki.ca import Ca
    from host_tools.signing import keys

    board = catalogue.load(target.board_name(found, kind))
    sources.check_data(board, data_key, pin)
    locks: dict[str, enrol.DataLock] = {
        "pin": lambda device: [1, pin],
        "network": lambda device: [2, shares.Shares(found.folder(shares.FOLDER)).make(device)],
    }
    kek = keys.load_kek(keyring.kek_path(found))
    network = {**target.network(found, kind), 6: {kek.kid: kek.key}}
    ca = Ca.open(found.folder("ca"), passphrase=passphrase)
    inventory = Inventory(found.folder("devices"))
    state = enrol.DEVELOPMENT if development else enrol.LOCKED
    with target.open_target(found, kind, port=port, name=name) as there:
        if kind in target.EMULATED:  # a real board has its own power switch
            there.start()
        with open_board.enter(there) as console:
            source = sources.choose(board, key_source, lambda place: enrol.probe(console, place))
            device = enrol.enrol(
                console,
                ca,
                inventory,
                _expected(found, board.name),
                network,
                kek_kid=kek.kid,
                state=state,
                replace=replace,
                source=source,
                data_lock=locks.get(data_key),
            )
            console.start_and_leave("import machine\nmachine.reset()")
    return {
        **asdict(device),
        "state": "development" if development else "locked",
        "unprotected": source.unprotected,
        "passed_over": source.passed_over,
        "data_unprotected": sources.DATA_UNPROTECTED[data_key],
    }


def _expected(found: Project, board: str) -> Any:
    """Every image that this fleet has signed for `board`, under any of its trust documents."""
    from hashlib import sha256

    from host_tools import keyring
    from host_tools.flash.enrol import Expected
    from host_tools.signing import suit, trust

    signed = [suit.parse(envelope) for envelope in keyring.signed_envelopes(found)]
    ours = found.class_id(board)
    digests = [one.digest for one in signed if suit.parameters(one.manifest)[suit.P_CLASS] == ours]
    documents = [trust.split(one)[0] for one in keyring.documents(found).values()]
    trusted = frozenset(sha256(payload).digest() for payload in documents)
    return Expected(board, frozenset(digests), trusted, ours)


def _pin(path: Path | None) -> bytes | None:
    from host_tools.pki import files

    if path is None:
        return None
    return files.read(path, "PIN").splitlines()[0] if path.stat().st_size else b""


def _passphrase(path: Any) -> bytes | None:
    from host_tools.signing import keys

    return keys.passphrase_from(path)
