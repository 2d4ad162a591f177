"""A river in summer: dabs of pure colour set side by side, each with its complement among them."""

import numpy as np

from scumble.drawn.strokes import Brush, Canvas, Layer, lay, layer, light
from scumble.drawn.tools import Array, Frame, Rng, bell, colour, coverage, fractal, mix, noise, ramp, slope, smoothstep

_HORIZON = 0.40
_SAILS = ((0.62, 0.60, 0.34), (0.86, 0.455, 0.12))  # u, v of the foot, height in sides
_CROWNS = (
    (0.30, 0.14, 0.085),
    (0.05, 0.30, 0.090),
    (0.03, 0.07, 0.120),
    (0.18, 0.06, 0.110),
    (0.28, 0.25, 0.070),
    (0.11, 0.20, 0.110),
    (0.21, 0.17, 0.090),
    (0.17, 0.31, 0.065),
)
_GREY = np.array([0.3, 0.59, 0.11], np.float32)


def dabs(width: int, height: int, seed: int) -> Array:
    """(height, width, 3) in 0..1."""
    frame, rng = Frame(width, height), np.random.default_rng(seed)
    picture = _river(frame, rng)
    across, down = slope(frame, noise(frame, rng, 3))
    flow = np.arctan2(across, -down).astype(np.float32)
    canvas = Canvas(frame, colour("#e8dcc0"))
    lay(canvas, rng, Brush(0.05, 0.026, bristles=6, load=0.5), flow, layer(rng, picture, Brush(0.05, 0.026), 1.6))
    for size, times, strength in ((0.0185, 1.5, 1.0), (0.0125, 1.3, 1.3)):
        dab = Brush(size * 1.25, size, bristles=3, point=0.55, load=1.3, streak=0.6, vary=0.2)
        dots = layer(rng, picture, dab, times, jitter=0.02)
        lay(canvas, rng, dab, flow, Layer(dots.u, dots.v, _divide(rng, dots.colours, strength), dots.sizes))
    return light(canvas, depth=0.0014, shine=0.06)


def _divide(rng: Rng, colours: Array, strength: float) -> Array:
    """Mixed colours taken apart into purer ones that mix again in the eye: warmer, cooler, and some complements."""
    grey = (colours @ _GREY)[:, None]
    hue = (colours - grey) * 1.15
    kind = rng.random(len(colours))[:, None]
    warm, cool = np.array([0.10, 0.03, -0.13], np.float32), np.array([-0.11, -0.02, 0.11], np.float32)
    push = np.where(kind < 0.36, warm, np.where(kind < 0.72, cool, 0)) * strength
    pure = np.where(kind > 0.86, -0.75 * strength * hue, hue)
    value = 0.04 * strength * rng.standard_normal((len(colours), 1))
    return np.clip(0.95 * grey + pure + push + value, 0.02, 0.97).astype(np.float32)


def _river(frame: Frame, rng: Rng) -> Array:
    """What is to be seen: a sky, the far bank, the river with its sails, a meadow and the trees that shade it."""
    haze = fractal(frame, rng, 2, 4, stretch=2.5)
    sky = ramp("#7fb0dc #a9cbe4 #e6d9cf #fbdcae #fbe6b0", np.clip(frame.v / _HORIZON + 0.12 * haze, 0, 1))
    bank_top = _HORIZON - 0.055 - 0.030 * np.abs(fractal(frame, rng, 4, 4)[:1]) - 0.09 * smoothstep(0.45, 1.1, frame.u)
    bank = mix(colour("#4f5fa4"), colour("#6f9a5c"), smoothstep(-0.6, 0.8, noise(frame, rng, 7, 1.5)))
    depth = np.clip((frame.v - _HORIZON) / 0.42, 0, 1) + 0.10 * fractal(frame, rng, 8, 3, stretch=6)
    river = ramp("#f6dfae #a9c6cf #5f9fc4 #3f74b0", depth)
    river = mix(river, colour("#7c88a8"), 0.75 * smoothstep(0.09, 0.0, frame.v - _HORIZON - 0.015 * haze))
    picture = mix(sky, bank, coverage(frame, bank_top - frame.v))
    picture = mix(picture, river, coverage(frame, _HORIZON - frame.v + 0 * haze))
    for u, foot, tall in _SAILS:
        picture = _sail(frame, picture, u, foot, tall)
    return _trees(frame, rng, _meadow(frame, rng, picture))


