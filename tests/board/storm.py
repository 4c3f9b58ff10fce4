"""Ctrl-C, Ctrl-D and raw-REPL bytes at random times over many resets of a locked board (T20).

Bytes are on offer the whole time: on USB, which takes them as soon as the board shows it, and on
both UARTs. A *window* is a reset after which the board showed USB: only there could a host type.
"""

import random
from dataclasses import dataclass

BYTES = b"\x03\x04\x01\r"
LONGEST_S = 0.7  # of emulated time: stage 0 hands over after 0.45
EVERY_S = 0.004
PROMPTS = (b">>>", b"raw REPL", b"MicroPython v")


@dataclass
class Counts:
    resets: int = 0
    windows: int = 0
    prompts: int = 0
    printed: int = 0  # bytes that the board said


def storm(board, resets, seed):
    """Reset `board` at `resets` random moments, typing all the while. -> Counts."""
    chance = random.Random(seed)
    counts = Counts()
    for _ in range(resets):
        before = board.connections
        end = board.seconds + chance.uniform(0, LONGEST_S)
        while board.seconds < end:
            _type(board, chance)
            board.run(emulated_s=min(chance.uniform(0, 2 * EVERY_S), end - board.seconds))
        counts.resets += 1
        counts.windows += board.connections > before
        board.reset()
    counts.printed = len(board.output)
    counts.prompts = sum(bytes(board.output).count(prompt) for prompt in PROMPTS)
    return counts


def _type(board, chance):
    byte = chance.choice(BYTES)
    board._to_send[:] = bytes([byte]) * 4  # what a host that waits has in its queue
    for uart in board.mcu.uart:
        uart.feed_byte(byte)
