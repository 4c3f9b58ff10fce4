"""The project's cache: downloaded firmware and built emulator cores, each verified or keyed."""

import fcntl
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def directory() -> Path:
    """`$UWARD_CACHE`, or `.cache/uward` of the project; made when absent."""
    path = Path(os.environ.get("UWARD_CACHE") or PROJECT / ".cache" / "uward")
    path.mkdir(parents=True, exist_ok=True)
    return path


def write(path: Path, data: bytes) -> None:
    """Write `data` to `path` by rename, so that no reader sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def lock(name: str) -> Generator[None, None, None]:
    """Hold the cache's lock `name`: of two processes that want the same thing, one makes it."""
    with open(directory() / f"{name}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
