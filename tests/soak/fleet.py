"""A fleet with one enrolled Pico W, its console open, that runs the soak's program."""

from host_tools import project
from host_tools.demo.story import HOST, free_port
from host_tools.fleet.store import Store
from host_tools.targets.picow import PicoW
from host_tools.verbs import build, flash, init, provision, sign, target
from tests.soak import app

BOARD = "rpi_pico_w"
VENDOR = "soak.example"


def make(folder):
    """From nothing. -> (project, device id); the board is off."""
    root = folder / "fleet"
    options = init.Options(
        vendor=VENDOR, board=BOARD, host=HOST, port=free_port(), est_port=free_port(), height=10
    )
    init.do_init(root, options, lambda done, total: None)
    program = folder / "app"
    program.mkdir()
    (program / "main.py").write_text(app.SOURCE)
    found = project.load(root)
    build.do_build(found, BOARD, app=program)
    images = found.image_folder(BOARD, found.app.version, found.app.sequence)
    for name in ("image.img", "recovery.img"):
        sign.do_sign(found, images / name, sign.Options())
    flash.do_flash(found, "picow", images=images)
    made = provision.do_provision(found, "picow", development=True)
    return found, made["id"]


def board(found):
    """The fleet's board, off."""
    return PicoW(target.folder(found, "picow", None))


def count(database, device):
    """How many readings the collector has committed."""
    store = Store(database, read_only=True)
    try:
        return store.one("SELECT count(*) FROM reading WHERE device = ?", (device,))[0]
    finally:
        store.close()


def rows(database, device):
    """{sensor: [(time in s, value)]} as the collector committed them, and [(event, times)]."""
    store = Store(database, read_only=True)
    try:
        query = "SELECT time, value FROM reading WHERE device = ? AND name = ? ORDER BY rowid"
        readings = {name: store.all(query, (device, name)) for name, _ in app.SENSORS}
        counted = "SELECT name, count(*) FROM event GROUP BY name ORDER BY name"
        return readings, store.all(counted)
    finally:
        store.close()
