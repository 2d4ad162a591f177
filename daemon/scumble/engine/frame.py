"""The colour frame: fixed filters that together see everything in a 3 × 3 patch of colour.

The nine products of the 3-point discrete cosine basis, times three opponent colours, with both signs and a ReLU: 54
maps at each of several scales. The first layer of a narrow or untrained network is blind to some patches, and what the
statistics cannot see costs nothing, which shows as confetti; Gram matrices of the frame leave nothing unseen.
Layers are called `frame1`, `frame2`, `frame4` after the scale at which they look.
"""

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as nnf
from torch import Tensor

from scumble.engine.geometry import FRAME_CHANNELS, Geometry
from scumble.engine.vgg import AddGradient, Convolution, Maps
from scumble.recipe import Padding

_MEAN, _STD = 0.45, 0.25


def frame_filters() -> Tensor:
    """(54, 3, 3, 3): DCT basis × opponent colours, both signs; rows 0 to 26 are orthonormal, the rest their
    negatives."""
    angle = torch.tensor([[math.pi * (i + 0.5) * k / 3 for i in range(3)] for k in range(3)], dtype=torch.float64)
    basis = nnf.normalize(angle.cos(), dim=1)
    opponent = nnf.normalize(torch.tensor([[1, 1, 1], [1, -1, 0], [1, 1, -2]], dtype=torch.float64), dim=1)
    filters = torch.einsum("oc,iy,jx->oijcyx", opponent, basis, basis).reshape(27, 3, 3, 3).float()
    return torch.cat([filters, -filters])


class Frame:
    """The colour frame at `scales`, powers of two: 1 looks at the picture as it is. See
    `scumble.engine.vgg.Network`."""

    def __init__(
        self, scales: Iterable[int], *, device: torch.device | None = None, dtype: torch.dtype = torch.float32
    ) -> None:
        self.scales = tuple(scales)
        self.dtype = dtype
        geometry = Geometry.of_frame(self.scales)
        self.taps, self.stride, self.radius = geometry.taps, geometry.stride, geometry.radius
        filters = frame_filters()
        self._convolution = Convolution.of(
            filters, torch.zeros(FRAME_CHANNELS), Padding.REPLICATE, device or torch.device("cpu"), dtype
        )

    def prepare(self, picture: Tensor) -> Tensor:
        """RGB (1, 3, height, width) in 0..1 → roughly zero mean and unit deviation."""
        return (picture - _MEAN) / _STD

    def unprepare(self, gradient: Tensor) -> Tensor:
        """The adjoint of `prepare` without its mean; same shapes."""
        return gradient / _STD

    def forward(self, x: Tensor) -> Maps:
        """The 54 maps of every scale, the picture shrunk by averaging."""
        maps: Maps = {}
        for scale in self.scales:
            shrunk = nnf.avg_pool2d(x, scale) if scale > 1 else x
            shrunk = shrunk.to(self.dtype).contiguous(memory_format=torch.channels_last)
            maps[f"frame{scale}"] = self._convolution.forward(shrunk)
        return maps

    def backward(self, maps: Maps, add_gradient: AddGradient) -> Tensor:
        """The gradient with respect to the input of `forward`, float32."""
        total: Tensor | None = None
        for scale in self.scales:
            tap = f"frame{scale}"
            g = add_gradient(tap, maps, None)
            if g is None:
                continue
            g = self._convolution.backward(torch.ops.aten.threshold_backward(g, maps[tap], 0)).float()
            if scale > 1:
                g = nnf.interpolate(g, scale_factor=scale, mode="nearest") / scale**2
            total = g if total is None else total + g
        if total is None:
            tap = self.taps[0]
            height, width = (side * self.stride[tap] for side in maps[tap].shape[2:])
            return torch.zeros(1, 3, height, width, device=maps[tap].device)
        return total
