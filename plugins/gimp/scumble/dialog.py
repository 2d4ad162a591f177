"""The dialog of Filters ▸ Artistic ▸ Scumble…: GIMP's own for a procedure, with the panel as its content.

Its Reset, Load and Save buttons act on the procedure's config, which GIMP also keeps as the last values. What is set
in the panel goes into the config, and what these buttons set there comes into the panel.
"""

from __future__ import annotations

from typing import Any

from .arguments import arguments_of, settings_of
from .canvas import GimpCanvas
from .config import read, write
from .gtk import GimpUi, GLib, Gtk
from .inputs import take_typed
from .link.guard import guarded
from .link.studio import Studio
from .link.text import tr
from .link.topics import Topic
from .panel import Panel
from .progress import Progress
from .run_bar import with_mnemonic
from .widget import GAP, listen

_WIDTH, _HEIGHT = 440, 860
_SCREEN_SHARE = 0.9


def converse(procedure: Any, config: Any, canvas: GimpCanvas, studio: Studio) -> str:
    """Show the dialog until it is closed; the id of the last new layer, or "".

    Its button begins a run and leaves it open; the image can be worked on meanwhile.
    """
    GimpUi.init("scumble")
    dialog = GimpUi.ProcedureDialog.new(procedure, config, tr("Scumble"))
    dialog.set_ok_label(with_mnemonic(tr("Stylise")))
    dialog.get_widget_for_response(Gtk.ResponseType.CANCEL).set_label(tr("Close"))
    stylise = dialog.get_widget_for_response(Gtk.ResponseType.OK)
    for each in stylise.get_parent().get_children():
        stylise.get_parent().set_child_non_homogeneous(each, True)
    panel = Panel(studio, stylise, canvas.work_on_rgb_copy)
    panel.set_border_width(GAP)
    panel.show_all()
    dialog.get_content_area().pack_start(panel, True, True, 0)
    dialog.set_default_size(_WIDTH, _height_on(dialog))
    Sync(config, studio, panel)
    newest = Newest(studio, panel)
    Bar(studio, panel)
    run = guarded(studio, studio.run)
    while dialog.run():
        take_typed(dialog)
        run()
    dialog.destroy()
    return newest.layer


def _height_on(dialog: Gtk.Window) -> int:
    """How high the dialog may be, in px of the layout."""
    display = dialog.get_display()
    monitor = display.get_primary_monitor() or display.get_monitor(0)
    return min(_HEIGHT, round(_SCREEN_SHARE * monitor.get_workarea().height))


class Sync:
    """Keeps the procedure's config and the studio's settings alike."""

    def __init__(self, config: Any, studio: Studio, panel: Panel) -> None:
        self._config, self._studio = config, studio
        self._is_writing, self._is_due = False, False
        self._take = guarded(studio, self._read)
        listen(panel, studio, Topic.SETTINGS, self._write)
        handler = config.connect("notify", lambda *_: self._read_soon())
        panel.connect("destroy", lambda *_: config.disconnect(handler))

    def _write(self) -> None:
        if self._is_due:  # what the config says is newer
            return
        self._is_writing = True
        try:
            write(self._config, arguments_of(self._studio.settings))
        finally:
            self._is_writing = False

    def _read_soon(self) -> None:
        """Once for all that one of GIMP's buttons sets, one after another."""
        if not self._is_writing and not self._is_due:
            self._is_due = True
            GLib.idle_add(self._take)

    def _read(self) -> None:
        self._is_due = False
        self._studio.take(settings_of(read(self._config)))


class Bar:
    """Has GIMP's own progress bar follow the run under way."""

    def __init__(self, studio: Studio, panel: Panel) -> None:
        self._studio = studio
        self._number = 0
        self._progress: Progress | None = None
        listen(panel, studio, Topic.RUNS, self._show)
        panel.connect("destroy", lambda *_: self._end())

    def _show(self) -> None:
        ticket = next(iter(self._studio.tickets), None)
        if ticket is None or ticket.number != self._number:
            self._end()
        if ticket is not None:
            self._number = ticket.number
            self._progress = self._progress or Progress()
            self._progress.show(ticket)

    def _end(self) -> None:
        progress, self._progress = self._progress, None
        if progress is not None:
            progress.end()


class Newest:
    """The last layer that the studio has added."""

    def __init__(self, studio: Studio, panel: Panel) -> None:
        self.layer = ""
        self._studio = studio
        self._seen: set[str] = set()
        listen(panel, studio, Topic.RESULTS, self._look)

    def _look(self) -> None:
        for result in reversed(self._studio.results):
            if result.layer and result.layer not in self._seen:
                self._seen.add(result.layer)
                self.layer = result.layer
