"""Has jobs painted: sends them to the daemon, follows them and fetches what comes of them, off the host's thread.

A **ticket** is one press of the button, from reading the layer to the finished picture. It belongs to the host's
thread: each is driven by a thread of its own, but changed only there, by what that thread has delivered. A daemon is
**away** while it does not answer; it is waited for, and started again once for each ticket.
"""

from __future__ import annotations

import enum
import itertools
import logging
import threading
import time
import typing
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import LinkError
from .text import tr

if TYPE_CHECKING:
    from .daemon import Daemon, Job
    from .pixels import Plane

log = logging.getLogger(__name__)

LEASE_S = 120.0
"""A job of ours is stopped when nobody has asked after it for so long: the host was killed."""
PREVIEW_S = 1.0
"""The shortest time from one preview to the next."""
PATIENCE_S = 60.0
"""How long a daemon that is away is waited for."""
UNMASKED = "unmasked"

_LONG_POLL_S = 10.0
_NEWS_PAUSE_S, _IDLE_PAUSE_S, _AWAY_PAUSE_S = 0.1, 0.3, 0.5
"""The shortest time from one question to the next: when there was something new, when not, when nobody answers."""
_FAREWELL_S = 0.5
_AWAY = frozenset({"unreachable", "no-daemon", "stopping"})

T = TypeVar("T")
Deliver = typing.Callable[[typing.Callable[[], None]], None]
"""Has something done on the host's thread, soon."""


@dataclass(frozen=True)
class Order:
    """A job to be: the daemon's recipe, and the pictures that it names, `content` among them."""

    recipe: Mapping[str, Any]
    parts: Mapping[str, Plane | bytes]


class Stage(enum.Enum):
    """Where a ticket is in its life."""

    READING = "reading"
    """The host reads the layer."""
    STARTING = "starting"
    """The daemon is looked for, or started."""
    SENDING = "sending"
    QUEUED = "queued"
    RUNNING = "running"
    FETCHING = "fetching"
    INSERTING = "inserting"
    """The result is there; the host adds it to the document."""
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self in (Stage.DONE, Stage.STOPPED, Stage.FAILED)


