"""The six paintings, by name: the styles that need no download.

Each is a picture of its own, with its own palette and its own way of making marks, drawn by code from a seed.
"""

from collections.abc import Callable

import numpy as np

from scumble.drawn.bands import bands
from scumble.drawn.dabs import dabs
from scumble.drawn.glass import glass
from scumble.drawn.night import night
from scumble.drawn.tools import Array, Picture
from scumble.drawn.watercolour import watercolour
from scumble.drawn.woodcut import woodcut

_SMALL = 600_000  # pixels; up to here paint edges are smoothed by painting at twice the size


def _smoothed(paint: Callable[[int, int, int], Array]) -> Callable[[int, int, int], Array]:
    """The same painter, but small pictures are painted at twice the size and averaged down."""

    def painter(width: int, height: int, seed: int) -> Array:
        if width * height > _SMALL:
            return paint(width, height, seed)
        fine = paint(2 * width, 2 * height, seed)
        return np.asarray(fine.reshape(height, 2, width, 2, 3).mean(axis=(1, 3), dtype=np.float32))

    return painter


PAINTINGS: dict[str, Callable[[int, int, int], Array]] = {
    "night": _smoothed(night),
    "dabs": _smoothed(dabs),
    "woodcut": woodcut,
    "watercolour": watercolour,
    "glass": glass,
    "bands": _smoothed(bands),
}


def painting(name: str, width: int = 512, height: int = 512, seed: int = 0) -> Picture:
    """A painting (height, width, 3), float32, sRGB-encoded in 0..1; sizes from 32 to 2048 pixels a side.

    The same name, size and seed give the same picture; the composition does not depend on the size.
    """
    if name not in PAINTINGS:
        raise ValueError(f"There is no painting called {name!r}; there are {', '.join(PAINTINGS)}.")
    return np.asarray(PAINTINGS[name](width, height, seed), np.float32)
