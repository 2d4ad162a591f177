"""Has jobs painted: sends them to the daemon, follows them and fetches what comes of them, off the host's thread."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from .driver import Driver, Run
from .questions import Deliver, Questions, thread
from .tickets import Lesson, Order, Stage, Ticket

if TYPE_CHECKING:
    from .daemon import Daemon, Job
    from .errors import LinkError

_OTHER_PARTS = frozenset({"options", "recipe", "content", "lease_s"})
LEASE_S = 120.0
"""A job of ours is stopped when nobody has asked after it for so long: the host was killed."""
PATIENCE_S = 60.0
"""How long a daemon that is away is waited for."""
_FAREWELL_S = 0.5

T = TypeVar("T")


def trained_part(lesson: Lesson) -> str:
    """How a training calls the picture that goes with it: whoever finds it later knows by that what is learnt."""
    return "style" if lesson.model in _OTHER_PARTS else lesson.model


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
        self._driver = Driver(daemon, patience_s)
        self._questions = Questions(daemon, deliver)
        self._numbers = itertools.count(1)
        self._runs: dict[Ticket, Run] = {}
        self._newest: threading.Event | None = None
        self._is_closed = False

    @property
    def tickets(self) -> list[Ticket]:
        """Those that have not come to an end, oldest first."""
        return [ticket for ticket in self._runs if not ticket.is_final]

    # ------------------------------------------------------------------------------------------------------ tickets

    def open(self, title: str, subject: object = None) -> Ticket:
        """A new ticket, whose layer the host reads now; then `send` or `go_on`, or `fail`."""
        ticket = Ticket(next(self._numbers), title, subject)
        run = self._runs[ticket] = Run(ticket, self._deliver, self._changed, self._newest)
        self._newest = run.is_posted
        return ticket

    def send(self, ticket: Ticket, make_order: Callable[[], Order]) -> None:
        """Have an order painted. `make_order` is called on another thread once the daemon is there; it may fail."""
        key = str(uuid.uuid4())

        def submit(run: Run) -> Job:
            order = make_order()
            run.post(stage=Stage.SENDING)
            return self._driver.persistently(
                run, lambda: self.daemon.submit(order.recipe, order.parts, key=key, lease_s=LEASE_S)
            )

        self._start(ticket, submit)

    def train(self, title: str, lesson: Lesson, read: Callable[[], bytes | None]) -> Ticket:
        """Have a style learnt; `read` gives its picture's file on another thread, or None for one of the library."""
        key = str(uuid.uuid4())

        def submit(run: Run) -> Job:
            data = read()
            picture = lesson.source if data is None else trained_part(lesson)
            run.post(stage=Stage.SENDING)
            return self._driver.persistently(run, lambda: self.daemon.train(picture, data, lesson.model, key))

        return self._begin_training(title, lesson, submit)

    def follow(self, title: str, lesson: Lesson, job: Job) -> Ticket:
        """A ticket for a training that is under way already."""
        return self._begin_training(title, lesson, lambda _run: job)

    def _begin_training(self, title: str, lesson: Lesson, submit: Callable[[Run], Job]) -> Ticket:
        ticket = Ticket(next(self._numbers), title, lesson, stage=Stage.STARTING)
        # not in the order of the presses: no painting waits for it
        self._runs[ticket] = Run(ticket, self._deliver, self._changed, None)
        self._start(ticket, submit)
        return ticket

    def go_on(
        self, ticket: Ticket, job_id: str, iterations: int | None = None, changes: Mapping[str, Any] | None = None
    ) -> None:
        """Have a job's result painted on: for more iterations (None: as its recipe says), with changed fields."""
        key = str(uuid.uuid4())

        def submit(run: Run) -> Job:
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
            thread(lambda: self._driver.tell(run), "stop")

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
        """The host ends: nothing is delivered any more, and the daemon is told to forget what is not done. Trainings go
        on.

        Takes at most half a second; what the daemon did not hear of ends with its lease.
        """
        self._is_closed = True
        self._questions.close()
        farewells = []
        for run in self._runs.values():
            job = run.end()
            if job is not None and not job.is_final and not run.ticket.is_training:
                farewells.append(thread(partial(self._driver.forget, job.id), "farewell"))
        deadline = time.monotonic() + _FAREWELL_S
        for farewell in farewells:
            farewell.join(max(0.0, deadline - time.monotonic()))
        self._runs.clear()

    def _start(self, ticket: Ticket, submit: Callable[[Run], Job]) -> None:
        run = self._runs.get(ticket)
        if run is None or run.is_over or run.has_begun:
            return
        run.begin(submit)
        run.post(stage=Stage.STARTING)
        thread(lambda: self._driver.drive(run), f"ticket {ticket.number}")

    def _changed(self, ticket: Ticket) -> None:
        if ticket.is_final:
            self._runs.pop(ticket, None)
        if not self._is_closed:
            self._on_change(ticket)

    def ask(
        self,
        question: Callable[[Daemon], T],
        on_answer: Callable[[T], None],
        on_error: Callable[[LinkError], None] | None = None,
        topic: str = "",
    ) -> None:
        """Ask the daemon something; see `Questions.ask`."""
        self._questions.ask(question, on_answer, on_error, topic)