@dataclass(eq=False)
class Ticket:
    """One press of the button. Only the host's thread reads it, only the desk changes it."""

    number: int
    title: str
    subject: object = None
    """The host's; the desk does not look at it."""
    stage: Stage = Stage.READING
    job: Job | None = None
    """The daemon's latest word."""
    preview: bytes | None = None
    """The newest intermediate picture, a JPEG with a long side of at most 512 px."""
    preview_number: int = 0
    result: Plane | None = None
    """The picture of the content's size, from INSERTING on."""
    mask: Plane | None = None
    """Where it is painted and how much, one channel of the content's size; None where the result's alpha says it."""
    error: LinkError | None = None
    """Why it failed."""
    kept: bool = False
    """Whether it was stopped and what was there is the result."""
    warnings: tuple[str, ...] = ()
    is_stopping: bool = False
    """Whether it was asked to stop, and has not yet."""
    is_away: bool = False
    """Whether the daemon does not answer just now."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.stage.is_final


class Desk:
    """Drives tickets and asks questions. Every method is for the host's thread, returns at once and raises nothing.

    `on_change(ticket)` is called there after each change of a ticket; several at once may come as one.
    """

    def __init__(
        self,
        daemon: Daemon,
        deliver: Deliver,
        on_change: Callable[[Ticket], None] = lambda ticket: None,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.daemon = daemon
        self._deliver = deliver
        self._on_change = on_change
        self._driver = _Driver(daemon, patience_s)
        self._numbers = itertools.count(1)
        self._runs: dict[Ticket, _Run] = {}
        self._newest: threading.Event | None = None
        self._topics: dict[str, _Topic] = {}
        self._is_closed = False

    @property
    def tickets(self) -> list[Ticket]:
        """Those that have not come to an end, oldest first."""
        return [ticket for ticket in self._runs if not ticket.is_final]

    # ------------------------------------------------------------------------------------------------------ tickets

    def open(self, title: str, subject: object = None) -> Ticket:
        """A new ticket, whose layer the host reads now; then `send` or `go_on`, or `fail`."""
        ticket = Ticket(next(self._numbers), title, subject)
        run = self._runs[ticket] = _Run(ticket, self._deliver, self._changed, self._newest)
        self._newest = run.is_posted
        return ticket

    def send(self, ticket: Ticket, make_order: Callable[[], Order]) -> None:
        """Have an order painted. `make_order` is called on another thread once the daemon is there; it may fail."""
        key = str(uuid.uuid4())

        def submit(run: _Run) -> Job:
            order = make_order()
            run.post(stage=Stage.SENDING)
            return self._driver.persistently(
                run, lambda: self.daemon.submit(order.recipe, order.parts, key=key, lease_s=LEASE_S)
            )

        self._start(ticket, submit)

    def go_on(
        self, ticket: Ticket, job_id: str, iterations: int | None = None, changes: Mapping[str, Any] | None = None
    ) -> None:
        """Have a job's result painted on: for more iterations (None: as its recipe says), with changed fields."""
        key = str(uuid.uuid4())

        def submit(run: _Run) -> Job:
            run.post(stage=Stage.SENDING)
            return self._driver.persistently(
                run,
                lambda: self.daemon.continue_(
                    job_id, iterations=iterations, changes=dict(changes or {}), key=key, lease_s=LEASE_S
                ),
            )

        self._start(ticket, submit)

    def stop(self, ticket: Ticket, keep: bool) -> None:
        """Stop it. With `keep` what is there becomes the result, within an iteration; without, or where there is no
        job yet, it ends in STOPPED at once, whatever the daemon does.

        A ticket whose result is being inserted is not stopped any more.
        """
        run = self._runs.get(ticket)
        if run is None or ticket.is_final or ticket.stage is Stage.INSERTING:
            return
        has_job = run.want(keep)
        if keep and has_job:
            run.post(is_stopping=True)
        else:
            run.post(stage=Stage.STOPPED)
        if has_job:
            _thread(lambda: self._driver.tell(run), "stop")

    def withdraw(self, ticket: Ticket) -> None:
        """Take it back: it ends in STOPPED."""
        self.stop(ticket, keep=False)

    def finish(self, ticket: Ticket) -> None:
        """Its result is in the document: it is done."""
        if ticket in self._runs and ticket.stage is Stage.INSERTING:
            self._runs[ticket].post(stage=Stage.DONE)

    def fail(self, ticket: Ticket, error: LinkError) -> None:
        """It cannot be read or inserted. What was fetched stays with the ticket."""
        run = self._runs.get(ticket)
        if run is not None:
            run.want(keep=False)
            run.post(stage=Stage.FAILED, error=error)

    def close(self) -> None:
        """The host ends: nothing is delivered any more, and the daemon is told to forget what is not done.

        Takes at most half a second; what the daemon did not hear of ends with its lease.
        """
        self._is_closed = True
        farewells = []
        for run in self._runs.values():
            job = run.end()
            if job is not None and not job.is_final:
                farewells.append(_thread(partial(self._driver.forget, job.id), "farewell"))
        deadline = time.monotonic() + _FAREWELL_S
        for thread in farewells:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._runs.clear()
        self._topics.clear()

    def _start(self, ticket: Ticket, submit: Callable[[_Run], Job]) -> None:
        run = self._runs.get(ticket)
        if run is None or run.is_over or run.has_begun:
            return
        run.begin(submit)
        run.post(stage=Stage.STARTING)
        _thread(lambda: self._driver.drive(run), f"ticket {ticket.number}")

    def _changed(self, ticket: Ticket) -> None:
        if ticket.is_final:
            self._runs.pop(ticket, None)
        if not self._is_closed:
            self._on_change(ticket)

    # ---------------------------------------------------------------------------------------------------- questions

    def ask(
        self,
        question: Callable[[Daemon], T],
        on_answer: Callable[[T], None],
        on_error: Callable[[LinkError], None] | None = None,
        topic: str = "",
    ) -> None:
        """Ask the daemon something on another thread; the answer, or the error, comes on the host's.

        Of several questions on one `topic` only the latest is answered: one that waits its turn is not even asked.
        """
        asked = _Question(question, on_answer, on_error)
        if not topic:
            _thread(lambda: self._tell(asked, self._outcome(asked)), "question")
            return
        about = self._topics.setdefault(topic, _Topic())
        if about.put(asked):
            _thread(lambda: self._answer(about), f"questions on {topic}")

    def _answer(self, about: _Topic) -> None:
        while True:
            asked = about.take()
            if asked is None:
                return
            outcome = self._outcome(asked)
            self._tell(asked, outcome, partial(about.is_latest, asked))

    def _outcome(self, asked: _Question) -> Callable[[], None]:
        """What is to be done on the host's thread."""
        try:
            answer = asked.question(self.daemon)
        except LinkError as error:
            return _told(asked.on_error, error)
        except Exception as error:  # the thread's edge
            return _told(asked.on_error, _internal(error))
        return _told(asked.on_answer, answer)

    def _tell(
        self, asked: _Question, outcome: Callable[[], None], is_wanted: Callable[[], bool] = lambda: True
    ) -> None:
        def act() -> None:
            if not self._is_closed and is_wanted():
                outcome()

        if not self._is_closed:
            self._deliver(act)


# ----------------------------------------------------------------------------------------------------- one ticket's run


class _Over(Exception):  # noqa: N818 - it is no error
    """The ticket has come to its end meanwhile; its job is not wanted."""


class _Run:
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
        self._submit: Callable[[_Run], Job] | None = None
        self._before = before
        """When the run that was opened before this one has made its job: the queue is in the order of the presses."""
        self.is_posted = threading.Event()
        """Whether the daemon has its job, or it has come to an end without."""
        self._keeps: bool | None = None
        self.has_begun = False
        self.is_over = False
        """Whether the last change has been posted."""

    @property
    def is_to_keep(self) -> bool:
        """Whether it is to be stopped, and what is there then is the result."""
        return bool(self._keeps)

    @property
    def is_unwanted(self) -> bool:
        """Whether nothing more is to come of it."""
        return self._keeps is False

    def begin(self, submit: Callable[[_Run], Job]) -> None:
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
            raise _Over
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
            self.is_over = True
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


