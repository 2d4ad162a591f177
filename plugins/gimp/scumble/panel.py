"""All of the dialog's content as one plain widget, so that it can be shown and tested without GIMP.

What is set stands in a part that scrolls; progress, messages and the status stay in sight beneath it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .controls import Controls
from .gtk import Gdk, Gio, GLib, Gtk
from .inputs import heading
from .link.fields import CONTROLS
from .link.guard import guarded
from .link.settings import is_file
from .link.text import tr
from .link.topics import Topic
from .message import Message
from .more import More
from .preset_bar import PresetBar
from .result_list import ResultList
from .run_bar import RunBar, Variations
from .sheet_view import SheetWindows
from .status_bar import StatusBar
from .style_rows import StyleRows
from .widget import GAP, button, column, listen, row, shown

_LOOK_MS = 1000
_LEAST_PX = 140
_DROP_LIMIT = 8
"""Of more files dropped at once than this, the first ones are taken."""


class Panel(Gtk.Box):
    """The dialog's content. `studio` is a `link.studio.Studio`, or what is like one; `stylise` is the dialog's own
    button, `on_rgb_copy` goes on with a copy in RGB where the document is indexed."""

    def __init__(self, studio: Any, stylise: Gtk.Button, on_rgb_copy: Callable[[], Any]) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=GAP)
        self._studio = studio
        self._on_rgb_copy = on_rgb_copy
        self._is_open = False
        self._clock = 0
        self.set_name("scumble-panel")
        self.presets, self.styles, self.controls = PresetBar(studio), StyleRows(studio), Controls(studio)
        self.more, self.results = More(studio), ResultList(studio)
        self.message, self.run_bar, self.status = Message(studio), RunBar(studio, stylise), StatusBar(studio)
        self.variations = Variations(studio)
        self.sheets = SheetWindows(studio, self)
        tip = tr("Makes a copy of the picture that has all colours, and paints there; this one stays as it is.")
        self.rgb_copy = button(studio, "rgb-copy", tr("Work on an RGB copy"), tip, self._turn_to_copy)
        self.scroll = self._upper()
        self.pack_start(self.scroll, True, True, 0)
        self.pack_start(Gtk.Separator(), False, False, 0)
        beneath = row()
        beneath.pack_start(self.status, True, True, 0)
        beneath.pack_end(self.variations, False, False, 0)
        for widget in (self.rgb_copy, self.message, self.run_bar, beneath):
            self.pack_start(widget, False, False, 0)
        self._take_drops()
        listen(self, studio, Topic.SUBJECT, self._offer)
        self._offer()
        self.connect("map", lambda *_: self._come())
        self.connect("unmap", lambda *_: self._go())

    def look(self) -> None:
        """See what has changed in the host."""
        self._studio.look()
        self.styles.look()
        self.results.look()

    # ------------------------------------------------------------------------------------------------------- inside

    def _upper(self) -> Gtk.ScrolledWindow:
        title = heading(tr(CONTROLS["styles"].label), tr(CONTROLS["styles"].tip))
        upper = column()
        upper.set_margin_end(GAP)
        for widget in (self.presets, title, self.styles, self.controls, self.more, self.results):
            upper.add(widget)
        scroll = Gtk.ScrolledWindow(hscrollbar_policy=Gtk.PolicyType.NEVER, min_content_height=_LEAST_PX)
        # as in GIMP's own docks: one sees that there is more
        scroll.set_overlay_scrolling(False)
        scroll.add(upper)
        scroll.get_child().set_shadow_type(Gtk.ShadowType.NONE)
        # what gets the focus by the keyboard comes into sight
        upper.set_focus_vadjustment(scroll.get_vadjustment())
        return scroll

    def _offer(self) -> None:
        """A copy in RGB, where that is what is missing."""
        error = self._studio.why_not
        shown(self.rgb_copy, error is not None and error.code == "indexed-colors")

    def _turn_to_copy(self) -> None:
        self._on_rgb_copy()
        self.look()

    def _come(self) -> None:
        look = guarded(self._studio, self.look)
        self._clock = GLib.timeout_add(_LOOK_MS, lambda: look() or True)
        if not self._is_open:
            self._is_open = True
            # later, for the host shall be drawn first
            GLib.idle_add(guarded(self._studio, self._studio.open))

    def _go(self) -> None:
        if self._clock:
            GLib.source_remove(self._clock)
            self._clock = 0

    # --------------------------------------------------------------------------------------------- drag and drop

    def _take_drops(self) -> None:
        self.drag_dest_set(Gtk.DestDefaults.ALL, None, Gdk.DragAction.COPY)
        self.drag_dest_add_uri_targets()
        self.drag_dest_add_image_targets()
        take = guarded(self._studio, self._take)
        self.connect("drag-data-received", lambda _, _context, _x, _y, data, *_rest: take(data))

    def _take(self, data: Gtk.SelectionData) -> None:
        """What was dropped, as styles."""
        paths = [path for path in map(_path_of, data.get_uris() or ()) if is_file(path)]
        for path in paths[:_DROP_LIMIT]:
            self._studio.add_style_file(path)
        picture = None if paths else data.get_pixbuf()
        if picture is not None:
            is_written, png = picture.save_to_bufferv("png", [], [])
            if is_written:
                self._studio.add_style_picture(bytes(png), tr("Dropped picture"))


def _path_of(uri: str) -> str:
    """The path of a file on this machine; empty for anything else."""
    return Gio.File.new_for_uri(uri).get_path() or ""
