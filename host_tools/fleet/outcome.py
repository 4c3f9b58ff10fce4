"""What one message from a device leads to: messages down, notices, events of the collector's own.

`Answers` adds to an `Outcome`; `Sealer` is the only one here that knows a secret.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from host_tools.fleet import held, limits, messages, seal
from host_tools.fleet.acl import DEVICE
from host_tools.fleet.dispatch import Dispatch
from host_tools.fleet.inventory import Device
from host_tools.fleet.messages import Hello
from host_tools.fleet.rollouts import Rollouts
from host_tools.fleet.store import Event, Reading, Store
from host_tools.signing.keys import Kek

QUALITY_HOST = 2  # the collector's own events carry the host's clock


@dataclass(frozen=True)
class Down:
    """A message for a device."""

    device: str
    purpose: str
    payload: bytes
    qos: int = 1

    @property
    def topic(self) -> str:
        return messages.down_topic(self.device, self.purpose)


@dataclass(frozen=True)
class Notice:
    """What an operator may want to see. `kind`: reading, event, hello, update, attest."""

    time: float
    device: str
    kind: str
    text: str


@dataclass
class Outcome:
    """What one message led to."""

    down: list[Down] = field(default_factory=list[Down])
    notices: list[Notice] = field(default_factory=list[Notice])

    def reading(self, device: str, reading: Reading) -> None:
        text = f"{reading.name} {_shown(reading.value)} {reading.unit}".rstrip()
        self.notices.append(Notice(reading.time, device, "reading", text))


@dataclass(frozen=True)
class Known:
    """A device, the context of its latest boot, and what it said of itself then."""

    record: Device
    context: bytes
    hello: Hello


@dataclass(frozen=True)
class Publications:
    """Files that devices are given when they connect; each is read anew."""

    trust: Path | None = None  # folder of trust documents, named by version
    crl: Path | None = None  # DER: the revocation list of the services' CA
    kek: Kek | None = None  # the group KEK, for devices that were not given this one
    own_kek: Callable[[str], Kek | None] | None = None  # device id -> its own KEK (S6)
    orders: Dispatch | None = None  # policies and commands that people signed
    rollouts: Rollouts | None = None  # releases that not everybody may have yet
    log: Callable[[bytes, int], bytes | None] | None = None  # (manifest, entries seen) -> proof
    share: Callable[[str], bytes | None] | None = None  # device id -> half of its data key (S9)

    def lists(self) -> list[Path]:
        """The revocation lists: `services.crl`, `services-2.crl` while the CA rolls over."""
        return sorted(self.crl.parent.glob(self.crl.stem + "*.crl")) if self.crl else []


class Notebook:
    """What the collector itself notices: counted, shown, and kept within bounds."""

    def __init__(self, store: Store) -> None:
        self.counts: Counter[str] = Counter()
        self._kept: Counter[tuple[str, str]] = Counter()
        self._store = store

    def note(self, outcome: Outcome, device: str, name: str, reason: str, now: float) -> None:
        """One event; of one kind and device at most ROGUE_EVENTS are kept a run."""
        known = device if DEVICE.fullmatch(device) else ""
        self.counts[name] += 1
        self._kept[known, name] += 1
        if self._kept[known, name] > limits.ROGUE_EVENTS:
            return
        with self._store.transaction():
            self._store.add_event(Event(known, "collector", name, reason, now, QUALITY_HOST, now))
        outcome.notices.append(Notice(now, known, "event", f"{name} {reason}"))


class Sealer:
    """Opens and seals with the pair secrets of role collector."""

    def __init__(self, store: Store, private: ec.EllipticCurvePrivateKey) -> None:
        self._store = store
        self._private = private
        self._secrets: dict[bytes, bytes] = {}  # pairing key -> pair secret

    def open(self, record: Device, purpose: str, sealed: seal.Sealed) -> bytes:
        """Raises BadMac."""
        return seal.open_sealed(self._secret(record), record.id, "up", purpose, sealed)

    def seal(self, record: Device, context: bytes, purpose: str, plaintext: bytes) -> Down:
        """A sealed message for the boot `context`; its counter is committed first (SPEC 8)."""
        down = context + self._store.generation
        counter = self._store.take_counter(record.id, down, purpose)
        secret = self._secret(record)
        sealed = seal.seal(secret, record.id, "down", purpose, down, counter, plaintext)
        return Down(record.id, purpose, sealed)

    def plain(self, purpose: str, body: Any) -> Any:
        """A body, opened where a device sealed it to the collector's public key when it happened
        (S9). Raises Malformed."""
        return held.opened(self._private, purpose, body) if held.is_held(body) else body

    def _secret(self, record: Device) -> bytes:
        if record.pairing not in self._secrets:
            self._secrets[record.pairing] = seal.pair_secret(self._private, record.pairing)
        return self._secrets[record.pairing]


def _shown(value: float | str | bool | bytes) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, (str, bool)) else f"{value:g}"
