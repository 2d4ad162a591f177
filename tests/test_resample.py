import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from scumble.engine.resample import (
    crop,
    erode,
    fill_transparent,
    pad_to_multiple,
    resize,
    resize_premultiplied,
    shrink_mask,
)

sides = st.one_of(st.integers(1, 4), st.sampled_from([16, 17, 31]), st.integers(5, 40))
seeds = st.integers(0, 1000)
quick = settings(deadline=None, max_examples=40)


def noise(seed: int, channels: int, height: int, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def cubic_weights(length: int, size: int) -> NDArray[np.float64]:
    """(size, length): Keys' cubic with a = −½, widened by the ratio where it shrinks, its sum made 1 at the border."""

    def keys(t: float) -> float:
        t = abs(t)
        if t < 1:
            return 1.5 * t**3 - 2.5 * t**2 + 1
        return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0

    ratio = length / size
    widened = max(ratio, 1.0)
    weights = np.array([[keys(((j + 0.5) - (i + 0.5) * ratio) / widened) for j in range(length)] for i in range(size)])
    return weights / weights.sum(1, keepdims=True)


def overlap_weights(length: int, size: int) -> NDArray[np.float64]:
    """(size, length): the part of each new pixel that each old one covers."""
    ratio = Fraction(length, size)

    def overlap(i: int, j: int) -> float:
        return float(max(0, min((i + 1) * ratio, j + 1) - max(i * ratio, j)) / ratio)

    return np.array([[overlap(i, j) for j in range(length)] for i in range(size)])


@quick
@given(sides, sides, sides, sides, seeds)
def test_resize_is_a_bounded_antialiased_cubic(height: int, width: int, high: int, wide: int, seed: int) -> None:
    picture = noise(seed, 3, height, width)
    resized = resize(picture, high, wide)
    as_channels_last = resize(picture.contiguous(memory_format=torch.channels_last), high, wide)
    torch.testing.assert_close(as_channels_last, resized)
    expected = cubic_weights(height, high) @ picture[0].double().numpy() @ cubic_weights(width, wide).T
    least, greatest = (f(picture[0].double().numpy(), axis=(1, 2), keepdims=True) for f in (np.min, np.max))
    np.testing.assert_allclose(resized[0].numpy(), expected.clip(least, greatest), atol=1e-5)
    assert (resized.amin((2, 3)) >= picture.amin((2, 3))).all()
    assert (resized.amax((2, 3)) <= picture.amax((2, 3))).all()


def test_resize_details() -> None:
    picture = noise(1, 2, 31, 17, torch.float64)
    assert torch.equal(resize(picture, 31, 17), picture)
    assert resize(picture, 10, 40).dtype == torch.float64
    flat = torch.full((2, 3, 13, 7), 0.3)
    assert torch.equal(resize(flat, 5, 29), torch.full((2, 3, 5, 29), 0.3))
    # Stripes finer than the new pixels become their mean instead of a false pattern.
    stripes = torch.tensor([0.0, 1.0]).repeat(50).expand(1, 1, 100, 100)
    np.testing.assert_allclose(resize(stripes, 30, 30)[..., 2:-2].numpy(), 0.5, atol=0.02)


@quick
@given(sides, sides, sides, sides, seeds)
def test_opaque_pictures_resize_the_same_with_alpha(height: int, width: int, high: int, wide: int, seed: int) -> None:
    picture = noise(seed, 3, height, width)
    rgb, alpha = resize_premultiplied(picture, torch.ones(1, 1, height, width), high, wide)
    assert torch.equal(alpha, torch.ones(1, 1, high, wide))
    torch.testing.assert_close(rgb, resize(picture, high, wide), atol=1e-5, rtol=0)


@quick
@given(sides, sides, sides, sides, seeds, st.sampled_from([7.0, -3.0, math.nan, math.inf]))
def test_colour_under_alpha_zero_has_no_say(
    height: int, width: int, high: int, wide: int, seed: int, garbage: float
) -> None:
    picture, alpha = noise(seed, 3, height, width), (noise(seed + 1, 1, height, width) * 2 - 1).clamp(min=0)
    expected, _ = resize_premultiplied(picture, alpha, high, wide)
    rgb, new_alpha = resize_premultiplied(torch.where(alpha > 0, picture, garbage), alpha, high, wide)
    assert torch.equal(rgb, expected)
    assert rgb.shape == (1, 3, high, wide)
    assert torch.equal(new_alpha, resize(alpha, high, wide))
    assert torch.equal(rgb, fill_transparent(rgb, new_alpha))
    if (alpha > 0.01).any():
        for channel in range(3):
            seen = picture[0, channel][alpha[0, 0] > 0.5 / 255]
            assert rgb[0, channel].min() >= seen.min() - 1e-6
            assert rgb[0, channel].max() <= seen.max() + 1e-6


def test_premultiplied_is_the_weighted_mean_of_colors() -> None:
    picture, alpha = noise(3, 3, 24, 36), noise(4, 1, 24, 36) * 0.9 + 0.1
    rgb, new_alpha = resize_premultiplied(picture, alpha, 6, 9)
    rows, columns = cubic_weights(24, 6), cubic_weights(36, 9)
    shares = rows @ alpha[0].double().numpy() @ columns.T
    expected = (rows @ (picture * alpha)[0].double().numpy() @ columns.T) / shares
    np.testing.assert_allclose(rgb[0].numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(new_alpha[0].numpy(), shares, atol=1e-5)


def test_premultiplied_edge_has_no_fringe() -> None:
    picture = torch.tensor([0.8, 0.3, 0.1]).view(1, 3, 1, 1).repeat(1, 1, 20, 20)
    picture[..., 9:] = torch.tensor([0.0, 1.0, 0.0]).view(1, 3, 1, 1)
    alpha = (torch.arange(20) < 9).float().expand(1, 1, 20, 20)
    for size in (7, 20, 33):
        rgb, _ = resize_premultiplied(picture, alpha, size, size)
        np.testing.assert_allclose(rgb.numpy(), picture[..., :1, :1].expand_as(rgb).numpy(), atol=1e-5)


def test_a_picture_without_a_visible_pixel_becomes_gray() -> None:
    rgb, alpha = resize_premultiplied(noise(1, 3, 5, 6), torch.zeros(1, 1, 5, 6), 3, 9)
    assert torch.equal(rgb, torch.full((1, 3, 3, 9), 0.5))
    assert torch.equal(alpha, torch.zeros(1, 1, 3, 9))
    assert torch.equal(fill_transparent(noise(1, 3, 5, 6), torch.zeros(1, 1, 5, 6)), torch.full((1, 3, 5, 6), 0.5))


@quick
@given(sides, sides, sides, sides, seeds)
def test_shrink_mask_averages_areas(height: int, width: int, high: int, wide: int, seed: int) -> None:
    mask = noise(seed, 1, height, width)
    shrunk = shrink_mask(mask, high, wide)
    expected = overlap_weights(height, high) @ mask[0, 0].double().numpy() @ overlap_weights(width, wide).T
    np.testing.assert_allclose(shrunk[0, 0].numpy(), expected, atol=1e-6)
    assert float(shrunk.double().mean()) == pytest.approx(float(mask.double().mean()), abs=1e-6)
    assert shrunk.min() >= 0
    assert shrunk.max() <= 1


@quick
@given(sides, sides, sides, sides)
def test_shrink_mask_of_whole_and_empty_is_exact(height: int, width: int, high: int, wide: int) -> None:
    assert torch.equal(shrink_mask(torch.ones(2, 1, height, width), high, wide), torch.ones(2, 1, high, wide))
    assert torch.equal(shrink_mask(torch.zeros(2, 1, height, width), high, wide), torch.zeros(2, 1, high, wide))


def test_thin_strokes_survive() -> None:
    mask = torch.zeros(1, 1, 331, 200)
    mask[..., 101] = 1
    shrunk = shrink_mask(mask, 13, 7)
    assert float(shrunk[..., 3].min()) == pytest.approx(7 / 200, rel=1e-5)
    assert shrink_mask(mask, 1, 1).item() == pytest.approx(1 / 200)


@quick
@given(sides, sides, seeds, st.floats(0, 1))
def test_fill_transparent(height: int, width: int, seed: int, share: float) -> None:
    picture = noise(seed, 3, height, width)
    visible = noise(seed + 1, 1, height, width) < share
    alpha = torch.where(visible, noise(seed + 2, 1, height, width) * 0.9 + 0.1, 0.001)
    filled = fill_transparent(torch.where(visible, picture, math.nan), alpha)
    shown = visible.expand_as(picture)
    assert torch.equal(filled[shown], picture[shown])
    if visible.any():
        for channel in range(3):
            seen = picture[0, channel][visible[0, 0]]
            assert filled[0, channel].min() >= seen.min() - 1e-6
            assert filled[0, channel].max() <= seen.max() + 1e-6


def test_filling_extends_the_nearest_colors() -> None:
    picture, alpha = torch.zeros(1, 3, 48, 64), torch.zeros(1, 1, 48, 64)
    picture[..., :16], picture[..., 48:] = 0.2, 0.8
    alpha[..., :16], alpha[..., 48:] = 1, 1
    row = fill_transparent(picture, alpha)[0, 0, 20]
    np.testing.assert_allclose(row[16:20].numpy(), 0.2, atol=0.12)
    np.testing.assert_allclose(row[44:48].numpy(), 0.8, atol=0.12)
    assert float(row[32]) == pytest.approx(0.5, abs=0.1)
    assert float(row.diff().abs().max()) < 0.1
    assert (row.diff() > -1e-6).all()


@quick
@given(sides, sides, st.sampled_from([1, 2, 3, 16, 32]), seeds)
def test_padding_repeats_the_edge(height: int, width: int, multiple: int, seed: int) -> None:
    picture = noise(seed, 3, height, width)
    padded = pad_to_multiple(picture, multiple)
    high, wide = (math.ceil(side / multiple) * multiple for side in (height, width))
    expected = np.pad(picture.numpy(), ((0, 0), (0, 0), (0, high - height), (0, wide - width)), mode="edge")
    np.testing.assert_array_equal(padded.numpy(), expected)
    assert torch.equal(crop(padded, height, width), picture)


def eroded_by_loops(mask: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    height, width = mask.shape
    result = np.empty_like(mask)
    for y in range(height):
        for x in range(width):
            result[y, x] = mask[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1].min()
    return result


@quick
@given(sides, sides, st.integers(0, 40), st.sampled_from([0.0, 0.25, 0.9]), seeds)
def test_erosion_is_the_least_value_around(height: int, width: int, radius: int, part: float, seed: int) -> None:
    mask = torch.maximum(noise(seed, 1, height, width), (noise(seed + 1, 1, height, width) > 0.02).float())
    values = mask[0, 0].numpy()
    expected = (1 - part) * eroded_by_loops(values, radius) + part * eroded_by_loops(values, radius + 1)
    np.testing.assert_allclose(erode(mask, radius + part)[0, 0].numpy(), expected, atol=1e-6)


def test_erosion_of_a_square_and_at_the_border() -> None:
    mask = torch.zeros(1, 1, 30, 30)
    mask[..., 10:20, 0:12] = 1
    expected = torch.zeros(1, 1, 30, 30)
    expected[..., 13:17, 0:9] = 1
    assert torch.equal(erode(mask, 3), expected)
    assert torch.equal(erode(mask, 0), mask)
    assert torch.equal(erode(torch.ones(2, 1, 5, 1), 40.5), torch.ones(2, 1, 5, 1))


def test_gradients() -> None:
    mask, picture = (noise(seed, 1, 5, 7, torch.float64).requires_grad_() for seed in (1, 2))
    assert torch.autograd.gradcheck(lambda x: shrink_mask(x, 3, 9), (mask,))
    assert torch.autograd.gradcheck(lambda x: crop(pad_to_multiple(x, 4), 7, 6), (picture,))
