"""What comes down (SPEC 8): taken from the client's poll, opened in a task of its own.

Whatever is refused becomes an event; only a peer that is not believed ends the session.
"""

from uward import lazy, limits, port
from uward.codec import cbor
from uward.crypto.hash import sha256
from uward.errors import ProtocolError, TlsRefused, TrustError, UwardError

_ANNOUNCED = ([bytes, bytes], [bytes, bytes, bytes])  # the collector's word, envelope, log proof
_BEFORE_TIME = ("time", "trust", "crl")  # all that an unsynchronised session takes (S10)
# Who takes what else comes, by `take(agent, uplink, purpose, payload)`; loaded for it, dropped
# afterwards (S20)
_TAKERS = {"trust": "link.inbox", "crl": "link.inbox", "share": "link.inbox"}
_TAKERS["est"] = "link.renewal"
_TAKERS["cmd"] = _TAKERS["policy"] = "guard.take"
_TAKERS["att"] = "guard.attest"
_TAKERS["key"] = "vault.data"

# Where signatures are checked or made: their curve is loaded from here, not from deep down, where
# each import takes an eighth of a C stack that a sensor's interrupt needs as well (S18, ADR 0043)
_SIGNED = ("time", "trust", "crl", "att", "cmd", "policy")
_CLOSED = ("cmd",)  # what nobody may say while revocations are not known (T02)


class Mail:
    """The messages that wait. `failure`: what ends the session, or None."""

    def __init__(self, agent, uplink):
        self._agent = agent
        self._uplink = uplink
        self._waiting = []  # (purpose, payload)
        self.updater = None
        self.failure = None
        self._unchained = False  # the log of this boot's events is to begin

    def clear(self):
        """The connection is gone, and with it what it brought."""
        self._waiting.clear()
        self.failure = None
        self._unchained = False
        if self.updater:
            self.updater.offline()

    def settled(self):
        """The session has gone on for a while: there is time for what comes once a boot."""
        agent = self._agent
        self._unchained = agent.info["slot"] != "r" and not agent.chain.count

    @property
    def pause(self):
        """ms until the link looks at its socket again: less while blocks come."""
        if self.updater and self.updater.active:
            return limits.MQTT_FAST_MS
        return limits.MQTT_POLL_MS

    @property
    def _rest(self):
        """ms until `work` looks again: between two attempts to connect nothing comes."""
        return limits.SUPERVISE_MS if self._uplink.resting else limits.MQTT_POLL_MS

    def put(self, purpose, payload):
        """One message, inside the client's poll: blocks are written, the rest waits its turn.

        payload: a view that is overwritten afterwards.
        """
        if purpose == "blk":
            if self.updater and self._uplink.online:
                self._try(self.updater.block, payload)
        elif sum(len(item[1]) for item in self._waiting) + len(payload) > limits.MAIL_BYTES:
            reason = "%s: %d messages wait" % (purpose, len(self._waiting))
            self._agent.event("net.flood", reason)
        else:
            self._waiting.append((purpose, bytes(payload)))

    async def work(self):
        """Open what waits, bring an update forward; for ever. Signatures need the C stack that
        a task of its own has."""
        while True:
            while self._waiting and self.failure is None:
                self._take(*self._waiting.pop(0))
            if self.updater and self._uplink.online:
                await self.updater.step()
            elif self._unchained and not self._agent.away:
                await self._begin_chain()
            await port.sleep_ms(self._rest)

    async def _begin_chain(self):
        """From here on a later break forges no event (S14)."""
        self._unchained = False
        try:
            lazy.use("crypto.p256")
            await lazy.use("link.audit").begin(self._agent)
        except (UwardError, MemoryError, OSError) as e:
            self._agent.event("log.unbegun", "%r" % e)
        self._uplink.spare()

    def _take(self, purpose, payload):
        """Apart from `work`, which would hold the payload while it sleeps (S20)."""
        if self._uplink.online or purpose in _BEFORE_TIME:
            self._try(self._open, purpose, payload)

    def _try(self, take, *arguments):
        try:
            take(*arguments)
        except TlsRefused as e:
            self.failure = e
        except UwardError as e:
            self._agent.refused(e)
        except MemoryError as e:
            self._agent.starved(e)
        except OSError as e:
            self._agent.event("flash.error", "%r" % e)

    def _open(self, purpose, payload):
        if purpose in _SIGNED:
            lazy.use("crypto.p256")
        if purpose == "ack":
            self._uplink.acknowledge(payload)
        elif purpose == "time":
            self._uplink.synchronise(payload)
        elif purpose == "man":
            self._announced(payload)
        else:
            self._hand_on(purpose, payload)

    def _announced(self, payload):
        """A release with the collector's sealed word for it: no broker alone makes us reset."""
        value = cbor.decode(payload)
        if not isinstance(value, list) or [type(part) for part in value] not in _ANNOUNCED:
            raise ProtocolError("man: expected [announcement, envelope, proof], got another")
        digest = self._uplink.session.open("man", value[0])
        if digest is None:
            return  # heard before
        if not value[1]:
            if digest in self._agent.info.get("kept", ()):
                self._agent.reset_soon()  # the last of some trust documents: to be judged now
            else:
                self._withdrawn(digest)
            return
        known = [sha256(part) for part in value[1:]]
        if digest != (sha256(known[0] + known[1]) if known[1:] else known[0]):
            raise ProtocolError("man: expected the envelope that was announced, got another")
        self._keep(value[1], value[2:])

    def _withdrawn(self, payload):
        """The collector took a release back: its payload id in place of an envelope's digest."""
        if self.updater:
            self.updater.withdraw(payload)

    def _keep(self, envelope, proof):
        """A release: judged at the next boot, which has the heap for it (S20).

        Not on trial, and not what was judged at this boot already. proof: of the log, or nothing.
        """
        agent = self._agent
        seen = agent.info.get("seen", ())
        if agent.info["trial"] or agent.reset_within(limits.OFFER_MS) or sha256(envelope) in seen:
            return
        for part in proof:
            with open("/slot/man.log", "wb") as f:
                f.write(part)
        with open("/slot/man.suit", "wb") as f:
            f.write(envelope)
        agent.reset_soon()

    def begin_update(self):
        """Go on with the release that was judged at boot."""
        try:
            self.updater = lazy.use("update.updater").Updater(self._agent, self._uplink)
        except UwardError as e:
            self._agent.refused(e)

    def _hand_on(self, purpose, payload):
        if purpose not in _TAKERS:
            raise ProtocolError("expected a purpose of SPEC 8, got %r" % purpose)
        if purpose in _CLOSED and self._uplink.station.stale():
            error = TrustError("%s: closed until a fresh revocation list comes" % purpose)
            error.event = "crl.stale"
            raise error
        taker = lazy.use(_TAKERS[purpose])
        try:
            taker.take(self._agent, self._uplink, purpose, payload)
        finally:
            self._uplink.spare()
