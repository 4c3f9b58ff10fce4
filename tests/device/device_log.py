"""The release log on the device: proofs judged."""

from uward.codec import cbor
from uward.errors import UpdateRefused
from uward.trust import anchors, log, suit


def judge_all(cases, envelope, document):
    """[[proof, last or None, {envelope, document}]] in hex -> [event, message] or the head."""
    out = []
    for proof, last, changed in cases:
        parsed = suit.parse(bytes.fromhex(changed.get("envelope", envelope)))
        trusted = anchors.parse(bytes.fromhex(changed.get("document", document)))
        known = last and cbor.decode(bytes.fromhex(last))
        try:
            out.append(cbor.encode(log.judge(bytes.fromhex(proof), parsed, trusted, known)).hex())
        except UpdateRefused as e:
            out.append([e.event, str(e)])
    return out
