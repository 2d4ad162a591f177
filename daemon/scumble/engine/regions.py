"""What each layer of the network may see of each region.

A region's mask, (1, 1, height, width) in 0..1, comes down to a layer's size by area averaging, so that thin strokes
survive. Near its edge a deep layer's field reaches into the neighbourhood, so the mask is first eroded by a part of
that
field; where too little is left, the layer is dropped for that region. **Rows** are the positions of a map inside a
region; every statistic is a sum over rows divided by the **mass** (the sum of the mask), which makes a small region's
statistics as large as a large one's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as nnf
from torch import Tensor

from scumble.engine.resample import erode
from scumble.engine.tiles import Window

EROSION = 0.25
"""The part of a layer's receptive radius by which masks are eroded for it."""
FEWEST_ROWS = 16
"""A layer with fewer effective rows in a region has no statistics worth the name."""


@dataclass(frozen=True)
class Rows:
    """Positions of a map, flattened: those of `index` (rows,), those of a `part`, or all where both are None.
    `weight` (rows,) is None for ones."""

    index: Tensor | None
    weight: Tensor | None
    part: "Part | None" = None

    @property
    def are_all(self) -> bool:
        """Whether every position is one of them."""
        return self.index is None and self.part is None

    def of(self, flat: Tensor) -> Tensor:
        """(positions, channels) → (rows, channels)."""
        if self.part is not None:
            return self.part.of(flat).reshape(-1, flat.shape[1])
        return flat if self.index is None else flat.index_select(0, self.index)

    def add(self, flat: Tensor, values: Tensor) -> None:
        """Add (rows, channels) to their positions of (positions, channels), in place."""
        if self.part is not None:
            there = self.part.of(flat)
            there.add_(values.view(there.shape))
        elif self.index is None:
            flat.add_(values)
        else:
            flat.index_add_(0, self.index, values)


@dataclass(frozen=True)
class Part:
    """A rectangle of a map of `height` × `width` positions, which is read and written much faster than by an index."""

    height: int
    width: int
    rows: slice
    columns: slice

    def of(self, flat: Tensor) -> Tensor:
        """A view of (positions, channels), (rows, columns, channels)."""
        return flat.view(self.height, self.width, -1)[self.rows, self.columns]


@dataclass(frozen=True)
class RegionWeights:
    """One region as every layer sees it: `maps` layer → (height, width) at that layer's size; `mass` layer → Σ."""

    maps: Mapping[str, Tensor]
    mass: Mapping[str, float]
    stride: Mapping[str, int]
    area: float
    _rows: dict[tuple[str, Window], Rows] = field(default_factory=dict, compare=False, repr=False)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that see enough of the region."""
        return tuple(self.maps)

    def rows(self, layer: str, window: Window) -> Rows | None:
        """The region's rows in a window's core; None where there are none. Kept where they take no memory, and for a
        window of the whole picture."""
        if (layer, window) in self._rows:
            return self._rows[layer, window]
        stride = self.stride[layer]
        core = self.maps[layer][window.core_in_picture(stride)]
        inside = core.flatten()
        index = inside.nonzero()[:, 0]
        if not len(index):
            return None
        is_full = len(index) == len(inside)
        found = inside if is_full else inside[index]
        weight = None if bool((found == 1).all()) else found
        if not window.whole:
            height = (window.rows.stop - window.rows.start) // stride
            width = (window.columns.stop - window.columns.start) // stride
            there = window.core_of_map(stride)
            if is_full:
                rows = Rows(None, weight, Part(height, width, *there))
            else:
                y = torch.div(index, core.shape[1], rounding_mode="floor") + there[0].start
                rows = Rows(y * width + index % core.shape[1] + there[1].start, weight)
        else:
            rows = Rows(None if is_full else index, weight)
        if window.whole or (is_full and weight is None):
            self._rows[layer, window] = rows
        return rows


def region_weights(
    mask: Tensor,
    layers: Iterable[str],
    stride: Mapping[str, int],
    radius: Mapping[str, float],
    *,
    erosion: float = EROSION,
    grid: int = 1,
) -> RegionWeights:
    """Bring a mask (1, 1, height, width) to every layer, after padding its sides to multiples of `grid` with nothing.

    A region so small that no layer keeps `FEWEST_ROWS` rows is seen whole by the layers that see anything of it.
    """
    names = list(layers)

    def shrunk(name: str, part: float) -> Tensor:
        # eroded before it is padded: the picture's own edge is no border of a region
        return _shrink(_padded(erode(mask, part * radius[name]) if part else mask, grid), stride[name])

    eroded = {name: shrunk(name, erosion) for name in names}
    kept = {name: weight for name, weight in eroded.items() if _effective_rows(weight) >= FEWEST_ROWS}
    if not kept:
        whole = {name: shrunk(name, 0) for name in names}
        most = max(_effective_rows(weight) for weight in whole.values())
        kept = {name: weight for name, weight in whole.items() if _effective_rows(weight) >= min(FEWEST_ROWS, most)}
    return RegionWeights(
        maps=kept,
        mass={name: float(weight.sum()) for name, weight in kept.items()},
        stride=stride,
        area=float(mask.sum()),
    )


def _padded(mask: Tensor, grid: int) -> Tensor:
    height, width = mask.shape[2:]
    return nnf.pad(mask, (0, -width % grid, 0, -height % grid))


def _shrink(mask: Tensor, stride: int) -> Tensor:
    return (nnf.avg_pool2d(mask, stride) if stride > 1 else mask)[0, 0]


def _effective_rows(weight: Tensor) -> float:
    squares = float(weight.square().sum())
    return float(weight.sum()) ** 2 / squares if squares else 0.0


def flatten(features: Tensor) -> Tensor:
    """(1, channels, height, width) in channels-last memory → (positions, channels), a view."""
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])


def zeros_like_map(features: Tensor) -> Tensor:
    """Zeros of a map's shape and type in channels-last memory."""
    return torch.zeros_like(features, memory_format=torch.channels_last)
