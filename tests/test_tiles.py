"""Tiles: windows that cover the picture exactly, and losses, gradients and statistics equal to those in one piece."""

import pytest
import torch
from helpers import narrow, relative, smooth
from hypothesis import given, settings
from hypothesis import strategies as st

from scumble.engine.candidates import candidates
from scumble.engine.frame import Frame
from scumble.engine.neighbours import Matched, NeighbourTerm
from scumble.engine.objective import Objective, PictureTerms
from scumble.engine.regions import region_weights
from scumble.engine.resample import pad_to_multiple, unpad
from scumble.engine.terms import ContentTerm, Statistic, StyleTarget, StyleTerm, survey
from scumble.engine.tiles import windows
from scumble.engine.vgg import Trunk
from scumble.recipe import ContentForm

sides = st.integers(1, 12)
grids = st.sampled_from([1, 4, 16, 32])
tiles = st.none() | st.integers(1, 200)
radii = st.integers(0, 180).map(lambda field: field / 2)


@given(sides, sides, grids, tiles, radii)
def test_cores_cover_every_pixel_once(rows, columns, grid, tile, radius):
    height, width = rows * grid, columns * grid
    seen = torch.zeros(height, width)
    for window in windows(height, width, tile, radius, grid):
        seen[window.core_in_picture(1)] += 1
    assert (seen == 1).all()


@given(sides, sides, grids, tiles, radii)
def test_windows_hold_their_cores_with_a_halo_up_to_the_border(rows, columns, grid, tile, radius):
    height, width = rows * grid, columns * grid
    for window in windows(height, width, tile, radius, grid):
        for span, length in ((window.rows, height), (window.columns, width)):
            assert 0 <= span.start <= span.core_start < span.core_stop <= span.stop <= length
            assert span.start == 0 or span.core_start - span.start >= radius
            assert span.stop == length or span.stop - span.core_stop >= radius


@given(sides, sides, grids, tiles, radii)
def test_all_edges_lie_on_the_grid(rows, columns, grid, tile, radius):
    for window in windows(rows * grid, columns * grid, tile, radius, grid):
        for span in (window.rows, window.columns):
            assert not any(edge % grid for edge in (span.start, span.stop, span.core_start, span.core_stop))


@given(sides, sides, grids, tiles, radii)
def test_a_window_is_whole_when_it_is_the_only_one(rows, columns, grid, tile, radius):
    found = windows(rows * grid, columns * grid, tile, radius, grid)
    assert [window.whole for window in found] == [len(found) == 1] * len(found)


@given(sides, sides, tiles, radii)
def test_the_core_of_a_map_is_the_core_of_the_picture(rows, columns, tile, radius):
    height, width = rows * 16, columns * 16
    picture = torch.arange(height * width).view(1, 1, height, width)
    for window in windows(height, width, tile, radius, 16):
        part = window.crop(picture)[:, :, ::16, ::16]
        core = part[(..., *window.core_of_map(16))]
        assert torch.equal(core, picture[:, :, ::16, ::16][(..., *window.core_in_picture(16))])


def test_no_tile_is_one_window():
    (window,) = windows(64, 96, None, 78)
    assert window.whole
    assert (window.rows.stop, window.columns.stop) == (64, 96)


def test_sides_off_the_grid_are_refused():
    with pytest.raises(ValueError, match="70 is no multiple of 16"):
        windows(70, 96, 32, 10)


# ---------------------------------------------------------------------------------------------- the same in one piece

GRID = 8
HEIGHT, WIDTH = 81, 107
PADDED = 88, 112
CHAIN = (
    Statistic("conv1_1", "conv1_1"),
    Statistic("conv2_1", "conv1_2", -1.0),
    Statistic("conv2_2", "conv2_1", 0.5),
    Statistic("conv3_3", "conv3_2"),
)
TAPS = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_2", "conv3_3", "preact4_1", "conv4_1")
NETWORK = Trunk(narrow("vgg16"), TAPS)
FRAME = Frame((1, 2))


class Padded:
    """What is seen of a picture of that size: its sides on the grid."""

    def __init__(self, height=HEIGHT, width=WIDTH):
        self.size = height, width

    def see(self, x):
        return pad_to_multiple(x, GRID)

    def unsee(self, gradient):
        return unpad(gradient, *self.size)


def soft_masks(padded=PADDED):
    """Two soft regions that overlap, and leave a corner to nobody."""
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, side) for side in padded), indexing="ij")
    return [torch.sigmoid(8 * side)[None, None] * (x + y < 1.5) for side in (x + y / 3, -x)]


