"""link/mqtt and link/tls with a real mosquitto that demands client certificates."""

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import FIRMWARE, run_unix
from tests.device.conftest import CALL

HERE = Path(__file__).resolve().parents[1] / "device"
sys.path.insert(0, str(HERE))

from pki import BROKER, CLIENT, DEVICE, SERVER, Identity  # noqa: E402

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin") or shutil.which(
    "mosquitto"
)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture
def mosquitto(tmp_path):
    """A running mosquitto -> (port, CA of services, device identity)."""
    if MOSQUITTO is None:
        pytest.skip("no mosquitto: apt-get install mosquitto")
    ca, devices = Identity("Services", ca=True), Identity("Devices", ca=True)
    broker = Identity(BROKER, ca, usage=[SERVER], san=BROKER)
    for name, data in (
        ("broker.pem", broker.pem),
        ("broker.key", broker.key_pem),
        ("devices.pem", devices.pem),
    ):
        (tmp_path / name).write_bytes(data)
    number = free_port()
    (tmp_path / "mosquitto.conf").write_text(
        "user root\nlistener %d 127.0.0.1\ncafile %s/devices.pem\ncertfile %s/broker.pem\n"
        "keyfile %s/broker.key\nrequire_certificate true\nuse_identity_as_username true\n"
        "allow_anonymous false\n" % (number, tmp_path, tmp_path, tmp_path)
    )
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            [MOSQUITTO, "-c", str(tmp_path / "mosquitto.conf")], stdout=log, stderr=log
        )
    try:
        wait_until_it_listens(number)
        yield number, ca, Identity(DEVICE, devices, usage=[CLIENT])
    finally:
        process.terminate()
        process.wait(10)


def wait_until_it_listens(number):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", number)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    pytest.fail("mosquitto does not listen")


def test_session_outlives_the_connection(mosquitto, umqtt, tmp_path):
    number, ca, device = mosquitto
    arguments = [str(umqtt), number, ca.der.hex(), device.der.hex(), device.secret.hex()]
    (tmp_path / "arguments.json").write_text(json.dumps(arguments))
    out = run_unix(
        CALL % ("device_mosquitto", "session"), tmp_path, 60, (FIRMWARE, HERE), heap="1m"
    )
    present, granted, sizes, late, left = json.loads(out.strip().splitlines()[-1])
    assert present == [False, True]  # clean session false: mosquitto kept it
    assert granted == 1
    assert sizes == [1] * 10 + [2] * 2 + [4000]
    assert late == ["again 0", "again 1", "again 2"]  # nothing lost, whatever came twice
    assert left == []
