"""An EST client (RFC 7030): what a hospital's CA is asked with.

client = EstClient("https://ca.example.org/.well-known/est", anchors, ("ra.pem", "ra.key"))
client.cacerts()            -> CA certificates
client.enroll(csr_der)      -> certificate and its chain; Later when the CA wants time
"""

import base64
import http.client
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from host_tools.errors import DeviceError, Refused, UsageError
from host_tools.pki import est

TIMEOUT_S = 30.0  # of one connection or answer: a CA with a slow token needs seconds
RETRY_MAX_S = 7 * 24 * 3600  # a longer Retry-After is not believed


class Later(Refused):
    """The CA has taken the request and wants to be asked again (RFC 7030 4.2.3)."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"the CA wants to be asked again in {seconds} s")
        self.seconds = seconds


@dataclass(frozen=True)
class Login:
    """How this host proves itself: a certificate's PEM files, or a name and a password."""

    certificate: Path | None = None
    key: Path | None = None
    user: str = ""
    password: str = ""


class EstClient:
    """One EST server. `anchors`: CA certificates that its TLS certificate must come from, given
    beforehand (RFC 7030 3.6.1, explicit trust anchors)."""

    def __init__(
        self, url: str, anchors: Sequence[x509.Certificate], login: Login | None = None
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.query or parts.username:
            raise UsageError(f"EST: expected https://HOST[:PORT]/.well-known/est, got {url!r}")
        if not anchors:
            raise UsageError("EST: expected at least one CA certificate to believe")
        self._host, self._port = parts.hostname, parts.port
        self._root = parts.path.rstrip("/") or est.ROOT
        self._login = login or Login()
        self._context = _context(anchors, self._login)

    def cacerts(self) -> list[x509.Certificate]:
        """The CA's certificates (4.1), over TLS that the explicit anchors vouch for."""
        return est.decode_certificates(self._ask("GET", "/cacerts"))

    def enroll(
        self, csr_der: bytes, trusted: Sequence[x509.Certificate], again: bool = False
    ) -> list[x509.Certificate]:
        """The certificate for a request and its chain up to `trusted` (4.2).

        again: /simplereenroll, with the certificate that is to be renewed. Raises Refused,
        Later, DeviceError.
        """
        request = x509.load_der_x509_csr(csr_der)
        path = "/simplereenroll" if again else "/simpleenroll"
        found = est.decode_certificates(self._ask("POST", path, est.encode(csr_der)))
        return est.answer_to(request, found, trusted)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=TIMEOUT_S, context=self._context
        )
        try:
            connection.request(method, self._root + path, body, self._headers(body))
            response = connection.getresponse()
            data = response.read(est.BODY_BYTES + 1)
        except ssl.SSLCertVerificationError as error:
            raise Refused(f"EST: the server is not believed: {error.verify_message}") from error
        except (OSError, http.client.HTTPException, socket.timeout) as error:
            raise DeviceError(f"EST: no answer of {self._host}: {error or 'timeout'}") from error
        finally:
            connection.close()
        return _judged(response, data)

    def _headers(self, body: bytes | None) -> dict[str, str]:
        headers = {"Accept": est.CERTS_TYPE}
        if body is not None:
            headers |= {"Content-Type": est.CSR_TYPE, "Content-Transfer-Encoding": "base64"}
        if self._login.user:
            pair = f"{self._login.user}:{self._login.password}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        return headers


def _judged(response: http.client.HTTPResponse, data: bytes) -> bytes:
    """The body of a good answer. Redirects are not followed: the anchors are this server's."""
    if response.status == http.client.ACCEPTED:
        asked = response.headers.get("Retry-After", "")
        raise Later(min(int(asked), RETRY_MAX_S) if asked.isdecimal() else 0)
    if response.status != http.client.OK:
        said = data[:200].decode("utf-8", "replace").strip() if _is_text(response) else ""
        shown = "".join(c if c.isprintable() else " " for c in said)
        raise Refused(
            f"EST: the CA refuses ({response.status} {response.reason}) {shown}".rstrip()
        )
    kind = response.headers.get_content_type()
    if kind != est.CERTS_TYPE:
        raise Refused(f"EST: expected {est.CERTS_TYPE}, got {kind}")
    return data


def _is_text(response: http.client.HTTPResponse) -> bool:
    return response.headers.get_content_type() == "text/plain"


def _context(anchors: Sequence[x509.Certificate], login: Login) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # An anchor may be an issuing CA: whoever names it means that one, not its root
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    pems = [one.public_bytes(serialization.Encoding.PEM).decode() for one in anchors]
    context.load_verify_locations(cadata="".join(pems))
    if login.certificate is not None:
        try:
            context.load_cert_chain(login.certificate, login.key)
        except (ssl.SSLError, OSError) as error:
            raise UsageError(f"{login.certificate}: not a usable certificate: {error}") from error
    return context
