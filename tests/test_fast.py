"""Painting with trained models: where, how much, by which, and in whose colours."""

import numpy as np
import pytest
import torch
from helpers import noise, trained

from scumble.engine import models
from scumble.engine.box import Box
from scumble.engine.color import luminance
from scumble.engine.noise import place
from scumble.engine.painter import Painter
from scumble.engine.passing import Network
from scumble.errors import ScumbleError
from scumble.picture import Picture
from scumble.recipe import Recipe

WIDTH, HEIGHT = 72, 56
STYLE = Picture.from_rgb(np.full((8, 8, 3), 0.5, np.float32))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path / "home"))
    models.keep(trained("night").data(), "night")
    models.keep(trained("glass", "dabs", seed=5).data(), "two")


def content(seed=1, depth="uint8"):
    return Picture.from_rgb(array(noise(1, 3, HEIGHT, WIDTH, seed=seed)), depth)


def array(tensor):
    return tensor[0].permute(1, 2, 0).numpy()


def tensor(picture):
    return torch.from_numpy(picture.rgb().transpose(2, 0, 1).copy())[None]


def pass_of(picture, name="night", mixture=(1.0,), strength=60.0, seed=0):
    """What the model itself makes of a whole picture."""
    model = models.read(models.find(name))
    network = Network.of(model.about.shape, model.tensors, torch.device("cpu"), torch.float32)
    return network.repaint(tensor(picture), list(mixture), strength, place(torch.Generator().manual_seed(seed)))


def recipe(*named, **fields):
    styles = [{"picture": "style", **(name if isinstance(name, dict) else {"model": name})} for name in named]
    return Recipe.parse(
        {"engine": "fast", "styles": styles, "precision": "float32", "context_px": 0, "size": WIDTH, **fields}
    )


def painted(asked, picture=None, **pictures):
    return Painter("cpu").paint(content() if picture is None else picture, asked, {"style": STYLE, **pictures})


def assert_alike(picture, expected, levels=1.01):
    away = np.abs(picture.rgb() - array(expected))
    assert away.max() * 255 <= levels


def test_a_picture_is_what_the_network_makes_of_it():
    assert_alike(painted(recipe("night")).picture, pass_of(content()))


def test_the_strength_reaches_the_network():
    assert_alike(painted(recipe("night", strength=85)).picture, pass_of(content(), strength=85.0))
    assert np.abs(array(pass_of(content(), strength=85.0) - pass_of(content()))).max() > 0.02


def test_another_seed_lays_other_strokes():
    assert_alike(painted(recipe("night", seed=3)).picture, pass_of(content(), seed=3))
    assert np.abs(array(pass_of(content(), seed=3) - pass_of(content()))).max() > 0.02


def test_little_strength_shows_little():
    weak = 0.25 * pass_of(content(), strength=20.0) + 0.75 * tensor(content())
    assert_alike(painted(recipe("night", strength=5)).picture, weak)
    assert painted(recipe("night", strength=0)).picture.pixels.tobytes() == content().pixels.tobytes()


@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
def test_nothing_outside_the_selection_changes(depth):
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[10:30, 20:50] = 1
    mask[30:34, 20:50] = 0.4
    asked = recipe("night", selection="mask", context_px=12)
    found = painted(asked, content(depth=depth), mask=Picture.from_rgb(mask[..., None]))
    assert found.picture.depth == depth
    outside = mask == 0
    np.testing.assert_array_equal(found.picture.pixels[outside], content(depth=depth).pixels[outside])
    assert (found.picture.pixels != content(depth=depth).pixels).any(-1)[mask == 1].mean() > 0.9


