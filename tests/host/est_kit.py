"""A fleet with its EST service on 127.0.0.1, and a device's keys as PEM files."""

import asyncio
import shutil
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AttributeOID, NameOID

from host_tools import cli, project
from host_tools.fleet import est_service, service
from host_tools.fleet.inventory import Device, Inventory
from host_tools.pki import files
from host_tools.pki.ca import Ca
from host_tools.pki.shelf import pem

NONCE = bytes(range(32))
DEVICE = "estdevice00000000001"
START_S = 20.0


_MADE = tempfile.TemporaryDirectory()  # one fleet, made once: its keys take seconds


def make_fleet(folder):
    """A fleet in `folder`, a copy of one that is made when it is first wanted."""
    template = Path(_MADE.name) / "f"
    if not template.exists():
        made = ["init", str(template), "--vendor", "example.org", "--board", "unix"]
        assert cli.run([*made, "--lms-height", "10"]) == 0
    shutil.copytree(template, folder)
    return project.load(folder)


def csr(key, device=DEVICE, nonce=None):
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)])
    )
    if nonce:
        builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, nonce.hex().encode())
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def xy(key):
    form = serialization.PublicFormat.UncompressedPoint
    return key.public_key().public_bytes(serialization.Encoding.X962, form)[1:]


class Board:
    """An enrolled device: `identity` and `birth` keys, their certificates as PEM files."""

    def __init__(self, fleet, device=DEVICE, clock=None):
        self.id, self.folder = device, fleet.root / f"board-{device}"
        ca = Ca(fleet.folder("ca"), **({"clock": clock} if clock else {}))
        self.identity, self.birth, self.pairing = (
            ec.generate_private_key(ec.SECP256R1()) for _ in range(3)
        )
        self.operational = x509.load_der_x509_certificate(
            ca.issue_device(csr(self.identity, device, NONCE), NONCE, device)
        )
        born = csr(self.birth, device, NONCE)
        self.born = x509.load_der_x509_certificate(
            ca.issue_birth(born, NONCE, device, b"unique", bytes(16))
        )
        for name, key, certificate in (
            ("identity", self.identity, self.operational),
            ("birth", self.birth, self.born),
        ):
            files.write(self.folder / f"{name}.pem", pem(certificate))
            files.write(self.folder / f"{name}.key", files.private_pem(key), secret=True)
        serial = f"{self.operational.serial_number:040x}"
        public = xy(self.pairing).hex(), xy(self.identity).hex()
        record = Device(device, "unix", "01", *public, serial, 1_790_000_000)
        Inventory(fleet.folder("devices")).add(record)

    def files(self, name):
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"


@contextmanager
def serving(fleet, local=None):
    """The EST service of `fleet` in a thread of its own. -> (port, notices)"""
    notices, ready, ends = [], threading.Event(), []
    registrar = est_service.make_registrar(fleet)
    if local is not None:
        registrar._local = local

    async def run():
        stop = asyncio.Event()
        ends.append((asyncio.get_running_loop(), stop))
        tls = service.broker_files(fleet)
        running = est_service.running(fleet, registrar, "127.0.0.1", 0, tls, notices.append)
        async with running as port:
            ends.append(port)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        assert ready.wait(START_S)
        yield ends[1], notices
    finally:
        loop, stop = ends[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_S)
