"""The spectrum of strokes."""

import numpy as np
import pytest
import torch
from helpers import hatching, noise

from scumble.drawn import painting
from scumble.picture import Picture
from scumble.style_training.spectrum import FLAT, LONGEST, WINDOW, amplitudes, spectrum_loss


def night(side=128):
    return torch.from_numpy(Picture.from_rgb(painting("night", side, side)).rgb().transpose(2, 0, 1).copy())[None]


def test_it_is_the_root_of_the_mean_power_of_windows():
    """By its definition, in NumPy."""
    picture = noise(1, 3, 70, 97, seed=1)
    gray = np.tensordot([0.299, 0.587, 0.114], picture[0].double().numpy(), 1)
    fade = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    powers = []
    for top in range(0, 70 - WINDOW + 1, WINDOW // 2):
        for left in range(0, 97 - WINDOW + 1, WINDOW // 2):
            window = gray[top : top + WINDOW, left : left + WINDOW]
            waves = np.fft.rfft2((window - window.mean()) * np.outer(fade, fade)) / WINDOW
            powers.append(np.abs(waves) ** 2)
    wanted = np.sqrt(np.mean(powers, 0))
    frequency = np.hypot(np.fft.fftfreq(WINDOW)[:, None], np.fft.rfftfreq(WINDOW)[None])
    wanted[(frequency < 1 / LONGEST) | (frequency >= 0.5)] = 0
    np.testing.assert_allclose(amplitudes(picture).numpy(), wanted, atol=1e-4)


def test_a_style_is_like_itself():
    loss, gradient = spectrum_loss(night(), amplitudes(night()))
    assert loss == pytest.approx(0, abs=1e-6)
    assert gradient.shape == (1, 3, 128, 128)


def test_a_regular_hatching_is_not_like_strokes():
    """However strong it is, it is further from them than other strokes of the same hand."""
    wanted = amplitudes(night())
    other, _ = spectrum_loss(night().flip(2).roll(40, 3), wanted)
    losses = [spectrum_loss(hatching(128, contrast=contrast), wanted)[0] for contrast in (0.02, 0.05, 0.1, 0.2)]
    assert min(losses) > 0.6
    assert other < 0.2


def test_what_the_picture_shows_does_not_count():
    """Slow changes of light are no strokes."""
    light = torch.linspace(-0.2, 0.2, 128)[:, None].expand(1, 3, 128, 128)
    loss, _ = spectrum_loss(night() + light, amplitudes(night()))
    assert loss < 1e-3


def test_the_gradient_is_the_slope():
    picture, wanted = noise(1, 3, 40, 48, seed=2), amplitudes(night())
    loss, gradient = spectrum_loss(picture, wanted)
    aside = noise(1, 3, 40, 48, seed=3) - 0.5
    step = 1e-2
    ahead, behind = (spectrum_loss(picture + sign * step * aside, wanted)[0] for sign in (1, -1))
    assert float((gradient * aside).sum()) == pytest.approx((ahead - behind) / (2 * step), rel=0.02)
    assert loss > 0


def test_a_flat_style_asks_for_flat_ground():
    flat = torch.full((1, 3, 64, 64), 0.4)
    loss, gradient = spectrum_loss(hatching(64), amplitudes(flat))
    assert 1 < loss < 1000
    assert bool(torch.isfinite(gradient).all())
    faint = hatching(64, contrast=2**0.5 * 0.01)
    assert float(amplitudes(faint).square().sum()) == pytest.approx(FLAT, rel=0.5)
