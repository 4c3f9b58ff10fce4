"""One release on its way in: fetched, checked, started. It was judged at boot (`offer`)."""

from uward import files, lazy, limits, port
from uward.boot import slots, store
from uward.codec import cbor
from uward.errors import UpdateRefused
from uward.update import install
from uward.update.download import Download
from uward.vault import keys, sealed

_ID = limits.PAYLOAD_ID


class _Judged:
    """What the slot writer reads of an Envelope or a Plan."""

    def __init__(self, release, digest):
        self.digest = release[digest]
        self.version = release["version"]
        self.size = release["size"]
        self.hashes = release["hashes"]
        self.encryption = release["encryption"]


class Updater:
    """`block` takes what comes down; `step` does the work in between."""

    def __init__(self, agent, uplink):
        self._agent = agent
        self._uplink = uplink
        self._told = 0
        self._download = self._open(agent.info)

    def _open(self, info):
        """-> Download that goes on where flash ends. UpdateRefused when it is too late for it."""
        release = info["release"]
        if port.now() > release["expires"]:
            raise UpdateRefused("upd.expired", "release: expected time <= %d" % release["expires"])
        root = keys.root()
        if "interpreter" in release:
            return Download(self._interpreter(release, root), release["manifest"][:_ID])
        key = keys.record_key(root)
        judged = _Judged(release, "manifest"), _Judged(release, "digest")
        data = files.read(install.DOWNLOAD, limits.ENVELOPE_BYTES)
        keks = cbor.decode(sealed.read(root, "/id/net")).get(6)
        running = slots.NAMES.index(info["slot"])
        writer = install.SlotWriter(data, judged, store.load(key), key, running, keks)
        if release.get("delta") and writer.next < writer.blocks:
            writer = self._patched(writer, release["delta"], info["slot"], keks)
        return Download(writer, release["manifest"][:_ID])

    def _interpreter(self, release, root):
        """-> the writer that MicroPython itself goes through, where there is room for two."""
        release.update(release["interpreter"])
        keks = cbor.decode(sealed.read(root, "/id/net")).get(6)
        return lazy.use(port.INTERPRETER).Writer(release, keks, root)

    def _patched(self, writer, delta, running, keks):
        """-> the writer that a patch of the running image goes through."""
        from uward.update import delta as deltas

        return deltas.Writer(writer, delta, "/slot/%s.img" % running, keks)

    def block(self, data):
        """`down/blk`."""
        if self._download is None:
            return
        try:
            self._download.feed(data, self._agent.uptime())
        except UpdateRefused as e:
            self._give_up(e)

    def _give_up(self, error):
        """Of a patch: take the whole image instead. Else the download is over."""
        writer = self._download.writer
        if not writer.first:
            writer.cancel()
            self._failed(error)
            return
        writer.empty()
        self._agent.event("upd.delta", str(error))
        self._agent.info["release"]["delta"] = None
        self._told = 0
        try:
            self._download = self._open(self._agent.info)
        except UpdateRefused as e:
            self._failed(e)

    def withdraw(self, payload):
        """The collector took the release back: give its download up, and its blocks in flash."""
        download = self._download
        if download is not None and payload == download.payload:
            download.writer.cancel()
            self._download = None
            self._agent.event("upd.withdrawn", download.writer.version)
            self._uplink.tell_state(payload, "withdrawn", "")

    @property
    def active(self):
        """Blocks are on their way: the link looks at its socket more often."""
        return self._download is not None and not self._download.window.done

    def offline(self):
        """The connection is gone: what was asked for will not come."""
        if self._download:
            self._download.window.again()

    async def step(self):
        """Ask for what is missing, finish what is whole."""
        if self._download is not None:
            await self._fetch()

    async def _fetch(self):
        download = self._download
        window = download.window
        writer = download.writer
        if writer.busy:
            try:
                writer.work()
            except UpdateRefused as e:
                self._give_up(e)
            return
        if window.done:
            await self._finish()
            return
        body = download.request(self._agent.uptime())
        if body is not None:
            self._uplink.tell("ota", body)
        taken, blocks = window.next - writer.first, window.blocks - writer.first
        quarters = taken * 4 // blocks
        if quarters > self._told:
            self._told = quarters
            detail = "%d of %d" % (taken, blocks)
            self._uplink.tell_state(download.payload, "progress", detail)

    async def _finish(self):
        writer = self._download.writer
        try:
            for _ in writer.finish_steps():
                await port.sleep_ms(0)
        except UpdateRefused as e:
            self._give_up(e)
            return
        self._agent.event("upd.installed", writer.version)
        self._uplink.tell_state(self._download.payload, "installed", writer.version)
        self._download = None
        self._agent.reset_soon()

    def _failed(self, error):
        """Given up: the collector hears why by the event, and may offer it again."""
        self._download = None
        self._agent.refused(error)
