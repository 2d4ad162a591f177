"""What time brings: leases end, idle workers go home, changes come to the disk, old results make room for new ones."""

import logging
import shutil
import threading
from collections.abc import Sequence

from scumble.errors import ScumbleError
from scumble.protocol import State
from scumble.service.crew import Crew
from scumble.service.ledger import Ledger
from scumble.service.live import Live
from scumble.service.settings import Settings

log = logging.getLogger(__name__)

_TICK_S = 0.5
_ROUND = 10  # ticks between two looks at the disk


class Housekeeping:
    """A thread that looks after jobs and workers; `disk_mb` is what is free, and what all jobs take."""

    def __init__(self, ledger: Ledger, crew: Crew, settings: Settings) -> None:
        self._ledger, self._crew, self._settings = ledger, crew, settings
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        self.disk_mb = (0.0, 0.0)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, after what is being done now."""
        self._ends.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        ticks = 0
        while not self._ends.is_set():
            try:
                self.end_leases()
                self._crew.send_idle_home()
                self._ledger.save()
                if ticks % _ROUND == 0:
                    self.let_old_go()
                    self.measure()
                self._crew.dispatch()
            except Exception:
                log.exception("Something went wrong while tidying up.")
            ticks += 1
            self._ends.wait(_TICK_S)

    def end_leases(self) -> None:
        """Stop the jobs that nobody asked after for as long as they were to live without it."""
        with self._ledger.lock:
            for live in self._ledger:
                if live.is_abandoned and not live.is_stopping:
                    live.notices += (f"Nobody asked after it for {live.record.order.lease_s:g} s, so it was stopped.",)
                    self._crew.stop(live, keep=False)

    def let_old_go(self) -> None:
        """Keep the store within its limits: results that were fetched go first, the oldest of them first.

        Where the disk is tight, by whomever it was filled, those that somebody may still come for stay.
        """
        limits = self._settings.limits
        with self._ledger.lock:
            ended = [live for live in self._ledger if live.state.is_final]
            spare = len(self._ledger) - limits.jobs
        kept = [live for live in ended if live.record.is_kept]
        kept.sort(key=lambda live: (_matters(live), live.record.number))
        gone = 0
        while gone < len(kept) and (self._is_too_much(kept[gone:]) or (not _matters(kept[gone]) and self._is_tight())):
            self._ledger.let_go(kept[gone])
            log.info("job %s: its result was let go to make room", kept[gone].id)
            gone += 1
            self._ledger.sweep()  # its inputs make room too
        for live in ended[: max(0, spare)]:
            self._ledger.forget(live.id)
        if spare > 0:
            self._ledger.sweep()

    def measure(self) -> None:
        """Look at the disk."""
        with self._ledger.lock:
            jobs = list(self._ledger)
        free = shutil.disk_usage(self._settings.home).free
        self.disk_mb = (round(free / 2**20, 1), round(self._bytes(jobs) / 2**20, 1))

    def _is_too_much(self, kept: Sequence[Live]) -> bool:
        limits = self._settings.limits
        results = sum(live.record.result is not None for live in kept)
        return results > limits.results or self._bytes(kept) > limits.results_bytes

    def _is_tight(self) -> bool:
        try:
            self._ledger.store.check_room()
        except ScumbleError:
            return True
        return False

    def _bytes(self, jobs: Sequence[Live]) -> int:
        store = self._ledger.store
        digests: set[str] = set()
        for live in jobs:
            if live.record.is_kept:
                digests |= live.record.order.digests
        return sum(store.bytes_of(live.record) for live in jobs) + store.blobs.sizes(digests)


def _matters(live: Live) -> bool:
    """Whether somebody may still come for it."""
    return live.state is State.DONE and not live.record.was_fetched
