"""The coherence of strokes."""

import numpy as np
import pytest
import torch
from helpers import noise

from scumble.style_training.coherence import LEAST, LOWEST, coherence_loss, coherences
from scumble.style_training.spectrum import amplitudes

SIDE = 192


def picture(gray):
    return torch.from_numpy(np.ascontiguousarray(gray, np.float32)).expand(1, 3, *gray.shape)


def stripes(degrees, period=9.0, side=96):
    y, x = np.mgrid[:side, :side]
    angle = np.radians(degrees)
    return 0.5 + 0.2 * np.sin(2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) / period)


def dabs(length, width, seed=0):
    """Dabs so long and wide (deviations in px), each in a direction of its own, where by chance they fall."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    gray = np.full((SIDE, SIDE), 0.5)
    for top, left, angle, light in random.uniform((0, 0, 0, -1), (SIDE, SIDE, np.pi, 1), (350, 4)):
        along = np.cos(angle) * (x - left) + np.sin(angle) * (y - top)
        across = -np.sin(angle) * (x - left) + np.cos(angle) * (y - top)
        gray += 0.3 * light * np.exp(-((along / length) ** 2 + (across / width) ** 2) / 2)
    return picture(gray)


def by_definition(gray):
    """In NumPy, place by place, by the eigenvalues of the structure tensor."""
    kernel = np.array([1, 4, 6, 4, 1]) / 16
    smooth = np.apply_along_axis(np.convolve, 0, gray, kernel, "valid")
    smooth = np.apply_along_axis(np.convolve, 1, smooth, kernel, "valid")
    down, across = (each[1:-1, 1:-1] for each in np.gradient(smooth))
    weighted = weights = 0.0
    height, width = down.shape
    # 5 px in steps of 2, and of these 3 in steps of 1
    for top in range((height - 5) // 2 - 1):
        for left in range((width - 5) // 2 - 1):
            tensor = np.zeros((2, 2))
            for row in range(3):
                for column in range(3):
                    rows = slice(2 * (top + row), 2 * (top + row) + 5)
                    columns = slice(2 * (left + column), 2 * (left + column) + 5)
                    edges = np.stack([across[rows, columns].ravel(), down[rows, columns].ravel()])
                    tensor += edges @ edges.T / 25 / 9
            low, high = np.linalg.eigvalsh(tensor)
            weight = np.sqrt(low + high)
            weighted += weight * (high - low) / (high + low)
            weights += weight
    return weighted / weights


def test_it_is_that_of_the_structure_tensor():
    """By its definition."""
    seen = 4 * noise(1, 3, 40, 53, seed=1)
    gray = np.tensordot([0.299, 0.587, 0.114], seen[0].double().numpy(), 1)
    half = gray[:, :52].reshape(20, 2, 26, 2).mean((1, 3))
    np.testing.assert_allclose(coherences(seen).numpy(), [by_definition(gray), by_definition(half)], atol=2e-3)


@pytest.mark.parametrize("degrees", [0, 20, 45, 90, 131])
def test_lines_have_all_of_it_in_any_direction(degrees):
    assert coherences(picture(stripes(degrees))).tolist() == pytest.approx([1, 1], abs=0.02)


def test_a_net_has_nearly_none():
    net = (stripes(10) + stripes(100)) / 2
    assert max(coherences(picture(net)).tolist()) < 0.35


def test_neither_light_nor_contrast_matter():
    seen = dabs(6, 2)
    torch.testing.assert_close(coherences(0.2 + 0.5 * seen), coherences(seen), atol=0.05, rtol=0)


def test_long_strokes_are_told_from_drops_where_the_spectrum_cannot():
    """Random phases leave a picture its spectrum, and nothing of its strokes."""
    strokes = dabs(9, 1.5)
    waves = torch.fft.rfft2(strokes[0, 0])
    phases = torch.fft.rfft2(noise(1, 1, SIDE, SIDE, seed=2)[0, 0] - 0.5)
    scrambled = torch.fft.irfft2(waves.abs() * phases / phases.abs(), (SIDE, SIDE)).expand(1, 3, SIDE, SIDE)
    wanted = amplitudes(strokes)
    assert float((amplitudes(scrambled) - wanted).square().sum() / wanted.square().sum()) < 0.1
    drops = dabs(3, 3)
    for other in (scrambled, drops):
        assert (coherences(other) < 0.85 * coherences(strokes)).all()
    loss, _ = coherence_loss(drops, coherences(strokes))
    again, _ = coherence_loss(dabs(9, 1.5, seed=5), coherences(strokes))
    assert loss > 10 * again


def test_the_gradient_is_the_slope():
    seen, wanted = dabs(3, 3)[:, :, :60, :70], coherences(dabs(9, 1.5))
    loss, gradient = coherence_loss(seen, wanted)
    aside = noise(1, 3, 60, 70, seed=3) - 0.5
    step = 2e-3
    ahead, behind = (coherence_loss(seen + sign * step * aside, wanted)[0] for sign in (1, -1))
    assert float((gradient * aside).sum()) == pytest.approx((ahead - behind) / (2 * step), rel=0.03)
    assert gradient.shape == seen.shape
    assert loss > 0


def test_even_ground_and_pictures_as_small_as_may_be():
    for ground in (torch.full((1, 3, 64, 64), 0.4), noise(1, 3, LEAST, LEAST, seed=1)):
        loss, gradient = coherence_loss(ground, torch.tensor([0.6, 0.6]))
        assert 0 < loss < 2
        assert bool(torch.isfinite(gradient).all())
    loss, _ = coherence_loss(ground, torch.zeros(2))
    assert loss == pytest.approx(float((coherences(ground) / LOWEST).square().mean()), rel=1e-4)
