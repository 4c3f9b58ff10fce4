"""`uward ca`: what it shows, a CA key in a token, a hospital's CA that signs for our devices."""

import asyncio
import base64
import http.server
import json
import os
import pty
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import pytest
import softhsm
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID
from est_kit import DEVICE, Board, csr, make_fleet, serving
from fleet_kit import BROKERS, NOW, Authority, Raw, connect

from host_tools.errors import Refused
from host_tools.fleet import external, mosquitto, service
from host_tools.fleet.broker import EmbeddedBroker
from host_tools.fleet.est_service import make_registrar
from host_tools.pki import est, files, status
from host_tools.pki.ca import Ca
from host_tools.pki.est_client import EstClient, Login
from host_tools.pki.shelf import pem
from host_tools.verbs import ca as ca_verb

USER, PASSWORD = "ward7", "correct horse"


@pytest.fixture
def fleet(tmp_path):
    return make_fleet(tmp_path / "f")


def uward(fleet, *arguments, env=None):
    command = [sys.executable, "-m", "host_tools.cli", *arguments, "--fleet", str(fleet.root)]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60)


# What ends when


def test_states_are_told_the_worst_first(fleet):
    ca = Ca(fleet.folder("ca"))
    begun = datetime.now(timezone.utc)
    Board(fleet, "ended00device0000001", clock=lambda: begun - timedelta(days=800))
    Board(fleet, "ending0device0000001", clock=lambda: begun - timedelta(days=700))
    Board(fleet, "revoked0device000001")
    Board(fleet, "good000device0000001")
    ca.revoke_device("revoked0device000001", "superseded")
    rows = status.rows(ca, begun)
    states = {row.name: row.state for row in rows if row.kind == "device"}
    assert states == {
        "ended00device0000001": "ended",
        "ending0device0000001": "renew",
        "revoked0device000001": "revoked",
        "good000device0000001": "ok",
    }
    order = [row.state for row in rows]
    assert order == sorted(order, key=status.ORDER.index)
    assert {row.state for row in status.rows(ca, begun) if row.kind == "list"} == {"ok"}
    lists = [
        row.state for row in status.rows(ca, begun + timedelta(days=31)) if row.kind == "list"
    ]
    assert set(lists) == {"ended"}


def test_what_has_ended_is_a_failure_and_devices_that_are_fine_are_counted(fleet):
    Board(fleet)
    done = uward(fleet, "ca", "status")
    assert done.returncode == 0 and DEVICE not in done.stdout
    assert done.stderr == "uward: 2 certificates of devices are fine; --all lists them\n"
    assert DEVICE in uward(fleet, "ca", "status", "--all").stdout
    ago = datetime.now(timezone.utc) - timedelta(days=800)
    Board(fleet, "ended00device0000001", clock=lambda: ago)
    done = uward(fleet, "ca", "status", "--json")
    assert done.returncode == 1 and "something has ended" in done.stderr
    rows = json.loads(done.stdout)
    assert rows[0]["name"] == "ended00device0000001" and rows[0]["days"] < 0


@pytest.mark.parametrize(("plain", "painted"), [("", True), ("1", False)])
def test_a_terminal_shows_states_in_colour(fleet, plain, painted):
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "NO_COLOR": plain}
    command = [sys.executable, "-m", "host_tools.cli", "ca", "status", "--fleet", fleet.root]
    subprocess.run([*map(str, command)], stdout=slave, env=env, check=True, timeout=60)
    os.close(slave)
    shown = os.read(master, 1 << 16)
    os.close(master)
    assert (b"\x1b[32mok" in shown) == painted and b"services" in shown


# A key in a token


def test_a_ca_key_lives_in_a_token(fleet, tmp_path):
    env = {**softhsm.make_token(tmp_path / "hsm"), "UWARD_PKCS11_PIN": softhsm.PIN}
    uri = "pkcs11:token=uward;object=devices-2"
    assert uward(fleet, "ca", "token", "devices", uri, env=env).returncode == 0
    assert uward(fleet, "ca", "switch", "devices", env=env).returncode == 0
    kept = (fleet.folder("ca") / "devices-2.key").read_text()
    assert kept.startswith("uward-pkcs11-1\n") and "PRIVATE" not in kept
    assert uward(fleet, "ca", "lists", env=env).returncode == 0
    ca = Ca(fleet.folder("ca"))
    listed = x509.load_der_x509_crl(ca.crl_path("devices-2").read_bytes())
    assert listed.is_signature_valid(ca.certificate("devices").public_key())
    again = uward(fleet, "ca", "token", "devices", uri, env=env)
    assert again.returncode == 1 and "there is a key 'devices-2' already" in again.stderr
    wrong = {**env, "UWARD_PKCS11_PIN": "000000"}
    done = uward(fleet, "ca", "lists", env=wrong)
    assert done.returncode == 1 and "the PIN is wrong" in done.stderr


# A CA elsewhere


