"""How it looks: icons of the host, colours from its palette, pictures sharp at any scale of the screen."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, ClassVar

from .link import colors
from .link.shown import FLASH, flash_tip
from .link.text import tr
from .qt import Qt, QtCore, QtGui, QtWidgets, Signal, is_alive
from .widget import named

THUMBNAIL = 48
"""The side of a style's thumbnail, in px of the layout."""
_FLASH = 0.95
"""The side of a trained style's mark, in heights of a line."""
_SMALL = 200_000
"""A picture file of fewer bytes is read at once."""


def icon(name: str) -> QtGui.QIcon:
    """Krita's icon of that name, in its present theme; a null icon outside Krita."""
    try:
        from krita import Krita
    except ImportError:
        return QtGui.QIcon()
    found = Krita.instance().icon(name)
    return found if isinstance(found, QtGui.QIcon) else QtGui.QIcon()


class IconButton(QtWidgets.QToolButton):
    """A flat button with Krita's icon, or with a character where there is no Krita."""

    def __init__(self, icon_name: str, glyph: str, name: str, label: str, tip: str) -> None:
        super().__init__()
        self._icon_name, self._glyph = icon_name, glyph
        named(self, name, label, tip)
        self.setAutoRaise(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._draw()

    def set_icon(self, icon_name: str, glyph: str) -> None:
        """Show another icon."""
        if icon_name != self._icon_name:
            self._icon_name, self._glyph = icon_name, glyph
            self._draw()

    def changeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        super().changeEvent(event)
        # another theme has other icons
        if event.type() == QtCore.QEvent.Type.PaletteChange:
            self._draw()

    def _draw(self) -> None:
        found = icon(self._icon_name)
        self.setIcon(found)
        self.setText("" if not found.isNull() else self._glyph)


def signal_color(palette: QtGui.QPalette, name: str) -> QtGui.QColor:
    """ "red", "amber", "green" or "blue", legible on the palette's window; any other name is a faint one."""
    return QtGui.QColor(*colors.signal_color(name, *_ground(palette)))


def blended(below: QtGui.QColor, above: QtGui.QColor, share: float) -> QtGui.QColor:
    """`share` (0..1) of the upper colour over the lower one."""
    return QtGui.QColor(*colors.blended(_rgb(below), _rgb(above), share))


def faint(palette: QtGui.QPalette) -> QtGui.QColor:
    """The colour of text that is less important."""
    return QtGui.QColor(*colors.faint(*_ground(palette)))


def _ground(palette: QtGui.QPalette) -> tuple[colors.Rgb, colors.Rgb]:
    roles = QtGui.QPalette.ColorRole
    return _rgb(palette.color(roles.Window)), _rgb(palette.color(roles.WindowText))


def _rgb(color: QtGui.QColor) -> colors.Rgb:
    return color.red(), color.green(), color.blue()


def decode(data: bytes | None, longest: int = 1024) -> QtGui.QImage:
    """A picture file's bytes as an image whose longest side is at most `longest` px; null where they are none."""
    if not data:
        return QtGui.QImage()
    kept = QtCore.QByteArray(data)
    buffer = QtCore.QBuffer(kept)
    buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
    reader = QtGui.QImageReader(buffer)
    reader.setAutoTransform(True)
    size = reader.size()
    if size.isValid() and max(size.width(), size.height()) > longest:
        reader.setScaledSize(size.scaled(longest, longest, Qt.AspectRatioMode.KeepAspectRatio))
    return reader.read()


class _Decoder(QtCore.QObject):
    """Reads a picture file's bytes on a thread of its own; `on_image` gets it on the one that asks."""

    _done = Signal(object)
    _busy: ClassVar[set[_Decoder]] = set()
    """Those whose thread still runs: with the last of Python's references the object would be deleted there."""

    def __init__(self, data: bytes, longest: int, on_image: Callable[[QtGui.QImage], None]) -> None:
        super().__init__()
        self._on_image = on_image
        self._busy.add(self)
        self._done.connect(self._tell, Qt.ConnectionType.QueuedConnection)
        read = functools.partial(decode, data, longest)
        threading.Thread(target=lambda: self._done.emit(read()), name="scumble-picture", daemon=True).start()

    def _tell(self, image: QtGui.QImage) -> None:
        self._busy.discard(self)
        self._on_image(image)


def fitted(image: QtGui.QImage, width: int, height: int, ratio: float, *, fill: bool = False) -> QtGui.QPixmap:
    """An image scaled into a box of layout px, at the screen's own resolution; `fill`: cut so that it fills the box."""
    if image.isNull() or width < 1 or height < 1:
        return QtGui.QPixmap()
    box = QtCore.QSize(max(1, round(width * ratio)), max(1, round(height * ratio)))
    modes = Qt.AspectRatioMode
    mode = modes.KeepAspectRatioByExpanding if fill else modes.KeepAspectRatio
    scaled = image.scaled(box, mode, Qt.TransformationMode.SmoothTransformation)
    if fill:
        left, top = (scaled.width() - box.width()) // 2, (scaled.height() - box.height()) // 2
        scaled = scaled.copy(left, top, box.width(), box.height())
    pixmap = QtGui.QPixmap.fromImage(scaled)
    pixmap.setDevicePixelRatio(ratio)
    return pixmap


class Thumbnail(QtWidgets.QWidget):
    """A square picture; a letter stands in for it until it is there. A red border where something is wrong."""

    def __init__(self, side: int = THUMBNAIL) -> None:
        super().__init__()
        self._image, self._pixmap = QtGui.QImage(), QtGui.QPixmap()
        self._letter, self._is_wrong, self._turn = "", False, 0
        self.setFixedSize(side, side)

    def show_picture(self, data: bytes | None, letter: str) -> None:
        """Show a picture file's bytes; None: only the letter. A large file is shown when it has been read."""
        self._letter = letter[:1].upper()
        self._turn += 1
        if data is None or len(data) < _SMALL:
            self._show(self._turn, decode(data, 256))
        else:
            self._show(self._turn, QtGui.QImage())
            _Decoder(data, 256, functools.partial(self._show, self._turn))

    def _show(self, turn: int, image: QtGui.QImage) -> None:
        if is_alive(self) and turn == self._turn:
            self._image, self._pixmap = image, QtGui.QPixmap()
            self.update()

    @property
    def has_picture(self) -> bool:
        """Whether a picture is shown, not a letter."""
        return not self._image.isNull()

    def set_wrong(self, is_wrong: bool) -> None:
        """Mark it with a red border, or no longer."""
        if is_wrong != self._is_wrong:
            self._is_wrong = is_wrong
            self.update()

    def paintEvent(self, _event: Any) -> None:  # noqa: N802 - Qt's name
        painter = QtGui.QPainter(self)
        palette, roles, box = self.palette(), QtGui.QPalette.ColorRole, self.rect()
        ratio = self.devicePixelRatioF()
        if self._pixmap.isNull() or self._pixmap.devicePixelRatio() != ratio:
            self._pixmap = fitted(self._image, box.width(), box.height(), ratio, fill=True)
        if self._pixmap.isNull():
            painter.fillRect(box, palette.color(roles.AlternateBase))
            painter.setPen(faint(palette))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, self._letter)
        else:
            painter.drawPixmap(0, 0, self._pixmap)
        thick = 2 if self._is_wrong else 1
        color = signal_color(palette, "red") if self._is_wrong else palette.color(roles.Shadow)
        if not self._is_wrong:
            color.setAlpha(90)
        painter.setPen(QtGui.QPen(color, thick))
        edge = thick // 2
        painter.drawRect(box.adjusted(edge, edge, -1 - edge * (thick > 1), -1 - edge * (thick > 1)))
        painter.end()


