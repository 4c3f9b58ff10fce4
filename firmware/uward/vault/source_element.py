"""Key source `secure-element`: an ATECC508A or ATECC608 on I2C, by its data sheet's packets.

A packet is `word address 0x03 | count | opcode | param1 | param2 LE | data | CRC-16 LE`, an answer
`count | data | CRC-16 LE` (ATECC508A data sheet 8, 9). The answer to a challenge is that of the
MAC command: SHA-256(key | challenge | command | serial number), which only this chip can give.

Said plainly: the answer crosses the bus, so whoever probes the running board reads its root.
"""

from uward.compat import const
from uward.errors import KeyRefused

try:
    from time import sleep_ms
except ImportError:  # CPython
    from time import sleep

    def sleep_ms(ms):
        sleep(ms / 1000)


_WAKE_HZ = const(100_000)  # the general call's zeros hold SDA low for 80 us; 60 are demanded
_WAKE_MS = const(2)  # from the wake pulse to readiness: tWHI is 1.5 ms
_POLL_MS = const(5)  # between two looks for the answer: a busy chip does not acknowledge
_POLLS = const(40)  # 200 ms: a MAC takes 14 ms, 55 at the slowest clock of an ATECC608
_TRIES = const(3)  # whole exchanges: a bus may be disturbed
_AWAKE = b"\x04\x11\x33\x43"
_COMMAND = b"\x03"  # word addresses: command, sleep
_SLEEP = b"\x01"
_READ = const(0x02)
_MAC = const(0x08)
_WITH_SERIAL = const(0x40)  # MAC mode: key slot, challenge, serial number in the message
_ANSWER = const(35)  # bytes of the longest answer: count, 32, CRC
_LOCKS = const(0x15)  # word of the configuration zone with LockValue and LockConfig, bytes 86, 87
_SLOTS = const(20)  # byte of the configuration zone where SlotConfig begins
_IS_SECRET = const(0x80)  # of SlotConfig's first byte
_NO_MAC = const(0x10)


def answer(place, challenge):
    """-> 32 bytes. place: `slot, address, bus, SDA, SCL`; challenge: 32 bytes.

    KeyRefused when no chip answers, or refuses.
    """
    return _exchange(place, _MAC, _WITH_SERIAL, place[0], challenge, 32)


def check(place):
    """KeyRefused unless both zones are locked and the slot is a secret that no read gives."""
    locks = _exchange(place, _READ, 0, _LOCKS, b"", 4)
    if locks[2] or locks[3]:
        raise KeyRefused("secure element: expected both zones locked, got an open one")
    at = _SLOTS + 2 * place[0]
    config = _exchange(place, _READ, 0, at >> 2, b"", 4)[at & 3]
    if not config & _IS_SECRET or config & _NO_MAC:
        raise KeyRefused("secure element: expected slot %d secret and for MAC" % place[0])


def crc(data):
    """CRC-16 of the data sheet (8.2.1): polynomial 0x8005, bits from the lowest. -> 2 bytes."""
    value = 0
    for byte in data:
        for bit in range(8):
            carry = value >> 15 ^ byte >> bit & 1
            value = value << 1 & 0xFFFF
            if carry:
                value ^= 0x8005
    return value.to_bytes(2, "little")


def _exchange(place, opcode, mode, param, data, size):
    body = bytes((7 + len(data), opcode, mode)) + param.to_bytes(2, "little") + data
    bus = _bus(place)
    refusal = None
    for _ in range(_TRIES):
        try:
            return _once(bus, place[1], body + crc(body), size)
        except KeyRefused as e:
            refusal = e
    raise refusal


def _bus(place):
    import machine

    sda, scl = machine.Pin(place[3]), machine.Pin(place[4])
    return machine.I2C(place[2], sda=sda, scl=scl, freq=_WAKE_HZ)


def _once(bus, address, packet, size):
    """Wake, command, answer, sleep: the chip's own watchdog would end it after 1.3 s."""
    try:
        bus.writeto(0, b"")  # the wake pulse; nobody acknowledges it
    except OSError:
        pass
    sleep_ms(_WAKE_MS)
    try:
        if bus.readfrom(address, 4) != _AWAKE:
            raise KeyRefused("secure element: expected its wake answer, got another")
        bus.writeto(address, _COMMAND + packet)
        reply = _wait(bus, address)
        bus.writeto(address, _SLEEP)
    except OSError as e:
        told = "secure element: expected an answer at 0x%02x, got %r" % (address, e)
        raise KeyRefused(told) from e
    count = reply[0]
    if not 4 <= count <= _ANSWER or crc(reply[: count - 2]) != reply[count - 2 : count]:
        raise KeyRefused("secure element: expected an answer with its CRC, got another")
    if count != size + 3:
        raise KeyRefused("secure element: expected %d bytes, got status %d" % (size, reply[1]))
    return reply[1 : count - 2]


def _wait(bus, address):
    for _ in range(_POLLS):
        sleep_ms(_POLL_MS)
        try:
            return bus.readfrom(address, _ANSWER)
        except OSError:
            pass  # it is still busy
    raise KeyRefused("secure element: expected an answer in 200 ms, got none")
