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

from uward import files, lazy, limits, port
from uward.boot import handover, slots, store
from uward.codec import cbor
from uward.crypto.hash import sha256
from uward.errors import UwardError
from uward.trust import decide, suit
from uward.update import documents, fallback, install, logged, trial
from uward.vault import keys, sealed

MANIFEST = "/slot/man.suit"
TRUST = "/trust/new"  # as `link.inbox` keeps them
_TAKEN = "/trust/was"


def settle(info):
    """Judge what waits, trust documents first. Whatever it is, the boot goes on."""
    info["news"], info["told"], info["seen"] = [], [], []
    if info["lost"]:
        _guarded(info, _mend, info)
    rotated = _documents(info)
    if not info["trial"]:
        _judge_fallback(info, rotated)
    if rotated:
        os.remove(_TAKEN)  # a cut before: the next boot looks again
    if info["trial"]:
        return
    if not _release_of(info, MANIFEST):
        _release_of(info, install.DOWNLOAD)


def _guarded(info, judge, *arguments):
    """-> what it returns; None when it refused: the image that runs is not harmed by that."""
    try:
        return judge(*arguments)
    except Exception as e:  # whatever it was
        info["news"].append(_event(e))
    return None


def _event(error):
    """-> name and reason: an exhausted heap or flash is no refusal of what was judged."""
    if isinstance(error, UwardError):
        return error.event or "upd.refused", str(error)
    if isinstance(error, MemoryError):
        return "heap.low", repr(error)
    return "flash.error" if isinstance(error, OSError) else "agent.error", repr(error)


def _mend(info):
    """Recovery without a boot record makes it again (S3)."""
    from uward.update import rebuild

    made = rebuild.mend()
    if made is not None:
        info["trust"] = made.trust_version
        info["news"].append(("boot.rebuilt", "no slot owned, floor %d" % made.floor))


def _documents(info):
    """Judge the trust documents that came, in their order. -> whether there were any."""
    try:
        os.rename(TRUST, _TAKEN)  # what crashes the judge must not come back
    except OSError:
        try:
            os.stat(_TAKEN)
        except OSError:
            return False
        _guarded(info, lazy.use("update.rotate").prune)  # a cut came between
        return True
    rotate = lazy.use("update.rotate")
    with open(_TAKEN, "rb") as f:
        while True:
            data = f.read(int.from_bytes(f.read(2), "big"))
            if not data:
                break
            info["seen"].append(sha256(data))
            info["trust"] = _guarded(info, rotate.accept, data) or info["trust"]
            if info["state"] == handover.LOCKED:
                lazy.use("boot.early").watchdog()  # again: several documents take seconds
    _guarded(info, rotate.finish)
    return True


def _judge_fallback(info, due):
    """Once a slot was confirmed or a key revoked (S1). A cut on the way: the next boot does it."""
    try:
        tries = os.stat(trial.CONFIRMED)[6]
    except OSError:
        tries = 0
    if not tries and not due:
        return
    if tries <= limits.SETTLE_TRIES:
        with open(trial.CONFIRMED, "wb") as f:
            f.write(b"1" * (tries + 1))
        if _guarded(info, fallback.drop_revoked):
            info["news"].append(("upd.fallback", "the other slot was signed by a revoked key"))
    os.remove(trial.CONFIRMED)


def _release_of(info, path):
    """-> whether a release waits there. What was judged is not judged again at the next boot."""
    try:
        data = files.read(path, limits.ENVELOPE_BYTES)
    except (OSError, UwardError):
        return False
    if path != install.DOWNLOAD:
        os.remove(path)  # before: what crashes the judge must not come back
    info["seen"].append(sha256(data))
    try:
        _release(info, data)
    except Exception as e:  # whatever it was, the image that runs is not harmed by it
        event, reason = _event(e)
        info["news"].append((event, reason))
        if isinstance(e, UwardError):
            _refused(info, data, "%s: %s" % (event, reason))  # else it may go well another time
    return True


def _refused(info, data, detail):
    try:
        os.remove(install.DOWNLOAD)
    except OSError:
        pass  # nothing was on its way
    _tell(info, data, "refused", detail)


def _release(info, data):
    root = keys.root()
    key = keys.record_key(root)
    record = store.load(key)
    document = documents.in_force(record)
    own = cbor.decode(sealed.read(root, "/id/dev"))
    now = cbor.decode(sealed.read(root, "/id/clock"))[2]
    device = install.device_identifier(info["class"], own[1])
    identity = decide.Identity(info["vendor"], info["class"], device, now)
    if port.INTERPRETER:
        interpreter = lazy.use(port.INTERPRETER)
        if interpreter.fits(data):
            judged = interpreter.judge(data, document, identity, root)
            logged.demand(root, document, judged[0])
            info["release"] = _plain(judged[0], judged[1], document.expires)
            info["release"]["interpreter"] = interpreter.accept(data, *judged)
            _tell(info, data, "accepted", judged[1].version)
            return
    running = slots.NAMES.index(info["slot"])
    judged = install.judge(data, document, identity, record, running)
    logged.demand(root, document, judged[0])
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
