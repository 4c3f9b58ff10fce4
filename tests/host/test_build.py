"""`uward build`'s parts: selection, compilation, digests, reproducibility."""

import ast
import dataclasses
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys

import cbor2
import pytest
from uward import limits

from host_tools.boards import catalogue
from host_tools.errors import Refused, UsageError
from host_tools.image import build, digests, romfs, size, sources
from host_tools.image import compile as mpy
from host_tools.image.digests import Build

PICO = catalogue.load("rpi_pico_w")
FACTS = Build("1.0.0", 1, 1, 1795132800, "rpi_pico_w", "app.main", "armv6m")
MAIN = b"from uward import Agent\nagent = Agent()\n"


@pytest.fixture
def app(tmp_path):
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "main.py").write_bytes(MAIN)
    (folder / "README.md").write_text("not code")
    return folder


@pytest.fixture(scope="module")
def umqtt():
    return lambda: b"class MQTTClient:\n    pass\n"


@pytest.fixture(autouse=True)
def offline(monkeypatch, umqtt):
    monkeypatch.setattr(sources.agent, "__defaults__", (umqtt,))


def test_same_sources_same_bytes_from_another_folder(app, tmp_path):
    first = build.images(PICO, FACTS, app, [])
    other = tmp_path / "elsewhere" / "program"
    shutil.copytree(app, other)
    os.utime(other / "main.py", (1, 1))
    assert build.images(PICO, FACTS, other, []) == first


def test_the_image_says_what_it_is_and_carries_every_digest(app):
    images = build.images(PICO, FACTS, app, [])
    files = romfs.unpack(images.app)
    assert cbor2.loads(digests.contents(images.app)["/build"]) == {
        1: 1,
        2: "1.0.0",
        3: 1,
        4: 1,
        5: 1795132800,
        6: "rpi_pico_w",
        7: "app.main",
        8: "armv6m",
    }
    table = files.pop("/digests")
    count, size = struct.unpack(">HI", table[:6])
    names = table[6 : 6 + size].decode().split("\n")[1:-1]
    assert len(names) == count
    assert names == sorted(names)
    assert set(names) > set(files)
    deflated = 0
    for i, name in enumerate(names):
        offset, size_of, digest = struct.unpack_from(">II16s", table, 6 + size + 24 * i)
        if size_of & 0x80000000 and name in files:
            size_of &= 0x7FFFFFFF
            deflated += 1
        if name in files:
            assert images.app[offset : offset + size_of] == files[name]
            assert digest == hashlib.sha256(files[name]).digest()[:16]
        else:
            assert (offset, size_of, digest) == (0, 0xFFFFFFFF, bytes(16))
    assert images.app.index(b"digests") < 12  # the first record
    assert deflated > len(files) // 2
    assert len(images.app) < 0.8 * sum(map(len, digests.contents(images.app).values()))
    assert digests.inspect(images.app) == FACTS


def test_the_recovery_image_has_no_app(app):
    images = build.images(PICO, FACTS, app, [])
    assert not [path for path in romfs.unpack(images.recovery) if path.startswith("/app")]
    assert digests.inspect(images.recovery).entry == "uward.recovery"


def test_the_recovery_image_has_files_of_the_apps_image_and_all_that_it_needs(app):
    images = build.images(PICO, FACTS, app, [])
    whole, recovery = digests.contents(images.app), digests.contents(images.recovery)
    own = {"/build", "/digests", "/uward/names.mpy"}
    assert {path for path in recovery if recovery[path] != whole.get(path)} == own
    needed = sources.asked_for(sources.agent(PICO), {})
    assert set(recovery) == own | {path.removesuffix(".py") + ".mpy" for path in needed}


def test_no_path_of_the_host_is_in_an_image(app):
    images = build.images(PICO, FACTS, app, [])
    assert str(app).encode() not in images.app
    assert str(sources.FIRMWARE).encode() not in images.app


