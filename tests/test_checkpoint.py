"""Checkpoints: a painting that goes on from one ends as if it had never been interrupted."""

import errno
import stat

import numpy as np
import pytest
import torch
from helpers import noise, recipe, rgb_picture
from hypothesis import given
from hypothesis import strategies as st

from scumble import home
from scumble.engine.box import Box
from scumble.engine.checkpoint import Checkpoint
from scumble.engine.objective import Objective
from scumble.engine.painter import Painter
from scumble.engine.schedule import Level, Plan
from scumble.engine.tiles import Tiling
from scumble.picture import Picture
from scumble.recipe import Optimizer

CONTENT = Picture.from_rgb(rgb_picture(40, 48).rgb(), "float32")
STYLE = rgb_picture(36, 40, seed=100)
LEVELS = {"scales": 2, "iterations": [6, 5]}
"""Neighbours are looked for before iterations 0, 2 and 4 of the first level, 0, 1 and 3 of the second."""


@pytest.fixture(scope="module")
def painter():
    return Painter("cpu")


def painted(painter, on_step=None, resume=None, content=CONTENT, pictures=None, **fields):
    asked = recipe(**{**LEVELS, **fields})
    return painter.paint(content, asked, {"style": STYLE, **(pictures or {})}, on_step, resume=resume)


def difference(one, other):
    return np.abs(one.picture.rgb() - other.picture.rgb()).max()


class Saver:
    """Saves after every iteration, into files."""

    def __init__(self, folder):
        self.folder, self.steps = folder, []

    def __call__(self, step):
        self.steps.append(step)
        step.save().write(self.at(step.iteration))

    def at(self, iteration):
        return self.folder / f"{iteration}.safetensors"


def small(**changes):
    """A checkpoint of a few hundred bytes."""
    fields = {
        "level": 1,
        "iteration": 1,
        "picture": noise(1, 3, 2, 3),
        "optimizer": Optimizer.ADAM,
        "state": {"mean": noise(1, 3, 2, 3, seed=1), "steps": torch.tensor(3)},
        "losses": ({"style": 0.1, "total": 0.1}, {"style": 1e-300, "tv": 2.0, "total": 3.0}, {"total": float("inf")}),
        "levels": (Level(2, 1, 2), Level(3, 2, 4)),
        "box": Box(1, 2, 3, 4),
        "matched": (torch.tensor([[3, -1]]), torch.tensor([[0, 7]])),
    }
    return Checkpoint(**{**fields, **changes})


# -------------------------------------------------------------------------------------------------------- going on


@pytest.mark.parametrize(
    "fields",
    [
        {"style_loss": "gram"},
        {"style_loss": "gram", "optimizer": "sgd"},
        {"style_loss": "neighbours"},
        {"style_loss": "neighbours", "optimizer": "sgd"},
        {"style_loss": "neighbours", "start": "picture", "start_picture": "style"},
        {"style_loss": "gram", "keep_colors": "luminance", "start": "noise"},
    ],
    ids=lambda fields: " ".join(fields.values()),
)
def test_a_resumed_painting_ends_as_the_uninterrupted_one(painter, tmp_path, fields):
    saver = Saver(tmp_path)
    whole = painted(painter, saver, **fields)
    fresh = Painter("cpu")
    for iteration in (1, 5, 6, 8):  # after the first round of neighbours, between two, a level's last, amid the next
        steps = []
        resumed = painted(fresh, steps.append, Checkpoint.read(saver.at(iteration)), **fields)
        assert difference(resumed, whole) < 1e-5
        assert [dict(each) for each in resumed.losses] == [pytest.approx(dict(each)) for each in whole.losses]
        rest = saver.steps[iteration:]
        assert [(step.iteration, step.level) for step in steps] == [(step.iteration, step.level) for step in rest]
        assert [step.progress for step in steps] == pytest.approx([step.progress for step in rest])


@pytest.mark.parametrize("style_loss", ["gram", "neighbours"])
def test_lbfgs_goes_on_falling_without_its_history(painter, tmp_path, style_loss):
    saver = Saver(tmp_path)
    fields = {"optimizer": "lbfgs", "style_loss": style_loss, "scales": 1, "iterations": 16, "matchings": 1}
    whole = painted(painter, saver, **fields)
    least = [min(each["total"] for each in whole.losses[:count]) for count in (8, 16)]
    resumed = painted(painter, resume=Checkpoint.read(saver.at(8)), **fields)
    found = min(each["total"] for each in resumed.losses)
    assert found < least[0] - 0.4 * (least[0] - least[1])


