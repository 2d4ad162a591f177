"""Pixels of GIMP's layers and channels, through babl: whatever an image's precision and profile, here they are sRGB.

With primes a format is encoded as sRGB is; what masks is linear, which has none.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from .gimp import Gegl
from .items import rect_of
from .link.canvas import Steps
from .link.errors import LinkError
from .link.pixels import Plane, Rect
from .link.steps import in_bands, write
from .link.text import tr

COLORS = {1: "R'G'B'A u8", 2: "R'G'B'A u16", 4: "R'G'B'A float"}
"""The formats of a plane of RGBA, by its depth."""
MASK = "Y u8"
"""A selection, a layer's mask, and a channel."""
OLD_CHANNEL = "Y' u8"
"""A channel in an image of the oldest precision, whose values GIMP takes as they are too."""
ALPHA = "A u8"
_TILE = 64
"""GIMP hands pixels over in squares of so many rows: what is read or written of less is handed over again."""
_FIRST_PX = 1 << 20
"""What the first band has: 0.1 s at most, of a masked layer in floats."""


def read(find: Callable[[], Any], box: Rect, form: str) -> Generator[None, None, bytearray]:
    """The pixels of a box in the image, from the drawable that `find` finds for each band. Where it has none they are
    zeros. A layer is as its own mask leaves it."""
    out = bytearray()

    def work(y: int, rows: int) -> None:
        drawable = find()
        lies = rect_of(drawable)
        out.extend(_pixels(drawable, Rect(box.x - lies.x, box.y + y - lies.y, box.width, rows), form))

    yield from in_bands(box, _FIRST_PX, work, whole=_TILE)
    return out


def fill(drawable: Any, plane: Plane, form: str, check: Callable[[], Any]) -> Steps:
    """Write a plane over all of a drawable that is in no image yet; `check` raises where it has lost its image."""

    def put(data: Any, x: int, y: int, width: int, height: int) -> None:
        check()
        buffer = drawable.get_buffer()
        if buffer is None:
            raise LinkError("host-refused", tr("GIMP did not add the layer."))
        buffer.set(Gegl.Rectangle.new(x, y, width, height), form, bytes(data))
        buffer.flush()

    yield from write(put, plane, plane.rect, whole=_TILE)
    # It may be closed after the last band, too: GIMP crashes where such a layer is to have a mask (3.0).
    check()


def scaled(buffer: Any, width: int, height: int, longest: int, form: str) -> tuple[int, int, bytes]:
    """A whole buffer so that its longest side is at most that, in px: its width, its height and its pixels."""
    scale = min(longest / max(width, height), 1.0)
    rect = Gegl.Rectangle.new(0, 0, max(round(width * scale), 1), max(round(height * scale), 1))
    return rect.width, rect.height, buffer.get(rect, scale, form, Gegl.AbyssPolicy.CLAMP)


def _pixels(drawable: Any, box: Rect, form: str) -> bytes:
    rect = Gegl.Rectangle.new(box.x, box.y, box.width, box.height)
    buffer = drawable.get_buffer()
    mask = drawable.get_mask() if drawable.is_layer() and drawable.get_apply_mask() else None
    if mask is not None:
        buffer = _masked(buffer, mask.get_buffer(), rect, form)
    return bytes(buffer.get(rect, 1.0, form, Gegl.AbyssPolicy.NONE))


def _masked(buffer: Any, mask: Any, rect: Any, form: str) -> Any:
    """A copy of a part of a buffer, its alpha multiplied by a mask; colours stay as they are."""
    graph = Gegl.Node()
    opacity = graph.create_child("gegl:opacity")
    for source, pad in ((buffer, "input"), (mask, "aux")):
        node = graph.create_child("gegl:buffer-source")
        node.set_property("buffer", source)
        node.connect_to("output", opacity, pad)
    out = Gegl.Buffer.new(form, rect.x, rect.y, rect.width, rect.height)
    opacity.blit_buffer(out, rect, 0, Gegl.AbyssPolicy.NONE)
    return out