class Hospital(http.server.BaseHTTPRequestHandler):
    """An EST server of a hospital: signs for whoever has the password."""

    authority: Authority

    def do_GET(self):
        self.give([self.authority.cert])

    def do_POST(self):
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers["Authorization"] != f"Basic {pair}":
            self.send_error(401)
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = x509.load_der_x509_csr(base64.b64decode(body))
        self.give([_for(request, self.authority), self.authority.cert])

    def give(self, certificates):
        body = est.encode_certificates(certificates)
        self.send_response(200)
        self.send_header("Content-Type", est.CERTS_TYPE + "; smime-type=certs-only")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


def _for(request, authority):
    return (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(authority.cert.subject)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=90))
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(authority.key, hashes.SHA256())
    )


@contextmanager
def hospital(folder):
    """-> (URL, its CA)"""
    authority = Authority("Hospital Devices CA")
    authority.issue(folder, "ca", ExtendedKeyUsageOID.SERVER_AUTH)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "ca.key")
    handler = type("Handler", (Hospital,), {"authority": authority})
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}{est.ROOT}", authority
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("kind", BROKERS)
def test_a_hospitals_ca_signs_for_our_device_and_the_broker_takes_it(fleet, tmp_path, kind):
    board = Board(fleet)
    files.write(fleet.root / "est" / f"{DEVICE}.csr", csr(board.identity))
    authority_list = tmp_path / "list.pem"
    with hospital(tmp_path) as (url, authority):
        authority.write_crl(authority_list)
        client = EstClient(url, [authority.cert], Login(user=USER, password=PASSWORD))
        (row,) = ca_verb.do_est(fleet, client, None, authority_list)
        assert row["device"] == DEVICE and row["outcome"].startswith("until ")
    made = x509.load_der_x509_certificate((fleet.root / f"est/{DEVICE}.cer").read_bytes())
    assert made.issuer == authority.cert.subject
    assert make_registrar(fleet).waiting() == []
    files.write(board.folder / "identity.pem", pem(made), force=True)
    asyncio.run(asyncio.wait_for(joins(fleet, board, kind), 60))


async def joins(fleet, board, kind):
    """The device connects with the hospital's certificate, and with nobody else's name."""
    tls = service.broker_files(fleet)
    if kind == "embedded":
        broker = EmbeddedBroker(tls, "127.0.0.1", 0, lambda event, reason: None)
    else:
        broker = mosquitto.Mosquitto(tls, fleet.root / "mosquitto", "127.0.0.1", 0)
    await broker.start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(Ca(fleet.folder("ca")).chain_path("services"))
    context.load_cert_chain(*board.files("identity"))
    try:
        raw = await Raw.open(broker.port, context)
        await raw.send(connect(DEVICE))
        assert await raw.packet() == b"\x20\x02\x00\x00"
        raw.close()
    finally:
        await broker.shutdown()


def test_a_wrong_password_leaves_the_request_waiting(fleet, tmp_path):
    board = Board(fleet)
    files.write(fleet.root / "est" / f"{DEVICE}.csr", csr(board.identity))
    with hospital(tmp_path) as (url, authority):
        client = EstClient(url, [authority.cert], Login(user=USER, password="guess"))
        (row,) = ca_verb.do_est(fleet, client, None)
        assert row["refused"] and "refuses (401 Unauthorized)" in row["outcome"]
    assert [device for device, _ in make_registrar(fleet).waiting()] == [DEVICE]


def test_the_password_never_stands_in_a_command_line(fleet, tmp_path):
    with hospital(tmp_path) as (url, authority):
        (tmp_path / "anchor.pem").write_bytes(pem(authority.cert))
        arguments = ["ca", "est", url, "--anchor", str(tmp_path / "anchor.pem"), "--user", USER]
        done = uward(fleet, *arguments, env={**os.environ, "UWARD_EST_PASSWORD": PASSWORD})
        assert (done.returncode, done.stderr) == (0, "uward: nobody waits for a certificate\n")
        help_text = uward(fleet, "ca", "est", "--help").stdout
        assert "--password" not in help_text and "UWARD_EST_PASSWORD" in help_text


def test_a_list_of_another_ca_is_not_published(fleet, tmp_path):
    theirs, other = Authority("Hospital Devices CA"), Authority("Hospital Devices CA")
    other.write_crl(tmp_path / "list.pem")
    with pytest.raises(Refused, match="expected its own revocation list"):
        external.publish(fleet, [theirs.cert], tmp_path / "list.pem")
    assert external.parts(fleet) == ((), ())


# The service itself


def test_requests_that_waited_are_signed_by_hand(fleet):
    board = Board(fleet)
    ca = Ca(fleet.folder("ca"))
    ca.key_path("devices").rename(fleet.root / "devices.key")
    with serving(fleet) as _:
        make_registrar(fleet).renew(DEVICE, csr(board.identity))
    (fleet.root / "devices.key").rename(ca.key_path("devices"))
    done = uward(fleet, "ca", "sign")
    assert done.returncode == 0 and DEVICE in done.stdout and "until 20" in done.stdout
    assert uward(fleet, "ca", "sign", DEVICE).returncode == 2
