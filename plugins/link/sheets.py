"""The sheet of variations being painted: one small job after another, on a small copy of what is selected."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from .canvas import Canvas, Loop, Subject, Taken
from .daemon import Daemon
from .desk import Desk
from .errors import LinkError
from .pixels import Plane, Rect, cropped, png
from .runs import Runs, box_of, order_of, target_of
from .settings import FAST, Settings
from .steps import drive
from .text import tr
from .tickets import Order
from .topics import Listeners, Topic
from .trained import names_at, with_engine
from .variations import Sheet, plan

_LEASE_S = 30.0
_WAIT_S = 2.0
_LEAST_SCALE = 0.1


@dataclass(frozen=True)
class Cell:
    """A variation: `settings` are what a click takes; `state` is waiting, painting, done or failed."""

    settings: Settings
    label: str
    state: str = "waiting"
    picture: bytes | None = None
    error: LinkError | None = None


@dataclass(frozen=True)
class SheetView:
    """The sheet as it is: `cells` by rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class _Small:
    """What was taken, at the size of a variation: `part` of it is shown, `scale` is how much smaller it is."""

    taken: Taken
    part: Rect
    scale: float


class Sheets:
    """At most one sheet at a time; another one, or `close`, ends it."""

    def __init__(self, canvas: Canvas, loop: Loop, desk: Desk, listeners: Listeners, runs: Runs) -> None:
        self.view: SheetView | None = None
        self._canvas, self._loop, self._desk, self._listeners, self._runs = canvas, loop, desk, listeners, runs
        self._turn = 0
        """Another one for each sheet, so that what belongs to an old one is known as such."""

    def open(self, kind: str, settings: Settings, subject: Subject) -> None:
        """Begin a sheet around some settings."""
        self.close()
        try:
            sheet = plan(settings, kind)
        except LinkError as error:
            self._runs.fail(error)
            return
        cells = tuple(tuple(Cell(cell.settings, cell.label) for cell in row) for row in sheet.cells)
        self.view = SheetView(sheet.title, tuple(sheet.columns), tuple(sheet.rows), cells)
        self._listeners.tell(Topic.SHEET)
        turn = self._turn
        regions = list(dict.fromkeys(row.region for row in settings.styles if row.region))
        use_selection = settings.area == "selection" and subject.selection is not None
        target, box = target_of(settings, subject), box_of(settings, subject)
        shown = target.moved(-box.x, -box.y)
        scale = min(1.0, sheet.size / max(1, target.width, target.height))
        steps = self._canvas.take(subject, box, regions, use_selection)

        def refuse(error: LinkError) -> None:
            if turn == self._turn:
                self.close()
                self._runs.fail(error)

        def taken(pixels: Taken) -> None:
            self._desk.ask(
                lambda _: self._small(pixels, shown, scale),
                lambda small: self._paint(turn, sheet, small, 0),
                refuse,
            )

        drive(self._loop, steps, taken, refuse)

    def close(self) -> None:
        """Paint no more of it."""
        self._turn += 1
        if self.view is not None:
            self.view = None
            self._listeners.tell(Topic.SHEET)

    def _small(self, taken: Taken, shown: Rect, scale: float) -> _Small:
        """Everything at the size of a variation. `shown` is what is painted, within the box."""
        longest = max(1, round(scale * max(taken.box.width, taken.box.height)))

        def shrunk(plane: Plane) -> Plane:
            return self._canvas.shrunk(plane, longest)

        mask = taken.mask and shrunk(taken.mask)
        regions = {name: shrunk(plane) for name, plane in taken.regions.items()}
        content = shrunk(taken.content)
        scale = content.width / max(1, taken.box.width)  # a host may make it smaller still
        corner, far = (math.floor(scale * shown.x), math.floor(scale * shown.y)), (shown.right, shown.bottom)
        size = (math.ceil(scale * far[0]) - corner[0], math.ceil(scale * far[1]) - corner[1])
        part = Rect(*corner, *size).intersected(content.rect)
        return _Small(replace(taken, content=content, mask=mask, regions=regions), part, scale)

    def _paint(self, turn: int, sheet: Sheet, small: _Small, number: int) -> None:
        """Paint one cell, then the next."""
        columns = len(sheet.columns)
        if turn != self._turn or number == columns * len(sheet.rows):
            return
        row, column = divmod(number, columns)
        settings = sheet.small(row, column, small.scale)
        self._change(row, column, state="painting")

        def ended(**fields: Any) -> None:
            if turn == self._turn:
                self._change(row, column, **fields)
                self._paint(turn, sheet, small, number + 1)

        def paint(daemon: Daemon) -> bytes:
            order = order_of(small.taken, settings, self._runs.picture_of)
            order = _as_shown(daemon, order, sheet.cells[row][column].settings, settings.size)
            return png(cropped(_painted(daemon, order, lambda: turn == self._turn), small.part))

        self._desk.ask(
            paint,
            lambda picture: ended(state="done", picture=picture),
            lambda error: ended(state="failed", error=error),
        )

    def _change(self, row: int, column: int, **fields: Any) -> None:
        if self.view is None:
            return
        rows = [list(cells) for cells in self.view.cells]
        rows[row][column] = replace(rows[row][column], **fields)
        self.view = replace(self.view, cells=tuple(map(tuple, rows)))
        self._listeners.tell(Topic.SHEET)


def _as_shown(daemon: Daemon, order: Order, settings: Settings, size: int) -> Order:
    """An order at `size` px, painted as a run with the cell's settings would be: in one pass where that is. A pass has
    strokes of so many px, which are to be as much smaller as the picture is."""
    names = names_at(daemon, settings, order.parts) if settings.likes_trained else ()
    recipe = with_engine(dict(order.recipe), settings, names)
    if recipe.get("engine") == FAST:
        shrink = size / max(size, settings.working_size())
        recipe["stroke_scale"] = max(_LEAST_SCALE, shrink * recipe.get("stroke_scale", 1.0))
    return replace(order, recipe=recipe)


def _painted(daemon: Daemon, order: Order, is_wanted: Callable[[], bool]) -> Plane:
    """The picture of a small job; nothing of it stays with the daemon."""
    recipe = {name: value for name, value in order.recipe.items() if name != "output"}
    daemon.connect(start=True)
    job = daemon.submit(recipe, order.parts, str(uuid.uuid4()), _LEASE_S)
    try:
        while not job.is_final and is_wanted():
            job = daemon.job(job.id, after=job.seq, wait_s=_WAIT_S)
        if job.problem is not None:
            raise job.problem
        if not job.has_result:
            raise LinkError("cancelled", tr("It was stopped."))
        return daemon.result(job.id)
    finally:
        with suppress(LinkError):
            daemon.forget(job.id)
