"""The status in one line; a click opens all that is known of the daemon, and what can be done about it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .inputs import flat
from .link.shown import DOTS, breakable, checks_text, facts
from .link.text import tr
from .link.topics import Topic
from .look import IconButton, signal_color
from .qt import Qt, QtCore, QtGui, QtWidgets, is_alive, open_path
from .widget import call_on, guarded, listen, named, plain

_FOLDER = Path(__file__).parent
_DOT, _GAP = 10, 4
_POPUP_WIDTH = 300


def manual() -> Path:
    """The manual in the user's language; Krita's own list of plug-ins shows the English one."""
    translated = _FOLDER / tr("manual.html")
    return translated if translated.is_file() else _FOLDER / "manual.html"


class StatusBar(QtWidgets.QWidget):
    """A dot, a line, and the help."""

    def __init__(self, studio: Any) -> None:
        super().__init__()
        self._studio = studio
        self.line = _Line()
        self.line.setObjectName("status")
        self.help = IconButton("system-help", "?", "help", tr("Help"), tr("Opens the manual."))
        self.popup = StatusPopup(studio, self)
        row = flat(QtWidgets.QHBoxLayout(self))
        row.addWidget(self.line, 1)
        row.addWidget(self.help)
        call_on(studio, self.line.clicked, lambda: self.popup.open_at(self.line))
        call_on(studio, self.help.clicked, lambda: open_path(manual()))
        listen(self, studio, Topic.STATUS, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show how the daemon stands."""
        status = self._studio.status
        self.line.show_status(status.dot, status.line)


class _Line(QtWidgets.QToolButton):
    """A flat button with a dot; its text is cut where there is no room."""

    def __init__(self) -> None:
        super().__init__()
        self._dot, self._text = "", ""
        self.setAutoRaise(True)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setIconSize(QtCore.QSize(_DOT + _GAP, _DOT))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)

    def show_status(self, dot: str, text: str) -> None:
        """Show a dot of that meaning and a line."""
        if (dot, text) != (self._dot, self._text):
            self._dot, self._text = dot, text
            self.setAccessibleName(tr("Status: {line}", line=text))
            self.setToolTip(f"{text}\n{tr('A click shows more.')}")
            self._draw()
            self._cut()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self._cut()

    def changeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        super().changeEvent(event)
        if event.type() == QtCore.QEvent.Type.PaletteChange:
            self._draw()

    def _cut(self) -> None:
        room = self.width() - _DOT - 3 * _GAP - 2
        shown = self.fontMetrics().elidedText(self._text, Qt.TextElideMode.ElideRight, max(0, room))
        if plain(shown) != self.text():
            self.setText(plain(shown))

    def _draw(self) -> None:
        color, ratio = signal_color(self.palette(), DOTS.get(self._dot, "")), self.devicePixelRatioF()
        pixmap = QtGui.QPixmap(round((_DOT + _GAP) * ratio), round(_DOT * ratio))
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QtGui.QPainter(pixmap)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        painter.drawEllipse(QtCore.QRectF(0.5, 0.5, _DOT - 1, _DOT - 1))
        painter.end()
        self.setIcon(QtGui.QIcon(pixmap))


