"""Recipes: what is refused and in which words, layers in every spelling, JSON there and back, presets, binding."""

import json
import re

import numpy as np
import pytest
from helpers import gray_picture, rgb_picture
from hypothesis import given
from hypothesis import strategies as st

from scumble.engine.feather import feathered
from scumble.engine.job import bind, mix_of
from scumble.errors import ScumbleError
from scumble.picture import Picture
from scumble.recipe import (
    LAYER,
    PRESETS,
    ContentForm,
    KeepColors,
    LayerWeighting,
    Optimizer,
    Output,
    Padding,
    Pooling,
    Quality,
    Recipe,
    Scaling,
    Start,
    StyleLoss,
    StyleSize,
)


def refused(data):
    """The sentence with which a recipe is refused."""
    with pytest.raises(ScumbleError) as raised:
        Recipe.parse(data)
    assert raised.value.code == "bad-recipe"
    return raised.value.detail


# ------------------------------------------------------------------------------------------------------------ refusals


def test_an_empty_recipe_has_defaults():
    recipe = Recipe.parse({})
    assert (recipe.strength, recipe.quality, recipe.optimizer) == (60, Quality.NORMAL, Optimizer.ADAM)


def test_an_unknown_key_is_named_with_a_suggestion():
    assert refused({"strenght": 3}) == "strenght: unknown key (did you mean 'strength'?)."


def test_an_unknown_key_of_a_style_is_named_with_its_place():
    assert "styles[1].wieght: unknown key (did you mean 'weight'?)" in refused(
        {"styles": [{"picture": "a"}, {"picture": "b", "wieght": 1}]}
    )


def test_a_key_like_no_other_has_no_suggestion():
    assert refused({"zzzzzz": 3}) == "zzzzzz: unknown key."


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("strength", -1),
        ("strength", 100.5),
        ("strength", float("nan")),
        ("stroke_scale", 0.05),
        ("stroke_scale", 9),
        ("size", 15),
        ("size", 40_000),
        ("scales", 0),
        ("scales", 11),
        ("least_gain", -0.1),
        ("least_gain", 0.6),
        ("learning_rate", 0),
        ("learning_rate", float("inf")),
        ("start_noise", 1.5),
        ("seed", -1),
        ("seed", 2**63),
        ("content_weight", -0.1),
        ("style_weight", 1e13),
        ("tv_exponent", 0.4),
        ("tv_exponent", 2.5),
        ("activation_shift", -11),
        ("context_px", 513),
        ("feather_px", -1),
        ("feather_px", 1001),
        ("feather_px", float("nan")),
        ("output", "mask"),
        ("memory_mb", 63),
        ("version", 2),
        ("quality", "best"),
        ("optimizer", "newton"),
        ("features", ""),
    ],
)
def test_a_value_out_of_range_is_named_with_the_value(field, value):
    sentence = refused({field: value})
    assert sentence.startswith(f"{field}: ")
    assert repr(value) in sentence


def test_a_number_of_iterations_must_be_positive():
    assert refused({"iterations": [5, 0]}).startswith("iterations[1]: ")


def test_a_weight_of_a_style_out_of_range_is_named_with_its_place():
    assert refused({"styles": [{"picture": "a", "weight": 11}]}).startswith("styles[0].weight: ")


def test_too_many_styles_are_refused():
    assert refused({"styles": [{"picture": "a"}] * 17}).startswith("styles: ")


def test_a_region_that_does_not_exist_is_named():
    sentence = refused({"regions": [{"name": "sky", "mask": "m"}], "styles": [{"picture": "a", "region": "sea"}]})
    assert sentence == "styles[0].region: there is no region 'sea' (regions: 'sky')."


def test_a_region_twice_is_refused():
    assert refused({"regions": [{"name": "sky", "mask": "a"}, {"name": "sky", "mask": "b"}]}) == (
        "regions: 'sky' is there twice."
    )


def test_going_on_needs_a_picture():
    assert refused({"start": "picture"}) == "start_picture: name the picture to go on from."


def test_a_mask_of_what_to_stay_near_needs_a_picture():
    sentence = "steady_picture: name the picture that `steady_mask` is for."
    assert refused({"steady_mask": "a"}) == sentence


@pytest.mark.parametrize("text", ["{", "", b"\xff", "{'a': 1}"])
def test_what_is_not_json_is_refused(text):
    assert refused(text).startswith("The recipe is not JSON: ")


@pytest.mark.parametrize("data", ["[1]", "null", "3"])
def test_what_is_no_object_is_refused(data):
    assert refused(data) == "The recipe is not a JSON object."


