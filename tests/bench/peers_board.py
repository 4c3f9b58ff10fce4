"""Public update libraries under three attacks and every power cut, on the Unix port.

The library is as published; what it asks of a board and of the network is stood in for here: the
server is the attacker's. `main.py` is what an update replaces.
"""

import os
import sys

import faults

OLD = b"print('old')\n" * 300
NEW = b"print('new')\n" * 350
AT = "/board"
FILES = ["main.py", "lib.py"]  # an app of two files that belong together


class Response:
    status_code = 200

    def __init__(self, data):
        self._data = data
        self.text = str(data, "utf-8")
        self.headers = {"Content-Length": str(len(data))}
        self.raw = self

    def read(self, size):
        part, self._data = self._data[:size], self._data[size:]
        return part

    def close(self):
        pass


class Reset(BaseException):
    pass


class Pin:
    OUT = 0

    def __init__(self, *arguments):
        pass

    def value(self, level):
        pass


class Stub:
    """Every module that a library imports and this port has not."""

    STA_IF = 0
    Pin = Pin

    def __init__(self):
        self.files = {}

    def get(self, url, **options):
        return Response(self.files[url.rsplit("/", 1)[-1]])

    def reset(self):
        raise Reset

    soft_reset = reset

    def WLAN(self, interface):
        return self

    def active(self, on):
        pass

    def isconnected(self):
        return True


stub = Stub()
for name in ("urequests", "machine", "network"):
    sys.modules[name] = stub


def senko():
    from senko import senko as library

    library.Senko(None, None, url="http://server/app", files=FILES).update()


def micropython_ota():
    import micropython_ota as library

    library.ota_update("http://server", "app", FILES, use_version_prefix=False)


def espfota():
    import espFOTA as library

    library.espFOTA("ssid", "password", "http://server/main.py").run()


def update(library):
    def run(root):
        os.chdir(root)
        try:
            library()
        except Reset:
            pass
        os.chdir("/")

    return run


def ready(root):
    for name, data in (("main.py", OLD), ("lib.py", OLD), ("version", b"v2")):
        with open(root + "/" + name, "wb") as f:
            f.write(data)


def content(root):
    with open(root + "/main.py", "rb") as f:
        return f.read()


def whole(root):
    """Both files are old, or both are new."""
    found = []
    for name in FILES:
        try:
            with open(root + "/" + name, "rb") as f:
                found.append(f.read())
        except OSError:
            found.append(None)
    return found in ([OLD] * len(FILES), [NEW] * len(FILES))


def accepts(library, served, version):
    """Whether what the server says ends up as main.py."""
    stub.files = {"main.py": served, "lib.py": served, "version": version}
    flash = faults.blank(24)
    faults.powered(flash, AT, ready)
    faults.powered(flash, AT, update(library))
    return faults.powered(flash, AT, content)[0] == served


def cuts(library):
    """-> (cuts, those after which the app mixes old and new"""
    stub.files = {"main.py": NEW, "lib.py": NEW, "version": b"v3"}
    flash = faults.blank(24)
    faults.powered(flash, AT, ready)
    tried = broken = 0
    for mode in faults.MODES:
        at = 1
        while True:
            copy = bytearray(flash)
            cut = faults.powered(copy, AT, update(library), at, mode)[1]
            os.chdir("/")
            if not cut:
                break
            tried += 1
            broken += not faults.powered(copy, AT, whole)[0]
            at += 1
    return tried, broken


def verdicts(name):
    """-> {attack: whether it was accepted}, cuts, those that broke main.py"""
    library = {"senko": senko, "micropython-ota": micropython_ota, "espfota": espfota}[name]
    if library is espfota:
        FILES[1:] = []  # it knows one file only
    changed = bytearray(NEW)
    changed[1000] ^= 1
    found = {
        "changed": accepts(library, bytes(changed), b"v3"),
        "older": accepts(library, b"print('v1')\n" * 99, b"v1"),
        "cut short": accepts(library, NEW[: len(NEW) // 2], b"v3"),
    }
    # micropython-ota goes on after a cut: a bare `except` of it keeps what stands for one here
    tried, broken = (0, 0) if library is micropython_ota else cuts(library)
    return [found, tried, broken]
