"""Random fields over a picture: noise of a chosen spectrum, smooth displacements, and numbers that belong to a cell.

A *field* is a tensor (n, size, size), one picture each; parameters of pictures are (n,). Lengths are in px.
"""

import math

import torch
import torch.nn.functional as nnf
from torch import Tensor


def each(values: Tensor) -> Tensor:
    """Parameters (n,) as (n, 1, 1), to stand beside fields."""
    return values[:, None, None]


def uniform(shape: tuple[int, ...], generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Numbers between `low` and `high`, on the generator's device."""
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)


def places(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """x and y of every px, each (size, size)."""
    line = torch.arange(size, device=device, dtype=torch.float32)
    return line[None, :].expand(size, size), line[:, None].expand(size, size)


def noise(
    size: int, frequency: Tensor, bandwidth: Tensor, angle: Tensor, anisotropy: Tensor, generator: torch.Generator
) -> Tensor:
    """Gaussian noise of mean zero and deviation one, (n, size, size).

    Its amplitude is a log-normal band about `frequency` (cycles per px) of `bandwidth` octaves, and falls off from the
    direction `angle` (radians; across it the field changes fastest) the faster the larger `anisotropy` is (0: none).
    """
    fy = torch.fft.fftfreq(size, device=frequency.device)[:, None]
    fx = torch.fft.rfftfreq(size, device=frequency.device)[None]
    radius = (fx.square() + fy.square()).sqrt().clamp(min=0.5 / size)
    direction = torch.atan2(fy.expand(size, fx.shape[1]), fx.expand(size, fx.shape[1]))
    octaves = torch.log2(radius) - torch.log2(each(frequency))
    amplitude = torch.exp(-0.5 * (octaves / each(bandwidth)).square()) / radius.sqrt()
    amplitude = amplitude * torch.exp(each(anisotropy) * (torch.cos(2 * (direction - each(angle))) - 1))
    white = torch.randn(len(frequency), size, size, generator=generator, device=frequency.device)
    field: Tensor = torch.fft.irfft2(torch.fft.rfft2(white) * amplitude, s=(size, size))
    field = field - field.mean((1, 2), keepdim=True)
    return field / field.std((1, 2), keepdim=True).clamp(min=1e-6)


def drift(size: int, wavelength: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two smooth fields of deviation about one that change over `wavelength` px: a displacement in x and in y."""
    count, nodes = len(wavelength), 12
    lattice = torch.randn(count, 2, nodes, nodes, generator=generator, device=wavelength.device)
    reach = (size / wavelength / nodes).clamp(max=0.7)  # of the lattice; cubic interpolation wants a border
    line = torch.linspace(-1, 1, size, device=wavelength.device)
    grid = torch.stack(
        [
            (line[None, :] * each(reach)).expand(count, size, size),
            (line[:, None] * each(reach)).expand(count, size, size),
        ],
        -1,
    )
    moved = nnf.grid_sample(lattice, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
    return moved[:, 0], moved[:, 1]


def whirled(
    x: Tensor, y: Tensor, strength: Tensor, generator: torch.Generator, count: int = 3
) -> tuple[Tensor, Tensor]:
    """Coordinates turned about `count` centres by up to `strength` radians (n,), less the farther away."""
    size = x.shape[-1]
    for centre in uniform((count, 3, len(x), 1, 1), generator):
        dx, dy = x - centre[0] * size, y - centre[1] * size
        reach = size * (0.15 + 0.35 * centre[2])
        turn = each(strength) * torch.exp(-(dx.square() + dy.square()) / reach.square())
        u, v = turned(dx, dy, turn)
        x, y = u + centre[0] * size, v + centre[1] * size
    return x, y


def softened(field: Tensor, share: Tensor) -> Tensor:
    """Blended by `share` (n,) with its mean over about 9 px."""
    padded = nnf.pad(field[:, None], (4, 4, 4, 4), mode="replicate")
    wide = nnf.avg_pool2d(nnf.avg_pool2d(padded, 5, 1), 5, 1)[:, 0]
    return field + each(share) * (wide - field)


def scattered(i: Tensor, j: Tensor, salt: Tensor, kind: int) -> Tensor:
    """A number in 0..1 that belongs to the cell (i, j), the picture's `salt` (n, 1, 1) and the purpose `kind`.

    The sine hash of computer graphics: no better than it needs to be, and computed wherever it is wanted.
    """
    mixed = torch.sin(i * 12.9898 + j * 78.233 + (salt + kind * 0.618) * 37.719) * 43758.5453
    return mixed - mixed.floor()


def turned(x: Tensor, y: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates along and across the direction `angle` (radians)."""
    cos, sin = torch.cos(angle), torch.sin(angle)
    return x * cos + y * sin, y * cos - x * sin


def bump(x: Tensor) -> Tensor:
    """A smooth step: 0 below 0, 1 above 1."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


TURN = 2 * math.pi
