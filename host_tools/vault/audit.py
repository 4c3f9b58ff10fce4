"""An audit log verified on the host (SPEC 10; S14): order, MACs, head; the first bad number."""

import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256

from host_tools.errors import Refused

START = 2
EVENT = 3
MAC = 16
START_KEY = 32


@dataclass
class Verifier:
    """Takes entries in order. Its state is what a collector keeps: `number` and `head` of the
    last entry that was good, and the ratchet key of the boot that wrote it."""

    unwrap: Callable[[bytes], bytes]
    number: int = 0
    head: bytes = bytes(32)
    ratchet: bytes | None = None

    def take(self, number: int, kind: int, payload: bytes) -> bytes | None:
        """CBOR of an event, None for a start key. Refused names the first bad number."""
        if number != self.number + 1:
            raise Refused(f"audit entry {number}, expected {self.number + 1}")
        event = None
        if kind == START:
            self.ratchet = self.unwrap(payload)
            if len(self.ratchet) != START_KEY:
                raise Refused(f"audit entry {number}: start key of {len(self.ratchet)} bytes")
        elif kind == EVENT and self.ratchet is not None:
            mac = hmac.digest(self.ratchet, self.head + payload[MAC:], "sha256")[:MAC]
            if not hmac.compare_digest(mac, payload[:MAC]):
                raise Refused(f"audit entry {number} is not what the device wrote")
            self.ratchet = sha256(b"uward audit" + self.ratchet).digest()
            event = payload[MAC:]
        else:
            raise Refused(f"audit entry {number}: kind {kind} is not expected here")
        self.head = sha256(self.head + bytes((kind,)) + payload).digest()
        self.number = number
        return event


def verify(
    entries: Iterable[tuple[int, int, bytes]], unwrap: Callable[[bytes], bytes]
) -> tuple[list[bytes], bytes]:
    """(events as CBOR, head) of a whole log. Refused names the first bad number."""
    verifier = Verifier(unwrap)
    events = [verifier.take(*entry) for entry in entries]
    return [event for event in events if event is not None], verifier.head
