"""Both brokers, one matrix: who gets in, and who may say what on which topic (S11, SPEC 8)."""

import asyncio
import ssl

import pytest
from fleet_kit import (
    ALICE,
    BOB,
    BROKERS,
    Authority,
    Pki,
    Raw,
    connect,
    packet,
    publish,
    running,
    subscribe,
)

from host_tools.errors import UsageError
from host_tools.fleet import identity, limits


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


both = pytest.mark.parametrize("kind", BROKERS)


async def join(broker, pki, name, **options):
    client = await Raw.open(broker.port, pki.client_context(name))
    await client.send(connect(name, **options))
    assert (await client.packet())[:1] == b"\x20"
    return client


async def refused(broker, context, first):
    """What a client gets that sends `first`: its bytes, or b'' when cut off before."""
    try:
        client = await Raw.open(broker.port, context)
        await client.send(first)
        answer = await client.packet()
        client.close()
        return answer
    except asyncio.TimeoutError:  # silence is no refusal
        raise
    except (ssl.SSLError, OSError):
        return b""


@both
def test_client_without_certificate_gets_no_connack(kind, pki):
    async def run():
        async with running(kind, pki) as broker:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = pki.client_context()
                context.maximum_version = version
                assert await refused(broker, context, connect(ALICE)) == b""

    asyncio.run(run())


@both
def test_the_handshake_itself_fails_without_a_certificate(kind, pki):
    """TLS 1.2, where a client hears of it at once: not even the gate is reached."""

    async def run():
        async with running(kind, pki) as broker:
            context = pki.client_context()
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await Raw.open(broker.port, context)

    asyncio.run(run())


def test_both_ends_of_the_fleets_tls_are_strict(pki):
    broker = identity.server_context(pki.files("broker"))
    service = identity.client_context(pki.files("collector"), "broker.example.org")
    for context in (broker, service):
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        names = {cipher["name"] for cipher in context.get_ciphers()}
        assert {name for name in names if not name.startswith("TLS_")} == {
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        }
    assert service.check_hostname


def test_amqtt_as_shipped_would_accept_it():
    """The reason for the gate; when this fails, amqtt has changed and the gate may shrink."""
    import inspect

    from amqtt.broker import Broker

    assert "CERT_OPTIONAL" in inspect.getsource(Broker._create_ssl_context)


@both
def test_foreign_ca_old_tls_and_plain_rsa_suites_are_refused(kind, pki, tmp_path):
    stranger = Authority("Test Devices")
    stranger.issue(tmp_path, ALICE)

    def contexts():
        foreign = pki.client_context()
        foreign.load_cert_chain(tmp_path / f"{ALICE}.pem", tmp_path / f"{ALICE}.key")
        yield foreign
        old = pki.client_context(ALICE)
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        yield old
        weak = pki.client_context(ALICE)
        weak.maximum_version = ssl.TLSVersion.TLSv1_2
        weak.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305")
        yield weak

    async def run():
        async with running(kind, pki) as broker:
            for context in contexts():
                assert await refused(broker, context, connect(ALICE)) == b""

    with pytest.warns(DeprecationWarning):
        asyncio.run(run())


@both
def test_server_certificate_is_no_client_certificate(kind, pki):
    async def run():
        async with running(kind, pki) as broker:
            assert await refused(broker, pki.client_context("broker"), connect("broker")) == b""

    asyncio.run(run())


@both
def test_revoked_device_is_refused_and_the_other_is_not(kind, tmp_path):
    pki = Pki(tmp_path)
    pki.devices.write_crl(pki.crls[0], [pki.certs[ALICE]], number=2)

    async def run():
        async with running(kind, pki) as broker:
            assert await refused(broker, pki.client_context(ALICE), connect(ALICE)) == b""
            (await join(broker, pki, BOB)).close()

    asyncio.run(run())


