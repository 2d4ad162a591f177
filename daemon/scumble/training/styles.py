"""Procedural styles: which palette, marks, noise, ink and light a painting has, thousands of them from a seed."""

from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor

from scumble.training.fields import TURN, uniform
from scumble.training.marks import Kind

COLOURS = 6
"""How many colours a palette has, from dark to light."""
LAYERS = 2
"""How many layers of marks lie on one another."""


@dataclass(frozen=True)
class Styles:
    """Parameters of `count` styles; the first axis is the style. Lengths in px, angles in radians, shares in 0..1."""

    palette: Tensor
    """(count, 6, 3), RGB 0..1, dark to light."""
    contrast: Tensor
    """How much of the palette the lightness of the shapes spans."""
    levels: Tensor
    """Into how many flat tones the lightness falls; 0: none."""
    variety: Tensor
    """How far a shape's own colour leaves its lightness."""
    kinds: Tensor
    """(count, 2), the `Kind` of each layer of marks; what follows of layers alike."""
    period: Tensor
    length: Tensor
    angle: Tensor
    follows: Tensor
    """Whether marks take the direction of the shape that they lie on."""
    sharp: Tensor
    sway: Tensor
    cover: Tensor
    amount: Tensor
    """How much the marks change the tone."""
    mottle: Tensor
    """How much each mark's own number changes the tone."""
    curl: Tensor
    """How far the marks' coordinates are warped."""
    curl_px: Tensor
    swirl: Tensor
    """How far the marks turn about whirls, in radians."""
    noise: Tensor
    """The amount of the noise."""
    noise_frequency: Tensor
    noise_bandwidth: Tensor
    noise_angle: Tensor
    noise_anisotropy: Tensor
    noise_shape: Tensor
    """0 as it is, 1 ridges, 2 two tones, 3 bands."""
    wobble: Tensor
    """How far contours stray."""
    soft: Tensor
    """How far the shapes melt into each other."""
    rim: Tensor
    """How much darker (or lighter) a shape is along its contour, as where watercolour dries."""
    ink: Tensor
    """(count, 3), the colour of lines."""
    ink_px: Tensor
    """The lines' width; 0: none."""
    relief: Tensor
    """How much light from the side shows the paint's thickness."""
    grain: Tensor
    weave: Tensor
    """A canvas's threads."""

    def __len__(self) -> int:
        return len(self.palette)

    @classmethod
    def drawn(cls, count: int, seed: int) -> Self:
        """So many styles; other seeds give others."""
        generator = torch.Generator().manual_seed(seed)

        def share(*more: int, low: float = 0.0, high: float = 1.0) -> Tensor:
            return uniform((count, *more), generator, low, high)

        def often(chance: float, *more: int) -> Tensor:
            return (share(*more) < chance).float()

        def spread(low: float, high: float, *more: int) -> Tensor:
            return low * (high / low) ** share(*more)

        kinds = torch.randint(1, len(Kind), (count, LAYERS), generator=generator)
        brushed = share()
        kinds[:, 0] = torch.where(brushed < 0.35, Kind.STROKES, kinds[:, 0])
        kinds[:, 1] = torch.where(share() < 0.55, Kind.NONE, kinds[:, 1])
        period = spread(3.0, 24.0, LAYERS)
        amount = share(LAYERS, low=0.08, high=0.5)
        return cls(
            palette=palettes(count, generator),
            contrast=share(low=0.3, high=1.1),
            levels=often(0.3) * torch.randint(2, 7, (count,), generator=generator),
            variety=share() ** 2 * 0.5,
            kinds=kinds,
            period=period,
            length=spread(1.2, 9.0, LAYERS),
            angle=share(LAYERS, high=TURN / 2),
            follows=often(0.4, LAYERS),
            sharp=share(LAYERS),
            sway=share(LAYERS),
            cover=share(LAYERS),
            amount=amount,
            mottle=share(LAYERS) ** 2 * 0.5,
            curl=often(0.6) * share() * 0.6,
            curl_px=spread(16.0, 90.0),
            swirl=often(0.3) * share(low=-4, high=4),
            noise=often(0.7) * share() ** 2 * 0.5,
            noise_frequency=spread(0.015, 0.35),
            noise_bandwidth=share(low=0.25, high=1.0),
            noise_angle=share(high=TURN / 2),
            noise_anisotropy=often(0.6) * share() * 4,
            noise_shape=torch.randint(0, 4, (count,), generator=generator),
            wobble=share() ** 2 * 4,
            soft=often(0.3) * share(),
            rim=often(0.3) * share(low=-0.3, high=0.4),
            ink=share(3) * share(1) * 0.7,
            ink_px=often(0.35) * spread(0.7, 3.0),
            relief=often(0.35) * share(),
            grain=often(0.5) * share() ** 2 * 0.12,
            weave=often(0.15) * share() * 0.15,
        )

    def take(self, which: Tensor) -> Self:
        """The styles with these numbers, (n,), in that order."""
        return type(self)(**{field.name: getattr(self, field.name)[which] for field in fields(self)})

    def bared(self, where: Tensor) -> Self:
        """The same, but without marks, bands, noise, lines and canvas `where` (count,) is true: the palette remains."""
        put = {"weave", "relief", "ink_px", "rim", "wobble", "noise", "mottle", "amount", "levels"}
        kept = {name: getattr(self, name).clone() for name in put}
        for values in kept.values():
            values[where] = 0
        return replace(self, **kept)

    def to(self, device: torch.device) -> Self:
        """The same on another device."""
        return type(self)(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def palettes(count: int, generator: torch.Generator) -> Tensor:
    """(count, 6, 3): some in one hue, some in two that meet, some of any colours; sorted from dark to light."""
    hue = uniform((count, 1), generator)
    step = uniform((count, 1), generator, 0.0, 0.5)
    line = torch.linspace(-1, 1, COLOURS)[None]
    scattered = uniform((count, COLOURS), generator)
    scheme = uniform((count, 1), generator)
    hues = torch.where(
        scheme < 0.3, hue + 0.06 * line, torch.where(scheme < 0.7, hue + step * (scattered > 0.5), scattered)
    )
    saturation = uniform((count, 1), generator) * uniform((count, COLOURS), generator, 0.5, 1.0)
    dark, light = uniform((count, 1), generator, 0.0, 0.35), uniform((count, 1), generator, 0.6, 1.0)
    value = dark + (light - dark) * (line * 0.5 + 0.5)
    value = value + uniform((count, COLOURS), generator, -0.08, 0.08)
    k = (hues[..., None] * 6 + torch.tensor([0.0, 4.0, 2.0])) % 6
    chroma = (torch.minimum(k, 4 - k)).clamp(0, 1)  # of hue alone: 0 where a channel is at its highest
    return (value[..., None] * (1 - saturation[..., None] * (1 - chroma.flip(-1)))).clamp(0, 1)
