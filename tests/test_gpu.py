"""The engine on a real GPU: what `test_accelerator.py` asks of a CUDA that is none, and what only a device can tell.

Skipped where there is none. Run it alone, `pytest tests/test_gpu.py`, on a machine with a free GPU.
"""

import logging
from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers import biased, noise

from scumble.drawn import painting, scene
from scumble.engine import accelerator as module
from scumble.engine.accelerator import Recorded, accelerator
from scumble.engine.painter import Painter
from scumble.engine.run import Run
from scumble.engine.vgg import Trunk
from scumble.picture import Picture
from scumble.recipe import Recipe

CUDA, MPS = torch.cuda.is_available(), torch.backends.mps.is_available()
pytestmark = pytest.mark.skipif(not (CUDA or MPS), reason="there is no GPU that torch can use")
DEVICE = torch.device("cuda", 0) if CUDA else torch.device("mps" if MPS else "cpu")
on_cuda = pytest.mark.skipif(not CUDA, reason="there is no CUDA")

CONTENT = Picture.from_rgb(scene(160, 112).rgb)
STYLES = {"night": Picture.from_rgb(painting("night", 120, 96)), "dabs": Picture.from_rgb(painting("dabs", 96, 96))}
_LEFT = np.zeros((112, 160, 1), np.uint8)
_LEFT[:, :90] = 255
ONE = ({"picture": "night"},)
RECIPES = {
    "neighbours": {"styles": ONE},
    "gram": {"styles": ONE, "style_loss": "gram"},
    "luminance": {"styles": ONE, "keep_colors": "luminance"},
    "L-BFGS": {"styles": ONE, "style_loss": "gram", "optimizer": "lbfgs"},
    "regions": {
        "styles": ({"picture": "night", "region": "left"}, {"picture": "dabs"}),
        "regions": ({"name": "left", "mask": "mask"},),
        "style_loss": "gram",
    },
}


def painted(device, on_step=None, *, iterations=(10, 6), size=160, **fields):
    recipe = Recipe(**{"size": size, "iterations": iterations, "matchings": 2, "precision": "float32", **fields})
    return Painter(str(device)).paint(CONTENT, recipe, {**STYLES, "mask": Picture(_LEFT)}, on_step)


def apart(one, other):
    """The mean difference of two paintings in levels of 8 bits."""
    values = (np.asarray(each.picture.pixels, np.float64) for each in (one, other))
    return float(np.abs(np.subtract(*values)).mean())


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_maps_and_their_way_back_are_those_of_a_cpu(pooling):
    from scumble.recipe import Pooling

    weights, x = biased("vgg11"), noise(1, 3, 64, 48)
    found = {}
    for device in (torch.device("cpu"), DEVICE):
        trunk = Trunk(weights, ["conv2_1", "conv4_1"], pooling=Pooling(pooling), device=device)
        before = torch.backends.cudnn.conv.fp32_precision
        torch.backends.cudnn.conv.fp32_precision = "ieee"
        try:
            maps = trunk.forward(trunk.prepare(x.to(device)))
            shown = {tap: maps[tap].float().cpu() for tap in trunk.taps}
            gradient = trunk.backward(maps, lambda tap, maps, g: maps[tap] if g is None else g + maps[tap])
        finally:
            torch.backends.cudnn.conv.fp32_precision = before
        found[device.type] = (shown, trunk.unprepare(gradient).cpu())
    (maps, gradient), (right, right_gradient) = found[DEVICE.type], found["cpu"]
    for tap in right:
        torch.testing.assert_close(maps[tap], right[tap], rtol=1e-4, atol=1e-5)
    assert (gradient - right_gradient).norm() < 1e-4 * right_gradient.norm()


@pytest.mark.parametrize("name", RECIPES)
def test_a_job_begins_as_on_a_cpu(name):
    """The first loss, before rounding has led two paintings apart; ten bits of mantissa tell three digits."""
    here, there = (painted(device, iterations=(1,), scales=1, **RECIPES[name]) for device in ("cpu", DEVICE))
    assert there.losses[0] == pytest.approx(here.losses[0], rel=0.02)


@pytest.mark.parametrize("name", RECIPES)
def test_a_painting_is_as_good_as_on_a_cpu(name):
    here, there = (painted(device, **RECIPES[name]) for device in ("cpu", DEVICE))
    assert there.losses[-1]["total"] == pytest.approx(here.losses[-1]["total"], rel=0.1)


