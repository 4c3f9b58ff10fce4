"""`uward boards`: the boards that uWard knows, and what each cannot protect."""

from typing import Annotated, Any

import typer

from host_tools import ui
from host_tools.boards import catalogue


def command(
    name: Annotated[str | None, typer.Argument(help="One board: everything about it.")] = None,
) -> None:
    """List the boards, or say all about one.

    Example: uward boards rpi_pico_w
    """
    if name is None:
        columns = ("name", "title", "mcu", "targets", "key_sources")
        ui.table(do_boards(), columns, "there are no boards")
    else:
        board = do_board(name)
        ui.result(board, _text(board))


def do_boards() -> list[dict[str, Any]]:
    """One row a board."""
    return [do_board(name) for name in catalogue.names()]


def do_board(name: str) -> dict[str, Any]:
    """All about one board. Raises UsageError for an unknown name."""
    import dataclasses

    return dataclasses.asdict(catalogue.load(name))


def _text(board: dict[str, Any]) -> str:
    flash, source = board["flash"], board["image"]
    lines = [
        f"{board['title']} ({board['name']}): {board['mcu']}, MicroPython port {board['port']}",
        f"flash        {flash['size']} bytes, file system {flash['fs_size']} at "
        f"{flash['fs_offset']:#x}",
        f"heap         {board['heap_bytes'] or 'not measured'}",
        f"keys from    {', '.join(board['key_sources'])}",
        f"targets      {', '.join(board['targets'])}",
        f"firmware     {source['file'] if source else 'none: it runs on the host'}",
        "",
        "What this board cannot protect:",
    ]
    return "\n".join([*lines, *(f"- {sentence}" for sentence in board["cannot_protect"])])