def test_every_region_has_its_own_model():
    left = np.repeat(np.clip((WIDTH / 2 - np.arange(WIDTH)) / 16 + 0.5, 0, 1)[None], HEIGHT, 0).astype(np.float32)
    left = np.round(left * 255) / 255
    masks = {"left": Picture.from_rgb(left[..., None]), "right": Picture.from_rgb(1 - left[..., None])}
    asked = recipe(
        {"model": "night", "region": "left"},
        {"model": "two#dabs", "region": "right"},
        regions=[{"name": name, "mask": name} for name in masks],
    )
    first, second = array(pass_of(content())), array(pass_of(content(), "two", (0.0, 1.0)))
    wanted = left[..., None] * first + (1 - left[..., None]) * second
    assert np.abs(painted(asked, **masks).picture.rgb() - wanted).max() * 255 <= 1.01


def test_styles_of_one_model_are_mixed_in_the_network():
    asked = recipe({"model": "two#glass", "weight": 3.0}, {"model": "two#2", "weight": 1.0})
    assert_alike(painted(asked).picture, pass_of(content(), "two", (0.75, 0.25)))


def test_styles_of_different_models_are_mixed_in_the_picture():
    asked = recipe({"model": "night", "weight": 3.0}, {"model": "two", "weight": 1.0})
    wanted = 0.75 * pass_of(content()) + 0.25 * pass_of(content(), "two", (1.0, 0.0))
    assert_alike(painted(asked).picture, wanted)


def test_luminance_alone_is_painted_where_colours_are_kept():
    found = painted(recipe("night", keep_colors="luminance"), content(depth="float32")).picture
    before, after = tensor(content(depth="float32")), tensor(found)
    away, light = after - before, luminance(after) - luminance(before)
    inside = ((after > 0.001) & (after < 0.999)).all(1, keepdim=True)
    assert float(inside.float().mean()) > 0.3
    assert float(((away - light).abs() * inside).max()) < 2e-3
    gray = Picture.from_rgb(array(luminance(before).expand(1, 3, -1, -1)), "float32")
    seen = pass_of(gray)  # it sees no colours where they are kept
    assert float(((luminance(after) - luminance(seen)).abs() * inside).max()) < 2e-2
    assert float(light.abs().max()) > 0.1


def test_colours_are_matched_to_the_contents():
    found = tensor(painted(recipe("night", keep_colors="match")).picture).flatten(2)[0]
    plain, wanted = tensor(painted(recipe("night")).picture).flatten(2)[0], tensor(content()).flatten(2)[0]
    assert float((found.mean(1) - wanted.mean(1)).abs().max()) < 0.03
    assert float((plain.mean(1) - wanted.mean(1)).abs().max()) > 0.06


def test_what_is_to_stay_of_a_videos_last_frame_stays():
    """And elsewhere the pass is shown."""
    trusted = np.zeros((HEIGHT, WIDTH, 1), np.float32)
    trusted[:, :36] = 1
    carried = np.full((HEIGHT, WIDTH, 3), 0.6, np.float32)
    asked = recipe("night", steady_picture="last", steady_mask="trust", steady_weight=1e6)
    found = painted(asked, last=Picture.from_rgb(carried), trust=Picture.from_rgb(trusted)).picture.rgb()
    assert np.abs(found[:, :36] - carried[:, :36]).max() < 0.005
    assert np.abs(found[:, 36:] - array(pass_of(content()))[:, 36:]).max() < 0.005


def test_transparency_stays():
    alpha = np.round(noise(1, 1, HEIGHT, WIDTH, seed=8)[0, 0].numpy() * 255).astype(np.uint8)
    alpha[:20] = 0
    picture = Picture(np.dstack([content().pixels, alpha]))
    found = painted(recipe("night"), picture).picture
    np.testing.assert_array_equal(found.pixels[..., 3], alpha)
    np.testing.assert_array_equal(found.pixels[:20], picture.pixels[:20])


def test_a_size_that_is_asked_for_is_the_one_it_is_painted_at():
    assert painted(recipe("night", size=24)).plan.levels[0].width == 24
    assert painted(recipe("night", size=None)).plan.levels[0].width == 64  # the model's own


