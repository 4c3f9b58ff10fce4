"""Trust documents in flash: a file is believed for the digest that the boot record has of it."""

from uward import files, limits
from uward.errors import TrustError
from uward.trust import anchors

FOLDER = "/trust"


def path(version, base=""):
    """Where a version lies."""
    return base + FOLDER + "/%d" % version


def read(version, digest, base=""):
    """-> Document. digest: its own, whole or cut. TrustError for another, OSError when absent."""
    document = anchors.parse(files.read(path(version, base), limits.CBOR_BYTES))
    if not digest or document.digest[: len(digest)] != digest:
        raise TrustError("trust: expected the document in the boot record, got another")
    return document


def in_force(record, base=""):
    """-> the Document that the boot record names."""
    return read(record.trust_version, record.trust_digest, base)
