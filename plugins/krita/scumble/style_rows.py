"""The styles: up to four rows, and the menu that adds one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from .files import choose_pictures
from .inputs import Combo, Elided, Spin, flat, hint
from .library_popup import LibraryPopup
from .link.canvas import Region
from .link.fields import CONTROLS, MAX_STYLES
from .link.settings import StyleRow
from .link.shown import RegionChoice, layer_choices, region_choices, style_deeds, style_tip
from .link.text import tr
from .link.topics import Topic
from .look import Flash, IconButton, Thumbnail, icon
from .qt import Qt, QtCore, QtGui, QtWidgets, is_alive
from .widget import call_on, call_with, discard, guarded, listen, named, plain


class StyleRows(QtWidgets.QWidget):
    """The rows of styles with the button that adds one."""

    def __init__(self, studio: Any) -> None:
        super().__init__()
        self._studio = studio
        self.setObjectName("styles")
        self.setAccessibleName(tr("Styles"))
        self.rows: list[Row] = []
        self._before: Any = None
        column = flat(QtWidgets.QVBoxLayout(self))
        self._column = flat(QtWidgets.QVBoxLayout())
        column.addLayout(self._column)
        self.nothing = hint(tr("Drop a picture here, or add one."))
        self.nothing.setObjectName("no-style")
        column.addWidget(self.nothing)
        self.add = QtWidgets.QPushButton(plain(tr("Add style")))
        named(self.add, "add-style", tr("Add style"), tr(CONTROLS["styles"].tip))
        self._menu = QtWidgets.QMenu(self.add)
        self._menu.setToolTipsVisible(True)
        self._menu.setObjectName("add-style-menu")
        self._menu.aboutToShow.connect(guarded(studio, self._fill_menu))
        self.add.setMenu(self._menu)
        column.addWidget(self.add)
        listen(self, studio, Topic.SETTINGS, self.refresh)
        listen(self, studio, Topic.SUBJECT, self.refresh)
        listen(self, studio, Topic.TRAINED, self._mark)
        self.refresh()

    def _mark(self) -> None:
        for row in self.rows:
            row.mark()

    def refresh(self) -> None:
        """Show the settings' styles; a row that stays keeps its widgets."""
        styles = self._studio.settings.styles
        for index in range(len(self.rows), len(styles)):
            row = Row(self._studio, index)
            self.rows.append(row)
            self._column.addWidget(row)
        if self._before is not None:
            self.follow(self._before)
        while len(self.rows) > len(styles):
            row = self.rows.pop()
            self._column.removeWidget(row)
            discard(row)
        for row, style in zip(self.rows, styles):
            row.show_style(style, self._studio.regions)
        self.nothing.setVisible(not styles)
        is_full = len(styles) >= MAX_STYLES
        self.add.setEnabled(not is_full)
        full = tr("There are {count} styles, which is the most.", count=MAX_STYLES)
        self.add.setToolTip(full if is_full else tr(CONTROLS["styles"].tip))

    def follow(self, before: QtWidgets.QWidget) -> None:
        """Have the Tab key come to the rows after a widget of the same window, and to the button after the rows."""
        self._before = before
        stops = [stop for row in self.rows for stop in (row.weight, row.region, row.more, row.remove)]
        for stop in (*stops, self.add):
            QtWidgets.QWidget.setTabOrder(before, stop)
            before = stop

    def look(self) -> None:
        """See whether the styles' files are still there."""
        for row in self.rows:
            row.look()

    def _fill_menu(self) -> None:
        menu, studio = self._menu, self._studio
        menu.clear()
        self._entry("add-from-file", tr("From file…"), tr("Takes picture files."), self._from_file, "document-open")
        layers = menu.addMenu(plain(tr("From layer")))
        layers.setObjectName("add-from-layer")
        layers.menuAction().setIcon(icon("paintLayer"))
        self._fill_layers(layers)
        tip = tr("Takes the picture in the clipboard.")
        self._entry("add-from-clipboard", tr("From clipboard"), tip, studio.add_style_clipboard, "edit-paste")
        tip = tr("Takes one of the pictures that come with Scumble, or of your own there.")
        self._entry("add-from-library", tr("From library…"), tip, self._from_library, "palette-library")

    def _fill_layers(self, menu: QtWidgets.QMenu) -> None:
        layers = layer_choices(self._studio.layers())
        menu.setEnabled(bool(layers))
        for id, name in layers:
            call_on(self._studio, menu.addAction(plain(name)).triggered, partial(self._studio.add_style_layer, id))

    def _entry(self, name: str, text: str, tip: str, action: Any, icon_name: str) -> None:
        entry = self._menu.addAction(icon(icon_name), plain(text))
        entry.setObjectName(name)
        entry.setToolTip(tip)
        call_on(self._studio, entry.triggered, action)

    def _from_file(self) -> None:
        choose_pictures(self, self._studio, self._add_files)

    def _add_files(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._studio.add_style_file(path)

    def _from_library(self) -> None:
        popup = LibraryPopup(self._studio, self)
        popup.open_at(self.add)


class Row(QtWidgets.QFrame):
    """One style: its thumbnail, name, weight, region, its menu, and the button that takes it away."""

    def __init__(self, studio: Any, index: int) -> None:
        super().__init__()
        self._studio, self._index = studio, index
        self._style = StyleRow("", "")
        self._regions: tuple[RegionChoice, ...] = ()
        number = index + 1
        name = f"style-{index}"
        self.setObjectName(name)
        weight, region = CONTROLS["weight"], CONTROLS["region"]

        self.thumbnail = Thumbnail()
        self.thumbnail.setObjectName(f"{name}-thumbnail")
        self.name = Elided()
        self.name.setObjectName(f"{name}-name")
        self.flash = Flash(f"{name}-flash")
        self.flash.hide()
        label = tr("Menu of style {number}", number=number)
        self.more = IconButton("hamburger_menu_dots", "⋮", f"{name}-menu", label, tr("Train it."))
        self._menu = QtWidgets.QMenu(self.more)
        self._menu.setToolTipsVisible(True)
        self._menu.aboutToShow.connect(guarded(studio, self._fill_menu))
        self.more.setMenu(self._menu)
        self.more.setPopupMode(QtWidgets.QToolButton.ToolButtonPopupMode.InstantPopup)
        self.more.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        tip = tr("Takes this style away.")
        self.remove = IconButton("docker_close", "✕", f"{name}-remove", tr("Remove style {number}", number=number), tip)
        self.weight = Spin(*weight.limits, weight.unit)
        label = tr("Weight of style {number}", number=number)
        named(self.weight, f"{name}-weight", label, tr(weight.tip))
        self.weight.setSizePolicy(QtWidgets.QSizePolicy.Policy.Fixed, QtWidgets.QSizePolicy.Policy.Fixed)
        self.region = Combo()
        label = tr("Region of style {number}", number=number)
        named(self.region, f"{name}-region", label, tr(region.tip))
        self._arrange()
        call_with(studio, self.weight.valueChanged, lambda value: studio.change_style(self._index, weight=value))
        call_with(studio, self.region.chosen, self._choose_region)
        # the row may be gone before its own click has ended
        call_on(
            studio,
            self.remove.clicked,
            lambda: QtCore.QTimer.singleShot(0, guarded(studio, lambda: studio.remove_style(self._index))),
        )

    def show_style(self, style: StyleRow, regions: Sequence[Region]) -> None:
        """Show a style; what has not changed is not touched."""
        if style.source != self._style.source or style.name != self._style.name:
            self._style = style
            self.name.setText(style.name)
            self.thumbnail.setAccessibleName(style.name)
            self._ask_for_picture()
            self.look()
        self._style = style
        self.mark()
        self.weight.show_value(style.weight)
        self._show_regions(style, regions)

    def look(self) -> None:
        """Say whether the style's file is still there."""
        is_there = self._style.is_there
        if is_there and not self.thumbnail.has_picture and self.property("isMissing"):
            self._ask_for_picture()
        self.setProperty("isMissing", not is_there)
        self.thumbnail.set_wrong(not is_there)
        for widget in (self.thumbnail, self.name):
            widget.setToolTip(style_tip(self._style, is_there))

    def mark(self) -> None:
        """Say whether the style is trained."""
        self.flash.setVisible(bool(self._studio.model_of(self._style)))

    def _fill_menu(self) -> None:
        self._menu.clear()
        for deed in style_deeds(self._studio, self._index):
            entry = self._menu.addAction(plain(deed.text))
            entry.setObjectName(deed.name)
            entry.setToolTip(deed.tip)
            entry.setEnabled(deed.action is not None)
            if deed.action is not None:
                call_on(self._studio, entry.triggered, deed.action)

    def _arrange(self) -> None:
        row = flat(QtWidgets.QHBoxLayout(self))
        row.addWidget(self.thumbnail, 0, Qt.AlignmentFlag.AlignTop)
        right = flat(QtWidgets.QVBoxLayout(), 2)
        upper, lower = flat(QtWidgets.QHBoxLayout()), flat(QtWidgets.QHBoxLayout())
        upper.addWidget(self.flash)
        upper.addWidget(self.name, 1)
        upper.addWidget(self.more)
        upper.addWidget(self.remove)
        lower.addWidget(self.weight)
        lower.addWidget(self.region, 1)
        right.addLayout(upper)
        right.addLayout(lower)
        row.addLayout(right, 1)

    def _ask_for_picture(self) -> None:
        source, name = self._style.source, self._style.name
        self.thumbnail.show_picture(None, name)

        def show(data: bytes) -> None:
            if is_alive(self) and self._style.source == source:
                self.thumbnail.show_picture(data, name)

        self._studio.thumbnail(source, guarded(self._studio, show))

    def _show_regions(self, style: StyleRow, regions: Sequence[Region]) -> None:
        choices = region_choices(style, regions)
        if choices != self._regions:
            self._regions = choices
            self.region.blockSignals(True)
            self.region.clear()
            kind_before = ""
            for choice in choices:
                if choice.kind != kind_before:
                    self.region.insertSeparator(self.region.count())
                    kind_before = choice.kind
                self.region.addItem(_region_icon(choice.kind), choice.name, choice.id)
            self.region.blockSignals(False)
        self.region.show_value(style.region)

    def _choose_region(self, id: str) -> None:
        name = next((region.name for region in self._studio.regions if region.id == id), "")
        self._studio.change_style(self._index, region=id, region_name=name)


def _region_icon(kind: str) -> Any:
    return icon({"mask": "selectionMask", "layer": "paintLayer"}.get(kind, "warning")) if kind else QtGui.QIcon()
