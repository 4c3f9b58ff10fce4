"""Staged rollouts on disk: `rollouts/<sequence>.json`, one a release; what is decided: `rollout`.

Written before its release is placed, changed by `uward serve` as devices confirm or fail, and by
`uward rollout`; each change is made under a lock and written whole. A release without such a file
is for everybody at once.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from host_tools.errors import HostError, UsageError
from host_tools.fleet import rollout
from host_tools.fleet.inventory import ACTIVE, Device, Inventory
from host_tools.fleet.offers import Releases
from host_tools.fleet.releases import Release
from host_tools.fleet.rollout import Plan, State, Told
from host_tools.fleet.store import Store
from host_tools.pki import files, lock

log = logging.getLogger(__name__)
Ask = Callable[[bytes], Mapping[str, Told]]  # payload id -> what each device told of it


@dataclass(frozen=True)
class Rollout:
    """One file. `payload`: the release's payload id, hex."""

    sequence: int
    payload: str
    plan: Plan
    state: State

    @property
    def payload_key(self) -> bytes:
        return bytes.fromhex(self.payload)


class Rollouts:
    """The rollouts in `folder`, of releases to the devices of `inventory`."""

    def __init__(self, folder: Path, inventory: Inventory, ask: Ask) -> None:
        self._folder = folder
        self._inventory = inventory
        self._ask = ask
        self._read: tuple[int, list[Device]] = (
            -1,
            [],
        )  # change time of the inventory, who is in it
        self._known: dict[int, tuple[int, Rollout]] = {}  # sequence -> (change time, what it says)

    def begin(self, release: Release, plan: Plan) -> Rollout:
        """Write a new one, before the release is placed. Raises Refused when there is one."""
        made = Rollout(release.sequence, release.payload_id, rollout.check(plan), State())
        files.write(self._path(release.sequence), _encode(made))
        return made

    def get(self, sequence: int) -> Rollout | None:
        """The rollout of a release, or None: it has none. Raises UsageError for a damaged file."""
        path = self._path(sequence)
        try:
            stamp = path.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        if self._known.get(sequence, (0, None))[0] != stamp:
            self._known[sequence] = (stamp, _load(path))
        return self._known[sequence][1]

    def admits(self, release: Release, device: str) -> bool:
        """Whether this device may have the release now. A damaged file admits nobody."""
        try:
            found = self.get(release.sequence)
        except HostError as error:
            log.warning("release %d is held back: %s", release.sequence, error)
            return False
        if found is None:
            return True
        devices = self.devices(release)
        return rollout.admits(found.plan, found.state, found.payload_key, device, devices)

    def devices(self, release: Release) -> list[str]:
        """Whom the release is for: active devices of its board, in no order that matters."""
        folder = self._inventory.folder
        stamp = folder.stat().st_mtime_ns if folder.is_dir() else 0
        if stamp != self._read[0]:
            self._read = (stamp, [one for one in self._inventory if one.status == ACTIVE])
        return [one.id for one in self._read[1] if release.fits(one.board, one.id)]

    def told(self, found: Rollout) -> Mapping[str, Told]:
        return self._ask(found.payload_key)

    def change(self, sequence: int, decide: Callable[[Rollout], State]) -> Rollout:
        """Replace the state by `decide(rollout)`, under the lock. Raises UsageError for none."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with lock.held(self._folder / "lock", f"the rollouts in {self._folder}"):
            found = self.get(sequence)
            if found is None:
                raise UsageError(f"release {sequence} has no rollout: it is for everybody")
            changed = Rollout(sequence, found.payload, found.plan, decide(found))
            if changed != found:
                files.write(self._path(sequence), _encode(changed), force=True)
        return changed

    def advance(self, releases: Releases, now: float) -> Iterator[tuple[Rollout, Rollout]]:
        """Judge each running rollout; (before, after) of those that changed."""
        for release in releases.offered():
            before = self._running(release)
            if before is None:
                continue
            devices = self.devices(release)

            def decide(found: Rollout, devices: list[str] = devices) -> State:
                told, key = self.told(found), found.payload_key
                return rollout.judge(found.plan, found.state, key, devices, told, now)

            if decide(before) != before.state:
                yield before, self.change(release.sequence, decide)

    def stamp(self) -> list[str]:
        """Changes when some rollout does: who is admitted may be others then."""
        paths = sorted(self._folder.glob("[0-9]*.json")) if self._folder.is_dir() else []
        return [f"{path.name} {path.stat().st_mtime_ns}" for path in paths]

    def _running(self, release: Release) -> Rollout | None:
        try:
            found = self.get(release.sequence)
        except HostError:
            return None  # `admits` says so, and holds it back
        return found if found is not None and found.state.status == rollout.RUNNING else None

    def _path(self, sequence: int) -> Path:
        return self._folder / f"{sequence}.json"


def said(before: Rollout, after: Rollout) -> str:
    """What changed, in words."""
    stages, state = after.plan.stages, after.state
    head = f"rollout of release {after.sequence}"
    if state.status == rollout.HALTED:
        return f"{head} halted: {state.reason}"
    if state.stage != before.state.stage:
        return f"{head}: stage {state.stage + 1} of {len(stages)}, {stages[state.stage]:.0%}"
    return f"{head} is {state.status}"


def asking(store: Store) -> Ask:
    """What the collector's database knows of a release on each device."""
    return lambda payload: {who: Told(*told) for who, told in store.offers(payload).items()}


def _encode(found: Rollout) -> bytes:
    return json.dumps(asdict(found), indent=1).encode() + b"\n"


def _load(path: Path) -> Rollout:
    try:
        data = cast("dict[str, Any]", json.loads(path.read_text("utf-8")))
        plan, state = data["plan"], data["state"]
        found = Rollout(
            data["sequence"],
            data["payload"],
            rollout.check(Plan(tuple(plan["stages"]), plan["halt"])),
            State(state["stage"], state["status"], state["reason"], tuple(state["forgiven"])),
        )
        bytes.fromhex(found.payload)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not a rollout: {error}") from error
    good = found.state.status in rollout.STATUS and 0 <= found.state.stage < len(found.plan.stages)
    if not good or path.stem != str(found.sequence):
        raise UsageError(f"{path}: not the rollout of release {path.stem}")
    return found
