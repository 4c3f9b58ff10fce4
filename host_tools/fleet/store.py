"""What the collector keeps: one SQLite file (SPEC 9).

`synchronous=FULL` with the write-ahead log: a commit is on disk before it returns, and a reader
(`uward devices`, a backup) never blocks the writer. The caller groups what belongs to one message
in one `with store.transaction():` block; the acknowledgement is sealed after the block.

Counters of partial IVs belong to a *generation* of 16 random bytes; a file that came back from a
backup gets a new one (`witness`), so that no key and nonce repeat (S12). As a second line every
start leaves a random distance to the counters of the run before.
"""

import enum
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_tools.errors import Refused
from host_tools.fleet import limits, witness
from host_tools.fleet.standing import Standing


@dataclass(frozen=True)
class Reading:
    """One SenML record, resolved (RFC 8428 4.6): unix seconds; a number, text, bool or bytes."""

    name: str
    unit: str
    time: float
    value: float | str | bool | bytes


@dataclass(frozen=True)
class Event:
    """Something that a device (`device`) or the collector (`collector`) noticed."""

    device: str
    source: str
    name: str
    reason: str
    time: float
    quality: int
    received: float
    entry: int | None = None  # its number in the log of one boot, which proves it (S14)


@dataclass(frozen=True)
class Arrival:
    """What became of one numbered message."""

    fresh: bool
    committed: int  # everything up to this sequence is here
    gap: tuple[int, int] | None  # sequences that this message skipped, if newly so


class Boot(enum.Enum):
    """What an unnumbered message says about its sender."""

    FRESH = "a new boot"
    CURRENT = "the newest boot"
    BACK = "an earlier boot, alive after a newer one: two boards with one identity?"
    REPLAY = "a message that was here before"


class CloneSeen(Refused):
    """Another message with a known number: two devices share one identity; event `id.clone`."""


