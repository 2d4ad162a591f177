"""What stays of the last frame of a video, so that strokes neither boil nor smear.

The **carried** picture is the last painted frame, moved to where its things are in this one; **trust** says how far it
is to be gone by, where. The painting descends a loss towards it. And where **fresh** colours are laid over the picture,
which know nothing of the last frame, the carried ones are kept, but renewed:

- its strokes stay, for the mean of two layers of strokes is a blur, and soon a fog;
- of its **ground**, the colours over some px, a share is that of the fresh one, so that it follows the light;
- its **grain**, what differs from the nearest px, is brought back to the contrast of the fresh one, for moving a
  picture takes a little of that every time.

Source of the loss: Ruder, Dosovitskiy & Brox 2016, "Artistic style transfer for videos", equation 7.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from torch import Tensor

from scumble.engine.bands import strips

GROUND = 4.0
"""The ground is the mean under a bell of this deviation, in px."""
GRAIN = 1.0
"""Grain differs from the mean under a bell of this one."""
AROUND = 8.0
"""The contrast of the grain is taken under a bell of this one."""
MOST_RENEWED = 1.1
"""At most so many times the grain's contrast grows from one frame to the next: moving never takes more, and what is
flat must not become noise."""
_LEAST = 1e-6
_WIDE = 3  # deviations: beyond them a bell is nothing
_REACH = round(_WIDE * (AROUND + GRAIN))


@dataclass(frozen=True)
class Steady:
    """The carried `picture` (1, 3, height, width) as the networks see it, and its `trust` (1, 1, …), whose sum is
    `mass` > 0. `weight` is that of the loss, `fresh` the share of the ground that is renewed."""

    picture: Tensor
    trust: Tensor
    mass: float
    weight: float
    fresh: float

    def add_loss(self, seen: Tensor, slope: Tensor) -> Tensor:
        """weight · Σ trust (seen − picture)² / (3 Σ trust); adds its gradient to `slope`."""
        share, found = self.weight / (3 * self.mass), []
        for rows in strips(seen):
            there = (slice(None), slice(None), rows)
            away = seen[there] - self.picture[there]
            pulled = away * self.trust[there]
            slope[there].add_(pulled, alpha=2 * share)
            found.append(pulled.mul_(away).sum())
        return share * torch.stack(found).sum()

    def kept(self, fresh: Tensor) -> Tensor:
        """Fresh colours (1, 3, height, width), and in their place the carried ones where these are trusted."""
        found, height = torch.empty_like(fresh), fresh.shape[2]
        for rows in strips(fresh):
            there = (slice(None), slice(None), rows)
            wide = slice(max(0, rows.start - _REACH), min(height, rows.stop + _REACH))
            renewed = self._renewed(fresh[:, :, wide], self.picture[:, :, wide])
            renewed = renewed[:, :, rows.start - wide.start : rows.stop - wide.start]
            found[there] = torch.lerp(fresh[there], renewed, self.trust[there])
        return found

    def _renewed(self, fresh: Tensor, carried: Tensor) -> Tensor:
        grain = carried - _blurred(carried, GRAIN)
        wanted, own = (
            _blurred(each.square().sum(1, keepdim=True), AROUND) for each in (fresh - _blurred(fresh, GRAIN), grain)
        )
        gain = (wanted / own.clamp(min=_LEAST)).sqrt_().clamp_(1, MOST_RENEWED)
        return carried + self.fresh * _blurred(fresh - carried, GROUND) + (gain - 1) * grain


def _blurred(x: Tensor, deviation: float) -> Tensor:
    """Means of (1, channels, height, width) under a bell; its edge is repeated."""
    reach = round(_WIDE * deviation)
    bell = torch.exp(-(torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device) ** 2) / (2 * deviation**2))
    bell /= bell.sum()
    channels = x.shape[1]
    x = nnf.pad(x, (reach,) * 4, mode="replicate")
    x = nnf.conv2d(x, bell.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return nnf.conv2d(x, bell.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
