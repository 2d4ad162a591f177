"""The list of results."""

from dataclasses import replace

import plugins

plugins.link()
from krita_scumble.link.pixels import Rect  # noqa: E402
from krita_scumble.link.results import Result, Results  # noqa: E402
from krita_scumble.link.settings import Settings  # noqa: E402


def result(number, **more):
    return Result(number, f"Run {number}", Settings(), {}, f"job-{number}", Rect(1, 2, 3, 4), "document", **more)


def numbers(results):
    return [each.number for each in results]


def test_the_newest_comes_first_and_the_oldest_go():
    results = Results(limit=3)
    gone = [results.add(result(number)) for number in range(5)]
    assert numbers(results) == [4, 3, 2]
    assert [numbers(each) for each in gone] == [[], [], [], [0], [1]]
    assert len(results) == 3


def test_twenty_are_kept():
    results = Results()
    for number in range(25):
        results.add(result(number))
    assert numbers(results) == list(range(24, 4, -1))


def test_find_change_and_remove():
    results = Results()
    for number in (1, 2, 3):
        results.add(result(number))
    results.changed(replace(results.find(2), thumbnail=b"small"))
    assert results.find(2).thumbnail == b"small"
    assert numbers(results) == [3, 2, 1]
    results.remove(2)
    results.changed(result(2))  # it has gone meanwhile, and stays so
    results.remove(9)
    assert (numbers(results), results.find(2)) == ([3, 1], None)


def test_it_may_change_while_it_is_gone_through():
    results = Results()
    for number in (1, 2, 3):
        results.add(result(number))
    for each in results:
        results.remove(each.number)
    assert len(results) == 0


def test_what_the_daemon_made():
    assert result(1).output == "picture"
    assert replace(result(1), recipe={"output": "unmasked"}).output == "unmasked"
