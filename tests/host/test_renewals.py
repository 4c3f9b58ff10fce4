"""Certificates over MQTT, and requests that wait for a CA elsewhere (SPEC 8, RFC 7030 4.2)."""

import os
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from est_kit import DEVICE, Board, csr, make_fleet
from fake_device import FakeDevice

from host_tools.errors import Refused
from host_tools.fleet import est_service, limits, service
from host_tools.fleet.inventory import STOLEN, Inventory
from host_tools.fleet.registrar import Registrar
from host_tools.fleet.store import Store
from host_tools.pki.ca import Ca
from host_tools.signing import keys

NOW = 1_790_000_000


class Bench:
    """A collector of a real fleet, and one device's side of the sealed messages."""

    def __init__(self, folder, local=True):
        self.fleet = make_fleet(folder)
        self.board = Board(self.fleet)
        self.ca = Ca(self.fleet.folder("ca"))
        if not local:
            self.ca.key_path("devices").rename(folder / "devices.key")
        self.registrar = est_service.make_registrar(self.fleet)
        self.store = Store(service.database_path(self.fleet))
        self.collector = service._collector(self.fleet, self.store, self.registrar)
        public = keys.load_ecdh(self.fleet.folder("keys") / "collector").public_key()
        self.device = FakeDevice(DEVICE, public, self.board.pairing)
        self.say("att", self.device.hello())

    def say(self, purpose, sealed):
        outcome = self.collector.handle(f"uward/v1/{DEVICE}/up/{purpose}", sealed, NOW)
        return self.heard(outcome), [notice.text for notice in outcome.notices]

    def heard(self, outcome):
        return [self.device.open("est", d.payload)[0] for d in outcome.down if d.purpose == "est"]

    def ask(self, request):
        return self.say("est", self.device.seal("est", ["renew", request]))


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path / "f")
    yield made
    made.store.close()


def test_a_device_that_asks_is_given_a_certificate(bench):
    request = csr(bench.board.identity)
    bench.collector.rollout(NOW)
    ((name, der),), notices = bench.ask(request)
    assert bench.heard(bench.collector.rollout(NOW)) == []  # given once
    made = x509.load_der_x509_certificate(der)
    assert name == "issued" and made.public_key() == bench.board.identity.public_key()
    assert made.serial_number != bench.board.operational.serial_number
    assert notices == ["est.issued a certificate"]
    ((_, again),), _ = bench.ask(request)
    assert again == der  # an answer that was lost costs no second certificate


def test_after_a_day_a_device_is_given_a_new_one(bench):
    request = csr(bench.board.identity)
    ((_, first),), _ = bench.ask(request)
    path = bench.fleet.root / "est" / f"{DEVICE}.cer"
    old = time.time() - limits.CERTIFICATE_AGAIN_S - 1
    os.utime(path, (old, old))
    ((_, second),), _ = bench.ask(request)
    assert second != first


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("another key", f"expected the key that {DEVICE} was enrolled with"),
        ("another name", f"expected the subject CN={DEVICE} alone"),
        ("no request", "not a PKCS#10 request"),
        ("revoked", f"device {DEVICE} is revoked"),
    ],
)
def test_refusals_are_told_to_both_sides(bench, case, says):
    request = csr(bench.board.identity)
    if case == "another key":
        request = csr(ec.generate_private_key(ec.SECP256R1()))
    elif case == "another name":
        request = csr(bench.board.identity, "other0device00000001")
    elif case == "no request":
        request = b"\0"
    else:
        bench.ca.revoke_device(DEVICE)
    ((name, reason),), notices = bench.ask(request)
    assert name == "refused" and says in reason
    assert notices[0].startswith("est.refused ") and says in notices[0]


@pytest.mark.parametrize("body", [["renew"], ["other", b""], ["renew", "text"], 7])
def test_what_asks_for_nothing_is_malformed(bench, body):
    heard, notices = bench.say("est", bench.device.seal("est", body))
    assert heard == [] and notices[0].startswith("proto.malformed ")


def test_a_request_waits_for_a_ca_elsewhere(tmp_path):
    bench = Bench(tmp_path / "f", local=False)
    try:
        request = csr(bench.board.identity)
        assert bench.ask(request) == ([], ["est.waiting for the CA"])
        assert bench.heard(bench.collector.rollout(NOW)) == []
        (tmp_path / "f/devices.key").rename(bench.ca.key_path("devices"))
        elsewhere = est_service.make_registrar(bench.fleet)
        assert elsewhere.waiting() == [(DEVICE, request)]
        der = elsewhere.sign(DEVICE, request)
        assert bench.heard(bench.collector.rollout(NOW)) == [["issued", der]]
        assert bench.heard(bench.collector.rollout(NOW)) == []
        assert elsewhere.waiting() == []
    finally:
        bench.store.close()


def test_a_stolen_device_gets_nothing_also_not_what_waited(tmp_path):
    bench = Bench(tmp_path / "f", local=False)
    try:
        bench.ask(csr(bench.board.identity))
        Inventory(bench.fleet.folder("devices")).mark(DEVICE, STOLEN)
        ((device, request),) = bench.registrar.waiting()
        with pytest.raises(Refused, match="is stolen: it gets no certificate"):
            bench.registrar.sign(device, request)
        heard, notices = bench.ask(csr(bench.board.identity))
        assert heard == [] and notices[0].startswith("id.revoked ")
    finally:
        bench.store.close()


def test_what_another_ca_made_is_kept_in_the_books(bench, tmp_path):
    inventory = Inventory(bench.fleet.folder("devices"))
    registrar = Registrar(bench.ca, inventory, tmp_path / "est", False)
    request = csr(bench.board.identity)
    assert registrar.renew(DEVICE, request) is None
    hospital = Ca.create(tmp_path / "hospital", "hospital")
    made = x509.load_der_x509_certificate(
        hospital.issue_device(csr(bench.board.identity, nonce=bytes(32)), bytes(32), DEVICE)
    )
    registrar.adopt(DEVICE, request, made)
    assert bench.ca.issued()[-1].issuer == "external"
    assert registrar.waiting() == []
    assert registrar.renew(DEVICE, request) == (tmp_path / f"est/{DEVICE}.cer").read_bytes()
    bench.ca.revoke_device(DEVICE)  # what is not ours to list does not stop what is
    assert bench.ca.is_revoked(made)


def test_another_key_is_not_even_put_before_a_ca_elsewhere(tmp_path):
    bench = Bench(tmp_path / "f", local=False)
    try:
        ((name, reason),), _ = bench.ask(csr(ec.generate_private_key(ec.SECP256R1())))
        assert name == "refused" and "expected the key that" in reason
        assert bench.registrar.waiting() == []
    finally:
        bench.store.close()
