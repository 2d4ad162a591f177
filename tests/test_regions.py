"""Regions and terms: masks per layer, rows, and gradients against autograd of the plain formulas."""

import numpy as np
import pytest
import torch
import torch.nn.functional as nnf
from helpers import channels_last, narrow, noise, relative, rows_of, smooth

from scumble.engine.losses import content_loss
from scumble.engine.regions import EROSION, FEWEST_ROWS, Rows, flatten, region_weights, zeros_like_map
from scumble.engine.terms import ContentTerm, Statistic, StyleTarget, StyleTerm, survey
from scumble.engine.tiles import windows
from scumble.engine.vgg import Trunk
from scumble.recipe import ContentForm

STRIDE = {"fine": 1, "middle": 4, "coarse": 16}
RADIUS = {"fine": 1.5, "middle": 8.0, "coarse": 40.0}
LAYERS = tuple(STRIDE)


def weights(mask, **options):
    return region_weights(mask, LAYERS, STRIDE, RADIUS, **options)


def box(height, width, rows, columns, value=1.0):
    """A mask with a rectangle inside."""
    mask = torch.zeros(1, 1, height, width)
    mask[..., slice(*rows), slice(*columns)] = value
    return mask


def whole(height, width):
    (window,) = windows(height, width, None, 0, 1)
    return window


# -------------------------------------------------------------------------------------------------------------- masks