def test_strokes_twice_as_large_are_of_a_picture_half_as_large():
    smooth = np.add.outer(np.linspace(0, 0.5, 56), np.linspace(0, 0.5, 72))[..., None].repeat(3, 2)
    picture = Picture.from_rgb(smooth.astype(np.float32), "float32")
    half = Picture.from_rgb(smooth.reshape(28, 2, 36, 2, 3).mean((1, 3)).astype(np.float32), "float32")
    found = painted(recipe("night", stroke_scale=2.0), picture).picture.rgb()
    wanted = array(pass_of(half)).repeat(2, 0).repeat(2, 1)
    away = np.abs(found - wanted)[8:-8, 8:-8]
    assert away.mean() < 0.02
    assert np.abs(array(pass_of(picture)) - wanted)[8:-8, 8:-8].mean() > 2 * away.mean()


def test_a_pass_is_told_of_once():
    steps = []
    Painter("cpu").paint(content(), recipe("night"), {"style": STYLE}, steps.append)
    (step,) = steps
    assert (step.iteration, step.iterations, step.progress, step.losses) == (1, 1, 1.0, {})
    assert np.abs(step.preview() - array(pass_of(content()))).max() < 0.005
    assert step.save().picture.shape == (1, 3, step.height, step.width)


def test_an_optimisation_goes_on_from_the_pass():
    asked = recipe(
        "night",
        engine="fast+optimise",
        features="seeded-vgg11",
        style_loss="gram",
        iterations=1,
        learning_rate=1e-6,
        size=72,
    )
    found = painted(asked)
    assert_alike(found.picture, pass_of(content()))
    assert found.losses[0]["total"] > 0
    assert "night" in found.features


def test_no_coarse_level_throws_the_pass_away():
    asked = recipe("night", engine="fast+optimise", features="seeded-vgg11", size=600)
    plan = Painter("cpu").plan((600, 400), Box(0, 0, 600, 400), asked)
    assert [(level.width, level.height) for level in plan.levels] == [(600, 400)]
    asked = asked.changed(engine="optimise")
    assert len(Painter("cpu").plan((600, 400), Box(0, 0, 600, 400), asked).levels) > 1


def test_neighbours_are_looked_for_from_the_pass():
    """The first votes do not take its place."""
    asked = recipe(
        "night", engine="fast+optimise", features="seeded-vgg11", style_loss="neighbours", iterations=1,
        learning_rate=1e-6,
    )  # fmt: skip
    steps = []
    Painter("cpu").paint(content(), asked, {"style": STYLE}, steps.append)
    assert np.abs(steps[0].preview() - array(pass_of(content()))).max() < 0.005


@pytest.mark.parametrize(
    ("style", "code", "words"),
    [
        ({}, "missing-model", "styles[0]"),
        ({"model": "nobody"}, "missing-model", "nobody"),
        ({"model": "two#day"}, "missing-model", "day"),
    ],
)
@pytest.mark.parametrize("engine", ["fast", "fast+optimise"])
def test_a_model_that_is_not_there_is_named(style, code, words, engine):
    with pytest.raises(ScumbleError) as refused:
        painted(recipe(style, engine=engine, features="seeded-vgg11"))
    assert refused.value.code == code
    assert words in refused.value.detail


def test_a_pass_that_does_not_fit_is_refused():
    with pytest.raises(ScumbleError) as refused:
        Painter("cpu").plan((8000, 8000), Box(0, 0, 8000, 8000), recipe("night", size=8000, memory_mb=100))
    assert refused.value.code == "out-of-memory"


def test_a_model_that_was_trained_anew_is_read_anew():
    painter = Painter("cpu")
    before = painter.paint(content(), recipe("night"), {"style": STYLE}).picture
    models.keep(trained("night", seed=9).data(), "night")
    after = painter.paint(content(), recipe("night"), {"style": STYLE}).picture
    assert_alike(after, pass_of(content()))
    assert (after.pixels != before.pixels).any()
