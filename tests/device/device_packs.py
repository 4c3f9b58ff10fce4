"""Packs of readings and events, run on CPython and MicroPython. Bytes travel as hex."""

from uward.errors import UwardError
from uward.vault import packs


def pack(name, unit, readings, epoch):
    """[[ms of uptime, value], ...] of one sensor -> [finished packs in hex, when it closed]."""
    series = packs.Series(name, unit)
    out = []
    for when, value in readings:
        if series.add(when, value):
            out.append(_close(series, epoch))
    if series.due(1 << 40):
        out.append(_close(series, epoch))
    return out


def _close(series, epoch):
    when, body = series.close()
    return packs.finish("tele", when, body, epoch, 2).hex()


def refusals(which):
    values = {
        "nan": float("nan"),
        "inf": float("-inf"),
        "none": None,
        "list": [1],
        "long": "x" * 65,
        "later": float("nan"),
    }
    series = packs.Series("x", "")
    if which == "later":
        series.add(0, 1)
    try:
        series.add(10, values[which])
    except UwardError as e:
        return "%s: %s" % (type(e).__name__, e)
    return None


def event(name, reason, when, epoch):
    return packs.finish("event", when, packs.event(name, reason), epoch, 2).hex()


def due(began, now):
    series = packs.Series("x", "u")
    if series.due(now):
        return "due while empty"
    series.add(began, 1)
    return series.due(now)
