"""Who this device is: its sealed files, and what the trust document in force says (SPEC 3, 6)."""

from uward import lazy, limits, port
from uward.codec import cbor
from uward.crypto import rng
from uward.errors import TrustError
from uward.link.clock import Clock
from uward.link.tls import Credentials
from uward.vault import keys, sealed

_SIGNATURES = ("crypto.p256", "crypto._p256_native", "crypto._p256_plain", "crypto._p256_table")
_SIGNATURES += ("crypto.lms", "crypto._lms_native", "crypto._lms_plain", "crypto._inverse")
_SIGNATURES += ("crypto._inverse_native",)
_SIGNATURES += ("codec.cose", "codec.cosekey", "trust.anchors", "trust.suit", "trust.decide")
_RECORD = ("boot.store", "boot.record", "boot.slots")
_ENOENT = 2


class Station:
    """device (id), broker (host, port), wifi (ssid, psk), credentials, clock; of the trust
    document: trust (version), anchors; secret: the pair secret; revoked: serials;
    crl: when the revocation list was made.

    built: unix seconds of the image's build. Raises BootRefused, BadMac, TrustError, OSError.
    """

    def __init__(self, built=0):
        root = keys.root()
        self._stir(root)
        self._own = cbor.decode(sealed.read(root, "/id/dev"))
        net = cbor.decode(sealed.read(root, "/id/net"))
        self._floor = max(built, cbor.decode(sealed.read(root, "/id/clock"))[1])
        self._name = net[5]
        self.device = self._own[1]
        self.wifi = net[1], net[2]
        self.broker = net[3], net[4]
        self.clock = None
        self.revoked = set()
        self.crl = 0
        self._load_revoked(root)
        self.adopt(self._document(root))
        self.spare()

    def _stir(self, root):
        """The seed in flash is rewritten before it is used (S13)."""
        rng.add_entropy(sealed.read(root, "/id/seed"))
        rng.add_entropy(port.entropy(32))
        sealed.write(root, "/id/seed", rng.random(32))
        rng.health_check()

    def _load_revoked(self, root):
        try:
            made, serials = cbor.decode(sealed.read(root, "/id/crl"))
        except OSError as e:
            if e.args[0] != _ENOENT:
                raise
        else:
            self.revoke(made, serials)

    def revoke(self, made, serials):
        """Take over a revocation list: unix seconds, serial numbers."""
        self.crl = made
        self.revoked.clear()
        self.revoked.update(serials)

    def _document(self, root):
        record = lazy.use("boot.store").load(keys.record_key(root))
        with open("/trust/%d" % record.trust_version, "rb") as f:
            document = lazy.use("trust.anchors").parse(f.read(limits.CBOR_BYTES + 1))
        if document.digest != record.trust_digest:
            raise TrustError("trust: expected the document in the boot record, got another")
        return document

    def adopt(self, document):
        """Take what the trust document in force says; from the next connection on."""
        anchors = lazy.use("trust.anchors")
        collectors = document.keys(anchors.COLLECTOR)[1]
        if not collectors:
            raise TrustError("trust: expected a key of role collector, got none")
        own = self._own
        self.trust = document.version
        self.anchors = document.anchors
        self._time_keys = [key.to_map() for key in document.keys(anchors.TIME)[1]]
        self.secret = lazy.use("crypto.p256").ecdh(own[3], collectors[0].public)
        if self.clock is None:
            self.clock = Clock(max(self._floor, document.issued), document.expires)
        self.credentials = Credentials(self._name, self.anchors, own[4], own[2], self.revoked)

    def time_keys(self):
        """-> [Key] of role `time`; kept as maps, so that no class of theirs stays loaded (S20)."""
        parse = lazy.use("codec.cosekey").parse
        return [parse(members) for members in self._time_keys]

    def spare(self):
        """Drop what is needed only now and then: signatures, trust documents (S20)."""
        lazy.drop("link.inbox", *_SIGNATURES + _RECORD)

    def keep_clock(self):
        """Write the clock's floor down: the next boot starts from it (S10)."""
        value = cbor.encode({1: self.clock.floor, 2: self.clock.floor})
        sealed.write(keys.root(), "/id/clock", value)
