"""What a board's firmware does at power-on, for the Unix port of MicroPython.

`micropython -i unix_boot.py FLASH`: mounts the littlefs in the file FLASH at `/` in place of the
host's files, runs boot.py and main.py as stock firmware does, and leaves the REPL open.
"""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
import os
import sys

import machine
import vfs

_BLOCK = 4096  # the Pico W's file system: boards/unix.toml
_PROG = 256
_READ = 32


class Machine:
    """The `machine` of a board: a reset that nothing can catch, and memory that survives it."""

    def __init__(self, builtin, path):
        self.builtin = builtin
        self.flash = None
        try:
            self.file = open(path, "r+b")  # noqa: SIM115
        except OSError:
            self.file = open(path, "w+b")  # noqa: SIM115

    def __getattr__(self, name):
        return getattr(self.builtin, name)

    def reset(self):
        os.system("kill -9 $PPID")

    def RTC(self):
        return self

    def memory(self, data=None):
        """Like machine.RTC().memory of an ESP32; the target empties it at power-on."""
        self.file.seek(0)
        if data is None:
            return self.file.read()
        self.file.write(data)


class FileBlocks:
    """Block device (extended interface) over one file; every write reaches the kernel at once."""

    def __init__(self, path):
        self.file = open(path, "r+b")  # noqa: SIM115 (open as long as the board)
        self.count = self.file.seek(0, 2) // _BLOCK
        self.erased = b"\xff" * _BLOCK

    def readblocks(self, number, buffer, offset=0):
        self.file.seek(number * _BLOCK + offset)
        self.file.readinto(buffer)

    def writeblocks(self, number, buffer, offset=None):
        self.file.seek(number * _BLOCK + (offset or 0))
        self.file.write(buffer)

    def ioctl(self, operation, argument):
        if operation == 4:
            return self.count
        if operation == 5:
            return _BLOCK
        if operation == 6:
            self.writeblocks(argument, self.erased)
        return 0


def _mount(path):
    device = board.flash = FileBlocks(path)
    try:
        system = vfs.VfsLfs2(device, readsize=_READ, progsize=_PROG, lookahead=32)
    except OSError:
        vfs.VfsLfs2.mkfs(device, readsize=_READ, progsize=_PROG, lookahead=32)
        system = vfs.VfsLfs2(device, readsize=_READ, progsize=_PROG, lookahead=32)
    vfs.umount("/")
    vfs.mount(system, "/")
    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib"]
    sys.argv[:] = [""]


def _run(name):
    """Run the script `name` if it is there; False when it raised."""
    try:
        with open(name) as file:
            source = file.read()
    except OSError:
        return True
    try:
        exec(compile(source, name, "exec"), names)
    except SystemExit:
        board.reset()
    except Exception as error:
        sys.print_exception(error)
        return False
    return True


names = {"__name__": "__main__"}  # boot.py and main.py share them, as on a board
board = Machine(machine, sys.argv[1] + ".rtc")
sys.modules["machine"] = board  # pyright: ignore[reportArgumentType]
_mount(sys.argv[1])
if _run("boot.py"):
    _run("main.py")
