"""A misty valley with poppies: watercolour washes on rough paper.

A *wash* is a pool of pigment: its density gathers at its drying edge, settles in the pits of the paper (granulation)
and is pushed about by drops of water (blooms). Pigments only take light away: washes multiply.
"""

import numpy as np

from scumble.drawn.strokes import Brush, Canvas, Layer, lay, layer
from scumble.drawn.tools import Array, Frame, Rng, bell, blur, colour, fractal, mix, noise, smoothstep


def watercolour(width: int, height: int, seed: int) -> Array:
    """(height, width, 3) in 0..1."""
    frame, rng = Frame(width, height), np.random.default_rng(seed)
    tooth = fractal(frame, rng, 70, 4, gain=0.8)
    picture: Array = np.broadcast_to(colour("#fbf7ee"), (height, width, 3)).astype(np.float32)
    poppies, reserved = _poppies(frame, rng, tooth)
    for part in (_sky, _hills, _birches):
        picture = picture * part(frame, rng, tooth)
    picture = picture * mix(_meadow(frame, rng, tooth), np.ones(3, np.float32), 0.92 * reserved) * poppies
    return _on_paper(frame, rng, picture, tooth)


def _wash(
    frame: Frame,
    rng: Rng,
    tooth: Array,
    inside: Array,
    pigment: str,
    density: Array | float = 1.0,
    granulation: float = 0.18,
    wet: float = 0.004,
    ragged: float = 0.006,
) -> Array:
    """What a wash leaves of the light (h, w, 3): `inside` is positive in the pool, in sides from its edge."""
    inside = inside + ragged * fractal(frame, rng, 8, 4) + 0.2 * ragged * tooth
    pool = smoothstep(-wet, wet, inside)
    rim = bell(inside - wet - 0.002, 0.0045 + 0.4 * wet) * np.float32(0.004 / wet) ** 0.5
    cloudy = 1 + 0.24 * fractal(frame, rng, 2.5, 4) + granulation * tooth
    body = pool * np.clip(density * cloudy + 0.42 * rim * np.clip(density, 0.3, 1), 0, None)
    return _through(pigment, body)


def _through(pigment: str, density: Array) -> Array:
    """The light that is left after so much of a pigment: its own colour at density 1, deeper beyond."""
    taken = -np.log(np.clip(colour(pigment), 0.02, 0.995))
    return np.exp(-density[..., None] * taken)


def _bloom(frame: Frame, rng: Rng, u: float, v: float, size: float) -> Array:
    """How a drop of water thins a drying wash: a pale patch with a dark, branched rim; about 1 elsewhere."""
    far = frame.distance(u, v) + 0.30 * size * fractal(frame, rng, 6 + 0.5 / size, 5, gain=0.65)
    return 1 - 0.55 * smoothstep(size, 0.5 * size, far) + 0.40 * bell(far - size, 0.07 * size + 0.002)


def _sky(frame: Frame, rng: Rng, tooth: Array) -> Array:
    """Cerulean run into a rose horizon, wet in wet, with the sun left white."""
    cloud = fractal(frame, rng, 2.2, 6, stretch=1.7)
    blue = np.clip(0.95 - 1.75 * frame.v, 0, 1) * smoothstep(0.9, -0.7, cloud) * _bloom(frame, rng, 0.82, 0.12, 0.10)
    rose = bell(frame.v - 0.36, 0.16) * (0.55 + 0.25 * noise(frame, rng, 3))
    sun = smoothstep(0.052, 0.075, frame.distance(0.64, 0.27) + 0.003 * fractal(frame, rng, 12, 3))
    page = 0 * frame.u + 1 - 1.25 * frame.v
    left = _wash(frame, rng, tooth, page * np.ones_like(cloud), "#7fb4d6", blue * sun, granulation=0.28)
    return (
        left * _through("#f3b5a0", rose * sun) * _through("#f6dc9a", bell(frame.distance(0.64, 0.27), 0.22) * sun * 0.9)
    )


def _hills(frame: Frame, rng: Rng, tooth: Array) -> Array:
    """Four ranges, each nearer one darker and greener, each fading into mist at its foot."""
    left: Array = np.ones((frame.height, frame.width, 3), np.float32)
    for top, rise, pigment, strength in (
        (0.40, 0.060, "#a9b3d6", 0.75),
        (0.47, 0.055, "#7f97bf", 0.85),
        (0.55, 0.045, "#5f8f96", 1.0),
        (0.63, 0.035, "#5f8a58", 1.1),
    ):
        line = top - rise * noise(frame, rng, 2.2)[:1] - 0.014 * fractal(frame, rng, 9, 4)[:1]
        inside = frame.v - line
        mist = strength * (0.18 + 0.82 * np.exp(-np.clip(inside, 0, 1) / 0.085)) * smoothstep(0.30, 0.12, inside)
        mist = mist * _bloom(frame, rng, float(rng.uniform(0.1, 0.9)), top + 0.05, 0.07)
        left = left * _wash(frame, rng, tooth, np.minimum(inside, 0.3 - inside), pigment, mist)
    return left


