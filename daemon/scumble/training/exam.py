"""What the student is asked, and how wrong its answers are."""

from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from torch import Tensor

from scumble.training.student import Answers
from scumble.training.styles import Styles

TRAITS_WEIGHT, LAYOUT_WEIGHT = 0.3, 1.0
"""What counts beside naming the style."""


@dataclass(frozen=True)
class Mark:
    """The `loss` to descend, a tensor; and its parts: the share of styles named `right`, and the errors."""

    loss: Tensor
    right: Tensor
    traits: Tensor
    layout: Tensor

    def numbers(self) -> tuple[float, float, float, float]:
        """All of them, detached."""
        loss, right, traits, layout = (
            float(each.detach()) for each in (self.loss, self.right, self.traits, self.layout)
        )
        return loss, right, traits, layout


def marked(answers: Answers, which: Tensor, traits: Tensor, layout: Tensor) -> Mark:
    """Mark the answers, given the styles (n,), their traits (n, traits) and the layout (n, 2, height, width)."""
    named = nnf.cross_entropy(answers.styles, which, label_smoothing=0.05)
    told = (answers.traits - traits).square().mean()
    shown = layout_loss(answers, layout)
    right = (answers.styles.argmax(1) == which).float().mean()
    return Mark(named + TRAITS_WEIGHT * told + LAYOUT_WEIGHT * shown, right, told, shown)


def traits(styles: Styles) -> Tensor:
    """What of each style's parameters can be told from a picture in any colours, (count, traits), each of mean zero and
    deviation one."""
    marked = (styles.kinds > 0).float()
    told = [
        styles.period.log() * marked,
        styles.length.log() * marked,
        styles.amount * marked,
        styles.mottle * marked,
        styles.sharp * marked,
        torch.cos(2 * styles.angle) * marked * (1 - styles.follows),
        torch.sin(2 * styles.angle) * marked * (1 - styles.follows),
    ]
    single = [
        styles.contrast,
        styles.levels,
        styles.curl,
        styles.noise,
        styles.noise_frequency.log() * styles.noise,
        styles.noise_anisotropy * styles.noise,
        styles.wobble,
        styles.soft,
        styles.rim,
        styles.swirl.abs(),
        styles.ink_px,
        styles.relief,
        styles.grain,
    ]
    table = torch.cat([*told, torch.stack(single, 1)], 1)
    return (table - table.mean(0)) / table.std(0).clamp(min=1e-6)


def layout_loss(answers: Answers, layout: Tensor) -> Tensor:
    """How far what the student sees is from the layout: 1 - r² of the lightness, for recoloured pictures may be
    inverted, and 1 - r of the contours; r is the correlation over a picture."""
    losses = []
    for found in answers.layouts.values():
        wanted = nnf.avg_pool2d(layout, layout.shape[2] // found.shape[2])
        a = found.flatten(2) - found.flatten(2).mean(2, keepdim=True)
        b = wanted.flatten(2) - wanted.flatten(2).mean(2, keepdim=True)
        r = (a * b).sum(2) / (a.square().sum(2) * b.square().sum(2) + 1e-6).sqrt()
        losses.append((1 - r[:, 0].square()).mean() + (1 - r[:, 1]).mean())
    return torch.stack(losses).mean()
