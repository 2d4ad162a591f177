"""The optimisers: against torch's Adam, closed forms, and an ill-conditioned quadratic."""

import math

import pytest
import torch
from helpers import noise, relative

from scumble.engine import bands
from scumble.engine.optimize import GAIN_SPAN, LAST_STEP, LBFGS, LEARNING_RATE, Adam, Momentum, Patience, make
from scumble.recipe import Optimizer

SIZE = 60
START = torch.full((SIZE,), 0.5, dtype=torch.float64)
GOAL = noise(SIZE, seed=1, dtype=torch.float64)


def quadratic(condition, first_loss=1.0):
    """½ Σ λ (x − goal)² with λ from 1 to `condition`, times a number that makes it `first_loss` at the start."""
    curvature = torch.logspace(0, math.log10(condition), SIZE, dtype=torch.float64)
    scale = first_loss / float((curvature * (START - GOAL).square()).sum() / 2)

    def at(x):
        return scale * float((curvature * (x - GOAL).square()).sum() / 2), scale * curvature * (x - GOAL)

    return at


def descend(optimiser, at, x, iterations, progress=True):
    """The losses and points on the way, and what the optimiser keeps."""
    path = []
    for iteration in range(iterations):
        loss, gradient = at(x)
        path.append((loss, x))
        x = optimiser.step(x, loss, gradient, iteration / iterations if progress else 0.0)
    return path, optimiser.finish(x)


# --------------------------------------------------------------------------------------------------------------- Adam


def test_adam_is_torchs_adam_at_a_constant_rate():
    at = quadratic(100)
    theirs = START.clone().requires_grad_()
    reference = torch.optim.Adam([theirs], lr=0.01, betas=(0.9, 0.99), eps=1e-12)
    ours, x = Adam(0.01, -10, 10), START
    for _ in range(50):
        theirs.grad = at(theirs.detach())[1]
        reference.step()
        x = ours.step(x, *at(x), 0.0)
        assert relative(x, theirs.detach()) < 1e-6


def test_adams_first_step_is_the_rate_in_every_value():
    gradient = torch.tensor([1e-3, -3.0, 200.0], dtype=torch.float64)
    x = Adam(0.01, -1, 1).step(torch.zeros(3, dtype=torch.float64), 1.0, gradient, 0.0)
    assert relative(x, torch.tensor([-0.01, 0.01, -0.01])) < 1e-2


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_adam_does_not_care_for_the_scale_of_the_loss(scale):
    paths = [descend(Adam(0.02, 0, 1), quadratic(100, loss), START, 30)[0] for loss in (1.0, scale)]
    assert all(relative(one, other) < 1e-3 for (_, one), (_, other) in zip(*paths, strict=True))


def test_adam_stands_still_without_a_gradient():
    x = Adam(0.01, 0, 1).step(START, 0.0, torch.zeros_like(START), 0.0)
    assert torch.equal(x, START)


def test_adams_rate_falls_to_the_last_step():
    gradient = torch.ones(3)
    x = Adam(0.01, -1, 1).step(torch.zeros(3), 1.0, gradient, 1.0)
    assert relative(x, torch.full((3,), -0.01 * LAST_STEP)) < 1e-4


def test_adam_arrives():
    at = quadratic(100)
    _, x = descend(Adam(0.05, 0, 1), at, START, 150)
    assert at(x)[0] < 1e-3


# ----------------------------------------------------------------------------------------------------------- momentum


def test_momentum_is_the_running_sum_of_gradients():
    """v ← 0.9 v + g / rms(g₀), x ← x − rate / 10 · v."""
    at = quadratic(10)
    ours, x = Momentum(0.02, -10, 10), START
    wanted, velocity = START, torch.zeros_like(START)
    unit = at(START)[1].square().mean().sqrt()
    for _ in range(20):
        velocity = 0.9 * velocity + at(wanted)[1] / unit
        wanted = wanted - 0.002 * velocity
        x = ours.step(x, *at(x), 0.0)
        assert relative(x, wanted) < 1e-9


