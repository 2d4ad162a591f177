"""The last word on the pixels: pieces of the style itself, laid over the picture so that they agree.

A **patch** is what stands in the square of `PATCH` px around a pixel, and its **digest** the patch in the leading
components of the style's patches. A **field** (height, width) names for every pixel a place of the style, row · width +
column, or -1 for none. To refine a field is to move it, pixel by pixel, to where this is least:

    |digest of the picture − digest of the style|² − COHERENCE · neighbours that go on alike + EVENNESS · crowd

trying what the four neighbours' places go on to and places at random. To paint is to let the patches at the places
vote; to `lay` pieces is to do both in turns.

Inside, places are those of the style with a margin of `NEAR` px around it, which costs too much to be chosen: whatever
is near a place is a place then, and needs no test.

Sources: Barnes et al. 2009, "PatchMatch" (the search); Ashikhmin 2001, "Synthesizing natural textures" (going on where
a neighbour leaves off); Fišer et al. 2016, "StyLit" (no place may be used too often, or even areas become wallpaper);
Wexler et al. 2007, "Space-time completion of video" (robust votes); Kwatra et al. 2005 (search and vote in turns).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as nnf
from torch import Tensor

from scumble.engine.bands import Each, bands, choosing, on_all_cores
from scumble.engine.machine import in_double

PATCH = 7
DIMENSIONS = 16
"""Patches are compared in so many of their 147 dimensions; more cost time and bring little."""
COHERENCE = 0.1
"""What a place gains for each of the four neighbours whose place it goes on from, in units of the style's variance."""
EVENNESS = 0.02
"""What a place pays each time that it is used, in the same units."""
ROUNDS, SWEEPS = 2, 3
"""So often the patches vote, each time after so many sweeps."""
LAST_PASSES = 2
"""How often the last votes are weighed."""
VOTING = 5
"""The side of the square that votes, in px."""
DOUBT = 0.01
"""A vote so far from the others' mean counts 1/e, in squared colour values."""
NEAR = 16
"""Random places are sought within so many px, and anywhere."""
_LEADING = 4
"""Most places at random are told to be too far by so many dimensions."""
_FORBIDDEN = 1e9
_NONE_AT = NEAR // 2
_AROUND = ((0, 1), (0, -1), (1, 0), (-1, 0))


@dataclass(frozen=True)
class Pieces:
    """What a style offers: its picture `rgb` (1, 3, height, width), `allowed` (places,) where a piece may come from.

    `filters` (dimensions, 3, side, side) make digests in units in which the variance of the style's own is one. With
    the margin around, (places, …), are `digests` (dimensions), bfloat16, the leading dimensions last; `leading`, these
    by themselves; and `colours` (4), red, green, blue, 1, or zeros where there is nothing.
    """

    rgb: Tensor
    allowed: Tensor
    filters: Tensor
    digests: Tensor
    leading: Tensor
    colours: Tensor

    @classmethod
    def of(cls, rgb: Tensor, allowed: Tensor) -> "Pieces":
        """Learn the components and the unit from the style's own allowed patches."""
        filters, (height, width) = _components(rgb, allowed), rgb.shape[2:]
        digests = torch.zeros(
            height + 2 * NEAR, width + 2 * NEAR, len(filters), dtype=torch.bfloat16, device=rgb.device
        )
        for rows in bands(height, width, rgb.device):
            digests[NEAR + rows.start : NEAR + rows.stop, NEAR : NEAR + width] = digest(rgb, filters, rows)
        reach = VOTING // 2
        colours = nnf.pad(torch.cat([rgb, torch.ones_like(rgb[:, :1])], 1), (reach,) * 4, mode="replicate")
        colours = nnf.pad(colours, (NEAR - reach,) * 4)[0].flatten(1).T.contiguous()
        digests = digests.flatten(0, 1)
        return cls(rgb, allowed, filters, digests, digests[:, -_LEADING:].contiguous(), colours)

    @property
    def across(self) -> int:
        """Places in a row, with the margin."""
        return self.rgb.shape[3] + 2 * NEAR

    @property
    def none(self) -> int:
        """The place that stands for none, in the midst of the margin."""
        return _NONE_AT * self.across + _NONE_AT

    def with_margin(self, field: Tensor) -> Tensor:
        """A field with places in the style's margin and, as large as a piece's reach, none around; int32."""
        width, reach = self.rgb.shape[3], VOTING // 2
        height, columns = field.shape
        found = torch.full((height + 2 * reach, columns + 2 * reach), self.none, dtype=torch.int32, device=field.device)
        places = field + (torch.div(field, width, rounding_mode="floor") + NEAR) * (2 * NEAR) + NEAR * (width + 1)
        found[reach : reach + height, reach : reach + columns] = torch.where(field < 0, self.none, places)
        return found

    def prices(self, field: Tensor) -> Tensor:
        """What each place costs by itself, (places,), for it is not allowed or used already: how often the places
        around are used; of a style smaller than the picture, in times of the average."""
        height, width = self.rgb.shape[2:]
        counts = torch.bincount(field.flatten(), minlength=len(self.digests))
        counts[self.none] = 0
        counts = counts.view(-1, self.across).float()
        first = NEAR - PATCH // 2
        around = _sum(counts[first + dy : first + dy + height] for dy in range(PATCH))
        around = _sum(around[:, first + dx : first + dx + width] for dx in range(PATCH))
        unit = PATCH**2 * max(1.0, float(counts.sum()) / max(1.0, float(self.allowed.sum())))
        around = (around * (EVENNESS / unit)).masked_fill_(~self.allowed.view(height, width), _FORBIDDEN)
        return nnf.pad(around, (NEAR,) * 4, value=_FORBIDDEN).flatten()


