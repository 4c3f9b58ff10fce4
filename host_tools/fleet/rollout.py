"""Staged rollout: which devices may have a release yet, and when the next ones may. Pure.

A device's place in the queue is a hash of its id and the release: stable, another one for each
release, and nobody chooses the canaries. A stage is over when most of its devices have confirmed
the release; the rollout halts when too many of them failed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from host_tools.errors import UsageError

RUNNING, HALTED, DONE = "running", "halted", "done"
STATUS = (RUNNING, HALTED, DONE)
CONFIRMED = "confirmed"
FAILED = ("refused", "reverted")  # what a device says of a release that it does not keep
TRYING = ("installed", "returned")  # it boots the release; a word must follow
SILENT_S = 3600.0  # a device that installed and was not heard of for so long has failed
SETTLED = 0.9  # of a stage's devices: the others may be switched off
ALL = 1.0
STAGES_MAX = 10
SCALE = 1 << 64


@dataclass(frozen=True)
class Plan:
    """`stages`: shares of the fleet, rising; `halt`: the share of a stage's devices that may fail
    before the rollout halts."""

    stages: tuple[float, ...]
    halt: float


@dataclass(frozen=True)
class State:
    """`stage` counts from 0; `reason` says why it halted; `forgiven`: devices that had failed
    when somebody let it go on."""

    stage: int = 0
    status: str = RUNNING
    reason: str = ""
    forgiven: tuple[str, ...] = ()


@dataclass(frozen=True)
class Told:
    """What is known of the release on one device; `updated`: unix seconds."""

    state: str
    detail: str
    updated: float


@dataclass(frozen=True)
class Count:
    """How a stage stands, in devices."""

    chosen: int
    offered: int
    trying: int
    confirmed: int
    failed: tuple[str, ...]


def check(plan: Plan) -> Plan:
    """`plan` itself. Raises UsageError for one that cannot be followed."""
    if not 1 <= len(plan.stages) <= STAGES_MAX:
        raise UsageError(f"rollout: expected 1 to {STAGES_MAX} stages, got {len(plan.stages)}")
    if any(not 0 < share <= ALL for share in plan.stages):
        raise UsageError("rollout: a stage is above 0 % and at most 100 %")
    if any(a >= b for a, b in zip(plan.stages, plan.stages[1:], strict=False)):
        raise UsageError("rollout: each stage must be larger than the one before it")
    if not 0 < plan.halt <= ALL:
        raise UsageError("rollout: --halt-if-failing is above 0 % and at most 100 %")
    return plan


def share(text: str) -> float:
    """`5%`, `0.05` or `all` as a fraction. Raises UsageError."""
    if text == "all":
        return ALL
    try:
        value = float(text.removesuffix("%"))
    except ValueError as error:
        raise UsageError(f"expected a share such as 5% or all, got {text!r}") from error
    return value / 100 if text.endswith("%") else value


def rank(device: str, payload: bytes) -> float:
    """Where a device stands in the queue for a release: 0 <= rank < 1."""
    return int.from_bytes(sha256(payload + device.encode()).digest()[:8], "big") / SCALE


def chosen(plan: Plan, state: State, payload: bytes, devices: Collection[str]) -> set[str]:
    """Who may have the release at this stage; at least one device, if there is any."""
    most = plan.stages[state.stage]
    queue = sorted(devices, key=lambda device: rank(device, payload))
    return {device for device in queue if rank(device, payload) < most} | set(queue[:1])


def admits(
    plan: Plan, state: State, payload: bytes, device: str, devices: Collection[str]
) -> bool:
    """Whether this device may be offered the release, and be given its blocks."""
    return state.status != HALTED and device in chosen(plan, state, payload, devices)


def count(
    plan: Plan,
    state: State,
    payload: bytes,
    devices: Collection[str],
    told: Mapping[str, Told],
    now: float,
) -> Count:
    """How the devices of this stage stand."""
    mine = chosen(plan, state, payload, devices)
    heard = {device: told[device] for device in sorted(mine) if device in told}
    return Count(
        len(mine),
        len(heard),
        sum(one.state in TRYING for one in heard.values()),
        sum(one.state == CONFIRMED for one in heard.values()),
        tuple(device for device, one in heard.items() if _failed(one, now)),
    )


def judge(
    plan: Plan,
    state: State,
    payload: bytes,
    devices: Collection[str],
    told: Mapping[str, Told],
    now: float,
) -> State:
    """The state that follows: halted, the next stage, done, or the same."""
    if state.status != RUNNING:
        return state
    found = count(plan, state, payload, devices, told, now)
    if not found.chosen:
        return state
    failed = [device for device in found.failed if device not in state.forgiven]
    if len(failed) >= max(plan.halt * found.chosen, 1):
        first = failed[0]
        why = f"{len(failed)} of {found.chosen} failed, one is {first}: {_why(told[first])}"
        return replace(state, status=HALTED, reason=why)
    if found.confirmed < SETTLED * (found.chosen - len(found.failed)):
        return state
    if state.stage + 1 < len(plan.stages):
        return replace(state, stage=state.stage + 1)
    return replace(state, status=DONE)


def resumed(state: State, failed: Collection[str]) -> State:
    """Go on after a halt: who has failed by now does not halt it again. Raises UsageError."""
    if state.status != HALTED:
        raise UsageError(f"rollout: it is {state.status}, expected {HALTED}")
    return State(state.stage, forgiven=tuple(sorted({*state.forgiven, *failed})))


def advanced(plan: Plan, state: State) -> State:
    """The next stage now, whoever has not confirmed. Raises UsageError at the last one."""
    if state.stage + 1 >= len(plan.stages) or state.status != RUNNING:
        raise UsageError(f"rollout: stage {state.stage + 1} is the last one, or it is halted")
    return State(state.stage + 1, forgiven=state.forgiven)


def halted(state: State, reason: str) -> State:
    return replace(state, status=HALTED, reason=reason)


def _failed(told: Told, now: float) -> bool:
    silent = told.state in TRYING and now - told.updated > SILENT_S
    return told.state in FAILED or silent


def _why(told: Told) -> str:
    if told.state in TRYING:
        return f"not heard of since it {told.state}"
    return f"{told.state} {told.detail}".rstrip()