def test_momentum_on_a_slope_comes_to_steps_of_the_rate():
    """A constant gradient's velocity tends to ten times the gradient."""
    ours, x = Momentum(0.02, -100, 100), torch.zeros(4)
    for _ in range(100):
        before, x = x, ours.step(x, 1.0, torch.full((4,), 7.0), 0.0)
    assert relative(x - before, torch.full((4,), -0.02)) < 1e-3


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_momentum_does_not_care_for_the_scale_of_the_loss(scale):
    paths = [descend(Momentum(0.02, 0, 1), quadratic(10, loss), START, 30)[0] for loss in (1.0, scale)]
    assert all(relative(one, other) < 1e-6 for (_, one), (_, other) in zip(*paths, strict=True))


def test_momentum_stands_still_without_a_gradient():
    assert torch.equal(Momentum(0.01, 0, 1).step(START, 0.0, torch.zeros_like(START), 0.0), START)


# --------------------------------------------------------------------------------------------------------- projection


@pytest.mark.parametrize("kind", [Optimizer.ADAM, Optimizer.SGD])
def test_every_step_stays_in_range(kind):
    optimiser, x = make(kind, 5.0, 0.2, 0.6), START
    for sign in (1, 1, -1, -1, -1):
        x = optimiser.step(x, 1.0, sign * (noise(SIZE, dtype=torch.float64) + 0.1), 0.0)
        assert float(x.min()) >= 0.2
        assert float(x.max()) <= 0.6


@pytest.mark.parametrize("kind", Optimizer)
def test_what_is_kept_is_in_a_range_per_pixel(kind):
    low, high = 0.2 * noise(SIZE, seed=2, dtype=torch.float64), 1 - 0.2 * noise(SIZE, seed=3, dtype=torch.float64)
    goal = torch.where(GOAL > 0.5, 3.0, -2.0).double()
    _, x = descend(make(kind, None, low, high), lambda x: (float((x - goal).square().sum()), x - goal), START, 30)
    assert (x >= low).all()
    assert (x <= high).all()


@pytest.mark.parametrize("kind", Optimizer)
def test_every_optimiser_has_a_default_rate(kind):
    at = quadratic(10)
    path, x = descend(make(kind, None, 0.0, 1.0), at, START, 40)
    assert LEARNING_RATE[kind] > 0
    assert at(x)[0] < 0.1 * path[0][0]


@pytest.mark.parametrize("kind", Optimizer)
def test_a_given_rate_is_taken(kind):
    at = quadratic(10)
    small, large = (descend(make(kind, rate, 0.0, 1.0), at, START, 3)[0][1][1] for rate in (1e-4, 1e-2))
    assert float((small - START).abs().max()) < float((large - START).abs().max())


@pytest.mark.parametrize("kind", Optimizer)
def test_steps_do_not_change_the_pictures_before(kind):
    x, optimiser = START.clone(), make(kind, None, 0.0, 1.0)
    after = optimiser.step(x, 1.0, GOAL.clone(), 0.0)
    kept = after.clone()
    optimiser.step(after, 0.9, GOAL.clone(), 0.5)
    assert torch.equal(x, START)
    assert torch.equal(after, kept)


# ------------------------------------------------------------------------------------------------------------- L-BFGS


def gradient_descent(at, condition, iterations):
    """With the best constant step of a quadratic."""
    x = START
    unit = float(at(START + 1 / SIZE)[1][0] - at(START)[1][0]) * SIZE  # the least curvature
    for _ in range(iterations):
        x = x - at(x)[1] * 2 / (unit * (1 + condition))
    return x


def test_lbfgs_is_far_ahead_of_gradient_descent():
    at = quadratic(100)
    _, x = descend(LBFGS(1.0, 0, 1), at, START, 80)
    assert at(x)[0] < 1e-6 * at(gradient_descent(at, 100, 80))[0]


