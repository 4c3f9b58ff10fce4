"""Staged rollout: who is first, when the next stage begins, what halts it; with real services."""

import asyncio
import contextlib
import hashlib
import json
import os
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import CertificateSigningRequestBuilder, load_der_x509_certificate
from cryptography.x509.oid import AttributeOID
from fake_device import FakeDevice
from fleet_kit import name_of
from uward.codec import cbor
from uward.errors import UpdateRefused
from uward.trust import anchors, suit
from uward.trust import log as device_log

from host_tools import cli, keyring, project
from host_tools.errors import Refused, UsageError
from host_tools.fleet import releases, rollout, rollouts, service
from host_tools.fleet.identity import TlsFiles, client_context
from host_tools.fleet.inventory import Device, Inventory
from host_tools.fleet.rollout import Plan, State, Told
from host_tools.fleet.store import Store
from host_tools.pki import files
from host_tools.pki.ca import Ca
from host_tools.signing import author, keys
from host_tools.verbs import init
from host_tools.verbs import rollout as verb

PAYLOAD = b"payload1"
PLAN = Plan((0.05, 0.5, 1.0), 0.02)
DEVICES = [f"device{i:010}" for i in range(400)]
NOW = 1_800_000_000.0


# Decisions


def told(state, *devices, updated=NOW, detail=""):
    return {device: Told(state, detail, updated) for device in devices}


def judge(state, known, plan=PLAN, devices=DEVICES, now=NOW):
    return rollout.judge(plan, state, PAYLOAD, devices, known, now)


def at(stage, devices=DEVICES, plan=PLAN):
    return rollout.chosen(plan, State(stage), PAYLOAD, devices)


def test_shares_are_near_what_was_asked_and_stages_contain_each_other():
    sizes = [len(at(stage)) for stage in range(3)]
    assert 8 <= sizes[0] <= 35 and 160 <= sizes[1] <= 240 and sizes[2] == 400
    assert at(0) < at(1) < at(2)


def test_the_choice_is_stable_and_another_one_for_each_release():
    assert at(0) == rollout.chosen(PLAN, State(0), PAYLOAD, reversed(DEVICES))
    more = [*DEVICES, *(f"new{i:012}" for i in range(50))]
    assert at(0) <= rollout.chosen(PLAN, State(0), PAYLOAD, more)  # nobody loses its place
    other = rollout.chosen(PLAN, State(0), b"payload2", DEVICES)
    assert len(other & at(0)) < len(at(0)) / 2


def test_a_small_fleet_has_a_canary_too():
    assert [len(at(0, DEVICES[:n])) for n in (0, 1, 2, 3)] == [0, 1, 1, 1]