def test_a_mask_comes_down_by_area_averages():
    mask = noise(1, 1, 96, 96)
    found = weights(mask, erosion=0)
    for layer, stride in STRIDE.items():
        wanted = mask[0, 0].double().numpy().reshape(96 // stride, stride, 96 // stride, stride).mean((1, 3))
        assert relative(found.maps[layer], wanted) < 1e-6, layer


def test_mass_is_the_sum_of_the_map():
    found = weights(noise(1, 1, 64, 64))
    assert {layer: float(found.maps[layer].sum()) for layer in found.layers} == pytest.approx(found.mass, rel=1e-6)


def test_area_is_the_sum_of_the_mask():
    assert weights(box(64, 64, (0, 10), (3, 9), 0.5)).area == pytest.approx(30)


def test_a_full_mask_is_one_everywhere():
    found = weights(torch.ones(1, 1, 64, 96))
    assert found.layers == LAYERS
    assert all((found.maps[layer] == 1).all() for layer in LAYERS)


def test_thin_strokes_survive():
    found = weights(box(64, 64, (0, 64), (10, 11)), erosion=0)
    assert float(found.maps["middle"].max()) == 0.25


def test_deep_layers_are_eroded_by_a_part_of_their_field():
    found = weights(box(128, 128, (32, 96), (32, 96)))
    inner = round(EROSION * RADIUS["middle"])
    assert found.mass["middle"] * 16 == pytest.approx((64 - 2 * inner) ** 2, rel=1e-5)


def test_masks_are_not_eroded_from_the_picture_border():
    found = weights(box(64, 64, (0, 64), (0, 32)))
    assert (found.maps["middle"][:, 0] == 1).all()


def test_a_layer_that_sees_too_little_is_dropped():
    found = weights(box(64, 64, (8, 24), (8, 24)))
    assert found.layers == ("fine",)  # 16 × 16 px leave 12 × 12 / 4² = 9 rows of the middle layer


def test_every_layer_that_stays_has_its_rows():
    found = weights(box(128, 128, (0, 70), (0, 70)))
    for layer in found.layers:
        m = found.maps[layer]
        assert float(m.sum() ** 2 / m.square().sum()) >= FEWEST_ROWS


@pytest.mark.parametrize("side", [1, 2, 3])
def test_a_tiny_region_is_seen_by_something(side):
    found = weights(box(64, 64, (20, 20 + side), (41, 41 + side)))
    assert found.layers
    assert all(mass > 0 for mass in found.mass.values())
    assert all(np.isfinite(mass) for mass in found.mass.values())


def test_a_tiny_region_is_not_eroded_away():
    found = weights(box(64, 64, (20, 23), (41, 44)))
    assert found.mass["fine"] == 9


def test_a_faint_region_counts_its_rows_as_a_full_one_does():
    strong, faint = (weights(box(128, 128, (0, 64), (0, 64), value)) for value in (1.0, 0.01))
    assert strong.layers == faint.layers


def test_the_least_picture_has_a_region():
    found = weights(torch.ones(1, 1, 16, 16))
    assert found.layers == ("fine", "middle")


# --------------------------------------------------------------------------------------------------------------- rows


def test_rows_of_a_full_mask_need_no_index_and_no_weight():
    assert weights(torch.ones(1, 1, 64, 64)).rows("fine", whole(64, 64)) == Rows(None, None)


def test_rows_are_the_positions_above_zero_with_their_weights():
    mask = noise(1, 1, 64, 64, seed=3) * (noise(1, 1, 64, 64, seed=4) > 0.5)
    found = weights(mask, erosion=0)
    flat = found.maps["fine"].flatten().numpy()
    rows = found.rows("fine", whole(64, 64))
    assert np.array_equal(rows.index.numpy(), np.flatnonzero(flat))
    assert np.array_equal(rows.weight.numpy(), flat[flat > 0])


def test_rows_of_a_hard_mask_have_no_weight():
    rows = weights(box(64, 64, (0, 32), (0, 64)), erosion=0).rows("middle", whole(64, 64))
    assert rows.weight is None
    assert rows.index.tolist() == list(range(128))


def test_rows_pick_and_add_at_the_same_places():
    features, mask = noise(1, 3, 16, 16, seed=1), noise(1, 1, 16, 16, seed=2) > 0.7
    rows = weights(mask.float(), erosion=0).rows("fine", whole(16, 16))
    inside = mask.flatten().numpy()
    flat = flatten(channels_last(features))
    assert np.array_equal(rows.of(flat).numpy(), rows_of(features)[inside].astype(np.float32))
    target = channels_last(torch.ones(1, 3, 16, 16))
    rows.add(flatten(target), torch.full((int(inside.sum()), 3), 2.0))
    assert np.array_equal(rows_of(target)[:, 0], np.where(inside, 3.0, 1.0))


def test_rows_without_index_add_everywhere():
    target = zeros_like_map(noise(1, 3, 4, 4))
    Rows(None, None).add(flatten(target), torch.ones(16, 3))
    assert (target == 1).all()


def test_a_window_without_any_of_the_region_has_no_rows():
    found = weights(box(64, 64, (0, 16), (0, 16)), erosion=0)
    last = windows(64, 64, 32, 8, 16)[-1]
    assert found.rows("fine", last) is None


@pytest.mark.parametrize("layer", LAYERS)
def test_rows_of_windows_cover_the_region_once(layer):
    found = weights(noise(1, 1, 64, 96), erosion=0)
    stride = STRIDE[layer]
    seen = torch.zeros(64 // stride, 96 // stride)
    for window in windows(64, 96, 32, 20, 16):
        rows = found.rows(layer, window)
        part = torch.zeros_like(window.crop(torch.zeros(64, 96))[::stride, ::stride])
        rows.add(part.view(-1, 1), rows.weight[:, None])
        top, left = window.rows.start // stride, window.columns.start // stride
        seen[top : top + part.shape[0], left : left + part.shape[1]] += part
    assert torch.equal(seen, found.maps[layer])


def test_flatten_is_a_view():
    features = channels_last(noise(1, 3, 4, 5))
    flatten(features)[7, 2] = 9
    assert features[0, 2, 1, 2] == 9


# --------------------------------------------------------------------------------------------------------- statistics

MAPS = {
    "conv2_1": channels_last(noise(1, 5, 8, 12, seed=1) - 0.3),
    "conv1_2": channels_last(noise(1, 4, 16, 24, seed=2) - 0.3),
    "conv1_1": channels_last(noise(1, 3, 16, 24, seed=3) - 0.3),
}
STRIDES = {"conv1_1": 1, "conv1_2": 1, "conv2_1": 2}
RADII = {"conv1_1": 1.5, "conv1_2": 2.5, "conv2_1": 5.0}
WINDOW = whole(16, 24)
HARD = box(16, 24, (0, 8), (0, 24))
SOFT = noise(1, 1, 16, 24, seed=4) * box(16, 24, (2, 16), (4, 20))


def region(mask):
    return region_weights(mask, STRIDES, STRIDES, RADII, erosion=0)


def as_rows(features):
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])


