"""The log of one boot: each event proved, no past one forged by who has the key of now (S14)."""

from hashlib import sha256

import pytest

from host_tools.errors import Refused
from host_tools.fleet import codec, messages
from host_tools.vault import audit

SCRIPT = "device_chain"
START = bytes(range(64))
KEY = bytes(range(100, 132))
EVENTS = [["tls.reject", f"peer {n}", 1000 + 250 * n] for n in range(12)]


def verifier():
    made = audit.Verifier(lambda start: KEY if start == START else b"")
    made.take(1, audit.START, START)
    return made


def entry(told):
    payload = told.proof.mac + codec.encode([told.name, told.reason, told.proof.uptime])
    return told.proof.number, audit.EVENT, payload


@pytest.fixture
def told(device):
    bodies = device(SCRIPT, "proofs", START.hex(), KEY.hex(), EVENTS)
    return [messages.parse_event(codec.decode(bytes.fromhex(body))) for body in bodies]


def test_the_host_finds_each_event_proved(told):
    log = verifier()
    for one, (name, reason, when) in zip(told, EVENTS, strict=True):
        assert (one.name, one.reason, one.proof.uptime) == (name, reason, when)
        assert (one.time, one.quality) == (1_800_000_000 + when // 1000, 2)
        assert one.proof.log == START[:8]
        assert codec.decode(log.take(*entry(one))) == [name, reason, when]
    assert log.number == 1 + len(EVENTS)


def test_events_are_proved_from_the_start_to_the_end(device):
    assert device(SCRIPT, "life", START.hex(), KEY.hex()) == [None, 2, None, 2]


def test_a_board_holds_the_key_of_the_next_event_only(device):
    key, head, count = device(SCRIPT, "memory", START.hex(), KEY.hex())
    keys = [KEY]
    for _ in range(3):
        keys.append(sha256(b"uward audit" + keys[-1]).digest())
    assert bytes.fromhex(key) == keys[3] and count == 4
    log = verifier()
    for n in range(3):
        payload = codec.encode(["a.b", "", n])
        log.take(
            n + 2,
            audit.EVENT,
            audit.hmac.digest(keys[n], log.head + payload, "sha256")[:16] + payload,
        )
    assert bytes.fromhex(head) == log.head


@pytest.mark.parametrize("device", ["cpython"], indirect=True)
def test_a_changed_event_is_refused_at_its_number(told):
    for position in range(16 + 5):
        log = verifier()
        for one in told[:5]:
            log.take(*entry(one))
        number, kind, payload = entry(told[5])
        bad = payload[:position] + bytes((payload[position] ^ 1,)) + payload[position + 1 :]
        with pytest.raises(Refused, match="audit entry 7 is not what the device wrote"):
            log.take(number, kind, bad)
