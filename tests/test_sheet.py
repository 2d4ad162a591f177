"""Contact sheets and the plot of the losses: what is on them, and where."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from scumble.cli import cli
from scumble.engine.schedule import Level
from scumble.errors import ScumbleError
from scumble.picture import Picture, load, save
from scumble.plot import _limits, _ticks, plot
from scumble.sheet import ALARM, PAPER, Axis, Tile, clipped, face, fitted, grid, plain, wrapped

QUICK = ["--iterations", "2", "--set", "features=seeded-vgg11", "--set", "normalized=false", "--set", "scales=1"]


def rgb(colour):
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def count(image, colour):
    """How many pixels are of exactly that colour."""
    return int((np.asarray(image) == rgb(colour)).all(axis=-1).sum())


@pytest.fixture(autouse=True)
def one_thread():
    """On a machine that others use too, two threads wait for each other far longer than such small pictures take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ramp = np.linspace(0.1, 0.9, 64)[None, :, None] * np.ones((48, 1, 3))
    save(Picture.from_rgb(ramp), "photo.png")
    save(Picture.from_rgb(np.random.default_rng(0).random((40, 40, 3))), "a.png")
    return tmp_path


def run(*words, status=0):
    result = CliRunner().invoke(cli, ["sheet", "photo.png", "--style", "a.png", *QUICK, *words])
    assert result.exit_code == status, result.stderr
    return result


@pytest.mark.parametrize(
    ("text", "field", "values"),
    [
        ("strength=20,40", "strength", ("20", "40")),
        ("iterations=9,3;20,10", "iterations", ("9,3", "20,10")),
        ("styles.0.weight = 0.5, 1", "styles.0.weight", ("0.5", "1")),
        ("content_layers=conv1_1:2;", "content_layers", ("conv1_1:2",)),
    ],
)
def test_an_axis_is_a_field_and_its_values(text, field, values):
    assert Axis.parse(text) == Axis(field, values)


@pytest.mark.parametrize("text", ["strength", "strength=", "=3", "strength=;"])
def test_an_axis_without_values_is_refused(text):
    with pytest.raises(ScumbleError, match="names no field with values"):
        Axis.parse(text)


def test_every_cell_has_its_own_place():
    colours = ["#ff0000", "#00ff00", "#0000ff", "#ffff00", "#00ffff", "#ff00ff"]
    cells = [Image.new("RGB", (96, 72), colour) for colour in colours]
    axes = [Axis("strength", ("20", "40")), Axis("seed", ("1", "2", "3"))]
    sheet = np.asarray(grid([Tile("photo", Image.new("RGB", (80, 60), "#808080"))], axes, cells))
    centres = []
    for colour in colours:
        rows, columns = np.nonzero((sheet == rgb(colour)).all(axis=-1))
        assert len(rows) == 96 * 72
        centres.append((rows.mean(), columns.mean()))
    (upper, lower) = np.array(centres[:3]), np.array(centres[3:])
    assert np.ptp(upper[:, 0]) == np.ptp(lower[:, 0]) == 0
    assert lower[0, 0] - upper[0, 0] > 72
    assert (np.diff(upper[:, 1]) > 96).all()
    assert (upper[:, 1] == lower[:, 1]).all()


def test_a_refused_cell_and_a_cell_never_reached_leave_room():
    axes = [Axis("strength", ("20", "40", "60"))]
    cells = [Image.new("RGB", (120, 90), "#123456"), ScumbleError("bad-recipe", "This cannot be painted at all.")]
    sheet = grid([Tile("photo", Image.new("RGB", (80, 60)))], axes, cells)
    assert count(sheet, "#123456") == 120 * 90
    border = 2 * 120 + 2 * 90 - 4
    assert count(sheet, ALARM) >= border
    assert sheet.height > 3 * 90


def test_the_command_paints_every_cell_and_shows_refusals(folder):
    result = run("--rows", "strength=20,80", "--columns", "content_layers=conv2_1,conv9_9,conv3_2", "--size", "64")
    assert re.search(r"photo-sheet\.png written: 6 cells, 2 of them refused", result.stderr)
    assert result.stdout == ""
    sheet = Image.fromarray(load("photo-sheet.png").pixels)
    assert count(sheet, ALARM) > 0
    assert sheet.width > 3 * 96
    assert sheet.height > 2 * 72