class Flash(QtWidgets.QWidget):
    """The mark of a trained style."""

    def __init__(self, name: str) -> None:
        super().__init__()
        named(self, name, tr("Trained"), flash_tip())
        side = round(self.fontMetrics().height() * _FLASH)
        self.setFixedSize(side, side)

    def paintEvent(self, _event: Any) -> None:  # noqa: N802 - Qt's name
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(signal_color(self.palette(), "amber"))
        corners = [QtCore.QPointF(x * self.width(), y * self.height()) for x, y in FLASH]
        painter.drawPolygon(QtGui.QPolygonF(corners))
        painter.end()


class Picture(QtWidgets.QWidget):
    """A picture over the whole width, never higher than a limit, in its own proportions."""

    def __init__(self, limit: int = 300) -> None:
        super().__init__()
        self._image, self._pixmap = QtGui.QImage(), QtGui.QPixmap()
        self._limit = limit
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)

    def show_picture(self, data: bytes | None) -> None:
        """Show a picture file's bytes; None or no picture: nothing."""
        self._image, self._pixmap = decode(data), QtGui.QPixmap()
        self._measure()
        self.update()

    @property
    def has_picture(self) -> bool:
        """Whether there is something to see."""
        return not self._image.isNull()

    def set_limit(self, limit: int) -> None:
        """Never be higher than this, in px."""
        if limit != self._limit:
            self._limit = limit
            self._measure()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self._measure()

    def _measure(self) -> None:
        if self._image.isNull():
            return
        high = round(self.width() * self._image.height() / max(1, self._image.width()))
        self.setFixedHeight(max(24, min(self._limit, high)))

    def paintEvent(self, _event: Any) -> None:  # noqa: N802 - Qt's name
        if self._image.isNull():
            return
        ratio = self.devicePixelRatioF()
        inside = QtCore.QSizeF(self._image.size()).scaled(
            QtCore.QSizeF(self.size()), Qt.AspectRatioMode.KeepAspectRatio
        )
        width, height = round(inside.width()), round(inside.height())
        if self._pixmap.isNull() or self._pixmap.size() != QtCore.QSize(round(width * ratio), round(height * ratio)):
            self._pixmap = fitted(self._image, width, height, ratio)
        painter = QtGui.QPainter(self)
        painter.drawPixmap((self.width() - width) // 2, (self.height() - height) // 2, self._pixmap)
        painter.end()


class FaintLabel(QtWidgets.QLabel):
    """A text of less weight: smaller, and nearer to the background."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        font = self.font()
        if font.pointSizeF() > 0:
            font.setPointSizeF(font.pointSizeF() * 0.9)
            self.setFont(font)

    def changeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        super().changeEvent(event)
        # a palette of its own does not follow the host's when the theme changes
        if event.type() in (QtCore.QEvent.Type.PaletteChange, QtCore.QEvent.Type.ParentChange):
            self._tint()

    def showEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        super().showEvent(event)
        self._tint()

    def _tint(self) -> None:
        parent, role = self.parentWidget(), QtGui.QPalette.ColorRole.WindowText
        color = faint(parent.palette() if parent else QtWidgets.QApplication.palette())
        if self.palette().color(role) != color:
            palette = QtGui.QPalette()
            palette.setColor(role, color)
            self.setPalette(palette)
