"""Descent on a picture: Adam, SGD with momentum, and L-BFGS, in units of the picture (0..1); and when it may end.

Each optimiser is asked once per iteration, with the loss and gradient at `x`, for the next `x`, and keeps it within the
allowed range. L-BFGS takes no line search (one evaluation per iteration) but caps its steps and takes back a bad one.
"""

import math
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from scumble.engine.bands import strips
from scumble.recipe import Optimizer

LEARNING_RATE = {Optimizer.ADAM: 10 / 255, Optimizer.SGD: 10 / 255, Optimizer.LBFGS: 1.0}
"""The default step. For Adam in colour values; for SGD the root mean square of the first step; for L-BFGS a factor."""
State = Mapping[str, Tensor]
_FIRST_STEP = 0.02  # of L-BFGS, before it knows any curvature
LAST_STEP = 0.1
"""Adam and SGD end at this part of their first learning rate."""


GAIN_SPAN = 10
"""Iterations over which a gain is asked for: single ones go up and down."""


class Patience:
    """Ends a descent whose best loss of the last `GAIN_SPAN` iterations is less than `least_gain` (a part of the loss)
    below that of as many before; never where that is 0."""

    def __init__(self, least_gain: float) -> None:
        self._least_gain = least_gain
        self._losses: deque[float] = deque(maxlen=2 * GAIN_SPAN)

    def ends(self, loss: float) -> bool:
        """Whether the iteration with this loss may be the last."""
        self._losses.append(loss if math.isfinite(loss) else math.inf)
        if not self._least_gain or len(self._losses) < 2 * GAIN_SPAN:
            return False
        losses = list(self._losses)
        return min(losses[GAIN_SPAN:]) >= (1 - self._least_gain) * min(losses[:GAIN_SPAN])


class Descent(Protocol):
    """One way to descend."""

    def step(self, x: Tensor, loss: float, gradient: Tensor, progress: float) -> Tensor:
        """The next picture; all tensors have the shape of the picture, `progress` runs from 0 to 1. It may use the
        gradient's memory."""

    def finish(self, x: Tensor) -> Tensor:
        """The picture to keep, `x` being the last one."""

    def state(self) -> State:
        """What it needs to go on later, after at least one step; the next step may write into these tensors."""

    def restore(self, state: State, device: torch.device) -> None:
        """Go on from what another of its kind had come to."""


def make(kind: Optimizer, learning_rate: float | None, low: Tensor | float, high: Tensor | float) -> Descent:
    """An optimiser that keeps the picture between `low` and `high` (numbers, or tensors of the picture's shape)."""
    rate = learning_rate or LEARNING_RATE[kind]
    if kind is Optimizer.ADAM:
        return Adam(rate, low, high)
    if kind is Optimizer.SGD:
        return Momentum(rate, low, high)
    return LBFGS(rate, low, high)


def _falling(rate: float, progress: float) -> float:
    return rate * (1 - (1 - LAST_STEP) * progress)


