"""The schedule: bounds, boxes with context, levels, tiles under a memory limit."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scumble.engine.footprint import Footprint
from scumble.engine.machine import HOLD_AT_MOST
from scumble.engine.schedule import (
    COARSEST,
    ITERATIONS,
    ITERATIONS_WITH_PIECES,
    LEAST_BOX,
    MEMORY_SHARE,
    WORKING_SIZE,
    Box,
    available_bytes,
    bounds,
    plan,
)
from scumble.errors import ScumbleError
from scumble.recipe import Quality, Recipe

PLENTY = 2**50
COST = Footprint(per_window_px=1000, per_picture_px=100, fixed=2**20)


def planned(width, height, selected=None, available=PLENTY, halo=40, **fields):
    recipe = Recipe.parse({"styles": [{"picture": "style"}], **fields})
    return plan(width, height, selected or Box(0, 0, width, height), recipe, COST, available, halo)


@st.composite
def selections(draw):
    """A picture's size and a rectangle in it."""
    width, height = draw(st.integers(1, 3000)), draw(st.integers(1, 3000))
    w, h = draw(st.integers(1, width)), draw(st.integers(1, height))
    return width, height, Box(draw(st.integers(0, width - w)), draw(st.integers(0, height - h)), w, h)


# ------------------------------------------------------------------------------------------------------------- bounds


def test_bounds_of_an_empty_mask():
    assert bounds(np.zeros((5, 7))) is None


def test_bounds_of_a_full_mask():
    assert bounds(np.ones((5, 7))) == Box(0, 0, 7, 5)


def test_bounds_hold_the_faintest_pixel():
    mask = np.zeros((5, 7), np.float32)
    mask[1, 2] = 1e-30
    mask[3, 5] = 1
    assert bounds(mask) == Box(2, 1, 4, 3)


@given(selections())
def test_bounds_of_a_rectangle_are_the_rectangle(case):
    width, height, box = case
    mask = np.zeros((height, width), bool)
    mask[box.slices] = True
    assert bounds(mask) == box


# --------------------------------------------------------------------------------------------------------------- boxes


@given(selections(), st.integers(0, 512), st.none() | st.integers(16, 4000))
def test_the_box_holds_the_selection_and_lies_in_the_picture(case, context, size):
    width, height, selected = case
    box = planned(width, height, selected, context_px=context, size=size).box
    assert 0 <= box.x <= selected.x
    assert 0 <= box.y <= selected.y
    assert selected.x + selected.width <= box.x + box.width <= width
    assert selected.y + selected.height <= box.y + box.height <= height


@given(selections(), st.integers(0, 512))
def test_the_box_has_its_context_wherever_the_picture_goes_on(case, context):
    width, height, selected = case
    found = planned(width, height, selected, context_px=context, size=256)
    margin, box = context / found.scale, found.box
    assert selected.x - box.x >= min(margin, selected.x)
    assert selected.y - box.y >= min(margin, selected.y)
    right, below = selected.x + selected.width, selected.y + selected.height
    assert box.x + box.width - right >= min(margin, width - right)
    assert box.y + box.height - below >= min(margin, height - below)


