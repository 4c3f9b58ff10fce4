"""A throw-away fleet for tests of trust, boot and install: keys, documents, images, a board."""

import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from host_tools.boards import catalogue
from host_tools.image import compile as mpy
from host_tools.image import digests, layout, lfs, sources
from host_tools.pki import names
from host_tools.signing import author, keys, roles, trust
from host_tools.targets import unix as unix_target
from tests.conftest import FIRMWARE, MICROPYTHON

if str(FIRMWARE) not in sys.path:  # `make bench` runs without pytest's own path
    sys.path.insert(0, str(FIRMWARE))

BOARD = catalogue.load("unix")
PICO_W = catalogue.load("rpi_pico_w")
VENDOR = names.vendor_id("example.com")
CLASS = names.class_id(VENDOR, BOARD.name)
FLEET = bytes(range(16))
DEVICE = "test0device0000001"
NOW = 1_800_000_000
ROOT_SECRET = bytes(range(32))

APP = b"""
from uward.boot import handover
import sys
i = handover.info
print("RUNS", i["slot"], i["version"], i["trial"], i["state"], i["reason"], sys.path)
print("LEFT", [m for m in sys.modules if m.startswith("uward.trust") or "stage0" in m])
import machine
machine.reset()
"""
LAZY = b"""
from uward.errors import KeyRefused
def refuse():
    raise KeyRefused("root: expected another")
spare = drop = lambda *names: None
class use:
    def __init__(self, name):
        self.settle = lambda info: print("SETTLES")
        self.root = refuse
        self.run = lambda: None
"""
CODE = ("codec/__init__.py", "codec/cbor.py", "errors.py", "limits.py", "compat.py")
CODE += ("__init__.py", "boot/__init__.py", "boot/handover.py", "boot/early.py")


class Fleet:
    """Keys in `folder`, made once; HSS-LMS keys of 1024 signatures."""

    def __init__(self, folder):
        self.folder = folder
        self.public = {}
        for name in ("root-lms", "release", "release2"):
            self.public[name] = keys.create_lms(folder / name, 10)
        for name in ("root-p256", "approver", "approver2", "time", "outsider"):
            self.public[name] = keys.create_esp256(folder / name)
        self.public["collector"] = keys.create_ecdh(folder / "collector")
        self.kek = keys.create_kek(folder / "kek")

    def signers(self, *who):
        return [keys.load_signer(self.folder / name) for name in who]

    def document(self, version=1, previous=None, **changes):
        """-> TrustDocument: root 2 of (LMS, P-256), one release key, one approver."""

        def held(threshold, *who):
            return trust.Holders(threshold, tuple((name, self.public[name]) for name in who))

        table = {
            roles.ROOT.number: held(2, "root-lms", "root-p256"),
            roles.RELEASE.number: held(1, "release"),
            roles.APPROVER.number: held(1, "approver"),
            5: held(1, "time"),
            6: held(1, "collector"),
        }
        table.update(changes.pop("roles", {}))
        document = trust.TrustDocument(
            version, FLEET, NOW - 1000, NOW + 10**7, table, (b"\x30\x00",), (), previous
        )
        return replace(document, **changes)

    def held(self, threshold, *who):
        return trust.Holders(threshold, tuple((name, self.public[name]) for name in who))

    def signed(self, document, *who):
        payload = trust.encode_unchecked(document)
        return trust.sign(payload, self.signers(*(who or ("root-lms", "root-p256"))))

    def pins(self, document, board=BOARD):
        return trust.pins(document, VENDOR, CLASS, board.name)

    def release(self, image, sequence=1, security=1, who=("release", "approver"), **changes):
        """-> (envelope, payload)."""
        options = {"version": "1.%d" % sequence, "vendor_id": VENDOR, "class_id": CLASS}
        options.update(changes)
        manifest, payload = author.build_manifest(image, sequence, security, **options)
        return author.sign(manifest, *self.signers(*who)), payload


