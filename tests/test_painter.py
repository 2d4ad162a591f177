"""Whole paintings, small ones: what stays, what changes, what repeats."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import flat_picture, gray_picture, recipe, rgb_picture

from scumble.engine import neighbours
from scumble.engine.neighbours import NeighbourTerm
from scumble.engine.objective import Objective
from scumble.engine.painter import Painter, paint
from scumble.engine.schedule import Box
from scumble.errors import ScumbleError
from scumble.picture import Picture, load
from scumble.recipe import PRESETS, Output, Recipe

IMAGES = Path(__file__).resolve().parents[2] / "shared" / "images"
LOSSES = ["gram", "neighbours"]
CONTENT = rgb_picture(48, 64)
STYLE = rgb_picture(56, 40, seed=100)
both_losses = pytest.mark.parametrize("style_loss", LOSSES)


@pytest.fixture(scope="module")
def painter():
    return Painter("cpu")


def painted(painter, content=CONTENT, pictures=None, on_step=None, **fields):
    fields.setdefault("style_loss", "gram")
    return painter.paint(content, recipe(**fields), {"style": STYLE, **(pictures or {})}, on_step)


def in_floats(picture):
    """The same picture in float32, so that nothing is rounded."""
    return Picture.from_rgb(picture.rgb(), "float32")


def box_mask(height, width, rows, columns):
    mask = np.zeros((height, width))
    mask[slice(*rows), slice(*columns)] = 1
    return mask


def wedge(height, width):
    """A mask from black at the left to white at the right, with black and white margins."""
    return np.broadcast_to(np.clip(np.linspace(-0.3, 1.3, width), 0, 1), (height, width))


def mean_colour(picture, mask):
    return picture.rgb()[mask > 0].mean(0)


# -------------------------------------------------------------------------------------------------- what stays as it is


@both_losses
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_outside_the_mask_every_bit_stays(painter, dtype, style_loss):
    content, mask = rgb_picture(48, 64, dtype=dtype), box_mask(48, 64, (10, 30), (20, 45))
    result = painted(painter, content, {"m": gray_picture(mask)}, selection="m", style_loss=style_loss).picture
    assert result.depth == dtype
    assert np.array_equal(result.pixels[mask == 0], content.pixels[mask == 0])
    assert (result.pixels[mask > 0] != content.pixels[mask > 0]).mean() > 0.9


def test_outside_all_regions_every_bit_stays(painter):
    masks = [box_mask(48, 64, (0, 20), (0, 30)), box_mask(48, 64, (30, 48), (40, 64))]
    result = painted(
        painter,
        pictures={"a": gray_picture(masks[0]), "b": gray_picture(masks[1])},
        regions=[{"name": name, "mask": name} for name in "ab"],
        styles=[{"picture": "style", "region": name} for name in "ab"],
    ).picture
    outside = sum(masks) == 0
    assert np.array_equal(result.pixels[outside], CONTENT.pixels[outside])
    assert all((result.pixels[mask > 0] != CONTENT.pixels[mask > 0]).any() for mask in masks)


@pytest.mark.parametrize("start", ["noise", "style", "blend"])
def test_outside_the_mask_every_bit_stays_whatever_the_start(painter, start):
    mask = box_mask(48, 64, (10, 30), (20, 45))
    result = painted(painter, pictures={"m": gray_picture(mask)}, selection="m", start=start).picture
    assert np.array_equal(result.pixels[mask == 0], CONTENT.pixels[mask == 0])


def test_every_level_ends_with_pieces_of_the_style(painter, monkeypatch):
    laid = []

    def gray(pieces, seen, field):
        laid.append(tuple(seen.shape[2:]))
        return torch.full_like(seen, 0.5)

    monkeypatch.setattr(neighbours, "lay", gray)
    mask = box_mask(48, 64, (10, 30), (20, 45))
    fields = {"style_loss": "neighbours", "scales": 2, "iterations": [1, 1]}

    def paint_with(**more):
        return painted(painter, pictures={"m": gray_picture(mask)}, selection="m", **fields, **more).picture.rgb()

    whole, content = paint_with(strength=60), CONTENT.rgb()
    assert len(laid) == 2
    assert laid[0] < laid[1]
    assert np.abs(whole[mask > 0] - 0.5).max() < 1 / 255
    assert np.array_equal(whole[mask == 0], content[mask == 0])
    half = paint_with(strength=20)
    assert np.abs(half - (content + 0.5) / 2)[mask > 0].max() < 1.5 / 255
    laid.clear()
    paint_with(vote_weight=0)
    assert not laid


def test_a_painting_that_is_stopped_is_left_as_it_is(painter, monkeypatch):
    monkeypatch.setattr(Objective, "lay", lambda self, x: pytest.fail("laid"))
    assert painted(painter, style_loss="neighbours", on_step=lambda step: True).stopped


@both_losses
def test_strength_zero_gives_the_content_back(painter, style_loss):
    result = painted(painter, strength=0, style_loss=style_loss)
    assert np.array_equal(result.picture.pixels, CONTENT.pixels)
    assert result.losses == ()


def with_alpha(picture, alpha):
    return Picture(np.concatenate([picture.pixels, np.rint(alpha * 255).astype(np.uint8)[..., None]], 2))


def test_alpha_comes_back_as_it_went_in(painter):
    content = with_alpha(CONTENT, wedge(48, 64))
    result = painted(painter, content).picture
    assert np.array_equal(result.pixels[..., 3], content.pixels[..., 3])
    hidden = content.pixels[..., 3] == 0
    assert np.array_equal(result.pixels[hidden], content.pixels[hidden])
    assert (result.pixels[~hidden] != content.pixels[~hidden]).any(1).mean() > 0.9


@both_losses
def test_what_lies_under_transparency_has_no_say(painter, style_loss):
    alpha = wedge(48, 64)
    clean = with_alpha(CONTENT, alpha)
    garbage = clean.pixels.copy()
    garbage[alpha == 0, :3] = np.random.default_rng(0).integers(0, 256, (int((alpha == 0).sum()), 3))
    first, second = (painted(painter, each, style_loss=style_loss).picture for each in (clean, Picture(garbage)))
    assert np.array_equal(first.pixels[alpha > 0], second.pixels[alpha > 0])


def test_what_lies_under_a_styles_transparency_has_no_say(painter):
    alpha = wedge(56, 40)
    clean = with_alpha(STYLE, alpha)
    garbage = clean.pixels.copy()
    garbage[alpha == 0, :3] = 255 - garbage[alpha == 0, :3]
    first, second = (painted(painter, pictures={"style": each}).picture for each in (clean, Picture(garbage)))
    assert np.array_equal(first.pixels, second.pixels)


@both_losses
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_luminance_only_keeps_the_chrominance(painter, optimizer, style_loss):
    content = in_floats(CONTENT)
    result = painted(
        painter, content, keep_colors="luminance", optimizer=optimizer, style_loss=style_loss, iterations=4
    ).picture
    own, found = content.rgb(), result.rgb()
    for channel in (0, 2):
        assert np.abs((found[..., channel] - found[..., 1]) - (own[..., channel] - own[..., 1])).max() < 1e-5
    assert np.abs(found - own).mean() > 0.003


# ------------------------------------------------------------------------------------------------- how much is painted


def test_a_half_transparent_mask_shows_half_of_the_painting(painter):
    content = in_floats(CONTENT)
    half = Picture(np.full((48, 64, 1), 0.5, np.float32))
    fields = {"optimizer": "sgd", "learning_rate": 0.5}  # smooth: does not blow up rounding
    whole = painted(painter, content, **fields).picture.rgb()
    shown = painted(painter, content, {"m": half}, selection="m", **fields).picture.rgb()
    assert np.abs(shown - (content.rgb() + whole) / 2).max() < 1e-4
    assert np.abs(shown - content.rgb()).mean() > 0.005


def test_a_soft_mask_mixes_in_proportion(painter):
    content, mask = in_floats(CONTENT), wedge(48, 64).astype(np.float32)
    result = painted(painter, content, {"m": Picture(mask[..., None])}, selection="m", start="noise").picture.rgb()
    change = np.abs(result - content.rgb()).max(2)
    assert (change <= mask + 1e-6).all()
    assert change[mask == 1].mean() > 0.05
    assert 0.3 < change[(mask > 0.4) & (mask < 0.6)].mean() / change[mask == 1].mean() < 0.7


def test_the_last_preview_is_the_finished_picture(painter):
    previews = []
    mask = Picture(wedge(48, 64).astype(np.float32)[..., None])
    result = painted(
        painter, in_floats(CONTENT), {"m": mask}, lambda step: previews.append(step.preview()), selection="m"
    )
    assert np.abs(previews[-1] - result.picture.rgb()).max() < 1e-5


def test_mix_says_how_much_is_painted_where(painter):
    result = painted(painter, pictures={"m": gray_picture(wedge(48, 64))}, selection="m")
    assert np.allclose(result.mix, gray_picture(wedge(48, 64)).as_mask())


RED, BLUE = (0.85, 0.15, 0.15), (0.15, 0.2, 0.85)


@both_losses
def test_two_regions_take_the_colours_of_their_own_styles(painter, style_loss):
    left = box_mask(64, 96, (0, 64), (0, 48))
    result = painted(
        painter,
        rgb_picture(64, 96),
        {
            "red": flat_picture(RED),
            "blue": flat_picture(BLUE),
            "left": gray_picture(left),
            "right": gray_picture(1 - left),
        },
        regions=[{"name": "l", "mask": "left"}, {"name": "r", "mask": "right"}],
        styles=[{"picture": "red", "region": "l"}, {"picture": "blue", "region": "r"}],
        iterations=40,
        strength=90,
        style_loss=style_loss,
    )
    for mask, own, other in ((left, RED, BLUE), (1 - left, BLUE, RED)):
        colour = mean_colour(result.picture, mask)
        assert np.abs(colour - own).max() < 0.25
        assert np.abs(colour - other).max() > 0.45


def test_a_pale_content_takes_its_style(painter):
    pale = Picture.from_rgb(0.35 + 0.3 * CONTENT.rgb())
    losses = painted(painter, pale, {"style": flat_picture(RED)}, iterations=30, strength=90).losses
    assert losses[-1]["style"] < 0.7 * losses[0]["style"]


def test_styles_of_one_region_share_it_by_weight(painter):
    pictures = {"red": flat_picture((0.8, 0.2, 0.2)), "blue": flat_picture((0.2, 0.2, 0.8))}
    found = []
    for weights in ((9, 1), (1, 9)):
        styles = [{"picture": name, "weight": weight} for name, weight in zip(pictures, weights, strict=True)]
        result = painted(painter, pictures=pictures, styles=styles, iterations=25, strength=90)
        found.append(result.picture.rgb().mean((0, 1)))
    assert found[0][0] > found[1][0] + 0.1
    assert found[0][2] < found[1][2] - 0.1


def test_more_strength_changes_more(painter):
    content = in_floats(CONTENT)
    results = [painted(painter, content, strength=strength, iterations=15).picture for strength in (10, 95)]
    little, much = (np.abs(result.rgb() - content.rgb()).mean() for result in results)
    assert much > 1.5 * little


# --------------------------------------------------------------------------------------------------------- odd shapes


@both_losses
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (17, 31)])
def test_pictures_of_any_shape(painter, size, style_loss):
    content = rgb_picture(*size)
    result = painted(painter, content, style_loss=style_loss)
    assert result.picture.pixels.shape == content.pixels.shape
    assert all(np.isfinite(list(losses.values())).all() for losses in result.losses)


@both_losses
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 500)])
def test_styles_of_any_shape(painter, size, style_loss):
    result = painted(painter, pictures={"style": rgb_picture(*size)}, style_loss=style_loss)
    assert all(np.isfinite(list(losses.values())).all() for losses in result.losses)


@both_losses
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs"])
def test_a_style_equal_to_the_content(painter, optimizer, style_loss):
    result = painted(painter, pictures={"style": CONTENT}, optimizer=optimizer, style_loss=style_loss)
    assert all(np.isfinite(list(losses.values())).all() for losses in result.losses)


@both_losses
@pytest.mark.parametrize(
    "mask",
    [
        box_mask(48, 64, (0, 20), (0, 64)),
        box_mask(48, 64, (28, 48), (40, 64)),
        box_mask(48, 64, (20, 21), (33, 34)),
        box_mask(48, 64, (0, 1), (0, 1)),
        box_mask(48, 64, (47, 48), (63, 64)),
    ],
    ids=["upper border", "corner", "one pixel", "first pixel", "last pixel"],
)
def test_masks_of_any_shape(painter, mask, style_loss):
    result = painted(painter, pictures={"m": gray_picture(mask)}, selection="m", iterations=4, style_loss=style_loss)
    assert np.array_equal(result.picture.pixels[mask == 0], CONTENT.pixels[mask == 0])
    assert all(np.isfinite(list(losses.values())).all() for losses in result.losses)
    assert (result.picture.pixels[mask > 0] != CONTENT.pixels[mask > 0]).any()


@both_losses
def test_a_flat_content_and_a_flat_style(painter, style_loss):
    content, style = (Picture(np.full((48, 48, 3), value, np.uint8)) for value in (128, 0))
    result = painted(painter, content, {"style": style}, style_loss=style_loss)
    assert all(np.isfinite(list(losses.values())).all() for losses in result.losses)


def test_a_gray_content_becomes_a_colour_picture(painter):
    result = painted(painter, Picture(CONTENT.pixels[..., :1]))
    assert result.picture.pixels.shape == (48, 64, 3)


# ------------------------------------------------------------------------------------------------------------- repeats


@both_losses
@pytest.mark.parametrize("start", ["content", "noise"])
def test_the_same_recipe_gives_the_same_bits(painter, start, style_loss):
    first, second = (painted(each, start=start, style_loss=style_loss) for each in (painter, Painter("cpu")))
    assert np.array_equal(first.picture.pixels, second.picture.pixels)
    assert first.losses == second.losses


def test_another_seed_is_another_picture(painter):
    first, second = (painted(painter, start="noise", seed=seed).picture for seed in (0, 1))
    assert (first.pixels != second.pixels).mean() > 0.5


@both_losses
def test_a_second_job_with_the_same_style_computes_no_targets(painter, style_loss):
    fresh = Painter("cpu")

    def computed():
        return fresh.targets.computed + fresh.candidates.computed

    painted(fresh, style_loss=style_loss)
    once = computed()
    assert once > 0
    painted(fresh, rgb_picture(48, 64, seed=9), style_loss=style_loss)
    assert computed() == once
    painted(fresh, pictures={"style": rgb_picture(56, 40, seed=101)}, style_loss=style_loss)
    assert computed() > once


def test_paint_is_a_painter_for_one_job(painter):
    single = paint(CONTENT, recipe(style_loss="gram"), {"style": STYLE}, device="cpu")
    assert np.array_equal(single.picture.pixels, painted(painter).picture.pixels)


@pytest.mark.parametrize("keep_colors", ["off", "luminance"])
def test_tiles_paint_the_same_picture(painter, keep_colors):
    content = in_floats(rgb_picture(150, 170))
    fields = {"keep_colors": keep_colors, "optimizer": "sgd", "learning_rate": 0.5, "scales": 1}
    whole = painted(painter, content, **fields)
    tiled = painted(painter, content, memory_mb=int(whole.plan.memory_mb) - 1, **fields)
    assert whole.plan.tile_px is None
    assert tiled.plan.tile_px is not None
    assert any("tiles" in warning for warning in tiled.warnings)
    assert np.abs(whole.picture.rgb() - tiled.picture.rgb()).max() < 1e-3


# --------------------------------------------------------------------------------------------------- stop and go on


def test_a_painting_can_be_stopped(painter):
    result = painted(painter, on_step=lambda step: step.iteration == 3, iterations=10)
    assert result.stopped
    assert len(result.losses) == 3
    assert (result.picture.pixels != CONTENT.pixels).mean() > 0.5


def test_what_is_stopped_is_what_a_shorter_run_shows(painter):
    previews = []

    def until_three(step):
        previews.append(step.preview())
        return step.iteration == 3

    result = painted(painter, in_floats(CONTENT), on_step=until_three, iterations=10)
    assert np.abs(previews[2] - result.picture.rgb()).max() < 1e-5


def test_a_painting_stopped_at_a_coarse_scale_has_full_size(painter):
    result = painted(painter, on_step=lambda step: step.iteration == 1, scales=2)
    assert result.picture.size == CONTENT.size
    assert (result.picture.pixels != CONTENT.pixels).mean() > 0.5


def test_an_error_of_the_caller_ends_the_job(painter):
    def fail(step):
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        painted(painter, on_step=fail)


@both_losses
def test_going_on_starts_from_the_earlier_picture(painter, style_loss):
    """One short step away from it, and not from the content."""
    earlier = rgb_picture(48, 64, seed=33)
    fields = {"start": "picture", "start_picture": "earlier", "iterations": 1, "learning_rate": 0.01, "vote_weight": 0}
    result = painted(painter, pictures={"earlier": earlier}, style_loss=style_loss, **fields).picture
    assert np.abs(result.rgb() - earlier.rgb()).max() < 0.05


@pytest.mark.parametrize(("iterations", "searches"), [(1, 1), (9, 1), (10, 2), (14, 2), (40, 3)])
def test_neighbours_are_not_looked_for_again_too_soon(painter, monkeypatch, iterations, searches):
    asked = []
    settle = NeighbourTerm.settle
    monkeypatch.setattr(NeighbourTerm, "settle", lambda term: (asked.append(1), settle(term))[1])
    painted(painter, style_loss="neighbours", scales=1, iterations=iterations)
    assert len(asked) == searches


def test_going_on_goes_on_falling(painter):
    first = painted(painter, iterations=12)
    fields = {"start": "picture", "start_picture": "earlier", "iterations": 12, "learning_rate": 0.01}
    second = painted(painter, pictures={"earlier": first.picture}, **fields)
    assert second.losses[0]["total"] < 0.7 * first.losses[0]["total"]
    assert second.losses[-1]["total"] < first.losses[-1]["total"]


# -------------------------------------------------------------------------------------------------- what the result is


def of_kind(depth, channels, height=48, width=64):
    """A content of that depth with that many channels; where there is alpha, some of it, and none in a corner."""
    full = 1 if depth == "float32" else np.iinfo(depth).max
    values = CONTENT.rgb()[:height, :width, : 3 if channels > 2 else 1]
    if channels in (2, 4):
        alpha = np.linspace(0.2, 1, width, dtype=np.float32) * np.ones((height, 1), np.float32)
        alpha[:6, -8:] = 0
        values = np.concatenate([values, alpha[..., None]], axis=2)
    return Picture((values * full).round(0 if full > 1 else 9).astype(depth), None, {"Title": "It."})


def unit_of(picture):
    """(colours, alpha) as floats of 64 bits where 1 is full, in the picture's own values; gray three times."""
    full = 1 if picture.depth == "float32" else np.iinfo(picture.depth).max
    values = picture.pixels / np.float64(full)
    has_alpha = values.shape[2] in (2, 4)
    colours = values[..., :-1] if has_alpha else values
    alpha = values[..., -1:] if has_alpha else np.ones((*values.shape[:2], 1))
    return np.broadcast_to(colours, (*values.shape[:2], 3)), alpha


