"""Certificates for tests, good and bad: a few lines each, P-256 unless said otherwise."""

import datetime as dt
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
BROKER = "broker.local"
DEVICE = "abcdefgh12345678"
DAY = 86400


class Identity:
    """A certificate with its key. issuer None: self-signed. days: validity, relative to now.

    usage: extended key usages; rsa_bits: an RSA key instead of P-256; signs: by its key usage.
    """

    def __init__(
        self,
        name,
        issuer=None,
        ca=False,
        usage=(),
        days=(-1, 365),
        rsa_bits=0,
        san=None,
        signs=True,
    ):
        self.key = (
            rsa.generate_private_key(65537, rsa_bits)
            if rsa_bits
            else ec.generate_private_key(ec.SECP256R1())
        )
        now = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.issuer = issuer
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + dt.timedelta(days=days[0]))
            .not_valid_after(now + dt.timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(_key_usage(ca, bool(rsa_bits), signs), critical=True)
        )
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        if san:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(san)]), critical=False
            )
        signer = issuer.key if issuer else self.key
        self.certificate = builder.sign(signer, hashes.SHA256())

    @property
    def der(self):
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def secret(self):
        """The private key as a device keeps it: 32 bytes."""
        return self.key.private_numbers().private_value.to_bytes(32, "big")

    @property
    def key_pem(self):
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    @property
    def serial(self):
        """Big-endian, without a leading zero."""
        number = self.certificate.serial_number
        return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _key_usage(ca, exchanges, signs):
    return x509.KeyUsage(signs, False, exchanges, False, not signs, ca, ca, False, False)


def server_context(folder, identity, clients, chain=()):
    """An ssl.SSLContext that shows `identity` and demands a certificate of a CA in `clients`."""
    (folder / "server.pem").write_bytes(
        identity.pem + b"".join(link.pem for link in chain) + identity.key_pem
    )
    (folder / "clients.pem").write_bytes(b"".join(ca.pem for ca in clients))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(folder / "server.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(str(folder / "clients.pem"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context
