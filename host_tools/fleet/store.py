"""What the collector keeps: one SQLite file (SPEC 9).

`synchronous=FULL` with the write-ahead log: a commit is on disk before it returns, and a reader
(`uward devices`, a backup) never blocks the writer. The caller groups what belongs to one message
in one `with store.transaction():` block; the acknowledgement is sealed after the block.

Every start is a new *generation* of 16 random bytes. A file that came back from a backup has then
never the generation of the counters that it forgot, so no key and nonce repeat (S12).
"""

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_tools.errors import DeviceError, Refused
from host_tools.fleet import limits, schema


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


@dataclass(frozen=True)
class Arrival:
    """What became of one numbered message."""

    fresh: bool
    committed: int  # everything up to this sequence is here
    gap: tuple[int, int] | None  # sequences that this message skipped, if newly so


class CloneSeen(Refused):
    """Another message with a known number: two devices share one identity; event `id.clone`."""


class Store:
    """The database of one collector. One process writes it; `read_only` opens it beside that."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = path
        self._depth = 0
        self._db = schema.open_database(path, read_only)
        self.generation = b"" if read_only else os.urandom(16)

    def begin_generation(self, now: float) -> None:
        """Record this run's generation, before anything is sealed under it."""
        with self.transaction():
            self._db.execute(  # of generations that never seal again
                "DELETE FROM counter WHERE substr(context, 17) NOT IN "
                "(SELECT id FROM generation ORDER BY started DESC LIMIT 16)"
            )
            self._db.execute("INSERT INTO generation VALUES (?, ?)", (self.generation, now))

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Generator[None]:
        """All of it on disk when the block ends, or nothing. Raises DeviceError (disk full)."""
        if self._depth:
            yield
            return
        self._depth += 1
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise DeviceError(f"{self.path}: cannot be written: {error}") from error
        finally:
            self._depth -= 1

    # numbered messages

    def arrive(
        self, device: str, stream: bytes, sequence: int, digest: bytes, purpose: str,
        plaintext: bytes, now: float,
    ) -> Arrival:  # fmt: skip
        """Keep one message (SPEC 9). Raises CloneSeen when its number has another digest."""
        known = self._one(
            "SELECT digest FROM message WHERE device=? AND stream=? AND sequence=?",
            (device, stream, sequence),
        )
        committed, highest = self.progress(device, stream)
        if known is not None:
            if known[0] != digest:
                raise CloneSeen(f"{device}: another message with number {sequence} is known")
            return Arrival(False, committed, None)
        self._db.execute(
            "INSERT INTO message VALUES (?,?,?,?,?,?,?)",
            (device, stream, sequence, digest, purpose, plaintext, now),
        )
        gap = (highest + 1, sequence - 1) if sequence > highest + 1 else None
        if gap:
            self._db.execute(
                "INSERT INTO gap (device, stream, first, last, noted) VALUES (?,?,?,?,?)",
                (device, stream, *gap, now),
            )
        committed = self._advance(device, stream, committed)
        self._set_progress(device, stream, committed, max(highest, sequence), now)
        return Arrival(True, committed, gap)

    def progress(self, device: str, stream: bytes) -> tuple[int, int]:
        """(everything up to this is committed, highest sequence seen); (0, 0) when unknown."""
        row = self._one(
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
        self._db.execute(
            "INSERT OR REPLACE INTO gap VALUES (?,?,?,?,?,1)", (device, stream, *lost, now)
        )
        committed = self._advance(device, stream, oldest - 1)
        self._set_progress(device, stream, committed, max(highest, committed), now)
        return lost

    def _advance(self, device: str, stream: bytes, committed: int) -> int:
        rows = self._db.execute(
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
        self._db.execute(
            "INSERT OR REPLACE INTO stream VALUES (?,?,?,?,?)",
            (device, stream, committed, highest, now),
        )

    def streams(self) -> list[tuple[str, bytes, int]]:
        """(device, stream, committed) of each device's latest stream."""
        return self._all(
            "SELECT device, stream, committed FROM stream AS s WHERE seen = "
            "(SELECT max(seen) FROM stream WHERE device = s.device) GROUP BY device"
        )

    # readings and events

    def add_readings(
        self, device: str, stream: bytes, sequence: int, readings: list[Reading]
    ) -> None:
        self._db.executemany(
            "INSERT INTO reading VALUES (?,?,?,?,?,?,?)",
            [(device, stream, sequence, r.name, r.unit, r.time, r.value) for r in readings],
        )

    def readings(self, device: str, name: str | None = None, last: int = 100) -> list[Reading]:
        """The newest `last` readings of a device, oldest first."""
        where = "device=?" + (" AND name=?" if name is not None else "")
        args: list[Any] = [device] + ([name] if name is not None else []) + [last]
        rows = self._all(
            f"SELECT name, unit, time, value FROM reading WHERE {where} "
            "ORDER BY time DESC, rowid DESC LIMIT ?",
            args,
        )
        return [Reading(*row) for row in reversed(rows)]

    def add_event(self, event: Event) -> None:
        self._db.execute(
            "INSERT INTO event (device, source, name, reason, time, quality, received) "
            "VALUES (?,?,?,?,?,?,?)",
            (
                event.device, event.source, event.name, event.reason, event.time, event.quality,
                event.received,
            ),
        )  # fmt: skip

    def events(self, device: str | None = None, last: int = 100) -> list[Event]:
        """The newest `last` events of a device (or of all), oldest first."""
        where = "WHERE device=?" if device is not None else ""
        args: list[Any] = ([device] if device is not None else []) + [last]
        rows = self._all(
            "SELECT device, source, name, reason, time, quality, received FROM event "
            f"{where} ORDER BY id DESC LIMIT ?",
            args,
        )
        return [Event(*row) for row in reversed(rows)]

    # contexts and counters

    def note_boot(self, device: str, context: bytes, counter: int) -> bool:
        """Accept one unnumbered message of boot `context`; False for a replay or an older boot."""
        row = self._one(
            "SELECT number, counter FROM boot WHERE device=? AND context=?", (device, context)
        )
        latest = self._one("SELECT max(number) FROM boot WHERE device=?", (device,))
        newest: int = latest[0] if latest and latest[0] is not None else 0
        if row is not None and (row[0] < newest or counter <= row[1]):
            return False
        self._db.execute(
            "INSERT OR REPLACE INTO boot VALUES (?,?,?,?)",
            (device, context, row[0] if row else newest + 1, counter),
        )
        return True

    def latest_boot(self, device: str) -> bytes | None:
        """The context of the device's newest boot, or None before its first hello."""
        row = self._one(
            "SELECT context FROM boot WHERE device=? ORDER BY number DESC LIMIT 1", (device,)
        )
        return row[0] if row else None

    def take_counter(self, device: str, context: bytes, purpose: str) -> int:
        """The next partial IV of a down context; its own transaction commits it before use."""
        with self.transaction():
            key = (device, context, purpose)
            row = self._one(
                "SELECT next FROM counter WHERE device=? AND context=? AND purpose=?", key
            )
            counter: int = row[0] if row else 0
            if counter > limits.COUNTER_MAX:
                raise Refused(f"{device}: the counter of this context is used up")
            self._db.execute(
                "INSERT OR REPLACE INTO counter VALUES (?,?,?,?)", (*key, counter + 1)
            )
        return counter

    # devices

    def save_hello(self, device: str, body: bytes, now: float) -> None:
        self._db.execute("INSERT OR REPLACE INTO hello VALUES (?,?,?)", (device, now, body))

    def hellos(self) -> dict[str, tuple[float, bytes]]:
        """device -> (unix seconds, CBOR of its last hello)."""
        return {row[0]: (row[1], row[2]) for row in self._all("SELECT * FROM hello")}

    def set_offer(self, device: str, payload: bytes, state: str, detail: str, now: float) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO offer VALUES (?,?,?,?,?)",
            (device, payload, state, detail, now),
        )

    def offer(self, device: str, payload: bytes) -> tuple[str, str] | None:
        """(state, detail) of one release on one device, or None before it was offered."""
        row = self._one(
            "SELECT state, detail FROM offer WHERE device=? AND payload=?", (device, payload)
        )
        return (row[0], row[1]) if row else None

    def _one(self, sql: str, args: tuple[Any, ...] = ()) -> Any:
        rows = self._all(sql, args)
        return rows[0] if rows else None

    def _all(self, sql: str, args: Any = ()) -> list[Any]:
        try:
            return self._db.execute(sql, args).fetchall()
        except sqlite3.Error as error:
            raise DeviceError(f"{self.path}: cannot be read: {error}") from error
