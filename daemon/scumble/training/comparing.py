"""How far two pictures are from each other: as a network sees their styles, in their spectra, in their colours."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from scumble.engine.regions import Rows
from scumble.engine.terms import Statistic
from scumble.engine.vgg import Maps, Trunk

LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
COARSE = 8
"""Waves longer than this many px are coarse, others fine."""


def maps_of(trunk: Trunk, picture: Tensor) -> Maps:
    """The maps of a picture (3, height, width) in 0..1."""
    with torch.no_grad():
        return trunk.forward(trunk.prepare(picture[None]))


def grams(trunk: Trunk, pictures: Tensor) -> dict[str, Tensor]:
    """For each layer the Gram matrices of pictures (n, 3, height, width), divided by their Frobenius norms.

    (n, channels · (channels + 1) / 2): the upper triangle, what stands beside the diagonal times √2, so that distances
    are those of the whole matrices.
    """
    found: dict[str, list[Tensor]] = {layer: [] for layer in LAYERS}
    for picture in pictures:
        maps = maps_of(trunk, picture)
        for layer in LAYERS:
            gram = Statistic(layer, layer).sum(maps, Rows(None, None))
            down, right = torch.triu_indices(*gram.shape).unbind()
            half = gram[down, right] * torch.where(down == right, 1.0, math.sqrt(2))
            found[layer].append(half / half.norm().clamp(min=1e-20))
    return {layer: torch.stack(rows) for layer, rows in found.items()}


def distances(ones: Mapping[str, Tensor], others: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Σ over layers of weight · squared Euclidean distance between two sets of `grams`, (n, m)."""
    return sum((weight * (2 - 2 * ones[layer] @ others[layer].T) for layer, weight in weights.items()), torch.zeros(()))


def spectrum(picture: Tensor) -> Tensor:
    """Power of a picture (3, side, side) against the wave number 1 … side/2 - 1 (waves a side), (3, side/2 - 1), in dB.

    The mean over each ring of the squared Fourier transform under a Hann window, in units in which white noise has its
    variance everywhere; the variance of rounding to eight bits is added, or flat pictures would lie infinitely low.
    """
    side = picture.shape[-1]
    line = torch.hann_window(side, periodic=True, dtype=torch.float64)
    window = line[:, None] * line[None]
    centred = picture.double() - picture.double().mean((1, 2), keepdim=True)
    power = torch.fft.fft2(centred * window).abs().square() / window.square().sum()
    wave = torch.fft.fftfreq(side, 1 / side, dtype=torch.float64)
    ring = (wave[:, None].square() + wave[None].square()).sqrt().round().long().flatten()
    count = torch.bincount(ring)
    sums = torch.zeros(3, len(count), dtype=torch.float64).index_add_(1, ring, power.flatten(1))
    return 10 * torch.log10((sums / count)[:, 1 : side // 2] + 1 / 12 / 255**2)


def spectral_distances(one: Tensor, other: Tensor) -> tuple[float, float]:
    """The distance of two pictures' spectra in dB, rms over colours and over waves that are (coarse, fine)."""
    squares = (spectrum(one) - spectrum(other)).square().mean(0)
    coarse = one.shape[-1] // COARSE  # waves a side
    return float(squares[: coarse - 1].mean().sqrt()), float(squares[coarse - 1 :].mean().sqrt())


def colour_distance(one: Tensor, other: Tensor) -> float:
    """Sliced Wasserstein distance between the colours of two pictures (3, …) of equally many px, in units of 0..1.

    The mean, over 64 directions that are always the same, of the mean difference between sorted projections (Bonneel et
    al. 2015, "Sliced and Radon Wasserstein Barycenters of Measures", with the first power).
    """
    directions = torch.nn.functional.normalize(torch.randn(64, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    first, second = ((directions @ picture.flatten(1)).sort(1).values for picture in (one, other))
    return float((first - second).abs().mean())
