"""Square contents of any size: the bundled scene, which takes minutes to draw at 4096 px, side by side."""

import numpy as np

from scumble.drawn import scene
from scumble.picture import Picture

_DRAWN = 1024


def square(side: int) -> Picture:
    """`side` × `side` px, 8 bits; a multiple of 1024 above that."""
    drawn = Picture.from_rgb(scene(min(side, _DRAWN), min(side, _DRAWN)).rgb)
    times = max(1, side // _DRAWN)
    return Picture(np.tile(drawn.pixels, (times, times, 1)))
