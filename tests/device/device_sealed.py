"""Board keys and sealed files on the device."""

from uward.errors import KeyRefused, UwardError
from uward.vault import keys, sealed

ROOT = bytes(range(32))


def cycle(folder, path, plaintext):
    """-> [two writes' file contents, what is read back]."""
    out = []
    for _ in range(2):
        sealed.write(ROOT, path, bytes.fromhex(plaintext), folder)
        with open(folder + path, "rb") as f:
            out.append(f.read().hex())
    return out, sealed.read(ROOT, path, folder).hex()


def read(folder, path, root=None):
    try:
        return sealed.read(bytes.fromhex(root) if root else ROOT, path, folder).hex()
    except UwardError as e:
        return [type(e).__name__, str(e)]


def too_long(folder):
    try:
        sealed.write(ROOT, "/x", bytes(4097), folder)
    except UwardError as e:
        return [type(e).__name__, str(e)]


def derived():
    return [keys.record_key(ROOT).hex(), keys.file_key(ROOT, bytes(16), "/id/dev").hex()]


def root(folder):
    """-> [enrolled, root secret or refusal]."""
    try:
        if not keys.enrolled(folder):
            return [False, None]
    except OSError as e:
        return ["OSError", e.args[0]]
    try:
        return [True, keys.root(folder).hex()]
    except KeyRefused as e:
        return [True, str(e)]
