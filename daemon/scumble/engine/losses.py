"""The losses: pure functions of tensors, each with its formula and source.

A map F is given as (positions, channels), one row per position, which is what a channels-last feature map is in memory:
N = channels, M = positions. Weights over positions have shape (positions,) and are ≥ 0. All are differentiable; those
that a painting descends have their **slope**, the gradient with respect to the first argument, beside them as a
formula: autograd would keep every map in between, and loads for half a second before its first use.
"""

import torch
import torch.nn.functional as nnf
from torch import Tensor

from scumble.engine.bands import strips
from scumble.recipe import ContentForm

_FLOOR = 1e-12


def content_loss(
    F: Tensor, P: Tensor, form: ContentForm = ContentForm.HALF_SUM, weight: Tensor | None = None
) -> Tensor:
    """½ Σ w (F − P)², Gatys et al. 2015, equation 1; `SUM` without the ½, `MEAN` Σ w (F − P)² / (N Σ w).

    F and P are (positions, channels); `weight` is (positions,), ones by default. Returns a scalar.
    """
    squares = (F - P).square()
    if weight is not None:
        squares = squares * weight[:, None]
    total = squares.sum()
    if form is ContentForm.HALF_SUM:
        return total / 2
    if form is ContentForm.SUM:
        return total
    mass = weight.sum() if weight is not None else torch.tensor(float(len(F)), dtype=F.dtype, device=F.device)
    return total / (mass.clamp(min=1e-12) * F.shape[1])


def content_slope(
    F: Tensor, P: Tensor, form: ContentForm = ContentForm.HALF_SUM, weight: Tensor | None = None
) -> Tensor:
    """∂ `content_loss` / ∂F, shaped like F: w (F − P), times 2 for `SUM`, times 2 / (N Σ w) for `MEAN`."""
    slope = F - P
    if weight is not None:
        slope *= weight[:, None]
    if form is ContentForm.HALF_SUM:
        return slope
    if form is ContentForm.SUM:
        return slope.mul_(2)
    mass = float(weight.sum()) if weight is not None else float(len(F))
    return slope.mul_(2 / (max(mass, 1e-12) * F.shape[1]))


def gram(F: Tensor, weight: Tensor | None = None) -> Tensor:
    """G_ij = Σ_k w_k F_ki F_kj, shape (channels, channels): Gatys et al. 2015, equation 3, positions weighted by a
    mask."""
    return correlation(F, F, weight)


def correlation(F: Tensor, H: Tensor, weight: Tensor | None = None) -> Tensor:
    """C_ij = Σ_k w_k F_ki H_kj: two maps over the same positions, (channels of F, channels of H).

    With H the convolution before F this is the chained correlation of Novak & Nikulin 2016, section 3.5.
    The sum is taken in float32 over blocks, so that a product in bfloat16 keeps its digits.
    """
    left = F if weight is None else F * weight[:, None].to(F.dtype)
    if F.dtype not in (torch.bfloat16, torch.float16):
        return left.T @ H
    if F.is_cuda:
        return torch.mm(left.T, H, out_dtype=torch.float32)
    blocks = max(1, min(64, len(F) // 256))
    length = len(F) // blocks
    whole = blocks * length
    shaped = left[:whole].view(blocks, length, -1).transpose(1, 2)
    total = torch.bmm(shaped, H[:whole].view(blocks, length, -1)).sum(0, dtype=torch.float32)
    return total + (left[whole:].T @ H[whole:]).float() if whole < len(F) else total


def style_loss(G: Tensor, A: Tensor) -> Tensor:
    """E = Σ (G − A)² / (4 N_F N_H), Gatys et al. 2015, equation 4.

    G and A are already divided by their positions (or the mass of their masks), which makes the paper's 1 / M² of
    equal-sized pictures hold for pictures and regions of any size (guided Gram: Gatys et al. 2017).
    """
    return (G - A).square().sum() / (4 * G.shape[0] * G.shape[1])


def style_slope(G: Tensor, A: Tensor) -> Tensor:
    """∂ `style_loss` / ∂G = (G − A) / (2 N_F N_H)."""
    return (G - A) / (2 * G.shape[0] * G.shape[1])


def total_variation(x: Tensor, exponent: float = 1.25, weight: Tensor | None = None) -> Tensor:
    """Σ w ((x_{i+1,j} − x_{i,j})² + (x_{i,j+1} − x_{i,j})²)^e over a picture (1, channels, height, width).

    e = ½ is the classic form (Rudin et al. 1992, with a small floor so that the root has a slope at zero), e = 1 the
    plain squares, e = 1.25 common practice. A neighbour beyond the edge differs by nothing; leaving out the last row
    and column instead would let noise settle there. `weight` is (1, 1, height, width).
    """
    totals = []
    for rows in strips(x):
        below, right = _differences(x[..., rows.start : rows.stop + 1, :])
        squares = (below.square() + right.square())[..., : rows.stop - rows.start, :]
        terms = squares if exponent == 1 else (squares + _FLOOR).pow(exponent)
        totals.append((terms if weight is None else terms * weight[..., rows, :]).sum())
    return torch.stack(totals).sum()


def add_total_variation(gradient: Tensor, x: Tensor, exponent: float, mask: Tensor | None, weight: float) -> Tensor:
    """weight · `total_variation` with its mask, a scalar; adds to `gradient` that with respect to x: what differs from
    a neighbour is drawn to it by 2 e w (…)^(e − 1) times the difference."""
    totals = []
    for rows in strips(x):
        # a row hears of those above and below it
        top, bottom = max(0, rows.start - 1), min(x.shape[-2], rows.stop + 1)
        around = None if mask is None else mask[..., top:bottom, :]
        terms, slope = _variation_and_slope(x[..., top:bottom, :], exponent, around)
        own = slice(rows.start - top, rows.stop - top)
        totals.append(terms[..., own, :].sum())
        gradient[..., rows, :].add_(slope[..., own, :], alpha=weight)
    return weight * torch.stack(totals).sum()


def _variation_and_slope(x: Tensor, exponent: float, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """The summands of `total_variation`, and the slope of their sum."""
    below, right = _differences(x)
    pull = below.square().addcmul_(right, right)
    if exponent != 1:
        pull += _FLOOR
    powers = pull if exponent == 1 else pull.pow(exponent)
    terms = powers.clone() if weight is None else powers * weight
    pull = torch.full_like(pull, 2) if exponent == 1 else powers.div_(pull).mul_(2 * exponent)
    if weight is not None:
        pull *= weight
    below *= pull
    right *= pull
    slope = below.add(right).neg_()
    slope[..., 1:, :] += below[..., :-1, :]
    slope[..., :, 1:] += right[..., :, :-1]
    return terms, slope


def _differences(x: Tensor) -> tuple[Tensor, Tensor]:
    """To the pixel below and to the right, shaped like x."""
    below = nnf.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1))
    right = nnf.pad(x[..., :, 1:] - x[..., :, :-1], (0, 1, 0, 0))
    return below, right


def geometric_weights(layers: list[str], *, deepest_heaviest: bool) -> dict[str, float]:
    """w_l = 2^(D − d(l)) for style, 2^d(l) for content (Novak & Nikulin 2016, section 3.1), divided by their sum.

    `layers` come in order of depth, so that d(l) is their index and D the last one.
    """
    powers = [2.0**depth if deepest_heaviest else 2.0 ** (len(layers) - 1 - depth) for depth in range(len(layers))]
    return {layer: power / sum(powers) for layer, power in zip(layers, powers, strict=True)}