def step_of(picture):
    """The smallest difference between two values."""
    return 1e-6 if picture.depth == "float32" else 1 / np.iinfo(picture.depth).max


SOFT = {"selection": "mask", "feather_px": 7, "size": 32}


def outputs(painter, content, on_step=None, **fields):
    """The result in each form, and the mix."""
    mask = gray_picture(wedge(48, 64) * box_mask(48, 64, (5, 40), (0, 60)))
    found = [
        painted(painter, content, {"mask": mask}, on_step, output=each.value, **{**SOFT, **fields}) for each in Output
    ]
    assert all(np.array_equal(each.mix, found[0].mix) for each in found)
    return *(each.picture for each in found), found[0].mix.astype(np.float64)[..., None]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
def test_a_layer_laid_over_the_content_is_the_picture(painter, depth, channels):
    content = of_kind(depth, channels)
    picture, layer, unmasked, mix = outputs(painter, content)
    step = step_of(content)
    own, own_alpha = unit_of(content)
    colours, alpha = unit_of(layer)
    wanted, _ = unit_of(picture)
    opaque = np.minimum(mix, 1)  # as if the content were opaque: its alpha is counted into the layer's
    assert layer.pixels.shape == (48, 64, 4)
    assert np.abs(alpha - own_alpha * opaque).max() <= 0.51 * step
    # the colours are rounded, what is mixed is rounded
    assert np.abs(own + opaque * (colours - own) - wanted).max() <= 1.02 * step
    if channels in (1, 3):  # by what other programs have of it, whose alpha is rounded too
        assert np.abs(own * (1 - alpha) + colours * alpha - wanted).max() <= 1.52 * step
    assert np.array_equal(unit_of(unmasked)[0], colours)
    assert np.array_equal(unit_of(unmasked)[1], own_alpha)
    assert unmasked.has_alpha == content.has_alpha
    somewhat = (mix > 0.05) & (mix < 0.5)
    assert (np.abs(colours - own) > np.abs(wanted - own) + 2 * step)[somewhat[..., 0]].mean() > 0.5  # it is not mixed
    for each in (layer, unmasked):
        assert np.array_equal(unit_of(each)[0][mix[..., 0] == 0], own[mix[..., 0] == 0])
        assert (each.depth, each.icc, each.text) == (depth, None, {"Title": "It."})


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_without_strength_the_layer_is_the_content_cut_out(painter, channels):
    content = of_kind("uint8", channels)
    picture, layer, unmasked, mix = outputs(painter, content, strength=0)
    own, own_alpha = unit_of(content)
    assert np.array_equal(picture.pixels, content.pixels)
    assert np.array_equal(unmasked.pixels, content.pixels)
    assert np.array_equal(unit_of(layer)[0], own)
    assert np.abs(unit_of(layer)[1] - own_alpha * mix).max() <= 0.51 / 255
    assert 0.2 < mix.mean() < 0.8


