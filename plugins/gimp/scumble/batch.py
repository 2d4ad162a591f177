"""A run without a dialog: from settings to the new layer, while the caller waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .link.canvas import Canvas
from .link.daemon import Daemon, Style
from .link.desk import Desk
from .link.errors import LinkError
from .link.finder import Finder, home
from .link.runs import Runs
from .link.settings import LIBRARY, Settings, StyleRow, name_of
from .link.styles import Snapshots
from .link.text import tr
from .link.tickets import Ticket
from .link.topics import Listeners


@dataclass(frozen=True)
class Painted:
    """What came of it: the new layer's id, and a sentence for the user where not all could be done as asked."""

    layer: str
    notice: str = ""


def paint(
    canvas: Canvas,
    settings: Settings,
    loop: Any,
    on_change: Callable[[Ticket], None],
    daemon: Daemon | None = None,
) -> Painted:
    """Paint on the canvas's subject; returns when the layer is there. `LinkError` where it cannot be.

    `loop` is a `Loop` with `run_until`; `on_change` hears, there, how far it is; `daemon` is another one in tests.
    """
    batch = _Batch(canvas, loop, on_change, daemon or Daemon(Finder()))
    try:
        return batch.paint(settings)
    finally:
        batch.close()


class _Batch:
    def __init__(self, canvas: Canvas, loop: Any, on_change: Callable[[Ticket], None], daemon: Daemon) -> None:
        self._canvas, self._loop, self._on_change = canvas, loop, on_change
        self._desk = Desk(daemon, loop.deliver, self._changed)
        self._runs = Runs(canvas, loop, self._desk, Listeners(), Snapshots(home() / "plugin-styles"))

    def close(self) -> None:
        self._desk.close()

    def paint(self, settings: Settings) -> Painted:
        subject = self._canvas.subject()
        error = _no_file(settings) or settings.why_not()
        if error is not None:
            raise error
        ticket = self._runs.run(self._named(settings), subject)
        if ticket is not None:
            self._loop.run_until(lambda: ticket.is_final)
        if self._runs.error is not None:
            raise self._runs.error
        result = next(iter(self._runs.results), None)
        if result is None:
            raise LinkError("cancelled", tr("The job was stopped from outside."))
        if not result.layer:  # which a panel would offer to add to another
            raise LinkError("document-closed", tr("The document was closed."))
        return Painted(result.layer, self._runs.notice)

    def _changed(self, ticket: Ticket) -> None:
        self._runs.changed(ticket)
        self._on_change(ticket)

    def _named(self, settings: Settings) -> Settings:
        """The settings with the names that the daemon's library has for styles; if it does not say, with their ids."""
        if not any(map(_is_unnamed, settings.styles)):
            return settings
        answers: list[dict[str, str]] = []
        self._desk.ask(_library, answers.append, lambda error: answers.append({}))
        self._loop.run_until(lambda: bool(answers))
        rows = [
            replace(row, name=answers[0].get(row.source, row.name)) if _is_unnamed(row) else row
            for row in settings.styles
        ]
        return replace(settings, styles=tuple(rows))


def _is_unnamed(row: StyleRow) -> bool:
    return row.is_library and row.name == name_of(row.source)


def _library(daemon: Daemon) -> dict[str, str]:
    daemon.connect(start=True)
    styles: Sequence[Style] = daemon.styles()
    return {LIBRARY + style.id: style.name for style in styles}


def _no_file(settings: Settings) -> LinkError | None:
    """That a style's file is not there: by its path, for who has just written it."""
    for row in settings.styles:
        if not row.is_there:
            return LinkError("missing-style", tr("There is no style picture {path}.", path=row.source))
    return None
