"""`scumble train` and `scumble models`, and painting with what they leave."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers import trained

from scumble import train_cli
from scumble.cli import cli
from scumble.console import Watch
from scumble.engine import models
from scumble.picture import Picture, load, save

TINY = [
    *("--steps", "3", "--size", "64", "--square", "32", "--batch", "1", "--width", "4", "--blocks", "1"),
    *("--features", "seeded-vgg11"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path / "home"))
    rng = np.random.default_rng(0)
    for name in ("photo", "a", "b"):
        save(Picture.from_rgb(rng.random((40, 56, 3)).astype(np.float32)), f"{name}.png")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(before)


def scumble(*words, status=0):
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result


def test_a_style_that_was_trained_is_painted_with_at_once():
    said = scumble("train", "--style", "a.png", *TINY).stderr
    assert re.search(r"3 steps of 1 squares of 32 px", said)
    assert re.search(r"step \d of 3  loss [\d.]+ \(content [\d.e-]+, style [\d.]+\)", said)
    assert "home/models/a.scumble written" in said
    assert [path.name for path in sorted(models.folder().iterdir())] == ["a-report.png", "a.scumble"]
    assert "a " in scumble("models", "list").stdout
    painting = scumble("paint", "photo.png", "--style", "a.png", "--engine", "fast", "-o", "out.png").stderr
    assert "trained a · 56 × 40 px, 1 level, 1 iteration" in painting
    assert load("out.png").text["scumble:features"] == "trained a"
    assert '"model": "a"' in load("out.png").text["scumble:recipe"]
    assert (load("out.png").pixels != load("photo.png").pixels).mean() > 0.9


def test_a_style_that_was_not_trained_is_named():
    refused = scumble("paint", "photo.png", "--style", "b.png", "--engine", "fast", status=2).stderr
    assert "'b.png'" in refused
    assert "scumble train" in refused


def test_several_styles_are_learnt_together():
    scumble("train", "--style", "a.png", "--style", "b.png", *TINY, "-o", "both.scumble")
    assert [style.name for style in models.describe(Path("both.scumble")).styles] == ["a", "b"]
    scumble(
        *("paint", "photo.png", "--style", "a.png", "--model", "both.scumble#1", "--weight", "0.3"),
        *("--style", "b.png", "--model", "both.scumble#b", "--engine", "fast", "-o", "out.png"),
    )


def test_the_picture_tells_which_of_a_models_styles_is_meant():
    scumble("train", "--style", "a.png", "--style", "b.png", *TINY, "-o", "both.scumble")
    painted = {}
    for model in ("both.scumble", "both.scumble#b", "both.scumble#a"):
        scumble("paint", "photo.png", "--style", "b.png", "--model", model, "--engine", "fast", "-o", "out.png")
        painted[model] = load("out.png").pixels
    assert (painted["both.scumble"] == painted["both.scumble#b"]).all()
    assert (painted["both.scumble"] != painted["both.scumble#a"]).any()


def test_several_styles_are_learnt_for_longer_where_nobody_says():
    """`_course` is what the command asks for; to run so long a training to its end would take an hour."""
    options = {each.name: each.default for each in train_cli.train.params if each.name != "steps"}
    for files, steps in ((["a.png"], 1500), (["a.png", "b.png", "c.png"], 2000)):
        asked = {**options, "set_": (), "steps": None}
        assert train_cli._course(files, asked, gpu=False).steps == steps
        assert train_cli._course(files, {**asked, "steps": 7}, gpu=False).steps == 7


def test_photographs_of_ones_own_are_learnt_on():
    Path("photos").mkdir()
    refused = scumble("train", "--style", "a.png", "--images", "photos", *TINY, status=2).stderr
    assert "no picture in photos" in refused
    save(load("photo.png"), "photos/x.png")
    scumble("train", "--style", "a.png", "--images", "photos", *TINY)


def test_photographs_take_turns_with_drawn_pictures():
    save(Picture.from_rgb(np.full((40, 40, 3), 0.5, np.float32)), "even.png")
    Path("photos").mkdir()
    Path("even.png").rename("photos/even.png")
    generator = torch.Generator().manual_seed(0)
    shown = [train_cli._source("photos", 0).base(number, generator) for number in range(4)]
    assert [float(base.std()) < 0.01 for base in shown] == [True, False, True, False]
    assert float(train_cli._source(None, 0).base(0, generator).std()) > 0.01


def test_ctrl_c_keeps_what_was_learnt_and_the_same_command_goes_on(monkeypatch):
    with monkeypatch.context() as pressed:
        pressed.setattr(Watch, "stopping", property(lambda watch: watch._moment.share > 0.5))
        said = scumble("train", "--style", "a.png", *TINY).stderr
    assert "Stopped at step 2 of 3; the same command goes on." in said
    assert models.describe(models.find("a")).steps == 2
    said = scumble("train", "--style", "a.png", *TINY).stderr
    assert "Going on at step 2 of 3." in said
    assert models.describe(models.find("a")).steps == 3
    assert not list(models.folder().glob("*.training"))


def test_a_training_with_other_settings_is_not_gone_on_with_unless_begun_anew(monkeypatch):
    monkeypatch.setattr(Watch, "stopping", property(lambda watch: True))
    scumble("train", "--style", "a.png", *TINY)
    refused = scumble("train", "--style", "a.png", *TINY, "--seed", "3", status=2).stderr
    assert "other settings" in refused
    scumble("train", "--style", "a.png", *TINY, "--seed", "3", "--again")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "out.png"], ".scumble"),
        (["-o", "none/out.scumble"], "no folder none"),
        (["--square", "33"], "multiple of four"),
        (["--set", "nothing"], "no “=”"),
        (["--set", "nonsense=1"], "nonsense"),
        (["--features", "nobody"], "nobody"),
        (["--style", "none.png"], "none.png"),
        (["--device", "nowhere"], "nowhere"),
        (["--set", "style_layers=conv9_9"], "conv9_9"),
    ],
)
def test_what_cannot_be_trained_is_said_and_nothing_is_left(words, said):
    refused = scumble("train", "--style", "a.png", *TINY, *words, status=2).stderr
    assert said in refused
    assert not list(Path().rglob("*.scumble"))


def test_models_come_and_go():
    models.write(trained("night"), Path("x.scumble"))
    scumble("models", "add", "x.scumble", "--name", "sky")
    assert "sky" in scumble("models", "list").stdout
    assert scumble("models", "path").stdout.strip() == str(models.folder())
    scumble("paint", "photo.png", "--style", "a.png", "--model", "sky", "--engine", "fast")
    scumble("models", "remove", "sky")
    assert scumble("models", "list").stdout == ""
    assert "no model 'sky'" in scumble("models", "remove", "sky", status=2).stderr
    Path("bad.scumble").write_bytes(b"nothing")
    assert "bad.scumble cannot be used" in scumble("models", "add", "bad.scumble", status=2).stderr
    assert "no file none.scumble" in scumble("models", "add", "none.scumble", status=2).stderr
