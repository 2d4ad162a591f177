"""One network for all engines: seeded filters, scaled so that neural-style-pt's loss has its usual proportions.

ImageNet's weights are not everywhere to be had, and what they weigh against each other decides how hard a loss is. So
each layer's maps are scaled until the summands of the loss at neural-style-pt's first iteration are those that its
own INSTALL.md prints of its default job. The directions of the filters stay seeded: what they answer to differs from a
trained network's.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import rivals_plain as plain
import torch
import torch.nn.functional as nnf
from torch import Tensor

from scumble.engine.geometry import layer_order
from scumble.engine.weights import CAFFE, Weights, assembled, conv_names, describe_seeded, save, seeded

PRINTED = {
    "conv1_1": 29891.0,
    "conv2_1": 658039.0,
    "conv3_1": 145284.0,
    "conv4_1": 11347409.0,
    "conv4_2": 1616196.0,
    "conv5_1": 563.4,
}
"""At a nearly gray picture: the style's losses, and the content's at conv4_2."""
_PLACES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)


def network(content: Tensor, style: Tensor) -> Weights:
    """VGG19 that sees pictures in Caffe's form, scaled by this pair of them."""
    found = seeded("vgg19")
    filters = {**found.filters, "conv1_1": found.filters["conv1_1"].flip(1).contiguous()}
    biases = _biases(filters, content)
    at_gray = plain.Loss(state(filters, biases), content, style).by_layer(torch.zeros_like(content))
    before = 1.0
    for name in conv_names("vgg19"):
        factor = before
        if name in PRINTED:
            power = 0.5 if name == plain.CONTENT_LAYER else 0.25
            factor = (PRINTED[name] / float(at_gray[name])) ** power
        filters[name] = filters[name] * (factor / before)
        biases[name] = biases[name] * factor
        before = factor
    return assembled(replace(describe_seeded("vgg19"), preprocessing=CAFFE), filters, biases)


def _biases(filters: Mapping[str, Tensor], picture: Tensor) -> dict[str, Tensor]:
    """A tenth of what the filters answer to `picture`: without any, gray would be a saddle that L-BFGS hardly
    leaves."""
    generator = torch.Generator().manual_seed(0)
    biases, h = {}, picture
    for name in layer_order("vgg19"):
        if name.startswith("pool"):
            h = nnf.max_pool2d(h, 2)
            continue
        h = nnf.conv2d(h, filters[name], padding=1)
        width = h.shape[1]
        biases[name] = 0.1 * h.square().mean().sqrt() * torch.randn(width, generator=generator)
        h = (h + biases[name].view(1, width, 1, 1)).relu()
    return biases


def state(filters: Mapping[str, Tensor], biases: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """In torchvision's layout."""
    found = {}
    for name, place in zip(conv_names("vgg19"), _PLACES, strict=True):
        found |= {f"features.{place}.weight": filters[name], f"features.{place}.bias": biases[name]}
    return found


def write(weights: Weights, folder: Path) -> None:
    """As `vgg19.pth` for the peers and `vgg19.safetensors` for Scumble."""
    torch.save(state(weights.filters, weights.biases), folder / "vgg19.pth")
    save(weights, folder / "vgg19.safetensors")
