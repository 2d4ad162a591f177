"""A folder of pictures painted from the command line, and the frames of a video."""

import hashlib
import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers import trained

from scumble import batch as module
from scumble.batch import sources
from scumble.cli import cli
from scumble.console import Watch
from scumble.drawn import scene
from scumble.engine import embedded, models
from scumble.engine.features import resolve
from scumble.engine.painter import Painter
from scumble.journal import NAME, Journal
from scumble.picture import Picture, load, save
from scumble.recipe import Output, Recipe
from scumble.video import Frame, going_on

QUICK = ["--style", "a.png", "--size", "48", "--iterations", "2", "--set", "scales=1"]
QUICK += ["--set", "features=seeded-vgg11", "--set", "normalized=false"]
WIDTH, HEIGHT = 64, 48


@pytest.fixture(autouse=True)
def one_thread():
    """On a machine that others use too, two threads wait for each other far longer than such small pictures take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def large():
    return Picture.from_rgb(scene(96, 64).rgb).pixels


@pytest.fixture
def folder(tmp_path, monkeypatch, large):
    """A folder to work in, with a style, and a folder `in` with three pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(embedded, "FOLDER", tmp_path / "embedded")
    save(Picture.from_rgb(np.random.default_rng(0).random((40, 40, 3))), "a.png")
    Path("in").mkdir()
    for number, name in enumerate(("p1.png", "p2.png", "p10.png")):
        save(Picture(large[:HEIGHT, number : number + WIDTH]), f"in/{name}")
    return tmp_path


@pytest.fixture
def calls(monkeypatch):
    """The recipes that were painted."""
    found = []
    paint = Painter.paint

    def noted(painter, content, recipe, *rest, **more):
        found.append(recipe)
        return paint(painter, content, recipe, *rest, **more)

    monkeypatch.setattr(Painter, "paint", noted)
    return found


def run(*words, status=0, quick=QUICK):
    result = CliRunner().invoke(cli, ["batch", "in", "-o", "out", *quick, *map(str, words)])
    assert result.exit_code == status, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


def names(path="out"):
    return sorted(each.relative_to(path).as_posix() for each in Path(path).rglob("*") if each.is_file())


def frames(count, large, *, cut=None):
    """A video: the scene, one px further with every frame; from `cut` on another one."""
    for path in Path("in").iterdir():
        path.unlink()
    for number in range(count):
        pixels = large if cut is None or number < cut else 255 - large[::-1]
        save(Picture(pixels[:HEIGHT, number : number + WIDTH]), f"in/f{number}.png")


# ---------------------------------------------------------------------------------------------------------- a folder


def test_every_picture_of_the_folder_is_painted_and_keeps_its_name(folder, calls):
    Path("in/notes.txt").write_text("No picture.")
    Path("in/.hidden.png").write_text("None either.")
    Path("in/deeper").mkdir()
    shutil.copy("in/p1.png", "in/deeper/p1.png")
    said = run()
    assert names() == [NAME, "p1.png", "p10.png", "p2.png"]
    assert "out: 3 painted, in " in said
    assert len(calls) == 3
    for name in ("p1.png", "p2.png", "p10.png"):
        result, source = load(f"out/{name}"), load(f"in/{name}")
        assert result.size == source.size
        assert (result.pixels != source.pixels).any()
        assert result.text["scumble:content"] == f"in/{name}"
        assert json.loads(result.text["scumble:recipe"])["styles"] == [{"picture": "a.png"}]


def test_a_result_is_what_paint_makes_of_it(folder):
    run()
    CliRunner().invoke(cli, ["paint", "in/p2.png", *QUICK, "-o", "alone.png"])
    assert (load("out/p2.png").pixels == load("alone.png").pixels).all()


def test_numbers_in_names_count_as_numbers(folder):
    assert [source.name for source in sources(Path("in"), Path("out"))] == ["p1.png", "p2.png", "p10.png"]


def test_folders_in_the_folder_only_when_asked_for_and_never_the_results(folder):
    Path("in/deeper/still").mkdir(parents=True)
    shutil.copy("in/p1.png", "in/deeper/still/q.png")
    Path("in/out").mkdir()
    shutil.copy("in/p1.png", "in/out/p1.png")
    found = sources(Path("in"), Path("in/out"), recursive=True)
    assert [source.result for source in found] == [
        Path("in/out") / name for name in ("deeper/still/q.png", "p1.png", "p2.png", "p10.png")
    ]
    run("--recursive", "--iterations", "1")
    assert "deeper/still/q.png" in names()


