"""A landscape from heights: what a camera over a lake sees of mountains, shores and their mirror image.

The *world* is in metres: `x` to the right, `z` away from the camera, height above the water. A *survey* samples it on
rays: one column of the picture is one ray over the ground, with `depth` steps that grow with the distance. Heights
below zero are under water.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scumble.drawn.tools import Array, Rng, sample, smoothstep

Steps = NDArray[np.int32]

HORIZON = 0.56  # where the water would end, as v
FOCAL = 1.5  # in heights of the picture
EYE = 5.0  # metres above the water
_STRETCHES = ((12.0, 240.0, 0.5), (600.0, 8000.0, 1.3))  # from, to, steps for each row of the picture; between: water
_PERIOD = 32.0  # cells until a tile repeats


@dataclass(frozen=True)
class Survey:
    """The world along the rays: `z` (depth, 1), the others (depth, columns); `bearing` is x per z of each column."""

    z: Array
    bearing: Array
    height: Array

    @property
    def x(self) -> Array:
        return self.bearing * self.z

    @property
    def land(self) -> Array:
        """1 on land, 0 on water, soft over a hand's breadth of the shore."""
        return smoothstep(-0.12, 0.12, self.height)


def tile(rng: Rng) -> Array:
    """Smooth noise (256, 256) of deviation 1 that repeats itself seamlessly."""
    white = np.fft.rfft2(rng.standard_normal((256, 256)))
    down, across = np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None, :]
    smooth = np.fft.irfft2(white * np.exp(-((down**2 + across**2) * (256 / _PERIOD * 2.2) ** 2)), s=(256, 256))
    return np.asarray(smooth / smooth.std(), np.float32)


def rough(ground: Array, x: Array, z: Array, cell: float, octaves: int = 5, gain: float = 0.5) -> Array:
    """Fractal noise of deviation about 1 over the world; its largest grains are `cell` metres wide."""
    total = np.zeros(np.broadcast_shapes(x.shape, z.shape), np.float32)
    for octave in range(octaves):
        total += np.float32(gain**octave) * _octave(ground, x, z, cell, octave)
    return total / np.float32(np.sqrt(sum(gain ** (2 * octave) for octave in range(octaves))))


def ridged(ground: Array, x: Array, z: Array, cell: float, octaves: int = 8) -> Array:
    """Mountain relief, about 0..1: sharp ridges, rougher on high ground than in the valleys."""
    total = np.zeros(np.broadcast_shapes(x.shape, z.shape), np.float32)
    weight, scale = np.float32(1), 0.0
    for octave in range(octaves):
        crest = np.square(1 - np.minimum(np.abs(_octave(ground, x, z, cell, octave)), 1)) * weight
        total += np.float32(0.5**octave) * crest
        scale += 0.5**octave
        weight = np.clip(crest * 1.9, 0, 1)
    return total / np.float32(0.62 * scale)


def _octave(ground: Array, x: Array, z: Array, cell: float, octave: int) -> Array:
    """One octave of noise, turned and shifted so that octaves do not line up."""
    turn, pixels = 0.6 + 1.1 * octave, 256 / _PERIOD * 2.0**octave / cell
    cos, sin = np.float32(np.cos(turn) * pixels), np.float32(np.sin(turn) * pixels)
    return sample(ground, x * sin + z * cos + 37.3 * octave, x * cos - z * sin + 91.7 * octave, wrap=True)


def rays(width: int, height: int) -> tuple[Array, Array]:
    """The depths (steps, 1) and the bearings (1, width) of a survey for a picture of this size."""
    parts = [np.geomspace(near, far, max(64, round(share * height))) for near, far, share in _STRETCHES]
    z = np.concatenate(parts).astype(np.float32)[:, None]
    across = (np.arange(width) + 0.5) / width - 0.5
    return z, (across * width / height / FOCAL).astype(np.float32)[None, :]


def normals(survey: Survey) -> tuple[Array, Array, Array]:
    """The unit normals of the ground: (right, up, away)."""
    spacing = float(survey.bearing[0, 1] - survey.bearing[0, 0])
    right = -np.gradient(survey.height, axis=1) / (spacing * survey.z)
    away = -np.gradient(survey.height, axis=0) / np.gradient(survey.z, axis=0) - survey.bearing * right
    length = np.sqrt(right**2 + away**2 + 1)
    return right / length, 1 / length, away / length


def visible(survey: Survey, rows: int) -> tuple[Array, Array]:
    """The step in depth that each pixel sees (rows, columns), fractional, and its share of ground rather than sky."""
    rise = (np.maximum(survey.height, 0) - EYE) / survey.z
    skyline = np.maximum.accumulate(rise, axis=0)
    steps, columns = rise.shape
    skyline = skyline + np.arange(steps)[:, None] * 1e-9  # np.interp wants it to rise
    pixel_rise = (HORIZON - (np.arange(rows) + 0.5) / rows) / FOCAL
    index = np.arange(steps, dtype=np.float64)
    seen = np.stack([np.interp(pixel_rise, skyline[:, column], index) for column in range(columns)], axis=1)
    share = np.clip((skyline[-1] - pixel_rise[:, None]) * (FOCAL * rows) + 0.5, 0, 1)
    return seen.astype(np.float32), share.astype(np.float32)


def mirrored(survey: Survey, rows: int) -> tuple[Steps, Array]:
    """What each pixel of still water mirrors: its step in depth (rows, columns), and 1 where that is land, not sky."""
    step = np.full((rows, survey.height.shape[1]), -1, np.int32)
    foot = rows * (HORIZON + FOCAL * EYE / survey.z[:, 0])
    top = rows * (HORIZON + FOCAL * (EYE + survey.height) / survey.z)
    middle = np.arange(rows)[:, None] + 0.5
    for k in range(len(foot) - 1, -1, -1):
        first, last = int(foot[k]), int(min(rows, np.ceil(top[k].max())))
        if first < last:
            step[first:last][middle[first:last] <= top[k]] = k
    return np.maximum(step, 0), (step >= 0).astype(np.float32)


def look_up(values: Array, step: Array | Steps) -> Array:
    """Values (depth, columns[, n]) of a survey at the step that each pixel sees, blended where that is fractional."""
    columns = np.arange(values.shape[1])[None, :]
    first = step.astype(np.int32)
    found: Array = values[first, columns]
    if step.dtype == np.int32:
        return found
    share = (step - first)[(...,) + (None,) * (values.ndim - 2)]
    return found + (values[np.minimum(first + 1, len(values) - 1), columns] - found) * share