def test_embedded_reads_a_new_revocation_list_and_refuses_an_older(tmp_path):
    pki, notices = Pki(tmp_path), []

    async def run():
        async with running("embedded", pki, notices) as broker:
            (await join(broker, pki, ALICE)).close()
            pki.devices.write_crl(pki.crls[0], [pki.certs[ALICE]], number=5)
            assert await refused(broker, pki.client_context(ALICE), connect(ALICE)) == b""
            pki.devices.write_crl(pki.crls[0], [], number=4)
            assert await refused(broker, pki.client_context(ALICE), connect(ALICE)) == b""

    asyncio.run(run())
    assert "is revoked" in notices[0][1]
    assert "is older than the last" in notices[1][1]


def test_embedded_refuses_a_revocation_list_of_another_ca(tmp_path):
    pki, notices = Pki(tmp_path), []
    Authority("Test Devices").write_crl(pki.crls[0])

    async def run():
        async with running("embedded", pki, notices) as broker:
            assert await refused(broker, pki.client_context(ALICE), connect(ALICE)) == b""

    asyncio.run(run())
    assert "not signed by a CA" in notices[0][1]


def test_embedded_refuses_a_foreign_client_id(pki):
    notices = []

    async def run():
        async with running("embedded", pki, notices) as broker:
            bob = await join(broker, pki, BOB, clean=False)
            answer = await refused(broker, pki.client_context(ALICE), connect(BOB, clean=False))
            assert answer == b"\x20\x02\x00\x02"
            await bob.send(packet(0xC0, b""))
            assert await bob.packet() == b"\xd0\x00"  # bob was not taken over

    asyncio.run(run())
    assert notices == [("broker.refused", f"{ALICE}: expected its name as client id, got '{BOB}'")]


@pytest.mark.parametrize("kind", BROKERS[1:])
def test_mosquitto_gives_a_foreign_client_id_its_own_name(kind, pki):
    async def run():
        async with running(kind, pki) as broker:
            bob = await join(broker, pki, BOB, clean=False)
            alice = await Raw.open(broker.port, pki.client_context(ALICE))
            await alice.send(connect(BOB, clean=False))
            await alice.packet()
            await bob.send(packet(0xC0, b""))
            assert await bob.packet() == b"\xd0\x00"  # bob was not taken over

    asyncio.run(run())


UP, DOWN = f"uward/v1/{ALICE}/up/tele", f"uward/v1/{ALICE}/down/ack"
MATRIX = [  # publisher, topic, subscriber, filter, arrives
    (ALICE, UP, "collector", "uward/v1/+/up/#", True),
    ("collector", DOWN, ALICE, f"uward/v1/{ALICE}/down/#", True),
    (ALICE, UP, BOB, UP, False),
    (ALICE, UP, BOB, "uward/v1/+/up/#", False),
    (ALICE, UP, BOB, "#", False),
    (ALICE, UP, ALICE, UP, False),
    ("collector", DOWN, BOB, "uward/v1/+/down/#", False),
    ("collector", DOWN, BOB, DOWN, False),
    (BOB, UP, "collector", "uward/v1/+/up/#", False),
    (BOB, DOWN, ALICE, f"uward/v1/{ALICE}/down/#", False),
    (ALICE, DOWN, ALICE, f"uward/v1/{ALICE}/down/#", False),
    (ALICE, f"uward/v1/{ALICE}/up/tele/x", "collector", "uward/v1/+/up/#", False),
    (ALICE, "uward/v2/x", "collector", "uward/v2/x", False),
    ("collector", UP, "collector", "uward/v1/+/up/#", False),
    ("collector", DOWN, "collector", "uward/v1/+/down/#", False),
]


@both
def test_topics(kind, pki):
    async def one(broker, publisher, topic, subscriber, topic_filter, arrives):
        reader = await join(broker, pki, subscriber)
        await reader.send(subscribe(topic_filter))
        suback = await reader.packet()
        assert suback[:1] == b"\x90"
        sender = reader if publisher == subscriber else await join(broker, pki, publisher)
        await sender.send(publish(topic, b"x" * 20))
        if arrives:
            assert await reader.packet() == publish(topic, b"x" * 20)
        elif kind == "embedded":
            assert suback[4] == 0x80 or await reader.silent(0.1)
        else:
            assert await reader.silent(0.1)
        reader.close()
        sender.close()

    async def run():
        async with running(kind, pki) as broker:
            for row in MATRIX:
                await one(broker, *row)

    asyncio.run(run())


