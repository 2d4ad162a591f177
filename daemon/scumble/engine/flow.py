"""How a video moves: from two frames to where each pixel was before, and how far that is to be believed.

The **way back** (height, width, 2) leads from every pixel of a frame to where it was in the frame before, in px, right
and down; a picture of the frame before is **moved** along it to lie over this frame. **Trust** (height, width) is 1
where the way back leads to the same thing and 0 where it cannot: where something has just come into sight, where two
motions meet, where what is found there looks otherwise. All pictures are (height, width, 3) float32, nominally 0..1.

Sources: Ruder, Dosovitskiy & Brox 2016, "Artistic style transfer for videos", section 3.3 (there and back, and the
edges of motions, after Sundaram, Brox & Keutzer 2010); Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse
Search", as OpenCV has it.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LARGEST = 1024
"""The longest side at which motion is looked for, in px: more takes long, and tells the same."""
LEAST = 64
"""The shortest one; what is smaller is enlarged."""
ASTRAY, ASTRAY_ANYWAY = 0.01, 0.5
"""There and back may miss, squared, by so much of the squared ways, and by so many px² anyway."""
STEEP, STEEP_ANYWAY = 0.01, 0.002
"""At most so much, of the squared way and anyway, does the way back change, squared, from one px to the next where one
thing moves."""
UNLIKE = 0.1
"""By so much of the range, on average around a pixel, may a colour differ from what it was before."""
AROUND = 5
"""The side of that surrounding, in px."""
BEYOND = 0.05
"""So many px beyond the edge are still in the picture: what stands still is never found to stand quite still."""
SOFT = 5
"""Over so many px trust fades in, from where there is none."""


@dataclass(frozen=True)
class Motion:
    """From one frame to the next."""

    way_back: Floats
    trust: Floats

    @cached_property
    def trusted(self) -> float:
        """The share of the frame that is trusted."""
        return float(self.trust.mean())

    def moved(self, picture: Floats) -> Floats:
        """A picture of the frame before, (height, width) or (height, width, channels), as it lies over this one."""
        return moved(picture, self.way_back)


def motion(before: Floats, after: Floats) -> Motion:
    """How things moved from one frame to the next of the same size."""
    height, width = after.shape[:2]
    shrink = min(1.0, LARGEST / max(height, width))
    size = (max(LEAST, round(width * shrink)), max(LEAST, round(height * shrink)))
    frames = [_at(frame, size) for frame in (before, after)]
    grays = [np.rint(np.clip(frame.mean(axis=2), 0, 1) * 255).astype(np.uint8) for frame in frames]
    there, back = _flow(*grays), _flow(*reversed(grays))
    trust = _trust(there, back, *frames)
    ways = _at(back, (width, height)) * np.array([width / size[0], height / size[1]], np.float32)
    return Motion(ways, np.clip(_at(trust, (width, height)), 0, 1))


def moved(picture: Floats, way_back: Floats) -> Floats:
    """A picture (height, width) or (height, width, channels) as it lies along a way back; its edge is repeated."""
    height, width = way_back.shape[:2]
    x = way_back[..., 0] + np.arange(width, dtype=np.float32)
    y = way_back[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    # a sharp filter: what is moved a hundred times must not blur
    found = cv2.remap(picture, x, y, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
    return np.clip(np.asarray(found, np.float32), picture.min(), picture.max())


def _flow(source: NDArray[np.uint8], target: NDArray[np.uint8]) -> Floats:
    """For every pixel of one gray frame where it is in the other."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    return np.asarray(search.calc(source, target, np.zeros((*source.shape, 2), np.float32)), np.float32)


def _trust(there: Floats, back: Floats, before: Floats, after: Floats) -> Floats:
    height, width = after.shape[:2]
    squared = _squares(back)
    onward = moved(there, back)
    astray = _squares(onward + back) > ASTRAY * (squared + _squares(onward)) + ASTRAY_ANYWAY
    slopes = sum(_squares(np.gradient(back, axis=axis)) for axis in (0, 1))
    steep = slopes > STEEP * squared + STEEP_ANYWAY
    away = np.abs(moved(before, back) - after).max(axis=2)
    unlike = cv2.blur(away, (AROUND, AROUND)) > UNLIKE
    x, y = back[..., 0] + np.arange(width), back[..., 1] + np.arange(height)[:, None]
    outside = (x < -BEYOND) | (y < -BEYOND) | (x > width - 1 + BEYOND) | (y > height - 1 + BEYOND)
    doubted = (astray | steep | unlike | outside).astype(np.uint8)
    far = cv2.distanceTransform(1 - doubted, cv2.DIST_L2, 3) if doubted.any() else np.full_like(away, SOFT)
    return np.clip(np.asarray(far, np.float32) / SOFT, 0, 1)


def _squares(ways: NDArray[np.floating]) -> Floats:
    return np.asarray(np.square(ways).sum(axis=2), np.float32)


def _at(picture: Floats, size: tuple[int, int]) -> Floats:
    """A picture at another size, (width, height)."""
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    how = cv2.INTER_AREA if size[0] * size[1] < width * height else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.float32)
