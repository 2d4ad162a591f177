"""Colour preservation: keeping the content's colours in the painted picture.

A **picture** is (1, 3, height, width), sRGB-encoded RGB, nominally in 0..1. Its **luminance** is Y of YIQ and its
**chrominance** all differences between its channels, so that adding the same amount to R, G and B changes the one and
not the other. A **weight** is (1, 1, height, width), ≥ 0, None for ones: pixels of weight 0 have no say in a statistic.
To **match** is to move a style's colours to where the content's are, before painting; the result has the style's size,
device and type and is not clipped. Spread below one `LEVEL` counts as noise and is not amplified to the content's.

Statistics are taken in float64 on the CPU: they are few, taken once per style, and not every device has float64.
Sources: Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer" (here: *Color*); Pitié et al. 2007,
"Automated colour grading using colour distribution transfer" (here: *Grading*).
"""

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scumble.errors import ScumbleError

LUMA: tuple[float, float, float] = (0.299, 0.587, 0.114)
"""Luminance of R, G and B: Y of YIQ (ITU-R BT.601)."""
LEVEL = 1 / 255
"""One step of an 8-bit picture."""

_BLOCK = 1 << 20  # pixels taken to float64 at once
_SAMPLES = 1 << 16  # pixels that a histogram is estimated from
_NODES = 1024  # of a tabulated map, so that one `LEVEL` has more than two of them in any direction of 0..1

Array = NDArray[np.float64]


def luminance(rgb: Tensor) -> Tensor:
    """Y = 0.299 R + 0.587 G + 0.114 B: (n, 3, height, width) → (n, 1, height, width); differentiable."""
    return _mix(rgb, LUMA)


def gray(rgb: Tensor) -> Tensor:
    """Luminance in all three channels, the shape of `rgb`; differentiable."""
    return luminance(rgb).repeat(1, 3, 1, 1)


def ungray(gradient: Tensor) -> Tensor:
    """The adjoint of `gray`: each channel's share of what all three were given, the same shape."""
    total = gradient.sum(1, keepdim=True)
    return torch.cat([total * share for share in LUMA], 1)


def luminance_bounds(content: Tensor) -> tuple[Tensor, Tensor]:
    """The lowest and the highest luminance, each (n, 1, height, width), that `with_luminance_of` can give each pixel.

    `with_luminance_of` passes no gradient beyond them, so an optimiser behind it projects its luminance onto them.
    """
    darker, lighter = _headroom(content)
    own = luminance(content)
    return own + darker, own + lighter


def with_luminance_of(content: Tensor, painted: Tensor) -> Tensor:
    """The content with the luminance of the painted picture, all (n, 3, height, width): *Color*, section 3.2.

    The same ΔY is added to R, G and B, so the chrominance is the content's, to rounding. ΔY is limited for each pixel
    so that the result is in 0..1 wherever the content is; no channel beyond 0..1 is moved further out. Differentiable;
    the gradient with respect to `painted` is 0 where ΔY is limited.
    """
    darker, lighter = _headroom(content)
    wanted = luminance(painted) - luminance(content)
    return content + torch.minimum(torch.maximum(wanted, darker), lighter)


