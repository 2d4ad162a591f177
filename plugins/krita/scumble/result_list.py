"""The last results: a grid of thumbnails, and what can be done with the one that is chosen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .files import save_png
from .inputs import Fold, flat, hint
from .link.shown import breakable, chosen_row, result_line, result_tip
from .link.text import tr
from .link.topics import Topic
from .look import IconButton, decode, fitted, icon
from .qt import Qt, QtCore, QtGui, QtWidgets, Signal
from .widget import call_on, guarded, keeps_key, listen, named, plain

_SIDE, _GAP = 64, 8
_HIDDEN = 0.35
_KEYS = (Qt.Key.Key_Delete, Qt.Key.Key_Return, Qt.Key.Key_Enter)
"""The grid's own; Delete is what clears the layer where Krita gets it."""


class ResultList(Fold):
    """Show/hide, add again, use these settings, go on, save as PNG, discard."""

    def __init__(self, studio: Any) -> None:
        content = QtWidgets.QWidget()
        super().__init__(tr("Results"), content, is_open=True)
        self._studio = studio
        self._shown: list[Any] = []
        self.setObjectName("results-section")
        self.head.setObjectName("results-head")
        self.list = _Grid()
        named(self.list, "results", tr("Results"), "", description=tr("Return shows or hides the layer."))
        self.about = hint()
        self.about.setObjectName("result-about")
        self._buttons = self._make_buttons()
        bar = flat(QtWidgets.QHBoxLayout(), 2)
        for button in self._buttons:
            bar.addWidget(button)
        bar.addStretch(1)
        column = flat(QtWidgets.QVBoxLayout(content))
        column.addWidget(self.list)
        column.addLayout(bar)
        column.addWidget(self.about)
        call_on(studio, self.list.currentItemChanged, self.look)
        call_on(studio, self.list.itemActivated, lambda: self._do(studio.toggle))
        call_on(studio, self.list.deletion, lambda: self._do(studio.discard))
        self.list.customContextMenuRequested.connect(guarded(studio, self._menu_at))
        listen(self, studio, Topic.RESULTS, self.refresh)
        self.refresh()

    @property
    def chosen(self) -> Any | None:
        """The result that is chosen; None where there is none."""
        row = self.list.currentRow()
        return self._shown[row] if 0 <= row < len(self._shown) else None

    def refresh(self) -> None:
        """Show the results; the one that was chosen stays so, unless it was the newest."""
        results = list(self._studio.results)
        before, row = self.chosen, self.list.currentRow()
        if results != self._shown:
            self._fill(results)
        numbers = [result.number for result in results]
        self.list.setCurrentRow(chosen_row(numbers, before.number if before is not None else None, row))
        self.set_title(tr("Results ({count})", count=len(results)))
        self.setVisible(bool(results))
        for index, result in enumerate(results):
            self._dim(self.list.item(index), result)
        self.list.fit()
        self.look()

    def look(self) -> None:
        """See whether the chosen one's layer is shown."""
        result = self.chosen
        for button in self._buttons:
            button.setEnabled(result is not None)
        if result is None:
            self.about.setText("")
            return
        is_visible = self._studio.is_visible(result)
        eye = self._buttons[0]
        eye.set_icon(*(("novisible", "○") if is_visible is False else ("visible", "◉")))
        eye.setEnabled(is_visible is not None)
        self.about.setText(breakable(result_line(result, is_visible)))

    # ------------------------------------------------------------------------------------------------------ the grid

    def _fill(self, results: list[Any]) -> None:
        self.list.blockSignals(True)
        self.list.clear()
        for result in results:
            item = QtWidgets.QListWidgetItem()
            item.setSizeHint(self.list.gridSize())
            item.setData(Qt.ItemDataRole.AccessibleTextRole, result.title)
            item.setToolTip(result_tip(result))
            self.list.addItem(item)
        self._shown = results
        self.list.blockSignals(False)

    def _dim(self, item: QtWidgets.QListWidgetItem, result: Any) -> None:
        item.setData(Qt.ItemDataRole.UserRole, self._studio.is_visible(result) is not True)
        if item.icon().isNull() and result.thumbnail:
            item.setIcon(_icon_of(result, self.devicePixelRatioF()))

    # --------------------------------------------------------------------------------------------------- what to do

    def _actions(self) -> tuple[tuple[str, str, str, str, str, Callable[[Any], Any]], ...]:
        """Icon, character, name, words, tip, and what is done with a result."""
        studio = self._studio
        return (
            ("visible", "◉", "result-toggle", tr("Show/hide"), tr("Shows or hides its layer."), studio.toggle),
            (
                "addlayer",
                "+",
                "result-add-again",
                tr("Add again"),
                tr("Adds it once more as a new layer."),
                studio.add_again,
            ),
            (
                "configure",
                "⚙",
                "result-use-settings",
                tr("Use these settings"),
                tr("Sets all controls as they were for it."),
                studio.use_settings,
            ),
            (
                "media-playback-start",
                "▶",
                "result-go-on",
                tr("Go on"),
                tr("Paints on from it, for more iterations."),
                studio.go_on,
            ),
            (
                "document-save",
                "⤓",
                "result-save",
                tr("Save as PNG…"),
                tr("Saves it as a picture file."),
                self._save,
            ),
            (
                "edit-delete",
                "✕",
                "result-discard",
                tr("Discard"),
                tr("Takes it off this list; its layer stays."),
                studio.discard,
            ),
        )

    def _make_buttons(self) -> list[IconButton]:
        buttons = []
        for icon_name, glyph, name, words, tip, action in self._actions():
            button = IconButton(icon_name, glyph, name, words, f"{words}\n{tip}")
            call_on(self._studio, button.clicked, partial(self._do, action))
            buttons.append(button)
        return buttons

    def _menu_at(self, place: QtCore.QPoint) -> None:
        if self.chosen is None:
            return
        menu = QtWidgets.QMenu(self)
        menu.setObjectName("result-menu")
        menu.setToolTipsVisible(True)
        menu.aboutToHide.connect(menu.deleteLater)
        for (icon_name, _glyph, name, words, tip, action), button in zip(self._actions(), self._buttons):
            entry = menu.addAction(icon(icon_name), plain(words))
            entry.setObjectName(f"{name}-entry")
            entry.setToolTip(tip)
            entry.setEnabled(button.isEnabled())
            call_on(self._studio, entry.triggered, partial(self._do, action))
        menu.popup(self.list.viewport().mapToGlobal(place))

    def _do(self, action: Callable[[Any], Any]) -> None:
        result = self.chosen
        if result is not None:
            action(result)

    def _save(self, result: Any) -> None:
        save_png(self, self._studio, result.title, lambda path: self._studio.save(result, path))


