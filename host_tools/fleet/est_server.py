"""An EST server (RFC 7030) for the fleet's own devices, in `uward serve`.

    GET  /.well-known/est/cacerts          the devices' CA; to anybody
    POST /.well-known/est/simpleenroll     with a birth certificate: a new operational one
    POST /.well-known/est/simplereenroll   with an operational certificate that still holds
    GET  /.well-known/uward/time/<nonce>   the time, signed by role `time` over the nonce (S10)

HTTP is h11's; here are bounds, deadlines and who may do what. Errors are one line of text.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h11
from cryptography import x509
from cryptography.x509.oid import NameOID

from host_tools.errors import DeviceError, HostError, Refused
from host_tools.fleet import codec, limits
from host_tools.fleet.identity import TlsFiles, server_context
from host_tools.fleet.registrar import Registrar
from host_tools.pki import est
from host_tools.pki.ca import BIRTH, DEVICES, Ca
from host_tools.signing import cose
from host_tools.signing.roles import TIME_DOMAIN

TIME_ROOT = "/.well-known/uward/time/"
NONCE_HEX = 32  # characters of a nonce of 16 bytes
Notice = Callable[[str, str], None]


@dataclass(frozen=True)
class Client:
    """Who is at the other end: by which kind of CA, under which name; "" for nobody."""

    kind: str = ""
    name: str = ""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    kind: str = "text/plain"
    retry: int = 0


class Denied(Refused):
    """An answer other than 200."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Desk:
    """The decisions: a request of a known client in, an answer out. No socket here."""

    def __init__(self, ca: Ca, registrar: Registrar, signer: cose.Signer | None) -> None:
        self._ca = ca
        self._registrar = registrar
        self._signer = signer

    def client(self, certificate: x509.Certificate | None) -> Client:
        """Who a certificate is that TLS has verified. Raises Denied for a revoked one."""
        if certificate is None:
            return Client()
        if self._ca.is_revoked(certificate):
            raise Denied(403, "this certificate is revoked, or not one of this fleet's")
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        for kind in (BIRTH, DEVICES):
            bases = self._ca.shelf.bases(kind)
            if certificate.issuer in [self._ca.shelf.certificate(base).subject for base in bases]:
                return Client(kind, str(names[0].value))
        return Client()

    def answer(self, method: str, path: str, kind: str, body: bytes, client: Client) -> Answer:
        """Raises Denied and Refused (which is a 400)."""
        if path == est.ROOT + "/cacerts":
            _only("GET", method)
            return Answer(200, est.encode_certificates(self._chain()), est.CERTS_TYPE)
        if path == est.ROOT + "/simpleenroll":
            return self._enroll(method, kind, body, client, BIRTH)
        if path == est.ROOT + "/simplereenroll":
            return self._enroll(method, kind, body, client, DEVICES)
        if path.startswith(TIME_ROOT):
            _only("GET", method)
            return self._time(path[len(TIME_ROOT) :], client)
        raise Denied(404, "no such path: see RFC 7030 3.2.2")

    def _chain(self) -> list[x509.Certificate]:
        return x509.load_pem_x509_certificates(self._ca.chain_path(DEVICES).read_bytes())

    def _enroll(self, method: str, kind: str, body: bytes, client: Client, by: str) -> Answer:
        _only("POST", method)
        if client.kind != by:
            what = "a birth certificate" if by == BIRTH else "an operational certificate"
            raise Denied(403 if client.kind else 401, f"expected {what} as TLS client")
        if kind != est.CSR_TYPE:
            raise Denied(415, f"expected {est.CSR_TYPE}, got {kind or 'nothing'}")
        made = self._registrar.renew(client.name, est.decode(body, est.REQUEST_BYTES))
        if made is None:
            return Answer(202, b"the CA is elsewhere and was asked\r\n", retry=limits.EST_RETRY_S)
        certificate = x509.load_der_x509_certificate(made)
        return Answer(200, est.encode_certificates([certificate]), est.CERTS_TYPE)

    def _time(self, nonce: str, client: Client) -> Answer:
        if not client.kind:
            raise Denied(401, "expected a device as TLS client")
        if len(nonce) != NONCE_HEX or not set(nonce) <= set("0123456789abcdef"):
            raise Denied(400, f"expected a nonce of {NONCE_HEX} hexadecimal digits")
        now = int(time.time())
        if self._signer is None or now < limits.CLOCK_FLOOR:
            raise Denied(503, "this host cannot tell the time")
        payload = codec.encode([bytes.fromhex(nonce), client.name, now])
        return Answer(200, cose.sign1(payload, self._signer, TIME_DOMAIN), "application/cose")


