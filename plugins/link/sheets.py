"""The sheet of variations being painted: one small job after another, on a small copy of what is selected."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Optional

from .canvas import Canvas, Loop, Subject, Taken
from .desk import Desk, Order
from .errors import LinkError
from .pixels import Plane, png
from .runs import Runs, box_of, order_of
from .settings import Settings
from .steps import drive
from .text import tr
from .topics import Listeners, Topic
from .variations import Sheet, plan

_LEASE_S = 30.0
_WAIT_S = 2.0


@dataclass(frozen=True)
class Cell:
    """A variation: `settings` are what a click takes; `state` is waiting, painting, done or failed."""

    settings: Settings
    label: str
    state: str = "waiting"
    picture: Optional[bytes] = None
    error: Optional[LinkError] = None


@dataclass(frozen=True)
class SheetView:
    """The sheet as it is: `cells` by rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]


class Sheets:
    """At most one sheet at a time; another one, or `close`, ends it."""

    def __init__(self, canvas: Canvas, loop: Loop, desk: Desk, listeners: Listeners, runs: Runs) -> None:
        self.view: Optional[SheetView] = None
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
        steps = self._canvas.take(subject, box_of(settings, subject), regions, use_selection)

        def taken(pixels: Taken) -> None:
            self._desk.ask(
                lambda _: self._small(pixels, sheet.size), lambda small: self._paint(turn, sheet, small, 0), self._refuse
            )

        drive(self._loop, steps, taken, self._refuse)

    def close(self) -> None:
        """Paint no more of it."""
        self._turn += 1
        if self.view is not None:
            self.view = None
            self._listeners.tell(Topic.SHEET)

    def _refuse(self, error: LinkError) -> None:
        self.close()
        self._runs.fail(error)

    def _small(self, taken: Taken, size: int) -> Taken:
        """The pixels at the size of a variation. The longest side of what is painted is a little smaller still."""

        def shrunk(plane: Plane) -> Plane:
            return self._canvas.shrunk(plane, size)

        mask = taken.mask and shrunk(taken.mask)
        regions = {name: shrunk(plane) for name, plane in taken.regions.items()}
        return replace(taken, content=shrunk(taken.content), mask=mask, regions=regions)

    def _paint(self, turn: int, sheet: Sheet, small: Taken, number: int) -> None:
        """Paint one cell, then the next."""
        columns = len(sheet.columns)
        if turn != self._turn or number == columns * len(sheet.rows):
            return
        row, column = divmod(number, columns)
        settings = sheet.small(row, column, small.content.width / max(1, small.box.width))
        self._change(row, column, state="painting")

        def ended(**fields: Any) -> None:
            if turn == self._turn:
                self._change(row, column, **fields)
                self._paint(turn, sheet, small, number + 1)

        self._desk.ask(
            lambda daemon: _painted(
                daemon, order_of(small, settings, self._runs.picture_of), lambda: turn == self._turn
            ),
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


def _painted(daemon: Any, order: Order, is_wanted: Callable[[], bool]) -> bytes:
    """The picture of a small job as a PNG; nothing of it stays with the daemon."""
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
        return png(daemon.result(job.id))
    finally:
        daemon.forget(job.id)