def test_several_mistakes_are_named_together():
    sentence = refused({"strength": -1, "size": 1})
    assert "strength: " in sentence
    assert "size: " in sentence


def test_a_recipe_cannot_be_changed_in_place():
    with pytest.raises(ValueError, match="frozen"):
        Recipe().strength = 3


def test_changed_validates_again():
    assert Recipe.parse({"seed": 3}).changed(strength=20).as_dict() == {"seed": 3, "strength": 20.0}
    with pytest.raises(ScumbleError, match="strength"):
        Recipe().changed(strength=101)


# -------------------------------------------------------------------------------------------------------------- layers


@pytest.mark.parametrize(
    "given_layers",
    [
        "conv1_1,conv2_1",
        "conv1_1, conv2_1",
        "conv1_1:1,conv2_1:1.0",
        ["conv1_1", "conv2_1"],
        ["conv1_1:1", "conv2_1"],
        {"conv1_1": 1, "conv2_1": 1.0},
        "block1_conv1,block2_conv1",
        ["block1_conv1:1", "block2_conv1"],
        {"block1_conv1": 1, "block2_conv1": 1},
    ],
)
@pytest.mark.parametrize("field", ["content_layers", "style_layers"])
def test_layers_in_every_spelling(field, given_layers):
    assert getattr(Recipe.parse({field: given_layers}), field) == {"conv1_1": 1.0, "conv2_1": 1.0}


def test_layers_with_weights():
    assert Recipe.parse({"style_layers": "relu1_1:0.5,preact2_2:2,pool3"}).style_layers == {
        "relu1_1": 0.5,
        "preact2_2": 2.0,
        "pool3": 1.0,
    }


def test_all_layers_for_the_style():
    assert Recipe.parse({"style_layers": "all"}).style_layers == "all"


def test_all_is_nothing_for_the_content():
    assert refused({"content_layers": "all"}).startswith("content_layers: ")


@pytest.mark.parametrize("name", ["conv6_1", "conv1_5", "conv0_1", "conv1", "fc6", "pool6", "Conv1_1", "conv1_1x"])
@pytest.mark.parametrize("field", ["content_layers", "style_layers"])
def test_what_is_no_layer_is_refused(field, name):
    assert refused({field: [name]}).startswith(f"{field}: {name!r} is no layer name")


@pytest.mark.parametrize("nothing", [{}, [], ""])
def test_no_layer_at_all_is_refused(nothing):
    assert refused({"style_layers": nothing}) == "style_layers: name at least one layer."


@pytest.mark.parametrize("field", ["content_layers", "style_layers"])
@pytest.mark.parametrize("weight", [-1, "x"])
def test_a_layers_weight_that_is_wrong_is_named_as_the_user_wrote_it(field, weight):
    sentence = refused({field: {"conv1_1": weight}})
    assert sentence.startswith(f"{field}.conv1_1: ")
    assert "constrained" not in sentence
    assert "literal" not in sentence


@pytest.mark.parametrize(("value", "wanted"), [(7, (7,)), ([9, 5], (9, 5)), ("9, 5", (9, 5)), ("7", (7,))])
def test_iterations_in_every_spelling(value, wanted):
    assert Recipe.parse({"iterations": value}).iterations == wanted


# ---------------------------------------------------------------------------------------------------------------- JSON

names = st.text(min_size=1, max_size=8)
weights = st.floats(0, 1e12)
layers = st.dictionaries(st.from_regex(LAYER, fullmatch=True), weights, min_size=1, max_size=4)
FIELDS = {
    "preset": names,
    "selection": names,
    "feather_px": st.floats(0, 1000),
    "output": st.sampled_from([each.value for each in Output]),
    "strength": st.floats(0, 100),
    "stroke_scale": st.floats(0.1, 8),
    "keep_colors": st.sampled_from([each.value for each in KeepColors]),
    "quality": st.sampled_from([each.value for each in Quality]),
    "size": st.integers(16, 32768),
    "iterations": st.lists(st.integers(1, 100_000), min_size=1, max_size=4),
    "scales": st.integers(1, 10),
    "optimizer": st.sampled_from([each.value for each in Optimizer]),
    "least_gain": st.floats(0, 0.5),
    "learning_rate": st.floats(1e-300, 10),
    "start": st.sampled_from(["content", "noise", "style", "blend"]),
    "seed": st.integers(0, 2**63 - 1),
    "features": names,
    "content_layers": layers,
    "style_layers": layers | st.just("all"),
    "style_loss": st.sampled_from([each.value for each in StyleLoss]),
    "scaling": st.sampled_from([each.value for each in Scaling]),
    "content_weight": weights,
    "activation_shift": st.floats(-10, 10),
    "chain": st.booleans(),
    "memory_mb": st.integers(64, 10**9),
}