def _only(wanted: str, method: str) -> None:
    if method != wanted:
        raise Denied(405, f"expected {wanted}, got another method")


class EstServer:
    """The socket around a Desk. `chains`: of the CAs whose certificates clients may show."""

    def __init__(
        self, files: TlsFiles, chains: tuple[Path, ...], desk: Desk, notice: Notice
    ) -> None:
        shown = TlsFiles(chains, files.certificate, files.key)
        self._context = server_context(shown)
        self._context.verify_mode = ssl.CERT_OPTIONAL  # /cacerts is for everybody (RFC 7030 4.1.1)
        self._desk = desk
        self._notice = notice
        self._server: asyncio.Server | None = None
        self._open = 0

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises DeviceError when the address cannot be had."""
        try:
            self._server = await asyncio.start_server(
                self._connected,
                host,
                port,
                ssl=self._context,
                ssl_handshake_timeout=limits.HANDSHAKE_WAIT_S,
                limit=limits.EST_BYTES,
            )
        except OSError as error:
            raise DeviceError(
                f"EST cannot listen on {host}:{port}: {error.strerror}",
                "another program may hold the port: est_port in uward.toml",
            ) from error

    @property
    def port(self) -> int:
        if self._server is None or not self._server.sockets:
            raise DeviceError("EST does not listen")
        return int(self._server.sockets[0].getsockname()[1])

    async def shutdown(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= limits.EST_CONNECTIONS:
                talk = _Talk(self._desk, reader, writer, self._notice)
                await asyncio.wait_for(talk.run(), limits.EST_CONNECTION_S)
        except (OSError, asyncio.TimeoutError, h11.RemoteProtocolError, EOFError):
            pass  # the client went, was too slow, or speaks no HTTP: it gets no more
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()


class _Talk:
    """One connection: some requests, one after another."""

    def __init__(
        self,
        desk: Desk,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        notice: Notice,
    ) -> None:
        self._desk, self._reader, self._writer = desk, reader, writer
        self._notice = notice
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.EST_HEAD_BYTES)

    async def run(self) -> None:
        for _ in range(limits.EST_REQUESTS):
            request = await self._next()
            if not isinstance(request, h11.Request):
                return
            await self._send(await self._judge(request))
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def _judge(self, request: h11.Request) -> Answer:
        method, path = request.method.decode(), request.target.decode("ascii", "replace")
        try:
            client = self._desk.client(self._certificate())
            kind = _header(request, b"content-type").partition(";")[0].strip().lower()
            return self._desk.answer(method, path, kind, await self._body(), client)
        except Denied as error:
            return self._denied(error.status, error)
        except Refused as error:
            return self._denied(400, error)
        except HostError as error:
            return self._denied(503, error)

    def _denied(self, status: int, error: HostError) -> Answer:
        self._notice("est.refused", str(error))
        return Answer(status, str(error).encode("ascii", "replace") + b"\r\n")

    def _certificate(self) -> x509.Certificate | None:
        tls = self._writer.get_extra_info("ssl_object")
        der = tls.getpeercert(binary_form=True) if tls is not None else None
        return x509.load_der_x509_certificate(der) if der else None

    async def _body(self) -> bytes:
        body = b""
        while True:
            event = await self._next()
            if isinstance(event, h11.Data):
                body += bytes(event.data)
                if len(body) > est.REQUEST_BYTES:
                    raise Denied(413, f"expected at most {est.REQUEST_BYTES} bytes")
            else:
                return body

    async def _next(self) -> object:
        while True:
            if self._http.they_are_waiting_for_100_continue:
                head = h11.InformationalResponse(status_code=100, headers=[])
                self._writer.write(self._http.send(head) or b"")
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            self._http.receive_data(await self._reader.read(limits.EST_BYTES))

    async def _send(self, answer: Answer) -> None:
        headers = [("Content-Type", answer.kind), ("Content-Length", str(len(answer.body)))]
        if answer.kind == est.CERTS_TYPE:
            headers.append(("Content-Transfer-Encoding", "base64"))
        if answer.retry:
            headers.append(("Retry-After", str(answer.retry)))
        head = h11.Response(status_code=answer.status, headers=headers)
        for event in (head, h11.Data(data=answer.body), h11.EndOfMessage()):
            self._writer.write(self._http.send(event) or b"")
        await self._writer.drain()


def _header(request: h11.Request, wanted: bytes) -> str:
    found = [value for name, value in request.headers if name == wanted]
    return found[0].decode("ascii", "replace") if len(found) == 1 else ""
