"""A rectangle of a picture, and the one around a mask."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Box:
    """A rectangle of the content, in px."""

    x: int
    y: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """(rows, columns) of an array (height, width, …)."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


def bounds(mask: np.ndarray) -> Box | None:
    """The smallest box around all pixels above zero of a mask (height, width); None for an empty one."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    return Box(int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1))
