"""Lines for the panel."""

import re
from pathlib import Path

import plugins
import pytest
from fake_link import FakeDaemonApi

plugins.link()
from krita_scumble.link.daemon import Device, Estimate, Health, Job  # noqa: E402
from krita_scumble.link.errors import LinkError  # noqa: E402
from krita_scumble.link.pixels import Rect  # noqa: E402
from krita_scumble.link.text import use  # noqa: E402
from krita_scumble.link.tickets import Stage, Ticket  # noqa: E402
from krita_scumble.link.wording import (  # noqa: E402
    _SAID,
    area_line,
    duration,
    heard,
    memory,
    progress_line,
    status_line,
    time_left,
)

RECT = Rect(300, 120, 812, 640)


def ticket(stage, job=None, **more):
    return Ticket(1, "A run", None, stage, Job("1", "running", "painting", **job) if job is not None else None, **more)


def test_the_area_as_the_design_has_it():
    estimate = Estimate(768, 605, 160, 3, 2150.4, 14.2, is_measured=True)
    line = "Selection 812 × 640 at 300, 120; works at 768 × 605; about 14 s; 2.1 GB"
    assert area_line(RECT, True, estimate) == line
    assert area_line(RECT, True) == "Selection 812 × 640 at 300, 120"
    assert area_line(RECT, False) == "Layer 812 × 640 at 300, 120"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 s"),
        (0.4, "1 s"),
        (14.2, "14 s"),
        (99.4, "99 s"),
        (100, "2 min"),
        (3540, "59 min"),
        (3570, "1 h 0 min"),  # and not 60 min
        (4800, "1 h 20 min"),
    ],
)
def test_times(seconds, words):
    assert duration(seconds) == words
    assert time_left(seconds) == f"about {words} left"


@pytest.mark.parametrize(
    ("mb", "words"),
    [(0.2, "0 MB"), (640.4, "640 MB"), (999.4, "999 MB"), (999.6, "1.0 GB"), (2150, "2.1 GB"), (40_960, "40.0 GB")],
)
def test_memory(mb, words):
    assert memory(mb) == words


@pytest.mark.parametrize("stage", Stage)
def test_every_stage_has_words(stage):
    assert progress_line(ticket(stage))


@pytest.mark.parametrize(
    ("stage", "job", "line"),
    [
        (Stage.QUEUED, {"position": 0}, "Waiting; it is the next"),
        (Stage.QUEUED, {"position": 1}, "Waiting; 1 is before it"),
        (Stage.QUEUED, {"position": 3}, "Waiting; 3 are before it"),
        (Stage.RUNNING, {}, "Preparing…"),
        (Stage.RUNNING, {"iteration": 40, "iterations": 160}, "Painting: 40 of 160"),
        (
            Stage.RUNNING,
            {"iteration": 40, "iterations": 160, "seconds_left": 12.0},
            "Painting: 40 of 160, about 12 s left",
        ),
    ],
)
def test_how_far_a_run_is(stage, job, line):
    assert progress_line(ticket(stage, job)) == line


def test_how_far_a_run_is_by_its_phase():
    job = Job("1", "running", "saving", iteration=160, iterations=160)
    assert progress_line(Ticket(1, "A run", None, Stage.RUNNING, job)) == "Saving…"


def test_how_far_a_training_is():
    job = Job("1", "running", "training", iteration=600, iterations=2000, seconds_left=540.0, kind="train")
    ticket = Ticket(1, "Training", stage=Stage.RUNNING, job=job)
    assert progress_line(ticket) == "Learning: 600 of 2000, about 9 min left"


def test_what_is_in_the_way_comes_first():
    job = {"iteration": 40, "iterations": 160}
    assert progress_line(ticket(Stage.RUNNING, job, is_stopping=True)) == "Stopping…"
    away = "The daemon does not answer; waiting for it…"
    assert progress_line(ticket(Stage.RUNNING, job, is_stopping=True, is_away=True)) == away
    assert progress_line(ticket(Stage.STOPPED, job, is_stopping=True, is_away=True)) == "Stopped"


def test_how_a_run_ended():
    assert progress_line(ticket(Stage.DONE)) == "Done"
    assert progress_line(ticket(Stage.DONE, kept=True)) == "Done; stopped early"
    error = LinkError("out-of-memory", "It needs 9 GB.")
    assert progress_line(ticket(Stage.FAILED, error=error)) == "It needs 9 GB."


def health(*devices, features="vgg19"):
    return Health("1.0", 1, features=features, devices=devices)


def test_how_the_daemon_stands():
    card = Device("cuda:0", "GeForce", "ready", memory_free_mb=11_264.0)
    assert status_line(health(card)) == "GeForce · 11.0 GB free · vgg19"
    assert status_line(health(card, card)) == "GeForce · 11.0 GB free · and 1 more device · vgg19"
    assert status_line(health(card, card, card)) == "GeForce · 11.0 GB free · and 2 more devices · vgg19"
    assert status_line(health(Device("cpu"), features="embedded")) == "cpu · embedded features"
    assert status_line(health(Device("cuda:0", "GeForce", "failed"), features="")) == "GeForce (failed)"
    assert status_line(health(features="")) == "Ready"
    assert status_line(FakeDaemonApi().state) == "A processor · embedded features"


def test_what_the_daemon_warns_of_is_translated():
    said = "The style picture Sunny is small: strokes will be 3.6 times finer than asked."
    assert heard(said) == said and heard("Something new happened.") == "Something new happened."
    use("de")
    try:
        assert heard(said) == "Das Stilbild Sunny ist klein: Die Striche werden 3.6-mal feiner als verlangt."
        assert heard("Something new happened.") == "Something new happened."
    finally:
        use("en")


def test_the_daemon_says_these_sentences():
    """Word for word, but for what stands in braces."""
    daemon = Path(__file__).parents[1] / "daemon" / "scumble"
    sources = [(daemon / name).read_text() for name in ("engine/painter.py", "service/worker.py")]
    for sentence in _SAID:
        pattern = r"\{[^{}]+\}".join(map(re.escape, re.split(r"\{\w+\}", sentence)))
        assert any(re.search(pattern, source) for source in sources), sentence
