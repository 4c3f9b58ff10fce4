"""A board that is commanded, see `commanded`: imported once its root has moved."""

import device_defences


def run(root, steps):
    """-> [what came of each step, the events, what actuators did]."""
    device_defences.at(root)
    import commanded

    return commanded.run(steps)
