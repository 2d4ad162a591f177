"""Every gradient that a painting descends, written as a formula, against autograd of the loss or map that it belongs
to."""

from dataclasses import replace

import pytest
import torch
from helpers import narrow, noise

from scumble.drawn import painting, scene
from scumble.engine import bands, losses, neighbours
from scumble.engine.candidates import Candidates, add_grid_slope, grid_map
from scumble.engine.canvas import Canvas
from scumble.engine.color import gray, ungray
from scumble.engine.frame import Frame
from scumble.engine.neighbours import _drawn
from scumble.engine.objective import Objective, PictureTerms, Votes
from scumble.engine.painter import paint
from scumble.engine.resample import pad_to_multiple, unpad
from scumble.engine.steady import Steady
from scumble.engine.tiles import windows
from scumble.engine.vgg import Trunk
from scumble.engine.weights import CAFFE, TORCHVISION
from scumble.picture import Picture
from scumble.recipe import ContentForm, Recipe, StyleLoss

F, P = (noise(9, 4, seed=seed, dtype=torch.float64) for seed in (1, 2))
PICTURE = noise(1, 3, 7, 10, seed=3, dtype=torch.float64) * 1.4 - 0.2
MASK = noise(1, 1, 7, 10, seed=4, dtype=torch.float64)


def by_autograd(function, *inputs):
    leaves = [each.detach().clone().requires_grad_() for each in inputs]
    return torch.autograd.grad(function(*leaves), leaves)


def adjoint_by_autograd(function, x, gradient):
    (found,) = by_autograd(lambda leaf: (function(leaf) * gradient).sum(), x)
    return found


@pytest.mark.parametrize("form", ContentForm)
@pytest.mark.parametrize("weight", [None, noise(9, seed=5, dtype=torch.float64)])
def test_of_the_content_loss(form, weight):
    (wanted,) = by_autograd(lambda leaf: losses.content_loss(leaf, P, form, weight), F)
    torch.testing.assert_close(losses.content_slope(F, P, form, weight), wanted)


def test_of_the_style_loss():
    (wanted,) = by_autograd(lambda leaf: losses.style_loss(leaf, P), F)
    torch.testing.assert_close(losses.style_slope(F, P), wanted)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.25, 2.0])
@pytest.mark.parametrize("weight", [None, MASK])
@pytest.mark.parametrize("strip_px", [2**17, 1, 25], ids=["", "row by row", "two rows"])
def test_of_the_total_variation(monkeypatch, exponent, weight, strip_px):
    """However few rows are looked at at once."""
    (wanted,) = by_autograd(lambda leaf: losses.total_variation(leaf, exponent, weight), PICTURE)
    whole = losses.total_variation(PICTURE, exponent, weight)
    monkeypatch.setattr(bands, "STRIP_PX", strip_px)
    gradient = torch.ones_like(PICTURE)
    loss = losses.add_total_variation(gradient, PICTURE, exponent, weight, 0.5)
    assert loss == pytest.approx(0.5 * float(whole))
    assert losses.total_variation(PICTURE, exponent, weight) == pytest.approx(float(whole))
    torch.testing.assert_close(gradient, 1 + 0.5 * wanted)


@pytest.mark.parametrize("shares", [None, noise(9, seed=5, dtype=torch.float64)])
@pytest.mark.parametrize("at_once", [2**12, 1, 3], ids=["", "row by row", "three rows"])
def test_of_the_cosine(monkeypatch, shares, at_once):
    """Of raw rows of two layers and what was chosen for them, however few are looked at at once."""
    monkeypatch.setattr(neighbours, "_AT_ONCE", at_once)
    split = F.shape[1] // 3
    columns = [F[:, :split].contiguous(), F[:, split:].contiguous()]
    means = tuple(noise(layer.shape[1], seed=15 + layer.shape[1], dtype=torch.float64) for layer in columns)
    offered = torch.nn.functional.normalize(noise(9, F.shape[1], seed=16, dtype=torch.float64), dim=1)
    chosen = torch.arange(len(F)) * 5 % len(offered)
    empty = torch.zeros(0)
    source = Candidates(offered, empty, empty, 4, means, (2.0, 0.5), empty, empty, empty)

    def loss(*layers):
        scaled = zip(layers, means, source.scales, strict=True)
        rows = torch.cat([(layer - mean) * (scale / layer.shape[1] ** 0.5) for layer, mean, scale in scaled], 1)
        lost = 1 - torch.cosine_similarity(rows, offered[chosen], dim=1)
        return 0.7 * (lost if shares is None else lost * shares).sum()

    found, slopes = _drawn(source, columns, chosen, 0.7, shares)
    torch.testing.assert_close(found, loss(*columns))
    for slope, wanted in zip(slopes, by_autograd(loss, *columns), strict=True):
        torch.testing.assert_close(slope, wanted)


@pytest.mark.parametrize("multiple", [1, 2, 4, 16])
def test_of_padding(multiple):
    seen = noise(*pad_to_multiple(PICTURE, multiple).shape, seed=6, dtype=torch.float64)
    wanted = adjoint_by_autograd(lambda x: pad_to_multiple(x, multiple), PICTURE, seen)
    torch.testing.assert_close(unpad(seen.clone(), 7, 10), wanted)


def test_of_gray():
    gradient = noise(*PICTURE.shape, seed=7, dtype=torch.float64)
    torch.testing.assert_close(ungray(gradient), adjoint_by_autograd(gray, PICTURE, gradient))


@pytest.mark.parametrize("keep", [None, MASK])
def test_of_what_is_seen(keep):
    canvas = Canvas(PICTURE, (MASK,), MASK > 0, keep, 0.0, 1.0, 4)
    gradient = noise(*canvas.see(PICTURE).shape, seed=8, dtype=torch.float64)
    torch.testing.assert_close(canvas.unsee(gradient.clone()), adjoint_by_autograd(canvas.see, PICTURE, gradient))


