"""A sun over hills and tulips: a leaded window with the light behind it.

A *piece* is one cut of glass. Pieces are laid out on coordinates bent to a shape (rings around the sun, strips along a
hill): whole numbers of both coordinates are where the lead runs. *Gap* is the distance to the nearest lead, in sides.
"""

from dataclasses import dataclass

import numpy as np

from scumble.drawn.tools import Array, Frame, Rng, bell, blur, box, colour, fractal, mix, noise, ramp, slope, smoothstep

_SUN = (0.5, 0.36)
_LEAD = 0.0052
_TULIPS = ((0.24, 0.70, -0.25), (0.46, 0.755, 0.06), (0.76, 0.69, 0.25))


@dataclass
class Window:
    """The design so far: the colour of the glass (h, w, 3), the gap, and the random value 0..1 of each piece."""

    glass: Array
    gap: Array
    chance: Array


def glass(width: int, height: int, seed: int) -> Array:
    """(height, width, 3) in 0..1."""
    frame, rng = Frame(width, height), np.random.default_rng(seed)
    blank = np.zeros((height, width), np.float32)
    window = Window(np.zeros((height, width, 3), np.float32), blank + 1, blank)
    _sunburst(frame, rng, window)
    _hills(frame, rng, window)
    for tulip in _TULIPS:
        _tulip(frame, rng, window, *tulip)
    _border(frame, rng, window)
    return _shine(frame, rng, window)


def _set(
    frame: Frame,
    rng: Rng,
    window: Window,
    distance: Array,
    across: Array,
    along: Array,
    palette: str,
    spread: float = 0.5,
) -> None:
    """Set pieces inside a shape (signed `distance`); the palette runs with the chance of a piece, 0.5 ± spread."""
    gap = np.minimum(_to_line(frame, across), _to_line(frame, along))
    values = rng.random((89, 97)).astype(np.float32)
    chance = values[np.floor(across).astype(np.int32) % 89, np.floor(along).astype(np.int32) % 97]
    inside = distance < 0
    steep = np.clip(np.hypot(*slope(frame, distance)), 0.5, 4)
    window.gap = np.minimum(np.where(inside, gap, window.gap), np.abs(distance) / steep)
    window.chance = np.where(inside, chance, window.chance)
    window.glass = np.where(inside[..., None], ramp(palette, 0.5 + spread * (2 * chance - 1)), window.glass)


def _to_line(frame: Frame, coordinate: Array) -> Array:
    """The distance in sides to where the coordinate is the next whole number."""
    off = np.abs(coordinate - np.round(coordinate))
    rows, columns = np.gradient(coordinate)
    steep = np.minimum(np.hypot(rows, columns), 0.25) * frame.side  # where it jumps, it is cut anyway
    return np.asarray(off / np.maximum(steep, 0.05), np.float32)


def _sunburst(frame: Frame, rng: Rng, window: Window) -> None:
    """Rings of pieces around the sun, from pale yellow to deep blue, with a star of flames."""
    dx, dy = frame.around(*_SUN)
    far, turn = np.hypot(dx, dy), np.arctan2(dy, dx) / np.float32(2 * np.pi) + np.float32(0.5)
    flame = np.abs(((turn * 16) % 1) - 0.5) * 2
    star = far * (1 + 0.55 * flame * bell(far - 0.2, 0.12))
    rings = (
        (2.0, 10, "#123a8c #1c2f80 #2a1f6e #1a56a8"),
        (0.52, 28, "#1f5fc0 #2f86d0 #3a3fa8 #6a3fa0"),
        (0.385, 20, "#4aa0d8 #8f5fb8 #c05a98 #58b8d8"),
        (0.285, 16, "#e0506a #d83a48 #f0783c #c83a70"),
        (0.195, 16, "#f6a020 #f8b838 #f08a1c"),
        (0.115, 8, "#ffe680 #fff0a8 #ffd858"),
        (0.052, 1, "#fff8d8 #fff4c0"),
    )
    for k, (reach, count, palette) in enumerate(rings):
        # the star's points make the middle rings; the others are round
        shape = (star if 0.15 < reach < 0.3 else far) - np.float32(reach)
        split = turn * count + 0.5 * (k % 2)
        bands = far * (4.1 if k == 0 else 0.01) + 0.4
        _set(frame, rng, window, shape, bands, split if count > 1 else 0 * split + 0.5, palette)


