"""What a style offers to be matched, and the search: which of it is most like a position of the picture.

A **hypercolumn** is what several layers say about one position, brought to one **grid** and joined; each layer is
centred and scaled by the style's own mean and deviation there. A **candidate** is a position of the style with its
hypercolumn. A match is the candidate of the highest cosine less its **price**, which rises where the style is used more
than its share; what goes on where a neighbour's match leaves off gains a bonus.

Sources: Kolkin et al. 2022, "Neural Neighbor Style Transfer" (matching); Kolkin et al. 2019, "Style Transfer by Relaxed
Optimal Transport" (that all of a style be used); Ashikhmin 2001, "Synthesizing natural textures" (going on).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import torch
import torch.nn.functional as nnf
from torch import Tensor

from scumble.engine.bands import bands, choosing, on_all_cores
from scumble.engine.machine import in_double
from scumble.engine.patches import Pieces
from scumble.engine.tiles import Window
from scumble.engine.vgg import Maps, Network

FINE_GRID, COARSE_GRID = 2, 4
"""Neighbours are looked for on a grid of so many px: the fine one up to `FINE_GRID_PX` pixels."""
FINE_GRID_PX = 256 * 256
SEARCH_DIMENSIONS = 32
"""Hypercolumns are compared in so many principal components of the style's."""
MOST_CANDIDATES = 2**17
"""A larger style offers a regular sample of its positions, so that a search costs the same for every size."""
COHERENCE = 0.3
"""What a match gains in cosine for each of its four neighbours that comes from beside it in the style."""
SWEEPS = 4
EVENNESS = 0.03
"""What a candidate's price rises in cosine, at first, where the style is used twice as often as its share."""
CROWD, MOST_CROWDED = 3, 3.0
"""Use is counted in squares of so many positions, and up to so many times the share."""
PRICED, PRICING_ROUNDS = 2048, 4
"""Prices are found for so many of the queries, in so many rounds."""
HIDDEN, PASSED = -1, -2
_CHUNK, _BLOCK = 128, 32
_CHOOSING = 2**12
_AROUND = ((0, 1), (0, -1), (1, 0), (-1, 0))


def grid_stride(pixels: int) -> int:
    """The grid's stride in px for a picture of so many pixels."""
    return FINE_GRID if pixels <= FINE_GRID_PX else COARSE_GRID


