"""Enrolment on the host: what a board may answer (SPEC 7), with a board that answers as told."""

import re
import secrets
from hashlib import sha256

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import AttributeOID, NameOID

from host_tools.errors import DeviceError, Refused
from host_tools.flash import enrol
from host_tools.flash.enrol import Expected
from host_tools.fleet.inventory import Inventory
from host_tools.pki.ca import Ca

MANIFEST = sha256(b"manifest").digest()
TRUST = sha256(b"trust document 1").digest()
EXPECTED = Expected("unix", frozenset([MANIFEST]), frozenset([TRUST]), bytes(16))
NETWORK = {1: "ward", 2: "password", 3: "127.0.0.1", 4: 8883, 5: "broker.example.org", 6: {}}


def xy(key):
    point = serialization.PublicFormat.UncompressedPoint
    return key.public_key().public_bytes(serialization.Encoding.X962, point)[1:]


class Board:
    """What `uward.enrol` does on a device, written from SPEC; `lie` changes its payload."""

    def __init__(self, lie=None):
        self.lie = lie or (lambda payload: payload)
        self.identity = ec.generate_private_key(ec.SECP256R1())
        self.pairing = ec.generate_private_key(ec.SECP256R1())
        self.birth = ec.generate_private_key(ec.SECP256R1())
        self.signer = self.identity
        self.unique = bytes(range(8))
        self.config = None
        self.state = None
        self.domain = b"uward.enrol.v1"

    def eval_hex(self, expression):
        assert expression.endswith("unique_id()")
        return self.unique

    def exec(self, code, timeout_s=0):
        arguments = [bytes.fromhex(text) for text in re.findall(r"fromhex\('(\w+)'\)", code)]
        if ".request(" in code:
            device = re.search(r", '(\w+)'\)$", code)[1]
            return f"noise\r\nuward:{self.request(arguments[0], device).hex()}\r\n"
        if ".accept(" in code:
            self.config = cbor2.loads(arguments[0])
        else:
            self.state = int(re.search(r"lock\((\d)\)", code)[1])
        return "uward:\r\n"

    def request(self, nonce, device):
        payload = self.lie({
            1: nonce, 2: device, 3: self.csr(nonce, device), 4: xy(self.pairing), 5: self.unique,
            6: MANIFEST, 7: TRUST, 8: "unix", 9: xy(self.identity),
            10: self.csr(nonce, device, self.birth),
        })  # fmt: skip
        body, protected = cbor2.dumps(payload, canonical=True), cbor2.dumps({1: -9})
        message = cbor2.dumps(["Signature1", protected, self.domain, body])
        r, s = decode_dss_signature(self.signer.sign(message, ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return cbor2.dumps(cbor2.CBORTag(18, [protected, {}, body, signature]))

    def csr(self, nonce, device, key=None):
        return (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)]))
            .add_attribute(AttributeOID.CHALLENGE_PASSWORD, nonce.hex().encode())
            .sign(key or self.identity, hashes.SHA256())
            .public_bytes(serialization.Encoding.DER)
        )


@pytest.fixture
def fleet(tmp_path):
    return Ca.create(tmp_path / "ca", "ward"), Inventory(tmp_path / "devices")


def run(fleet, board, **options):
    return enrol.enrol(board, *fleet, EXPECTED, NETWORK, **options)


def test_a_board_is_enrolled(fleet):
    board = Board()
    device = run(fleet, board, kek_kid=b"12345678")
    assert fleet[1].get(device.id) == device
    assert device.unique_id == board.unique.hex()
    assert device.identity_public_key == xy(board.identity).hex()
    assert device.pairing_public_key == xy(board.pairing).hex()
    assert device.group_kek == b"12345678".hex()
    certificate = x509.load_der_x509_certificate(board.config[1])
    assert certificate.subject.rfc4514_string() == f"CN={device.id}"
    issued = {one.kind: one for one in fleet[0].issued()}
    assert device.certificate_serial == issued["device"].serial
    born = x509.load_der_x509_certificate(board.config[5])
    assert born.public_key() == board.birth.public_key()
    assert born.issuer.rfc4514_string() == "CN=ward birth CA"
    assert f"{born.serial_number:040x}" == issued["birth"].serial
    assert (board.config[2], board.state) == (NETWORK, 2)


