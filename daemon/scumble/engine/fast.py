"""Painting with trained models: one pass over the content for each of them, instead of hundreds of iterations.

A style names its **model**: one that is kept, by its name, or a file by its path; `NAME#STYLE` where it holds several
styles and the picture does not tell which. Styles of one region that share a model are mixed inside the network, others
in the picture. A network's strokes have one size in px, that of a painting of the model's own working size; a stroke
scale enlarges what the network sees and shrinks the result, or the other way round.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from scumble.engine import models
from scumble.engine.box import Box
from scumble.engine.canvas import Canvas
from scumble.engine.color import match_histogram, match_palette
from scumble.engine.job import BoundRegion, BoundStyle
from scumble.engine.models import About
from scumble.engine.noise import place
from scumble.engine.passing import STRIP_PX, Network
from scumble.engine.resample import resize
from scumble.engine.schedule import MEMORY_SHARE, Level, Plan, framed
from scumble.engine.steady import Steady
from scumble.engine.tiles import Tiling
from scumble.engine.transformation import GRID
from scumble.errors import ScumbleError
from scumble.recipe import Engine, KeepColors, Recipe, Style

WEAKEST = 20.0
"""The least strength that a network was trained for; with less its picture is mixed with the content."""
_KEPT = 4
_ANYWAY = 48 * 2**20
"""Bytes that a pass takes however small the picture; twelve million are the noise."""
_PICTURES, _MAPS, _STRIP = 48, 1.4, 8
"""Bytes per px of what is as large as the picture; and how many values the stored maps hold per px of it and channel,
and those of a strip per px of that and channel. `tests/benchmarks/memory.py` measures what they were fitted to."""


def chosen(style: Style, index: int) -> tuple[Path, str | None]:
    """The file of a style's model, and which of its styles is meant; ScumbleError `missing-model`."""
    if style.model is None:
        raise ScumbleError("missing-model", f"styles[{index}]: there is no trained model for {style.picture!r}.")
    name, _, which = style.model.partition("#")
    return models.find(name), which or None


def abouts(recipe: Recipe) -> list[About]:
    """What the models of a recipe's styles say of themselves, in order; ScumbleError for those that cannot be used."""
    found = []
    for index, style in enumerate(recipe.styles):
        path, which = chosen(style, index)
        about = models.describe(path)
        models.style_index(about, which)
        found.append(about)
    return found


def files(recipe: Recipe) -> list[Path]:
    """The files of the models that a recipe is painted with."""
    if recipe.engine is Engine.OPTIMISE:
        return []
    return [chosen(style, index)[0] for index, style in enumerate(recipe.styles)]


def name(recipe: Recipe) -> str:
    """What the recipe is painted with, for people."""
    return f"trained {', '.join(dict.fromkeys(file.stem for file in files(recipe)))}"


def plan(width: int, height: int, selected: Box, recipe: Recipe, itemsize: int, available: float) -> Plan:
    """Plan a pass over a picture of `width` × `height` px, of which `selected` is painted; `available` in bytes.

    ScumbleError `out-of-memory`, or what `abouts` raises.
    """
    found = abouts(recipe)
    size = recipe.size or found[0].size
    box, scale = framed(width, height, selected, size, recipe.context_px)
    level = Level(max(1, round(box.width * scale)), max(1, round(box.height * scale)), 1)
    need = 0.0
    for style, about in zip(recipe.styles, found, strict=True):
        pixels = level.width * level.height / min(1.0, style.stroke_scale or recipe.stroke_scale) ** 2
        value = about.width * itemsize
        need = max(need, _ANYWAY + min(pixels, STRIP_PX) * value * _STRIP + pixels * (_PICTURES + value * _MAPS))
    limit = min(available, recipe.memory_mb * 2**20) if recipe.memory_mb else available * MEMORY_SHARE
    if need > limit:
        sides = f"{level.width} × {level.height} px"
        detail = f"A pass over {sides} needs {need / 2**20:.0f} MB; there are {limit / 2**20:.0f} MB."
        raise ScumbleError("out-of-memory", detail)
    return Plan(box, scale, (level,), Tiling(), need / 2**20)


