"""EST (RFC 7030): our server and our client, and what each refuses by name."""

import base64
import http.client
import http.server
import socket
import ssl
import threading
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from est_kit import DEVICE, Board, csr, make_fleet, serving
from fleet_kit import Authority

from host_tools import keyring
from host_tools.errors import DeviceError, Refused, UsageError
from host_tools.fleet import limits
from host_tools.fleet.inventory import STOLEN, Inventory
from host_tools.pki import est, est_client
from host_tools.pki.ca import Ca
from host_tools.signing import cose
from host_tools.signing.roles import TIME_DOMAIN


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(fleet, board, port, notices) of a running service."""
    fleet = make_fleet(tmp_path_factory.mktemp("est") / "f")
    board = Board(fleet)
    with serving(fleet) as (port, notices):
        yield fleet, board, port, notices


def anchors(fleet, kind="services"):
    chain = Ca(fleet.folder("ca")).chain_path(kind)
    return x509.load_pem_x509_certificates(chain.read_bytes())


class Host(est_client.EstClient):
    """The client, for a server whose certificate has the fleet's name and 127.0.0.1."""

    def __init__(self, fleet, port, login=None, trust=None):
        url = f"https://127.0.0.1:{port}"
        super().__init__(url, trust or anchors(fleet), est_client.Login(*(login or ())))
        self._context.check_hostname = False  # the address is not in the broker's certificate


def post(world, path, body, login=None, kind=est.CSR_TYPE, method="POST"):
    """(status, headers, body) by hand: what our client would never send."""
    fleet, _, port, _ = world
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(Ca(fleet.folder("ca")).chain_path("services"))
    if login:
        context.load_cert_chain(*login)
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    headers = {"Content-Type": kind} if kind else {}
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


# Good


def test_anybody_may_ask_for_the_cas_certificates(world):
    fleet, _, port, _ = world
    assert set(Host(fleet, port).cacerts()) == set(anchors(fleet, "devices"))


@pytest.mark.parametrize(("by", "again"), [("birth", False), ("identity", True)])
def test_a_device_enrols_again_and_renews(world, by, again):
    fleet, board, port, _ = world
    client = Host(fleet, port, board.files(by))
    trusted = anchors(fleet, "devices")
    made, *chain = client.enroll(csr(board.identity), trusted, again)
    assert made.public_key() == board.identity.public_key()
    assert made.subject.rfc4514_string() == f"CN={DEVICE}"
    assert chain == trusted[:1]  # an issuing CA that is trusted ends the chain
    repeated, *_ = client.enroll(csr(board.identity), trusted, again)
    assert repeated == made  # the same answer: nobody fills the index


def test_the_time_is_signed_for_the_device_that_asked(world):
    fleet, board, _, _ = world
    nonce = bytes(range(16))
    path = f"/.well-known/uward/time/{nonce.hex()}"
    status, _, body = post(world, path, None, board.files("birth"), None, "GET")
    assert status == 200
    protected, _, payload, signature = cbor2.loads(body).value
    public = keyring.public_key(fleet, "time")
    public.verify(cose.sig_structure1(protected, payload, TIME_DOMAIN), signature)
    said_nonce, device, now = cbor2.loads(payload)
    assert (said_nonce, device) == (nonce, DEVICE)
    assert abs(now - datetime.now(timezone.utc).timestamp()) < 60


def test_several_requests_come_on_one_connection(world):
    fleet, board, port, _ = world
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(Ca(fleet.folder("ca")).chain_path("services"))
    context.load_cert_chain(*board.files("birth"))
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    try:
        for _ in range(3):
            connection.request("GET", est.ROOT + "/cacerts")
            assert len(est.decode_certificates(connection.getresponse().read())) == 2
    finally:
        connection.close()


# Refused by the server

GOOD = "/simpleenroll"


@pytest.mark.parametrize(
    ("path", "login", "status", "says"),
    [
        ("/simpleenroll", None, 401, "expected a birth certificate as TLS client"),
        ("/simplereenroll", None, 401, "expected an operational certificate as TLS client"),
        ("/simpleenroll", "identity", 403, "expected a birth certificate as TLS client"),
        ("/simplereenroll", "birth", 403, "expected an operational certificate"),
        ("/fullcmc", "birth", 404, "no such path"),
        ("", "birth", 404, "no such path"),
    ],
)
def test_each_certificate_is_good_for_one_thing(world, path, login, status, says):
    board = world[1]
    body = est.encode(csr(board.identity))
    got = post(world, est.ROOT + path, body, board.files(login) if login else None)
    assert got[0] == status and says in got[2].decode()


