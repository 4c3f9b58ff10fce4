"""One connection after another: Wi-Fi, clock, TLS, MQTT, session (S10, S11, S12).

Until the time is proved a session is unsynchronised: hello goes up, and only time, trust and CRL
are taken. Whatever fails becomes an event and a wait; sensing does not notice.
"""

import asyncio
import gc

from uward import lazy, limits, port
from uward.compat import const
from uward.crypto import rng
from uward.errors import LinkClosed, LinkTimeout, LowHeap, UwardError, VaultRestored
from uward.link import clock, hello, wifi
from uward.link.mail import Mail
from uward.link.mqtt import Client
from uward.link.session import CONTEXT, Sealer, Session
from uward.link.station import Station
from uward.link.stream import Leaf
from uward.vault import packs

DOWN = const(0)  # not connected
REFUSED = const(1)  # the network is there, the broker takes no connection
OPEN = const(2)  # connected, the time not proved
ONLINE = const(3)  # synchronised


class Uplink:
    """The agent's way to the collector. state: DOWN .. ONLINE; leaf: the live broker's `Leaf`."""

    def __init__(self, agent):
        self._agent = agent
        self.state = DOWN
        self.resting = False  # between two attempts to connect
        self.station = None
        self.mail = Mail(agent, self)
        self.session = None
        self._client = None
        self._stream = self.leaf = None
        self._joined = None
        self._epoch = None  # unix seconds at uptime 0
        self._sayings = []  # messages without acknowledgement: (purpose, body)
        self._greet = False
        self._asked = self._waiting = self._renew = 0  # ms of uptime
        self._judge = None  # ms of uptime at which revocation lists must have come

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
        self._worker = asyncio.create_task(self.mail.work())
        backoff = wifi.Backoff()
        while True:
            agent.beat("link", limits.LINK_BEAT_MS)
            try:
                await self._connection()
                backoff.reset()
            except (LowHeap, MemoryError) as e:
                agent.starved(e)
            except UwardError as e:
                if self.online:
                    backoff.reset()
                if getattr(e, "reason", None) == "refused-us":
                    self.station.lapsed = True  # it may have ended without our knowing (S10)
                agent.refused(e)
            except OSError as e:
                agent.event("link.down", "%r" % e)
            self._close()
            wait = backoff.next()
            agent.beat("link", wait + limits.LINK_BEAT_MS)
            self.resting = True
            await port.sleep_ms(wait)
            self.resting = False

    def _prepare(self):
        self.station = Station(self._agent.info.get("built", 0))
        self._client = Client(self.station.device)
        self._client.set_callback(self._down)
        self._client.views = True
        self._prefix = "uward/v1/%s/" % self.station.device
        self.session = Session(self._sealer(), self._agent.outbox, self._finish)
        if port.INTERPRETER:
            lazy.use(port.INTERPRETER).begin(self._agent, self)

    def _sealer(self):
        """With a fresh context: at boot, and when the last one saw too many collectors."""
        return Sealer(self.station.device, self.station.secret, rng.random(CONTEXT))

    def _finish(self, entry):
        epoch, quality = entry.epoch, entry.quality
        if epoch is None:  # of this boot
            epoch, quality = self._epoch, self.station.clock.quality
        return packs.finish(entry.purpose, entry.when, entry.body, epoch, quality)

    def dated(self):
        """-> (unix seconds at uptime 0, quality); None before a time was proved."""
        return None if self._epoch is None else (self._epoch, clock.PROVED)

    def attend(self, outbox):
        """Send from another outbox, which goes on with the numbers of the one before."""
        if self.session:
            self.session.outbox = outbox
            self.session.restart()

    def spare(self):
        """Drop what was loaded for one message, and put together what stays of it (S20)."""
        self.station.spare()
        self.session.gather()

    def refresh(self):
        """Code stood beside this session, and has left its heap in pieces: begin another (S20)."""
        if not port.block_ok(limits.HEAP_BLOCK):
            self._renew = 0

    # One connection

    async def _connection(self):
        self.state = DOWN
        await self._join()
        if self.session.worn:
            self.station.begin_context()
            self.session.renew(self._sealer())
        gc.collect()
        if self.station.lapsed:
            self.station.lapsed = False
            await self._enrol()
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

    async def _enrol(self):
        """Get a certificate that holds, by that of our birth; where nobody gives one, go on."""
        est = lazy.use("link.est")
        try:
            await asyncio.create_task(est.enrol(self._agent, self))
        finally:
            del est
            self.station.clock.restore()
            self.station.spare()
            self.station.reserve()

    async def _open(self):
        try:
            self._stream = await self.station.stream()
        except (LinkClosed, LinkTimeout):
            self.state = REFUSED
            raise
        port.collect_each(limits.GARBAGE_BULK)  # an eighth of a boot's time, else
        try:
            # a task of its own: the handshake checks certificates with what is left of the C stack
            present = await asyncio.create_task(self._client.open(self._stream))
        finally:
            port.collect_each(limits.GARBAGE)
        self.state = OPEN
        self.leaf = self._stream.settle()  # before the time is judged, which needs the heap
        self.station.spare()
        self.leaf = Leaf(self.leaf)
        return present

    def _close(self):
        self._client.close()
        self._stream = self.leaf = None
        self.spare()
        for part in (self._agent, self._client):
            part.gather()
        self._epoch = lazy.again(self._epoch)
        self.station.reserve()
        self.station.restore()
        if self.state != REFUSED:
            self.state = DOWN
        self._sayings = [said for said in self._sayings if said[1][0] != "get"]
        self.mail.clear()

    async def hello(self):
        """Say who and what we are; the answers are time, trust, and a newer release."""
        self._asked = self._agent.uptime()
        await self._say("att", hello.body(self._agent, self.station))

    async def _say(self, purpose, body):
        """QoS 0: a second delivery would look like a replay to the collector."""
        await self._client.publish(
            self._prefix + "up/" + purpose, self.session.once(purpose, body), 0
        )

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

    async def _serve(self):
        agent, client = self._agent, self._client
        while agent.uptime() < self._renew:
            agent.beat("link", limits.LINK_BEAT_MS)
            client.poll()
            if self.mail.failure is not None:
                raise self.mail.failure
            if self._worker.done():
                await self._worker  # its exception: it does not end otherwise
            if self._greet:
                self._greet = False
                await self.hello()
            if self.online:
                self._judge_lists()
                await self._send()
            elif agent.uptime() - self._asked > limits.TIME_ANSWER_MS:
                await self.hello()
            await port.sleep_ms(self.mail.pause)
        client.disconnect()

    def _judge_lists(self):
        """Once a session, when the collector had time to hand them down (T02)."""
        if self._judge is not None and self._agent.uptime() > self._judge:
            self._judge = None
            self.mail.settled()
            if self.station.stale():
                self._agent.event("crl.stale", "commands are closed until a fresh list comes")

    async def _send(self):
        while self._sayings:
            await self._say(*self._sayings.pop(0))
        while len(self._client.unacknowledged) < limits.MQTT_WINDOW:
            pack = self.session.next()
            if pack is None:
                break
            await self._client.publish(self._prefix + "up/" + pack[0], pack[1], 1)
            self._waiting = self._agent.uptime()
        outbox = self._agent.outbox
        overdue = self._agent.uptime() - self._waiting > limits.ACK_MS
        if overdue and outbox.sent > outbox.acknowledged:
            self.session.restart()

    # What comes down

    def _down(self, topic, payload):
        self.mail.put(str(topic[len(self._prefix) + 5 :], "utf-8"), payload)

    def acknowledge(self, payload):
        """`down/ack`."""
        try:
            sequence = self.session.acknowledge(payload)
        except VaultRestored:
            self._agent.outbox.restart()
            self._agent.chain.end()
            self.session.restart()
            raise
        if sequence is not None:
            self._waiting = self._agent.uptime()
            self._agent.credit()

    def synchronise(self, answer):
        """`down/time`: from here on everything flows (S10)."""
        station, agent = self.station, self._agent
        keys = station.time_keys()
        station.clock.prove(answer, station.device, keys, self.leaf, station.revoked)
        del keys
        epoch = station.clock.floor - agent.uptime() // 1000
        if self._epoch is None or abs(epoch - self._epoch) > 1:  # else sample times would jump
            self._epoch = epoch
        agent.dated(self._epoch, clock.PROVED)
        station.keep_clock()
        if station.clock.floor > station.expires:  # somebody keeps the newer one back (T13)
            agent.event("upd.frozen", "trust document %d has expired" % station.trust)
        if station.renewal_due() or station.trial is not None:
            lazy.use("link.renewal").proved(agent, self)
        self.spare()
        self._waiting = agent.uptime()
        self._judge = self._waiting + limits.CRL_WAIT_MS
        self.state = ONLINE
