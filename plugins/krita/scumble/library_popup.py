"""The style library: thumbnails in a grid, and a search through names and tags."""

from __future__ import annotations

from typing import Any

from .inputs import hint
from .link.settings import LIBRARY
from .link.shown import is_found
from .link.text import tr
from .link.topics import Topic
from .look import decode, fitted
from .qt import Qt, QtCore, QtGui, QtWidgets, is_alive
from .widget import call_on, call_with, guarded, listen, named

_SIDE, _ROOM = 72, 24


class LibraryPopup(QtWidgets.QFrame):
    """A popup that adds the style that is chosen, and closes."""

    def __init__(self, studio: Any, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self._studio = studio
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setFrameShape(QtWidgets.QFrame.Shape.StyledPanel)
        self.setObjectName("library-popup")
        self.search = QtWidgets.QLineEdit()
        self.search.setClearButtonEnabled(True)
        self.search.setPlaceholderText(tr("Search"))
        named(self.search, "library-search", tr("Search"), tr("Finds styles by name or tag, such as oil or blue."))
        self.list = _grid()
        named(self.list, "library-list", tr("Style library"), "", description=tr("Return adds the style."))
        self._nothing = hint()
        column = QtWidgets.QVBoxLayout(self)
        column.addWidget(self.search)
        column.addWidget(self.list, 1)
        column.addWidget(self._nothing)
        self.search.textChanged.connect(guarded(studio, lambda *_: self._filter()))
        call_on(studio, self.search.returnPressed, self._take_first)
        call_with(studio, self.list.itemActivated, self._take)
        call_with(studio, self.list.itemClicked, self._take)
        listen(self, studio, Topic.LIBRARY, self._fill)
        self._is_taken = False
        self._fill()

    def open_at(self, widget: QtWidgets.QWidget) -> None:
        """Show it beneath a widget, inside the screen."""
        self.resize(max(3 * (_SIDE + _ROOM) + 48, widget.width()), 400)
        handle = widget.window().windowHandle()
        screen = (handle.screen() if handle else QtGui.QGuiApplication.primaryScreen()).availableGeometry()
        place = widget.mapToGlobal(QtCore.QPoint(0, widget.height()))
        x = max(screen.left(), min(place.x(), screen.right() - self.width()))
        y = max(screen.top(), min(place.y(), screen.bottom() - self.height()))
        self.move(x, y)
        self.show()
        self.search.setFocus()

    def _fill(self) -> None:
        self.list.clear()
        for style in self._studio.library:
            item = QtWidgets.QListWidgetItem(style.name)
            item.setData(Qt.ItemDataRole.UserRole, style)
            # without a size of its own its text is cut after one line
            item.setSizeHint(self.list.gridSize() - QtCore.QSize(4, 4))
            item.setToolTip("\n".join(filter(None, (style.name, ", ".join(style.tags)))))
            self.list.addItem(item)
            self._ask_for_picture(style, item)
        self._filter()

    def _ask_for_picture(self, style: Any, item: QtWidgets.QListWidgetItem) -> None:
        ratio = self.devicePixelRatioF()

        def show(data: bytes) -> None:
            if is_alive(self) and is_alive(item):
                item.setIcon(QtGui.QIcon(fitted(decode(data, 512), _SIDE, _SIDE, ratio, fill=True)))

        self._studio.thumbnail(f"{LIBRARY}{style.id}", guarded(self._studio, show))

    def _filter(self) -> None:
        found = 0
        for index in range(self.list.count()):
            item = self.list.item(index)
            style = item.data(Qt.ItemDataRole.UserRole)
            is_wanted = is_found(self.search.text(), style.name, style.tags)
            item.setHidden(not is_wanted)
            found += is_wanted
        if not self.list.count():
            self._nothing.setText(tr("The library is not known yet: Scumble's daemon does not run."))
        else:
            self._nothing.setText(tr("No style is called so."))
        self._nothing.setVisible(not found)

    def _take_first(self) -> None:
        shown = [self.list.item(index) for index in range(self.list.count()) if not self.list.item(index).isHidden()]
        if shown:
            self._take(shown[0])

    def _take(self, item: QtWidgets.QListWidgetItem) -> None:
        # a click can be an activation too
        if not self._is_taken:
            self._is_taken = True
            style = item.data(Qt.ItemDataRole.UserRole)
            self.close()
            self._studio.add_style_library(style)


def _grid() -> QtWidgets.QListWidget:
    grid = QtWidgets.QListWidget()
    grid.setViewMode(QtWidgets.QListView.ViewMode.IconMode)
    grid.setResizeMode(QtWidgets.QListView.ResizeMode.Adjust)
    grid.setMovement(QtWidgets.QListView.Movement.Static)
    grid.setIconSize(QtCore.QSize(_SIDE, _SIDE))
    line = grid.fontMetrics().height()
    grid.setGridSize(QtCore.QSize(_SIDE + _ROOM, _SIDE + 2 * line + 10))
    grid.setWordWrap(True)
    grid.setUniformItemSizes(True)
    grid.setTextElideMode(Qt.TextElideMode.ElideRight)
    return grid