def test_a_request_that_does_not_prove_its_key_is_refused(world):
    board = world[1]
    forged = bytearray(csr(board.identity))
    forged[-1] ^= 1
    got = post(world, est.ROOT + GOOD, est.encode(bytes(forged)), board.files("birth"))
    assert got[0] == 400 and b"does not prove possession of the key" in got[2]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", b"expected a body, got none"),
        (b"not base64!", b"expected base64, got another encoding"),
        (b"QUJD=RA==", b"expected base64, got another encoding"),
        (base64.b64encode(b"no request"), b"not a PKCS#10 request"),
        (b"-----BEGIN CERTIFICATE REQUEST-----", b"expected base64"),
    ],
)
def test_bodies_that_are_no_request_are_refused(world, body, says):
    got = post(world, est.ROOT + GOOD, body, world[1].files("birth"))
    assert got[0] == 400 and says in got[2]


def test_base64_comes_in_lines_or_in_one(world):
    der = csr(world[1].identity)
    for body in (base64.b64encode(der), base64.encodebytes(der), est.encode(der)):
        assert post(world, est.ROOT + GOOD, body, world[1].files("birth"))[0] == 200


@pytest.mark.parametrize(
    ("kind", "method", "status"),
    [(None, "POST", 415), ("text/plain", "POST", 415), (est.CSR_TYPE, "PUT", 405)],
)
def test_another_type_or_method_is_refused(world, kind, method, status):
    body = est.encode(csr(world[1].identity))
    got = post(world, est.ROOT + GOOD, body, world[1].files("birth"), kind, method)
    assert got[0] == status


def test_a_body_without_end_is_cut_off(world):
    got = post(world, est.ROOT + GOOD, b"A" * 5000, world[1].files("birth"))
    assert got[0] == 413


def test_another_key_or_another_name_is_refused(world):
    board = world[1]
    stranger = ec.generate_private_key(ec.SECP256R1())
    for der, says in (
        (csr(stranger), b"expected the key that"),
        (csr(board.birth), b"expected the key that"),
        (csr(board.identity, "other0device00000001"), f"the subject CN={DEVICE}".encode()),
    ):
        got = post(world, est.ROOT + GOOD, est.encode(der), board.files("birth"))
        assert got[0] == 400 and says in got[2]


@pytest.mark.parametrize("nonce", ["", "00", "zz" * 16, "00" * 17, "00" * 15 + "/."])
def test_a_nonce_that_is_none_is_refused(world, nonce):
    path = f"/.well-known/uward/time/{nonce}"
    got = post(world, path, None, world[1].files("birth"), None, "GET")
    assert got[0] == 400


def test_nobody_is_told_the_time_without_a_certificate(world):
    path = f"/.well-known/uward/time/{'00' * 16}"
    assert post(world, path, None, None, None, "GET")[0] == 401


def test_a_certificate_of_another_ca_ends_in_the_handshake(world, tmp_path):
    root = Authority("Other Root")
    Authority("f birth CA", root).issue(tmp_path, DEVICE)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        login = (tmp_path / f"{DEVICE}.pem", tmp_path / f"{DEVICE}.key")
        post(world, est.ROOT + GOOD, est.encode(csr(world[1].identity)), login)


def test_what_is_no_http_is_dropped(world):
    fleet, _, port, _ = world
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(Ca(fleet.folder("ca")).chain_path("services"))
    for sent in (b"\x10\x20MQTT" * 4 + b"\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 10000):
        with (
            socket.create_connection(("127.0.0.1", port), 20) as raw,
            context.wrap_socket(raw) as tls,
        ):
            tls.sendall(sent)
            assert b"200" not in tls.recv(1000)


def test_expired_revoked_and_stolen_are_refused(tmp_path):
    fleet = make_fleet(tmp_path / "f")
    ca = Ca(fleet.folder("ca"))
    long_ago = ca.certificate("devices").not_valid_before_utc - timedelta(days=800)
    expired = Board(fleet, "expired0device000001", clock=lambda: long_ago)
    revoked = Board(fleet, "revoked0device000001")
    stolen = Board(fleet, "stolen00device000001")
    ca.revoke_device(revoked.id)
    Inventory(fleet.folder("devices")).mark(stolen.id, STOLEN)
    with serving(fleet) as (port, notices):
        here = fleet, None, port, notices
        path = est.ROOT + "/simplereenroll"
        with pytest.raises((ssl.SSLError, ConnectionError)):
            post(
                here,
                path,
                est.encode(csr(expired.identity, expired.id)),
                expired.files("identity"),
            )
        for by in ("/simpleenroll", "birth"), ("/simplereenroll", "identity"):
            body = est.encode(csr(revoked.identity, revoked.id))
            got = post(here, est.ROOT + by[0], body, revoked.files(by[1]))
            assert got[0] == 403 and b"this certificate is revoked" in got[2]
            body = est.encode(csr(stolen.identity, stolen.id))
            got = post(here, est.ROOT + by[0], body, stolen.files(by[1]))
            assert got[0] == 400 and b"is stolen: it gets no certificate" in got[2]
    assert any("est.refused" in notice.text for notice in notices)


def test_without_the_cas_key_a_request_waits(tmp_path):
    fleet = make_fleet(tmp_path / "f")
    board = Board(fleet)
    Ca(fleet.folder("ca")).key_path("devices").rename(tmp_path / "elsewhere.key")
    with serving(fleet) as (port, _):
        client = Host(fleet, port, board.files("birth"))
        with pytest.raises(est_client.Later) as caught:
            client.enroll(csr(board.identity), anchors(fleet, "devices"))
        assert caught.value.seconds == limits.EST_RETRY_S
        waiting = fleet.root / "est" / f"{DEVICE}.csr"
        assert x509.load_der_x509_csr(waiting.read_bytes()).is_signature_valid


# Refused by the client


class Server(http.server.BaseHTTPRequestHandler):
    """A CA that answers what a test wants."""

    answer = (200, {}, b"")

    def do_GET(self):
        status, headers, body = self.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format, *args):
        pass


