"""Trainings: styles being learnt by the daemon, for minutes or hours, while one goes on painting.

They belong to the daemon: one that this host does not know of, because it was begun before it was started or elsewhere,
is found and shown like its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .daemon import Job
from .desk import Desk
from .errors import LinkError
from .runs import Runs
from .settings import LIBRARY, StyleRow
from .text import tr
from .tickets import Lesson, Stage, Ticket
from .topics import Listeners, Topic
from .trained import new_name
from .watch import Watch

_LOOKS = 30
"""Of the looks, which come about once a second, every so many asks what was trained elsewhere."""


class Trainings:
    """Those that have not ended, in the order in which they were begun."""

    def __init__(self, desk: Desk, listeners: Listeners, runs: Runs, watch: Watch) -> None:
        self.tickets: list[Ticket] = []
        self._desk, self._listeners, self._runs, self._watch = desk, listeners, runs, watch
        self._ended: set[str] = set()
        """The jobs that were seen to their end here: an answer may be older than that."""
        self._looks = 0

    def of(self, row: StyleRow) -> Ticket | None:
        """The training of a row's style; one that was found, of a picture file, is known by its name alone."""
        name = new_name(row.name, ())
        for ticket in self.tickets:
            lesson = lesson_of(ticket)
            if lesson.source == row.source or (not lesson.source and lesson.name == name):
                return ticket
        return None

    def begin(self, row: StyleRow, read: Callable[[StyleRow], bytes], model: str) -> None:
        """Have a row's style learnt; `model` is how it is called where it was learnt before, and is learnt anew."""
        if self.of(row) is not None:
            return
        taken = [each.name for each in self._watch.models or ()] + [lesson_of(each).model for each in self.tickets]
        name = model if model and "#" not in model else new_name(row.name, taken)
        lesson = Lesson(row.source, row.name, name)
        self._add(self._desk.train(_title(row.name), lesson, lambda: None if row.is_library else read(row)))

    def _add(self, ticket: Ticket) -> None:
        self.tickets.append(ticket)
        self._listeners.tell(Topic.RUNS, Topic.TRAINED, Topic.STATUS)

    def look(self) -> None:
        """See, now and then, what was trained elsewhere."""
        self._looks += 1
        if self._looks % _LOOKS == 0 and self._watch.health is not None:
            self._watch.ask_models()
            self.find()

    def find(self) -> None:
        """Ask the daemon what is being learnt."""
        self._desk.ask(lambda daemon: tuple(daemon.trainings()), self._adopt, lambda error: None, topic="trainings")

    def _adopt(self, jobs: Sequence[Job]) -> None:
        if any(ticket.job is None for ticket in self.tickets):
            return  # one of these may be its job
        known = {ticket.job.id for ticket in self.tickets if ticket.job is not None} | self._ended
        for job in jobs:
            if job.id not in known:
                lesson = self._lesson(job)
                self._add(self._desk.follow(_title(lesson.name), lesson, job))

    def _lesson(self, job: Job) -> Lesson:
        """What a job that was begun elsewhere learns, as far as it says so."""
        styles = job.recipe.get("styles")
        first = styles[0] if isinstance(styles, (list, tuple)) and styles else ""
        picture = first.get("picture", "") if isinstance(first, dict) else first
        picture = picture if isinstance(picture, str) else ""
        source = picture if picture.startswith(LIBRARY) else ""
        names = {LIBRARY + style.id: style.name for style in self._watch.library}
        return Lesson(source, names.get(source) or picture or tr("a style"), "" if source else picture)

    def changed(self, ticket: Ticket) -> None:
        """The desk tells that something about one is new."""
        if ticket.stage.is_final and ticket in self.tickets:
            self.tickets.remove(ticket)
            if ticket.job is not None and (ticket.job.is_final or ticket.stage is Stage.STOPPED):
                self._ended.add(ticket.job.id)
            if ticket.stage is Stage.FAILED and ticket.error is not None:
                self._runs.fail(ticket.error)
            elif ticket.stage is Stage.DONE:
                name = lesson_of(ticket).name
                self._runs.tell(tr("{name} is trained: Draft now paints with it in an instant.", name=name))
            self._watch.ask_models()
            self._listeners.tell(Topic.TRAINED, Topic.STATUS)
        self._listeners.tell(Topic.RUNS)

    def forget(self, model: str) -> None:
        """Have the daemon remove what was learnt."""
        name = model.split("#")[0]

        def failed(error: LinkError) -> None:
            self._runs.fail(error)
            self._watch.ask_models()

        self._desk.ask(lambda daemon: daemon.forget_model(name), lambda _: self._watch.ask_models(), failed)


def lesson_of(ticket: Ticket) -> Lesson:
    """What a training is of."""
    assert isinstance(ticket.subject, Lesson), "it is a run"
    return ticket.subject


def _title(name: str) -> str:
    return tr("Training {name}", name=name)
