"""The release log in flash: what a boot demands of a release, and the head that it keeps."""

import os

import device_defences


def demand(root, steps):
    """[[proof or None, envelope, document]] in hex, as if each came with a boot of its own.

    -> outcomes, [size seen] after each, and what is left in /slot.
    """
    device_defences.at(root)
    from uward.errors import UpdateRefused
    from uward.trust import anchors, suit
    from uward.update import logged
    from uward.vault import keys

    out = []
    for proof, envelope, document in steps:
        if proof is not None:
            with open(logged.PROOF, "wb") as f:
                f.write(bytes.fromhex(proof))
        parsed = suit.parse(bytes.fromhex(envelope))
        try:
            logged.demand(keys.root(), anchors.parse(bytes.fromhex(document)), parsed)
            outcome = ""
        except UpdateRefused as e:
            outcome = "%s: %s" % (e.event, e)
        seen = logged.seen(keys.root())
        out.append([outcome, seen and seen[0]])
    out.append(sorted(os.listdir("/slot")))
    return out
