"""Rectangles and planes of pixels, with nothing but the standard library: 12 megapixels in a fraction of a second.

A **plane** is a picture or a mask as the raw bytes of its rows. What is long is done in **bands**: one call of C, which
holds Python's lock, works on no more than a megabyte, so that the host's own thread gets its turn in between.
"""

from __future__ import annotations

import ast
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Union

from .errors import LinkError
from .text import tr

Bytes = Union[bytes, bytearray, memoryview]

BAND_BYTES = 2**20
"""The most that one call works on."""
SOFT_SHARE = 0.03
"""The share of a selection that may be partly selected before it counts as soft: an antialiased edge is less."""

_TYPES = {1: "|u1", 2: "<u2", 4: "<f4"}
_DEPTHS = {"|u1": 1, "<u1": 1, "u1": 1, "<u2": 2, "<f4": 4}
_COLOR_TYPES = {1: 0, 3: 2, 4: 6}
_LONGEST_HEADER = 2**14
_MAGIC = b"\x93NUMPY"


# ---------------------------------------------------------------------------------------------------------- geometry


@dataclass(frozen=True)
class Rect:
    """A rectangle in px, its upper left corner at (x, y); negative places lie left of or above the document."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column beyond it."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The first row beyond it."""
        return self.y + self.height

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it."""
        return self.width <= 0 or self.height <= 0

    def intersected(self, other: Rect) -> Rect:
        """What lies in both; empty, with no width and no height, where nothing does."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        width, height = min(self.right, other.right) - x, min(self.bottom, other.bottom) - y
        return Rect(x, y, width, height) if width > 0 and height > 0 else Rect(x, y, 0, 0)

    def united(self, other: Rect) -> Rect:
        """The smallest that holds both; an empty one adds nothing."""
        if self.is_empty or other.is_empty:
            return other if self.is_empty else self
        x, y = min(self.x, other.x), min(self.y, other.y)
        return Rect(x, y, max(self.right, other.right) - x, max(self.bottom, other.bottom) - y)

    def grown(self, px: int) -> Rect:
        """Larger by so many px on each side, or smaller; no width and no height are less than none."""
        return Rect(self.x - px, self.y - px, max(self.width + 2 * px, 0), max(self.height + 2 * px, 0))

    def moved(self, dx: int, dy: int) -> Rect:
        """The same size at another place."""
        return Rect(self.x + dx, self.y + dy, self.width, self.height)

    def as_dict(self) -> dict[str, int]:
        """As the daemon writes it."""
        return {"x": self.x, "y": self.y, "width": self.width, "height": self.height}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Rect:
        """What `as_dict` gave. KeyError, TypeError, ValueError where it is none."""
        return cls(int(told["x"]), int(told["y"]), int(told["width"]), int(told["height"]))


@dataclass(frozen=True)
class Plane:
    """Pixels: `height` rows of `width` px, without gaps, of 1 (gray), 3 (RGB) or 4 (RGBA, straight alpha) channels.

    `depth` is the bytes of a channel: 1 uint8, 2 uint16 little-endian, 4 float32 little-endian from 0 to 1. With
    `is_bgr` red and blue are exchanged, as hosts have them. ValueError where the data have another size.
    """

    width: int
    height: int
    channels: int
    depth: int
    data: Bytes = field(repr=False)
    is_bgr: bool = False

    def __post_init__(self) -> None:
        if self.channels not in _COLOR_TYPES or self.depth not in _TYPES:
            raise ValueError(f"no plane has {self.channels} channels of {self.depth} bytes")
        size = memoryview(self.data).nbytes
        if min(self.width, self.height) < 0 or size != self.stride * self.height:
            raise ValueError(f"{size} bytes are not {self.width} × {self.height} px of {self.pixel_bytes} bytes")

    @property
    def pixel_bytes(self) -> int:
        """The bytes of one pixel."""
        return self.channels * self.depth

    @property
    def stride(self) -> int:
        """The bytes of one row."""
        return self.width * self.pixel_bytes

    @property
    def rect(self) -> Rect:
        """All of it, from its own corner."""
        return Rect(0, 0, self.width, self.height)


# ---------------------------------------------------------------------------------------------------------- channels


def swapped(data: Bytes, depth: int) -> bytearray:
    """Pixels of 4 channels with the first and the third exchanged: BGRA to RGBA and back."""
    return _exchanged(data, 4, depth)


def rgb(plane: Plane) -> Plane:
    """The plane in the order RGB."""
    return _turned(plane) if plane.is_bgr else plane


def bgr(plane: Plane) -> Plane:
    """The plane in the order BGR; a gray one is as it is."""
    return plane if plane.is_bgr or plane.channels == 1 else _turned(plane)


def alpha(plane: Plane) -> Plane:
    """The alpha as a gray plane of the same depth; full where there is none."""
    count = plane.width * plane.height
    if plane.channels != 4:
        full = {1: b"\xff", 2: b"\xff\xff", 4: struct.pack("<f", 1.0)}[plane.depth]
        return Plane(plane.width, plane.height, 1, plane.depth, full * count)
    depth, stride = plane.depth, plane.pixel_bytes
    out, view = bytearray(count * depth), _items(plane.data, 1)
    for begin, end in _bands(count, stride):
        band = bytes(view[stride * begin : stride * end])
        for byte in range(depth):
            out[depth * begin + byte : depth * end : depth] = band[3 * depth + byte :: stride]
    return Plane(plane.width, plane.height, 1, depth, out)


