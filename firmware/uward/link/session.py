"""Sealed messages between device and collector (SPEC 8, S12): the broker sees ciphertext.

    up:    [stream, sequence, body] -> COSE_Encrypt0, partial IV = one counter a boot
    down:  COSE_Encrypt0 -> value, each generation of the collector has its own context

Pure: bytes in, bytes out. Keys live as long as the boot; ctx16 is fresh at each.
"""

from uward import lazy, limits
from uward.codec import cbor
from uward.compat import const
from uward.crypto import aead
from uward.crypto.hash import hkdf
from uward.errors import CodecError, KeyRefused, ProtocolError

_DOMAIN = "uward.v1"
_ENCRYPT0 = const(16)  # CBOR tag
_PARTIAL_IV = const(6)
_KID_CONTEXT = const(10)
_PROTECTED = b"\xa1\x01\x18\x1e"  # {1: 30}: AES-CCM-16-128-128
_KEY = const(16)
_NONCE = const(13)
CONTEXT = const(16)  # bytes of ctx16, generation16, stream


def derive(secret, context, direction, purpose):
    """-> (key 16 bytes, context IV 13 bytes) of one direction and purpose (SPEC 8)."""
    info = "%s %s %s" % (_DOMAIN, direction, purpose)
    okm = hkdf(secret, context, info.encode(), _KEY + _NONCE)
    return okm[:_KEY], okm[_KEY:]


def _nonce(iv, partial):
    """Context IV xor left-padded partial IV (RFC 9052 3.1)."""
    mixed = int.from_bytes(iv, "big") ^ int.from_bytes(partial, "big")
    return mixed.to_bytes(_NONCE, "big")


class Sealer:
    """Seals `up/*` and opens `down/*` of one boot.

    secret: the pair secret, 32 bytes; context: ctx16, random, fresh at each boot.
    """

    def __init__(self, device, secret, context):
        if len(secret) != 32 or len(context) != CONTEXT:
            raise KeyRefused("session: expected a secret of 32 and a context of 16 bytes")
        self._device = device
        self._secret = secret
        self.context = context
        self._counter = 0  # next partial IV: advanced on each attempt, never reused (S12)
        self._up = {}
        self._down = {}
        self._seen = {}  # purpose -> highest partial IV of this generation
        self.generation = None
        self._retired = []

    def gather(self):
        """Code was dropped: keys are derived anew when they are needed, and what stays goes to
        the lowest holes of the heap (S20)."""
        self._up = {}
        self._down = {}
        self._seen = lazy.again(self._seen)
        self.generation = lazy.again(self.generation)

    @property
    def worn(self):
        """So many generations were seen that a fresh context is due."""
        return len(self._retired) >= limits.GENERATIONS

    def _aad(self, direction, purpose):
        """The Enc_structure (RFC 9052 5.3) over our external_aad."""
        external = cbor.encode([_DOMAIN, self._device, direction, purpose])
        return cbor.encode(["Encrypt0", _PROTECTED, external])

    def seal(self, purpose, plaintext):
        """-> bytes for `up/<purpose>`; plaintext: encoded `[stream, sequence, body]`."""
        if purpose not in self._up:
            self._up[purpose] = derive(self._secret, self.context, "up", purpose)
        key, iv = self._up[purpose]
        partial = _minimal(self._counter)
        self._counter += 1
        sealed = aead.seal(key, _nonce(iv, partial), plaintext, self._aad("up", purpose))
        headers = {_PARTIAL_IV: partial, _KID_CONTEXT: self.context}
        return cbor.encode(cbor.Tag(_ENCRYPT0, [_PROTECTED, headers, sealed]))

    def open(self, purpose, data):
        """-> (value, generation), or None for a message that was opened before.

        Raises BadMac, CodecError, and ProtocolError for another boot's or a retired generation's
        context.
        """
        context, partial, sealed = _parse(data)
        if len(context) != 2 * CONTEXT or context[:CONTEXT] != self.context:
            raise ProtocolError("session: expected this boot's context, got another")
        if not 0 < len(partial) <= limits.PARTIAL_IV_BYTES:
            raise CodecError("session: expected a partial IV, got %d bytes" % len(partial))
        generation = context[CONTEXT:]
        if generation in self._retired:
            raise ProtocolError("session: expected the current generation, got a retired one")
        fresh = generation != self.generation
        if fresh or purpose not in self._down:
            key, iv = derive(self._secret, context, "down", purpose)
        else:
            key, iv = self._down[purpose]
        value = aead.open(key, _nonce(iv, partial), sealed, self._aad("down", purpose))
        if fresh:
            self._adopt(generation)
        self._down[purpose] = (key, iv)
        number = int.from_bytes(partial, "big")
        if number <= self._seen.get(purpose, -1):
            return None
        self._seen[purpose] = number
        return cbor.decode(value), generation

    def _adopt(self, generation):
        """A collector that was restored speaks with a new generation; the old one is over."""
        if self.generation is not None:
            if self.worn:
                raise ProtocolError("session: expected <= %d generations" % limits.GENERATIONS)
            self._retired.append(self.generation)
        self.generation = generation
        self._down.clear()
        self._seen.clear()


