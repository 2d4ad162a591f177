"""Pictures that GIMP or GTK can read, as PNGs; and planes, smaller. Both may be asked for on any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import gi

from .buffers import COLORS, scaled
from .gimp import Gegl, Gimp, Gio, GLib
from .link.pixels import Plane, png
from .link.styles import MOST_PX

_PATIENCE_S = 120.0
"""How long a file may take to be opened, and GIMP to come to it."""
_FORMATS = {1: "Y", 3: "R'G'B'", 4: "R'G'B'A"}
_DEPTHS = {1: "u8", 2: "u16", 4: "float"}


def shrunk(plane: Plane, longest: int) -> Plane:
    """A plane scaled down smoothly so that its longest side is at most `longest` px; it keeps channels and order."""
    if max(plane.width, plane.height) <= longest:
        return plane
    # Red and blue are scaled alike: a plane in BGR may pass for one in RGB.
    form = f"{_FORMATS[plane.channels]} {_DEPTHS[plane.depth]}"
    buffer = Gegl.Buffer.new(form, 0, 0, plane.width, plane.height)
    buffer.set(Gegl.Rectangle.new(0, 0, plane.width, plane.height), form, bytes(plane.data))
    width, height, data = scaled(buffer, plane.width, plane.height, longest, form)
    return Plane(width, height, plane.channels, plane.depth, data, plane.is_bgr)


def png_of_file(path: str) -> bytes | None:
    """A picture file that GIMP can read, as a PNG no larger than `MOST_PX`; None where GIMP cannot."""
    plane = _on_main_thread(lambda: _plane_of_file(path))
    return None if plane is None else png(plane)


def png_of_clipboard() -> bytes | None:
    """The picture in the clipboard as a PNG no larger than `MOST_PX`; None where there is none, or no display."""
    try:
        gi.require_version("Gdk", "3.0")
        gi.require_version("Gtk", "3.0")
        from gi.repository import Gdk, GdkPixbuf, Gtk
    except (ImportError, ValueError):
        return None
    display = Gdk.Display.get_default()
    if display is None:
        return None
    image = Gtk.Clipboard.get_for_display(display, Gdk.SELECTION_CLIPBOARD).wait_for_image()
    if image is None:
        return None
    longest = max(image.get_width(), image.get_height())
    if longest > MOST_PX:
        size = [max(each * MOST_PX // longest, 1) for each in (image.get_width(), image.get_height())]
        image = image.scale_simple(*size, GdkPixbuf.InterpType.BILINEAR)
    is_written, data = image.save_to_bufferv("png", [], [])
    return bytes(data) if is_written else None


def _plane_of_file(path: str) -> Plane | None:
    """What is seen of a file, opened as an image of its own that nobody sees."""
    try:
        image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(path))
    except GLib.Error:
        return None
    if image is None:
        return None
    try:
        seen = Gimp.Layer.new_from_visible(image, image, "")
        width, height, data = scaled(seen.get_buffer(), seen.get_width(), seen.get_height(), MOST_PX, COLORS[1])
        return Plane(width, height, 4, 1, data)
    finally:
        image.delete()


def _on_main_thread(work: Callable[[], Plane | None]) -> Plane | None:
    """Have GIMP asked, which only the main thread may; None where that takes too long."""
    if threading.current_thread() is threading.main_thread():
        return work()
    found: list[Plane | None] = []
    done = threading.Event()

    def turn(*_: Any) -> bool:
        try:
            found.append(work())
        finally:
            done.set()
        return bool(GLib.SOURCE_REMOVE)

    GLib.idle_add(turn)
    done.wait(_PATIENCE_S)
    return found[0] if found else None
