import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from scumble.engine import color
from scumble.engine.color import (
    gray,
    luminance,
    luminance_bounds,
    match_histogram,
    match_luminance,
    match_palette,
    weighted_moments,
    with_luminance_of,
)
from scumble.errors import ScumbleError

MATCHES = [match_luminance, match_palette, match_histogram]
METHODS = ["cholesky", "symmetric"]
LUMA = np.array([0.299, 0.587, 0.114])


def picture(seed: int, height: int = 40, width: int = 50) -> Tensor:
    """Correlated, skewed colours in 0..1, their distribution another for every seed."""
    random = np.random.default_rng(seed)
    colors = random.random((3, height * width)) ** (1 + seed % 3)
    mix = random.random((3, 3)) + np.eye(3)
    mixed = (mix / mix.sum(1, keepdims=True)) @ colors * 0.8 + 0.1 * random.random((3, 1))
    return torch.from_numpy(mixed.reshape(1, 3, height, width)).float()


def weights(seed: int, height: int = 40, width: int = 50) -> Tensor:
    """Soft weights, 0 at about a third of the pixels."""
    random = np.random.default_rng(seed)
    return torch.from_numpy((random.random((1, 1, height, width)) * 1.5 - 0.5).clip(0)).float()


def colors_of(rgb: Tensor) -> NDArray[np.float64]:
    return rgb[0].flatten(1).double().numpy()


def moments(rgb: Tensor, weight: Tensor | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x = colors_of(rgb)
    w = np.ones(x.shape[1]) if weight is None else weight.flatten().double().numpy()
    return np.average(x, axis=1, weights=w), np.cov(x, aweights=w, ddof=0)


def assert_same_chrominance(a: Tensor, b: Tensor, tolerance: float = 1e-6) -> None:
    for first, second in ((0, 1), (1, 2), (2, 0)):
        torch.testing.assert_close(a[:, first] - a[:, second], b[:, first] - b[:, second], atol=tolerance, rtol=0)


def test_luminance_is_y_of_yiq() -> None:
    rgb = picture(1, 3, 4)
    expected = [[sum(LUMA[c] * float(rgb[0, c, y, x]) for c in range(3)) for x in range(4)] for y in range(3)]
    np.testing.assert_allclose(luminance(rgb)[0, 0].numpy(), expected, atol=1e-6)
    assert luminance(rgb).shape == (1, 1, 3, 4)
    assert luminance(rgb.double()).dtype == torch.float64


def test_gray_has_the_luminance_in_every_channel() -> None:
    rgb = picture(2, 5, 3)
    for channel in range(3):
        assert torch.equal(gray(rgb)[:, channel : channel + 1], luminance(rgb))


@pytest.mark.parametrize("weight", [None, weights(5)])
def test_moments(weight: Tensor | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(color, "_BLOCK", 300)
    mean, covariance = weighted_moments(picture(3), weight)
    expected_mean, expected_covariance = moments(picture(3), weight)
    np.testing.assert_allclose(mean.numpy(), expected_mean, atol=1e-12)
    np.testing.assert_allclose(covariance.numpy(), expected_covariance, atol=1e-12)


def test_moments_of_a_single_pixel_ignore_all_others() -> None:
    rgb, weight = picture(3), torch.zeros(1, 1, 40, 50)
    weight[..., 7, 9] = 0.01
    rgb[..., 0, 0] = math.nan
    mean, covariance = weighted_moments(rgb, weight)
    np.testing.assert_allclose(mean.numpy(), rgb[0, :, 7, 9].numpy(), atol=1e-7)
    np.testing.assert_allclose(covariance.numpy(), np.zeros((3, 3)), atol=1e-12)


@pytest.mark.parametrize("match", MATCHES)
def test_no_weight_at_all_is_refused(match: type) -> None:
    with pytest.raises(ScumbleError) as caught:
        match(picture(1), picture(2), torch.zeros(1, 1, 40, 50), None)
    assert caught.value.code == "empty-mask"
    with pytest.raises(ScumbleError):
        match(picture(1), picture(2), None, torch.zeros(1, 1, 40, 50))


@pytest.mark.parametrize("match", MATCHES)
def test_matching_keeps_size_type_and_input_and_repeats(match: type) -> None:
    style, content = picture(1, 31, 17).double(), picture(2, 8, 90)
    before = style.clone()
    matched = match(style, content)
    assert matched.shape == style.shape
    assert matched.dtype == torch.float64
    assert torch.equal(style, before)
    assert torch.equal(matched, match(style, content))


@pytest.mark.parametrize("match", MATCHES)
def test_pixels_of_weight_zero_have_no_say_in_a_match(match: type) -> None:
    style, content, style_weight, content_weight = picture(1), picture(2), weights(1), weights(2)
    expected = match(style, content, style_weight, content_weight)
    other_style = torch.where(style_weight > 0, style, 9.0)
    other_content = torch.where(content_weight > 0, content, -9.0)
    matched = match(other_style, other_content, style_weight, content_weight)
    assert torch.equal(torch.where(style_weight > 0, matched, 0), torch.where(style_weight > 0, expected, 0))


@pytest.mark.parametrize("match", MATCHES)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (31, 17)])
def test_matching_small_pictures(match: type, height: int, width: int) -> None:
    assert match(picture(1, height, width), picture(2)).isfinite().all()
    assert match(picture(1), picture(2, height, width)).isfinite().all()


