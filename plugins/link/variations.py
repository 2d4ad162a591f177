"""Variations of settings, to be painted small and side by side: trial and error without the evening that it costs.

A **sheet** has rows and columns of settings around the present ones, which are among them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from .errors import LinkError
from .fields import CONTROLS
from .settings import Settings
from .text import tr

SIZE_PX = 256
"""The longest side of what is painted of a variation."""
STRENGTH, WEIGHTS = "strength", "weights"
"""The kinds of sheets: over strength and stroke scale, or over strength and the weights of two styles."""

_STRENGTH_STEP, _STROKE_FACTOR, _SHARE_STEP = 20, 2, 25


@dataclass(frozen=True)
class Variation:
    """One cell: what a click on it takes, and what it is called."""

    settings: Settings
    label: str


@dataclass(frozen=True)
class Sheet:
    """`cells` by rows; `rows` and `columns` are what these are called."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[Variation, ...], ...]
    size: int = SIZE_PX

    def small(self, row: int, column: int, scale: float) -> Settings:
        """A cell's settings for a picture that was scaled by `scale`: a small draft, with a feather to match."""
        settings = self.cells[row][column].settings
        return replace(
            settings,
            quality="custom",
            size=min(self.size, settings.working_size()),
            iterations="",
            more={**settings.more, "quality": "draft"},
            feather=None if settings.feather is None else round(settings.feather * scale),
        )


def plan(settings: Settings, kind: str = STRENGTH) -> Sheet:
    """A sheet around these settings. `LinkError` no-style where weights are asked for and there are not two styles."""
    low, high = CONTROLS["strength"].limits
    strengths = _around(settings.strength, lambda value, steps: value + steps * _STRENGTH_STEP, low, high)
    if kind == WEIGHTS:
        return _over_weights(settings, strengths)
    low, high = CONTROLS["stroke_scale"].limits
    scales = _around(settings.stroke_scale, lambda value, steps: round(value * _STROKE_FACTOR**steps), low, high)
    cells = tuple(
        tuple(
            Variation(
                replace(settings, strength=strength, stroke_scale=scale),
                tr("Strength {strength}, strokes {scale} %", strength=strength, scale=scale),
            )
            for scale in scales
        )
        for strength in strengths
    )
    columns = tuple(tr("Strokes {scale} %", scale=scale) for scale in scales)
    return Sheet(tr("Strength and stroke scale"), _strength_labels(strengths), columns, cells)


def _over_weights(settings: Settings, strengths: list[int]) -> Sheet:
    """Over how two styles share what they have together; styles after the second stay."""
    if len(settings.styles) < 2:
        raise LinkError("no-style", tr("Weights need two styles."), tr("Add another style picture."))
    first, second, *others = settings.styles
    together = first.weight + second.weight or 200
    now = round(100 * first.weight / together) if first.weight + second.weight else 50
    shares = _around(now, lambda value, steps: value + steps * _SHARE_STEP, 0, 100)

    def cell(strength: int, share: int) -> Variation:
        weight = round(together * share / 100)
        rows = (replace(first, weight=weight), replace(second, weight=together - weight), *others)
        label = tr("Strength {strength}, {first} to {second}", strength=strength, first=share, second=100 - share)
        return Variation(replace(settings, strength=strength, styles=rows), label)

    cells = tuple(tuple(cell(strength, share) for share in shares) for strength in strengths)
    columns = tuple(tr("{first} to {second}", first=share, second=100 - share) for share in shares)
    title = tr("Weights of {first} and {second}", first=first.name, second=second.name)
    return Sheet(title, _strength_labels(strengths), columns, cells)


def _strength_labels(strengths: list[int]) -> tuple[str, ...]:
    return tuple(tr("Strength {strength}", strength=strength) for strength in strengths)


def _around(value: int, stepped: Callable[[int, int], int], low: int, high: int) -> list[int]:
    """Three values a step apart, in order, the present one among them and in the middle where the limits allow it."""
    for first in (-1, 0, -2):
        found = [stepped(value, first + step) for step in range(3)]
        if low <= found[0] and found[-1] <= high:
            return found
    return [low, value, high]
