"""What a painting is made of: stripes, hatching, dots, cells, brush strokes.

A **mark** is one of them. All are drawn in coordinates `u` along and `v` across the marks, fields (n, size, size) in px
that may be turned and warped, so the marks follow. `period` (n,) is the distance of marks across, `length` how many
times longer than wide they are. Each function asks every px which marks near it cover it, so a mark costs the same
wherever it lies.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from scumble.training.fields import TURN, bump, each, scattered


class Kind(IntEnum):
    """The marks there are."""

    NONE = 0
    STRIPES = 1
    HATCHING = 2
    CROSSES = 3
    DOTS = 4
    CELLS = 5
    STROKES = 6
    DABS = 7


@dataclass(frozen=True)
class Ask:
    """How marks are to be: `period` in px, `length` as a multiple of it, `sharp` edges (0 soft, 1 hard), `sway` of
    their direction (0..1), `cover` how much of the ground they cover (0..1); all (n,)."""

    period: Tensor
    length: Tensor
    sharp: Tensor
    sway: Tensor
    cover: Tensor
    salt: Tensor


@dataclass(frozen=True)
class Marks:
    """Fields: `tone` (-1..1, what they add to the lightness), `own` (-1..1, a number of each mark), `height` (0..1,
    how thickly they lie)."""

    tone: Tensor
    own: Tensor
    height: Tensor


def draw(kind: Kind, u: Tensor, v: Tensor, lightness: Tensor, ask: Ask) -> Marks:
    """The marks of one kind for the pictures of `u` and `v`; `lightness` (0..1) makes dots and lines wider."""
    return _DRAWN[kind](u, v, lightness, ask)


def _none(u: Tensor, v: Tensor, lightness: Tensor, ask: Ask) -> Marks:
    nothing = torch.zeros_like(u)
    return Marks(nothing, nothing, nothing)


def _stripes(u: Tensor, v: Tensor, lightness: Tensor, ask: Ask) -> Marks:
    phase = v / each(ask.period)
    wave = torch.sin(TURN * phase) + (each(ask.cover) - 0.5)
    tone = torch.tanh(wave * (1 + 6 * each(ask.sharp)))
    own = 2 * scattered(phase.floor(), torch.zeros_like(phase), each(ask.salt), 1) - 1
    return Marks(tone, own, 0.5 + 0.5 * tone)


def _hatching(u: Tensor, v: Tensor, lightness: Tensor, ask: Ask) -> Marks:
    period, salt = each(ask.period), each(ask.salt)
    row = (v / period).floor()
    along = u / (period * each(ask.length) * 2) + scattered(row, row, salt, 1)
    column = along.floor()
    start = scattered(row, column, salt, 2) * 0.5
    end = start + 0.35 + 0.6 * scattered(row, column, salt, 3)
    at = along - column
    present = bump((at - start) * 20) * bump((end - at) * 20)
    centre = 0.5 + (scattered(row, column, salt, 4) - 0.5) * 0.5 * each(ask.sway)
    lean = (at - 0.5) * (scattered(row, column, salt, 5) - 0.5) * each(ask.sway) * 2
    away = (v / period - row - centre - lean).abs()
    width = (0.06 + 0.4 * (1 - lightness)) * (0.5 + each(ask.cover))
    line = bump((width - away) * period / (2.5 - 1.5 * each(ask.sharp)) + 0.5) * present
    return Marks(-line, 2 * scattered(row, column, salt, 6) - 1, line)


def _crosses(u: Tensor, v: Tensor, lightness: Tensor, ask: Ask) -> Marks:
    first = _hatching(u, v, lightness, ask)
    second = _hatching(v * 0.87 + u * 0.5, u * 0.87 - v * 0.5, (lightness + 0.35).clamp(0, 1), ask)
    return Marks(torch.minimum(first.tone, second.tone), first.own, torch.maximum(first.height, second.height))


def _dots(u: Tensor, v: Tensor, lightness: Tensor, ask: Ask) -> Marks:
    period, salt = each(ask.period), each(ask.salt)
    row = (v / period).floor()
    x = u / period + 0.5 * (row % 2)
    column = x.floor()
    dx = x - column - 0.5 - (scattered(row, column, salt, 1) - 0.5) * each(ask.sway) * 0.5
    dy = v / period - row - 0.5 - (scattered(row, column, salt, 2) - 0.5) * each(ask.sway) * 0.5
    radius = (0.12 + 0.4 * (1 - lightness)) * (0.6 + 0.6 * each(ask.cover))
    radius = radius * (1 - 0.5 * each(ask.sway) * scattered(row, column, salt, 3))
    dot = bump((radius - (dx.square() + dy.square() + 1e-6).sqrt()) * period / (2.5 - 1.5 * each(ask.sharp)) + 0.5)
    sign = torch.where(each(ask.salt) % 1 < 0.5, -1.0, 1.0)
    return Marks(sign * dot, 2 * scattered(row, column, salt, 4) - 1, dot)


def _cells(u: Tensor, v: Tensor, lightness: Tensor, ask: Ask) -> Marks:
    salt = each(ask.salt)
    x, y = u / (each(ask.period) * each(ask.length).sqrt()), v / each(ask.period)
    column, row = x.floor(), y.floor()
    first, second, own = torch.full_like(u, 9.0), torch.full_like(u, 9.0), torch.zeros_like(u)
    spread = 0.4 + 0.6 * each(ask.sway)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            i, j = column + right, row + down
            dx = i + 0.5 + (scattered(i, j, salt, 1) - 0.5) * spread - x
            dy = j + 0.5 + (scattered(i, j, salt, 2) - 0.5) * spread - y
            away = dx.square() + dy.square()
            nearer = away < first
            second = torch.where(nearer, first, torch.minimum(second, away))
            own = torch.where(nearer, scattered(i, j, salt, 3), own)
            first = torch.where(nearer, away, first)
    gap = (second.sqrt() - first.sqrt()) * each(ask.period)
    border = 1 - bump(gap / (0.6 + 4 * each(ask.cover) + 3 * (1 - each(ask.sharp))))
    return Marks(-border, 2 * own - 1, 1 - border)


def _strokes(u: Tensor, v: Tensor, lightness: Tensor, ask: Ask) -> Marks:
    width, salt = each(ask.period), each(ask.salt)
    long = width * each(ask.length)
    x, y = u / (long * 0.7), v / (width * 0.7)
    column, row = x.floor(), y.floor()
    top, own, height = torch.full_like(u, -1.0), torch.zeros_like(u), torch.zeros_like(u)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            i, j = column + right, row + down
            dx = (x - i - 0.5 - (scattered(i, j, salt, 1) - 0.5) * 0.9) * 0.7
            dy = (y - j - 0.5 - (scattered(i, j, salt, 2) - 0.5) * 0.9) * 0.7
            number = scattered(i, j, salt, 3)
            lean = (number - 0.5) * 0.9 * each(ask.sway)
            across = dy - lean * dx * each(ask.length)
            along = dx * (1.1 + 0.7 * scattered(i, j, salt, 4))
            depth = 1 - (2 * along).square().square() - (2 * across).square() * (1.2 - 0.5 * each(ask.cover))
            rank = scattered(i, j, salt, 5)
            over = (depth > 0) & (rank > top)
            bristles = 0.75 + 0.25 * torch.sin(across * (20 + 30 * number) + number * 50)
            height = torch.where(over, bump(depth * (1 + 4 * each(ask.sharp))) * bristles, height)
            own = torch.where(over, number, own)
            top = torch.where(over, rank, top)
    covered = (top >= 0).float()
    return Marks((height - 0.5) * covered, (2 * own - 1) * covered, height * covered)


def _dabs(u: Tensor, v: Tensor, lightness: Tensor, ask: Ask) -> Marks:
    short = Ask(ask.period, ask.length.sqrt().clamp(max=1.6), ask.sharp, ask.sway, ask.cover, ask.salt)
    return _strokes(u, v, lightness, short)


_DRAWN: dict[Kind, Callable[[Tensor, Tensor, Tensor, Ask], Marks]] = {
    Kind.NONE: _none,
    Kind.STRIPES: _stripes,
    Kind.HATCHING: _hatching,
    Kind.CROSSES: _crosses,
    Kind.DOTS: _dots,
    Kind.CELLS: _cells,
    Kind.STROKES: _strokes,
    Kind.DABS: _dabs,
}
