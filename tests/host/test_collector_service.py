"""`serve` on a fleet that `uward init` made: the files fit together, and it stops cleanly."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time

import aiomqtt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import CertificateSigningRequestBuilder, load_der_x509_certificate
from cryptography.x509.oid import AttributeOID
from fake_device import FakeDevice
from fleet_kit import ALICE, BROKERS, Raw, connect, name_of
from uward.codec import cbor

from host_tools import keyring, project
from host_tools.errors import DeviceError, UsageError
from host_tools.fleet import service, upkeep
from host_tools.fleet.answers import Down
from host_tools.fleet.broker import EmbeddedBroker
from host_tools.fleet.identity import TlsFiles, client_context
from host_tools.fleet.inventory import Device, Inventory
from host_tools.fleet.store import Store
from host_tools.pki import files, profiles
from host_tools.pki.ca import Ca
from host_tools.signing import cose, keys
from host_tools.signing.roles import TIME_DOMAIN
from host_tools.verbs import init


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet")
    options = init.Options(vendor="example.org", name="ward", board="unix", height=10, est_port=0)
    init.do_init(folder, options, lambda *_: None)
    return project.load(folder)


@pytest.fixture
def alice(fleet):
    """An enrolled device: certificate, record, and its end of the conversation."""
    collector = keys.load_ecdh(keyring.key_path(fleet, "collector", "collector"))
    device = FakeDevice(ALICE, collector.public_key())
    device.tls = enrol(fleet, device)
    return device


def enrol(fleet, device):
    folder = fleet.root / "alice"
    folder.mkdir(exist_ok=True)
    key, nonce = ec.generate_private_key(ec.SECP256R1()), os.urandom(32)
    request = (
        CertificateSigningRequestBuilder()
        .subject_name(name_of(ALICE))
        .add_attribute(AttributeOID.CHALLENGE_PASSWORD, nonce.hex().encode())
        .sign(key, hashes.SHA256())
    )
    ca = Ca.open(fleet.folder("ca"))
    der = ca.issue_device(request.public_bytes(Encoding.DER), nonce, ALICE, replace=True)
    pem = load_der_x509_certificate(der).public_bytes(Encoding.PEM)
    files.write(folder / "cert.pem", pem, force=True)
    files.write(folder / "key.pem", files.private_pem(key), secret=True, force=True)
    record = Device(ALICE, "unix", "00", device.public.hex(), device.public.hex(), "01", 1)
    Inventory(fleet.folder("devices")).add(record, replace=True)
    chain = ca.chain_path("services")
    return client_context(
        TlsFiles((chain,), folder / "cert.pem", folder / "key.pem"), fleet.broker.name
    )


async def converse(fleet, device, port):
    """Hello, time, a reading, its acknowledgement."""
    async with device.client(port, device.tls) as client:
        listening = asyncio.create_task(device.listen(client))
        await asyncio.sleep(0.1)
        await device.publish(client, "att", device.hello(), qos=0)
        answer = await device.expect("time")
        public = keyring.public_key(fleet, "time")
        payload = cose.verify1(answer, public, TIME_DOMAIN)
        nonce, name, seconds = cbor.decode(payload)
        assert (nonce, name) == (device.nonce, ALICE) and abs(seconds - time.time()) < 5
        assert (
            await device.expect("crl") == Ca(fleet.folder("ca")).crl_path("services").read_bytes()
        )
        await device.publish(client, "tele", device.reading(72.5))
        while device.acknowledged < device.sequence:
            device.take_ack(await device.expect("ack"))
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


@pytest.mark.parametrize("kind", BROKERS)
def test_a_fleet_is_served(fleet, alice, kind):
    lines = []

    async def run():
        async with service.running(fleet.root, port=0, broker=kind, on_event=lines.append) as up:
            await asyncio.wait_for(up.link.connected.wait(), 120)
            await converse(fleet, alice, up.port)
            await up.link.push(Down(ALICE, "man", b"drill"))

    asyncio.run(asyncio.wait_for(run(), 240))
    assert "heart-rate 72.5 beat/min" in [n.text for n in lines if n.kind == "reading"]
    store = Store(service.database_path(fleet), read_only=True)
    assert store.readings(ALICE)[-1].value == 72.5
    store.close()


def test_an_external_broker_is_served_too(fleet, alice):
    async def run():
        broker = EmbeddedBroker(service.broker_files(fleet), "127.0.0.1", 0)
        await broker.start()
        try:
            async with service.running(fleet.root, port=broker.port, broker="external") as up:
                await asyncio.wait_for(up.link.connected.wait(), 120)
                await converse(fleet, alice, broker.port)
        finally:
            await broker.shutdown()

    asyncio.run(asyncio.wait_for(run(), 240))


@pytest.mark.parametrize("kind", BROKERS)
def test_a_device_that_is_revoked_is_cut_off_and_stays_out(fleet, alice, kind):
    async def run():
        async with service.running(fleet.root, port=0, broker=kind) as up:
            async with alice.client(up.port, alice.tls) as client:
                await client.publish(f"uward/v1/{ALICE}/up/tele", b"x", qos=1)
                Ca.open(fleet.folder("ca")).revoke_device(ALICE)
                with pytest.raises(aiomqtt.MqttError):
                    async for _ in client.messages:
                        pass
            await asyncio.sleep(1.5)  # mosquitto starts again
            assert await connack(up.port) == b""
            await asyncio.wait_for(up.link.connected.wait(), 120)

    async def connack(port):
        try:
            client = await Raw.open(port, raw, fleet.broker.name)
            await client.send(connect(ALICE))
            return await client.packet()
        except asyncio.TimeoutError:  # silence is no refusal
            raise
        except OSError:
            return b""

    raw = ssl.create_default_context(cafile=Ca(fleet.folder("ca")).chain_path("services"))
    raw.load_cert_chain(fleet.root / "alice/cert.pem", fleet.root / "alice/key.pem")
    asyncio.run(asyncio.wait_for(run(), 240))


def test_revocation_lists_are_renewed_at_half_their_life(fleet, monkeypatch):
    path = Ca(fleet.folder("ca")).crl_path("devices")
    before, lines = path.read_bytes(), []
    upkeep.renew_crls(fleet, lines.append)
    assert path.read_bytes() == before
    monkeypatch.setattr(upkeep, "CRL_LIFE", 3 * profiles.CRL_LIFE)
    upkeep.renew_crls(fleet, lines.append)
    assert path.read_bytes() != before and lines == []
    key = Ca(fleet.folder("ca")).key_path("devices")
    key.rename(key.with_suffix(".away"))
    upkeep.renew_crls(fleet, lines.append)
    key.with_suffix(".away").rename(key)
    assert len(lines) == 1 and lines[0].text.startswith("crl.stale the list of the devices CA")


@pytest.mark.parametrize("kind", BROKERS)
def test_a_port_in_use_is_said(fleet, kind):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        async def run():
            async with service.running(fleet.root, port=port, broker=kind):
                raise AssertionError("it came up")

        with pytest.raises(DeviceError, match="cannot listen on"):
            asyncio.run(run())


def test_a_fleet_without_its_files_is_said(fleet, tmp_path):
    async def run(folder):
        async with service.running(folder, port=0):
            raise AssertionError("it came up")

    with pytest.raises(UsageError, match=r"no uward\.toml"):
        asyncio.run(run(tmp_path))
    missing = fleet.folder("broker") / "key.pem"
    data = missing.read_bytes()
    missing.unlink()
    try:
        with pytest.raises(UsageError, match=r"key\.pem: no such file"):
            asyncio.run(run(fleet.root))
    finally:
        files.write(missing, data, secret=True)


SERVE = """
import asyncio, sys
from pathlib import Path
from host_tools.fleet import service, upkeep

def ready(up):
    print(up.port, flush=True)

try:
    asyncio.run(service.serve(Path(sys.argv[1]), port=0, on_ready=ready))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("how", ["interrupt", "kill"])
def test_what_was_acknowledged_is_there_however_it_ends(fleet, alice, how):
    """Acknowledge, then end the process: the reading is in the file."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(fleet.root)], stdout=subprocess.PIPE, text=True
    )
    try:
        port = int(process.stdout.readline())
        asyncio.run(asyncio.wait_for(converse(fleet, alice, port), 120))
        process.send_signal(signal.SIGINT if how == "interrupt" else signal.SIGKILL)
        assert process.wait(120) == (130 if how == "interrupt" else -signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    path = service.database_path(fleet)
    db = sqlite3.connect(path)
    found = db.execute("SELECT count(*) FROM message WHERE stream=?", (alice.stream,))
    assert found.fetchone() == (1,)
    db.close()
    note = path.with_name(path.name + ".closed")
    assert note.exists() == (how == "interrupt")
    if note.exists():
        assert isinstance(json.loads(note.read_text()), list)
