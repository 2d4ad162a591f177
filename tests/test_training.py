"""A training in a worker, and that it may be interrupted at any moment: neither is the model lost nor are two kept."""

import errno
import hashlib

import pytest
from daemons import STYLE
from helpers import rgb_picture, smooth, torch

from scumble.engine import models
from scumble.engine.painter import Painter
from scumble.errors import ScumbleError
from scumble.protocol import TrainRequest
from scumble.service import messages as say
from scumble.service import rhythm, training
from scumble.service.rhythm import Discarded, Leaving

STEPS = 3


class Killed(BaseException):
    """The process ends here."""


class Desk:
    """A training, and what a worker makes of it. After `stops_at` steps `stop` is called, whose answer is the one."""

    def __init__(self, folder):
        self.folder = folder / "job"
        self.folder.mkdir()
        self.painter = Painter("cpu")
        digest = hashlib.sha256(STYLE).hexdigest()
        (folder / digest).write_bytes(STYLE)
        self.lesson = say.Lesson(picture="style", source=say.Source(path=folder / digest), name="night")
        self.words = []

    def train(self, stops_at=None, stop=None, ends=False, **fields):
        self.words = []
        asked = {"name": "night", "steps": STEPS, "size": 64, "square": 32, "batch": 1, "width": 4, "blocks": 1}
        order = say.Train(
            job="1",
            request=TrainRequest(**{**asked, **fields}),
            recipe={"styles": [{"picture": "style"}], "features": "seeded-vgg11", "style_loss": "gram"},
            lessons=(self.lesson,),
            folder=self.folder,
            ends=ends,
        )
        steps = 0

        def decide(job):
            nonlocal steps
            steps += 1
            return steps == stops_at and stop()

        return training.train(order, self.painter, self.words.append, decide)

    def put_away(self, after):
        def leave():
            raise Leaving

        with pytest.raises(Leaving):
            self.train(after, leave)

    @property
    def iterations(self):
        return [word.iteration for word in self.words if isinstance(word, say.Progress)]

    @property
    def left(self):
        return {path.name for path in self.folder.iterdir()}

    @staticmethod
    def kept():
        return [(entry.name, entry.about.steps) for entry in models.entries()]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(training, "_PROGRESS_S", 0.0)
    monkeypatch.setattr(rhythm, "SHARE", 0)
    # these take seconds
    monkeypatch.setattr(training, "Drawn", lambda seed: Bases())
    for name in ("preview", "report"):
        monkeypatch.setattr(training, name, lambda trainer: rgb_picture(24, 32))
    return Desk(tmp_path)


class Bases:
    """Pictures to learn on that are there at once."""

    def base(self, number, generator):
        return smooth(48, 64, number)


def test_it_is_told_of_shown_and_kept(desk):
    painted = desk.train()
    assert (painted.stopped, painted.iteration, painted.iterations, painted.model) == (False, STEPS, STEPS, "night")
    assert [word.say for word in desk.words] == ["began", "progress", "previewed", "progress", "progress"]
    assert desk.iterations == [1, 2, 3]
    assert (desk.words[0].iterations, desk.words[0].features) == (STEPS, "vgg11 (seeded)")
    assert desk.words[-1].seconds_left == 0
    assert desk.kept() == [("night", STEPS)]
    assert desk.left == {"preview.jpg", "result.png", "painted.json"}
    assert say.Report.validate_json((desk.folder / say.PAINTED).read_bytes()) == painted
    assert hashlib.sha256((desk.folder / "result.png").read_bytes()).hexdigest() == painted.digest


def test_what_is_put_away_goes_on_from_where_it_was(desk):
    desk.put_away(2)
    assert say.CHECKPOINT in desk.left and not desk.kept()
    desk.train()
    assert desk.iterations == [3]
    assert desk.kept() == [("night", STEPS)]


