"""`uward interpreter`, sign, release: from a stock image to what devices are offered."""

import json

import pytest
from test_partitions import application, stock_like

from host_tools import project
from host_tools.errors import Refused, UsageError
from host_tools.fleet import releases
from host_tools.signing import author
from host_tools.verbs import flash, init, interpreter, release, sign

NEXT = ("1.28.0", 7)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet") / "f"
    options = init.Options(vendor="example.org", board="esp32_s3", ssid="ward", height=10)
    init.do_init(folder, options, lambda done, total: None)
    return folder


def test_it_is_made_signed_and_offered(fleet, tmp_path):
    found = project.load(fleet)
    stock = tmp_path / "firmware.bin"
    stock.write_bytes(stock_like() + b"\xff" * 4096)
    made = interpreter.do_interpreter(found, "esp32_s3", stock, *NEXT)
    assert made["size"] == len(application())
    folder = found.image_folder("esp32_s3", "interpreter-1.28.0", 7)
    assert (folder / "image.img").read_bytes() == application()
    with pytest.raises(UsageError, match="is there already"):
        interpreter.do_interpreter(found, "esp32_s3", stock, *NEXT)
    with pytest.raises(Refused, match="role release needs 1"):
        release.do_release(found, "esp32_s3", folder)
    signed = sign.do_sign(found, folder / "image.img", sign.Options())
    assert (signed["component"], signed["missing"]) == ("interpreter", None)
    with pytest.raises(Refused, match="not a ROMFS image"):
        flash.signed_image(found, "esp32_s3", folder / "image.img")  # nothing that a slot takes
    told = release.do_release(found, "esp32_s3", folder)
    assert told["component"] == "interpreter" and told["sequence"] == 7
    home = found.folder("releases") / "7"
    assert (home / "payload").read_bytes() == application()
    assert author.inspect((home / "envelope.suit").read_bytes())["component"] == "interpreter"
    record = json.loads((home / "release.json").read_text())
    assert releases.load_all(home.parent)[0].component == record["component"] == "interpreter"


def test_what_no_board_could_take_is_refused(fleet, tmp_path):
    found = project.load(fleet)
    path = tmp_path / "firmware.bin"
    path.write_bytes(application((bytes(0x200000),)))
    with pytest.raises(Refused, match="do not fit into 2097152"):
        interpreter.do_interpreter(found, "esp32_s3", path, "2.0", 8)
    path.write_bytes(b"UF2\n" * 100)
    with pytest.raises(Refused, match="expected an ESP application image"):
        interpreter.do_interpreter(found, "esp32_s3", path, "2.0", 8)
    with pytest.raises(UsageError, match="esp32_c3 has no room for two interpreters"):
        interpreter.do_interpreter(found, "esp32_c3", path, "2.0", 8)
