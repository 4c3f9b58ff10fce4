"""Talk to a board's REPL with mpremote's own transport: a serial port, a pty or `socket://`.

The board is not reset on the way in ("resume"): what runs is interrupted, its memory stays.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
import contextlib
import io
import os
import time
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any

import serial
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from host_tools.errors import DeviceError

READ_TIMEOUT_S = 5.0  # for one answer of the protocol
ENTER_S = 15.0
ENTER_FIRST_S = 0.3  # a board that starts up may drop what is typed at it: type again,
ENTER_STEP_S = 2.0  # with more patience each time
EXEC_S = 30.0
QUIET_S = 0.1
PUT_BYTES = 1024  # of a file in one statement: 4 KB of source at most


class RemoteError(DeviceError):
    """The code raised on the board; `traceback` is what the board printed."""

    def __init__(self, traceback: str) -> None:
        lines = traceback.strip().splitlines() or ["no traceback"]
        super().__init__(f"the board raised {lines[-1]}")
        self.traceback = traceback


class Console:
    """An open REPL. `port` is what `Target.console()` returns or the user gave. Raises
    DeviceError when it is absent, busy or silent, or when the board's console is closed."""

    def __init__(self, port: str, timeout_s: float = ENTER_S) -> None:
        self.port = port
        self._transport: Any = _open(port)
        try:
            self._enter(timeout_s)
        except BaseException:
            self._transport.close()
            raise

    def exec(self, code: str, timeout_s: float = EXEC_S) -> str:
        """Run `code`; what it printed. `timeout_s` bounds each silence. Raises RemoteError."""
        with self._talking("code"):
            output, error = self._transport.exec_raw(code, timeout=timeout_s)
        if error:
            raise RemoteError(error.decode("utf-8", "replace"))
        return output.decode("utf-8", "replace")

    def eval_hex(self, expression: str, timeout_s: float = EXEC_S) -> bytes:
        """The bytes that `expression` is on the board."""
        code = f"import binascii as _b\nprint(_b.hexlify({expression}).decode())"
        text = self.exec(code, timeout_s).strip()
        try:
            return bytes.fromhex(text)
        except ValueError as error:
            raise DeviceError(f"expected hex from the board, got {text[:80]!r}") from error

    def put(
        self, path: str, data: bytes, progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Write file `path` (absolute) by rename, so that a cut leaves the old one or the new.
        Its folder is made. `progress` gets (bytes written, bytes in all)."""
        folder = path.rpartition("/")[0]
        if folder:
            self._make_folder(folder)
        with self._talking(f"file {path}"):
            try:
                self._transport.fs_writefile(f"{path}.new", data, PUT_BYTES, progress)
            except OSError as error:
                raise DeviceError(f"cannot write {path} on the board: {error}") from error
        self.exec(f"import os\nos.rename({path + '.new'!r}, {path!r})")

    def get(self, path: str) -> bytes:
        """The contents of file `path`. Raises DeviceError when there is none."""
        with self._talking(f"file {path}"):
            try:
                return bytes(self._transport.fs_readfile(path, PUT_BYTES))
            except OSError as error:
                raise DeviceError(f"cannot read {path} on the board: {error}") from error

    def start_and_leave(self, code: str) -> None:
        """Start `code` and close the console without waiting: for resets."""
        with self._talking("code"):
            self._transport.exec_raw_no_follow(code)
        self._transport.close()

    def close(self) -> None:
        """Leave the raw REPL and close the port."""
        with contextlib.suppress(OSError, TransportError):  # a board that is gone needs no goodbye
            self._transport.exit_raw_repl()
        with contextlib.suppress(OSError):
            self._transport.close()

    def __enter__(self) -> "Console":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _enter(self, timeout_s: float) -> None:
        step_s = ENTER_FIRST_S
        if self._enter_once(step_s):
            return
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            step_s = min(2 * step_s, ENTER_STEP_S)
            late = self._enter_once(step_s)
            self._drain()  # a late answer brings those to all earlier attempts with it
            if late and self._enter_once(step_s):
                return
        hint = "a locked board opens no REPL; is the board on and the port right?"
        raise DeviceError(f"{self.port}: no REPL after {timeout_s:.0f} s", hint)

    def _enter_once(self, seconds: float) -> bool:
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # mpremote prints what it got
                self._transport.enter_raw_repl(soft_reset=False, timeout_overall=seconds)
        except OSError as error:
            raise DeviceError(f"{self.port}: connection lost: {error}") from error
        except TransportError:
            return False
        return True

    def _drain(self) -> None:
        """Drop what comes in until it is quiet, for a bounded time."""
        line = self._transport.serial
        deadline = time.monotonic() + ENTER_STEP_S
        waiting = 1
        while waiting and time.monotonic() < deadline:
            time.sleep(QUIET_S)
            waiting = line.in_waiting
            line.read(waiting)

    def _make_folder(self, folder: str) -> None:
        parts = folder.strip("/").split("/")
        paths = ["/" + "/".join(parts[: depth + 1]) for depth in range(len(parts))]
        self.exec(
            f"import os\nfor _p in {paths!r}:\n"
            " try: os.mkdir(_p)\n"
            " except OSError as _e:\n"
            "  if _e.errno != 17: raise\n"
        )

    @contextlib.contextmanager
    def _talking(self, what: str) -> Generator[None, None, None]:
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except TransportExecError as error:
            raise RemoteError(str(error)) from error
        except TransportError as error:
            raise DeviceError(
                f"{self.port}: the board did not answer to {what}: {error}"
            ) from error
        except (serial.SerialException, ConnectionError) as error:
            raise DeviceError(f"{self.port}: connection lost: {error}") from error


def _open(port: str) -> Any:
    try:
        return SerialTransport(port, timeout=READ_TIMEOUT_S)
    except (OSError, ValueError, TransportError) as error:
        message, hint = _why(port)
        raise DeviceError(f"cannot open {port}: {message}", hint) from error


def _why(port: str) -> tuple[str, str]:
    """Why `port` does not open, and what to do; mpremote swallows the reason."""
    if "://" not in port and not os.path.exists(port):
        return "there is no such port", "plug the board in, or give --port; `mpremote devs` lists"
    try:
        serial.serial_for_url(port, exclusive=True).close()
    except (OSError, ValueError) as error:
        text = str(error)
        if "exclusively" in text or "Resource temporarily" in text or "busy" in text:
            return "it is busy", "close the program that holds it (mpremote, a serial monitor)"
        if "Permission" in text:
            return "permission denied", "join the group that owns it (often dialout)"
        return text, ""
    return "it did not open at first, but does now", "try again"
