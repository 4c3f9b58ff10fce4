"""A collector without a network, and devices that talk to it."""

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fake_device import FakeDevice
from uward.crypto import rng
from uward.vault import packs
from uward.vault.blind import Blind

from host_tools.fleet import codec
from host_tools.fleet.answers import Publications
from host_tools.fleet.collector import Collector
from host_tools.fleet.inventory import Device, Inventory
from host_tools.fleet.offers import Releases
from host_tools.fleet.store import Store
from host_tools.pki import names
from host_tools.signing import keys

NOW = 1_790_000_100.0
EPOCH = 1_790_000_000  # unix seconds at uptime 0 of a device
VENDOR = names.vendor_id("example.org")
CLASS = names.class_id(VENDOR, "unix")
ALICE, BOB = "alice0123456789a", "bob0123456789abcd"

ENCODING = serialization.Encoding.X962
POINT = serialization.PublicFormat.UncompressedPoint


class Bench:
    """A collector over files in a folder, and devices that talk to it without a network."""

    def __init__(self, folder, **publications):
        self.folder = folder
        self.private = ec.generate_private_key(ec.SECP256R1())
        public = self.private.public_key().public_bytes(ENCODING, POINT)
        self.point = public[1:]  # as devices have it
        keys.create_esp256(folder / "time")
        self.time = keys.load_signer(folder / "time")
        self.publications = Publications(**publications)
        self.inventory = Inventory(folder / "devices")
        self.clock = 0.0
        self.start()

    def start(self, **options):
        self.store = Store(self.folder / "c.db", **options)
        releases = Releases(self.folder / "releases", lambda: self.clock)
        self.collector = Collector(
            self.store, self.inventory, releases, self.private, self.time, self.publications
        )

    def restart(self, **options):
        self.store.close()
        self.start(**options)

    def device(self, name=ALICE, board="unix"):
        device = FakeDevice(name, self.private.public_key())
        self.inventory.add(
            Device(name, board, "00", device.public.hex(), device.public.hex(), "01", 1)
        )
        return device

    def hand(self, device, purpose, sealed, name=None):
        """One message; returns what the collector says at once."""
        topic = f"uward/v1/{name or device.name}/up/{purpose}"
        return self.collector.handle(topic, sealed, NOW)

    def acks(self, device):
        """What is acknowledged now: sequences, opened by the device."""
        return [device.take_ack(a.payload) for a in self.collector.acknowledge()]

    def events(self, source="collector"):
        return [(e.device, e.name) for e in self.store.events() if e.source == source]

    def reasons(self):
        return [e.reason for e in self.store.events()]


def of(outcome, purpose):
    return [down.payload for down in outcome.down if down.purpose == purpose]


def held(bench, device, purpose, when, plain):
    """The number and the sealed bytes of what a device kept for the collector alone (S9)."""
    blind = Blind(bench.point, rng.random)
    body = packs.finish(purpose, when, blind.seal(purpose, plain), EPOCH, 2)
    return device._number(purpose, codec.decode(body))
