"""One connection after another: Wi-Fi, clock, TLS, MQTT, session (S10, S11, S12).

Until the time is proved a session is unsynchronised: hello goes up, and only time, trust and CRL
are taken. Whatever fails becomes an event and a wait; sensing does not notice.
"""

import asyncio
import gc

from uward import lazy, limits, port
from uward.boot import handover
from uward.compat import const
from uward.crypto import rng
from uward.crypto.hash import sha256
from uward.errors import LinkClosed, LinkTimeout, ProtocolError, TlsRefused, UwardError
from uward.link import clock, wifi
from uward.link.mqtt import Client
from uward.link.session import CONTEXT, Sealer, Session
from uward.link.station import Station
from uward.vault import packs

DOWN = const(0)  # not connected
REFUSED = const(1)  # the network is there, the broker takes no connection
OPEN = const(2)  # connected, the time not proved
ONLINE = const(3)  # synchronised

_BEFORE_TIME = ("time", "trust", "crl")


class Uplink:
    """The agent's way to the collector. state: DOWN .. ONLINE."""

    def __init__(self, agent):
        self._agent = agent
        self.state = DOWN
        self.station = None
        self.updater = None
        self._client = None
        self._stream = None
        self._leaf = None  # of the broker's certificate, once the time is proved
        self._joined = None
        self._epoch = None  # unix seconds at uptime 0
        self._mail = []  # messages that came: (purpose, payload)
        self._failure = None  # of the work on them: ends the session
        self._sayings = []  # messages without acknowledgement: (purpose, body)
        self._greet = False
        self._asked = self._waiting = self._renew = 0  # ms of uptime

    @property
    def online(self):
        """Synchronised: readings and updates flow."""
        return self.state == ONLINE

    @property
    def broker_down(self):
        """The last attempt found the network, and nobody who takes a connection."""
        return self.state == REFUSED

    async def run(self):
        """Connect, serve, wait; for ever."""
        agent = self._agent
        self._prepare()
        self._worker = asyncio.create_task(self._work())
        backoff = wifi.Backoff()
        while True:
            agent.beat("link", limits.LINK_BEAT_MS)
            try:
                await self._connection()
                backoff.reset()
            except UwardError as e:
                if self.online:
                    backoff.reset()
                agent.refused(e)
            except MemoryError as e:
                agent.event("heap.low", "link: %s, %d free" % (e, port.heap_free()))
            except OSError as e:
                agent.event("link.down", "%r" % e)
            self._close()
            wait = backoff.next()
            agent.beat("link", wait + limits.LINK_BEAT_MS)
            await port.sleep_ms(wait)

    def _prepare(self):
        self.station = Station(self._agent.info.get("built", 0))
        self._client = Client(self.station.device)
        self._client.set_callback(self._down)
        self._prefix = "uward/v1/%s/" % self.station.device
        self.session = Session(self._sealer(), self._agent.outbox, self._finish)
        handover.release()

    def _sealer(self):
        """With a fresh context: at boot, and when the last one saw too many collectors."""
        return Sealer(self.station.device, self.station.secret, rng.random(CONTEXT))

    def _finish(self, purpose, when, body):
        return packs.finish(purpose, when, body, self._epoch, self.station.clock.quality)

    # One connection

    async def _connection(self):
        self.state = DOWN
        await self._join()
        if self.session.worn:
            self.session.renew(self._sealer())
        gc.collect()
        present = await clock.connect(self._open, self.station.clock)
        await self._client.subscribe(self._prefix + "down/#", 1)
        if not present:
            self.session.restart()
        self._renew = self._agent.uptime() + limits.SESSION_MS
        await self.hello()
        await self._serve()

    async def _join(self):
        posture, bssid, _, twins = await wifi.join(*self.station.wifi)
        if posture is None:
            return  # joined before
        if twins:
            self._agent.event("wifi.posture", "%d weaker networks of this name" % twins)
        if self._joined not in (None, bssid):
            self._agent.event("wifi.posture", "now %s by %s" % (posture, bssid.hex()))
        self._joined = bssid

    async def _open(self):
        try:
            self._stream = await self.station.stream()
        except (LinkClosed, LinkTimeout):
            self.state = REFUSED
            raise
        # a task of its own: the handshake checks certificates with what is left of the C stack
        present = await asyncio.create_task(self._client.open(self._stream))
        self.state = OPEN
        return present

    def _close(self):
        self._client.close()
        self._stream = self._leaf = None
        self.station.spare()
        self.station.reserve()
        self.station.clock.restore()
        if self.state != REFUSED:
            self.state = DOWN
        self._sayings = [said for said in self._sayings if said[1][0] != "get"]
        self._mail.clear()
        self._failure = None
        if self.updater:
            self.updater.offline()

    async def hello(self):
        """Say who and what we are; the answers are time, trust, and a newer release."""
        agent, info = self._agent, self._agent.info
        self._asked = agent.uptime()
        body = {
            1: self.station.clock.ask(),
            2: info["version"],
            3: info["sequence"],
            4: info["security"],
            5: info["slot"],
            6: info["trial"],
            7: info["state"],
            8: self.station.trust,
            9: info["board"],
            10: info["manifest"],
            11: self.station.clock.quality,
            12: port.heap_free(),
            13: agent.lost,
            14: agent.outbox.oldest,
        }
        await self._say("att", body)

    async def _say(self, purpose, body):
        """QoS 0: a second delivery would look like a replay to the collector."""
        await self._client.publish(self._up(purpose), self.session.once(purpose, body), 0)

    def greet(self):
        """Say hello again at the next occasion: something in it has changed."""
        self._greet = True

    def tell(self, purpose, body):
        """Send one message that wants no acknowledgement, while this connection lasts."""
        if len(self._sayings) < limits.SAYINGS:
            self._sayings.append((purpose, body))

    def tell_state(self, payload, name, detail):
        """Say how an update stands (SPEC 8)."""
        self.tell("ota", ["state", payload, name, detail])

    def _up(self, purpose):
        return self._prefix + "up/" + purpose

    async def _serve(self):
        agent, client = self._agent, self._client
        while agent.uptime() < self._renew:
            agent.beat("link", limits.LINK_BEAT_MS)
            client.poll()
            if self._failure is not None:
                raise self._failure
            if self._worker.done():
                await self._worker  # its exception: it does not end otherwise
            if self._greet:
                self._greet = False
                await self.hello()
            if self.online:
                await self._send()
            elif agent.uptime() - self._asked > limits.TIME_ANSWER_MS:
                await self.hello()
            await port.sleep_ms(limits.MQTT_POLL_MS)
        client.disconnect()

    async def _send(self):
        while self._sayings:
            await self._say(*self._sayings.pop(0))
        while len(self._client.unacknowledged) < limits.MQTT_WINDOW:
            pack = self.session.next()
            if pack is None:
                break
            await self._client.publish(self._up(pack[0]), pack[1], 1)
            self._waiting = self._agent.uptime()
        outbox = self._agent.outbox
        overdue = self._agent.uptime() - self._waiting > limits.ACK_MS
        if overdue and outbox.sent > outbox.acknowledged:
            self.session.restart()

    # What comes down

    def _down(self, topic, payload):
        """One message, inside the client's poll: blocks are written, the rest waits its turn."""
        purpose = str(topic[len(self._prefix) + 5 :], "utf-8")
        if purpose == "blk":
            if self.updater and self.online:
                self._try(self.updater.block, payload)
        elif sum(len(mail[1]) for mail in self._mail) + len(payload) > limits.MAIL_BYTES:
            self._agent.event("net.flood", "%s: %d messages wait" % (purpose, len(self._mail)))
        else:
            self._mail.append((purpose, payload))

    async def _work(self):
        """Open the mail, bring updates forward. A task of its own: signatures need the C stack."""
        while True:
            while self._mail and self._failure is None:
                purpose, payload = self._mail.pop(0)
                if self.online or purpose in _BEFORE_TIME:
                    self._try(self._take, purpose, payload)
            if self.updater and self.online:
                await self.updater.step()
            await port.sleep_ms(limits.MQTT_POLL_MS)

    def _try(self, take, *arguments):
        """Whatever it refuses is an event; only a peer that is not believed ends the session."""
        try:
            take(*arguments)
        except TlsRefused as e:
            self._failure = e
        except UwardError as e:
            self._agent.refused(e)
        except MemoryError as e:
            self._agent.event("heap.low", "%s, %d free" % (e, port.heap_free()))
        except OSError as e:
            self._agent.event("flash.error", "%r" % e)

    def _take(self, purpose, payload):
        if purpose == "ack":
            if self.session.acknowledge(payload) is not None:
                self._waiting = self._agent.uptime()
        elif purpose == "time":
            self._synchronise(payload)
        elif purpose == "man":
            self._keep("/slot/man.suit", payload)
        elif purpose == "trust":
            self._keep("/trust/new", payload)
        else:
            self._adopt(purpose, payload)

    def _keep(self, path, payload):
        """A release or trust document: judged at the next boot, which has the heap for it (S20).

        Not on trial, and not what was judged at this boot already.
        """
        info = self._agent.info
        if info["trial"] or self._agent.resetting or sha256(payload) in info.get("seen", ()):
            return
        with open(path, "wb") as f:
            f.write(payload)
        self._agent.reset_soon()

    def begin_update(self):
        """Go on with the release that was judged at boot."""
        try:
            self.updater = lazy.use("update.updater").Updater(self._agent, self)
        except UwardError as e:
            self._agent.refused(e)

    def _adopt(self, purpose, payload):
        station = self.station
        inbox = lazy.use("link.inbox")
        if purpose == "crl":
            inbox.crl(station, payload, self._leaf or self._stream.verifier.leaf)
        elif purpose == "share":
            value = self.session.open("share", payload)
            if value is not None:
                inbox.share(value)
        else:
            raise ProtocolError("expected a purpose of SPEC 8, got %r" % purpose)
        station.spare()

    def _synchronise(self, answer):
        station, agent = self.station, self._agent
        leaf = self._leaf or self._stream.verifier.leaf
        keys = station.time_keys()
        station.clock.prove(answer, station.device, keys, leaf, station.revoked)
        keys = leaf = None
        if self._leaf is None:
            self._leaf = self._stream.settle()
        epoch = station.clock.floor - agent.uptime() // 1000
        if self._epoch is None or abs(epoch - self._epoch) > 1:  # else sample times would jump
            self._epoch = epoch
        station.keep_clock()
        station.spare()
        self._waiting = agent.uptime()
        self.state = ONLINE
