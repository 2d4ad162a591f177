"""Tools of the drawn pictures: frames, noise, sampling, shapes and colours.

A *frame* is the picture's coordinate system: `u`, `v` run from 0 to 1 over its width and height (for placing things),
`x`, `y` are in *sides*, where a side is the geometric mean of width and height (for lengths: a circle stays a circle).
A *field* is an array (height, width) float32 over the frame. *Cells* counts how many grains of noise lie along a side.
Everything is measured in sides, so a composition stays the same at every size and only gains detail.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating[Any]]
Picture = NDArray[np.float32]  # what is handed out: (height, width, channels)
Rng = np.random.Generator

_SPLINE_DEVIATION = 0.479  # how much a cubic B-spline calms white noise, in both directions together


@dataclass(frozen=True)
class Frame:
    """The coordinates of a picture of `width` × `height` pixels."""

    width: int
    height: int

    @property
    def side(self) -> float:
        """Pixels in one side."""
        return float(np.sqrt(self.width * self.height))

    @property
    def pixel(self) -> float:
        """The size of one pixel, in sides."""
        return 1.0 / self.side

    @cached_property
    def u(self) -> Array:
        """(1, width): 0 at the left edge, 1 at the right."""
        return ((np.arange(self.width, dtype=np.float32) + 0.5) / np.float32(self.width))[None, :]

    @cached_property
    def v(self) -> Array:
        """(height, 1): 0 at the top, 1 at the bottom."""
        return ((np.arange(self.height, dtype=np.float32) + 0.5) / np.float32(self.height))[:, None]

    @cached_property
    def x(self) -> Array:
        """(1, width) in sides."""
        return self.u * np.float32(self.width * self.pixel)

    @cached_property
    def y(self) -> Array:
        """(height, 1) in sides."""
        return self.v * np.float32(self.height * self.pixel)

    def around(self, u: float, v: float) -> tuple[Array, Array]:
        """Offsets in sides from the point (u, v): (1, width) and (height, 1)."""
        return self.x - np.float32(u * self.width * self.pixel), self.y - np.float32(v * self.height * self.pixel)

    def distance(self, u: float, v: float) -> Array:
        """A field: the distance in sides from the point (u, v)."""
        dx, dy = self.around(u, v)
        return np.hypot(dx, dy)


# ---- numbers


def smoothstep(low: float, high: float, value: ArrayLike) -> Array:
    """0 below `low`, 1 above `high`, smooth between (`low` may be the larger one: then it falls)."""
    t: Array = np.clip((np.asarray(value, np.float32) - np.float32(low)) / np.float32(high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: ArrayLike, b: ArrayLike, share: ArrayLike) -> Array:
    """`a` where share is 0, `b` where it is 1. A field mixes colours too: it gains the channel axis by itself."""
    start, end, part = (np.asarray(value, np.float32) for value in (a, b, share))
    if part.ndim == 2 and max(start.ndim, end.ndim) != 2:
        part = part[..., None]
    return start + (end - start) * part


def bell(value: ArrayLike, width: float) -> Array:
    """A Gaussian bump: 1 at zero."""
    bump: Array = np.exp(-np.square(np.asarray(value, np.float32) / np.float32(width)))
    return bump


# ---- noise


def _refine(lattice: Array, samples: int, cells: float) -> Array:
    """The cubic B-spline through a lattice, down its columns: `samples` rows over `cells` of its spans."""
    at = (np.arange(samples) + 0.5) / samples * cells
    base = np.floor(at).astype(int)
    t = (at - base).astype(np.float32)
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    if len(lattice) > 400:  # mostly zeros: taking four rows costs less than multiplying them all
        return np.asarray(sum(lattice[base + k] * (weight / 6)[:, None] for k, weight in enumerate(weights)))
    rows = np.zeros((samples, len(lattice)), np.float32)
    for k, weight in enumerate(weights):
        rows[np.arange(samples), base + k] = weight / 6
    return rows @ lattice


def grain(rng: Rng, shape: tuple[int, int], cells: tuple[float, float]) -> Array:
    """Smooth noise (shape) of deviation about 1, with so many cells down and across."""
    lattice = rng.standard_normal((int(np.ceil(cells[0])) + 3, int(np.ceil(cells[1])) + 3), dtype=np.float32)
    lattice /= np.float32(_SPLINE_DEVIATION)
    wide = np.ascontiguousarray(_refine(lattice.T, shape[1], cells[1]).T)
    return _refine(wide, shape[0], cells[0])


def noise(frame: Frame, rng: Rng, cells: float, stretch: float = 1.0) -> Array:
    """A smooth field of deviation about 1; `stretch` above 1 draws the grains out sideways."""
    down, across = cells * frame.height * frame.pixel, cells / stretch * frame.width * frame.pixel
    return grain(rng, (frame.height, frame.width), (down, across))


def fractal(frame: Frame, rng: Rng, cells: float, octaves: int = 6, gain: float = 0.5, stretch: float = 1.0) -> Array:
    """Noise upon finer noise, deviation about 1: each octave doubles the cells and is `gain` times as strong."""
    total = np.zeros((frame.height, frame.width), np.float32)
    for octave, child in enumerate(rng.spawn(octaves)):
        if octave and cells * 2**octave > 0.6 * frame.side:
            break  # finer than the pixels; the children keep the rest of the picture independent of this
        total += np.float32(gain**octave) * noise(frame, child, cells * 2**octave, stretch)
    return total / np.float32(np.sqrt(sum(gain ** (2 * octave) for octave in range(octaves))))


# ---- moving and smoothing fields


def sample(field: Array, rows: ArrayLike, columns: ArrayLike, wrap: bool = False) -> Array:
    """`field` (h, w) or (h, w, n) read bilinearly at pixel positions; outside it repeats its edge, or itself."""
    height, width = field.shape[:2]
    r, c = np.asarray(rows, np.float32), np.asarray(columns, np.float32)
    if not wrap:
        r, c = np.clip(r, 0, height - 1), np.clip(c, 0, width - 1)
    top, left = np.floor(r).astype(np.int32), np.floor(c).astype(np.int32)
    fr, fc = r - top, c - left
    below, right = top + 1, left + 1
    if wrap:
        top, below, left, right = top % height, below % height, left % width, right % width
    else:
        below, right = np.minimum(below, height - 1), np.minimum(right, width - 1)
    if field.ndim == 3:
        fr, fc = fr[..., None], fc[..., None]
    flat = field.reshape(height * width, *field.shape[2:])
    upper, lower = (
        one + (other - one) * fc
        for one, other in (
            (flat.take(row * width + left, axis=0), flat.take(row * width + right, axis=0)) for row in (top, below)
        )
    )
    blend: Array = (upper + (lower - upper) * fr).astype(np.float32, copy=False)
    return blend


def _box(field: Array, radius: int, axis: int) -> Array:
    """The running mean over 2·radius+1 pixels along one axis."""
    edges = [(0, 0)] * field.ndim
    edges[axis] = (radius + 1, radius)
    total = np.cumsum(np.pad(field, edges, mode="edge"), axis=axis, dtype=np.float64)
    size = field.shape[axis]
    after = np.take(total, range(2 * radius + 1, 2 * radius + 1 + size), axis)
    before = np.take(total, range(size), axis)
    return ((after - before) / (2 * radius + 1)).astype(np.float32)


def blur(frame: Frame, field: Array, sigma: float) -> Array:
    """`field` (or colours) softened over about `sigma` sides: two boxes make a tent."""
    radius = round(sigma * frame.side)
    for axis in (0, 1) * 2 if radius else ():
        field = _box(field, radius, axis)
    return field


def slope(frame: Frame, field: Array) -> tuple[Array, Array]:
    """The gradient of a field per side: (across, down)."""
    down, across = np.gradient(field, np.float32(frame.pixel))
    return np.asarray(across), np.asarray(down)


# ---- shapes: signed distances in sides, negative inside


def coverage(frame: Frame, distance: ArrayLike, softness: float = 0.0) -> Array:
    """The share of each pixel that lies inside a shape: an anti-aliased mask, softened by `softness` sides."""
    half = max(0.7 * frame.pixel, softness)
    return smoothstep(half, -half, distance)


def box(dx: Array, dy: Array, half_width: float, half_height: float) -> Array:
    """The signed distance to an upright rectangle centred on (0, 0)."""
    qx, qy = np.abs(dx) - np.float32(half_width), np.abs(dy) - np.float32(half_height)
    return np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0)


# ---- colours


def colour(code: str) -> Array:
    """(3,) in 0..1 from "#rrggbb"."""
    return np.array([int(code[k : k + 2], 16) for k in (1, 3, 5)], np.float32) / np.float32(255)


def ramp(codes: str, position: ArrayLike) -> Array:
    """Colours (..., 3) along the palette `codes` ("#rrggbb #rrggbb …"), from its first at 0 to its last at 1."""
    stops = np.stack([colour(code) for code in codes.split()])
    knots = np.linspace(0, 1, len(stops))
    at = np.asarray(position, np.float32)
    return np.stack([np.interp(at, knots, stops[:, k]) for k in range(3)], axis=-1).astype(np.float32)


def decode(rgb: ArrayLike) -> Array:
    """sRGB-encoded values to linear light."""
    value = np.asarray(rgb, np.float32)
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)


def encode(light: ArrayLike) -> Array:
    """Linear light to sRGB-encoded values in 0..1."""
    value = np.clip(np.asarray(light, np.float32), 0, 1)
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055).astype(np.float32)
