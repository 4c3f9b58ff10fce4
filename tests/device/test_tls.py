"""link/tls against real listeners: who is not believed gets no application byte (T01, T02, S11).

The Unix port's `tls` is the same mbedTLS as on boards; CPython has no such module.
"""

import json
import socket
import ssl
from pathlib import Path

import hostile_broker
import pytest
from hostile_broker import Broker
from pki import BROKER, CLIENT, DEVICE, SERVER, Identity, server_context
from uward.link import stream

from tests.conftest import FIRMWARE, run_unix
from tests.device.conftest import CALL

HERE = Path(__file__).resolve().parent
MILLISECONDS = 8000


@pytest.fixture(scope="module")
def ca():
    return Identity("Services 1", ca=True, days=(-100, 3650))


@pytest.fixture(scope="module")
def next_ca():
    return Identity("Services 2", ca=True, days=(-10, 3650))


@pytest.fixture(scope="module")
def device_ca():
    return Identity("Devices", ca=True)


@pytest.fixture(scope="module")
def device(device_ca):
    return Identity(DEVICE, device_ca, usage=[CLIENT])


@pytest.fixture
def attempt(umqtt, tmp_path, ca, next_ca, device):
    """attempt(port, revoked=[], identity=device) -> (error class, reason, text, verified)."""

    def run(number, revoked=(), identity=device, ms=MILLISECONDS, heap="2m", check=True):
        arguments = [
            str(umqtt),
            number,
            [next_ca.der.hex(), ca.der.hex()],
            identity.der.hex(),
            identity.secret.hex(),
            list(revoked),
            ms,
            check,
        ]
        (tmp_path / "arguments.json").write_text(json.dumps(arguments))
        code = CALL % ("device_tls", "attempt")
        out = run_unix(code, tmp_path, 60, (FIRMWARE, HERE), heap)
        return tuple(json.loads(out.strip().splitlines()[-1]))

    return run


def server(issuer, **changes):
    options = {"usage": [SERVER], "san": BROKER, **changes}
    return Identity(BROKER, issuer, **options)


def test_believed(attempt, tmp_path, ca, device_ca):
    context = server_context(tmp_path, server(ca), [device_ca])
    with Broker(hostile_broker.honest, context) as broker:
        assert attempt(broker.port) == (None, None, "", True)
    assert broker.received.startswith(b"\x10\x1c\x00\x04MQTT")


def test_believed_under_the_next_ca(attempt, tmp_path, next_ca, device_ca):
    context = server_context(tmp_path, server(next_ca), [device_ca])
    with Broker(hostile_broker.honest, context) as broker:
        assert attempt(broker.port) == (None, None, "", True)


def other_ca(name="Others"):
    return Identity(name, ca=True)


MATRIX = {  # name: (certificate of the broker, chain to send, reason, part of the text)
    "self-signed": (lambda ca: (server(None),), "untrusted", "not issued by a pinned CA"),
    "other CA": (lambda ca: (server(other_ca()),), "untrusted", "not issued by a pinned CA"),
    "other CA of the same name": (
        lambda ca: (server(other_ca("Services 1")),),
        "untrusted",
        "not issued by a pinned CA",
    ),
    "wrong host": (lambda ca: (server(ca, san="other.local"),), "wrong-name", "Common Name"),
    "expired": (lambda ca: (server(ca, days=(-30, -1)),), "expired", "certificate expired at"),
    "not yet valid": (
        lambda ca: (server(ca, days=(2, 30)),),
        "not-yet-valid",
        "starts in the future",
    ),
    "CA as server": (lambda ca: (server(ca, ca=True),), "ca-as-leaf", "got a CA's"),
    "client as server": (lambda ca: (server(ca, usage=[CLIENT]),), "not-a-server", "server auth"),
    "no usage": (lambda ca: (server(ca, usage=()),), "not-a-server", "server authentication"),
}


def refused(attempt, broker, reason, part, **options):
    error, got, text, verified = attempt(broker.port, **options)
    event = "tls.revoked" if reason == "revoked" else "tls.reject"
    assert (error, got, verified) == ("TlsRefused " + event, reason, False), text
    assert part in text
    assert broker.received == b""  # not one application byte
    assert broker.refused  # and the listener saw the handshake fail


@pytest.mark.parametrize("case", MATRIX)
def test_certificate_matrix(attempt, tmp_path, ca, device_ca, case):
    make, reason, part = MATRIX[case]
    identity, *chain = make(ca)
    context = server_context(tmp_path, identity, [device_ca], chain)
    with Broker(hostile_broker.honest, context) as broker:
        refused(attempt, broker, reason, part)


def test_leaf_as_issuer(attempt, tmp_path, ca, device_ca):
    leaf = server(ca)
    context = server_context(tmp_path, server(leaf), [device_ca], [leaf])
    with Broker(hostile_broker.honest, context) as broker:
        refused(attempt, broker, "untrusted", "not issued by a pinned CA")


def test_intermediate_under_the_pinned_ca(attempt, tmp_path, ca, device_ca):
    middle = Identity("Middle", ca, ca=True)
    context = server_context(tmp_path, server(middle), [device_ca], [middle])
    with Broker(hostile_broker.honest, context) as broker:
        refused(attempt, broker, "chain", "longer chain")


