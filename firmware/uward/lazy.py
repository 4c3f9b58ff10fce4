"""Modules that are imported when they are needed and dropped afterwards (S20)."""

import gc
import sys


def use(name):
    """Import `uward.<name>` into a heap that was collected before. -> the module."""
    gc.collect()
    full = "uward." + name
    __import__(full)
    return sys.modules[full]


def drop(*names):
    """Forget `uward.<name>` and what lies under it: its code is freed when nobody holds it."""
    for name in names:
        full = "uward." + name
        for loaded in list(sys.modules):
            if loaded == full or loaded.startswith(full + "."):
                _forget(loaded)
    gc.collect()


def _forget(loaded):
    parent, _, child = loaded.rpartition(".")
    del sys.modules[loaded]
    package = sys.modules.get(parent)
    if package is not None and hasattr(package, child):
        delattr(package, child)
