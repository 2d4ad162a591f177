"""Evening over a fjord: long streaked bands of orange above dark blue-green, and a tree bent by the same wind."""

import numpy as np

from scumble.drawn.strokes import Brush, Canvas, lay, layer, light
from scumble.drawn.tools import Array, Frame, Rng, bell, colour, coverage, fractal, mix, noise, ramp, slope, smoothstep

_SUN = (0.36, 0.40)


def bands(width: int, height: int, seed: int) -> Array:
    """(height, width, 3) in 0..1."""
    frame, rng = Frame(width, height), np.random.default_rng(seed)
    wave = _wave(frame, rng)
    land = _land(frame, rng)
    tree, grown = _tree(frame)
    picture = _colours(frame, rng, wave, land)
    picture = mix(picture, ramp("#06141a #0e3036 #1f5550", 0.5 + 0.3 * noise(frame, rng, 9)), tree)
    across, down = slope(frame, wave)
    flow = np.arctan2(across, -down)
    flow = np.where(np.cos(flow) < 0, flow + np.pi, flow)
    flow = np.where(tree > 0.4, grown, flow).astype(np.float32)
    canvas = Canvas(frame, colour("#3a1d16"))
    for brush, times, jitter in (
        (Brush(0.36, 0.030, bristles=14, dry=0.15, streak=2.0, load=0.8, vary=0.2), 2.0, 0.03),
        (Brush(0.22, 0.015, bristles=8, dry=0.45, streak=2.2, load=0.9, vary=0.25), 1.5, 0.07),
        (Brush(0.12, 0.007, bristles=4, dry=0.55, streak=2.0, vary=0.25), 0.5, 0.11),
    ):
        lay(canvas, rng, brush, flow, layer(rng, picture, brush, times, jitter=jitter))
    fine = Brush(0.06, 0.010, bristles=6, dry=0.3, streak=1.6, vary=0.2)
    lay(canvas, rng, fine, flow, layer(rng, picture, fine, 2.5, where=tree, jitter=0.04))
    _sun(canvas, rng)
    return light(canvas, depth=0.0014, shine=0.05)


def _sun(canvas: Canvas, rng: Rng) -> None:
    """The disc of the sun, turned on with a full brush after everything else."""
    dx, dy = canvas.frame.around(*_SUN)
    far = np.hypot(dx, dy)
    around = np.arctan2(dx, -dy).astype(np.float32)
    colours = ramp("#fff6cf #ffe48a #ffb83c #ee6a1e", far / 0.125)
    turn = Brush(0.07, 0.012, bristles=6, load=1.4, streak=1.2, vary=0.15)
    disc = smoothstep(0.118, 0.085, far)
    lay(canvas, rng, turn, around, layer(rng, colours, turn, 3.5, where=disc, jitter=0.02))
    heart = Brush(0.03, 0.02, bristles=5, load=1.4)
    lay(
        canvas,
        rng,
        heart,
        around,
        layer(rng, colours, heart, 4, where=coverage(canvas.frame, far - 0.018), jitter=0.01),
    )


def _wave(frame: Frame, rng: Rng) -> Array:
    """The height of the bands: they sway across the sky, part around the sun, and follow the shore below."""
    dx, dy = frame.around(*_SUN)
    sway = 0.055 * np.sin(5.2 * frame.u + 9 * frame.v) + 0.03 * np.sin(11 * frame.u - 7 * frame.v + 1)
    drift = 0.035 * fractal(frame, rng, 2.2, 3, stretch=2)
    part = -dy * np.float32(0.015) / np.maximum(dx**2 + dy**2, 0.011)  # as a stream parts around a pillar
    shore = 0.55 * smoothstep(0.55, 1.0, frame.v) * (frame.u - 0.5)
    return frame.v + sway + drift + part + shore


