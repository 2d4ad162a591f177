"""From a recipe to the loss of one level: which statistics, whose targets, which weights.

**Everyday** scaling divides every style distance by the content's own distance to the style, every content distance by
the content's own variance and the total variation by that of the busiest picture: each loss is about one at the
start, whatever the
size, the network and the region, so one strength means one look. **Paper** scaling leaves the sums as printed.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scumble.engine.candidates import COARSE_GRID, Candidates, candidates, grid_stride
from scumble.engine.canvas import Canvas
from scumble.engine.color import match_palette
from scumble.engine.features import Profile
from scumble.engine.frame import Frame
from scumble.engine.geometry import canonical, halo, layer_order
from scumble.engine.job import BoundStyle, Job
from scumble.engine.losses import content_loss, geometric_weights, style_loss, total_variation
from scumble.engine.neighbours import Matched, NeighbourTerm
from scumble.engine.objective import Objective, PictureTerms
from scumble.engine.regions import RegionWeights, flatten, region_weights
from scumble.engine.resample import pad_to_multiple
from scumble.engine.steady import Steady
from scumble.engine.targets import Kept, StylePicture, style_picture, style_size
from scumble.engine.terms import ContentTerm, Statistic, StyleTarget, StyleTerm, Survey, Term, survey
from scumble.engine.tiles import Tiling, Window, windows
from scumble.engine.vgg import Network, Trunk, calibration_pictures
from scumble.errors import ScumbleError
from scumble.recipe import ContentForm, LayerWeighting, Recipe, Scaling, StyleLoss

Matrices = dict[Statistic, Tensor]

_LEAST_DISTANCE = 1e-3  # of the style's own size: a style equal to the content must not be divided by zero
_FULL_VOTES_AT = 40.0  # strength: below it the votes are mixed with the content, so that little strength shows little
_SPREAD_ROWS = 2**17  # of a content layer, that are in floats at once
_VOTE_WEIGHT = 50.0  # a vote of one makes a tenth of the colour range weigh half as much as a whole style


@dataclass(frozen=True)
class Weighting:
    """What a recipe asks of a network: layers with weights, and α, β, γ and the frame's weight."""

    content_layers: Mapping[str, float]
    style_layers: Mapping[Statistic, float]
    content: float
    style: float
    tv: float
    frame: float
    neighbours: Mapping[str, float]
    content_share: float

    @property
    def framed(self) -> bool:
        """Whether the colour frame has a say."""
        return bool(self.frame and self.style)

    @property
    def matched(self) -> bool:
        """Whether neighbours are looked for."""
        return bool(self.neighbours and self.style)

    @property
    def taps(self) -> tuple[str, ...]:
        """The layers that must be read."""
        style = (
            [*self.neighbours, *(tap for statistic in self.style_layers for tap in statistic.taps)]
            if self.style
            else []
        )
        content = list(self.content_layers) if self.content else []
        return tuple(dict.fromkeys([*content, *style])) or tuple(self.content_layers)


def weighting(recipe: Recipe, suited: Profile, architecture: str) -> Weighting:
    """Resolve what a recipe leaves open; `ScumbleError("bad-recipe")` for a layer that this network lacks."""
    order = layer_order(architecture)
    convolutions = [name for name in order if name.startswith("conv")]
    content = _layers("content_layers", recipe.content_layers or suited.content_layers, order)
    wanted = recipe.style_layers or suited.style_layers
    style = (
        dict.fromkeys(convolutions, 1 / len(convolutions))
        if wanted == "all"
        else _layers("style_layers", wanted, order)
    )
    if recipe.layer_weighting is LayerWeighting.GEOMETRIC:
        content = geometric_weights(list(content), deepest_heaviest=True)
        style = geometric_weights(list(style), deepest_heaviest=False)
    shift = recipe.activation_shift
    statistics = {
        Statistic(tap, _before(tap, convolutions) if recipe.chain else tap, shift): weight
        for tap, weight in style.items()
    }
    balance = suited.content_at_60 * 10 ** ((60 - recipe.strength) / 20)
    neighbours: Mapping[str, float] = {}
    compared = recipe.style_loss or suited.style_loss
    if compared is not StyleLoss.GRAM:
        suiting = {name: weight for name, weight in suited.neighbour_layers.items() if name in order}
        neighbours = style if recipe.style_layers else suiting
    if compared is StyleLoss.NEIGHBOURS:
        statistics = {}
    return Weighting(
        content_layers=content,
        style_layers=statistics,
        neighbours=neighbours,
        content_share=1 / (1 + 10 ** ((recipe.strength - 85) / 40)),
        content=balance if recipe.content_weight is None else recipe.content_weight,
        style=1.0 if recipe.style_weight is None else recipe.style_weight,
        tv=suited.tv_weight if recipe.tv_weight is None else recipe.tv_weight,
        frame=suited.frame_weight if recipe.frame_weight is None else recipe.frame_weight,
    )