def grid_map(maps: Maps, taps: Iterable[str], stride: int, strides: Mapping[str, int]) -> list[Tensor]:
    """The taps' maps brought to a grid of `stride` px, each (1, channels, height, width), float32; those that are only
    averaged keep their type."""
    found = []
    for tap in taps:
        features = maps[tap]
        if strides[tap] < stride:
            features = nnf.avg_pool2d(features, stride // strides[tap])
        elif strides[tap] > stride:
            factor = strides[tap] // stride
            features = nnf.interpolate(features.float(), scale_factor=factor, mode="bilinear", align_corners=False)
        found.append(features)
    return found


def add_grid_slope(g: Tensor, slope: Tensor, factor: float) -> None:
    """Add to `g`, the gradient of a tap's map, what the adjoint of `grid_map` makes of `slope`, a gradient on the grid,
    (positions, channels). `factor` is the tap's stride by the grid's."""
    _, channels, height, width = g.shape
    rows, columns = round(height * factor), round(width * factor)
    slope = slope.view(rows, columns, channels)
    if factor == 2:
        g.permute(0, 2, 3, 1)[0].add_(_halved(_halved(slope, 0), 1))
        return
    if factor > 1:
        back = torch.ops.aten.upsample_bilinear2d_backward
        slope = slope.permute(2, 0, 1)[None]
        g += back(slope, (rows, columns), [1, channels, height, width], False, factor, factor).to(g.dtype)
        return
    times = height // rows
    across = (slope * factor**2).to(g.dtype).repeat_interleave(times, 1)
    g.permute(0, 2, 3, 1)[0].view(rows, times, width, channels).add_(across[:, None])


def _halved(slope: Tensor, dim: int) -> Tensor:
    """The adjoint of bilinear interpolation to twice the size, along one dimension: three times as fast as PyTorch's
    own, which wants the channels first."""

    def some(x: Tensor, *which: int | None) -> Tensor:
        return x[(*[slice(None)] * dim, slice(*which))]

    even, odd = some(slope, 0, None, 2), some(slope, 1, None, 2)
    found = even.add(odd).mul_(0.75)
    some(found, 1, None).add_(some(odd, 0, -1), alpha=0.25)
    some(found, 0, -1).add_(some(even, 1, None), alpha=0.25)
    some(found, 0, 1).add_(some(even, 0, 1), alpha=0.25)  # the edge is repeated
    some(found, -1, None).add_(some(odd, -1, None), alpha=0.25)
    return found


@dataclass(frozen=True)
class Candidates:
    """A style's hypercolumns: what can be matched.

    `vectors` (n, channels) are centred, scaled and of length one; `places` (n,) their positions in the grid of the
    picture `rgb` (1, 3, height, width), which holds the style and its mirror image side by side; `at` (positions,)
    finds the candidate of a place, `HIDDEN` where the style is not visible and `PASSED` where it is no candidate.
    """

    vectors: Tensor
    places: Tensor
    rgb: Tensor
    stride: int
    means: tuple[Tensor, ...]
    scales: tuple[float, ...]
    basis: Tensor
    projected: Tensor
    at: Tensor

    @cached_property
    def pieces(self) -> Pieces:
        """What it offers to be laid over pixels."""
        rows, columns = (side // self.stride for side in self.rgb.shape[2:])
        allowed = (self.at != HIDDEN).view(rows, columns)
        return Pieces.of(self.rgb, to_pixels(allowed, self.stride).flatten())

    @property
    def bytes(self) -> int:
        """The memory it holds."""
        held = (self.vectors, self.places, self.rgb, self.basis, self.projected)
        return sum(tensor.numel() * tensor.element_size() for tensor in held)

    def standard(self, columns: Sequence[Tensor]) -> Tensor:
        """Raw rows of every layer, (rows, channels of the layer) → (rows, channels) centred and scaled by this
        style."""
        return _standard(columns, self.means, self.scales)

    def unstandard(self, slope: Tensor, out: Sequence[Tensor]) -> None:
        """The adjoint of `standard`: writes gradients (rows, channels) with respect to the raw rows of every layer into
        `out`."""
        for part, layer, scale in zip(_split(slope, self.means), out, self.scales, strict=True):
            torch.mul(part, scale / part.shape[1] ** 0.5, out=layer)

    def project(self, rows: Tensor) -> Tensor:
        """Standardised rows (rows, channels) → their leading components, (rows, dimensions)."""
        return rows @ self.basis

    def match(self, queries: Tensor, prices: Tensor) -> Tensor:
        """For queries (rows, dimensions) of length one the candidates (rows,) whose cosine less their price is highest;
        `prices` (candidates,)."""
        # the price is one more component; what fills the last block costs more than any likeness is worth
        offered = torch.cat([self.projected, -prices[:, None].to(self.projected.dtype)], 1)
        filling = offered.new_zeros(-len(offered) % _BLOCK, offered.shape[1])
        filling[:, -1] = -9
        offered = torch.cat([offered, filling])
        asked = torch.cat([queries, torch.ones_like(queries[:, :1])], 1).to(offered.dtype)

        # kept one by one, what was found would lie between the holes that the blocks leave, and nothing fit these
        found = torch.empty(len(asked), dtype=torch.long, device=asked.device)

        def find(rows: slice) -> None:
            part = asked[rows]
            # the best block first and then the best of it: half the time of one argmax over all
            blocks = (offered @ part.T.contiguous()).view(-1, _BLOCK, len(part))
            best = blocks.amax(1).argmax(0)
            within = blocks[best, :, torch.arange(len(part), device=part.device)].argmax(1)
            torch.add(within, best, alpha=_BLOCK, out=found[rows])

        at_once = _CHUNK if queries.device.type == "cpu" else 4 * _CHUNK
        with on_all_cores(queries.device) as each:
            each(find, [slice(start, start + at_once) for start in range(0, len(asked), at_once)])
        return found

    def prices(self, queries: Tensor) -> Tensor:
        """What each candidate is to cost, (candidates,) in units of the cosine, so that queries (rows, dimensions) like
        these use all of the style: what was used more than its share grows dearer, what was not cheaper, in rounds of
        matching a sample.

        It is the dual ascent of optimal transport, broken off early, for a content has not everything that a style has
        (after Kolkin et al. 2019, "Style Transfer by Relaxed Optimal Transport").
        """
        sample = queries[:: max(1, len(queries) // PRICED)]
        height, width = (side // self.stride for side in self.rgb.shape[2:])

        def around(counts: Tensor) -> Tensor:
            return nnf.avg_pool2d(counts.float().view(1, 1, height, width), CROWD, 1, CROWD // 2).flatten()[self.places]

        share = len(sample) / len(self.places) * around(self.at >= 0)
        prices = torch.zeros_like(share)
        for left in range(PRICING_ROUNDS, 0, -1):
            used = torch.bincount(self.places.index_select(0, self.match(sample, prices)), minlength=height * width)
            # of a style that offers far more than is asked for, a place that is used once is not crowded
            excess = ((around(used) - share) / share.clamp(min=1 / CROWD**2)).clamp(max=MOST_CROWDED)
            prices = prices + EVENNESS * left / PRICING_ROUNDS * excess
        return prices

    def cohere(self, field: Tensor, directions: Tensor, prices: Tensor) -> Tensor:
        """Matches (height, width), -1 for none, that go on where their neighbours' leave off, so that strokes stay
        whole.

        `directions` (height · width, dimensions) are the queries, `prices` (candidates,) what was paid. Equals are many
        where the picture is even, and of these the one beside a neighbour's match is as good (after Ashikhmin 2001,
        "Synthesizing natural textures").
        """
        none, (height, width) = len(self.places), field.shape
        chosen = nnf.pad(torch.where(field < 0, none, field), (1,) * 4, value=none)
        parts = bands(height, width, field.device, _CHOOSING)
        with on_all_cores(field.device) as each:
            for _ in range(SWEEPS):
                for turn in range(2):
                    each(partial(self._choose, turn=turn, field=chosen, directions=directions, prices=prices), parts)
        chosen = chosen[1:-1, 1:-1]
        return torch.where(chosen == none, -1, chosen)

    def _choose(self, rows: slice, turn: int, field: Tensor, directions: Tensor, prices: Tensor) -> None:
        """Some rows choose among their own matches and what their four neighbours' go on to. `field` has a margin."""
        none, stride = len(self.places), field.shape[1]
        at, asked = choosing(field, 1, none, rows, turn)
        flat = field.view(-1)
        own = flat.index_select(0, at)
        options = torch.stack(
            [
                onward.index_select(0, flat.index_select(0, at - (dy * stride + dx)))
                for onward, (dy, dx) in zip(self.onward, _AROUND, strict=True)
            ]
        )
        wanted = directions[rows.start * (stride - 2) : rows.stop * (stride - 2)].index_select(0, asked)

        def score(row: Tensor | None, found: Tensor) -> Tensor:
            beside, mine = (
                (options, wanted) if row is None else (options.index_select(1, row), wanted.index_select(0, row))
            )
            similar = (mine * nnf.embedding(found, self.projected)).sum(1)
            return similar.sub_(prices.index_select(0, found)).add_((beside == found).sum(0), alpha=COHERENCE)

        highest = score(None, own)
        others = (options != own).logical_and_(options != none).flatten().nonzero()[:, 0]
        scores = torch.full(options.shape, -9.0, device=own.device)
        scores.view(-1).index_copy_(0, others, score(others % len(own), options.flatten().index_select(0, others)))
        for option, scored in zip(options, scores, strict=True):
            own = torch.where(scored > highest, option, own)
            highest = torch.maximum(scored, highest)
        flat.index_copy_(0, at, own)

    @cached_property
    def onward(self) -> Tensor:
        """What each candidate goes on to, below, above, …, as `_AROUND` has it, (4, candidates + 1): a candidate, or
        their number for none, which goes on to none."""
        none, (down, across) = len(self.places), (side // self.stride for side in self.rgb.shape[2:])
        found = []
        for dy, dx in _AROUND:
            x, y = self.places % across + dx, torch.div(self.places, across, rounding_mode="floor") + dy
            inside = (y >= 0) & (y < down) & (x >= 0) & (x < across)
            # not from the style into its mirror image
            inside &= (x >= across // 2) == (self.places % across >= across // 2)
            there = self.at.index_select(0, (y * across + x).clamp(0, len(self.at) - 1))
            found.append(torch.where(inside & (there >= 0), there, none))
        return nnf.pad(torch.stack(found), (0, 1), value=none)


def to_pixels(grid: Tensor, stride: int) -> Tensor:
    """A map of the grid, (height, width), with `stride` px for each position."""
    return grid.repeat_interleave(stride, 0).repeat_interleave(stride, 1)


@torch.no_grad()
def candidates(
    network: Network, rgb: Tensor, visible: Tensor, taps: Mapping[str, float], stride: int, windows: Sequence[Window]
) -> Candidates:
    """Everything a style offers. `rgb` (1, 3, height, width) and `visible` (1, 1, …) have sides on the network's
    grid; `taps` says how much each layer counts in a hypercolumn."""
    halves = [_columns(network, half, taps, stride, windows) for half in (rgb, rgb.flip(3))]
    layers = [torch.cat(pair, 1).flatten(0, 1) for pair in zip(*halves, strict=True)]
    both = torch.cat([visible, visible.flip(3)], 3)
    places = (nnf.avg_pool2d(both, stride).flatten() > 0.99 * float(both.max())).nonzero()[:, 0]
    if not len(places):
        places = torch.arange(len(layers[0]), device=rgb.device)
    at = torch.full((len(layers[0]),), HIDDEN, dtype=torch.long, device=rgb.device)
    at[places] = PASSED
    places = places[:: -(-len(places) // MOST_CANDIDATES)]
    rows = [layer[places].float() for layer in layers]
    means = tuple(row.mean(0) for row in rows)
    scales = tuple(
        weight / max(float((row - mean).square().mean().sqrt()), 1e-6)
        for row, mean, weight in zip(rows, means, taps.values(), strict=True)
    )
    vectors = nnf.normalize(_standard(rows, means, scales), dim=1)
    sample = vectors[:: max(1, len(vectors) // 8192)]
    moments = in_double(sample.T @ sample)
    # a flat style spans few dimensions, and the solver does not converge on what is left of the others
    moments += torch.eye(len(moments), device=moments.device) * (1e-6 * moments.diagonal().mean() + 1e-12)
    _, components = torch.linalg.eigh(moments)
    basis = components[:, -SEARCH_DIMENSIONS:].to(vectors).contiguous()
    # the search is most of the work, and a neighbour as near to three digits is as good
    search = torch.bfloat16 if getattr(network, "dtype", None) is torch.bfloat16 else torch.float32
    projected = nnf.normalize(vectors @ basis, dim=1).to(search)
    at[places] = torch.arange(len(places), device=rgb.device)
    both_rgb = torch.cat([rgb, rgb.flip(3)], 3)
    return Candidates(vectors, places, both_rgb, stride, means, scales, basis, projected, at)


def _columns(
    network: Network, rgb: Tensor, taps: Iterable[str], stride: int, windows: Sequence[Window]
) -> list[Tensor]:
    """Each layer on the grid, (height, width, channels), of a whole picture."""
    found: list[Tensor] = []
    for window in windows:
        layers = grid_map(network.forward(network.prepare(window.crop(rgb))), taps, stride, network.stride)
        if not found:
            found = [
                layer.new_zeros(rgb.shape[2] // stride, rgb.shape[3] // stride, layer.shape[1]) for layer in layers
            ]
        rows, columns = window.core_of_map(stride)
        for target, layer in zip(found, layers, strict=True):
            target[window.core_in_picture(stride)] = layer[0, :, rows, columns].permute(1, 2, 0)
    return found


def _standard(rows: Sequence[Tensor], means: Sequence[Tensor], scales: Sequence[float]) -> Tensor:
    found = means[0].new_empty(len(rows[0]), sum(len(mean) for mean in means))
    for part, row, mean, scale in zip(_split(found, means), rows, means, scales, strict=True):
        torch.sub(row, mean, out=part).mul_(scale / row.shape[1] ** 0.5)
    return found


def _split(rows: Tensor, means: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Each layer's part of rows (rows, channels), views."""
    return torch.split(rows, [len(mean) for mean in means], 1)
