"""Names of SPEC 1: device, fleet, vendor and class identifiers."""

import re
import secrets
import uuid

from host_tools.errors import UsageError

# S11: the id stands in topics and in the certificate, so it says nothing about anybody.
DEVICE_ID = re.compile(r"[a-z0-9]{16,32}")
DEVICE_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
DEVICE_ID_LENGTH = 20  # characters; 103 bits: no two alike in any fleet
FLEET_ID_SIZE = 16  # bytes
DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")


def new_device_id() -> str:
    """A random device id."""
    return "".join(secrets.choice(DEVICE_ID_ALPHABET) for _ in range(DEVICE_ID_LENGTH))


def check_device_id(device_id: str) -> str:
    """The id itself. Raises UsageError when it is not `[a-z0-9]{16,32}`."""
    if not DEVICE_ID.fullmatch(device_id):
        raise UsageError(f"device id: expected 16 to 32 of a-z, 0-9, got {device_id!r}")
    return device_id


def new_fleet_id() -> bytes:
    """16 random bytes."""
    return secrets.token_bytes(FLEET_ID_SIZE)


def vendor_id(domain: str) -> bytes:
    """SUIT vendor-identifier: UUIDv5(DNS namespace, vendor domain), 16 bytes."""
    if not DOMAIN.fullmatch(domain):
        raise UsageError(f"vendor: expected a domain name such as 'example.com', got {domain!r}")
    return uuid.uuid5(uuid.NAMESPACE_DNS, domain).bytes


def class_id(vendor: bytes, board: str) -> bytes:
    """SUIT class-identifier: UUIDv5(vendor id, board name), 16 bytes."""
    return uuid.uuid5(uuid.UUID(bytes=vendor), board).bytes


def device_identifier(class_identifier: bytes, device_id: str) -> bytes:
    """SUIT device-identifier: UUIDv5(class id, device id), 16 bytes."""
    return uuid.uuid5(uuid.UUID(bytes=class_identifier), check_device_id(device_id)).bytes