def image(app=APP, version="1.0", entry="app.main", pad=0, agent=b"", board=BOARD, **extra):
    """-> ROMFS bytes with the few modules that a hand-over needs; pad: bytes of a data file, of
    those that do not shrink."""
    agent_sources = sources.agent(board, lambda: b"")
    modules = {"/uward/" + name: agent_sources["/uward/" + name] for name in CODE}
    modules["/uward/agent.py"] = agent
    modules["/uward/lazy.py"] = LAZY
    modules["/app/__init__.py"] = b""
    modules["/app/main.py"] = app
    modules.update(extra)
    files = mpy.compile_all(modules, board.mpy_arch)
    files["/data"] = hashlib.shake_128(b"pad").digest(pad)
    build = digests.Build(version, 1, 1, NOW, board.name, entry, board.mpy_arch)
    return digests.seal(files, build)


def factory(fleet, app_image, recovery_image, board=BOARD):
    """-> {path: bytes} of a board as it leaves the factory."""
    document = fleet.document()
    envelope, _ = fleet.release(app_image)
    rescue, _ = fleet.release(recovery_image, component="recovery")
    return layout.factory(
        board,
        layout.Slot(app_image, envelope),
        layout.Slot(recovery_image, rescue),
        fleet.pins(document, board),
        {1: fleet.signed(document)},
    )


def slot(envelope, document):
    """-> what the record says of a slot that was judged by this document."""
    from uward.trust import decide, suit

    parsed = suit.parse(envelope)
    plan = decide.boot(parsed, decide.Identity(VENDOR, CLASS))
    return parsed.digest[:16], plan.digest[:16], document.version, trust.digest(document)[:16]


def enrolled(files, fleet, state=2, change=None, document=None, secret=ROOT_SECRET):
    """The files of an enrolled board, its slot a judged by version 1; change(record) edits the
    record before it is written.

    secret: the root secret, which the record's key comes from.
    """
    from uward.boot import record
    from uward.vault import keys as vault_keys

    document = document or fleet.document()
    judge = document if document.version == 1 else fleet.document()
    first = record.Record(state, document.version, trust.digest(document))
    first.slots[0] = slot(files["/slot/a.suit"], judge)
    first.owned[0] = first.confirmed[0] = True
    first.floor = first.sequence = 1
    if change is not None:
        change(first)
    key = vault_keys.record_key(secret)
    out = {**files, "/id/root": secret}
    for copy in (0, 1):
        first.generation += 1
        out["/rec/%d" % copy] = record.pack(first, key)
    return out


class Board:
    """The Unix port as a board for one boot at a time. `flash`: the file with its littlefs."""

    def __init__(self, folder, files):
        self.flash = Path(folder) / "flash.bin"
        self.flash.write_bytes(lfs.build(BOARD, files))

    def boot(self, timeout=60, heap="2m", typed="print(6*7)\n"):
        """-> (output, whether it reset, whether a console opened)."""
        done = subprocess.run(
            [MICROPYTHON, "-X", "heapsize=" + heap, "-i", str(unix_target.BOOT), str(self.flash)],
            input=typed,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        console = re.search(r"\b42\b", done.stdout) is not None
        return done.stdout + done.stderr, done.returncode == -9, console

    def files(self):
        return lfs.read(BOARD, self.flash.read_bytes())

    def record(self):
        from uward.boot import record
        from uward.vault import keys as vault_keys

        files = self.files()
        copies = [files.get("/rec/0", b""), files.get("/rec/1", b"")]
        return record.choose(copies, vault_keys.record_key(ROOT_SECRET))

    def power_on(self):
        self.flash.with_name("flash.bin.rtc").unlink(missing_ok=True)


def swapped_blocks(fleet, whole, blocks, sequence):
    """A signed envelope with the image digest of `whole` and the block hashes of `blocks`."""
    manifest, _ = author.build_manifest(whole, sequence, 1, "1.0", VENDOR, CLASS)
    manifest = manifest.replace(author.block_hashes(whole), author.block_hashes(blocks))
    return author.sign(manifest, *fleet.signers("release", "approver"))