@st.composite
def recipes(draw):
    """Recipes with any fields; regions are named as they are used."""
    data = draw(st.fixed_dictionaries({}, optional=FIELDS))
    regions = draw(st.lists(names, max_size=3, unique=True))
    data["regions"] = [{"name": name, "mask": draw(names)} for name in regions]
    data["styles"] = [
        {
            "picture": draw(names),
            "weight": draw(st.floats(0, 10)),
            "region": draw(st.sampled_from([None, *regions])),
            "part": draw(st.none() | names),
            "keep_colors": draw(st.none() | st.just("match")),
        }
        for _ in range(draw(st.integers(0, 3)))
    ]
    return Recipe.parse(data)


@given(recipes())
def test_json_there_and_back(recipe):
    assert Recipe.parse(recipe.as_json()) == recipe
    assert Recipe.parse(recipe.as_json().encode()) == recipe
    assert Recipe.parse(recipe.as_dict()) == recipe


@given(recipes())
def test_json_leaves_defaults_out(recipe):
    said = json.loads(recipe.as_json())
    assert said == recipe.as_dict()
    assert all(getattr(recipe, field) != getattr(Recipe(), field) for field in said)


# ------------------------------------------------------------------------------------------------------------- presets

FIVE = ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]
PUBLISHED = ["gatys-2015", "gatys-2016", "novak-nikulin-2016", "linkoping", "technion", "srmist"]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_and_labelled(name):
    recipe = Recipe.from_preset(name, styles=[{"picture": "a"}])
    assert recipe.preset == name
    assert Recipe.parse(recipe.as_json()) == recipe


def test_the_table_of_presets_is_complete():
    assert {*PUBLISHED, "masked"} <= set(PRESETS)


def test_an_unknown_preset_has_a_suggestion():
    with pytest.raises(ScumbleError, match="gatys-2017") as raised:
        Recipe.from_preset("gatys-2017")
    assert "gatys-201" in raised.value.hint


def test_a_presets_fields_can_be_changed():
    assert Recipe.from_preset("gatys-2015", size=100).size == 100


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_settings_take_the_sums_as_printed(name):
    recipe = Recipe.from_preset(name)
    assert (recipe.scaling, recipe.content_form) == (Scaling.PAPER, ContentForm.HALF_SUM)
    assert recipe.style_loss is StyleLoss.GRAM
    assert recipe.frame_weight == 0
    assert recipe.pooling is Pooling.AVERAGE
    assert recipe.padding is Padding.ZEROS


def test_gatys_2015():
    recipe = Recipe.from_preset("gatys-2015")
    assert recipe.content_layers == {"conv4_2": 1.0}
    assert recipe.style_layers == dict.fromkeys(FIVE, 0.2)
    assert recipe.content_weight / recipe.style_weight == pytest.approx(1e-3)
    assert (recipe.normalized, recipe.start, recipe.tv_weight) == (True, Start.NOISE, 0)


def test_gatys_2016():
    recipe = Recipe.from_preset("gatys-2016")
    assert recipe.content_layers == {"conv4_2": 1.0}
    assert recipe.style_layers == dict.fromkeys(FIVE, 0.2)
    assert (recipe.start, recipe.optimizer, recipe.style_size) == (Start.CONTENT, Optimizer.LBFGS, StyleSize.CONTENT)
    assert recipe.tv_weight == 0


def test_novak_nikulin_2016():
    recipe = Recipe.from_preset("novak-nikulin-2016")
    assert recipe.content_layers == {"conv4_2": 1.0}
    assert (recipe.style_layers, recipe.layer_weighting) == ("all", LayerWeighting.GEOMETRIC)
    assert (recipe.activation_shift, recipe.chain) == (-1, True)


def test_linkoping():
    recipe = Recipe.from_preset("linkoping")
    assert recipe.content_layers == {"conv5_2": 1.0}
    assert recipe.style_layers == dict.fromkeys(FIVE, 1 / 5)
    assert recipe.tv_exponent == 1.25
    assert recipe.tv_weight > 0
    assert (recipe.optimizer, recipe.features, recipe.normalized) == (Optimizer.ADAM, "auto-caffe", False)


def test_technion():
    recipe = Recipe.from_preset("technion")
    assert list(recipe.style_layers) == FIVE
    heavy = list(recipe.style_layers.values())
    assert heavy == sorted(heavy, reverse=True)
    assert len(set(heavy)) == 5
    assert recipe.style_size is StyleSize.CONTENT


