"""The keys that sign for a device: its identity key, the one that takes over from it, the one that
it took over from (SPEC 8).

A device renews its certificate with a new key. From the answer until a connection has proved it
both are good; what the old one signed before may still wait in the device's outbox.
"""

from cryptography.hazmat.primitives.asymmetric import ec

from host_tools.errors import Refused
from host_tools.fleet.inventory import Device
from host_tools.signing import cose


def verify1(
    data: bytes, record: Device, domain: bytes, what: str, former: bool = False
) -> tuple[bytes, str]:
    """-> (payload of a COSE_Sign1, the key in hex that signed it). former: also the last one.

    Raises Refused: the identity key's refusal, when it is no key of this device.
    """
    refusal: Refused | None = None
    for raw in keys(record, former):
        try:
            return cose.verify1(data, cose.ec2_key(point(raw, record.id)), domain, what), raw
        except Refused as error:
            refusal = refusal or error
    raise refusal or Refused(f"{record.id}: no key is known")


def keys(record: Device, former: bool = False) -> list[str]:
    """Hex x | y, the identity key first."""
    every = [record.identity_public_key, record.next_public_key]
    return [raw for raw in every + [record.former_public_key] * former if raw]


def point(raw: str, device: str) -> ec.EllipticCurvePublicKey:
    """x | y in hex -> key. Raises Refused."""
    try:
        data = b"\x04" + bytes.fromhex(raw)
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data)
    except ValueError as error:
        raise Refused(f"{device}: the enrolled identity key is no point on P-256") from error