class StatusPopup(QtWidgets.QFrame):
    """Version, device, memory, features, log folder, restart, self-test, copy diagnostics."""

    def __init__(self, studio: Any, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self._studio = studio
        self.setObjectName("status-popup")
        self.setFrameShape(QtWidgets.QFrame.Shape.StyledPanel)
        self.setFixedWidth(_POPUP_WIDTH)
        known = facts(studio.health, studio.log_folder())
        self._facts = {name: _fact(f"status-{name}") for name in known}
        self.checks = _fact("self-test-result")
        column = QtWidgets.QVBoxLayout(self)
        grid, buttons = flat(QtWidgets.QGridLayout()), flat(QtWidgets.QGridLayout())
        grid.setColumnStretch(1, 1)
        for number, (name, (title, _)) in enumerate(known.items()):
            grid.addWidget(QtWidgets.QLabel(title), number, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(self._facts[name], number, 1)
        column.addLayout(grid)
        for number, button in enumerate(self._make_buttons()):
            buttons.addWidget(button, number // 2, number % 2)
        column.addLayout(buttons)
        column.addWidget(self.checks)
        self.checks.hide()
        self._is_testing = False
        listen(self, studio, Topic.STATUS, self.refresh)
        listen(self, studio, Topic.ERROR, self._end_test)
        self.refresh()

    def open_at(self, widget: QtWidgets.QWidget) -> None:
        """Show it above a widget, or beneath it where there is no room."""
        self.refresh()
        self._fit()
        handle = widget.window().windowHandle()
        screen = (handle.screen() if handle else QtGui.QGuiApplication.primaryScreen()).availableGeometry()
        place = widget.mapToGlobal(QtCore.QPoint(0, 0))
        x = max(screen.left(), min(place.x(), screen.right() - self.width()))
        above = place.y() - self.height()
        self.move(x, above if above >= screen.top() else place.y() + widget.height())
        self.show()

    def refresh(self) -> None:
        """Show what is known."""
        health = self._studio.health
        for name, (_, text) in facts(health, self._studio.log_folder()).items():
            self._facts[name].setText(text)
        self._restart.setText(plain(tr("Restart") if health is not None else tr("Start")))
        self._restart.setAccessibleName(tr("Restart") if health is not None else tr("Start"))

    def _make_buttons(self) -> list[QtWidgets.QPushButton]:
        tip = tr("Ends Scumble's daemon and starts it again; what it was painting goes on.")
        self._restart = _button("daemon-restart", tr("Restart"), tip)
        open_log = _button("log-open", tr("Open log folder"), tr("Shows the log files."))
        tip = tr("Tries everything, from here to a painted picture.")
        self._test = _button("self-test", tr("Self-test"), tip)
        tip = tr("Copies what a helper needs to know; it has no password and no name in it.")
        copy = _button("diagnostics-copy", tr("Copy diagnostics"), tip)
        call_on(self._studio, self._restart.clicked, self._start)
        call_on(self._studio, open_log.clicked, lambda: open_path(self._studio.log_folder()))
        call_on(self._studio, self._test.clicked, self._run_test)
        call_on(self._studio, copy.clicked, self._copy)
        return [self._restart, open_log, self._test, copy]

    def _start(self) -> None:
        if self._studio.health is None:
            self._studio.start_daemon()
        else:
            self._studio.restart_daemon()

    def _run_test(self) -> None:
        self._is_testing = True
        self._say(tr("Testing…"))
        self._studio.self_test(guarded(self._studio, self._show_checks))

    def _show_checks(self, checks: Sequence[Any]) -> None:
        if is_alive(self):
            self._is_testing = False
            self._say(checks_text(checks))

    def _end_test(self) -> None:
        """A test that could not even be made is told as an error of the panel."""
        if self._is_testing and self._studio.error is not None:
            self._is_testing = False
            self._say(self._studio.error.text)

    def _copy(self) -> None:
        QtWidgets.QApplication.clipboard().setText(self._studio.diagnostics())
        self._say(tr("Copied."))

    def _say(self, text: str) -> None:
        self.checks.setText(breakable(text))
        self.checks.show()
        self._fit()

    def _fit(self) -> None:
        layout = self.layout()
        bottom = self.y() + self.height()
        layout.activate()
        self.setFixedHeight(layout.totalHeightForWidth(_POPUP_WIDTH))
        if self.isVisible():
            self.move(self.x(), max(0, bottom - self.height()))


def _button(name: str, text: str, tip: str) -> QtWidgets.QPushButton:
    button = QtWidgets.QPushButton(plain(text))
    named(button, name, text, tip)
    return button


def _fact(name: str) -> QtWidgets.QLabel:
    label = QtWidgets.QLabel()
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