def inverted(mask: Plane) -> Plane:
    """Every value turned upside down. ValueError for float32."""
    if mask.depth == 4:
        raise ValueError("masks are of integers")
    out = bytearray(memoryview(mask.data).nbytes)
    view, table = _items(mask.data, 1), bytes(range(255, -1, -1))
    for begin, end in _bands(len(out), 1):
        out[begin:end] = bytes(view[begin:end]).translate(table)
    return replace(mask, data=out)


def eight_bits(plane: Plane) -> Plane:
    """The plane in uint8: of 16 bits the upper 8."""
    if plane.depth == 1:
        return plane
    count = plane.width * plane.height * plane.channels
    out, view = bytearray(count), _items(plane.data, 1)
    if plane.depth == 2:
        for begin, end in _bands(count, 2):
            out[begin:end] = view[2 * begin + 1 : 2 * end : 2]
    else:
        halves, table = memoryview(view).cast("H"), _float_table()
        for begin, end in _bands(count, 16):
            out[begin:end] = bytes(map(table.__getitem__, halves[2 * begin + 1 : 2 * end : 2]))
    return replace(plane, depth=1, data=out)


def _turned(plane: Plane) -> Plane:
    if plane.channels == 1:
        return replace(plane, is_bgr=False)
    return replace(plane, data=_exchanged(plane.data, plane.channels, plane.depth), is_bgr=not plane.is_bgr)


def _exchanged(data: Bytes, channels: int, depth: int) -> bytearray:
    view, step = _items(data, 1), channels * depth
    out = bytearray(len(view))
    for begin, end in _bands(len(view), 1, step):
        # Twice as fast as by memoryviews of the channels.
        band = bytearray(view[begin:end])
        for first in range(depth):
            third = first + 2 * depth
            band[first::step], band[third::step] = band[third::step], band[first::step]
        out[begin:end] = band
    return out


# --------------------------------------------------------------------------------------------------------------- .npy


