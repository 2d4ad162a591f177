"""The prediction of memory: its arithmetic; that it holds is in test_memory.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scumble.engine.footprint import SPLIT, Footprint, footprint
from scumble.engine.machine import HOLD_AT_MOST, HOLD_OF_WINDOW
from scumble.recipe import Optimizer

MAPS = {"conv1_1": 64.0, "conv1_2": 64.0, "conv2_1": 32.0}


def of(channels=MAPS, itemsize=4, optimizer=Optimizer.ADAM, filter_bytes=0, columns=0, **options):
    return footprint(channels, itemsize, optimizer, filter_bytes, columns, **options)


def test_what_is_not_kept_is_linear():
    assert Footprint(3, 5, 7).bytes(10, 100) == 7 + 30 + 500


@pytest.mark.parametrize("itemsize", [2, 4])
def test_maps_are_there_and_pass_each_other(itemsize):
    """All of them; on the way back through the second, its gradient, rectified, and the first's; and one's copy."""
    assert of(itemsize=itemsize, keeps=False).per_window_px == itemsize * (160 + (2 * 64 + 64) + 64)


def test_filters_are_there_in_any_case():
    assert of(filter_bytes=1000, keeps=False).fixed - of(keeps=False).fixed == 1000


def test_lbfgs_holds_its_history():
    adam, lbfgs = (of(optimizer=kind).per_picture_px for kind in (Optimizer.ADAM, Optimizer.LBFGS))
    assert lbfgs - adam >= 2 * 10 * 3 * 4 - 2 * 3 * 4


@pytest.mark.parametrize("itemsize", [2, 4])
def test_windows_are_kept_whose_maps_are_not_too_much(itemsize):
    found = of(itemsize=itemsize)
    assert SPLIT * found.per_window_px * found.kept_px == pytest.approx(HOLD_OF_WINDOW, rel=1e-4)
    assert found.keeps(found.kept_px, 10 * found.kept_px)
    assert not found.keeps(found.kept_px + 1, 10 * found.kept_px)


def test_a_picture_in_one_piece_is_kept_if_all_of_it_is_not_too_much():
    found = of()
    most = (HOLD_AT_MOST - found.fixed) / (SPLIT * found.per_window_px + found.per_picture_px)
    assert found.keeps(most - 1, most - 1)
    assert not found.keeps(most + 1, most + 1)
    assert found.bytes(most - 1, most - 1) == pytest.approx(HOLD_AT_MOST, rel=1e-4)
    assert found.bytes(most + 1, most + 1) < HOLD_AT_MOST  # for it is split no more


def test_only_who_looks_for_neighbours_pays_for_them():
    without, matching = (of(columns=columns) for columns in (0, 160))
    assert (without.matches, matching.matches) == (False, True)
    assert matching.per_window_px > without.per_window_px
    assert matching.bytes(100, 256**2) - matching.bytes(100, 256**2 + 1) > 0  # the fine grid costs more


@given(st.floats(1e3, 1e11), st.booleans(), st.sampled_from([0, 160]))
def test_the_largest_picture_fits(limit, keeps, columns):
    found = of(filter_bytes=5000, columns=columns, keeps=keeps)
    largest = found.largest(limit)
    assert largest >= 0
    if largest:
        fine = found.per_fine_px * largest
        assert found.bytes(largest, largest) <= limit * (1 + 1e-9) + fine