def test_a_stage_ends_when_nine_of_ten_have_confirmed():
    first = sorted(at(0))
    nearly, enough = first[: int(len(first) * 0.9) - 1], first[: -(-len(first) * 9 // 10)]
    assert judge(State(0), told("confirmed", *nearly)) == State(0)
    assert judge(State(0), told("confirmed", *enough)) == State(1)
    assert judge(State(2), told("confirmed", *DEVICES)) == State(2, rollout.DONE)
    assert judge(State(0), told("confirmed", *(set(DEVICES) - at(0)))) == State(0)
    assert judge(State(0), {}, devices=[]) == State(0)


@pytest.mark.parametrize(
    ("known", "why"),
    [
        (lambda one: told("reverted", one, detail="self test"), "reverted self test"),
        (lambda one: told("refused", one, detail="upd.expired"), "refused upd.expired"),
        (
            lambda one: told("installed", one, updated=NOW - 3601),
            "not heard of since it installed",
        ),
    ],
)
def test_failing_devices_halt_it_with_the_reason(known, why):
    first = sorted(at(0))
    state = judge(State(0), {**told("confirmed", *first[1:]), **known(first[0])})
    assert state.status == rollout.HALTED
    assert state.reason == f"1 of {len(first)} failed, one is {first[0]}: {why}"
    assert not rollout.admits(PLAN, state, PAYLOAD, first[1], DEVICES)
    assert judge(state, told("confirmed", *DEVICES)) == state  # it does not go on by itself


def test_a_device_on_trial_is_given_an_hour():
    first = sorted(at(0))
    assert judge(State(0), told("installed", first[0], updated=NOW - 3599)) == State(0)


def test_how_many_may_fail_is_a_share_of_the_stage():
    plan = replace(PLAN, halt=0.1)
    second = sorted(at(1))
    few, many = len(second) // 10 - 1, -(-len(second) // 10)
    assert judge(State(1), told("reverted", *second[:few]), plan) == State(1)
    assert judge(State(1), told("reverted", *second[:many]), plan).status == rollout.HALTED
    rest = told("confirmed", *second[few:])
    assert judge(State(1), {**told("reverted", *second[:few]), **rest}, plan) == State(2)


def test_after_a_halt_it_goes_on_by_hand_and_forgives_once():
    first = sorted(at(0))
    known = told("reverted", first[0])
    state = judge(State(0), known)
    again = rollout.resumed(state, [first[0]])
    assert again == State(0, forgiven=(first[0],))
    assert judge(again, known) == again
    rest = {**known, **told("confirmed", *first[1:])}
    assert judge(again, rest).stage == 1
    assert judge(again, {**known, **told("reverted", first[1])}).status == rollout.HALTED
    with pytest.raises(UsageError, match="it is running, expected halted"):
        rollout.resumed(again, [])
    assert rollout.advanced(PLAN, again) == State(1, forgiven=(first[0],))
    for wrong in (State(2), state):
        with pytest.raises(UsageError, match="the last one, or it is halted"):
            rollout.advanced(PLAN, wrong)


@pytest.mark.parametrize(
    ("plan", "part"),
    [
        (Plan((), 0.02), "1 to 10 stages, got 0"),
        (Plan((0.0, 1.0), 0.02), "above 0 %"),
        (Plan((0.5, 1.5), 0.02), "at most 100 %"),
        (Plan((0.5, 0.5), 0.02), "larger than the one before"),
        (Plan((1.0,), 0.0), "--halt-if-failing"),
    ],
)
def test_plans_that_cannot_be_followed(plan, part):
    with pytest.raises(UsageError, match=part):
        rollout.check(plan)


def test_shares_as_they_are_typed():
    assert [rollout.share(text) for text in ("5%", "0.5", "all")] == [0.05, 0.5, 1.0]
    with pytest.raises(UsageError, match="such as 5% or all, got 'some'"):
        rollout.share("some")


# On disk


def released(folder, sequence=2):
    class_id = bytes(16)
    manifest, payload = author.build_manifest(
        b"image %d" % sequence, sequence, 1, f"{sequence}.0", bytes(16), class_id
    )
    return author.sign(manifest), payload, class_id


def test_a_damaged_file_holds_the_release_back(tmp_path):
    envelope, _, _ = released(tmp_path)
    release = releases.describe(envelope, "unix")
    staged = rollouts.Rollouts(tmp_path / "r", Inventory(tmp_path / "d"), lambda payload: {})
    assert staged.admits(release, "anybody0000000000")  # no rollout: for everybody
    staged.begin(release, PLAN)
    with pytest.raises(Refused, match="exists and is not overwritten"):
        staged.begin(release, PLAN)
    good = json.loads((tmp_path / "r/2.json").read_text())
    bad = [
        {},
        {**good, "sequence": 3},
        {**good, "plan": {"stages": [2], "halt": 0.1}},
        {**good, "state": {**good["state"], "stage": 3}},
        {**good, "state": {**good["state"], "status": "paused"}},
    ]
    for value in bad:
        (tmp_path / "r/2.json").write_text(json.dumps(value))
        with pytest.raises(UsageError):
            staged.get(2)
        assert not staged.admits(release, "anybody0000000000")
    with pytest.raises(UsageError, match="release 7 has no rollout"):
        staged.change(7, lambda one: one.state)


# With the services


COUNT = 24


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet")
    options = init.Options(vendor="example.org", name="ward", board="unix", height=10)
    init.do_init(folder, options, lambda *_: None)
    return project.load(folder)


@pytest.fixture
def devices(fleet, request):
    """Enrolled devices, each with a certificate of its own; their ids decide who is first."""
    public = keys.load_ecdh(keyring.key_path(fleet, "collector", "collector")).public_key()
    ca = Ca.open(fleet.folder("ca"))
    seeds = [f"{request.node.name} {i}".encode() for i in range(COUNT)]
    ids = [hashlib.sha256(seed).hexdigest()[:16] for seed in seeds]
    return [enrol(fleet, ca, FakeDevice(device, public)) for device in ids]


def enrol(fleet, ca, device):
    folder = fleet.root / "boards" / device.name
    key, nonce = ec.generate_private_key(ec.SECP256R1()), os.urandom(32)
    request = (
        CertificateSigningRequestBuilder()
        .subject_name(name_of(device.name))
        .add_attribute(AttributeOID.CHALLENGE_PASSWORD, nonce.hex().encode())
        .sign(key, hashes.SHA256())
    )
    der = ca.issue_device(request.public_bytes(Encoding.DER), nonce, device.name)
    pem = load_der_x509_certificate(der).public_bytes(Encoding.PEM)
    files.write(folder / "cert.pem", pem)
    files.write(folder / "key.pem", files.private_pem(key), secret=True)
    record = Device(device.name, "unix", "00", device.public.hex(), device.public.hex(), "01", 1)
    Inventory(fleet.folder("devices")).add(record)
    identity = TlsFiles((ca.chain_path("services"),), folder / "cert.pem", folder / "key.pem")
    device.tls = client_context(identity, fleet.broker.name)
    return device


class Ward:
    """Simulated devices at a real broker: what each was offered, and what it says of it."""

    def __init__(self, devices):
        self.devices = {device.name: device for device in devices}
        self.clients, self.offered = {}, {}

    @contextlib.asynccontextmanager
    async def online(self, port, sequence):
        async with contextlib.AsyncExitStack() as stack:
            tasks = []
            for name, device in self.devices.items():
                device.boot()
                client = await stack.enter_async_context(device.client(port, device.tls))
                self.clients[name] = client
                tasks.append(asyncio.create_task(device.listen(client)))
                tasks.append(asyncio.create_task(self.watch(device)))
            await asyncio.sleep(0.2)
            for name, device in self.devices.items():
                hello = device.hello(sequence=sequence)
                await device.publish(self.clients[name], "att", hello, qos=0)
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def watch(self, device):
        while True:
            purpose, payload = await device.down.get()
            if purpose == "man":
                envelope = cbor.decode(payload)[1]
                self.offered[device.name] = device.take_release(payload) if envelope else b""

    async def say(self, name, envelope, state, detail=""):
        payload = author.payload_id(author.suit.parse(envelope).manifest)
        device = self.devices[name]
        await device.publish(
            self.clients[name], "ota", device.ota("state", payload, state, detail), qos=0
        )

    async def until(self, good, wait=20.0):
        """Wait for `good()`; its last value decides."""
        end = asyncio.get_running_loop().time() + wait
        while not good() and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.05)
        assert good()


def publish(fleet, sequence, plan):
    """A release in stages, signed and logged, as `uward release --canary` makes it."""
    class_id = fleet.class_id("unix")
    manifest, payload = author.build_manifest(
        b"image %d" % sequence, sequence, 1, f"{sequence}.0", fleet.vendor_id, class_id
    )
    witness = keyring.signed_envelopes(fleet)
    signers = [
        signer
        for role in ("release", "approver")
        for signer in keyring.signers(fleet, role, None, witness)
    ]
    envelope = author.sign(manifest, *signers)
    trust = keyring.current_trust(fleet)
    keyring.release_log(fleet).append(envelope, trust, keyring.signers(fleet, "log", None, []))
    staged = rollouts.Rollouts(
        fleet.folder("rollouts"), Inventory(fleet.folder("devices")), lambda payload: {}
    )
    release = releases.describe(envelope, "unix")
    releases.publish(
        fleet.folder("releases"),
        envelope,
        payload,
        "unix",
        class_id,
        lambda: staged.begin(release, plan),
    )
    return envelope, release


def row(fleet, sequence):
    return next(one for one in verb.do_show(fleet) if one["sequence"] == sequence)


def test_stages_follow_each_other_over_the_wire_and_over_a_restart(fleet, devices):
    ward, plan = Ward(devices), Plan((0.2, 0.5, 1.0), 0.02)
    envelope, release = publish(fleet, 2, plan)
    waves = [
        rollout.chosen(plan, State(stage), release.payload_key, ward.devices) for stage in range(3)
    ]
    assert 0 < len(waves[0]) < len(waves[1]) < COUNT

    async def run():
        before = set()
        for stages in ((0,), (1, 2)):  # the service is stopped and started in between
            async with service.running(fleet.root, port=0) as up:
                await asyncio.wait_for(up.link.connected.wait(), 120)
                async with ward.online(up.port, sequence=1):
                    for stage in stages:
                        wave = waves[stage]
                        await ward.until(lambda wave=wave: set(ward.offered) == wave)
                        assert row(fleet, 2)["stage"] == f"{stage + 1} of 3"
                        for name in wave - before:
                            await ward.say(name, envelope, "installed")
                        await ward.until(
                            lambda wave=wave, b=before: row(fleet, 2)["trying"] >= len(wave - b)
                        )
                        for name in wave - before:
                            await ward.say(name, envelope, "confirmed", "2.0")
                        before = wave
                        done = (f"{min(stage + 2, 3)} of 3", ["running", "running", "done"][stage])
                        await ward.until(
                            lambda done=done: (
                                (row(fleet, 2)["stage"], row(fleet, 2)["status"]) == done
                            )
                        )

    asyncio.run(asyncio.wait_for(run(), 120))
    assert set(ward.offered.values()) == {envelope}
    assert row(fleet, 2)["confirmed"] == COUNT and row(fleet, 2)["failed"] == []
    check_proofs(fleet, ward, envelope)


def check_proofs(fleet, ward, envelope):
    """What came with each offer is what a device demands (SPEC 14)."""
    document = anchors.parse(keyring.documents(fleet)[1])
    for device in ward.devices.values():
        size, _, _, digest = device_log.judge(
            device.proof[0], suit.parse(envelope), document, None
        )
        assert (size, digest) == (1, suit.parse(envelope).digest)
        with pytest.raises(UpdateRefused, match="an entry for"):
            other, _ = author.build_manifest(b"x", 9, 1, "9", fleet.vendor_id, bytes(16))
            device_log.judge(device.proof[0], suit.parse(author.sign(other)), document, None)


def test_a_failing_canary_halts_it_until_somebody_resumes(fleet, devices, monkeypatch, capsys):
    monkeypatch.setenv("UWARD_FLEET", str(fleet.root))
    ward, plan = Ward(devices), Plan((0.3, 1.0), 0.02)
    sequence = 3
    envelope, release = publish(fleet, sequence, plan)
    everybody = [one.id for one in Inventory(fleet.folder("devices"))]
    first = rollout.chosen(plan, State(0), release.payload_key, everybody) & set(ward.devices)
    assert 1 < len(first) < COUNT
    victim, *others = sorted(first)

    async def run():
        async with service.running(fleet.root, port=0) as up:
            await asyncio.wait_for(up.link.connected.wait(), 120)
            async with ward.online(up.port, sequence=2):
                await ward.until(lambda: set(ward.offered) == first)
                await ward.say(victim, envelope, "reverted", "check pulse")
                await ward.until(lambda: row(fleet, sequence)["status"] == "halted")
                reason = row(fleet, sequence)["reason"]
                assert f"one is {victim}: reverted check pulse" in reason
                # one that is in the middle of its download gives it up
                device = ward.devices[others[0]]
                get = device.ota("get", release.payload_key, 0, 1)
                await device.publish(ward.clients[others[0]], "ota", get, qos=0)
                await ward.until(lambda: ward.offered[others[0]] == b"")
                assert set(ward.offered) == first  # nobody else
                assert cli.run(["rollout", "resume", str(sequence)]) == 0
                assert cli.run(["rollout", "advance", str(sequence)]) == 0
                await ward.until(lambda: set(ward.offered) == set(ward.devices))
                assert cli.run(["rollout", "halt", str(sequence)]) == 0
                assert row(fleet, sequence)["reason"] == "by hand"

    asyncio.run(asyncio.wait_for(run(), 120))
    store = Store(service.database_path(fleet), read_only=True)
    events = [event for event in store.events() if event.name == "rollout.halted"]
    store.close()
    assert victim in events[-1].reason
    capsys.readouterr()
    assert cli.run(["rollout", "resume", "99"]) == 2
    assert "there is no release 99" in capsys.readouterr().err
    assert cli.run(["devices", "--json"]) == 0
    shown = {one["id"]: one["update"] for one in json.loads(capsys.readouterr().out)}
    assert shown[victim] == "reverted check pulse"


def test_then_needs_a_canary(fleet, capsys):
    folder = ["--fleet", str(fleet.root)]
    assert cli.run(["release", "--then", "all", *folder]) == 2
    assert "--then without a first stage" in capsys.readouterr().err
    assert cli.run(["release", "--canary", "50%", "--then", "5%", *folder]) == 2
    assert "larger than the one before it" in capsys.readouterr().err