def test_revoked(attempt, tmp_path, ca, device_ca):
    identity = server(ca)
    context = server_context(tmp_path, identity, [device_ca])
    serial = identity.serial.hex()
    with Broker(hostile_broker.honest, context) as broker:
        refused(attempt, broker, "revoked", serial, revoked=["0102", serial])


def versions(context, version):
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version


def answers(number, version):
    """Can OpenSSL itself talk this old version to the listener?"""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version = client.maximum_version = version
    try:
        with socket.create_connection(("127.0.0.1", number)) as raw:
            client.wrap_socket(raw).close()
    except ssl.SSLError as e:
        return "UNSUPPORTED" not in str(e).upper() and "NO_CIPHERS" not in str(e).upper()
    return True


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1", "TLSv1_3"])
def test_other_versions(attempt, tmp_path, ca, device_ca, version):
    context = server_context(tmp_path, server(ca), [device_ca])
    versions(context, getattr(ssl.TLSVersion, version))
    with Broker(hostile_broker.honest, context) as broker:
        if not answers(broker.port, getattr(ssl.TLSVersion, version)):
            pytest.skip("this OpenSSL does not speak %s" % version)
        broker.refused.clear()
        for connection in broker.connections:
            connection.received = b""
        refused(attempt, broker, "protocol", "TLS 1.2")


CIPHERS = {
    "RSA key exchange": ("AES128-GCM-SHA256:AES128-SHA", 2048),
    "ECDHE with RSA certificate": ("ECDHE-RSA-AES128-GCM-SHA256", 2048),
    "CBC": ("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA", 0),
    "ChaCha": ("ECDHE-ECDSA-CHACHA20-POLY1305", 0),
}


@pytest.mark.parametrize("case", CIPHERS)
def test_other_ciphers(attempt, tmp_path, ca, device_ca, case):
    ciphers, bits = CIPHERS[case]
    context = server_context(tmp_path, server(ca, rsa_bits=bits), [device_ca])
    context.set_ciphers(ciphers + ":@SECLEVEL=0")
    with Broker(hostile_broker.honest, context) as broker:
        refused(attempt, broker, "protocol", "ECDHE-ECDSA and AES-GCM")
    assert "NO_SHARED_CIPHER" in broker.refused[0]


def test_this_device_is_not_believed(attempt, tmp_path, ca, device_ca):
    """Mutual: a broker that does not know our CA hears no CONNECT either."""
    stranger = Identity(DEVICE, other_ca(), usage=[CLIENT])
    context = server_context(tmp_path, server(ca), [device_ca])
    with Broker(hostile_broker.honest, context) as broker:
        error, reason, _, verified = attempt(broker.port, identity=stranger)
    assert (error, verified) in (("TlsRefused tls.reject", False), ("LinkClosed link.down", False))
    assert reason in ("refused-us", None)  # None: the socket was gone before the alert was read
    assert broker.received == b""


def test_plaintext_broker(attempt):
    """Something that is no TLS at all."""

    def chatter(connection):
        connection.send(b"\x20\x02\x00\x00" * 8)
        connection.sock.recv(4096)

    with Broker(chatter) as broker:
        error, reason, _, verified = attempt(broker.port)
    assert (error, reason, verified) == ("TlsRefused tls.reject", "handshake", False)


def test_silent_listener(attempt):
    def wait(connection):
        while connection.sock.recv(4096):
            pass

    with Broker(wait) as broker:
        error, _, text, verified = attempt(broker.port, ms=700)
    assert (error, verified) == ("LinkTimeout link.down", False)
    assert "expected CONNACK in 700 ms" in text


def test_closed_in_the_handshake(attempt):
    with Broker(lambda connection: connection.sock.recv(16)) as broker:
        error, _, text, verified = attempt(broker.port)
    assert (error, verified) == ("LinkClosed link.down", False)
    assert "in the TLS handshake" in text


def called(tmp_path, function, *arguments):
    (tmp_path / "arguments.json").write_text(json.dumps(arguments))
    out = run_unix(CALL % ("device_tls", function), tmp_path, 60, (FIRMWARE, HERE))
    return json.loads(out.strip().splitlines()[-1])


def test_what_is_refused_before_a_socket_is_opened(tmp_path, ca, device):
    found = called(tmp_path, "refused", ca.der.hex(), device.der.hex(), device.secret.hex())
    assert found[:3] == [
        ["KeyRefused", "expected 1 to 2 anchors, got 0"],
        ["KeyRefused", "expected 1 to 2 anchors, got 3"],
        ["KeyRefused", "expected a private key of 32 bytes, got 31"],
    ]
    assert found[3][0] == "LowHeap"  # S20: later it would look like a bad certificate


def test_an_address_that_never_answers(tmp_path):
    name, text = called(tmp_path, "unanswered", 100)
    assert (name, text) == ("LinkTimeout", "expected a TCP connection in 100 ms")


def test_a_settled_connection_takes_no_second_handshake():
    class Context:
        verify_callback = None

    class Verifier:
        leaf = type("Leaf", (), {"serial": b"\5", "not_before": 1, "not_after": 2})

    context = Context()
    leaf = stream.Stream(None, None, context, Verifier(), None).settle()
    assert (leaf.serial, leaf.not_before, leaf.not_after) == (b"\5", 1, 2)
    assert context.verify_callback(b"", 0) < 0


def test_nobody_listens(attempt):
    with Broker(hostile_broker.silent) as broker:
        number = broker.port
    error, _, text, _ = attempt(number)
    assert (error, "connection" in text) == ("LinkClosed link.down", True)
