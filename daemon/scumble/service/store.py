"""Jobs on the disk: what was accepted is here before it is answered, and stays whatever happens to the daemon.

An SQLite database holds one record per job; a folder per job holds its checkpoint, preview and result, and a copy of
the record, so that a database that was damaged is made again from the folders. Pictures that came in are in `Blobs`.
"""

import contextlib
import json
import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from scumble.errors import ScumbleError
from scumble.home import private_folder, sync_folder, write_private
from scumble.service.blobs import Batch, Blobs, no_room, size_of
from scumble.service.records import Record
from scumble.service.settings import Limits

log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS counter (last INTEGER NOT NULL) STRICT;
"""
_RECORD = "job.json"
_NO_DAMAGE = frozenset(
    {
        *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL),
        *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM),
    }
)
"""What SQLite says when nothing is wrong with the database itself."""


class Store:
    """All that outlives the daemon's process; safe to use from several threads."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder = private_folder(folder)
        self._limits = limits
        self._jobs = private_folder(folder / "jobs")
        self.blobs = Blobs(folder / "pictures", folder / "incoming")
        self._lock = threading.RLock()
        self._database = self._open()

    # ------------------------------------------------------------------------------------------------ what comes in

    def batch(self) -> contextlib.AbstractContextManager[Batch]:
        """Receive the uploads of one request."""
        return self.blobs.batch()

    def check_room(self, wanted_bytes: int = 0) -> None:
        """`ScumbleError("disk-full")` unless so much can be written and a spare remains for what is under way."""
        free = shutil.disk_usage(self.folder).free
        if free < wanted_bytes + self._limits.spare_bytes:
            wanted = (wanted_bytes + self._limits.spare_bytes) / 2**20
            have = f"{free / 2**20:.0f} MB are free where the daemon keeps its jobs"
            raise ScumbleError("disk-full", f"{have}, {wanted:.0f} MB are needed.")

    def add(self, record: Record) -> Record:
        """Keep a new job, under the next number; on the disk when this returns. `ScumbleError("disk-full")`."""
        with self._lock:
            with self._transaction() as database:
                (last,) = database.execute("SELECT last FROM counter").fetchone()
            record = record.changed(number=last + 1, rank=float(last + 1))
            folder = private_folder(self.job_folder(record.id))
            try:
                with no_room(folder / _RECORD):
                    write_private(folder / _RECORD, _text(record).encode())
                    sync_folder(self._jobs)
                with self._transaction() as database:
                    database.execute("UPDATE counter SET last = ?", (record.number,))
                    self._insert(database, record)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            return record

    def update(self, records: Iterable[Record]) -> None:
        """Keep what changed about jobs, all of it or nothing. `ScumbleError("disk-full")`: try it again."""
        with self._lock:
            texts = {record.id: _text(record) for record in records}
            with self._transaction() as database:
                for id, text in texts.items():
                    database.execute("UPDATE jobs SET record = ? WHERE id = ?", (text, id))
            for id, text in texts.items():
                if self.job_folder(id).is_dir():
                    with no_room(self.job_folder(id) / _RECORD):
                        write_private(self.job_folder(id) / _RECORD, text.encode(), durable=False)

    def forget(self, ids: Iterable[str]) -> None:
        """Remove jobs with everything they left."""
        with self._lock:
            gone = list(ids)
            try:
                self._delete(gone)
            except ScumbleError:  # on a full disk there may be room once the files are gone
                self._remove_folders(gone)
                self._delete(gone)
            self._remove_folders(gone)

    def _delete(self, ids: Iterable[str]) -> None:
        with self._transaction() as database:
            database.executemany("DELETE FROM jobs WHERE id = ?", [(each,) for each in ids])

    def _remove_folders(self, ids: Iterable[str]) -> None:
        for each in ids:
            shutil.rmtree(self.job_folder(each), ignore_errors=True)

    # ---------------------------------------------------------------------------------------------------- what is there

    def records(self) -> list[Record]:
        """All jobs, oldest first; one that cannot be read is left out."""
        with self._lock:
            rows = self._database.execute("SELECT record FROM jobs ORDER BY number").fetchall()
        return [record for (text,) in rows if (record := _record(text)) is not None]

    def job_folder(self, id: str) -> Path:
        """Where a job's checkpoint, preview and result are."""
        return self._jobs / id

    def bytes_of(self, record: Record) -> int:
        """What a job's own files take, its inputs not counted."""
        found = 0
        with contextlib.suppress(FileNotFoundError):
            for path in self.job_folder(record.id).iterdir():
                found += size_of(path)
        return found

    def clear(self, id: str) -> None:
        """Remove a finished job's files; what is known of it stays."""
        for path in self.job_folder(id).glob("*"):
            if path.name != _RECORD:
                path.unlink(missing_ok=True)

    def sweep(self, records: Callable[[], Iterable[Record]]) -> None:
        """Remove the pictures that belong to none of these jobs."""

        def wanted() -> set[str]:
            return {digest for record in records() if record.is_kept for digest in record.order.digests}

        self.blobs.sweep(wanted)

    def tidy(self) -> None:
        """Remove what an earlier life of the daemon left half done; before any request is served."""
        self.blobs.clear_incoming()
        known = {record.id for record in self.records()}
        for folder in self._jobs.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            for path in folder.glob(".*.tmp"):
                path.unlink(missing_ok=True)
        self.sweep(self.records)

    def close(self) -> None:
        """Let go of the database."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._database.close()

    # --------------------------------------------------------------------------------------------------- the database

    def _open(self) -> sqlite3.Connection:
        path = self.folder / "jobs.db"
        with no_room(path):
            try:
                return self._connect(path)
            except sqlite3.Error as error:
                if not _is_damage(error, path):
                    raise self._trouble("opened", error) from error
                _put_aside(path, error)
            try:
                return self._connect(path)
            except sqlite3.Error as error:
                raise self._trouble("opened", error) from error

    def _connect(self, path: Path) -> sqlite3.Connection:
        # SQLite gives its journals the mode of the database
        path.touch(mode=0o600)
        database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.executescript(_SCHEMA)
            _verify(database)
            database.execute("INSERT INTO counter SELECT 0 WHERE NOT EXISTS (SELECT * FROM counter)")
            database.execute("UPDATE counter SET last = max(last, (SELECT coalesce(max(number), 0) FROM jobs))")
            self._recover(database)
        except BaseException:
            database.close()
            raise
        return database

    def _recover(self, database: sqlite3.Connection) -> None:
        """Take the jobs over from their folders that came after all it knows of: it has lost them.

        All of them or, if this is interrupted, none. Older ones that it does not know were forgotten.
        """
        (last,) = database.execute("SELECT last FROM counter").fetchone()
        known = {id for (id,) in database.execute("SELECT id FROM jobs")}
        found = []
        for file in self._jobs.glob(f"*/{_RECORD}"):
            if file.parent.name not in known:
                with contextlib.suppress(OSError):
                    record = _record(file.read_text(errors="replace"))
                    if record is not None and record.id == file.parent.name and record.number > last:
                        found.append(record)
        if not found:
            return
        database.execute("BEGIN IMMEDIATE")
        for record in sorted(found, key=lambda each: each.number):
            last = max(last + 1, record.number)
            self._insert(database, record.changed(number=last))
        database.execute("UPDATE counter SET last = ?", (last,))
        database.execute("COMMIT")
        log.warning("%d jobs were taken over from their folders.", len(found))

    def _trouble(self, done: str, error: sqlite3.Error) -> ScumbleError:
        code = "disk-full" if "disk" in str(error) else "cannot-write"
        return ScumbleError(code, f"The jobs in {self.folder} cannot be {done}: {error}.")

    @staticmethod
    def _insert(database: sqlite3.Connection, record: Record) -> None:
        database.execute("INSERT INTO jobs VALUES (?, ?, ?)", (record.number, record.id, _text(record)))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:
            raise self._trouble("written", error) from error
        except sqlite3.DatabaseError as error:
            raise ScumbleError("internal", f"The database of jobs in {self.folder} is damaged: {error}.") from error


def _is_damage(error: sqlite3.Error, path: Path) -> bool:
    """Whether it is the database that is wrong, and not the disk or the folder around it."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    if code & 0xFF == sqlite3.SQLITE_READONLY:
        return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    return code == sqlite3.SQLITE_IOERR_SHORT_READ or code & 0xFF not in _NO_DAMAGE


def _put_aside(path: Path, error: Exception) -> None:
    number = 1
    while (aside := path.with_name(f"jobs-damaged-{number}.db")).exists():
        number += 1
    log.error("The database of jobs is damaged (%s); it is now %s and is made again.", error, aside.name)
    path.rename(aside)
    for journal in ("jobs.db-wal", "jobs.db-shm"):
        path.with_name(journal).unlink(missing_ok=True)


def _verify(database: sqlite3.Connection) -> None:
    (verdict,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
    for number, id, text in database.execute("SELECT number, id, record FROM jobs"):
        record = _record(text)
        if record is None or (record.number, record.id) != (number, id):
            raise sqlite3.DatabaseError("a record cannot be read")


def _text(record: Record) -> str:
    return json.dumps(record.as_dict())


def _record(text: str) -> Record | None:
    try:
        return Record.from_dict(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, ScumbleError) as error:
        log.warning("A job's record cannot be read: %s", error)
        return None
