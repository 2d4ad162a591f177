"""From a recipe to the loss of one level: the guide by which neighbours are looked for."""

import numpy as np
import pytest
import torch
from helpers import recipe, rgb_picture

from scumble.engine import canvas as easel_canvas
from scumble.engine.box import Box
from scumble.engine.color import match_palette
from scumble.engine.compose import Composer
from scumble.engine.job import bind
from scumble.engine.schedule import Level
from scumble.engine.targets import StylePicture
from scumble.engine.tiles import Tiling
from scumble.picture import Picture

CPU = torch.device("cpu")
STYLES = [torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) ** 3 for seed in (1, 2)]


@pytest.mark.parametrize("count", [1, 2])
def test_the_guide_is_in_its_styles_colours_and_the_content_outside_the_selection(count):
    selection = np.zeros((24, 32, 1), np.uint8)
    selection[4:12, 8:20] = 200
    names = [f"style{index}" for index in range(count)]
    pictures = {"mask": Picture(selection), **{name: rgb_picture(16, 16) for name in names}}
    asked = recipe(selection="mask", styles=[{"picture": name} for name in names])
    job = bind(rgb_picture(24, 32), asked, pictures)
    canvas = easel_canvas.make(job, Box(0, 0, 32, 24), Level(32, 24, 1), 4, CPU)
    ones = torch.ones(1, 1, 16, 16)
    styles = [StylePicture(rgb, ones, "") for rgb in STYLES[:count]]
    guide = Composer(job, None, None, Tiling(), CPU)._guide(canvas, [styles])
    inside = torch.from_numpy(selection[..., 0] > 0)
    (mask,) = canvas.regions
    moved = [match_palette(canvas.content, rgb, mask, ones, evenness=0.6).clamp(0, 1) for rgb in STYLES[:count]]
    wanted = torch.stack(moved).mean(0)
    torch.testing.assert_close(guide[..., inside], wanted[..., inside])
    assert torch.equal(guide[..., ~inside], canvas.content[..., ~inside])