def test_other_boards_ports_stay_out(app):
    agent = sources.agent(PICO)
    ports = {path for path in agent if path.startswith("/uward/port/")}
    assert "/uward/port/rp2.py" in ports
    assert not [path for path in ports if "esp32" in path or "unix" in path]
    assert not [path for path in agent if path.endswith("_cpython.py")]


@pytest.mark.parametrize("name", ["esp32", "esp32_c3", "esp32_s3", "unix"])
def test_every_board_builds(app, name):
    board = catalogue.load(name)
    facts = dataclasses.replace(FACTS, board=name, arch=board.mpy_arch)
    files = romfs.unpack(build.images(board, facts, app, []).app)
    assert ("/umqtt/simple.mpy" in files) == (board.port != "esp32")
    assert not [path for path in files if path.endswith(".py")]


@pytest.mark.parametrize("arch", ["armv6m", "xtensawin", "rv32imc", "x64"])
def test_native_code_is_of_the_boards_architecture(arch):
    source = b"import micropython\n@micropython.viper\ndef f(a: int) -> int:\n    return a + 1\n"
    code = mpy.compile_one("/uward/crypto/_x_native.py", source, arch)
    assert code[2] >> 2 == mpy.ARCHITECTURES[arch]


def test_thumb_code_is_left_out_elsewhere():
    source = b"import micropython\n@micropython.asm_thumb\ndef f(r0):\n    add(r0, r0, r0)\n"
    modules = {"/uward/_t_native.py": source, "/uward/a.py": b"x = 1\n"}
    assert set(mpy.compile_all(modules, "armv6m")) == {"/uward/_t_native.mpy", "/uward/a.mpy"}
    assert set(mpy.compile_all(modules, "xtensawin")) == {"/uward/a.mpy"}


def test_the_agent_has_no_line_numbers_and_the_app_has():
    source = b"def f():\n    x = 1\n    y = 2\n    return x + y\n"
    short = mpy.compile_one("/uward/a.py", source, "armv6m")
    assert len(short) < len(mpy.compile_one("/app/a.py", source, "armv6m"))


def test_source_that_does_not_compile_is_refused_with_its_place():
    with pytest.raises(Refused, match=r"/app/a.py: does not compile: SyntaxError"):
        mpy.compile_one("/app/a.py", b"def\n", "armv6m")


def test_the_apps_lint_findings_stop_the_build(app):
    (app / "main.py").write_bytes(b"import socket\neval('1')\n")
    with pytest.raises(Refused, match=r"/app/main.py:1: socket opens") as caught:
        build.images(PICO, FACTS, app, ["eval"])
    assert "allow = ['socket']" in caught.value.hint
    assert build.images(PICO, FACTS, app, ["eval", "socket"])


def test_an_app_without_its_entry_is_refused(app):
    facts = dataclasses.replace(FACTS, entry="app.start")
    with pytest.raises(Refused, match=r"the app has no /app/start.py"):
        build.images(PICO, facts, app, [])


def test_an_app_with_too_many_files_is_refused(app):
    """A board would not start it: the count is that of the device."""
    assert build.IMAGE_FILES == limits.IMAGE_FILES
    room = build.IMAGE_FILES - counted(build.images(PICO, FACTS, app, []).app)
    for n in range(room):
        (app / f"module{n}.py").write_bytes(b"")
    assert counted(build.images(PICO, FACTS, app, []).app) == build.IMAGE_FILES
    (app / "onemore.py").write_bytes(b"")
    with pytest.raises(Refused, match="has 193 files and folders, a board takes 192"):
        build.images(PICO, FACTS, app, [])


def counted(image):
    """Files and folders as the device counts them (SPEC 2)."""
    return int.from_bytes(romfs.unpack(image)[digests.DIGESTS][:2], "big")


def test_a_folder_without_a_program_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no main.py there"):
        sources.app(tmp_path)


def test_compiled_code_in_the_app_is_refused(app):
    (app / "fast.mpy").write_bytes(b"M")
    with pytest.raises(UsageError, match="compiled code is not taken"):
        sources.app(app)


