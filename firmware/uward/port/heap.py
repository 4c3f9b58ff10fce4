"""The heap, alike on every port (S20)."""

import gc


def collect_each(size):
    """Collect the garbage whenever `size` bytes were allocated (CPython does as it likes)."""
    if hasattr(gc, "threshold"):
        gc.threshold(size)


def block_ok(size):
    """-> True if the heap holds `size` bytes in one block."""
    try:
        bytearray(size)
        return True
    except MemoryError:
        return False
