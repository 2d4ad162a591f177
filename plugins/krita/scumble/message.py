"""The error or the notice that stands in the panel: a sentence, the fix, Details, Copy."""

from __future__ import annotations

from typing import Any

from .inputs import flat
from .link.shown import breakable
from .link.text import tr
from .link.topics import Topic
from .look import IconButton, blended, signal_color
from .qt import Qt, QtCore, QtGui, QtWidgets
from .widget import call_on, listen, named, plain

_DETAILS_PX = 120
_ROUND_PX = 3


class Message(QtWidgets.QFrame):
    """Stands until it is dismissed; never a window of its own."""

    def __init__(self, studio: Any) -> None:
        super().__init__()
        self._studio = studio
        self._color = "amber"
        self.setObjectName("message")
        self.sentence, self.fix = _text("message-sentence"), _text("message-fix")
        font = self.sentence.font()
        font.setBold(True)
        self.sentence.setFont(font)
        self.close_ = IconButton("docker_close", "✕", "message-dismiss", tr("Dismiss"), tr("Takes this message away."))
        self.report = QtWidgets.QPlainTextEdit()
        named(self.report, "message-report", tr("Details"), tr("All that is known of it."))
        self.report.setReadOnly(True)
        self.report.setTabChangesFocus(True)
        self.report.setMaximumHeight(_DETAILS_PX)
        self.report.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Preferred)
        self.details = QtWidgets.QPushButton(plain(tr("Details")))
        named(self.details, "message-details", tr("Details"), tr("Shows all that is known of it."))
        self.details.setCheckable(True)
        self.copy = QtWidgets.QPushButton(plain(tr("Copy")))
        named(self.copy, "message-copy", tr("Copy"), tr("Copies the details, for a report."))
        self._arrange()
        self.details.toggled.connect(self.report.setVisible)
        call_on(studio, self.copy.clicked, self._copy)
        call_on(studio, self.close_.clicked, studio.dismiss)
        listen(self, studio, Topic.ERROR, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what the studio has to say."""
        error, notice = self._studio.error, self._studio.notice
        self.details.setChecked(False)
        self.report.hide()
        for button in (self.details, self.copy):
            button.setVisible(error is not None)
        if error is not None:
            self._color = "red"
            self._say(error.detail or error.title, error.hint or "")
            self.report.setPlainText(error.report)
        else:
            self._color = "amber"
            self._say(notice, "")
        self.setVisible(error is not None or bool(notice))
        self.update()

    def paintEvent(self, _event: Any) -> None:  # noqa: N802 - Qt's name
        painter, palette = QtGui.QPainter(self), self.palette()
        window, color = palette.color(QtGui.QPalette.ColorRole.Window), signal_color(palette, self._color)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.setBrush(blended(window, color, 0.12))
        painter.setPen(blended(window, color, 0.7))
        painter.drawRoundedRect(QtCore.QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), _ROUND_PX, _ROUND_PX)
        painter.end()

    def _arrange(self) -> None:
        column = QtWidgets.QVBoxLayout(self)
        top, row = flat(QtWidgets.QHBoxLayout()), flat(QtWidgets.QHBoxLayout())
        column.setContentsMargins(8, 6, 6, 6)
        top.addWidget(self.sentence, 1)
        top.addWidget(self.close_, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.details)
        row.addWidget(self.copy)
        row.addStretch(1)
        column.addLayout(top)
        column.addWidget(self.fix)
        column.addLayout(row)
        column.addWidget(self.report)

    def _say(self, sentence: str, fix: str) -> None:
        self.sentence.setText(breakable(sentence))
        self.fix.setText(breakable(fix))
        self.fix.setVisible(bool(fix))
        self.setAccessibleName(sentence)

    def _copy(self) -> None:
        if self._studio.error is not None:
            QtWidgets.QApplication.clipboard().setText(self._studio.error.report)


def _text(name: str) -> QtWidgets.QLabel:
    label = QtWidgets.QLabel()
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label