def _variation(pictures: Tensor, exponent: float) -> float:
    """Total variation per pixel."""
    return float(total_variation(pictures, exponent)) / (len(pictures) * pictures[0, 0].numel())


def _recoloured(canvas: Canvas, mask: Tensor, picture: StylePicture) -> Tensor:
    """The content in the colours of a style, by what a mask shows of it."""
    # a faint colour of the content, amplified to the style's, would turn clouds into the blackest night
    return match_palette(canvas.content, picture.rgb, mask, picture.visible, evenness=0.6).clamp_(0, 1)


def _spread(rows: Tensor, weight: Tensor, form: ContentForm) -> float:
    """The content loss of rows (positions, channels) against their own mean."""
    parts = list(zip(torch.split(rows, _SPREAD_ROWS), torch.split(weight, _SPREAD_ROWS), strict=True))
    mass = weight.sum()
    mean = torch.stack([w @ part.float() for part, w in parts]).sum(0) / mass
    summed = ContentForm.SUM if form is ContentForm.MEAN else form
    total = sum(float(content_loss(part.float(), mean.expand_as(part), summed, w)) for part, w in parts)
    return total / (float(mass) * rows.shape[1]) if form is ContentForm.MEAN else total


def _layers(field: str, layers: Mapping[str, float] | str, order: Sequence[str]) -> dict[str, float]:
    assert not isinstance(layers, str)
    known = {canonical(name): weight for name, weight in layers.items()}
    for name in known:
        if name.replace("preact", "conv") not in order:
            raise ScumbleError(
                "bad-recipe", f"{field}: this network has no layer {name!r}.", f"It has: {', '.join(order)}."
            )
    return dict(sorted(known.items(), key=lambda item: order.index(item[0].replace("preact", "conv"))))


def _before(tap: str, convolutions: Sequence[str]) -> str:
    index = convolutions.index(tap) if tap in convolutions else 0
    return convolutions[index - 1] if index else tap


@dataclass(frozen=True)
class Easel:
    """The networks that look at the picture, and what was kept of earlier jobs."""

    trunk: Trunk
    trunk_key: str
    frame: Frame | None
    kept: Kept[Matrices]
    kept_candidates: Kept[Candidates]

    @property
    def networks(self) -> list[Network]:
        """The trunk, and the frame where there is one."""
        return [self.trunk] if self.frame is None else [self.trunk, self.frame]

    @property
    def grid(self) -> int:
        """The coarsest stride in use, in px."""
        return max(COARSE_GRID, *(max(network.stride.values()) for network in self.networks))

    @property
    def halo(self) -> float:
        """Half the deepest receptive field in use, in px."""
        return halo(self.networks)

    def key(self, network: Network) -> str:
        """What identifies a network among all whose statistics are kept."""
        return self.trunk_key if network is self.trunk else f"frame {network.taps} {self.trunk.dtype}"


