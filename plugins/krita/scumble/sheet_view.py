"""The sheet of variations: small pictures in a window beside Krita's; a click takes the settings of one."""

from __future__ import annotations

from functools import partial
from typing import Any

from .inputs import flat, hint
from .link.shown import cell_words
from .link.text import tr
from .link.topics import Topic
from .look import decode, fitted
from .qt import Qt, QtCore, QtGui, QtWidgets
from .widget import call_on, guarded, listen, named

_SIDE = 136


class SheetWindows(QtCore.QObject):
    """Opens a window when the studio has a sheet, and closes it when it has none."""

    def __init__(self, studio: Any, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self._studio, self._parent = studio, parent
        self.window: SheetWindow | None = None
        listen(parent, studio, Topic.SHEET, self.refresh)
        listen(parent, studio, Topic.SETTINGS, self._mark)

    def refresh(self) -> None:
        """Show the studio's sheet."""
        sheet = self._studio.sheet
        if sheet is None:
            if self.window is not None:
                self.window.leave()
                self.window = None
            return
        if self.window is not None and not self.window.fits(sheet):
            self.window.leave()
            self.window = None
        if self.window is None:
            self.window = SheetWindow(self._studio, sheet, self._parent.window())
            self.window.show()
        self.window.refresh(sheet)

    def _mark(self) -> None:
        if self.window is not None and self._studio.sheet is not None:
            self.window.refresh(self._studio.sheet)


class SheetWindow(QtWidgets.QWidget):
    """A grid of variations with a heading for each row and column."""

    def __init__(self, studio: Any, sheet: Any, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Tool)
        self._studio = studio
        self._shape = _shape(sheet)
        self._is_ours = False
        self.setObjectName("sheet")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(sheet.title)
        column = QtWidgets.QVBoxLayout(self)
        grid = flat(QtWidgets.QGridLayout())
        column.addLayout(grid)
        about = hint(tr("A click takes the settings of a picture. Closing the window stops painting more of them."))
        column.addWidget(about)
        for place, text in enumerate(sheet.columns, 1):
            grid.addWidget(QtWidgets.QLabel(text), 0, place, Qt.AlignmentFlag.AlignHCenter)
        self.buttons: list[list[Variation]] = []
        for row, text in enumerate(sheet.rows):
            label = QtWidgets.QLabel(text)
            grid.addWidget(label, row + 1, 0, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.buttons.append([])
            for place, _cell in enumerate(sheet.cells[row]):
                button = Variation(f"cell-{row}-{place}")
                call_on(studio, button.clicked, partial(self._pick, row, place))
                grid.addWidget(button, row + 1, place + 1)
                self.buttons[-1].append(button)
        self.layout().setSizeConstraint(QtWidgets.QLayout.SizeConstraint.SetFixedSize)

    def fits(self, sheet: Any) -> bool:
        """Whether a sheet has the same rows and columns."""
        return self._shape == _shape(sheet)

    def refresh(self, sheet: Any) -> None:
        """Show the cells as they are now."""
        for cells, buttons in zip(sheet.cells, self.buttons):
            for cell, button in zip(cells, buttons):
                button.show_cell(cell, is_taken=cell.settings == self._studio.settings)

    def leave(self) -> None:
        """Close it because the sheet is over."""
        self._is_ours = True
        self.close()

    def closeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        super().closeEvent(event)
        if not self._is_ours:
            self._is_ours = True
            guarded(self._studio, self._studio.close_sheet)()

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        if event.key() == Qt.Key.Key_Escape:
            self.close()
        else:
            super().keyPressEvent(event)

    def _pick(self, row: int, place: int) -> None:
        if self._studio.sheet is not None:
            self._studio.pick(self._studio.sheet.cells[row][place])
            self.refresh(self._studio.sheet)  # a click on the one that is taken already has taken its mark away


class Variation(QtWidgets.QToolButton):
    """One small picture, or how far it is."""

    def __init__(self, name: str) -> None:
        super().__init__()
        named(self, name, "", "")
        self._picture: bytes | None = None
        self.setCheckable(True)
        self.setIconSize(QtCore.QSize(_SIDE, _SIDE))
        self.setFixedSize(_SIDE + 12, _SIDE + 12)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def show_cell(self, cell: Any, *, is_taken: bool) -> None:
        """Show a cell as it is now."""
        words = cell_words(cell.state)
        self.setAccessibleName(f"{cell.label}, {words}" if words else cell.label)
        failure = f"\n{cell.error.text}" if cell.error is not None else ""
        self.setToolTip(f"{cell.label}{failure}")
        self.setChecked(is_taken)
        if cell.picture != self._picture:
            self._picture = cell.picture
            pixmap = fitted(decode(cell.picture, 512), _SIDE, _SIDE, self.devicePixelRatioF())
            self.setIcon(QtGui.QIcon(pixmap) if not pixmap.isNull() else QtGui.QIcon())
        has_picture = not self.icon().isNull()
        self.setText("" if has_picture else words)
        styles = Qt.ToolButtonStyle
        self.setToolButtonStyle(styles.ToolButtonIconOnly if has_picture else styles.ToolButtonTextOnly)


def _shape(sheet: Any) -> tuple[Any, ...]:
    return (sheet.title, tuple(sheet.columns), tuple(sheet.rows))