def test_a_small_selection_is_seen_with_its_surroundings():
    box = planned(2000, 2000, Box(1000, 1000, 10, 10), context_px=0).box
    assert (box.width, box.height) == (LEAST_BOX, LEAST_BOX)
    assert (box.x, box.y) == (1005 - LEAST_BOX // 2, 1005 - LEAST_BOX // 2)


def test_a_selection_at_the_border_has_context_on_the_other_sides_only():
    box = planned(2000, 1000, Box(0, 700, 400, 300), context_px=80, size=400).box
    assert box == Box(0, 620, 480, 380)


def test_context_is_in_px_of_the_working_size():
    box = planned(4000, 4000, Box(1000, 1000, 2000, 2000), context_px=50, size=500).box
    assert box == Box(800, 800, 2400, 2400)


def test_the_slices_of_a_box_are_rows_and_columns():
    picture = np.arange(20 * 30).reshape(20, 30)
    part = picture[Box(3, 5, 7, 2).slices]
    assert part.shape == (2, 7)
    assert part[0, 0] == picture[5, 3]


def test_a_selection_of_a_tenth_costs_a_fifth_at_most():
    side = round((0.1 * 2048**2) ** 0.5)
    finest = planned(2048, 2048, Box(700, 500, side, side), size=2048).levels[-1]
    assert finest.width * finest.height <= 0.2 * 2048**2


# -------------------------------------------------------------------------------------------------------------- levels


@pytest.mark.parametrize("quality", Quality)
def test_the_painted_part_has_the_working_size(quality):
    found = planned(3000, 2000, quality=quality)
    assert (found.levels[-1].width, found.levels[-1].height) == (
        WORKING_SIZE[quality],
        round(WORKING_SIZE[quality] * 2 / 3),
    )


def test_a_given_size_goes_before_the_quality():
    assert planned(3000, 2000, size=700).levels[-1].width == 700


def test_nothing_is_painted_above_its_own_size():
    found = planned(200, 300, size=2048)
    assert found.scale == 1
    assert (found.levels[-1].width, found.levels[-1].height) == (200, 300)


@given(st.integers(1, 3000), st.integers(1, 3000), st.none() | st.integers(1, 6))
def test_each_level_is_half_the_next(width, height, scales):
    levels = planned(width, height, size=1024, scales=scales).levels
    for small, large in pairwise(levels):
        assert abs(small.width - large.width / 2) <= 1
        assert abs(small.height - large.height / 2) <= 1
        assert min(small.width, small.height) >= 1


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from(Quality))
def test_no_level_is_coarser_than_the_coarsest(width, height, quality):
    levels = planned(width, height, quality=quality).levels
    assert max(levels[0].width, levels[0].height) >= min(COARSEST, max(width, height))


@given(st.integers(1, 6))
def test_there_are_as_many_scales_as_asked(scales):
    assert len(planned(500, 400, scales=scales).levels) == scales


def test_one_number_of_iterations_counts_for_each_level():
    assert [level.iterations for level in planned(800, 800, scales=3, iterations=7).levels] == [7, 7, 7]


def test_iterations_per_scale_are_from_coarse_to_fine():
    assert [level.iterations for level in planned(800, 800, scales=3, iterations=[9, 6, 3]).levels] == [9, 6, 3]


def test_of_too_many_iterations_the_fine_ones_count():
    assert [level.iterations for level in planned(800, 800, scales=2, iterations=[9, 6, 3]).levels] == [6, 3]


def test_missing_iterations_are_those_of_the_coarsest():
    assert [level.iterations for level in planned(800, 800, scales=4, iterations=[9, 6]).levels] == [9, 9, 9, 6]


@pytest.mark.parametrize("quality", Quality)
def test_iterations_follow_the_quality(quality):
    levels = planned(2000, 2000, quality=quality).levels
    assert [level.iterations for level in levels] == list(ITERATIONS[quality])[-len(levels) :]


def test_going_on_from_a_picture_needs_one_level():
    assert len(planned(800, 800, start="picture", start_picture="earlier").levels) == 1


def test_work_is_pixels_times_iterations():
    (level,) = planned(100, 50, scales=1, iterations=3).levels
    assert level.work == 15_000


# --------------------------------------------------------------------------------------------------------------- tiles


def needed(width, height):
    return COST.bytes(width * height, width * height)


def test_what_fits_is_painted_in_one_piece():
    assert planned(512, 512, available=needed(512, 512) / MEMORY_SHARE + 1).tile_px is None


def test_what_does_not_fit_is_painted_in_tiles():
    assert planned(512, 512, available=needed(512, 512) / MEMORY_SHARE - 1e6).tile_px is not None


@given(st.integers(200, 1000), st.floats(0.1, 1))
def test_a_tile_fits_into_the_limit(side, share):
    limit = needed(side, side) * share
    try:
        found = planned(side, side, available=limit / MEMORY_SHARE, size=2000, scales=1)
    except ScumbleError:
        return
    assert found.memory_mb * 2**20 <= limit * (1 + 1e-9)
    if found.tile_px is not None:
        assert found.tile_px % 32 == 0
        window = (found.tile_px + 2 * 40) ** 2
        assert COST.bytes(window, side * side) <= limit * (1 + 1e-9)


def test_the_largest_tile_that_fits_is_taken():
    found = planned(1000, 1000, size=1000, available=needed(600, 600) / MEMORY_SHARE)
    larger = (found.tile_px + 32 + 80) ** 2
    assert COST.bytes(larger, 1000 * 1000) > needed(600, 600)


