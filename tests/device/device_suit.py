"""SUIT on the device: every envelope of the vectors; manifests of ours decided with a reason."""

from uward.codec import cosekey
from uward.errors import UpdateRefused, UwardError
from uward.trust import decide, suit


def verdicts(cases):
    """[[envelope hex, public key hex]] -> name of the refusal, or "" when a signature verifies."""
    out = []
    for envelope, public in cases:
        try:
            key = cosekey.Key(cosekey.HSS, bytes.fromhex(public), cosekey.HSS_LMS)
            suit.verify(suit.parse(bytes.fromhex(envelope)), key)
            out.append("")
        except UwardError as e:
            out.append(type(e).__name__)
    return out


def examples(envelopes, x, y):
    """Envelopes in hex -> [sequence, signatures, verdict of the ES256 key] of each."""
    key = cosekey.Key(cosekey.EC2, bytes.fromhex(x + y), cosekey.ES256)
    out = []
    for text in envelopes:
        envelope = suit.parse(bytes.fromhex(text))
        verdict = ""
        try:
            suit.verify(envelope, key)
        except UwardError as e:
            verdict = type(e).__name__
        out.append([envelope.manifest[2], len(envelope.signatures), verdict])
    return out


def refusals(envelopes):
    """Envelopes in hex -> [error class, message]; ["", ""] for one that parses."""
    out = []
    for text in envelopes:
        try:
            suit.parse(bytes.fromhex(text))
            out.append(["", ""])
        except UwardError as e:
            out.append([type(e).__name__, str(e)])
    return out


def decide_all(cases, vendor, klass):
    """[[envelope hex, {device, now, slot}, "install" or "boot"]] -> ['', plan], or the refusal."""
    out = []
    for text, options, what in cases:
        device = options.get("device")
        identity = decide.Identity(
            bytes.fromhex(vendor),
            bytes.fromhex(klass),
            device and bytes.fromhex(device),
            options.get("now"),
            options.get("slot", 0),
        )
        try:
            envelope = suit.parse(bytes.fromhex(text))
            plan = (decide.install if what == "install" else decide.boot)(envelope, identity)
            out.append(["", [plan.sequence, plan.security, plan.size, plan.version]])
        except UpdateRefused as e:
            out.append([e.event, str(e)])
        except UwardError as e:
            out.append([type(e).__name__, str(e)])
    return out
