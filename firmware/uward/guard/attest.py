"""Attestation (SPEC 13): an Entity Attestation Token (RFC 9711), signed by the identity key.

The collector asks with a nonce; the answer says what runs here and under which records. Loaded
for one answer, dropped afterwards (S20). It is evidence, no proof: on a board without secure boot
whoever has the flash has the key that signs it.
"""

import sys
from hashlib import sha1

from uward import files, lazy, port
from uward.boot import handover
from uward.codec import cbor
from uward.compat import const
from uward.crypto._primitives import sha256
from uward.errors import ProtocolError
from uward.vault import keys, sealed

_DOMAIN = b"uward.att.v1"
_PROFILE = "urn:uuid:51f3481b-b95b-542d-9c9f-4ca5790a91c3"
_ESP256 = const(-9)
_CBOR_FORMAT = const(60)  # application/cbor (RFC 7252 12.3)
_OPEN = const(0)  # of the console: a REPL
_CLOSED = const(1)
_SERVICE = const(2)  # open for the line protocol (SPEC 12)
_STAGE0 = ("/boot.py", "/main.py", "/s0/image.mpy", "/s0/stage0.mpy", "/s0/pins")
_SOURCES = ("", "secure-element", "efuse-hmac")
_SECRET = const(32)  # bytes of /id/root that are the secret itself
_MOST = const(64)
_CHUNK = const(2048)  # bytes hashed at once


def take(agent, uplink, purpose, payload):
    """`down/att`: a sealed nonce of 8 to 64 bytes; the token goes up as `up/att`."""
    nonce = uplink.session.open(purpose, payload)
    if nonce is None:
        return  # heard before
    if not isinstance(nonce, bytes) or not 8 <= len(nonce) <= 64:  # RFC 9711 4.1
        raise ProtocolError("att: expected a nonce of 8..64 bytes, got another")
    uplink.tell("att", token(nonce, agent.info, claims_of(agent)))


def claims_of(agent):
    """What only the running agent knows: uptime in s, and whether somebody is at the console."""
    console = _CLOSED if agent.console is None else _SERVICE
    if agent.info["state"] <= handover.DEVELOPMENT:
        console = _OPEN
    return {"uptime": agent.uptime() // 1000, "console": console}


def token(nonce, info, live):
    """-> COSE_Sign1 with ESP256 over the claims of SPEC 13; about 420 bytes.

    info: as `boot.handover`; live: as `claims_of`. OSError, BadMac, BootRefused when the board's
    own files cannot be read.
    """
    root = keys.root()
    own = cbor.decode(sealed.read(root, "/id/dev"))
    record = lazy.use("boot.store").load(keys.record_key(root))
    payload = cbor.encode(_claims(nonce, info, live, own, record))
    private = own[2]
    del own, root
    cose = lazy.use("codec.cose")
    sign = lazy.use("crypto.p256").sign
    return cose.sign1(lambda digest: sign(private, digest), payload, external_aad=_DOMAIN)


def _claims(nonce, info, live, own, record):
    return {
        6: port.now(),
        10: nonce,
        256: b"\x01" + _uuid5(info["class"], own[1]),
        258: info["vendor"],
        259: info["class"],
        261: live["uptime"],
        262: True,  # stage 0 starts nothing that a release's signers did not sign
        263: 0,  # SWD and JTAG are open on every stock board
        265: _PROFILE,
        271: [info["version"]],
        273: [[_CBOR_FORMAT, cbor.encode(_measured(info, record))]],
        -70000: {
            1: info["board"],
            2: port.unique_id(),
            3: info["state"],
            4: info["slot"],
            5: info["trial"],
            6: info["sequence"],
            7: info["security"],
            8: record.floor,
            9: record.trust_version,
            10: record.generation,
            11: _source(),
            12: live["console"],
            13: sys.version,
        },
    }


def _measured(info, record):
    """Digests: stage 0's files as they lie in flash now, then what stage 0 found at boot."""
    found = {}
    for i, path in enumerate(_STAGE0):
        found[i + 1] = _digest(path)
    found[6] = info["manifest"]
    if info["slot"] in "ab":
        found[7] = record.slots["ab".find(info["slot"])][1]
    found[8] = record.trust_digest
    return found


def _source():
    """Where the root secret comes from, by the form of /id/root (SPEC 6)."""
    data = files.read(keys.ROOT, _MOST)
    return "flash" if len(data) == _SECRET else _SOURCES[data[1]]


def _digest(path):
    """SHA-256 of a file, b"" when it is not there."""
    digest = sha256()
    try:
        with open(path, "rb") as f:
            while True:
                data = f.read(_CHUNK)
                if not data:
                    return digest.digest()
                digest.update(data)
    except OSError:
        return b""


def _uuid5(space, name):
    """RFC 9562 5.5."""
    made = bytearray(sha1(space + name.encode()).digest()[:16])
    made[6] = made[6] & 15 | 0x50
    made[8] = made[8] & 63 | 0x80
    return bytes(made)
