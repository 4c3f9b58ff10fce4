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
from uward.orders import Orders
from uward.telemetry import Telemetry


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


class Agent(Orders, Telemetry):
    """The device's agent."""

    def __init__(self, uplink=None):
        Orders.__init__(self)
        Telemetry.__init__(self)
        self.uptime = Uptime()
        self.info = handover.info
        self.duties = []  # functions that the supervisor calls at each look; short, no wait
        self.console = self.barred = None  # the open console, until when it judges no answer
        self._checks = []
        self._alive = {}  # loop -> ms of uptime until which it counts as alive
        self._uplink = uplink
        self._reset_from = 0
        self._reset_by = None  # ms of uptime at which a reset on purpose waits no longer
        self._settled = False  # told what became of the last trial
        self._healthy = False

    # What a maker calls

    def health(self, name):
        """Decorator: a check that a new release must pass; it fails by raising or by False."""

        def register(check):
            self._checks.append((name, check))
            return check

        return register

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
            self._tend()
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
            self._tell_drops()
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
        if self._uplink.online and self.committed and failure is None:
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
        if now <= self._reset_from:
            return
        self._leave()
        if now >= self._reset_by or not self.uncommitted():
            if self.uncommitted():
                self._tend(True)
            handover.healthy()  # a reset on purpose is no crash
            port.reset()

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
