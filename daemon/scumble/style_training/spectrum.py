"""The spectrum of strokes: how much of every frequency a picture has, in every direction.

Gram matrices and neighbours leave a network the cheapest texture that pleases them, which is a regular hatching: all of
a style's strokes in one frequency. A style has them in many, so here the mean amplitudes of a picture's windows are to
be those of the style's.

Sources: Liu et al. 2016, "Texture Synthesis Through Convolutional Neural Networks and Spectrum Constraints" (that a
spectrum be kept); Welch 1967 (the mean over windows that overlap).
"""

import torch
import torch.nn.functional as nnf
from torch import Tensor

from scumble.engine.color import luminance
from scumble.style_training.slope import with_slope

WINDOW = 32
"""The side of a window in px."""
LONGEST = 16
"""Waves of up to so many px are strokes; longer ones belong to what the picture shows."""
FLAT = 0.01
"""Σ W² of strokes that differ from their ground by a hundredth of the range; a style without any has nothing to be
measured by."""


def amplitudes(picture: Tensor) -> Tensor:
    """The root of the mean power over windows, of the luminance of a picture (1, 3, height, width) in 0..1 whose sides
    are `WINDOW` or more: (`WINDOW`, `WINDOW` / 2 + 1) as `torch.fft.rfft2` has frequencies, 0 where there are no
    strokes. Differentiable."""
    windows = nnf.unfold(luminance(picture), WINDOW, stride=WINDOW // 2)[0].T.reshape(-1, WINDOW, WINDOW)
    fade = torch.hann_window(WINDOW, device=picture.device)
    waves = torch.fft.rfft2(windows * fade[:, None] * fade, norm="ortho")
    power: Tensor = (waves.real.square() + waves.imag.square()).mean(0)
    return (power + 1e-9).sqrt() * _strokes(picture.device)


def spectrum_loss(picture: Tensor, wanted: Tensor) -> tuple[float, Tensor]:
    """Σ (A − W)² / Σ W² of the picture's amplitudes A and those that are wanted, W, with Σ W² no less than `FLAT`; and
    its gradient with respect to the picture, (1, 3, height, width)."""
    scale = wanted.square().sum().clamp(min=FLAT)
    return with_slope(lambda seen: (amplitudes(seen) - wanted).square().sum() / scale, picture)


def _strokes(device: torch.device) -> Tensor:
    down, across = (each(WINDOW, device=device) for each in (torch.fft.fftfreq, torch.fft.rfftfreq))
    frequency = torch.hypot(down[:, None], across)
    return ((frequency >= 1 / LONGEST) & (frequency < 0.5)).float()
