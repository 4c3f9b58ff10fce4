"""Readings and events on their way to the collector: part of `Agent`.

While the collector commits, what waits is in RAM and flash does not wear. What has waited for
limits.AWAY_MS goes to flash, with all that follows it, until everything is committed
(`vault.away`; ADR 0052): a reading is deleted only after the collector has it.
"""

from uward import files, lazy, limits, port
from uward.crypto.rng import random
from uward.errors import CodecError, UwardError
from uward.repeats import Repeats
from uward.vault import packs
from uward.vault.chain import Chain
from uward.vault.outbox import Outbox

_MARKER = "/vault/away"  # as in `vault.away`
_MODULES = ("vault.away", "vault.dense", "vault.queue", "vault.journal", "vault.frames")
_MODULES += ("vault.segment", "vault.room", "vault.kept", "vault.mount", "vault.blind")


class Sensor:
    """One sensor: its number from 0, name, unit, period in ms, the function that reads it."""

    def __init__(self, number, name, unit, period, read):
        self.number = number
        self.name = name
        self.unit = unit
        self.period = period
        self.read = read
        self.series = packs.Series(name, unit)
        self.failing = False
        self.worked = False


class Telemetry:
    """outbox: what is sent; away: `vault.away.Away` while it lies in flash; lost: samples that the
    app's sensors lost so far, it may set it; starving: times that heap was short since a pack was
    committed; committed: a pack of this boot was; chain: what proves the events."""

    def __init__(self):
        self.outbox = Outbox(random(16))
        self.away = None
        self.lost = 0
        self.starving = 0
        self.committed = False
        self._sensors = []
        self._repeats = Repeats()
        self.chain = Chain()
        self._dropped = 0  # of the packs that the outbox has dropped, those that were told of
        self._shelved = files.exists(_MARKER)  # flash holds what is not committed
        self._owed = None  # ms of uptime since which something waits
        self._leaving = False  # a reset is about to come: nothing is read any more

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
            self._sensors.append(Sensor(len(self._sensors), name, unit, period, read))
            return read

        return register

    def event(self, name, reason=""):
        """Tell the collector; what repeats itself is counted (`uward.repeats`)."""
        now = self.uptime()
        told = self._repeats.judge(name, reason, now)
        if told is not None:
            told = told[: limits.REASON_CHARS]
            proof = self.chain.seal(name, told, now)
            self.keep("event", now, packs.event(name, told, proof), True)

    def refused(self, error):
        """Report a refusal under its own name."""
        self.event(error.event or "agent.error", str(error))

    def starved(self, error):
        """The heap was too small, or in pieces. Thrice without success: only a reset mends it."""
        self.event("heap.low", "%s, %d free" % (error, port.heap_free()))
        self.starving += 1
        if self.starving >= limits.STARVED:
            self._write_out()
            port.reset()

    def _write_out(self):
        """What is to be in flash, as far as a short heap allows."""
        try:
            if self.away:
                self.away.close_all()
                self.away.work(self.uptime())
        except (MemoryError, OSError, UwardError):
            pass  # the reset mends it

    # What others of the agent call

    def keep(self, purpose, when, body, critical=False):
        """One pack, until the collector has committed it. when: ms of uptime."""
        if self.away:
            self.away.keep(purpose, when, body, critical)
        else:
            self.outbox.append(purpose, when, body, critical)

    def gather(self):
        """A connection has ended: what waits parts no room that the next one needs (S20)."""
        self._repeats.gather()
        for sensor in self._sensors:
            sensor.series.gather()
        if not self.away:
            self.outbox.gather()
        elif not port.block_ok(limits.TLS_SESSION):
            self._write_out()
            self._shelve()

    def uncommitted(self):
        """How many packs wait for being committed, sent or not."""
        return (self.away or self.outbox).pending()

    def dated(self, epoch, quality):
        """The time is proved: this boot began at `epoch` (unix seconds)."""
        if self.away:
            self.away.date((epoch, quality), self.uptime())

    def credit(self):
        """The collector has committed something."""
        self._owed = None
        self.starving = 0
        self.committed = True

    # Sensors

    async def _sense(self, sensor):
        due = self.uptime()
        while True:
            self.beat(sensor.name, sensor.period + limits.SENSOR_GRACE_MS)
            if not self._leaving:
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
            if value is not None:
                self._add(sensor, when, value)
        except Exception as e:  # whatever a maker's function raises
            sensor.failing = True
            self.event("sensor.error", "%s: %r" % (sensor.name, e))
            return
        if sensor.failing:
            sensor.failing = False
            self.event("sensor.ok", sensor.name)
        sensor.worked = True

    def _add(self, sensor, when, value):
        """Into a dense pack while nobody takes it, else into one that is closed soon."""
        if self.away and not self._uplink.online and self.away.add(sensor, when, value):
            if sensor.series.due(when, 0):
                self._close(sensor)  # it began before the dense pack, and goes before it
            return
        if sensor.series.add(when, value):
            self._close(sensor)

    def _close_packs(self, age=limits.PACK_MS):
        """Those that began `age` ms ago or earlier."""
        now = self.uptime()
        for sensor in self._sensors:
            if sensor.series.due(now, age):
                self._close(sensor)

    def _close(self, sensor):
        when, body = sensor.series.close()
        self.keep("tele", when, body)

    # RAM or flash

    def _leave(self):
        """Before a reset on purpose: what was read is on its way, and nothing more is read."""
        if not self._leaving:
            self._leaving = True
            self._close_packs(0)
            if self.away:
                self.away.close_all()

    def _tend(self, owed=False):
        """Where packs wait, and what is to be written there; at each look of the supervisor."""
        try:
            if self.away:
                self._tend_away()
            elif owed or self._is_owed():
                self._go_away()
        except MemoryError as e:
            self.starved(e)
        except UwardError as e:
            self.refused(e)
        except OSError as e:
            self.event("flash.error", "%r" % e)

    def _is_owed(self):
        """Whether something waits for so long that it is to lie in flash."""
        now = self.uptime()
        if self._owed is None:
            if self._shelved:
                return True
            if self.outbox.pending():
                self._owed = now
            return False
        if not self.outbox.pending() and not self._shelved:
            self._owed = None
            return False
        return now - self._owed > limits.AWAY_MS

    def _go_away(self):
        """All that waits goes to flash; when that fails, it is tried again later."""
        if self.info.get("slot") == "r":
            return  # recovery has no readings
        self._owed = self.uptime()
        away = lazy.use("vault.away").Away(self._report, self.info.get("built", 0))
        away.date(self._uplink.dated(), self.uptime())
        away.take(self.outbox)
        self._take_over(away.queue)
        self.away = away
        self._shelved = False

    def _shelve(self):
        """Lay down what stands in the room of a TLS session; `_tend` takes it up above it."""
        if not self.away.unwritten():
            self._take_over(Outbox(random(16)))
            self.away = self._owed = None
            self._shelved = True
            lazy.drop(*_MODULES)

    def _tend_away(self):
        away, online = self.away, self._uplink.online
        if online and away.close_all():
            lazy.drop("vault.dense")
        away.work(self.uptime())
        if online and not away.pending():
            self._take_over(away.end())
            self.away = away = None
            lazy.drop(*_MODULES)
            self._uplink.refresh()

    def _take_over(self, outbox):
        self._dropped += outbox.dropped - self.outbox.dropped  # what is not told yet stays so
        self.outbox = outbox
        self._uplink.attend(outbox)

    def _tell_drops(self):
        dropped = self.outbox.dropped - self._dropped
        if dropped:
            self._dropped += dropped
            self.event("outbox.overflow", "%d packs dropped" % dropped)

    def _report(self, event, index, lost, reason):
        """What the vault found, or had to drop: told at once, a reset must not hide it."""
        if event == "out.dropped":
            if self.away:  # else `_take_over` counts them
                self._dropped += lost
            self.event("outbox.overflow", "%d packs dropped: %s" % (lost, reason))
            return
        where = "" if index is None else " at %d, %d lost" % (index, lost)
        self.event(event, "outbox%s: %s" % (where, reason))
