"""Trust documents on the device: parsed and judged; a release's quorum."""

from uward.errors import UpdateRefused, UwardError
from uward.trust import anchors, suit


def judge(cases):
    """[[new hex, current hex or None, pins [threshold, [thumbprints]], fleet]] -> refusals."""
    out = []
    for new, current, pins, fleet in cases:
        try:
            document = anchors.parse(bytes.fromhex(new))
            if current is None:
                prints = [bytes.fromhex(item) for item in pins[1]]
                anchors.accept_first(document, pins[0], prints, bytes.fromhex(fleet))
            else:
                anchors.accept_next(document, anchors.parse(bytes.fromhex(current)))
            out.append(["", ""])
        except UwardError as e:
            out.append([type(e).__name__, str(e)])
    return out


def known_again(cases):
    """[[document, digest]] of documents that were accepted before. -> refusals."""
    out = []
    for data, digest in cases:
        try:
            anchors.judged(bytes.fromhex(data), bytes.fromhex(digest), (anchors.RELEASE,))
            out.append("")
        except UwardError as e:
            out.append("%s: %s" % (type(e).__name__, e))
    return out


def quorum(cases):
    """[[document hex, envelope hex]] -> [event, message], ["", ""] when it is reached."""
    out = []
    for document, envelope in cases:
        try:
            parsed = suit.parse(bytes.fromhex(envelope))
            anchors.release(anchors.parse(bytes.fromhex(document)), parsed)
            out.append(["", ""])
        except UpdateRefused as e:
            out.append([e.event, str(e)])
    return out


def digest(document):
    return anchors.parse(bytes.fromhex(document)).digest.hex()