def _hills(frame: Frame, rng: Rng, window: Window) -> None:
    """Three hills, each cut into strips along its back, and a river between them."""
    for top, rise, phase, palette in (
        (0.60, 0.045, 0.5, "#2f8f8a #3fa890 #2a7a90"),
        (0.68, 0.060, 3.4, "#5fae4a #8cc850 #3f9a58"),
        (0.80, 0.050, 1.2, "#2f7f3a #4f9a38 #1f6a48"),
    ):
        back = top + rise * np.sin(frame.x * 6.3 + phase) + 0 * frame.y
        under = frame.v - back
        _set(frame, rng, window, -under, under * 11 + 0.02, frame.x * 7 + under * 5 + phase, palette)
    middle = 0.58 + 0.13 * np.sin((frame.v - 0.6) * 9) * (1.3 - frame.v)
    river = np.abs(frame.u - middle) - 0.012 - 0.26 * np.clip(frame.v - 0.62, 0, 1)
    shape = np.maximum(river, 0.625 - frame.v) * 0.85
    ripple = frame.v * 13 + 0.35 * np.sin(frame.x * 16)
    _set(frame, rng, window, shape, ripple, 0 * ripple + 0.5, "#5cc0e0 #a8e4e8 #f8d878 #3f90d0")


def _tulip(frame: Frame, rng: Rng, window: Window, u: float, v: float, lean: float) -> None:
    """A stem with two leaves, and a flower of three petals."""
    dx, dy = frame.around(u, v)
    flat = 0 * (dx + dy) + 0.5
    bend = dx + lean * 0.35 * dy * (1 - dy)
    _set(frame, rng, window, np.maximum(np.abs(bend) - 0.010, np.abs(dy - 0.20) - 0.20), flat, flat, "#1f8a3f #3fae4a")
    for sign in (-1, 1):
        blade = bend - sign * (0.012 + 0.55 * (0.26 - dy) ** 2 + 0.028)
        leaf = np.abs(blade) - 0.030 * np.sin(np.pi * np.clip((dy - 0.05) / 0.22, 0, 1))
        leaf = np.maximum(leaf, 0.4 * np.maximum(0.05 - dy, dy - 0.27))
        _set(frame, rng, window, leaf, flat, flat, "#2fae4a #7fd060 #b8e070")
    for offset, wide, palette in (
        (-0.030, 0.042, "#d8203a #f03a48"),
        (0.030, 0.042, "#c01840 #e83060"),
        (0.0, 0.040, "#ff6a50 #ff9a60"),
    ):
        side = (bend - offset * (1 - 0.35 * smoothstep(-0.02, -0.11, dy))) / wide
        petal = np.hypot(side, (dy + 0.045) / 0.078) + 0.18 * np.abs(side) * smoothstep(-0.05, -0.12, dy)
        _set(frame, rng, window, ((petal - 1) * 0.045).astype(np.float32), flat, flat, palette)


def _border(frame: Frame, rng: Rng, window: Window) -> None:
    """A frame of small pieces around the picture."""
    width, height = float(frame.width * frame.pixel), float(frame.height * frame.pixel)
    inner = -box(*frame.around(0.5, 0.5), width / 2 - 0.055, height / 2 - 0.055)
    count = (round(width / 0.075), round(height / 0.075))
    beside = np.abs(frame.u - 0.5) * width - width / 2 > np.abs(frame.v - 0.5) * height - height / 2
    along = np.where(beside, frame.v * count[1], frame.u * count[0])
    ring = 0 * along + 0.5
    _set(frame, rng, window, inner, ring, along, "#7a1030 #a8183a #1f3f8f #24307a #c8862a")
    window.gap = np.minimum(window.gap, np.abs(inner + 0.042) + 0.002)


def _shine(frame: Frame, rng: Rng, window: Window) -> Array:
    """Light through uneven glass, dulled by dirt along the lead, which is round and catches a little light itself."""
    streaks = fractal(frame, rng, 6, 5, stretch=0.35) * (0.4 + window.chance) + 0.5 * fractal(
        frame, rng, 30, 3, gain=0.8
    )
    seeds = smoothstep(2.4, 3.0, noise(frame, rng, 55))
    behind = 0.80 + 0.60 * bell(frame.distance(*_SUN), 0.55)
    glow = behind * (0.60 + 0.48 * smoothstep(0.0, 0.03, window.gap) + 0.14 * streaks + 0.3 * seeds)
    pane = window.glass ** (1.25 - 0.18 * streaks)[..., None] * glow[..., None]
    lead = _LEAD * (1 + 0.12 * noise(frame, rng, 25))
    solid = smoothstep(0.8 * frame.pixel, -0.8 * frame.pixel, window.gap - lead)
    halo = blur(frame, pane * (1 - solid)[..., None], 0.02)
    round_ = np.sqrt(np.clip(1 - (window.gap / lead) ** 2, 0, 1))
    across, down = slope(frame, blur(frame, round_, 0.001) * _LEAD)
    metal = (
        colour("#23252b") * (0.8 + 0.9 * np.clip(-across - down, -0.6, 1.2) + 0.15 * noise(frame, rng, 60))[..., None]
    )
    lit = mix(pane, metal, solid) + 0.30 * halo
    return np.clip(lit, 0, 1).astype(np.float32)
