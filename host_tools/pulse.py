"""A recorded pulse for emulated boards: their modelled MAX30102 needs somebody to measure."""

import importlib.util
from pathlib import Path

from host_tools.errors import UsageError
from host_tools.targets.base import Target

HZ = 100  # samples a second, of the default recording and of what a file must hold
SAMPLES_MIN, SAMPLES_MAX = 100, 360_000  # one second, one hour
DEFAULT = "data/data.csv"  # in the package heartpy: a finger, at 100 Hz


def load(path: Path | None = None) -> list[float]:
    """The samples in `path`, one number a line; without one heartpy's first recording. Raises
    UsageError for a file that holds something else."""
    source = path or _default()
    try:
        lines = source.read_text("utf-8").split()
        samples = [float(line) for line in lines]
    except OSError as error:
        raise UsageError(f"{source}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{source}: expected one number a line: {error}") from error
    if not SAMPLES_MIN <= len(samples) <= SAMPLES_MAX:
        raise UsageError(
            f"{source}: {len(samples)} samples, expected {SAMPLES_MIN} to {SAMPLES_MAX} at {HZ} Hz"
        )
    return samples


def replay(board: Target, samples: list[float]) -> bool:
    """Let an emulated board measure `samples`, over and over; False for a real board."""
    from host_tools.targets.picow import PicoW
    from host_tools.targets.unix import Unix

    if isinstance(board, (PicoW, Unix)):
        board.replay(samples, HZ)
        return True
    return False


def _default() -> Path:
    """heartpy's recording, without importing heartpy and all that it brings."""
    found = importlib.util.find_spec("heartpy")
    if found is None or not found.submodule_search_locations:
        raise UsageError("no recorded pulse: heartpy is not installed", "run `make setup`")
    return Path(found.submodule_search_locations[0]) / DEFAULT
