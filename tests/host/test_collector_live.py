"""The whole conversation over MQTT and mutual TLS, with both brokers (SPEC 8, 9)."""

import asyncio
import contextlib
import functools

import pytest
from collector_kit import Bench
from fake_device import FakeDevice
from fleet_kit import ALICE, BOB, BROKERS, Pki, running
from uward.codec import cbor

from host_tools.fleet.answers import Down
from host_tools.fleet.identity import client_context
from host_tools.fleet.link import Address, Link
from host_tools.pki import names
from host_tools.signing import author

both = pytest.mark.parametrize("kind", BROKERS)
VENDOR = names.vendor_id("example.org")
CLASS = names.class_id(VENDOR, "unix")


class Scene(Bench):
    """A collector with its link, over a PKI of its own."""

    def __init__(self, folder):
        (folder / "pki").mkdir()
        self.pki = Pki(folder / "pki")
        self.notices = []
        super().__init__(folder)

    @contextlib.asynccontextmanager
    async def linked(self, port):
        context = client_context(self.pki.files("collector"), "localhost")
        address = Address("127.0.0.1", port, context)
        link = Link(self.collector, address, self.notices.append)
        task = asyncio.create_task(link.run())
        try:
            await asyncio.wait_for(link.connected.wait(), 120)
            yield link
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def online(self, device, port):
        """The device's MQTT client, listening."""
        async with device.client(port, self.pki.client_context(device.name)) as client:
            task = asyncio.create_task(device.listen(client))
            await asyncio.sleep(0.1)
            try:
                yield client
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def scene(tmp_path):
    made = Scene(tmp_path)
    yield made
    made.store.close()


def live(test):
    """Run an async test within its deadline."""

    @functools.wraps(test)
    def wrapper(*args, **kwargs):
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 60))

    return wrapper


async def greeted(device, client, **changes):
    """Hello, until the time comes: what a device does first."""
    await device.publish(client, "att", device.hello(**changes), qos=0)
    answer = cbor.decode(await device.expect("time"))
    nonce, name, _ = cbor.decode(answer.value[2])
    assert (nonce, name) == (device.nonce, device.name)


@contextlib.asynccontextmanager
async def up(kind, scene):
    """Broker and collector; yields the broker's port."""
    async with running(kind, scene.pki) as broker, scene.linked(broker.port):
        yield broker.port


@both
@live
async def test_hello_readings_events_acknowledged(kind, scene):
    alice, bob = scene.device(ALICE), scene.device(BOB)
    async with (
        up(kind, scene) as port,
        scene.online(alice, port) as a,
        scene.online(bob, port) as b,
    ):
        await greeted(alice, a)
        await greeted(bob, b)
        for value in (71, 72, 73):
            await alice.publish(a, "tele", alice.reading(value))
        await alice.publish(a, "event", alice.event("sensor.ok", "max30102"))
        await bob.publish(b, "tele", bob.reading(55))
        while alice.acknowledged < 4:
            alice.take_ack(await alice.expect("ack"))
        while bob.acknowledged < 1:
            bob.take_ack(await bob.expect("ack"))
    assert [r.value for r in scene.store.readings(ALICE)] == [71, 72, 73]
    assert [e.name for e in scene.store.events(ALICE)] == ["sensor.ok"]
    assert [r.value for r in scene.store.readings(BOB)] == [55]
    shown = [(n.device, n.text) for n in scene.notices if n.kind == "reading"]
    assert (BOB, "heart-rate 55 beat/min") in shown and len(shown) == 4