def test_cells_differ_by_their_values_only(folder):
    run("--rows", "strength=90,90,10", "-o", "sheet.png")
    sheet = load("sheet.png").pixels.astype(int)
    x, y = _first_cell(sheet)
    first, second, third = (sheet[y + n * (72 + 12) : y + n * (72 + 12) + 48, x : x + 64] for n in range(3))
    assert (first == second).all()
    assert np.abs(first - third).mean() > 1


def _first_cell(sheet):
    """Where the first cell begins: below the strip, right of the labels."""
    filled = (sheet != rgb(PAPER)).any(axis=-1)
    x = 24 + round(face(14).getlength("strength")) + 12
    y = 24 + 96 + 20 + 2 * 12
    assert filled[y, x : x + 64].all()
    assert not filled[y - 1, x : x + 64].any()
    return x, y


def test_a_sheet_of_nothing_but_refusals_is_an_error(folder):
    result = run("--rows", "strenght=1,2", status=2)
    assert "did you mean 'strength'?" in result.stderr
    assert not Path("photo-sheet.png").exists()


def test_a_stopped_sheet_keeps_the_cells_that_are_done(folder, monkeypatch):
    from scumble.console import Watch

    step = Watch.on_step

    def interrupted(watch, seen):
        if watch._job == 1 and not watch.stopping:
            watch._interrupted(2, None)
        return step(watch, seen)

    monkeypatch.setattr(Watch, "on_step", interrupted)
    assert "Stopped: photo-sheet.png written: 2 cells" in run("--rows", "strength=20,40,60").stderr


def test_labels_are_plain_and_fit():
    assert plain("Käthe × “1–2” ß 日") == 'Kathe x "1-2" ss ?'
    long = "a very long file name of a picture.png"
    assert clipped("short", 100, 14) == "short"
    assert clipped(long, 100, 14).endswith("...")
    assert face(14).getlength(clipped(long, 100, 14)) <= 100
    lines = wrapped(f"{long} {long}", 100, 13, 3).split("\n")
    assert len(lines) == 3
    assert lines[-1].endswith("...")
    assert max(face(13).getlength(line) for line in lines) <= 100
    assert wrapped("one two", 500, 13, 3) == "one two"


def test_a_picture_is_fitted_but_never_enlarged():
    picture = Picture(np.zeros((30, 60, 4), np.uint8))
    assert fitted(picture, 20, 20).size == (20, 10)
    assert fitted(picture, 500, 500).size == (60, 30)
    assert count(fitted(picture, 500, 500), PAPER) == 60 * 30  # it is transparent


# -------------------------------------------------------------------------------------------------------- the plot


def test_the_plot_holds_every_curve_and_falls_with_it():
    losses = [
        {"content": 0.0 if n == 0 else 0.1, "style": 10.0 / (n + 1), "total": 0.1 + 10 / (n + 1)} for n in range(50)
    ]
    picture = plot(losses, [Level(40, 30, 30), Level(80, 60, 20)])
    red, green, blue = np.moveaxis(picture.pixels[:, :800].astype(int), -1, 0)
    style, content = (red > green + 60), (blue > red + 60)
    columns = [np.nonzero(style[:, x])[0].mean() for x in (100, 400, 780)]
    assert columns == sorted(columns)
    assert np.nonzero(content)[0].mean() > columns[-1]


@pytest.mark.parametrize("losses", [[{"total": 1.0}], [{"total": 0.0}], [{"total": 1e30, "style": 1e-30}] * 2])
def test_odd_losses_are_plotted_too(losses):
    assert plot(losses, [Level(40, 30, 9)]).size == (960, 540)


def test_axes_are_round():
    assert _limits(0.3, 7.0) == pytest.approx((np.log10(0.2), 1))
    assert _limits(1.0, 1.0) == pytest.approx((np.log10(0.5), np.log10(2)))
    low, high = _limits(1e-30, 1e3)
    assert high - low == 12
    assert _ticks(1) == [1]
    assert _ticks(10) == [1, 2, 4, 6, 8, 10]
    assert _ticks(160) == [1, 20, 40, 60, 80, 100, 120, 140, 160]
    assert json.dumps(_ticks(500)).count(",") <= 10
