"""What a device makes of the certificates that it is given, on three runtimes (RFC 7030, S10)."""

import datetime as dt

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
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


def test_a_request_proves_the_key_and_names_the_device(device, root, mine):
    ((purpose, name, der),) = device("device_renewal", "asked", str(root[0]))
    assert (purpose, name) == ("est", "renew")
    request = x509.load_der_x509_csr(bytes.fromhex(der))
    assert request.is_signature_valid
    assert request.public_key() == mine.key.public_key()
    assert request.subject.rfc4514_string() == f"CN={DEVICE}"
    assert len(list(request.attributes)) == 0


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
