"""The boot record's two files: each at most one inline file, overwritten and closed (S21)."""

import os

from uward.boot import record as records

_PATHS = ("/rec/0", "/rec/1")


def _read(path):
    try:
        with open(path, "rb") as f:
            return f.read(records.SIZE + 1)
    except OSError:
        return b""


def load(key, root=""):
    """-> Record. BootRefused when neither copy is valid."""
    return records.choose([_read(root + path) for path in _PATHS], key)


def save(record, key, root=""):
    """Write the next generation over the older copy; what was current stays until then."""
    record.generation += 1
    record.copy = 1 - record.copy
    with open(root + _PATHS[record.copy], "wb") as f:
        f.write(records.pack(record, key))


def save_both(record, key, root=""):
    """Two generations: what must outlive the loss of the newer copy, as the floor must (S3)."""
    save(record, key, root)
    save(record, key, root)


def create(record, key, root=""):
    """Both copies of a new record, at enrolment."""
    try:
        os.mkdir(root + "/rec")
    except OSError:
        pass  # it is there
    save_both(record, key, root)
