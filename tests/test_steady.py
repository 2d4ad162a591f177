"""What stays of the last frame of a video."""

import numpy as np
import pytest
import torch
from helpers import gray_picture, noise, recipe, rgb_picture, smooth

from scumble.engine import bands
from scumble.engine.box import Box
from scumble.engine.canvas import make
from scumble.engine.job import bind
from scumble.engine.painter import Painter
from scumble.engine.schedule import Level
from scumble.engine.steady import MOST_RENEWED, Steady
from scumble.picture import Picture
from scumble.recipe import StyleLoss

CONTENT, STYLE = rgb_picture(48, 64), rgb_picture(56, 40, seed=100)
BEFORE = Picture.from_rgb(rgb_picture(48, 64, seed=7).rgb(), "float32")
LEFT = np.zeros((48, 64))
LEFT[:, :32] = 1
both_losses = pytest.mark.parametrize("style_loss", [loss.value for loss in StyleLoss])


@pytest.fixture(scope="module")
def painter():
    return Painter("cpu")


def painted(painter, pictures=None, **fields):
    known = {"style": STYLE, "before": BEFORE, "left": gray_picture(LEFT), **(pictures or {})}
    return painter.paint(CONTENT, recipe(scales=1, **fields), known)


def apart(one, other, where=LEFT):
    """How far two pictures are from each other, on average where a mask is."""
    away = np.abs(one.picture.rgb() - other.rgb()).mean(2)
    return float((away * where).sum() / where.sum())


# ----------------------------------------------------------------------------------------------------- what is kept


def steady(carried, trust=None, fresh=0.0):
    trust = torch.ones_like(carried[:, :1]) if trust is None else trust
    return Steady(carried, trust, float(trust.sum()), 1.0, fresh)


def test_where_nothing_is_trusted_the_fresh_colours_stay_bit_for_bit():
    fresh, trust = noise(1, 3, 40, 50, seed=1), torch.zeros(1, 1, 40, 50)
    trust[..., :20] = 1
    kept = steady(noise(1, 3, 40, 50, seed=2), trust).kept(fresh)
    assert torch.equal(kept[..., 20:], fresh[..., 20:])
    assert float((kept[..., :20] - fresh[..., :20]).abs().mean()) > 0.1


