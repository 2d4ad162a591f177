"""The styles: up to four rows, and the menu that adds one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .files import choose_pictures
from .gtk import GimpUi, GLib, Gtk
from .inputs import Choice, Combo, Scale, elided, hint
from .library_popup import LibraryPopup
from .link.canvas import Region
from .link.fields import CONTROLS, MAX_STYLES
from .link.guard import guarded
from .link.settings import StyleRow
from .link.shown import RegionChoice, layer_choices, region_choices, style_deeds, style_tip, with_unit
from .link.text import tr
from .link.topics import Topic
from .look import Flash, IconButton, Thumbnail
from .widget import GAP, Entry, call_on, column, listen, named, open_menu, row, say, shown, while_alive

_ICONS = {"mask": GimpUi.ICON_CHANNEL, "layer": GimpUi.ICON_LAYER, "gone": GimpUi.ICON_DIALOG_WARNING}


class StyleRows(Gtk.Box):
    """The rows of styles with the button that adds one."""

    def __init__(self, studio: Any) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=GAP)
        self._studio = studio
        self.set_name("styles")
        say(self, tr("Styles"))
        self.rows: list[Row] = []
        self._rows = column()
        self.nothing = hint(tr("Drop a picture here, or add one."))
        self.nothing.set_name("no-style")
        self.add_style = Gtk.Button(label=tr("Add style"))
        named(self.add_style, "add-style", tr("Add style"), tr(CONTROLS["styles"].tip))
        for widget in (self._rows, self.nothing, self.add_style):
            self.add(widget)
        call_on(studio, self.add_style, "clicked", self._open_menu)
        listen(self, studio, Topic.SETTINGS, self.refresh)
        listen(self, studio, Topic.SUBJECT, self.refresh)
        listen(self, studio, Topic.TRAINED, self._mark)
        self.refresh()

    def _mark(self) -> None:
        for each in self.rows:
            each.mark()

    def refresh(self) -> None:
        """Show the settings' styles; a row that stays keeps its widgets."""
        styles = self._studio.settings.styles
        for index in range(len(self.rows), len(styles)):
            made = Row(self._studio, index)
            self.rows.append(made)
            self._rows.add(made)
        while len(self.rows) > len(styles):
            self.rows.pop().destroy()
        for each, style in zip(self.rows, styles):
            each.show_style(style, self._studio.regions)
        shown(self.nothing, not styles)
        is_full = len(styles) >= MAX_STYLES
        self.add_style.set_sensitive(not is_full)
        full = tr("There are {count} styles, which is the most.", count=MAX_STYLES)
        self.add_style.set_tooltip_text(full if is_full else tr(CONTROLS["styles"].tip))

    def look(self) -> None:
        """See whether the styles' files are still there."""
        for each in self.rows:
            each.look()

    # ---------------------------------------------------------------------------------------------------- the menu

    def entries(self) -> list[Entry]:
        """What the menu offers."""
        studio = self._studio
        layers = [Entry("", name, partial(studio.add_style_layer, id)) for id, name in layer_choices(studio.layers())]
        tip = tr("Takes one of the pictures that come with Scumble, or of your own there.")
        clipboard = tr("Takes the picture in the clipboard.")
        return [
            Entry("add-from-file", tr("From file…"), self._from_file, tr("Takes picture files.")),
            Entry("add-from-layer", tr("From layer"), is_on=bool(layers), entries=layers),
            Entry("add-from-clipboard", tr("From clipboard"), studio.add_style_clipboard, clipboard),
            Entry("add-from-library", tr("From library…"), self._from_library, tip),
        ]

    def _open_menu(self) -> None:
        open_menu(self._studio, self.add_style, "add-style-menu", self.entries())

    def _from_file(self) -> None:
        files = [Path(style.source) for style in self._studio.settings.styles if not style.is_library]
        choose_pictures(self, self._studio, self._add_files, files[-1].parent if files else None)

    def _add_files(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._studio.add_style_file(path)

    def _from_library(self) -> None:
        self.library = LibraryPopup(self._studio, self.add_style)
        self.library.open()


class Row(Gtk.Box):
    """One style: its thumbnail, name, weight, region, its menu, and the button that takes it away."""

    def __init__(self, studio: Any, index: int) -> None:
        super().__init__(spacing=GAP)
        self._studio, self._index = studio, index
        self._style = StyleRow("", "")
        self._regions: tuple[RegionChoice, ...] = ()
        self._is_missing = False
        number, name = index + 1, f"style-{index}"
        self.set_name(name)
        weight, region = CONTROLS["weight"], CONTROLS["region"]

        self.thumbnail = Thumbnail()
        self.thumbnail.set_name(f"{name}-thumbnail")
        self.title = elided()
        self.title.set_name(f"{name}-name")
        self.flash = Flash(f"{name}-flash")
        shown(self.flash, False)
        words = tr("Menu of style {number}", number=number)
        self.more = IconButton(GimpUi.ICON_MENU_LEFT, f"{name}-menu", words, tr("Train it."))
        call_on(studio, self.more, "clicked", self._open_menu)
        words, tip = tr("Remove style {number}", number=number), tr("Takes this style away.")
        self.remove_style = IconButton(GimpUi.ICON_WINDOW_CLOSE, f"{name}-remove", words, tip)
        change = guarded(studio, lambda value: studio.change_style(self._index, weight=value))
        self.weight = Scale(with_unit(weight.label, weight.unit), weight.limits, change, weight.slider)
        named(self.weight, f"{name}-weight", tr("Weight of style {number}", number=number), tr(weight.tip))
        self.region = Combo(guarded(studio, self._choose_region), has_pictures=True)
        named(self.region, f"{name}-region", tr("Region of style {number}", number=number), tr(region.tip))
        self._arrange()
        # the row may be gone before its own click has ended
        remove = while_alive(self, studio, lambda: studio.remove_style(self._index))
        self.remove_style.connect("clicked", lambda *_: GLib.idle_add(remove))

    def show_style(self, style: StyleRow, regions: Sequence[Region]) -> None:
        """Show a style; what has not changed is not touched."""
        if style.source != self._style.source or style.name != self._style.name:
            self._style = style
            self.title.set_text(style.name)
            say(self.thumbnail, style.name)
            self._ask_for_picture()
            self.look()
        self._style = style
        self.mark()
        self.weight.show_value(style.weight)
        self._show_regions(style, regions)

    def look(self) -> None:
        """Say whether the style's file is still there."""
        is_there = self._style.is_there
        if is_there and self._is_missing and not self.thumbnail.has_picture:
            self._ask_for_picture()
        self._is_missing = not is_there
        self.thumbnail.set_wrong(not is_there)
        tip = style_tip(self._style, is_there)
        for widget in (self.thumbnail, self.title):
            if widget.get_tooltip_text() != tip:
                widget.set_tooltip_text(tip)

    def mark(self) -> None:
        """Say whether the style is trained."""
        shown(self.flash, bool(self._studio.model_of(self._style)))

    def entries(self) -> list[Entry]:
        """What its menu offers."""
        deeds = style_deeds(self._studio, self._index)
        return [Entry(deed.name, deed.text, deed.action, deed.tip, deed.action is not None) for deed in deeds]

    def _open_menu(self) -> None:
        open_menu(self._studio, self.more, f"style-{self._index}-entries", self.entries())

    def _arrange(self) -> None:
        right, upper, lower = column(2), row(), Gtk.Box(spacing=GAP, homogeneous=True)
        upper.pack_start(self.flash, False, False, 0)
        upper.pack_start(self.title, True, True, 0)
        upper.pack_start(self.more, False, False, 0)
        upper.pack_start(self.remove_style, False, False, 0)
        lower.pack_start(self.weight, True, True, 0)
        lower.pack_start(self.region, True, True, 0)
        right.add(upper)
        right.add(lower)
        self.thumbnail.set_valign(Gtk.Align.CENTER)
        self.pack_start(self.thumbnail, False, False, 0)
        self.pack_start(right, True, True, 0)
        self.show_all()

    def _ask_for_picture(self) -> None:
        source, name = self._style.source, self._style.name
        self.thumbnail.show_picture(None, name)

        def show(data: bytes) -> None:
            if self._style.source == source:
                self.thumbnail.show_picture(data, name)

        self._studio.thumbnail(source, guarded(self._studio, show))

    def _show_regions(self, style: StyleRow, regions: Sequence[Region]) -> None:
        choices = region_choices(style, regions)
        if choices != self._regions:
            self._regions = choices
            before = ["", *(choice.kind for choice in choices)]
            self.region.fill(
                Choice(each.id, each.name, _ICONS.get(each.kind, ""), starts=each.kind != kind)
                for each, kind in zip(choices, before)
            )
        self.region.show_value(style.region)

    def _choose_region(self, id: str) -> None:
        name = next((region.name for region in self._studio.regions if region.id == id), "")
        self._studio.change_style(self._index, region=id, region_name=name)
