"""The host's own file dialogs, which stop nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .gtk import GLib, Gtk
from .link.shown import PICTURES, file_name
from .link.text import tr
from .look import decode_aside, fitted
from .widget import while_alive

_PREVIEW = 180
_LARGEST_PREVIEW = 2**26
_ROOM = 12


def choose_pictures(
    parent: Gtk.Widget, studio: Any, on_paths: Callable[[list[str]], None], folder: Path | None = None
) -> Gtk.FileChooserDialog:
    """Ask for picture files, first in a folder if there is one; `on_paths` gets them when the user has chosen."""
    dialog = _dialog(parent, tr("Pictures to take a style from"), Gtk.FileChooserAction.OPEN, tr("Open"))
    dialog.set_name("choose-pictures")
    dialog.set_select_multiple(True)
    pictures = [pattern for ending in PICTURES for pattern in (f"*.{ending}", f"*.{ending.upper()}")]
    dialog.add_filter(_filter(tr("Pictures"), pictures))
    dialog.add_filter(_filter(tr("All files"), ["*"]))
    begin = str(folder) if folder is not None else GLib.get_user_special_dir(GLib.UserDirectory.DIRECTORY_PICTURES)
    if begin:
        dialog.set_current_folder(begin)
    _Preview(studio, dialog)
    return _ask(dialog, studio, lambda: on_paths(dialog.get_filenames()))


def save_png(parent: Gtk.Widget, studio: Any, name: str, on_path: Callable[[str], None]) -> Gtk.FileChooserDialog:
    """Ask where to save a PNG; `on_path` gets the path when the user has chosen."""
    dialog = _dialog(parent, tr("Save the result"), Gtk.FileChooserAction.SAVE, tr("Save"))
    dialog.set_name("save-png")
    dialog.set_do_overwrite_confirmation(True)
    dialog.add_filter(_filter(tr("PNG picture"), ["*.png", "*.PNG"]))
    dialog.set_current_name(f"{file_name(name)}.png")
    return _ask(dialog, studio, lambda: on_path(_with_ending(dialog.get_filename())))


def _dialog(parent: Gtk.Widget, title: str, action: Gtk.FileChooserAction, verb: str) -> Gtk.FileChooserDialog:
    dialog = Gtk.FileChooserDialog(title=title, transient_for=parent.get_toplevel(), action=action)
    dialog.set_destroy_with_parent(True)
    dialog.add_button(tr("Cancel"), Gtk.ResponseType.CANCEL)
    dialog.add_button(verb, Gtk.ResponseType.ACCEPT)
    dialog.set_default_response(Gtk.ResponseType.ACCEPT)
    return dialog


def _ask(dialog: Gtk.FileChooserDialog, studio: Any, take: Callable[[], None]) -> Gtk.FileChooserDialog:
    run = while_alive(dialog, studio, take)

    def respond(_: Any, response: int) -> None:
        if response == Gtk.ResponseType.ACCEPT:
            run()
        dialog.destroy()

    dialog.connect("response", respond)
    dialog.show()
    return dialog


def _filter(words: str, patterns: list[str]) -> Gtk.FileFilter:
    made = Gtk.FileFilter()
    made.set_name(words)
    for pattern in patterns:
        made.add_pattern(pattern)
    return made


def _with_ending(path: str) -> str:
    return path if path.lower().endswith(".png") else f"{path}.png"


class _Preview(Gtk.Image):
    """What the file that is chosen looks like, in the file dialog."""

    def __init__(self, studio: Any, dialog: Gtk.FileChooserDialog) -> None:
        super().__init__()
        self._path = ""
        self._show = while_alive(self, studio, self._show_if_meant)
        self.set_size_request(_PREVIEW + _ROOM, _PREVIEW)
        self.show()
        dialog.set_use_preview_label(False)
        dialog.set_preview_widget(self)
        dialog.connect("update-preview", self._look)

    def _look(self, dialog: Gtk.FileChooserDialog) -> None:
        dialog.set_preview_widget_active(False)
        self._path = path = dialog.get_preview_filename() or ""
        if path and path.lower().endswith(PICTURES):
            decode_aside(lambda: _small_file(path), _PREVIEW * 2, lambda picture: self._show(dialog, path, picture))

    def _show_if_meant(self, dialog: Gtk.FileChooserDialog, path: str, picture: Any) -> None:
        if picture is not None and path == self._path:
            self.set_from_surface(fitted(picture, _PREVIEW, _PREVIEW, self.get_scale_factor()))
            dialog.set_preview_widget_active(True)


def _small_file(path: str) -> bytes | None:
    """A file's bytes, if there are not too many for a preview."""
    try:
        file = Path(path)
        return file.read_bytes() if file.stat().st_size <= _LARGEST_PREVIEW else None
    except OSError:
        return None
