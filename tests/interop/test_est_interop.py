"""Our EST server before an independent client: strongSwan's `pki` (RFC 7030)."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "host"))

from est_kit import DEVICE, Board, csr, make_fleet, serving

from host_tools.pki import files
from host_tools.pki.ca import Ca
from host_tools.pki.shelf import pem

PKI = shutil.which("pki")
WAIT_S = 180


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(folder with DER files, board, URL): a fleet whose broker is also `localhost`."""
    if PKI is None or b"--est" not in subprocess.run([PKI, "--help"], capture_output=True).stdout:
        pytest.skip(
            "no EST client: apt-get install strongswan-pki libstrongswan-{standard,extra}-plugins"
        )
    folder = tmp_path_factory.mktemp("swan")
    fleet = make_fleet(folder / "f")
    ca, board, broker = Ca(fleet.folder("ca")), Board(fleet), fleet.folder("broker")
    key = files.load_private((broker / "key.pem").read_bytes(), broker)
    names = ["broker.example.org", "localhost"]
    files.write(
        broker / "cert.pem", pem(ca.issue_broker(key.public_key(), "b", names)), force=True
    )
    for kind in ("root", "services", "devices"):
        (folder / f"{kind}.der").write_bytes(ca.certificate(kind).public_bytes(Encoding.DER))
    (folder / "own.der").write_bytes(board.operational.public_bytes(Encoding.DER))
    (folder / "birth.der").write_bytes(board.born.public_bytes(Encoding.DER))
    (folder / "request.der").write_bytes(csr(board.identity))
    with serving(fleet) as (port, _):
        yield folder, board, f"https://localhost:{port}"


def pki(world, verb, *more, trust=("root", "services", "devices")):
    folder, _, url = world
    anchors = [word for name in trust for word in ("--cacert", folder / f"{name}.der")]
    command = [PKI, verb, "--url", url, "--outform", "pem", *anchors, *more]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=WAIT_S)
    return done.stdout, done.stderr


def test_it_fetches_the_cas_certificates(world):
    folder, _, _ = world
    pki(world, "--estca", "--caout", folder / "ca")
    got = {x509.load_pem_x509_certificate(path.read_bytes()) for path in folder.glob("ca*.pem")}
    known = {x509.load_der_x509_certificate((folder / f"{k}.der").read_bytes()) for k in
             ("root", "devices")}  # fmt: skip
    assert got == known


def test_it_renews_a_certificate(world):
    folder, board, _ = world
    given = ["--in", folder / "request.der", "--cert", folder / "own.der"]
    out, err = pki(world, "--est", *given, "--key", board.files("identity")[1])
    made = x509.load_pem_x509_certificate(out.encode())
    assert made.public_key() == board.identity.public_key()
    assert made.subject.rfc4514_string() == f"CN={DEVICE}"
    assert "Issued certificate is trusted" in err


def test_it_is_refused_with_a_certificate_that_is_for_something_else(world):
    folder, board, _ = world
    given = ["--in", folder / "request.der", "--cert", folder / "birth.der"]
    out, err = pki(world, "--est", *given, "--key", board.files("birth")[1])
    assert out == "" and "EST request failed: HTTP 403" in err


def test_it_refuses_a_server_of_another_ca(world):
    folder, board, _ = world
    given = ["--in", folder / "request.der", "--cert", folder / "own.der"]
    out, err = pki(world, "--est", *given, "--key", board.files("identity")[1], trust=["devices"])
    assert out == "" and "EST request failed: HTTP 0" in err
