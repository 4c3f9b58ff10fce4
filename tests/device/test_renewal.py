"""What a device makes of the certificates that it is given, on three runtimes (RFC 7030, S10)."""

import datetime as dt

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from pki import CLIENT, DEVICE, SERVER, Identity
from uward.vault import sealed

from host_tools.pki import est
from tests.device import boot_kit as kit

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.timezone.utc)
DAY = dt.timedelta(days=1)


@pytest.fixture(scope="module")
def ca():
    return Identity("Devices", ca=True)


@pytest.fixture(scope="module")
def mine(ca):
    return Identity(DEVICE, ca, usage=[CLIENT])


def certified(
    ca, key, name=DEVICE, start=NOW - DAY, end=NOW + 300 * DAY, usage=CLIENT, is_ca=False
):
    names = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(names)
        .issuer_name(ca.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    )
    made = builder.sign(ca.key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER)


@pytest.fixture
def root(tmp_path, ca, mine):
    """/id of an enrolled device whose certificate began 400 days ago."""
    (tmp_path / "id").mkdir()
    (tmp_path / "id/root").write_bytes(kit.ROOT_SECRET)
    held = certified(ca, mine.key, start=NOW - 400 * DAY, end=NOW + 30 * DAY)
    own = {1: DEVICE, 2: mine.secret, 3: bytes(32), 4: held, 5: bytes(64)}
    sealed.write(kit.ROOT_SECRET, "/id/dev", cbor2.dumps(own), str(tmp_path))
    return tmp_path, held


def hand_in(device, root, *values):
    folder, _ = root
    return device("device_renewal", "taken", str(folder), int(NOW.timestamp()), list(values))


def test_a_newer_certificate_of_our_key_is_kept(device, root, ca, mine):
    new = certified(ca, mine.key)
    first, again, kept = hand_in(device, root, ["issued", new.hex()], ["issued", new.hex()])
    assert first == ["", [["id.renewed", "over MQTT"]]]
    assert again == ["", []]  # the same one is not written again
    assert kept == [new.hex(), DEVICE, mine.secret.hex()]


def test_a_shorter_life_is_the_cas_choice(device, root, ca, mine):
    """Short-lived certificates in place of long lists."""
    new = certified(ca, mine.key, end=NOW + 7 * DAY)
    assert hand_in(device, root, ["issued", new.hex()])[1][0] == new.hex()


REFUSED = {
    "another key": ("KeyRefused None", "expected a certificate of our key, got another's"),
    "another name": ("KeyRefused None", f"expected CN {DEVICE}, got other0device00001"),
    "a CA": ("KeyRefused None", "expected a certificate of a TLS client, got another"),
    "a server": ("KeyRefused None", "expected a certificate of a TLS client, got another"),
    "expired": ("TrustError trust.refused", "expected a newer certificate"),
    "older": ("TrustError trust.refused", "expected a newer certificate"),
    "garbage": ("CodecError proto.malformed", ""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_certificates_change_nothing(device, root, ca, mine, case):
    der = {
        "another key": lambda: certified(ca, Identity("x").key),
        "another name": lambda: certified(ca, mine.key, "other0device00001"),
        "a CA": lambda: certified(ca, mine.key, is_ca=True),
        "a server": lambda: certified(ca, mine.key, usage=SERVER),
        "expired": lambda: certified(ca, mine.key, end=NOW - dt.timedelta(seconds=1)),
        "older": lambda: certified(ca, mine.key, start=NOW - 401 * DAY),
        "garbage": lambda: b"\x30\x03\x02\x01\x01",
    }[case]()
    (outcome, events), kept = hand_in(device, root, ["issued", der.hex()])
    name, part = REFUSED[case]
    assert outcome.startswith(name) and part in outcome and events == []
    assert kept[0] == root[1].hex()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (["refused", "device is revoked"], "TrustError id.refused: est: device is revoked"),
        (["refused", "x" * 300], "TrustError id.refused: est: " + "x" * 120),
        (["else", 1], "ProtocolError proto.malformed: est: expected a certificate, got else"),
        (["issued"], "ProtocolError proto.malformed: est: expected [name, value], got another"),
        ([1, 2], "ProtocolError proto.malformed: est: expected [name, value], got another"),
        (7, "ProtocolError proto.malformed: est: expected [name, value], got another"),
    ],
)
def test_other_answers_are_refused_by_name(device, root, value, says):
    (outcome, events), kept = hand_in(device, root, value)
    assert (outcome, events, kept[0]) == (says, [], root[1].hex())


def test_what_was_heard_before_changes_nothing(device, root):
    assert hand_in(device, root, None)[0] == ["", []]


@pytest.fixture
def new():
    """The next key that the device makes."""
    return Identity("new")


def lived(device, root, secrets, *steps):
    hexed = [[step[0], step[1].hex()] if isinstance(step, tuple) else step for step in steps]
    made = [one.secret.hex() for one in secrets]
    arguments = str(root[0]), int(NOW.timestamp()), made, hexed
    return device("device_renewal", "lived", *arguments)


