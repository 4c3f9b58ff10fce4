"""Certificate requests of devices (PKCS#10, RFC 2986): is this the device, answering now? (S8)"""

import hmac

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AttributeOID, NameOID

from host_tools.errors import Refused

NONCE_SIZE = 32  # bytes; in the request as hex (RFC 2985 5.4.1)
MAX_CSR = 2048  # bytes; a P-256 request with our attribute has about 350


def check(csr_der: bytes, nonce: bytes, device_id: str) -> ec.EllipticCurvePublicKey:
    """The public key of a request that proves possession of it and holds this nonce.

    Raises Refused, naming what was expected.
    """
    request, key = _open(csr_der, device_id)
    _check_nonce(request, nonce)
    return key


def check_possession(csr_der: bytes, device_id: str) -> ec.EllipticCurvePublicKey:
    """The public key of a request that proves possession of it, for who is known otherwise: by
    a sealed message or a TLS certificate (RFC 7030 3.4). Raises Refused."""
    return _open(csr_der, device_id)[1]


def _open(
    csr_der: bytes, device_id: str
) -> tuple[x509.CertificateSigningRequest, ec.EllipticCurvePublicKey]:
    """A request for `device_id` whose signature is its key's.

    Raises Refused, naming what was expected. Extensions that a request asks for are not granted:
    the profile alone says what a certificate holds.
    """
    if len(csr_der) > MAX_CSR:
        raise Refused(f"request: expected at most {MAX_CSR} bytes, got {len(csr_der)}")
    try:
        request = x509.load_der_x509_csr(csr_der)
        key, valid = request.public_key(), request.is_signature_valid
        algorithm = request.signature_hash_algorithm
        common = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise Refused(f"request: not a PKCS#10 request in DER: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Refused("request: expected a P-256 key")
    if not isinstance(algorithm, hashes.SHA256):
        raise Refused("request: expected a signature with SHA-256")
    if not valid:
        raise Refused("request: its signature does not prove possession of the key")
    if not csr_der.endswith(b"\0" + request.signature):  # its BIT STRING leaves no bit unused
        raise Refused("request: expected a signature of whole bytes")
    if len(list(request.subject)) != 1 or [item.value for item in common] != [device_id]:
        raise Refused(f"request: expected the subject CN={device_id} alone")
    return request, key


def _check_nonce(request: x509.CertificateSigningRequest, nonce: bytes) -> None:
    if len(nonce) != NONCE_SIZE:
        raise Refused(f"request: expected a nonce of {NONCE_SIZE} bytes, got {len(nonce)}")
    try:
        attribute = request.attributes.get_attribute_for_oid(AttributeOID.CHALLENGE_PASSWORD)
        value = attribute.value
    except (x509.AttributeNotFound, ValueError) as error:
        raise Refused("request: it holds no challengePassword with the nonce") from error
    if not hmac.compare_digest(value, nonce.hex().encode()):
        raise Refused("request: its challengePassword is not the nonce of this provisioning")
