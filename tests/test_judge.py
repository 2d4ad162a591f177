"""The judge of strokes."""

import numpy as np
import pytest
import torch
from helpers import hatching, noise

from scumble.drawn import painting
from scumble.picture import Picture
from scumble.style_training.judge import LEAST, SCALES, Judge, details

ONE = torch.ones(1)


def painted(name, side=96):
    return torch.from_numpy(Picture.from_rgb(painting(name, side, side)).rgb().transpose(2, 0, 1).copy())[None]


def judge(*styles, seed=0):
    return Judge(styles or (painted("night"),), torch.Generator().manual_seed(seed))


def taught(judge, *pictures, mixture=ONE, times=40):
    for number in range(times):
        judge.learn(pictures[number % len(pictures)], mixture[None])
    return judge


def test_it_learns_to_tell_strokes_from_what_is_none():
    """At places of the style that it was never shown, too."""
    style = painted("night", 192)
    made = judge(style[..., :96])
    before = made.pull(hatching(), ONE)[0] - made.pull(style[..., 96:], ONE)[0]
    taught(made, hatching(), noise(1, 3, 96, 96, seed=1))
    unseen, drawn, even = (made.pull(each, ONE)[0] for each in (style[..., 96:], hatching(), noise(1, 3, 96, 96)))
    assert abs(before) < 0.3
    assert unseen < 1
    assert min(drawn, even) > unseen + 0.5


def test_it_cannot_tell_a_style_from_itself():
    made = judge(painted("night", 192))
    for _ in range(40):
        made.learn(made._shown(0, 96), ONE[None])
    losses = [made.pull(made._shown(0, 96), ONE)[0] for _ in range(8)]
    assert np.median(losses) == pytest.approx(1, abs=0.3)


def test_each_style_is_told_from_the_other():
    first, second = painted("night"), painted("glass")
    made = judge(first, second)
    shares = torch.eye(2)
    for _ in range(40):
        made.learn(second, shares[:1])
        made.learn(first, shares[1:])
    for own, other, share in ((first, second, shares[0]), (second, first, shares[1])):
        assert made.pull(own, share)[0] < made.pull(other, share)[0] - 0.3


def test_answers_are_mixed_by_weight():
    made = judge(painted("night"), painted("glass"))
    seen = noise(1, 3, 48, 48, seed=2)
    with torch.no_grad():
        first, second = made.network(details(seen))[0]
    wanted = (1 - 0.3 * first - 0.7 * second).clamp(min=0).mean()
    made.eval()
    assert made.pull(seen, torch.tensor([0.3, 0.7]))[0] == pytest.approx(float(wanted), rel=1e-3)


def test_the_gradient_is_the_slope():
    made = taught(judge(), hatching(), times=10).eval()
    seen, aside = noise(1, 3, 40, 48, seed=3), noise(1, 3, 40, 48, seed=4) - 0.5
    loss, gradient = made.pull(seen, ONE)
    step = 1e-3
    ahead, behind = (made.pull(seen + sign * step * aside, ONE)[0] for sign in (1, -1))
    assert float((gradient * aside).sum()) == pytest.approx((ahead - behind) / (2 * step), rel=0.02)
    assert gradient.shape == seen.shape
    assert loss > 0


def test_neither_colours_nor_slow_light_are_seen():
    seen = painted("night")
    light = torch.linspace(-0.2, 0.2, 96)[:, None] + torch.tensor([0.1, 0.0, -0.1])[:, None, None]
    inner = np.s_[..., 10:-10, 10:-10]
    torch.testing.assert_close(details(seen + light)[inner], details(seen)[inner], atol=2e-2, rtol=0)
    assert float(details(seen).abs().mean()) > 0.1


def test_it_is_shown_all_of_a_style_at_several_scales():
    style = torch.linspace(0, 1, 100)[None, None, None].expand(1, 3, 60, 100)
    made = judge(style)
    shown = [made._shown(0, 40) for _ in range(60)]
    assert {tuple(each.shape) for each in shown} == {(1, 3, 40, 40)}
    steps = [100 * float((each[..., -1] - each[..., 0]).mean()) / 39 for each in shown]
    for bound, scale in zip((min(steps), max(steps)), reversed(SCALES), strict=True):
        assert bound == pytest.approx(1 / scale, rel=0.1)
    assert min(float(each.min()) for each in shown) < 0.05
    assert max(float(each.max()) for each in shown) > 0.95


def test_the_same_seed_makes_the_same_judge_and_leaves_chance_alone():
    state = torch.random.get_rng_state()
    first, same, other = judge(), judge(), judge(seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    for one, two, three in zip(first.parameters(), same.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
        assert not torch.equal(one, three)


def test_pictures_as_small_as_may_be():
    small = noise(1, 3, LEAST, LEAST, seed=1)
    loss, gradient = taught(judge(small), small, times=2).pull(small, ONE)
    assert loss > 0
    assert bool(torch.isfinite(gradient).all())
    assert gradient.abs().max() > 0