def test_a_layer_of_a_painting_that_was_stopped(painter):
    picture, layer, _, mix = outputs(painter, CONTENT, lambda step: step.iteration == 1, iterations=[5, 5], scales=2)
    own, _ = unit_of(CONTENT)
    colours, alpha = unit_of(layer)
    assert np.abs(alpha - mix).max() <= 0.51 / 255
    assert np.abs(own * (1 - alpha) + colours * alpha - unit_of(picture)[0]).max() <= 1.52 / 255


@pytest.mark.parametrize("output", ["layer", "unmasked"])
def test_going_on_from_a_layer_takes_its_colours(painter, output):
    mask = gray_picture(np.full((48, 64), 0.5))
    first = painted(painter, pictures={"mask": mask}, selection="mask", output=output, iterations=8).picture
    fields = {"start": "picture", "start_picture": "earlier", "iterations": 1, "learning_rate": 1e-4, "vote_weight": 0}
    second = painted(
        painter, pictures={"mask": mask, "earlier": first}, selection="mask", output="unmasked", **fields
    ).picture
    assert np.abs(second.rgb() - first.rgb()).max() < 0.02
    assert np.abs(second.rgb() - CONTENT.rgb()).mean() > 0.05


# -------------------------------------------------------------------------------------------------------- what is told


