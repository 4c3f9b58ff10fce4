"""The ROMFS file system on the device: what it opens, lists and refuses."""

import os

from uward.boot import image


def _caught(call, *arguments):
    try:
        return call(*arguments)
    except OSError as e:
        return "OSError %d" % e.args[0]
    except ValueError as e:
        return str(e)


def look(path, most=160):
    """-> [names in order, contents in hex or refusal], or the refusal of the whole."""
    found = _caught(image.Image, path, most)
    if isinstance(found, str):
        return found
    names = sorted(str(line, "utf-8") for line in found.names.split(b"\n") if line)
    out = []
    for name in names:
        content = _caught(found.content, name.encode())
        out.append(content if isinstance(content, str) else content.hex())
    return [names, out]


def ask(path):
    """The calls that a mount makes. -> their answers."""
    found = image.Image(path)
    answers = {
        "root": found.stat("/")[0],
        "folder": found.stat("/app")[0],
        "file": found.stat("app/main.py")[6],
        "none": _caught(found.stat, "/app/none"),
        "part of a name": _caught(found.stat, "/app/mai"),
        "two names": _caught(found.stat, "/app\n/app/main.py"),
        "listing": sorted([list(item)[:2] for item in found.ilistdir("/")]),
        "inner listing": sorted([item[0] for item in found.ilistdir("/app")]),
        "text": found.open("/app/main.py", "r").read(),
        "bytes": found.open("/app/main.py", "rb").read().hex(),
        "write": _caught(found.open, "/app/main.py", "w"),
        "append": _caught(found.open, "/app/main.py", "ab"),
        "update": _caught(found.open, "/app/main.py", "r+b"),
        "open a folder": _caught(found.open, "/app", "rb"),
        "chdir": _caught(found.chdir, "/app"),
        "cwd": found.getcwd(),
    }
    found.umount()
    return answers


def changed_after_mount(path, offset):
    """Flash changes below a mounted image: the file that holds it is not opened again."""
    found = image.Image(path)
    before = _caught(found.content, b"/app/main.py")
    with open(path, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)
        f.seek(offset)
        f.write(bytes((byte[0] ^ 1,)))
        f.flush()
    found.file.seek(0, 2)  # CPython forgets what it read ahead
    after = _caught(found.content, b"/app/main.py")
    size = os.stat(path)[6]
    return [before.hex(), after, size]