def _land(frame: Frame, rng: Rng) -> tuple[Array, Array, Array]:
    """Masks of the far mountains, the water and the near shore."""
    ridge = 0.012 * fractal(frame, rng, 6, 4)[:1]
    peaks = 0.10 * bell(frame.u - 0.70, 0.15) + 0.07 * bell(frame.u - 0.47, 0.09) + 0.12 * bell(frame.u - 0.98, 0.12)
    far = coverage(frame, 0.535 - peaks + ridge - frame.v, 0.002)
    water = coverage(frame, 0.535 - 0.02 * frame.u - frame.v, 0.002)
    near = coverage(frame, 0.94 - 0.30 * smoothstep(0.25, 1.0, frame.u) - 0.1 * bell(frame.u, 0.2) + ridge - frame.v)
    return far, water, near


def _colours(frame: Frame, rng: Rng, wave: Array, land: tuple[Array, Array, Array]) -> Array:
    """Stripes by the height of the bands, warm above and dark below, with the sun and its path between."""
    stripe = 0.5 + 0.5 * np.sin(wave * 62 + 1.5 * noise(frame, rng, 2))
    turn = 0.5 + 0.5 * np.sin(wave * 23 + 2)
    sky = mix(ramp("#8e1f14 #d5401a #ee7420", turn), ramp("#f08a24 #f7b23c #f9dc8e", turn), stripe)
    sky = mix(sky, colour("#1d5a66"), 0.85 * smoothstep(0.80, 0.97, 0.5 + 0.5 * np.sin(wave * 31 + 5)))
    far, water, near = land
    sun = frame.distance(*_SUN)
    sky = mix(sky, colour("#fff0b8"), 0.75 * bell(sun, 0.12))
    hills = ramp("#122f4a #1f4f68 #3d6f78", np.clip(0.5 + 0.45 * np.sin(wave * 85), 0, 1))
    sea = ramp("#08262e #0d4450 #17656a #2f8f84", 0.5 + 0.5 * np.sin(wave * 75))
    path = bell((frame.u - _SUN[0]) / (0.05 + 0.35 * np.clip(frame.v - 0.53, 0, 1)), 1.0)
    sea = mix(sea, ramp("#e8611c #f9b84a", stripe), np.clip(1.2 * path, 0, 1) * smoothstep(0.25, 0.6, stripe))
    shore = ramp("#06161c #0c2f34 #15504a #7a4a22", 0.5 + 0.45 * np.sin(wave * 58 + noise(frame, rng, 3)))
    return mix(mix(mix(sky, hills, far), sea, water), shore, near)


def _tree(frame: Frame) -> tuple[Array, Array]:
    """A bent tree on the right: its mask, and the direction in which it grows."""
    dx, dy = frame.around(0.80, 0.90)
    bend = dx + 0.05 * np.sin(dy * 6.5) + 0.16 * dy**2
    trunk = np.abs(bend) - 0.026 + 0.022 * np.clip(-dy, 0, 0.6) - 0.05 * smoothstep(-0.08, 0.05, dy)
    inside = coverage(frame, np.maximum(trunk, np.maximum(-dy - 0.72, dy)))
    growth = np.arctan2(np.full_like(bend, -1), 0.33 * np.cos(dy * 6.5) + 0.32 * dy).astype(np.float32)
    for u, v, size, lean in (
        (0.70, 0.17, 0.13, -0.5),
        (0.86, 0.27, 0.12, 0.35),
        (0.80, 0.07, 0.12, -0.2),
        (0.62, 0.32, 0.07, -0.6),
    ):
        cx, cy = frame.around(u, v)
        along, off = cx * np.cos(lean) + cy * np.sin(lean), cy * np.cos(lean) - cx * np.sin(lean)
        lobe = coverage(frame, np.hypot(along, 2.3 * off + 0.03 * np.sin(along * 40)) - size)
        growth = np.where(lobe > 0.4, np.float32(lean) + 0.6 * np.sin(along * 22), growth)
        inside = np.maximum(inside, lobe)
    return inside, growth
