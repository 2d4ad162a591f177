"""The parts of a worker that need no painting: how often it shows and saves, and what it takes for alike."""

import pytest

from scumble.engine.painter import Painter
from scumble.recipe import Recipe
from scumble.service import rhythm
from scumble.service.rhythm import Rhythm
from scumble.service.worker import kind


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(rhythm, "now", lambda: self.now)


@pytest.mark.parametrize(("cost_s", "share"), [(0.001, 1 / 1000), (0.015, 0.015), (0.5, 1 / 60)])
def test_what_is_done_on_the_way_takes_its_share_of_the_time_and_no_more(monkeypatch, cost_s, share):
    clock, shown, spent = Clock(monkeypatch), Rhythm(1.0), 0.0

    def show():
        nonlocal spent
        clock.now += cost_s
        spent += cost_s

    while clock.now < 700:  # ten minutes of iterations of 50 ms
        clock.now += 0.05
        shown.perhaps(show)
    assert spent / 600 <= share * 1.02 + cost_s / 600
    assert spent / 600 > share * 0.8


def test_the_first_time_is_at_once_unless_it_is_to_wait(monkeypatch):
    clock, done = Clock(monkeypatch), []
    at_once, later = Rhythm(10.0), Rhythm(10.0, waits_first=True)
    at_once.perhaps(lambda: done.append("at once"))
    later.perhaps(lambda: done.append("too early"))
    clock.now += 10.1
    later.perhaps(lambda: done.append("later"))
    assert done == ["at once", "later"]


def test_jobs_are_alike_when_they_take_equally_long():
    painter = Painter("cpu")
    one = {"styles": [{"picture": "a"}]}

    def of(**fields):
        return kind(painter, Recipe.parse({**one, **fields}))

    assert of() == of(strength=20, size=999, quality="fine") == of(style_loss="neighbours")
    others = [of(), of(style_loss="gram"), of(matchings=5), of(optimizer="lbfgs"), of(features="seeded-vgg11")]
    assert len({*others, of(styles=[{"picture": "a"}, {"picture": "b"}])}) == 6