@on_cuda
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", RECIPES)
def test_steps_are_recorded_and_paint_the_same(monkeypatch, caplog, name, precision):
    replayed = []
    call = Recorded.__call__
    monkeypatch.setattr(Recorded, "__call__", lambda self, x: replayed.append(self._recording) or call(self, x))
    with caplog.at_level(logging.WARNING):
        recorded = painted(DEVICE, **RECIPES[name], precision=precision)
    assert not caplog.messages
    assert sum(each is not None for each in replayed) >= 10
    monkeypatch.setattr(module, "RECORDED_AT_MOST_PX", 0)
    said = painted(DEVICE, **RECIPES[name], precision=precision)
    assert recorded.losses[1]["total"] == pytest.approx(said.losses[1]["total"], rel=1e-3)
    assert apart(recorded, said) < 1.0


@on_cuda
def test_a_step_that_waits_for_the_device_is_taken_as_it_is(caplog):
    host, x = accelerator(DEVICE), noise(1, 3, 8, 8).to(DEVICE)
    with host.painting():
        step = host.repeated(lambda x: x / float(x.max()), torch.clone, 64)
        found = [step(x * each).cpu() for each in (1, 2, 3)]
        assert torch.equal(step(x).cpu(), found[0])  # and the stream is as it was
    for each in found:
        torch.testing.assert_close(each, (x / x.max()).cpu())
    assert len(caplog.messages) == 1


@on_cuda
@pytest.mark.parametrize("name", ["gram", "neighbours"])
def test_the_same_job_gives_the_same_picture(name):
    one, other = (painted(DEVICE, **RECIPES[name]) for _ in range(2))
    assert np.array_equal(one.picture.pixels, other.picture.pixels)


def test_a_preview_shows_the_moment_it_was_asked_for():
    at_once, looks = [], []

    def on_step(step):
        looks.append(step.look())
        at_once.append(step.preview())

    painted(DEVICE, on_step, **RECIPES["gram"])
    for look, wanted in zip(looks, at_once, strict=True):
        assert np.array_equal(look(), wanted)
    for before, after in pairwise(at_once[-6:]):
        assert not np.array_equal(before, after)


def test_what_is_outside_the_selection_stays():
    selection = Picture(_LEFT)
    recipe = Recipe(styles=ONE, size=160, iterations=(4,), selection="mask")
    found = Painter(str(DEVICE)).paint(CONTENT, recipe, {**STYLES, "mask": selection})
    outside = _LEFT[..., 0] == 0
    assert np.array_equal(found.picture.pixels[outside], CONTENT.pixels[outside])


@on_cuda
def test_tiles_are_chosen_where_memory_does_not_suffice(monkeypatch):
    """As the card says so itself: the first try of the finest level fails."""
    tried = []
    descend = Run.descend

    def short(self, x, canvas, composer, index):
        tried.append(composer.tiling.tile)
        if composer.tiling.tile is None and index == 1:
            torch.empty(2**50, dtype=torch.uint8, device=DEVICE)
        return descend(self, x, canvas, composer, index)

    whole = painted(DEVICE, **RECIPES["gram"])
    monkeypatch.setattr(Run, "descend", short)
    tiled = painted(DEVICE, **RECIPES["gram"])
    assert tried[:2] == [None, None]
    assert tiled.plan.tile_px == tried[-1] is not None
    assert apart(whole, tiled) < 1.0


@on_cuda
def test_a_job_leaves_no_more_behind_than_it_keeps():
    painter = Painter(str(DEVICE))
    recipe = Recipe(styles=ONE, size=160, iterations=(8, 6))
    held = []
    for _ in range(4):
        painter.paint(CONTENT, recipe, STYLES)
        held.append(torch.cuda.memory_allocated(DEVICE))
    assert held[3] == held[1]
    assert torch.cuda.memory_reserved(DEVICE) < held[3] + 64 * 2**20


@on_cuda
def test_free_memory_counts_what_torch_holds_for_later():
    host = accelerator(DEVICE)
    before = host.free_bytes()
    held = torch.empty(2**28, dtype=torch.uint8, device=DEVICE)
    assert before - host.free_bytes() == pytest.approx(2**28, rel=0.2)
    del held
    assert host.free_bytes() == pytest.approx(before, abs=2**25)


@on_cuda
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there is one GPU only")
def test_a_worker_for_the_second_gpu_takes_nothing_of_the_first():
    first, second = torch.device("cuda", 0), torch.device("cuda", 1)
    before = torch.cuda.memory_allocated(first)
    torch.cuda.reset_peak_memory_stats(first)
    found = painted(second, **RECIPES["neighbours"])
    assert torch.cuda.max_memory_allocated(first) == before
    assert torch.cuda.max_memory_allocated(second) > 0
    assert apart(found, painted(first, **RECIPES["neighbours"])) < 1.0


def test_torchs_switches_are_as_before_after_a_job():
    def switches():
        return torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision

    before = switches()
    painted(DEVICE, **RECIPES["gram"])
    assert switches() == before