def test_a_changed_image_is_seen(app):
    files = romfs.unpack(build.images(PICO, FACTS, app, []).app)
    files["/app/main.mpy"] += b"\0"
    with pytest.raises(Refused, match="changed after the build"):
        digests.inspect(romfs.pack(files))
    with pytest.raises(Refused, match="has no /digests"):
        digests.inspect(romfs.pack({"/a": b""}))
    with pytest.raises(Refused, match="has no /build"):
        digests.inspect(digests.pack({"/a": b""}))


def test_a_closure_follows_imports_and_takes_packages_along():
    modules = {
        "/p/__init__.py": b"",
        "/p/a.py": b"from p import b\ndef f():\n    import p.c\n",
        "/p/b.py": b"import struct\n",
        "/p/c.py": b"",
        "/p/d.py": b"",
    }
    eager = sources.closure(modules, ["/p/a.py"], lazy=False)
    assert set(eager) == {"/p/__init__.py", "/p/a.py", "/p/b.py"}
    assert set(sources.closure(modules, ["/p/a.py"], lazy=True)) == {*eager, "/p/c.py"}


def test_size_counts_what_stays_and_names_the_limit():
    done = subprocess.run(
        [sys.executable, "-m", "host_tools.image.size"], capture_output=True, text=True
    )
    assert " bytes resident of 65536; " in done.stdout
    taken = re.search(r"in flash the image takes (\d+) bytes, recovery (\d+)$", done.stdout, re.M)
    assert 2**16 < int(taken[2]) < int(taken[1]) < 2**18
    assert "/uward/agent.mpy" in done.stdout
    assert "/uward/update/" not in done.stdout and "p256" not in done.stdout
    total = int(done.stdout.splitlines()[-1].split()[0])
    assert done.returncode == (1 if total > 65536 else 0)


def test_what_counts_as_dropped_the_device_does_drop():
    modules = {**sources.agent(PICO), **sources.app(sources.EXAMPLE_APP)}
    stays = sources.closure(modules, [size.APP, *size.listed(modules)], lazy=False)
    spare = re.search(rb"_SPARE = (\(.*?\))", modules[size.LAZY], re.S)[1]
    prefixes = [
        "/uward/" + name.replace(".", "/") for name in ast.literal_eval(spare.decode()).split()
    ]
    for path in stays:
        dropped = path.startswith(tuple(size.DROPPED)) and path != "/uward/limits.py"
        assert not dropped or path.startswith(tuple(prefixes)), path


def test_native_code_that_stays_holds_no_word_that_looks_like_an_address():
    """The collector would keep for ever what lies there (adr/0023). Blocks are of 16 bytes."""
    end = 0x20040000  # of the RP2040's striped SRAM, and of the heap
    modules = {**sources.agent(PICO), **sources.app(sources.EXAMPLE_APP)}
    compiled = mpy.compile_all(modules, PICO.mpy_arch)
    native = [p for p in size.resident(modules, compiled) if mpy.is_native(p)]
    assert native == ["/uward/crypto/_aead_native.mpy"]
    for path in native:
        code = compiled[path]
        for place in range(len(code) - 3):  # a .mpy does not say where code is aligned
            word = int.from_bytes(code[place : place + 4], "little")
            inside = end - PICO.heap_bytes <= word < end and word % 16 == 0
            assert not inside, f"{path}: {word:#x} at {place}"


def test_a_resident_list_that_names_nothing_is_refused():
    with pytest.raises(Refused, match="names 1 resident modules, 0 are there"):
        size.listed({size.WARM: b'_RESIDENT = "gone"\n'})


def test_a_library_of_the_agent_comes_with_the_app_that_imports_it():
    modules = sources.agent(PICO)
    plain = sources.asked_for(modules, {"/app/main.py": b"from uward import Agent\n"})
    assert set(modules) - set(plain) == set(sources.LIBRARIES)
    program = {"/app/main.py": b"def keep():\n    from uward.vault.store import Store\n"}
    asked = set(sources.asked_for(modules, program)) & set(sources.LIBRARIES)
    assert asked == {"/uward/vault/store.py"}
    recovery = sources.asked_for(modules, {})
    assert set(plain) - set(recovery) == set(sources.READINGS)
