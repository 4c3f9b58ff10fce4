"""The names of modules that come and go: one module without code says them at boot (S20)."""

import subprocess

from host_tools.boards import catalogue
from host_tools.image import build, digests, rename, seldom, sources
from host_tools.image import compile as mpy
from tests.conftest import MICROPYTHON

PICO = catalogue.load("rpi_pico_w")
UNIX = catalogue.load("unix")
PATH = "/uward/names.mpy"
FACTS = digests.Build("1.0.0", 1, 1, 1795132800, PICO.name, "app.main", PICO.mpy_arch)
LONG = b"n" * 130  # its length takes two bytes


def image():
    return digests.contents(build.images(PICO, FACTS, sources.EXAMPLE_APP, []).app)


def test_it_says_what_the_modules_say_and_the_rom_does_not():
    files = image()
    said = set(seldom.names(files[PATH]))
    rom = {name.encode() for name in rename.names(PICO)}
    seldom_used = "link/tls trust/x509 crypto/p256 boot/record update/updater"
    seldom_used += " link/audit guard/attest vault/journal vault/dense vault/kept vault/blind"
    for name in seldom_used.split():
        path = f"/uward/{name}.mpy"
        module = set(seldom.names(files[path]))
        assert module and module - rom <= said, path
        assert {b"/rom" + path.encode(), path[1:-4].replace("/", ".").encode()} <= said
    assert not said & rom
    assert b"uward.guard.command" not in said


def test_the_same_bytes_each_time():
    assert image()[PATH] == image()[PATH]


def test_each_root_is_a_module():
    modules = sources.agent(PICO)
    assert all(f"/uward/{root}.py" in modules for root in seldom.ROOTS.split())


def test_a_board_has_the_names_without_the_modules(tmp_path):
    source = b"def first_of_ours(x):\n    return x.second_of_ours\n"
    modules = {"/uward/link/tls.py": source}
    out = seldom.add(mpy.compile_all(modules, UNIX.mpy_arch), modules, UNIX)
    said = seldom.saying(out[PATH], [LONG])
    (tmp_path / "names.mpy").write_bytes(said)
    program = "import sys, micropython\nsys.path[:] = ['.']\nimport names\n"
    program += "print([n for n in dir(names) if n[0] != '_'])\nmicropython.qstr_info(1)\n"
    done = subprocess.run(
        [MICROPYTHON, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    lines = done.stdout.split("\n")
    assert lines[0] == "[]", done.stderr
    for name in (b"first_of_ours", b"second_of_ours", b"/rom/uward/link/tls.mpy", LONG):
        assert name in seldom.names(said)
        assert f"Q({name.decode()})" in lines
