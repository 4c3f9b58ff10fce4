"""A throw-away fleet for tests: two issuing CAs under a root, certificates, revocation lists."""

import asyncio
import datetime
import ipaddress
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID as EKU
from cryptography.x509.oid import NameOID

from host_tools.fleet import mosquitto
from host_tools.fleet.broker import EmbeddedBroker
from host_tools.fleet.identity import TlsFiles

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
ALICE = "alice0123456789a"  # device ids
BOB = "bob0123456789abcd"


def name_of(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class Authority:
    """A CA that issues what a test asks for."""

    name: str
    issuer: "Authority | None" = None
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self):
        signer = self.issuer or self
        self.cert = self._builder(self.name, self.key.public_key(), signer.name).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.cert = self.cert.sign(signer.key, hashes.SHA256())

    def _builder(self, subject, public, issuer, days=365):
        return (
            x509.CertificateBuilder()
            .subject_name(name_of(subject))
            .issuer_name(name_of(issuer))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - DAY)
            .not_valid_after(NOW + days * DAY)
        )

    def issue(self, folder, cn, usage=EKU.CLIENT_AUTH):
        """Write `<cn>.pem` and `<cn>.key` into folder; returns the certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        san = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        cert = (
            self._builder(cn, key.public_key(), self.name)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(san), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        pem = Encoding.PEM
        (folder / f"{cn}.pem").write_bytes(cert.public_bytes(pem))
        (folder / f"{cn}.key").write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return cert

    def write_crl(self, path, revoked=(), number=1):
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(name_of(self.name))
            .last_update(NOW - DAY)
            .next_update(NOW + 7 * DAY)
            .add_extension(x509.CRLNumber(number), critical=False)
        )
        for cert in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(cert.serial_number)
                .revocation_date(NOW - DAY)
                .build()
            )
        crl = builder.sign(self.key, hashes.SHA256())
        path.write_bytes(crl.public_bytes(Encoding.PEM))


class Pki:
    """root -> devices, services; a broker, a collector, alice, bob; both revocation lists."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.root = Authority("Test Root")
        self.devices = Authority("Test Devices", self.root)
        self.services = Authority("Test Services", self.root)
        self.chains = (folder / "services-chain.pem", folder / "devices-chain.pem")
        for path, ca in zip(self.chains, (self.services, self.devices), strict=True):
            certs = (ca.cert, self.root.cert)
            path.write_bytes(b"".join(c.public_bytes(Encoding.PEM) for c in certs))
        self.services.issue(folder, "broker", EKU.SERVER_AUTH)
        self.services.issue(folder, "collector")
        self.certs = {cn: self.devices.issue(folder, cn) for cn in (ALICE, BOB)}
        self.crls = (folder / "devices.crl", folder / "services.crl")
        self.devices.write_crl(self.crls[0])
        self.services.write_crl(self.crls[1])

    def files(self, cn, crls=False) -> TlsFiles:
        return TlsFiles(
            self.chains,
            self.folder / f"{cn}.pem",
            self.folder / f"{cn}.key",
            self.crls if crls else (),
        )

    def client_context(self, cn=None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.chains[0])
        if cn is not None:
            context.load_cert_chain(self.folder / f"{cn}.pem", self.folder / f"{cn}.key")
        return context


BROKERS = [
    "embedded",
    pytest.param(
        "mosquitto",
        marks=pytest.mark.skipif(
            mosquitto.find() is None, reason="mosquitto is not installed on this machine"
        ),
    ),
]


@asynccontextmanager
async def running(kind, pki, notices=None, port=0):
    """A broker of either kind on 127.0.0.1."""
    files = pki.files("broker", crls=True)
    if kind == "embedded":
        seen = notices if notices is not None else []
        broker = EmbeddedBroker(
            files, "127.0.0.1", port, lambda event, reason: seen.append((event, reason))
        )
    else:
        broker = mosquitto.Mosquitto(files, pki.folder / "mosquitto", "127.0.0.1", port)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.shutdown()


class Raw:
    """MQTT by hand over TLS: sends what it is told, returns whole packets."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port, context, name="localhost"):
        streams = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=name
        )
        return cls(*streams)

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def packet(self, wait=5.0):
        """One packet (of at most 127 bytes), or b'' when the broker has closed."""
        try:
            head = await asyncio.wait_for(self.reader.readexactly(2), wait)
            return head + await asyncio.wait_for(self.reader.readexactly(head[1]), wait)
        except asyncio.TimeoutError:  # an OSError since Python 3.11, and no end of a connection
            raise
        except (asyncio.IncompleteReadError, OSError):
            return b""

    async def silent(self, wait=0.4):
        """True when nothing comes and the connection stays open."""
        try:
            return await asyncio.wait_for(self.reader.read(1), wait) is None
        except asyncio.TimeoutError:
            return True

    def close(self):
        self.writer.close()


def field16(text):
    data = text if isinstance(text, bytes) else text.encode()
    return len(data).to_bytes(2, "big") + data


def packet(first, body):
    length, raw = len(body), b""
    while True:
        raw += bytes([length & 0x7F | (0x80 if length > 0x7F else 0)])
        length >>= 7
        if not length:
            return bytes([first]) + raw + body


def connect(client_id, clean=True, keep_alive=60, will=None):
    flags = (2 if clean else 0) | (4 if will else 0)
    body = field16("MQTT") + bytes([4, flags]) + keep_alive.to_bytes(2, "big")
    body += field16(client_id)
    if will:
        body += field16(will[0]) + field16(will[1])
    return packet(0x10, body)


def subscribe(topic, qos=1, packet_id=1):
    return packet(0x82, packet_id.to_bytes(2, "big") + field16(topic) + bytes([qos]))


def publish(topic, payload, qos=0, packet_id=7, retain=False):
    body = field16(topic) + (packet_id.to_bytes(2, "big") if qos else b"") + payload
    return packet(0x30 | qos << 1 | retain, body)
