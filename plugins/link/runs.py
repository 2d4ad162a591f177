"""From the button to the new layer: an *errand* is one run with all that is known of it when the button is pressed."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import styles
from .canvas import Canvas, Layer, Loop, Placed, Subject, Taken
from .desk import Desk
from .errors import LinkError
from .pixels import Plane, Rect, bounds, is_soft, png
from .results import Result, Results
from .settings import CONTENT_PART, LIBRARY, OPTIMISE, SELECTION_PART, Settings, StyleRow, auto_feather
from .steps import drive
from .styles import Snapshots
from .text import tr
from .tickets import Order, Stage, Ticket
from .topics import Listeners, Topic
from .trained import names_at, with_engine
from .wording import heard

SETTINGS = "settings"
"""Under which name settings are remembered, for a user and in a document."""
_THUMBNAIL_PX = 128


@dataclass(frozen=True)
class Errand:
    """One run: what was set, what it is painted on, and the box that was taken of it."""

    settings: Settings
    subject: Subject
    box: Rect


def target_of(settings: Settings, subject: Subject) -> Rect:
    """What would be painted, in px of the document: the selection or all, as far as the layer has pixels there."""
    if settings.area == "selection" and subject.selection is not None:
        return subject.bounds.intersected(subject.selection)
    return subject.bounds


def box_of(settings: Settings, subject: Subject) -> Rect:
    """What is sent: the target with its surroundings, as far as the layer goes."""
    target = target_of(settings, subject)
    longest = max(target.width, target.height)
    return target.grown(settings.margin_px(longest)).intersected(subject.bounds)


def order_of(taken: Taken, settings: Settings, read_style: Callable[[StyleRow], bytes]) -> Order:
    """What goes to the daemon; slow, not for the host's thread. Errors: missing-style, not-a-picture, empty-mask."""
    parts: dict[str, Any] = {CONTENT_PART: taken.content}
    feather = settings.feather or 0
    if taken.mask is not None:
        selected = bounds(taken.mask)
        if selected is None:
            raise LinkError("nothing-selected", tr("Nothing is selected there."))
        parts[SELECTION_PART] = taken.mask
        if settings.feather is None:
            feather = auto_feather(selected, is_soft(taken.mask))
    names = {}
    for number, (region, mask) in enumerate(taken.regions.items(), 1):
        names[region] = f"region-{number}"
        parts[names[region]] = mask
    for row, name in zip(settings.styles, settings.part_names()):
        if not row.source.startswith(LIBRARY):
            parts[name] = read_style(row)
    recipe = settings.recipe(None, names, taken.mask is not None, feather if taken.mask is not None else 0)
    if taken.mask is None and not names:
        recipe["output"] = "layer"  # there is nothing that a mask would hide
    return Order(recipe, parts)


