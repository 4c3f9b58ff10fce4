"""MQTT brokers of a few lines at 127.0.0.1: one that keeps the protocol, others that break it.

Each behaviour is a function of one connection; what the client sent is kept in `received`.
"""

import socket
import ssl
import threading
import time

CONNACK = b"\x20\x02\x00\x00"
RESUMED = b"\x20\x02\x01\x00"


class Connection:
    """One accepted socket: whole packets in, bytes out."""

    def __init__(self, sock):
        self.sock = sock
        self.received = b""

    def packet(self):
        """-> (first byte, body) of the next packet; ConnectionError at the end."""
        first = self._read(1)[0]
        length = shift = 0
        while True:
            byte = self._read(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return first, self._read(length)

    def _read(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise ConnectionError("the client left")
            data += more
        self.received += data
        return data

    def send(self, data):
        self.sock.sendall(data)


class Broker:
    """Accept connections in a thread and let `behaviour(connection)` have each; then close it.

    context: an ssl.SSLContext for TLS. refused: handshakes that failed, as text.
    """

    def __init__(self, behaviour, context=None):
        self._behaviour = behaviour
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections = []
        self.refused = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return  # closed: the test is over
            sock.settimeout(60)
            with sock:
                self._one(sock)

    def _one(self, sock):
        try:
            if self._context:
                sock = self._context.wrap_socket(sock, server_side=True)
        except (OSError, ssl.SSLError) as e:
            self.refused.append(str(e))
            return
        connection = Connection(sock)
        self.connections.append(connection)
        try:
            self._behaviour(connection)
        except OSError as e:
            connection.end = e  # the client closed: most tests end like this
        finally:
            sock.close()

    @property
    def received(self):
        """All application bytes of all connections."""
        return b"".join(connection.received for connection in self.connections)


def until_gone(connection):
    while True:
        connection.packet()


def honest(connection, connack=CONNACK):
    """Accept, acknowledge publishes and subscriptions, answer pings."""
    while True:
        first, body = connection.packet()
        if first == 0x10:
            connection.send(connack)
        elif first & 0xF2 == 0x32:
            at = 2 + (body[0] << 8 | body[1])
            connection.send(b"\x40\x02" + body[at : at + 2])
        elif first == 0x82:
            connection.send(b"\x90\x03" + body[:2] + b"\x01")
        elif first == 0xC0:
            connection.send(b"\xd0\x00")
        elif first == 0xE0:
            return


def silent(connection):
    until_gone(connection)


def one_byte_of_connack(connection):
    connection.packet()
    connection.send(b"\x20")


def endless_length(connection):
    connection.packet()
    connection.send(CONNACK)
    while True:
        connection.send(b"\x30" + b"\x80" * 64)


def huge_publish(connection):
    connection.packet()
    connection.send(CONNACK + b"\x30\xff\xff\xff\x7f")
    while True:
        connection.send(bytes(4096))


def long_topic(connection):
    connection.packet()
    connection.send(CONNACK + b"\x30\x05\xea\x60abc")
    until_gone(connection)


def other_puback(connection):
    connection.packet()
    connection.send(CONNACK)
    while True:
        first, body = connection.packet()
        if first & 0xF2 == 0x32:
            at = 2 + (body[0] << 8 | body[1])
            pid = (body[at] << 8 | body[at + 1]) + 7
            connection.send(b"\x40\x02" + pid.to_bytes(2, "big"))


def session_present(connection):
    honest(connection, RESUMED)


def deaf_to_publish(connection):
    """Accepts, and never acknowledges anything."""
    connection.packet()
    connection.send(CONNACK)
    until_gone(connection)


def refuses(connection):
    connection.packet()
    connection.send(b"\x20\x02\x00\x05")
    until_gone(connection)


def drips(connection, seconds=0.02):
    """A PUBLISH, one byte at a time."""
    connection.packet()
    connection.send(CONNACK)
    for byte in b"\x30\x20\x00\x03t/1" + bytes(27):
        time.sleep(seconds)
        connection.send(bytes([byte]))
    until_gone(connection)
