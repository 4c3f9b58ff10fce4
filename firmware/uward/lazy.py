"""Modules that are imported when they are needed and dropped afterwards (S20)."""

import gc
import sys

# What stays loaded, each after those that it imports: the heap is collected before each one, so
# that modules lie close together and their loading leaves no holes
_RESIDENT = "crypto.hash crypto.aead crypto.rng port vault.packs vault.outbox agent"
_RESIDENT += " link.session vault.keys vault.sealed link.clock link.wifi link.stream"
_RESIDENT += " link.mqtt_parser link.mqtt_encoder link.mqtt link.station link.uplink"


def warm():
    """Import what stays, in an order that spares the heap (S20)."""
    for name in _RESIDENT.split():
        use(name)


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
        for name in names:
            if loaded.startswith("uward." + name):
                _forget(loaded)
                break
    gc.collect()


def _forget(loaded):
    parent, _, child = loaded.rpartition(".")
    del sys.modules[loaded]
    package = sys.modules.get(parent)
    if package is not None and hasattr(package, child):
        delattr(package, child)
