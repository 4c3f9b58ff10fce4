"""How often each manifest's payload began to be written: flash writes are limited (S6).

`/slot/starts`: entries of 8 bytes of manifest digest and a count, newest first, one inline file
(S21). It is not authenticated: whoever writes flash can wear it out without our help.
"""

from uward import files, limits
from uward.compat import const
from uward.errors import LimitError, UpdateRefused

PATH = "/slot/starts"
_NAME = const(8)
_ENTRY = const(9)


def count(digest, root=""):
    """One more start of this manifest. UpdateRefused when it had limits.INSTALL_STARTS."""
    name = digest[:_NAME]
    others = b""
    starts = 0
    known = _read(root + PATH)
    for at in range(0, len(known), _ENTRY):
        entry = known[at : at + _ENTRY]
        if entry[:_NAME] == name:
            starts = entry[_NAME]
        else:
            others += entry
    if starts >= limits.INSTALL_STARTS:
        raise UpdateRefused(
            "upd.refused", "install: expected <= %d starts, got more" % limits.INSTALL_STARTS
        )
    kept = others[: _ENTRY * (limits.INSTALL_NAMES - 1)]
    with open(root + PATH, "wb") as f:
        f.write(name + bytes((starts + 1,)) + kept)


def _read(path):
    """-> whole entries; none when the file is absent or no file of ours."""
    try:
        data = files.read(path, _ENTRY * limits.INSTALL_NAMES)
    except (OSError, LimitError):
        return b""
    return b"" if len(data) % _ENTRY else data