def test_lbfgs_finds_the_minimum():
    at = quadratic(100)
    _, x = descend(LBFGS(1.0, 0, 1), at, START, 100)
    assert float((x - GOAL).abs().max()) < 1e-4


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_lbfgs_does_not_care_for_the_scale_of_the_loss(scale):
    paths = [descend(LBFGS(1.0, 0, 1), quadratic(100, loss), START, 40)[0] for loss in (1.0, scale)]
    for (_, one), (_, other) in zip(*paths, strict=True):
        assert float((one - other).abs().max()) < 1e-3


def test_lbfgs_steps_are_capped():
    optimiser, x = LBFGS(1.0, 0, 1, cap=0.1), START
    at = quadratic(1e4)
    for _ in range(10):
        after = optimiser.step(x, *at(x), 0.0)
        assert float((after - x).abs().max()) <= 0.5 + 1e-9
        x = after
    assert float((LBFGS(100.0, 0, 1, cap=0.1).step(START, *at(START), 0.0) - START).abs().max()) <= 0.1 + 1e-9


def test_lbfgs_first_step_is_small_whatever_the_gradient():
    for scale in (1e-10, 1e10):
        x = LBFGS(1.0, 0, 1).step(START, 1.0, scale * GOAL, 0.0)
        assert float((x - START).abs().max()) == pytest.approx(0.02, rel=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 50.0])
def test_lbfgs_takes_a_bad_step_back(bad):
    """The step after it starts from where the bad one started, along that place's gradient."""
    optimiser = LBFGS(1.0, 0, 1)
    gradient = GOAL + 0.1
    away = optimiser.step(START, 1.0, gradient, 0.0)
    again = optimiser.step(away, bad, -torch.ones_like(gradient), 0.1)
    way = START - again
    assert relative(way / way.norm(), gradient / gradient.norm()) < 1e-9


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_lbfgs_recovers_from_a_gradient_that_is_not_a_number(bad):
    optimiser, at = LBFGS(1.0, 0, 1), quadratic(30)
    x = START
    for iteration in range(60):
        loss, gradient = at(x)
        if iteration in (3, 20, 21):
            loss, gradient = bad, torch.full_like(x, math.nan)
        x = optimiser.step(x, loss, gradient, 0.0)
        assert x.isfinite().all()
    assert at(optimiser.finish(x))[0] < 1e-3


def test_lbfgs_does_not_repeat_the_step_that_was_taken_back():
    optimiser = LBFGS(1.0, 0, 1)
    away = optimiser.step(START, 1.0, GOAL, 0.0)
    again = optimiser.step(away, 100.0, GOAL, 0.1)
    assert not torch.equal(away, again)


def test_lbfgs_keeps_the_best_it_has_seen():
    optimiser = LBFGS(1.0, 0, 1)
    points = [noise(SIZE, seed=seed, dtype=torch.float64) for seed in range(4)]
    for point, loss in zip(points, (3.0, 1.0, 1.04, 1.05), strict=True):
        optimiser.step(point, loss, GOAL - 0.5, 0.0)
    assert torch.equal(optimiser.finish(points[3]), points[1])


def test_lbfgs_keeps_what_it_has_before_any_step():
    assert torch.equal(LBFGS(1.0, 0, 1).finish(START + 1), torch.ones_like(START))


def test_lbfgs_at_the_minimum_stays_there():
    optimiser, x = LBFGS(1.0, 0, 1), START
    for _ in range(3):
        x = optimiser.step(x, 0.0, torch.zeros_like(x), 0.0)
    assert torch.equal(x, START)


