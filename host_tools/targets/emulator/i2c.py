"""I2C targets for the emulated board: on the controller, and bit by bit on its pins.

MicroPython's `machine.I2C` uses the controller; its `scan()` (zero-length writes) and `SoftI2C`
drive the pins as GPIO. `I2CBus` serves both with the same models, in the bus's own time.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

CYCLE_NS = 8.0
BITS_PER_BYTE = 9  # eight bits and the acknowledge
INTERRUPT_TX_EMPTY = 1 << 4
FUNCTION_SIO = 5  # a pin that the program drives itself


class I2CTarget(Protocol):
    """A device on the bus. `start` begins a transfer in one direction, False: the address is not
    acknowledged; `write` returns ACK."""

    def power_on(self, seconds: Callable[[], float]) -> None: ...
    def start(self, reading: bool) -> bool | None: ...
    def write(self, value: int) -> bool: ...
    def read(self) -> int: ...
    def stop(self) -> None: ...


class I2CBus:
    """Attaches `targets` (address -> model) to controller `index` and its two pins."""

    def __init__(
        self, targets: Mapping[int, I2CTarget], index: int = 0, sda: int = 4, scl: int = 5
    ) -> None:
        self._targets = targets
        self._index = index
        self._pins = _Pins(targets, sda, scl)
        self._current: I2CTarget | None = None
        self._clock: Any = None
        self._controller: Any = None

    def attach(self, mcu: Any) -> None:
        """Wire the bus up (rp2040py's ExternalDevice)."""
        self._clock = mcu.clock
        self._controller = mcu.i2c[self._index]
        self._controller.on_start = self._on_start
        self._controller.on_connect = self._on_connect
        self._controller.on_write_byte = self._on_write
        self._controller.on_read_byte = self._on_read
        self._controller.on_stop = self._on_stop
        self._pins.attach(mcu)
        for target in self._targets.values():
            target.power_on(lambda: mcu.clock.nanos / 1e9)

    def _spend(self, bits: int) -> None:
        """Let the time of `bits` on the bus pass; the driver waits for each byte anyway."""
        period = self._controller.scl_high_period + self._controller.scl_low_period
        self._clock.tick(bits * period * CYCLE_NS)

    def _on_start(self, repeated: bool) -> None:
        self._spend(1)
        self._controller.complete_start()

    def _on_connect(self, address: int, mode: int) -> None:
        self._spend(BITS_PER_BYTE)
        self._current = self._targets.get(address)
        if self._current is not None and self._current.start(bool(mode)) is False:
            self._current = None
        self._controller.complete_connect(self._current is not None)
        if self._current is None:
            self._flushed()

    def _on_write(self, value: int) -> None:
        self._spend(BITS_PER_BYTE)
        acknowledged = self._current is not None and self._current.write(value)
        self._controller.complete_write(acknowledged)
        if not acknowledged:
            self._flushed()

    def _flushed(self) -> None:
        """An abort empties the transmit FIFO, which the shipped model does not signal."""
        self._controller._set_interrupts(INTERRUPT_TX_EMPTY)

    def _on_read(self, acknowledge: bool) -> None:
        self._spend(BITS_PER_BYTE)
        self._controller.complete_read(0xFF if self._current is None else self._current.read())

    def _on_stop(self) -> None:
        if self._current is not None:
            self._current.stop()
            self._current = None
        self._controller.complete_stop()


class _Pins:
    """The same targets for a program that drives SDA and SCL itself (I2C specification 3.1)."""

    def __init__(self, targets: Mapping[int, I2CTarget], sda: int, scl: int) -> None:
        self._targets = targets
        self._numbers = sda, scl
        self._target: I2CTarget | None = None
        self._state = "idle"  # idle, address, write, read, acknowledge (by the host), deaf
        self._bits = 0
        self._value = 0
        self._holding = False
        self._nack = True
        self._reading = False
        self._acked = False
        self._last_sda = self._last_scl = True

    def attach(self, mcu: Any) -> None:
        self._sda, self._scl = (mcu.gpio[number] for number in self._numbers)
        for pin in (self._sda, self._scl):
            pin.set_input_value(True)
            pin.add_listener(self._on_edge)

    def _on_edge(self, new: Any, old: Any) -> None:
        if self._sda.function_select != FUNCTION_SIO:
            self._state = "idle"
            return
        sda, scl = level(self._sda), level(self._scl)
        if scl and self._last_scl:
            self._on_condition(sda)
        elif scl:
            self._on_rise(sda)
        elif self._last_scl:
            self._on_fall()
        self._last_sda, self._last_scl = level(self._sda), scl

    def _on_condition(self, sda: bool) -> None:
        """SDA moved while SCL is high: START or STOP."""
        if self._holding or sda == self._last_sda:
            return
        if not sda:
            self._state, self._bits, self._value = "address", 0, 0
        elif self._state != "idle":
            if self._target is not None:
                self._target.stop()
                self._target = None
            self._state = "idle"

    def _on_rise(self, sda: bool) -> None:
        if self._state in ("address", "write") and self._bits < 8:
            self._value = self._value << 1 | sda
            self._bits += 1
        elif self._state == "acknowledge":
            self._nack = sda

    def _on_fall(self) -> None:
        if self._state in ("address", "write"):
            if self._bits == 8:
                self._acked = self._byte_in()
                self._bits = BITS_PER_BYTE
                self._hold(self._acked)
            elif self._bits == BITS_PER_BYTE:
                self._after_acknowledge()
        elif self._state == "read":
            if self._bits < 8:
                self._bit_out()
            else:
                self._hold(False)
                self._state, self._nack = "acknowledge", True
        elif self._state == "acknowledge":
            if self._nack:
                self._state = "deaf"
            else:
                self._begin_read()

    def _byte_in(self) -> bool:
        if self._state == "write":
            return self._target is not None and self._target.write(self._value)
        self._target = self._targets.get(self._value >> 1)
        self._reading = bool(self._value & 1)
        if self._target is not None and self._target.start(self._reading) is False:
            self._target = None
        return self._target is not None

    def _after_acknowledge(self) -> None:
        self._hold(False)
        self._bits = self._value = 0
        if not self._acked:
            self._state = "deaf"
        elif self._reading:
            self._begin_read()
        else:
            self._state = "write"

    def _begin_read(self) -> None:
        self._state, self._bits = "read", 0
        self._value = 0xFF if self._target is None else self._target.read()
        self._bit_out()

    def _bit_out(self) -> None:
        self._hold(not self._value >> (7 - self._bits) & 1)
        self._bits += 1

    def _hold(self, low: bool) -> None:
        if low != self._holding:
            self._holding = low
            self._sda.set_input_value(not low)


def level(pin: Any) -> bool:
    return pin.value.name != "LOW"
