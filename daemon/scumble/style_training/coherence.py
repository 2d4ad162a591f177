"""The coherence of strokes: how far nearby edges agree in their direction.

The spectrum of a whole picture cannot tell long strokes in all directions from round drops, which a network learns more
easily. The structure tensor can: of its eigenvalues λ₁ ≥ λ₂ at a place the second is nothing within a long stroke, and
as large as the first around a drop.

Source: Bigün and Granlund 1987, "Optimal Orientation Detection of Linear Symmetry" (the tensor and its coherence).
"""

import torch
import torch.nn.functional as nnf
from torch import Tensor

from scumble.engine.color import luminance
from scumble.style_training.slope import with_slope

SIZES = (1, 2)
"""Strokes are looked at with the picture's sides divided so."""
LEAST = 32
"""The least side of a picture that has a coherence."""
FAINT = 1e-5
"""Edges of fewer than three thousandths of the range per px count for less."""
LOWEST = 0.1
"""Of a style whose edges are in all directions, W is no less than this beneath the line."""
_BLUR, _NEARBY = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16), (5, 3)


def coherences(picture: Tensor) -> Tensor:
    """Σ w (λ₁ − λ₂) / (λ₁ + λ₂) / Σ w of the luminance of a picture (1, 3, height, width) in 0..1 whose sides are
    `LEAST` or more, over all places, weighted by how strong the edges are, w² = λ₁ + λ₂: for each of `SIZES` one,
    from 0, where edges are in all directions, to 1, where they have one. Differentiable."""
    gray = luminance(picture)
    return torch.stack([_coherence(nnf.avg_pool2d(gray, size)) for size in SIZES])


def coherence_loss(picture: Tensor, wanted: Tensor) -> tuple[float, Tensor]:
    """The mean of (C − W)² / W² of the picture's coherences C and those that are wanted, W; and its gradient with
    respect to the picture, (1, 3, height, width)."""
    least = wanted.clamp(min=LOWEST)
    return with_slope(lambda seen: ((coherences(seen) - wanted) / least).square().mean(), picture)


def _coherence(gray: Tensor) -> Tensor:
    blur = torch.tensor(_BLUR, device=gray.device)
    smooth = nnf.conv2d(nnf.conv2d(gray, blur.view(1, 1, 1, -1)), blur.view(1, 1, -1, 1))
    across = (smooth[..., 1:-1, 2:] - smooth[..., 1:-1, :-2]) / 2
    down = (smooth[..., 2:, 1:-1] - smooth[..., :-2, 1:-1]) / 2
    products = torch.cat([across.square(), down.square(), across * down], 1)
    for side in _NEARBY:
        products = nnf.avg_pool2d(products, side, stride=side // 2)
    xx, yy, xy = products.unbind(1)
    energy = xx + yy + FAINT
    difference = ((xx - yy).square() + 4 * xy.square() + FAINT**2 / 100).sqrt()
    return (difference / energy.sqrt()).sum() / energy.sqrt().sum()