def test_lbfgs_takes_channels_last_pictures():
    """Where torch's own refuses."""
    goal = noise(1, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    x = torch.full_like(goal, 0.5)
    _, x = descend(LBFGS(1.0, 0, 1), lambda x: (float((x - goal).square().sum()), 2 * (x - goal)), x, 20)
    assert float((x - goal).abs().max()) < 1e-4


def coupled(seed):
    """½ (x − goal)ᵀ A (x − goal), A dense, positive definite and of condition 100 or so, with a goal half out of
    0..1."""
    root = noise(SIZE, SIZE, seed=seed, dtype=torch.float64) - 0.5
    matrix = root @ root.T + 0.1 * torch.eye(SIZE, dtype=torch.float64)
    goal = 3 * noise(SIZE, seed=seed + 1, dtype=torch.float64) - 1
    return lambda x: (float((x - goal) @ matrix @ (x - goal) / 2), matrix @ (x - goal))


@pytest.mark.parametrize("seed", [5, 7, 9])
def test_lbfgs_finds_the_minimum_within_its_range(seed):
    """Which is where a step down the gradient, brought back into the range, leads nowhere (Karush, Kuhn, Tucker)."""
    at = coupled(seed)
    path, x = descend(LBFGS(1.0, 0.0, 1.0), at, START, 300)
    loss, gradient = at(x)
    assert float(((x - gradient).clamp(0, 1) - x).abs().max()) < 1e-3
    assert ((x == 0) | (x == 1)).sum() > SIZE / 10  # or the range had no say
    assert loss < path[0][0]


def test_every_step_of_lbfgs_stays_in_range():
    low, high = 0.2 * noise(SIZE, seed=2, dtype=torch.float64), 1 - 0.2 * noise(SIZE, seed=3, dtype=torch.float64)
    path, _ = descend(LBFGS(1.0, low, high), coupled(5), START, 40)
    assert all((x >= low).all() and (x <= high).all() for _, x in path)


# ----------------------------------------------------------------------------------------------------------- patience


def ends_at(losses, least_gain):
    """The number of iterations after which it ends, or None."""
    patience = Patience(least_gain)
    return next((number for number, loss in enumerate(losses, 1) if patience.ends(loss)), None)


@pytest.mark.parametrize("gain", [0.3, 0.01, 1e-4])
def test_patience_goes_by_the_gain_of_ten_iterations(gain):
    losses = [3e5 * (1 - gain) ** (number / GAIN_SPAN) for number in range(100)]
    assert ends_at(losses, gain * 0.99) is None
    assert ends_at(losses, gain * 1.01) == 2 * GAIN_SPAN


def test_patience_ends_ten_iterations_after_the_last_gain():
    assert ends_at([0.9**number for number in range(40)] + [1.0] * 40, 0.001) == 40 + GAIN_SPAN


def test_patience_does_not_mind_single_iterations():
    falling = [1 - 0.01 * number for number in range(60)]
    jumping = [loss * (5 if number % 3 else 1) for number, loss in enumerate(falling)]
    assert ends_at(jumping, 0.01) is None
    assert ends_at([math.nan, math.inf, *falling], 0.01) is None


def test_without_a_least_gain_patience_has_no_end():
    assert ends_at([1.0] * 100, 0.0) is None
    assert ends_at([1.0 + number for number in range(100)], 0.0) is None


def test_patience_ends_where_nothing_is_left():
    assert ends_at([0.0] * 100, 1e-6) == 2 * GAIN_SPAN


def test_adam_moves_a_picture_in_strips_as_at_once(monkeypatch):
    generator = torch.Generator().manual_seed(1)
    picture, *gradients = torch.rand(4, 1, 3, 9, 7, generator=generator)
    low, high = 0.1 * picture, 1 - 0.1 * picture

    def moved():
        optimiser, x = make(Optimizer.ADAM, None, low, high), picture
        for index, gradient in enumerate(gradients):
            x = optimiser.step(x, 1.0, gradient.clone() - 0.5, index / 3)
        return x

    whole = moved()
    monkeypatch.setattr(bands, "STRIP_PX", 20)
    torch.testing.assert_close(moved(), whole)
    assert not torch.equal(whole, picture)
