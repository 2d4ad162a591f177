"""What the student is asked, and how wrong its answers are."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from torch import Tensor

from scumble.training.pool import BARE, Pairs
from scumble.training.student import Answers
from scumble.training.styles import Styles

TRAITS_WEIGHT, LAYOUT_WEIGHT, SEEN_WEIGHT, PLACES_WEIGHT = 0.3, 1.0, 4.0, 3.0
"""What counts beside naming the style."""
TEMPERATURE = 0.1
"""Of the cosines by which places are known again."""


@dataclass(frozen=True)
class Mark:
    """The `loss` to descend, a tensor; and its parts: the share of styles named `right`, and the errors."""

    loss: Tensor
    right: Tensor
    traits: Tensor
    layout: Tensor
    seen: Tensor
    places: Tensor

    def numbers(self) -> list[float]:
        """All of them, detached, in this order."""
        parts = (self.loss, self.right, self.traits, self.layout, self.seen, self.places)
        return [float(each.detach()) for each in parts]


def marked(answers: Answers, shown: Pairs, traits: Tensor) -> Mark:
    """Mark the answers about some pairs, given the traits (styles, traits) of all styles."""
    painted = shown.which != BARE
    which = shown.which[painted]
    named = nnf.cross_entropy(answers.styles[painted], which, label_smoothing=0.05)
    told = (answers.traits[painted] - traits[which]).square().mean()
    layout = layout_loss(answers, shown.sample.layout)
    seen = seen_loss(answers, shown.sample.pictures)
    places = places_loss(answers, shown)
    right = (answers.styles[painted].argmax(1) == which).float().mean()
    loss = named + TRAITS_WEIGHT * told + LAYOUT_WEIGHT * layout + SEEN_WEIGHT * seen + PLACES_WEIGHT * places
    return Mark(loss, right, told, layout, seen, places)


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


def places_loss(answers: Answers, shown: Pairs) -> Tensor:
    """How badly a place is known again in its twin: the cross-entropy of finding it among all places of the twin by
    the cosine of centred features, both ways, in units of that of guessing; the mean over layers.

    van den Oord et al. 2018, "Representation Learning with Contrastive Predictive Coding" (the loss).
    """
    losses = []
    for found in answers.places.values():
        stride = shown.sample.pictures.shape[2] // found.shape[2]
        ones, others = (_directions(half) for half in found.chunk(2))
        twin = _twins(shown.shift // stride, *found.shape[2:])
        others = others.gather(2, twin[:, None].expand_as(others))
        alike = ones.transpose(1, 2) @ others / TEMPERATURE
        itself = torch.arange(alike.shape[1], device=alike.device).expand(len(alike), -1)
        there, back = (nnf.cross_entropy(each, itself) for each in (alike, alike.transpose(1, 2)))
        losses.append((there + back) / (2 * math.log(alike.shape[1])))
    return torch.stack(losses).mean()


def _directions(maps: Tensor) -> Tensor:
    """(n, channels, places), centred over each picture, of length one."""
    rows = maps.flatten(2)
    return nnf.normalize(rows - rows.mean(2, keepdim=True), dim=1)


def _twins(shift: Tensor, height: int, width: int) -> Tensor:
    """For every place of a map where its twin is, (n, places), given shifts (n, 2) in places."""
    y = (torch.arange(height, device=shift.device) + shift[:, :1]) % height
    x = (torch.arange(width, device=shift.device) + shift[:, 1:]) % width
    return (y[:, :, None] * width + x[:, None]).flatten(1)
