"""What a maker calls: sensors, health checks, events; and the supervisor under them.

    agent = Agent()

    @agent.sensor("heart-rate", unit="beat/min", every_s=1)
    def heart_rate():
        return oximeter.rate()

    agent.run()

Sensing never waits for the link. A sensor that raises is an event, not a crash. The watchdog is
fed while every loop shows signs of life.
"""

import asyncio

from uward import lazy, limits, port
from uward.boot import handover
from uward.crypto.rng import random
from uward.errors import CodecError
from uward.orders import Orders
from uward.repeats import Repeats
from uward.vault import packs
from uward.vault.outbox import Outbox


class Uptime:
    """Milliseconds since boot that do not wrap; ticks do after 12 days."""

    def __init__(self):
        self._last = port.ticks_ms()
        self._total = 0

    def __call__(self):
        now = port.ticks_ms()
        self._total += port.ticks_diff(now, self._last)
        self._last = now
        return self._total


class Sensor:
    """One sensor: name, unit, period in ms, the function that reads it."""

    def __init__(self, name, unit, period, read):
        self.name = name
        self.period = period
        self.read = read
        self.series = packs.Series(name, unit)
        self.failing = False
        self.worked = False


class Agent(Orders):
    """The device's agent. `lost`: samples that the app's sensors lost so far; it may set it."""

    def __init__(self, uplink=None):
        Orders.__init__(self)
        self.uptime = Uptime()
        self.outbox = Outbox(random(16))
        self.lost = 0
        self.info = handover.info
        self.duties = []  # functions that the supervisor calls at each look; short, no wait
        self.console = self.barred = None  # the open console, until when it judges no answer
        self._sensors = []
        self._checks = []
        self._alive = {}  # loop -> ms of uptime until which it counts as alive
        self._repeats = Repeats()
        self._uplink = uplink
        self._reset_from = 0
        self.starving = 0  # times that heap was short since a pack was acknowledged
        self._reset_by = None  # ms of uptime at which a reset on purpose waits no longer
        self._settled = False  # told what became of the last trial
        self._healthy = False
        self._dropped = 0  # packs whose loss was reported

    # What a maker calls

    def sensor(self, name, unit="", every_s=1):
        """Decorator: call the function every `every_s` seconds and send what it returns.

        It returns a number, text, bool or bytes; None is no reading. CodecError for a bad name.
        """
        for text in (name, unit):
            if len(text) > limits.NAME_CHARS or not name:
                raise CodecError("sensor: expected 1..%d characters" % limits.NAME_CHARS)
        period = int(every_s * 1000)
        if period < limits.SENSOR_MS:
            raise CodecError("sensor: expected a period >= %d ms" % limits.SENSOR_MS)

        def register(read):
            self._sensors.append(Sensor(name, unit, period, read))
            return read

        return register

    def health(self, name):
        """Decorator: a check that a new release must pass; it fails by raising or by False."""

        def register(check):
            self._checks.append((name, check))
            return check

        return register

    def event(self, name, reason=""):
        """Tell the collector; what repeats itself is counted (`uward.repeats`)."""
        now = self.uptime()
        told = self._repeats.judge(name, reason, now)
        if told is not None:
            self.outbox.append("event", now, packs.event(name, told), True)

    def refused(self, error):
        """Report a refusal under its own name."""
        self.event(error.event or "agent.error", str(error))

    def starved(self, error):
        """The heap was too small, or in pieces. Thrice without success: only a reset mends it."""
        self.event("heap.low", "%s, %d free" % (error, port.heap_free()))
        self.starving += 1
        if self.starving >= limits.STARVED:
            port.reset()

    def run(self):
        """Run for ever: as the last statement of the program, which ends before it begins."""
        if not handover.defer(self._run):
            self._run()

    def _run(self):
        asyncio.run(self.main())

    # The supervisor

    async def main(self):
        """All loops; ends only by an exception, which stage 0 turns into a reset."""
        if self._uplink is None:
            from uward.link.uplink import Uplink

            self._uplink = Uplink(self)
        if self.info["trial"]:
            self.event("upd.trial", self.info["version"])
        if self.info["reason"]:
            self.event("boot.fallback", self.info["reason"])
        for name, reason in self.info.get("news", ()):
            self.event(name, reason)
        self.begin_orders()
        tasks = [asyncio.create_task(self._sense(sensor)) for sensor in self._sensors]
        tasks.append(asyncio.create_task(self._uplink.run()))
        await self._supervise(tasks)

    def beat(self, loop, allowance):
        """`loop` is alive, and will say so again within `allowance` ms."""
        self._alive[loop] = self.uptime() + allowance

    def alive(self):
        """Whether every loop kept its word."""
        now = self.uptime()
        return all(now < until for until in self._alive.values())

    async def _supervise(self, tasks):
        watchdog = None
        if self.info["state"] == handover.LOCKED:
            watchdog = port.watchdog(limits.WATCHDOG_MS)
            lazy.use("guard.strap").watch(self, self._uplink)
        while True:
            for task in tasks:
                if task.done():
                    await task  # its exception; none of our loops ends otherwise
            if watchdog is not None and self.alive():
                watchdog.feed()
            self._close_packs()
            self._look_after()
            for duty in self.duties:
                duty()
            if self.resetting:
                self._reset_when_told()
            await port.sleep_ms(limits.SUPERVISE_MS)

    def _look_after(self):
        """What is due once: the end of a trial, the news of the last one, forgotten crashes."""
        if self._uplink.online:
            self._settle()
            if self.outbox.dropped != self._dropped:
                self._dropped = self.outbox.dropped
                self.event("outbox.overflow", "%d packs dropped since boot" % self._dropped)
        if self.info["trial"]:
            self._judge_trial()
        elif not self._healthy and self.uptime() > limits.HEALTHY_MS and not self.self_test():
            self._healthy = True
            handover.healthy()

    def _judge_trial(self):
        """Confirm after a health check; give up at the deadline (S2).

        While only the broker is down the trial goes on: that is not the image's fault.
        """
        failure = self.self_test()
        if self._uplink.online and self.outbox.acknowledged and failure is None:
            lazy.use("update.trial").confirm(self.info)
            lazy.drop("update.")
            self.event("upd.confirmed", self.info["version"])
            self._uplink.tell_state(self.info["manifest"][:8], "confirmed", self.info["version"])
            self._uplink.greet()
        elif self.uptime() > limits.TRIAL_MS and (failure or not self._uplink.broker_down):
            port.reset()

    def _settle(self):
        """At the first contact: tell of a trial that failed, of what was judged at boot."""
        if self._settled or self.info["trial"]:
            return
        self._settled = True
        payload = lazy.use("update.trial").reverted()
        lazy.drop("update.", "trust.", "boot.s", "boot.record")
        if payload:
            self.event("upd.reverted", "manifest %s failed its trial" % payload.hex())
            self._uplink.tell_state(payload, "reverted", "")
        for told in self.info.get("told", ()):
            self._uplink.tell_state(*told)
        if "release" in self.info:
            self._uplink.mail.begin_update()

    # Resets on purpose

    @property
    def resetting(self):
        """A reset is due."""
        return self._reset_by is not None

    def reset_soon(self, earliest=limits.OFFER_MS):
        """Reset when the collector has everything, or cannot be told in limits.RESET_MS.

        earliest: ms of uptime; the first of several resets counts.
        """
        if not self.reset_within(earliest):
            self._reset_from = earliest
            self._reset_by = max(self.uptime(), earliest) + limits.RESET_MS

    def reset_within(self, earliest):
        """A reset is due that waits for no more than this uptime."""
        return self.resetting and self._reset_from <= earliest

    def _reset_when_told(self):
        now = self.uptime()
        if now > self._reset_from and (now >= self._reset_by or not self.outbox.pending()):
            handover.healthy()  # a reset on purpose is no crash
            port.reset()

    def _close_packs(self):
        now = self.uptime()
        for sensor in self._sensors:
            if sensor.series.due(now):
                self._close(sensor)

    def _close(self, sensor):
        when, body = sensor.series.close()
        self.outbox.append("tele", when, body)

    async def _sense(self, sensor):
        due = self.uptime()
        while True:
            self.beat(sensor.name, sensor.period + limits.SENSOR_GRACE_MS)
            self._read(sensor)
            due += sensor.period
            behind = self.uptime() - due
            if behind > 0:
                due += (behind // sensor.period) * sensor.period  # on the grid again
            await port.sleep_ms(max(0, due - self.uptime()))

    def _read(self, sensor):
        when = self.uptime()
        try:
            value = sensor.read()
            if value is not None and sensor.series.add(when, value):
                self._close(sensor)
        except Exception as e:  # whatever a maker's function raises
            sensor.failing = True
            self.event("sensor.error", "%s: %r" % (sensor.name, e))
            return
        if sensor.failing:
            sensor.failing = False
            self.event("sensor.ok", sensor.name)
        sensor.worked = True

    def self_test(self):
        """Every sensor worked and every check passes. -> None, or what does not."""
        for sensor in self._sensors:
            if sensor.failing or not sensor.worked:
                return "sensor " + sensor.name
        for name, check in self._checks:
            try:
                if check() is False:
                    return "check " + name
            except Exception as e:  # whatever a maker's function raises
                return "check %s: %r" % (name, e)
        return None
