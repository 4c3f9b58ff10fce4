"""Modules that are imported when they are needed and dropped afterwards (S20)."""

import gc
import sys

# What stays loaded, each after those that it imports: the heap is collected before each one, so
# that modules lie close together and their loading leaves no holes
_RESIDENT = "crypto.hash crypto.aead crypto.rng port vault.packs vault.outbox agent"
_RESIDENT += " link.session vault.keys vault.sealed codec.der trust.x509 link.peer"
_RESIDENT += " link.tls link.clock link.wifi link.mqtt_parser link.mqtt_encoder"
_RESIDENT += " link.mqtt link.station link.uplink"


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
