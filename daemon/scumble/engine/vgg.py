"""The VGG family as named layers, with a backward pass of its own.

A **trunk** is the network from the picture to the deepest layer in use, nothing beyond. A **map** is one layer's
response, (1, channels, height, width) in channels-last memory. A **tap** is a layer whose map a loss reads.

The filters are constants here, so the gradient with respect to the picture needs no autograd: the data gradient of a
convolution is a convolution with the flipped, transposed filters, and of all maps only the rectified ones must be kept.
On a CPU both directions run on filters packed once for oneDNN, with the ReLU fused in.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import torch
import torch.nn.functional as nnf
from torch import Tensor

from scumble.engine.geometry import Geometry, layer_order
from scumble.engine.geometry import canonical as canonical
from scumble.engine.weights import Preprocessing, Weights
from scumble.recipe import Padding, Pooling

Maps = dict[str, Tensor]
AddGradient = Callable[[str, Maps, Tensor | None], Tensor | None]
"""(tap, maps, gradient so far or None) → the gradient with the tap's own added, in place where it can be."""

_NORMALIZATION_FLOOR = 0.2  # of a layer's mean: filters that hardly ever fire would otherwise explode


class Network(Protocol):
    """What the objective needs of a network: maps of a picture, and the way back."""

    @property
    def taps(self) -> tuple[str, ...]:
        """The layers that losses read."""

    @property
    def stride(self) -> Mapping[str, int]:
        """How many px of the picture one position of a layer spans."""

    @property
    def radius(self) -> Mapping[str, float]:
        """Half a layer's receptive field in px."""

    def prepare(self, picture: Tensor) -> Tensor:
        """Network input of a picture (1, 3, height, width) in 0..1."""

    def unprepare(self, gradient: Tensor) -> Tensor:
        """The gradient with respect to the picture, of one with respect to the network's input."""

    def forward(self, x: Tensor) -> Maps:
        """The maps that losses and `backward` need."""

    def backward(self, maps: Maps, add_gradient: AddGradient) -> Tensor:
        """Gradient with respect to the input of `forward`; uses `maps` up."""


@dataclass(frozen=True)
class Convolution:
    """A 3 × 3 convolution with its ReLU, and the gradient with respect to its input, for one device and type."""

    filters: Tensor
    bias: Tensor
    flipped: Tensor
    padding: Padding
    packed: bool

    @classmethod
    def of(
        cls, filters: Tensor, bias: Tensor, padding: Padding, device: torch.device, dtype: torch.dtype
    ) -> "Convolution":
        """From filters (out, in, 3, 3) and bias (out,)."""
        filters = filters.to(device, dtype)
        flipped = filters.flip(2, 3).transpose(0, 1)
        packed = (
            device.type == "cpu" and dtype in (torch.float32, torch.bfloat16) and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        )
        if packed:
            inset = [1, 1] if padding is Padding.ZEROS else [0, 0]
            outset = [1, 1] if padding is Padding.ZEROS else [2, 2]
            filters = torch.ops.mkldnn._reorder_convolution_weight(filters.contiguous(), inset, [1, 1], [1, 1], 1, None)
            flipped = torch.ops.mkldnn._reorder_convolution_weight(
                flipped.contiguous(), outset, [1, 1], [1, 1], 1, None
            )
        else:
            filters = filters.contiguous(memory_format=torch.channels_last)
            flipped = flipped.contiguous(memory_format=torch.channels_last)
        return cls(filters, bias.to(device, dtype), flipped, padding, packed)

    def forward(self, x: Tensor, *, rectify: bool = True, scratch: "Scratch | None" = None) -> Tensor:
        """(1, in, h, w) → (1, out, h, w)."""
        inset = 1
        if self.padding is not Padding.ZEROS:
            x, inset = (scratch or Scratch()).padded(x, self.padding), 0
        y = self._convolve(x, self.filters, self.bias, inset, rectify)
        return y if self.packed or not rectify else y.relu_()

    def backward(self, gradient: Tensor) -> Tensor:
        """(1, out, h, w), already zero where the ReLU was → (1, in, h, w), possibly a strided view."""
        if self.padding is Padding.ZEROS:
            return self._convolve(gradient, self.flipped, None, 1, False)
        return _fold(self._convolve(gradient, self.flipped, None, 2, False), self.padding)

    def _convolve(self, x: Tensor, filters: Tensor, bias: Tensor | None, inset: int, rectify: bool) -> Tensor:
        if self.packed:
            attr = "relu" if rectify else "none"
            y: Tensor = torch.ops.mkldnn._convolution_pointwise(
                x, filters, bias, [inset, inset], [1, 1], [1, 1], 1, attr, [], ""
            )
            return y
        return nnf.conv2d(x, filters, bias, padding=inset)


