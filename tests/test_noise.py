"""The noise beside the picture."""

import numpy as np
import pytest
import torch

from scumble.engine.noise import ORIGIN, PERIOD, noise, place
from scumble.engine.shape import NOISE_SCALES

CPU = torch.device("cpu")


def maps(first, last, width, at=ORIGIN):
    return noise(first, last, width, at, CPU)[0]


@pytest.mark.parametrize("at", [ORIGIN, (5, 70), (PERIOD - 7, PERIOD - 3)])
def test_any_rows_are_as_in_one_piece(at):
    whole = maps(0, 60, 50, at)
    for first, last in ((0, 1), (3, 20), (17, 60)):
        assert torch.equal(maps(first, last, 50, at), whole[:, first:last])


def test_a_place_is_the_same_wherever_one_comes_from():
    torch.testing.assert_close(maps(0, 40, 40, (9, 21)), maps(0, 60, 80)[:, 9:49, 21:61])


def test_it_begins_anew_after_its_period_only():
    assert torch.equal(maps(0, 8, 40, (PERIOD, PERIOD)), maps(0, 8, 40))
    for index, scale in enumerate(NOISE_SCALES):
        half = PERIOD // max(NOISE_SCALES) * scale // 2
        assert (maps(0, 64, 40, (half, 0))[index] - maps(0, 64, 40)[index]).std() > 1


def test_every_place_varies_alike():
    """Mean 0 and variance 1 over many pieces of the noise, at the values and between them."""
    generator = torch.Generator().manual_seed(3)
    pieces = np.stack([maps(0, 16, 16, (16 * a, 16 * b)).numpy() for a, b in torch.randint(
        0, PERIOD // 16, (6000, 2), generator=generator).tolist()])  # fmt: skip
    assert np.abs(pieces.mean(0)).max() < 0.07
    assert np.abs(pieces.std(0) - 1).max() < 0.05


@pytest.mark.parametrize("index", range(len(NOISE_SCALES)))
def test_it_is_smooth_between_values_as_far_apart_as_its_scale(index):
    """As bilinear interpolation says, in plain NumPy, but for the variance that it would lose."""
    scale, found = NOISE_SCALES[index], maps(0, 2 * NOISE_SCALES[index] + 1, 2 * NOISE_SCALES[index] + 1)[index].numpy()
    corners = found[::scale, ::scale].astype(np.float64)
    for y, x in np.ndindex(2 * scale, 2 * scale):
        (row, down), (column, across) = divmod(y, scale), divmod(x, scale)
        ways = np.outer([1 - down / scale, down / scale], [1 - across / scale, across / scale])
        wanted = (ways * corners[row : row + 2, column : column + 2]).sum() / np.sqrt((ways**2).sum())
        assert found[y, x] == pytest.approx(wanted, abs=1e-5)


def test_maps_have_nothing_to_do_with_each_other():
    flat = maps(0, 256, 256).flatten(1).numpy()
    assert np.abs(np.corrcoef(flat) - np.eye(len(flat))).max() < 0.2


def test_places_are_spread_over_all_of_it():
    generator = torch.Generator().manual_seed(0)
    found = np.array([place(generator) for _ in range(400)])
    assert found.min() < PERIOD / 20
    assert found.max() > PERIOD * 19 / 20
    assert found.max() < PERIOD
