"""Pictures in strips against the same in one piece, which PyTorch resamples."""

import numpy as np
import pytest
import torch
import torch.nn.functional as nnf
from helpers import noise

from scumble.engine import strips
from scumble.engine.box import Box
from scumble.engine.canvas import to_tensor
from scumble.engine.resample import resize, resize_premultiplied
from scumble.engine.strips import Enlarged, Repainted, Taps, shrunk
from scumble.picture import Picture

CPU = torch.device("cpu")


def picture(height, width, channels, dtype=np.uint8):
    rng = np.random.default_rng(height * width + channels)
    full = 1 if dtype is np.float32 else np.iinfo(dtype).max
    values = rng.random((height, width, channels)) * full
    if channels in (2, 4):
        values[: height // 3, : width // 2, -1] = 0
    return Picture(values.astype(dtype))


@pytest.mark.parametrize(("old", "new"), [(100, 17), (100, 100), (17, 100), (5, 3), (3, 1), (1, 4), (101, 100)])
def test_taps_are_pytorchs_filter(old, new):
    wanted = nnf.interpolate(torch.eye(old)[None, None], size=(new, old), mode="bicubic", antialias=True)[0, 0]
    taps = Taps.cubic(old, new)
    found = torch.zeros(new, old)
    for start in range(0, new, 3):
        heard, matrix = taps.strip(start, min(new, start + 3))
        found[start : start + 3, heard] = matrix
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(("height", "width"), [(9, 14), (70, 33), (31, 80), (62, 90)])
def test_a_box_is_brought_to_a_size_as_in_one_piece(channels, dtype, height, width, monkeypatch):
    monkeypatch.setattr(strips, "STRIP", 7)
    whole, box = picture(80, 97, channels, dtype), Box(5, 9, 90, 62)
    rgb, alpha = (to_tensor(each[box.slices], CPU) for each in (whole.rgb(), whole.alpha()))
    for found, wanted in zip(
        shrunk(whole, box, height, width, CPU), resize_premultiplied(rgb, alpha, height, width), strict=True
    ):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_a_box_that_cannot_be_seen_is_gray():
    clear = picture(40, 40, 4)
    box = Box(0, 0, 10, 10)
    colours, alpha = shrunk(clear, box, 5, 5, CPU)
    assert (colours == 0.5).all()
    assert (alpha == 0).all()


@pytest.mark.parametrize(("height", "width"), [(50, 81), (8, 13), (20, 13), (61, 30)])
def test_rows_of_an_enlarged_picture_are_those_of_it_in_one_piece(height, width):
    x = noise(1, 3, 20, 30, seed=3)
    whole, strip = resize(x, height, width), Enlarged(x, height, width)
    for start in range(0, height, 9):
        found = strip.rows(start, min(height, start + 9))
        torch.testing.assert_close(found, whole[:, :, start : start + 9], atol=1e-5, rtol=0)


def test_only_the_box_is_painted_anew():
    whole, box = picture(50, 40, 3), Box(7, 11, 20, 30)
    seen = []

    def paint(content, part):
        seen.append(part)
        torch.testing.assert_close(content, to_tensor(whole.rgb(part.slices), CPU))
        return 1 - content

    painted = Repainted(whole, box, paint, CPU)
    assert painted.shape == (50, 40, 3)
    found = np.concatenate([painted[start : start + 8] for start in range(0, 50, 8)])
    wanted = whole.rgb()
    wanted[box.slices] = 1 - wanted[box.slices]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert {(part.x, part.width) for part in seen} == {(7, 20)}
    assert sum(part.height for part in seen) == 30
