"""The style library: thumbnails in a grid, and a search through names and tags."""

from __future__ import annotations

from typing import Any

from .gtk import Gtk, Pango
from .inputs import hint
from .link.guard import guarded
from .link.settings import LIBRARY
from .link.shown import is_found
from .link.text import tr
from .link.topics import Topic
from .look import Thumbnail
from .widget import INDENT, call_on, column, listen, named, say, shown, while_alive

_SIDE = 80
_WIDTH, _HEIGHT = 372, 250
_NAME_CHARS = 12


class LibraryPopup(Gtk.Popover):
    """A popup that adds the style that is chosen, and closes."""

    def __init__(self, studio: Any, at: Gtk.Widget) -> None:
        super().__init__(relative_to=at, border_width=INDENT)
        self._studio = studio
        self.set_name("library-popup")
        self.search = Gtk.SearchEntry(placeholder_text=tr("Search"))
        named(self.search, "library-search", tr("Search"), tr("Finds styles by name or tag, such as oil or blue."))
        self.grid = Gtk.FlowBox(homogeneous=True, min_children_per_line=3, max_children_per_line=6)
        self.grid.set_valign(Gtk.Align.START)
        self.grid.set_filter_func(self._is_wanted)
        named(self.grid, "library-list", tr("Style library"), "", description=tr("Return adds the style."))
        self._nothing = hint()
        self._nothing.set_name("library-nothing")
        scroll = Gtk.ScrolledWindow(hscrollbar_policy=Gtk.PolicyType.NEVER)
        scroll.set_size_request(_WIDTH, _HEIGHT)
        scroll.add(self.grid)
        content = column()
        content.pack_start(self.search, False, False, 0)
        content.pack_start(scroll, True, True, 0)
        content.pack_start(self._nothing, False, False, 0)
        content.show_all()
        self.add(content)
        call_on(studio, self.search, "changed", self._filter)
        call_on(studio, self.search, "activate", self._take_first)
        take = guarded(studio, self._take)
        self.grid.connect("child-activated", lambda _, child: take(child))
        self.connect("closed", lambda *_: self.destroy())
        # GTK leaves a popover alive whose widget is gone
        at.connect("destroy", lambda *_: self.destroy())
        listen(self, studio, Topic.LIBRARY, self._fill)
        self._fill()

    def open(self) -> None:
        """Show it beneath the widget that it belongs to."""
        self.popup()
        self.search.grab_focus()

    @property
    def found(self) -> list[Any]:
        """The styles that are shown, in order."""
        return [child.style for child in self.grid.get_children() if self._is_wanted(child)]

    def _fill(self) -> None:
        for child in self.grid.get_children():
            child.destroy()
        for style in self._studio.library:
            self.grid.add(_Tile(self._studio, style))
        self._filter()

    def _filter(self) -> None:
        self.grid.invalidate_filter()
        if not self._studio.library:
            self._nothing.set_text(tr("The library is not known yet: Scumble's daemon does not run."))
        else:
            self._nothing.set_text(tr("No style is called so."))
        shown(self._nothing, not self.found)

    def _is_wanted(self, child: _Tile) -> bool:
        return is_found(self.search.get_text(), child.style.name, child.style.tags)

    def _take_first(self) -> None:
        wanted = [child for child in self.grid.get_children() if self._is_wanted(child)]
        if wanted:
            self._take(wanted[0])

    def _take(self, child: _Tile) -> None:
        style = child.style
        self.popdown()
        self._studio.add_style_library(style)


class _Tile(Gtk.FlowBoxChild):
    """A style of the library: its picture and its name."""

    def __init__(self, studio: Any, style: Any) -> None:
        super().__init__()
        self.style = style
        picture = Thumbnail(_SIDE)
        picture.set_halign(Gtk.Align.CENTER)
        picture.show_picture(None, style.name)
        name = Gtk.Label(label=style.name, wrap=True, lines=2, ellipsize=Pango.EllipsizeMode.END)
        name.set_justify(Gtk.Justification.CENTER)
        name.set_max_width_chars(_NAME_CHARS)
        content = column(2)
        content.add(picture)
        content.add(name)
        self.add(content)
        self.set_tooltip_text("\n".join(filter(None, (style.name, ", ".join(style.tags)))))
        say(self, style.name, ", ".join(style.tags))
        self.show_all()
        show = while_alive(self, studio, lambda data: picture.show_picture(data, style.name))
        studio.thumbnail(f"{LIBRARY}{style.id}", show)
