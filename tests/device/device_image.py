"""The ROMFS file system on the device: what it opens, lists and refuses."""

import os

from uward.boot import image


def _caught(call, *arguments):
    try:
        return call(*arguments)
    except OSError as e:
        return "OSError %d" % e.args[0]
    except EOFError:
        return "EOFError"
    except ValueError as e:
        return str(e)


def _read(found, path):
    return found.open(path, "rb").read()


def look(path, most=160):
    """-> [names in order, contents in hex or refusal], or the refusal of the whole."""
    found = _caught(image.Image, path, most)
    if isinstance(found, str):
        return found
    names = sorted(str(line, "utf-8") for line in found.names.split(b"\n") if line)
    out = []
    for name in names:
        content = _caught(_read, found, name)
        out.append(content if isinstance(content, str) else content.hex())
    return [names, out]


def ask(path):
    """The calls that a mount makes. -> their answers."""
    found = image.Image(path)
    answers = {
        "root": found.stat("/")[0],
        "folder": found.stat("/app")[0],
        "file": found.stat("app/main.py")[6],
        "deflated": found.stat("app/long.txt")[6],
        "deflated text": found.open("/app/long.txt", "r").read(),
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


def changed_after_mount(path, path_inside, offset):
    """Flash changes below a mounted image: the file that holds it is not opened again."""
    found = image.Image(path)
    before = _caught(_read, found, path_inside)
    with open(path, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)
        f.seek(offset)
        f.write(bytes((byte[0] ^ 1,)))
        f.flush()
    found.file.seek(0, 2)  # CPython forgets what it read ahead
    after = _caught(_read, found, path_inside)
    size = os.stat(path)[6]
    return [before.hex(), after, size]


def slowly(path):
    """Two files read at once, a few bytes at a time; the second is left open. -> what came."""
    found = image.Image(path)
    one = found.open("/app/inner/data", "rb")
    other = found.open("/app/inner/data", "rb")
    other.read(3)
    parts = []
    while True:
        part = one.read(7)
        if not part:
            return b"".join(parts).hex()
        parts.append(part)