def test_steps_count_over_all_levels(painter):
    steps = []
    result = painted(painter, on_step=steps.append, scales=2, iterations=[3, 2])
    assert [step.iteration for step in steps] == [1, 2, 3, 4, 5]
    assert [step.level for step in steps] == [1, 1, 1, 2, 2]
    assert {(step.iterations, step.levels) for step in steps} == {(5, 2)}
    assert [(step.width, step.height) for step in steps] == [(32, 24)] * 3 + [(64, 48)] * 2
    assert [step.losses for step in steps] == list(result.losses)


def test_progress_rises_to_one_and_no_time_is_left(painter):
    steps = []
    painted(painter, on_step=steps.append, scales=2, iterations=3)
    progress = [step.progress for step in steps]
    assert progress == sorted(progress)
    assert progress[0] > 0
    assert progress[-1] == pytest.approx(1)
    assert steps[-1].seconds_left == 0
    assert all(step.seconds_left > 0 for step in steps[:-1])


def test_a_level_that_gains_nothing_more_ends_by_itself(painter):
    """At a learning rate that does not move the picture."""
    fields = {"scales": 2, "iterations": 60, "learning_rate": 1e-12, "style_loss": "gram"}
    steps = []
    result = painted(painter, on_step=steps.append, **fields)
    assert [level.iterations for level in result.plan.levels] == [20, 20]
    assert len(result.losses) == len(steps) == 40
    assert [(step.iteration, step.iterations) for step in steps[-2:]] == [(39, 80), (40, 40)]
    assert steps[-1].progress == pytest.approx(1)
    assert steps[-1].seconds_left == 0
    assert len(painted(painter, least_gain=0, **fields).losses) == 120


