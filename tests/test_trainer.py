"""The training of features: the course, the pool, the student, its marks, and a training that goes on."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open

from scumble.engine.vgg import Trunk
from scumble.engine.weights import SEEDED, Training, from_file, seeded
from scumble.errors import ScumbleError
from scumble.recipe import Padding
from scumble.training.course import Course, Lesson, Note
from scumble.training.exam import TEMPERATURE, layout_loss, marked, places_loss, seen_loss, traits
from scumble.training.pictures import Sample
from scumble.training.pool import BARE, Pairs, Pool
from scumble.training.student import LAYOUT_LAYERS, Answers, Student
from scumble.training.styles import Styles
from scumble.training.trainer import Trainer
from scumble.training_cli import train_features

CPU = torch.device("cpu")
SMALL = Course(styles=6, seed=3, pool=64, lessons=(Lesson(32, 16, 4, 8), Lesson(48, 8, 2, 4)))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# ------------------------------------------------------------------------------------------------------------- course


def test_lessons_follow_each_other():
    assert SMALL.steps == 6
    assert [SMALL.lesson_at(step).size for step in range(7)] == [32] * 4 + [48] * 3


def test_a_shorter_course_keeps_every_lesson():
    assert [lesson.steps for lesson in SMALL.shortened(0.5).lessons] == [2, 1]
    assert [lesson.steps for lesson in SMALL.shortened(1e-6).lessons] == [1, 1]


def test_a_course_is_json():
    told = json.loads(SMALL.as_json())
    assert told["seed"] == 3 and told["lessons"][1] == {"size": 48, "batch": 8, "steps": 2, "fresh": 4}


def test_a_note_is_a_line():
    line = Note(50, 400, 61.2, 1.5, 0.25, 0.5, 0.75, 0.125, 0.5).line()
    assert "50/400" in line and "25.0 %" in line and "61 s" in line


# --------------------------------------------------------------------------------------------------------------- pool


def pool(count=12, size=32):
    return Pool(Styles.drawn(5, 1), size, count, generator())


def test_the_pool_holds_so_many_and_the_oldest_make_room():
    mine = pool()
    mine.add(8)
    assert mine.filled == 8
    mine.add(8)
    assert mine.filled == 12
    shown = mine.take(20)
    assert shown.sample.pictures.shape == (20, 3, 32, 32) and shown.sample.layout.shape == (20, 2, 32, 32)
    assert shown.which.shape == (20,) and shown.shift.shape == (10, 2)


def test_pairs_are_what_was_drawn_with_their_styles():
    mine = pool()
    mine.add(12)
    shown = mine.take(20)
    for pair in range(10):
        down, right = shown.shift[pair].tolist()
        first, second = shown.sample.layout[pair], shown.sample.layout[10 + pair].roll((-down, -right), (1, 2))
        found = [
            index
            for index in range(6)
            if any(
                torch.equal(turn(mine._layouts[index, 0]), first) and torch.equal(turn(mine._layouts[index, 1]), second)
                for turn in (torch.clone, lambda layout: layout.flip(2))
            )
        ]
        assert found
        assert mine._which[found[0]].tolist() == [shown.which[pair], shown.which[10 + pair]]


def test_pairs_show_the_same_and_are_shifted_apart():
    mine = pool(40, 64)
    mine.add(40)
    shown = mine.take(60)
    alike, apart = [], []
    for pair in range(30):
        by = tuple((-shown.shift[pair]).tolist())
        first, second = shown.sample.layout[pair, 0], shown.sample.layout[30 + pair, 0]
        alike.append(np.corrcoef(first.flatten(), second.roll(by, (0, 1)).flatten())[0, 1])
        apart.append(np.corrcoef(first.flatten(), second.flatten())[0, 1])
    assert np.mean(alike) > 0.7  # contours stray, each style's its own way
    assert np.mean(apart) < 0.5 and len(shown.shift.unique()) == 4


def test_some_are_bare_and_have_no_style():
    mine = pool(200)
    mine.add(200)
    shown = mine.take(400)
    bare = shown.which == BARE
    assert 0.15 < bare[:200].float().mean() < 0.45 and not bare[200:].any()

    def fine(pictures):  # what is left of it beside the mean of its neighbours
        return (pictures - torch.nn.functional.avg_pool2d(pictures, 3, 1, 1)).abs()[..., 1:-1, 1:-1].median()

    assert fine(shown.sample.pictures[bare]) < 0.5 * fine(shown.sample.pictures[~bare])


# ------------------------------------------------------------------------------------------------------------ student


def test_the_first_layer_sees_everything_and_does_not_learn():
    student = Student("vgg19-lite", 4, 3)
    assert torch.equal(student.frame, seeded("vgg19-lite").filters["conv1_1"])
    assert "conv1_1" not in student.convolutions
    assert np.linalg.matrix_rank(student.frame.flatten(1).numpy()) == 27


def test_folded_features_are_the_student_in_use():
    """The engine's network, from the folded filters, sees what the student sees; two implementations."""
    trainer = Trainer(SMALL, CPU)
    trainer.run(lambda note: None)
    student = trainer._student.eval()
    pictures = torch.rand(1, 3, 64, 64, generator=generator())
    seen = {}
    for name in ("conv2_1", "conv4_4", "conv5_4"):
        student.norms[name].register_forward_hook(lambda _m, _i, out, name=name: seen.update({name: out.relu()}))
    with torch.no_grad():
        student(pictures)
        trunk = Trunk(trainer.features(), list(seen), padding=Padding.ZEROS)
        maps = trunk.forward(trunk.prepare(pictures))
    for name, expected in seen.items():
        assert torch.allclose(maps[name], expected, atol=1e-4 * float(expected.max())), name


