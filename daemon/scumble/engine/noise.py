"""Noise beside the picture: what a network begins its strokes from where the picture is even.

A network answers equals with equals: without noise an even sky becomes a regular texture, the same at every place, and
with it no two strokes are alike (Ulyanov et al. 2016, "Texture Networks"). The noise belongs to the place, so that a
strip of it is as in one piece, and it goes on for as long as a picture is large. There is a map for each of
`NOISE_SCALES`.
"""

from functools import cache

import torch
from torch import Tensor

from scumble.engine.shape import NOISE_SCALES

_SIDE = 1024
PERIOD = _SIDE * max(NOISE_SCALES)
"""After so many px all of it begins anew."""
Place = tuple[int, int]
"""Which row and column of the noise belong to the picture's first px."""
ORIGIN: Place = (0, 0)


def place(generator: torch.Generator) -> Place:
    """One drawn at random."""
    row, column = torch.randint(0, PERIOD, (2,), generator=generator).tolist()
    return row, column


def noise(first: int, last: int, width: int, at: Place, device: torch.device) -> Tensor:
    """Rows `first` to `last` of all maps, (1, maps, rows, width), float32: normal, of mean 0 and variance 1."""
    maps = [
        _smooth(lattice, scale, (at[0] + first, at[0] + last), (at[1], at[1] + width))
        for lattice, scale in zip(_lattices(device), NOISE_SCALES, strict=True)
    ]
    return torch.stack(maps)[None]


@cache
def _lattices(device: torch.device) -> Tensor:
    return torch.randn(len(NOISE_SCALES), _SIDE, _SIDE, generator=torch.Generator().manual_seed(0)).to(device)


def _smooth(lattice: Tensor, scale: int, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    """What lies in these rows and columns, bilinear between values `scale` px apart."""
    found = lattice
    for dim, (first, last) in enumerate((rows, columns)):
        px = torch.arange(first, last, device=lattice.device)
        before = torch.div(px, scale, rounding_mode="floor")
        here, next_ = (found.index_select(dim, which % _SIDE) for which in (before, before + 1))
        share = (px % scale / scale).unsqueeze(1 - dim)
        # between two values is less of either, and the variance would fall
        found = torch.lerp(here, next_, share) / (share.square() + (1 - share).square()).sqrt()
    return found
