"""Large pictures in strips of rows: brought to another size, and painted, without a float copy of the whole.

A picture of 8192 × 8192 px takes 200 MB in 8 bits and 800 MB in floats, of which a job once held half a dozen. Here a
**strip**, some rows over the whole width, is the most that is in floats at once. Rows are resampled by a matrix with
PyTorch's own weights for an antialiased bicubic filter, columns by PyTorch: the result is that of
`scumble.engine.resample`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from scumble.engine.box import Box
from scumble.engine.resample import FAINTEST, NEUTRAL, fill_transparent
from scumble.picture import Picture

STRIP = 32
"""Rows of the result at once."""
_A = -0.5  # of the cubic kernel, as PyTorch and Pillow have it


@dataclass(frozen=True)
class Taps:
    """How one axis of `old` px comes to `new` px: the px from `first` to before `last` that each position hears, and
    their weights (new, taps), which add up to one; those of px beyond `last` are zero."""

    first: np.ndarray
    last: np.ndarray
    weight: np.ndarray

    @classmethod
    def cubic(cls, old: int, new: int) -> "Taps":
        """Keys 1981, with the kernel widened where the axis shrinks."""
        scale = old / new
        wide = max(scale, 1.0)
        center = scale * (np.arange(new) + 0.5)
        first = np.maximum((center - 2 * wide + 0.5).astype(np.int64), 0)
        last = np.minimum((center + 2 * wide + 0.5).astype(np.int64), old)
        at = first[:, None] + np.arange(int((last - first).max()))
        away = np.abs(at - center[:, None] + 0.5) / wide
        weight = np.where(
            away < 1,
            ((_A + 2) * away - (_A + 3)) * away**2 + 1,
            np.where(away < 2, ((_A * away - 5 * _A) * away + 8 * _A) * away - 4 * _A, 0.0),
        )
        weight[at >= last[:, None]] = 0
        return cls(first, last, (weight / weight.sum(1, keepdims=True)).astype(np.float32))

    def strip(self, start: int, stop: int) -> tuple[slice, Tensor]:
        """The px that positions `start` to `stop` hear, and the matrix (positions, px) that makes them."""
        first, weight = self.first[start:stop], self.weight[start:stop]
        low, high = int(first.min()), int(self.last[start:stop].max())
        matrix = np.zeros((stop - start, high - low + weight.shape[1]), np.float32)
        for row, (at, each) in enumerate(zip(first - low, weight, strict=True)):
            matrix[row, at : at + len(each)] = each
        return slice(low, high), torch.from_numpy(matrix[:, : high - low])


def shrunk(picture: Picture, box: Box, height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """A box of a picture at a new size, as `resize_premultiplied` brings it: colours (1, 3, height, width), and alpha
    (1, 1, height, width)."""
    rows, columns = Taps.cubic(box.height, height), box.slices[1]
    found = torch.empty(1, 3 + picture.has_alpha, height, width)
    least, greatest = torch.full((1, 3, 1, 1), math.inf), torch.full((1, 3, 1, 1), -math.inf)
    for start in range(0, height, STRIP):
        stop = min(height, start + STRIP)
        heard, matrix = rows.strip(start, stop)
        part = slice(box.y + heard.start, box.y + heard.stop), columns
        values = torch.from_numpy(picture.rgb(part))
        if picture.has_alpha:
            alpha = torch.from_numpy(picture.alpha(part))[..., None]
            visible = alpha > FAINTEST
            low, high = (torch.where(visible, values, bound) for bound in (math.inf, -math.inf))
            values = torch.cat([torch.where(visible, values * alpha, 0), torch.where(visible, alpha, 0)], 2)
        else:
            low = high = values
        least = torch.minimum(least, low.amin(0).amin(0).view(1, 3, 1, 1))  # both axes at once take five times as long
        greatest = torch.maximum(greatest, high.amax(0).amax(0).view(1, 3, 1, 1))
        shrinking = (matrix @ values.flatten(1)).view(stop - start, box.width, -1).permute(2, 0, 1)[None]
        found[:, :, start:stop] = _across(shrinking, width)
    colours, alpha = found[:, :3], torch.ones(1, 1, height, width)
    if picture.has_alpha:
        if not bool((least <= greatest).all()):
            return torch.full_like(colours, NEUTRAL).to(device), _alpha(picture, box, height, width).to(device)
        colours = colours / found[:, 3:].clamp(min=FAINTEST)
        alpha = _alpha(picture, box, height, width)
    colours = torch.minimum(torch.maximum(colours, least), greatest)
    return fill_transparent(colours, alpha).to(device), alpha.to(device)


def _alpha(picture: Picture, box: Box, height: int, width: int) -> Tensor:
    """Alpha by itself, also what of it is too faint to show."""
    rows, columns = Taps.cubic(box.height, height), box.slices[1]
    found = torch.empty(1, 1, height, width)
    low, high = 1.0, 0.0
    for start in range(0, height, STRIP):
        stop = min(height, start + STRIP)
        heard, matrix = rows.strip(start, stop)
        values = torch.from_numpy(picture.alpha((slice(box.y + heard.start, box.y + heard.stop), columns)))
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        found[0, :, start:stop] = _across((matrix @ values)[None, None], width)[0]
    return found.clamp(low, high)


def _across(x: Tensor, width: int) -> Tensor:
    """(1, channels, rows, ·) → (1, channels, rows, width), the rows as they are."""
    if x.shape[3] == width:
        return x
    return nnf.interpolate(x, size=(x.shape[2], width), mode="bicubic", align_corners=False, antialias=True)


@dataclass(frozen=True)
class Enlarged:
    """A picture `x` (1, channels, ·, ·) at the size `height` × `width`, as `resize` brings it, strip by strip."""

    x: Tensor
    height: int
    width: int
    _taps: Taps = field(init=False)
    _bounds: tuple[Tensor, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_taps", Taps.cubic(self.x.shape[2], self.height))
        object.__setattr__(self, "_bounds", (self.x.amin((2, 3), keepdim=True), self.x.amax((2, 3), keepdim=True)))

    def rows(self, start: int, stop: int) -> Tensor:
        """Some of its rows, (1, channels, stop − start, width)."""
        if self.x.shape[2:] == (self.height, self.width):
            return self.x[:, :, start:stop]
        heard, matrix = self._taps.strip(start, stop)
        least, greatest = self._bounds
        strip = torch.matmul(matrix.to(self.x.device), self.x[0, :, heard])[None]
        return torch.minimum(torch.maximum(_across(strip, self.width), least), greatest)


@dataclass(frozen=True)
class Repainted:
    """The colours of a picture, sRGB-encoded, with a box of it painted anew; indexed by rows, as `Picture.repainted`
    asks for them.

    `paint` makes of the content's colours (1, 3, rows, columns) and where these are (`Box`) what is shown there.
    """

    picture: Picture
    box: Box
    paint: Callable[[Tensor, Box], Tensor]
    device: torch.device

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, 3)."""
        return self.picture.height, self.picture.width, 3

    def __getitem__(self, rows: slice) -> np.ndarray:
        """(rows, width, 3) float32."""
        start, stop, _ = rows.indices(self.picture.height)
        found = self.picture.rgb((slice(start, stop), slice(None)))
        top, bottom = max(start, self.box.y), min(stop, self.box.y + self.box.height)
        if top < bottom:
            part = Box(self.box.x, top, self.box.width, bottom - top)
            own = found[top - start : bottom - start, part.slices[1]]
            content = torch.from_numpy(np.ascontiguousarray(own.transpose(2, 0, 1)))[None].to(self.device)
            own[:] = self.paint(content, part)[0].permute(1, 2, 0).cpu().numpy()
        return found
