"""The pool: procedural pictures that are looked at more than once.

Drawing is dearer than looking, and a picture seen again mirrored and in other colours is nearly new.
"""

import torch
from torch import Tensor

from scumble.training.pictures import Sample, draw, recoloured
from scumble.training.styles import Styles


class Pool:
    """Pictures that were drawn, with their styles and layouts, to be looked at more than once."""

    def __init__(self, styles: Styles, size: int, count: int, generator: torch.Generator) -> None:
        self.size = size
        self._styles, self._count, self._generator = styles, count, generator
        device = generator.device
        self._pictures = torch.zeros(count, 3, size, size, device=device)
        self._layouts = torch.zeros(count, 2, size, size, device=device)
        self._which = torch.zeros(count, dtype=torch.long, device=device)
        self._filled, self._next = 0, 0

    @property
    def filled(self) -> int:
        """How many pictures are in it."""
        return self._filled

    def add(self, count: int) -> None:
        """Draw so many new ones; they take the place of the oldest."""
        which = torch.randint(0, len(self._styles), (count,), generator=self._generator, device=self._generator.device)
        drawn = draw(self._styles, which, self.size, self._generator)
        at = (self._next + torch.arange(count, device=which.device)) % self._count
        self._pictures[at], self._layouts[at], self._which[at] = drawn.pictures, drawn.layout, which
        self._next = (self._next + count) % self._count
        self._filled = min(self._count, self._filled + count)

    def take(self, count: int) -> tuple[Sample, Tensor]:
        """Some pictures, mirrored and recoloured, and their styles (count,)."""
        g = self._generator
        at = torch.randint(0, self._filled, (count,), generator=g, device=g.device)
        mirrored = torch.rand(count, 1, 1, 1, generator=g, device=g.device) < 0.5
        pictures, layouts = self._pictures[at], self._layouts[at]
        pictures = torch.where(mirrored, pictures.flip(3), pictures)
        layouts = torch.where(mirrored, layouts.flip(3), layouts)
        return Sample(recoloured(pictures, g), layouts), self._which[at]