class _Driver:
    """Drives runs, each on a thread of its own."""

    def __init__(self, daemon: Daemon, patience_s: float) -> None:
        self._daemon = daemon
        self._patience_s = patience_s

    def drive(self, run: _Run) -> None:
        """The whole life of a job; never raises."""
        try:
            self._live(run)
        except _Over:
            run.post(stage=Stage.STOPPED)
            self._discard(run)
        except LinkError as error:
            self._end(run, error)
        except Exception as error:  # the thread's edge
            log.exception("ticket %s", run.ticket.number)
            self._end(run, _internal(error))
        finally:
            run.is_posted.set()

    def tell(self, run: _Run) -> None:
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

    def persistently(self, run: _Run, call: Callable[[], T]) -> T:
        """The answer to a call; while the daemon is away it is waited for, and started again if it was not before.

        What is called must bear being repeated.
        """
        began = time.monotonic()
        while True:
            if run.is_unwanted:
                raise _Over
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

    def _revive(self, run: _Run) -> None:
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

    def _live(self, run: _Run) -> None:
        self._daemon.connect(start=True)
        if run.is_unwanted:
            raise _Over
        job = self._follow(run, run.made())
        if run.is_unwanted:
            raise _Over
        if job.state == "failed":
            raise job.problem or LinkError("internal", tr("The job failed and does not say why."))
        if not job.has_result:
            raise _Over
        self._fetch(run, job)

    def _follow(self, run: _Run, job: Job) -> Job:
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

    def _news(self, run: _Run, job: Job, wait_s: float) -> Job:
        # a daemon that was away is to be heard of at once
        return self._daemon.job(job.id, after=job.seq, wait_s=0.0 if run.is_away else wait_s)

    @staticmethod
    def _show(run: _Run, job: Job) -> None:
        run.job = job
        stage = Stage.QUEUED if job.state == "queued" else Stage.RUNNING
        run.post(stage=stage, job=job, warnings=tuple(job.warnings))

    def _fetch(self, run: _Run, job: Job) -> None:
        run.post(stage=Stage.FETCHING)
        result, mask = self.persistently(run, lambda: self._daemon.result(job.id)), None
        if job.recipe.get("output") == UNMASKED:
            mask = self.persistently(run, lambda: self._daemon.mask(job.id))
        if run.is_unwanted:
            raise _Over
        run.post(stage=Stage.INSERTING, result=result, mask=mask, kept=job.state == "stopped", is_stopping=False)

    def _end(self, run: _Run, error: LinkError) -> None:
        if run.is_unwanted:
            run.post(stage=Stage.STOPPED, is_stopping=False)
        else:
            run.post(stage=Stage.FAILED, error=error, is_stopping=False, is_away=False)
        self._discard(run)

    def _discard(self, run: _Run) -> None:
        """A job that nothing will come of is forgotten."""
        if run.job is not None:
            self.forget(run.job.id)


class _Previews:
    """Intermediate pictures, one in `PREVIEW_S` at most."""

    def __init__(self, daemon: Daemon, run: _Run) -> None:
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


# ------------------------------------------------------------------------------------------------------------ questions


@dataclass(frozen=True, eq=False)
class _Question:
    question: Callable[[Daemon], Any]
    on_answer: Callable[[Any], None]
    on_error: Callable[[LinkError], None] | None


@dataclass(eq=False)
class _Topic:
    """Questions of which only the latest counts."""

    latest: _Question | None = None
    _waiting: _Question | None = None
    _is_busy: bool = False
    _lock: Any = field(default_factory=threading.Lock)

    def put(self, asked: _Question) -> bool:
        """Ask this instead of what waits; whether a thread is needed for it."""
        with self._lock:
            self.latest = self._waiting = asked
            is_needed, self._is_busy = not self._is_busy, True
            return is_needed

    def is_latest(self, asked: _Question) -> bool:
        """Whether nothing was asked after it."""
        return self.latest is asked

    def take(self) -> _Question | None:
        """What to ask next; None: the thread may end."""
        with self._lock:
            asked, self._waiting = self._waiting, None
            self._is_busy = asked is not None
            return asked


def _told(listener: Callable[[Any], None] | None, value: Any) -> Callable[[], None]:
    return lambda: listener(value) if listener is not None else None


def _internal(error: Exception) -> LinkError:
    return LinkError("internal", f"{type(error).__name__}: {error}"[:300])


def _thread(work: Callable[[], Any], name: str) -> threading.Thread:
    # a daemon thread: a host that ends does not wait for it
    thread = threading.Thread(target=work, name=f"scumble {name}", daemon=True)
    thread.start()
    return thread