def test_results_may_be_of_another_format(folder):
    Path("in/p2.png").rename("in/p2.PNG")
    run("--format", "jpeg")
    assert names() == [NAME, "p1.jpg", "p10.jpg", "p2.jpg"]
    assert load("out/p2.jpg").size == (WIDTH, HEIGHT)
    assert [each.result_name for each in sources(Path("in"), Path("x"), "png")] == ["p1.png", "p2.PNG", "p10.png"]


def test_one_painter_paints_them_all(folder, monkeypatch):
    made = []
    monkeypatch.setattr("scumble.engine.painter.resolve", lambda *a, **k: made.append(1) or resolve(*a, **k))
    run()
    assert len(made) == 1


def test_it_says_which_of_how_many_and_how_long_it_all_takes(folder, monkeypatch):
    monkeypatch.setattr("scumble.console.PAUSE", 0)
    said = run()
    assert "1 of 3  p1.png" in said
    assert "3 of 3  p10.png" in said
    assert " left" in said
    assert said.count("features · 48 × 36 px") == 1


# ------------------------------------------------------------------------------------------------------- going on


def test_what_is_there_is_not_painted_again(folder, calls):
    run()
    before = {name: Path("out", name).stat().st_mtime_ns for name in names()}
    assert "0 painted, 3 were there" in run()
    assert len(calls) == 3
    assert {name: Path("out", name).stat().st_mtime_ns for name in names()} == before


@pytest.mark.parametrize("format", ["jpeg", "tiff", "webp"])
def test_nor_in_any_other_format(folder, format):
    run("--format", format)
    assert "3 were there" in run("--format", format)


def test_another_picture_another_style_and_another_recipe_are_painted(folder):
    run()
    shutil.copy("in/p1.png", "in/p2.png")
    assert "1 painted, 2 were there" in run()
    assert "3 painted" in run("--strength", "70")
    save(Picture.from_rgb(np.random.default_rng(1).random((40, 40, 3))), "a.png")
    assert "3 painted" in run("--strength", "70")
    Path("out/p1.png").unlink()
    assert "1 painted, 2 were there" in run("--strength", "70")
    assert "3 painted" in run("--strength", "70", "--again")


def test_a_folder_is_painted_with_a_trained_style_until_that_is_another(folder, calls):
    digest = hashlib.sha256(Path("a.png").read_bytes()).hexdigest()
    models.keep(trained("a", digests=[digest]).data(), "a")
    run("--engine", "fast")
    run("--engine", "fast")
    assert [recipe.styles[0].model for recipe in calls] == ["a"] * 3
    models.keep(trained("a", digests=[digest], seed=1).data(), "a")
    run("--engine", "fast")
    assert len(calls) == 6


def test_a_retouched_result_stays(folder):
    run()
    save(Picture(np.zeros((HEIGHT, WIDTH, 3), np.uint8)), "out/p1.png")
    assert "3 were there" in run()
    assert not load("out/p1.png").pixels.any()


def test_what_somebody_else_has_put_there_is_not_painted_over(folder):
    Path("out").mkdir()
    Path("out/p2.png").write_text("mine")
    said = run(status=1)
    assert "p2.png: out/p2.png is there already, and is not from here." in said
    assert "2 painted, 1 refused" in said
    assert Path("out/p2.png").read_text() == "mine"
    assert "3 painted" in run("--again")


def test_a_result_that_was_cut_short_is_painted_again(folder, monkeypatch):
    """The process ends while the second is written."""

    def killed(picture, path):
        if Path(path).name == "p2.png":
            Path(path).write_bytes(b"half")
            raise KeyboardInterrupt
        save(picture, path)

    with monkeypatch.context() as patch:
        patch.setattr(module, "save", killed)
        assert CliRunner().invoke(cli, ["batch", "in", "-o", "out", *QUICK]).exit_code == 130
    assert "2 painted, 1 was there" in run()
    assert load("out/p2.png").size == (WIDTH, HEIGHT)


