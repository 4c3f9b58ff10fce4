"""One process at a time in a fleet directory or at a signing key: an advisory lock on a file.

The lock goes with the process that held it, so a killed one never leaves a stale lock.
"""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from host_tools.errors import Refused

if sys.platform == "win32":
    import msvcrt

    def _acquire(file: BinaryIO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _acquire(file: BinaryIO) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


POLL_S = 0.02


@contextmanager
def held(path: Path, what: str, wait_s: float = 0) -> Generator[None]:
    """Hold the lock at `path` for the block. Raises Refused when another has it for `wait_s`."""
    until = time.monotonic() + wait_s
    with path.open("ab") as file:
        while True:
            try:
                _acquire(file)
                break
            except OSError as error:
                if time.monotonic() >= until:
                    raise Refused(
                        f"{what} is in use by another process ({path} is locked)",
                        "wait until it has ended, then try again",
                    ) from error
            time.sleep(POLL_S)
        yield
