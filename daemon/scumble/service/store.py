"""Jobs on the disk: what was accepted is here before it is answered, and stays whatever happens to the daemon.

An SQLite database holds one record per job; a folder per job holds its checkpoint, preview and result, and a copy of
the record, so that a database that was damaged is made again from the folders. Pictures that came in are in `Blobs`.
"""

import contextlib
import json
import logging
import shutil
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from scumble.errors import ScumbleError
from scumble.home import private_folder, write_private
from scumble.service.blobs import Batch, Blobs, no_room
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
            (last,) = self._database.execute("SELECT last FROM counter").fetchone()
            record = record.changed(number=last + 1, rank=float(last + 1))
            folder = private_folder(self.job_folder(record.id))
            try:
                with no_room(folder / _RECORD):
                    write_private(folder / _RECORD, json.dumps(record.as_dict()).encode())
                with self._transaction() as database:
                    database.execute("UPDATE counter SET last = ?", (record.number,))
                    self._insert(database, record)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            return record

    def update(self, record: Record) -> None:
        """Keep what changed about a job. `ScumbleError("disk-full")`: the disk then holds what it held before."""
        with self._lock:
            with self._transaction() as database:
                database.execute("UPDATE jobs SET record = ? WHERE id = ?", (_text(record), record.id))
            if self.job_folder(record.id).is_dir():
                with no_room(self.job_folder(record.id)):
                    write_private(self.job_folder(record.id) / _RECORD, _text(record).encode(), durable=False)

    def forget(self, ids: Iterable[str]) -> None:
        """Remove jobs with everything they left."""
        with self._lock:
            gone = list(ids)
            with self._transaction() as database:
                database.executemany("DELETE FROM jobs WHERE id = ?", [(each,) for each in gone])
            for each in gone:
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
        folder = self.job_folder(record.id)
        return sum(path.stat().st_size for path in folder.iterdir()) if folder.is_dir() else 0

    def let_go(self, record: Record) -> Record:
        """Remove a finished job's files, and let go of its inputs; what is known of it stays."""
        for path in self.job_folder(record.id).glob("*"):
            if path.name != _RECORD:
                path.unlink(missing_ok=True)
        record = record.changed(is_kept=False)
        self.update(record)
        return record

    def sweep(self, records: Iterable[Record]) -> None:
        """Remove what belongs to none of these jobs."""
        records = list(records)
        wanted: set[str] = set()
        for record in records:
            if record.is_kept:
                wanted |= record.order.digests
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
        self.sweep(self.records())

    def close(self) -> None:
        """Let go of the database."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._database.close()

    # --------------------------------------------------------------------------------------------------- the database

    def _open(self) -> sqlite3.Connection:
        path = self.folder / "jobs.db"
        is_new = not path.exists()
        try:
            database = self._connect(path)
            _verify(database)
        except sqlite3.OperationalError as error:
            if "disk" in str(error):
                raise ScumbleError("disk-full", f"The jobs in {self.folder} cannot be opened: {error}.") from error
            return self._rebuild(path, error)
        except sqlite3.DatabaseError as error:
            return self._rebuild(path, error)
        if is_new:
            self._recover(database)
        return database

    def _connect(self, path: Path) -> sqlite3.Connection:
        path.touch(mode=0o600)
        # SQLite gives its journals the mode of the database
        database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(_SCHEMA)
        database.execute("INSERT INTO counter SELECT 0 WHERE NOT EXISTS (SELECT * FROM counter)")
        return database

    def _rebuild(self, path: Path, error: Exception) -> sqlite3.Connection:
        number = 1
        while (aside := path.with_name(f"jobs-damaged-{number}.db")).exists():
            number += 1
        log.error("The database of jobs is damaged (%s); it is now %s and is made again.", error, aside.name)
        path.rename(aside)
        for journal in ("jobs.db-wal", "jobs.db-shm"):
            path.with_name(journal).unlink(missing_ok=True)
        database = self._connect(path)
        self._recover(database)
        return database

    def _recover(self, database: sqlite3.Connection) -> None:
        """Take the records from the jobs' folders."""
        found = []
        for file in self._jobs.glob(f"*/{_RECORD}"):
            with contextlib.suppress(OSError):
                record = _record(file.read_text(errors="replace"))
                if record is not None and record.id == file.parent.name:
                    found.append(record)
        for number, record in enumerate(sorted(found, key=lambda each: each.number), 1):
            self._insert(database, record.changed(number=number))
        database.execute("UPDATE counter SET last = ?", (len(found),))
        if found:
            log.warning("%d jobs were taken over from their folders.", len(found))

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
            raise ScumbleError("disk-full", f"The jobs in {self.folder} cannot be written: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise ScumbleError("internal", f"The database of jobs in {self.folder} is damaged: {error}.") from error


def _verify(database: sqlite3.Connection) -> None:
    (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
    for (text,) in database.execute("SELECT record FROM jobs"):
        if _record(text) is None:
            raise sqlite3.DatabaseError("a record cannot be read")


def _text(record: Record) -> str:
    return json.dumps(record.as_dict())


def _record(text: str) -> Record | None:
    try:
        return Record.from_dict(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, ScumbleError) as error:
        log.warning("A job's record cannot be read: %s", error)
        return None