class Scratch:
    """One piece of memory for padded maps, of which only one is wanted at a time.

    Taken from the allocator afresh they would lie between the maps that stay, and leave holes that nothing else fits.
    """

    def __init__(self) -> None:
        self._memory: Tensor | None = None

    def padded(self, x: Tensor, padding: Padding) -> Tensor:
        """A map (1, channels, height, width) with a border of one px, valid until the next call."""
        channels, height, width = x.shape[1], x.shape[2] + 2, x.shape[3] + 2
        need = channels * height * width
        memory = self._memory
        if memory is None or memory.numel() < need or memory.dtype != x.dtype or memory.device != x.device:
            memory = self._memory = torch.empty(need, dtype=x.dtype, device=x.device)
        y = memory[:need].view(1, height, width, channels).permute(0, 3, 1, 2)
        y[:, :, 1:-1, 1:-1] = x
        # a map of one row has nothing to reflect
        step = 2 if padding is Padding.REFLECT and min(x.shape[2:]) > 1 else 1
        y[:, :, 0, 1:-1] = y[:, :, step, 1:-1]
        y[:, :, -1, 1:-1] = y[:, :, -1 - step, 1:-1]
        y[..., 0] = y[..., step]
        y[..., -1] = y[..., -1 - step]
        return y


def _fold(g: Tensor, padding: Padding) -> Tensor:
    """The adjoint of `Scratch.padded`: adds the border's gradient to the rows and columns that it was copied from."""
    height, width = g.shape[2] - 2, g.shape[3] - 2
    step = 2 if padding is Padding.REFLECT and min(height, width) > 1 else 1
    g[:, :, step] += g[:, :, 0]
    g[:, :, -1 - step] += g[:, :, -1]
    g[..., step] += g[..., 0]
    g[..., -1 - step] += g[..., -1]
    return g[:, :, 1:-1, 1:-1]


