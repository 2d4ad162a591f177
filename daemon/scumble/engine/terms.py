"""The terms of the loss, in two passes.

A **term** reads some taps of a network. Pass one shows it the maps of every window (`observe`), then `solve` gives the
term's loss; pass two asks it, tap by tap from the deepest, to add its gradient to what comes from below
(`add_gradient`). Statistics of the whole picture (Gram matrices) need both passes; with a single window both see the
same maps, and so they do where all terms are **local**: a window's gradient hangs on that window alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as nnf
from torch import Tensor

from scumble.engine.losses import content_loss, content_slope, correlation, style_loss, style_slope
from scumble.engine.regions import RegionWeights, Rows, flatten, zeros_like_map
from scumble.engine.tiles import Window
from scumble.engine.vgg import Maps, Network
from scumble.recipe import ContentForm


class Term(Protocol):
    """One summand of the loss."""

    @property
    def kind(self) -> str:
        """The name under which the loss is reported."""

    @property
    def taps(self) -> tuple[str, ...]:
        """The layers that it reads."""

    @property
    def is_local(self) -> bool:
        """Whether `add_gradient` may be asked for a window before all were observed."""

    def observe(self, maps: Maps, window: Window) -> None:
        """Take in a window's maps."""

    def forget(self) -> None:
        """Let go of what was observed."""

    def solve(self) -> Tensor:
        """The loss of everything observed, a scalar on the device, and a fresh start for the next picture."""

    def add_gradient(self, tap: str, maps: Maps, window: Window, g: Tensor | None) -> Tensor | None:
        """`g` (a map or None) plus the gradient of this term with respect to `tap`."""


@dataclass(frozen=True)
class Statistic:
    """A correlation between two layers' maps; a Gram matrix when they are the same. `shift` is added to both maps.

    The second layer is the one before the first; where a pool lies between them it is pooled to fit.
    """

    first: str
    second: str
    shift: float = 0.0

    @property
    def taps(self) -> tuple[str, ...]:
        return (self.first,) if self.first == self.second else (self.first, self.second)

    def sum(self, maps: Maps, rows: Rows) -> Tensor:
        """Σ w F H over the rows, (channels, channels), float32."""
        left, right = self._sides(maps, rows)
        return correlation(left, right, rows.weight).float()

    def add_pull(self, tap: str, maps: Maps, rows: Rows, D: Tensor, g: Tensor) -> None:
        """Add the gradient with respect to `tap` to its map `g`, given `D` = dL/dΣ."""
        left, right = self._sides(maps, rows)
        D = D.to(left.dtype)
        if self.first == self.second:
            if rows.are_all and rows.weight is None:
                flatten(g).addmm_(left, D + D.T)
                return
            rows.add(flatten(g), _weighted(left @ (D + D.T), rows))
        elif tap == self.first:
            rows.add(flatten(g), _weighted(right @ D.T, rows))
        else:
            fitted = zeros_like_map(_fit(maps[self.second], maps[self.first]))
            rows.add(flatten(fitted), _weighted(left @ D, rows))
            ratio = g.shape[2] // fitted.shape[2]
            g += fitted if ratio == 1 else nnf.interpolate(fitted, scale_factor=ratio, mode="nearest") / ratio**2

    def _sides(self, maps: Maps, rows: Rows) -> tuple[Tensor, Tensor]:
        left = rows.of(flatten(maps[self.first]))
        left = left + self.shift if self.shift else left
        if self.first == self.second:
            return left, left
        right = rows.of(flatten(_fit(maps[self.second], maps[self.first])))
        return left, right + self.shift if self.shift else right


def _fit(earlier: Tensor, later: Tensor) -> Tensor:
    ratio = earlier.shape[2] // later.shape[2]
    return earlier if ratio == 1 else nnf.avg_pool2d(earlier, ratio)


def _weighted(values: Tensor, rows: Rows) -> Tensor:
    return values if rows.weight is None else values * rows.weight[:, None].to(values.dtype)


@dataclass(frozen=True)
class StyleTarget:
    """A style's matrix (channels, channels), already divided by its mass, and the weight of its distance in the
    loss."""

    matrix: Tensor
    weight: float


class StyleTerm:
    """Σ over regions and their styles of weight · `style_loss` between a statistic of the picture and the style's."""

    is_local = False

    def __init__(
        self, kind: str, statistic: Statistic, targets: Sequence[tuple[RegionWeights, Sequence[StyleTarget]]]
    ) -> None:
        self.kind = kind
        self.statistic = statistic
        self.taps = statistic.taps
        self._targets = [(region, styles) for region, styles in targets if statistic.first in region.maps]
        given = [style.matrix for _, styles in targets for style in styles]
        self._nothing = given[0].new_zeros(()) if given else torch.zeros(())
        self._slopes: list[Tensor] = []
        self.forget()

    def forget(self) -> None:
        self._sums: list[Tensor | None] = [None] * len(self._targets)

    def observe(self, maps: Maps, window: Window) -> None:
        for index, (region, _) in enumerate(self._targets):
            rows = region.rows(self.statistic.first, window)
            if rows is not None:
                found = self.statistic.sum(maps, rows)
                known = self._sums[index]
                self._sums[index] = found if known is None else known + found

    def solve(self) -> Tensor:
        self._slopes = []
        total = self._nothing
        for index, (region, styles) in enumerate(self._targets):
            found = self._sums[index]
            assert found is not None
            mass = region.mass[self.statistic.first]
            matrix = found / mass
            slopes = [style.weight / mass * style_slope(matrix, style.matrix) for style in styles]
            self._slopes.append(torch.stack(slopes).sum(0))
            for style in styles:
                total = total + style.weight * style_loss(matrix, style.matrix)
        self.forget()
        return total

    def add_gradient(self, tap: str, maps: Maps, window: Window, g: Tensor | None) -> Tensor | None:
        if tap not in self.taps:
            return g
        for (region, _), slope in zip(self._targets, self._slopes, strict=True):
            rows = region.rows(self.statistic.first, window)
            if rows is not None:
                g = zeros_like_map(maps[tap]) if g is None else g
                self.statistic.add_pull(tap, maps, rows, slope, g)
        return g


