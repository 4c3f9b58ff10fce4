"""The logs of boots, as their events come in: each is checked against its proof (SPEC 9, 10; S14).

A device tells the start of a boot's log; from then on each event has a number and a MAC. They are
checked in the order of the stream, once everything before them is here: so a number that is left
out is missing for good. Number and head of the last good one are what the collector witnesses;
after a break the rest of that boot's log cannot be checked.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from host_tools.errors import Refused
from host_tools.fleet import codec, messages
from host_tools.fleet.messages import Proof, Told
from host_tools.fleet.outcome import Notebook, Outcome, Sealer
from host_tools.fleet.store import Store
from host_tools.vault import audit

INFO = b"uward audit v1"


@dataclass(frozen=True)
class Log:
    """How far the log of one boot is checked."""

    id: bytes
    number: int
    head: bytes
    ratchet: bytes | None
    broken: str | None  # why nothing more can be checked


class Trail:
    """Begins and follows logs. `private`: role collector."""

    def __init__(
        self, store: Store, private: ec.EllipticCurvePrivateKey, sealer: Sealer, notebook: Notebook
    ) -> None:
        self._store = store
        self._private = private
        self._sealer = sealer
        self._notebook = notebook

    def begin(self, device: str, start: bytes, now: float) -> None:
        """A device told this start. Raises Malformed when it is no point of the curve."""
        if find(self._store, device, start[: messages.LOG_ID]) is None:
            verifier = audit.Verifier(self._first_key)
            verifier.take(1, audit.START, start)
            self._store.execute(
                "INSERT INTO log VALUES (?,?,?,?,?,?,NULL)",
                (device, start[: messages.LOG_ID], now, 1, verifier.head, verifier.ratchet),
            )

    def follow(self, device: str, stream: bytes, now: float, outcome: Outcome) -> None:
        """Check what is whole now: everything up to what is committed."""
        committed, _ = self._store.progress(device, stream)
        row = self._store.one(
            "SELECT sequence FROM checked WHERE device=? AND stream=?", (device, stream)
        )
        checked: int = row[0] if row else 0
        if committed <= checked:
            return
        for data in self._store.plaintexts(device, stream, "event", checked, committed):
            told = self._told(data)
            if told is not None and told.proof is not None:
                self._check(device, told, told.proof, now, outcome)
        self._store.execute(
            "INSERT OR REPLACE INTO checked VALUES (?,?,?)", (device, stream, committed)
        )

    def _first_key(self, start: bytes) -> bytes:
        """The collector's half of what the device did with a key that it has forgotten."""
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + start)
        except ValueError as error:
            raise codec.Malformed("start of the log: expected a point of P-256") from error
        shared = self._private.exchange(ec.ECDH(), point)
        return HKDF(SHA256(), audit.START_KEY, start, INFO).derive(shared)

    def _told(self, data: bytes) -> Told | None:
        """None for what was noted as malformed when it came."""
        try:
            body = messages.parse_plaintext(data).body
            return messages.parse_event(self._sealer.plain("event", body))
        except codec.Malformed:
            return None

    def _check(self, device: str, told: Told, proof: Proof, now: float, outcome: Outcome) -> None:
        log = find(self._store, device, proof.log)
        if log is None:
            log = Log(proof.log, 0, bytes(32), None, None)
            self._store.execute(
                "INSERT INTO log VALUES (?,?,?,0,?,NULL,NULL)", (device, proof.log, now, log.head)
            )
        if log.broken is not None:
            return  # told of before
        verifier = audit.Verifier(self._first_key, log.number, log.head, log.ratchet)
        payload = proof.mac + codec.encode([told.name, told.reason, proof.uptime])
        try:
            verifier.take(proof.number, audit.EVENT, payload)
        except Refused as error:
            self._store.execute(
                "UPDATE log SET broken=? WHERE device=? AND id=?", (str(error), device, log.id)
            )
            reason = f"log {log.id.hex()}: {error}"
            self._notebook.note(outcome, device, "log.tamper", reason, now)
            return
        self._store.execute(
            "UPDATE log SET number=?, head=?, ratchet=? WHERE device=? AND id=?",
            (verifier.number, verifier.head, verifier.ratchet, device, log.id),
        )


def find(store: Store, device: str, log: bytes) -> Log | None:
    """What is known of one log."""
    row = store.one(
        "SELECT id, number, head, ratchet, broken FROM log WHERE device=? AND id=?", (device, log)
    )
    return Log(*row) if row else None


def latest(store: Store, device: str) -> Log | None:
    """The log that began last, or broke."""
    row = store.one(
        "SELECT id, number, head, ratchet, broken FROM log WHERE device=? "
        "ORDER BY begun DESC LIMIT 1",
        (device,),
    )
    return Log(*row) if row else None
