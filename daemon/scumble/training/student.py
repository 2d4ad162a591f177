"""The network that is trained: VGG's layout with batch norms, and the heads that ask it questions.

Questions: which **style** is this, what are the style's **traits** (its parameters), what does the picture show (its
**layout**), and what are its colours (**seen** again, coarsely)? The first two are asked of the statistics of `ASKED`,
where the engine compares Gram matrices; the others of maps, linearly, so that each position tells what is there:
features that only tell styles apart forget how light or dark a place is, and match the sky with a shadow. And which
place of one picture shows what this **place** of another shows, which is what a neighbour is? Batch norms are folded
away when the features are taken out.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from scumble.engine.geometry import layer_order
from scumble.engine.weights import ARCHITECTURES, SEEDED, conv_names, seeded

FIRST = "conv1_1"
"""The layer that does not learn."""
LAYOUT_LAYERS = ("conv3_4", "conv4_4")
SEEN_LAYERS = {"conv2_1": 2, "conv3_1": 2, "conv4_1": 4, "conv5_1": 4}
"""Layers from which the colours are asked, in squares of so many to a side for each position."""
PLACE_LAYERS = ("conv3_1", "conv4_1", "conv5_1")
"""Layers that must know a place again in another style by their maps themselves, as hypercolumns are compared."""
ASKED = ("conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_4", "conv4_1", "conv4_4", "conv5_1", "conv5_4")
"""Whose statistics must tell the style: the layers that the engine compares, and the last of each block."""


@dataclass(frozen=True)
class Answers:
    """What the student says: `styles` (n, styles) and `traits` (n, traits) of each picture, and by layer the `layouts`
    (n, 2, …) that it sees, lightness and contours, the colours `seen` (n, 3, …) in 0..1, and the maps themselves by
    which `places` are known again."""

    styles: Tensor
    traits: Tensor
    layouts: dict[str, Tensor]
    seen: dict[str, Tensor]
    places: dict[str, Tensor]


class Student(nn.Module):
    """A network of an architecture's widths, for so many styles and traits.

    conv1_1 stays as it is seeded: it is a complete frame, to which nothing in a 3 × 3 patch is invisible, and a layer
    that does not learn is cheap.
    """

    def __init__(self, architecture: str, styles: int, traits: int) -> None:
        super().__init__()
        widths = dict(zip(conv_names(architecture), sum(ARCHITECTURES[architecture], ()), strict=True))
        self.order = layer_order(architecture)[:-1]
        self.convolutions, self.norms = nn.ModuleDict(), nn.ModuleDict()
        depth = 3
        for name in self.order:
            if name.startswith("conv"):
                if name != FIRST:
                    convolution = nn.Conv2d(depth, widths[name], 3, padding=1, bias=False)
                    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
                    self.convolutions[name] = convolution
                    self.norms[name] = nn.BatchNorm2d(widths[name])
                depth = widths[name]
        self.frame: Tensor
        self.register_buffer("frame", seeded(architecture).filters[FIRST].clone())
        told = 2 * sum(widths[name] for name in ASKED)
        self.calm = nn.BatchNorm1d(told)
        self.style = nn.Linear(told, styles)
        self.traits = nn.Linear(told, traits)
        self.layouts = nn.ModuleDict({name: nn.Conv2d(widths[name], 2, 1) for name in LAYOUT_LAYERS})
        self.seen = nn.ModuleDict(
            {name: nn.Conv2d(widths[name], 3 * side * side, 1) for name, side in SEEN_LAYERS.items()}
        )

    @property
    def heads(self) -> list[nn.Parameter]:
        """The parameters of the questions, which are no part of the features."""
        questions = (self.style, self.traits, self.layouts, self.seen)
        return [parameter for question in questions for parameter in question.parameters()]

    def forward(self, pictures: Tensor) -> Answers:
        """Of pictures (n, 3, height, width) in 0..1."""
        h = (pictures - SEEDED.mean[0]) / SEEDED.std[0]
        told, layouts, seen, places = [], {}, {}, {}
        for name in self.order:
            if name.startswith("pool"):
                h = nnf.avg_pool2d(h, 2)
                continue
            if name == FIRST:
                h = nnf.conv2d(h, self.frame, padding=1).relu_()
            else:
                h = self.norms[name](self.convolutions[name](h)).relu_()
            if name in ASKED:
                mean = h.mean((2, 3))
                told += [mean, ((h - mean[:, :, None, None]).square().mean((2, 3)) + 1e-4).sqrt()]
            if name in self.layouts:
                layouts[name] = self.layouts[name](h)
            if name in SEEN_LAYERS:
                seen[name] = nnf.pixel_shuffle(self.seen[name](h), SEEN_LAYERS[name])
            if name in PLACE_LAYERS:
                places[name] = h
        statistics = self.calm(torch.cat(told, 1))
        return Answers(self.style(statistics), self.traits(statistics), layouts, seen, places)

    @torch.no_grad()
    def folded(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Filters and biases by convolution, with the batch norms in them, on the CPU."""
        filters = {FIRST: self.frame.cpu().clone(memory_format=torch.contiguous_format)}
        biases = {FIRST: torch.zeros(len(self.frame))}
        for name in self.convolutions:
            convolution, norm = self.convolutions[name], self.norms[name]
            assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
            assert norm.running_mean is not None and norm.running_var is not None
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            filters[name] = (convolution.weight * scale[:, None, None, None]).cpu().contiguous()
            biases[name] = (norm.bias - norm.running_mean * scale).cpu()
        return filters, biases