def _sail(frame: Frame, picture: Array, u: float, foot: float, tall: float) -> Array:
    """A boat with a main sail and a jib, half in the light, and its broken mirror image."""
    dx, dy = frame.around(u, foot)
    for below, strength in ((True, 0.6), (False, 1.0)):
        up = (dy * 0.9 if below else -dy) / tall
        across = (dx + (0.012 * np.sin(dy * 150) if below else 0)) / tall
        main = np.maximum(across - 0.40 * np.clip(1 - up, 0, 1) ** 0.75, -across)
        jib = np.maximum(-across - 0.24 * np.clip(0.86 - up, 0, 1), across + 0.02)
        sails = np.maximum(np.minimum(main, jib), np.maximum(0.10 - up, up - 1)) * tall
        lit = mix(colour("#b0485a"), colour("#f7a648"), smoothstep(-0.02, 0.10, across - 0.02 * up))
        picture = mix(picture, lit, coverage(frame, sails) * strength)
    hull = np.maximum(
        np.abs(dx - 0.05 * tall) - 0.36 * tall + 1.6 * np.maximum(dy + 0.06 * tall, 0), np.abs(dy) - 0.065 * tall
    )
    return mix(picture, colour("#3a2a5c"), coverage(frame, hull))


def _meadow(frame: Frame, rng: Rng, picture: Array) -> Array:
    """The near bank: sunlit grass with flowers, and the long violet shadow of the trees."""
    edge = 0.97 - 0.36 * smoothstep(0.85, 0.05, frame.u) + 0.012 * fractal(frame, rng, 5, 4)[:1]
    inside = coverage(frame, edge - frame.v, 0.004)
    sunny = ramp("#5f9a3a #9cc24a #d8d860 #f0dc78", 0.5 + 0.22 * fractal(frame, rng, 6, 4, stretch=2))
    shade = ramp("#2f4a78 #3c6a6a #3f7f50", 0.5 + 0.25 * fractal(frame, rng, 6, 4, stretch=2))
    dark = bell((frame.v - 0.73 - 0.22 * frame.u + 0.02 * noise(frame, rng, 6)) / 0.055, 1.0) * smoothstep(
        0.62, 0.4, frame.u
    )
    meadow = mix(sunny, shade, dark)
    flowers = smoothstep(1.5, 1.9, noise(frame, rng, 34)) * smoothstep(-0.4, 0.8, noise(frame, rng, 4))
    return mix(picture, mix(meadow, colour("#e0506a"), flowers), inside)


def _trees(frame: Frame, rng: Rng, picture: Array) -> Array:
    """Two trunks and their crowns, orange where the sun comes from, blue where it does not."""
    ragged = 0.034 * fractal(frame, rng, 8, 5)
    for u, lean in ((0.13, 0.02), (0.235, -0.015)):
        dx, _ = frame.around(u, 0)
        bend = dx - lean * np.sin(frame.v * 7)
        trunk = coverage(
            frame, np.maximum(np.abs(bend) - 0.014 - 0.012 * (frame.v > 0.7), np.abs(frame.v - 0.46) - 0.27)
        )
        picture = mix(picture, mix(colour("#4a3566"), colour("#c77a44"), smoothstep(-0.01, 0.012, bend)), trunk)
    for u, v, size in _CROWNS:
        dx, dy = frame.around(u, v)
        inside = coverage(frame, np.hypot(dx, 1.15 * dy) - size + ragged, 0.006)
        sun = (dx - dy) / size + 1.1 * noise(frame, rng, 11)
        picture = mix(picture, ramp("#1e2f64 #24584e #3f7f3c #86a83c #e0b24a", 0.42 + 0.20 * sun), inside)
    return picture
