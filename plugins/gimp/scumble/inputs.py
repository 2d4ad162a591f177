"""Controls that behave in a dialog that scrolls: the wheel scrolls it until one has the focus, and showing a value is
not the same as changing it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .gtk import GimpUi, GLib, Gtk, Pango
from .widget import has_focus

_BY_FACTOR = 64.0
"""GIMP's slider is linear in the value's root of this degree; of a high one it is as good as the logarithm."""
_SMALL = 0.9
_LINE_CHARS = 40


def calm(widget: Gtk.Widget) -> Gtk.Widget:
    """Let the wheel change a control only while it has the focus; returns it."""

    def turned(control: Gtk.Widget, _event: Any) -> bool:
        if not has_focus(control):
            control.stop_emission_by_name("scroll-event")
        return False

    widget.connect("scroll-event", turned)
    return widget


class _Whole:
    """What numbers that can be typed have in common; `on_change` gets the number that the user has set."""

    def _begin(self, on_change: Callable[[int], Any]) -> None:
        calm(self)
        self._told = self.connect("value-changed", lambda _: on_change(self.value))  # type: ignore[attr-defined]

    @property
    def value(self) -> int:
        """The number that is shown."""
        return round(self.get_value())  # type: ignore[attr-defined]

    def show_value(self, value: int) -> None:
        """Show a number without telling that it changed; what is being typed stays if it means the same."""
        if value != self.value:
            with self.handler_block(self._told):  # type: ignore[attr-defined]
                self.set_value(value)  # type: ignore[attr-defined]


class Spin(_Whole, Gtk.SpinButton):
    """A number that can be typed."""

    def __init__(self, low: int, high: int, on_change: Callable[[int], Any]) -> None:
        super().__init__(adjustment=_range(low, high), digits=0, xalign=1, valign=Gtk.Align.CENTER)
        self._begin(on_change)


class Scale(_Whole, GimpUi.SpinScale):
    """GIMP's own slider with a number that can be typed; the slider covers `slider` if the number may be beyond it.

    `is_by_factor`: it grows by a factor from place to place.
    """

    def __init__(
        self,
        label: str,
        limits: tuple[int, int],
        on_change: Callable[[int], Any],
        slider: tuple[int, int] | None = None,
        *,
        is_by_factor: bool = False,
    ) -> None:
        super().__init__(adjustment=_range(*limits), digits=0)
        self.set_label(label)
        if slider is not None:
            self.set_scale_limits(*slider)
        if is_by_factor:
            self.set_gamma(_BY_FACTOR)
        self._begin(on_change)


def _range(low: int, high: int) -> Gtk.Adjustment:
    return Gtk.Adjustment(value=low, lower=low, upper=high, step_increment=1, page_increment=10)


@dataclass(frozen=True)
class Choice:
    """A value to choose and the words for it; `starts` says that a line comes before it."""

    value: Any
    words: str
    icon: str = ""
    surface: Any = None
    tip: str = ""
    starts: bool = False


class Combo(Gtk.ComboBox):
    """A choice of values; the words for them may be longer than the control. `on_choose` gets the user's choice."""

    def __init__(self, on_choose: Callable[[Any], Any], *, has_pictures: bool = False) -> None:
        super().__init__(valign=Gtk.Align.CENTER)
        calm(self)
        self._choices: list[Choice | None] = []
        self._rows = Gtk.ListStore(str)
        self.set_model(self._rows)
        if has_pictures:
            picture = Gtk.CellRendererPixbuf(xpad=2)
            self.pack_start(picture, False)
            self.set_cell_data_func(picture, self._draw_picture)
        words = Gtk.CellRendererText(ellipsize=Pango.EllipsizeMode.END)
        self.pack_start(words, True)
        self.add_attribute(words, "text", 0)
        self.set_row_separator_func(lambda _, place: self._at(place) is None)
        self._told = self.connect("changed", lambda _: self._tell(on_choose))

    @property
    def choices(self) -> list[Choice]:
        """All that can be chosen."""
        return [choice for choice in self._choices if choice is not None]

    @property
    def chosen(self) -> Choice | None:
        """What is shown."""
        place = self.get_active()
        return self._choices[place] if place >= 0 else None

    @property
    def value(self) -> Any:
        """The value that is shown; None where there is none."""
        chosen = self.chosen
        return chosen.value if chosen is not None else None

    def fill(self, choices: Iterable[Choice]) -> None:
        """Have other choices; none is shown."""
        with self.handler_block(self._told):
            self._rows.clear()
            self._choices = []
            for choice in choices:
                for each in (None, choice) if choice.starts else (choice,):
                    self._choices.append(each)
                    self._rows.append([each.words if each is not None else ""])

    def show_value(self, value: Any) -> bool:
        """Show a value without telling that it changed; False where there is no such value, and none is shown."""
        places = (place for place, each in enumerate(self._choices) if each is not None and each.value == value)
        place = next(places, -1)
        if place != self.get_active():
            with self.handler_block(self._told):
                self.set_active(place)
        return place >= 0

    def _at(self, place: Gtk.TreeIter) -> Choice | None:
        return self._choices[self._rows.get_path(place).get_indices()[0]]

    def _draw_picture(self, _combo: Any, cell: Gtk.CellRendererPixbuf, _rows: Any, place: Gtk.TreeIter) -> None:
        choice = self._at(place) or Choice(None, "")
        cell.set_property("visible", bool(choice.icon or choice.surface))
        cell.set_property("surface", choice.surface)
        if choice.icon:
            cell.set_property("icon-name", choice.icon)

    def _tell(self, on_choose: Callable[[Any], Any]) -> None:
        chosen = self.chosen
        if chosen is not None:
            on_choose(chosen.value)


