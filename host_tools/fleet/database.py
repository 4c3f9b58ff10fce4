"""The collector's database: its tables and how it is opened."""

import os
import sqlite3
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from host_tools.errors import DeviceError

SCHEMA = 2
TABLES = """
CREATE TABLE generation (run INTEGER PRIMARY KEY, id BLOB NOT NULL, started REAL NOT NULL);
CREATE TABLE message (
  device TEXT, stream BLOB, sequence INTEGER, digest BLOB NOT NULL, purpose TEXT NOT NULL,
  plaintext BLOB NOT NULL, received REAL NOT NULL, PRIMARY KEY (device, stream, sequence)
) WITHOUT ROWID;
CREATE TABLE stream (
  device TEXT, stream BLOB, committed INTEGER NOT NULL, highest INTEGER NOT NULL,
  seen REAL NOT NULL, PRIMARY KEY (device, stream)
) WITHOUT ROWID;
CREATE TABLE gap (
  device TEXT, stream BLOB, first INTEGER, last INTEGER NOT NULL, noted REAL NOT NULL,
  lost INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (device, stream, first)
) WITHOUT ROWID;
CREATE TABLE reading (
  device TEXT NOT NULL, stream BLOB NOT NULL, sequence INTEGER NOT NULL, name TEXT NOT NULL,
  unit TEXT NOT NULL, time REAL NOT NULL, value
);
CREATE INDEX reading_by_time ON reading (device, name, time);
CREATE TABLE event (
  id INTEGER PRIMARY KEY, device TEXT NOT NULL, source TEXT NOT NULL, name TEXT NOT NULL,
  reason TEXT NOT NULL, time REAL NOT NULL, quality INTEGER NOT NULL, received REAL NOT NULL
);
CREATE TABLE boot (
  device TEXT, context BLOB, number INTEGER NOT NULL, counter INTEGER NOT NULL,
  PRIMARY KEY (device, context)
) WITHOUT ROWID;
CREATE TABLE counter (
  device TEXT, context BLOB, purpose TEXT, next INTEGER NOT NULL,
  PRIMARY KEY (device, context, purpose)
) WITHOUT ROWID;
CREATE TABLE hello (device TEXT PRIMARY KEY, seen REAL NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE offer (
  device TEXT, payload BLOB, state TEXT NOT NULL, detail TEXT NOT NULL, updated REAL NOT NULL,
  PRIMARY KEY (device, payload)
) WITHOUT ROWID;
"""
# what each later schema adds to the one before
LATER = {
    2: """
ALTER TABLE event ADD COLUMN entry INTEGER;
CREATE TABLE log (
  device TEXT, id BLOB, begun REAL NOT NULL, number INTEGER NOT NULL, head BLOB NOT NULL,
  ratchet BLOB, broken TEXT, PRIMARY KEY (device, id)
) WITHOUT ROWID;
CREATE TABLE checked (
  device TEXT, stream BLOB, sequence INTEGER NOT NULL, PRIMARY KEY (device, stream)
) WITHOUT ROWID;
""",
}


class Database:
    """One SQLite file; every error of SQLite leaves it as DeviceError."""

    def __init__(self, path: Path, read_only: bool) -> None:
        self.path = path
        self.read_only = read_only
        self._depth = 0
        self._db = _open(path, read_only)

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
            yield
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise DeviceError(f"{self.path}: cannot be written: {error}") from error
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._depth -= 1

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def execute(self, sql: str, args: Sequence[Any] = ()) -> None:
        self._run(lambda: self._db.execute(sql, args))

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._run(lambda: self._db.executemany(sql, rows))

    def all(self, sql: str, args: Sequence[Any] = ()) -> list[Any]:
        return self._run(lambda: self._db.execute(sql, args)).fetchall()

    def one(self, sql: str, args: Sequence[Any] = ()) -> Any:
        """The first row, or None."""
        rows = self.all(sql, args)
        return rows[0] if rows else None

    def _run(self, work: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
        try:
            return work()
        except sqlite3.Error as error:
            raise DeviceError(f"{self.path}: cannot be used: {error}") from error


def _open(path: Path, read_only: bool) -> sqlite3.Connection:
    """The database of `path`, made when it is absent. Raises DeviceError when it is no such file.

    The write-ahead log with synchronous=FULL syncs the log at each commit, before it returns.
    """
    mode = "ro" if read_only else "rwc"
    try:
        uri = f"{path.absolute().as_uri()}?mode={mode}"
        db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5)
        if not read_only:
            os.chmod(path, 0o600)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
        _migrate(db, path, read_only)
    except (sqlite3.Error, OSError) as error:
        raise DeviceError(f"{path}: not a collector database: {error}") from error
    return db


def _migrate(db: sqlite3.Connection, path: Path, read_only: bool) -> None:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0 and not read_only:
        db.executescript(f"BEGIN; {TABLES} PRAGMA user_version=1; COMMIT;")
        version = 1
    while version in range(1, SCHEMA) and not read_only:
        version += 1
        db.executescript(f"BEGIN; {LATER[version]} PRAGMA user_version={version}; COMMIT;")
    if version != SCHEMA:
        older = "; `uward serve` brings it forward" if 0 < version < SCHEMA else ""
        raise DeviceError(f"{path}: expected schema {SCHEMA}, got {version}{older}")
