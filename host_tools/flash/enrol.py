"""Enrolment of one board over its factory console (SPEC 7, S8).

The device makes its own keys; the host adds entropy, names the device, has the CA answer, and
hands over network and time. The host is trusted at this moment and at no later one.
"""

import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from host_tools.errors import DeviceError, Refused
from host_tools.flash.console import Console
from host_tools.flash.key_source import Choice
from host_tools.fleet.inventory import Device, Inventory
from host_tools.pki import csr, names
from host_tools.pki.ca import Ca
from host_tools.signing import cose
from host_tools.signing.roles import ENROL_DOMAIN

MARK = "uward:"
NONCE = 32  # bytes; of nonce and of entropy
KEY = 64  # bytes: x | y of a P-256 key
DEVELOPMENT, LOCKED = 1, 2
KEYGEN_S = 120  # of silence: two key pairs and a signature on the slowest board, heap tight
WRITE_S = 60  # of silence: sealing and writing some files
FLASH = Choice("flash", None, {})
DataLock = Callable[[str], list[Any]]  # device id -> [1, PIN] or [2, share] (SPEC 6)


@dataclass(frozen=True)
class Expected:
    """What a board of this fleet may say of its factory image: SHA-256 of the manifests that the
    fleet signed, and of its trust documents. (Two fleets that build the same image have the same
    manifest; the trust document tells them apart.)"""

    board: str
    manifest_digests: frozenset[bytes]
    trust_digests: frozenset[bytes]
    class_id: bytes


@dataclass(frozen=True)
class Request:
    """The device's signed answer: keys are x | y, 64 bytes."""

    device_id: str
    request: bytes
    pairing: bytes
    unique_id: bytes
    identity: bytes
    birth: bytes  # PKCS#10 of the birth key


def enrol(
    console: Console,
    ca: Ca,
    inventory: Inventory,
    expected: Expected,
    network: Mapping[int, Any],
    *,
    kek_kid: bytes = b"",
    state: int = LOCKED,
    replace: bool = False,
    source: Choice = FLASH,
    data_lock: DataLock | None = None,
) -> Device:
    """Enrol the board at `console`; it takes effect when the board starts next.

    `network` is the content of /id/net (SPEC 6). A board that is in the inventory is refused
    unless `replace`: then it keeps its id, and its old certificate is revoked. source: of the
    board's keys, see `probe`; data_lock: of its data tier, made for the id. Raises Refused and
    DeviceError; the board stays in `factory` and no record is left.
    """
    unique_id = console.eval_hex("__import__('uward.port').port.unique_id()")
    device_id = _choose_id(inventory, unique_id, replace)
    nonce = secrets.token_bytes(NONCE)
    answer = check(_ask(console, nonce, device_id), nonce, device_id, expected)
    if answer.unique_id != unique_id:
        raise Refused("the board signed another unique id than it first said")
    certificate = ca.issue_device(answer.request, nonce, device_id, replace=replace)
    born = ca.issue_birth(
        answer.birth, nonce, device_id, unique_id, expected.class_id, replace=replace
    )
    device = _record(answer, certificate, expected.board, kek_kid, source.name)
    config = _config(certificate, born, network, source.place)
    if data_lock is not None:
        config[6] = data_lock(device_id)
    _call(console, f"accept({_literal(cose.encode(config))})")
    inventory.add(device, replace=replace)
    _call(console, f"lock({state})")
    return device


def probe(console: Console, place: bytes) -> str:
    """Whether the board's key source at `place` answers: "" or why not. Raises DeviceError."""
    return _call(console, f"probe({_literal(place)})").decode()


