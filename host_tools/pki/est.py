"""EST on the wire (RFC 7030): bodies and what may be in them. Pure; both ends use it.

A request is a PKCS#10, an answer a certs-only PKCS#7 (RFC 5272 4.1), each in DER and base64
(RFC 7030 4, RFC 8951 3.1): white space in the base64 is read over, anything else refused.
"""

import base64
import binascii
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7

from host_tools.errors import Refused

ROOT = "/.well-known/est"  # RFC 7030 3.2.2
CSR_TYPE = "application/pkcs10"
CERTS_TYPE = "application/pkcs7-mime"
BODY_BYTES = 16 * 1024  # one body: a chain of four certificates has 4 KB of base64
REQUEST_BYTES = 4096  # a request: ours have 500 bytes of base64
CERTIFICATES = 8  # in one answer


def encode(data: bytes) -> bytes:
    """DER as base64 without line breaks (RFC 8951 3.1; strongSwan reads no others)."""
    return base64.b64encode(data)


def decode(body: bytes, most: int) -> bytes:
    """base64 as DER. Raises Refused for other characters, wrong padding, and too much."""
    if len(body) > most:
        raise Refused(f"EST: expected at most {most} bytes of body, got {len(body)}")
    text = body.translate(None, b" \t\r\n")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(f"EST: expected base64, got another encoding ({error})") from error
    if not data:
        raise Refused("EST: expected a body, got none")
    return data


def encode_certificates(certificates: Sequence[x509.Certificate]) -> bytes:
    """A certs-only answer, ready to send."""
    der = pkcs7.serialize_certificates(list(certificates), serialization.Encoding.DER)
    return encode(der)


def decode_certificates(body: bytes) -> list[x509.Certificate]:
    """The certificates of an answer. Raises Refused."""
    data = decode(body, BODY_BYTES)
    try:
        found = pkcs7.load_der_pkcs7_certificates(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Refused(f"EST: expected certificates in PKCS#7, got another: {error}") from error
    if not 1 <= len(found) <= CERTIFICATES:
        raise Refused(f"EST: expected 1 to {CERTIFICATES} certificates, got {len(found)}")
    return found


def answer_to(
    request: x509.CertificateSigningRequest,
    found: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
) -> list[x509.Certificate]:
    """The certificate that answers `request`, then its chain up to one of `anchors`.

    Raises Refused for a certificate of another key or name, and for one that no anchor has
    issued. Validity is the caller's matter: whoever uses it checks it (and its purpose) again.
    """
    mine = [one for one in found if _key(one) == _key(request)]
    if len(mine) != 1:
        raise Refused(f"EST: expected one certificate of the key, got {len(mine)}")
    if mine[0].subject != request.subject:
        raise Refused(
            f"EST: expected a certificate for {request.subject.rfc4514_string()}, "
            f"got one for {mine[0].subject.rfc4514_string()}"
        )
    chain = [mine[0]]
    while chain[-1] not in anchors:
        issuer = _issuer_of(chain[-1], [*anchors, *found])
        if issuer is None or issuer in chain:
            raise Refused("EST: expected a certificate of the CA that is trusted, got another's")
        chain.append(issuer)
    return chain


def _issuer_of(
    certificate: x509.Certificate, candidates: Sequence[x509.Certificate]
) -> x509.Certificate | None:
    for candidate in candidates:
        try:
            certificate.verify_directly_issued_by(candidate)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return candidate
    return None


def _key(holder: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    key = holder.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return b""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.DER, form)
