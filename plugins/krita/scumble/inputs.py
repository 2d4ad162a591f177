"""Controls that behave in a docker: the wheel scrolls the panel until one has the focus, and showing a value is not
the same as changing it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from .look import FaintLabel
from .qt import Qt, QtGui, QtWidgets, Signal

_STEPS = 400
"""Places of a slider whose values grow by a factor."""
_ROUNDED = 5
_ARROWS = 24
"""What a spin box needs beside its text, in px."""


class _Calm:
    """The wheel changes it only while it has the focus, and does not give it the focus."""

    def wheelEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        if self.hasFocus():  # type: ignore[attr-defined]
            super().wheelEvent(event)  # type: ignore[misc]
        else:
            event.ignore()


class Spin(_Calm, QtWidgets.QSpinBox):
    """A number that can be typed."""

    def __init__(self, low: int, high: int, unit: str = "") -> None:
        super().__init__()
        self.setRange(low, high)
        self.setSuffix(f" {unit}" if unit else "")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)

    def show_value(self, value: int) -> None:
        """Show a value without telling that it changed; what is being typed stays if it means the same."""
        if value != self.value():
            self.blockSignals(True)
            self.setValue(value)
            self.blockSignals(False)


class Slider(_Calm, QtWidgets.QSlider):
    """A slider from left to right."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setRange(low, high)
        self.setPageStep(max(1, (high - low) // 10))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        narrow(self, 40)


class Combo(_Calm, QtWidgets.QComboBox):
    """A choice of values; the words for them may be longer than the control."""

    chosen = Signal(object)
    """The value that the user chose."""

    def __init__(self, choices: Iterable[tuple[Any, str]] = ()) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        narrow(self)
        for value, words in choices:
            self.addItem(words, value)
        self.activated.connect(lambda index: self.chosen.emit(self.itemData(index)))

    def value(self) -> Any:
        """The value that is shown."""
        return self.itemData(self.currentIndex())

    def paintEvent(self, _event: Any) -> None:  # noqa: N802 - Qt's name
        painter, option = QtWidgets.QStylePainter(self), QtWidgets.QStyleOptionComboBox()
        self.initStyleOption(option)
        style, part = self.style(), QtWidgets.QStyle
        field = style.subControlRect(
            part.ComplexControl.CC_ComboBox, option, part.SubControl.SC_ComboBoxEditField, self
        )
        room = field.width() - 4 - (0 if option.currentIcon.isNull() else option.iconSize.width() + 4)
        option.currentText = self.fontMetrics().elidedText(option.currentText, Qt.TextElideMode.ElideRight, room)
        painter.drawComplexControl(part.ComplexControl.CC_ComboBox, option)
        painter.drawControl(part.ControlElement.CE_ComboBoxLabel, option)
        painter.end()

    def show_value(self, value: Any) -> None:
        """Show a value without telling that it changed; nothing where there is no such value."""
        index = next((index for index in range(self.count()) if self.itemData(index) == value), -1)
        if index != self.currentIndex():
            self.setCurrentIndex(index)


class Line(QtWidgets.QLineEdit):
    """A line of text that tells every change by typing, and does not lose what is typed when it is shown again."""

    typed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._told: str | None = None
        narrow(self)
        self.textEdited.connect(self._tell)

    def show_value(self, text: str) -> None:
        """Show a text, unless it is what was just typed here."""
        if text != self.text() and not (self.hasFocus() and self._told is not None):
            self.setText(text)

    def focusOutEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        super().focusOutEvent(event)
        self._told = None

    def _tell(self, text: str) -> None:
        self._told = text
        self.typed.emit(text)


class Proposals(_Calm, QtWidgets.QComboBox):
    """A line of text with proposals."""

    typed = Signal(str)

    def __init__(self, proposals: Sequence[str]) -> None:
        super().__init__()
        self.setEditable(True)
        self.setInsertPolicy(QtWidgets.QComboBox.InsertPolicy.NoInsert)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        narrow(self)
        self.addItems(proposals)
        self.lineEdit().textEdited.connect(self.typed.emit)
        self.activated.connect(lambda index: self.typed.emit(self.itemText(index)))

    def show_value(self, text: str) -> None:
        """Show a text, unless something is being typed here."""
        if text != self.currentText() and not self.lineEdit().hasFocus():
            self.setEditText(text)


class Number(QtWidgets.QWidget):
    """A slider and a number that can be typed, which are one value. `is_by_factor`: the slider grows by a factor."""

    changed = Signal(int)

    def __init__(
        self,
        low: int,
        high: int,
        unit: str = "",
        slider: tuple[int, int] | None = None,
        *,
        is_by_factor: bool = False,
    ) -> None:
        super().__init__()
        self._low, self._high = slider or (low, high)
        self._is_by_factor = is_by_factor
        self.slider = Slider(0, _STEPS) if is_by_factor else Slider(self._low, self._high)
        self.spin = Spin(low, high, unit)
        row = flat(QtWidgets.QHBoxLayout(self))
        row.addWidget(self.slider, 1)
        row.addWidget(self.spin)
        self.spin.setMinimumWidth(self.spin.fontMetrics().horizontalAdvance("0000 px") + _ARROWS)
        self.slider.valueChanged.connect(self._slid)
        self.spin.valueChanged.connect(self._typed)
        self._place(self.spin.value())

    def show_value(self, value: int) -> None:
        """Show a value without telling that it changed."""
        self.spin.show_value(value)
        self._place(value)

    def _typed(self, value: int) -> None:
        self._place(value)
        self.changed.emit(value)

    def _slid(self, place: int) -> None:
        self.spin.setValue(self._value(place))

    def _value(self, place: int) -> int:
        if not self._is_by_factor:
            return place
        value = self._low * (self._high / self._low) ** (place / _STEPS)
        return round(value / _ROUNDED) * _ROUNDED

    def _place(self, value: int) -> None:
        place = min(max(value, self._low), self._high)
        if self._is_by_factor:
            place = round(_STEPS * math.log(place / self._low) / math.log(self._high / self._low))
        # several places of the slider may be one rounded value: it stays where the hand has put it
        if self._value(self.slider.value()) != value or not self._is_by_factor:
            self.slider.blockSignals(True)
            self.slider.setValue(place)
            self.slider.blockSignals(False)


class Fold(QtWidgets.QWidget):
    """A heading that opens and closes what stands beneath it."""

    toggled = Signal(bool)

    def __init__(self, title: str, content: QtWidgets.QWidget, is_open: bool = False) -> None:
        super().__init__()
        self.content = content
        self.is_open = is_open
        self.head = QtWidgets.QToolButton()
        self.head.setText(title)
        self.head.setAutoRaise(True)
        self.head.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.head.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.head.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
        font = self.head.font()
        font.setBold(True)
        self.head.setFont(font)
        column = flat(QtWidgets.QVBoxLayout(self))
        column.addWidget(self.head)
        column.addWidget(content)
        self.head.clicked.connect(lambda *_: self.set_open(not self.is_open))
        self.set_open(is_open)

    def set_title(self, title: str) -> None:
        """Show another heading."""
        self.head.setText(title)

    def set_open(self, is_open: bool) -> None:
        """Open or close it."""
        self.is_open = is_open
        self.head.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)
        self.content.setVisible(is_open)
        self.toggled.emit(is_open)


class Elided(QtWidgets.QLabel):
    """One line of text that is cut where there is no room for it; the tooltip has all of it."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Preferred)

    def paintEvent(self, _event: Any) -> None:  # noqa: N802 - Qt's name
        painter = QtGui.QPainter(self)
        shown = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.rect(), int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), shown)
        painter.end()


def narrow(control: QtWidgets.QWidget, width: int = 64) -> None:
    """Let a control be as narrow as that, in px, and as wide as there is room."""
    control.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)
    control.setMinimumWidth(width)


def flat(layout: Any, spacing: int | None = None) -> Any:
    """A layout without a margin of its own; the style's spacing unless told."""
    layout.setContentsMargins(0, 0, 0, 0)
    if spacing is not None:
        layout.setSpacing(spacing)
    return layout


def labelled(grid: QtWidgets.QGridLayout, row: int, label: str, control: QtWidgets.QWidget) -> QtWidgets.QLabel:
    """A control with its label, as one row of a grid of two columns; returns the label."""
    words = QtWidgets.QLabel(label)
    words.setWordWrap(True)
    words.setToolTip(control.toolTip())
    words.setBuddy(control)
    grid.addWidget(words, row, 0)
    grid.addWidget(control, row, 1)
    return words


def two_columns(parent: QtWidgets.QWidget) -> QtWidgets.QGridLayout:
    """A grid of labels and controls; the controls take what room there is."""
    grid = flat(QtWidgets.QGridLayout(parent))
    grid.setColumnStretch(1, 1)
    return grid


def translated(choices: Sequence[tuple[Any, str]], translate: Any) -> list[tuple[Any, str]]:
    """Choices in the user's words."""
    return [(value, translate(words)) for value, words in choices]


def hint(text: str = "") -> FaintLabel:
    """A line of explanation beneath a control."""
    label = FaintLabel(text)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.NoTextInteraction)
    label.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
    return label