def _parse(data):
    """COSE_Encrypt0 with exactly our headers (S19) -> kid context, partial IV, ciphertext."""
    value = cbor.decode(data)
    if not isinstance(value, cbor.Tag) or value.number != _ENCRYPT0:
        raise CodecError("session: expected tag 16, got another object")
    body = value.value
    if not isinstance(body, list) or len(body) != 3 or body[0] != _PROTECTED:
        raise CodecError("session: expected an Encrypt0 with algorithm 30, got another")
    headers = body[1]
    if not isinstance(headers, dict) or set(headers) != {_PARTIAL_IV, _KID_CONTEXT}:
        raise CodecError("session: expected the headers 6 and 10, got others")
    found = headers[_KID_CONTEXT], headers[_PARTIAL_IV], body[2]
    for item in found:
        if not isinstance(item, bytes):
            raise CodecError("session: expected bytes, got %s" % type(item).__name__)
    return found


def _minimal(number):
    """Minimal big-endian bytes; 0 is h'00' (SPEC 8)."""
    size = 1
    while number >> 8 * size:
        size += 1
    return number.to_bytes(size, "big")


def message(stream, sequence, body):
    """-> encoded `[stream, sequence, body]`; body: encoded CBOR (SPEC 8)."""
    return b"\x83" + cbor.encode(stream) + cbor.encode(sequence) + body


class Session:
    """What is sent and what is acknowledged: an outbox seen through a sealer.

    sealer: as above; outbox: what is sent, with the stream id; finish(entry) -> its final body,
    once the clock is proved.
    """

    def __init__(self, sealer, outbox, finish):
        self._sealer = sealer
        self.outbox = outbox
        self._finish = finish
        self._generation = None
        self._position = 0  # sequence of the last pack handed out on this connection

    @property
    def worn(self):
        """The sealer wants a fresh context: it takes no further generation."""
        return self._sealer.worn

    @property
    def context(self):
        """ctx16 of this boot: what a command must carry to be fresh (S16)."""
        return self._sealer.context

    def renew(self, sealer):
        """Go on with another sealer; what the old one sealed is sent as it is."""
        self._sealer = sealer

    def gather(self):
        """Keep what stays where it parts no room that is needed in one piece (S20)."""
        self._sealer.gather()
        self._generation = lazy.again(self._generation)

    def open(self, purpose, data):
        """-> value of a sealed `down` message, or None for one that was opened before."""
        opened = self._sealer.open(purpose, data)
        return None if opened is None else opened[0]

    def restart(self):
        """A new connection, or an acknowledgement that is overdue: send again from there."""
        self._position = self.outbox.acknowledged

    def once(self, purpose, body):
        """-> bytes of a message that wants no acknowledgement (hello, download requests)."""
        plaintext = message(self.outbox.stream, 0, cbor.encode(body))
        return self._sealer.seal(purpose, plaintext)

    def next(self):
        """The next pack to publish -> (purpose, bytes), or None.

        A pack is sealed once; after `restart` the same bytes come again (S12). None also while
        limits.WINDOW_PACKS packs wait for their acknowledgement.
        """
        entry = self.outbox.peek(self._position)
        if entry is None:
            return None
        if entry.sealed is None:
            body = self._finish(entry)
            plaintext = message(self.outbox.stream, entry.sequence, body)
            self.outbox.seal(entry, self._sealer.seal(entry.purpose, plaintext))
        self._position = entry.sequence
        return entry.purpose, entry.sealed

    def acknowledge(self, data):
        """`down/ack` -> sequence that the collector has committed, or None when nothing is new.

        Refused: another stream, a sequence above what was sent, a generation that is not the
        sealing one (S12). A new generation may ask for packs again: the answer is then lower
        than before.
        """
        opened = self._sealer.open("ack", data)
        if opened is None:
            return None
        value, generation = opened
        if not isinstance(value, list) or len(value) != 3 or value[0] != generation:
            raise ProtocolError("ack: expected [generation, stream, sequence], got another")
        if value[1] != self.outbox.stream:
            raise ProtocolError("ack: expected this stream, got another")
        sequence = value[2]
        if not isinstance(sequence, int) or isinstance(sequence, bool) or sequence < 0:
            raise ProtocolError("ack: expected a sequence number, got %r" % (sequence,))
        if self._generation not in (None, generation):
            self.outbox.rewind(sequence)
            self._position = min(self._position, sequence)
        self.outbox.acknowledge(sequence)
        self._generation = generation
        return sequence