@both
def test_sys_topics_stay_closed(kind, pki):
    async def run():
        async with running(kind, pki) as broker:
            alice = await join(broker, pki, ALICE)
            await alice.send(subscribe("$SYS/#"))
            await alice.packet()
            assert await alice.silent()

    asyncio.run(run())


@both
@pytest.mark.parametrize(
    "bad",
    [
        publish(UP, b"x" * limits.MESSAGE_BYTES),
        b"\x30\xff\xff\xff\x7f",  # 268,435,455 bytes announced
        b"\x30\xff\xff\xff\xff\x7f",  # a fifth length byte
        publish(UP, b"x", retain=True),
        packet(0x30, b"\x00\x40uward"),  # topic longer than its packet
        packet(0x82, b"\x00\x01\x00\x40x\x01"),
        packet(0x30, b"\x00\x02\xff\xfe"),  # not UTF-8
        connect(ALICE),  # a second CONNECT
        packet(0x20, b"\x00\x00"),  # CONNACK from a client
        b"\xf0\x00",
    ],
    ids=["long", "huge", "length", "retain", "topic", "filter", "utf8", "twice", "kind", "15"],
)
def test_broken_packets_end_the_connection(kind, pki, bad):
    async def run():
        async with running(kind, pki) as broker:
            alice = await join(broker, pki, ALICE)
            await alice.send(bad)
            assert await alice.packet() == b""
            (await join(broker, pki, BOB)).close()  # and nobody else's

    asyncio.run(run())


@both
def test_will_on_a_foreign_topic_reaches_nobody(kind, pki):
    async def run():
        async with running(kind, pki) as broker:
            alice = await join(broker, pki, ALICE)
            await alice.send(subscribe(f"uward/v1/{ALICE}/down/#"))
            await alice.packet()
            bob = await Raw.open(broker.port, pki.client_context(BOB))
            await bob.send(connect(BOB, will=(DOWN, b"gotcha")))
            answer = await bob.packet()
            if kind == "embedded":  # mosquitto judges a will when it is due
                assert answer == b"\x20\x02\x00\x05"
            bob.writer.transport.abort()
            assert await alice.silent()

    asyncio.run(run())


@both
def test_a_device_that_comes_back_gets_what_waited_without_retain_flag(kind, pki):
    async def run():
        async with running(kind, pki) as broker:
            alice = await join(broker, pki, ALICE, clean=False)
            await alice.send(subscribe(f"uward/v1/{ALICE}/down/#"))
            await alice.packet()
            alice.close()
            await asyncio.sleep(0.2)
            collector = await join(broker, pki, "collector")
            await collector.send(publish(DOWN, b"waited", qos=1))
            assert await collector.packet() == b"\x40\x02\x00\x07"
            alice = await Raw.open(broker.port, pki.client_context(ALICE))
            await alice.send(connect(ALICE, clean=False))
            assert await alice.packet() == b"\x20\x02\x01\x00"  # session present
            message = await alice.packet()
            assert message[0] & 0xF7 == 0x32 and message.endswith(b"waited")  # QoS 1, no retain
            alice.close()

    asyncio.run(run())


@both
def test_a_device_that_was_reset_takes_its_session_over(kind, pki):
    async def run():
        async with running(kind, pki) as broker:
            stale = [await join(broker, pki, ALICE, clean=False)]
            for _ in range(3):
                stale.append(await join(broker, pki, ALICE, clean=False))
            await stale[-1].send(subscribe(f"uward/v1/{ALICE}/down/#"))
            assert (await stale[-1].packet())[:1] == b"\x90"
            assert [await old.packet() for old in stale[:-1]] == [b""] * 3
            collector = await join(broker, pki, "collector")
            await collector.send(publish(DOWN, b"here"))
            assert await stale[-1].packet() == publish(DOWN, b"here")

    asyncio.run(run())


@both
def test_a_board_that_fell_silent_is_replaced_at_once(kind, pki):
    """Its socket is open, and it answers nothing, not even the end of TLS."""

    async def run():
        async with running(kind, pki) as broker:
            dead = await join(broker, pki, ALICE, clean=False)
            dead.writer.transport.pause_reading()
            started = asyncio.get_running_loop().time()
            alive = await join(broker, pki, ALICE, clean=False)
            assert asyncio.get_running_loop().time() - started < 2
            await alive.send(packet(0xC0, b""))
            assert await alive.packet() == b"\xd0\x00"

    asyncio.run(run())


