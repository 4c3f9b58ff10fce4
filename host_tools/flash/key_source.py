"""Which key source a board is enrolled with (SPEC 6; ADR 0054): the strongest that answers.

The board itself tries each: a chip that its TOML names may not be fitted, an eFuse not burned.
"""

from collections.abc import Callable
from dataclasses import dataclass

from host_tools import strict
from host_tools.boards.catalogue import Board
from host_tools.errors import Refused, UsageError

STRONGEST_FIRST = ("efuse-hmac", "secure-element", "flash")
NUMBERS = {"secure-element": 1, "efuse-hmac": 2}
UNPROTECTED = {
    "flash": "Whoever dumps the flash has every key of this board.",
    "secure-element": "Whoever holds the running board can use the chip, or read its answer on "
    "the bus; a flash dump alone gives nothing.",
    "efuse-hmac": "Whoever runs code on the board can use the eFuse key; a flash dump alone gives "
    "nothing. Not verified on silicon.",
}

DATA = ("board", "pin", "network")
DATA_UNPROTECTED = {
    "board": "Readings and settings at rest are as safe as the board's own keys.",
    "pin": "Whoever dumps the flash finds a PIN of six digits in minutes; the lockout holds off "
    "hands only.",
    "network": "Settings open only after the collector has attested the board and given its half "
    "of the key: `uward stolen` withholds it.",
}
PIN_MIN, PIN_MAX = 4, 32  # bytes (firmware/uward/limits.py)

Probe = Callable[[bytes], str]


@dataclass(frozen=True)
class Choice:
    """A key source, where it is (`u8 source | 5 bytes`, None for `flash`), what others said."""

    name: str
    place: bytes | None
    passed_over: dict[str, str]

    @property
    def unprotected(self) -> str:
        return UNPROTECTED[self.name]


def place(board: Board, source: str) -> bytes | None:
    """SPEC 6: what /id/root says of a chip; None for `flash`."""
    if source == "secure-element" and board.secure_element is not None:
        at = board.secure_element
        return bytes((NUMBERS[source], at.slot, at.address, at.bus, at.sda, at.scl))
    if source == "efuse-hmac" and board.efuse is not None:
        return bytes((NUMBERS[source], board.efuse.block, board.efuse.clocks, 0, 0, 0))
    return None


def choose(board: Board, wanted: str, probe: Probe) -> Choice:
    """`wanted` is a source, or "" for the strongest that answers. probe(place) -> "" or why not.

    Raises UsageError for a source that the board does not have, Refused when it does not answer.
    """
    known = [source for source in STRONGEST_FIRST if source in board.key_sources]
    if wanted:
        strict.choice(f"key source of {board.name}", wanted, known)
        known = [wanted]
    said: dict[str, str] = {}
    for source in known:
        where = place(board, source)
        said[source] = probe(where) if where is not None else ""
        if not said[source]:
            del said[source]
            return Choice(source, where, said)
    if wanted:
        raise Refused(
            f"key source {wanted}: {said[wanted]}",
            "--key-source flash enrols without it, and says what that leaves open",
        )
    raise UsageError(f"board {board.name} names no key source that enrolment can use")


def check_data(board: Board, wanted: str, pin: bytes | None) -> None:
    """Raises UsageError for a data key that the board does not have, or a PIN that is none."""
    strict.choice(f"data key of {board.name}", wanted, ["board", *_locks(board)])
    if wanted == "pin" and (pin is None or not PIN_MIN <= len(pin) <= PIN_MAX):
        raise UsageError(
            f"a PIN is {PIN_MIN} to {PIN_MAX} bytes", "--pin-file FILE: its first line"
        )


def _locks(board: Board) -> list[str]:
    return [lock for lock in DATA if lock in board.key_sources]
