"""Coarse to fine: which part of the picture is computed, at which sizes, in how many iterations, in which tiles.

Sizes are in px. The **box** is the part of the content that the network sees: the selection's bounds and some context.
The **working scale** brings the box to the size at which it is painted; a **level** is one size on the way there, each
half the next.
"""

import math
from dataclasses import dataclass

import torch

from scumble.engine.accelerator import accelerator
from scumble.engine.box import Box as Box
from scumble.engine.box import bounds as bounds
from scumble.engine.footprint import Footprint
from scumble.engine.tiles import Tiling
from scumble.errors import ScumbleError
from scumble.recipe import Engine, Quality, Recipe, Start

WORKING_SIZE = {Quality.DRAFT: 384, Quality.NORMAL: 512, Quality.FINE: 1024}
"""The longest side of the painted part, where the recipe names no size."""
ITERATIONS = {Quality.DRAFT: (40, 25, 15), Quality.NORMAL: (80, 50, 30), Quality.FINE: (150, 90, 50, 30)}
"""Iterations from the coarsest level to the finest; of fewer levels, the last ones."""
ITERATIONS_WITH_PIECES = {Quality.DRAFT: (20, 12, 3), Quality.NORMAL: (50, 26, 8), Quality.FINE: (120, 70, 30, 10)}
"""The same where each level ends with pieces of the style laid over it, which do the last iterations' work."""
COARSEST = 64
"""No level's longest side is smaller, unless the picture is."""
LEAST_BOX = 256
"""A selection smaller than this is seen with surroundings up to it, in px of the working size."""
DEAREST_HALO = 1.4
"""Tiles that are to save time may compute at most so many times the pixels of their cores."""
MEMORY_SHARE = 0.8
"""The part of the free memory that a job may take by itself."""


@dataclass(frozen=True)
class Level:
    """One size of the box, and how many iterations it gets."""

    width: int
    height: int
    iterations: int

    @property
    def work(self) -> int:
        """Pixels times iterations."""
        return self.width * self.height * self.iterations


@dataclass(frozen=True)
class Plan:
    """What a job will do: the box, the levels from coarse to fine, how they are cut, memory in MB.

    `is_tight` tells whether memory asks for the tiles; else they are the quickest way.
    """

    box: Box
    scale: float
    levels: tuple[Level, ...]
    tiling: Tiling
    memory_mb: float
    is_tight: bool = False
    keeps_maps: bool = False
    """Whether the memory of the networks' maps is kept for the next step, however large they are."""

    @property
    def tile_px(self) -> int | None:
        """The side of the finest level's tiles; None: in one piece."""
        return self.tiling.of(self.levels[-1].height, self.levels[-1].width)


def plan(width: int, height: int, selected: Box, recipe: Recipe, cost: Footprint, available: float, halo: int) -> Plan:
    """Plan a job for a picture of `width` × `height` px, of which `selected` is painted.

    `available` is in bytes, `halo` half the deepest receptive field in px. `ScumbleError("out-of-memory")` when not
    even the smallest tile fits.
    """
    box, scale = framed(width, height, selected, recipe.size or WORKING_SIZE[recipe.quality], recipe.context_px)
    levels = _levels(box, scale, recipe, with_pieces=cost.matches and lays_pieces(recipe))
    finest = levels[-1]
    limit = min(available, recipe.memory_mb * 2**20) if recipe.memory_mb else available * MEMORY_SHARE
    tiling, is_tight = _tiling(finest, cost, limit, halo)

    def window_px(level: Level) -> int:
        return _window_px(level, tiling, halo, cut_evenly=not is_tight)

    memory_mb = max(cost.bytes(window_px(each), each.width * each.height) for each in levels) / 2**20
    keeps_maps = cost.keeps(window_px(finest), finest.width * finest.height)
    return Plan(box, scale, levels, tiling, memory_mb, is_tight, keeps_maps)