@both
@live
async def test_a_release_is_offered_and_pulled_in_blocks(kind, scene):
    alice = scene.device(ALICE)
    image = bytes(range(256)) * 83  # 21,248 bytes: six blocks, the last one short
    manifest, payload = author.build_manifest(image, 2, 1, "2.0.0", VENDOR, CLASS)
    from host_tools.fleet import releases

    releases.publish(scene.folder / "releases", author.sign(manifest), payload, "unix", CLASS)
    async with up(kind, scene) as port, scene.online(alice, port) as client:
        await greeted(alice, client)
        envelope = alice.take_release(await alice.expect("man"))
        key = author.payload_id(manifest)
        assert envelope == author.sign(manifest)
        await alice.publish(client, "ota", alice.ota("state", key, "accepted", "2.0.0"), 0)
        got = {}
        for first in range(0, 6, 4):
            count = min(4, 6 - first)
            await alice.publish(client, "ota", alice.ota("get", key, first, count), 0)
            for _ in range(count):
                name, index, block = cbor.decode(await alice.expect("blk"))
                assert name == key
                got[index] = block
        assert b"".join(got[i] for i in range(6)) == image
        await alice.publish(client, "ota", alice.ota("state", key, "confirmed", ""), 0)
        await alice.publish(client, "tele", alice.reading(1))
        alice.take_ack(await alice.expect("ack"))
    assert scene.store.offer(ALICE, key) == ("confirmed", "")
    texts = [n.text for n in scene.notices if n.kind == "update"]
    assert texts == ["offered 2.0.0 (sequence 2)", "accepted 2.0.0", "confirmed"]


@live
async def test_a_device_that_is_connected_hears_of_a_release_at_once(scene):
    from host_tools.fleet import releases

    alice, bob = scene.device(ALICE), scene.device(BOB, board="esp32")
    manifest, payload = author.build_manifest(b"image", 2, 1, "2.0.0", VENDOR, CLASS)
    async with up("embedded", scene) as port, scene.online(alice, port) as client:
        await greeted(alice, client)
        scene.hand(bob, "att", bob.hello(board="esp32"))
        folder = scene.folder / "releases"
        releases.publish(folder, author.sign(manifest), payload, "unix", CLASS)
        assert alice.take_release(await alice.expect("man")) == author.sign(manifest)
    assert [n.device for n in scene.notices if n.kind == "update"] == [ALICE]


@both
@live
async def test_everything_survives_a_restart_of_the_broker(kind, scene):
    alice = scene.device(ALICE)
    async with running(kind, scene.pki) as broker:
        port = broker.port
        async with scene.linked(port) as link:
            async with scene.online(alice, port) as client:
                await greeted(alice, client)
                await alice.publish(client, "tele", alice.reading(1))
                while alice.acknowledged < 1:
                    alice.take_ack(await alice.expect("ack"))
                await broker.shutdown()
                await asyncio.sleep(0.2)
            assert not link.connected.is_set()
            async with running(kind, scene.pki, port=port):
                await asyncio.wait_for(link.connected.wait(), 120)
                async with scene.online(alice, port) as client:
                    await greeted(alice, client)
                    await alice.publish(client, "tele", alice.reading(2))
                    while alice.acknowledged < 2:
                        alice.take_ack(await alice.expect("ack"))
    assert [r.value for r in scene.store.readings(ALICE)] == [1, 2]
    assert any(n.text.startswith("link.down") for n in scene.notices)


@both
@live
async def test_a_collector_that_was_away_gets_what_came_meanwhile(kind, scene):
    alice = scene.device(ALICE)
    async with running(kind, scene.pki) as broker, contextlib.AsyncExitStack() as stack:
        async with scene.linked(broker.port):
            client = await stack.enter_async_context(scene.online(alice, broker.port))
            await greeted(alice, client)
            await alice.publish(client, "tele", alice.reading(1))
            while alice.acknowledged < 1:
                alice.take_ack(await alice.expect("ack"))
        scene.restart()
        await alice.publish(client, "tele", alice.reading(2))  # kept by the broker
        await asyncio.sleep(0.2)
        async with scene.linked(broker.port):
            while alice.acknowledged < 2:
                alice.take_ack(await alice.expect("ack"))
    assert [r.value for r in scene.store.readings(ALICE)] == [1, 2]


