"""What the shipped emulator leaves out and stock firmware needs: randomness, the chip's unique id,
a UART that can send, a USB host that keeps quiet and sees a board leave, a watchdog that fires
once, Wi-Fi that loses its power and that lets the driver send."""

import random
from collections.abc import Callable
from typing import Any

ROSC_BASE_PAGE = 0x40060
ROSC_STATUS = 0x18
ROSC_RANDOMBIT = 0x1C
ROSC_RUNNING = 0x80001000  # STABLE | ENABLED

CMD_READ_UNIQUE_ID = 0x4B
UNIQUE_ID_DUMMY = 5  # opcode and four dummy bytes before the id (W25Q data sheet 8.2.30)
UNIQUE_ID_BYTES = 8

UART_DR = 0
UART_TX = 1 << 5
UART_RX = 1 << 4
UART_RX_TIMEOUT = 1 << 6

WL_ON = 23  # GPIO: power of the Wi-Fi chip (Pico W data sheet 2.1)
USB_SIE_CTRL = 0x4C
USB_PULL_UP = 1 << 16  # PULLUP_EN (RP2040 data sheet 4.1.4)
SDPCM_SEQUENCE = 4  # place in a frame's header (`sdpcm_header_t` of cyw43-driver)
SDPCM_CREDIT = 9
CREDITS = 8  # frames that may be sent ahead of the chip; the driver takes a step of 20 at most

USB_ANSWER_NS = 20_000  # a host answers an OUT token at the next opportunity, not at once


def add_entropy(mcu: Any, seed: int | None) -> None:
    """Model ROSC.RANDOMBIT: the shipped emulator reads all ones, so `os.urandom()` was constant.
    Without `seed` the bits are the host's own; with it two boots draw the same ones."""
    from rp2040py.peripherals.peripheral import BasePeripheral

    bits: random.Random = random.SystemRandom() if seed is None else random.Random(seed)

    class Rosc(BasePeripheral):
        def __init__(self) -> None:
            super().__init__(mcu, "ROSC")
            self.registers: dict[int, int] = {}

        def read_uint32(self, offset: int) -> int:
            if offset == ROSC_RANDOMBIT:
                return bits.getrandbits(1)
            if offset == ROSC_STATUS:
                return ROSC_RUNNING
            return self.registers.get(offset, 0xFFFFFFFF)

        def write_uint32(self, offset: int, value: int) -> None:
            self.registers[offset] = value & 0xFFFFFFFF

    mcu.peripherals[ROSC_BASE_PAGE] = Rosc()


def add_unique_id(ssi: Any, uid: bytes) -> None:
    """Answer the flash chip's read-unique-id command with `uid` (8 bytes): machine.unique_id()."""
    if len(uid) != UNIQUE_ID_BYTES:
        raise ValueError(f"unique id has {len(uid)} bytes, expected {UNIQUE_ID_BYTES}")
    shift: Callable[[int], int] = ssi._shift_byte

    def answer(byte: int) -> int:
        sent = ssi._tx_buffer
        if not sent or sent[0] != CMD_READ_UNIQUE_ID:
            return shift(byte)
        sent.append(byte)
        index = len(sent) - 1 - UNIQUE_ID_DUMMY
        return uid[index] if 0 <= index < UNIQUE_ID_BYTES else 0xFF

    ssi._shift_byte = answer


def fix_uart(uart: Any) -> None:
    """Raise the TX interrupt once per byte sent, and RX by level. The shipped model raises TX at
    every check, an interrupt storm in which `machine.UART.write()` never returns."""
    write, read = uart.write_uint32, uart.read_uint32

    def check() -> None:
        active = bool(uart._interrupt_status & uart._interrupt_mask)
        uart.rp2040.set_interrupt(uart.irq, active)

    def write_uint32(offset: int, value: int) -> None:
        write(offset, value)
        if offset == UART_DR:
            uart._interrupt_status |= UART_TX
            check()

    def read_uint32(offset: int) -> int:
        value = read(offset)
        if offset == UART_DR and uart.rx_fifo.empty:
            uart._interrupt_status &= ~(UART_RX | UART_RX_TIMEOUT)
            check()
        return value

    def feed_byte(value: int) -> None:
        uart.rx_fifo.push(value)
        uart._interrupt_status |= UART_RX | UART_RX_TIMEOUT
        check()

    uart.check_interrupts = check
    uart.write_uint32 = write_uint32
    uart.read_uint32 = read_uint32
    uart.feed_byte = feed_byte


