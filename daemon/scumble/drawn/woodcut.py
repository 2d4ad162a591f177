"""Sunrise behind a mountain: a woodcut, black ink on warm paper.

A *cut* is one region of the block: white lines are gouged along a *phase* (one line per whole number), and *tone* says
how wide they are, from 0 (the ink stays) to 1 (everything is cut away).
"""

import numpy as np

from scumble.drawn.tools import Array, Frame, Rng, bell, colour, coverage, fractal, mix, noise, slope, smoothstep

_SUN = (0.66, 0.27)
_SEA = 0.66
_PADS = (
    (0.20, 0.13, 0.15),
    (0.08, 0.22, 0.12),
    (0.31, 0.24, 0.10),
    (0.13, 0.34, 0.13),
    (0.29, 0.38, 0.075),
    (0.04, 0.44, 0.08),
)


def woodcut(width: int, height: int, seed: int) -> Array:
    """(height, width, 3) in 0..1."""
    frame, rng = Frame(width, height), np.random.default_rng(seed)
    white = _sky(frame, rng)
    for region in (_mountain, _sea, _pine, _rock):
        white = region(frame, rng, white)
    return _print(frame, rng, white)


def _gouge(frame: Frame, rng: Rng, phase: Array, tone: Array) -> Array:
    """The white (0..1) that lines along `phase` leave: each a little its own, swelling and running out."""
    phase = phase + 0.07 * noise(frame, rng, 26)
    line = np.floor(phase).astype(np.int32)
    own = rng.standard_normal(997).astype(np.float32)
    swell = fractal(frame, rng, 9, 3)
    width = tone + 0.10 * own[line % 997] + 0.13 * swell
    across = np.abs(2 * (phase - line) - 1)
    gx, gy = slope(frame, phase)
    steep = 2 * np.clip(np.hypot(gx, gy), 1, None)
    too_fine = smoothstep(0.35, 0.8, steep * np.float32(frame.pixel))  # to be seen as lines: only their tone is left
    return mix(coverage(frame, (across - width) / steep), np.clip(width, 0, 1), too_fine)


def _over(white: Array, region: Array, cut: Array) -> Array:
    """`cut` printed over `white` inside the region."""
    return white + (cut - white) * region


def _sky(frame: Frame, rng: Rng) -> Array:
    """Rays around a white sun, and long clouds."""
    dx, dy = frame.around(*_SUN)
    far = np.hypot(dx, dy)
    rays = np.arctan2(dy, dx) * np.float32(52 / (2 * np.pi))
    fine = rays * np.where(far > 0.42, 2, 1)
    white = _gouge(frame, rng, fine, 0.80 - 0.62 * smoothstep(0.1, 0.75, far))
    white = np.maximum(white, coverage(frame, far - 0.115))
    white = _over(white, coverage(frame, np.abs(far - 0.122) - 0.0055), 0 * white)
    for v, reach, shift in ((0.13, 0.28, 0.30), (0.22, 0.20, 0.95), (0.40, 0.30, 0.42), (0.33, 0.16, 0.85)):
        cx, cy = frame.around(shift, v)
        billow = 0.016 * np.abs(np.sin(cx * 21 + 6 * v)) + 0.006 * fractal(frame, rng, 8, 3)
        cloud = np.abs(cx / reach) ** 2.2 * 0.03 + np.where(cy < 0, -cy - billow, 1.6 * cy) - 0.022
        lines = _gouge(frame, rng, cy * 95 + 0.6 * np.sin(cx * 21), 0.98 - 12 * np.clip(cy + 0.012, 0, 1))
        white = _over(white, coverage(frame, cloud - 0.006), 0 * white)
        white = _over(white, coverage(frame, cloud), lines)
    return white


def _mountain(frame: Frame, rng: Rng, white: Array) -> Array:
    """A snowy peak: ridges fall away from it, lit on the side of the sun."""
    dx, dy = frame.around(0.46, 0.215)
    rough = fractal(frame, rng, 5, 5)
    shoulder = np.abs(dx) * 1.02 - 0.10 * np.exp(-np.abs(dx) * 9) + 0.09
    second = np.abs(frame.u - 0.90) * 0.55 + 0.26
    edge = np.minimum(shoulder - 0.09 + 0.10, second) + 0.012 * rough[:1] * np.ones_like(rough)
    inside = coverage(frame, edge - 0.10 - dy)
    crest = np.sin(dx * 17 + 2.2 * np.sin(dy * 9) + 0.9 * rough) + 0.5 * np.sin(dx * 41 - dy * 16 + rough)
    across, _ = slope(frame, crest)
    lit = smoothstep(-7, 9, across)
    snow = smoothstep(0.30, 0.02, dy + 0.05 * np.sin(dx * 60) * np.abs(np.sin(dx * 23)))
    tone = 0.06 + 0.62 * lit + 0.30 * snow * lit - 0.25 * smoothstep(0.3, 0.46, dy)
    phase = (dy + 0.65 * np.abs(dx)) * 62 + 1.1 * crest
    white = _over(white, coverage(frame, edge - 0.108 - dy), 0 * white)
    return _over(white, inside, _gouge(frame, rng, phase, tone))