def test_what_is_stopped_is_kept_as_far_as_it_is_learnt_or_not(desk):
    painted = desk.train(2, lambda: True)
    assert (painted.stopped, painted.model, painted.file) == (True, "night", "result.png")
    assert desk.kept() == [("night", 2)]

    def discard():
        raise Discarded

    painted = desk.train(2, discard, name="day")
    assert (painted.stopped, painted.model, painted.file, painted.iteration) == (True, None, None, 2)
    assert desk.kept() == [("night", 2)]
    assert say.CHECKPOINT not in desk.left


def test_what_was_stopped_while_it_was_put_away_is_kept_without_another_step(desk):
    desk.put_away(1)
    painted = desk.train(ends=True)
    assert (painted.stopped, painted.model, painted.iteration) == (True, "night", 1)
    assert desk.iterations == []
    assert desk.kept() == [("night", 1)]


def test_where_nothing_was_saved_nothing_is_kept(desk):
    painted = desk.train(ends=True)
    assert (painted.stopped, painted.model, painted.file) == (True, None, None)
    assert desk.kept() == []


def test_a_damaged_checkpoint_costs_the_steps_and_not_the_training(desk, capsys):
    desk.put_away(2)
    file = desk.folder / say.CHECKPOINT
    file.write_bytes(file.read_bytes()[:-1])
    desk.train()
    assert desk.iterations == [1, 2, 3]
    assert "starts again" in capsys.readouterr().err


MOMENTS = {
    "before all is saved": (training.Trainer, "save"),
    "before the model is written": (training.Trainer, "model"),
    "before it is kept": (training.models, "keep_beside"),
    "before the report": (training, "report"),
    "before the end is written down": (training, "write_private"),
    "before it is cleared": (training._Sitting, "_clear"),
}


@pytest.mark.parametrize("is_stopped", [False, True])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kill", ["before", "after"])
def test_it_may_be_killed_at_any_moment_of_its_end(desk, monkeypatch, moment, is_stopped, kill):
    owner, name = MOMENTS[moment]
    whole = getattr(owner, name)

    def killed(*given, **named):
        if name == "write_private" and given[0].name == say.PREVIEW:
            return whole(*given, **named)
        if kill == "after":
            whole(*given, **named)
        raise Killed

    desk.put_away(1)
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, killed)
        with pytest.raises(Killed):
            desk.train(1 if is_stopped else None, lambda: True)
    if (desk.folder / say.PAINTED).exists():  # the daemon takes it from there
        painted = say.Report.validate_json((desk.folder / say.PAINTED).read_bytes())
    else:
        painted = desk.train(1 if is_stopped else None, lambda: True)
    assert painted.model == "night"
    assert painted.iteration in {2, STEPS}
    assert desk.kept() == [("night", painted.iteration)]
    assert (desk.folder / "result.png").exists()


@pytest.mark.parametrize("place", [models, training])
def test_a_full_disk_costs_nothing_that_was_learnt(desk, monkeypatch, place):
    whole = place.write_private

    def full(path, *given, **named):
        if path.name == say.PREVIEW:
            return whole(path, *given, **named)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(place, "write_private", full)
        with pytest.raises(ScumbleError) as caught:
            desk.train()
    assert caught.value.code == "disk-full"
    assert desk.kept() == []
    assert desk.train().model == "night"
    assert desk.iterations == []
    assert desk.kept() == [("night", STEPS)]


def test_too_little_memory_is_told_with_what_helps(desk, monkeypatch):
    def none(self):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(training.Trainer, "_advance", none)
    with pytest.raises(ScumbleError) as caught:
        desk.train()
    assert caught.value.code == "out-of-memory" and "squares" in caught.value.hint


def test_how_long_it_takes_is_for_the_styles_where_nobody_says(desk):
    desk.train(1, lambda: True, steps=None)
    assert desk.words[0].iterations == 1500
    desk.train(1, lambda: True)
    assert desk.words[0].iterations == STEPS