@dataclass(frozen=True)
class Laying:
    """Pieces on their way over a picture `picture` (1, 3, height, width), into which they are painted.

    `field` is that of `Pieces.with_margin`, `digests` (height, width, dimensions) those of the picture, bfloat16.
    """

    pieces: Pieces
    picture: Tensor
    field: Tensor
    digests: Tensor

    @classmethod
    def of(cls, pieces: Pieces, picture: Tensor, field: Tensor) -> "Laying":
        """Pieces that lie as a field (height, width) says, over a copy of the picture."""
        digests = torch.empty(*field.shape, len(pieces.filters), dtype=torch.bfloat16, device=picture.device)
        return cls(pieces, picture.clone(memory_format=torch.contiguous_format), pieces.with_margin(field), digests)

    def look(self, rows: slice) -> None:
        """Learn the digests of some rows of the picture."""
        self.digests[rows] = digest(self.picture, self.pieces.filters, rows)

    def sweep(self, each: Each, parts: Sequence[slice], seed: int) -> None:
        """Every pixel chooses among its own place, its neighbours' and two at random; `parts` are bands of rows."""
        prices = self.pieces.prices(self.field)
        for turn in range(2):
            each(partial(self._choose, turn=turn, prices=prices, seed=seed + turn), parts)

    def _choose(self, rows: slice, turn: int, prices: Tensor, seed: int) -> None:
        at, asked = choosing(self.field, VOTING // 2, self.pieces.none, rows, turn)
        if not len(asked):
            return
        across, stride = self.pieces.across, self.field.shape[1]
        own = self.digests[rows].flatten(0, 1).index_select(0, asked).float()
        field = self.field.view(-1)
        place = field.index_select(0, at)
        options = torch.stack(
            [field.index_select(0, at - (dy * stride + dx)) + (dy * across + dx) for dy, dx in _AROUND]
        )
        least = self._far(own, place).add_(prices.index_select(0, place))
        least.sub_((options == place).sum(0), alpha=COHERENCE)
        place, least = self._gone_on(own, place, least, options, prices)
        place = self._by_chance(own, place, least, prices, seed * 2**24 + rows.start)
        field.index_copy_(0, at, place)

    def _far(self, own: Tensor, places: Tensor) -> Tensor:
        """The squared distances of some digests, (rows, dimensions), from those of places (rows,)."""
        away = (nnf.embedding(places, self.pieces.digests) - own).square_()
        return away @ away.new_ones(away.shape[1])

    def _gone_on(
        self, own: Tensor, place: Tensor, least: Tensor, options: Tensor, prices: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The cheapest of the places (rows,), which cost `least`, and of the options (neighbours, rows)."""
        asked = (options != place).flatten().nonzero()[:, 0]
        row = asked % len(place)
        places = options.flatten().index_select(0, asked)
        found = self._far(own.index_select(0, row), places).add_(prices.index_select(0, places))
        found.sub_((options.index_select(1, row) == places).sum(0), alpha=COHERENCE)
        costs = torch.full(options.shape, _FORBIDDEN, device=own.device)
        costs.view(-1).index_copy_(0, asked, found)
        for option, cost in zip(options, costs, strict=True):
            place = torch.where(cost < least, option, place)
            least = torch.minimum(cost, least)
        return place, least

    def _by_chance(self, own: Tensor, place: Tensor, least: Tensor, prices: Tensor, seed: int) -> Tensor:
        """The cheapest of the places, which cost `least`, of one within `NEAR` px of each, and of one from anywhere.

        None of these gains by going on from a neighbour: as that it was tried before.
        """
        across, generator = self.pieces.across, torch.Generator().manual_seed(seed)

        def within(low: int, height: int, width: int) -> Tensor:
            y, x = (
                torch.randint(low, low + side, (len(place),), generator=generator, dtype=torch.int32)
                for side in (height, width)
            )
            return y.mul_(across).add_(x).to(place.device)

        near = place + within(-NEAR, 2 * NEAR + 1, 2 * NEAR + 1)
        anywhere = within(NEAR, *self.pieces.rgb.shape[2:])
        for places in (near, anywhere):
            price = prices.index_select(0, places)
            away = nnf.embedding(places, self.pieces.leading).float().sub_(own[:, -_LEADING:]).square_()
            row = (price.add(away @ away.new_ones(_LEADING)) < least).nonzero()[:, 0]
            places = places.index_select(0, row)
            found = self._far(own.index_select(0, row), places).add_(price.index_select(0, row))
            better = (found < least.index_select(0, row)).nonzero()[:, 0]
            row = row.index_select(0, better)
            place = place.index_copy(0, row, places.index_select(0, better))
            least = least.index_copy(0, row, found.index_select(0, better))
        return place

    def paint(self, rows: slice, passes: int) -> None:
        """Paint what the patches at the field's places vote for, and leave the picture where none does.

        From the second pass on a vote counts the less, the farther it is from what the pass before came to: where two
        pieces meet one of them wins, instead of a blur.
        """
        height, width = rows.stop - rows.start, self.picture.shape[3]
        bell = _bell(VOTING).tolist()
        mean: Tensor | None = None
        for _ in range(passes):
            total = self.picture.new_zeros(height * width, 4)
            for dy in range(VOTING):
                for dx in range(VOTING):
                    y, x = rows.start + VOTING - 1 - dy, VOTING - 1 - dx
                    onward = (dy - VOTING // 2) * self.pieces.across + dx - VOTING // 2
                    places = self.field[y : y + height, x : x + width] + onward
                    colour = nnf.embedding(places.flatten(), self.pieces.colours)
                    if mean is None:
                        total.add_(colour, alpha=bell[dy][dx])
                    else:
                        away = (colour - mean).square_() @ colour.new_full((4,), -1 / DOUBT)
                        total.addcmul_(colour, away.exp_()[:, None], value=bell[dy][dx])
            mean = total / total[:, 3:].clamp(min=1e-12)
        assert mean is not None
        asks = self.field[rows.start + VOTING // 2 : rows.stop + VOTING // 2, VOTING // 2 : VOTING // 2 + width]
        there = self.picture[0, :, rows]
        there.copy_(torch.where(asks != self.pieces.none, mean[:, :3].T.view(3, height, width), there))


@torch.no_grad()
def lay(pieces: Pieces, picture: Tensor, field: Tensor) -> Tensor:
    """`picture` (1, 3, height, width) repainted with pieces of the style, beginning from a field, and as it is
    where the field has none: search and vote in turns. Its random places are the same in every call.
    """
    laying = Laying.of(pieces, picture, field)
    height, width = field.shape
    parts = bands(height, width, picture.device)
    with on_all_cores(picture.device) as each:
        for left in reversed(range(ROUNDS)):
            each(laying.look, parts)
            for sweep in range(SWEEPS):
                laying.sweep(each, parts, 2 * (left * SWEEPS + sweep))
            each(partial(laying.paint, passes=1 if left else LAST_PASSES), parts)
    return laying.picture


def _bell(side: int) -> Tensor:
    bell = torch.hann_window(side + 2, periodic=False)[1:-1]
    return bell[:, None] * bell / bell.sum() ** 2


def _sum(parts: Iterable[Tensor]) -> Tensor:
    total, *others = parts
    total = total.clone()
    for part in others:
        total += part
    return total


def _components(rgb: Tensor, allowed: Tensor) -> Tensor:
    """The leading components of the weighted patches, as filters, in units in which the variance of what they find is
    one; after PCA on moments about gray, of a sample."""
    root = _bell(PATCH).sqrt().to(rgb.device)
    padded = nnf.pad(rgb - 0.5, (PATCH // 2,) * 4, mode="replicate")[0]
    places = allowed.nonzero()[:, 0]
    places = places[:: max(1, len(places) // 8192)]
    width = rgb.shape[3]
    y, x = torch.div(places, width, rounding_mode="floor"), places % width
    patches = padded.unfold(1, PATCH, 1).unfold(2, PATCH, 1)[:, y, x]
    rows = in_double((patches * root).permute(1, 0, 2, 3).flatten(1))
    moments = rows.T @ rows
    moments += torch.eye(len(moments), device=moments.device) * (1e-9 * moments.diagonal().mean() + 1e-12)
    _, components = torch.linalg.eigh(moments)
    leading = components[:, -DIMENSIONS:]
    found = rows @ leading
    unit = max(float((found - found.mean(0)).square().sum(1).mean()) ** 0.5, 1e-4)
    filters: Tensor = (leading / unit).T.reshape(-1, 3, PATCH, PATCH).to(rgb)
    return (filters * root).contiguous()


def digest(rgb: Tensor, filters: Tensor, rows: slice) -> Tensor:
    """The digests of the patches around some rows of a picture, (rows, width, dimensions); its edge is repeated."""
    reach, height = PATCH // 2, rgb.shape[2]
    seen = rgb[:, :, max(0, rows.start - reach) : rows.stop + reach] - 0.5
    beyond = reach, reach, max(0, reach - rows.start), max(0, rows.stop + reach - height)
    return nnf.conv2d(nnf.pad(seen, beyond, mode="replicate"), filters)[0].permute(1, 2, 0)