class Runs:
    """Takes pixels, has the desk see to the job, and puts the result into the document."""

    def __init__(self, canvas: Canvas, loop: Loop, desk: Desk, listeners: Listeners, snapshots: Snapshots) -> None:
        self.tickets: list[Ticket] = []
        self.results = Results()
        self.error: LinkError | None = None
        self.notice = ""
        self._canvas, self._loop, self._desk, self._listeners = canvas, loop, desk, listeners
        self._snapshots = snapshots
        self._inserting: set[int] = set()
        self._results_made = 0

    # ------------------------------------------------------------------------------------------------------- runs

    def run(self, settings: Settings, subject: Subject) -> Ticket | None:
        """Begin a run, or queue it; None where it cannot be, which is then said in the panel."""
        target = target_of(settings, subject)
        if target.is_empty:
            self.fail(nothing_there(subject))
            return None
        errand = Errand(settings, subject, box_of(settings, subject))
        ticket = self._open(settings.title(), errand)
        regions = list(dict.fromkeys(row.region for row in settings.styles if row.region))
        use_selection = settings.area == "selection" and subject.selection is not None
        steps = self._canvas.take(subject, errand.box, regions, use_selection)
        drive(self._loop, steps, lambda taken: self._send(ticket, taken), lambda error: self._desk.fail(ticket, error))
        return ticket

    def _open(self, title: str, errand: Errand) -> Ticket:
        ticket = self._desk.open(title, errand)
        self.tickets.append(ticket)
        self._listeners.tell(Topic.RUNS, Topic.STATUS)
        return ticket

    def _send(self, ticket: Ticket, taken: Taken) -> None:
        settings = _errand_of(ticket).settings

        def make() -> Order:
            order = order_of(taken, settings, self.picture_of)
            if not settings.likes_trained:
                return order
            names = names_at(self._desk.daemon, settings, order.parts)
            return replace(order, recipe=with_engine(dict(order.recipe), settings, names))

        self._desk.send(ticket, make)

    def picture_of(self, row: StyleRow) -> bytes:
        """A style's picture as a file that the daemon reads; what only the host can read it turns into a PNG."""
        self._snapshots.used(row.source)
        return self.read(row)

    def read(self, row: StyleRow) -> bytes:
        """As `picture_of`, where nothing is painted with it."""
        try:
            return styles.read(row.source)[0]
        except LinkError as error:
            converted = self._canvas.as_png(row.source) if error.code == "not-a-picture" else None
            if converted is None:
                raise
            return converted

    def changed(self, ticket: Ticket) -> None:
        """The desk tells that something about a ticket is new."""
        if ticket.stage is Stage.INSERTING and ticket.number not in self._inserting:
            self._inserting.add(ticket.number)
            self._insert(ticket)
        if ticket.stage.is_final:
            self._inserting.discard(ticket.number)
            if ticket in self.tickets:
                self.tickets.remove(ticket)
            if ticket.stage is Stage.FAILED and ticket.error is not None:
                self.fail(_with_names(ticket.error, _errand_of(ticket).settings))
            self._listeners.tell(Topic.STATUS)
        self._listeners.tell(Topic.RUNS)

    def warnings_of(self, ticket: Ticket) -> tuple[str, ...]:
        """What the daemon warns of, in the user's language and with the styles' own names."""
        settings = _errand_of(ticket).settings
        said = (*ticket.warnings, *(ticket.job.warnings if ticket.job else ()))
        return tuple(dict.fromkeys(heard(_named(warning, settings)) for warning in said))

    def fail(self, error: LinkError) -> None:
        """Say an error in the panel."""
        self.error, self.notice = error, ""
        self._listeners.tell(Topic.ERROR)

    def tell(self, notice: str) -> None:
        """Say something in the panel."""
        if notice:
            self.error, self.notice = None, notice
            self._listeners.tell(Topic.ERROR)

    def dismiss(self) -> None:
        """Take away what is said in the panel."""
        self.error, self.notice = None, ""
        self._listeners.tell(Topic.ERROR)

    # -------------------------------------------------------------------------------------------------- a new layer

    def _insert(self, ticket: Ticket) -> None:
        errand = _errand_of(ticket)
        if ticket.result is None or ticket.job is None:
            self._desk.fail(ticket, LinkError("internal", tr("There is no result.")))
            return
        job, picture = ticket.job, ticket.result
        result = Result(
            number=self._next_number(),
            title=ticket.title,
            settings=errand.settings,
            recipe=job.recipe,
            job_id=job.id,
            box=errand.box,
            document=errand.subject.document,
            above=errand.subject.layer,
            seconds=job.seconds,
            features=job.features or "",
            warnings=self.warnings_of(ticket),
        )
        layer = _layer_of(result, errand.subject.layer, picture, ticket.mask)

        def placed(where: Placed) -> None:
            self._desk.finish(ticket)
            self._keep(replace(result, layer=where.layer), picture)
            with suppress(LinkError):  # it may have been closed in this moment
                self._canvas.note(result.document, SETTINGS, errand.settings.as_json)
            self.tell(" ".join(filter(None, [where.notice, *result.warnings])))

        def refused(error: LinkError) -> None:
            self._desk.finish(ticket)
            self._keep(result, picture)
            if error.code == "document-closed":
                self.tell(tr("The document was closed. The result is kept below and can be added to another."))
            else:
                self.fail(error)

        drive(self._loop, self._canvas.insert(layer), placed, refused)

    def _next_number(self) -> int:
        self._results_made += 1
        return self._results_made

    def _keep(self, result: Result, picture: Plane) -> None:
        self.results.add(result)
        self._listeners.tell(Topic.RESULTS)

        def small(_: Any) -> bytes:
            return png(self._canvas.shrunk(picture, _THUMBNAIL_PX))

        def keep(thumbnail: bytes) -> None:
            known = self.results.find(result.number)
            if known is not None:
                self.change(replace(known, thumbnail=thumbnail))

        self._desk.ask(small, keep, lambda error: None)

    # ------------------------------------------------------------------------------------------------------ results

    def change(self, result: Result) -> None:
        """Another version of a result that is kept."""
        self.results.changed(result)
        self._listeners.tell(Topic.RESULTS)

    def add_again(self, result: Result, subject: Subject) -> None:
        """Add a result once more: to its own document, or if that is closed to the active one."""
        document, above = self._place_of(result, subject)

        def fetch(daemon: Any) -> tuple[Plane, Plane | None]:
            mask = daemon.mask(result.job_id) if result.output == "unmasked" else None
            return daemon.result(result.job_id), mask

        def insert(found: tuple[Plane, Plane | None]) -> None:
            layer = replace(_layer_of(result, above, *found), document=document)
            drive(self._loop, self._canvas.insert(layer), placed, self.fail)

        def placed(where: Placed) -> None:
            self.change(replace(result, document=document, above=above, layer=where.layer))
            self.tell(where.notice)

        self._desk.ask(fetch, insert, self.fail)

    def go_on(self, result: Result, subject: Subject) -> None:
        """Paint on from a result, for as many iterations as its recipe says; it becomes another layer above it.

        What was painted in one pass goes on step by step: another pass would not go on from it.
        """
        document, above = self._place_of(result, subject)
        place = replace(subject, document=document, layer=above)
        ticket = self._open(result.title, Errand(result.settings, place, result.box))
        is_fast = result.recipe.get("engine", OPTIMISE) != OPTIMISE
        self._desk.go_on(ticket, result.job_id, changes={"engine": OPTIMISE} if is_fast else None)

    def _place_of(self, result: Result, subject: Subject) -> tuple[str, str]:
        """The document and the layer above which to add a result: its own ones, as long as they are there."""
        if not self._canvas.has_document(result.document):
            return subject.document, subject.layer
        is_there = bool(result.layer) and self._canvas.is_shown(result.document, result.layer) is not None
        return result.document, result.layer if is_there else result.above

    def save(self, result: Result, path: str) -> None:
        """Save a result as a PNG."""

        def write(daemon: Any) -> None:
            data = daemon.result_png(result.job_id)
            try:
                Path(path).write_bytes(data)
            except OSError as error:
                detail = tr("{path} cannot be written: {reason}.", path=path, reason=error.strerror or error)
                raise LinkError("cannot-save", detail) from error

        self._desk.ask(write, lambda _: self.tell(tr("Saved as {path}.", path=path)), self.fail)


def _errand_of(ticket: Ticket) -> Errand:
    assert isinstance(ticket.subject, Errand), "only runs open tickets"
    return ticket.subject


def nothing_there(subject: Subject) -> LinkError:
    """Why there is nothing to paint on."""
    if subject.bounds.is_empty:
        return LinkError("nothing-there", tr("The layer {name} is empty.", name=subject.name))
    return LinkError("nothing-there", tr("The layer {name} has nothing inside the selection.", name=subject.name))


def _layer_of(result: Result, above: str, picture: Plane, mask: Plane | None) -> Layer:
    recipe = result.settings.stored(result.recipe)
    return Layer(result.document, above, result.title, result.box, picture, mask, recipe)


def _named(sentence: str, settings: Settings) -> str:
    """What the daemon says, which knows styles by the names of their parts, with the names that the user knows."""
    for part, row in zip(settings.part_names(), settings.styles):
        sentence = re.sub(rf"'?\b{re.escape(part)}\b'?", row.name.replace("\\", r"\\"), sentence)
    return sentence


def _with_names(error: LinkError, settings: Settings) -> LinkError:
    return LinkError(error.code, _named(error.detail, settings), error.hint, title=error.title)
