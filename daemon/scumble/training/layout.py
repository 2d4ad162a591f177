"""What a procedural painting shows: dead leaves, shapes that hide one another, of sizes after a power law.

Sources: Matheron 1968 ("dead leaves"); Lee, Mumford & Huang 2001, "Occlusion Models for Natural Images" (sizes after a
power law give the statistics of photographs).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scumble.training.fields import TURN, turned, uniform


@dataclass(frozen=True)
class Layout:
    """Fields (n, size, size): the shapes' `lightness` (0..1), `edge` distance to the nearest visible contour in px (at
    most 99), the direction `angle` of each shape in radians, and its `hue` (-1..1), a number of its own."""

    lightness: Tensor
    edge: Tensor
    angle: Tensor
    hue: Tensor


def leaves(x: Tensor, y: Tensor, size: int, generator: torch.Generator, per_px: float = 1 / 500) -> Layout:
    """Shapes over the px at `x`, `y` (n, size, size), which may be displaced; about `per_px` of them per px.

    A shape is an ellipse, a box, a lobed blob or a half-plane; its lightness has a slope across it.
    """
    count = len(x)
    ground = uniform((count, 1, 1), generator, 0.2, 0.8)
    slope_x, slope_y = uniform((2, count, 1, 1), generator, -0.4, 0.4)
    lightness = ground + slope_x * (x / size - 0.5) + slope_y * (y / size - 0.5)
    edge = torch.full_like(x, 99.0)
    angle = uniform((count, 1, 1), generator, 0, math.pi).expand_as(x).clone()
    hue = uniform((count, 1, 1), generator, -1, 1).expand_as(x).clone()
    number = max(8, min(160, round(size * size * per_px)))
    for index in range(number):
        r = uniform((12, count, 1, 1), generator)
        # the large ones lie below, or nothing else would be seen
        low, high = 0.04, 0.6
        fall = 1 - index / number
        radius = size * low * (high / low) ** (fall * (0.5 + 0.5 * r[0]))
        turn = r[3] * TURN
        u, v = turned(x - r[1] * size, y - r[2] * size, turn)
        stretched = v / (0.25 + 0.75 * r[4])
        lobes = 1 + 0.25 * torch.sin(torch.atan2(stretched, u) * (2 + (r[5] * 5).floor()) + r[6] * TURN)
        around = (u.square() + stretched.square() + 1e-6).sqrt()
        kind = r[7]
        reach = torch.where(
            kind < 0.35, around, torch.where(kind < 0.65, torch.maximum(u.abs(), stretched.abs()), around * lobes)
        )
        if index < 3:
            reach = torch.where(kind < 0.2, u.abs() * 0 + radius + v, reach)
        depth = radius - reach
        inside = depth > 0
        own = (r[8] * 1.1 - 0.05) + (r[9] - 0.5) * 0.6 * (u / radius)
        lightness = torch.where(inside, own, lightness)
        edge = torch.where(inside, depth, torch.minimum(edge, -depth))
        angle = torch.where(inside, turn, angle)
        hue = torch.where(inside, r[10] * 2 - 1, hue)
    return Layout(lightness.clamp(0, 1), edge.clamp(max=99.0), angle, hue)
