"""Windows over a picture, for gradients in constant memory.

A **window** is the part of the picture that the network sees at once; the **core** is the part of it that the window
answers for. Cores cover the picture without overlap; a window is its core plus a **halo** as wide as the deepest
receptive field. Grams of the whole picture are sums over cores, and given their gradients, so is the gradient of the
picture over windows: the result equals the one computed in one piece.

All edges lie on multiples of the `grid`, the coarsest stride in use, so that every layer's cores fit together.
"""

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Span:
    """A window along one axis, in px: computed from `start` to `stop`, answered for from `core_start` to
    `core_stop`."""

    start: int
    stop: int
    core_start: int
    core_stop: int


@dataclass(frozen=True)
class Window:
    """A rectangle of the picture; `whole` when it is all of it."""

    rows: Span
    columns: Span
    whole: bool

    def crop(self, picture: Tensor) -> Tensor:
        """The window's part of (…, height, width), a view."""
        return picture[..., self.rows.start : self.rows.stop, self.columns.start : self.columns.stop]

    def core_of_map(self, stride: int) -> tuple[slice, slice]:
        """Where the core lies within the window's map of a layer."""
        return (
            slice(
                (self.rows.core_start - self.rows.start) // stride, (self.rows.core_stop - self.rows.start) // stride
            ),
            slice(
                (self.columns.core_start - self.columns.start) // stride,
                (self.columns.core_stop - self.columns.start) // stride,
            ),
        )

    def core_in_picture(self, stride: int) -> tuple[slice, slice]:
        """Where the core lies within the whole picture's map of a layer."""
        return (
            slice(self.rows.core_start // stride, self.rows.core_stop // stride),
            slice(self.columns.core_start // stride, self.columns.core_stop // stride),
        )


@dataclass(frozen=True)
class Tiling:
    """How pictures are cut: those of more than `whole_px` px into cores of `tile` px, or none where that is None."""

    tile: int | None = None
    whole_px: float = 0

    def of(self, height: int, width: int) -> int | None:
        """The side of the cores of a picture, None for one piece."""
        return self.tile if height * width > self.whole_px else None


def windows(height: int, width: int, tile: int | None, radius: float, grid: int = 16) -> list[Window]:
    """Windows over a picture whose sides are multiples of `grid`.

    `tile` is the most px that the side of a core has (rounded up to the grid; None: one window), `radius` half the
    receptive field.
    """
    rows, columns = _spans(height, tile, radius, grid), _spans(width, tile, radius, grid)
    return [Window(r, c, len(rows) == len(columns) == 1) for r in rows for c in columns]


def _spans(length: int, tile: int | None, radius: float, grid: int) -> list[Span]:
    if length % grid:
        raise ValueError(f"{length} is no multiple of {grid}")
    count = 1 if tile is None else math.ceil(length / max(grid, math.ceil(tile / grid) * grid))
    core = max(grid, math.ceil(length / count / grid) * grid)  # of one size, where the grid lets them
    halo = math.ceil(radius / grid) * grid
    starts = range(0, length, core)
    return [
        Span(max(0, start - halo), min(length, start + core + halo), start, min(length, start + core))
        for start in starts
    ]
