"""One pass of a transformation network over a picture of any size, strip by strip, exactly as in one piece.

Every layer but the last is normalised over the whole picture, so no part of a layer can be finished before all of the
one before it has been seen. A **stage** is a layer's raw answer: looked at once in strips of rows for its mean and
deviation, and then had, rows by rows, by the next. Stages at full size are not stored but computed again for it; what
is stored is at half size and below, so that memory is a fraction of what all maps would take.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from torch import Tensor

from scumble.engine.bands import bands
from scumble.engine.noise import Place
from scumble.engine.resample import pad_to_multiple
from scumble.engine.shape import Change, Layer, Shape, Upsampling
from scumble.engine.transformation import EPSILON, GRID, doubled_sides, finished, mixed, mixed_filters, prepared

STRIP_PX = 2**18
"""Of so many px of the picture all is computed at once; pictures of less are done in one piece."""
Rows = Callable[[int, int], Tensor]
"""Some rows of a map: (first, beyond the last) → (1, channels, rows, width)."""


@dataclass(frozen=True)
class Network:
    """A transformation network as it is used: `tensors` by the names of `Shape.tensors`, on a device, filters in the
    type in which it computes."""

    shape: Shape
    tensors: Mapping[str, Tensor]

    @classmethod
    def of(cls, shape: Shape, tensors: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype) -> "Network":
        """From tensors in any type."""
        found = {
            name: tensor.to(device, dtype) if name.endswith(".filters") else tensor.to(device, torch.float32)
            for name, tensor in tensors.items()
        }
        return cls(shape, found)

    @torch.no_grad()
    def repaint(self, picture: Tensor, mixture: Sequence[float], strength: float, at: Place) -> Tensor:
        """A picture (1, 3, height, width) in 0..1, repainted after `mixture`, each style's share, at a strength in
        0..100, with the noise of a place."""
        height, width = picture.shape[2:]
        padded = pad_to_multiple(picture, GRID)
        return _Pass(self, padded, mixture, strength, at).picture()[:, :, :height, :width]


@dataclass(frozen=True)
class _Stage:
    """A layer's answer, normalised: some rows of it, its height, and its width."""

    rows: Rows
    height: int
    width: int


class _Moments:
    """Mean and variance of each channel, (channels,), of all that was added; sums of squares would cancel (Chan et al.
    1979)."""

    def __init__(self) -> None:
        self._count = 0
        self.mean = self.variance = torch.zeros(())

    def add(self, part: Tensor) -> None:
        """Some rows of a map, (1, channels, rows, width)."""
        count = part.shape[2] * part.shape[3]
        variance, mean = torch.var_mean(part[0].flatten(1).float(), 1, correction=0)
        if not self._count:
            self._count, self.mean, self.variance = count, mean, variance
            return
        share = count / (self._count + count)
        away = mean - self.mean
        self.variance = self.variance + share * (variance - self.variance) + share * (1 - share) * away.square()
        self.mean = self.mean + share * away
        self._count += count


