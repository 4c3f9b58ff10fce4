"""All talk to the terminal. No other file of the host tools writes to stdout or stderr.

Rules:
1. stdout is the result and nothing else: what a pipe wants.
2. With --json, stdout is JSON: one document, or one a line where the result is a stream.
3. Errors, hints, notes and progress go to stderr: `uward: error: <what, expected, got>`, then
   `uward: hint: <what to do>`. A traceback only with UWARD_DEBUG=1.
4. Progress is drawn only on a terminal, and never with --json.
5. Nothing here prints a key, a password or a plain reading that the verb did not ask for.

(Help texts and shell completion are typer's, and follow rule 1.)
"""

import getpass
import json
import os
import sys
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

EXIT_INTERRUPTED = 130

COLOURS = {"red": 31, "green": 32, "yellow": 33, "dim": 2}  # ECMA-48 SGR

Advance = Callable[[int, int], None]

json_mode = False


def use_json(on: bool) -> None:
    """Choose between text and JSON on stdout for the rest of this process."""
    global json_mode
    json_mode = on


def result(data: Any, text: str | None = None) -> None:
    """Print the result: `data` with --json, else `text` (or `key: value` lines of a mapping)."""
    if json_mode:
        _out(json.dumps(data, indent=2, default=_plain))
    elif text is not None:
        _out(text)
    else:
        _out(lines(data))


def event(data: Any, text: str) -> None:
    """Print one element of a result that is a stream, and flush: a pipe sees it at once."""
    _out(json.dumps(data, default=_plain) if json_mode else text)
    sys.stdout.flush()


def table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    empty: str,
    paint: Callable[[str, str], str] | None = None,
) -> None:
    """Print `rows` as aligned columns; `empty` goes to stderr when there are none.

    paint(column, cell) names a colour of COLOURS, or is empty; a terminal shows it.
    """
    if json_mode:
        _out(json.dumps(list(rows), indent=2, default=_plain))
    elif not rows:
        note(empty)
    else:
        cells = [[column.replace("_", " ") for column in columns]]
        cells += [[_cell(row.get(column)) for column in columns] for row in rows]
        widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
        for number, line in enumerate(cells):
            padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
            if paint is not None and number and coloured():
                names = [paint(column, cell) for column, cell in zip(columns, line, strict=True)]
                padded = [_painted(cell, name) for cell, name in zip(padded, names, strict=True)]
            _out("  ".join(padded).rstrip())


def coloured() -> bool:
    """Whether stdout is a terminal that wants colours (no-color.org)."""
    return (
        sys.stdout.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") != "dumb"
    )


def _painted(text: str, colour: str) -> str:
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if colour else text


def note(text: str) -> None:
    """Say on stderr what happens; no part of the result."""
    _err(f"uward: {text}")


def error(message: str, hint: str = "") -> None:
    """Say what was refused, and what to do about it."""
    _err(f"uward: error: {message}")
    if hint:
        _err(f"uward: hint: {hint}")


def ask_secret(prompt: str) -> str | None:
    """What the user types, unseen; None where there is no terminal to ask at."""
    if not sys.stdin.isatty():
        return None
    return getpass.getpass(prompt)


def debug() -> bool:
    """True when the user wants tracebacks: UWARD_DEBUG=1."""
    return os.environ.get("UWARD_DEBUG", "") not in ("", "0")


def trace(error: BaseException) -> None:
    """With UWARD_DEBUG=1 print the traceback of `error`, and the board's if it has one."""
    if debug():
        traceback.print_exception(error, file=sys.stderr)
        _err(getattr(error, "traceback", ""))


@contextmanager
def progress(what: str) -> Generator[Advance, None, None]:
    """A bar on a terminal, nothing elsewhere: `with progress("making keys") as advance:
    advance(done, total)`."""
    if json_mode or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def lines(data: Mapping[str, Any]) -> str:
    """`key  value` lines, aligned."""
    width = max(map(len, data), default=0)
    return "\n".join(f"{_title(key):{width}}  {_cell(value)}" for key, value in data.items())


def _title(key: str) -> str:
    return key.replace("_", " ")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in cast(Sequence[object], value))
    return str(_plain(value))


def _plain(value: object) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)


def _out(text: str) -> None:
    sys.stdout.write(text + "\n")


def _err(text: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(text + "\n")