@dataclass(frozen=True)
class Composer:
    """Builds the objective of each level of one job."""

    job: Job
    easel: Easel
    weights: Weighting
    tiling: Tiling
    device: torch.device

    def compose(self, canvas: Canvas) -> Objective:
        """The objective of a canvas; style targets that are kept are not computed again."""
        styles = [
            [self._style_picture(style, canvas, mask) for style in region.styles]
            for region, mask in zip(self.job.regions, canvas.regions, strict=True)
        ]
        seen = canvas.see(self._guide(canvas, styles) if self.weights.neighbours else canvas.content)
        height, width = seen.shape[2:]
        picture_windows = self._windows(height, width)
        networks = [
            (network, self._terms(network, canvas, seen, picture_windows, styles)) for network in self.easel.networks
        ]
        return Objective(networks, picture_windows, canvas, self._picture_terms(canvas, styles), canvas.changing)

    def _windows(self, height: int, width: int) -> list[Window]:
        return windows(height, width, self.tiling.of(height, width), self.easel.halo, self.easel.grid)

    def _terms(
        self,
        network: Network,
        canvas: Canvas,
        seen: Tensor,
        picture_windows: Sequence[Window],
        styles: Sequence[Sequence[StylePicture]],
    ) -> list[Term]:
        is_trunk = network is self.easel.trunk
        wanted = self.weights.style_layers if is_trunk else self._frame_statistics(network)
        strength = self.weights.style if is_trunk else self.weights.frame * self.weights.style
        wanted = wanted if strength else {}
        regions = [self._region(network, mask) for mask in canvas.regions] if wanted else []
        keep = tuple(self.weights.content_layers) if is_trunk and self.weights.content else ()
        terms: list[Term] = []
        found = survey(network, seen, picture_windows, regions, wanted, keep)
        if keep:
            union = self._region(network, canvas.mix)
            layers = {tap: union.maps[tap] for tap in keep if tap in union.maps}  # those of other layers are large
            terms += self._content_terms(found, replace(union, maps=layers))
        if wanted:
            matrices = [[self._target(network, picture, wanted) for picture in pictures] for pictures in styles]
            terms += self._style_terms(wanted, strength, regions, found.statistics, matrices)
        if is_trunk and self.weights.neighbours and strength:
            terms.append(self._neighbour_term(network, canvas, seen, picture_windows, styles))
        return terms

    def _neighbour_term(
        self,
        network: Network,
        canvas: Canvas,
        seen: Tensor,
        picture_windows: Sequence[Window],
        styles: Sequence[Sequence[StylePicture]],
    ) -> Term:
        taps = self.weights.neighbours
        stride = grid_stride(seen.shape[2] * seen.shape[3])
        regions = [
            region_weights(mask, ["grid"], {"grid": stride}, {"grid": 0.0}, grid=self.easel.grid)
            for mask in canvas.regions
        ]
        shares = self._region_shares(regions)
        height, width = seen.shape[2:]
        matched = []
        for bound, region, share, pictures in zip(self.job.regions, regions, shares, styles, strict=True):
            total = max(1.0, sum(style.style.weight for style in bound.styles))
            for style, picture in zip(bound.styles, pictures, strict=True):
                weight = self.weights.style * share * style.style.weight / total
                found = self._candidates(network, picture, taps, stride)
                matched.append(
                    Matched.of(region, found, weight, self.weights.content_share, height // stride, width // stride)
                )
        term = NeighbourTerm(network, taps, stride, "grid", matched)
        with torch.no_grad():
            for window in picture_windows:
                term.guide(network.forward(network.prepare(window.crop(seen))), window)
        return term

    def _candidates(
        self, network: Network, picture: StylePicture, taps: Mapping[str, float], stride: int
    ) -> Candidates:
        def compute() -> Candidates:
            padded, mask, around = self._padded(picture)
            return candidates(network, padded, mask, taps, stride, around)

        return self.easel.kept_candidates.get((*self._seen_as(network, picture), *taps.items(), stride), compute)

    def _seen_as(self, network: Network, picture: StylePicture) -> tuple[Hashable, ...]:
        """All that a style's numbers depend on but what is asked of them; how it is padded and tiled shows in the last
        digits."""
        tile = self.tiling.of(*picture.rgb.shape[2:])
        return picture.digest, self.easel.key(network), self.easel.grid, tile, self.easel.halo

    def _padded(self, picture: StylePicture) -> tuple[Tensor, Tensor, list[Window]]:
        grid = self.easel.grid
        padded = pad_to_multiple(picture.rgb, grid)
        height, width = padded.shape[2:]
        margin = (0, width - picture.visible.shape[3], 0, height - picture.visible.shape[2])
        mask = torch.nn.functional.pad(picture.visible, margin)
        return padded, mask, self._windows(height, width)

    def _guide(self, canvas: Canvas, styles: Sequence[Sequence[StylePicture]]) -> Tensor:
        """The content in its styles' colours: what is dark in it is to look for what is dark in them."""
        guide = canvas.content
        if sum(len(region.styles) for region in self.job.regions) == 1:
            (mask,), ((picture,),) = canvas.regions, styles
            return torch.where(mask > 0, _recoloured(canvas, mask, picture), guide)
        mass = torch.stack(canvas.regions).sum(0).clamp(min=1e-6)
        for region, mask, pictures in zip(self.job.regions, canvas.regions, styles, strict=True):
            total = sum(style.style.weight for style in region.styles)
            for style, picture in zip(region.styles, pictures, strict=True):
                moved = _recoloured(canvas, mask, picture)
                guide = guide + mask / mass * (style.style.weight / total) * (moved - canvas.content)
        return guide

    def _region(self, network: Network, mask: Tensor) -> RegionWeights:
        return region_weights(mask, network.taps, network.stride, network.radius, grid=self.easel.grid)

    def _frame_statistics(self, network: Network) -> dict[Statistic, float]:
        return {Statistic(tap, tap): 1 / len(network.taps) for tap in network.taps}

    def _content_terms(self, found: Survey, union: RegionWeights) -> list[Term]:
        recipe = self.job.recipe
        terms: list[Term] = []
        for tap, weight in self.weights.content_layers.items():
            if tap not in union.maps:
                continue
            target = found.maps[tap]
            scale = 1.0
            if recipe.scaling is Scaling.EVERYDAY:
                own = _spread(flatten(target), union.maps[tap].flatten(), recipe.content_form)
                scale = 1 / max(own, 1e-6)
            terms.append(ContentTerm(tap, target, union, recipe.content_form, self.weights.content * weight * scale))
        return terms

    def _style_terms(
        self,
        wanted: Mapping[Statistic, float],
        strength: float,
        regions: Sequence[RegionWeights],
        own: Sequence[Matrices],
        matrices: Sequence[Sequence[Matrices]],
    ) -> list[Term]:
        shares = self._region_shares(regions)
        terms: list[Term] = []
        for statistic, layer_weight in wanted.items():
            targets = []
            for index, region in enumerate(regions):
                if statistic not in own[index]:
                    continue
                # layers that see too little of a region leave their weight to the others
                layers = sum(weight for other, weight in wanted.items() if other in own[index])
                weight = strength * shares[index] * layer_weight / layers * sum(wanted.values())
                styles = self._style_targets(index, statistic, weight, own[index], matrices[index])
                if styles:
                    targets.append((region, styles))
            if targets:
                terms.append(StyleTerm("style", statistic, targets))
        return terms

    def _style_targets(
        self, index: int, statistic: Statistic, weight: float, own: Matrices, matrices: Sequence[Matrices]
    ) -> list[StyleTarget]:
        styles = self.job.regions[index].styles
        total = max(1.0, sum(style.style.weight for style in styles))
        targets = []
        for style, found in zip(styles, matrices, strict=True):
            if statistic not in found:
                continue
            matrix = found[statistic]
            scale = 1.0
            if self.job.recipe.scaling is Scaling.EVERYDAY:
                distance = float(style_loss(own[statistic], matrix))
                scale = 1 / max(distance, _LEAST_DISTANCE * float(style_loss(torch.zeros_like(matrix), matrix)), 1e-12)
            targets.append(StyleTarget(matrix, weight * scale * style.style.weight / total))
        return targets

    def _region_shares(self, regions: Sequence[RegionWeights]) -> list[float]:
        # the square root lies between two faults: equal shares make specks boil, shares by area starve them
        roots = [region.area**0.5 for region in regions]
        return [root / sum(roots) for root in roots]

    def _style_picture(self, style: BoundStyle, canvas: Canvas, region: Tensor) -> StylePicture:
        size = style_size(style, self.job.recipe, *canvas.content.shape[2:])
        return style_picture(style, size, canvas.content, region, self.job.recipe.match_method, self.device)

    def _target(self, network: Network, picture: StylePicture, wanted: Mapping[Statistic, float]) -> Matrices:
        key = (*self._seen_as(network, picture), tuple(wanted))

        def compute() -> Matrices:
            padded, mask, around = self._padded(picture)
            region = region_weights(mask, network.taps, network.stride, network.radius, erosion=0)
            return survey(network, padded, around, [region], wanted).statistics[0]

        return self.easel.kept.get(key, compute)

    def _steady(self, canvas: Canvas) -> Steady | None:
        """What the picture stays near, as the networks see it; None where it is nowhere to."""
        near = canvas.near
        if near is None or not bool(near.trust.any()):
            return None
        seen = canvas.see(near.picture)
        height, width = (whole - own for whole, own in zip(seen.shape[2:], near.trust.shape[2:], strict=True))
        trust = torch.nn.functional.pad(near.trust, (0, width, 0, height))
        weight, votes = self.job.recipe.steady_weight, self.job.recipe.vote_weight
        return Steady(seen, trust, float(trust.sum()), _VOTE_WEIGHT * weight, votes / (votes + weight))

    def _picture_terms(self, canvas: Canvas, styles: Sequence[Sequence[StylePicture]]) -> PictureTerms:
        recipe = self.job.recipe
        everyday = recipe.scaling is Scaling.EVERYDAY
        tv, mass = self.weights.tv, float(canvas.active.sum())
        if everyday and tv:
            pictures = [canvas.content, *(picture.rgb for region in styles for picture in region)]
            # a pale content in a flat style must not make every edge dear: no scale below a photograph's
            busiest = max(_variation(picture, recipe.tv_exponent) for picture in (calibration_pictures(), *pictures))
            tv /= busiest * max(mass, 1)
        share = min(1.0, recipe.strength / _FULL_VOTES_AT)
        return PictureTerms(
            tv_weight=tv,
            tv_exponent=recipe.tv_exponent,
            tv_mask=canvas.changing,
            vote_weight=_VOTE_WEIGHT * recipe.vote_weight,
            vote_share=share,
            vote_ground=None if share == 1 else canvas.see(canvas.content),
            steady=self._steady(canvas),
            low=canvas.low,
            high=canvas.high,
        )
