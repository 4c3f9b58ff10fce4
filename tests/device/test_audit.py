"""The audit log: verified on the host; what was written before a break cannot be forged after."""

from hashlib import sha256

import cbor2
import pytest

from host_tools.errors import Refused
from host_tools.vault import audit

SCRIPT = "device_vault"
EVENTS, BOOTS = 12, 3


def unwrap(wrapped):
    assert wrapped.startswith(b"wrapped")
    return wrapped.removeprefix(b"wrapped")


@pytest.fixture
def log(device, tmp_path):
    entries, head, reports = device(SCRIPT, "audit_log", str(tmp_path / "a"), EVENTS, BOOTS)
    assert reports == []
    return [(n, kind, bytes.fromhex(payload)) for n, kind, payload in entries], head


def test_the_host_verifies_what_the_device_wrote(log):
    entries, head = log
    events, computed = audit.verify(entries, unwrap)
    assert computed.hex() == head
    expected = [["tls.reject", f"peer {i}", boot] for boot in range(BOOTS) for i in range(EVENTS)]
    assert [cbor2.loads(event) for event in events] == expected
    assert [number for number, _, _ in entries] == list(range(1, BOOTS * (EVENTS + 1) + 1))


def refused_at(entries):
    verifier = audit.Verifier(unwrap)
    for entry in entries:
        try:
            verifier.take(*entry)
        except Refused:
            return verifier.number + 1
    return None


def renumbered(entries):
    return [(i + 1, kind, payload) for i, (_, kind, payload) in enumerate(entries)]


@pytest.mark.parametrize("device", ["cpython"], indirect=True)
def test_edits_are_refused_at_the_first_bad_number(log):
    entries, _ = log
    number, kind, payload = entries[20]
    assert kind == audit.EVENT
    for position in range(len(payload)):
        bad = payload[:position] + bytes((payload[position] ^ 1,)) + payload[position + 1 :]
        assert refused_at([*entries[:20], (number, kind, bad), *entries[21:]]) == 21
    assert refused_at(renumbered(entries[:20] + entries[21:])) == 21  # deleted
    swapped = [*entries[:20], entries[21], entries[20], *entries[22:]]
    assert refused_at(renumbered(swapped)) == 21
    assert refused_at(renumbered([*entries[:20], entries[19], *entries[20:]])) == 21  # repeated
    assert refused_at(entries[:20] + entries[21:]) == 21
    assert refused_at(entries) is None
    assert refused_at(entries[:-1]) is None  # the end cut off: only the witnessed head tells
    assert audit.verify(entries[:-1], unwrap)[1] != audit.verify(entries, unwrap)[1]


@pytest.mark.parametrize("device", ["cpython"], indirect=True)
def test_the_key_of_now_forges_nothing_of_before(log):
    """Who has everything at event 10, ratchet key included, cannot rewrite event 9."""
    entries, _ = log
    verifier = audit.Verifier(unwrap)
    for entry in entries[:10]:
        verifier.take(*entry)
    stolen = verifier.ratchet
    past = audit.Verifier(unwrap)
    for entry in entries[:8]:
        past.take(*entry)
    keys, key = set(), stolen
    for _ in range(1000):
        keys.add(key)
        key = sha256(b"uward audit" + key).digest()
    assert past.ratchet not in keys


def test_only_what_is_witnessed_makes_way(device, tmp_path):
    out, reports = device(SCRIPT, "audit_makes_way", str(tmp_path / "a"), 3 * 12276)
    full = ["VaultFull", "audit: expected witnessed entries to make way, got none"]
    assert [out[0], out[4]] == [full, full]
    assert [kind for kind, _ in (out[1], out[2], out[5], out[6])] == ["ProtocolError"] * 4
    assert (out[3], out[7]) == (True, True)
    assert set(reports) == {"log.full"}