def check(signed: bytes, nonce: bytes, device_id: str, expected: Expected) -> Request:
    """Judge the COSE_Sign1 of SPEC 7.1: signature, nonce, id, image, trust version, keys."""
    what = "enrolment"
    protected, unprotected, payload, signature = cose.tagged(signed, cose.TAG_SIGN1, 4, what)
    if cose.algorithm_of(protected, what) != cose.ESP256 or not isinstance(payload, bytes):
        raise Refused(f"{what}: expected a COSE_Sign1 with ESP256")
    if unprotected != {}:
        raise Refused(f"{what}: expected no unprotected header, got {unprotected!r}")
    body = cose.mapping(cose.decode(payload, what), what)
    if set(body) != set(range(1, 11)):
        raise Refused(f"{what}: expected members 1 to 10, got {sorted(body)}")
    identity = _key(body[9], "identity")
    message = cose.sig_structure1(protected, payload, ENROL_DOMAIN)
    cose.ec2_key(identity).verify(message, signature)
    _expect("nonce", body[1], [nonce])
    _expect("device id", body[2], [device_id])
    _expect("manifest digest", body[6], expected.manifest_digests)
    _expect("trust document", body[7], expected.trust_digests)
    _expect("board", body[8], [expected.board])
    requested = csr.check(body[3], nonce, device_id)
    if requested.public_numbers() != identity.public_numbers():
        raise Refused(f"{what}: the request is for another key than the identity key")
    _key(body[4], "pairing")
    born = csr.check(body[10], nonce, device_id)
    if born.public_numbers() == identity.public_numbers():
        raise Refused(f"{what}: the birth key is the identity key: one key, one use")
    return Request(device_id, body[3], body[4], body[5], body[9], body[10])


def _choose_id(inventory: Inventory, unique_id: bytes, replace: bool) -> str:
    known = [device.id for device in inventory if device.unique_id == unique_id.hex()]
    if known and not replace:
        raise Refused(
            f"board {unique_id.hex()} is enrolled as {known[0]}",
            "--replace enrols it anew and revokes the certificate that it has",
        )
    return known[0] if known else names.new_device_id()


def _ask(console: Console, nonce: bytes, device_id: str) -> bytes:
    entropy = secrets.token_bytes(NONCE)
    arguments = f"{_literal(nonce)}, {_literal(entropy)}, {device_id!r}"
    return _call(console, f"request({arguments})", KEYGEN_S)


def _call(console: Console, call: str, timeout_s: float = WRITE_S) -> bytes:
    """Call `enrol.<call>` on the board; the bytes of the line `uward:<hex>` that it prints."""
    output = console.exec(f"from uward import enrol\nenrol.{call}", timeout_s)
    lines = [line.strip() for line in output.splitlines() if line.startswith(MARK)]
    try:
        return bytes.fromhex(lines[-1][len(MARK) :])
    except (IndexError, ValueError) as error:
        shown = output.strip().splitlines()[-1:] or ["nothing"]
        raise DeviceError(f"enrolment: expected a line {MARK}<hex>, got {shown[0]!r}") from error


def _literal(data: bytes) -> str:
    return f"bytes.fromhex('{data.hex()}')"


def _config(
    certificate: bytes, born: bytes, network: Mapping[int, Any], place: bytes | None
) -> dict[int, Any]:
    config: dict[int, Any] = {1: certificate, 2: dict(network), 3: int(time.time()), 5: born}
    if place is not None:
        config[4] = place
    return config


def _record(
    answer: Request, certificate: bytes, board: str, kek_kid: bytes, key_source: str
) -> Device:
    serial = x509.load_der_x509_certificate(certificate).serial_number
    return Device(
        id=answer.device_id,
        board=board,
        unique_id=answer.unique_id.hex(),
        pairing_public_key=answer.pairing.hex(),
        identity_public_key=answer.identity.hex(),
        certificate_serial=f"{serial:040x}",
        enrolled=int(time.time()),
        group_kek=kek_kid.hex(),
        key_source=key_source,
    )


def _key(data: object, name: str) -> ec.EllipticCurvePublicKey:
    if not isinstance(data, bytes) or len(data) != KEY:
        raise Refused(f"enrolment: {name} key: expected {KEY} bytes")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + data)
    except ValueError as error:
        raise Refused(f"enrolment: {name} key is no point on P-256") from error


def _expect(name: str, got: object, wanted: Collection[object]) -> None:
    if got not in wanted:
        known = " or ".join(_shown(value) for value in wanted) or "none, for nothing is signed"
        raise Refused(
            f"enrolment: {name} is {_shown(got)}, expected {known}",
            "flash the board with this fleet's own image",
        )


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else repr(value)
