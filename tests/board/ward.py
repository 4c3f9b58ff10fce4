"""One emulated Pico W with its fleet and services, ordered about by two admins."""

from pathlib import Path

from host_tools.image import lfs
from host_tools.targets.picow import PicoW
from host_tools.verbs import target
from tests.board.conftest import PICO_W
from tests.interop import command_round

BOTH = ("admin:carl", "admin:dora")


class Ward:
    """The fleet `found`, its one `device`, that `board`, off; its `services` once they run."""

    def __init__(self, folder):
        self.found, self.device = command_round.fleet(folder, "rpi_pico_w", "picow")
        self.board = PicoW(target.folder(self.found, "picow", None))
        self.services = None

    def order(self, name, arguments=None):
        return command_round.order(self.found, self.device, name, arguments, *BOTH)

    def heard(self, what, since=0):
        return command_round.heard(self.services, what, since)

    def file_system(self):
        flash = PICO_W.flash
        return self.board.flash_dump()[flash.fs_offset :][: flash.fs_size]

    def root(self):
        return lfs.read(PICO_W, self.file_system())["/id/root"]

    def prepare(self, name):
        """The first of two signatures. -> the file that the second one is for."""
        told = command_round.send.do_send(
            self.found, self.device, name, {}, command_round.send.Options(role=BOTH[0])
        )
        return Path(told["file"])
