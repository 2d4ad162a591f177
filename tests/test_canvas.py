"""The picture on the easel: what is frozen, and what takes no memory."""

import numpy as np
import pytest
import torch
from helpers import noise, recipe, rgb_picture

from scumble.engine import canvas as easel_canvas
from scumble.engine.box import Box
from scumble.engine.job import bind
from scumble.engine.schedule import Level
from scumble.picture import Picture

CPU = torch.device("cpu")


def canvas_of(selection=None):
    content = rgb_picture(24, 32)
    pictures = {"style": rgb_picture(16, 16, seed=2)}
    fields = {}
    if selection is not None:
        pictures["mask"], fields = Picture(selection), {"selection": "mask"}
    job = bind(content, recipe(**fields), pictures)
    return easel_canvas.make(job, Box(0, 0, 32, 24), Level(32, 24, 1), 4, CPU)


def test_what_is_brought_is_the_content_outside_the_selection():
    selection = np.zeros((24, 32, 1), np.uint8)
    selection[4:12, 8:20] = 40
    canvas, x = canvas_of(selection), noise(1, 3, 48, 64)
    brought = canvas.bring(x)
    inside = torch.from_numpy(selection[..., 0] > 0)
    assert torch.equal(brought[..., ~inside], canvas.content[..., ~inside])
    assert not torch.isclose(brought[..., inside], canvas.content[..., inside]).all()


def test_what_is_brought_may_be_written_into():
    canvas = canvas_of()
    x = noise(1, 3, 24, 32)
    kept = x.clone()
    canvas.bring(x).zero_()
    assert torch.equal(x, kept)


@pytest.mark.parametrize("level", [0, 255])
def test_a_selection_of_everything_takes_no_memory_and_leaves_nothing_out(level):
    canvas = canvas_of(None if level == 0 else np.full((24, 32, 1), level, np.uint8))
    assert canvas.changing is None
    if level == 0:
        assert canvas.regions[0].untyped_storage().nbytes() == 4
    assert canvas.mix.shape == (1, 1, 24, 32)
    assert (canvas.mix == 1).all()
