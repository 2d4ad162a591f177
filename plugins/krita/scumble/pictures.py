"""Pictures by Qt alone: what may be done on any thread."""

from __future__ import annotations

from typing import Any

from .link.pixels import Plane, scaled_down
from .link.styles import MOST_PX
from .qt import Qt, QtCore, QtGui

_FORMATS = {(1, 1): "Format_Grayscale8", (3, 1): "Format_RGB888", (4, 1): "Format_RGBA8888", (4, 2): "Format_RGBA64"}


def shrunk(plane: Plane, longest: int) -> Plane:
    """A plane scaled down smoothly so that its longest side is at most `longest` px; it keeps channels and order.

    What Qt has no format for (floats, gray of 16 bits) loses rows and columns instead.
    """
    name = _FORMATS.get((plane.channels, plane.depth))
    if max(plane.width, plane.height) <= longest or name is None:
        return scaled_down(plane, longest)
    # Red and blue are scaled alike: a plane in BGR may pass for one in RGB.
    data = bytes(plane.data)
    form = getattr(QtGui.QImage.Format, name)
    image = QtGui.QImage(data, plane.width, plane.height, plane.stride, form)
    small = _fitting(image, longest).convertToFormat(form)
    return Plane(small.width(), small.height(), plane.channels, plane.depth, _rows(small, plane), plane.is_bgr)


def png_of_file(path: str) -> bytes | None:
    """A picture file that Qt can read, turned as its camera says, as a PNG; None where Qt cannot."""
    reader = QtGui.QImageReader(path)
    reader.setAutoTransform(True)
    size = reader.size()
    if size.isValid() and max(size.width(), size.height()) > MOST_PX:
        reader.setScaledSize(size.scaled(MOST_PX, MOST_PX, Qt.AspectRatioMode.KeepAspectRatio))
    return png_of_image(reader.read())


def png_of_image(image: Any) -> bytes | None:
    """A QImage as a PNG, no larger than `MOST_PX`; None for one without pixels."""
    if image.isNull():
        return None
    data = QtCore.QByteArray()
    buffer = QtCore.QBuffer(data)
    buffer.open(QtCore.QIODevice.OpenModeFlag.WriteOnly)
    written = _fitting(image, MOST_PX).save(buffer, "PNG", 80)
    buffer.close()
    return bytes(data) if written else None


def _fitting(image: Any, longest: int) -> Any:
    if max(image.width(), image.height()) <= longest:
        return image
    how = Qt.TransformationMode.SmoothTransformation
    return image.scaled(longest, longest, Qt.AspectRatioMode.KeepAspectRatio, how)


def _rows(image: Any, like: Plane) -> bytes:
    """The pixels without what Qt puts after each row."""
    stride, gap = image.width() * like.pixel_bytes, image.bytesPerLine()
    pointer = image.constBits()
    data = pointer.asstring(gap * image.height())
    if gap == stride:
        return bytes(data)
    return b"".join(data[row * gap : row * gap + stride] for row in range(image.height()))