@pytest.mark.parametrize("preprocessing", [CAFFE, TORCHVISION])
def test_of_preparing_for_a_trunk(preprocessing):
    trunk = Trunk(replace(narrow(), preprocessing=preprocessing), ["conv1_1"])
    gradient = noise(*PICTURE.shape, seed=9, dtype=torch.float64)
    torch.testing.assert_close(trunk.unprepare(gradient), adjoint_by_autograd(trunk.prepare, PICTURE, gradient))


def test_of_preparing_for_the_frame():
    frame, gradient = Frame((1,)), noise(*PICTURE.shape, seed=10, dtype=torch.float64)
    torch.testing.assert_close(frame.unprepare(gradient), adjoint_by_autograd(frame.prepare, PICTURE, gradient))


@pytest.mark.parametrize("stride", [2, 4])
def test_of_the_grid(stride):
    strides = {"conv1_1": 1, "conv2_1": 2, "conv3_1": 4, "conv4_1": 8}
    maps = {
        tap: noise(1, 3 + each, 16 // each, 24 // each, seed=each, dtype=torch.float64) for tap, each in strides.items()
    }
    taps = tuple(maps)
    on_grid = grid_map({tap: each.float() for tap, each in maps.items()}, taps, stride, strides)
    slopes = [noise(*layer.shape, seed=20 + index) for index, layer in enumerate(on_grid)]

    def drawn(*leaves):
        layers = grid_map(dict(zip(taps, leaves, strict=True)), taps, stride, strides)
        return sum((layer * slope).sum() for layer, slope in zip(layers, slopes, strict=True))

    wanted = by_autograd(drawn, *(maps[tap].float() for tap in taps))
    rows = [slope.permute(0, 2, 3, 1).flatten(0, 2).contiguous() for slope in slopes]
    for tap, row, each in zip(taps, rows, wanted, strict=True):
        before = noise(*each.shape, seed=30).contiguous(memory_format=torch.channels_last)
        found = before.clone()
        add_grid_slope(found, row, strides[tap] / stride)
        torch.testing.assert_close(found - before, each, atol=1e-5, rtol=1e-5)


def test_of_standardising():
    means = (noise(3, seed=11, dtype=torch.float64), noise(5, seed=12, dtype=torch.float64))
    empty = torch.zeros(0)
    source = Candidates(empty, empty, empty, 4, means, (2.0, 0.5), empty, empty, empty)
    columns = [noise(6, len(mean), seed=13 + len(mean), dtype=torch.float64) for mean in means]
    gradient = noise(6, 8, seed=14, dtype=torch.float64)
    scaled = zip(columns, means, source.scales, strict=True)
    wanted = torch.cat([(layer - mean) * (scale / len(mean) ** 0.5) for layer, mean, scale in scaled], 1)
    torch.testing.assert_close(source.standard(columns), wanted)
    slopes = [torch.empty_like(layer) for layer in columns]
    source.unstandard(gradient, slopes)
    for slope, part, mean, scale in zip(slopes, gradient.split([3, 5], 1), means, source.scales, strict=True):
        torch.testing.assert_close(slope, part * scale / len(mean) ** 0.5)


class Plainly:
    def see(self, x):
        return x

    def unsee(self, gradient):
        return gradient


@pytest.mark.parametrize("active", [None, (MASK > 0.5).double()])
@pytest.mark.parametrize("strip_px", [2**17, 1, 25], ids=["", "row by row", "two rows"])
def test_of_what_is_asked_of_the_picture_itself(monkeypatch, active, strip_px):
    """Votes, total variation and steadiness together, at their weights."""
    monkeypatch.setattr(bands, "STRIP_PX", strip_px)
    carried, trust = noise(*PICTURE.shape, seed=16, dtype=torch.float64), MASK.clamp(min=0.4) - 0.4
    steady = Steady(carried, trust, float(trust.sum()), 3.0, 0.5)
    asked = PictureTerms(tv_weight=0.3, tv_mask=MASK, vote_weight=2.0, steady=steady)
    colours, voted = noise(*PICTURE.shape, seed=15, dtype=torch.float64), (MASK > 0.3).double()
    objective = Objective([], windows(7, 10, None, 0, 1), Plainly(), asked, active)
    objective._votes = Votes(colours, voted, float(voted.sum()))

    def loss(x):
        votes = 2.0 * (voted * (x - colours).square()).sum() / (3 * voted.sum())
        stays = 3.0 * (trust * (x - carried).square()).sum() / (3 * trust.sum())
        return votes + stays + 0.3 * losses.total_variation(x, 1.25, MASK)

    found = objective.evaluate(PICTURE)
    assert found.total == pytest.approx(float(loss(PICTURE)))
    (wanted,) = by_autograd(loss, PICTURE)
    torch.testing.assert_close(found.gradient, wanted if active is None else wanted * active)


def test_a_painting_never_calls_autograd(monkeypatch):
    """It would load for half a second before its first use."""

    def called(*args, **kwargs):
        raise AssertionError

    monkeypatch.setattr(torch.autograd, "grad", called)
    monkeypatch.setattr(torch.autograd, "backward", called)
    style = Picture.from_rgb(painting("night", 64, 64))
    for loss in StyleLoss:
        recipe = Recipe(
            styles=({"picture": "style"},), size=64, iterations=(1,), style_loss=loss, keep_colors="luminance"
        )
        painted = paint(Picture.from_rgb(scene(64, 64).rgb), recipe, {"style": style}, device="cpu")
        assert len(painted.losses) >= 1
