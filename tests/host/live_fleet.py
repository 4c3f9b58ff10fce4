"""A fleet made by the verbs' own functions, its services, and boards of it."""

from host_tools import project, pulse
from host_tools.demo.services import Services
from host_tools.demo.story import HOST, free_port
from host_tools.verbs import build, flash, init, provision, sign, target

WAIT_S = 180


class LiveFleet:
    """`root`: the fleet's folder; `services` are up after `start`. kind: unix or picow."""

    def __init__(self, folder, board="unix", kind="unix"):
        self.root = folder / "fleet"
        self.kind = kind
        self.board_name = board
        options = init.Options(
            vendor="live.example",
            board=board,
            host=HOST,
            port=free_port(),
            est_port=free_port(),
            height=10,
        )
        init.do_init(self.root, options, lambda done, total: None)
        self.build()
        self.services = Services(self.root, "embedded")

    @property
    def found(self):
        return project.load(self.root)

    def build(self, **options):
        found = self.found
        build.do_build(found, self.board_name, **options)
        images = found.last_built(self.board_name)
        for name in ("image.img", "recovery.img"):
            sign.do_sign(found, images / name, sign.Options())

    def enrol(self, name, development=False):
        """Flash and enrol the board `name`. -> its device id; it is off."""
        flash.do_flash(self.found, self.kind, name=name)
        made = provision.do_provision(self.found, self.kind, name=name, development=development)
        return made["id"]

    def board(self, name):
        """The board, off; its sensor replays a pulse."""
        made = target.open_target(self.found, self.kind, name=name)
        made.folder.mkdir(parents=True, exist_ok=True)
        pulse.replay(made, pulse.load())
        return made

    def wait(self, kind, text, since=0):
        def wanted(notice):
            return notice.kind == kind and text in notice.text

        return self.services.wait(f"{kind} {text!r}", wanted, WAIT_S, since).text