@contextmanager
def hospital(folder, answer):
    """A CA at https://127.0.0.1, its root -> (port, root)."""
    root = Authority("Hospital Root")
    root.issue(folder, "ca", x509.oid.ExtendedKeyUsageOID.SERVER_AUTH)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "ca.key")
    handler = type("Handler", (Server,), {"answer": answer(root)})
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1], root
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


KEY = ec.generate_private_key(ec.SECP256R1())
TYPE = {"Content-Type": est.CERTS_TYPE}


def certified(authority, key=KEY, name=DEVICE):
    builder = authority._builder(name, key.public_key(), authority.name)
    return builder.sign(authority.key, hashes.SHA256())


def asked(folder, answer, trust=None):
    with hospital(folder, answer) as (port, root):
        client = est_client.EstClient(f"https://127.0.0.1:{port}", trust or [root.cert])
        return client.enroll(csr(KEY), [root.cert])


def test_a_good_answer_of_another_ca(tmp_path):
    def answer(root):
        return 200, TYPE, est.encode_certificates([certified(root), root.cert])

    made, issuer = asked(tmp_path, answer)
    assert made.public_key() == KEY.public_key() and issuer.subject.rfc4514_string() == (
        "CN=Hospital Root"
    )


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (lambda r: (404, {}, b""), Refused, "the CA refuses \\(404 Not Found\\)"),
        (
            lambda r: (403, {"Content-Type": "text/plain"}, b"not you\x1b[31m"),
            Refused,
            "refuses \\(403 Forbidden\\) not you .31m",
        ),
        (lambda r: (302, {"Location": "https://elsewhere"}, b""), Refused, "refuses \\(302"),
        (lambda r: (202, {"Retry-After": "60"}, b""), est_client.Later, "again in 60 s"),
        (lambda r: (202, {"Retry-After": "soon"}, b""), est_client.Later, "again in 0 s"),
        (lambda r: (200, {}, b""), Refused, "expected application/pkcs7-mime, got text/plain"),
        (lambda r: (200, TYPE, b"?"), Refused, "expected base64, got another encoding"),
        (lambda r: (200, TYPE, b"A" * 20000), Refused, "at most 16384 bytes of body"),
        (lambda r: (200, TYPE, est.encode(b"junk")), Refused, "certificates in PKCS#7"),
        (
            lambda r: (200, TYPE, est.encode_certificates([r.cert])),
            Refused,
            "one certificate of the key, got 0",
        ),
        (
            lambda r: (200, TYPE, est.encode_certificates([certified(r, name="other")])),
            Refused,
            f"expected a certificate for CN={DEVICE}, got one for CN=other",
        ),
        (
            lambda r: (
                200,
                TYPE,
                est.encode_certificates([certified(Authority("Hospital Root"))]),
            ),
            Refused,
            "of the CA that is trusted, got another's",
        ),
    ],
)
def test_answers_that_are_not_believed(tmp_path, answer, error, says):
    with pytest.raises(error, match=says):
        asked(tmp_path, answer)


def test_a_server_of_another_ca_is_not_asked(tmp_path):
    with pytest.raises(Refused, match="the server is not believed"):
        asked(tmp_path, lambda r: (200, TYPE, b""), [Authority("Hospital Root").cert])


def test_no_server_is_a_device_error():
    client = est_client.EstClient("https://127.0.0.1:1", [Authority("x").cert])
    with pytest.raises(DeviceError, match=r"no answer of 127\.0\.0\.1"):
        client.cacerts()


@pytest.mark.parametrize(
    "url", ["http://ca.example", "https://", "https://a:b@ca/", "ca", "https://c?x"]
)
def test_other_addresses_are_refused(url):
    with pytest.raises(UsageError, match="expected https://HOST"):
        est_client.EstClient(url, [Authority("x").cert])
