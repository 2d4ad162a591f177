"""The picture on the easel: one level of the box, with everything that belongs to pixels and not to the network.

A canvas holds the content and the masks at the level's size, says what the networks **see** of the picture being
painted, and what is **shown** of it. Where colours are kept, both are in luminance: the networks see gray, and what is
shown is the content with the painting's luminance.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from scumble.engine.accelerator import accelerator
from scumble.engine.box import Box
from scumble.engine.color import gray, luminance_bounds, ungray, with_luminance_of
from scumble.engine.job import BoundRegion, Job
from scumble.engine.resample import pad_to_multiple, resize, shrink_mask, unpad
from scumble.engine.schedule import Level
from scumble.engine.strips import shrunk
from scumble.recipe import KeepColors, Start


@dataclass(frozen=True)
class Near:
    """What the picture stays near, (1, 3, height, width), and how far it does where, `trust` (1, 1, height, width)."""

    picture: Tensor
    trust: Tensor


@dataclass(frozen=True)
class Canvas:
    """All tensors are (1, 3, height, width) or (1, 1, height, width) float32, 0..1.

    `keep` is where the content's colours stay, `active` where the picture may change (booleans), `regions` one mask per
    region with the content's alpha counted in. `near` is where one was asked for.
    """

    content: Tensor
    regions: tuple[Tensor, ...]
    active: Tensor
    keep: Tensor | None
    low: Tensor | float
    high: Tensor | float
    grid: int
    near: Near | None = None

    @cached_property
    def changing(self) -> Tensor | None:
        """`active`; None where all of the picture may change."""
        return None if bool(self.active.all()) else self.active

    @property
    def mix(self) -> Tensor:
        """The sum of the regions, at most one."""
        return self.regions[0] if len(self.regions) == 1 else torch.stack(self.regions).sum(0).clamp(max=1)

    def see(self, x: Tensor) -> Tensor:
        """What the networks see of a picture: gray where colours are kept, its sides padded to the grid."""
        if self.keep is not None:
            x = x + self.keep * (gray(x) - x)
        return pad_to_multiple(x, self.grid)

    def unsee(self, gradient: Tensor) -> Tensor:
        """The gradient with respect to the picture, of one with respect to what is seen of it; uses it up."""
        gradient = unpad(gradient, *self.content.shape[2:])
        if self.keep is not None:
            gradient = gradient + self.keep * (ungray(gradient) - gradient)
        return gradient

    def bring(self, x: Tensor) -> Tensor:
        """A picture of another level to this canvas: resized, frozen outside the active part."""
        x = resize(x, *self.content.shape[2:])
        return x.clone() if self.changing is None else torch.where(self.active, x, self.content)


def make(job: Job, box: Box, level: Level, grid: int, device: torch.device) -> Canvas:
    """The canvas of a box of the job's content at a level's size."""
    size = (level.height, level.width)
    content, seen = shrunk(job.content, box, *size, device)
    masks = tuple(_mask(region.mask[box.slices], size, device) for region in job.regions)
    active = masks[0] > 0
    for mask in masks[1:]:
        active |= mask > 0
    keep = keep_mask(job.regions, masks)
    low: Tensor | float = 0.0
    high: Tensor | float = 1.0
    if keep is not None:
        darkest, lightest = luminance_bounds(content)
        low, high = keep * darkest, 1 + keep * (lightest - 1)
    regions = tuple(mask * seen for mask in masks) if job.content.has_alpha else masks
    return Canvas(content, regions, active, keep, low, high, grid, _near(job, box, size, active, device))


def _near(job: Job, box: Box, size: tuple[int, int], active: Tensor, device: torch.device) -> Near | None:
    if job.hold is None:
        return None
    trust = _mask(job.hold.trust[box.slices], size, device) * active
    return Near(resize(_boxed(job.hold.rgb, job, box, device), *size), trust)


def _boxed(rgb: np.ndarray, job: Job, box: Box, device: torch.device) -> Tensor:
    """The box of a picture (·, ·, 3) of any size, brought to the content's."""
    whole = resize(to_tensor(rgb, device), job.content.height, job.content.width)
    return whole[(slice(None), slice(None), *box.slices)]


def _mask(mask: np.ndarray, size: tuple[int, int], device: torch.device) -> Tensor:
    if not any(mask.strides):  # the same everywhere
        # which takes no memory
        return torch.full((1, 1, 1, 1), float(mask[0, 0]), device=device).expand(1, 1, *size)
    return shrink_mask(to_tensor(mask, device), *size)


def keep_mask(regions: tuple[BoundRegion, ...], masks: tuple[Tensor, ...]) -> Tensor | None:
    """Where the content's colours stay, (1, 1, height, width): the share of styles that keep them; None: nowhere."""
    shares = []
    for region in regions:
        total = sum(style.style.weight for style in region.styles)
        kept = sum(style.style.weight for style in region.styles if style.keep_colors is KeepColors.LUMINANCE)
        shares.append(kept / total if total else 0.0)
    if not any(shares):
        return None
    if all(share == 1 for share in shares):
        return torch.ones_like(masks[0])
    mass = torch.stack(masks).sum(0)
    weighted = torch.stack([share * mask for share, mask in zip(shares, masks, strict=True)]).sum(0)
    return weighted / mass.clamp(min=1e-6)


def show(content: Tensor, painted: Tensor, keep: Tensor | None) -> Tensor:
    """What is shown of a painting, (1, 3, height, width): the content's colours where they are kept."""
    if keep is None:
        return painted
    return painted + keep * (with_luminance_of(content, painted) - painted)


def first_picture(canvas: Canvas, job: Job, box: Box, style: Tensor | None) -> Tensor:
    """What the first iteration sees, (1, 3, height, width); `style` is a style picture of any size."""
    recipe, size = job.recipe, tuple(canvas.content.shape[2:])
    generator = torch.Generator().manual_seed(recipe.seed)
    noise = (0.5 + 0.2 * torch.randn(1, 3, *size, generator=generator)).clamp(0, 1).to(canvas.content.device)
    if recipe.start is Start.NOISE:
        x = noise
    elif recipe.start is Start.BLEND:
        x = canvas.content + recipe.start_noise * (noise - canvas.content)
    elif recipe.start is Start.STYLE and style is not None:
        x = _cover(style, *size)
    elif recipe.start is Start.PICTURE and job.start is not None:
        x = _boxed(job.start, job, box, canvas.content.device)
    else:
        x = canvas.content
    return canvas.bring(x)


def _cover(picture: Tensor, height: int, width: int) -> Tensor:
    scale = max(height / picture.shape[2], width / picture.shape[3])
    scaled = resize(picture, max(height, round(picture.shape[2] * scale)), max(width, round(picture.shape[3] * scale)))
    y, x = (scaled.shape[2] - height) // 2, (scaled.shape[3] - width) // 2
    return scaled[:, :, y : y + height, x : x + width]


def to_tensor(array: np.ndarray, device: torch.device) -> Tensor:
    """(height, width) or (height, width, channels) → (1, channels, height, width), float32."""
    there = accelerator(device).bring(array)
    there = there[..., None] if array.ndim == 2 else there
    return there.permute(2, 0, 1).float().contiguous()[None]


def to_array(tensor: Tensor) -> np.ndarray:
    """(1, 3, height, width) → (height, width, 3), float32."""
    return np.ascontiguousarray(tensor[0].permute(1, 2, 0).float().cpu().numpy())
