"""The feather of a selection: held against the Gaussian itself, convolved by plain matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scumble.engine.feather import FAINTEST, feathered

FEATHERS = [1.0, 3.3, 12.0, 40.0]


def gaussian(length, deviation):
    """(length, length): what each of so many pixels takes of each, those beyond the ends being like the ends."""
    reach = round(6 * deviation) + 1
    centres, places = np.arange(length), np.arange(-reach, length + reach)
    weights = np.exp(-((places[None] - centres[:, None]) ** 2) / (2 * deviation**2))
    weights /= weights.sum(1, keepdims=True)
    matrix = np.zeros((length, length))
    np.add.at(matrix.T, np.clip(places, 0, length - 1), weights.T)
    return matrix


def expected(mask, feather_px):
    """As the module's words have it."""
    inside = (mask > 0).astype(float)
    height, width = mask.shape
    depth = gaussian(height, feather_px / 2) @ inside @ gaussian(width, feather_px / 2).T
    return mask * np.clip(2 * depth / depth[mask > 0].max() - 1, FAINTEST, 1)


def blob(height=90, width=110, *, seed=0, rows=(0, 90), columns=(0, 110)):
    """A selection with a winding edge, in part of the picture; gray values among it."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 15
    phases = random.random(4) * 6
    mask = (np.sin(x + phases[0]) + np.sin(y + phases[1]) + np.sin((x + y) / 2 + phases[2]) > -0.3).astype(np.float32)
    mask *= np.where(x + y > 7, 1, 0.3).astype(np.float32)
    outside = np.ones_like(mask, bool)
    outside[slice(*rows), slice(*columns)] = False
    mask[outside] = 0
    return mask


@pytest.mark.parametrize("feather_px", FEATHERS)
@pytest.mark.parametrize(
    "place",
    [{}, {"rows": (20, 70), "columns": (30, 80)}, {"rows": (0, 40)}, {"rows": (50, 90), "columns": (60, 110)}],
    ids=["everywhere", "inside", "upper edge", "lower right"],
)
def test_it_is_what_a_gaussian_makes_of_it(place, feather_px):
    mask = blob(**place)
    found, wanted = feathered(mask, feather_px), expected(mask, feather_px)
    assert found.dtype == np.float32
    # of a step three boxes make within 0.01 what a Gaussian does; both axes, twice, and in parts of the deepest
    assert np.abs(found - wanted).max() < 0.05
    assert np.abs(found - wanted).mean() < 0.01


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([0.0, 0.01, 0.5, 1.0, 2.7, 9.0, 100.0, 1000.0]),
    st.integers(0, 2**32 - 1),
    st.floats(0.005, 1),
)
@settings(max_examples=150, deadline=None)
def test_nothing_outside_something_wherever_it_was_and_somewhere_all_of_it(height, width, feather_px, seed, density):
    random = np.random.default_rng(seed)
    mask = (random.random((height, width)) * (random.random((height, width)) < density)).astype(np.float32)
    found = feathered(mask, feather_px)
    assert ((found > 0) == (mask > 0)).all()
    assert (found <= mask).all()
    if mask.any():
        assert (found / mask.clip(1e-9)).max() == pytest.approx(1, abs=1e-6)


def test_without_a_feather_nothing_changes():
    mask = blob()
    assert (feathered(mask, 0) == mask).all()
    assert np.abs(feathered(mask, 0.01) - mask).max() < 1e-3
    assert (feathered(np.zeros((5, 6), np.float32), 10) == 0).all()


def test_it_fades_over_so_many_pixels_from_a_straight_edge():
    mask = np.zeros((60, 200), np.float32)
    mask[:, 50:] = 1
    for feather_px in (6, 20, 50):
        row = feathered(mask, feather_px)[30]
        assert (np.diff(row) >= 0).all()
        assert (row[:50] == 0).all()
        assert row[50] < 1.5 / feather_px  # half a px from the edge
        assert 0.6 < row[50 + feather_px // 2] < 0.8
        assert 0.93 < row[50 + feather_px] < 1
        assert (row[50 + 2 * feather_px :] == 1).all()


def test_the_border_of_the_picture_is_no_edge():
    white = np.ones((30, 40), np.float32)
    assert (feathered(white, 25) == white).all()
    upper = white.copy()
    upper[20:] = 0
    found = feathered(upper, 8)
    assert (found == found[:, :1]).all()
    assert (found[:4] == 1).all()
    frame = white.copy()
    frame[0] = frame[-1] = frame[:, 0] = frame[:, -1] = 0  # now it is one
    assert feathered(frame, 8)[1, 20] < 0.2


def test_gray_parts_stay_as_gray_as_they_are():
    slope = np.tile(np.linspace(1, 0.05, 80, dtype=np.float32), (40, 1))
    assert np.abs(feathered(slope, 10) - slope).max() < 1e-6
    half = np.full((40, 80), 0.5, np.float32)
    half[:, 40:] = 0
    assert feathered(half, 6)[20, 10] == 0.5


@pytest.mark.parametrize("thickness", [1, 3, 9])
def test_what_is_thinner_than_the_feather_is_painted_all_the_same(thickness):
    mask = np.zeros((120, 120), np.float32)
    mask[60 : 60 + thickness] = 1
    found = feathered(mask, 200)
    assert found[60 + thickness // 2].min() == pytest.approx(1, abs=1e-6)
    assert found[60].min() > 0.5
    dot = np.zeros((50, 50), np.float32)
    dot[7, 9] = 1
    assert (feathered(dot, 1000) == dot).all()


def test_a_selection_far_from_another_is_faded_as_if_it_were_alone():
    """Where it lies in its bounding box has no say."""
    alone, both = np.zeros((60, 300), np.float32), np.zeros((60, 300), np.float32)
    alone[10:50, 20:70] = both[10:50, 20:70] = both[10:50, 220:270] = 1
    assert np.abs(feathered(both, 12)[:, :100] - feathered(alone, 12)[:, :100]).max() < 1e-6