def framed(width: int, height: int, selected: Box, size: int, context_px: float) -> tuple[Box, float]:
    """The box around what is selected of a picture of `width` × `height` px, and the working scale, at which the
    selection's longest side is `size` px or its own."""
    scale = min(1.0, size / max(selected.width, selected.height))
    return _with_context(selected, width, height, context_px / scale, LEAST_BOX / scale), scale


def lays_pieces(recipe: Recipe) -> bool:
    """Whether a recipe that looks for neighbours lays pieces of the style at their places."""
    return recipe.vote_weight > 0 and recipe.style_weight != 0


def _with_context(selected: Box, width: int, height: int, margin: float, least: float) -> Box:
    def axis(start: int, length: int, whole: int) -> tuple[int, int]:
        grow = max(margin, (least - length) / 2)
        low, high = max(0, math.floor(start - grow)), min(whole, math.ceil(start + length + grow))
        # what the picture's edge cuts off on one side is added on the other
        low, high = min(low, max(0, math.floor(high - least))), max(high, min(whole, math.ceil(low + least)))
        return low, high - low

    x, w = axis(selected.x, selected.width, width)
    y, h = axis(selected.y, selected.height, height)
    return Box(x, y, w, h)


def _levels(box: Box, scale: float, recipe: Recipe, *, with_pieces: bool) -> tuple[Level, ...]:
    longest = max(box.width, box.height) * scale
    going_on = (
        recipe.start is Start.PICTURE or recipe.engine is Engine.FAST_OPTIMISE
    )  # a coarse level would throw the finished strokes away
    count = recipe.scales or (
        1 if going_on else 1 + max(0, min(2 + (longest > 1024), int(math.log2(longest / COARSEST))))
    )
    given = recipe.iterations or (ITERATIONS_WITH_PIECES if with_pieces else ITERATIONS)[recipe.quality]
    if recipe.iterations and len(given) == 1:
        given = given * count
    if len(given) < count:
        given = (given[0],) * (count - len(given)) + given
    given = given[-count:]
    levels = []
    for index, iterations in enumerate(given):
        shrink = scale / 2 ** (count - 1 - index)
        levels.append(Level(max(1, round(box.width * shrink)), max(1, round(box.height * shrink)), iterations))
    return tuple(levels)


def _window_px(level: Level, tiling: Tiling, halo: int, *, cut_evenly: bool) -> int:
    """The most pixels of a level that are seen at once; unless it is `cut_evenly`, those of the largest window that the
    tiling allows, which is what tiles that have to fit are chosen by."""
    tile = tiling.of(level.height, level.width)
    if tile is None:
        return level.width * level.height

    def window(side: int) -> int:
        core = math.ceil(side / math.ceil(side / tile)) if cut_evenly else tile
        return min(side, core + 2 * halo)

    return window(level.width) * window(level.height)


def _tiling(level: Level, cost: Footprint, limit: float, halo: int) -> tuple[Tiling, bool]:
    """How the levels are cut, and whether memory asks for that."""
    pixels = level.width * level.height
    whole_px, largest = cost.largest(limit), math.isqrt(pixels) // 32 * 32
    quick = (math.isqrt(cost.kept_px) - 2 - 2 * halo) // 32 * 32 if cost.matches else 0
    if quick > 0 and ((quick + 2 * halo) / quick) ** 2 <= DEAREST_HALO:
        whole_px, largest = cost.largest_kept(limit), min(largest, quick)
        if pixels > whole_px and cost.bytes((quick + 2 * halo) ** 2, pixels) <= limit:
            return Tiling(quick, whole_px), False
    if pixels <= whole_px:
        return Tiling(), False
    for tile in range(largest, 0, -32):
        if cost.bytes((tile + 2 * halo) ** 2, pixels) <= limit:
            return Tiling(tile, whole_px), True
    need = cost.bytes((32 + 2 * halo) ** 2, pixels) / 2**20
    raise ScumbleError(
        "out-of-memory",
        f"Painting {level.width} × {level.height} px needs {need:.0f} MB; there are {limit / 2**20:.0f} MB.",
    )


def available_bytes(device: torch.device) -> float:
    """Free memory of the device, in bytes."""
    return accelerator(device).free_bytes()
