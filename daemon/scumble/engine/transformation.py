"""The transformation network: repaints a picture in one pass, in the manner of the styles that it was trained for.

A convolution, two that halve the sides, **blocks** that add to what they see, two that double the sides again, and a
last convolution (Johnson et al. 2016, "Perceptual Losses for Real-Time Style Transfer"). Between them every channel is
normalised over the whole picture, **instance normalisation** (Ulyanov et al. 2016), and brought to a gain and a shift
that belong to the style (Dumoulin et al. 2017, "A Learned Representation for Artistic Style"). Here these are
polynomials of the strength, so that one network paints softly and strongly; of several styles they are mixed by weight.
So are the **shares** of its answer and of the content in the picture (with little strength much of the content stays),
and the last layers' filters where every style has its own.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from scumble.engine.noise import Place, noise
from scumble.engine.shape import POWERS, Change, Layer, Shape, Upsampling

GRID = 4
"""The sides of what it takes are multiples of so many px."""
MIDDLE_STRENGTH = 60.0
"""The strength at which a polynomial is its first coefficient."""
EPSILON = 1e-5
FIRST_SHARES = ((1.0, 0.6, 0.0), (0.25, -0.5, 0.25))
"""Polynomials that the shares begin with: at strength 20 four tenths of the answer over all of the content, at 100 all
and more of the one and nothing of the other."""
_INSET = 0.02
_MEAN, _DEVIATION = 0.45, 0.25


class Transformation(nn.Module):
    """The network as it learns, with its parameters by the names of `Shape.tensors`, float32."""

    def __init__(self, shape: Shape, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.values = nn.ParameterDict()
        for name, size in shape.tensors().items():
            value = torch.zeros(size)
            if name.endswith(".filters"):
                # the same for all styles at first, so that there is something between them
                value[:] = torch.zeros(size[-4:]).normal_(0, (2 / math.prod(size[-3:])) ** 0.5, generator=generator)
            elif name.endswith(".gain"):
                value[:, 0] = 0.0 if name.split(".")[0].endswith("b") else 1.0
            elif name == "out.share":
                value[:] = torch.tensor(FIRST_SHARES).T
            self.values[name.replace(".", "_")] = nn.Parameter(value)

    def tensor(self, name: str) -> Tensor:
        """A parameter by its name in `Shape.tensors`."""
        found: Tensor = self.values[name.replace(".", "_")]
        return found

    def tensors(self) -> dict[str, Tensor]:
        """All of them, detached."""
        return {name: self.tensor(name).detach() for name in self.shape.tensors()}

    def forward(self, pictures: Tensor, mixture: Tensor, strength: Tensor, places: Sequence[Place]) -> Tensor:
        """Repaint pictures (n, 3, height, width) in 0..1, sides multiples of `GRID`, after `mixture` (n, styles), whose
        rows add up to one, at `strength` (n,) in 0..100, each with the noise of its place."""
        seen = [prepared(picture[None], self.shape, at) for picture, at in zip(pictures, places, strict=True)]
        h, begun = torch.cat(seen), pictures
        for layer in self.shape.layers[:-1]:
            if layer.name.startswith("block") and not layer.adds:
                begun = h
            h = self._convolved(h, layer, mixture)
            gain, shift = (
                mixed(self.tensor(f"{layer.name}.{kind}"), mixture, strength)[:, :, None, None]
                for kind in ("gain", "shift")
            )
            # groups of one channel are instances, and have a kernel for channels-last maps
            h = torch.addcmul(shift, nnf.group_norm(h, layer.out, eps=EPSILON), gain)
            h = h + begun if layer.adds else h.relu()
        last = self.shape.layers[-1]
        h = self._convolved(h, last, mixture)
        shares = mixed(self.tensor("out.share"), mixture, strength)
        return finished(h + self.tensor("out.bias")[:, None, None], pictures, shares)

    def _convolved(self, h: Tensor, layer: Layer, mixture: Tensor) -> Tensor:
        filters, upsampling = self.tensor(f"{layer.name}.filters"), self.shape.upsampling
        if filters.ndim == 4:
            return convolved(h, layer, filters, upsampling)
        each = zip(h, mixture, strict=True)
        found = [convolved(one[None], layer, mixed_filters(filters, shares), upsampling) for one, shares in each]
        return torch.cat(found)


def prepared(picture: Tensor, shape: Shape, at: Place, first: int = 0) -> Tensor:
    """What the first layer sees of rows `first` and on of a picture in 0..1, (1, 3, rows, width), which has the noise
    of a place."""
    seen = (picture - _MEAN) / _DEVIATION
    if shape.noise:
        rows, width = picture.shape[2:]
        seen = torch.cat([seen, noise(first, first + rows, width, at, picture.device)], 1)
    return seen.contiguous(memory_format=torch.channels_last)


def finished(answer: Tensor, pictures: Tensor, shares: Tensor) -> Tensor:
    """Pictures in 0..1 of what the last layer says and what there was, by the shares (n, 2) of both."""
    own, stays = shares[:, :, None, None, None].unbind(1)
    return torch.sigmoid(own * answer + stays * torch.logit(_INSET + (1 - 2 * _INSET) * pictures.clamp(0, 1)))


def mixed(coefficients: Tensor, mixture: Tensor, strength: Tensor) -> Tensor:
    """Gains, shifts or shares (n, channels) of coefficients (styles, `POWERS`, channels)."""
    powers = ((strength - MIDDLE_STRENGTH) / 40)[:, None] ** torch.arange(POWERS, device=strength.device)
    return torch.einsum("ns,np,spc->nc", mixture, powers, coefficients)


def mixed_filters(filters: Tensor, shares: Tensor) -> Tensor:
    """A layer's filters (out, in, k, k); where each style has its own, (styles, out, in, k, k), by their shares
    (styles,)."""
    if filters.ndim > 4:
        filters = torch.tensordot(shares.to(filters.dtype), filters, 1)
    return filters.contiguous(memory_format=torch.channels_last)


def doubled_sides(h: Tensor, upsampling: Upsampling) -> Tensor:
    """Maps of twice the height and width, for a convolution to look at."""
    if upsampling is Upsampling.BILINEAR:
        return nnf.interpolate(h, scale_factor=2, mode="bilinear", align_corners=False)
    return nnf.interpolate(h, scale_factor=2, mode="nearest")


def convolved(h: Tensor, layer: Layer, filters: Tensor, upsampling: Upsampling) -> Tensor:
    """The layer's convolution of whole maps, what lies beyond the edges being as at the edges."""
    doubled = layer.change is Change.DOUBLED
    if doubled and upsampling is Upsampling.TRANSPOSED:
        return nnf.conv_transpose2d(h, filters.transpose(0, 1), stride=2, padding=1, output_padding=1)
    if doubled:
        h = doubled_sides(h, upsampling)
    h = nnf.pad(h, (layer.reach,) * 4, mode="replicate")
    return nnf.conv2d(h, filters, stride=2 if layer.change is Change.HALVED else 1)
