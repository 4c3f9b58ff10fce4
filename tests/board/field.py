"""A fleet of one board in the field, with the real services: made once, updated often."""

from dataclasses import replace
from pathlib import Path

from host_tools import project
from host_tools.demo.services import Services
from host_tools.demo.story import HOST, free_port
from host_tools.fleet.store import Store
from host_tools.image import lfs
from host_tools.verbs import build, flash, init, provision, release, sign, target

VENDOR = "field.example"
BOOT_S, UPDATE_S = 120, 200
FIRST = ("1.0.0", 1)
APP = """
from uward import Agent

agent = Agent()
ticks = 0


@agent.sensor("ticks", every_s=1)
def count():
    global ticks
    ticks += 1
    return ticks


agent.run()
"""


class Field:
    """The fleet in `folder`/fleet and its board, a target of `kind` (`unix`, `picow`)."""

    def __init__(self, folder, kind):
        self.folder = Path(folder)
        self.fleet = self.folder / "fleet"
        self.kind = kind
        self.board_name = {"unix": "unix", "picow": "rpi_pico_w"}[kind]
        self.services = Services(self.fleet, "embedded")
        self.target = None

    @property
    def found(self):
        return project.load(self.fleet)

    def make(self, app=APP):
        """From nothing to an enrolled, locked board that runs version 1.0.0."""
        options = init.Options(
            vendor=VENDOR, board=self.board_name, host=HOST, port=free_port(), height=10
        )
        init.do_init(self.fleet, options, lambda done, total: None)
        images = self.build(*FIRST, app)
        for name in ("image.img", "recovery.img"):
            sign.do_sign(self.found, images / name, sign.Options())
        flash.do_flash(self.found, self.kind, images=images)
        made = provision.do_provision(self.found, self.kind)
        (self.folder / "device").write_text(made["id"])

    @property
    def device(self):
        return (self.folder / "device").read_text()

    def build(self, version, sequence, app=APP):
        """-> folder of the images of a program of one file."""
        program = self.folder / f"app-{version}"
        program.mkdir()
        (program / "main.py").write_text(app)
        found = self.found
        found = replace(found, app=replace(found.app, version=version, sequence=sequence))
        build.do_build(found, self.board_name, app=program)
        return found.image_folder(self.board_name, version, sequence)

    def release(self, version, sequence, app=APP, **options):
        """Build, sign, publish. options: of `sign.Options`. -> what `uward release` says."""
        images = self.build(version, sequence, app)
        sign.do_sign(self.found, images / "image.img", sign.Options(**options))
        return release.do_release(self.found, self.board_name, images)

    def images(self, version, sequence):
        return self.found.image_folder(self.board_name, version, sequence)

    def __enter__(self):
        self.services.start()
        self.target = target.open_target(self.found, self.kind)
        self.target.start()
        return self

    def __exit__(self, *_):
        self.target.stop()
        self.services.stop()

    def wait(self, text, kind="", seconds=UPDATE_S, since=0):
        """The first notice that contains `text`."""
        return self.services.wait(
            text,
            lambda notice: (not kind or notice.kind == kind) and text in notice.text,
            seconds,
            since,
        )

    def heard(self, kind, text=""):
        """Texts of the notices of a kind so far."""
        return [n.text for n in self.services.notices if n.kind == kind and text in n.text]

    def update(self):
        """(state, detail) of the last release on the device, as `uward devices` shows it."""
        store = Store(self.services.database, read_only=True)
        try:
            return store.last_update(self.device)
        finally:
            store.close()

    def files(self):
        """What the board's file system holds now."""
        board = self.target.board
        return lfs.read(board, lfs.area(board, self.target.flash_dump()))
