"""`/build` and `/digests` of an image (SPEC 2): what it is, and what each file must be."""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import cbor2

from host_tools.errors import Refused
from host_tools.image import romfs

FORMAT = 1
STRAP = 9  # member of /build
DIGEST_SIZE = 16  # bytes of SHA-256 that the table keeps a file: 128 bits against second preimages
BUILD = "/build"
DIGESTS = "/digests"
FOLDER = struct.pack(">II", 0, 0xFFFFFFFF) + bytes(DIGEST_SIZE)


@dataclass(frozen=True)
class Build:
    """What `/build` says. `time` is unix seconds, `arch` mpy-cross's name of the native code."""

    version: str
    sequence: int
    security_version: int
    time: int
    board: str
    entry: str
    arch: str
    strap: int = -1  # GPIO that opens the service console, -1 without one


def build_file(build: Build) -> bytes:
    """`/build`: CBOR `{1: 1, 2: version, 3: sequence, ...}`."""
    values = (
        build.version,
        build.sequence,
        build.security_version,
        build.time,
        build.board,
        build.entry,
        build.arch,
    )
    members = {1: FORMAT, **dict(enumerate(values, 2))}
    if build.strap >= 0:
        members[STRAP] = build.strap
    return cbor2.dumps(members, canonical=True)


def table(image: bytes) -> bytes:
    """`/digests` of an image (SPEC 2): names, and for each file where it lies and its digest."""
    spans = romfs.spans(image)
    spans.pop(DIGESTS, None)
    lines: dict[str, bytes] = {}
    for path, (start, stop) in spans.items():
        lines[path] = struct.pack(">II", start, stop - start) + digest(image[start:stop])
        for folder in PurePosixPath(path).parents:
            lines.setdefault(str(folder), FOLDER)
    del lines["/"]
    names = "\n" + "".join(path + "\n" for path in sorted(lines))
    entries = b"".join(lines[path] for path in sorted(lines))
    return struct.pack(">HI", len(lines), len(names.encode())) + names.encode() + entries


def pack(files: Mapping[str, bytes]) -> bytes:
    """One image of `files` and its own `/digests`, whose size does not depend on its values."""
    draft = romfs.pack({**files, DIGESTS: b""})
    draft = romfs.pack({**files, DIGESTS: table(draft)})
    return romfs.pack({**files, DIGESTS: table(draft)})


def digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:DIGEST_SIZE]


def seal(files: Mapping[str, bytes], build: Build) -> bytes:
    """The image of `files` with `/build` and `/digests` put in."""
    return pack({**files, BUILD: build_file(build)})


def inspect(image: bytes) -> Build:
    """What `image` says of itself. Raises Refused when it is no image, has no such files, or a
    file differs from its digest."""
    files = romfs.unpack(image)
    for path in (BUILD, DIGESTS):
        if path not in files:
            raise Refused(f"image has no {path}: it was not made by `uward build`")
    if files[DIGESTS] != table(image):
        raise Refused("image does not match its own digest table: it was changed after the build")
    return _parse(files[BUILD])


def _parse(data: bytes) -> Build:
    try:
        value: Any = cbor2.loads(data)
        if value[1] != FORMAT:
            raise Refused(f"image format is {value[1]}, expected {FORMAT}")
        build = Build(*(value[key] for key in range(2, 9)), strap=value.get(STRAP, -1))
    except (cbor2.CBORDecodeError, KeyError, TypeError) as error:
        raise Refused(f"image's /build cannot be read: {error}") from error
    return build
