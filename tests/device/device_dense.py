"""Dense packs, run on CPython and MicroPython. Bytes travel as hex."""

from uward import limits
from uward.vault import packs
from uward.vault.dense import Dense

PLAIN = {
    "true": True, "none": None, "text": "72", "bytes": b"72", "nan": float("nan"),
    "inf": float("inf"), "-inf": float("-inf"), "list": [1],
}  # fmt: skip


def run(name, unit, period, readings, epoch):
    """[[ms of uptime, value], ...] -> ([finished packs in hex], [readings that none took])."""
    made, left, dense = [], [], None
    for when, value in readings:
        if dense and dense.add(when, value):
            continue
        dense = Dense(name, unit, period)
        if dense.add(when, value):
            made.append(dense)
        else:
            left.append([when, value])
            dense = None
    out = [packs.finish("tele", pack.began, pack.body(), epoch, 2).hex() for pack in made]
    return out, left


def offer(name, unit, period, readings, most=None):
    """Readings, of which one pack takes what it can; a value may be a key of PLAIN.

    -> ([whether each was taken], [the body after each], [began, body] as closed)
    """
    kept = limits.DENSE_READINGS
    limits.DENSE_READINGS = most or kept
    try:
        dense = Dense(name, unit, period)
        taken, bodies = [], []
        for when, value in readings:
            value = PLAIN[value] if isinstance(value, str) else value
            taken.append(dense.add(when, value))
            bodies.append(dense.body().hex() if any(taken) else "")
        return taken, bodies, [dense.began, bodies[-1]] if any(taken) else [0, ""]
    finally:
        limits.DENSE_READINGS = kept


def tenths(end):
    """Which floats around `end` tenths a pack takes; made here, as this machine rounds them."""
    whole = (end - 2, end - 1, end, end + 1, -end, 1 - end)
    return [Dense("x", "", 1000).add(0, m / 10) for m in whole]


def wholes(decimals, values, period, epoch):
    """Values in units of 10**-decimals, made floats here -> ([packs in hex], [places not taken]).

    Boards compute in floats of 32 bits: JSON would bring others.
    """
    scale = 10**decimals
    readings = [[period * i, m / scale] for i, m in enumerate(values)]
    out, left = run("x", "", period, readings, epoch)
    return out, [when // period for when, _ in left]
