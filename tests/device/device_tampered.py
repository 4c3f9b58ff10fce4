"""A payload that somebody changed on its way: handed over block by block, as a session would."""

import os

import device_install as kit
from uward.codec import cbor
from uward.errors import UpdateRefused
from uward.update.download import Download


def feed(root, envelope, document, ids, parts):
    """parts: [[index, hex], ..] as `down/blk`. -> [what each came to, blocks written, bytes in
    the slot, whether slot a is what it was, block that is asked for]"""
    kit.prepare(root)
    active = b"what runs" * 1000
    with open(root + "/slot/a.img", "wb") as f:
        f.write(active)
    site = kit.Site(root, envelope, document, ids)
    name = site.digest()[:8]
    download = Download(site.open(), name)
    download.request(0)
    out = []
    for index, data in parts:
        try:
            message = cbor.encode([name, index, bytes.fromhex(data)])
            out.append("taken" if download.feed(message, 10) else "")
        except UpdateRefused as e:
            out.append("%s: %s" % (e.event, e))
            break
        download.request(20)
    download.writer.close()
    with open(root + "/slot/a.img", "rb") as f:
        kept = f.read() == active
    size = os.stat(root + "/slot/b.img")[6]
    return [out, download.writer.next, size, kept, kit.store.load(kit.KEY, root).owned]
