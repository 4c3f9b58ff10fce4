"""`uward serve`: broker, collector and release service of the fleet, until Ctrl-C."""

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_tools import project, strict, ui
from host_tools.project import Project
from host_tools.verbs.options import Fleet

if TYPE_CHECKING:
    from host_tools.fleet.answers import Notice
    from host_tools.fleet.service import Ready

LOG_BYTES = 1 << 20
LOG_FILES = 3  # older ones, beside the current
BROKERS = ("embedded", "mosquitto", "external")


def command(
    fleet: Fleet = None,
    broker: Annotated[
        str, typer.Option(metavar="embedded|mosquitto|external", help="Which MQTT broker.")
    ] = "embedded",
    host: Annotated[str | None, typer.Option(help="Instead of the project's.")] = None,
    port: Annotated[int | None, typer.Option(help="Instead of the project's.")] = None,
    seconds: Annotated[
        float | None, typer.Option(help="End after so long; otherwise Ctrl-C ends it.")
    ] = None,
    restored: Annotated[
        bool, typer.Option("--restored", help="The collector's database came from a backup.")
    ] = False,
) -> None:
    """Run broker, collector and release service; print readings.

    Devices without a certificate of this fleet get no MQTT. Readings are opened, stored in
    collector/collector.db and only then acknowledged. With --json one object a line.

    Example: uward serve --broker mosquitto
    """
    do_serve(project.load(fleet), broker, host=host, port=port, seconds=seconds, restored=restored)


def do_serve(
    found: Project,
    broker: str = "embedded",
    *,
    host: str | None = None,
    port: int | None = None,
    seconds: float | None = None,
    restored: bool = False,
) -> None:
    """Serve until `seconds` are over, SIGTERM or Ctrl-C. Raises UsageError, DeviceError."""
    import asyncio

    strict.choice("broker", broker, BROKERS)
    _log_to(found.folder("log"))
    asyncio.run(_serve(found, broker, host, port, seconds, restored))


async def _serve(
    found: Project,
    broker: Any,
    host: str | None,
    port: int | None,
    seconds: float | None,
    restored: bool,
) -> None:
    import asyncio
    import contextlib
    import signal

    from host_tools.fleet import service

    ended = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # no signals in a loop on Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    running = service.running(found.root, host, port, broker, _tell, restored)
    async with running as ready:
        _say_ready(ready)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(ended.wait(), seconds)


def _log_to(folder: Path) -> None:
    """What libraries have to say goes to log/serve.log, not among the readings."""
    import logging.handlers

    folder.mkdir(exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        folder / "serve.log", maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    root.addHandler(handler)


def _say_ready(ready: "Ready") -> None:
    ui.note(f"serving on {ready.host}:{ready.port}, readings in {ready.database}; Ctrl-C ends it")


def _tell(notice: "Notice") -> None:
    when = datetime.datetime.fromtimestamp(notice.time).strftime("%H:%M:%S")
    record = {
        "time": notice.time,
        "device": notice.device,
        "kind": notice.kind,
        "text": notice.text,
    }
    ui.event(record, f"{when} {notice.device or '-'} {notice.text}")