@both
@live
async def test_a_restored_collector_asks_again(kind, scene):
    alice = scene.device(ALICE)
    async with running(kind, scene.pki) as broker, contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(scene.online(alice, broker.port))
        async with scene.linked(broker.port):
            await greeted(alice, client)
        scene.store.close()
        backup = (scene.folder / "c.db").read_bytes()
        scene.start()
        async with scene.linked(broker.port):
            for value in (1, 2):
                await alice.publish(client, "tele", alice.reading(value))
            while alice.acknowledged < 2:
                alice.take_ack(await alice.expect("ack"))
        generation = alice.generation
        scene.store.close()
        (scene.folder / "c.db").write_bytes(backup)
        scene.start()
        async with scene.linked(broker.port):
            while alice.generation == generation:
                alice.take_ack(await alice.expect("ack"))
            assert alice.acknowledged == 0
            for sequence in (1, 2):
                await alice.publish(client, *alice.packs[sequence])
            while alice.acknowledged < 2:
                alice.take_ack(await alice.expect("ack"))
    assert [r.value for r in scene.store.readings(ALICE)] == [1, 2]


@both
@live
async def test_a_device_cannot_speak_for_another(kind, scene):
    """Not through the broker's rights, and not past them."""
    alice, bob = scene.device(ALICE), scene.device(BOB)
    async with up(kind, scene) as port, scene.online(bob, port) as client:
        await client.publish(f"uward/v1/{ALICE}/up/tele", alice.reading(666), qos=1)
        await client.publish(f"uward/v1/{BOB}/up/tele", alice.reading(667), qos=1)
        await bob.publish(client, "tele", bob.reading(1))
        bob.take_ack(await bob.expect("ack"))
    assert scene.store.readings(ALICE) == []
    assert scene.events() == [(BOB, "e2e.bad_mac")]


@both
@live
async def test_the_broker_sees_no_reading(kind, scene, monkeypatch):
    """A canary in name, unit, text and event appears in nothing that crosses the broker."""
    import aiomqtt

    seen = []
    real = aiomqtt.Client.publish

    async def spy(self, topic, payload, *args, **kwargs):
        seen.append(topic.encode() + b" " + payload)
        return await real(self, topic, payload, *args, **kwargs)

    monkeypatch.setattr(aiomqtt.Client, "publish", spy)
    alice = scene.device(ALICE)
    async with up(kind, scene) as port, scene.online(alice, port) as client:
        await alice.publish(client, "tele", alice.pack({0: "CANARY", 3: "CANARY"}))
        await alice.publish(client, "event", alice.event("can.ary", "CANARY"))
        while alice.acknowledged < 2:
            alice.take_ack(await alice.expect("ack"))
    assert len(seen) >= 3 and not [s for s in seen if b"CANARY" in s]
    assert scene.store.readings(ALICE)[0].value == "CANARY"


@live
async def test_push_reaches_the_device_while_connected(scene):
    alice = scene.device(ALICE)
    async with (
        running("embedded", scene.pki) as broker,
        scene.linked(broker.port) as link,
        scene.online(alice, broker.port),
    ):
        await link.push(Down(ALICE, "man", b"a drill"))
        assert await alice.expect("man") == b"a drill"


@live
async def test_a_broker_of_another_name_gets_nothing(scene):
    context = client_context(scene.pki.files("collector"), "elsewhere.example.org")
    async with running("embedded", scene.pki) as broker:
        link = Link(
            scene.collector, Address("127.0.0.1", broker.port, context), scene.notices.append
        )
        task = asyncio.create_task(link.run())
        while not scene.notices:
            await asyncio.sleep(0.05)
        task.cancel()
        assert not link.connected.is_set()
    assert "certificate verify failed" in scene.notices[0].text


def test_the_fake_device_is_no_oracle_of_itself(scene):
    """Two devices with swapped secrets do not understand each other."""
    alice = scene.device(ALICE)
    stranger = FakeDevice(ALICE, scene.private.public_key())
    scene.hand(stranger, "tele", stranger.reading(1))
    assert scene.events() == [(ALICE, "e2e.bad_mac")]
    assert scene.hand(alice, "tele", alice.reading(1)).notices
