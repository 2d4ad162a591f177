"""The button, and what it becomes: progress with a picture, Stop, Stop & keep, and the queue."""

from __future__ import annotations

from functools import partial
from typing import Any

from .inputs import Elided, flat, hint
from .link.fields import CONTROLS
from .link.shown import PAINTING, TRAINING, ProgressWords, breakable, stylise_words
from .link.text import tr
from .link.tickets import Stage, Ticket
from .link.topics import Topic
from .link.wording import progress_line
from .look import IconButton, Picture
from .qt import Qt, QtCore, QtWidgets
from .widget import call_on, discard, guarded, listen, named, plain

_PARTS = 1000
_PREVIEW_PX, _STRIP_PX = 300, 140
_HAS_PROGRESS = (Stage.RUNNING, Stage.FETCHING, Stage.INSERTING)


class RunBar(QtWidgets.QWidget):
    """The run under way, the training under way, those that wait, and the button that begins another run."""

    def __init__(self, studio: Any) -> None:
        super().__init__()
        self._studio = studio
        self.setObjectName("run-bar")
        self.progress = Progress(studio, PAINTING, _PREVIEW_PX)
        self.training = Progress(studio, TRAINING, _STRIP_PX)
        self.queue = Queue(studio)
        self.stylise = QtWidgets.QPushButton(plain(tr("Stylise")))
        named(self.stylise, "stylise", tr("Stylise"), "")
        font = self.stylise.font()
        font.setBold(True)
        self.stylise.setFont(font)
        self.variations = _variations(studio)
        self.why_not = hint()
        self.why_not.setObjectName("why-not")
        column, row = flat(QtWidgets.QVBoxLayout(self)), flat(QtWidgets.QHBoxLayout())
        row.addWidget(self.stylise, 1)
        row.addWidget(self.variations)
        for widget in (self.training, self.progress, self.queue):
            column.addWidget(widget)
        column.addLayout(row)
        column.addWidget(self.why_not)
        call_on(studio, self.stylise.clicked, studio.run)
        listen(self, studio, Topic.RUNS, self.refresh)
        for topic in (Topic.SETTINGS, Topic.SUBJECT, Topic.STATUS, Topic.TRAINED):
            listen(self, studio, topic, self._allow)
        self.refresh()

    def refresh(self) -> None:
        """Show the runs."""
        tickets, trainings = self._studio.tickets, self._studio.trainings
        self.progress.show_ticket(tickets[0] if tickets else None)
        # one picture at a time: there is not the room for more
        self.training.show_ticket(trainings[0] if trainings else None, has_room=not tickets)
        self.queue.show_tickets((*tickets[1:], *trainings[1:]))
        label, _ = stylise_words(bool(tickets))
        self.stylise.setText(plain(label))
        self.stylise.setAccessibleName(label)
        self._allow()

    def _allow(self) -> None:
        error = self._studio.why_not
        self.stylise.setEnabled(error is None)
        self.variations.setEnabled(error is None)
        _, tip = stylise_words(bool(self._studio.tickets))
        self.stylise.setToolTip(tip if error is None else error.text)
        self.why_not.setText(breakable(error.text) if error is not None else "")
        self.why_not.setVisible(error is not None)