def test_srmist():
    recipe = Recipe.from_preset("srmist")
    assert recipe.content_layers == {"conv4_2": 1.0}
    assert list(recipe.style_layers) == FIVE
    assert (recipe.normalized, recipe.optimizer) == (True, Optimizer.ADAM)
    assert recipe.tv_weight > 0


def test_masked():
    recipe = Recipe.from_preset("masked")
    assert recipe.content_layers == {"conv5_2": 1.0}
    assert (recipe.style_layers, recipe.layer_weighting) == ("all", LayerWeighting.GEOMETRIC)


def test_texture_is_style_alone():
    recipe = Recipe.from_preset("texture")
    assert (recipe.content_weight, recipe.tv_weight, recipe.start) == (0, 0, Start.NOISE)
    assert recipe.style_weight > 0


def test_reconstruct_is_content_alone():
    recipe = Recipe.from_preset("reconstruct")
    assert (recipe.style_weight, recipe.frame_weight) == (0, 0)
    assert recipe.content_weight > 0


# ------------------------------------------------------------------------------------------------------------- binding

CONTENT = rgb_picture(20, 30)
STYLE = rgb_picture(16, 16, seed=1)
LEFT, RIGHT = np.zeros((20, 30)), np.zeros((20, 30))
LEFT[:, :10], RIGHT[:, 20:] = 1, 1
PICTURES = {
    "style": STYLE,
    "left": gray_picture(LEFT),
    "right": gray_picture(RIGHT),
    "half": gray_picture(np.full((20, 30), 0.5)),
    "black": gray_picture(np.zeros((20, 30))),
    "other size": gray_picture(np.ones((20, 31))),
    "part": gray_picture(np.ones((16, 16))),
}
ONE = [{"picture": "style"}]


def bound(content=CONTENT, **fields):
    return bind(content, Recipe.parse({"styles": ONE, **fields}), PICTURES)


def in_region(mask, **fields):
    return {"regions": [{"name": "there", "mask": mask}], "styles": [{"picture": "style", "region": "there"}], **fields}


def refusal(code, field, content=CONTENT, **fields):
    """Binding is refused with that code, in a sentence that names the field."""
    with pytest.raises(ScumbleError) as raised:
        bound(content, **fields)
    assert raised.value.code == code
    assert re.search(re.escape(field), raised.value.detail, re.IGNORECASE), raised.value.detail
    return raised.value.detail


def test_a_missing_style_is_named():
    assert refusal("missing-picture", "styles[0].picture", styles=[{"picture": "nowhere"}]).count("'nowhere'") == 1


def test_a_missing_selection_is_named():
    refusal("missing-picture", "selection: ", selection="nowhere")


def test_a_missing_mask_is_named():
    refusal("missing-picture", "regions[0].mask: ", **in_region("nowhere"))


def test_a_missing_part_is_named():
    refusal("missing-picture", "styles[0].part: ", styles=[{"picture": "style", "part": "nowhere"}])


def test_a_missing_start_is_named():
    refusal("missing-picture", "start_picture: ", start="picture", start_picture="nowhere")


def test_a_missing_picture_to_stay_near_is_named():
    refusal("missing-picture", "steady_picture: ", steady_picture="nowhere")
    refusal("missing-picture", "steady_mask: ", steady_picture="style", steady_mask="nowhere")


def test_what_to_stay_near_is_bound_with_its_trust():
    hold = bound(steady_picture="style", steady_mask="left").hold
    assert (hold.rgb == PICTURES["style"].rgb()).all()
    assert (hold.trust == PICTURES["left"].as_mask()).all()
    assert bound(steady_picture="style").hold.trust.all()
    assert bound(steady_picture="style", steady_weight=0).hold is None
    assert bound().hold is None


def test_no_style_at_all_is_refused():
    refusal("missing-picture", "styles: ", styles=[])


def test_content_alone_needs_no_style():
    assert bound(styles=[], style_weight=0).mix.all()


@pytest.mark.parametrize("field", ["selection", "regions[0].mask"])
def test_a_mask_of_another_size_is_named_with_both_sizes(field):
    fields = {"selection": "other size"} if field == "selection" else in_region("other size")
    sentence = refusal("bad-mask", field, **fields)
    assert "31 × 20" in sentence
    assert "30 × 20" in sentence


def test_a_part_of_another_size_than_its_style_is_named():
    refusal("bad-mask", "styles[0].part", styles=[{"picture": "style", "part": "left"}])


