"""The second style loss: every position of the picture towards its nearest neighbour in the style.

**Matching** gives every position of the picture, blended with the content's own hypercolumn so that the content stands,
its nearest candidate of the style (see `candidates`), which is its target until the next matching. The matched places
also **vote**: each lays the style's own patch over its position, and where patches overlap their mean is the colour
that the pixels are drawn to, so that strokes land whole.

Sources: Kolkin et al. 2022, "Neural Neighbor Style Transfer" (matching, the cosine loss); Li & Wand 2016 (patches);
Kwatra et al. 2005, "Texture Optimization for Example-based Synthesis" (votes).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from torch import Tensor

from scumble.engine.bands import bands, on_all_cores
from scumble.engine.candidates import Candidates, add_grid_slope, grid_map, to_pixels
from scumble.engine.patches import lay
from scumble.engine.regions import RegionWeights, Rows, zeros_like_map
from scumble.engine.tiles import Window
from scumble.engine.vgg import Maps, Network

PATCH = 4
"""The side of a voting patch, in positions of the grid."""
_GATHERED = 2**11
_AT_ONCE = 2**12


def _directions(components: Tensor) -> Tensor:
    """Of the positions of one picture, (rows, dimensions), centred by its own mean: what its features are on the whole
    tells its manner, and how one place differs from the others tells what it shows."""
    away = components - components.mean(0)
    return away.div_(torch.linalg.vector_norm(away, dim=1, keepdim=True).clamp_(min=1e-12))


@dataclass
class Matched:
    """One style of one region: its candidates, its weight in the loss, and the matches of now.

    Over the whole grid: `field` (height, width) holds candidates or -1; of (height · width, dimensions) are `guides`,
    the content's leading components, of which `content_share` goes into every query, and `asked`, the picture's, only
    until it is matched.
    """

    region: RegionWeights
    candidates: Candidates
    weight: float
    content_share: float
    field: Tensor
    guides: Tensor
    asked: Tensor | None = None

    def match(self, rows: Tensor) -> None:
        """Find the neighbours of some positions (rows,) of the grid; the others get none."""
        queries = self.queries(rows)
        assert self.asked is not None
        directions, self.asked = self.asked, None
        directions[rows] = queries
        field = torch.full_like(self.field, -1).flatten()
        prices = self.candidates.prices(queries)
        field[rows] = self.candidates.match(queries, prices)
        self.field = self.candidates.cohere(field.view_as(self.field), directions, prices)

    def queries(self, rows: Tensor) -> Tensor:
        """What is looked for at some positions, (rows, dimensions) of length one."""
        assert self.asked is not None
        share = self.content_share
        found = _directions(self.guides[rows]).mul_(share).add_(_directions(self.asked[rows]), alpha=1 - share)
        return found.div_(torch.linalg.vector_norm(found, dim=1, keepdim=True).clamp_(min=1e-12))

    @classmethod
    def of(
        cls, region: RegionWeights, found: Candidates, weight: float, content_share: float, height: int, width: int
    ) -> "Matched":
        """Nothing matched yet, on a grid of `height` × `width`."""
        guides = found.basis.new_zeros(height * width, found.basis.shape[1])
        field = torch.full((height, width), -1, dtype=torch.long, device=guides.device)
        return cls(region, found, weight, content_share, field, guides)

    def places_of_pixels(self) -> Tensor:
        """For every pixel the pixel of the style, row · width + column, that its position is matched with, or -1;
        int32."""
        stride, across = self.candidates.stride, self.candidates.rgb.shape[3]
        (height, width), none = self.field.shape, (self.field < 0)[:, None, :, None]
        place = self.candidates.places[self.field.clamp(min=0)]
        corner = torch.div(place, across // stride, rounding_mode="floor") * across * stride
        corner = (corner + place % (across // stride) * stride).int()[:, None, :, None]
        step = torch.arange(stride, device=place.device, dtype=torch.int32)
        found = corner + (step[:, None] * across + step)[:, None]
        return found.masked_fill_(none, -1).view(height * stride, width * stride)


class NeighbourTerm:
    """Σ over regions and styles of weight · mean over rows of (1 − cos(hypercolumn, its match)); Kolkin et al. 2022,
    3.1.

    `grid` is the name under which the regions know the grid of `stride` px. Before the first use the content is shown
    window by window (`guide`), then the picture (`ask`), and `settle` matches what was asked.
    """

    kind = "style"
    is_local = True

    def __init__(
        self, network: Network, taps: Iterable[str], stride: int, grid: str, matched: Sequence[Matched]
    ) -> None:
        self.taps = tuple(taps)
        self._strides = network.stride
        self._stride = stride
        self._grid = grid
        self.matched = [each for each in matched if grid in each.region.maps]
        self._losses: list[Tensor] = []
        self._pulled: tuple[Maps, dict[str, Tensor]] | None = None

    @torch.no_grad()
    def guide(self, maps: Maps, window: Window) -> None:
        """Take in the content's maps: the queries lean towards its hypercolumns."""
        for each, columns, rows in self._rows(maps, window):
            places = self._places(each, rows, window)
            each.guides[places] = each.candidates.project(each.candidates.standard(columns))

    @torch.no_grad()
    def ask(self, maps: Maps, window: Window, *, by_content_alone: bool = False) -> None:
        """Take in the picture's maps: what is to be matched."""
        for each, columns, rows in self._rows(maps, window):
            places = self._places(each, rows, window)
            if each.asked is None:
                each.asked = torch.zeros_like(each.guides)
            if by_content_alone:
                each.asked[places] = each.guides[places]
            else:
                each.asked[places] = each.candidates.project(each.candidates.standard(columns))

    @torch.no_grad()
    def settle(self) -> None:
        """Match everything that was asked for, over the whole picture at once."""
        for each in self.matched:
            each.match((each.region.maps[self._grid] > 0).flatten().nonzero()[:, 0])

    @property
    def fields(self) -> list[Tensor]:
        """What the positions are matched with, (height, width) for each style of each region: for `recall`."""
        return [each.field for each in self.matched]

    def recall(self, fields: Sequence[Tensor]) -> None:
        """Match the positions as they once were. ValueError for what cannot be the matches of these."""
        if len(fields) != len(self.matched):
            raise ValueError("not as many styles")
        for each, field in zip(self.matched, fields, strict=True):
            there = each.region.maps[self._grid] > 0
            if field.shape != each.field.shape or bool(((field >= 0) != there).any()):
                raise ValueError("another grid, or another selection")
            if int(field.max()) >= len(each.candidates.places):
                raise ValueError("another style")
        for each, field in zip(self.matched, fields, strict=True):
            each.field = field.to(each.field)

    def observe(self, maps: Maps, window: Window) -> None:
        losses, slopes = self._pull(maps, window)
        self._pulled = (maps, slopes)  # of which the gradient is asked next
        self._losses += losses

    def forget(self) -> None:
        self._losses, self._pulled = [], None

    def solve(self) -> Tensor:
        losses = self._losses
        self.forget()
        return torch.stack(losses).sum() if losses else self.matched[0].field.new_zeros((), dtype=torch.float32)

    def add_gradient(self, tap: str, maps: Maps, window: Window, g: Tensor | None) -> Tensor | None:
        if tap not in self.taps:
            return g
        if self._pulled is None or self._pulled[0] is not maps:
            self._pulled = (maps, self._pull(maps, window)[1])
        slope = self._pulled[1].pop(tap, None)
        if slope is None:
            return g
        g = zeros_like_map(maps[tap]) if g is None else g
        add_grid_slope(g, slope, self._strides[tap] / self._stride)
        return g

    @torch.no_grad()
    def _pull(self, maps: Maps, window: Window) -> tuple[list[Tensor], dict[str, Tensor]]:
        """The losses of a window, scalars, and its gradient with respect to each tap on the grid, (positions,
        channels)."""
        losses: list[Tensor] = []
        on_grid: list[Tensor] | None = None
        for each, columns, rows in self._rows(maps, window):
            chosen = each.field.flatten().index_select(0, self._places(each, rows, window))
            weight = each.weight / each.region.mass[self._grid]
            loss, parts = _drawn(each.candidates, columns, chosen, weight, rows.weight)
            losses.append(loss)
            positions = self._positions(window)
            if on_grid is None and rows.are_all:
                on_grid = parts
                continue
            on_grid = on_grid or [part.new_zeros(positions, part.shape[1]) for part in parts]
            for layer, part in zip(on_grid, parts, strict=True):
                rows.add(layer, part)
        if on_grid is None:
            return losses, {}
        return losses, dict(zip(self.taps, on_grid, strict=True))

    def _rows(self, maps: Maps, window: Window) -> list[tuple[Matched, list[Tensor], Rows]]:
        layers = [
            layer.permute(0, 2, 3, 1).reshape(-1, layer.shape[1])
            for layer in grid_map(maps, self.taps, self._stride, self._strides)
        ]
        found = []
        for each in self.matched:
            rows = each.region.rows(self._grid, window)
            if rows is not None:
                found.append((each, [rows.of(layer) for layer in layers], rows))
        return found

    def _positions(self, window: Window) -> int:
        height, width = ((span.stop - span.start) // self._stride for span in (window.rows, window.columns))
        return height * width

    def _places(self, each: Matched, rows: Rows, window: Window) -> Tensor:
        """Where a window's rows lie in the whole grid, flattened."""
        width = (window.columns.stop - window.columns.start) // self._stride
        index = rows.of(torch.arange(self._positions(window), device=each.field.device)[:, None])[:, 0]
        y = torch.div(index, width, rounding_mode="floor") + window.rows.start // self._stride
        return y * each.field.shape[1] + index % width + window.columns.start // self._stride

    @torch.no_grad()
    def votes(self) -> tuple[Tensor, Tensor]:
        """What the matched patches vote for: colours (1, 3, height, width), and the votes' mass (1, 1, height,
        width)."""
        height, width = (side * self._stride for side in self.matched[0].field.shape)
        like = self.matched[0].candidates.rgb
        colours, mass = like.new_zeros(1, 3, height, width), like.new_zeros(1, 1, height, width)
        for each in self.matched:
            _vote(each, self._grid, colours, mass)
        return colours.div_(mass.clamp(min=1e-6)), mass

    @torch.no_grad()
    def lay(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """What the networks see, (1, 3, height, width), repainted with pieces from around the matched places.

        Colours and mass are as those of `votes`. Nothing can be matched after it.
        """
        for each in self.matched:
            each.guides = each.guides.new_zeros(0)  # a large picture has no room for what is not needed any more
        if len(self.matched) == 1:
            (each,) = self.matched
            there = to_pixels(each.region.maps[self._grid] > 0, self._stride)[None, None]
            return lay(each.candidates.pieces, seen, each.places_of_pixels()), there
        colours, mass = torch.zeros_like(seen), torch.zeros_like(seen[:, :1])
        for each in self.matched:
            weight = each.weight * to_pixels(each.region.maps[self._grid], self._stride)[None, None]
            colours.addcmul_(lay(each.candidates.pieces, seen, each.places_of_pixels()), weight)
            mass.add_(weight)
        return colours.div_(mass.clamp(min=1e-6)), mass


def _drawn(
    source: Candidates, columns: Sequence[Tensor], chosen: Tensor, weight: float, shares: Tensor | None
) -> tuple[Tensor, list[Tensor]]:
    """weight · Σ share · (1 − cos) between the raw rows of every layer, (rows, channels), and the candidates (rows,)
    chosen for them, and its gradients with respect to each layer's rows; `shares` (rows,) are ones by default."""
    losses, slopes = [], [torch.empty_like(layer, dtype=source.vectors.dtype) for layer in columns]
    for rows in bands(len(chosen), 1, chosen.device, _AT_ONCE):
        standard = source.standard([layer[rows] for layer in columns])
        pull = -weight if shares is None else shares[rows] * -weight
        loss, slope = _pulled(standard, nnf.embedding(chosen[rows], source.vectors), pull)
        losses.append(loss)
        source.unstandard(slope, [layer[rows] for layer in slopes])
    return torch.stack(losses).sum(), slopes


def _pulled(v: Tensor, t: Tensor, pull: Tensor | float) -> tuple[Tensor, Tensor]:
    """Σ pull · (cos − 1) over the rows of v and t, which are of length one, and its gradient with respect to v,
    pull · (t − cos · v / |v|) / |v|; uses v up. `pull` is (rows,), or one number for all."""
    length = torch.linalg.vector_norm(v, dim=1).clamp_(min=1e-8)
    cosine = torch.linalg.vecdot(v, t) / length
    pulled = pull / length
    slope = v.mul_((cosine / length)[:, None]).sub_(t).mul_(-pulled[:, None])
    return ((cosine - 1) * pull).sum(), slope


def _vote(each: Matched, grid: str, colours: Tensor, mass: Tensor) -> None:
    """Lay a patch over every position, each under a bell: add what they show to `colours` (1, 3, height, width), and
    the bells to `mass` (1, 1, height, width)."""
    source, stride, reach = each.candidates, each.candidates.stride, PATCH - 1
    margin = reach * stride // 2
    # a patch is PATCH × PATCH squares, and the square of one place is a row of this table
    squares = nnf.pixel_unshuffle(nnf.pad(source.rgb, (margin,) * 4, mode="replicate"), stride)
    squares_across = squares.shape[3]
    squares = squares[0].flatten(1).T.contiguous()
    place = source.places.index_select(0, each.field.clamp(min=0).flatten()).view_as(each.field)
    corner = place + torch.div(place, source.rgb.shape[3] // stride, rounding_mode="floor") * reach
    weight = each.weight * each.region.maps[grid] * (each.field >= 0)
    corner, weight = (nnf.pad(positions, (reach,) * 4) for positions in (corner, weight))
    bell = torch.hann_window(PATCH * stride + 2, periodic=False, device=place.device)[1:-1].view(PATCH, stride)
    bell = (bell[:, None, :, None] * bell[:, None]).flatten(2)
    rows, columns = (side + reach for side in place.shape)

    def gather(band: slice) -> None:
        height = band.stop - band.start
        shown = squares.new_zeros(height, columns, 4, stride**2)  # red, green, blue, and the bells
        for y in range(PATCH):
            for x in range(PATCH):
                there = slice(band.start + reach - y, band.stop + reach - y), slice(reach - x, reach - x + columns)
                share = weight[there][..., None] * bell[y, x]
                found = nnf.embedding(corner[there] + (y * squares_across + x), squares)
                shown[:, :, :3].addcmul_(found.view(height, columns, 3, -1), share[:, :, None])
                shown[:, :, 3] += share
        top, bottom = band.start * stride - margin, band.stop * stride - margin
        inside = slice(max(0, top), min(bottom, mass.shape[2]))
        if inside.start < inside.stop:  # a band of few rows may lie in the margin
            pixels = nnf.pixel_shuffle(shown.flatten(2).movedim(2, 0)[None], stride)
            pixels = pixels[:, :, inside.start - top : inside.stop - top, margin : margin + mass.shape[3]]
            colours[:, :, inside] += pixels[:, :3]
            mass[:, :, inside] += pixels[:, 3:]

    with on_all_cores(place.device) as run:
        run(gather, bands(rows, columns, place.device, _GATHERED))
