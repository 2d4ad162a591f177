"""The main controls, in the order of the manual: from the strength to what is added."""

from __future__ import annotations

from typing import Any

from .gtk import Gtk
from .inputs import Check, Combo, Grid, Line, Scale, Spin, hint, label, translated
from .link.fields import CONTROLS
from .link.guard import guarded
from .link.shown import breakable, by_parts, with_unit
from .link.text import tr
from .link.topics import Topic
from .widget import listen, named, row, shown

_AUTO = -1
"""How the feather's number says Auto."""


class Controls(Grid):
    """Strength, Stroke scale, Keep colours, Quality, Area, Feather, Result."""

    def __init__(self, studio: Any) -> None:
        super().__init__()
        self._studio = studio
        self.set_name("controls")
        self._labels: dict[str, Gtk.Label] = {}
        self.strength = self._number("strength")
        self.stroke_scale = self._number("stroke_scale", is_by_factor=True)
        self.keep_colors = self._combo("keep_colors")
        self.quality = self._combo("quality")
        self.size = self._number("size", is_by_factor=True)
        self.iterations = self._iterations()
        self.area = self._combo("area")
        self.area_line = self._area_line()
        self._feather()
        self.result = self._combo("result")
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
        self.feather.show_value(_AUTO if settings.feather is None else settings.feather)
        self.feather_auto.show_value(settings.feather is None)
        self.result.show_value(settings.result)
        for widget in (self.size, self.iterations, self._labels["iterations"]):
            shown(widget, settings.quality == "custom")

    def refresh_line(self) -> None:
        """Show what would be painted, and what the user should know of the document."""
        subject = self._studio.subject
        note = subject.note if subject is not None else ""
        text = breakable("\n".join(filter(None, (by_parts(self._studio.area_line), note))))
        if text != self.area_line.get_text():
            self.area_line.set_text(text)
        shown(self.area_line, bool(text))

    # ------------------------------------------------------------------------------------------------- the controls

    def _number(self, name: str, *, is_by_factor: bool = False) -> Scale:
        control = CONTROLS[name]
        change = guarded(self._studio, lambda value: self._studio.change(**{name: value}))
        words = with_unit(control.label, control.unit)
        scale = Scale(words, control.limits, change, control.slider, is_by_factor=is_by_factor)
        named(scale, name.replace("_", "-"), tr(control.label), tr(control.tip))
        self.span(scale)
        return scale

    def _combo(self, name: str) -> Combo:
        control = CONTROLS[name]
        combo = Combo(guarded(self._studio, lambda value: self._studio.change(**{name: value})))
        combo.fill(translated(control.choices, tr))
        self._labelled(name, named(combo, name.replace("_", "-"), tr(control.label), tr(control.tip)))
        return combo

    def _iterations(self) -> Line:
        control = CONTROLS["iterations"]
        line = Line(guarded(self._studio, lambda text: self._studio.change(iterations=text.strip())))
        line.set_placeholder_text(tr("Auto"))
        self._labelled("iterations", named(line, "iterations", tr(control.label), tr(control.tip)))
        return line

    def _area_line(self) -> Gtk.Label:
        line = hint()
        line.set_name("area-line")
        line.set_tooltip_text(tr("What would be painted now, at which size, and what it would take."))
        self.span(line)
        return line

    def _feather(self) -> None:
        control = CONTROLS["feather"]
        self.feather = Spin(_AUTO, control.limits[1], guarded(self._studio, self._change_feather))
        self.feather.connect("output", _say_auto)
        # else a field that says Auto is 0 when it is left
        self.feather.set_update_policy(Gtk.SpinButtonUpdatePolicy.IF_VALID)
        named(self.feather, "feather", tr(control.label), tr(control.tip))
        self.feather.set_hexpand(True)
        self.feather_auto = Check(tr("Auto"), guarded(self._studio, self._toggle_auto))
        named(self.feather_auto, "feather-auto", tr("Feather: Auto"), tr("Chooses the feather by the selection."))
        both = row()
        for widget in (self.feather, label(control.unit), self.feather_auto):
            both.add(widget)
        self._labelled("feather", both)
        self._labels["feather"].set_mnemonic_widget(self.feather)

    def _labelled(self, name: str, widget: Gtk.Widget) -> None:
        control = CONTROLS[name]
        self._labels[name] = label(tr(control.label), tr(control.tip))
        self.put(self._labels[name], widget)

    def _change_feather(self, value: int) -> None:
        self._studio.change(feather=None if value == _AUTO else value)

    def _toggle_auto(self, is_auto: bool) -> None:
        self._studio.change(feather=None if is_auto else max(0, self.feather.value))


def _say_auto(spin: Spin) -> bool:
    """What the feather's field shows, where it is not the number."""
    if spin.value == _AUTO:
        spin.set_text(tr("Auto"))
    return spin.value == _AUTO
