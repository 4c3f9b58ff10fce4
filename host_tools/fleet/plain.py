"""Deterministic CBOR with floats (RFC 8949 4.2.1), for commands and policies."""

from collections.abc import Mapping
from typing import Any, cast

import cbor2

from host_tools.errors import Refused

ARRAY, MAP = 4, 5  # major types (RFC 8949 3.1)
LIMIT = 16 * 1024  # bytes of one object: as CBOR_BYTES on the device
DEPTH = 12  # as CBOR_DEPTH on the device


def encode(value: object) -> bytes:
    """`value` in its one encoding: shortest floats, keys in the order of their bytes."""
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        parts = sorted((encode(key), encode(item)) for key, item in pairs)
        return _head(MAP, len(parts)) + b"".join(key + item for key, item in parts)
    if isinstance(value, (list, tuple)):
        items = cast("list[Any]", value)
        return _head(ARRAY, len(items)) + b"".join(encode(item) for item in items)
    return cbor2.dumps(value, canonical=True)  # of one leaf: the shortest form, no order


def decode(data: bytes, what: str) -> Any:
    """The value of `data`. Raises Refused when it is not exactly its deterministic encoding."""
    if len(data) > LIMIT:
        raise Refused(f"{what}: expected at most {LIMIT} bytes, got {len(data)}")
    try:
        value: Any = cbor2.loads(data, max_depth=DEPTH, allow_indefinite=False)
        again = encode(value)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError) as error:
        raise Refused(f"{what}: expected CBOR, got {len(data)} bytes that are not") from error
    if again != data:
        raise Refused(f"{what}: not in deterministic encoding (RFC 8949 4.2.1)")
    return value


def _head(major: int, count: int) -> bytes:
    head = bytearray(cbor2.dumps(count))
    head[0] |= major << 5
    return bytes(head)
