"""Night over a bay: thick swirling paint in blues and yellows."""

import numpy as np

from scumble.drawn.strokes import Brush, Canvas, Layer, lay, layer, light
from scumble.drawn.tools import (
    Array,
    Frame,
    Rng,
    bell,
    colour,
    coverage,
    fractal,
    mix,
    noise,
    ramp,
    slope,
    smoothstep,
)

_MOON = (0.69, 0.25)
_EYES = ((0.25, 0.33, 1.0, 0.17), (0.47, 0.13, -0.8, 0.09), (*_MOON, -1.2, 0.15), (0.93, 0.47, 0.7, 0.08))
_STARS = ((0.08, 0.1), (0.33, 0.07), (0.48, 0.37), (0.9, 0.12), (0.1, 0.5), (0.62, 0.5), (0.94, 0.33))
_SHORE = 0.66


def night(width: int, height: int, seed: int) -> Array:
    """(height, width, 3) in 0..1."""
    frame, rng = Frame(width, height), np.random.default_rng(seed)
    swirl, turn = _wind(frame, rng)
    hills = _hills(frame, rng)
    picture = _colours(frame, rng, turn, hills)
    sea = np.broadcast_to(smoothstep(_SHORE - 0.01, _SHORE + 0.01, frame.v), hills.shape)
    swell = 0.35 * noise(frame, rng, 5, 2.5) * np.ones_like(hills)
    flow = np.where(hills > 0.5, -0.5 * noise(frame, rng, 2.5) - 0.3, np.where(sea > 0.5, swell, swirl))
    canvas = Canvas(frame, colour("#10204a"))
    for brush, times, jitter in (
        (Brush(0.22, 0.036, bristles=12, load=1.2), 2.2, 0.05),
        (Brush(0.13, 0.019, bristles=8, load=1.2), 1.9, 0.07),
        (Brush(0.075, 0.010, bristles=5, dry=0.25), 0.8, 0.09),
    ):
        lay(canvas, rng, brush, flow, layer(rng, picture, brush, times, jitter=jitter))
    _lights(canvas, rng, flow)
    return light(canvas, depth=0.003, shine=0.2)


def _wind(frame: Frame, rng: Rng) -> tuple[Array, Array]:
    """The flow of the sky, and how near each point is to the eye of a swirl (0..1)."""
    gx, gy = slope(frame, fractal(frame, rng, 1.6, 3))
    across, down = 1.0 - 0.12 * gy, 0.12 * gx
    near = np.zeros_like(gx)
    for u, v, spin, reach in (*_EYES, *((u, v, 3.0, 0.035) for u, v in _STARS)):
        dx, dy = frame.around(u, v)
        far = np.hypot(dx, dy)
        pull = np.float32(6 * spin) * bell(far, 1.3 * reach) / (far + 0.25 * reach) * np.float32(reach)
        across, down = across - pull * dy * 6, down + pull * dx * 6
        near = np.maximum(near, bell(far, reach) * (reach > 0.05))
    return np.arctan2(down, across).astype(np.float32), near


def _hills(frame: Frame, rng: Rng) -> Array:
    """The dark headlands on both sides of the bay, 0..1."""
    ridge = 0.02 * fractal(frame, rng, 5, 4)[:1]
    left = _SHORE - 0.03 - 0.17 * smoothstep(0.5, 0.0, frame.u) + ridge
    right = _SHORE - 0.01 - 0.10 * smoothstep(0.68, 1.05, frame.u) + ridge
    top = np.minimum(left, right)
    foot = _SHORE + 0.015 + 0.07 * smoothstep(0.35, 0.0, frame.u)
    return coverage(frame, np.maximum(top - frame.v, frame.v - foot), 0.004)


def _colours(frame: Frame, rng: Rng, near: Array, hills: Array) -> Array:
    """The colours under the brush: sky with halos, hills, and the sea with the moon's path."""
    cloud = fractal(frame, rng, 2.2, 4, stretch=2)
    moon = frame.distance(*_MOON)
    rings = 0.5 + 0.5 * np.cos(moon * 75 + cloud)
    depth = 0.30 + 0.13 * cloud + 0.26 * frame.v + 0.18 * near * np.cos(9 * near + 2 * cloud)
    sky = ramp("#0b1440 #14287a #1f4fb0 #3f86c8 #79bcd0 #bfe0cf", depth)
    glow = bell(moon, 0.20) * (0.45 + 0.55 * rings)
    sky = mix(sky, ramp("#7fb8a8 #e8cf5a #ffe98a", glow), np.clip(1.25 * glow, 0, 1))
    for u, v in _STARS:
        far = frame.distance(u, v)
        sky = mix(sky, colour("#f3dc7a"), 0.85 * bell(far, 0.032) + 0.35 * bell(far - 0.05, 0.012))
    down = (frame.v - _SHORE) / (1 - _SHORE)
    path = bell((frame.u - _MOON[0]) / (0.05 + 0.16 * np.clip(down, 0, 1)), 1.0)
    broken = smoothstep(-0.5, 0.9, fractal(frame, rng, 9, 3, stretch=5) + 0.7)
    sea = ramp("#2f74a8 #1d4f96 #142e70 #0c1a48", np.clip(down + 0.12 * cloud, 0, 1))
    sea = mix(sea, colour("#f2d56b"), 0.9 * path * broken)
    land = ramp("#0a1228 #122a3c #1d4044", 0.5 + 0.4 * noise(frame, rng, 7))
    picture = mix(sky, sea, np.broadcast_to(smoothstep(-0.01, 0.01, frame.v - _SHORE), hills.shape))
    return mix(picture, land, hills)


def _lights(canvas: Canvas, rng: Rng, flow: Array) -> None:
    """The moon, the hearts of the stars, and the windows of the town with their reflections: thick last touches."""
    frame = canvas.frame
    circle = np.arctan2(frame.around(*_MOON)[1], frame.around(*_MOON)[0]) + np.float32(np.pi / 2)
    around = rng.random(60) * 2 * np.pi
    out = 0.045 * np.sqrt(rng.random(60))
    u = _MOON[0] + out * np.cos(around) / (frame.width * frame.pixel)
    v = _MOON[1] + out * np.sin(around) / (frame.height * frame.pixel)
    _touch(canvas, rng, Brush(0.05, 0.017, load=1.6), circle, (u, v), "#fff3b0")
    stars = np.array(_STARS * 3).T + rng.normal(0, 0.007, (2, 3 * len(_STARS)))
    _touch(canvas, rng, Brush(0.03, 0.012, load=1.8), flow, (stars[0], stars[1]), "#fff6cf")
    town = np.concatenate([rng.uniform(0.02, 0.3, 14), rng.uniform(0.8, 0.98, 6)])
    level = _SHORE - 0.012 + rng.uniform(-0.03, 0.015, len(town))
    _touch(canvas, rng, Brush(0.014, 0.010, load=1.5), 0 * flow, (town, level), "#ffb53a")
    upright = np.full_like(flow, np.pi / 2)
    _touch(canvas, rng, Brush(0.06, 0.007, dry=0.5), upright, (town, level + 0.12), "#d98a35")


def _touch(canvas: Canvas, rng: Rng, brush: Brush, flow: Array, at: tuple[np.ndarray, np.ndarray], code: str) -> None:
    """Strokes of one colour at the given places."""
    u, v = (np.asarray(value, np.float32) for value in at)
    colours = colour(code) + 0.04 * rng.standard_normal((len(u), 3), dtype=np.float32)
    lay(canvas, rng, brush, flow, Layer(u, v, colours, np.ones(len(u), np.float32)))