class _Pass:
    def __init__(self, network: Network, picture: Tensor, mixture: Sequence[float], strength: float, at: Place) -> None:
        self._shape, self._tensors = network.shape, network.tensors
        self._picture, self._at = picture, at
        device = picture.device
        self._mixture = torch.tensor([list(mixture)], dtype=torch.float32, device=device)
        self._strength = torch.tensor([strength], dtype=torch.float32, device=device)
        self._dtype = self._tensors["in.filters"].dtype

    def picture(self) -> Tensor:
        height, width = self._picture.shape[2:]
        stage = _Stage(self._prepared, height, width)
        begun = stage
        for layer in self._shape.layers[:-1]:
            if layer.name.startswith("block") and not layer.adds:
                begun = stage
            stage = self._staged(layer, stage, begun)
        return self._last(stage)

    def _prepared(self, first: int, last: int) -> Tensor:
        return prepared(self._picture[:, :, first:last], self._shape, self._at, first).to(self._dtype)

    def _staged(self, layer: Layer, before: _Stage, begun: _Stage) -> _Stage:
        height, width = (_sized(side, layer.change) for side in (before.height, before.width))
        raw = self._raw(layer, before, height, width)
        is_full = height == self._picture.shape[2]
        is_stored = not is_full or len(self._strips(height, width)) == 1
        stored = self._picture.new_empty(1, layer.out, height, width, dtype=self._dtype) if is_stored else None
        if stored is not None:
            stored = stored.contiguous(memory_format=torch.channels_last)
        moments = _Moments()
        for strip in self._strips(height, width):
            answer = raw(strip.start, strip.stop)
            moments.add(answer)
            if stored is not None:
                stored[:, :, strip] = answer
        gain, shift = (
            mixed(self._tensors[f"{layer.name}.{kind}"], self._mixture, self._strength)[0] for kind in ("gain", "shift")
        )
        scale = gain / (moments.variance + EPSILON).sqrt()
        offset = (shift - moments.mean * scale).to(self._dtype)[:, None, None]
        scale = scale.to(self._dtype)[:, None, None]

        def rows(first: int, last: int) -> Tensor:
            answer = raw(first, last) if stored is None else stored[:, :, first:last]
            answer = answer * scale + offset
            return answer + begun.rows(first, last) if layer.adds else answer.relu_()

        if not layer.adds:
            return _Stage(rows, height, width)
        # what a block adds to would else be asked for through all the blocks before it
        assert stored is not None
        for strip in self._strips(height, width):
            stored[:, :, strip] = rows(strip.start, strip.stop)
        return _Stage(lambda first, last: stored[:, :, first:last], height, width)

    def _raw(self, layer: Layer, before: _Stage, height: int, width: int) -> Rows:
        filters = mixed_filters(self._tensors[f"{layer.name}.filters"], self._mixture[0])

        def rows(first: int, last: int) -> Tensor:
            if layer.change is Change.DOUBLED and self._shape.upsampling is Upsampling.TRANSPOSED:
                top, end = first // 2, min(before.height, last // 2 + 1)
                found = nnf.conv_transpose2d(
                    before.rows(top, end), filters.transpose(0, 1), stride=2, padding=1, output_padding=1
                )
                # the last row but one hears of the row that is not there; it was asked for, unless the picture ends
                return found[:, :, first - 2 * top : last - 2 * top]
            if layer.change is Change.DOUBLED:
                top, end = (first - layer.reach) // 2 - 1, -(-(last + layer.reach) // 2) + 1
                top, end = max(0, top), min(before.height, end)
                seen = doubled_sides(before.rows(top, end), self._shape.upsampling)
                return nnf.conv2d(_framed(seen, 2 * top, 2 * before.height, first, last, layer.reach), filters)
            stride = 2 if layer.change is Change.HALVED else 1
            low, high = stride * first, stride * (last - 1) + 1
            top, end = max(0, low - layer.reach), min(before.height, high + layer.reach)
            seen = _framed(before.rows(top, end), top, before.height, low, high, layer.reach)
            return nnf.conv2d(seen, filters, stride=stride)

        return rows

    def _last(self, stage: _Stage) -> Tensor:
        layer, bias = self._shape.layers[-1], self._tensors["out.bias"][:, None, None]
        raw = self._raw(layer, stage, stage.height, stage.width)
        shares = mixed(self._tensors["out.share"], self._mixture, self._strength)
        found = torch.empty_like(self._picture)
        for strip in self._strips(stage.height, stage.width):
            answer = raw(strip.start, strip.stop).float() + bias
            found[:, :, strip] = finished(answer, self._picture[:, :, strip], shares)
        return found

    def _strips(self, height: int, width: int) -> list[slice]:
        """Even numbers of rows, as many as `STRIP_PX` of the picture have."""
        share = self._picture.shape[2] // height
        found = bands(height // 2, 2 * width, self._picture.device, STRIP_PX // share**2)
        return [slice(2 * rows.start, 2 * rows.stop if rows.stop < height // 2 else height) for rows in found]


def _framed(seen: Tensor, top: int, height: int, first: int, last: int, reach: int) -> Tensor:
    """Of rows `top` and on of a map, those from `first` − `reach` to `last` + `reach`; what lies beyond the map's edges
    is as at the edges."""
    above, below = max(0, reach - first), max(0, last + reach - height)
    seen = seen[:, :, max(0, first - reach) - top : min(height, last + reach) - top]
    return nnf.pad(seen, (reach, reach, above, below), mode="replicate")


def _sized(side: int, change: Change) -> int:
    if change is Change.NONE:
        return side
    return side // 2 if change is Change.HALVED else side * 2