# --------------------------------------------------------------------------------------------------------------- exam


def answers(layouts):
    return Answers(torch.zeros(2, 4), torch.zeros(2, 3), layouts, {}, {})


def test_layout_loss_wants_the_light_light():
    layout = torch.rand(2, 2, 32, 32, generator=generator())
    sides = dict(zip(LAYOUT_LAYERS, (8, 4), strict=True))
    small = {name: torch.nn.functional.avg_pool2d(layout, 32 // side) for name, side in sides.items()}
    assert float(layout_loss(answers(small), layout)) == pytest.approx(0, abs=5e-3)
    inverted = {name: each * torch.tensor([-1.0, 1.0])[:, None, None] for name, each in small.items()}
    assert float(layout_loss(answers(inverted), layout)) == pytest.approx(2, abs=1e-2)


def test_layout_loss_is_numpys_correlation():
    layout = torch.rand(2, 2, 8, 8, generator=generator())
    found = torch.rand(2, 2, 8, 8, generator=generator(1))
    expected = 0.0
    for a, b in zip(found.numpy(), layout.numpy(), strict=True):
        r = [np.corrcoef(a[k].ravel(), b[k].ravel())[0, 1] for k in range(2)]
        expected += (1 - r[0] + 1 - r[1]) / 2
    assert float(layout_loss(answers({"conv3_4": found}), layout)) == pytest.approx(expected, rel=1e-4)


def test_seen_loss_is_the_share_of_the_variance_that_is_missed():
    pictures = torch.rand(2, 3, 32, 32, generator=generator())
    small = torch.nn.functional.avg_pool2d(pictures, 4)
    told = replace(answers({}), seen={"conv3_1": small})
    assert float(seen_loss(told, pictures)) == pytest.approx(0, abs=1e-6)
    mean = small.mean((2, 3), keepdim=True).expand_as(small)
    variance = np.asarray(small).var((2, 3)).mean()
    told = replace(told, seen={"conv3_1": mean})
    assert float(seen_loss(told, pictures)) == pytest.approx(variance / (variance + 1e-3), rel=1e-4)


def pairs(pictures, shift, which=(0, 1)):
    return Pairs(Sample(pictures, torch.zeros(len(pictures), 2, *pictures.shape[2:])), torch.tensor(which), shift)


def test_places_are_known_again_where_the_twin_is_shifted_to():
    first = torch.randn(1, 20, 4, 4, generator=generator())
    told = replace(answers({}), places={"conv3_1": torch.cat([first + 5, 3 * first.roll((1, 2), (2, 3)) - 7])})
    shown = pairs(torch.rand(2, 3, 16, 16), torch.tensor([[4, 8]]))
    assert float(places_loss(told, shown)) < 0.1  # the picture's own mean and size do not matter
    assert float(places_loss(told, replace(shown, shift=torch.tensor([[8, 4]])))) > 1


def test_places_loss_is_the_cross_entropy_in_numpy():
    maps = torch.randn(2, 5, 3, 3, generator=generator())
    shown = pairs(torch.rand(2, 3, 9, 9), torch.zeros(1, 2, dtype=torch.long))
    found = float(places_loss(replace(answers({}), places={"x": maps}), shown))
    ones, others = (np.asarray(each).reshape(5, 9).T for each in maps.double())
    ones, others = ((rows - rows.mean(0)) for rows in (ones, others))
    ones, others = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (ones, others))
    alike = np.exp(ones @ others.T / TEMPERATURE)
    there, back = (-np.log(np.diag(alike) / alike.sum(axis)).mean() for axis in (1, 0))
    assert found == pytest.approx((there + back) / 2 / np.log(9), rel=1e-4)


def test_marks_count_what_is_right():
    maps = torch.rand(2, 2, 8, 8)
    told = Answers(
        torch.tensor([[5.0, 0.0], [5.0, 0.0]]),
        torch.zeros(2, 3),
        {"conv3_4": maps},
        {"conv3_1": maps[:, :1].repeat(1, 3, 1, 1)},
        {"conv3_1": maps},
    )
    shown = replace(pairs(torch.rand(2, 3, 8, 8), torch.zeros(1, 2, dtype=torch.long)))
    shown = replace(shown, sample=replace(shown.sample, layout=maps))
    mark = marked(told, shown, torch.ones(2, 3))
    assert float(mark.right) == 0.5 and float(mark.traits) == 1.0 and float(mark.layout) == pytest.approx(0, abs=1e-3)
    assert mark.numbers()[1] == 0.5 and len(mark.numbers()) == 6
    worse = marked(told, replace(shown, which=torch.tensor([1, 1])), torch.ones(2, 3))
    assert worse.loss > mark.loss
    # of a picture without marks no style is asked
    bare = marked(told, replace(shown, which=torch.tensor([0, BARE])), torch.stack([torch.zeros(3), torch.ones(3)]))
    assert float(bare.right) == 1 and float(bare.traits) == 0


def test_traits_are_standardised():
    table = traits(Styles.drawn(500, 1))
    assert torch.allclose(table.mean(0), torch.zeros(table.shape[1]), atol=1e-4)
    assert torch.allclose(table.std(0), torch.ones(table.shape[1]), atol=1e-3)


# ------------------------------------------------------------------------------------------------------------ trainer


def test_it_learns():
    course = Course(styles=4, seed=1, pool=128, lessons=(Lesson(32, 32, 40, 16),))
    trainer = Trainer(course, CPU)
    notes = []
    trainer.run(notes.append, every=10)
    assert [note.step for note in notes] == [10, 20, 30, 40] and trainer.is_done
    assert notes[-1].loss < notes[0].loss
    assert notes[-1].right > 0.5  # of four


def test_the_same_course_gives_the_same_features():
    digests = set()
    for _ in range(2):
        trainer = Trainer(SMALL, CPU)
        trainer.run(lambda note: None)
        digests.add(trainer.features().digest)
    other = Trainer(replace(SMALL, seed=4), CPU)
    other.run(lambda note: None)
    assert len(digests) == 1 and other.features().digest not in digests


def test_a_training_goes_on(tmp_path):
    first = Trainer(SMALL, CPU)
    first.run(lambda note: None, until=3)
    first.save(tmp_path / "x.training")
    second = Trainer(SMALL, CPU)
    second.load(tmp_path / "x.training")
    assert second.step == 3 and second.seconds == first.seconds
    assert second.features().digest == first.features().digest
    second.run(lambda note: None)
    assert second.is_done and second.features().digest != first.features().digest


@pytest.mark.parametrize("damage", ["other", "cut", "nothing"])
def test_a_training_that_cannot_go_on_says_so(tmp_path, damage):
    kept = tmp_path / "x.training"
    trainer = Trainer(SMALL, CPU)
    trainer.save(kept)
    if damage == "other":
        trainer = Trainer(replace(SMALL, seed=9), CPU)
    else:
        kept.write_bytes(kept.read_bytes()[:5000] if damage == "cut" else b"")
    with pytest.raises(ScumbleError) as error:
        trainer.load(kept)
    assert error.value.code == "bad-weights" and "x.training" in error.value.detail
    assert ("other settings" in error.value.detail) == (damage == "other")


def test_what_is_written_is_what_was_learnt(tmp_path):
    trainer = Trainer(SMALL, CPU)
    trainer.run(lambda note: None)
    trainer.write(tmp_path / "mine.safetensors")
    found = from_file(tmp_path / "mine.safetensors")
    assert found.training is Training.PROCEDURAL and found.preprocessing == SEEDED
    for name, filters in trainer.features().filters.items():
        assert torch.allclose(found.filters[name], filters, rtol=1e-3, atol=1e-5)  # it is kept in halves
    with safe_open(tmp_path / "mine.safetensors", "pt") as file:
        assert json.loads(file.metadata()["course"]) == json.loads(SMALL.as_json())


# ------------------------------------------------------------------------------------------------------------ command


def test_the_command_trains_stops_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("scumble.training.course.standard", lambda seed: replace(SMALL, seed=seed))
    out = tmp_path / "deep" / "mine.safetensors"
    first = CliRunner().invoke(train_features, ["-o", str(out), "--until", "2"])
    assert first.exit_code == 0 and "step 2 of 6" in first.output and not out.exists()
    second = CliRunner().invoke(train_features, ["-o", str(out)])
    assert second.exit_code == 0 and "Going on at step 2" in second.output
    assert from_file(out).training is Training.PROCEDURAL
    assert "6/6" in out.with_suffix(".log").read_text()
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "mine.log",
        "mine.safetensors",
        "mine.safetensors.sha256",
    ]


def test_the_command_says_what_it_cannot_write(tmp_path):
    (tmp_path / "file").write_text("")
    found = CliRunner().invoke(train_features, ["-o", str(tmp_path / "file" / "x.safetensors"), "--share", "0.001"])
    assert isinstance(found.exception, ScumbleError) and found.exception.code == "cannot-write"
