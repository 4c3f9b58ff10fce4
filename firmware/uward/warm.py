"""What stays loaded, imported before it all else, in an order that spares the heap (S20).

Done once, and dropped afterwards.
"""

import sys

from uward import lazy
from uward.compat import const

# What stays loaded, each after those that it imports: the heap is collected before each one, so
# that modules lie close together and their loading leaves no holes
_RESIDENT = "crypto.hash crypto.aead crypto.rng port vault.packs vault.outbox orders"
_RESIDENT += " repeats telemetry agent link.session vault.keys vault.sealed link.clock link.wifi"
_RESIDENT += " link.stream link.mqtt_parser link.mqtt_encoder link.mqtt link.station link.mail"
_RESIDENT += " link.hello link.uplink trust"

_CHILDREN = const(8)  # modules that one package has for a while: a signature's in crypto/
_MODULES = const(16)  # modules that are loaded for a while together


def run():
    """Import what stays.

    Names are kept for ever by MicroPython: those of modules that come and go, which the build
    has put into one module, have their place now, and not later in the middle of the free block.
    """
    try:
        lazy.use("names")
        lazy.drop("names")
    except ImportError:
        pass  # no image, but a checkout: the names come with their modules
    for name in _RESIDENT.split():
        lazy.use(name)
    _make_room()


def _make_room():
    """Let the tables of packages, and of modules, grow now to what they will hold at most."""
    names = dir(sys)[:_CHILDREN]  # any that are there already
    for loaded in list(sys.modules):
        package = sys.modules[loaded]
        if loaded.startswith("uward.") and hasattr(package, "__path__"):
            new = [name for name in names if not hasattr(package, name)]
            for name in new:
                setattr(package, name, None)
            for name in new:
                delattr(package, name)
    for name in range(_MODULES):
        sys.modules[name] = None
    for name in range(_MODULES):
        del sys.modules[name]
