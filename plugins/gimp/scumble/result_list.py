"""The last results: a grid of thumbnails, and what can be done with the one that is chosen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .files import save_png
from .gtk import Gdk, GimpUi, Gtk
from .inputs import Fold, hint
from .link.guard import guarded
from .link.shown import breakable, chosen_row, result_line, result_tip
from .link.text import tr
from .link.topics import Topic
from .look import IconButton, Thumbnail
from .widget import GAP, Entry, call_on, column, listen, named, open_menu, row, say, shown

_SIDE = 64
_PER_LINE = 20


class ResultList(Fold):
    """Show/hide, add again, use these settings, go on, save as PNG, discard."""

    def __init__(self, studio: Any) -> None:
        super().__init__(tr("Results"), is_open=True)
        self._studio = studio
        self._shown: list[Any] = []
        self.set_name("results-section")
        self.grid = Gtk.FlowBox(min_children_per_line=3, max_children_per_line=_PER_LINE, homogeneous=True)
        self.grid.set_selection_mode(Gtk.SelectionMode.BROWSE)
        self.grid.set_activate_on_single_click(False)
        named(self.grid, "results", tr("Results"), "", description=tr("Return shows or hides the layer."))
        self.about = hint()
        self.about.set_name("result-about")
        self._buttons = self._make_buttons()
        bar, content = row(2), column()
        for each in self._buttons:
            bar.add(each)
        content.set_margin_top(GAP)
        for widget in (self.grid, bar, self.about):
            content.add(widget)
        content.show_all()
        self.add(content)
        call_on(studio, self.grid, "selected-children-changed", self.look)
        call_on(studio, self.grid, "child-activated", lambda: self._do(studio.toggle))
        self.grid.connect("key-press-event", self._press)
        self.grid.connect("button-press-event", self._point)
        call_on(studio, self.grid, "popup-menu", self._open_menu)
        listen(self, studio, Topic.RESULTS, self.refresh)
        self.refresh()

    @property
    def chosen(self) -> Any | None:
        """The result that is chosen; None where there is none."""
        place = self._row
        return self._shown[place] if 0 <= place < len(self._shown) else None

    def choose(self, place: int) -> None:
        """Choose the result at that place; −1: none."""
        child = self.grid.get_child_at_index(place) if place >= 0 else None
        if child is not None:
            self.grid.select_child(child)

    def refresh(self) -> None:
        """Show the results; the one that was chosen stays so, unless it was the newest."""
        results = list(self._studio.results)
        before, place = self.chosen, self._row
        if results != self._shown:
            self._fill(results)
            numbers = [result.number for result in results]
            self.choose(chosen_row(numbers, before.number if before is not None else None, place))
        self.set_title(tr("Results ({count})", count=len(results)))
        shown(self, bool(results))
        for result, child in zip(results, self.grid.get_children()):
            child.get_child().set_faint(self._studio.is_visible(result) is not True)
        self.look()

    def look(self) -> None:
        """See whether the chosen one's layer is shown."""
        result = self.chosen
        for each in self._buttons:
            each.set_sensitive(result is not None)
        if result is None:
            self.about.set_text("")
            return
        is_visible = self._studio.is_visible(result)
        self._buttons[0].set_sensitive(is_visible is not None)
        about = breakable(result_line(result, is_visible))
        if about != self.about.get_text():
            self.about.set_text(about)

    # ------------------------------------------------------------------------------------------------------ the grid

    @property
    def _row(self) -> int:
        found = self.grid.get_selected_children()
        return found[0].get_index() if found else -1

    def _fill(self, results: list[Any]) -> None:
        """Have a child for each result; one that stays keeps its picture."""
        before = {child.result.number: child for child in self.grid.get_children()}
        self._shown = results
        for child in before.values():
            self.grid.remove(child)
        for result in results:
            child = before.get(result.number)
            if child is None or child.result.thumbnail != result.thumbnail:
                child = _Tile(result)
            child.show_result(result)
            self.grid.add(child)

    # --------------------------------------------------------------------------------------------------- what to do

    def _actions(self) -> tuple[tuple[str, str, str, str, Callable[[Any], Any]], ...]:
        """Icon, name, words, tip, and what is done with a result."""
        studio = self._studio
        toggle, again = tr("Shows or hides its layer."), tr("Adds it once more as a new layer.")
        settings, on = tr("Sets all controls as they were for it."), tr("Paints on from it, for more iterations.")
        save, discard = tr("Saves it as a picture file."), tr("Takes it off this list; its layer stays.")
        icons = GimpUi
        return (
            (icons.ICON_VISIBLE, "result-toggle", tr("Show/hide"), toggle, studio.toggle),
            (icons.ICON_LIST_ADD, "result-add-again", tr("Add again"), again, studio.add_again),
            (
                icons.ICON_DIALOG_TOOL_OPTIONS,
                "result-use-settings",
                tr("Use these settings"),
                settings,
                studio.use_settings,
            ),
            ("media-playback-start", "result-go-on", tr("Go on"), on, studio.go_on),
            (icons.ICON_DOCUMENT_SAVE, "result-save", tr("Save as PNG…"), save, self._save),
            (icons.ICON_EDIT_DELETE, "result-discard", tr("Discard"), discard, studio.discard),
        )

    def _make_buttons(self) -> list[IconButton]:
        buttons = []
        for icon, name, words, tip, action in self._actions():
            made = IconButton(icon, name, words, f"{words}\n{tip}")
            call_on(self._studio, made, "clicked", partial(self._do, action))
            buttons.append(made)
        return buttons

    def entries(self) -> list[Entry]:
        """What the menu of a result offers."""
        return [
            Entry(f"{name}-entry", words, partial(self._do, action), tip, each.get_sensitive())
            for (_, name, words, tip, action), each in zip(self._actions(), self._buttons)
        ]

    def _open_menu(self, *, is_at_pointer: bool = False) -> None:
        if self.chosen is not None:
            open_menu(self._studio, self.grid, "result-menu", self.entries(), is_at_pointer=is_at_pointer)

    def _press(self, _: Any, event: Gdk.EventKey) -> bool:
        is_ours = event.keyval in (Gdk.KEY_Delete, Gdk.KEY_KP_Delete)
        if is_ours:
            guarded(self._studio, self._do)(self._studio.discard)
        return is_ours

    def _point(self, _: Any, event: Gdk.EventButton) -> bool:
        child = self.grid.get_child_at_pos(int(event.x), int(event.y))
        if event.button != Gdk.BUTTON_SECONDARY or child is None:
            return False
        self.grid.select_child(child)
        guarded(self._studio, lambda: self._open_menu(is_at_pointer=True))()
        return True

    def _do(self, action: Callable[[Any], Any]) -> None:
        result = self.chosen
        if result is not None:
            action(result)

    def _save(self, result: Any) -> None:
        save_png(self, self._studio, result.title, lambda path: self._studio.save(result, path))


class _Tile(Gtk.FlowBoxChild):
    """A result's picture."""

    def __init__(self, result: Any) -> None:
        super().__init__(halign=Gtk.Align.START)
        self.result = result
        picture = Thumbnail(_SIDE, fill=False)
        picture.show_picture(result.thumbnail or None, result.title)
        self.add(picture)
        self.show_all()

    @property
    def has_picture(self) -> bool:
        """Whether its picture is there."""
        return bool(self.get_child().has_picture)

    def show_result(self, result: Any) -> None:
        """Have it be another version of its result."""
        self.result = result
        self.set_tooltip_text(result_tip(result))
        say(self, result.title)
