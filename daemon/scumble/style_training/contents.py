"""What a network sees while it learns: squares of pictures that Scumble draws itself, and of a
folder's photographs.

A **base** is a picture that squares are cut from, mirrored, at changing scales and half of them in other colours. Drawn
bases are scenes and procedural pictures without marks; new ones take the place of the oldest as the training goes on.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from scumble.drawn import scene
from scumble.engine.resample import resize
from scumble.errors import ScumbleError
from scumble.picture import FORMATS, load
from scumble.training.pictures import draw, recoloured
from scumble.training.styles import Styles

BASES = 24
"""How many are held at a time."""
TAKES = 40
"""After so many squares one base is exchanged for a new one."""
GROWS = 4
"""Until then there is one more after so many squares: to make all first would be a long wait."""
SCENES = 0.6
"""Of the drawn ones so many are scenes."""
_SCENE_PX, _DRAWN_PX, _PHOTO_PX = (512, 384), 256, 768


class Source(Protocol):
    """Where bases come from."""

    def base(self, number: int, generator: torch.Generator) -> Tensor:
        """The base of that number, (1, 3, height, width) in 0..1."""


class Drawn:
    """Bases that are drawn."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._styles = Styles.drawn(512, seed)
        self._styles = self._styles.bared(torch.ones(len(self._styles), dtype=torch.bool))

    def base(self, number: int, generator: torch.Generator) -> Tensor:
        """A scene or a procedural picture; each number is another."""
        if float(torch.rand((), generator=generator)) < SCENES:
            return _tensor(scene(*_SCENE_PX, self._seed + number).rgb)
        return self.drawn(generator)

    def drawn(self, generator: torch.Generator) -> Tensor:
        """A procedural picture, (1, 3, height, width)."""
        which = torch.randint(0, len(self._styles), (1,), generator=generator)
        return draw(self._styles, which, _DRAWN_PX, generator, zoom=1.5).pictures


class Photographs:
    """Bases from the pictures of a folder, in an order that changes each time all have been seen."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    @classmethod
    def of(cls, folder: Path) -> "Photographs":
        """All pictures in a folder and those below it; `ScumbleError("missing-picture")` where there are none."""
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in FORMATS and path.is_file())
        if not files:
            known = ", ".join(FORMATS)
            raise ScumbleError("missing-picture", f"There is no picture in {folder}.", f"Known are: {known}.")
        return cls(files)

    def base(self, number: int, generator: torch.Generator) -> Tensor:
        """The next picture that can be read; `ScumbleError("bad-picture")` where none can."""
        turn, place = divmod(number, len(self._files))
        order = torch.randperm(len(self._files), generator=torch.Generator().manual_seed(turn)).tolist()
        last: ScumbleError | None = None
        for step in range(len(order)):
            try:
                picture = _tensor(load(self._files[order[(place + step) % len(order)]]).rgb())
            except ScumbleError as error:
                last = error
                continue
            scale = min(1.0, _PHOTO_PX / min(picture.shape[2:]))
            return resize(picture, *(max(1, round(scale * side)) for side in picture.shape[2:])).clamp(0, 1)
        assert last is not None
        raise last


class Turns:
    """Bases from several sources by turns: photographs hardly ever have the even grounds of drawings."""

    def __init__(self, *sources: Source) -> None:
        self._sources = sources

    def base(self, number: int, generator: torch.Generator) -> Tensor:
        """The next of the source whose turn it is."""
        turn, which = divmod(number, len(self._sources))
        return self._sources[which].base(turn, generator)


def _tensor(rgb: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))[None].float()


class Contents:
    """The squares of a training; the same seed gives the same ones."""

    def __init__(self, source: Source, size: int, generator: torch.Generator) -> None:
        self._source, self._size, self._generator = source, size, generator
        self._bases: list[Tensor] = []
        self._made = self._taken = 0

    def take(self, count: int) -> Tensor:
        """So many squares, (count, 3, size, size) in 0..1."""
        squares = torch.cat([self._square() for _ in range(count)])
        return recoloured(squares, self._generator)

    def _square(self) -> Tensor:
        if len(self._bases) < BASES and self._taken % GROWS == 0:
            self._bases.append(self._next())
        elif self._taken % TAKES == 0:
            self._bases[self._made % BASES] = self._next()
        self._taken += 1
        base = self._bases[self._integer(len(self._bases))]
        least = self._size / min(base.shape[2:])
        scale = least + float(torch.rand((), generator=self._generator)) * max(0.0, 1.5 * least - least)
        height, width = (max(self._size, round(scale * side)) for side in base.shape[2:])
        scaled = resize(base, height, width).clamp(0, 1)
        top, left = self._integer(height - self._size + 1), self._integer(width - self._size + 1)
        square = scaled[:, :, top : top + self._size, left : left + self._size]
        return square.flip(3) if self._integer(2) else square

    def _next(self) -> Tensor:
        self._made += 1
        return self._source.base(self._made - 1, self._generator)

    def _integer(self, below: int) -> int:
        return int(torch.randint(0, below, (), generator=self._generator))
