"""The last word on the pixels: pieces of the style itself, laid over the picture so that they agree.

A **patch** is what stands in the square of `PATCH` px around a pixel, and its **digest** the patch in the leading
components of the style's patches. A **field** (height, width) names for every pixel a place of the style, row · width +
column, or -1 for none. To `refine` a field is to move it, pixel by pixel, to where this is least:

    |digest of the picture − digest of the style|² − COHERENCE · neighbours that go on alike + EVENNESS · crowd

trying what the four neighbours' places go on to and places at random. To `paint` is to let the patches at the places
vote; to `lay` pieces is to do both in turns.

Sources: Barnes et al. 2009, "PatchMatch" (the search); Ashikhmin 2001, "Synthesizing natural textures" (going on where
a neighbour leaves off); Fišer et al. 2016, "StyLit" (no place may be used too often, or even areas become wallpaper);
Wexler et al. 2007, "Space-time completion of video" (robust votes); Kwatra et al. 2005 (search and vote in turns).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from torch import Tensor

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
_CHUNK = 2**14
_AROUND = ((0, 1), (0, -1), (1, 0), (-1, 0))


@dataclass(frozen=True)
class Pieces:
    """What a style offers: its picture `rgb` (1, 3, height, width), `allowed` (places,) where a piece may come from.

    `filters` (dimensions, 3, side, side) make digests, `digests` (places, dimensions) are the style's own, in units in
    which their variance is one.
    """

    rgb: Tensor
    allowed: Tensor
    filters: Tensor
    digests: Tensor

    @classmethod
    def of(cls, rgb: Tensor, allowed: Tensor) -> "Pieces":
        """Learn the components and the unit from the style's own allowed patches."""
        filters = _components(rgb, allowed)
        digests = _digest(rgb, filters)
        offered = digests[allowed]
        unit = float((offered - offered.mean(0)).square().sum(1).mean()) ** 0.5
        filters = filters / max(unit, 1e-4)
        return cls(rgb, allowed, filters, _digest(rgb, filters))

    @torch.no_grad()
    def refine(self, picture: Tensor, field: Tensor, generator: torch.Generator) -> Tensor:
        """A field whose patches look more like those of `picture`, (1, 3, height, width), from a field to begin
        with."""
        digests = _digest(picture, self.filters)
        for _ in range(SWEEPS):
            field = self._sweep(digests, field, generator)
        return field

    def _sweep(self, digests: Tensor, field: Tensor, generator: torch.Generator) -> Tensor:
        """Every pixel chooses among its own place, its neighbours' and two at random."""
        crowd = EVENNESS * self._crowd(field)
        for turn in turns(field):
            field = self._chosen(digests, field, turn & (field >= 0), crowd, generator)
        return field

    def _chosen(
        self, digests: Tensor, field: Tensor, choosing: Tensor, crowd: Tensor, generator: torch.Generator
    ) -> Tensor:
        height, width = field.shape
        asked = choosing.flatten().nonzero()[:, 0]
        digests = digests.index_select(0, asked)
        place = field.flatten().index_select(0, asked)
        going_on = torch.stack([self._going_on(field, dy, dx).flatten().index_select(0, asked) for dy, dx in _AROUND])

        def cost(own: Tensor, beside: Tensor, places: Tensor) -> Tensor:
            agreeing = (beside == places).sum(0)
            return self._far(own, places).sub_(agreeing, alpha=COHERENCE).add_(crowd.index_select(0, places))

        least = cost(digests, going_on, place)
        for option in going_on:
            rows = (self._offers(option) & (option != place)).nonzero()[:, 0]
            places = option.index_select(0, rows)
            found = cost(digests.index_select(0, rows), going_on.index_select(1, rows), places)
            better = (found < least.index_select(0, rows)).nonzero()[:, 0]
            rows = rows.index_select(0, better)
            place.index_copy_(0, rows, places.index_select(0, better))
            least.index_copy_(0, rows, found.index_select(0, better))
        for option in self._random(place, generator):  # nearly all are offered: to pick them out would take longer
            found = cost(digests, going_on, option.clamp(min=0))
            better = (found < least) & self._offers(option)
            place = torch.where(better, option, place)
            least = torch.where(better, found, least)
        return field.flatten().index_copy(0, asked, place).view(height, width)

    def _offers(self, places: Tensor) -> Tensor:
        """Whether pieces may come from these places, -1 for none."""
        return (places >= 0).logical_and_(self.allowed.index_select(0, places.clamp(min=0)))

    def _far(self, digests: Tensor, places: Tensor) -> Tensor:
        """The squared distance of some digests, (rows, dimensions), from those of places (rows,), float32."""
        # piecewise, so that what is gathered stays in the processor's cache
        parts = [
            (own - nnf.embedding(there, self.digests)).square_().sum(1, dtype=torch.float32)
            for own, there in zip(torch.split(digests, _CHUNK), torch.split(places, _CHUNK), strict=True)
        ]
        return torch.cat(parts) if parts else digests.new_zeros(0)

    def _crowd(self, field: Tensor) -> Tensor:
        """How often the places around each place are used; of a style smaller than the picture, in times of the
        average."""
        height, width = self.rgb.shape[2:]
        used = field[field >= 0]
        count = torch.bincount(used, minlength=height * width).float().view(1, 1, height, width)
        around = nnf.avg_pool2d(count, PATCH, 1, PATCH // 2)
        return around.flatten() / max(1.0, len(used) / max(1.0, float(self.allowed.sum())))

    def _going_on(self, field: Tensor, dy: int, dx: int) -> Tensor:
        """What the place of the pixel at (y − dy, x − dx) goes on to, -1 where it ends."""
        height, width = self.rgb.shape[2:]
        moved = shifted(field, dy, dx)
        x = moved % width + dx
        on = moved + dy * width + dx
        inside = (moved >= 0) & (x >= 0) & (x < width) & (on >= 0) & (on < height * width)
        return torch.where(inside, on, -1)

    def _random(self, place: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A place within `NEAR` px of each, and one from anywhere."""
        height, width = self.rgb.shape[2:]
        step = torch.randint(-NEAR, NEAR + 1, (2, len(place)), generator=generator).to(place.device)
        y = (torch.div(place, width, rounding_mode="floor") + step[0]).clamp(0, height - 1)
        x = (place % width + step[1]).clamp(0, width - 1)
        anywhere = torch.randint(height * width, (len(place),), generator=generator).to(place.device)
        return y * width + x, anywhere

    @torch.no_grad()
    def paint(self, field: Tensor, passes: int = 1) -> Tensor:
        """What the patches at the field's places vote for, (1, 3, height, width); 0 where none does.

        From the second pass on a vote counts the less, the farther it is from what the pass before came to: where two
        pieces meet one of them wins, instead of a blur.
        """
        height, width = field.shape
        margin, columns = VOTING // 2, self.rgb.shape[3] + 2 * (VOTING // 2)
        padded = nnf.pad(self.rgb, (margin,) * 4, mode="replicate")[0].permute(1, 2, 0).flatten(0, 1).contiguous()
        asks = (field >= 0).float()[..., None]
        place = field.clamp(min=0)
        corner = place + torch.div(place, self.rgb.shape[3], rounding_mode="floor") * 2 * margin
        bell = _bell(VOTING).tolist()
        mean: Tensor | None = None
        for _ in range(passes):
            total = padded.new_zeros(height + 2 * margin, width + 2 * margin, 3)
            mass = padded.new_zeros(height + 2 * margin, width + 2 * margin, 1)
            for dy in range(VOTING):
                for dx in range(VOTING):
                    there = (slice(dy, dy + height), slice(dx, dx + width))
                    colour = padded.index_select(0, (corner + (dy * columns + dx)).flatten()).view(height, width, 3)
                    weight = bell[dy][dx] * asks
                    if mean is not None:
                        weight = weight * torch.exp((colour - mean[there]).square().sum(2, keepdim=True) / -DOUBT)
                    total[there] += weight * colour
                    mass[there] += weight
            mean = total / mass.clamp(min=1e-12)
        assert mean is not None
        return mean[margin : margin + height, margin : margin + width].permute(2, 0, 1)[None].contiguous()


@torch.no_grad()
def lay(pieces: Pieces, picture: Tensor, field: Tensor) -> Tensor:
    """`picture` (1, 3, height, width) repainted with pieces of the style, beginning from a field, and as it is
    where the field has none: search and vote in turns. Its random places are the same in every call.
    """
    generator = torch.Generator().manual_seed(0)
    for left in reversed(range(ROUNDS)):
        field = pieces.refine(picture, field, generator)
        painted = pieces.paint(field, passes=1 if left else LAST_PASSES)
        picture = torch.where(field >= 0, painted, picture)
    return picture


def shifted(field: Tensor, dy: int, dx: int) -> Tensor:
    """What stands at (y − dy, x − dx) of a field (height, width), −1 beyond the edge."""
    moved = torch.full_like(field, -1)
    height, width = field.shape
    moved[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)] = field[
        max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)
    ]
    return moved


def turns(field: Tensor) -> tuple[Tensor, Tensor]:
    """The black and the white squares of a chessboard the size of a field: who chooses first and who next. Were all to
    choose at once after their neighbours, these would change places for ever."""
    y, x = (torch.arange(side, device=field.device) for side in field.shape)
    black = (y[:, None] + x) % 2 == 1
    return black, ~black


def _bell(side: int) -> Tensor:
    bell = torch.hann_window(side + 2, periodic=False)[1:-1]
    return bell[:, None] * bell / bell.sum() ** 2


def _components(rgb: Tensor, allowed: Tensor) -> Tensor:
    """The leading components of the weighted patches, as filters; after PCA on moments about gray."""
    root = _bell(PATCH).sqrt().to(rgb.device)
    padded = nnf.pad(rgb - 0.5, (PATCH // 2,) * 4, mode="replicate")[0]
    places = allowed.nonzero()[:, 0]
    places = places[:: max(1, len(places) // 8192)]
    width = rgb.shape[3]
    y, x = torch.div(places, width, rounding_mode="floor"), places % width
    patches = padded.unfold(1, PATCH, 1).unfold(2, PATCH, 1)[:, y, x]
    rows = (patches * root).permute(1, 0, 2, 3).flatten(1).double()
    moments = rows.T @ rows
    moments += torch.eye(len(moments), device=moments.device) * (1e-9 * moments.diagonal().mean() + 1e-12)
    _, components = torch.linalg.eigh(moments)
    leading: Tensor = components[:, -DIMENSIONS:].T.reshape(-1, 3, PATCH, PATCH).to(rgb.dtype)
    return (leading * root).contiguous()


def _digest(rgb: Tensor, filters: Tensor) -> Tensor:
    """The digest of every patch of a picture, (height · width, dimensions)."""
    found = nnf.conv2d(nnf.pad(rgb - 0.5, (PATCH // 2,) * 4, mode="replicate"), filters)
    return found[0].permute(1, 2, 0).flatten(0, 1).contiguous()
