"""Who this device is: its sealed files, and what the trust document in force says (SPEC 3, 6)."""

from uward import files, lazy, limits, port
from uward.codec import cbor
from uward.crypto import rng
from uward.crypto.hash import sha256
from uward.errors import TlsRefused
from uward.link.clock import Clock
from uward.vault import keys, sealed

_ENOENT = 2
_SEED = 32  # bytes of /id/seed; then u32 starts


class Station:
    """device (id), broker (host, port), wifi (ssid, psk), clock; of the trust document: trust
    (its version), anchors (DER), expires (unix seconds); secret: the pair secret; revoked:
    serials; crl: of each revocation list [CA, number, until, SHA-256], as /id/crl without the
    serials; log: size of the release log when it was last seen; starts: how often contexts began.

    built: unix seconds of the image's build. Raises BootRefused, BadMac, TrustError, OSError.
    """

    def __init__(self, built=0):
        root = keys.root()
        self._stir(root)
        own = cbor.decode(sealed.read(root, "/id/dev"))
        net = cbor.decode(sealed.read(root, "/id/net"))
        self.device = own[1]
        self.wifi = net[1], net[2]
        self.broker = net[3], net[4]
        self._name = net[5]
        self._built = max(built, cbor.decode(sealed.read(root, "/id/clock"))[1])
        logged = _read(root, "/id/log")
        self.log = cbor.decode(logged)[0] if logged else 0
        self._reserved = None
        self._due = 0  # unix seconds at which two thirds of our certificate's life are over
        self.lapsed = False  # our certificate holds no more: enrol again (S10)
        self.trial = None  # True: the new key pair is being shown; False: it was, in vain
        self.clock = None
        self.revoked = set()
        self.revoke(self.lists(root))
        self.adopt(self._peer(root, own))
        self.spare()

    def _stir(self, root):
        """The seed in flash is rewritten before it is used (S13), and the start counted: whoever
        puts an older flash back shows the collector a number that it knows (T17)."""
        seed = sealed.read(root, "/id/seed")
        rng.add_entropy(seed)
        rng.add_entropy(port.entropy(32))
        self.starts = int.from_bytes(seed[_SEED:], "big") + 1
        sealed.write(root, "/id/seed", rng.random(_SEED) + self.starts.to_bytes(4, "big"))
        rng.health_check()

    def lists(self, root):
        """-> the revocation lists in flash (SPEC 6)."""
        stored = _read(root, "/id/crl")
        return cbor.decode(stored) if stored else []

    def revoke(self, lists):
        """Take over the revocation lists of the pinned CAs."""
        self.crl = [entry[:4] for entry in lists]
        self.revoked.clear()
        for entry in lists:
            self.revoked.update(entry[4])

    def stale(self):
        """Whether the revocation list of a pinned CA is missing or past its time: then commands
        are closed and sensing goes on (T02)."""
        now = port.now()
        good = [entry[0] for entry in self.crl if now <= entry[2]]
        return any(sha256(anchor)[:8] not in good for anchor in self.anchors)

    def _peer(self, root, own):
        """/id/peer, if it is of the document that the boot record names; else made anew."""
        record = lazy.use("boot.store").load(keys.record_key(root))
        stored = _read(root, "/id/peer")
        if stored:
            value = cbor.decode(stored)
            if value[1] == record.trust_digest and 8 in value and files.exists("/id/roles"):
                return value
        return lazy.use("link.derive").write(root, own)

    def adopt(self, peer):
        """Take what `derive` made of the document in force; from the next connection on."""
        self.trust = peer[2]
        self.anchors = peer[5]
        self._time_keys = peer[6]
        self.secret = peer[7]
        self.expires = peer[4]
        if self.clock is None:
            self.clock = Clock(max(self._built, peer[3]), peer[4])

    async def stream(self):
        """-> Stream to the broker, at the start of its handshake."""
        self.reserve()
        own, new = self._pair()
        tls = lazy.use("link.tls")
        self.release()
        made = tls.Credentials(self._name, self.anchors, own[4], own[2], self.revoked)
        self._due = made.end - (made.end - made.start) // 3
        if port.now() > made.end:
            self.lapsed, self.trial = not new, new or None
            raise TlsRefused("ended", "our certificate ended at %d" % made.end)
        stream = await made.stream(*self.broker)
        if new:
            self.trial = True
        return stream

    def _pair(self):
        """-> (what holds key and certificate, whether they are the new ones of /id/renew)."""
        stored = None if self.trial is False else _read(keys.root(), "/id/renew")
        value = cbor.decode(stored) if stored else ()
        if 4 in value:
            return value, True
        return cbor.decode(sealed.read(keys.root(), "/id/dev")), False

    def begin_context(self):
        """Another context within this boot is another start."""
        self._stir(keys.root())

    def restore(self):
        """A connection has ended: a time that it did not prove is taken back, and where it did not
        prove a new key pair the next one shows the old, and then the new again."""
        self.clock.restore()
        self.trial = False if self.trial else None

    def renewal_due(self):
        """Whether it is time to ask for a new certificate, by a time that is proved."""
        return port.now() > self._due

    def reserve(self):
        """Keep room for the next TLS session, below the code that its handshake needs: that goes
        afterwards, and leaves one large block (S20)."""
        for size in (limits.TLS_SESSION, limits.TLS_HEAP_BLOCK):
            if self._reserved is None and port.block_ok(size):
                self._reserved = bytearray(size)

    def release(self):
        """Give that room to a session now."""
        self._reserved = None

    def time_keys(self):
        """-> [Key] of role `time`; kept as maps, so that no class of theirs stays loaded (S20)."""
        parse = lazy.use("codec.cosekey").parse
        return [parse(members) for members in self._time_keys]

    def spare(self):
        """Drop the code that is needed only now and then, and put together what stays (S20)."""
        lazy.spare()
        self.crl = lazy.again(self.crl)
        serials = lazy.again(list(self.revoked))
        self.revoked.clear()
        self.revoked.update(serials)
        self.clock.floor = lazy.again(self.clock.floor)

    def keep_clock(self):
        """Write the clock's floor down: the next boot starts from it (S10)."""
        value = cbor.encode({1: self.clock.floor, 2: self.clock.floor})
        sealed.write(keys.root(), "/id/clock", value)


def _read(root, path):
    """-> content of a sealed file, None when there is none."""
    try:
        return sealed.read(root, path)
    except OSError as e:
        if e.args[0] != _ENOENT:
            raise
        return None
