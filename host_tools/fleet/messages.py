"""What devices say, opened: plaintexts of SPEC 8 as typed values. Pure.

Each `parse_*` raises codec.Malformed with what was expected and what came.
"""

import re
from dataclasses import dataclass
from typing import Any

from host_tools.fleet import codec, limits
from host_tools.fleet.store import Reading
from host_tools.vault import audit

UP = ("tele", "event", "log", "cmd", "att", "ota", "est")
NUMBERED = ("tele", "event", "log", "cmd")  # acknowledged, in one sequence space
DOTTED = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
U32 = 2**32 - 1
I64 = 2**63
HELLO_LOG = 17  # hello's member: how large the release log was when the device last saw it
LOG_START = 64
LOG_ID = 8
SENML_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/-]*")  # RFC 8428 4.5.1
SENML_RELATIVE = 2**28  # RFC 8428 4.5.3: times below are relative to the reception
HELLO_STARTS = 16  # hello's member: number of this context among those of this flash
HELLO_INTERPRETER = 18  # sequence of the interpreter in use, 0 the factory's; absent: no room
QUARANTINED, RESTING, EMERGENCY = 1, 2, 4  # what commands left a device in (SPEC 11)

# SenML labels in CBOR, RFC 8428 6
BVER, BN, BT, BU, BV, BS = -1, -2, -3, -4, -5, -6
N, U, V, VS, VB, S, T, VD = 0, 1, 2, 3, 4, 5, 6, 8


@dataclass(frozen=True)
class Topic:
    device: str
    purpose: str


@dataclass(frozen=True)
class Plaintext:
    """`[stream, sequence, body]`; sequence 0 wants no acknowledgement."""

    stream: bytes
    sequence: int
    body: Any


@dataclass(frozen=True)
class Proof:
    """What proves an event: its number in the log of one boot, and a MAC (SPEC 10; S14)."""

    log: bytes  # the first 8 bytes of the start of that log
    number: int
    uptime: int  # ms
    mac: bytes


@dataclass(frozen=True)
class Told:
    """An event as the device tells it; without a proof before the boot's log has begun."""

    name: str
    reason: str
    time: float
    quality: int
    proof: Proof | None = None


@dataclass(frozen=True)
class Hello:
    """What a device says of itself when it connects."""

    nonce: bytes
    version: str
    sequence: int
    security_version: int
    slot: str
    trial: bool
    state: int
    trust_version: int
    board: str
    manifest_digest: bytes
    time_quality: int
    free_heap: int
    lost: int
    oldest: int | None  # the oldest sequence that the device still keeps
    policy: int = 0  # version of the policy in force
    flags: int = 0  # QUARANTINED, RESTING, EMERGENCY
    log: int = 0  # entries of the release log when the device last saw it
    starts: int | None = None  # how many contexts this flash has begun: it only rises (T17)
    interpreter: int | None = None  # sequence of MicroPython itself, where there is room for two


@dataclass(frozen=True)
class Get:
    payload: bytes
    first: int
    count: int


@dataclass(frozen=True)
class State:
    payload: bytes
    name: str
    detail: str


def parse_topic(topic: str) -> Topic:
    """`uward/v1/<device>/up/<purpose>`."""
    levels = topic.split("/")
    if len(levels) != 5 or levels[:2] != ["uward", "v1"] or levels[3] != "up":
        raise codec.Malformed(f"expected a topic uward/v1/<device>/up/..., got {topic!r}")
    if levels[4] not in UP:
        raise codec.Malformed(f"expected one of {', '.join(UP)}, got {levels[4]!r}")
    return Topic(levels[2], levels[4])


def down_topic(device: str, purpose: str) -> str:
    return f"uward/v1/{device}/down/{purpose}"


def parse_plaintext(data: bytes) -> Plaintext:
    stream, sequence, body = codec.array(codec.decode(data), 3, "plaintext")
    return Plaintext(
        codec.octets(stream, 16, "stream"),
        codec.uint(sequence, limits.SEQUENCE_MAX, "sequence"),
        body,
    )


def parse_event(body: Any) -> Told:
    proved = isinstance(body, list) and len(body) == 5  # type: ignore[reportUnknownArgumentType]
    items = codec.array(body, 5 if proved else 4, "event")  # type: ignore[reportUnknownArgumentType]
    name, reason, *proof, when, quality = items
    if not DOTTED.fullmatch(codec.text(name, "event name")):
        raise codec.Malformed(f"event name: expected a dotted name, got {codec.brief(name)}")
    return Told(
        name,
        codec.text(reason, "reason"),
        _time(codec.number(when, "time")),
        codec.uint(quality, 2, "time quality"),
        _proof(proof[0]) if proof else None,
    )


def _proof(item: object) -> Proof:
    log, number, uptime, mac = codec.array(item, 4, "proof")
    return Proof(
        codec.octets(log, LOG_ID, "log"),
        codec.uint(number, U32, "number"),
        codec.uint(uptime, I64, "uptime"),
        codec.octets(mac, audit.MAC, "MAC"),
    )


def parse_log(body: object) -> bytes:
    """The start of the log of one boot's events: an ephemeral key, x | y."""
    return codec.octets(body, LOG_START, "start of the log")


