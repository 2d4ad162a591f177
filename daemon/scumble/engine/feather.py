"""A selection's edge softened inwards, so that a painting runs out into the content.

The **depth** of a pixel is the share of the selection in its neighbourhood, weighted by a Gaussian: a half on a
straight edge, one deep inside. The selection is here where its mask is above zero, however little: gray parts stay as
gray as they are, and the narrower the feather, the more the mask is what it was.

The Gaussian is one of extended box filters, one after another, which take the same time for every width: boxes with a
part of a pixel at both ends, so that any deviation can be had (Gwosdek, Grewenig, Bruhn & Weickert 2011, "Theoretical
foundations of Gaussian convolution by extended box filtering", SSVM).
"""

import math

import numpy as np

from scumble.engine.box import bounds

FAINTEST = 2.0**-10
"""What is left of the mask at its very edge. Above zero, so that a feather changes neither what is selected nor its
bounds; a quarter of a step of 8 bits, so that nobody sees it."""
_BOXES = 3
_STRIP = 8  # columns that are smoothed at once: few enough to stay in a processor's cache


def feathered(mask: np.ndarray, feather_px: float) -> np.ndarray:
    """The mask (height, width) in 0..1, float32, rising over the first `feather_px` px inside its edge.

    The mask is multiplied by 2 · depth - 1, with a deviation of half the feather: nothing at the edge, 0.95 at
    `feather_px` px from a straight one. Where the deepest pixel is not one deep, in a selection thinner than the
    feather, depths are taken in parts of the deepest: its middle is always painted whole. Above zero it is where it
    was, see `FAINTEST`. The picture's own border is no edge: beyond it the selection goes on.
    """
    box = bounds(mask)
    if feather_px == 0 or box is None:
        return mask
    height, width = mask.shape
    inside = mask[box.slices] > 0
    rows = _smoothed(inside, feather_px / 2, (box.y == 0, box.y + box.height == height))
    depth = _smoothed(rows.T, feather_px / 2, (box.x == 0, box.x + box.width == width)).T
    depth *= 2 / depth.max(where=inside, initial=0)
    depth -= 1
    result = mask.copy()
    result[box.slices] *= np.clip(depth, FAINTEST, 1, out=depth)
    return result


def _smoothed(values: np.ndarray, deviation: float, goes_on: tuple[bool, bool]) -> np.ndarray:
    """(length, count) → the same, float32, smoothed along the first axis by a Gaussian of that `deviation`, in px.

    Beyond either end it is as at the end if it `goes_on` there, else zero.
    """
    radius, weight, wider_weight = _box(deviation)
    reach = _BOXES * (radius + 1)
    result = np.empty(values.shape, np.float32)
    for left in range(0, values.shape[1], _STRIP):
        columns = slice(left, left + _STRIP)
        strip = values[:, columns].astype(np.float64)
        ends = (strip[[end]] * on for end, on in zip((0, -1), goes_on, strict=True))
        before, after = (np.repeat(end, reach, axis=0) for end in ends)
        strip = np.concatenate([before, strip, after])
        for _ in range(_BOXES):
            sums = np.zeros((len(strip) + 1, strip.shape[1]))
            np.cumsum(strip, 0, out=sums[1:])
            strip = sums[2 * radius + 2 : -1] - sums[1 : -2 * radius - 2]
            strip *= weight
            wider = sums[2 * radius + 3 :] - sums[: -2 * radius - 3]
            wider *= wider_weight
            strip += wider
        result[:, columns] = strip
    return result


def _box(deviation: float) -> tuple[int, float, float]:
    """Of each box: the radius r, the weight of the 2r + 1 values in it, and that of the 2r + 3 in the next wider one.

    So chosen that all boxes together have the variance of the Gaussian, for whatever `deviation` (op. cit., section 3).
    """
    variance = deviation**2 / _BOXES
    radius = math.floor((math.sqrt(12 * variance + 1) - 1) / 2)
    length = 2 * radius + 1
    share = length * (radius * (radius + 1) - 3 * variance) / (6 * (variance - (radius + 1) ** 2))
    return radius, (1 - share) / (2 * share + length), share / (2 * share + length)