def test_two_that_fight_for_one_name_leave_one_connected(pki):
    """Ten connections at once under one certificate: one of them stays, and works."""

    async def works(broker):
        client = await Raw.open(broker.port, pki.client_context(ALICE))
        await client.send(connect(ALICE, clean=False))
        await client.packet()
        await asyncio.sleep(0.5)  # until the last has come
        try:
            await client.send(packet(0xC0, b""))
            return await client.packet() == b"\xd0\x00"
        except OSError:
            return False

    async def run():
        async with running("embedded", pki) as broker:
            assert sum(await asyncio.gather(*(works(broker) for _ in range(10)))) == 1
            (await join(broker, pki, ALICE, clean=False)).close()

    asyncio.run(run())


@both
def test_sender_keeps_its_quality_of_service(kind, pki):
    async def run():
        async with running(kind, pki) as broker:
            alice = await join(broker, pki, ALICE)
            await alice.send(subscribe(f"uward/v1/{ALICE}/down/#", qos=1))
            await alice.packet()
            collector = await join(broker, pki, "collector")
            await collector.send(publish(DOWN, b"zero", qos=0))
            await collector.send(publish(DOWN, b"one", qos=1))
            kinds = [(await alice.packet())[0] for _ in range(2)]
            assert kinds == [0x30, 0x32]

    asyncio.run(run())


def test_silent_client_is_cut_off_after_its_keep_alive(pki):
    notices = []

    async def run():
        async with running("embedded", pki, notices) as broker:
            alice = await join(broker, pki, ALICE, keep_alive=1)
            assert await alice.packet(wait=3) == b""

    asyncio.run(run())
    assert notices == [("broker.closed", f"{ALICE}: silent beyond its keep-alive")]


def test_a_flood_waits_in_the_senders_socket(pki, monkeypatch):
    monkeypatch.setattr(limits, "PACKET_BURST", 5.0)
    monkeypatch.setattr(limits, "PACKET_RATE", 20.0)

    async def run():
        async with running("embedded", pki) as broker:
            alice, bob = await join(broker, pki, ALICE), await join(broker, pki, BOB)
            started = asyncio.get_running_loop().time()
            await alice.send(packet(0xC0, b"") * 15)
            await bob.send(packet(0xC0, b""))
            assert await bob.packet() == b"\xd0\x00"  # the others are not slowed
            assert asyncio.get_running_loop().time() - started < 0.3
            for _ in range(15):
                assert await alice.packet() == b"\xd0\x00"
            assert asyncio.get_running_loop().time() - started > 0.4

    asyncio.run(run())


def test_queue_of_an_absent_device_is_bounded(pki, monkeypatch):
    monkeypatch.setattr(limits, "QUEUE_DEVICE", 3)
    notices = []

    async def run():
        async with running("embedded", pki, notices) as broker:
            alice = await join(broker, pki, ALICE, clean=False)
            await alice.send(subscribe(f"uward/v1/{ALICE}/down/#"))
            await alice.packet()
            alice.close()
            await asyncio.sleep(0.2)
            collector = await join(broker, pki, "collector")
            for i in range(5):
                await collector.send(publish(DOWN, b"m%d" % i, qos=1))
                await collector.packet()
            await asyncio.sleep(0.1)
            alice = await join(broker, pki, ALICE, clean=False)
            got = []
            for _ in range(3):
                message = await alice.packet()
                got.append(message[-2:])
                await alice.send(packet(0x40, message[-4:-2]))
            assert got == [b"m2", b"m3", b"m4"]

    asyncio.run(run())
    assert len(notices) == 2 and notices[0][0] == "broker.queue_full"


def test_missing_files_are_named(tmp_path):
    pki = Pki(tmp_path)
    (tmp_path / "broker.key").unlink()
    with pytest.raises(UsageError, match=r"broker\.key: no such file"):
        pki.files("broker").check()
