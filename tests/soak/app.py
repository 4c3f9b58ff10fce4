"""The soak's program for the board: two sensors whose readings it also says on the console.

`T boot` when it begins; `T name number ms value` for each reading (number from 0 in each boot, ms
of `ticks_ms`); `H free pending` about each minute: bytes of heap, garbage not collected, and the
packs that wait.
"""

SENSORS = (("heart-rate", "beat/min"), ("spo2", "%"))
PERIOD_S = 10
SOURCE = """
import gc
import os
import time

from uward import Agent

agent = Agent()
counts = {"heart-rate": 0, "spo2": 0}
print("T boot")


def step(value, most, low, high):
    moved = value + os.urandom(1)[0] % (2 * most + 1) - most
    return moved if low <= moved <= high else value


def told(name, value):
    number = counts[name]
    counts[name] = number + 1
    print("T", name, number, time.ticks_ms(), value)
    if name == "spo2" and number % 6 == 5:
        print("H", gc.mem_free(), agent.outbox.pending())
    return value


rate = 600 + os.urandom(2)[0]
oxygen = 92 + os.urandom(1)[0] % 6


@agent.sensor("heart-rate", unit="beat/min", every_s=10)
def heart_rate():
    global rate
    rate = step(rate, 6, 400, 1800)
    return told("heart-rate", rate / 10)


@agent.sensor("spo2", unit="%", every_s=10)
def spo2():
    global oxygen
    oxygen = step(oxygen, 1, 80, 100)
    return told("spo2", oxygen)


agent.run()
"""