def _sea(frame: Frame, rng: Rng, white: Array) -> Array:
    """Waves that widen towards the viewer, and the path of the sun on them."""
    down = np.clip(frame.v - _SEA, 0.0, 1) + 0 * frame.u
    depth = np.log1p(down * 26)
    roll = 0.34 * np.sin(frame.u * 19 / (0.5 + depth) + depth * 5) + 0.16 * noise(frame, rng, 5, 2)
    phase = depth * 9.5 + roll * (0.3 + depth)
    path = bell((frame.u - _SUN[0]) / (0.07 + 0.30 * down), 1.0)
    tone = 0.20 + 0.62 * path + 0.16 * np.sin(frame.u * 11 + depth * 8)
    inside = coverage(frame, _SEA - frame.v + 0 * down)
    return _over(white, inside, _gouge(frame, rng, phase, tone))


def _rock(frame: Frame, rng: Rng, white: Array) -> Array:
    """The dark cliff in the left foreground, cut along its fall."""
    jag = 0.018 * fractal(frame, rng, 7, 4)
    edge = 0.60 + 0.42 * smoothstep(0.16, 0.62, frame.u) + 0.03 * np.sin(frame.u * 24) + jag
    distance = edge - frame.v
    lit = bell((frame.v - edge - 0.025) / 0.045, 1.0)
    phase = (frame.x * 0.9 - frame.y * 0.55) * 62 + 2.2 * fractal(frame, rng, 3, 3)
    tone = -0.18 + 0.75 * lit + 0.34 * noise(frame, rng, 5)
    white = _over(white, coverage(frame, distance - 0.009), np.ones_like(white))
    return _over(white, coverage(frame, distance), _gouge(frame, rng, phase, tone))


def _pine(frame: Frame, rng: Rng, white: Array) -> Array:
    """An old pine on the cliff: a leaning trunk and flat pads of needles, each with a white rim."""
    dx, dy = frame.around(0.12, 0.68)
    bend = dx - 0.05 * np.sin(dy * 7) + 0.10 * dy
    trunk = np.maximum(np.abs(bend) - 0.019 - 0.03 * dy - 0.05 * smoothstep(-0.1, 0.03, dy), np.abs(dy + 0.26) - 0.28)
    bark = _gouge(frame, rng, (bend * 85 + 1.2 * np.sin(dy * 60)), -0.2 + 0.8 * smoothstep(-0.005, 0.02, bend))
    white = _over(white, coverage(frame, trunk - 0.006), np.ones_like(white))
    white = _over(white, coverage(frame, trunk), bark)
    for u, v, reach in _PADS:
        cx, cy = frame.around(u, v)
        around = np.arctan2(cy * 2.2, cx)
        tuft = 0.011 * np.abs(np.sin(around * 9 + u * 40)) + 0.003 * noise(frame, rng, 40)
        pad = (np.hypot(cx, cy * np.where(cy < 0, 2.3, 3.6)) - reach) * 0.55 - tuft
        needles = around * 17 + 0.8 * np.sin(cx * 50)
        tone = -0.7 + 1.3 * smoothstep(0.45, 1.0, np.hypot(cx, cy * 2.3) / reach) * smoothstep(
            0.03, -0.06, cy - 0.3 * cx
        )
        white = _over(white, coverage(frame, pad - 0.006), np.ones_like(white))
        white = _over(white, coverage(frame, pad), _gouge(frame, rng, needles, tone))
    return white


def _print(frame: Frame, rng: Rng, white: Array) -> Array:
    """Ink rolled on the block and pressed on paper: a margin, wood grain, missed specks, and leftover ridges."""
    edge = np.minimum(np.minimum(frame.x, frame.x[0, -1] - frame.x), np.minimum(frame.y, frame.y[-1, 0] - frame.y))
    edge = edge + 0.0012 * fractal(frame, rng, 12, 4)
    ridge = smoothstep(2.3, 2.6, noise(frame, rng, 90, 7)) * smoothstep(0.9, 1.0, white)
    ink = (1 - white * (1 - 0.8 * ridge)) * coverage(frame, 0.034 - edge)
    planks = np.sin(60 * frame.y + 2.2 * noise(frame, rng, 1.6, 3) + 0.8 * noise(frame, rng, 14, 6))
    cover = 0.93 + 0.035 * planks + 0.05 * fractal(frame, rng, 5, 5)
    cover = cover - 0.55 * smoothstep(1.9, 2.8, fractal(frame, rng, 90, 3, gain=0.8))
    fibre = fractal(frame, rng, 50, 3, gain=0.8, stretch=1.5)
    paper = colour("#ecdcb8") * (1 + 0.018 * fibre + 0.025 * fractal(frame, rng, 2, 3))[..., None]
    press = -0.02 * slope(frame, ink)[1] / frame.side
    printed = mix(paper, colour("#1d1a1c"), np.clip(ink * cover, 0, 1)) + press[..., None]
    return np.clip(printed, 0, 1).astype(np.float32)
