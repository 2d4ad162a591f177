"""How a video moves, where that is known."""

import numpy as np
import pytest

from scumble.drawn import painting, scene
from scumble.engine.flow import LEAST, SOFT, motion, moved

HEIGHT, WIDTH = 96, 128


@pytest.fixture(scope="module")
def large():
    return scene(320, 224).rgb


def seen(large, x, y):
    """What a camera sees at a place, given in halves of a px."""
    column, row = round(2 * x), round(2 * y)
    window = large[row : row + 2 * HEIGHT, column : column + 2 * WIDTH]
    return np.ascontiguousarray(window.reshape(HEIGHT, 2, WIDTH, 2, 3).mean((1, 3)))


@pytest.mark.parametrize("shift", [(0.5, 0), (0, -1.5), (3.5, 2), (-6, 4.5)])
def test_a_known_shift_is_found(large, shift):
    before, after = seen(large, 10, 6), seen(large, 10 + shift[0], 6 + shift[1])
    found = motion(before, after)
    away = np.hypot(*(found.way_back - shift).transpose(2, 0, 1))
    assert np.median(away) < 0.1
    assert away[found.trust == 1].mean() < 0.1
    assert found.trusted > 0.75
    left = np.abs(found.moved(before) - after).mean(2)
    assert left[found.trust == 1].mean() < 0.015


def test_a_picture_is_moved_by_parts_of_a_px_and_its_edge_repeated():
    ramp = np.broadcast_to(np.arange(16, dtype=np.float32)[:, None] / 16, (8, 16, 1)).copy()
    way = np.zeros((8, 16, 2), np.float32)
    way[..., 0] = 2.5
    found = moved(ramp, way).reshape(8, 16)
    assert found[:, 3:9] == pytest.approx(ramp[:, 3:9, 0] + 2.5 / 16, abs=1e-3)
    assert found[:, 14:] == pytest.approx(15 / 16, abs=0.02)
    assert (moved(ramp[..., 0], 0 * way) == ramp[..., 0]).all()


def test_what_comes_from_beyond_the_edge_is_not_trusted(large):
    found = motion(seen(large, 10, 6), seen(large, 16, 6))
    assert (found.trust[:, -6:] == 0).all()
    assert found.trust[:, : WIDTH // 2].mean() > 0.8


def test_what_stands_still_is_trusted_up_to_the_edge(large):
    found = motion(seen(large, 10, 6), seen(large, 10, 6))
    assert (found.trust == 1).all()
    assert np.abs(found.way_back).max() < 0.05


def test_what_has_been_covered_is_not_trusted(large):
    """A square moves to the right over what stands still: to its left something new is seen."""
    square = painting("glass", 64, 64)[:32, :32]
    before, after = seen(large, 10, 6), seen(large, 10, 6)
    before[32:64, 30:62], after[32:64, 38:70] = square, square
    trust = motion(before, after).trust
    assert trust[36:60, 31:37].max() < 0.5
    assert trust[40:56, 48:62].mean() > 0.8
    assert trust[:20].mean() > 0.9


@pytest.mark.parametrize("lit", [0.5, 0.0])
def test_what_looks_otherwise_is_not_trusted(lit):
    """Of two even frames any motion leads there and back again."""
    even = np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)
    assert motion(even, even - lit).trusted == (0 if lit else 1)


def test_trust_fades_in(large):
    trust = motion(seen(large, 10, 6), seen(large, 16, 6)).trust
    row = trust[HEIGHT // 2]
    assert np.abs(np.diff(row)).max() <= 1.5 / SOFT
    assert ((row > 0) & (row < 1)).any()


def test_another_scene_is_not_trusted(large):
    assert motion(seen(large, 10, 6), painting("night", WIDTH, HEIGHT)).trusted < 0.1


@pytest.mark.parametrize("size", [(1, 1), (3, 90), (LEAST - 1, LEAST)])
def test_the_smallest_frames_have_a_motion(size):
    frame = np.full((*size, 3), 0.5, np.float32)
    found = motion(frame, frame)
    assert found.way_back.shape == (*size, 2)
    assert found.trust.shape == size


def test_of_large_frames_motion_is_looked_for_in_smaller_ones(large, monkeypatch):
    monkeypatch.setattr("scumble.engine.flow.LARGEST", 96)
    found = motion(seen(large, 10, 6), seen(large, 14, 6))
    assert np.median(found.way_back[..., 0]) == pytest.approx(4, abs=0.2)
    assert found.trust.shape == (HEIGHT, WIDTH)