def npy(plane: Plane) -> list[Bytes]:
    """The plane as a NumPy file (height × width × channels, RGB), in pieces: a header, then the data, not copied."""
    plane = rgb(plane)
    shape = (plane.height, plane.width, plane.channels)
    header = f"{{'descr': '{_TYPES[plane.depth]}', 'fortran_order': False, 'shape': {shape}, }}"
    length = -(-(len(_MAGIC) + 4 + len(header) + 1) // 64) * 64 - len(_MAGIC) - 4
    head = _MAGIC + b"\x01\x00" + struct.pack("<H", length) + header.ljust(length - 1).encode("ascii") + b"\n"
    return [head, plane.data]


def from_npy(data: Bytes) -> Plane:
    """The plane in a NumPy file of uint8, uint16 or float32, height × width or height × width × 1, 3 or 4; its data
    are a view. `LinkError` not-a-picture."""
    try:
        (height, width, channels), depth, begin = _header(data)
        return Plane(width, height, channels, depth, memoryview(data).cast("B")[begin:])
    except (ValueError, SyntaxError, TypeError, LookupError, RecursionError, MemoryError, struct.error):
        raise LinkError("not-a-picture", tr("What came is not an array of pixels.")) from None


def _header(data: Bytes) -> tuple[Sequence[int], int, int]:
    """The shape as (height, width, channels), the depth, and where the pixels begin."""
    head = bytes(memoryview(data)[:12])
    if head[:6] != _MAGIC or head[6] not in (1, 2, 3):
        raise ValueError("no .npy file")
    start = 10 if head[6] == 1 else 12
    (length,) = struct.unpack("<H", head[8:10]) if start == 10 else struct.unpack("<I", head[8:12])
    if length > _LONGEST_HEADER:
        raise ValueError("a header that long is none of an array of pixels")
    said = ast.literal_eval(bytes(memoryview(data)[start : start + length]).decode("latin-1").strip())
    shape, depth = tuple(said["shape"]), _DEPTHS[said["descr"]]
    if said["fortran_order"] or len(shape) not in (2, 3) or not all(type(each) is int for each in shape):
        raise ValueError("no array of pixels")
    return (*shape, 1)[:3], depth, start + length


# -------------------------------------------------------------------------------------------------------------- parts


def cropped(plane: Plane, rect: Rect) -> Plane:
    """The part of a plane within a rectangle. ValueError where that reaches beyond it."""
    if rect.intersected(plane.rect) != rect:
        raise ValueError(f"{rect} is not within {plane.width} × {plane.height} px")
    if rect == plane.rect:
        return plane
    width = rect.width * plane.pixel_bytes
    out, view = bytearray(width * rect.height), _items(plane.data, 1)
    for row in range(rect.height):
        begin = (rect.y + row) * plane.stride + rect.x * plane.pixel_bytes
        out[row * width : (row + 1) * width] = view[begin : begin + width]
    return Plane(rect.width, rect.height, plane.channels, plane.depth, out, plane.is_bgr)


def bounds(mask: Plane) -> Rect | None:
    """The smallest rectangle that holds all that is not zero; None where nothing is."""
    stride, zeros = mask.stride, bytes(mask.stride)
    view = _items(mask.data, 1)
    first, last, left, right = mask.height, -1, stride, 0
    for number in range(mask.height):
        row = bytes(view[number * stride : (number + 1) * stride])
        if row == zeros:
            continue
        first, last = min(first, number), number
        if row[:left] != zeros[:left]:
            left -= len(row[:left].lstrip(b"\0"))
        if row[right:] != zeros[right:]:
            right += len(row[right:].rstrip(b"\0"))
    if last < 0:
        return None
    x, end = left // mask.pixel_bytes, -(-right // mask.pixel_bytes)
    return Rect(x, first, end - x, last + 1 - first)


def is_soft(mask: Plane) -> bool:
    """Whether a mask fades: much of what is selected is so in part, and more than an antialiased edge would be."""
    view = _items(eight_bits(mask).data, 1)
    none = full = 0
    for begin, end in _bands(len(view), 1):
        band = bytes(view[begin:end])
        none += band.count(0)
        full += band.count(255)
    selected = len(view) - none
    partly = selected - full
    if partly <= SOFT_SHARE * selected:
        return False
    box = bounds(mask)
    return box is not None and partly > 3 * (box.width + box.height)


def scaled_down(plane: Plane, longest: int) -> Plane:
    """Every n-th pixel of every n-th row, so that the longest side is at most `longest` px; for want of better."""
    step = max(-(-max(plane.width, plane.height) // longest), 1)
    if step == 1:
        return plane
    width, height = -(-plane.width // step), -(-plane.height // step)
    row_items = plane.width * plane.channels
    out = bytearray(width * height * plane.pixel_bytes)
    source, target = _items(plane.data, plane.depth), _items(out, plane.depth)
    for number in range(height):
        row = source[number * step * row_items : (number * step + 1) * row_items]
        begin, end = number * width * plane.channels, (number + 1) * width * plane.channels
        for channel in range(plane.channels):
            target[begin + channel : end : plane.channels] = row[channel :: plane.channels * step]
    return Plane(width, height, plane.channels, plane.depth, out, plane.is_bgr)


# --------------------------------------------------------------------------------------------------------------- PNG


def png(plane: Plane) -> bytes:
    """The plane as a PNG of 8 bits. ValueError for one without pixels."""
    if not (plane.width and plane.height):
        raise ValueError("a PNG has pixels")
    plane = rgb(eight_bits(plane))
    head = struct.pack(">IIBBBBB", plane.width, plane.height, 8, _COLOR_TYPES[plane.channels], 0, 0, 0)
    pieces = [b"\x89PNG\r\n\x1a\n", *_chunk(b"IHDR", head)]
    for data in _packed(plane):
        pieces += _chunk(b"IDAT", data)
    return b"".join((*pieces, *_chunk(b"IEND", b"")))


def _packed(plane: Plane) -> Iterator[bytes]:
    view, stride = _items(plane.data, 1), plane.stride
    # What is painted hardly shrinks by more effort.
    packer = zlib.compressobj(3)
    rows = max(BAND_BYTES // (stride + 1), 1)
    for begin in range(0, plane.height, rows):
        end = min(begin + rows, plane.height)
        band = bytearray((stride + 1) * (end - begin))
        for number in range(end - begin):
            at = number * (stride + 1) + 1
            band[at : at + stride] = view[(begin + number) * stride : (begin + number + 1) * stride]
        yield packer.compress(band)
    yield packer.flush()


def _chunk(kind: bytes, data: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    return struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


# ------------------------------------------------------------------------------------------------------------ details


def _float_table() -> bytes:
    """For the upper half of every float32, its value from 0 to 1 as uint8: sign, exponent and 7 bits are enough."""
    # The middle of what begins with that half; but an infinity with anything below it is none.
    lower = (b"\x00\x00" if half & 0x7F80 == 0x7F80 else b"\x00\x80" for half in range(2**16))
    floats = struct.unpack("<65536f", b"".join(low + struct.pack("<H", half) for half, low in enumerate(lower)))
    return bytes(round(255 * value) if 0 < value < 1 else 255 if value >= 1 else 0 for value in floats)


def _items(data: Bytes, depth: int) -> memoryview:
    """The bytes as items of `depth` bytes; whole numbers also stand for floats, as they are only moved."""
    view = memoryview(data).cast("B")
    return view if depth == 1 else view.cast("H") if depth == 2 else view.cast("I")


def _bands(count: int, size: int, whole: int = 1) -> Iterator[tuple[int, int]]:
    """Where bands of `count` items of `size` bytes begin and end; each but the last holds a multiple of `whole`."""
    step = max(BAND_BYTES // (size * whole), 1) * whole
    for begin in range(0, count, step):
        yield begin, min(begin + step, count)
