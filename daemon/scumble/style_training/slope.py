"""The slope of a loss of a picture, for losses whose gradient nobody wrote down."""

from collections.abc import Callable

import torch
from torch import Tensor


def with_slope(loss: Callable[[Tensor], Tensor], picture: Tensor) -> tuple[float, Tensor]:
    """A loss () of a picture (1, 3, height, width), and its gradient with respect to it, of the same shape; the picture
    itself is not followed any further back."""
    with torch.enable_grad():
        seen = picture.detach().requires_grad_()
        found = loss(seen)
        (gradient,) = torch.autograd.grad(found, seen)
    return float(found.detach()), gradient
