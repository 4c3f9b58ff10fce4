"""Modules that are imported when they are needed and dropped afterwards (S20)."""

import gc
import sys

_SPARE = (
    "codec.cose codec.der crypto.p256 crypto._p256 crypto._field crypto._inverse crypto.lms "
    "crypto._lms crypto._chain crypto._sha trust. link.tls link.peer link.inbox link.derive "
    "link.renewal link.audit link.est boot.store boot.record boot.slots guard. vault.data "
    "vault.source vault.rotate vault.reseal vault.mount vault.kept vault.room "
    "crypto.keywrap boot.wipe"
)


def spare():
    """Drop what is needed only now and then."""
    drop(*_SPARE.split())


def use(name):
    """Import `uward.<name>` into a heap that was collected before. -> the module."""
    gc.collect()
    full = "uward." + name
    __import__(full)
    return sys.modules[full]


def drop(*names):
    """Forget each module whose name begins with `uward.<name>`: its code is freed when nobody
    holds it."""
    for loaded in list(sys.modules):
        if loaded.startswith("uward."):
            inner = loaded[6:]
            for name in names:
                if inner.startswith(name):
                    _forget(loaded)
                    break
    gc.collect()


def _forget(loaded):
    parent, _, child = loaded.rpartition(".")
    del sys.modules[loaded]
    package = sys.modules.get(parent)
    if package is not None and hasattr(package, child):
        delattr(package, child)


def again(value):
    """A copy of a plain value, in the lowest holes of the heap, once code was dropped.

    What was made while that code was there lies above it: one number of 16 bytes there parts what
    the code leaves free in two (S20).
    """
    if isinstance(value, list):
        return [again(item) for item in value]
    if isinstance(value, dict):
        return {key: again(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return bytes(bytearray(value))
    if isinstance(value, str):
        return str(bytes(value, "utf-8"), "utf-8")
    return value + 0 if type(value) is int else value
