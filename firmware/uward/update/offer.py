"""What was handed down is judged at the next boot, before the agent takes the heap (S20).

Two signatures, two documents and the slot's record need 60 KB; beside a TLS session there are not
60 KB in pieces that are large enough. So the session keeps what came (`/slot/man.suit`,
`/trust/new`) and resets; here it is judged, with the time that the session had proved.

    info["news"]     events: [(name, reason), ...]
    info["told"]     states for the collector: [(payload id, name, detail), ...]
    info["seen"]     SHA-256 of each manifest and document that was judged
    info["release"]  a release on its way: a map of what `Updater` needs of it; or absent
"""

import os

from uward import files, limits
from uward.boot import slots, store
from uward.codec import cbor
from uward.crypto.hash import sha256
from uward.errors import UwardError
from uward.trust import anchors, decide, suit
from uward.update import fallback, install, trial
from uward.vault import keys, sealed

MANIFEST = "/slot/man.suit"
TRUST = "/trust/new"


def settle(info):
    """Judge what waits, a trust document first. Whatever it is, the boot goes on."""
    info["news"], info["told"], info["seen"] = [], [], []
    _each(info, TRUST, limits.CBOR_BYTES, _trust)
    if info["trial"]:
        return
    _each(info, trial.CONFIRMED, 1, _fallback)
    if not _each(info, MANIFEST, limits.ENVELOPE_BYTES, _release):
        _each(info, install.DOWNLOAD, limits.ENVELOPE_BYTES, _release)


def _each(info, path, most, judge):
    """-> whether there was something. What was judged is not judged again at the next boot."""
    try:
        data = files.read(path, most)
    except (OSError, UwardError):
        return False
    if path != install.DOWNLOAD:
        os.remove(path)  # before: what crashes the judge must not come back
    info["seen"].append(sha256(data))
    try:
        judge(info, data)
    except Exception as e:  # whatever it was, the image that runs is not harmed by it
        event = getattr(e, "event", None) or "upd.refused"
        info["news"].append((event, str(e) or repr(e)))
        if judge is _release:
            _refused(info, data, "%s: %s" % (event, e))
    return True


def _refused(info, data, detail):
    try:
        os.remove(install.DOWNLOAD)
    except OSError:
        pass  # nothing was on its way
    _tell(info, data, "refused", detail)


def _trust(info, data):
    from uward.link import inbox

    info["trust"] = inbox.trust(data)
    if not info["trial"]:
        _fallback(info, data)


def _fallback(info, _):
    if fallback.drop_revoked():
        info["news"].append(("upd.fallback", "the other slot was signed by a revoked key"))


def _release(info, data):
    root = keys.root()
    key = keys.record_key(root)
    record = store.load(key)
    document = anchors.parse(files.read("/trust/%d" % record.trust_version, limits.CBOR_BYTES))
    own = cbor.decode(sealed.read(root, "/id/dev"))
    now = cbor.decode(sealed.read(root, "/id/clock"))[2]
    device = install.device_identifier(info["class"], own[1])
    identity = decide.Identity(info["vendor"], info["class"], device, now)
    running = slots.NAMES.index(info["slot"])
    judged = install.judge(data, document, identity, record, running)
    keks = cbor.decode(sealed.read(root, "/id/net")).get(6)
    install.SlotWriter(data, judged, record, key, running, keks).close()
    info["release"] = _plain(judged[0], judged[1], document.expires)
    _delta(info["release"], judged[1], record, running)
    _tell(info, data, "accepted", judged[1].version)


def _plain(envelope, plan, expires):
    """A map: an instance would keep its class, and that the modules that judged."""
    return {
        "manifest": envelope.digest,
        "version": plan.version,
        "digest": plan.digest,
        "size": plan.size,
        "hashes": plan.hashes,
        "encryption": plan.encryption,
        "expires": expires if plan.use_before is None else min(expires, plan.use_before),
    }


def _delta(release, plan, record, running):
    """A patch that starts from the image that runs, which stage 0 has just hashed."""
    if plan.deltas is not None and running != slots.RECOVERY:
        from uward.update import delta

        blocks = len(plan.hashes) // 16
        release["delta"] = delta.choose(plan.deltas, record.slots[running][1], blocks)


def _tell(info, data, name, detail):
    try:
        info["told"].append((suit.parse(data).digest[: limits.PAYLOAD_ID], name, detail))
    except UwardError:
        info["news"].append(("upd.malformed", "no manifest digest to answer with"))
