"""Whether a database is the very file that was closed last time (S12).

A collector that comes back from a backup has forgotten counters. It must not go on under its old
generation: a key and nonce would repeat, and devices would not be asked for the packs that the
backup lacks. So closing leaves a note beside the database with what no copy, no restore and no
write by another hand preserves: inode and time of last change. Without a note that fits (also
after a crash) the generation is a new one, which costs the devices nothing.

A snapshot of the whole disk restores the note as well: say `serve --restored` then.
"""

import json
import os
from pathlib import Path

from host_tools.pki import files


def leave(path: Path) -> None:
    """After the database was closed: note what it looks like."""
    files.write(_note(path), json.dumps(_look(path)).encode(), force=True)


def take(path: Path) -> bool:
    """Before it is opened: True when it is as it was left. The note is used up."""
    note = _note(path)
    try:
        left: object = json.loads(note.read_bytes())
        look = _look(path)
    except (OSError, ValueError):
        return False
    finally:
        note.unlink(missing_ok=True)
        if note.parent.is_dir():
            files.sync_directory(note.parent)
    return left == look and not path.with_name(path.name + "-wal").exists()


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".closed")


def _look(path: Path) -> list[int]:
    found = os.stat(path)
    return [found.st_dev, found.st_ino, found.st_ctime_ns, found.st_size]