def test_lbfgs_keeps_the_best_picture_of_before(painter, tmp_path, monkeypatch):
    """From the last iteration on there is nothing left to do but to give back the best."""
    evaluate = Objective.evaluate

    def worse_and_worse(self, x):
        found = evaluate(self, x)
        calls.append(x)
        values = torch.cat([found.values, torch.tensor([float(len(calls))])])
        return type(found)((*found.kinds, "worse"), values, found.gradient)

    calls = []
    monkeypatch.setattr(Objective, "evaluate", worse_and_worse)
    saver = Saver(tmp_path)
    fields = {"optimizer": "lbfgs", "style_loss": "gram", "scales": 1, "iterations": 4, "start": "noise"}
    whole = painted(painter, saver, **fields)
    resumed = painted(painter, resume=Checkpoint.read(saver.at(4)), **fields)
    assert len(calls) == 4
    assert difference(resumed, whole) < 1e-6


def test_a_resumed_painting_can_be_saved_and_resumed_again(painter, tmp_path):
    whole = painted(painter, style_loss="neighbours")
    checkpoint = None
    for _ in range(11):
        kept = []

        def stop(step, kept=kept):
            kept.append(step.save())
            return True

        painted(painter, stop, checkpoint, style_loss="neighbours")
        (checkpoint,) = kept
    assert difference(painted(painter, resume=checkpoint, style_loss="neighbours"), whole) < 1e-5