def test_strokes_stay_and_their_ground_follows():
    carried = smooth(64, 64)
    fresh = carried + torch.tensor([0.1, -0.05, 0.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(steady(carried, fresh=0.25).kept(fresh), carried + 0.25 * (fresh - carried))


def test_other_strokes_are_not_mixed_in():
    """A quarter of the ground, and nothing of what is fine."""
    carried, others = (0.5 + share * (noise(1, 3, 64, 64, seed=seed) - 0.5) for seed, share in ((1, 0.8), (2, 0.4)))
    changed = steady(carried, fresh=0.25).kept(others) - carried
    assert float(changed.std()) < 0.2 * 0.25 * float((others - carried).std())


def test_what_moving_took_of_the_grain_comes_back_and_no_more():
    """Of grain a little too faint, of grain much too faint, and of grain that is too strong."""
    grain = noise(1, 3, 64, 64) - 0.5
    inner = (..., slice(16, 48), slice(16, 48))
    for contrast, wanted in ((0.95, 1.0), (0.5, 0.5 * MOST_RENEWED), (1.2, 1.2)):
        kept = steady(0.5 + contrast * grain).kept(0.5 + grain)
        assert float((kept - kept.mean())[inner].std() / grain[inner].std()) == pytest.approx(wanted, rel=0.02)


def test_however_few_rows_are_looked_at_at_once(monkeypatch):
    carried, fresh, trust = smooth(90, 40), noise(1, 3, 90, 40), noise(1, 1, 90, 40, seed=4)
    whole = steady(carried, trust, 0.3).kept(fresh)
    monkeypatch.setattr(bands, "STRIP_PX", 7 * 40)
    torch.testing.assert_close(steady(carried, trust, 0.3).kept(fresh), whole, atol=1e-6, rtol=0)


# ---------------------------------------------------------------------------------------------------- of a painting


@both_losses
def test_a_painting_stays_near_where_that_is_trusted(painter, style_loss):
    going_on = {"start": "picture", "start_picture": "before", "iterations": 12, "style_loss": style_loss}
    free = painted(painter, **going_on)
    held = painted(painter, steady_picture="before", steady_mask="left", steady_weight=100, **going_on)
    assert apart(held, BEFORE) < 0.4 * apart(free, BEFORE)
    assert apart(held, BEFORE, 1 - LEFT) > 0.7 * apart(free, BEFORE, 1 - LEFT)
    assert "steady" in held.losses[0]
    assert "steady" not in free.losses[0]


@both_losses
def test_what_is_trusted_nowhere_changes_nothing(painter, style_loss):
    black = {"black": gray_picture(0 * LEFT)}
    fields = {"iterations": 5, "style_loss": style_loss}
    plain = painted(painter, **fields).picture.pixels
    for nothing in ({"steady_mask": "black"}, {"steady_weight": 0}):
        found = painted(painter, black, steady_picture="before", **nothing, **fields)
        assert np.array_equal(found.picture.pixels, plain)


def test_it_stays_within_its_selection(painter):
    """What lies outside is the content, and not what the last frame had there."""
    fields = {"selection": "left", "steady_picture": "before", "style_loss": "neighbours", "iterations": 5}
    found = painted(painter, **fields)
    assert np.array_equal(found.picture.pixels[LEFT == 0], CONTENT.pixels[LEFT == 0])
    assert apart(found, BEFORE) < 0.5 * apart(painted(painter, selection="left", iterations=5), BEFORE)


def test_regions_stay_near_each_in_its_place(painter):
    regions = [{"name": name, "mask": name} for name in ("left", "right")]
    styles = [{"picture": "style", "region": "left"}, {"picture": "before", "region": "right"}]
    known = {"right": gray_picture(1 - LEFT)}
    fields = {"regions": regions, "styles": styles, "style_loss": "neighbours", "iterations": 5}
    free = painted(painter, known, **fields)
    held = painted(painter, known, steady_picture="before", **fields)
    for where in (LEFT, 1 - LEFT):
        assert apart(held, BEFORE, where) < 0.5 * apart(free, BEFORE, where)


def test_of_kept_colours_the_light_stays_near(painter):
    fields = {"keep_colors": "luminance", "style_loss": "neighbours", "iterations": 5}
    free = painted(painter, **fields)
    held = painted(painter, steady_picture="before", **fields)
    light = np.array([0.299, 0.587, 0.114])
    away = [float(np.abs((each.picture.rgb() - BEFORE.rgb()) @ light).mean()) for each in (free, held)]
    assert away[1] < 0.5 * away[0]
    hue = held.picture.rgb() @ (1, -1, 0) - CONTENT.rgb() @ (1, -1, 0)
    assert float(np.abs(hue).mean()) < 0.05


@both_losses
def test_of_any_size(painter, style_loss):
    """Whose sides are no multiples of the grid."""
    content, before = rgb_picture(45, 61), rgb_picture(45, 61, seed=7)
    asked = recipe(scales=1, style_loss=style_loss, steady_picture="before", steady_weight=100, iterations=12)
    found = painter.paint(content, asked, {"style": STYLE, "before": before})
    assert np.abs(found.picture.rgb() - before.rgb()).mean() < 0.05


def test_what_the_last_frame_does_not_show_is_painted_from_the_first_iteration_on(painter):
    seen = []
    going_on = {"start": "picture", "start_picture": "before", "steady_picture": "before", "steady_mask": "left"}
    asked = recipe(scales=1, style_loss="neighbours", iterations=1, learning_rate=1e-6, **going_on)
    known = {"style": STYLE, "before": BEFORE, "left": gray_picture(LEFT)}
    painter.paint(CONTENT, asked, known, lambda step: seen.append(step.preview()))
    away = np.abs(seen[0] - BEFORE.rgb()).mean(2)
    assert away[:, :32].mean() < 0.04
    assert away[:, 32:].mean() > 0.06


def test_only_what_is_painted_is_trusted():
    asked = recipe(selection="left", steady_picture="before")
    job = bind(CONTENT, asked, {"style": STYLE, "before": BEFORE, "left": gray_picture(LEFT)})
    canvas = make(job, Box(0, 0, 64, 48), Level(64, 48, 1), 8, torch.device("cpu"))
    assert (canvas.near.trust[0, 0].numpy() == LEFT).all()


def test_in_tiles_it_is_the_same_picture(painter):
    content, before = rgb_picture(160, 224), rgb_picture(160, 224, seed=9)
    known = {"style": STYLE, "before": before}
    asked = recipe(scales=1, style_loss="gram", steady_picture="before", steady_weight=50, iterations=3)
    whole = painter.paint(content, asked, known)
    cut = painter.paint(content, asked.changed(memory_mb=110), known)
    assert whole.plan.tile_px is None
    assert cut.plan.tile_px is not None
    assert dict(cut.losses[-1]) == pytest.approx(dict(whole.losses[-1]), rel=1e-3)
    assert np.abs(cut.picture.rgb() - whole.picture.rgb()).mean() < 1e-4


def test_its_memory_is_foretold(painter):
    size, selected = (2000, 1500), Box(0, 0, 2000, 1500)
    asked = recipe(size=2000)
    more = painter.plan(size, selected, asked.changed(steady_picture="before")).memory_mb
    assert more - painter.plan(size, selected, asked).memory_mb == pytest.approx(32 * 3e6 / 2**20)
