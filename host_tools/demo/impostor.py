"""A broker whose certificate another CA issued: it listens where the real one did, and counts."""

import datetime
import ssl
import tempfile
import threading
from pathlib import Path
from socket import create_server, socket

from host_tools.pki import leaf
from host_tools.pki.ca import SERVICES, Ca

ACCEPT_S = 0.5
PATIENCE_S = 5.0
PIECE = 4096


class Impostor:
    """`handshakes` that devices broke off, and `application_bytes` that came all the same."""

    def __init__(self, name: str, host: str, port: int) -> None:
        self.handshakes = 0
        self.application_bytes = 0
        self.last_error = ""
        self._context = _context(name)
        self._listener = create_server((host, port))
        self._listener.settimeout(ACCEPT_S)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                peer, _ = self._listener.accept()
            except TimeoutError:
                continue
            self._serve(peer)

    def _serve(self, peer: socket) -> None:
        peer.settimeout(PATIENCE_S)
        self.handshakes += 1
        try:
            with self._context.wrap_socket(peer, server_side=True) as tls:
                while data := tls.recv(PIECE):
                    self.application_bytes += len(data)
        except OSError as error:  # ssl.SSLError is one: the device broke off
            self.last_error = getattr(error, "reason", None) or str(error)
        finally:
            peer.close()


def _context(name: str) -> ssl.SSLContext:
    """A TLS server as good as the real one, but for who vouches for it."""
    with tempfile.TemporaryDirectory() as folder:
        ca = Ca.create(Path(folder) / "ca", f"other {datetime.date.today():%Y}")
        leaf.make_broker(ca, Path(folder) / "broker", name, [name], [])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(
            Path(folder) / "broker" / leaf.CERTIFICATE, Path(folder) / "broker" / leaf.KEY
        )
        context.load_verify_locations(ca.chain_path(SERVICES))
        return context
