"""Packs sealed to the collector on the device, dated when they are sent."""

from uward.crypto import rng
from uward.errors import UwardError
from uward.vault import packs
from uward.vault.blind import Blind

EPOCH = 1_800_000_000


def sealed(public, readings, event):
    """-> held bodies and final bodies (hex) of a pack of [when, value] and of an event."""
    blind = Blind(bytes.fromhex(public), rng.random)
    series = packs.Series("spo2", "%")
    for when, value in readings:
        series.add(when, value)
    when, body = series.close()
    out = []
    told = packs.event(*event)
    for purpose, at, plain in (("tele", when, body), ("event", 7000, told), ("event", 8000, told)):
        held = blind.seal(purpose, plain)
        final = packs.finish(purpose, at, held, EPOCH, 2)
        plainly = packs.finish(purpose, at, plain, EPOCH, 2)
        out.append([purpose, held.hex(), final.hex(), plainly.hex()])
    return out


def refused(public):
    try:
        Blind(bytes.fromhex(public), rng.random)
        return ""
    except UwardError as e:
        return type(e).__name__
