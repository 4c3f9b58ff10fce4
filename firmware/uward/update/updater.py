"""One release on its way in: offered, judged, fetched, checked, started (S1, S2).

Runs inside the uplink's loop; a reset at any moment resumes from `/slot/dl.suit`.
"""

from uward import limits, port
from uward.boot import slots, store
from uward.codec import cbor
from uward.errors import UpdateRefused, UwardError
from uward.trust import anchors, decide, suit
from uward.update import install
from uward.update.download import Download
from uward.vault import keys, sealed

_ID = 8  # bytes of the manifest digest that name a payload (SPEC 8)


class Updater:
    """`offer` and `block` take what came down; `step` does the work in between."""

    def __init__(self, agent, uplink):
        self._agent = agent
        self._uplink = uplink
        self._offered = None
        self._download = None
        self._told = 0
        self._reset_at = None

    def offer(self, data):
        """`down/man`: keep the newest until the next step. On trial nothing is installed."""
        if not self._agent.info["trial"] and self._reset_at is None:
            self._offered = data

    def block(self, data):
        """`down/blk`."""
        if self._download is None:
            return
        try:
            self._download.feed(data, self._agent.uptime())
        except UpdateRefused as e:
            self._download.writer.cancel()
            self._failed(e)

    def offline(self):
        """The connection is gone: what was asked for will not come."""
        if self._download:
            self._download.window.again()

    async def step(self):
        """Judge what was offered, ask for what is missing, finish what is whole."""
        if self._reset_at is not None:
            self._reset_when_told()
        elif self._offered is not None:
            data, self._offered = self._offered, None
            self._consider(data)
        elif self._download is not None:
            await self._fetch()

    def _consider(self, data):
        tell = self._uplink.tell_state
        try:
            if self._begin(data):
                tell(self._download.payload, "accepted", self._download.writer.plan.version)
        except UwardError as e:
            self._agent.refused(e)
            payload = _payload(data)
            if payload and isinstance(e, UpdateRefused):
                tell(payload, "refused", "%s: %s" % (e.event, e))
        finally:
            self._uplink.station.spare()

    def _begin(self, data):
        """-> False when that release is on its way already. UwardError when it is refused."""
        info, station = self._agent.info, self._uplink.station
        running = slots.NAMES.index(info["slot"])
        root = keys.root()
        key = keys.record_key(root)
        record = store.load(key)
        with open("/trust/%d" % record.trust_version, "rb") as f:
            document = anchors.parse(f.read(limits.CBOR_BYTES + 1))
        device = install.device_identifier(info["class"], station.device)
        identity = decide.Identity(info["vendor"], info["class"], device, port.now())
        judged = install.judge(data, document, identity, record, running)
        payload = judged[0].digest[:_ID]
        if self._download is not None:
            if self._download.payload == payload:
                return False
            self._download.writer.close()
        keks = cbor.decode(sealed.read(root, "/id/net")).get(6)
        writer = install.SlotWriter(data, judged, record, key, running, keks)
        self._download = Download(writer, payload)
        self._told = 0
        return True

    async def _fetch(self):
        download = self._download
        window = download.window
        if window.done:
            await self._finish()
            return
        body = download.request(self._agent.uptime())
        if body is not None:
            self._uplink.tell("ota", body)
        quarters = window.next * 4 // window.blocks
        if quarters > self._told:
            self._told = quarters
            detail = "%d of %d" % (window.next, window.blocks)
            self._uplink.tell_state(download.payload, "progress", detail)

    async def _finish(self):
        writer = self._download.writer
        try:
            for _ in writer.finish_steps():
                await port.sleep_ms(0)
        except UpdateRefused as e:
            self._failed(e)
            return
        self._agent.event("upd.installed", writer.plan.version)
        self._uplink.tell_state(self._download.payload, "installed", writer.plan.version)
        self._download = None
        self._reset_at = self._agent.uptime() + limits.RESET_MS

    def _failed(self, error):
        """Given up: the collector hears why by the event, and may offer it again."""
        self._download = None
        self._agent.refused(error)

    def _reset_when_told(self):
        """Into the trial boot, once the collector knows, or cannot be told."""
        if not self._agent.outbox.pending() or self._agent.uptime() >= self._reset_at:
            port.reset()


def _payload(data):
    """The payload's id, or None when the envelope does not even parse."""
    try:
        return suit.parse(data).digest[:_ID]
    except UwardError:
        return None
