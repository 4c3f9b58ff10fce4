"""Where an agent runs: one interface over the Unix port, the emulated Pico W and a real board."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from host_tools.boards.catalogue import Board
from host_tools.errors import UsageError

T = TypeVar("T", bound="Target")
Lines = Callable[[str], None]


def ignore(line: str) -> None:
    """The default listener: lines that nobody wants."""


class Target(ABC):
    """A board of kind `board`.

    `flash` an image (`image.full.build`) while it is stopped, `start` it, talk to it through
    `console()`. `on_line`, set before `start`, gets each line that it prints, in another thread.
    Refusals: DeviceError when the board does not answer, UsageError for what it cannot do.
    """

    board: Board
    on_line: Lines = staticmethod(ignore)

    @abstractmethod
    def flash(self, image: bytes) -> None:
        """Replace the whole flash by `image`, in the format that `board.flash.format` names."""

    @abstractmethod
    def start(self) -> None:
        """Power on. Does nothing when it is on."""

    @abstractmethod
    def stop(self) -> None:
        """Power off in an orderly way; the flash is kept. Does nothing when it is off."""

    @abstractmethod
    def reset(self) -> None:
        """Press the reset button."""

    @abstractmethod
    def power_cut(self) -> None:
        """Take the power away, now; the flash keeps what it had. `start` boots from that."""

    @abstractmethod
    def console(self) -> str:
        """What mpremote opens: a `socket://` URL or the path of a serial port."""

    def strap(self, closed: bool) -> None:
        """Tie the console strap to ground, or let go of it. UsageError where a hand must do it."""
        raise UsageError("a real board's strap is a wire", "tie the pin to ground yourself")

    @abstractmethod
    def flash_dump(self) -> bytes:
        """The whole flash, byte for byte, as whoever holds the board could read it."""

    def __enter__(self: T) -> T:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
