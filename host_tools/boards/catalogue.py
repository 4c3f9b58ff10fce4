"""The boards that uWard knows: `boards/*.toml`, read strictly."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_tools import strict
from host_tools.errors import UsageError

BOARDS_DIR = Path(__file__).resolve().parents[2] / "boards"
FORMATS = ("uf2", "esp", "littlefs")
PORTS = ("rp2", "esp32", "unix")
KEY_SOURCES = ("flash", "pin", "network", "secure-element", "efuse-hmac")


@dataclass(frozen=True)
class Flash:
    """The flash map. All in bytes; `format` is that of a whole image for this board."""

    format: str
    size: int
    firmware_offset: int
    fs_offset: int
    fs_size: int
    fs_block: int
    fs_prog: int

    @property
    def fs_blocks(self) -> int:
        return self.fs_size // self.fs_block


@dataclass(frozen=True)
class ImageSource:
    """Where the stock firmware comes from: a package member, or the download page's own file."""

    package: str
    version: str
    member: str
    sha256: str
    page: str
    file: str


@dataclass(frozen=True)
class SecureElement:
    """Where an ATECC508A or ATECC608 is expected: 7-bit address, I2C bus and pins; `slot` holds
    the secret."""

    slot: int
    address: int
    bus: int
    sda: int
    scl: int


@dataclass(frozen=True)
class Efuse:
    """The HMAC engine: key block 0 to 5, offset of PERIP_CLK_EN1 in the system registers."""

    block: int
    clocks: int


@dataclass(frozen=True)
class Ota:
    """Room for two interpreters: bytes of each, a multiple of 64 KB."""

    slot: int


@dataclass(frozen=True)
class Board:
    """One board. `heap_bytes` and `watchdog_max_ms` are 0 where there is no figure."""

    name: str
    title: str
    mcu: str
    port: str
    mpy_arch: str
    heap_bytes: int
    watchdog_max_ms: int
    targets: list[str]
    key_sources: list[str]
    cannot_protect: list[str]
    flash: Flash
    image: ImageSource | None = None
    secure_element: SecureElement | None = None
    efuse: Efuse | None = None
    strap_pin: int = -1  # GPIO that, tied to ground, opens the service console; -1: none
    ota: Ota | None = None


def names(directory: Path = BOARDS_DIR) -> list[str]:
    """Names of all boards in `directory`, sorted."""
    return sorted(path.stem for path in directory.glob("*.toml"))


def load(name: str, directory: Path = BOARDS_DIR) -> Board:
    """The board `name`. Raises UsageError for an unknown board or a file that is not right."""
    strict.choice("board", name, names(directory))
    path = directory / f"{name}.toml"
    board = _parse(strict.load(path), path)
    if board.name != name:
        raise UsageError(f"{path}: name is {board.name!r}, expected {name!r} as the file's own")
    return board


def _parse(data: dict[str, Any], path: Path) -> Board:
    tables: dict[str, type[Any]] = {
        "flash": Flash,
        "image": ImageSource,
        "secure_element": SecureElement,
        "efuse": Efuse,
        "ota": Ota,
    }
    values = dict(data)
    for key, cls in tables.items():
        if isinstance(values.get(key), dict):
            values[key] = strict.table(cls, values[key], f"{path}: [{key}]")
    board = strict.table(Board, values, str(path))
    _check(board, path)
    return board


def _check(board: Board, path: Path) -> None:
    flash = board.flash
    for source in board.key_sources:
        strict.choice(f"{path}: key source", source, KEY_SOURCES)
    for source, table in (("secure-element", board.secure_element), ("efuse-hmac", board.efuse)):
        if (source in board.key_sources) != (table is not None):
            raise UsageError(f"{path}: key source {source} and its table come together")
    if flash.format not in FORMATS:
        raise UsageError(f"{path}: format is {flash.format!r}, expected one of {FORMATS}")
    if board.port not in PORTS:
        raise UsageError(f"{path}: port is {board.port!r}, expected one of {PORTS}")
    if board.ota is not None and (flash.format != "esp" or board.ota.slot % 0x10000):
        raise UsageError(f"{path}: [ota] is for ESP32, and slot a multiple of 64 KB")
    if flash.fs_offset + flash.fs_size > flash.size:
        raise UsageError(f"{path}: the file system ends behind the flash ({flash.size} bytes)")
    if flash.fs_size % flash.fs_block or flash.fs_offset % flash.fs_block:
        raise UsageError(f"{path}: the file system is not a whole number of {flash.fs_block} B")
