"""One ticket's job with the daemon: sent, followed through everything that may happen to a daemon, and fetched.

Each run is driven on a thread of its own; its ticket belongs to the host's thread and is changed only there, by what
that thread has delivered. A daemon is **away** while it does not answer; it is waited for, and started again once for
each ticket.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import LinkError
from .questions import Deliver, internal
from .text import tr
from .tickets import Stage, Ticket

if TYPE_CHECKING:
    from .daemon import Daemon, Job

log = logging.getLogger(__name__)

PREVIEW_S = 1.0
"""The shortest time from one preview to the next."""
UNMASKED = "unmasked"

_LONG_POLL_S = 10.0
_NEWS_PAUSE_S, _IDLE_PAUSE_S, _AWAY_PAUSE_S = 0.1, 0.3, 0.5
"""The shortest time from one question to the next: when there was something new, when not, when nobody answers."""
_AWAY = frozenset({"unreachable", "no-daemon", "stopping"})

T = TypeVar("T")


class Over(Exception):  # noqa: N818 - it is no error
    """The ticket has come to its end meanwhile; its job is not wanted."""


class Run:
    """What a ticket's thread and the host's thread know of each other."""

    def __init__(
        self,
        ticket: Ticket,
        deliver: Deliver,
        on_change: Callable[[Ticket], None],
        before: threading.Event | None,
    ) -> None:
        self.ticket = ticket
        self.job: Job | None = None
        self.is_away = False
        self.was_revived = False
        self.trouble: LinkError | None = None
        """Why the daemon could not be started again."""
        self._deliver = deliver
        self._on_change = on_change
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._changes: dict[str, Any] = {}
        self._submit: Callable[[Run], Job] | None = None
        self._before = before
        """When the run that was opened before this one has made its job: the queue is in the order of the presses."""
        self.is_posted = threading.Event()
        """Whether the daemon has its job, or it has come to an end without."""
        self._keeps: bool | None = None
        self.has_begun = False
        self.is_over = False
        """Whether the last change has been posted."""
        self.is_left = False
        """Whether the host has ended."""

    @property
    def is_to_keep(self) -> bool:
        """Whether it is to be stopped, and what is there then is the result."""
        return bool(self._keeps)

    @property
    def is_unwanted(self) -> bool:
        """Whether nothing more is to come of it."""
        return self._keeps is False

    def begin(self, submit: Callable[[Run], Job]) -> None:
        """That is how to make the job."""
        self._submit, self.has_begun = submit, True

    def made(self) -> Job:
        """Make the job; the pixels are let go of with the order."""
        submit, self._submit = self._submit, None
        assert submit is not None, "a job is made once, after `begin`"
        before, self._before = self._before, None
        while before is not None and not self.is_unwanted and not before.wait(_AWAY_PAUSE_S):
            pass
        if self.is_unwanted:
            raise Over
        job = submit(self)
        with self._lock:
            self.job = job
        self.is_posted.set()
        return job

    def want(self, keep: bool) -> bool:
        """The user wants it to stop; whether there is a job, without which there is nothing to keep."""
        with self._lock:
            self._keeps = keep and self._keeps is not False and self.job is not None
            self._woken.set()
            return self.job is not None

    def end(self) -> Job | None:
        """Nothing is to be heard of it any more; its job."""
        self.want(keep=False)
        with self._lock:
            self.is_over = self.is_left = True
            self._changes.clear()
            return self.job

    def pause(self, seconds: float) -> None:
        """Wait, or until the user wants something new."""
        if seconds > 0 and self._woken.wait(seconds):
            self._woken.clear()

    def post(self, **changes: Any) -> None:
        """Have the ticket changed on the host's thread; after a final stage nothing changes any more."""
        with self._lock:
            if self.is_over:
                return
            stage = changes.get("stage")
            self.is_over = stage is not None and stage.is_final
            if self.is_over:
                self.is_posted.set()
            is_due = bool(self._changes)
            self._changes.update(changes)
        if not is_due:
            self._deliver(self._apply)

    def _apply(self) -> None:
        with self._lock:
            changes, self._changes = self._changes, {}
        if changes:
            for name, value in changes.items():
                setattr(self.ticket, name, value)
            self._on_change(self.ticket)


