"""The sheet of variations: small pictures in a window beside the dialog; a click takes the settings of one."""

from __future__ import annotations

from functools import partial
from typing import Any

from .gtk import Gdk, Gtk
from .inputs import hint
from .link.guard import guarded
from .link.shown import cell_words
from .link.text import tr
from .link.topics import Topic
from .look import decode, fitted
from .widget import INDENT, column, listen, named, say

_SIDE = 136
_ROOM = 12


class SheetWindows:
    """Opens a window when the studio has a sheet, and closes it when it has none."""

    def __init__(self, studio: Any, parent: Gtk.Widget) -> None:
        self._studio, self._parent = studio, parent
        self.window: SheetWindow | None = None
        listen(parent, studio, Topic.SHEET, self.refresh)
        listen(parent, studio, Topic.SETTINGS, self._mark)
        parent.connect("destroy", lambda *_: self._leave())

    def refresh(self) -> None:
        """Show the studio's sheet."""
        sheet = self._studio.sheet
        if self.window is not None and (sheet is None or not self.window.fits(sheet)):
            self._leave()
        if sheet is None:
            return
        if self.window is None:
            self.window = SheetWindow(self._studio, sheet, self._parent.get_toplevel(), self._leave)
            self.window.show_all()
        self.window.refresh(sheet)

    def _mark(self) -> None:
        if self.window is not None and self._studio.sheet is not None:
            self.window.refresh(self._studio.sheet)

    def _leave(self) -> None:
        window, self.window = self.window, None
        if window is not None:
            window.destroy()


class SheetWindow(Gtk.Window):
    """A grid of variations with a heading for each row and column."""

    def __init__(self, studio: Any, sheet: Any, parent: Gtk.Window, on_close: Any) -> None:
        super().__init__(title=sheet.title, resizable=False, border_width=INDENT)
        self._studio = studio
        self._shape = _shape(sheet)
        self.set_name("sheet")
        self.set_transient_for(parent)
        self.set_type_hint(Gdk.WindowTypeHint.UTILITY)
        grid = Gtk.Grid(row_spacing=2, column_spacing=2)
        about = hint(tr("A click takes the settings of a picture. Closing the window stops painting more of them."))
        content = column()
        content.add(grid)
        content.add(about)
        self.add(content)
        for place, text in enumerate(sheet.columns, 1):
            grid.attach(Gtk.Label(label=text), place, 0, 1, 1)
        self.buttons: list[list[Variation]] = []
        for row, text in enumerate(sheet.rows):
            title = Gtk.Label(label=text, xalign=1, margin_end=4)
            grid.attach(title, 0, row + 1, 1, 1)
            self.buttons.append([])
            for place in range(len(sheet.cells[row])):
                made = Variation(f"cell-{row}-{place}", guarded(studio, partial(self._pick, row, place)))
                grid.attach(made, place + 1, row + 1, 1, 1)
                self.buttons[-1].append(made)

        def close() -> None:
            on_close()
            studio.close_sheet()

        shut = guarded(studio, close)
        self.connect("delete-event", lambda *_: shut() or True)
        self.connect("key-press-event", lambda _, event: event.keyval == Gdk.KEY_Escape and (shut() or True))

    def fits(self, sheet: Any) -> bool:
        """Whether a sheet has the same rows and columns."""
        return self._shape == _shape(sheet)

    def refresh(self, sheet: Any) -> None:
        """Show the cells as they are now."""
        for cells, buttons in zip(sheet.cells, self.buttons):
            for cell, each in zip(cells, buttons):
                each.show_cell(cell, is_taken=cell.settings == self._studio.settings)

    def _pick(self, row: int, place: int) -> None:
        if self._studio.sheet is not None:
            self._studio.pick(self._studio.sheet.cells[row][place])
            self.refresh(self._studio.sheet)  # a click on the one that is taken already has taken its mark away


class Variation(Gtk.ToggleButton):
    """One small picture, or how far it is."""

    def __init__(self, name: str, on_click: Any) -> None:
        super().__init__()
        named(self, name, "", "")
        self.set_size_request(_SIDE + _ROOM, _SIDE + _ROOM)
        self._picture: bytes | None = None
        self._image, self._words = Gtk.Image(), Gtk.Label(wrap=True)
        self._told = self.connect("toggled", lambda *_: on_click())
        self.show_words("")

    @property
    def has_picture(self) -> bool:
        """Whether it shows a picture."""
        return self.get_child() is self._image

    @property
    def words(self) -> str:
        """What it says in the place of a picture."""
        return "" if self.has_picture else self._words.get_text()

    def show_cell(self, cell: Any, *, is_taken: bool) -> None:
        """Show a cell as it is now."""
        words = cell_words(cell.state)
        tip = f"{cell.label}\n{cell.error.text}" if cell.error is not None else cell.label
        say(self, f"{cell.label}, {words}" if words else cell.label, tip)
        if tip != self.get_tooltip_text():
            self.set_tooltip_text(tip)
        with self.handler_block(self._told):
            self.set_active(is_taken)
        if cell.picture != self._picture:
            self._picture = cell.picture
            picture = decode(cell.picture, 512)
            if picture is not None:
                self._image.set_from_surface(fitted(picture, _SIDE, _SIDE, self.get_scale_factor()))
                self._have(self._image)
        if cell.picture is None:
            self.show_words(words)

    def show_words(self, words: str) -> None:
        """Say something in the place of a picture."""
        if words != self._words.get_text():
            self._words.set_text(words)
        self._have(self._words)

    def _have(self, child: Gtk.Widget) -> None:
        before = self.get_child()
        if before is not child:
            if before is not None:
                self.remove(before)
            self.add(child)
            child.show()


def _shape(sheet: Any) -> tuple[Any, ...]:
    return (sheet.title, tuple(sheet.columns), tuple(sheet.rows))