class Line(Gtk.Entry):
    """A line of text that tells every change by typing, and does not lose what is typed when it is shown again."""

    def __init__(self, on_type: Callable[[str], Any]) -> None:
        super().__init__(width_chars=6, valign=Gtk.Align.CENTER)
        self._is_typed = False
        self._told = self.connect("changed", lambda _: self._tell(on_type))
        self.connect("focus-out-event", self._leave)

    def show_value(self, text: str) -> None:
        """Show a text, unless it is what was just typed here."""
        if text != self.get_text() and not (self._is_typed and self.has_focus()):
            with self.handler_block(self._told):
                self.set_text(text)

    def _tell(self, on_type: Callable[[str], Any]) -> None:
        self._is_typed = True
        on_type(self.get_text())

    def _leave(self, *_: Any) -> bool:
        self._is_typed = False
        return False


class Proposals(Gtk.ComboBoxText):
    """A line of text with proposals."""

    def __init__(self, proposals: Sequence[str], on_type: Callable[[str], Any]) -> None:
        super().__init__(has_entry=True, valign=Gtk.Align.CENTER)
        calm(self)
        for proposal in proposals:
            self.append_text(proposal)
        self.line = self.get_child()
        self.line.set_width_chars(6)
        self._told = self.line.connect("changed", lambda line: on_type(line.get_text()))

    def show_value(self, text: str) -> None:
        """Show a text, unless something is being typed here."""
        if text != self.line.get_text() and not self.line.has_focus():
            with self.line.handler_block(self._told):
                self.line.set_text(text)


class Check(Gtk.CheckButton):
    """Yes or no; `on_change` gets what the user has set."""

    def __init__(self, words: str, on_change: Callable[[bool], Any]) -> None:
        super().__init__(label=words or None)
        self._told = self.connect("toggled", lambda _: on_change(self.get_active()))

    def show_value(self, value: bool) -> None:
        """Show it without telling that it changed."""
        if value != self.get_active():
            with self.handler_block(self._told):
                self.set_active(value)


class Fold(Gtk.Expander):
    """A heading that opens and closes what stands beneath it."""

    def __init__(self, title: str, *, is_open: bool = False) -> None:
        super().__init__(use_markup=True, expanded=is_open, resize_toplevel=False)
        self.set_title(title)

    def set_title(self, title: str) -> None:
        """Show another heading."""
        if self.get_label() != bold(title):
            self.set_label(bold(title))


class Grid(Gtk.Grid):
    """Two columns, of labels and of controls; the controls take what room there is."""

    def __init__(self) -> None:
        super().__init__(row_spacing=6, column_spacing=12)
        self._count = 0

    def put(self, label: Gtk.Label, control: Gtk.Widget) -> None:
        """A control with its label, as one more row."""
        label.set_mnemonic_widget(control)
        control.set_hexpand(True)
        self.attach(label, 0, self._count, 1, 1)
        self.attach(control, 1, self._count, 1, 1)
        self._count += 1

    def span(self, widget: Gtk.Widget) -> None:
        """A widget over both columns, as one more row."""
        widget.set_hexpand(True)
        self.attach(widget, 0, self._count, 2, 1)
        self._count += 1


def label(words: str = "", tip: str = "") -> Gtk.Label:
    """A text that is broken into lines where there is no room for it."""
    made = Gtk.Label(label=words, xalign=0, wrap=True, wrap_mode=Pango.WrapMode.WORD_CHAR)
    made.set_max_width_chars(_LINE_CHARS)
    made.set_tooltip_text(tip or None)
    return made


def heading(words: str, tip: str = "") -> Gtk.Label:
    """A text above what belongs to it."""
    made = label("", tip)
    made.set_markup(bold(words))
    return made


def hint(words: str = "") -> Gtk.Label:
    """A line of explanation beneath a control: smaller, and nearer to the background."""
    made = label(words)
    made.get_style_context().add_class(Gtk.STYLE_CLASS_DIM_LABEL)
    attributes = Pango.AttrList()
    attributes.insert(Pango.attr_scale_new(_SMALL))
    made.set_attributes(attributes)
    return made


def elided(words: str = "") -> Gtk.Label:
    """One line of text that is cut where there is no room for it; a tooltip has all of it."""
    return Gtk.Label(label=words, xalign=0, ellipsize=Pango.EllipsizeMode.END, hexpand=True)


def bold(words: str) -> str:
    """As Pango's markup."""
    return f"<b>{GLib.markup_escape_text(words)}</b>"


def translated(choices: Iterable[tuple[Any, str]], translate: Callable[[str], str]) -> list[Choice]:
    """Choices in the user's words."""
    return [Choice(value, translate(words)) for value, words in choices]


def take_typed(window: Gtk.Window) -> None:
    """Have the number that is being typed in a window count, as when its field is left."""
    focus = window.get_focus()
    if isinstance(focus, Gtk.SpinButton):
        focus.update()