def parse_hello(body: object) -> Hello:
    found = codec.mapping(body, "hello")
    missing = [key for key in range(1, 14) if key not in found]
    if missing or set(found) - set(range(1, HELLO_INTERPRETER + 1)):
        raise codec.Malformed(f"hello: expected the members 1 to 13, got {sorted(found, key=str)}")
    slot, trial, digest, oldest = found[5], found[6], found[10], found.get(14)
    if slot not in ("a", "b", "r") or not isinstance(trial, bool):
        raise codec.Malformed("hello: expected a slot a, b or r and whether it is a trial")
    interpreter, starts = found.get(HELLO_INTERPRETER), found.get(HELLO_STARTS)
    obedience = codec.array(found.get(15, [0, 0]), 2, "obedience")
    return Hello(
        codec.octets(found[1], 16, "nonce"),
        codec.text(found[2], "version"),
        codec.uint(found[3], U32, "sequence"),
        codec.uint(found[4], U32, "security version"),
        slot,
        trial,
        codec.uint(found[7], 255, "state"),
        codec.uint(found[8], U32, "trust version"),
        codec.text(found[9], "board"),
        codec.octets(digest, 32, "manifest digest"),
        codec.uint(found[11], 2, "time quality"),
        codec.uint(found[12], U32, "free heap"),
        codec.uint(found[13], U32, "samples lost"),
        None if oldest is None else codec.uint(oldest, limits.SEQUENCE_MAX, "oldest sequence"),
        codec.uint(obedience[0], U32, "policy version"),
        codec.uint(obedience[1], QUARANTINED | RESTING | EMERGENCY, "flags"),
        codec.uint(found.get(HELLO_LOG, 0), U32, "size of the log"),
        None if starts is None else codec.uint(starts, U32, "number of starts"),
        None if interpreter is None else codec.uint(interpreter, U32, "interpreter's sequence"),
    )


def parse_ota(body: object) -> Get | State:
    items = codec.array(body, 4, "ota")
    kind = items[0]
    payload = codec.octets(items[1], 8, "payload id")
    if kind == "get":
        first = codec.uint(items[2], U32, "first block")
        count = codec.uint(items[3], limits.WINDOW_BLOCKS, "count of blocks")
        return Get(payload, first, count)
    if kind == "state":
        return State(payload, codec.text(items[2], "state"), codec.text(items[3], "detail"))
    raise codec.Malformed(f"ota: expected get or state, got {codec.brief(kind)}")


def parse_est(body: object) -> bytes:
    """`["renew", COSE_Sign1]` -> the request, with the present key's word for it."""
    kind, request = codec.array(body, 2, "est")
    if kind != "renew" or not isinstance(request, bytes):
        raise codec.Malformed(f"est: expected renew and a request, got {codec.brief(kind)}")
    return request


def parse_senml(body: object, now: float) -> list[Reading]:
    """A pack resolved to readings (RFC 8428 4.6); `now` dates relative times."""
    if not isinstance(body, list):
        raise codec.Malformed(f"SenML: expected an array, got {codec.brief(body)}")
    records: list[Any] = body  # type: ignore[reportUnknownVariableType]
    if not 1 <= len(records) <= limits.RECORDS:
        raise codec.Malformed(f"SenML: expected 1 to {limits.RECORDS} records, got {len(records)}")
    base: dict[int, Any] = {BN: "", BT: 0, BU: "", BV: 0, BS: 0}
    readings: list[Reading] = []
    for item in records:
        record = codec.mapping(item, "SenML record")
        _check_labels(record)
        base.update({label: record[label] for label in base if label in record})
        readings += _reading(record, base, now)
    return readings


def _check_labels(record: dict[Any, Any]) -> None:
    """RFC 8428 4.4: a label that ends in an underscore must be understood; others may not be."""
    strange = [key for key in record if isinstance(key, str) and key.endswith("_")]
    if strange or record.get(BVER, 10) != 10:
        raise codec.Malformed("SenML: expected version 10 and no mandatory labels, got others")


def _reading(record: dict[Any, Any], base: dict[int, Any], now: float) -> list[Reading]:
    values = [label for label in (V, VS, VB, VD, S) if label in record]
    if not values:
        return []  # a record of base values only
    if len(values) > 1 and values != [values[0], S]:
        raise codec.Malformed("SenML: expected one value in a record, got several")
    name = codec.text(base[BN], "base name") + codec.text(record.get(N, ""), "name")
    if not SENML_NAME.fullmatch(name):
        raise codec.Malformed(f"SenML: expected a name, got {codec.brief(name)}")
    when = codec.number(base[BT], "base time") + codec.number(record.get(T, 0), "time")
    if when < SENML_RELATIVE:
        when += now
    unit = codec.text(record.get(U, base[BU]), "unit")
    return [Reading(name, unit, _time(when), _value(record, values[0], base))]


def _time(seconds: float) -> float:
    """Unix seconds that a person can be shown."""
    if not 0 <= seconds <= limits.TIME_MAX:
        raise codec.Malformed(f"time: expected 0 to {limits.TIME_MAX}, got {seconds:g}")
    return seconds


def _value(record: dict[Any, Any], label: int, base: dict[int, Any]) -> float | str | bool | bytes:
    value = record[label]
    if label == VS:
        return codec.text(value, "string value")
    if label == VB and isinstance(value, bool):
        return value
    if label == VD and isinstance(value, bytes):
        return value
    if label not in (V, S):
        raise codec.Malformed(f"SenML: expected a value of its label, got {codec.brief(value)}")
    total = codec.number(value, "value")
    total += codec.number(base[BV if label == V else BS], "base value")
    return total if -I64 <= total < I64 else float(total)  # SQLite counts no further
