"""The losses against loops in plain NumPy, published special cases, and their gradients."""

import numpy as np
import pytest
import torch
from helpers import noise, relative

from scumble.engine.losses import (
    content_loss,
    correlation,
    geometric_weights,
    gram,
    style_loss,
    total_variation,
)
from scumble.recipe import ContentForm

F = noise(7, 3, seed=1, dtype=torch.float64) - 0.3
P = noise(7, 3, seed=2, dtype=torch.float64)
H = noise(7, 4, seed=3, dtype=torch.float64)
WEIGHT = torch.tensor([0, 0.25, 1, 0.5, 0, 1, 0.75], dtype=torch.float64)
PICTURE = noise(1, 3, 5, 6, seed=4, dtype=torch.float64)
MASK = noise(1, 1, 5, 6, seed=5, dtype=torch.float64)


def loops_content(F, P, weight):
    return sum(weight[k] * (float(F[k, i]) - float(P[k, i])) ** 2 for k in range(F.shape[0]) for i in range(F.shape[1]))


def loops_correlation(F, H, weight):
    found = np.zeros((F.shape[1], H.shape[1]))
    for i in range(F.shape[1]):
        for j in range(H.shape[1]):
            for k in range(F.shape[0]):
                found[i, j] += weight[k] * float(F[k, i]) * float(H[k, j])
    return found


def loops_total_variation(x, exponent, weight):
    x, total = x[0].numpy(), 0.0
    channels, height, width = x.shape
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                below = x[c, i + 1, j] - x[c, i, j] if i + 1 < height else 0.0
                right = x[c, i, j + 1] - x[c, i, j] if j + 1 < width else 0.0
                total += weight[i, j] * (below**2 + right**2) ** exponent
    return total


ONES = np.ones(7)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["even", "weighted"])
@pytest.mark.parametrize("form", ContentForm)
def test_content_loss_is_the_sum_over_positions_and_channels(form, weight):
    w = ONES if weight is None else weight.numpy()
    squares = loops_content(F, P, w)
    wanted = {
        ContentForm.HALF_SUM: squares / 2,
        ContentForm.SUM: squares,
        ContentForm.MEAN: squares / (w.sum() * F.shape[1]),
    }[form]
    assert float(content_loss(F, P, form, weight)) == pytest.approx(wanted, rel=1e-10)


def test_content_loss_is_gatys_form_unless_told_otherwise():
    assert content_loss(F, P) == content_loss(F, P, ContentForm.HALF_SUM)


def test_the_mean_form_does_not_depend_on_how_often_the_positions_are_there():
    once = content_loss(F, P, ContentForm.MEAN, WEIGHT)
    twice = content_loss(F.repeat(2, 1), P.repeat(2, 1), ContentForm.MEAN, WEIGHT.repeat(2))
    assert float(once) == pytest.approx(float(twice), rel=1e-12)


def test_an_empty_weight_gives_a_mean_of_zero():
    assert content_loss(F, P, ContentForm.MEAN, torch.zeros(7, dtype=torch.float64)) == 0


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["even", "weighted"])
def test_gram_is_the_sum_of_products_of_channels(weight):
    wanted = loops_correlation(F, F, ONES if weight is None else weight.numpy())
    assert relative(gram(F, weight), wanted) < 1e-12


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["even", "weighted"])
def test_correlation_is_the_sum_of_products_of_two_maps(weight):
    wanted = loops_correlation(F, H, ONES if weight is None else weight.numpy())
    found = correlation(F, H, weight)
    assert found.shape == (3, 4)
    assert relative(found, wanted) < 1e-12


def test_gram_in_float32():
    assert relative(gram(F.float(), WEIGHT.float()), loops_correlation(F, F, WEIGHT.numpy())) < 1e-6


def test_gram_of_a_constant_map_is_the_outer_product_times_the_positions():
    row = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    assert relative(gram(row.expand(11, 3)), 11 * torch.outer(row, row)) < 1e-14


def test_gram_ignores_where_things_are():
    assert relative(gram(F[torch.randperm(7, generator=torch.Generator().manual_seed(0))]), gram(F)) < 1e-12


def test_a_zero_weight_removes_a_position():
    kept = WEIGHT > 0
    assert relative(gram(F, WEIGHT), gram(F[kept], WEIGHT[kept])) < 1e-12


@pytest.mark.parametrize("rows", [1, 100, 255, 256, 1000, 20_000])
@pytest.mark.parametrize("weighted", [False, True])
def test_correlation_in_bfloat16_keeps_its_digits(rows, weighted):
    left, right = noise(rows, 5, seed=6), noise(rows, 6, seed=7)
    weight = noise(rows, seed=8) if weighted else None
    wanted = correlation(left.double(), right.double(), None if weight is None else weight.double())
    found = correlation(left.bfloat16(), right.bfloat16(), weight)
    assert relative(found, wanted) < 0.01