@pytest.mark.parametrize("style_loss", ["gram", "neighbours"])
def test_going_on_where_a_level_ended_by_itself(painter, tmp_path, style_loss):
    fields = {"style_loss": style_loss, "iterations": [60, 56], "least_gain": 0.5, "matchings": 2}
    saver = Saver(tmp_path)
    whole = painted(painter, saver, **fields)
    first, last = (level.iterations for level in whole.plan.levels)
    assert (first, last) == ((20, 20) if style_loss == "gram" else (50, 48))
    for iteration in (first - 1, first, first + 1, first + last - 1, first + last):
        steps = []
        resumed = painted(painter, steps.append, Checkpoint.read(saver.at(iteration)), **fields)
        assert difference(resumed, whole) < 1e-5
        assert resumed.plan.levels == whole.plan.levels
        assert [step.iteration for step in steps] == list(range(iteration + 1, first + last + 1))
        assert [step.progress for step in steps] == pytest.approx([step.progress for step in saver.steps[iteration:]])


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs"])
def test_a_checkpoint_stays_as_it_was_saved(painter, optimizer):
    kept = []

    def keep(step):
        kept.append((checkpoint := step.save(), {name: each.clone() for name, each in checkpoint.state.items()}))

    painted(painter, keep, optimizer=optimizer, style_loss="gram")
    for number, (checkpoint, state) in enumerate(kept, 1):
        assert len(checkpoint.losses) == number
        assert all(torch.equal(checkpoint.state[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs"])
def test_a_checkpoint_can_be_gone_on_from_twice(painter, optimizer):
    fields = {"optimizer": optimizer, "style_loss": "neighbours"}
    kept = []
    painted(painter, lambda step: kept.append(step.save()), **fields)
    first, second = (painted(painter, resume=kept[7], **fields) for _ in range(2))
    assert difference(first, second) == 0


def test_out_of_memory_after_going_on_starts_again_from_the_checkpoint(painter, tmp_path, monkeypatch):
    content = rgb_picture(96, 128)
    fields = {"content": content, "style_loss": "gram", "optimizer": "sgd", "scales": 1, "iterations": 4}
    saver = Saver(tmp_path)
    whole = painted(painter, saver, **fields)
    evaluate, calls = Objective.evaluate, []

    def scarce(self, x):
        calls.append(x)
        if len(self._windows) < 4 and len(calls) > 1:
            raise torch.OutOfMemoryError
        return evaluate(self, x)

    monkeypatch.setattr(Objective, "evaluate", scarce)
    steps = []
    resumed = painted(painter, steps.append, Checkpoint.read(saver.at(2)), **fields)
    assert resumed.plan.tile_px is not None
    assert [step.iteration for step in steps] == [3, 3, 4]
    assert steps[-1].progress == pytest.approx(1)
    assert len(resumed.losses) == 4
    assert difference(resumed, whole) <= 1.5 / 255


# ------------------------------------------------------------------------------------------------- what does not fit


@pytest.mark.parametrize(
    "other",
    [
        {"iterations": [6, 6]},
        {"scales": 1},
        {"size": 40},
        {"optimizer": "sgd"},
        {"style_loss": "neighbours"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_checkpoint_of_another_plan_is_ignored(painter, tmp_path, other):
    saver = Saver(tmp_path)
    painted(painter, saver, style_loss="gram")
    fields = {"style_loss": "gram", **other}
    steps = []
    again = painted(painter, steps.append, Checkpoint.read(saver.at(3)), **fields)
    assert steps[0].iteration == 1
    assert difference(again, painted(painter, **fields)) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"level": 2},
        {"level": -1},
        {"iteration": 0, "losses": small().losses[:2]},
        {"iteration": 5},
        {"picture": noise(1, 3, 2, 2)},
        {"matched": None},
        {"losses": ()},
        {"box": Box(0, 2, 3, 4)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_checkpoint_that_contradicts_itself_or_the_plan_does_not_fit(changes):
    plan = Plan(small().box, 1.0, small().levels, Tiling(), 1.0)
    assert small().fits(plan, Optimizer.ADAM, matches=True)
    assert not small(**changes).fits(plan, Optimizer.ADAM, matches=True)


# ----------------------------------------------------------------------------------------------------------- the file


def equal(one, other):
    tensors = [
        [each.picture, *each.matched, *(each.state[name] for name in sorted(each.state))] for each in (one, other)
    ]
    plain = [
        (each.level, each.iteration, each.optimizer, each.losses, each.levels, each.box, sorted(each.state))
        for each in (one, other)
    ]
    return plain[0] == plain[1] and all(
        torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(*tensors, strict=True) if a is not b
    )


def test_what_is_read_is_what_was_written(tmp_path):
    small().write(tmp_path / "c")
    assert equal(Checkpoint.read(tmp_path / "c"), small())
    small(matched=None).write(tmp_path / "c")
    assert Checkpoint.read(tmp_path / "c").matched is None
    small(matched=()).write(tmp_path / "c")
    assert Checkpoint.read(tmp_path / "c").matched == ()
    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0o600


def test_what_was_there_stays_when_it_cannot_be_written(tmp_path, monkeypatch):
    small().write(tmp_path / "c")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(home.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        small(iteration=2).write(tmp_path / "c")
    assert Checkpoint.read(tmp_path / "c").iteration == 1
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_file_cut_short_anywhere_is_refused(tmp_path):
    small().write(tmp_path / "c")
    data = (tmp_path / "c").read_bytes()
    for length in range(len(data)):
        (tmp_path / "c").write_bytes(data[:length])
        with pytest.raises(ValueError, match="damaged"):
            Checkpoint.read(tmp_path / "c")


def test_a_file_with_any_byte_changed_is_refused_or_the_same(tmp_path):
    small().write(tmp_path / "c")
    data = (tmp_path / "c").read_bytes()
    for at in range(len(data)):
        (tmp_path / "c").write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        try:
            found = Checkpoint.read(tmp_path / "c")
        except ValueError:
            continue
        assert equal(found, small())


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "random"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        Checkpoint.read(path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    from safetensors.torch import save_file

    from scumble.engine.sealed import seal

    save_file({"picture": noise(1, 3, 2, 2)}, tmp_path / "c")
    with pytest.raises(ValueError, match="damaged"):
        Checkpoint.read(tmp_path / "c")
    for kind in ("scumble matrices 1", "scumble checkpoint 1"):
        (tmp_path / "c").write_bytes(seal(kind, {"level": 0}, {}))
        with pytest.raises(ValueError, match="checkpoint"):
            Checkpoint.read(tmp_path / "c")


def test_no_file_is_no_damage(tmp_path):
    with pytest.raises(FileNotFoundError):
        Checkpoint.read(tmp_path / "c")