def plain_statistic(maps, statistic, mask):
    """Σ w (F + s)(H + s)ᵀ / Σ w by plain torch, float64 and differentiable."""
    first, second = maps[statistic.first], maps[statistic.second]
    stride = STRIDES[statistic.first]
    if first.shape != second.shape:
        second = nnf.avg_pool2d(second, second.shape[2] // first.shape[2])
    weight = nnf.avg_pool2d(mask.double(), stride).flatten()
    left, right = as_rows(first) + statistic.shift, as_rows(second) + statistic.shift
    return (left * weight[:, None]).T @ right / weight.sum()


def plain_style_loss(maps, statistic, targets):
    total = 0
    for mask, styles in targets:
        G = plain_statistic(maps, statistic, mask)
        for matrix, weight in styles:
            total = total + weight * (G - matrix.double()).square().sum() / (4 * G.shape[0] * G.shape[1])
    return total


STATISTICS = {
    "gram": Statistic("conv2_1", "conv2_1"),
    "shifted gram": Statistic("conv2_1", "conv2_1", -1.0),
    "chain": Statistic("conv1_2", "conv1_1"),
    "chain over a pool": Statistic("conv2_1", "conv1_2"),
    "shifted chain over a pool": Statistic("conv2_1", "conv1_2", -1.0),
}


@pytest.mark.parametrize("mask", [None, HARD, SOFT], ids=["everywhere", "hard", "soft"])
@pytest.mark.parametrize("name", STATISTICS)
def test_a_statistic_is_the_weighted_sum_of_products(name, mask):
    statistic, mask = STATISTICS[name], torch.ones(1, 1, 16, 24) if mask is None else mask
    seen = region(mask)
    found = statistic.sum(MAPS, seen.rows(statistic.first, WINDOW)) / seen.mass[statistic.first]
    wanted = plain_statistic({tap: features.double() for tap, features in MAPS.items()}, statistic, mask)
    assert relative(found, wanted) < 1e-5


@pytest.mark.parametrize(
    "regions", [(None,), (HARD,), (SOFT,), (HARD, SOFT)], ids=["everywhere", "hard", "soft", "two"]
)
@pytest.mark.parametrize("name", STATISTICS)
def test_a_style_terms_loss_and_gradient_are_autograds(name, regions):
    statistic = STATISTICS[name]
    masks = [torch.ones(1, 1, 16, 24) if mask is None else mask for mask in regions]
    shape = (MAPS[statistic.first].shape[1], MAPS[statistic.second].shape[1])
    styles = [[(noise(*shape, seed=10 + 2 * k + i), 0.5 + i + 3 * k) for i in range(2)] for k in range(len(masks))]
    targets = [(region(mask), [StyleTarget(*style) for style in own]) for mask, own in zip(masks, styles, strict=True)]
    term = StyleTerm("style", statistic, targets)

    leaves = {tap: MAPS[tap].double().requires_grad_() for tap in statistic.taps}
    loss = plain_style_loss(leaves, statistic, list(zip(masks, styles, strict=True)))
    slopes = dict(zip(statistic.taps, torch.autograd.grad(loss, list(leaves.values())), strict=True))

    term.observe(MAPS, WINDOW)
    assert float(term.solve()) == pytest.approx(float(loss.detach()), rel=1e-5)
    for tap in statistic.taps:
        assert relative(term.add_gradient(tap, MAPS, WINDOW, None), slopes[tap]) < 1e-5, tap


def gram_term(weight=1.0):
    matrix = noise(5, 5, seed=20)
    return StyleTerm("style", STATISTICS["gram"], [(region(HARD), [StyleTarget(matrix, weight)])])


def test_a_gradient_is_added_to_what_is_there():
    alone, added = gram_term(), gram_term()
    for term in (alone, added):
        term.observe(MAPS, WINDOW)
        term.solve()
    before = channels_last(noise(1, 5, 8, 12, seed=8))
    wanted = before + alone.add_gradient("conv2_1", MAPS, WINDOW, None)
    assert relative(added.add_gradient("conv2_1", MAPS, WINDOW, before), wanted) < 1e-6


def test_a_style_term_leaves_other_taps_alone():
    term = gram_term()
    term.observe(MAPS, WINDOW)
    term.solve()
    assert term.add_gradient("conv1_1", MAPS, WINDOW, None) is None


def test_a_style_term_starts_afresh_after_solving():
    term = gram_term()
    losses = []
    for _ in range(2):
        term.observe(MAPS, WINDOW)
        losses.append(term.solve())
    assert losses[0] == losses[1] > 0


def test_a_style_term_does_not_pull_outside_its_region():
    term = gram_term()
    term.observe(MAPS, WINDOW)
    term.solve()
    g = term.add_gradient("conv2_1", MAPS, WINDOW, None)
    assert g[:, :, :4].any()
    assert not g[:, :, 4:].any()


def test_a_style_that_is_the_picture_itself_pulls_nowhere():
    statistic = STATISTICS["gram"]
    seen = region(SOFT)
    own = statistic.sum(MAPS, seen.rows("conv2_1", WINDOW)) / seen.mass["conv2_1"]
    term = StyleTerm("style", statistic, [(seen, [StyleTarget(own, 1.0)])])
    term.observe(MAPS, WINDOW)
    assert term.solve() == 0
    assert not term.add_gradient("conv2_1", MAPS, WINDOW, None).any()


def test_a_region_without_that_layer_has_no_say():
    seen = region_weights(HARD, ["conv1_1"], STRIDES, RADII, erosion=0)
    term = StyleTerm("style", STATISTICS["gram"], [(seen, [StyleTarget(torch.eye(5), 1.0)])])
    term.observe(MAPS, WINDOW)
    assert term.solve() == 0
    assert term.add_gradient("conv2_1", MAPS, WINDOW, None) is None


@pytest.mark.parametrize("mask", [None, HARD, SOFT], ids=["everywhere", "hard", "soft"])
@pytest.mark.parametrize("form", ContentForm)
def test_a_content_terms_loss_and_gradient_are_autograds(form, mask):
    mask = torch.ones(1, 1, 16, 24) if mask is None else mask
    target = noise(1, 5, 8, 12, seed=30)
    term = ContentTerm("conv2_1", channels_last(target), region(mask), form, 0.7)
    leaf = MAPS["conv2_1"].double().requires_grad_()
    weight = nnf.avg_pool2d(mask.double(), 2).flatten()
    squares = ((as_rows(leaf) - as_rows(target.double())).square() * weight[:, None]).sum()
    factor = {ContentForm.HALF_SUM: 0.5, ContentForm.SUM: 1.0, ContentForm.MEAN: 1 / (5 * float(weight.sum()))}[form]
    loss = 0.7 * factor * squares
    (slope,) = torch.autograd.grad(loss, leaf)

    term.observe(MAPS, WINDOW)
    assert float(term.solve()) == pytest.approx(float(loss.detach()), rel=1e-5)
    assert relative(term.add_gradient("conv2_1", MAPS, WINDOW, None), slope) < 1e-5


def test_a_content_term_is_content_loss():
    target = noise(1, 5, 8, 12, seed=30)
    term = ContentTerm("conv2_1", channels_last(target), region(torch.ones(1, 1, 16, 24)), ContentForm.MEAN, 1.0)
    term.observe(MAPS, WINDOW)
    wanted = content_loss(as_rows(MAPS["conv2_1"]), as_rows(target), ContentForm.MEAN)
    assert float(term.solve()) == pytest.approx(float(wanted), rel=1e-6)


# ------------------------------------------------------------------------------------------------------------- survey


def periodic(height, width):
    """The same texture at every size."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    waves = [torch.sin(2 * torch.pi * (a * x + b * y) / 16) for a, b in ((1, 0), (1, 1), (0, 2))]
    return 0.5 + 0.4 * torch.stack(waves)[None]


def test_the_matrix_of_a_texture_does_not_depend_on_the_regions_area():
    network = Trunk(narrow("vgg11"), ["conv1_1", "conv2_1", "conv3_1"])
    picture = periodic(160, 160)
    small, large = box(160, 160, (48, 96), (48, 96)), box(160, 160, (32, 128), (16, 144))
    regions = [region_weights(m, network.taps, network.stride, network.radius, erosion=0) for m in (small, large)]
    grams = [Statistic(tap, tap) for tap in network.taps]
    found = survey(network, picture, windows(160, 160, None, 0), regions, grams).statistics
    for statistic in grams:
        assert relative(found[0][statistic], found[1][statistic]) < 1e-5, statistic.first


def test_a_survey_gives_the_networks_maps():
    network = Trunk(narrow("vgg11"), ["conv1_1", "conv3_1"])
    picture = smooth(32, 48)
    found = survey(network, picture, windows(32, 48, None, 0), [], (), ["conv3_1"])
    assert torch.equal(found.maps["conv3_1"], network.forward(network.prepare(picture))["conv3_1"])


def test_a_survey_leaves_out_layers_that_see_too_little():
    network = Trunk(narrow("vgg11"), ["conv1_1", "conv4_1"])
    regions = [region_weights(box(64, 64, (0, 16), (0, 16)), network.taps, network.stride, network.radius)]
    grams = [Statistic(tap, tap) for tap in network.taps]
    found = survey(network, smooth(64, 64), windows(64, 64, None, 0), regions, grams).statistics
    assert set(found[0]) == {grams[0]}
