"""What outlives both copies of the boot record: a sealed file in another folder (SPEC 6, S3).

Written before the record, so that it is never below it. Only recovery reads it, and only when no
copy of the record is valid (`rebuild`).
"""

from uward.codec import cbor
from uward.errors import BootRefused
from uward.vault import sealed

PATH = "/id/floor"


def write(secret, record, base=""):
    """Keep floor, sequence, trust document in force and state of a record."""
    value = [record.floor, record.sequence, record.trust_version, record.trust_digest]
    sealed.write(secret, PATH, cbor.encode(value + [record.state]), base)  # noqa: RUF005


def read(secret, base=""):
    """-> [floor, sequence, trust version, digest of that document, state].

    OSError when absent, BadMac when it was not sealed here, BootRefused for another form.
    """
    value = cbor.decode(sealed.read(secret, PATH, base))
    if not isinstance(value, list) or [type(item) for item in value] != [
        int,
        int,
        int,
        bytes,
        int,
    ]:
        raise BootRefused("witness: expected floor, sequence, trust and state, got another")
    return value
