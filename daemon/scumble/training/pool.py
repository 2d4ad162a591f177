"""The pool: procedural pictures that are looked at more than once.

Drawing is dearer than looking, and a picture seen again mirrored and in other colours is nearly new. They are kept as
**pairs**: the same contents in two styles, so that it can be asked which place of one is which of the other.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from scumble.training.fields import uniform
from scumble.training.pictures import Sample, draw, recoloured
from scumble.training.styles import Styles

BARE = -1
"""The style of a picture without marks."""
BARE_SHARE = 0.3
"""Of the first ones of the pairs so many are bare, as photographs are."""
SHIFT = 16
"""Pictures are rolled by multiples of so many px, the stride of the deepest layer."""


@dataclass(frozen=True)
class Pairs:
    """Pictures of which the first half shows what the second half shows, in other styles.

    `which` (n,) are the styles, or `BARE`. What stands at (y, x) in a picture of the first half stands at (y + down,
    x + right) in its twin, around the edges; `shift` (n / 2, 2) holds down and right in px.
    """

    sample: Sample
    which: Tensor
    shift: Tensor


class Pool:
    """Pairs that were drawn, with their styles and layouts, to be looked at more than once."""

    def __init__(self, styles: Styles, size: int, count: int, generator: torch.Generator) -> None:
        self.size = size
        self._styles, self._count, self._generator = styles, count // 2, generator
        device = generator.device
        self._pictures = torch.zeros(self._count, 2, 3, size, size, device=device)
        self._layouts = torch.zeros(self._count, 2, 2, size, size, device=device)
        self._which = torch.zeros(self._count, 2, dtype=torch.long, device=device)
        self._filled, self._next = 0, 0

    @property
    def filled(self) -> int:
        """How many pictures are in it."""
        return 2 * self._filled

    def add(self, count: int) -> None:
        """Draw so many new pictures; they take the place of the oldest."""
        g, count = self._generator, count // 2
        contents = int(torch.randint(2**31, (1,), generator=g, device=g.device))
        at = (self._next + torch.arange(count, device=g.device)) % self._count
        for half in range(2):
            which = torch.randint(0, len(self._styles), (count,), generator=g, device=g.device)
            bare = uniform((count,), g) < (0.0 if half else BARE_SHARE)
            asked = self._styles.take(which).bared(bare)
            drawn = draw(asked, torch.arange(count), self.size, g, content_seed=contents)
            self._pictures[at, half], self._layouts[at, half] = drawn.pictures, drawn.layout
            self._which[at, half] = torch.where(bare, BARE, which)
        self._next = (self._next + count) % self._count
        self._filled = min(self._count, self._filled + count)

    def take(self, count: int) -> Pairs:
        """Some pairs, `count` pictures in all; mirrored, shifted and recoloured."""
        g, count = self._generator, count // 2
        at = torch.randint(0, self._filled, (count,), generator=g, device=g.device)
        mirrored = torch.rand(count, 1, 1, 1, 1, generator=g, device=g.device) < 0.5
        both = torch.cat([self._pictures[at], self._layouts[at]], 2)
        both = torch.where(mirrored, both.flip(4), both)
        # without it a place could be told by how far it is from the edges
        shift = SHIFT * torch.randint(0, max(1, self.size // SHIFT), (count, 2), generator=g, device=g.device)
        rolled = [pair[1].roll(tuple(by), (1, 2)) for pair, by in zip(both, shift.tolist(), strict=True)]
        shown = torch.cat([both[:, 0], torch.stack(rolled)])
        return Pairs(Sample(recoloured(shown[:, :3], g), shown[:, 3:]), self._which[at].T.flatten(), shift)