@pytest.mark.parametrize("field", ["selection", "regions[0].mask"])
def test_an_empty_mask_is_named(field):
    refusal("empty-mask", field, **({"selection": "black"} if field == "selection" else in_region("black")))


def test_a_region_outside_the_selection_is_named():
    refusal("empty-mask", "region 'there' and the selection", **in_region("right", selection="left"))


def transparent(where):
    pixels = np.concatenate([CONTENT.pixels, np.full((20, 30, 1), 255, np.uint8)], 2)
    pixels[..., 3][where > 0] = 0
    return Picture(pixels)


def test_a_selection_of_nothing_visible_is_refused():
    refusal("empty-mask", "selection", transparent(LEFT), selection="left")


def test_a_region_of_nothing_visible_is_refused():
    refusal("empty-mask", "regions", transparent(LEFT), **in_region("left"))


def test_a_style_of_nothing_visible_is_named():
    pictures = {"style": Picture(np.zeros((4, 4, 4), np.uint8))}
    with pytest.raises(ScumbleError, match=r"styles\[0\]"):
        bind(CONTENT, Recipe.parse({"styles": ONE}), pictures)


def test_without_masks_everything_is_painted():
    job = bound()
    assert (job.mix == 1).all()
    assert [region.name for region in job.regions] == ["selection"]


def test_a_regions_mask_counts_the_selection_in():
    job = bound(**in_region("left", selection="half"))
    assert np.allclose(job.regions[0].mask, LEFT * 128 / 255)


def test_the_feather_softens_the_selection_and_no_region():
    sharp, soft = bound(selection="left"), bound(selection="left", feather_px=6)
    assert np.array_equal(soft.mix, feathered(sharp.mix, 6))
    assert len(np.unique(soft.mix)) > 3
    assert np.array_equal(bound(feather_px=6, **in_region("left")).mix, sharp.mix)
    both = bound(feather_px=6, **in_region("half", selection="left"))
    assert np.allclose(both.mix, soft.mix * 128 / 255)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"selection": "half", "feather_px": 5},
        {**in_region("left", selection="half"), "feather_px": 5},
        {"styles": [{"picture": "style", "weight": 0}]},
        {"styles": [], "style_weight": 0, "selection": "left"},
    ],
)
def test_the_mix_alone_needs_no_picture_but_the_masks(fields):
    content = transparent(RIGHT)
    recipe = Recipe.parse({"styles": ONE, **fields})
    masks = {name: PICTURES[name] for name in ("left", "half")}
    assert np.array_equal(mix_of(content, recipe, masks), bind(content, recipe, PICTURES).mix)


def test_mix_is_the_sum_of_the_regions_at_most_one():
    regions = [{"name": name, "mask": name} for name in ("left", "half")]
    styles = [{"picture": "style", "region": name} for name in ("left", "half")]
    assert np.allclose(bound(regions=regions, styles=styles).mix, np.maximum(LEFT, 128 / 255))


def test_nothing_is_painted_where_nothing_is_visible():
    job = bound(transparent(LEFT))
    assert np.array_equal(job.mix == 0, LEFT > 0)


def test_styles_of_one_region_stay_together_in_order():
    styles = [{"picture": "style", "region": r, "weight": w} for r, w in (("a", 1), (None, 2), ("a", 3))]
    job = bound(regions=[{"name": "a", "mask": "left"}], styles=styles)
    assert [(region.name, [style.style.weight for style in region.styles]) for region in job.regions] == [
        ("a", [1, 3]),
        ("selection", [2]),
    ]


def test_a_style_without_weight_is_left_out():
    styles = [{"picture": "style", "weight": 0}, {"picture": "style", "weight": 2}]
    assert [style.style.weight for style in bound(styles=styles).regions[0].styles] == [2]


def test_a_styles_own_settings_go_before_the_recipes():
    styles = [{"picture": "style", "stroke_scale": 2, "keep_colors": "off"}, {"picture": "style"}]
    first, second = bound(styles=styles, stroke_scale=0.5, keep_colors="match").regions[0].styles
    assert (first.stroke_scale, first.keep_colors) == (2, KeepColors.OFF)
    assert (second.stroke_scale, second.keep_colors) == (0.5, KeepColors.MATCH)


def test_a_part_hides_the_rest_of_its_style():
    pictures = {"style": STYLE, "part": gray_picture(np.eye(16))}
    recipe = Recipe.parse({"styles": [{"picture": "style", "part": "part"}]})
    assert np.array_equal(bind(CONTENT, recipe, pictures).regions[0].styles[0].visible, np.eye(16, dtype=np.float32))