def _meadow(frame: Frame, rng: Rng, tooth: Array) -> Array:
    """A warm field in two washes, and dry strokes of grass over them."""
    edge = 0.70 + 0.05 * np.sin(frame.u * 4 + 1) + 0 * frame.v
    drift = fractal(frame, rng, 3, 5, stretch=2)
    light = _wash(frame, rng, tooth, frame.v - edge, "#d9cf78", 0.75 + 0.25 * drift)
    near = 0.84 - 0.07 * np.sin(frame.u * 5) - frame.v
    pools = np.clip(0.7 + 0.4 * drift, 0.1, 2) * _bloom(frame, rng, 0.55, 0.93, 0.09)
    shade = _wash(frame, rng, tooth, -near, "#86a850", pools, wet=0.02, granulation=0.26)
    grass = Brush(0.09, 0.0055, bristles=2, point=1.0, opacity=0.55, vary=0.3)
    flow = (-1.45 + 0.3 * noise(frame, rng, 4) + 0.35 * noise(frame, rng, 30)).astype(np.float32)
    glaze = Canvas(frame, colour("#ffffff"))
    picture = colour("#7a9a48") + np.zeros_like(light)
    where = smoothstep(0.80, 1.0, frame.v) * smoothstep(-0.6, 0.8, drift)
    lay(glaze, rng, grass, flow, layer(rng, picture, grass, 0.8, where=where, jitter=0.08))
    return light * shade * np.clip(glaze.paint, 0, 1)


def _birches(frame: Frame, rng: Rng, tooth: Array) -> Array:
    """Three bare trunks on the left and the leaves they drop into the sky, drops of one full brush."""
    left: Array = np.ones((frame.height, frame.width, 3), np.float32)
    for u, lean, wide, foot in ((0.13, 0.05, 0.019, 0.83), (0.22, -0.03, 0.014, 0.79), (0.07, -0.05, 0.011, 0.78)):
        dx, _ = frame.around(u, 0)
        bend = dx - lean * (foot - frame.v) + 0.012 * np.sin(frame.v * 9 + u * 30)
        inside = np.minimum(wide * (0.35 + 0.75 * frame.v / foot) - np.abs(bend), foot - frame.v) - 0.002
        side = 0.45 + 0.75 * smoothstep(-0.006, 0.010, bend) + 0.5 * smoothstep(0.6, 1.6, noise(frame, rng, 22, 2.5))
        left = left * _wash(frame, rng, tooth, inside, "#7d6f78", side, wet=0.002, ragged=0.002)
    for code, count in (("#9fbc4a", 170), ("#e2b03a", 130), ("#6f9a4a", 80)):
        at = (0.15 + 0.11 * rng.standard_normal(count), 0.20 + 0.13 * rng.standard_normal(count))
        left = left * _drops(frame, rng, tooth, _pool(frame, rng, at, 0.018), 0.018, code)
    return left


def _poppies(frame: Frame, rng: Rng, tooth: Array) -> tuple[Array, Array]:
    """Poppies, larger towards the viewer: petals run together, a dark heart; and the paper kept white for them."""
    left: Array = np.ones((frame.height, frame.width, 3), np.float32)
    reserved = np.zeros((frame.height, frame.width), np.float32)
    for low, high, size, count in ((0.735, 0.79, 0.010, 40), (0.80, 0.86, 0.020, 20), (0.875, 0.95, 0.040, 9)):
        across = (np.arange(count) + rng.random(count)) / count
        heart = np.stack([0.03 + 0.94 * across, rng.uniform(low, high, count)])
        petals = np.concatenate([heart + 0.30 * size * rng.standard_normal((2, count)) for _ in range(3)], axis=1)
        pool = _pool(frame, rng, (petals[0], petals[1]), size)
        reserved = np.maximum(reserved, pool)
        left = left * _drops(frame, rng, tooth, pool, size, "#ec4530")
        if size > 0.015:
            hearts = _pool(frame, rng, (heart[0], heart[1] + 0.1 * size), 0.3 * size)
            left = left * _drops(frame, rng, tooth, hearts, size, "#5a3a4c")
    return left, reserved


def _pool(frame: Frame, rng: Rng, at: tuple[np.ndarray, np.ndarray], size: float) -> Array:
    """Where drops of about this size stand on the paper, set down at (u, v) with a pointed brush."""
    u, v = (np.asarray(value, np.float32) for value in at)
    dot = Brush(1.5 * size, size, bristles=3, point=0.8, streak=0.0, vary=0.3)
    sheet = Canvas(frame, np.zeros(3, np.float32))
    flow = np.float32(np.pi) * noise(frame, rng, 6)
    sizes = np.exp(0.35 * np.clip(rng.standard_normal(len(u)), -2, 2)).astype(np.float32)
    lay(sheet, rng, dot, flow, Layer(u, v, np.ones((len(u), 3), np.float32), sizes))
    return np.clip(sheet.paint[..., 0], 0, 1)


def _drops(frame: Frame, rng: Rng, tooth: Array, pool: Array, size: float, pigment: str) -> Array:
    """The light left by drops of pigment, each drying with an edge of its own."""
    rim = np.clip(pool - blur(frame, pool, 0.16 * size), 0, 1)
    return _through(pigment, pool * np.clip(0.66 + 0.9 * rim + 0.25 * fractal(frame, rng, 20, 3) + 0.12 * tooth, 0, 2))


def _on_paper(frame: Frame, rng: Rng, picture: Array, tooth: Array) -> Array:
    """The sheet: a bare, uneven margin, and light grazing the tooth of the paper."""
    edge = np.minimum(np.minimum(frame.x, frame.x[0, -1] - frame.x), np.minimum(frame.y, frame.y[-1, 0] - frame.y))
    painted = smoothstep(0.018, 0.026, edge + 0.004 * fractal(frame, rng, 6, 5))
    sheet = colour("#fbf7ee") + (picture - colour("#fbf7ee")) * painted[..., None]
    relief = np.gradient(blur(frame, tooth, 0.0012), axis=1) + np.gradient(blur(frame, tooth, 0.0012), axis=0)
    lit = sheet * (1 + 0.035 * np.tanh(1.2 * relief))[..., None]
    return np.clip(lit, 0, 1).astype(np.float32)