@pytest.mark.parametrize("weighted", [False, True])
def test_match_luminance_moves_mean_and_deviation_and_keeps_chrominance(weighted: bool) -> None:
    style, content = picture(1), picture(2)
    style_weight, content_weight = (weights(1), weights(2)) if weighted else (None, None)
    matched = match_luminance(style, content, style_weight, content_weight)
    mean, covariance = moments(matched, style_weight)
    content_mean, content_covariance = moments(content, content_weight)
    assert LUMA @ mean == pytest.approx(LUMA @ content_mean, abs=1e-5)
    assert LUMA @ covariance @ LUMA == pytest.approx(LUMA @ content_covariance @ LUMA, rel=1e-4)
    assert_same_chrominance(matched, style)


@pytest.mark.parametrize("match", [match_luminance, match_palette, match_histogram])
def test_noise_of_a_flat_style_is_not_amplified_to_the_contents_contrast(match: type) -> None:
    random = torch.Generator().manual_seed(1)
    style = 0.5 + 1e-4 * torch.randn(1, 3, 40, 50, generator=random)
    matched = match(style, picture(2))
    _, covariance = moments(matched)
    assert np.sqrt(np.diag(covariance)).max() < 0.02
    flat = match(torch.full((1, 3, 40, 50), 0.5), picture(2))
    assert float((flat.amax((2, 3)) - flat.amin((2, 3))).max()) < 1e-4


