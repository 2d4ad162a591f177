"""How much memory a painting will take, before anything is computed.

A step's **maps** grow with the pixels that are seen at once, its vectors with those of the whole picture. On a CPU
freed maps are kept for the next step where that is possible (`scumble.engine.machine.held_pages`), which splits memory
into pieces that not everything fits. The factors were fitted to what `tests/benchmarks/memory.py` measures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from scumble.engine.candidates import COARSE_GRID, FINE_GRID_PX
from scumble.engine.machine import HOLD_AT_MOST, HOLD_OF_WINDOW
from scumble.recipe import Optimizer

SPLIT = 1.73
"""Kept memory holds so many times the maps that are there at once."""
_VECTORS = {Optimizer.ADAM: 116, Optimizer.SGD: 136, Optimizer.LBFGS: 370}
"""Bytes per pixel of what is as large as the picture: itself, the content, gradients, what the optimiser learnt."""
_ANYWAY = 20 * 2**20
"""What is there besides, however small the picture."""
_FRAGMENTS = 64 * 2**20
"""What stays in pieces where only small maps are kept."""
_HOLES = 64 * 2**20
"""What at most lies between a window's maps, which are of many sizes, each in pages of 2 MiB."""


@dataclass(frozen=True)
class Footprint:
    """What a step holds, in bytes: per pixel seen at once, per pixel of the whole picture, and in any case.

    `matches` tells whether it looks for neighbours, which take `per_fine_px` more in pictures that are small enough for
    the fine grid. A window of up to `kept_px` pixels is kept for the next step, and is the quickest for whatever sees
    the picture once per step; 0 where nothing is kept.
    """

    per_window_px: float
    per_picture_px: float
    fixed: float
    matches: bool = False
    kept_px: int = 0
    per_fine_px: float = 0

    def bytes(self, window_px: float, picture_px: float) -> float:
        """The prediction for a step."""
        kept = self.keeps(window_px, picture_px)
        fine = self.per_fine_px * picture_px if picture_px <= FINE_GRID_PX else 0
        maps = self.per_window_px * window_px
        fragments = 0.0
        if self.kept_px:
            fragments = _FRAGMENTS if not kept else min(_HOLES, maps) if window_px < picture_px else 0
        window = maps * (SPLIT if kept else 1)
        return self.fixed + fragments + fine + window + self.per_picture_px * picture_px

    def keeps(self, window_px: float, picture_px: float) -> bool:
        """Whether the maps of a window are kept, or all of a picture in one piece."""
        if not self.kept_px or window_px < picture_px:
            return window_px <= self.kept_px
        return picture_px <= self.largest_kept(HOLD_AT_MOST)

    def largest_kept(self, limit: float) -> float:
        """How many pixels a picture in one piece may have so that all is kept, within a limit."""
        return (min(limit, HOLD_AT_MOST) - self.fixed) / (SPLIT * self.per_window_px + self.per_picture_px)

    def largest(self, limit: float) -> float:
        """How many pixels a picture may have so that a step with it in one piece stays within a limit."""
        if not self.kept_px:
            return max(0.0, limit - self.fixed) / (self.per_window_px + self.per_picture_px)
        kept = self.largest_kept(limit)
        let_go = (limit - self.fixed - _FRAGMENTS) / (self.per_window_px + self.per_picture_px)
        return max(0.0, kept, let_go if let_go > 0 and not self.keeps(let_go, let_go) else 0.0)


def footprint(
    channels_per_px: Mapping[str, float],
    itemsize: int,
    optimizer: Optimizer,
    filter_bytes: float,
    column_channels: int = 0,
    *,
    keeps: bool = True,
) -> Footprint:
    """Predict memory. `channels_per_px` is, per convolution from the first to the deepest, channels / stride²;
    `itemsize` the bytes of a value; `filter_bytes` what the network's filters take.

    `column_channels` are those of a hypercolumn, by which neighbours are looked for; `keeps` is whether memory is kept
    from step to step.
    """
    channels = list(channels_per_px.values())
    widest = max(channels)
    # on the way back: a layer's gradient, its rectified copy and what becomes of it; and one map with a border
    passing = max([2 * channels[0], *(2 * after + before for before, after in pairwise(channels))]) + widest
    window, fixed, fine = itemsize * (sum(channels) + passing), filter_bytes + _ANYWAY, 0.0
    column = 4.0 * column_channels
    if column_channels:
        window += 2.5 * column / COARSE_GRID**2 / SPLIT
        fine = 1.9 * column
    kept_px = int(HOLD_OF_WINDOW / (SPLIT * window)) if keeps else 0
    return Footprint(window, _VECTORS[optimizer], fixed, column_channels > 0, kept_px, fine)