def test_a_level_does_not_end_before_neighbours_were_last_looked_for(painter):
    fields = {"scales": 1, "iterations": 60, "learning_rate": 1e-12, "style_loss": "neighbours", "matchings": 2}
    assert len(painted(painter, **fields).losses) == 50


def test_previews_have_the_size_of_their_level(painter):
    shapes = []
    painted(painter, on_step=lambda step: shapes.append(step.preview().shape), scales=2, iterations=1)
    assert shapes == [(24, 32, 3), (48, 64, 3)]


def test_previews_can_be_shown(painter):
    previews = []
    painted(painter, on_step=lambda step: previews.append(step.preview()), optimizer="lbfgs", start="noise")
    assert all(each.dtype == np.float32 for each in previews)
    assert all(each.min() >= 0 and each.max() <= 1 for each in previews)


def test_a_preview_shows_the_box_only(painter):
    content = rgb_picture(40, 400)
    mask = box_mask(40, 400, (0, 40), (0, 20))
    previews = []
    result = painted(
        painter,
        content,
        {"m": gray_picture(mask)},
        lambda step: previews.append(step.preview()),
        selection="m",
        context_px=10,
        scales=1,
    )
    assert result.box.width < 300
    assert previews[0].shape == (result.box.height, result.box.width, 3)


