"""How it looks: icons of the host, colours from its theme, pictures sharp at any scale of the screen."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from .gtk import Gdk, GdkPixbuf, GLib, Gtk, PangoCairo
from .link import colors
from .link.shown import FLASH, flash_tip
from .link.text import tr
from .widget import named

THUMBNAIL = 48
"""The side of a style's thumbnail, in px of the layout."""
_CLEAR, _LIGHT = 0.35, 0.4
_FLASH = 0.95
"""The side of a trained style's mark, in heights of a line."""
_LEAST = 60
"""The height to which a picture shrinks where there is no room, in px."""


class IconButton(Gtk.Button):
    """A flat button with an icon of GIMP's."""

    def __init__(self, icon_name: str, name: str, label: str, tip: str) -> None:
        super().__init__(relief=Gtk.ReliefStyle.NONE, valign=Gtk.Align.CENTER)
        self.add(Gtk.Image.new_from_icon_name(icon_name, Gtk.IconSize.BUTTON))
        named(self, name, label, tip)


# -------------------------------------------------------------------------------------------------------------- colours


def ground(widget: Gtk.Widget) -> tuple[colors.Rgb, colors.Rgb]:
    """The colours of a widget's window and of its text."""
    context = widget.get_style_context()
    text = rgb(context.get_color(Gtk.StateFlags.NORMAL))
    window = widget.get_toplevel().get_style_context().get_property("background-color", Gtk.StateFlags.NORMAL)
    if window.alpha < 1:  # a picture, or a theme that says nothing
        return (0, 0, 0) if colors.luminance(text) > _LIGHT else (255, 255, 255), text
    return rgb(window), text


def rgb(color: Gdk.RGBA) -> colors.Rgb:
    """A colour of GTK's from 0 to 255."""
    return round(255 * color.red), round(255 * color.green), round(255 * color.blue)


def paint_with(context: Any, color: colors.Rgb, alpha: float = 1.0) -> None:
    """Have cairo draw in a colour."""
    context.set_source_rgba(*(each / 255 for each in color), alpha)


# ------------------------------------------------------------------------------------------------------------- pictures


def decode(data: bytes | None, longest: int = 1024) -> GdkPixbuf.Pixbuf | None:
    """A picture file's bytes, upright, its longest side at most `longest` px; None where they are none."""
    if not data:
        return None
    loader = GdkPixbuf.PixbufLoader()

    def prepare(_: Any, width: int, height: int) -> None:
        if max(width, height) > longest:
            factor = longest / max(width, height)
            loader.set_size(max(1, round(width * factor)), max(1, round(height * factor)))

    loader.connect("size-prepared", prepare)
    try:
        loader.write(data)
    except GLib.Error:
        _close(loader)
        return None
    found = loader.get_pixbuf() if _close(loader) else None
    return found.apply_embedded_orientation() if found is not None else None


def _close(loader: GdkPixbuf.PixbufLoader) -> bool:
    """Every loader must be closed; whether it had a whole picture."""
    try:
        return bool(loader.close())
    except GLib.Error:
        return False


def decode_aside(read: Callable[[], bytes | None], longest: int, on_picture: Callable[[Any], None]) -> None:
    """Have a picture file's bytes read and decoded on another thread; `on_picture` gets it, or None, on this one."""

    def work() -> None:
        GLib.idle_add(on_picture, decode(read(), longest))

    threading.Thread(target=work, name="scumble-picture", daemon=True).start()


