"""Time that can be believed (S10): a floor, a tentative time, a proved one.

Certificates are checked against the board's clock, which knows nothing after a power cut. So it
never stands below the floor; and when a renewed broker certificate starts above it, the clock is
set to that start for one try. Such a session proves nothing about time: nothing but hello, time,
trust and revocation until an answer to our nonce, signed by role `time`, has come.
"""

from uward import limits, port
from uward.codec import cbor
from uward.compat import const
from uward.crypto import rng
from uward.errors import BadSignature, ClockRefused, KeyRefused, TlsRefused
from uward.link.stream import NOT_YET_VALID, recheck

FLOOR = const(0)  # time quality, as hello and events carry it (SPEC 8)
TENTATIVE = const(1)
PROVED = const(2)

_DOMAIN = b"uward.time.v1"
_NONCE = const(16)


class Clock:
    """The board's clock and what is known about it.

    floor: the latest of build time, trust document's issue and last proved time, unix seconds;
    expires: of the trust document. `floor` is to be kept in /id/clock after `prove`.
    """

    def __init__(self, floor, expires):
        self._ceiling = expires + limits.CLOCK_GRACE_S
        self.floor = min(floor, self._ceiling)
        self.quality = FLOOR
        self._nonce = None
        self._asked = 0
        if not self.floor <= port.now() <= self._ceiling:
            port.set_time(self.floor)

    def tentative(self, not_before):
        """Believe for one session that the time is `not_before`. ClockRefused if it may not be."""
        if self.quality == PROVED:
            raise ClockRefused("certificate starts at %d, after the proved time" % not_before)
        self._demand(not_before)
        self._before = port.now()
        self._since = port.ticks_ms()
        port.set_time(not_before)
        self.quality = TENTATIVE

    def restore(self):
        """Take a tentative time back: the session ended before the time was proved."""
        if self.quality == TENTATIVE:
            elapsed = port.ticks_diff(port.ticks_ms(), self._since) // 1000
            port.set_time(self._before + elapsed)
            self.quality = FLOOR

    def ask(self):
        """-> nonce of 16 bytes for hello; the answer is bound to it."""
        self._nonce = rng.random(_NONCE)
        self._asked = port.ticks_ms()
        return self._nonce

    def prove(self, answer, device, keys, leaf, revoked=()):
        """Take the time from a signed answer and judge the peer again by it. -> unix seconds.

        answer: COSE_Sign1 bytes; device: our id; keys: of role `time`; leaf: the broker's
        certificate. ClockRefused, CodecError, BadSignature; TlsRefused: end the session.
        """
        unix = read_answer(answer, self._nonce, device, keys)
        if port.ticks_diff(port.ticks_ms(), self._asked) > limits.TIME_ANSWER_MS:
            raise ClockRefused("answer came later than %d ms" % limits.TIME_ANSWER_MS)
        self._demand(unix)
        recheck(leaf, unix, revoked)
        port.set_time(unix)
        self.floor = unix
        self.quality = PROVED
        self._nonce = None
        return unix

    def _demand(self, unix):
        if not self.floor <= unix <= self._ceiling:
            raise ClockRefused(
                "expected a time from %d to %d, got %d" % (self.floor, self._ceiling, unix)
            )


def read_answer(answer, nonce, device, keys):
    """COSE_Sign1 with payload [nonce, device id, unix time] (SPEC 8) -> unix time."""
    if nonce is None:
        raise ClockRefused("a time answer that nobody asked for")
    if len(answer) > limits.TIME_ANSWER:
        raise ClockRefused("expected at most %d bytes, got %d" % (limits.TIME_ANSWER, len(answer)))
    from uward.codec import cose  # imported when needed (S20)

    message = cose.parse(answer, cose.SIGN1)
    _verify(cose, message, keys)
    payload = cbor.decode(message.payload or b"")
    if not isinstance(payload, list) or len(payload) != 3 or type(payload[2]) is not int:
        raise ClockRefused("expected [nonce, device, time] in the answer")
    if payload[0] != nonce or payload[1] != device:
        raise ClockRefused("answer to another question")
    return payload[2]


def _verify(cose, message, keys):
    refusal = BadSignature("expected a signature by role time, got none")
    for key in keys:
        try:
            return cose.verify(message, message.blocks[0], key, _DOMAIN)
        except (BadSignature, KeyRefused) as e:
            refusal = e
    raise refusal


async def connect(attempt, clock):
    """Await attempt(); once more at a tentative time if the certificate only starts too late.

    attempt: coroutine function that opens one connection up to MQTT's CONNACK. -> its result.
    """
    try:
        return await attempt()
    except TlsRefused as e:
        if e.reason != NOT_YET_VALID:
            raise
        clock.tentative(e.not_before)
    connected = False
    try:
        result = await attempt()
        connected = True
        return result
    finally:
        if not connected:
            clock.restore()
