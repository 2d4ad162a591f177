"""The one place that imports GTK 3, which both GIMP 3.0 and 3.2 live on, and GIMP's own widgets."""

from __future__ import annotations

from pathlib import Path

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("Gdk", "3.0")
gi.require_version("GimpUi", "3.0")
gi.require_version("PangoCairo", "1.0")
from gi.repository import Gdk, GdkPixbuf, GimpUi, Gio, GLib, GObject, Gtk, Pango, PangoCairo  # noqa: E402

__all__ = [
    "GLib",
    "GObject",
    "Gdk",
    "GdkPixbuf",
    "GimpUi",
    "Gio",
    "Gtk",
    "Pango",
    "PangoCairo",
    "copy_text",
    "open_path",
]


def open_path(path: Path) -> bool:
    """Show a file or a folder in the program that the desktop has for it; False where there is none."""
    try:
        return bool(Gio.AppInfo.launch_default_for_uri(path.as_uri(), None))
    except (GLib.Error, ValueError):
        return False


def copy_text(text: str) -> None:
    """Put a text into the clipboard, where it stays after the dialog is closed."""
    clipboard = Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD)
    clipboard.set_text(text, -1)
    clipboard.store()