def test_a_long_correlation_in_bfloat16_is_float32():
    ones = torch.ones(20_000, 2, dtype=torch.bfloat16)
    found = correlation(ones, ones)
    assert found.dtype == torch.float32
    assert relative(found, torch.full((2, 2), 20_000.0)) < 0.01


def test_style_loss_is_gatys_layer_loss_for_pictures_of_the_same_size():
    M, N = F.shape
    raw = loops_correlation(F, F, ONES) - loops_correlation(P, P, ONES)
    wanted = sum(raw[i, j] ** 2 for i in range(N) for j in range(N)) / (4 * N**2 * M**2)
    assert float(style_loss(gram(F) / M, gram(P) / M)) == pytest.approx(wanted, rel=1e-10)


def test_style_loss_of_a_chain_divides_by_both_layers_channels():
    G, A = correlation(F, H), correlation(P, H)
    wanted = float(((G - A).numpy() ** 2).sum()) / (4 * 3 * 4)
    assert float(style_loss(G, A)) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.25])
def test_total_variation_is_the_sum_over_all_pixels(exponent, weighted):
    weight = MASK if weighted else None
    wanted = loops_total_variation(PICTURE, exponent, MASK[0, 0].numpy() if weighted else np.ones((5, 6)))
    assert float(total_variation(PICTURE, exponent, weight)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.25])
def test_total_variation_of_a_ramp(exponent):
    step, height, width = 0.03, 6, 9
    ramp = (torch.arange(width, dtype=torch.float64) * step).expand(1, 3, height, width)
    wanted = 3 * height * (width - 1) * step ** (2 * exponent)
    assert float(total_variation(ramp, exponent)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.25])
def test_total_variation_of_a_constant_is_nothing(exponent):
    found = float(total_variation(torch.full((1, 3, 5, 6), 0.7, dtype=torch.float64), exponent))
    assert found <= 3 * 5 * 6 * 1e-6  # the floor under the root


def test_total_variation_hears_the_last_row_and_column():
    x = torch.zeros(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(total_variation(x + PICTURE[:, :1, :4, :4], 1.0), x)
    assert (slope != 0).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1)])
def test_total_variation_of_a_single_row_or_column(size):
    x = noise(1, 3, *size, seed=9, dtype=torch.float64)
    wanted = loops_total_variation(x, 1.25, np.ones(size))
    assert float(total_variation(x, 1.25)) == pytest.approx(wanted, rel=1e-5, abs=1e-12)


def test_total_variation_of_a_constant_has_no_slope():
    x = torch.full((1, 3, 4, 4), 0.5, requires_grad=True)
    for exponent in (0.5, 1.0, 1.25, 2.0):
        (slope,) = torch.autograd.grad(total_variation(x, exponent), x)
        assert not slope.any()


LAYERS = ["conv1_1", "conv2_1", "conv3_1", "conv4_1"]


def test_geometric_weights_of_styles_halve_with_depth():
    found = geometric_weights(LAYERS, deepest_heaviest=False)
    assert found == {"conv1_1": 8 / 15, "conv2_1": 4 / 15, "conv3_1": 2 / 15, "conv4_1": 1 / 15}


def test_geometric_weights_of_contents_double_with_depth():
    found = geometric_weights(LAYERS, deepest_heaviest=True)
    assert found == {"conv1_1": 1 / 15, "conv2_1": 2 / 15, "conv3_1": 4 / 15, "conv4_1": 8 / 15}


@pytest.mark.parametrize("count", [1, 2, 16])
@pytest.mark.parametrize("deepest", [False, True])
def test_geometric_weights_sum_to_one(count, deepest):
    found = geometric_weights([str(index) for index in range(count)], deepest_heaviest=deepest)
    assert sum(found.values()) == pytest.approx(1, rel=1e-12)


def gradients_are_right(loss, *inputs):
    return torch.autograd.gradcheck(loss, [x.clone().requires_grad_() for x in inputs])


@pytest.mark.parametrize("form", ContentForm)
def test_gradient_of_content_loss(form):
    assert gradients_are_right(lambda F, P: content_loss(F, P, form, WEIGHT), F, P)


def test_gradient_of_gram():
    assert gradients_are_right(lambda F: gram(F, WEIGHT), F)


def test_gradient_of_correlation():
    assert gradients_are_right(lambda F, H: correlation(F, H, WEIGHT), F, H)


def test_gradient_of_style_loss():
    assert gradients_are_right(lambda F: style_loss(gram(F, WEIGHT), gram(P)), F)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.25])
def test_gradient_of_total_variation(exponent):
    assert gradients_are_right(lambda x: total_variation(x, exponent, MASK), PICTURE)