def quiet_usb(cdc: Any) -> None:
    """Answer an OUT transfer only when there is data. The shipped model answers each with an empty
    packet, 32,000 interrupts per second that distort every timing two- to fourfold."""
    usb = cdc.usb
    serve: Callable[[int, int], None] = usb.on_endpoint_read
    send: Callable[[int], None] = cdc.send_serial_byte
    reset: Callable[[], None] = usb.on_reset
    waiting: list[tuple[int, int]] = []

    def on_endpoint_read(endpoint: int, size: int) -> None:
        if endpoint == cdc._out_endpoint and endpoint > 0 and cdc.tx_fifo.empty:
            waiting[:] = [(endpoint, size)]
        else:
            serve(endpoint, size)

    def send_serial_byte(byte: int) -> None:
        send(byte)
        if waiting:
            endpoint, size = waiting.pop()
            alarm = usb.rp2040.clock.create_alarm(lambda: serve(endpoint, size))
            alarm.schedule(USB_ANSWER_NS)

    def on_reset() -> None:
        waiting.clear()
        reset()

    usb.on_endpoint_read = on_endpoint_read
    cdc.send_serial_byte = send_serial_byte
    usb.on_reset = on_reset


def see_pull_up(cdc: Any) -> None:
    """Let the host see the pull-up on D+: so a device comes and goes (USB 2.0, 7.1.5). The shipped
    model enumerates when the controller is enabled and never notices that the board left, nor that
    it came back: the firmware then waits for a host for ever."""
    usb = cdc.usb
    write: Callable[[int, int], None] = usb.write_uint32
    reset: Callable[[], None] = usb.on_reset
    pulled = False

    def write_uint32(offset: int, value: int) -> None:
        nonlocal pulled
        write(offset, value)
        if offset != USB_SIE_CTRL or bool(value & USB_PULL_UP) == pulled:
            return
        if pulled:
            for alarm in (*usb.endpoint_read_alarms, *usb.endpoint_write_alarms):
                alarm.alarm.cancel()
                alarm.buffers.clear()
            usb.reset_alarm.cancel()
            usb.on_reset()
        else:
            pulled = True
            usb.reset_device()

    def on_reset() -> None:
        nonlocal pulled
        pulled = False
        reset()

    usb.on_usb_enabled = None
    usb.write_uint32 = write_uint32
    usb.on_reset = on_reset


def lose_wifi_power(mcu: Any, bus: Any) -> None:
    """Power the Wi-Fi chip off whenever WL_ON is not high. The shipped model waits for a falling
    edge, which a reset of the RP2040 hides from it: the chip kept its 32-bit mode, and the first
    try to start it after each reset failed with "Failed to start CYW43" and OSError(1)."""
    from rp2040py.gpio_pin import GPIOPinState

    def on_change(new: Any, old: Any) -> None:
        if new != GPIOPinState.HIGH:
            bus.power_off()

    mcu.gpio[WL_ON].add_listener(on_change)


def watchdog_fires_once(mcu: Any, on_reset: Callable[[str], None]) -> None:
    """Reset the chip and disarm the watchdog, as silicon does; `on_reset` gets the reason:
    "watchdog" for a time-out, "software" for a reset that the program asked for."""
    from rp2040py.peripherals.watchdog import TIMER

    watchdog = mcu.watchdog

    def fire() -> None:
        reason = "watchdog" if watchdog._reason == TIMER else "software"
        watchdog._enable = watchdog.timer.enable = watchdog.alarm.enable = False
        mcu.enter_reset(from_watchdog=True)
        mcu.leave_reset()
        on_reset(reason)

    watchdog.on_watchdog_trigger = fire


def credit_what_was_sent(bus: Any) -> None:
    """Grant the driver `CREDITS` frames beyond the last one that it sent. The shipped model grants
    one more with each frame that it hands over: after 256 received more than sent the grant of 8
    bits says "none", and nothing is ever sent again unless the network speaks first."""
    send: Callable[[bytes], None] = bus._write_wlan
    queue: Callable[[bytes], None] = bus.queue_rx_packet
    off: Callable[[], None] = bus.power_off
    following = 0  # sequence number that the driver uses next

    def write_wlan(data: bytes) -> None:
        nonlocal following
        if len(data) > SDPCM_CREDIT:
            following = data[SDPCM_SEQUENCE] + 1
        send(data)

    def queue_rx_packet(data: bytes) -> None:
        credit = (following + CREDITS) & 0xFF
        queue(data[:SDPCM_CREDIT] + bytes([credit]) + data[SDPCM_CREDIT + 1 :])

    def power_off() -> None:
        nonlocal following
        following = 0
        off()

    bus._write_wlan = write_wlan
    bus.queue_rx_packet = queue_rx_packet
    bus.power_off = power_off
