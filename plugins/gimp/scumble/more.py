"""More: everything that a recipe has besides the main controls, folded, built from the table of fields."""

from __future__ import annotations

from typing import Any

from .gtk import Gtk
from .inputs import Check, Choice, Combo, Fold, Grid, Line, Proposals, bold, heading, label, translated
from .link.errors import LinkError
from .link.fields import Field
from .link.guard import guarded
from .link.shown import changed, groups, more_title, with_field, with_unit
from .link.text import tr
from .link.topics import Topic
from .widget import GAP, button, column, listen, named, say


class More(Fold):
    """The fold; its fields are made when it is opened for the first time."""

    def __init__(self, studio: Any) -> None:
        super().__init__(tr("More"))
        self._studio = studio
        self._entries: list[Entry] = []
        named(self, "more", tr("More"), tr("Everything else: networks, layers, losses, the way it is painted."))
        self.connect("notify::expanded", guarded(studio, lambda *_: self._open()))
        listen(self, studio, Topic.SETTINGS, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the settings' further fields."""
        more = self._studio.settings.more
        self.set_title(more_title(more))
        for entry in self._entries:
            entry.show_value(more.get(entry.field.name, entry.field.default))
        if self._entries:
            self.reset.set_sensitive(bool(changed(more)))

    def _open(self) -> None:
        if self._entries or not self.get_expanded():
            return
        grid = Grid()
        for group, fields in groups().items():
            grid.span(_group(tr(group)))
            self._entries += [Entry(self._studio, field, grid) for field in fields]
        tip = tr("Puts all that stands under More back to its default.")
        self.reset = button(self._studio, "more-reset", tr("Reset these"), tip, lambda: self._studio.change(more={}))
        content = column()
        content.set_margin_top(GAP)
        content.add(grid)
        content.add(self.reset)
        content.show_all()
        self.add(content)
        self.refresh()


class Entry:
    """One field: its label and its control; the label is bold where the value is not the default."""

    def __init__(self, studio: Any, field: Field, grid: Grid) -> None:
        self.field = field
        self._studio = studio
        self._words = with_unit(field.label, field.unit)
        self._error: LinkError | None = None
        self._is_marked = False
        self.control = self._make()
        named(self.control, f"more-{field.name.replace('_', '-')}", self._words, tr(field.tip))
        self.label = label(self._words, tr(field.tip))
        if field.kind == "bool":
            self.control.add(self.label)
            grid.span(self.control)
        else:
            grid.put(self.label, self.control)

    def show_value(self, value: Any) -> None:
        """Show a value; what is being typed stays."""
        control, kind = self.control, self.field.kind
        if kind == "bool":
            control.show_value(bool(value))
        elif kind == "choice":
            control.show_value(value)
        else:
            control.show_value("" if value == self.field.default and kind != "text" else self.field.shown(value))
            if not self._line.has_focus():
                self._complain(None)
        if self._is_marked != (value != self.field.default):
            self._is_marked = not self._is_marked
            if self._is_marked:
                self.label.set_markup(bold(self._words))
            else:
                self.label.set_text(self._words)

    def _make(self) -> Any:
        field, studio = self.field, self._studio
        if field.kind == "bool":
            return Check("", guarded(studio, self._change))
        if field.kind == "choice":
            combo = Combo(guarded(studio, self._change))
            auto = [Choice(None, tr("Auto"))] if field.default is None else []
            combo.fill([*auto, *translated(field.choices, tr)])
            return combo
        if field.choices and field.kind == "text":
            proposals = Proposals([value for value, _ in field.choices], guarded(studio, self._read))
            self._line = proposals.line
            say(self._line, self._words, tr(field.tip))
            return proposals
        self._line = Line(guarded(studio, self._read))
        self._line.set_placeholder_text(tr("Auto") if field.default is None else field.shown(field.default))
        return self._line

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
        """Show what is typed as wrong, with the reason as its tooltip; None: as usual."""
        if error is self._error:
            return
        self._error = error
        style = self._line.get_style_context()
        if error is None:
            style.remove_class(Gtk.STYLE_CLASS_ERROR)
        else:
            style.add_class(Gtk.STYLE_CLASS_ERROR)
        self.control.set_tooltip_text(tr(self.field.tip) if error is None else error.text)


def _group(title: str) -> Gtk.Label:
    made = heading(title)
    made.set_margin_top(GAP)
    return made
