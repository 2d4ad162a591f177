"""The main controls, in the order of the manual: from the strength to what is added."""

from __future__ import annotations

from typing import Any

from .inputs import Combo, Line, Number, Spin, flat, hint, labelled, translated, two_columns
from .link.fields import CONTROLS
from .link.shown import breakable
from .link.text import tr
from .link.topics import Topic
from .qt import QtWidgets
from .widget import call_on, call_with, listen, named, plain

_AUTO = -1
"""How the feather's spin box says Auto."""
_SIZE_STEP = 64


class Controls(QtWidgets.QWidget):
    """Strength, Stroke scale, Keep colours, Quality, Area, Feather, Result."""

    def __init__(self, studio: Any) -> None:
        super().__init__()
        self._studio = studio
        self.setObjectName("controls")
        grid = two_columns(self)
        self.strength = self._number("strength")
        self.stroke_scale = self._number("stroke_scale", is_by_factor=True)
        self.keep_colors = self._combo("keep_colors")
        self.quality = self._combo("quality")
        self.size = self._number("size", is_by_factor=True)
        self.size.spin.setSingleStep(_SIZE_STEP)
        self.iterations = self._iterations()
        self.area = self._combo("area")
        self.area_line = hint()
        self.area_line.setObjectName("area-line")
        self.area_line.setToolTip(tr("What would be painted now, at which size, and what it would take."))
        self.feather = self._feather()
        self.result = self._combo("result")
        rows = (
            ("strength", self.strength),
            ("stroke_scale", self.stroke_scale),
            ("keep_colors", self.keep_colors),
            ("quality", self.quality),
            ("size", self.size),
            ("iterations", self.iterations),
            ("area", self.area),
            ("", self.area_line),
            ("feather", self.feather),
            ("result", self.result),
        )
        self._labels = {}
        for number, (name, control) in enumerate(rows):
            if name:
                self._labels[name] = labelled(grid, number, tr(CONTROLS[name].label), control)
            else:
                grid.addWidget(control, number, 0, 1, 2)
        listen(self, studio, Topic.SETTINGS, self.refresh)
        listen(self, studio, Topic.SUBJECT, self.refresh_line)
        self.refresh()
        self.refresh_line()

    def refresh(self) -> None:
        """Show the settings."""
        settings = self._studio.settings
        self.strength.show_value(settings.strength)
        self.stroke_scale.show_value(settings.stroke_scale)
        self.keep_colors.show_value(settings.keep_colors)
        self.quality.show_value(settings.quality)
        self.size.show_value(settings.size)
        self.iterations.show_value(settings.iterations)
        self.area.show_value(settings.area)
        self._feather_px.show_value(_AUTO if settings.feather is None else settings.feather)
        self._feather_auto.blockSignals(True)
        self._feather_auto.setChecked(settings.feather is None)
        self._feather_auto.blockSignals(False)
        self.result.show_value(settings.result)
        is_custom = settings.quality == "custom"
        for name, control in (("size", self.size), ("iterations", self.iterations)):
            control.setVisible(is_custom)
            self._labels[name].setVisible(is_custom)

    def refresh_line(self) -> None:
        """Show what would be painted, and what the user should know of the document."""
        subject = self._studio.subject
        note = subject.note if subject is not None else ""
        text = breakable("\n".join(filter(None, (self._studio.area_line, note))))
        if text != self.area_line.text():
            self.area_line.setText(text)
        self.area_line.setVisible(bool(text))

    # ------------------------------------------------------------------------------------------------- the controls

    def _number(self, name: str, *, is_by_factor: bool = False) -> Number:
        control = CONTROLS[name]
        number = Number(*control.limits, control.unit, control.slider, is_by_factor=is_by_factor)
        own = name.replace("_", "-")
        named(number.spin, own, tr(control.label), tr(control.tip))
        named(number.slider, f"{own}-slider", tr(control.label), tr(control.tip))
        number.setToolTip(tr(control.tip))
        call_with(self._studio, number.changed, lambda value: self._studio.change(**{name: value}))
        return number

    def _combo(self, name: str) -> Combo:
        control = CONTROLS[name]
        combo = Combo(translated(control.choices, tr))
        named(combo, name.replace("_", "-"), tr(control.label), tr(control.tip))
        call_with(self._studio, combo.chosen, lambda value: self._studio.change(**{name: value}))
        return combo

    def _iterations(self) -> Line:
        control, line = CONTROLS["iterations"], Line()
        named(line, "iterations", tr(control.label), tr(control.tip))
        line.setPlaceholderText(tr("Auto"))
        call_with(self._studio, line.typed, lambda text: self._studio.change(iterations=text.strip()))
        return line

    def _feather(self) -> QtWidgets.QWidget:
        control = CONTROLS["feather"]
        pair = QtWidgets.QWidget()
        self._feather_auto = QtWidgets.QCheckBox(plain(tr("Auto")))
        tip = tr("Chooses the feather by the selection.")
        named(self._feather_auto, "feather-auto", tr("Feather: Auto"), tip)
        self._feather_px = Spin(_AUTO, control.limits[1], control.unit)
        self._feather_px.setSpecialValueText(tr("Auto"))
        named(self._feather_px, "feather", tr(control.label), tr(control.tip))
        row = flat(QtWidgets.QHBoxLayout(pair))
        row.addWidget(self._feather_px, 1)
        row.addWidget(self._feather_auto)
        pair.setToolTip(tr(control.tip))
        pair.setFocusProxy(self._feather_px)
        call_with(self._studio, self._feather_px.valueChanged, self._change_feather)
        call_on(self._studio, self._feather_auto.toggled, self._toggle_auto)
        return pair

    def _change_feather(self, value: int) -> None:
        self._studio.change(feather=None if value == _AUTO else value)

    def _toggle_auto(self) -> None:
        self._studio.change(feather=None if self._feather_auto.isChecked() else max(0, self._feather_px.value()))
