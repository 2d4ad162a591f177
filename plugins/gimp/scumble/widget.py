"""What all widgets share: they listen to the studio, have names, and a mistake of theirs ends in the panel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from .gtk import Gdk, Gtk
from .link.guard import guarded
from .link.topics import Topic

GAP, INDENT = 6, 12
"""The distances that GIMP's own dialogs have: between widgets, and around them."""


def call_on(studio: Any, widget: Gtk.Widget, signal: str, action: Callable[[], Any]) -> None:
    """Call `action()`, guarded, when a signal comes; the signal's own values are left out."""
    run = guarded(studio, action)
    widget.connect(signal, lambda *_: run())


def listen(widget: Gtk.Widget, studio: Any, topic: Topic, show: Callable[[], None]) -> None:
    """Call `show()` when a topic changes, as long as the widget lives."""
    unlisten = studio.listen(topic, guarded(studio, show))
    widget.connect("destroy", lambda *_: unlisten())


def while_alive(widget: Gtk.Widget, studio: Any, action: Callable[..., None]) -> Callable[..., None]:
    """`action`, guarded, such that it does nothing once the widget was destroyed."""
    is_gone: list[Any] = []
    widget.connect("destroy", is_gone.append)
    run = guarded(studio, action)
    return lambda *values: None if is_gone else run(*values)


def named(widget: Gtk.Widget, name: str, label: str, tip: str, *, description: str | None = None) -> Gtk.Widget:
    """Give a control its name for tests, for screen readers (`label`), and its tooltip; returns it."""
    widget.set_name(name)
    say(widget, label, tip if description is None else description)
    widget.set_tooltip_text(tip)
    return widget


def say(widget: Gtk.Widget, label: str, description: str | None = None) -> None:
    """What screen readers call a widget, and say of it."""
    accessible = widget.get_accessible()
    if accessible.get_name() != label:
        accessible.set_name(label)
    if description is not None and accessible.get_description() != description:
        accessible.set_description(description)


def has_focus(widget: Gtk.Widget) -> bool:
    """Whether the keyboard is its, or that of something in it."""
    window = widget.get_toplevel()
    focus = window.get_focus() if isinstance(window, Gtk.Window) else None
    return focus is not None and (focus is widget or focus.is_ancestor(widget))


def button(studio: Any, name: str, text: str, tip: str, action: Callable[[], Any]) -> Gtk.Button:
    """A button with a text."""
    made = Gtk.Button(label=text)
    named(made, name, text, tip)
    call_on(studio, made, "clicked", action)
    return made


def column(spacing: int = GAP) -> Gtk.Box:
    """Widgets one beneath another."""
    return Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=spacing)


def row(spacing: int = GAP) -> Gtk.Box:
    """Widgets side by side."""
    return Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=spacing)


def shown(widget: Gtk.Widget, is_shown: bool) -> None:
    """Show or hide a widget, also where all that it stands in is shown."""
    widget.set_no_show_all(True)
    widget.set_visible(is_shown)


@dataclass(frozen=True)
class Entry:
    """A line of a menu; with `entries` it opens another menu."""

    name: str
    text: str
    action: Callable[[], Any] | None = None
    tip: str = ""
    is_on: bool = True
    entries: Sequence[Entry] | None = None


def open_menu(
    studio: Any, at: Gtk.Widget, name: str, entries: Sequence[Entry | None], *, is_at_pointer: bool = False
) -> Gtk.Menu:
    """Show a menu beneath a widget, or where the pointer is; None is a line between entries."""
    menu = _menu(studio, entries)
    menu.set_name(name)
    menu.attach_to_widget(at)
    # once the entry that was chosen has been told, or none was
    menu.connect("selection-done", lambda *_: menu.destroy())
    if is_at_pointer:
        menu.popup_at_pointer(Gtk.get_current_event())
    else:
        below, above = Gdk.Gravity.SOUTH_WEST, Gdk.Gravity.NORTH_WEST
        menu.popup_at_widget(at, below, above, Gtk.get_current_event())
    return menu


def _menu(studio: Any, entries: Sequence[Entry | None]) -> Gtk.Menu:
    menu = Gtk.Menu()
    for entry in entries:
        menu.append(Gtk.SeparatorMenuItem() if entry is None else _item(studio, entry))
    menu.show_all()
    return menu


def _item(studio: Any, entry: Entry) -> Gtk.MenuItem:
    item = Gtk.MenuItem(label=entry.text)
    named(item, entry.name, entry.text, entry.tip)
    item.set_sensitive(entry.is_on)
    if entry.entries is not None:
        item.set_submenu(_menu(studio, entry.entries))
    elif entry.action is not None:
        call_on(studio, item, "activate", partial(entry.action))
    return item