def regions_of(network, padded=PADDED):
    return [region_weights(mask, network.taps, network.stride, network.radius) for mask in soft_masks(padded)]


def objective(tile, height=HEIGHT, width=WIDTH):
    style, content = (pad_to_multiple(smooth(height, width, seed=seed), GRID) for seed in (50, 90))
    padded = tuple(style.shape[2:])
    regions = regions_of(NETWORK, padded)
    halo = max(NETWORK.radius.values())
    around = windows(*padded, tile, halo, GRID)
    targets = survey(NETWORK, style, windows(*padded, None, halo, GRID), regions, CHAIN).statistics
    kept = survey(NETWORK, content, around, [], (), ["conv4_1"]).maps["conv4_1"]
    terms = [
        StyleTerm(
            "style",
            statistic,
            [
                (region, [StyleTarget(targets[0][statistic], 2.0), StyleTarget(targets[1][statistic], 0.5)])
                for region in regions
            ],
        )
        for statistic in CHAIN
    ]
    terms += [
        ContentTerm("conv4_1", kept, regions[0], form, weight)
        for form, weight in ((ContentForm.MEAN, 3.0), (ContentForm.HALF_SUM, 0.01))
    ]
    of_frame = regions_of(FRAME, padded)
    in_frame = [
        StyleTerm("frame", Statistic(tap, tap), [(of_frame[0], [StyleTarget(torch.eye(54), 0.1)])])
        for tap in FRAME.taps
    ]
    asked = PictureTerms(tv_weight=0.01)
    active = (soft_masks(padded)[0][..., :height, :width] > 0.01).float()
    return Objective([(NETWORK, terms), (FRAME, in_frame)], around, Padded(height, width), asked, active)


