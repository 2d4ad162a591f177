"""What the student is asked, and how wrong its answers are."""

from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from torch import Tensor

from scumble.training.pictures import Sample
from scumble.training.student import Answers
from scumble.training.styles import Styles

TRAITS_WEIGHT, LAYOUT_WEIGHT, SEEN_WEIGHT = 0.3, 1.0, 4.0
"""What counts beside naming the style."""


@dataclass(frozen=True)
class Mark:
    """The `loss` to descend, a tensor; and its parts: the share of styles named `right`, and the errors."""

    loss: Tensor
    right: Tensor
    traits: Tensor
    layout: Tensor
    seen: Tensor

    def numbers(self) -> tuple[float, float, float, float, float]:
        """All of them, detached."""
        parts = (self.loss, self.right, self.traits, self.layout, self.seen)
        loss, right, traits, layout, seen = (float(each.detach()) for each in parts)
        return loss, right, traits, layout, seen


def marked(answers: Answers, which: Tensor, traits: Tensor, sample: Sample) -> Mark:
    """Mark the answers, given the styles (n,), their traits (n, traits) and what was shown."""
    named = nnf.cross_entropy(answers.styles, which, label_smoothing=0.05)
    told = (answers.traits - traits).square().mean()
    shown = layout_loss(answers, sample.layout)
    seen = seen_loss(answers, sample.pictures)
    right = (answers.styles.argmax(1) == which).float().mean()
    loss = named + TRAITS_WEIGHT * told + LAYOUT_WEIGHT * shown + SEEN_WEIGHT * seen
    return Mark(loss, right, told, shown, seen)


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
    """How far what the student sees is from the layout: 1 - r of the lightness and of the contours, the mean over
    layers; r is the correlation over a picture."""
    losses = []
    for found in answers.layouts.values():
        wanted = nnf.avg_pool2d(layout, layout.shape[2] // found.shape[2])
        a = found.flatten(2) - found.flatten(2).mean(2, keepdim=True)
        b = wanted.flatten(2) - wanted.flatten(2).mean(2, keepdim=True)
        r = (a * b).sum(2) / (a.square().sum(2) * b.square().sum(2) + 1e-6).sqrt()
        losses.append((1 - r).sum(1).mean())
    return torch.stack(losses).mean()


def seen_loss(answers: Answers, pictures: Tensor) -> Tensor:
    """How far the colours that the student sees are from the picture's, shrunk alike: the share of their variance over
    the picture that is missed, the mean over layers."""
    losses = []
    for found in answers.seen.values():
        wanted = nnf.avg_pool2d(pictures, pictures.shape[2] // found.shape[2])
        variance = (wanted - wanted.mean((2, 3), keepdim=True)).square().mean()
        losses.append((found - wanted).square().mean() / (variance + 1e-3))
    return torch.stack(losses).mean()