def test_development_leaves_the_board_open(fleet):
    board = Board()
    run(fleet, board, state=enrol.DEVELOPMENT)
    assert board.state == 1


def test_a_second_enrolment_needs_replace_and_revokes_the_first(fleet):
    first = run(fleet, Board())
    with pytest.raises(Refused, match=f"is enrolled as {first.id}") as caught:
        run(fleet, Board())
    assert "--replace" in caught.value.hint
    second = run(fleet, Board(), replace=True)
    assert second.id == first.id
    assert [one.reason for one in fleet[0].issued()] == ["superseded", "superseded", None, None]


def changed(member, value):
    return lambda payload: {**payload, member: value}


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        (changed(1, bytes(32)), "nonce is 0000"),
        (changed(2, "z" * 20), "device id is 'zzzz"),
        (changed(6, bytes(32)), f"manifest digest is 0.*expected {MANIFEST.hex()}"),
        (changed(7, MANIFEST), f"trust document is {MANIFEST.hex()}, expected {TRUST.hex()}"),
        (changed(8, "esp32"), "board is 'esp32', expected 'unix'"),
        (changed(4, b"short"), "pairing key: expected 64 bytes"),
        (changed(4, bytes(64)), "pairing key is no point on P-256"),
        (changed(9, bytes(64)), "identity key is no point on P-256"),
        (changed(3, b"no request"), "not a PKCS#10 request"),
        (changed(11, 1), "expected members 1 to 10"),
        (changed(10, b"no request"), "not a PKCS#10 request"),
        (changed(5, b"other"), "signed another unique id than it first said"),
    ],
)
def test_a_board_that_says_otherwise_is_refused(fleet, lie, message):
    board = Board(lie)
    with pytest.raises(Refused, match=message):
        run(fleet, board)
    assert not list(fleet[1]) and not fleet[0].issued()
    assert board.config is None and board.state is None


def test_a_request_for_another_key_is_refused(fleet):
    other = Board()
    board = Board(lambda payload: {**payload, 3: other.csr(payload[1], payload[2])})
    with pytest.raises(Refused, match="request is for another key than the identity key"):
        run(fleet, board)


def test_the_birth_key_is_a_key_of_its_own(fleet):
    board = Board()
    board.birth = board.identity
    with pytest.raises(Refused, match="the birth key is the identity key: one key, one use"):
        run(fleet, board)


def test_a_signature_by_another_key_or_for_another_purpose_is_refused(fleet):
    board = Board()
    board.signer = board.pairing
    with pytest.raises(Refused, match="ESP256 signature does not verify"):
        run(fleet, board)
    board = Board()
    board.domain = b"uward.time.v1"
    with pytest.raises(Refused, match="ESP256 signature does not verify"):
        run(fleet, board)


def test_an_answer_that_is_none_is_named(fleet):
    board = Board()
    board.exec = lambda code, timeout_s=0: "MemoryError\r\n"
    with pytest.raises(DeviceError, match="expected a line uward:<hex>, got 'MemoryError'"):
        run(fleet, board)


def test_every_changed_byte_of_the_answer_is_refused():
    board, nonce, device = Board(), secrets.token_bytes(32), "a" * 20
    good = board.request(nonce, device)
    assert enrol.check(good, nonce, device, EXPECTED).unique_id == board.unique
    for at in range(0, len(good), 3):
        broken = bytearray(good)
        broken[at] ^= 1 << at % 8
        with pytest.raises(Refused):
            enrol.check(bytes(broken), nonce, device, EXPECTED)
