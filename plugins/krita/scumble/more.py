"""More: everything that a recipe has besides the main controls, folded, built from the table of fields."""

from __future__ import annotations

from typing import Any

from .inputs import Combo, Fold, Line, Proposals, flat, two_columns
from .link.errors import LinkError
from .link.fields import Field
from .link.shown import changed, groups, more_title, with_field, with_unit
from .link.text import tr
from .link.topics import Topic
from .look import signal_color
from .qt import QtGui, QtWidgets
from .widget import call_on, call_with, guarded, listen, named, plain


class More(Fold):
    """The fold; its fields are made when it is opened for the first time."""

    def __init__(self, studio: Any) -> None:
        content = QtWidgets.QWidget()
        super().__init__(tr("More"), content)
        self._studio = studio
        self._entries: list[Entry] = []
        self.setObjectName("more-section")
        named(self.head, "more", tr("More"), tr("Everything else: networks, layers, losses, the way it is painted."))
        flat(QtWidgets.QVBoxLayout(content))
        self.toggled.connect(guarded(studio, self._open))
        listen(self, studio, Topic.SETTINGS, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the settings' further fields."""
        more = self._studio.settings.more
        self.set_title(more_title(more))
        for entry in self._entries:
            entry.show_value(more.get(entry.field.name, entry.field.default))
        if self._entries:
            self.reset.setEnabled(bool(changed(more)))

    def _open(self, is_open: bool) -> None:
        if not is_open or self._entries:
            return
        body = QtWidgets.QWidget()
        grid = two_columns(body)
        for group, fields in groups().items():
            grid.addWidget(_heading(tr(group)), grid.rowCount(), 0, 1, 2)
            for field in fields:
                self._entries.append(Entry(self._studio, field, grid))
        self.reset = QtWidgets.QPushButton(plain(tr("Reset these")))
        named(self.reset, "more-reset", tr("Reset these"), tr("Puts all that stands under More back to its default."))
        call_on(self._studio, self.reset.clicked, lambda: self._studio.change(more={}))
        self.content.layout().addWidget(body)
        self.content.layout().addWidget(self.reset)
        self.refresh()


class Entry:
    """One field: its label and its control; the label is bold where the value is not the default."""

    def __init__(self, studio: Any, field: Field, grid: QtWidgets.QGridLayout) -> None:
        self.field = field
        self._studio = studio
        self._value: Any = field.default
        self._error: LinkError | None = None
        self.control = self._make()
        label = with_unit(field.label, field.unit)
        named(self.control, f"more-{field.name.replace('_', '-')}", label, tr(field.tip))
        row = grid.rowCount()
        self.label = QtWidgets.QLabel("" if field.kind == "bool" else label)
        self.label.setWordWrap(True)
        self.label.setToolTip(tr(field.tip))
        self.label.setBuddy(self.control)
        if field.kind == "bool":
            self.control.setText(plain(label))
            grid.addWidget(self.control, row, 0, 1, 2)
        else:
            grid.addWidget(self.label, row, 0)
            grid.addWidget(self.control, row, 1)

    def show_value(self, value: Any) -> None:
        """Show a value; what is being typed stays."""
        self._value = value
        control, kind = self.control, self.field.kind
        if kind == "bool":
            control.blockSignals(True)
            control.setChecked(bool(value))
            control.blockSignals(False)
        elif kind == "choice":
            control.show_value(value)
        else:
            control.show_value("" if value == self.field.default and kind != "text" else self.field.shown(value))
            if not control.hasFocus():
                self._complain(None)
        marked = self.control if kind == "bool" else self.label
        font = marked.font()
        if font.bold() != (value != self.field.default):
            font.setBold(value != self.field.default)
            marked.setFont(font)

    def _make(self) -> Any:
        field, studio = self.field, self._studio
        if field.kind == "bool":
            control: Any = QtWidgets.QCheckBox()
            call_with(studio, control.toggled, self._change)
        elif field.kind == "choice":
            auto = [(None, tr("Auto"))] if field.default is None else []
            control = Combo([*auto, *((value, tr(words)) for value, words in field.choices)])
            call_with(studio, control.chosen, self._change)
        elif field.choices and field.kind == "text":
            control = Proposals([value for value, _ in field.choices])
            call_with(studio, control.typed, self._read)
        else:
            control = Line()
            control.setPlaceholderText(tr("Auto") if field.default is None else field.shown(field.default))
            call_with(studio, control.typed, self._read)
        return control

    def _read(self, text: str) -> None:
        try:
            value = self.field.checked(text)
        except LinkError as error:
            self._complain(error)
            return
        self._complain(None)
        self._change(self.field.default if value is None else value)

    def _change(self, value: Any) -> None:
        self._studio.change(more=with_field(self._studio.settings.more, self.field, value))

    def _complain(self, error: LinkError | None) -> None:
        """Show what is typed in red, with the reason as its tooltip; None: as usual."""
        if error is self._error:
            return
        self._error = error
        palette = QtGui.QPalette()
        if error is not None:
            palette.setColor(QtGui.QPalette.ColorRole.Text, signal_color(self.control.palette(), "red"))
        self.control.setPalette(palette)
        self.control.setToolTip(tr(self.field.tip) if error is None else error.text)


def _heading(text: str) -> QtWidgets.QLabel:
    label = QtWidgets.QLabel(text)
    font = label.font()
    font.setItalic(True)
    label.setFont(font)
    label.setContentsMargins(0, 6, 0, 0)
    return label
