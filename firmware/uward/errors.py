"""Every refusal that uWard can raise: one small tree.

A refusal says what was expected and what came. `event` is the dotted name under which the device
reports it; a class without one is reported by whoever catches it.
"""


class UwardError(Exception):
    event = None


class CodecError(UwardError):
    """Bytes that are not what their format demands (CBOR, COSE, SenML, DER, SUIT, MQTT)."""

    event = "proto.malformed"


class LimitError(CodecError):
    """A length, depth or count beyond its maximum in `limits.py`."""


class CryptoError(UwardError):
    """A primitive refused: see the subclasses."""


class KeyRefused(CryptoError):
    """A key, nonce or parameter of the wrong kind, length or range."""


class KeyLocked(KeyRefused):
    """The data tier waits for its PIN or the collector's share (S9)."""

    event = "data.locked"


class BadSignature(CryptoError):
    """A signature that does not verify."""


class BadMac(CryptoError):
    """A MAC, AEAD tag or key-wrap check value that does not verify."""


class BadDigest(CryptoError):
    """Content that does not match the digest that was signed for it."""


class RngError(CryptoError):
    """The random source failed its health check: nothing may be sealed, no session opened."""

    event = "rng.failed"


class TrustError(UwardError):
    """A trust document, role or certificate that is not believed."""

    event = "trust.refused"


class ClockRefused(TrustError):
    """A time that is not believed (S10)."""

    event = "time.suspect"


class UpdateRefused(UwardError):
    """A manifest or payload that is not installed; `event` says why (data of `attacks`)."""

    event = "upd.refused"

    def __init__(self, event, message):
        super().__init__(message)
        self.event = event


class CommandRefused(UwardError):
    """A command or policy that is not obeyed; `event` says why (data of `attacks`)."""

    event = "cmd.denied"

    def __init__(self, event, message):
        super().__init__(message)
        self.event = event


class BootRefused(UwardError):
    """A slot, image or boot record that is not run."""

    event = "boot.refused"


class LinkError(UwardError):
    """The connection cannot be made or kept."""

    event = "link.down"


class LinkTimeout(LinkError):
    """The peer did not answer within its deadline."""


class LinkClosed(LinkError):
    """The peer closed the connection."""


class ProtocolError(LinkError):
    """The peer broke MQTT."""

    event = "proto.malformed"


class TlsRefused(LinkError):
    """The peer was not believed, or did not believe us; no application byte was sent to it.

    `reason` is one short word of `link/peer.py`, for the event.
    """

    event = "tls.reject"

    def __init__(self, reason, message):
        super().__init__(message)
        self.reason = reason
        if reason == "revoked":
            self.event = "tls.revoked"
        elif reason == "ended":
            self.event = "id.expired"


class LowHeap(UwardError):
    """Less free heap than the step needs; retry after memory was freed."""

    event = "heap.low"


class VaultTampered(UwardError):
    """A record, segment or vault that is not what was sealed here.

    `index`: of the first record concerned, None where it is not known.
    """

    event = "store.tamper"

    def __init__(self, index, message):
        super().__init__(message)
        self.index = index


class VaultRestored(ProtocolError):
    """The collector has numbers that this flash never gave: it is an older one, put back."""

    event = "store.rollback"


class VaultFull(UwardError):
    """No room, by the vault's own bound or in the file system; what was there stays."""

    event = "store.full"
