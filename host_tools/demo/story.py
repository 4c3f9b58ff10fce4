"""The steps of the demo, in order. Each does its part with the verbs' own functions and real
components, checks what came of it, and says it in a line."""

import shutil
import socket
import statistics
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from host_tools import project, pulse
from host_tools.demo import rogue
from host_tools.demo.impostor import Impostor
from host_tools.demo.services import Services
from host_tools.errors import Refused, UsageError
from host_tools.fleet import service
from host_tools.fleet.answers import Notice
from host_tools.project import Project
from host_tools.targets.base import Target
from host_tools.verbs import build, flash, init, provision, release, sign, target

HOST = "127.0.0.1"
VENDOR = "demo.example"
BOARDS = {"picow": "rpi_pico_w", "unix": "unix"}
TOLERANCE_BPM = 3.0
READINGS = 10
BOOT_S, READINGS_S, UPDATE_S, REFUSE_S, IMPOSTOR_S = 180, 240, 420, 420, 120

Say = Callable[[str], None]


@dataclass
class Step:
    """One row of the closing table. seconds: wall time; emulated: the board's, None on Unix."""

    what: str
    outcome: str
    seconds: float
    emulated: float | None


@dataclass
class Story:
    """A fleet in `folder`/fleet and one board. `say` gets a line for each thing that happens."""

    folder: Path
    kind: str
    broker: service.BrokerKind
    say: Say
    steps: list[Step] = field(default_factory=list[Step])

    def __post_init__(self) -> None:
        if self.kind not in BOARDS:
            raise UsageError(f"the demo runs on {' or '.join(BOARDS)}, not on {self.kind!r}")
        self.board_name = BOARDS[self.kind]
        self.fleet = self.folder / "fleet"
        self.services = Services(self.fleet, self.broker)
        self.device = ""
        self._board: Target | None = None
        self._stack: int | None = None

    @property
    def board(self) -> Target:
        if self._board is None:
            raise UsageError("the board is not there yet")
        return self._board

    @property
    def found(self) -> Project:
        return project.load(self.fleet)

    def run(self) -> None:
        """All steps. Raises HostError as soon as one does not come out as it must."""
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            self._make_fleet()
            first = self._make_image("1.0.0", 1)
            self._flash_and_enrol(first)
            self._serve()
            self._measure()
            self._update()
            self._refuse()
            self._refuse_impostor()
        finally:
            if self._board is not None:
                self._board.stop()
            self.services.stop()

    # before there is a network

    def _make_fleet(self) -> None:
        with self._step("make a fleet") as done:
            options = init.Options(
                vendor=VENDOR,
                board=self.board_name,
                host=HOST,
                port=free_port(),
                est_port=free_port(),
                height=10,
            )
            made = init.do_init(self.fleet, options, lambda done, total: None)
            done(f"CA, roles, trust document; {made['lms_signatures']} signatures a release key")

    def _make_image(self, version: str, sequence: int) -> Project:
        with self._step(f"build and sign {version}") as done:
            found = self.found
            app = replace(found.app, version=version, sequence=sequence)
            found = replace(found, app=app)
            made = build.do_build(found, self.board_name)
            folder = self._images(found)
            for name in ("image.img", "recovery.img"):
                sign.do_sign(found, folder / name, sign.Options())
            done(f"{made['size']} bytes, sha256 {made['sha256'][:16]}, two roles signed")
        return found

    def _images(self, found: Project) -> Path:
        return found.image_folder(self.board_name, found.app.version, found.app.sequence)

    def _flash_and_enrol(self, found: Project) -> None:
        with self._step("flash, enrol, lock") as done:
            flashed = flash.do_flash(found, self.kind, images=self._images(found))
            self.say(f"one generic image of {flashed['size']} bytes, no secret in it")
            made = provision.do_provision(found, self.kind)
            self.device = made["id"]
            done(f"device {self.device}: keys made on the board, console locked")

    # with it

    def _serve(self) -> None:
        with self._step("connect over mutual TLS") as done:
            self.services.start()
            self._board = target.open_target(self.found, self.kind)
            pulse.replay(self._board, pulse.load())
            self._board.start()
            hello = self._wait("first contact", "hello", "hello 1.0.0", BOOT_S)
            done(hello.text)

    def _measure(self) -> None:
        with self._step("measure a pulse") as done:
            expected = heartpy_rate()
            rates: list[float] = []
            shown = 0
            deadline = time.monotonic() + READINGS_S
            while len(rates) < READINGS:
                if time.monotonic() > deadline:
                    raise Refused(
                        f"{len(rates)} readings in {READINGS_S} s, expected {READINGS}; "
                        f"the last word was: {self.services.notices[-1].text}"
                    )
                time.sleep(0.5)
                rates = [float(one.text.split()[1]) for one in self._readings()]
                for rate in rates[shown:]:
                    self.say(f"heart-rate {rate:.1f} beat/min")
                shown = len(rates)
            rate = statistics.median(rates)
            if abs(rate - expected) > TOLERANCE_BPM:
                raise Refused(f"the board says {rate:.1f} beat/min, HeartPy {expected:.1f}")
            done(f"{rate:.1f} beat/min on the board, {expected:.1f} by HeartPy")

    def _readings(self) -> list[Notice]:
        return [one for one in self.services.notices if one.text.startswith("heart-rate ")]

    def _update(self) -> None:
        found = self._make_image("2.0.0", 2)
        with self._step("update to 2.0.0") as done:
            since = len(self.services.notices)
            release.do_release(found, self.board_name, self._images(found))
            self._wait("the download", "update", "installed", UPDATE_S, since)
            self._wait("the trial boot", "hello", "hello 2.0.0", UPDATE_S, since)
            self._wait("the confirmation", "", "confirmed", UPDATE_S, since)
            done("pulled in blocks, verified, slot b, trial boot, confirmed")

    def _refuse(self) -> None:
        found = self.found
        newest = found.image_folder(self.board_name, "2.0.0", 2)
        given = rogue.Material(
            found,
            self.board_name,
            (newest / "image.img").read_bytes(),
            3,
            "3.0.0",
            found.image_folder(self.board_name, "1.0.0", 1),
        )
        for case in rogue.CASES:
            with self._step(f"refuse {case.title}") as done:
                since = len(self.services.notices)
                folder = rogue.plant(case, given)
                event = self._wait("the refusal", "event", case.event, REFUSE_S, since)
                shutil.rmtree(folder)
                given = rogue.next_sequence(given)
                done(event.text)

    def _refuse_impostor(self) -> None:
        with self._step("refuse a broker of another CA") as done:
            found = self.found
            since = len(self.services.notices)
            self.services.stop()
            impostor = Impostor(found.broker.name, HOST, found.broker.port)
            try:
                deadline = time.monotonic() + IMPOSTOR_S
                while impostor.handshakes == 0 or not impostor.last_error:
                    if time.monotonic() > deadline:
                        raise Refused(f"the board did not come back within {IMPOSTOR_S} s")
                    time.sleep(0.2)
            finally:
                impostor.close()
            if impostor.application_bytes:
                raise Refused(f"{impostor.application_bytes} bytes sent to a fake broker")
            self.services.start()
            event = self._wait("the report", "event", "tls.reject", BOOT_S, since)
            hello = self._wait("the return", "hello", "hello 2.0.0", BOOT_S, since)
            done(f"0 bytes of MQTT; {event.text}; back: {hello.text}")

    # tools of the steps

    def _wait(self, what: str, kind: str, text: str, seconds: float, since: int = 0) -> Notice:
        def wanted(notice: Notice) -> bool:
            return (not kind or notice.kind == kind) and text in notice.text

        return self.services.wait(what, wanted, seconds, since)

    @contextmanager
    def _step(self, what: str) -> Generator[Say, None, None]:
        self.say(f"-- {what}")
        begun, emulated = time.monotonic(), self._emulated()
        outcome: list[str] = []
        yield outcome.append
        after = self._emulated()
        spent = None if emulated is None or after is None else after - emulated
        self.say(outcome[0])
        self.steps.append(Step(what, outcome[0], time.monotonic() - begun, spent))

    def _emulated(self) -> float | None:
        """Seconds that the board's clock has run since it was powered on."""
        from host_tools.targets.picow import PicoW

        if self.kind != "picow":
            return None
        if not isinstance(self._board, PicoW):
            return 0.0
        status = self._board.status()
        self._stack = status["stack"]
        return status["seconds"]

    def closing(self) -> dict[str, Any]:
        """What the demo leaves behind: how long it took, heap of the last hello, bytes of C stack
        that were used at most (of the emulated board's 8,192), the readings."""
        from host_tools.fleet.inventory import last_seen
        from host_tools.fleet.store import Store

        path = service.database_path(self.found)
        store = Store(path, read_only=True)
        try:
            seen = last_seen(store).get(self.device)
            return {
                "device": self.device,
                "seconds": round(sum(step.seconds for step in self.steps)),
                "heap_free": seen.hello.free_heap if seen else None,
                "c_stack_used": self._stack,
                "readings": len(self._readings()),
                "database": str(path),
            }
        finally:
            store.close()


def heartpy_rate() -> float:
    """What HeartPy itself makes of the same recording, in beats a minute."""
    import heartpy  # type: ignore[import-untyped]
    import numpy

    untyped: Any = heartpy
    return float(untyped.process(numpy.array(pulse.load()), float(pulse.HZ))[1]["bpm"])


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])