def test_a_new_key_asks_and_the_present_one_vouches_for_it(device, root, mine, new):
    (asked, again, kept), events = lived(device, root, [new], "ask", "ask", "kept")
    assert asked == again and events == []  # an answer that was lost: the same key asks again
    assert kept == [mine.secret.hex(), [2]]
    ((purpose, name, signed),) = asked
    assert (purpose, name) == ("est", "renew")
    _, headers, payload, signature = cbor2.loads(bytes.fromhex(signed)).value
    assert headers == {}
    structure = cbor2.dumps(["Signature1", b"\xa1\x01\x28", b"uward.renew.v1", payload])
    r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:]))
    der = utils.encode_dss_signature(r, s)
    mine.key.public_key().verify(der, structure, ec.ECDSA(hashes.SHA256()))
    request = x509.load_der_x509_csr(payload)
    assert request.is_signature_valid
    assert request.public_key() == new.key.public_key()
    assert request.subject.rfc4514_string() == f"CN={DEVICE}"
    assert len(list(request.attributes)) == 0


ISSUED = ["id.issued", "for a new key, which the next connection shows"]
RENEWED = ["id.renewed", "a new key, proved by this connection"]
KEPT = ["id.kept", "no connection could be made with the new key"]


def test_the_old_pair_holds_until_a_connection_proved_the_new_one(device, root, ca, mine, new):
    given = "issued", certified(ca, new.key)
    steps = ("show", "proved", "ask", "kept", given, "kept", "fail", "show", "kept", "proved")
    out, events = lived(device, root, [new], *steps, "kept", "fail", "show")
    old, fresh = mine.secret.hex(), new.secret.hex()
    assert out == [
        "old", None, out[2], [old, [2]],
        None, [old, [2, 4]],
        None, "new", [old, [2, 4]],  # shown, and not yet proved
        None, [fresh, None],
        None, "old",  # which is the new one now
    ]  # fmt: skip
    assert events == [ISSUED, RENEWED]


def test_a_pair_that_no_connection_proves_is_forgotten(device, root, ca, mine, new):
    """And the next one is asked for with another key."""
    given, other = ("issued", certified(ca, new.key)), Identity("other")
    steps = ("ask", given, "fail", "show", "fail", "show", "proved", "kept", "ask", "kept")
    out, events = lived(device, root, [new, other], *steps)
    assert [out[3], out[5]] == ["new", "old"]
    assert out[7] == [mine.secret.hex(), None]
    assert out[9] == [mine.secret.hex(), [2]]
    assert events == [ISSUED, KEPT]


def test_where_neither_pair_is_proved_they_take_turns(device, root, ca, new):
    given = "issued", certified(ca, new.key)
    turns = ["show", "fail"] * 4
    out, _ = lived(device, root, [new], "ask", given, "fail", *turns)
    assert out[3::2] == ["new", "old", "new", "old"]


def test_a_reset_does_not_lose_the_new_pair(device, root, ca, new):
    given = "issued", certified(ca, new.key)
    steps = ("ask", "boot", given, "boot", "show", "boot", "show", "proved", "kept")
    out, events = lived(device, root, [new], *steps)
    assert (out[4], out[6]) == ("new", "new")
    assert out[8] == [new.secret.hex(), None] and events == [ISSUED, RENEWED]


@pytest.mark.parametrize("case", ["another key", "another name", "a CA", "a server", "expired"])
def test_other_certificates_for_a_new_key_change_nothing(device, root, ca, mine, new, case):
    der = {
        "another key": lambda: certified(ca, Identity("x").key),
        "another name": lambda: certified(ca, new.key, "other0device00001"),
        "a CA": lambda: certified(ca, new.key, is_ca=True),
        "a server": lambda: certified(ca, new.key, usage=SERVER),
        "expired": lambda: certified(ca, new.key, end=NOW - dt.timedelta(seconds=1)),
    }[case]()
    out, events = lived(device, root, [new], "ask", ("issued", der), "kept")
    name, part = REFUSED[case]
    assert out[1].startswith(name) and part in out[1] and events == []
    assert out[2] == [mine.secret.hex(), [2]]


def test_est_answers(device, root, ca, mine):
    new = certified(ca, mine.key)
    certificate = x509.load_der_x509_certificate(new)
    stranger = x509.load_der_x509_certificate(certified(ca, Identity("x").key))
    chain = est.encode_certificates([ca.certificate, certificate])
    lines = b"\r\n".join(chain[i : i + 64] for i in range(0, len(chain), 64))
    bodies = [
        est.encode_certificates([certificate]),
        chain,
        lines,
        est.encode_certificates([stranger]),
        est.encode(new),
        b"A",
        b"",
    ]
    found = device("device_renewal", "found", str(root[0]), [body.hex() for body in bodies])
    assert found[:3] == [new.hex()] * 3
    assert found[3] == "KeyRefused None: est: expected a certificate of our key, got none"
    assert found[4].startswith("CodecError proto.malformed: der: ")
    assert found[5].startswith("ProtocolError proto.malformed: est: expected base64")
    assert found[6].startswith("CodecError proto.malformed: der: ")


def test_heads_of_answers(device):
    good = "HTTP/1.1 200 OK\r\nX: y\r\ncontent-length:  12 \r\n\r\nbody"
    texts = [
        good,
        "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 2000 OK\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 4097\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]
    first, second, *others = device("device_renewal", "heads", texts)
    assert first == [200, 12, len(good) - 4]
    assert second[:2] == [403, 0]
    assert all(one.startswith("ProtocolError proto.malformed: est: expected") for one in others)
