"""`/build` and `/digests` of an image (SPEC 2): what it is, how each file is stored, and what it
must be."""

import hashlib
import struct
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import cbor2

from host_tools.errors import Refused
from host_tools.image import deflate, romfs

FORMAT = 1
STRAP = 9  # member of /build
DIGEST_SIZE = 16  # bytes of SHA-256 that the table keeps a file: 128 bits against second preimages
BUILD = "/build"
DIGESTS = "/digests"
FOLDER = struct.pack(">II", 0, 0xFFFFFFFF) + bytes(DIGEST_SIZE)
DEFLATED = 0x80000000  # bit of a size: the file is stored as raw DEFLATE
ENTRY = ">II16s"
COUNTS = ">HI"
WORTH = 0.9  # of its size: a file that does not shrink to that is stored as it is
FILE_BYTES = 1024 * 1024  # what a stored file may inflate to: more than any board's heap


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


def table(image: bytes, deflated: Collection[str] = ()) -> bytes:
    """`/digests` of an image (SPEC 2): names, and for each file where it lies, whether it is one
    of `deflated`, and the digest of what is stored."""
    spans = romfs.spans(image)
    spans.pop(DIGESTS, None)
    lines: dict[str, bytes] = {}
    for path, (start, stop) in spans.items():
        size = stop - start | (DEFLATED if path in deflated else 0)
        lines[path] = struct.pack(">II", start, size) + digest(image[start:stop])
        for folder in PurePosixPath(path).parents:
            lines.setdefault(str(folder), FOLDER)
    del lines["/"]
    names = "\n" + "".join(path + "\n" for path in sorted(lines))
    entries = b"".join(lines[path] for path in sorted(lines))
    return struct.pack(COUNTS, len(lines), len(names.encode())) + names.encode() + entries


def pack(files: Mapping[str, bytes]) -> bytes:
    """One image of `files`, deflated where that is worth it, and its own `/digests`, whose size
    does not depend on its values."""
    small = {path: deflate.deflate(content) for path, content in files.items()}
    small = {path: made for path, made in small.items() if len(made) <= WORTH * len(files[path])}
    stored = {**files, **small}
    draft = romfs.pack({**stored, DIGESTS: b""})
    draft = romfs.pack({**stored, DIGESTS: table(draft, small)})
    return romfs.pack({**stored, DIGESTS: table(draft, small)})


def contents(image: bytes) -> dict[str, bytes]:
    """`{absolute path: content}` as a device opens it. Raises Refused when it is no image, has no
    `/digests`, differs from it, or holds a stream that cannot be inflated."""
    files = romfs.unpack(image)
    if DIGESTS not in files:
        raise Refused(f"image has no {DIGESTS}: it was not made by `uward build`")
    deflated = _deflated(files[DIGESTS])
    if files[DIGESTS] != table(image, deflated):
        raise Refused("image does not match its own digest table: it was changed after the build")
    return {**files, **{path: _inflated(path, files[path]) for path in deflated}}


def _deflated(index: bytes) -> set[str]:
    """Paths of the files that a table calls deflated; whatever else it holds is not looked at."""
    try:
        count, size = struct.unpack_from(COUNTS, index)
        start = struct.calcsize(COUNTS)
        names = index[start : start + size].decode().split("\n")[1:-1]
        entries = [*struct.iter_unpack(ENTRY, index[start + size :])]
    except (struct.error, UnicodeDecodeError) as error:
        raise Refused(f"image's {DIGESTS} cannot be read: {error}") from error
    if not len(names) == len(entries) == count:
        raise Refused(f"image's {DIGESTS} has {len(names)} names, {len(entries)} entries")
    pairs = zip(names, entries, strict=True)
    return {name for name, (at, size, _) in pairs if at and size & DEFLATED}


def _inflated(path: str, stored: bytes) -> bytes:
    stream = zlib.decompressobj(-deflate.WINDOW_BITS)
    try:
        content = stream.decompress(stored, FILE_BYTES)
    except zlib.error as error:
        raise Refused(f"image's {path} cannot be inflated: {error}") from error
    if not stream.eof or stream.unused_data:
        raise Refused(f"image's {path} is not one whole stream of <= {FILE_BYTES} bytes")
    return content


def digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:DIGEST_SIZE]


def seal(files: Mapping[str, bytes], build: Build) -> bytes:
    """The image of `files` with `/build` and `/digests` put in."""
    return pack({**files, BUILD: build_file(build)})


def inspect(image: bytes) -> Build:
    """What `image` says of itself. Raises Refused when it is no image, has no such file, or a
    file differs from its digest or cannot be inflated."""
    files = contents(image)
    if BUILD not in files:
        raise Refused(f"image has no {BUILD}: it was not made by `uward build`")
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