def test_the_plan_is_what_is_done(painter):
    asked = recipe(style_loss="gram", scales=2)
    result = painted(painter, scales=2)
    assert painter.plan(CONTENT.size, Box(0, 0, 64, 48), asked).levels == result.plan.levels


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs"])
def test_the_losses_fall(painter, optimizer):
    losses = [step["total"] for step in painted(painter, optimizer=optimizer, iterations=20).losses]
    assert min(losses[-3:]) < 0.8 * losses[0]


def test_everyday_losses_start_at_one(painter):
    first = painted(painter, tv_weight=1, frame_weight=0, iterations=1).losses[0]
    assert first["style"] == pytest.approx(1, rel=1e-4)
    assert 0 < first["tv"] <= 1  # against the busiest of the pictures and a photograph
    assert first["content"] == 0


def test_the_total_is_the_sum_of_the_kinds(painter):
    for losses in painted(painter, start="noise").losses:
        assert losses["total"] == pytest.approx(sum(value for kind, value in losses.items() if kind != "total"))


def test_a_layer_that_the_network_lacks_is_refused(painter):
    with pytest.raises(ScumbleError, match="conv3_4"):
        painted(painter, style_layers="conv3_4")


def test_features_that_do_not_exist_are_refused(painter):
    with pytest.raises(ScumbleError, match="vgg99"):
        painted(painter, features="vgg99")


