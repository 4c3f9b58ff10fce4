"""umqtt.simple as byte oracle: our packets equal what it writes to a socket of its own."""

import importlib.util

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

CLIENT_ID = b"abcdefgh12345678"
TOPICS = st.binary(min_size=1, max_size=96)
PAYLOADS = st.binary(max_size=600)


class Socket:
    """Keeps what is written; answers from a script."""

    def __init__(self):
        self.written = b""
        self.replies = b""

    def write(self, data, size=None):
        self.written += bytes(data if size is None else data[:size])

    def read(self, n):
        data, self.replies = self.replies[:n], self.replies[n:]
        return data

    def setblocking(self, flag):
        pass

    def connect(self, address):
        pass

    def close(self):
        pass


class Sockets:
    """The oracle's own `socket` module."""

    def __init__(self):
        self.last = None
        self.replies = b""

    def socket(self):
        self.last = Socket()
        self.last.replies = self.replies
        return self.last

    def getaddrinfo(self, host, port):
        return [(None,)]


@pytest.fixture(scope="module")
def oracle(umqtt):
    """A second copy of umqtt.simple: ours has lost its sockets."""
    spec = importlib.util.spec_from_file_location("oracle", umqtt / "umqtt/simple.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.socket = Sockets()
    return module


@pytest.fixture(scope="module")
def client_class(umqtt):
    from uward.link.mqtt import Client

    return Client


def connected(oracle, *args, clean=False, **options):
    client = oracle.MQTTClient(CLIENT_ID, "broker", *args, **options)
    oracle.socket.replies = b"\x20\x02\0\0"
    client.connect(clean)
    written = client.sock.written
    client.sock.written = b""
    client.set_callback(lambda topic, msg: None)
    return client, written


@pytest.mark.parametrize("clean", [False, True])
@pytest.mark.parametrize("keepalive", [60, 3600])
@pytest.mark.parametrize("user", [None, b"someone"])
def test_connect(oracle, client_class, clean, keepalive, user):
    password = user and b"x" * 200
    _, written = connected(oracle, user=user, password=password, keepalive=keepalive, clean=clean)
    ours = client_class(CLIENT_ID, user=user, password=password, keepalive=keepalive)
    assert ours.connect_packet(clean) == written


@pytest.mark.parametrize("retain", [False, True])
@settings(max_examples=100, deadline=None)
@given(topic=TOPICS, payload=PAYLOADS)
def test_publish_qos_0(oracle, client_class, retain, topic, payload):
    client, _ = connected(oracle)
    client.publish(topic, payload, retain)
    assert client_class(CLIENT_ID).publish_packet(topic, payload, retain) == client.sock.written


@settings(max_examples=100, deadline=None)
@given(topic=TOPICS, payload=PAYLOADS, pid=st.integers(1, 65535))
def test_publish_qos_1(oracle, client_class, topic, payload, pid):
    client, _ = connected(oracle)
    client.pid = pid - 1
    client.sock.replies = b"\x40\x02" + pid.to_bytes(2, "big")
    client.publish(topic, payload, qos=1)
    packet = client_class(CLIENT_ID).publish_packet(topic, payload, False, pid)
    assert packet == client.sock.written


@settings(max_examples=100, deadline=None)
@given(topic=TOPICS, qos=st.integers(0, 1), pid=st.integers(1, 65535))
def test_subscribe(oracle, client_class, topic, qos, pid):
    client, _ = connected(oracle)
    client.pid = pid - 1
    client.sock.replies = b"\x90\x03" + pid.to_bytes(2, "big") + bytes([qos])
    client.subscribe(topic, qos)
    assert client_class(CLIENT_ID).subscribe_packet(topic, qos, pid) == client.sock.written


def test_ping_and_disconnect(oracle, client_class):
    client, _ = connected(oracle)
    client.ping()
    client.disconnect()
    ours = client_class(CLIENT_ID)
    assert ours.ping_packet() + ours.disconnect_packet() == client.sock.written


def test_umqtt_has_lost_its_sockets(client_class, umqtt):
    """No plaintext path: connecting with the base class reaches nothing but a tape."""
    from umqtt import simple

    client = simple.MQTTClient(b"id", "127.0.0.1", 1)
    client.connect()
    assert type(client.sock).__name__ == "_Tape"
