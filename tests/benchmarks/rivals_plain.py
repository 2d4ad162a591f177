"""neural-style-pt's default loss as a plain torchvision loop has it: layers, autograd and an optimiser of torch's.

    5 · mean (F − P)²  at relu4_2
    + 100 · Σ mean (G − A)² / (C H W)²  at relu1_1 … relu5_1
    + 0.001 · Σ (|x_{i+1,j} − x_{i,j}| + |x_{i,j+1} − x_{i,j}|)

of a picture (1, 3, height, width) in Caffe's form: BGR, 0..255 with ImageNet's mean taken away. Maximum pooling, zeros
beyond the edge.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor, nn
from torchvision.models import vgg19

CONTENT_WEIGHT, STYLE_WEIGHT, TV_WEIGHT = 5.0, 100.0, 1e-3
CONTENT_LAYER = "conv4_2"
STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
_PLACES = {1: "conv1_1", 6: "conv2_1", 11: "conv3_1", 20: "conv4_1", 22: "conv4_2", 29: "conv5_1"}
_MEAN = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)


def caffe(rgb: np.ndarray) -> Tensor:
    """(height, width, 3) in 0..1 → (1, 3, height, width)."""
    return torch.from_numpy(np.ascontiguousarray(rgb[..., ::-1].transpose(2, 0, 1), np.float32))[None] * 255 - _MEAN


def rgb(x: Tensor) -> np.ndarray:
    """`caffe` taken back."""
    return np.ascontiguousarray(((x.detach() + _MEAN) / 255)[0].flip(0).permute(1, 2, 0).numpy())


class Loss:
    """The loss between a picture and its content and style, all in Caffe's form."""

    def __init__(self, state: Mapping[str, Tensor], content: Tensor, style: Tensor) -> None:
        network = vgg19(weights=None)
        network.load_state_dict(dict(state), strict=False)
        self._layers: nn.Sequential = network.features[: max(_PLACES) + 1].eval().requires_grad_(False)
        with torch.no_grad():
            self._content = self._maps(content)[CONTENT_LAYER]
            self._style = {name: _gram(each) for name, each in self._maps(style).items() if name in STYLE_LAYERS}

    def by_layer(self, x: Tensor) -> dict[str, Tensor]:
        """The summands, scalars, by layer; that of the picture itself as `tv`."""
        maps = self._maps(x)
        found = {name: STYLE_WEIGHT * nnf.mse_loss(_gram(maps[name]), self._style[name]) for name in STYLE_LAYERS}
        variation = (x[..., 1:, :] - x[..., :-1, :]).abs().sum() + (x[..., 1:] - x[..., :-1]).abs().sum()
        content = CONTENT_WEIGHT * nnf.mse_loss(maps[CONTENT_LAYER], self._content)
        return {**found, CONTENT_LAYER: content, "tv": TV_WEIGHT * variation}

    def __call__(self, x: Tensor) -> Tensor:
        return torch.stack(list(self.by_layer(x).values())).sum()

    def _maps(self, x: Tensor) -> dict[str, Tensor]:
        found = {}
        for place, layer in enumerate(self._layers):
            x = layer(x)
            if place in _PLACES:
                found[_PLACES[place]] = x
        return found


def _gram(F: Tensor) -> Tensor:
    flat = F.flatten(2)[0]
    return flat @ flat.T / F.numel()


def descend(loss: Loss, x: Tensor, optimizer: str, iterations: int, each: Callable[[int, float, Tensor], None]) -> None:
    """`iterations` of L-BFGS as torch has it, or of Adam with a step of 10 of 255; `each` is told after every one."""
    x = x.clone().requires_grad_()
    done = 0

    def closure() -> Tensor:
        nonlocal done
        kind.zero_grad()
        value = loss(x)
        torch.autograd.backward(value)
        done += 1
        each(done, float(value.detach()), x)
        return value

    if optimizer == "adam":
        kind: torch.optim.Optimizer = torch.optim.Adam([x], lr=10.0)
        for _ in range(iterations):
            kind.step(closure)
    else:
        kind = torch.optim.LBFGS(
            [x], max_iter=iterations, max_eval=2 * iterations, tolerance_grad=0, tolerance_change=0
        )
        kind.step(closure)