@dataclass(frozen=True)
class _Group:
    """Styles of a region that one network paints together, at one stroke scale, keeping colours in one way."""

    file: Path
    stroke_scale: float
    keep_colors: KeepColors


class Fast:
    """Networks on a device, the last few kept."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self._dtype = device, dtype
        self._networks: OrderedDict[tuple[Path, int, int], tuple[About, Network]] = OrderedDict()

    @torch.no_grad()
    def paint(self, canvas: Canvas, regions: Sequence[BoundRegion], recipe: Recipe) -> Tensor:
        """The canvas repainted, (1, 3, height, width): every region by its styles, where regions overlap as much of
        each as its mask says; and of a video's last frame what is to stay."""
        x = self._together(canvas, regions, recipe)
        if canvas.near is None:
            return x
        steady = Steady(canvas.near.picture, canvas.near.trust, 1.0, 0.0, 1 / (1 + recipe.steady_weight))
        return canvas.bring(steady.kept(x).clamp(0, 1))

    def _together(self, canvas: Canvas, regions: Sequence[BoundRegion], recipe: Recipe) -> Tensor:
        looks = [self._look(canvas, region, mask, recipe) for region, mask in zip(regions, canvas.regions, strict=True)]
        if len(looks) == 1:
            return canvas.bring(looks[0])
        mass = torch.stack(canvas.regions).sum(0)
        total = torch.zeros_like(canvas.content)
        for look, mask in zip(looks, canvas.regions, strict=True):
            total.addcmul_(look, mask)
        return canvas.bring(torch.where(mass > 0, total / mass.clamp(min=1e-6), canvas.content))

    def _look(self, canvas: Canvas, region: BoundRegion, mask: Tensor, recipe: Recipe) -> Tensor:
        total = sum(style.style.weight for style in region.styles)
        groups: dict[_Group, list[tuple[BoundStyle, str | None]]] = {}
        for style in region.styles:
            file, which = chosen(style.style, recipe.styles.index(style.style))
            group = _Group(file, style.stroke_scale, style.keep_colors)
            groups.setdefault(group, []).append((style, which))
        found = torch.zeros_like(canvas.content)
        for group, styles in groups.items():
            share = sum(style.style.weight for style, _ in styles) / total
            found.add_(self._painted(canvas, mask, group, styles, recipe), alpha=share)
        return found

    def _painted(
        self,
        canvas: Canvas,
        mask: Tensor,
        group: _Group,
        styles: Sequence[tuple[BoundStyle, str | None]],
        recipe: Recipe,
    ) -> Tensor:
        height, width = canvas.content.shape[2:]
        about, network = self._network(group.file)
        mixture = [0.0] * len(about.styles)
        total = sum(style.style.weight for style, _ in styles)
        for style, which in styles:
            mixture[models.style_index(about, which)] += style.style.weight / total
        seen = canvas.see(canvas.content)[:, :, :height, :width]
        sides = (max(GRID, round(side / group.stroke_scale)) for side in (height, width))
        at = place(torch.Generator().manual_seed(recipe.seed))
        shown = network.repaint(resize(seen, *sides).clamp(0, 1), mixture, max(WEAKEST, recipe.strength), at)
        shown = resize(shown, height, width).clamp(0, 1)
        if group.keep_colors is KeepColors.MATCH:
            shown = match_palette(shown, canvas.content, mask, mask, method=recipe.match_method).clamp(0, 1)
        elif group.keep_colors is KeepColors.HISTOGRAM:
            shown = match_histogram(shown, canvas.content, mask, mask)
        if recipe.strength < WEAKEST:
            shown = torch.lerp(canvas.content, shown, recipe.strength / WEAKEST)
        return shown

    def _network(self, file: Path) -> tuple[About, Network]:
        state = file.stat()
        key = (file, state.st_mtime_ns, state.st_size)
        if key not in self._networks:
            model = models.read(file)
            self._networks[key] = (
                model.about,
                Network.of(model.about.shape, model.tensors, self._device, self._dtype),
            )
            while len(self._networks) > _KEPT:
                self._networks.popitem(last=False)
        self._networks.move_to_end(key)
        return self._networks[key]