def interrupt(patch, at, times=1):
    """Ctrl-C during the picture of that number, from 1."""
    on_step = Watch.on_step

    def interrupted(watch, step):
        if watch._job + 1 == at:
            for _ in range(times):
                watch._interrupts += 1
        return on_step(watch, step)

    patch.setattr(Watch, "on_step", interrupted)


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_keeps_what_is_finished_and_the_same_command_goes_on(folder, monkeypatch, times):
    with monkeypatch.context() as patch:
        interrupt(patch, 2, times)
        said = run(status=130)
    assert names() == [NAME, "p1.png"]
    assert "1 painted" in said
    assert "what is finished is kept" in said
    assert "The same command goes on." in said
    assert "2 painted, 1 was there" in run()


# ---------------------------------------------------------------------------------------------------------- refusals


def test_one_that_fails_does_not_stop_the_others(folder):
    Path("in/p2.png").write_text("This is no picture.")
    said = run(status=1)
    assert "p2.png: in/p2.png cannot be read" in said
    assert "2 painted, 1 refused" in said
    assert names() == [NAME, "p1.png", "p10.png"]


def test_where_all_fail_the_status_is_theirs(folder):
    for path in Path("in").iterdir():
        path.write_text("This is no picture.")
    said = run(status=2)
    assert "0 painted, 3 refused" in said


def test_what_is_wrong_with_the_recipe_ends_it_at_once(folder):
    for words in (["--set", "content_layers=conv1_4"], ["--set", "styles=[]"]):
        said = run(*words, status=2)
        assert said.startswith("Error: ")
        assert "p2.png" not in said


@pytest.mark.parametrize(
    ("words", "sentence", "hint"),
    [
        (["nowhere", "-o", "out"], "There is no folder nowhere.", "path"),
        (["a.png", "-o", "out"], "There is no folder a.png.", "scumble paint"),
        (["in", "-o", "in"], "in is the folder of the pictures themselves.", "-o"),
        (["in", "-o", "in/../in"], "is the folder of the pictures themselves.", "-o"),
        (["empty", "-o", "out"], "There is no picture in empty.", "--recursive"),
        (["in", "-o", "a.png"], "a.png cannot be made", "folder"),
        (["in", "-o", "a.png/out"], "a.png/out cannot be made", "folder"),
        (["in", "-o", "."], "p1.png is one of the pictures to paint from.", "-o"),
        (["in", "-o", "out", "--format", "gif"], "--format gif is none of png", "one of them"),
        (["twice", "-o", "out", "--format", "png"], "p.png and p.tif would both become out/p.png", "--format"),
        (["in", "-o", "out", "--style", "no.png"], "There is no file no.png.", "path"),
    ],
)
def test_a_refusal_is_a_sentence_and_a_hint_and_leaves_nothing(folder, words, sentence, hint):
    Path("empty").mkdir()
    Path("twice").mkdir()
    for name in ("twice/p.png", "twice/p.tif", "p1.png"):
        save(load("in/p1.png"), name)
    style = ["--style", "p1.png"] if words[2] == "." else ["--style", "a.png"]
    before = names(".")
    result = CliRunner().invoke(cli, ["batch", *words, *style, "--iterations", "1"])
    assert result.exit_code == 2, result.stderr
    first, second = result.stderr.splitlines()
    assert sentence in first
    assert second.startswith("Hint: ")
    assert hint in second
    assert names(".") == before


def test_a_folder_is_painted_into_by_one_alone(folder):
    Path("out").mkdir()
    with Journal(Path("out")):
        said = run(status=2)
    assert "Another `scumble batch` is painting into out." in said
    assert names() == [NAME]