def of_neighbours(tile, height, width, matches=None):
    """An objective that asks nothing of the whole picture; what is matched is the first's own, or `matches`."""
    style, content = (pad_to_multiple(smooth(height, width, seed=seed), GRID) for seed in (50, 90))
    padded = tuple(style.shape[2:])
    halo = max(NETWORK.radius.values())
    around = windows(*padded, tile, halo, GRID)
    taps, stride = {"conv1_1": 1.0, "conv2_2": 0.5, "conv3_3": 1.0}, 4
    offered = candidates(
        NETWORK, style, torch.ones_like(style[:, :1]), taps, stride, windows(*padded, None, halo, GRID)
    )
    masks = soft_masks(padded)
    regions = [region_weights(mask, ["grid"], {"grid": stride}, {"grid": 0.0}) for mask in masks]
    matched = [
        Matched.of(region, offered, weight, 0.5, padded[0] // stride, padded[1] // stride)
        for region, weight in zip(regions, (1.0, 0.3), strict=True)
    ]
    term = NeighbourTerm(NETWORK, taps, stride, "grid", matched)
    for window in around:
        term.guide(NETWORK.forward(NETWORK.prepare(window.crop(content))), window)
    kept = survey(NETWORK, content, around, [], (), ["conv4_1"]).maps["conv4_1"]
    terms = [term, ContentTerm("conv4_1", kept, regions_of(NETWORK, padded)[0], ContentForm.MEAN, 3.0)]
    found = Objective([(NETWORK, terms)], around, Padded(height, width), PictureTerms(vote_weight=0.1))
    if matches is None:
        found.match(smooth(height, width, seed=91), by_content_alone=False)
    else:
        found.recall(matches)
    return found


@pytest.fixture(scope="module")
def in_one_piece():
    return objective(None).evaluate(smooth(HEIGHT, WIDTH))


@pytest.mark.parametrize("tile", [16, 24, 64])
def test_the_loss_in_tiles_equals_the_one_in_one_piece(in_one_piece, tile):
    found = objective(tile).evaluate(smooth(HEIGHT, WIDTH))
    assert found.total == pytest.approx(in_one_piece.total, rel=1e-5)
    assert found.parts == pytest.approx(in_one_piece.parts, rel=1e-5)


@pytest.mark.parametrize("tile", [16, 24, 64])
def test_the_gradient_in_tiles_equals_the_one_in_one_piece(in_one_piece, tile):
    found = objective(tile).evaluate(smooth(HEIGHT, WIDTH))
    assert found.gradient.shape == (1, 3, HEIGHT, WIDTH)
    assert relative(found.gradient, in_one_piece.gradient) < 1e-5


@settings(max_examples=8, deadline=None)
@given(st.integers(81, 150), st.integers(81, 150), st.sampled_from([8, 32, 40, 56]), st.integers(0, 5))
def test_any_size_and_any_tile_give_the_same(height, width, tile, seed):
    x = smooth(height, width, seed=seed)
    wanted, found = (objective(each, height, width).evaluate(x) for each in (None, tile))
    assert found.parts == pytest.approx(wanted.parts, rel=1e-5)
    assert relative(found.gradient, wanted.gradient) < 1e-5


@settings(max_examples=8, deadline=None)
@given(st.integers(81, 150), st.integers(81, 150), st.sampled_from([8, 32, 40, 56]), st.integers(0, 5))
def test_so_it_is_where_a_window_is_seen_once(height, width, tile, seed):
    x, whole = smooth(height, width, seed=seed), of_neighbours(None, height, width)
    tiled = of_neighbours(tile, height, width, whole.matches_found)
    wanted, found = whole.evaluate(x), tiled.evaluate(x)
    assert found.parts == pytest.approx(wanted.parts, rel=1e-5)
    assert relative(found.gradient, wanted.gradient) < 1e-5


def test_windows_are_seen_once_where_nothing_is_asked_of_the_whole(monkeypatch):
    looks, forward = [], NETWORK.forward
    monkeypatch.setattr(NETWORK, "forward", lambda x: looks.append(x.shape) or forward(x))
    for made, times in ((of_neighbours(40, 81, 107), 1), (objective(40), 2)):
        looks.clear()
        made.evaluate(smooth(81, 107))
        assert len(looks) == times * len(made._windows)


def test_a_halo_that_is_too_narrow_would_be_noticed(in_one_piece):
    whole = objective(24)
    whole._windows = windows(*PADDED, 24, 0, GRID)
    assert relative(whole.evaluate(smooth(HEIGHT, WIDTH)).gradient, in_one_piece.gradient) > 1e-3


def test_the_total_is_the_sum_of_the_parts(in_one_piece):
    assert set(in_one_piece.parts) == {"style", "content", "frame", "tv"}
    assert in_one_piece.total == pytest.approx(sum(in_one_piece.parts.values()), rel=1e-12)


def test_the_gradient_is_that_of_the_total():
    """Along a direction, by central differences."""
    whole = objective(None)
    whole._active = None
    x, way = smooth(HEIGHT, WIDTH), smooth(HEIGHT, WIDTH, seed=7) - 0.5
    slope = float((whole.evaluate(x).gradient * way).sum())
    step = 2e-3
    difference = (whole.evaluate(x + step * way).total - whole.evaluate(x - step * way).total) / (2 * step)
    assert slope == pytest.approx(difference, rel=1e-2)


def test_the_gradient_is_zero_where_the_picture_must_stay(in_one_piece):
    idle = soft_masks()[0][..., :HEIGHT, :WIDTH] <= 0.01
    assert idle.any()
    assert not (in_one_piece.gradient * idle).any()
    assert (in_one_piece.gradient * ~idle).any()


def test_evaluating_twice_is_the_same():
    whole = objective(64)
    first, second = (whole.evaluate(smooth(HEIGHT, WIDTH)) for _ in range(2))
    assert first.parts == second.parts
    assert torch.equal(first.gradient, second.gradient)


def test_an_objective_without_terms_has_no_gradient():
    idle = Objective([(NETWORK, [])], windows(*PADDED, None, 0, GRID), Padded(), PictureTerms())
    found = idle.evaluate(smooth(HEIGHT, WIDTH))
    assert found.total == 0
    assert not found.gradient.any()


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 11), st.integers(1, 11), st.sampled_from([16, 24, 48]), st.integers(0, 5))
def test_a_survey_in_tiles_finds_the_same(rows, columns, tile, seed):
    height, width = rows * GRID, columns * GRID
    picture, mask = smooth(height, width, seed=seed), smooth(height, width, seed=seed + 10)[:, :1]
    regions = [region_weights(m, TAPS, NETWORK.stride, NETWORK.radius) for m in (mask, torch.ones_like(mask))]
    taps = ("conv1_1", "conv3_3", "preact4_1")
    halo = max(NETWORK.radius.values())
    wanted, found = (
        survey(NETWORK, picture, windows(height, width, t, halo, GRID), regions, CHAIN, taps) for t in (None, tile)
    )
    for tap in taps:
        assert relative(found.maps[tap], wanted.maps[tap]) < 1e-5
    for one, other in zip(found.statistics, wanted.statistics, strict=True):
        assert one.keys() == other.keys()
        for statistic in one:
            assert relative(one[statistic], other[statistic]) < 1e-5
