"""The one place that imports what every module needs of GIMP; it needs no display."""

from __future__ import annotations

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp, Gio, GLib  # noqa: E402

__all__ = ["GLib", "Gegl", "Gimp", "Gio"]