class ContentTerm:
    """weight · `content_loss` of one layer against the content's map, over the union of all regions.

    `target` is the content's whole map (1, channels, height, width) at that layer.
    """

    kind = "content"
    is_local = True

    def __init__(self, tap: str, target: Tensor, region: RegionWeights, form: ContentForm, weight: float) -> None:
        self.taps = (tap,)
        self._target = target
        self._region = region
        self._form = ContentForm.SUM if form is ContentForm.MEAN else form
        # a mean is a sum over the whole picture's mass, which a window does not know
        self._weight = weight / (region.mass[tap] * target.shape[1]) if form is ContentForm.MEAN else weight
        self.forget()

    def forget(self) -> None:
        self._sum = self._target.new_zeros((), dtype=torch.float32)

    def observe(self, maps: Maps, window: Window) -> None:
        found = self._sides(maps, window)
        if found is not None:
            features, target, rows = found
            self._sum = self._sum + self._weight * content_loss(features, target, self._form, rows.weight)

    def solve(self) -> Tensor:
        total = self._sum
        self.forget()
        return total

    def add_gradient(self, tap: str, maps: Maps, window: Window, g: Tensor | None) -> Tensor | None:
        found = self._sides(maps, window) if tap in self.taps else None
        if found is None:
            return g
        features, target, rows = found
        slope = content_slope(features, target, self._form, rows.weight).mul_(self._weight)
        g = zeros_like_map(maps[tap]) if g is None else g
        rows.add(flatten(g), slope.to(g.dtype))
        return g

    def _sides(self, maps: Maps, window: Window) -> tuple[Tensor, Tensor, Rows] | None:
        """The window's map and the content's over the region's rows, both (rows, channels) float32."""
        tap = self.taps[0]
        rows = self._region.rows(tap, window)
        if rows is None:
            return None
        height, width = window.core_of_map(self._region.stride[tap])
        if window.whole:
            target = self._target
        else:
            target = zeros_like_map(maps[tap])
            target[:, :, height, width] = self._target[
                (slice(None), slice(None), *window.core_in_picture(self._region.stride[tap]))
            ]
        return rows.of(flatten(maps[tap])).float(), rows.of(flatten(target)).float(), rows


@dataclass(frozen=True)
class Survey:
    """What one look at a picture found.

    `statistics`: for each region, statistic → matrix (channels, channels), float32, divided by the region's mass;
    layers
    that see too little of a region are left out. `maps`: layer → (1, channels, height, width) of the whole picture.
    """

    statistics: list[dict[Statistic, Tensor]]
    maps: Maps


@torch.no_grad()
def survey(
    network: Network,
    picture: Tensor,
    picture_windows: Sequence[Window],
    regions: Sequence[RegionWeights],
    statistics: Iterable[Statistic],
    keep: Iterable[str] = (),
) -> Survey:
    """Show a picture, (1, 3, height, width) in 0..1 with sides on the grid, to the network once, window by window."""
    wanted = tuple(statistics)
    kept = tuple(keep)
    sums: list[dict[Statistic, Tensor]] = [{} for _ in regions]
    whole: Maps = {}
    for window in picture_windows:
        maps = network.forward(network.prepare(window.crop(picture)))
        for region, found in zip(regions, sums, strict=True):
            for statistic in wanted:
                rows = region.rows(statistic.first, window) if statistic.first in region.maps else None
                if rows is not None:
                    part = statistic.sum(maps, rows)
                    found[statistic] = found[statistic] + part if statistic in found else part
        for tap in kept:
            _keep(whole, tap, maps[tap], window, network.stride[tap], picture)
        del maps  # before the next window's are there
    # what is kept moves out of the midst of what is let go, or it would split the room for the next maps
    sums = [
        {statistic: total / region.mass[statistic.first] for statistic, total in found.items()}
        for region, found in zip(regions, sums, strict=True)
    ]
    return Survey(sums, {tap: whole.pop(tap).clone() for tap in kept})


def _keep(whole: Maps, tap: str, part: Tensor, window: Window, stride: int, picture: Tensor) -> None:
    if window.whole:
        whole[tap] = part
        return
    if tap not in whole:
        shape = (1, part.shape[1], picture.shape[2] // stride, picture.shape[3] // stride)
        whole[tap] = part.new_zeros(shape).contiguous(memory_format=torch.channels_last)
    core = part[(slice(None), slice(None), *window.core_of_map(stride))]
    whole[tap][(slice(None), slice(None), *window.core_in_picture(stride))] = core