# -------------------------------------------------------------------------------------------------------------- presets


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_paints(painter, name):
    small = Recipe.from_preset(name, styles=[{"picture": "style"}], features="seeded-vgg11", iterations=2)
    result = painter.paint(rgb_picture(48, 48), small, {"style": STYLE})
    assert result.picture.size == (48, 48)
    assert all(np.isfinite(list(losses.values())).all() for losses in result.losses)


def test_texture_is_style_alone(painter):
    small = Recipe.from_preset(
        "texture", styles=[{"picture": "red"}], features="seeded-vgg11", iterations=100, precision="float32"
    )
    losses = painter.paint(CONTENT, small, {"red": flat_picture(RED)}).losses
    assert "content" not in losses[0]
    assert losses[-1]["style"] < 0.1 * losses[0]["style"]


def test_texture_has_nothing_of_the_content(painter):
    small = Recipe.from_preset("texture", styles=[{"picture": "style"}], features="seeded-vgg11", iterations=20)
    result = painter.paint(CONTENT, small, {"style": STYLE}).picture.rgb()
    assert abs(np.corrcoef(result.mean(2).ravel(), CONTENT.rgb().mean(2).ravel())[0, 1]) < 0.3


def test_reconstruct_finds_the_content_again(painter):
    small = Recipe.from_preset(
        "reconstruct", features="seeded-vgg11", content_layers="conv2_1", iterations=80, precision="float32"
    )
    result = painter.paint(CONTENT, small, {})
    assert "style" not in result.losses[0]
    assert np.abs(result.picture.rgb() - CONTENT.rgb()).mean() < 0.05


