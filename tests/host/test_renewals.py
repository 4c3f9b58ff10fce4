"""Certificates over MQTT, and requests that wait for a CA elsewhere (SPEC 8, RFC 7030 4.2)."""

import os
import time
from datetime import datetime, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from est_kit import DEVICE, Board, csr, make_fleet, xy
from fake_device import FakeDevice

from host_tools.errors import Refused
from host_tools.fleet import device_keys, est_service, limits, service
from host_tools.fleet.answers import Outcome
from host_tools.fleet.inventory import STOLEN, Inventory
from host_tools.fleet.registrar import Registrar
from host_tools.fleet.store import Store
from host_tools.pki import status
from host_tools.pki.ca import Ca
from host_tools.signing import cose, keys
from host_tools.signing.roles import RENEW_DOMAIN

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

    def ask(self, request, by=None):
        """by: the key that vouches for the request, the device's own by default."""
        vouched = cose.sign1(request, signer(by or self.board.identity), RENEW_DOMAIN)
        return self.say("est", self.device.seal("est", ["renew", vouched]))

    @property
    def record(self):
        return Inventory(self.fleet.folder("devices")).get(DEVICE)


def signer(private):
    return keys.Esp256Key(private, cose.ec2_key(private.public_key()))


def fresh():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path / "f")
    yield made
    made.store.close()


def test_a_device_that_asks_is_given_a_certificate_for_its_new_key(bench):
    new = fresh()
    bench.collector.rollout(NOW)
    ((name, der),), notices = bench.ask(csr(new))
    assert bench.heard(bench.collector.rollout(NOW)) == []  # given once
    made = x509.load_der_x509_certificate(der)
    assert name == "issued" and made.public_key() == new.public_key()
    assert notices == ["est.issued a certificate"]
    assert bench.record.next_public_key == xy(new).hex()
    assert bench.record.identity_public_key == xy(bench.board.identity).hex()
    ((_, again),), _ = bench.ask(csr(new))
    assert x509.load_der_x509_certificate(again) == made  # a lost answer costs no second one
    rows = [row for row in status.rows(bench.ca, datetime.now(timezone.utc)) if row.name == DEVICE]
    assert "a new key, not proved yet" in [row.note for row in rows]


def test_the_old_key_stays_good_until_the_new_one_has_signed(bench):
    new = fresh()
    ((_, der),), _ = bench.ask(csr(new))
    made, old = x509.load_der_x509_certificate(der), bench.board.operational
    assert not bench.ca.is_revoked(old) and not bench.ca.is_revoked(made)
    outcome = Outcome()
    renewals = bench.collector._renewals
    renewals.proved(bench.record, xy(bench.board.identity).hex(), NOW, outcome)
    assert outcome.notices == [] and not bench.ca.is_revoked(old)  # the old key proves nothing
    renewals.proved(bench.record, xy(new).hex(), NOW, outcome)
    assert [notice.text for notice in outcome.notices] == ["est.rekeyed a new key is proved"]
    record = bench.record
    assert (record.identity_public_key, record.next_public_key) == (xy(new).hex(), "")
    assert record.former_public_key == xy(bench.board.identity).hex()
    assert bench.ca.is_revoked(old) and not bench.ca.is_revoked(made)
    crl = x509.load_der_x509_crl(bench.ca.crl_path("devices").read_bytes())
    assert crl.get_revoked_certificate_by_serial_number(old.serial_number) is not None
    data = cose.sign1(b"said before", signer(bench.board.identity), b"x")
    assert device_keys.verify1(data, record, b"x", "it", former=True)[0] == b"said before"
    with pytest.raises(Refused):
        device_keys.verify1(data, record, b"x", "it")


def test_a_request_by_the_new_key_shows_that_it_has_taken_over(bench):
    """The attestation that would have said so was lost."""
    second, third = fresh(), fresh()
    bench.ask(csr(second))
    yesterday(bench)
    ((name, _),), notices = bench.ask(csr(third), by=second)
    assert name == "issued"
    assert notices == ["est.rekeyed a new key is proved", "est.issued a certificate"]
    assert bench.record.identity_public_key == xy(second).hex()
    assert bench.record.next_public_key == xy(third).hex()


def test_a_second_new_key_within_a_day_is_refused(bench):
    bench.ask(csr(fresh()))
    ((name, reason),), _ = bench.ask(csr(fresh()))
    assert (name, reason) == ("refused", SOON)
    issued = len(bench.ca.issued())
    yesterday(bench)
    third = fresh()
    ((name, _der),), _ = bench.ask(csr(third))
    assert name == "issued" and len(bench.ca.issued()) == issued + 1
    assert bench.record.next_public_key == xy(third).hex()


SOON = "request: another new key was certified less than a day ago"


def yesterday(bench):
    path = bench.fleet.root / "est" / f"{DEVICE}.cer"
    old = time.time() - limits.CERTIFICATE_AGAIN_S - 1
    os.utime(path, (old, old))


def test_after_a_day_a_device_is_given_a_new_one(bench):
    request = csr(fresh())
    ((_, first),), _ = bench.ask(request)
    yesterday(bench)
    ((_, second),), _ = bench.ask(request)
    assert second != first


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("another's word", "signature"),
        ("the new key's own word", "signature"),
        ("no word", "request: "),
        ("a key of birth", f"request: this key is that of {DEVICE} already: a clone?"),
        ("another device's key", "request: this key is that of other0device00000001 already"),
        ("another name", f"expected the subject CN={DEVICE} alone"),
        ("no request", "not a PKCS#10 request"),
        ("revoked", f"device {DEVICE} is revoked"),
    ],
)
def test_refusals_are_told_to_both_sides(bench, case, says):
    new = fresh()
    request, by = csr(new), None
    if case == "another's word":
        by = fresh()
    elif case == "the new key's own word":
        by = new
    elif case == "a key of birth":
        request = csr(bench.board.birth)
    elif case == "another device's key":
        request = csr(Board(bench.fleet, "other0device00000001").identity)
    elif case == "another name":
        request = csr(new, "other0device00000001")
    elif case == "no request":
        request = b"\0"
    elif case == "revoked":
        bench.ca.revoke_device(DEVICE)
    if case == "no word":
        ((name, reason),), notices = bench.say("est", bench.device.seal("est", ["renew", request]))
    else:
        ((name, reason),), notices = bench.ask(request, by)
    assert name == "refused" and says in reason
    assert notices[0].startswith("est.refused ") and says in notices[0]
    assert bench.registrar.waiting() == [] and bench.record.next_public_key == ""


@pytest.mark.parametrize("body", [["renew"], ["other", b""], ["renew", "text"], 7])
def test_what_asks_for_nothing_is_malformed(bench, body):
    heard, notices = bench.say("est", bench.device.seal("est", body))
    assert heard == [] and notices[0].startswith("proto.malformed ")


def test_a_request_waits_for_a_ca_elsewhere(tmp_path):
    bench = Bench(tmp_path / "f", local=False)
    try:
        request = csr(fresh())
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


def test_a_key_without_the_old_ones_word_is_not_even_put_before_a_ca_elsewhere(tmp_path):
    bench = Bench(tmp_path / "f", local=False)
    try:
        new = fresh()
        ((name, _),), _ = bench.ask(csr(new), by=new)
        assert name == "refused"
        with pytest.raises(Refused, match="expected the key that"):
            bench.registrar.renew(DEVICE, csr(new))
        assert bench.registrar.waiting() == []
    finally:
        bench.store.close()