class Progress(QtWidgets.QWidget):
    """A run or a training under way; its preview is at most `limit` px high."""

    def __init__(self, studio: Any, words: ProgressWords, limit: int) -> None:
        super().__init__()
        self._studio = studio
        self._ticket: Any = None
        self._shown: Any = None
        self._limit, prefix = limit, words.prefix
        self.preview = Picture(limit)
        named(self.preview, f"{prefix}preview", tr("Preview"), tr(words.preview))
        self.bar = QtWidgets.QProgressBar()
        named(self.bar, f"{prefix}progress", tr("Progress"), tr(words.bar))
        self.bar.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.bar.setMinimumWidth(60)
        self.line = hint()
        self.line.setObjectName(f"{prefix}progress-line")
        self.warnings = QtWidgets.QLabel()
        self.warnings.setObjectName(f"{prefix}warnings")
        self.warnings.setWordWrap(True)
        self.warnings.setTextFormat(Qt.TextFormat.PlainText)
        self.stop = QtWidgets.QPushButton(plain(tr("Stop")))
        named(self.stop, f"{prefix}stop", tr("Stop"), tr(words.stop))
        self.keep = QtWidgets.QPushButton(plain(tr("Stop & keep")))
        named(self.keep, f"{prefix}keep", tr("Stop & keep"), tr(words.keep))
        column, row = flat(QtWidgets.QVBoxLayout(self)), flat(QtWidgets.QHBoxLayout())
        row.addWidget(self.stop, 1)
        row.addWidget(self.keep, 1)
        for widget in (self.preview, self.bar, self.line, self.warnings):
            column.addWidget(widget)
        column.addLayout(row)
        call_on(studio, self.stop.clicked, lambda: self._stop(keep=False))
        call_on(studio, self.keep.clicked, lambda: self._stop(keep=True))
        self.hide()

    def show_ticket(self, ticket: Any, *, has_room: bool = True) -> None:
        """Show a run; None: there is none. Its picture is shown where there is room."""
        self._ticket = ticket
        self.setVisible(ticket is not None)
        preview = (ticket.number, ticket.preview_number) if ticket is not None and ticket.preview else None
        if preview != self._shown:
            self._shown = preview
            self.preview.show_picture(ticket.preview if preview else None)
        self.preview.setVisible(has_room and self.preview.has_picture)
        if ticket is None:
            return
        self._show_bar(ticket)
        line = breakable(f"{ticket.title}\n{progress_line(ticket)}")
        if line != self.line.text():
            self.line.setText(line)
        warnings = "\n".join(self._studio.warnings_of(ticket))
        self.warnings.setText(f"⚠ {breakable(warnings)}" if warnings else "")
        self.warnings.setVisible(bool(warnings))
        self.stop.setEnabled(not ticket.is_stopping and ticket.stage is not Stage.INSERTING)
        self.keep.setEnabled(not ticket.is_stopping and ticket.stage is Stage.RUNNING)

    def set_limit(self, height: int) -> None:
        """The preview is at most this high, in px."""
        self.preview.set_limit(max(24, min(self._limit, height)))

    def _show_bar(self, ticket: Ticket) -> None:
        is_known = ticket.stage in _HAS_PROGRESS and ticket.job is not None
        self.bar.setRange(0, _PARTS if is_known else 0)
        if not is_known or ticket.job is None:
            self.bar.setFormat("")
            return
        share = min(1.0, max(0.0, ticket.job.progress))
        self.bar.setValue(round(_PARTS * share))
        self.bar.setFormat(tr("{percent} %", percent=round(100 * share)))

    def _stop(self, *, keep: bool) -> None:
        if self._ticket is not None:
            self._studio.stop(self._ticket, keep)


class Queue(QtWidgets.QWidget):
    """The runs that wait, each with a button that takes it back."""

    def __init__(self, studio: Any) -> None:
        super().__init__()
        self._studio = studio
        self._shown: tuple[int, ...] = ()
        self.setObjectName("queue")
        self.setAccessibleName(tr("Queue"))
        self._column = flat(QtWidgets.QVBoxLayout(self), 2)
        self._rows: list[QtWidgets.QWidget] = []
        self.hide()

    def show_tickets(self, tickets: Any) -> None:
        """Show the runs that wait."""
        numbers = tuple(ticket.number for ticket in tickets)
        if numbers == self._shown:
            return
        self._shown = numbers
        while self._rows:
            row = self._rows.pop()
            self._column.removeWidget(row)
            discard(row)
        for index, ticket in enumerate(tickets, 1):
            row = self._row(index, ticket)
            self._rows.append(row)
            self._column.addWidget(row)
        self.setVisible(bool(tickets))

    def _row(self, index: int, ticket: Ticket) -> QtWidgets.QWidget:
        row = QtWidgets.QWidget()
        line = flat(QtWidgets.QHBoxLayout(row))
        label = Elided(tr("Waits: {title}", title=ticket.title))
        label.setToolTip(ticket.title)
        name = tr("Take back {title}", title=ticket.title)
        take_back = IconButton("docker_close", "✕", f"queue-{index}-withdraw", name, tr("Takes this run back."))
        line.addWidget(label, 1)
        line.addWidget(take_back)
        withdraw = guarded(self._studio, lambda: self._studio.withdraw(ticket))
        # the row may be gone before its own click has ended
        take_back.clicked.connect(lambda *_: QtCore.QTimer.singleShot(0, withdraw))
        return row


def _variations(studio: Any) -> QtWidgets.QToolButton:
    button, control = QtWidgets.QToolButton(), CONTROLS["variations"]
    button.setText(tr(control.label))
    named(button, "variations", tr(control.label), tr(control.tip))
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    button.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Expanding)
    button.setPopupMode(QtWidgets.QToolButton.ToolButtonPopupMode.MenuButtonPopup)
    menu = QtWidgets.QMenu(button)
    menu.setToolTipsVisible(True)
    entries = (
        ("variations-strength", tr("Strength × stroke scale"), "strength"),
        ("variations-weights", tr("Weights of the first two styles"), "weights"),
    )
    for name, text, kind in entries:
        entry = menu.addAction(plain(text))
        entry.setObjectName(name)
        entry.setToolTip(tr(control.tip))
        call_on(studio, entry.triggered, partial(studio.open_sheet, kind))
    weights = menu.actions()[1]
    menu.aboutToShow.connect(guarded(studio, lambda: weights.setEnabled(len(studio.settings.styles) > 1)))
    button.setMenu(menu)
    call_on(studio, button.clicked, lambda: studio.open_sheet("strength"))
    return button
