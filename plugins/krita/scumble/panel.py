"""All of the docker's content as one plain widget, so that it can be shown and tested without Krita.

What is set stands in a part that scrolls; the button, its progress, messages and the status stay in sight beneath it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .controls import Controls
from .inputs import flat
from .link.fields import CONTROLS
from .link.settings import is_file
from .link.text import tr
from .message import Message
from .more import More
from .pictures import png_of_image
from .preset_bar import PresetBar
from .qt import Qt, QtCore, QtGui, QtWidgets
from .result_list import ResultList
from .run_bar import RunBar
from .sheet_view import SheetWindows
from .status_bar import StatusBar
from .style_rows import StyleRows
from .widget import guarded, keeps_key

_LOOK_MS = 1000
_PREVIEW_SHARE = 0.4
"""The most of the panel's height that the preview takes."""
_DROP_LIMIT = 8
"""Of more files dropped at once than this, the first ones are taken."""


class Panel(QtWidgets.QWidget):
    """The docker's content. `studio` is a `link.studio.Studio`, or what is like one."""

    def __init__(self, studio: Any) -> None:
        super().__init__()
        self._studio = studio
        self._is_open = False
        self.setObjectName("scumble-panel")
        self.setAcceptDrops(True)
        self.presets, self.styles, self.controls = PresetBar(studio), StyleRows(studio), Controls(studio)
        self.more, self.results = More(studio), ResultList(studio)
        self.message, self.run_bar, self.status = Message(studio), RunBar(studio), StatusBar(studio)
        self.sheets = SheetWindows(studio, self)
        self._border = _Border(self)
        self.scroll = _Scroll(self._upper())
        column = flat(QtWidgets.QVBoxLayout(self), 0)
        column.addWidget(self.scroll, 1)
        column.addWidget(_line())
        column.addWidget(self._lower())
        self.styles.follow(self.presets.question.no)
        self._clock = QtCore.QTimer(self)
        self._clock.setInterval(_LOOK_MS)
        self._clock.timeout.connect(guarded(studio, self.look))

    def look(self) -> None:
        """See what has changed in the host: about once a second, and whenever it says that something has."""
        self._studio.look()
        self.styles.look()
        self.results.look()

    # ----------------------------------------------------------------------------------------------- Qt's own events

    def showEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        super().showEvent(event)
        self._clock.start()
        if not self._is_open:
            self._is_open = True
            # later, for the host shall be drawn first
            QtCore.QTimer.singleShot(0, guarded(self._studio, self._studio.open))

    def hideEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        super().hideEvent(event)
        self._clock.stop()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self.run_bar.progress.set_limit(round(_PREVIEW_SHARE * self.height()))
        self._border.resize(self.size())

    def event(self, event: Any) -> bool:
        # Tab is Krita's shortcut for hiding all dockers
        return keeps_key(event, (Qt.Key.Key_Tab, Qt.Key.Key_Backtab)) or bool(super().event(event))

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        if _paths(event.mimeData()) or event.mimeData().hasImage():
            event.acceptProposedAction()
            self._border.show()
            self._border.raise_()

    def dragLeaveEvent(self, _event: Any) -> None:  # noqa: N802 - Qt's name
        self._border.hide()

    def dropEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        self._border.hide()
        event.acceptProposedAction()
        guarded(self._studio, self._take)(event.mimeData())

    # ------------------------------------------------------------------------------------------------------- inside

    def _upper(self) -> QtWidgets.QWidget:
        upper = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(upper)
        column.setContentsMargins(6, 4, 6, 4)
        heading = QtWidgets.QLabel(tr(CONTROLS["styles"].label))
        font = heading.font()
        font.setBold(True)
        heading.setFont(font)
        heading.setToolTip(tr(CONTROLS["styles"].tip))
        for widget in (self.presets, heading, self.styles, self.controls, self.more, self.results):
            column.addWidget(widget)
        column.addStretch(1)
        return upper

    def _lower(self) -> QtWidgets.QWidget:
        lower = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(lower)
        column.setContentsMargins(6, 4, 6, 2)
        for widget in (self.message, self.run_bar, self.status):
            column.addWidget(widget)
        return lower

    def _take(self, data: QtCore.QMimeData) -> None:
        """What was dropped, as styles."""
        paths = _paths(data)
        for path in paths[:_DROP_LIMIT]:
            self._studio.add_style_file(path)
        if not paths and data.hasImage():
            png = png_of_image(QtGui.QImage(data.imageData()))
            if png is not None:
                self._studio.add_style_picture(png, tr("Dropped picture"))


class _Scroll(QtWidgets.QScrollArea):
    """Scrolls up and down only; what is in it is as wide as it is."""

    def __init__(self, content: QtWidgets.QWidget) -> None:
        super().__init__()
        self.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(content)
        # the docker's own background, not that of a list
        content.setAutoFillBackground(False)
        self.viewport().setAutoFillBackground(False)

    def minimumSizeHint(self) -> QtCore.QSize:  # noqa: N802 - Qt's name
        hint = super().minimumSizeHint()
        inside = self.widget().minimumSizeHint().width() + self.verticalScrollBar().sizeHint().width()
        return QtCore.QSize(max(hint.width(), inside), max(80, hint.height()))


class _Border(QtWidgets.QWidget):
    """Says that the panel takes what is dropped."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("drop-border")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def paintEvent(self, _event: Any) -> None:  # noqa: N802 - Qt's name
        painter = QtGui.QPainter(self)
        color = self.palette().color(QtGui.QPalette.ColorRole.Highlight)
        painter.setPen(QtGui.QPen(color, 3))
        painter.drawRect(self.rect().adjusted(1, 1, -2, -2))
        painter.end()


def _line() -> QtWidgets.QFrame:
    line = QtWidgets.QFrame()
    line.setFrameShape(QtWidgets.QFrame.Shape.HLine)
    line.setFrameShadow(QtWidgets.QFrame.Shadow.Sunken)
    return line


def _paths(data: QtCore.QMimeData) -> list[str]:
    urls = data.urls() if data.hasUrls() else []
    return [str(Path(url.toLocalFile())) for url in urls if url.isLocalFile() and is_file(url.toLocalFile())]