def test_memory_mb_limits_whatever_the_device_has():
    assert planned(512, 512, memory_mb=128).tile_px is not None
    assert planned(512, 512, memory_mb=1024).tile_px is None


def test_the_device_limits_whatever_memory_mb_says():
    assert planned(512, 512, memory_mb=100_000, available=128 * 2**20).tile_px is not None


QUICK = replace(COST, matches=True, kept_px=300**2)
"""What is seen once per step, the quickest in windows of 300 px."""


def cut(width, height, cost=QUICK, available=PLENTY, halo=16, **fields):
    recipe = Recipe.parse({"styles": [{"picture": "style"}], "size": max(width, height), **fields})
    return plan(width, height, Box(0, 0, width, height), recipe, cost, available, halo)


def test_what_is_seen_once_is_cut_into_the_quickest_windows():
    found = cut(4000, 2400, scales=1)
    assert found.tile_px == 256  # 16 × 10 of them; with its halo and a border of one px not more than 300
    assert not found.is_tight
    assert found.memory_mb * 2**20 == pytest.approx(QUICK.bytes((250 + 32) * (240 + 32), 4000 * 2400))
    assert found.keeps_maps


def test_a_picture_that_can_be_kept_in_one_piece_is_not_cut():
    side = math.isqrt(int(QUICK.largest_kept(HOLD_AT_MOST)))
    assert cut(side, side).tile_px is None
    assert cut(side, side).keeps_maps
    assert cut(side + 2, side + 2).tile_px == 256
    assert cut(side, side, memory_mb=1024).tile_px == 256


def test_a_coarse_level_in_one_piece_may_take_the_most():
    found = cut(1800, 1800, scales=2)
    whole, windows = QUICK.bytes(900**2, 900**2), QUICK.bytes((256 + 32) ** 2, 1800**2)
    assert found.tiling.of(900, 900) is None
    assert whole > windows
    assert found.memory_mb * 2**20 == pytest.approx(whole)


def test_what_is_seen_twice_is_not_cut_to_save_time():
    assert cut(4000, 2400, replace(QUICK, matches=False)).tile_px is None


def test_nothing_is_cut_where_halos_would_cost_more_than_it_brings():
    assert cut(4000, 2400, halo=40).tile_px is None


def test_memory_asks_for_smaller_tiles_than_the_quickest():
    enough = QUICK.bytes((256 + 32) ** 2, 4000 * 2400)
    found = cut(4000, 2400, available=(enough - 1e6) / MEMORY_SHARE)
    assert found.is_tight
    assert 0 < found.tile_px < 256


def test_what_fits_in_no_tile_is_refused():
    with pytest.raises(ScumbleError) as raised:
        planned(2000, 2000, size=2000, available=100 * 2**20)
    assert raised.value.code == "out-of-memory"
    assert "2000 × 2000" in str(raised.value)


def test_a_refusal_says_what_would_be_enough():
    halo = 40
    enough = COST.bytes((32 + 2 * halo) ** 2, 1000 * 1000)
    assert planned(1000, 1000, size=1000, available=enough / MEMORY_SHARE + 1).tile_px == 32
    with pytest.raises(ScumbleError, match=f"needs {enough / 2**20:.0f} MB"):
        planned(1000, 1000, size=1000, available=enough / MEMORY_SHARE - 1e6)


def test_pieces_of_the_style_save_iterations():
    def iterations(cost, **fields):
        recipe = Recipe.parse({"styles": [{"picture": "style"}], **fields})
        found = plan(512, 512, Box(0, 0, 512, 512), recipe, cost, PLENTY, 40)
        return tuple(level.iterations for level in found.levels)

    matching = replace(COST, matches=True)
    assert iterations(matching) == ITERATIONS_WITH_PIECES[Quality.NORMAL]
    assert iterations(COST) == ITERATIONS[Quality.NORMAL]
    # where none are laid, nothing takes the place of the last iterations
    assert iterations(matching, vote_weight=0) == ITERATIONS[Quality.NORMAL]
    assert iterations(matching, style_weight=0) == ITERATIONS[Quality.NORMAL]
    assert iterations(matching, iterations=[7, 6, 5]) == (7, 6, 5)


def test_the_machine_has_memory():
    assert available_bytes(torch.device("cpu")) > 2**20