def _project(x: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    return x.clamp(max=high).clamp(min=low)  # numbers made tensors would be brought to the device each time


def _parts(x: Tensor) -> list[Any]:
    """Indices of what is moved at a time: some rows of a picture, or all of anything else."""
    return [(..., rows, slice(None)) for rows in strips(x)] if x.dim() > 1 else [...]


class Adam:
    """Kingma & Ba 2015, with β = (0.9, 0.99), a learning rate that falls linearly, and projection."""

    def __init__(self, rate: float, low: Tensor | float, high: Tensor | float) -> None:
        self._rate, self._low, self._high = rate, low, high
        self._mean: Tensor | None = None
        self._square: Tensor | None = None
        self._steps = 0

    def step(self, x: Tensor, loss: float, gradient: Tensor, progress: float) -> Tensor:
        if self._mean is None or self._square is None:
            self._mean, self._square = torch.zeros_like(x), torch.zeros_like(x)
        self._steps += 1
        scale = _falling(self._rate, progress) / (1 - 0.9**self._steps)
        unbias = 1 - 0.99**self._steps
        parts, sizes = _parts(x), []
        for there in parts:
            self._mean[there].lerp_(gradient[there], 0.1)
            self._square[there].mul_(0.99).addcmul_(gradient[there], gradient[there], value=0.01)
            sizes.append(self._square[there].sqrt().sum())
        # relative, so that no scale of the loss can drown small gradients
        floor = torch.stack(sizes).sum() * (1e-8 / (x.numel() * unbias**0.5)) + torch.finfo(x.dtype).tiny
        moved = gradient if gradient.is_contiguous() else torch.empty_like(x)
        for there in parts:
            root = (self._square[there] / unbias).sqrt_().add_(floor)
            low, high = (bound[there] if isinstance(bound, Tensor) else bound for bound in (self._low, self._high))
            moved[there] = _project(x[there] - scale * self._mean[there] / root, low, high)
        return moved

    def finish(self, x: Tensor) -> Tensor:
        return x

    def state(self) -> State:
        assert self._mean is not None
        assert self._square is not None
        return {"mean": self._mean, "square": self._square, "steps": torch.tensor(self._steps)}

    def restore(self, state: State, device: torch.device) -> None:
        self._mean = state["mean"].to(device, copy=True)
        self._square = state["square"].to(device, copy=True)
        self._steps = int(state["steps"])


class Momentum:
    """SGD with momentum 0.9. The gradient is divided by the root mean square of the first one: a step has picture
    units."""

    def __init__(self, rate: float, low: Tensor | float, high: Tensor | float) -> None:
        self._rate, self._low, self._high = rate * 0.1, low, high
        self._velocity: Tensor | None = None
        self._unit = 1.0

    def step(self, x: Tensor, loss: float, gradient: Tensor, progress: float) -> Tensor:
        if self._velocity is None:
            self._velocity = torch.zeros_like(x)
            self._unit = float(gradient.square().mean().sqrt()) or 1.0
        self._velocity.mul_(0.9).add_(gradient, alpha=1 / self._unit)
        return _project(x - _falling(self._rate, progress) * self._velocity, self._low, self._high)

    def finish(self, x: Tensor) -> Tensor:
        return x

    def state(self) -> State:
        assert self._velocity is not None
        return {"velocity": self._velocity, "unit": torch.tensor(self._unit, dtype=torch.float64)}

    def restore(self, state: State, device: torch.device) -> None:
        self._velocity = state["velocity"].to(device, copy=True)
        self._unit = float(state["unit"])


class LBFGS:
    """Limited-memory BFGS (Nocedal 1980; Nocedal & Wright 2006, algorithm 7.4) with history 10 and no line search.

    A step ends where the range does, and a curvature pair records how far the picture moved in truth. A pair is kept
    when y·s > 1e-8 |y||s|, a test that does not depend on the loss's scale. A step moves no value by more than `cap`;
    one that raises the loss is taken back, the history dropped and the cap halved. Its state is without the history,
    which would be twenty pictures.
    """

    def __init__(
        self, rate: float, low: Tensor | float, high: Tensor | float, history: int = 10, cap: float = 0.25
    ) -> None:
        self._rate, self._low, self._high, self._cap = rate, low, high, cap
        self._reached = cap
        self._pairs: deque[tuple[Tensor, Tensor, float]] = deque(maxlen=history)
        self._last: tuple[Tensor, float, Tensor] | None = None
        self._best: tuple[float, Tensor] | None = None

    def step(self, x: Tensor, loss: float, gradient: Tensor, progress: float) -> Tensor:
        if self._last is not None:
            before, loss_before, gradient_before = self._last
            if not loss <= loss_before * 1.05:  # also when it is not a number
                self._pairs.clear()
                self._cap = self._reached / 2
                x, loss, gradient = before, loss_before, gradient_before
            else:
                self._learn(x - before, gradient - gradient_before)
                self._cap = min(self._cap * 1.1, 0.5)
        if self._best is None or loss < self._best[0]:
            self._best = (loss, x)
        self._last = (x, loss, gradient)
        direction = self._direction(gradient)
        largest = float(direction.abs().max())
        if not largest:
            return x
        length = self._rate * (1.0 if self._pairs else _FIRST_STEP / largest)
        length = min(length, self._cap / largest)
        self._reached = length * largest
        return _project(x + direction * length, self._low, self._high)

    def finish(self, x: Tensor) -> Tensor:
        return _project(self._best[1] if self._best is not None else x, self._low, self._high)

    def state(self) -> State:
        assert self._best is not None
        assert self._last is not None
        before, loss, gradient = self._last
        numbers = (self._best[0], loss, self._cap, self._reached)
        return {
            "best": self._best[1],
            "before": before,
            "gradient": gradient,
            "numbers": torch.tensor(numbers, dtype=torch.float64),
        }

    def restore(self, state: State, device: torch.device) -> None:
        best, before, gradient = (state[name].to(device, copy=True) for name in ("best", "before", "gradient"))
        best_loss, loss, self._cap, self._reached = state["numbers"].tolist()
        self._best, self._last = (best_loss, best), (before, loss, gradient)

    def _learn(self, s: Tensor, y: Tensor) -> None:
        y = y * (s != 0)  # what is held at a bound tells nothing of the rest
        curvature = float((y * s).sum())
        if curvature > 1e-8 * float(y.norm()) * float(s.norm()):
            self._pairs.append((s, y, curvature))

    def _direction(self, gradient: Tensor) -> Tensor:
        d = -gradient
        amounts = []
        for s, y, curvature in reversed(self._pairs):
            amount = float((s * d).sum()) / curvature
            amounts.append(amount)
            d = d - amount * y
        if self._pairs:
            _, y, curvature = self._pairs[-1]
            d = d * (curvature / float((y * y).sum()))
        for (s, y, curvature), amount in zip(self._pairs, reversed(amounts), strict=True):
            d = d + (amount - float((y * d).sum()) / curvature) * s
        return d
