"""The ledger: all jobs in memory, under one lock, and how what changed about them comes to the disk.

Nothing slow is done under the lock. A job that changed is *unsaved* until `save` has brought it to the store: at once
where a client is told of it, else by the housekeeping within half a second. What cannot be written is kept and tried
again.
"""

import logging
import threading
from collections.abc import Callable, Iterator

from scumble.errors import ScumbleError
from scumble.protocol import Job, Kind, State
from scumble.service.live import Live
from scumble.service.orders import Order
from scumble.service.records import Record
from scumble.service.store import Store

log = logging.getLogger(__name__)


class Ledger:
    """All jobs. Whoever looks at or changes a job holds `lock`."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lock = threading.RLock()
        self._jobs: dict[str, Live] = {}
        self._keys: dict[str, str] = {}
        self._unsaved: set[str] = set()
        self._gone: set[str] = set()
        self._trouble = ""
        self._saving = threading.Lock()

    def load(self, take_up: Callable[[Live], None]) -> None:
        """Read all jobs from the store; `take_up` is called with those that had not ended."""
        with self.lock:
            for record in self.store.records():
                live = self._enter(record)
                if not record.state.is_final:
                    take_up(live)

    def add(self, record: Record) -> Live:
        """Enter a new job; on the disk when this returns."""
        record = self.store.add(record)
        with self.lock:
            return self._enter(record)

    def find(self, id: str) -> Live:
        """A job by its id; `not-found`."""
        if id not in self._jobs:
            raise ScumbleError("not-found", f"There is no job {id[:40]!r}.", "`GET /v1/jobs` lists them.")
        return self._jobs[id]

    def get(self, id: str | None) -> Live | None:
        """A job by its id, if it is still there."""
        return self._jobs.get(id) if id else None

    def known(self, order: Order) -> Live | None:
        """The job that was made under the order's key before; `key-reused` if it was of another order."""
        live = self._jobs.get(self._keys.get(order.key or "", ""))
        if live is not None and live.record.order.fingerprint != order.fingerprint:
            raise ScumbleError("key-reused", f"The idempotency key belongs to job {live.id}, which is another one.")
        return live

    def __iter__(self) -> Iterator[Live]:
        """All jobs, oldest first."""
        return iter(list(self._jobs.values()))

    def __reversed__(self) -> Iterator[Live]:
        return iter(list(reversed(self._jobs.values())))

    def __len__(self) -> int:
        return len(self._jobs)

    def queue(self) -> list[Live]:
        """The jobs that wait, in the order in which they will be taken: trainings after all paintings."""
        waiting = (live for live in self._jobs.values() if live.state is State.QUEUED)
        return sorted(waiting, key=_place)

    def view(self, live: Live) -> Job:
        """A job as it is told to those who ask."""
        position = None
        if live.state is State.QUEUED:
            place = _place(live)
            position = sum(each.state is State.QUEUED and _place(each) < place for each in self._jobs.values())
        return live.view(position)

    def changed(self, live: Live) -> None:
        """Something about a job is to be kept, and told to those who wait."""
        if live.id in self._jobs:
            self._unsaved.add(live.id)
        live.touch()

    def queue_moved(self) -> None:
        """The places in the queue are different."""
        for live in self.queue():
            live.touch()

    def save(self) -> None:
        """Bring what changed to the disk."""
        with self._saving:
            with self.lock:
                gone, unsaved = set(self._gone), set(self._unsaved)
                records = [self._jobs[id].record for id in unsaved if id in self._jobs]
                self._unsaved.clear()
            try:
                if gone:
                    self.store.forget(gone)
                if records:
                    self.store.update(records)
            except BaseException as error:
                with self.lock:
                    self._unsaved |= unsaved
                if not isinstance(error, ScumbleError):
                    raise
                if error.detail != self._trouble:  # it is tried twice a second
                    log.error("What changed about jobs cannot be kept: %s", error.detail)  # noqa: TRY400
                self._trouble = error.detail
            else:
                self._trouble = ""
                with self.lock:
                    self._gone -= gone

    def let_go(self, live: Live) -> None:
        """Remove the files of a job that has ended; what is known of it stays."""
        with self.lock:
            if not live.state.is_final or not live.record.is_kept:
                return
            live.record = live.record.changed(is_kept=False)
            self.changed(live)
        self.save()
        self.store.clear(live.id)

    def forget(self, id: str) -> None:
        """Remove a job, from memory and disk."""
        with self.lock:
            live = self._jobs.pop(id, None)
            if live is None:  # another one was quicker
                return
            self._unsaved.discard(id)
            self._gone.add(id)
            if live.record.order.key:
                self._keys.pop(live.record.order.key, None)
        self.save()

    def sweep(self) -> None:
        """Remove the pictures that no job needs."""
        self.store.sweep(self._records)

    def _records(self) -> list[Record]:
        with self.lock:
            return [live.record for live in self._jobs.values()]

    def _enter(self, record: Record) -> Live:
        live = Live(record, threading.Condition(self.lock))
        self._jobs[record.id] = live
        if record.order.key:
            self._keys[record.order.key] = record.id
        return live


def _place(live: Live) -> tuple[bool, float, int]:
    """What the queue is sorted by."""
    return live.kind is Kind.TRAIN, live.record.rank, live.record.number
