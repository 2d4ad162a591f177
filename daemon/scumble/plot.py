"""The loss curves of a painting as a picture: every loss over the iterations, on a logarithmic axis."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from scumble.engine.schedule import Level
from scumble.picture import Picture
from scumble.sheet import FAINT, INK, PAPER, face, plain

_COLOURS = {"total": "#1b1b1b", "style": "#c2410c", "content": "#1d4ed8", "tv": "#15803d", "frame": "#7e22ce"}
_OTHER = "#6b7280"
_WIDTH, _HEIGHT = 960, 540
_LEFT, _TOP, _RIGHT, _BOTTOM = 84, 56, 150, 56
_FINE = 2  # drawn at twice the size and scaled down, since Pillow's lines are not smooth


def plot(losses: Sequence[Mapping[str, float]], levels: Iterable[Level]) -> Picture:
    """`losses`: one mapping (kind to loss) per iteration. Losses of zero have no place on the axis and are left out."""
    image = Image.new("RGB", (_WIDTH * _FINE, _HEIGHT * _FINE), PAPER)
    _Plot(ImageDraw.Draw(image), losses).draw(levels)
    return Picture(np.asarray(image.reduce(_FINE)))


class _Plot:
    """`x` and `y` bring iterations and losses to pixels."""

    def __init__(self, pen: ImageDraw.ImageDraw, losses: Sequence[Mapping[str, float]]) -> None:
        self._pen, self._count = pen, len(losses)
        kinds = sorted({kind for loss in losses for kind in loss}, key=lambda kind: [*_COLOURS, kind].index(kind))
        self._curves = {
            kind: [(n, loss[kind]) for n, loss in enumerate(losses, 1) if 0 < loss.get(kind, 0) < math.inf]
            for kind in kinds
        }
        values = [value for curve in self._curves.values() for _, value in curve] or [1.0]
        self._low, self._high = _limits(min(values), max(values))

    def x(self, iteration: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (iteration - 1) / max(1, self._count - 1)

    def y(self, value: float) -> float:
        share = max(0.0, math.log10(value) - self._low) / (self._high - self._low)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share

    def draw(self, levels: Iterable[Level]) -> None:
        self._axes()
        self._levels(levels)
        ends: list[tuple[float, str, float]] = []
        for kind, curve in reversed(self._curves.items()):
            colour = _COLOURS.get(kind, _OTHER)
            points = [(self.x(n), self.y(value)) for n, value in curve]
            if len(points) > 1:
                self._line(points, colour, 2.0 if kind == "total" else 1.5)
            for x, y in points if len(points) == 1 else ():
                self._pen.ellipse([_FINE * v for v in (x - 3, y - 3, x + 3, y + 3)], fill=colour)
            if curve:
                ends.append((points[-1][1], kind, curve[-1][1]))
        self._names(ends)

    def _axes(self) -> None:
        right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
        for power in range(math.floor(self._low), math.floor(self._high) + 1):
            for part in range(1, 10):
                if self._low <= math.log10(part) + power + 1e-9 and math.log10(part) + power - 1e-9 <= self._high:
                    at = self.y(part * 10.0**power)
                    self._line([(_LEFT, at), (right, at)], "#d9d4ca" if part == 1 else "#e9e5dd", 1)
                    if part == 1 or (part in (2, 5) and self._high - self._low < 2.5):
                        self._write((_LEFT - 8, at), f"{part * 10.0**power:g}", "rm")
        for iteration in _ticks(self._count):
            at = self.x(iteration)
            self._line([(at, bottom), (at, bottom + 5)], FAINT, 1)
            self._write((at, bottom + 8), str(iteration), "ma")
        self._line([(_LEFT, _TOP), (_LEFT, bottom), (right, bottom)], FAINT, 1)
        self._write(((_LEFT + right) / 2, _HEIGHT - 10), "iteration", "md", FAINT)
        self._write((_LEFT - 8, _TOP - 28), "loss", "ra", FAINT)

    def _levels(self, levels: Iterable[Level]) -> None:
        first = 1
        for level in levels:
            if first > self._count:  # stopped before
                break
            if first > 1:
                at = self.x(first - 0.5)
                for y in range(_TOP, _HEIGHT - _BOTTOM, 8):
                    self._line([(at, y), (at, y + 4)], FAINT, 1)
            last = min(first + level.iterations - 1, self._count)
            text = f"{level.width} x {level.height} px"
            room = self.x(last) - self.x(first)
            if face(13).getlength(text) < room or first == 1:
                self._write((self.x(first) + 6, _TOP - 28), text, "la", FAINT)
            first += level.iterations

    def _names(self, ends: list[tuple[float, str, float]]) -> None:
        lowest = -math.inf
        for y, kind, value in sorted(ends):
            lowest = max(y, lowest + 17)  # side by side they must not cover each other
            text = f"{plain(kind)}  {value:.3g}"
            self._write((_WIDTH - _RIGHT + 10, lowest), text, "lm", _COLOURS.get(kind, _OTHER), 14)

    def _line(self, points: Sequence[tuple[float, float]], colour: str, width: float) -> None:
        scaled = [(x * _FINE, y * _FINE) for x, y in points]
        self._pen.line(scaled, fill=colour, width=round(width * _FINE), joint="curve")

    def _write(self, at: tuple[float, float], text: str, anchor: str, colour: str = INK, size: int = 13) -> None:
        self._pen.text((at[0] * _FINE, at[1] * _FINE), text, font=face(size * _FINE), fill=colour, anchor=anchor)


def _limits(least: float, most: float) -> tuple[float, float]:
    """Logarithms of 1, 2 or 5 times a power of ten just around the values, but never more than twelve powers."""
    steps = [power + math.log10(part) for power in range(-40, 40) for part in (1, 2, 5)]
    high = min((step for step in steps if step > math.log10(most)), default=steps[-1])
    low = max((step for step in steps if step < math.log10(least)), default=steps[0])
    return max(low, high - 12), high


def _ticks(count: int) -> list[int]:
    step = next(size for size in (10**e * m for e in range(9) for m in (1, 2, 5)) if count / size <= 8)
    return [1, *(n for n in range(step, count + 1, step) if n > step / 2 and n > 1)]
