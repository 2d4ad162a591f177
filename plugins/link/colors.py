"""Colours that can be told from what they stand on, in any theme; as red, green and blue from 0 to 255."""

from __future__ import annotations

import colorsys
import typing
from collections.abc import Iterable

Rgb = typing.Tuple[int, int, int]  # noqa: UP006 - the Python of Krita 5.1's own packages is 3.8

_HUES = {"red": 4, "amber": 38, "green": 130, "blue": 210}
_SATURATION = 190 / 255
_CONTRAST = 3.0
"""What WCAG asks of signs that are no text."""
_FAINT = 0.72


def signal_color(name: str, window: Rgb, text: Rgb) -> Rgb:
    """ "red", "amber", "green" or "blue", legible on the window's colour; any other name is a faint one."""
    if name not in _HUES:
        return faint(window, text)
    is_dark = luminance(window) < luminance(text)
    lightnesses = range(130, 256, 5) if is_dark else range(130, 0, -5)
    legible = (color for color in _tones(_HUES[name], lightnesses) if contrast(color, window) >= _CONTRAST)
    return next(legible, faint(window, text))


def _tones(hue: int, lightnesses: Iterable[int]) -> Iterable[Rgb]:
    for lightness in lightnesses:
        red, green, blue = colorsys.hls_to_rgb(hue / 360, lightness / 255, _SATURATION)
        yield round(255 * red), round(255 * green), round(255 * blue)


def faint(window: Rgb, text: Rgb) -> Rgb:
    """The colour of text that is less important."""
    return blended(window, text, _FAINT)


def blended(below: Rgb, above: Rgb, share: float) -> Rgb:
    """`share` (0..1) of the upper colour over the lower one."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(below, above))
    return red, green, blue


def contrast(one: Rgb, other: Rgb) -> float:
    """How well two colours are told apart, from 1 to 21 (WCAG 2.2, "contrast ratio")."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(color: Rgb) -> float:
    """WCAG 2.2, "relative luminance", from 0 to 1."""
    parts = [value / 255 for value in color]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
