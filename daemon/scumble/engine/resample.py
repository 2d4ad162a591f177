"""Bringing pictures and masks to a size, and filling what cannot be seen.

A **picture** is (n, channels, height, width), nominally in 0..1; a **mask** is (n, 1, height, width) in 0..1, and its
**mass** the sum of its values. **Alpha** is the mask of how opaque each pixel is; a pixel is **visible** where alpha
is above half a step of an 8-bit picture. What lies under the other pixels is arbitrary and never has a say.
All sizes are in pixels, at least 1; everything works from 1 × 1 on.
"""

import math

import torch
import torch.nn.functional as nnf
from torch import Tensor

FAINTEST = 0.5 / 255
NEUTRAL = 0.5


def resize(picture: Tensor, height: int, width: int) -> Tensor:
    """A picture (n, channels, ·, ·) at a new size: bicubic, with the filter widened (antialiased) where it shrinks.

    Values stay between each channel's least and greatest. At its own size the picture comes back as it is.
    """
    if picture.shape[2:] == (height, width):
        return picture
    return _within(
        _cubic(picture, height, width), picture.amin((2, 3), keepdim=True), picture.amax((2, 3), keepdim=True)
    )


def resize_premultiplied(rgb: Tensor, alpha: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """A picture (1, 3, ·, ·) with its alpha (1, 1, ·, ·) at a new size: as `resize`, each pixel heard by its alpha.

    Returns colours and alpha; colours are filled by `fill_transparent` and lie between the least and the greatest of
    each channel among the visible pixels.
    """
    if rgb.shape[2:] == (height, width):
        return fill_transparent(rgb, alpha), alpha
    visible = alpha > FAINTEST
    new_alpha = resize(alpha, height, width)
    if not visible.any():
        return rgb.new_full((*rgb.shape[:2], height, width), NEUTRAL), new_alpha
    premultiplied = torch.where(visible, rgb * alpha, 0)
    # The same filter under both, unclamped, so that they cancel where the colour is even.
    shares = _cubic(torch.where(visible, alpha, 0), height, width)
    colors = _cubic(premultiplied, height, width)
    least = torch.where(visible, rgb, math.inf).amin((2, 3), keepdim=True)
    greatest = torch.where(visible, rgb, -math.inf).amax((2, 3), keepdim=True)
    colors = _within(colors / shares.clamp(min=FAINTEST), least, greatest)
    return fill_transparent(colors, new_alpha), new_alpha


def shrink_mask(mask: Tensor, height: int, width: int) -> Tensor:
    """A mask (n, 1, ·, ·) at a new size by exact area averaging, for any ratio, also where a side grows.

    Each value is the mean of the mask over the part of it that the pixel covers, so the mean stays the same, values
    stay in 0..1, and areas of 0 or 1 stay exactly that. Differentiable.
    """
    return _average(_average(mask, height, 2), width, 3)


def fill_transparent(rgb: Tensor, alpha: Tensor) -> Tensor:
    """The picture (1, 3, height, width) with what is not visible replaced by an extension of what is.

    Push and pull over a pyramid (Gortler et al. 1996, "The Lumigraph"): averages of what is known fill
    the unknown around it, the wider the further away. Visible pixels come back bit for bit; where none is visible, the
    picture becomes a middle gray.
    """
    visible = alpha > FAINTEST
    if visible.all():
        return rgb
    if not visible.any():
        return torch.full_like(rgb, NEUTRAL)
    cover = torch.where(visible, alpha, 0)
    return torch.where(visible, rgb, _extend(torch.where(visible, rgb * alpha, 0), cover))


def pad_to_multiple(x: Tensor, multiple: int = 16) -> Tensor:
    """(…, height, width) with its last row and column repeated, below and right, up to multiples of `multiple`."""
    for dim in (-2, -1):
        missing = -x.shape[dim] % multiple
        if missing:
            shape = list(x.shape)
            shape[dim] = missing
            x = torch.cat([x, x.narrow(dim, x.shape[dim] - 1, 1).expand(shape)], dim)
    return x


def unpad(gradient: Tensor, height: int, width: int) -> Tensor:
    """The adjoint of `pad_to_multiple`: what fell on the repeated rows and columns is added where they came from; at
    the old size, a view of the same memory."""
    if width < gradient.shape[-1]:
        gradient[..., width - 1] += gradient[..., width:].sum(-1)
    if height < gradient.shape[-2]:
        gradient[..., height - 1, :] += gradient[..., height:, :].sum(-2)
    return gradient[..., :height, :width]


def crop(x: Tensor, height: int, width: int) -> Tensor:
    """The upper left part of (…, ·, ·), a view: takes back `pad_to_multiple`."""
    return x[..., :height, :width]


def erode(mask: Tensor, radius_px: float) -> Tensor:
    """The least value of a mask (n, 1, height, width) within a square window that reaches `radius_px` ≥ 0 to each side.

    A radius between two integers mixes their results in proportion. What lies beyond the picture's border counts as
    inside, so a mask that touches the border is not eroded from there.
    """
    whole = math.floor(radius_px)
    eroded = _least(_least(mask, whole, 2), whole, 3)
    if radius_px == whole:
        return eroded
    return torch.lerp(eroded, _least(_least(eroded, 1, 2), 1, 3), radius_px - whole)


def _cubic(x: Tensor, height: int, width: int) -> Tensor:
    if width == 1 < height:
        # PyTorch 2.15 on the CPU repeats the first row down an antialiased result of one column.
        return _cubic(x.transpose(2, 3), width, height).transpose(2, 3)
    return nnf.interpolate(x, size=(height, width), mode="bicubic", align_corners=False, antialias=True)


def _within(x: Tensor, least: Tensor, greatest: Tensor) -> Tensor:
    return torch.minimum(torch.maximum(x, least), greatest)


def _average(x: Tensor, size: int, dim: int) -> Tensor:
    """Area averages along one axis; the cell i of the result covers i · length / size to (i + 1) · length / size."""
    length = x.shape[dim]
    if length == size:
        return x
    # In units of 1 / size of a pixel all edges are integers, so the sum of a cell's overlaps is exactly its length.
    start = torch.arange(size, device=x.device) * length
    first = start.div(size, rounding_mode="floor")
    total = x.new_zeros(())
    for step in range(math.ceil(length / size) + 1):
        index = first + step
        overlap = torch.minimum((index + 1) * size, start + length) - torch.maximum(index * size, start)
        factor = overlap.clamp(min=0).to(x.dtype).view([-1 if axis == dim else 1 for axis in range(x.dim())])
        total = total + x.index_select(dim, index.clamp(max=length - 1)) * factor
    return total / length


def _extend(color: Tensor, cover: Tensor) -> Tensor:
    """Colours everywhere, from colours times cover and cover in 0..1, not 0 everywhere."""
    height, width = cover.shape[2:]
    if height == width == 1:
        return color / cover
    half = ((height + 1) // 2, (width + 1) // 2)
    sum_color, sum_cover = (nnf.adaptive_avg_pool2d(x, half) * 4 for x in (color, cover))
    # One known pixel is enough to know its block: it must not fade into the distant average.
    kept = sum_cover.clamp(max=1) / sum_cover.clamp(min=torch.finfo(cover.dtype).tiny)
    coarse = _extend(sum_color * kept, sum_cover * kept)
    return color + (1 - cover) * nnf.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)


def _least(x: Tensor, radius: int, dim: int) -> Tensor:
    """Minimum over a window of 2 radius + 1 along one axis, in as many steps as that has binary digits."""
    window = 2 * min(radius, x.shape[dim]) + 1
    beyond = torch.full_like(x.narrow(dim, 0, 1), math.inf).expand(
        [window // 2 if axis == dim else size for axis, size in enumerate(x.shape)]
    )
    x = torch.cat([beyond, x, beyond], dim)
    reached = 1
    while reached < window:
        shift = min(reached, window - reached)
        length = x.shape[dim] - shift
        x = torch.minimum(x.narrow(dim, 0, length), x.narrow(dim, shift, length))
        reached += shift
    return x