class Trunk:
    """VGG11, 13, 16 or 19 up to the deepest of `taps`, see `Network`.

    `taps` are names as in `scumble.recipe`; `stride` tells how many px of the picture one position of a layer spans,
    `radius` half its receptive field in px.
    """

    def __init__(
        self,
        weights: Weights,
        taps: Iterable[str],
        *,
        pooling: Pooling = Pooling.AVERAGE,
        padding: Padding = Padding.REPLICATE,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.weights = weights
        self.pooling = pooling
        self.dtype = dtype
        self.device = device or torch.device("cpu")
        channels = {name: len(bias) for name, bias in weights.biases.items()}
        self.geometry = Geometry.of(weights.architecture, taps, channels)
        self.taps, self.steps = self.geometry.taps, self.geometry.steps
        self.stride, self.radius = self.geometry.stride, self.geometry.radius
        self.channels = self.geometry.channels
        self._scratch = Scratch()
        self._convolutions = {
            name: Convolution.of(weights.filters[name], weights.biases[name], padding, self.device, dtype)
            for name in self.steps
            if name.startswith("conv")
        }

    @property
    def channels_per_px(self) -> dict[str, float]:
        """See `Geometry`."""
        return self.geometry.channels_per_px

    def release(self) -> None:
        """Let go of what only the next picture of the same size would use again."""
        self._scratch = Scratch()

    def prepare(self, picture: Tensor) -> Tensor:
        """RGB (1, 3, height, width) in 0..1 → what these weights were trained to see."""
        return preprocess(picture, self.weights.preprocessing)

    def unprepare(self, gradient: Tensor) -> Tensor:
        """The adjoint of `prepare` without its mean; same shapes."""
        asked = self.weights.preprocessing
        gradient = gradient * (asked.scale / per_channel(asked.std, gradient.dtype, gradient.device))
        return gradient.flip(1) if asked.order == "bgr" else gradient

    def forward(self, x: Tensor) -> Maps:
        """Maps of every convolution (and of tapped pools and pre-activations) up to the deepest tap."""
        h = x.to(self.dtype).contiguous(memory_format=torch.channels_last)
        maps: Maps = {}
        scratch = self._scratch
        for name in self.steps:
            if name.startswith("pool"):
                h = self._pool(h)
                if name in self.taps:
                    maps[name] = h
                continue
            before = name.replace("conv", "preact")
            if before in self.taps:
                maps[before] = self._convolutions[name].forward(h, rectify=False, scratch=scratch)
                h = maps[before].relu()
            else:
                h = self._convolutions[name].forward(h, scratch=scratch)
            maps[name] = h
        return maps

    def backward(self, maps: Maps, add_gradient: AddGradient) -> Tensor:
        """The gradient of the losses with respect to the input of `forward`, float32.

        Takes the maps out of `maps` as it goes, which halves the peak of memory: a layer's maps are let go once the
        layer below it has been passed, since a chained statistic still reads them there.
        """
        g: Tensor | None = None
        shape = maps[self.steps[0]].shape
        passed: list[str] = []
        for index in reversed(range(len(self.steps))):
            name = self.steps[index]
            g = self._tapped(name, maps, g, add_gradient)
            if name.startswith("pool"):
                g = None if g is None else self._unpool(g, maps[self.steps[index - 1]])
                continue
            if g is not None:
                g = torch.ops.aten.threshold_backward(g, maps[name], 0)
            g = self._tapped(name.replace("conv", "preact"), maps, g, add_gradient)
            for done in passed:
                maps.pop(done, None)
            passed = [name, name.replace("conv", "preact")]
            if g is not None:
                g = self._convolutions[name].backward(g.contiguous(memory_format=torch.channels_last))
        if g is None:
            return torch.zeros(1, 3, shape[2], shape[3], device=self.device)
        return g.float()

    def _tapped(self, name: str, maps: Maps, g: Tensor | None, add_gradient: AddGradient) -> Tensor | None:
        if name not in self.taps:
            return g
        if g is not None:
            g = g.contiguous(memory_format=torch.channels_last)
        return add_gradient(name, maps, g)

    def _pool(self, x: Tensor) -> Tensor:
        return nnf.avg_pool2d(x, 2) if self.pooling is Pooling.AVERAGE else nnf.max_pool2d(x, 2)

    def _unpool(self, g: Tensor, x: Tensor) -> Tensor:
        g = g.contiguous(memory_format=torch.channels_last)
        if self.pooling is Pooling.AVERAGE:
            y: Tensor = torch.ops.aten.avg_pool2d_backward(g, x, [2, 2], [2, 2], [0, 0], False, True, None)
            return y
        _, indices = nnf.max_pool2d_with_indices(x, (2, 2))
        unpooled: Tensor = torch.ops.aten.max_pool2d_with_indices_backward(
            g, x, [2, 2], [2, 2], [0, 0], [1, 1], False, indices
        )
        return unpooled


def preprocess(picture: Tensor, preprocessing: Preprocessing) -> Tensor:
    """(picture · scale − mean) / std in the channel order of the weights; (1, 3, height, width), differentiable."""
    if preprocessing.order == "bgr":
        picture = picture.flip(1)
    mean, std = (per_channel(each, picture.dtype, picture.device) for each in (preprocessing.mean, preprocessing.std))
    return (picture * preprocessing.scale - mean) / std


@lru_cache(maxsize=32)
def per_channel(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A number for each channel, (1, channels, 1, 1), kept: bringing it to a device anew would stall every step."""
    return torch.tensor(values, dtype=dtype, device=device).view(1, -1, 1, 1)


def normalized(weights: Weights, pooling: Pooling) -> Weights:
    """The same network with every filter rescaled to a mean activation of one (Gatys et al. 2015, section Methods).

    Means are taken over positions of the pictures of `calibration_pictures`, not over a photograph collection; a filter
    whose mean lies under a fifth of its layer's is treated as if it had that fifth, or rare filters would explode.
    """
    h = preprocess(calibration_pictures(), weights.preprocessing)
    filters: dict[str, Tensor] = {}
    biases: dict[str, Tensor] = {}
    incoming = torch.ones(3)
    for name in layer_order(weights.architecture):
        if name.startswith("pool"):
            h = nnf.avg_pool2d(h, 2) if pooling is Pooling.AVERAGE else nnf.max_pool2d(h, 2)
            continue
        h = nnf.conv2d(nnf.pad(h, (1, 1, 1, 1), mode="replicate"), weights.filters[name], weights.biases[name]).relu_()
        mean = h.mean((0, 2, 3))
        mean = mean.clamp(min=float(_NORMALIZATION_FLOOR * mean.mean()) or 1.0)
        filters[name] = weights.filters[name] * (incoming / mean[:, None])[:, :, None, None]
        biases[name] = weights.biases[name] / mean
        incoming = mean
    return replace(weights, filters=filters, biases=biases, digest=f"{weights.digest}-normalized-{pooling.value}")


def calibration_pictures(size: int = 160, count: int = 2) -> Tensor:
    """Pictures (count, 3, size, size) in 0..1 with a photograph's statistics: 1/f colour noise under flat shapes."""
    generator = torch.Generator().manual_seed(20150826)
    frequency = (torch.fft.fftfreq(size)[:, None] ** 2 + torch.fft.rfftfreq(size)[None] ** 2).sqrt().clamp(min=1 / size)
    noise = torch.fft.irfft2(
        torch.fft.rfft2(torch.randn(count, 3, size, size, generator=generator)) / frequency, s=(size, size)
    )
    noise = noise / noise.std((2, 3), keepdim=True)
    opponent = torch.tensor([[1.0, 0.35, 0.2], [1.0, -0.35, 0.2], [1.0, 0.0, -0.4]])
    picture = 0.45 + 0.18 * torch.einsum("ij,njhw->nihw", opponent, noise)
    for index in range(count):
        for _ in range(24):
            y, x, h, w = (torch.rand(4, generator=generator) * size * torch.tensor([1, 1, 0.4, 0.4])).int().tolist()
            picture[index, :, y : y + h, x : x + w] += (torch.rand(3, 1, 1, generator=generator) - 0.5) * 0.6
    return picture.clamp(0, 1)