def fitted(picture: Any, width: int, height: int, scale: int, *, fill: bool = False) -> Any:
    """A picture scaled into a box of layout px, as a cairo surface of the screen's own resolution; `fill`: cut so that
    it fills the box."""
    wide, high = max(1, width * scale), max(1, height * scale)
    factors = (wide / picture.get_width(), high / picture.get_height())
    factor = max(factors) if fill else min(factors)
    size = (max(1, round(picture.get_width() * factor)), max(1, round(picture.get_height() * factor)))
    scaled = picture.scale_simple(*size, GdkPixbuf.InterpType.BILINEAR)
    if fill:
        wide, high = min(wide, size[0]), min(high, size[1])
        scaled = scaled.new_subpixbuf((size[0] - wide) // 2, (size[1] - high) // 2, wide, high)
    return Gdk.cairo_surface_create_from_pixbuf(scaled, scale, None)


class Thumbnail(Gtk.DrawingArea):
    """A square picture; a letter stands in for it until it is there.

    A red border says that something is wrong; a faint picture that its layer is hidden.
    """

    def __init__(self, side: int = THUMBNAIL, *, fill: bool = True) -> None:
        super().__init__()
        self._side, self._fill = side, fill
        self._picture: Any = None
        self._surface: tuple[int, Any] = (0, None)
        self._letter, self._is_wrong, self._is_faint, self._turn = "", False, False, 0
        self.set_size_request(side, side)
        self.set_valign(Gtk.Align.START)
        self.connect("draw", self._draw)

    def show_picture(self, data: bytes | None, letter: str) -> None:
        """Show a picture file's bytes, once they have been read; None: only the letter."""
        self._letter = letter[:1].upper()
        self._turn += 1
        self._show(self._turn, None)
        if data is not None:
            decode_aside(lambda: data, 256, functools.partial(self._show, self._turn))

    def _show(self, turn: int, picture: Any) -> None:
        if turn == self._turn:
            self._picture, self._surface = picture, (0, None)
            self.queue_draw()

    @property
    def has_picture(self) -> bool:
        """Whether a picture is shown, not a letter."""
        return self._picture is not None

    def set_wrong(self, is_wrong: bool) -> None:
        """Mark it with a red border, or no longer."""
        if is_wrong != self._is_wrong:
            self._is_wrong = is_wrong
            self.queue_draw()

    def set_faint(self, is_faint: bool) -> None:
        """Show it as something that is hidden, or no longer."""
        if is_faint != self._is_faint:
            self._is_faint = is_faint
            self.queue_draw()

    def _draw(self, _: Any, context: Any) -> None:
        side, (window, text) = self._side, ground(self)
        alpha = _CLEAR if self._is_faint else 1.0
        if self._picture is None:
            context.rectangle(0, 0, side, side)
            paint_with(context, text, 0.08)
            context.fill()
            _write(self, context, self._letter, colors.faint(window, text))
        else:
            _place(context, self._scaled(), side, side, alpha)
        thick = 2 if self._is_wrong else 1
        context.set_line_width(thick)
        context.rectangle(thick / 2, thick / 2, side - thick, side - thick)
        if self._is_wrong:
            paint_with(context, colors.signal_color("red", window, text))
        else:
            paint_with(context, text, 0.25 if self._fill or self._picture is None else 0.0)
        context.stroke()

    def _scaled(self) -> Any:
        scale = self.get_scale_factor()
        if self._surface[0] != scale:
            self._surface = scale, fitted(self._picture, self._side, self._side, scale, fill=self._fill)
        return self._surface[1]


class Flash(Gtk.DrawingArea):
    """The mark of a trained style."""

    def __init__(self, name: str) -> None:
        super().__init__(valign=Gtk.Align.CENTER)
        named(self, name, tr("Trained"), flash_tip())
        side = round(self.create_pango_layout("X").get_pixel_size()[1] * _FLASH)
        self.set_size_request(side, side)
        self.connect("draw", self._draw)

    def _draw(self, _: Any, context: Any) -> None:
        width, height = self.get_allocated_width(), self.get_allocated_height()
        for x, y in FLASH:
            context.line_to(x * width, y * height)
        context.close_path()
        paint_with(context, colors.signal_color("amber", *ground(self)))
        context.fill()


class Picture(Gtk.DrawingArea):
    """A picture over the whole width, never higher than a limit, in its own proportions."""

    def __init__(self, limit: int = 300) -> None:
        super().__init__()
        self._limit, self._turn = limit, 0
        self._picture: Any = None
        self._surface: tuple[Any, Any] = (None, None)
        self.connect("draw", self._draw)

    def show_picture(self, data: bytes | None, on_shown: Callable[[], None] = lambda: None) -> None:
        """Show a picture file's bytes, once they have been read; None: nothing, at once."""
        self._turn += 1
        if data is None:
            self._show(self._turn, on_shown, None)
        else:
            decode_aside(lambda: data, 1024, functools.partial(self._show, self._turn, on_shown))

    def _show(self, turn: int, on_shown: Callable[[], None], picture: Any) -> None:
        if turn == self._turn:
            self._picture, self._surface = picture, (None, None)
            self.queue_resize()
            on_shown()

    @property
    def has_picture(self) -> bool:
        """Whether there is something to see."""
        return self._picture is not None

    def do_get_request_mode(self) -> Gtk.SizeRequestMode:
        return Gtk.SizeRequestMode.HEIGHT_FOR_WIDTH

    def do_get_preferred_width(self) -> tuple[int, int]:
        return _LEAST, _LEAST

    def do_get_preferred_height(self) -> tuple[int, int]:
        return self.do_get_preferred_height_for_width(self._limit)

    def do_get_preferred_height_for_width(self, width: int) -> tuple[int, int]:
        if self._picture is None:
            return 0, 0
        high = round(width * self._picture.get_height() / max(1, self._picture.get_width()))
        high = max(_LEAST, min(self._limit, high))
        return _LEAST, high

    def _draw(self, _: Any, context: Any) -> None:
        if self._picture is None:
            return
        size = self.get_allocated_width(), self.get_allocated_height(), self.get_scale_factor()
        if self._surface[0] != size:
            self._surface = size, fitted(self._picture, *size)
        _place(context, self._surface[1], size[0], size[1])


def _place(context: Any, surface: Any, width: int, height: int, alpha: float = 1.0) -> None:
    """Draw a surface in the middle of a box."""
    scale = surface.get_device_scale()[0]
    left, top = (width - surface.get_width() / scale) / 2, (height - surface.get_height() / scale) / 2
    context.set_source_surface(surface, round(left), round(top))
    context.paint_with_alpha(alpha)


def _write(widget: Gtk.Widget, context: Any, text: str, color: colors.Rgb) -> None:
    """Write a text in the middle of a widget."""
    layout = widget.create_pango_layout(text)
    width, height = layout.get_pixel_size()
    left, top = (widget.get_allocated_width() - width) / 2, (widget.get_allocated_height() - height) / 2
    paint_with(context, color)
    context.move_to(left, top)
    PangoCairo.show_layout(context, layout)
