"""Enrolment's refusals, on files under a folder (see device_defences)."""

import device_defences


def calls(root, state, steps):
    """Run [[name, arguments in hex or plain], ..] in a board of `state` -> what each gave."""
    device_defences.at(root)
    from uward import enrol
    from uward.boot import handover
    from uward.errors import UwardError

    handover.info.clear()
    handover.info.update({"state": state, "manifest": bytes(32), "trust": 1, "board": "unix"})
    enrol._pending.clear()
    out = []
    for name, arguments in steps:
        given = [
            bytes.fromhex(item[4:]) if isinstance(item, str) and item.startswith("hex:") else item
            for item in arguments
        ]
        try:
            getattr(enrol, name)(*given)
            out.append("")
        except UwardError as e:
            out.append("%s: %s" % (type(e).__name__, e))
    return out