@both_losses
def test_real_pictures(painter, style_loss):
    if not (IMAGES / "tubingen.jpg").is_file():
        pytest.skip(f"{IMAGES} is not on this machine")
    content = load(IMAGES / "tubingen.jpg")
    top = box_mask(content.height, content.width, (0, content.height // 2), (0, content.width))
    pictures = {
        "night": load(IMAGES / "starry_night.jpg"),
        "scream": load(IMAGES / "the_scream.jpg"),
        "sky": gray_picture(top),
        "town": gray_picture(1 - top),
    }
    result = painted(
        painter,
        content,
        pictures,
        regions=[{"name": name, "mask": name} for name in ("sky", "town")],
        styles=[{"picture": "night", "region": "sky"}, {"picture": "scream", "region": "town"}],
        size=128,
        iterations=4,
        style_loss=style_loss,
    )
    assert result.picture.size == content.size
    assert result.losses[-1]["total"] < result.losses[0]["total"]


@both_losses
def test_little_strength_shows_little(painter, style_loss):
    def change(strength):
        result = painted(painter, strength=strength, style_loss=style_loss, iterations=30).picture.rgb()
        return np.abs(result - CONTENT.rgb()).mean()

    changes = [change(strength) for strength in (2, 20, 60)]
    assert changes[0] < 0.7 * changes[2]
    assert changes[0] < changes[1] < changes[2]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("can't allocate memory"),
        RuntimeError("could not create a primitive"),  # which is how oneDNN says it
        MemoryError(),
    ],
)
def test_out_of_memory_is_met_with_smaller_tiles(painter, monkeypatch, error):
    content = rgb_picture(96, 128)
    whole = painted(painter, content, {"style": STYLE}, style_loss="gram", optimizer="sgd", scales=1)
    evaluate = Objective.evaluate

    def scarce(self, x):
        if len(self._windows) < 4:
            raise error
        return evaluate(self, x)

    monkeypatch.setattr(Objective, "evaluate", scarce)
    steps = []
    tiled = painted(painter, content, {"style": STYLE}, steps.append, style_loss="gram", optimizer="sgd", scales=1)
    assert tiled.plan.tile_px is not None
    assert any("tiles" in warning for warning in tiled.warnings)
    assert steps[-1].progress == pytest.approx(1)
    assert np.abs(tiled.picture.rgb() - whole.picture.rgb()).max() <= 1.5 / 255


def test_no_memory_at_all_is_an_error_with_a_sentence(painter, monkeypatch):
    def none(self, x):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Objective, "evaluate", none)
    with pytest.raises(ScumbleError) as caught:
        painted(painter, CONTENT, {"style": STYLE})
    assert caught.value.code == "out-of-memory"


def test_other_errors_are_not_taken_for_want_of_memory(painter, monkeypatch):
    def wrong(self, x):
        raise RuntimeError("something else")

    monkeypatch.setattr(Objective, "evaluate", wrong)
    with pytest.raises(RuntimeError, match="something else"):
        painted(painter, CONTENT, {"style": STYLE})