def test_a_torn_line_of_the_journal_is_none(folder):
    run()
    path = Path("out", NAME)
    *lines, last = path.read_text().splitlines()
    path.write_text("\n".join([*lines, last[: len(last) // 2]]))
    assert "1 painted, 2 were there" in run()
    assert "3 were there" in run()


def test_after_a_torn_line_a_new_one_begins(folder):
    Path("in", NAME).write_text('{"result": "a.png"}\n{"resu')
    with Journal(Path("in")) as journal:
        journal.begin("b.png")
    with Journal(Path("in")) as journal:
        assert journal.knows("a.png")
        assert journal.knows("b.png")
        assert not journal.is_done("b.png", "key")


# ------------------------------------------------------------------------------------------------------------- video


def test_only_a_video_needs_opencv():
    """It takes longer to load than all else that says what there is to do."""
    code = "import sys, scumble.batch, scumble.engine.painter; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "scumble.video" in loaded
    assert "cv2" not in loaded


def test_each_frame_goes_on_from_the_one_before(folder, large, calls):
    frames(3, large)
    said = run("--video")
    assert "3 painted" in said
    assert [recipe.steady_picture is None for recipe in calls] == [True, False, False]
    assert "scumble:steady" not in load("out/f2.png").text["scumble:recipe"]
    steady = [load(f"out/f{number}.png").rgb() for number in range(3)]
    run("--again")
    free = [load(f"out/f{number}.png").rgb() for number in range(3)]
    assert (steady[0] == free[0]).all()

    def restless(painted):  # the scene goes one px to the left with every frame
        return np.mean([np.abs(b[4:-4, 8:-9] - a[4:-4, 9:-8]).mean() for a, b in itertools.pairwise(painted)])

    assert restless(steady) < 0.5 * restless(free)


def test_a_cut_starts_afresh_and_says_so(folder, large, calls):
    frames(4, large, cut=2)
    said = run("--video")
    assert said.count("starts afresh") == 1
    assert "f2.png: little of the frame before is in it, so it starts afresh." in said
    assert [recipe.steady_picture is None for recipe in calls] == [True, False, True, False]


def test_a_frame_of_another_size_starts_afresh(folder, large):
    frames(2, large)
    save(Picture(large[:HEIGHT, : WIDTH - 2]), "in/f2.png")
    assert "f2.png: little of the frame before" in run("--video")


def test_a_video_that_was_interrupted_becomes_the_same(folder, large, monkeypatch):
    frames(4, large)
    run("--video")
    whole = [load(f"out/f{number}.png").pixels for number in range(4)]
    shutil.rmtree("out")
    with monkeypatch.context() as patch:
        interrupt(patch, 3)
        run("--video", status=130)
    assert "2 painted, 2 were there" in run("--video")
    for number in range(4):
        assert (load(f"out/f{number}.png").pixels == whole[number]).all()
    assert "4 were there" in run("--video")


def test_what_comes_after_a_changed_frame_is_painted_again(folder, large):
    frames(4, large)
    run("--video")
    save(Picture(255 - load("out/f1.png").pixels), "out/f1.png")
    assert "2 painted, 2 were there" in run("--video")
    assert "4 painted" in run()


def test_a_frame_that_fails_is_stepped_over(folder, large, calls):
    frames(3, large)
    Path("in/f1.png").write_text("This is no picture.")
    assert "2 painted, 1 refused" in run("--video", status=1)
    assert calls[1].steady_picture is not None


@pytest.mark.parametrize("output", Output)
@pytest.mark.parametrize("has_alpha", [True, False])
def test_what_was_painted_is_found_below_what_shows_through(large, output, has_alpha):
    """Of a result that is mixed with its content, or lies on white."""
    content = Picture.from_rgb(large[:HEIGHT, :WIDTH] / 255, "float32")
    mask = np.zeros((HEIGHT, WIDTH, 1), np.float32)
    mask[:, 20:], mask[:, 40:] = 0.5, 1
    painting = np.random.default_rng(1).random((HEIGHT, WIDTH, 3)).astype(np.float32)
    shown = painting
    if output is Output.PICTURE:
        shown = content.rgb() + mask * (painting - content.rgb())
    if output is Output.LAYER:
        shown = np.concatenate([painting, mask], 2) if has_alpha else 1 + mask * (painting - 1)
    recipe = Recipe(styles=({"picture": "a"},), selection="m", output=output)
    asked, pictures = going_on(Frame(content, Picture(shown)), content, recipe, {"m": Picture(mask)})
    found = pictures[asked.steady_picture].rgb()
    assert np.abs(found - painting)[8:-8, 28:-8].max() < 1e-3
    trust = pictures[asked.steady_mask].as_mask()
    assert (trust[8:-8, :12] == 0).all()
    assert (trust[8:-8, 28:-8] == 1).all()
    begun = pictures[asked.start_picture].rgb()
    assert np.abs(begun - content.rgb())[8:-8, :12].max() < 1e-6
