"""Enrolment (SPEC 7, S8), over the factory console: the host is trusted at this moment.

The host calls request, probe, accept and lock in this order; each prints a line `uward:` + hex.
Until `/id/root` has its name the board stays in `factory`, whatever else was written; so a cut at
any moment means: enrol again.
"""

import asyncio
import os

from uward import port
from uward.boot import handover, record, slots, store
from uward.codec import cbor, cose
from uward.crypto import p256, rng
from uward.errors import BootRefused, CodecError, KeyRefused
from uward.link import derive
from uward.trust import anchors, decide, suit, x509
from uward.update import witness
from uward.vault import keys, sealed

_DOMAIN = b"uward.enrol.v1"
_MANIFEST = "/slot/a.suit"
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"

_pending = {}
_born = []  # the private key of the birth certificate


def request(nonce, entropy, device):
    """Make the keys, print the COSE_Sign1 that asks for a certificate. -> its bytes.

    nonce, entropy: 32 bytes of the host's; device: its id. Refused outside of `factory`.
    """
    _demand_factory()
    if len(nonce) != 32 or len(entropy) != 32:
        raise CodecError("enrol: expected a nonce and entropy of 32 bytes, got others")
    if not 16 <= len(device) <= 32 or any(c not in _LETTERS for c in device):
        raise CodecError("enrol: expected a device id [a-z0-9]{16,32}, got %r" % device)
    for extra in (entropy, port.unique_id(), port.entropy(64)):
        rng.add_entropy(extra)
    rng.health_check()
    identity, public = p256.keygen(rng.random)
    pairing, paired = p256.keygen(rng.random)
    birth, born = p256.keygen(rng.random)

    def sign(digest):
        return p256.sign(identity, digest)

    def sign_birth(digest):
        return p256.sign(birth, digest)

    info = handover.info
    payload = {
        1: nonce,
        2: device,
        3: x509.csr(device, public, sign, nonce.hex()),
        4: paired,
        5: port.unique_id(),
        6: info["manifest"],
        7: _document(info).digest,
        8: info["board"],
        9: public,
        10: x509.csr(device, born, sign_birth, nonce.hex()),
    }
    _pending.clear()
    _born[:] = [birth]
    _pending.update({1: device, 2: identity, 3: pairing, 5: paired})
    asked = cose.sign1(sign, cbor.encode(payload), external_aad=_DOMAIN)
    print("uward:" + asked.hex())
    return asked


def probe(place):
    """Whether the key source at `place` could be used: prints "" or why not, in hex."""
    _demand_factory()
    why = ""
    try:
        _source(place)
    except KeyRefused as e:
        why = str(e)
    print("uward:" + (why.encode().hex() if why else ""))  # b"".hex() is bytes in stock 1.27


def accept(config):
    """Keep certificate, network and time (SPEC 7.2), sealed under a new root secret.

    KeyRefused unless the certificate is the answer to `request`.
    """
    _demand_factory()
    if not _pending:
        raise KeyRefused("enrol: expected a request before, got none")
    value = cbor.decode(config)
    if not isinstance(value, dict) or not {1, 2, 3, 5} <= set(value) <= {1, 2, 3, 4, 5, 6}:
        raise CodecError("enrol: expected a configuration {1, 2, 3, 4, 5, 6}, got another")
    _check_certificate(value[1], _pending[2])
    _check_certificate(value[5], _born[0])
    unix = value[3]
    port.set_time(unix)
    source = _source(value.get(4))
    root = keys.open_root(source)
    _mkdir("/id")
    _write("/id/root.new", source)
    sealed.write(root, "/id/dev", cbor.encode(_with(_pending, 4, value[1])))
    sealed.write(root, "/id/birth", cbor.encode({1: _born[0], 2: value[5]}))
    sealed.write(root, "/id/net", cbor.encode(value[2]))
    sealed.write(root, "/id/clock", cbor.encode({1: unix, 2: unix}))
    sealed.write(root, "/id/seed", rng.random(32))
    if 6 in value:
        _lock_data(root, value[6])
    _pending.clear()
    print("uward:")


def lock(state=record.LOCKED):
    """Write the boot record, then name the root: from the next boot on the board is enrolled."""
    _demand_factory()
    if state not in (record.DEVELOPMENT, record.LOCKED):
        raise BootRefused("enrol: expected state 1 or 2, got %r" % (state,))
    root = keys.open_root(_read("/id/root.new"))
    first = _first_record(state)
    witness.write(root, first)
    store.create(first, keys.record_key(root))
    derive.write(root, cbor.decode(sealed.read(root, "/id/dev")))
    os.rename("/id/root.new", "/id/root")
    print("uward:")


def _lock_data(root, how):
    """The data tier gets a lock of its own: [1, PIN] or [2, share of 32 bytes]."""
    if not isinstance(how, list) or len(how) != 2 or not isinstance(how[1], bytes):
        raise CodecError("enrol: expected [kind, PIN or share], got another")
    from uward.vault import data, pin

    if how[0] == data.PIN:
        asyncio.run(pin.make(root, how[1]))
    else:
        data.make(root, how[0], how[1])


def _source(place):
    """A new /id/root: a random secret, or one that the chip at `place` makes of a salt."""
    if place is None:
        return rng.random(32)
    from uward.vault import sources

    return sources.make(place, rng.random(32))


def _document(info):
    return anchors.parse(_read("/trust/%d" % info["trust"]))


def _first_record(state):
    """Slot a as it left the factory: confirmed; its manifest sets floor and sequence."""
    info = handover.info
    envelope = suit.parse(_read(_MANIFEST))
    if envelope.digest != info["manifest"]:
        raise BootRefused("enrol: expected the manifest that was booted, got another")
    plan = decide.boot(envelope, decide.Identity(info["vendor"], info["class"]))
    document = _document(info)
    first = record.Record(state, document.version, document.digest)
    first.slots[0] = slots.judged_by(first, envelope.digest, plan.digest)
    first.owned[0] = first.confirmed[0] = True
    first.floor = plan.security
    first.sequence = plan.sequence
    return first


def _check_certificate(der, secret):
    certificate = x509.parse_certificate(der)
    if certificate.public_key != p256.public_key(secret):
        raise KeyRefused("enrol: expected a certificate of our key, got another's")
    if certificate.common_name != _pending[1]:
        raise KeyRefused("enrol: expected CN %s, got %s" % (_pending[1], certificate.common_name))


def _demand_factory():
    if handover.info.get("state") != handover.FACTORY:
        raise BootRefused("enrol: expected state factory, got %r" % handover.info.get("state"))


def _with(values, key, value):
    out = dict(values)
    out[key] = value
    return out


def _mkdir(path):
    try:
        os.mkdir(path)
    except OSError:
        pass  # it is there; another failure shows at the next write


def _read(path):
    with open(path, "rb") as f:
        return f.read()


def _write(path, data):
    with open(path, "wb") as f:
        f.write(data)
