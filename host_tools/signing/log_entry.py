"""What the release log says (SPEC 14): one entry a release, and signed tree heads. Pure."""

from dataclasses import dataclass
from typing import Any

from host_tools.errors import Refused
from host_tools.signing import author, cose, cosign, lms, log_tree, suit
from host_tools.signing.roles import LOG_DOMAIN

ENTRY_FORMAT = 1
HEAD_FORMAT = 1
DIGEST = 32  # bytes
MAX_SIZE = 1 << 24  # entries: what a path of 24 hashes reaches, and devices take
KIND = cosign.Kind("log head", LOG_DOMAIN)


@dataclass(frozen=True)
class Entry:
    """One release. `used`: (kid, index) of each HSS-LMS signature in its envelope."""

    digest: bytes
    sequence: int
    class_id: bytes
    time: int
    used: tuple[tuple[bytes, int], ...]


@dataclass(frozen=True)
class Head:
    """How the log stands: `size` entries whose tree has this root. `time`: unix seconds."""

    fleet_id: bytes
    size: int
    root: bytes
    time: int


def entry_for(envelope: bytes, now: int) -> Entry:
    """The entry of a signed envelope. Raises Refused for what is none."""
    taken = suit.parse(envelope)
    facts = author.inspect(envelope)
    used = tuple(
        (block.kid, lms.index_of(block.signature))
        for block in taken.blocks
        if block.alg == cose.HSS_LMS
    )
    class_id = bytes.fromhex(facts["class_id"])
    return Entry(taken.digest, facts["sequence"], class_id, now, used)


def encode_entry(entry: Entry) -> bytes:
    used = [[kid, index] for kid, index in entry.used]
    return cose.encode(
        [ENTRY_FORMAT, entry.digest, entry.sequence, entry.class_id, entry.time, used]
    )


def parse_entry(data: bytes, what: str) -> Entry:
    """Raises Refused for bytes that `encode_entry` would not give."""
    form, digest, sequence, class_id, time, used = cose.array(cose.decode(data, what), 6, what)
    pairs = [cose.array(pair, 2, what) for pair in cose.items(used, what)]
    _octets(digest, DIGEST, what)
    _octets(class_id, author.UUID_SIZE, what)
    for kid, _ in pairs:
        _octets(kid, cose.KID_SIZE, what)
    if form != ENTRY_FORMAT or not _uints(sequence, time, *(index for _, index in pairs)):
        raise Refused(f"{what}: expected format {ENTRY_FORMAT} and unsigned integers")
    return Entry(digest, sequence, class_id, time, tuple((kid, q) for kid, q in pairs))


def encode_head(head: Head) -> bytes:
    return cose.encode([HEAD_FORMAT, head.fleet_id, head.size, head.root, head.time])


def parse_head(payload: bytes) -> Head:
    """The payload of a signed head. Raises Refused."""
    what = KIND.what
    form, fleet_id, size, root, time = cose.array(cose.decode(payload, what), 5, what)
    _octets(fleet_id, 16, what)
    _octets(root, log_tree.HASH, what)
    if form != HEAD_FORMAT or not _uints(size, time) or size > MAX_SIZE:
        raise Refused(f"{what}: expected format {HEAD_FORMAT}, a size and a time")
    return Head(fleet_id, size, root, time)


def refuse_reuse(entries: list[Entry]) -> None:
    """One one-time index in two releases gives the key away (T14). Raises Refused."""
    seen: dict[tuple[bytes, int], Entry] = {}
    for entry in entries:
        for kid, index in entry.used:
            first = seen.setdefault((kid, index), entry)
            if first.digest != entry.digest:
                raise Refused(
                    f"sign.state_reuse: key {kid.hex()} signed releases {first.sequence} and "
                    f"{entry.sequence} with one index, {index}",
                    "its one-time values are public: revoke the key",
                )


def _octets(value: object, size: int, what: str) -> None:
    if not isinstance(value, bytes) or len(value) != size:
        raise Refused(f"{what}: expected a byte string of {size}")


def _uints(*values: Any) -> bool:
    return all(type(value) is int and value >= 0 for value in values)