class _Grid(QtWidgets.QListWidget):
    """As high as what is in it; the panel scrolls, not the grid."""

    deletion = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setViewMode(QtWidgets.QListView.ViewMode.IconMode)
        self.setResizeMode(QtWidgets.QListView.ResizeMode.Adjust)
        self.setMovement(QtWidgets.QListView.Movement.Static)
        self.setIconSize(QtCore.QSize(_SIDE, _SIDE))
        self.setGridSize(QtCore.QSize(_SIDE + _GAP, _SIDE + _GAP))
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setItemDelegate(_Tile(self))
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)

    def fit(self) -> None:
        """Be as high as the rows need."""
        edge = 2 * self.frameWidth()
        columns = max(1, (self.width() - edge) // (_SIDE + _GAP))
        rows = max(1, -(-self.count() // columns))
        self.setFixedHeight(rows * (_SIDE + _GAP) + edge + 2)

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self.fit()

    def wheelEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        event.ignore()

    def event(self, event: Any) -> bool:
        return keeps_key(event, _KEYS) or bool(super().event(event))

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        if event.key() == Qt.Key.Key_Delete:
            self.deletion.emit()
        else:
            super().keyPressEvent(event)


class _Tile(QtWidgets.QStyledItemDelegate):
    """A thumbnail in its own colours; the chosen one has a border."""

    def paint(self, painter: QtGui.QPainter, option: Any, index: QtCore.QModelIndex) -> None:
        roles, states = Qt.ItemDataRole, QtWidgets.QStyle.StateFlag
        box = QtCore.QRect(0, 0, _SIDE, _SIDE)
        box.moveCenter(option.rect.center())
        painter.save()
        if index.data(roles.UserRole):
            painter.setOpacity(_HIDDEN)
        found = index.data(roles.DecorationRole)
        if isinstance(found, QtGui.QIcon):
            found.paint(painter, box)
        painter.setOpacity(1)
        if option.state & states.State_Selected:
            color = option.palette.color(QtGui.QPalette.ColorRole.Highlight)
            painter.setPen(QtGui.QPen(color, 2))
            painter.drawRect(box.adjusted(-2, -2, 2, 2))
        painter.restore()


def _icon_of(result: Any, ratio: float) -> QtGui.QIcon:
    pixmap = fitted(decode(result.thumbnail, 256), _SIDE, _SIDE, ratio)
    return QtGui.QIcon() if pixmap.isNull() else QtGui.QIcon(pixmap)