class Driver:
    """Drives runs, each on a thread of its own."""

    def __init__(self, daemon: Daemon, patience_s: float) -> None:
        self._daemon = daemon
        self._patience_s = patience_s

    def drive(self, run: Run) -> None:
        """The whole life of a job; never raises."""
        try:
            self._live(run)
        except Over:
            run.post(stage=Stage.STOPPED)
            self._discard(run)
        except LinkError as error:
            if run.ticket.is_training and error.code == "not-found":  # somebody else has stopped it
                run.post(stage=Stage.STOPPED, is_stopping=False)
            else:
                self._end(run, error)
        except Exception as error:  # the thread's edge
            log.exception("ticket %s", run.ticket.number)
            self._end(run, internal(error))
        finally:
            run.is_posted.set()

    def tell(self, run: Run) -> None:
        """Tell the daemon at once that the job is to stop; where it does not hear it, the run's own thread does."""
        assert run.job is not None, "what has no job is not stopped there"
        with suppress(LinkError):
            if run.is_unwanted:
                self._daemon.forget(run.job.id)
            else:
                self._daemon.stop(run.job.id, keep=True)

    def forget(self, id: str) -> None:
        """Have the daemon stop a job and remove it; it matters little if it does not."""
        with suppress(LinkError):
            self._daemon.forget(id)

    def persistently(self, run: Run, call: Callable[[], T]) -> T:
        """The answer to a call; while the daemon is away it is waited for, and started again if it was not before.

        What is called must bear being repeated.
        """
        began = time.monotonic()
        while True:
            if run.is_unwanted:
                raise Over
            try:
                if run.is_away:
                    self._revive(run)
                answer = call()
            except LinkError as error:
                if error.code not in _AWAY:
                    raise
                if time.monotonic() - began > self._patience_s:
                    raise (run.trouble or error) from None
                run.is_away = True
                run.post(is_away=True)
                run.pause(_AWAY_PAUSE_S)
            else:
                if run.is_away:
                    run.is_away, run.was_revived, run.trouble = False, True, None
                    run.post(is_away=False)
                return answer

    def _revive(self, run: Run) -> None:
        """Find the daemon again, or start it if that was not done before."""
        is_first, run.was_revived = not run.was_revived, True
        try:
            self._daemon.connect(start=is_first)
        except LinkError as error:
            if is_first:
                run.trouble = error
            raise
        # one that is about to end does answer, and may have to be started yet
        run.was_revived = not is_first

    def _live(self, run: Run) -> None:
        self._daemon.connect(start=True)
        if run.is_unwanted:
            raise Over
        job = self._follow(run, run.made())
        if run.is_unwanted:
            raise Over
        if job.state == "failed":
            raise job.problem or LinkError("internal", tr("The job failed and does not say why."))
        if run.ticket.is_training:
            if job.state == "stopped" and not (job.model or job.has_result):
                raise Over
            run.post(stage=Stage.DONE, job=job, kept=job.state == "stopped", is_stopping=False)
            return
        if not job.has_result:
            raise Over
        self._fetch(run, job)

    def _follow(self, run: Run, job: Job) -> Job:
        """The job as it has ended; on the way there the ticket is told of all that is new."""
        previews = _Previews(self._daemon, run)
        self._show(run, job)
        while not job.is_final:
            if run.is_to_keep:  # said again: a daemon that has been started again does not know it
                self.persistently(run, partial(self._daemon.stop, job.id, keep=True))
            asked, before = time.monotonic(), job
            wait_s = previews.due_s(job, _LONG_POLL_S)
            job = self.persistently(run, partial(self._news, run, before, wait_s))
            self._show(run, job)
            if not job.is_final:
                previews.fetch(job)
                # under load the daemon answers at once
                shortest = _NEWS_PAUSE_S if job.seq != before.seq else min(_IDLE_PAUSE_S, wait_s)
                run.pause(shortest - (time.monotonic() - asked))
        return job

    def _news(self, run: Run, job: Job, wait_s: float) -> Job:
        # a daemon that was away is to be heard of at once
        return self._daemon.job(job.id, after=job.seq, wait_s=0.0 if run.is_away else wait_s)

    @staticmethod
    def _show(run: Run, job: Job) -> None:
        run.job = job
        stage = Stage.QUEUED if job.state == "queued" else Stage.RUNNING
        run.post(stage=stage, job=job, warnings=tuple(job.warnings))

    def _fetch(self, run: Run, job: Job) -> None:
        run.post(stage=Stage.FETCHING)
        result, mask = self.persistently(run, lambda: self._daemon.result(job.id)), None
        if job.recipe.get("output") == UNMASKED:
            mask = self.persistently(run, lambda: self._daemon.mask(job.id))
        if run.is_unwanted:
            raise Over
        run.post(stage=Stage.INSERTING, result=result, mask=mask, kept=job.state == "stopped", is_stopping=False)

    def _end(self, run: Run, error: LinkError) -> None:
        if run.is_unwanted:
            run.post(stage=Stage.STOPPED, is_stopping=False)
        else:
            run.post(stage=Stage.FAILED, error=error, is_stopping=False, is_away=False)
        self._discard(run)

    def _discard(self, run: Run) -> None:
        """A job that nothing will come of is forgotten; a training only if it was the user who stopped it."""
        if run.job is None or (run.ticket.is_training and (run.is_left or not run.is_unwanted)):
            return
        self.forget(run.job.id)


class _Previews:
    """Intermediate pictures, one in `PREVIEW_S` at most."""

    def __init__(self, daemon: Daemon, run: Run) -> None:
        self._daemon, self._run = daemon, run
        self._number = 0
        self._next = 0.0

    def due_s(self, job: Job, longest: float) -> float:
        """How long nothing needs to be done for previews."""
        if job.preview == self._number:
            return longest
        return min(longest, max(0.0, self._next - time.monotonic()))

    def fetch(self, job: Job) -> None:
        """Fetch the newest one if there is one, and it is time."""
        if job.preview == self._number or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PREVIEW_S
        try:
            picture = self._daemon.preview(job.id)
        except LinkError:  # the next question for the job says what is the matter
            return
        self._number = job.preview
        if picture is not None:
            self._run.post(preview=picture, preview_number=job.preview)
