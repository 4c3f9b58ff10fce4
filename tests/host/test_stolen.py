"""`uward stolen`: nobody believes the device any more, at once and on every way in (T22)."""

import asyncio
import dataclasses
import ssl

import aiomqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AttributeOID, NameOID
from fake_device import FakeDevice, xy
from fleet_kit import BROKERS

from host_tools import cli, project
from host_tools.errors import Refused, UsageError
from host_tools.fleet import service
from host_tools.fleet.inventory import ACTIVE, STOLEN, Device, Inventory
from host_tools.pki import files
from host_tools.pki.ca import Ca
from host_tools.signing import keys
from host_tools.verbs import stolen

NONCE = bytes(range(32))
DEVICE = "stolen0device0000001"
WAIT_S = 120.0


@pytest.fixture
def fleet(tmp_path):
    folder = tmp_path / "f"
    made = ["init", str(folder), "--vendor", "example.org", "--board", "unix"]
    assert cli.run([*made, "--lms-height", "10"]) == 0
    return project.load(folder)


class Board(FakeDevice):
    """A device with its certificate, on the wire."""

    def __init__(self, fleet):
        collector = keys.load_public(fleet.folder("keys") / "collector.pub")
        numbers = [int.from_bytes(collector.members[at], "big") for at in (-2, -3)]
        public = ec.EllipticCurvePublicNumbers(*numbers, ec.SECP256R1()).public_key()
        super().__init__(DEVICE, public)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.folder = fleet.folder("log")
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DEVICE)]))
            .add_attribute(AttributeOID.CHALLENGE_PASSWORD, NONCE.hex().encode())
            .sign(self.key, hashes.SHA256())
        )
        ca = Ca.open(fleet.folder("ca"))
        der = ca.issue_device(request.public_bytes(serialization.Encoding.DER), NONCE, DEVICE)
        certificate = x509.load_der_x509_certificate(der)
        files.write(self.folder / "cert.pem", certificate.public_bytes(serialization.Encoding.PEM))
        files.write(self.folder / "key.pem", files.private_pem(self.key), secret=True)
        record = Device(
            DEVICE, "unix", "01", self.public.hex(), xy(self.key).hex(),
            f"{certificate.serial_number:040x}", 1_790_000_000,
        )  # fmt: skip
        Inventory(fleet.folder("devices")).add(record)

    def tls(self, fleet):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # the name is the fleet's, the address 127.0.0.1
        context.load_verify_locations(Ca(fleet.folder("ca")).chain_path("services"))
        context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")
        return context


@pytest.mark.parametrize("kind", BROKERS)
def test_a_live_session_ends_and_no_other_begins(fleet, kind):
    board = Board(fleet)
    seen = []

    async def run():
        async with service.running(fleet.root, port=0, broker=kind, on_event=seen.append) as up:
            await asyncio.wait_for(up.link.connected.wait(), WAIT_S)
            with pytest.raises(aiomqtt.MqttError):
                async with board.client(up.port, board.tls(fleet)) as client:
                    await board.publish(client, "att", board.hello(), qos=1)
                    listening = asyncio.ensure_future(board.listen(client))
                    await board.expect("time")
                    assert stolen.do_stolen(fleet, DEVICE)["status"] == STOLEN
                    await asyncio.wait_for(listening, WAIT_S)
            with pytest.raises(aiomqtt.MqttError):
                async with board.client(up.port, board.tls(fleet)) as client:
                    await board.publish(client, "att", board.hello(), qos=1)
                    await asyncio.wait_for(board.listen(client), WAIT_S)

    asyncio.run(run())


def test_without_the_cas_key_the_collector_takes_nothing_more(fleet):
    board = Board(fleet)
    ca = Ca.open(fleet.folder("ca"))
    ca.key_path("devices").rename(fleet.root / "elsewhere.key")
    with pytest.raises(Refused, match="key of the devices CA"):
        stolen.do_stolen(fleet, DEVICE)
    assert Inventory(fleet.folder("devices")).get(DEVICE).status == STOLEN
    with pytest.raises(Refused, match="is revoked"):
        ca.standing(DEVICE)

    async def run():
        async with service.running(fleet.root, port=0) as up:
            topic = f"uward/v1/{DEVICE}/up/"
            outcome = up.collector.handle(topic + "att", board.hello(), 1_790_000_000)
            assert outcome.down == []
            assert [notice.text for notice in outcome.notices] == [
                f"id.revoked {DEVICE} is stolen: nothing of it is taken"
            ]
            up.collector.handle(topic + "tele", board.reading(60.0), 1_790_000_000)
            assert up.collector.store.readings(DEVICE, last=1) == []

    asyncio.run(run())


def test_a_device_that_is_not_there_cannot_be_stolen(fleet):
    with pytest.raises(UsageError, match="no device 'nobody00nobody00'"):
        stolen.do_stolen(fleet, "nobody00nobody00")


def test_the_record_says_what_became_of_a_device(fleet):
    Board(fleet)
    inventory = Inventory(fleet.folder("devices"))
    assert inventory.get(DEVICE).status == ACTIVE
    inventory.mark(DEVICE, STOLEN)
    assert inventory.get(DEVICE).status == STOLEN
    odd = dataclasses.replace(inventory.get(DEVICE), status="lost")
    with pytest.raises(UsageError, match="status is 'lost', expected active, stolen, retired"):
        inventory.add(odd, replace=True)