def test_a_flat_style_takes_the_contents_mean() -> None:
    mean, _ = moments(picture(2))
    style = torch.tensor([0.9, 0.1, 0.2]).view(1, 3, 1, 1).expand(1, 3, 6, 7)
    assert luminance(match_luminance(style, picture(2))).mean() == pytest.approx(LUMA @ mean, abs=1e-5)
    np.testing.assert_allclose(colors_of(match_palette(style, picture(2))).mean(1), mean, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("weighted", [False, True])
def test_match_palette_gives_the_contents_mean_and_covariance(method: str, weighted: bool) -> None:
    style, content = picture(4), picture(2, 31, 17)
    style_weight, content_weight = (weights(1), weights(2, 31, 17)) if weighted else (None, None)
    mean, covariance = moments(match_palette(style, content, style_weight, content_weight, method), style_weight)
    content_mean, content_covariance = moments(content, content_weight)
    np.testing.assert_allclose(mean, content_mean, atol=1e-5)
    np.testing.assert_allclose(covariance, content_covariance, atol=1e-6, rtol=1e-3)


def test_match_palette_is_the_papers_formula() -> None:
    style, content = picture(4), picture(2)
    style_mean, style_covariance = moments(style)
    content_mean, content_covariance = moments(content)

    def root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        values, vectors = np.linalg.eigh(matrix)
        return vectors @ np.diag(np.sqrt(values)) @ vectors.T

    for method, factor in (("cholesky", np.linalg.cholesky), ("symmetric", root)):
        matrix = factor(content_covariance) @ np.linalg.inv(factor(style_covariance))
        expected = matrix @ (colors_of(style) - style_mean[:, None]) + content_mean[:, None]
        np.testing.assert_allclose(colors_of(match_palette(style, content, method=method)), expected, atol=2e-5)


@pytest.mark.parametrize("seed", range(5))
def test_the_cholesky_root_is_the_usual_factor(seed: int) -> None:
    covariance = np.cov(np.random.default_rng(seed).normal(size=(3, 5)))
    factor = color._cholesky_root(torch.from_numpy(covariance), 1e-16).numpy()
    np.testing.assert_allclose(factor, np.linalg.cholesky(covariance), atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_match_palette_of_gray_pictures(method: str) -> None:
    content_mean, content_covariance = moments(picture(2))
    mean, covariance = moments(match_palette(gray(picture(1)), picture(2), method=method))
    np.testing.assert_allclose(mean, content_mean, atol=1e-4)
    assert np.sqrt(np.diag(covariance)).max() <= np.sqrt(np.linalg.eigvalsh(content_covariance).max()) * 1.01

    matched = match_palette(picture(1), gray(picture(2)), method=method)
    assert_same_chrominance(matched, torch.zeros(1, 3, 40, 50), 1e-4)
    flat = match_palette(picture(1), torch.full((1, 3, 2, 2), 0.25), method=method)
    np.testing.assert_allclose(colors_of(flat), 0.25, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_match_palette_amplifies_no_more_than_it_says(method: str) -> None:
    _, content_covariance = moments(picture(2))
    most = math.sqrt(np.linalg.eigvalsh(content_covariance).max()) * 255
    dark = torch.full((1, 3, 1, 2), 0.5)
    weight = torch.ones(1, 1, 1, 2)
    for step in torch.eye(3):
        style = dark.clone()
        style[0, :, 0, 1] += 0.1 * step
        # Seen only at its first pixel, the style is flat: all of the second's change is gain.
        weight[..., 1] = 0
        matched = match_palette(style, picture(2), weight, method=method)
        assert float((matched[0, :, 0, 1] - matched[0, :, 0, 0]).norm()) <= 0.1 * most * 1.001


def quantiles(values: NDArray[np.float64], weight: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least value with at least that share of the weight at or below it."""
    order = values.argsort()
    return values[order][np.searchsorted(weight[order].cumsum() / weight.sum(), at)]


@pytest.mark.parametrize("weighted", [False, True])
def test_match_histogram_gives_the_contents_distribution(weighted: bool) -> None:
    style, content = picture(1, 60, 70), picture(2, 50, 80)
    style_weight, content_weight = (weights(1, 60, 70), weights(2, 50, 80)) if weighted else (None, None)
    matched = colors_of(match_histogram(style, content, style_weight, content_weight))
    aims = colors_of(content)
    w = np.ones(4200) if style_weight is None else style_weight.flatten().double().numpy()
    v = np.ones(4000) if content_weight is None else content_weight.flatten().double().numpy()
    at = np.linspace(0.01, 0.99, 99)
    for axis in np.eye(3):
        np.testing.assert_allclose(quantiles(axis @ matched, w, at), quantiles(axis @ aims, v, at), atol=0.006)
    for axis in ([0.299, 0.587, 0.114], [0.7, -0.7, 0.0], [0.4, 0.4, -0.8], [0.1, -0.6, 0.7]):
        np.testing.assert_allclose(quantiles(axis @ matched, w, at), quantiles(axis @ aims, v, at), atol=0.015)
    assert (matched[:, w > 0].min(1) >= aims[:, v > 0].min(1) - 1e-6).all()
    assert (matched[:, w > 0].max(1) <= aims[:, v > 0].max(1) + 1e-6).all()


def test_match_histogram_sorted_values_without_weights() -> None:
    style, content = picture(1), picture(2)
    matched = np.sort(colors_of(match_histogram(style, content)), 1)
    np.testing.assert_allclose(matched, np.sort(colors_of(content), 1), atol=0.02)
    assert np.abs(matched - np.sort(colors_of(content), 1)).mean() < 0.001


def test_match_histogram_from_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(color, "_SAMPLES", 500)
    # Stripes as wide as every fourth pixel: a sample of a fixed stride would see one of them only.
    style, content = picture(1), picture(2)
    style[..., ::4] *= 0.2
    matched = np.sort(colors_of(match_histogram(style, content)), 1)
    assert np.abs(matched - np.sort(colors_of(content), 1)).mean() < 0.01


def test_match_histogram_sends_a_flat_style_to_the_middle() -> None:
    content = picture(2, 31, 17)
    matched = colors_of(match_histogram(torch.full((1, 3, 4, 5), 0.3), content))
    np.testing.assert_allclose(matched, np.repeat(matched[:, :1], 20, 1), atol=1e-6)
    np.testing.assert_allclose(matched[:, 0], np.median(colors_of(content), axis=1), atol=0.05)


def test_match_histogram_splits_two_colors_as_the_content_does() -> None:
    style = torch.tensor([0.1, 0.1, 0.9, 0.1]).expand(1, 3, 20, 4)
    content = torch.tensor([0.7, 0.3, 0.3, 0.3]).expand(1, 3, 20, 4)
    matched = match_histogram(style, content, rotations=0)
    torch.testing.assert_close(matched, torch.tensor([0.3, 0.3, 0.7, 0.3]).expand(1, 3, 20, 4), atol=1e-6, rtol=0)


def test_rotations_are_rotations_and_evenly_spread() -> None:
    rotations = color._rotations(12)
    for rotation in rotations:
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
    angles = [math.acos(min(1.0, (np.trace(a @ b.T) - 1) / 2)) for i, a in enumerate(rotations) for b in rotations[:i]]
    assert min(angles) > 0.9


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 33), st.integers(1, 33), st.integers(0, 1000))
def test_with_luminance_of_keeps_chrominance_and_range(height: int, width: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    content, painted = (torch.rand(1, 3, height, width, generator=random) for _ in range(2))
    content = torch.where(content < 0.15, 0.0, torch.where(content > 0.85, 1.0, content))
    painted = painted * 3 - 1
    result = with_luminance_of(content, painted)
    assert_same_chrominance(result, content)
    assert result.min() >= 0
    assert result.max() <= 1
    wanted = luminance(painted) - luminance(content)
    free = (content + wanted).amin(1, keepdim=True).ge(0) & (content + wanted).amax(1, keepdim=True).le(1)
    torch.testing.assert_close(luminance(result)[free], luminance(painted)[free], atol=1e-6, rtol=0)
    lowest, highest = luminance_bounds(content)
    clamped = torch.minimum(torch.maximum(luminance(painted), lowest), highest)
    torch.testing.assert_close(luminance(result), clamped, atol=1e-6, rtol=0)


def test_with_luminance_of_saturated_content() -> None:
    content = torch.tensor([[1.0, 0, 0], [1, 0, 1], [0.5, 0, 0]]).T.reshape(1, 3, 1, 3)
    white, black = torch.ones(1, 3, 1, 3), torch.zeros(1, 3, 1, 3)
    lit = torch.tensor([[1.0, 0, 0], [1, 0, 1], [1, 0.5, 0.5]]).T.reshape(1, 3, 1, 3)
    assert torch.equal(with_luminance_of(content, white), lit)
    assert torch.equal(with_luminance_of(content, black), content)


def test_with_luminance_of_content_out_of_gamut() -> None:
    content = torch.tensor([[-0.25, 0.5, 0.5], [0.5, 1.25, 0.5], [-0.5, 1.5, 0.5]]).T.reshape(1, 3, 1, 3)
    brighter = with_luminance_of(content, torch.ones(1, 3, 1, 3))
    darker = with_luminance_of(content, torch.zeros(1, 3, 1, 3))
    assert_same_chrominance(brighter, content)
    assert_same_chrominance(darker, content)
    # Channels beyond the range come no further out; towards it they may go.
    assert brighter[0, :, 0, 0].tolist() == [0.25, 1, 1]
    assert torch.equal(brighter[..., 1:], content[..., 1:])
    assert darker[0, :, 0, 1].tolist() == [0, 0.75, 0]
    assert torch.equal(darker[..., 0], content[..., 0])
    assert torch.equal(darker[..., 2], content[..., 2])


def test_gradients() -> None:
    random = torch.Generator().manual_seed(3)
    content, painted = (
        (torch.rand(1, 3, 3, 4, generator=random, dtype=torch.float64) * 0.8 + 0.1).requires_grad_() for _ in range(2)
    )
    assert torch.autograd.gradcheck(luminance, (content,))
    assert torch.autograd.gradcheck(gray, (content,))
    assert torch.autograd.gradcheck(with_luminance_of, (content, painted))
    assert torch.autograd.gradcheck(luminance_bounds, (content,))