class Store(Standing):
    """The database of one collector. One process writes it; `read_only` opens it beside that."""

    def __init__(self, path: Path, read_only: bool = False, restored: bool = False) -> None:
        as_left = not read_only and witness.take(path)
        super().__init__(path, read_only)
        self.generation = b""
        if not read_only:
            self._begin_run(new=restored or not as_left)

    def _begin_run(self, new: bool) -> None:
        """Settle this run's generation, before anything is sealed under it."""
        row = self.one("SELECT id FROM generation ORDER BY run DESC LIMIT 1")
        self.generation = os.urandom(16) if new or row is None else row[0]
        with self.transaction():
            self.execute(
                "INSERT INTO generation (id, started) VALUES (?, ?)",
                (self.generation, time.time()),
            )
            distance = 1 + secrets.randbelow(limits.COUNTER_DISTANCE)
            self.execute("UPDATE counter SET next = next + ?", (distance,))
            self.execute(  # of generations that never seal again
                "DELETE FROM counter WHERE substr(context, 17) != ?", (self.generation,)
            )

    def close(self) -> None:
        super().close()
        if not self.read_only:
            witness.leave(self.path)

    # numbered messages

    def arrive(
        self, device: str, stream: bytes, sequence: int, digest: bytes, purpose: str,
        plaintext: bytes, now: float,
    ) -> Arrival:  # fmt: skip
        """Keep one message (SPEC 9). Raises CloneSeen when its number has another digest."""
        known = self.one(
            "SELECT digest FROM message WHERE device=? AND stream=? AND sequence=?",
            (device, stream, sequence),
        )
        committed, highest = self.progress(device, stream)
        if known is not None:
            if known[0] != digest:
                raise CloneSeen(f"{device}: another message with number {sequence} is known")
            return Arrival(False, committed, None)
        self.execute(
            "INSERT INTO message VALUES (?,?,?,?,?,?,?)",
            (device, stream, sequence, digest, purpose, plaintext, now),
        )
        gap = (highest + 1, sequence - 1) if sequence > highest + 1 else None
        if gap:
            self.execute(
                "INSERT INTO gap (device, stream, first, last, noted) VALUES (?,?,?,?,?)",
                (device, stream, *gap, now),
            )
        committed = self._advance(device, stream, committed)
        self._set_progress(device, stream, committed, max(highest, sequence), now)
        return Arrival(True, committed, gap)

    def plaintexts(
        self, device: str, stream: bytes, purpose: str, after: int, last: int
    ) -> list[bytes]:
        """Of the messages with one purpose, numbered from `after` + 1 to `last`, in order."""
        rows = self.all(
            "SELECT plaintext FROM message WHERE device=? AND stream=? AND sequence>? "
            "AND sequence<=? AND purpose=? ORDER BY sequence",
            (device, stream, after, last, purpose),
        )
        return [bytes(row[0]) for row in rows]

    def progress(self, device: str, stream: bytes) -> tuple[int, int]:
        """(everything up to this is committed, highest sequence seen); (0, 0) when unknown."""
        row = self.one(
            "SELECT committed, highest FROM stream WHERE device=? AND stream=?", (device, stream)
        )
        return (row[0], row[1]) if row else (0, 0)

    def write_off(
        self, device: str, stream: bytes, oldest: int, now: float
    ) -> tuple[int, int] | None:
        """The device keeps nothing below `oldest`: what is missing there is lost for good.

        Returns the range written off, so that acknowledgement can go on, or None.
        """
        committed, highest = self.progress(device, stream)
        if oldest <= committed + 1:
            return None
        lost = (committed + 1, oldest - 1)
        self.execute(
            "INSERT OR REPLACE INTO gap VALUES (?,?,?,?,?,1)", (device, stream, *lost, now)
        )
        committed = self._advance(device, stream, oldest - 1)
        self._set_progress(device, stream, committed, max(highest, committed), now)
        return lost

    def _advance(self, device: str, stream: bytes, committed: int) -> int:
        rows = self.all(
            "SELECT sequence FROM message WHERE device=? AND stream=? AND sequence>? "
            "ORDER BY sequence",
            (device, stream, committed),
        )
        for (sequence,) in rows:
            if sequence != committed + 1:
                break
            committed = sequence
        return committed

    def _set_progress(
        self, device: str, stream: bytes, committed: int, highest: int, now: float
    ) -> None:
        self.execute(
            "INSERT OR REPLACE INTO stream VALUES (?,?,?,?,?)",
            (device, stream, committed, highest, now),
        )

    def note_stream(self, device: str, stream: bytes, now: float) -> None:
        """The device uses this stream now, whether something of it is here or not."""
        self._set_progress(device, stream, *self.progress(device, stream), now)

    def streams(self) -> list[tuple[str, bytes, int]]:
        """(device, stream, committed) of each device's latest stream."""
        return self.all(
            "SELECT device, stream, committed FROM stream AS s WHERE seen = "
            "(SELECT max(seen) FROM stream WHERE device = s.device) GROUP BY device"
        )

    # readings and events

    def add_readings(
        self, device: str, stream: bytes, sequence: int, readings: list[Reading]
    ) -> None:
        self.execute_many(
            "INSERT INTO reading VALUES (?,?,?,?,?,?,?)",
            [(device, stream, sequence, r.name, r.unit, r.time, r.value) for r in readings],
        )

    def readings(self, device: str, name: str | None = None, last: int = 100) -> list[Reading]:
        """The newest `last` readings of a device, oldest first."""
        where = "device=?" + (" AND name=?" if name is not None else "")
        args: list[Any] = [device] + ([name] if name is not None else []) + [last]
        rows = self.all(
            f"SELECT name, unit, time, value FROM reading WHERE {where} "
            "ORDER BY time DESC, rowid DESC LIMIT ?",
            args,
        )
        return [Reading(*row) for row in reversed(rows)]

    def add_event(self, event: Event) -> None:
        self.execute(
            "INSERT INTO event (device, source, name, reason, time, quality, received, entry) "
            "VALUES (?,?,?,?,?,?,?,?)",
            (
                event.device, event.source, event.name, event.reason, event.time, event.quality,
                event.received, event.entry,
            ),
        )  # fmt: skip

    def events(self, device: str | None = None, last: int = 100) -> list[Event]:
        """The newest `last` events of a device (or of all), oldest first."""
        where = "WHERE device=?" if device is not None else ""
        args: list[Any] = ([device] if device is not None else []) + [last]
        rows = self.all(
            "SELECT device, source, name, reason, time, quality, received, entry FROM event "
            f"{where} ORDER BY id DESC LIMIT ?",
            args,
        )
        return [Event(*row) for row in reversed(rows)]

    def last_event(self, device: str, name: str) -> float | None:
        """When the newest event of this name about a device was received, unix seconds."""
        row = self.one("SELECT max(received) FROM event WHERE device=? AND name=?", (device, name))
        return row[0] if row else None

    # contexts and counters

    def note_boot(self, device: str, context: bytes, counter: int) -> Boot:
        """Judge one unnumbered message of boot `context` by its partial IV."""
        row = self.one(
            "SELECT number, counter FROM boot WHERE device=? AND context=?", (device, context)
        )
        latest = self.one("SELECT max(number) FROM boot WHERE device=?", (device,))
        newest: int = latest[0] if latest and latest[0] is not None else 0
        if row is not None and counter <= row[1]:
            return Boot.REPLAY
        back = row is not None and row[0] < newest
        number = newest if row is not None and not back else newest + 1
        self.execute(
            "INSERT OR REPLACE INTO boot VALUES (?,?,?,?)", (device, context, number, counter)
        )
        if row is None:
            return Boot.FRESH
        return Boot.BACK if back else Boot.CURRENT

    def latest_boot(self, device: str) -> bytes | None:
        """The context of the device's newest boot, or None before its first hello."""
        row = self.one(
            "SELECT context FROM boot WHERE device=? ORDER BY number DESC LIMIT 1", (device,)
        )
        return row[0] if row else None

    def take_counter(self, device: str, context: bytes, purpose: str) -> int:
        """The next partial IV of a down context; its own transaction commits it before use."""
        with self.transaction():
            key = (device, context, purpose)
            row = self.one(
                "SELECT next FROM counter WHERE device=? AND context=? AND purpose=?", key
            )
            counter: int = row[0] if row else 0
            if counter > limits.COUNTER_MAX:
                raise Refused(f"{device}: the counter of this context is used up")
            self.execute("INSERT OR REPLACE INTO counter VALUES (?,?,?,?)", (*key, counter + 1))
        return counter
