"""Certificates over MQTT: `up/est` asks, `down/est` answers, both sealed (SPEC 8).

The sealed message says who asks, the present key vouches for the new one, and the request itself
proves that one (RFC 2986 4.2). An attestation by the new key shows that it has taken over.
"""

from collections.abc import Callable

from host_tools.errors import HostError
from host_tools.fleet import codec, limits
from host_tools.fleet.answers import Known, Notebook, Notice, Outcome, Sealer
from host_tools.fleet.inventory import Device
from host_tools.fleet.registrar import Registrar

REKEYED = "est.rekeyed a new key is proved"


class Renewals:
    """Answers what devices ask, and what waited for a CA elsewhere as soon as it is there."""

    def __init__(self, registrar: Registrar | None, sealer: Sealer, notebook: Notebook) -> None:
        self._registrar = registrar
        self._sealer = sealer
        self._notebook = notebook
        self._seen: dict[str, int] | None = None

    def asked(
        self, record: Device, context: bytes, request: bytes, now: float, outcome: Outcome
    ) -> None:
        """`["issued", DER]`, `["refused", reason]`, or nothing while a CA elsewhere is asked."""
        if self._registrar is None:
            self._refuse(record, context, "no CA answers here", now, outcome)
            return
        try:
            made = self._registrar.rekey(record.id, request)
        except HostError as error:
            self._refuse(record, context, str(error), now, outcome)
            return
        if self._registrar.taken_over(record):
            outcome.notices.append(Notice(now, record.id, "event", REKEYED))
        if made is None:
            outcome.notices.append(Notice(now, record.id, "event", "est.waiting for the CA"))
            return
        self._give(record, context, made, now, outcome)
        if self._seen is not None:  # given: `rollout` need not
            self._seen.update({record.id: self._registrar.ready().get(record.id, 0)})

    def proved(self, record: Device, key: str, now: float, outcome: Outcome) -> None:
        """The device has signed with this key: a new one takes over."""
        if self._registrar is None or key != record.next_public_key:
            return
        try:
            self._registrar.proved(record.id, key)
        except HostError as error:
            self._notebook.note(outcome, record.id, "est.refused", str(error), now)
            return
        outcome.notices.append(Notice(now, record.id, "event", REKEYED))

    def rollout(self, known: Callable[[], list[Known]], now: float, outcome: Outcome) -> None:
        """What a CA elsewhere has answered since the last call."""
        if self._registrar is None:
            return
        ready, before = self._registrar.ready(), self._seen
        self._seen = ready
        if before is None or ready == before:
            return
        for one in known():
            device = one.record.id
            if ready.get(device) == before.get(device):
                continue
            made = self._registrar.certificate(device)
            if made is not None:
                self._give(one.record, one.context, made, now, outcome)

    def _give(
        self, record: Device, context: bytes, made: bytes, now: float, outcome: Outcome
    ) -> None:
        self._answer(record, context, "issued", made, outcome)
        outcome.notices.append(Notice(now, record.id, "event", "est.issued a certificate"))

    def _refuse(
        self, record: Device, context: bytes, reason: str, now: float, outcome: Outcome
    ) -> None:
        self._notebook.note(outcome, record.id, "est.refused", reason, now)
        self._answer(record, context, "refused", reason[: limits.TEXT_CHARS], outcome)

    def _answer(
        self, record: Device, context: bytes, name: str, value: str | bytes, outcome: Outcome
    ) -> None:
        plaintext = codec.encode([name, value])
        outcome.down.append(self._sealer.seal(record, context, "est", plaintext))
