"""CBOR of devices on the host: cbor2, held to the deterministic subset (SPEC, RFC 8949 4.2.1)."""

from collections.abc import Mapping
from typing import Any, cast

import cbor2

from host_tools.errors import Refused
from host_tools.fleet import limits


class Malformed(Refused):
    """Bytes from a device that are not what SPEC demands; event `proto.malformed`."""


def encode(value: object) -> bytes:
    """The one deterministic encoding of `value`; our maps have keys of one byte only."""
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes) -> Any:
    """`data` as a value. Raises Malformed when another encoding of the value is shorter (S19).

    Re-encoding catches what cbor2 lets pass: trailing bytes, disorder, non-shortest forms.
    """
    if len(data) > limits.SEALED_BYTES:
        raise Malformed(f"expected at most {limits.SEALED_BYTES} bytes of CBOR, got {len(data)}")
    try:
        value = cbor2.loads(
            data,
            max_depth=limits.CBOR_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
        )
        again = encode(value)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError) as error:
        raise Malformed(f"expected CBOR, got {type(error).__name__}") from error
    if again != data:
        raise Malformed("expected deterministic CBOR, got another encoding")
    return value


def array(value: object, length: int, what: str) -> list[Any]:
    """`value` as a list of `length` items. Raises Malformed (cbor2 gives tuples inside a tag)."""
    if not isinstance(value, (list, tuple)) or len(cast("list[Any]", value)) != length:
        raise Malformed(f"{what}: expected an array of {length}, got {brief(cast(Any, value))}")
    return list(cast("list[Any]", value))


def mapping(value: object, what: str) -> dict[Any, Any]:
    """`value` as a dict. Raises Malformed (cbor2 gives another mapping inside a tag)."""
    if not isinstance(value, Mapping):
        raise Malformed(f"{what}: expected a map, got {brief(value)}")
    return dict(cast("Mapping[Any, Any]", value))


def octets(value: object, length: int, what: str) -> bytes:
    """`value` as a byte string of `length` bytes. Raises Malformed."""
    if not isinstance(value, bytes) or len(value) != length:
        raise Malformed(f"{what}: expected {length} bytes, got {brief(value)}")
    return value


def blob(value: object, what: str) -> bytes:
    """`value` as a byte string. Raises Malformed."""
    if not isinstance(value, bytes):
        raise Malformed(f"{what}: expected bytes, got {brief(value)}")
    return value


def uint(value: object, maximum: int, what: str) -> int:
    """`value` as an integer 0..maximum. Raises Malformed."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= maximum:
        raise Malformed(f"{what}: expected an integer 0..{maximum}, got {brief(value)}")
    return value


def text(value: object, what: str) -> str:
    """`value` as printable text of at most TEXT_CHARS. Raises Malformed."""
    if not isinstance(value, str) or len(value) > limits.TEXT_CHARS or not printable(value):
        raise Malformed(f"{what}: expected printable text, got {brief(value)}")
    return value


def number(value: object, what: str) -> float:
    """`value` as an int or a finite float. Raises Malformed."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not -1e300 < value < 1e300
    ):
        raise Malformed(f"{what}: expected a number, got {brief(value)}")
    return value


def printable(value: str) -> bool:
    """No control characters: device text reaches terminals and log files."""
    return value == "" or value.isprintable()


def brief(value: object) -> str:
    """What came, short enough for one line."""
    shown = ascii(value)
    return shown if len(shown) <= 40 else shown[:37] + "..."