def weighted_moments(rgb: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean (3,) and covariance (3, 3), Σ w (x − μ)(x − μ)ᵀ / Σ w, of a picture's colours, in float64 on the CPU.

    Raises `ScumbleError("empty-mask")` where no weight is above 0.
    """
    pixels, weights = _pixels(rgb, weight)
    mass = torch.zeros((), dtype=torch.float64)
    first = torch.zeros(3, dtype=torch.float64)
    second = torch.zeros(3, 3, dtype=torch.float64)
    for part, part_weights in zip(torch.split(pixels, _BLOCK, 1), torch.split(weights, _BLOCK), strict=True):
        inside = part_weights > 0
        w = part_weights[inside].double()
        x = part[:, inside].double()
        mass += w.sum()
        first += x @ w
        second += (x * w) @ x.T
    if mass <= 0:
        raise _empty()
    mean = first / mass
    return mean, second / mass - torch.outer(mean, mean)


def match_luminance(
    style: Tensor, content: Tensor, style_weight: Tensor | None = None, content_weight: Tensor | None = None
) -> Tensor:
    """The style with its luminance moved to the content's mean and deviation; its chrominance stays.

    *Color*, section 3.2: Y' = σ_C / σ_S (Y − μ_S) + μ_C, the same amount added to R, G and B. σ_S is taken as at least
    one `LEVEL`. Pictures are (1, 3, height, width), of any two sizes. Raises `ScumbleError("empty-mask")` where no
    weight is above 0.
    """
    luma = torch.tensor(LUMA, dtype=torch.float64)
    (style_mean, style_deviation), (content_mean, content_deviation) = (
        (float(luma @ mean), math.sqrt(max(float(luma @ covariance @ luma), 0.0)))
        for mean, covariance in (weighted_moments(style, style_weight), weighted_moments(content, content_weight))
    )
    gain = content_deviation / max(style_deviation, LEVEL)
    return style + ((gain - 1) * luminance(style) + (content_mean - gain * style_mean))


def match_palette(
    style: Tensor,
    content: Tensor,
    style_weight: Tensor | None = None,
    content_weight: Tensor | None = None,
    method: Literal["cholesky", "symmetric"] = "symmetric",
    *,
    evenness: float = 0.0,
) -> Tensor:
    """The style's colours mapped linearly to the content's mean and covariance: *Color*, section 3.1.

    x' = A (x − μ_S) + μ_C with A Σ_S Aᵀ = Σ_C: A = L_C L_S⁻¹ of the Cholesky factors (`cholesky`) or
    Σ_C^½ Σ_S^(−½) of the symmetric roots (`symmetric`), which leaves colours nearer to where they were. The deviation
    of the style along each principal axis is taken as at least one `LEVEL`; above it the match is exact, below it the
    result varies less than the content, so no colour is amplified by more than the content's largest deviation in
    levels. With `evenness` above 0 both covariances are moved that far (0..1) towards a sphere of the same size: at 1
    every colour direction is amplified alike, and no faint one more than the others. Pictures are
    (1, 3, height, width), of any two sizes. Raises `ScumbleError("empty-mask")` where no weight
    is above 0.
    """
    style_mean, style_covariance = weighted_moments(style, style_weight)
    content_mean, content_covariance = weighted_moments(content, content_weight)
    style_covariance, content_covariance = (_evened(each, evenness) for each in (style_covariance, content_covariance))
    root = _cholesky_root if method == "cholesky" else _symmetric_root
    # A content without spread has no Cholesky factor: it is given a spread far below any rounding of a picture.
    matrix = root(content_covariance, 1e-16) @ torch.linalg.inv(root(style_covariance, LEVEL**2))
    return _transform(style, matrix.tolist(), (content_mean - matrix @ style_mean).tolist())


def _evened(covariance: Tensor, evenness: float) -> Tensor:
    sphere = torch.eye(3, dtype=covariance.dtype) * covariance.trace() / 3
    return covariance + evenness * (sphere - covariance)


def match_histogram(
    style: Tensor,
    content: Tensor,
    style_weight: Tensor | None = None,
    content_weight: Tensor | None = None,
    rotations: int = 12,
) -> Tensor:
    """The style's colours moved to the content's distribution of colours, not only its mean and covariance.

    Iterated distribution transfer (*Grading*): along three orthogonal axes at a time, each value goes to
    the content's value of the same rank; first in `rotations` frames spread evenly over all rotations, then along R, G
    and B, so that each channel's distribution is the content's at the end and no value leaves the content's range.
    Distributions are estimated from at most 65,536 pixels of weight above 0, the style's blurred by one `LEVEL`, so
    that a flat style becomes a flat colour in the middle of the content's. The same input gives the same result.
    Pictures are (1, 3, height, width), of any two sizes. Raises `ScumbleError("empty-mask")` where no weight is
    above 0.
    """
    cloud, cloud_weights = _sample(style, style_weight)
    # Blurred by one level, so that all maps together amplify noise no more than that much of it would be.
    repeats = max(1, _SAMPLES // len(cloud_weights))
    cloud, cloud_weights = np.tile(cloud, repeats), np.tile(cloud_weights, repeats)
    cloud = cloud + np.random.default_rng(0).uniform(-LEVEL / 2, LEVEL / 2, cloud.shape)
    aims, aim_weights = _sample(content, content_weight)
    picture = style
    for frame in (*_rotations(rotations), np.eye(3)):
        turned = _transform(picture, frame.tolist())
        axes, cloud_axes = [], []
        for axis, (values, aim) in enumerate(zip(frame @ cloud, frame @ aims, strict=True)):
            nodes, table = _transport(values, cloud_weights, aim, aim_weights)
            axes.append(_look_up(turned[:, axis : axis + 1], nodes, table))
            cloud_axes.append(np.interp(values, nodes, table))
        picture = _transform(torch.cat(axes, 1), frame.T.tolist())
        cloud = frame.T @ np.stack(cloud_axes)
    return picture


def _mix(rgb: Tensor, row: Sequence[float]) -> Tensor:
    # Not a matrix product: that would run in TF32 where it is allowed, and copy the factors to the device each time.
    mixed: Tensor = rgb[:, 0:1] * row[0] + rgb[:, 1:2] * row[1] + rgb[:, 2:3] * row[2]
    return mixed


def _transform(rgb: Tensor, matrix: Sequence[Sequence[float]], offset: Iterable[float] = (0.0, 0.0, 0.0)) -> Tensor:
    return torch.cat([_mix(rgb, row) + shift for row, shift in zip(matrix, offset, strict=True)], 1)


def _headroom(content: Tensor) -> tuple[Tensor, Tensor]:
    """How far each pixel's channels can go together, down (≤ 0) and up (≥ 0)."""
    return (-content.amin(1, keepdim=True)).clamp(max=0), (1 - content.amax(1, keepdim=True)).clamp(min=0)


def _pixels(rgb: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Colours (3, pixels) and weights (pixels,) on the CPU."""
    pixels = rgb.detach()[0].flatten(1).cpu()
    return pixels, torch.ones(1).expand(pixels.shape[1]) if weight is None else weight.detach().flatten().cpu()


def _empty() -> ScumbleError:
    return ScumbleError("empty-mask", "No pixel has a weight above zero, so there are no colours to match.")


def _symmetric_root(covariance: Tensor, floor: float) -> Tensor:
    """The symmetric square root, with eigenvalues of at least `floor`."""
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = vectors * values.clamp(min=floor).sqrt() @ vectors.T
    return root


def _cholesky_root(covariance: Tensor, floor: float) -> Tensor:
    """The lower triangular factor, with eigenvalues of the product of at least `floor`."""
    # R of a QR decomposition of the square root: squaring it for Cholesky's algorithm could lose a tiny eigenvalue.
    factor: Tensor = torch.linalg.qr(_symmetric_root(covariance, floor)).R.T
    return factor * factor.diagonal().sign()


def _rotations(count: int) -> list[Array]:
    """Rotation matrices spread evenly: Alexa 2022, "Super-Fibonacci Spirals"."""
    phi, psi = math.sqrt(2), 1.533751168755204288118041
    rotations = []
    for index in range(count):
        part = (index + 0.5) / count
        turn = 2 * math.pi * (index + 0.5)
        r, s = math.sqrt(part), math.sqrt(1 - part)
        x, y = r * math.sin(turn / phi), r * math.cos(turn / phi)
        z, w = s * math.sin(turn / psi), s * math.cos(turn / psi)
        rotations.append(
            np.array(
                [
                    [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                    [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                    [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
                ]
            )
        )
    return rotations


def _sample(rgb: Tensor, weight: Tensor | None) -> tuple[Array, Array]:
    """Colours (3, samples) and weights (samples,) of at most `_SAMPLES` pixels, all of weight above 0."""
    pixels, weights = _pixels(rgb, weight)
    places = (weights > 0).nonzero()[:, 0]
    if not len(places):
        raise _empty()
    if len(places) > _SAMPLES:
        # Golden-ratio steps spread evenly, and fall in step with no pattern as a fixed stride would.
        golden = (math.sqrt(5) - 1) / 2
        places = places[(torch.arange(_SAMPLES, dtype=torch.float64) * golden % 1 * len(places)).long()]
    return pixels[:, places].double().numpy(), weights[places].double().numpy()


def _transport(values: Array, weights: Array, aims: Array, aim_weights: Array) -> tuple[Array, Array]:
    """The increasing map of one distribution to another: evenly spaced nodes, ascending, and its values there."""
    low = values.min()
    step = max((values.max() - low) / (_NODES - 2), 1e-6)
    # Each value is shared between its two neighbouring nodes, which smooths the histogram no more than needed.
    place = (values - low) / step
    node = place.astype(np.int64)
    above = place - node
    mass = np.zeros(_NODES)
    np.add.at(mass, node, weights * (1 - above))
    np.add.at(mass, node + 1, weights * above)
    order = np.argsort(aims)
    return low + step * np.arange(_NODES), np.interp(_ranks(mass), _ranks(aim_weights[order]), aims[order])


def _ranks(masses: Array) -> Array:
    """Where the middle of each mass lies in their sequence, in 0..1."""
    upper = np.cumsum(masses)
    ranks: Array = (upper - masses / 2) / upper[-1]
    return ranks


def _look_up(x: Tensor, nodes: Array, values: Array) -> Tensor:
    """The map's values at x, linear between evenly spaced nodes, constant beyond them."""
    table = torch.from_numpy(values).to(x.device, x.dtype)
    place = ((x - float(nodes[0])) / float(nodes[1] - nodes[0])).clamp(0, len(table) - 1)
    node = place.long().clamp(0, len(table) - 2)
    return torch.lerp(table[node], table[node + 1], place - node)
