"""A console that several listen to: bytes of a board, served on a TCP socket at 127.0.0.1.

mpremote opens it as `socket://127.0.0.1:<port>`. What one client types, the board gets; what the
board says, all clients get, and the owner gets it line by line.
"""

import selectors
import socket
import threading
from collections.abc import Callable

LOOPBACK = "127.0.0.1"
READ_BYTES = 4096
BACKLOG_BYTES = 1 << 20  # a client that lags this far behind is cut off
LINE_BYTES = 4096  # a longer line is handed on in parts


class Lines:
    """Bytes in, whole lines out (decoded, without their end)."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_BYTES:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._on_line(line.rstrip(b"\r").decode("utf-8", "replace"))


class ConsoleHub:
    """Serves one console in a thread of its own. `on_input` is called in that thread."""

    def __init__(self, on_input: Callable[[bytes], None], port: int = 0) -> None:
        self._on_input = on_input
        self._listener = socket.create_server((LOOPBACK, port))
        self._listener.setblocking(False)
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_out.setblocking(False)
        self._pending: dict[socket.socket, bytearray] = {}
        self._lock = threading.Lock()
        self._open = True
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name="console", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        return f"socket://{LOOPBACK}:{self.port}"

    def publish(self, data: bytes) -> None:
        """Send `data` to every client; from any thread."""
        with self._lock:
            for backlog in self._pending.values():
                backlog += data
        self._wake()

    def close(self) -> None:
        self._open = False
        self._wake()
        self._thread.join()
        for sock in (*self._pending, self._listener, self._wake_in, self._wake_out):
            sock.close()
        self._selector.close()

    def _wake(self) -> None:
        try:
            self._wake_in.send(b"\0")
        except OSError:
            return  # closed already: there is nobody to wake

    def _serve(self) -> None:
        while self._open:
            for key, _ in self._selector.select():
                self._ready(key.fileobj)
            with self._lock:
                for client, backlog in list(self._pending.items()):
                    self._flush(client, backlog)

    def _ready(self, source: object) -> None:
        if source is self._listener:
            client, _ = self._listener.accept()
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(client, selectors.EVENT_READ)
            with self._lock:
                self._pending[client] = bytearray()
        elif source is self._wake_out:
            self._wake_out.recv(READ_BYTES)
        elif isinstance(source, socket.socket) and source in self._pending:
            self._receive(source)

    def _receive(self, client: socket.socket) -> None:
        try:
            data = client.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._on_input(data)
        else:
            with self._lock:
                self._drop(client)

    def _flush(self, client: socket.socket, backlog: bytearray) -> None:
        try:
            if backlog:
                del backlog[: client.send(backlog)]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)
            return
        if len(backlog) > BACKLOG_BYTES:
            self._drop(client)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if backlog else 0)
        self._selector.modify(client, wanted)

    def _drop(self, client: socket.socket) -> None:
        self._pending.pop(client, None)
        self._selector.unregister(client)
        client.close()
