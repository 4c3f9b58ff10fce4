"""Key rotation (SPEC 6; ADR 0056): a new root secret, everything sealed anew, the old one erased.

`start` is the command `rotate-keys`; the work is done by `resume` at the next boot, before any
vault is open, and goes on after a cut:

1. `/id/root.next`: the new root. Beside each sealed file its copy under the new root, as
   `<file>.next`; the old root among them, sealed, as `/id/rotate.next`. One copy of the boot
   record under the new key; the other one stays valid until
2. `/id/root.next` is renamed to `/id/root`: from here on the new root holds.
3. Each `.next` is renamed, the record's other copy written, each vault sealed anew.
4. Folder and free blocks are overwritten: littlefs keeps old copies. `/id/rotate` is removed.
"""

import os

from uward import limits
from uward.boot import early, store, wipe
from uward.boot.record import LOCKED
from uward.compat import const
from uward.crypto.rng import random
from uward.errors import BadMac, CodecError, KeyRefused, UwardError, VaultFull
from uward.files import exists
from uward.vault import keys, reseal, sealed

PLAN = "/id/rotate"
_NEXT = ".next"
_ROOT = "/id/root"
_DUE = b"\x01"
_VAULTS = "/vault"
_OPEN = "/vault/open"
_FILES = ("away", "open")  # no vaults: what `away` keeps beside its own
_SALTED = const(39)  # bytes of /id/root with a chip; its salt begins at 7
_SALT_AT = const(7)
_CHURN = const(48)  # rewrites of a small file: 16 fill a block of a folder's metadata pair
_CHURNED = const(200)


def start(agent):
    """The order was judged: the next boot does it. Refused without room, or during a trial."""
    if agent.info["trial"]:
        raise KeyRefused("rotate: expected a confirmed image, got a trial")
    free = os.statvfs("/")[3]
    if free < limits.ROTATE_BLOCKS:
        raise VaultFull("rotate: expected %d free blocks, got %d" % (limits.ROTATE_BLOCKS, free))
    with open(PLAN, "wb") as f:
        f.write(_DUE)
    agent.reset_soon()


def at_boot(info):
    """Before anything sealed is read. -> event for the collector, (name, reason).

    What fails before the new root holds is given up, and the old one stays; afterwards the boot
    fails, and the next one goes on.
    """
    watchdog = early.watchdog() if info["state"] == LOCKED else None
    try:
        return resume(watchdog.feed if watchdog else _nothing)
    except (MemoryError, OSError, UwardError) as e:
        if exists(_ROOT + _NEXT) or not _began(""):
            give_up()
            return "key.kept", "the rotation was given up: %s" % (str(e) or repr(e))
        raise


def _nothing():
    """No watchdog to feed."""


def give_up(root=""):
    """Forget a rotation whose new root does not hold yet."""
    for name in os.listdir(root + "/id"):
        if name.endswith(_NEXT) and name != _ROOT[4:] + _NEXT:
            os.remove(root + "/id/" + name)
    for path in (_ROOT + _NEXT, PLAN):
        if exists(root + path):
            os.remove(root + path)


def due(root=""):
    """Whether a rotation was ordered or cut."""
    return exists(root + PLAN) or exists(root + _ROOT + _NEXT)


def resume(feed, root=""):
    """Begin or go on; at boot only. feed: called often. -> event for the collector."""
    if not exists(root + _ROOT + _NEXT) and not _began(root):
        _draw(root)
    if exists(root + _ROOT + _NEXT):
        _prepare(root, feed)
        os.rename(root + _ROOT + _NEXT, root + _ROOT)
    _adopt(root, feed)
    return "key.rotated", "a new root secret; what the old one sealed is overwritten"


def _began(root):
    """Whether the new root holds already: the plan is then a sealed file, or about to be."""
    return exists(root + PLAN + _NEXT) or os.stat(root + PLAN)[6] > len(_DUE)


def _draw(root):
    """The new root; with a chip a new salt for it."""
    with open(root + _ROOT, "rb") as f:
        now = f.read(_SALTED + 1)
    fresh = random(32)
    with open(root + _ROOT + ".tmp", "wb") as f:
        f.write(now[:_SALT_AT] + fresh if len(now) == _SALTED else fresh)
    os.rename(root + _ROOT + ".tmp", root + _ROOT + _NEXT)


def _prepare(root, feed):
    """Everything under the new root beside the old; what was there of an earlier try is redone."""
    old = keys.root(root)
    with open(root + _ROOT + _NEXT, "rb") as f:
        new = keys.open_root(f.read(_SALTED + 1))
    for name in os.listdir(root + "/id"):
        path = "/id/" + name
        feed()
        if name.endswith(_NEXT) or path == PLAN:
            continue
        try:
            content = sealed.read(old, path, root)
        except (BadMac, CodecError):
            continue  # not a sealed file
        _seal(new, path, content, root)
    _seal(new, PLAN, old, root)
    record = store.load(keys.record_key(old), root)
    store.save(record, keys.record_key(new), root)


def _seal(new, path, content, root):
    """As `sealed.write`, under another name: the path that it is bound to is the final one."""
    sealed.write(new, path, content, root, _NEXT)


def _adopt(root, feed):
    """The new root holds: the rest follows it. Each step may be done already."""
    new = keys.root(root)
    for name in os.listdir(root + "/id"):
        if name.endswith(".tmp"):
            os.remove(root + "/id/" + name)
        elif name.endswith(_NEXT):
            os.rename(root + "/id/" + name, root + "/id/" + name[: -len(_NEXT)])
    key = keys.record_key(new)
    store.save(store.load(key, root), key, root)
    old = sealed.read(new, PLAN, root)
    for name in reseal.names(root + _VAULTS):
        if "." in name or name in _FILES:
            continue  # put aside, it is none of ours
        folder = "%s%s/%s" % (root, _VAULTS, name)
        reseal.vault(folder, name, keys.vault_key(old, name), keys.vault_key(new, name), feed)
    for name in reseal.names(root + _OPEN):
        _reseal(old, new, "%s/%s" % (_OPEN, name), root)
    _scrub(root, feed)
    os.remove(root + PLAN)


def _reseal(old, new, path, root):
    """A copy of an open pack (`away`), which is sealed like a file of /id."""
    try:
        content = sealed.read(old, path, root)
    except (BadMac, CodecError):
        return  # done before a cut, or not ours: `away` will tell
    sealed.write(new, path, content, root)


def _scrub(root, feed):
    """Overwrite what littlefs left: the logs of the folder's metadata pairs, every free block.

    A folder of many files lies in several pairs, sorted by name; a new name goes where the next
    higher one is. So beside each file another is rewritten until its pair was compacted twice.
    """
    for name in os.listdir(root + "/id"):
        path = root + "/id/" + _below(name)
        for _ in range(_CHURN):
            with open(path, "wb") as f:
                f.write(random(_CHURNED))
            feed()
        os.remove(path)
    wipe.overwrite_free(root, feed)


def _below(name):
    """A name just before this one, in the order of bytes; none has a `/` in it."""
    last = chr(ord(name[-1]) - 1)
    return name[:-1] + ("." if last == "/" else last) + "~"
