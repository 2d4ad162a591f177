"""The command line, as a person or a script meets it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers import ship

from scumble.cli import cli
from scumble.engine import embedded, weight_store, weights
from scumble.errors import ScumbleError
from scumble.options import _OPTIONS, RECIPE_FIELDS, STYLE_FIELDS, Request, put
from scumble.picture import Picture, load, save
from scumble.recipe import PRESET_NOTES, PRESETS, Engine, KeepColors, Optimizer, Output, Quality, Recipe

QUICK = ["--iterations", "3", "--set", "features=seeded-vgg11", "--set", "normalized=false", "--set", "scales=1"]
WIDTH, HEIGHT = 64, 48


@pytest.fixture(autouse=True)
def one_thread():
    """On a machine that others use too, two threads wait for each other far longer than such small pictures take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with a photo, two styles and two masks; and neither a home nor a package with weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(embedded, "FOLDER", tmp_path / "embedded")
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 1, WIDTH)[None, :, None] * np.ones((HEIGHT, 1, 3))
    left = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    left[:, : WIDTH // 2] = 255
    save(Picture.from_rgb(0.2 + 0.6 * ramp), "photo.png")
    save(Picture.from_rgb(rng.random((40, 40, 3))), "a.png")
    save(Picture.from_rgb(rng.random((40, 40, 3)) * (1, 0.2, 0.2)), "b.png")
    save(Picture(left), "left.png")
    save(Picture(255 - left), "right.png")
    save(Picture(0 * left), "black.png")
    save(Picture(left[:-8]), "small.png")
    Path("words.png").write_text("This is no picture.")
    return tmp_path


@pytest.fixture
def lite(folder):
    """Features that came with Scumble."""
    return ship(folder / "embedded")


def scumble(*words, status=0):
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == status, result.stderr
    assert "Traceback" not in result.output
    return result


def recipe_of(path):
    return json.loads(load(path).text["scumble:recipe"])


# ------------------------------------------------------------------------------------------------------- the surface


def test_nothing_heavy_is_imported_for_help():
    code = "import sys, scumble.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "scumble.options" in loaded
    assert not {"torch", "pydantic", "numpy", "rich", "PIL", "cv2"} & set(loaded)


def test_help_and_version_go_to_stdout():
    assert "paint" in scumble("--help").stdout
    assert scumble().stdout == scumble("--help").stdout
    assert scumble("--version").stdout == "scumble 0.1.0\n"
    assert "--style-scale" in scumble("paint", "--help").stdout


def test_every_option_names_a_field_and_its_values():
    shown = {option.name: option.metavar for option in (click.Command("x", params=_params()).params)}
    assert set(RECIPE_FIELDS.values()) <= set(Recipe.model_fields)
    assert {*RECIPE_FIELDS, *STYLE_FIELDS} <= set(shown)
    for name, values in (
        ("engine", Engine),
        ("keep_colors", KeepColors),
        ("quality", Quality),
        ("optimizer", Optimizer),
        ("result", Output),
    ):
        assert shown[name].split("|") == [value.value for value in values]


def _params():
    def command():
        pass

    for option in _OPTIONS:
        command = option(command)
    return command.__click_params__


# ---------------------------------------------------------------------------------------------------------- painting


def test_paint_writes_beside_the_photo_and_keeps_stdout_clean(folder):
    result = scumble("paint", "photo.png", "--style", "a.png", *QUICK)
    assert result.stdout == ""
    assert re.search(r"vgg11 \(seeded\) features · 64 × 48 px, 1 level, 3 iterations · \w+, \w+", result.stderr)
    assert re.search(r"iteration 1 of 3  loss [\d.]+ \(content [\d.e-]+, style [\d.]+\)", result.stderr)
    assert re.search(r"photo-scumble\.png written in [\d.]+ s\.", result.stderr)
    painted = load("photo-scumble.png")
    assert painted.size == (WIDTH, HEIGHT)
    assert (painted.pixels != load("photo.png").pixels).any()
    assert painted.text["scumble:content"] == "photo.png"
    assert painted.text["scumble:features"] == "vgg11 (seeded)"
    assert recipe_of("photo-scumble.png")["styles"] == [{"picture": "a.png"}]


def test_sixteen_bits_stay_sixteen_bits(folder):
    save(Picture.from_rgb(load("photo.png").rgb(), "uint16"), "deep.png")
    scumble("paint", "deep.png", "--style", "a.png", *QUICK, "-o", "out.tif")
    assert load("out.tif").depth == "uint16"
    assert "scumble:recipe" in load("out.tif").text


def test_outside_the_mask_nothing_changes(folder):
    scumble("paint", "photo.png", "--style", "a.png", "--mask", "left.png", *QUICK, "-o", "out.png")
    before, after = load("photo.png").pixels, load("out.png").pixels
    assert (before[:, WIDTH // 2 :] == after[:, WIDTH // 2 :]).all()
    assert (before[:, : WIDTH // 2] != after[:, : WIDTH // 2]).any()


def test_a_layer_lies_on_the_photo(folder):
    words = ("paint", "photo.png", "--style", "a.png", "--mask", "left.png", "--feather", "6", *QUICK)
    scumble(*words, "-o", "picture.png")
    scumble(*words, "--result", "layer", "-o", "layer.png")
    photo, picture, layer = (load(name).pixels.astype(float) for name in ("photo.png", "picture.png", "layer.png"))
    assert layer.shape[2] == 4
    assert len(np.unique(layer[..., 3])) > 5
    share = layer[..., 3:] / 255
    assert np.abs(photo + share * (layer[..., :3] - photo) - picture).max() < 1.53


def test_the_recipe_of_a_result_repeats_it_to_the_bit(folder):
    options = ["--style", "a.png", "--region", "left.png", "--style", "b.png", "--region", "right.png"]
    scumble("paint", "photo.png", *options, *QUICK, "--seed", "7", "--save-recipe", "r.json", "-o", "out.png")
    assert json.loads(Path("r.json").read_text()) == recipe_of("out.png")
    scumble("paint", "--recipe", "out.png", "-o", "again.png")
    scumble("paint", "photo.png", "--recipe", "r.json", "-o", "third.png")
    first = Path("out.png").read_bytes()
    assert Path("again.png").read_bytes() == first
    assert Path("third.png").read_bytes() == first
    scumble("paint", "--recipe", "out.png", "--strength", "95", "-o", "other.png")
    assert recipe_of("other.png") == {**recipe_of("out.png"), "strength": 95.0}
    assert (load("other.png").pixels != load("out.png").pixels).any()


def test_names_in_a_recipe_are_looked_up_beside_it_too(folder, tmp_path_factory, monkeypatch):
    scumble("paint", "photo.png", "--style", "a.png", "--mask", "left.png", *QUICK, "-o", "out.png")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    scumble("paint", "--recipe", folder / "out.png", "-o", "again.png")
    assert (load("again.png").pixels == load(folder / "out.png").pixels).all()


def test_frames_and_plot_are_written(folder):
    save(Picture.from_rgb(np.full((HEIGHT * 4, WIDTH * 4, 3), 0.5)), "large.png")
    quick = [*QUICK, "--set", "scales=2", "--size", "64", "--frames", "film/x", "--every", "2", "--plot", "loss.png"]
    scumble("paint", "large.png", "--style", "a.png", *quick)
    frames = sorted(path.name for path in Path("film/x").iterdir())
    assert frames == ["frame_0002.png", "frame_0004.png", "frame_0006.png"]
    assert {load(Path("film/x", name)).size for name in frames} == {(64, 48)}
    curve = load("loss.png")
    assert curve.size == (960, 540)
    assert len(np.unique(curve.pixels.reshape(-1, 3), axis=0)) > 20


def test_strength_zero_gives_the_photo_back(folder):
    result = scumble("paint", "photo.png", "--style", "a.png", "--strength", "0", *QUICK, "-o", "out.png")
    assert "Nothing to paint" in result.stderr
    assert (load("out.png").pixels == load("photo.png").pixels).all()


ONCE = ["paint", "photo.png", "--style", "a.png", "--strength", "60", "--iterations", "1", "--set", "normalized=false"]


def test_with_a_gpu_it_says_once_how_to_get_imagenet_weights(folder, monkeypatch):
    assert "weights download" not in scumble(*ONCE).stderr
    monkeypatch.setattr("scumble.engine.painter.is_gpu", lambda device: True)
    assert scumble(*ONCE).stderr.count("scumble weights download vgg19") == 1
    assert "weights download" not in scumble(*ONCE, "--features", "seeded-vgg11").stderr
    assert "weights download vgg19-caffe" in scumble(*ONCE, "--features", "auto-caffe").stderr


def test_without_a_gpu_it_says_what_takes_the_imagenet_weights_that_are_here(folder):
    (folder / "home/weights").mkdir(parents=True)
    trained = replace(weights.seeded("vgg19"), name="theirs", training=weights.Training.PHOTOGRAPHS)
    weights.save(trained, folder / "home/weights/vgg19.safetensors", half=True)
    told = scumble(*ONCE).stderr
    assert told.count("--features vgg19 takes them") == 1
    assert "theirs" not in told
    told = scumble(*ONCE, "--features", "vgg19", "--set", "size=16").stderr
    assert "theirs features" in told
    assert "takes them" not in told


def test_results_say_in_short_that_they_are_of_our_own_features(folder, lite):
    told = scumble(*ONCE, "-o", "out.png").stderr
    assert "scumble-lite (procedural paintings) features · 64 × 48 px" in told
    assert load("out.png").text["scumble:features"] == "scumble-lite (procedural paintings)"
    told = scumble("paint", "--recipe", "out.png", "--features", "scumble-lite", "-o", "again.png").stderr
    assert "features before" not in told
    assert (load("again.png").pixels == load("out.png").pixels).all()


def test_other_features_than_before_are_told(folder):
    scumble("paint", "photo.png", "--style", "a.png", *QUICK, "-o", "out.png")
    result = scumble("paint", "--recipe", "out.png", "--features", "seeded-vgg13", "-o", "again.png")
    assert "vgg11 (seeded) features before" in result.stderr


# ------------------------------------------------------------------------------------------- from options to a recipe


@pytest.fixture
def asked(folder, monkeypatch):
    """What recipe a command line asks for, without painting it."""

    def parse(*words):
        found = []

        def stop(recipe):
            found.append(recipe)
            raise ScumbleError("cancelled", "That is all.")

        original = Request.pictures
        monkeypatch.setattr(Request, "pictures", lambda request, recipe: stop(recipe))
        scumble("paint", "photo.png", *words, status=130)
        monkeypatch.setattr(Request, "pictures", original)
        return found[0]

    return parse


def test_style_options_belong_to_the_style_before_them(asked):
    recipe = asked(
        *("--style", "a.png", "--weight", "0.5", "--style", "b.png", "--region", "left.png", "--style-scale", "2"),
        *("--strength", "70", "--style", "a.png", "--part", "small.png", "--weight", "2", "--style-colors", "match"),
        *("--style", "b.png", "--region", "left.png"),
    )
    assert recipe == Recipe.parse(
        {
            "strength": 70,
            "regions": [{"name": "left", "mask": "left.png"}],
            "styles": [
                {"picture": "a.png", "weight": 0.5},
                {"picture": "b.png", "region": "left", "stroke_scale": 2},
                {"picture": "a.png", "part": "small.png", "weight": 2, "keep_colors": "match"},
                {"picture": "b.png", "region": "left"},
            ],
        }
    )


def test_regions_of_one_name_in_two_folders_stay_apart(asked):
    recipe = asked("--style", "a.png", "--region", "x/m.png", "--style", "b.png", "--region", "y/m.png")
    assert [style.region for style in recipe.styles] == ["x/m.png", "y/m.png"]
    assert [region.mask for region in recipe.regions] == ["x/m.png", "y/m.png"]


def test_options_win_over_the_preset_and_the_preset_over_the_recipe(asked):
    Path("r.json").write_text('{"quality": "fine", "seed": 5, "size": 99, "styles": [{"picture": "b.png"}]}')
    recipe = asked("--recipe", "r.json", "--preset", "normal", "--size", "77", "--set", "size=33")
    assert recipe.as_dict() == {"preset": "normal", "seed": 5, "size": 33, "styles": [{"picture": "b.png"}]}
    assert asked("--recipe", "r.json", "--style", "a.png").styles[0].picture == "a.png"


def test_a_feather_and_the_form_of_the_result(asked):
    recipe = asked("--style", "a.png", "--mask", "left.png", "--feather", "2.5", "--result", "layer")
    assert (recipe.selection, recipe.feather_px, recipe.output) == ("left.png", 2.5, Output.LAYER)


def test_set_reaches_every_field(asked):
    words = [
        "content_layers=conv4_2,conv3_1:0.5",
        "styles.0.weight=0.25",
        "chain=true",
        "iterations=9,3",
        "memory_mb=null",
    ]
    recipe = asked("--style", "a.png", *(word for text in words for word in ("--set", text)))
    assert recipe.content_layers == {"conv4_2": 1.0, "conv3_1": 0.5}
    assert recipe.styles[0].weight == 0.25
    assert recipe.chain is True
    assert recipe.iterations == (9, 3)


@pytest.mark.parametrize("name", ["styles.1.weight", "styles.x.weight", "styles.1", "seed.a.b", "styles.-1"])
def test_set_refuses_places_that_are_not_there(name):
    with pytest.raises(ScumbleError) as caught:
        put({"styles": [{}], "seed": 3}, name, "1")
    assert caught.value.code == "bad-recipe"
    assert name.split(".")[0] in caught.value.detail


# ---------------------------------------------------------------------------------------------------------- refusals

STYLED = ["photo.png", "--style", "a.png"]


@pytest.mark.parametrize(
    ("words", "sentence", "hint"),
    [
        ([], "No photo is given", "scumble paint PHOTO"),
        (["nothing.png", "--style", "a.png"], "There is no file nothing.png.", "path"),
        (["photo.png", "--style", "no.png"], "There is no file no.png.", "path"),
        (["words.png", "--style", "a.png"], "words.png cannot be read", "PNG"),
        (["photo.png"], "names no style", "style"),
        ([*STYLED, "--mask", "small.png"], "'small.png' is 64 × 40 px, the content 64 × 48 px", "same width"),
        ([*STYLED, "--mask", "black.png"], "'black.png' is black everywhere", "Select something"),
        ([*STYLED, "--preset", "drft"], "no preset 'drft'", "'draft'"),
        ([*STYLED, "--set", "strenght=20"], "strenght: unknown key (did you mean 'strength'?)", "--schema"),
        ([*STYLED, "--set", "strength"], "no “=”", "--set strength=80"),
        ([*STYLED, "--strength", "much"], "strength: ", "field"),
        ([*STYLED, "-o", "no/out.png"], "There is no folder no.", "Make it"),
        ([*STYLED, "-o", "out.doc"], "out.doc has none of the suffixes", "name"),
        ([*STYLED, "-o", "photo.png"], "photo.png is one of the pictures", "-o"),
        ([*STYLED, "-o", "./a.png"], "a.png is one of the pictures", "-o"),
        ([*STYLED, "--plot", "no/out.png"], "There is no folder no.", "Make it"),
        ([*STYLED, "--save-recipe", "no/r.json"], "There is no folder no.", "Make it"),
        (
            ["photo.png", "--region", "left.png", "--style", "a.png"],
            "--region left.png comes before any --style",
            "after",
        ),
        ([*STYLED, "--weight", "1", "--weight", "2"], "--weight is given twice for --style a.png", "Leave"),
        (["--recipe", "photo.png"], "photo.png holds no recipe", "JSON"),
        (["--recipe", "words.json"], "There is no file words.json.", "path"),
        ([*STYLED, "--device", "abacus"], "'abacus'", "--device"),
        ([*STYLED, "--strenght", "3"], "No such option '--strenght'", "scumble paint --help"),
        ([*STYLED, "--threads", "0"], "--threads", "--help"),
    ],
)
def test_a_refusal_is_a_sentence_and_a_hint(folder, words, sentence, hint):
    result = scumble("paint", *words, status=2)
    first, second = result.stderr.splitlines()
    assert result.stdout == ""
    assert first.startswith("Error: ")
    assert sentence in first
    assert second.startswith("Hint: ")
    assert hint in second
    assert not list(folder.glob("*scumble*"))


def test_a_broken_recipe_file_is_named(folder):
    Path("r.json").write_text('{"strength": 900}')
    assert "Error: r.json: strength: " in scumble("paint", "photo.png", "--recipe", "r.json", status=2).stderr
    Path("r.json").write_text("strength")
    assert (
        "Error: r.json: The recipe is not JSON" in scumble("paint", "photo.png", "--recipe", "r.json", status=2).stderr
    )


def test_a_mistake_of_our_own_is_one_line_until_debug_is_given(folder, monkeypatch):
    monkeypatch.setattr(Request, "pictures", lambda *_: 1 / 0)
    result = scumble("paint", *STYLED, status=70)
    assert "(internal: ZeroDivisionError: division by zero)." in result.stderr
    assert "--debug" in result.stderr
    result = CliRunner().invoke(cli, ["paint", *STYLED, "--debug"])
    assert result.exit_code == 70
    assert "Traceback" in result.stderr


# ------------------------------------------------------------------------------------------------------------ Ctrl-C


@contextlib.contextmanager
def painting(size, features):
    """A job that would run for hours, seen up to its first line of progress."""
    save(Picture.from_rgb(np.full((size, size, 3), 0.5)), "photo.png")
    words = ["paint", "photo.png", "--style", "a.png", "--iterations", "99999", "-o", "out.png", "--threads", "1"]
    words += ["--set", f"features={features}", "--set", "normalized=false", "--set", "scales=1"]
    code = "from scumble.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.PIPE, text=True)
    try:
        while "iteration 1 of" not in (line := process.stderr.readline()):
            assert line
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to a child")
def test_the_first_interrupt_keeps_what_is_there(folder):
    with painting(48, "seeded-vgg11") as process:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 0, said
    assert re.search(r"Stopped after \d+ of 99999 iterations", said)
    assert load("out.png").size == (48, 48)


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to a child")
def test_the_second_interrupt_discards(folder):
    with painting(320, "seeded-vgg19") as process:  # slow enough that the second comes within the same iteration
        process.send_signal(signal.SIGINT)
        while "Stopping" not in (line := process.stderr.readline()):
            assert line
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert "Error: The painting was discarded." in said
    assert "Traceback" not in said
    assert not Path("out.png").exists()


def test_the_handler_is_given_back(folder):
    before = signal.getsignal(signal.SIGINT)
    scumble("paint", *STYLED, *QUICK)
    assert signal.getsignal(signal.SIGINT) is before
    scumble("paint", *STYLED, *QUICK, "--set", "content_layers=conv1_4", status=2)
    assert signal.getsignal(signal.SIGINT) is before


# ----------------------------------------------------------------------------------------------------------- knowing


def test_recipes_are_printed_as_json():
    assert json.loads(scumble("recipe", "--preset", "gatys-2016").stdout)["style_size"] == "content"
    assert Recipe.parse(json.loads(scumble("recipe").stdout)) == Recipe()
    assert "styles" in json.loads(scumble("recipe", "--schema").stdout)["properties"]
    assert "'draft'" in scumble("recipe", "--preset", "drafd", status=2).stderr


def test_every_preset_is_listed_in_words():
    assert set(PRESET_NOTES) == set(PRESETS)
    assert [line.split()[0] for line in scumble("recipe", "--list").stdout.splitlines()] == list(PRESETS)


def test_weights_are_listed_checked_and_taken_over(folder):
    assert scumble("weights", "path").stdout.strip() == str(folder / "home" / "weights")
    assert re.search(r"^vgg19 +not here +torchvision +https://", scumble("weights", "list").stdout, re.M)
    assert scumble("weights", "check").stdout == ""
    assert "vgg11 is not on this machine" in scumble("weights", "check", "vgg11", status=2).stderr
    trained = replace(weights.seeded("vgg11"), training=weights.Training.PHOTOGRAPHS)
    Path("mine").mkdir()
    weights.save(trained, Path("mine/vgg11.safetensors"))
    assert scumble("weights", "use", "mine/vgg11.safetensors").stdout.startswith("vgg11  ")
    assert re.search(r"^vgg11 +37 MB", scumble("weights", "list").stdout, re.M)
    assert scumble("weights", "check").stdout.split() == ["vgg11", "ok"]
    with (folder / "home/weights/vgg11.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    result = scumble("weights", "check", status=2)
    assert result.stdout.split() == ["vgg11", "damaged"]
    assert "vgg11.safetensors is damaged" in result.stderr


def test_our_own_weights_are_listed_and_checked_with_the_others(folder, lite):
    assert re.search(r"^scumble-lite +3 MB +shipped$", scumble("weights", "list").stdout, re.M)
    assert scumble("weights", "check").stdout.split() == ["scumble-lite", "ok"]


def test_a_download_shows_how_it_comes_along(folder, monkeypatch):
    def download(name, on_progress):
        on_progress(500_000, 1_000_000)
        on_progress(1_000_000, 1_000_000)
        return Path("home/weights/vgg16.safetensors")

    monkeypatch.setattr(weight_store, "download", download)
    result = scumble("weights", "download", "vgg16")
    assert result.stdout == ""
    assert result.stderr.splitlines()[:2] == ["vgg16: 0.5 of 1.0 MB", "vgg16: 1.0 of 1.0 MB"]

    def interrupted(name, on_progress):
        assert name == "vgg19"
        raise KeyboardInterrupt

    monkeypatch.setattr(weight_store, "download", interrupted)
    assert "goes on from there" in scumble("weights", "download", status=130).stderr
    monkeypatch.undo()
    assert "no source for nothing" in scumble("weights", "download", "nothing", status=2).stderr


def test_bench_passes_its_options_on(monkeypatch):
    from scumble import bench

    told = []
    monkeypatch.setattr(bench, "run", lambda *values: told.append(values))
    scumble("bench", "--size", "64", "--size", "128", "--precision", "float32", "--json", "x.json")
    assert told == [([64, 128], ["float32"], Path("x.json"))]


def test_the_demo_leaves_everything_in_its_folder(folder):
    words = [word for text in QUICK[3::2] for word in ("--set", text)]
    result = scumble("demo", "--size", "64", "--set", "iterations=2", *words, "-o", "demo")
    assert "All is in demo" in result.stderr
    left = {path.name for path in Path("demo").iterdir()}
    paintings = {f"{name}.png" for name in ("night", "dabs", "woodcut", "watercolour", "glass", "bands")}
    masks = {"mask_sky.png", "mask_water.png"}
    assert left == paintings | masks | {"scene.png", "result.png", "recipe.json", "contact_sheet.png"}
    assert load("demo/contact_sheet.png").width > 1000
    scumble("paint", "demo/scene.png", "--recipe", "demo/recipe.json", "-o", "again.png")
    assert (load("again.png").pixels == load("demo/result.png").pixels).all()
    scumble("paint", "--recipe", "demo/result.png", "-o", "third.png")
    assert (load("third.png").pixels == load("demo/result.png").pixels).all()
