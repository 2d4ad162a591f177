"""The tables of controls: the daemon's recipe is the truth about names, ranges, choices and defaults."""

import types
from enum import Enum
from typing import Literal, Union, get_args, get_origin

import annotated_types
import plugins
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scumble.recipe import Recipe

plugins.link()
from krita_scumble.link.errors import LinkError  # noqa: E402
from krita_scumble.link.fields import BY_NAME, CONTROLS, FIELDS, KEEP_COLORS, MAX_STYLES, QUALITIES, layers_text  # noqa: E402
from krita_scumble.link.settings import Settings  # noqa: E402

MAIN = {"styles", "strength", "stroke_scale", "keep_colors", "quality", "size", "iterations", "feather_px", "output"}
"""What main controls say."""
OWN = {"version", "preset", "regions", "selection", "start_picture", "steady_picture", "steady_mask", "steady_weight"}
"""What the plug-in says by itself, or has no use for."""


def parts_of(kind):
    """The types that a union is made of, without None."""
    if get_origin(kind) in (Union, types.UnionType):
        return [part for each in get_args(kind) if each is not type(None) for part in parts_of(each)]
    if hasattr(kind, "__metadata__"):
        return parts_of(get_args(kind)[0])
    return [kind]


def choices_of(kind):
    """The values that an enumeration or a literal admits."""
    (kind,) = parts_of(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {each.value for each in kind}
    return set(get_args(kind))


def limits_of(info):
    """(low, high) of a number's field, wherever pydantic keeps them; an open end is None."""
    found = [*info.metadata]
    todo = [info.annotation]
    while todo:
        kind = todo.pop()
        for each in getattr(kind, "__metadata__", ()):
            found += getattr(each, "metadata", [each])
        todo += [each for each in get_args(kind) if each is not None]
    low = [each.ge for each in found if isinstance(each, annotated_types.Ge)]
    low += [each.gt for each in found if isinstance(each, annotated_types.Gt)]
    high = [each.le for each in found if isinstance(each, annotated_types.Le)]
    high += [each.lt for each in found if isinstance(each, annotated_types.Lt)]
    return (low or [None])[0], (high or [None])[0]


def test_every_field_of_the_recipe_is_in_one_place():
    names = [field.name for field in FIELDS]
    assert len(set(names)) == len(names)
    assert set(names) | MAIN | OWN == set(Recipe.model_fields)
    assert not set(names) & (MAIN | OWN)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
class TestField:
    def test_its_default_is_the_recipes(self, field):
        default = Recipe.model_fields[field.name].default
        if field.name == "engine":
            default = None  # the plug-in's own Auto, which knows which styles are trained
        assert field.default == (default.value if isinstance(default, Enum) else default)

    def test_its_kind_is_the_recipes(self, field):
        kinds = parts_of(Recipe.model_fields[field.name].annotation)
        if field.kind == "choice":
            assert get_origin(kinds[0]) is Literal or issubclass(kinds[0], Enum)
        elif field.kind == "layers":
            assert any(get_origin(kind) is dict for kind in kinds)
        else:
            assert kinds == [{"int": int, "float": float, "text": str, "bool": bool}[field.kind]]

    def test_its_choices_are_the_recipes(self, field):
        if field.kind != "choice":
            return
        own = {value for value, _ in field.choices}
        lacking = {"picture"} if field.name == "start" else set()  # which needs another picture
        assert own == choices_of(Recipe.model_fields[field.name].annotation) - lacking

    def test_its_range_is_the_recipes(self, field):
        if field.kind not in ("int", "float"):
            return
        low, high = limits_of(Recipe.model_fields[field.name])
        assert low is not None
        if field.name == "learning_rate":
            assert low == 0 < field.low < 1e-6  # which is not among them
        else:
            assert field.low == low
        if field.name == "seed":
            assert field.high == high - 1 == 2**63 - 1
        elif high is None:
            assert field.high > 10**9
        else:
            assert field.high == high

    def test_the_recipe_takes_its_ends(self, field):
        values = {"bool": [True, False], "layers": ["conv4_2, pool3:0.5"], "text": ["vgg16"]}.get(field.kind)
        for value in values or [value for value, _ in field.choices] or [field.low, field.high]:
            Recipe.parse({field.name: field.checked(value)})

    def test_it_can_be_read_again_as_it_is_shown(self, field):
        values = {"bool": [], "layers": [{"conv4_2": 1.0, "pool3": 0.5}], "text": ["vgg16"]}.get(field.kind)
        if values is None:
            values = [value for value, _ in field.choices] or [field.low, field.high]
        for value in values:
            assert field.checked(field.shown(value)) == value
        assert field.checked(field.shown(None)) is None

    def test_it_has_words(self, field):
        assert field.label
        assert field.tip.endswith(".")
        assert field.group
        assert all(label for _, label in field.choices)

    @pytest.mark.parametrize("value", [object(), [], {"a": 1}, "\0", -(10**30), 10**30, float("nan"), "conv9_9"])
    def test_it_takes_nothing_that_the_recipe_refuses(self, field, value):
        try:
            checked = field.checked(value)
        except LinkError as error:
            assert error.code == "bad-recipe"
            assert field.label in error.detail
        else:
            Recipe.parse({field.name: checked})


def test_layers_in_words():
    field = BY_NAME["style_layers"]
    assert field.checked("conv1_1, relu2_1:0.5,block3_conv1") == {"conv1_1": 1.0, "relu2_1": 0.5, "conv3_1": 1.0}
    assert field.checked(["conv1_1", "pool2:3"]) == {"conv1_1": 1.0, "pool2": 3.0}
    assert field.checked(" all ") == "all"
    assert layers_text({"conv1_1": 1.0, "pool3": 0.25}) == "conv1_1, pool3:0.25"
    with pytest.raises(LinkError, match="Content layers"):
        BY_NAME["content_layers"].checked("all")


@given(st.dictionaries(st.sampled_from(["conv1_1", "relu4_2", "preact5_4", "pool3"]), st.floats(0, 1e12), min_size=1))
def test_layers_survive_being_shown(layers):
    again = BY_NAME["style_layers"].checked(layers_text(layers))
    assert again.keys() == layers.keys()
    assert all(again[name] == pytest.approx(layers[name], rel=1e-9) for name in layers)


def test_a_number_may_have_a_comma():
    assert BY_NAME["tv_exponent"].checked("1,5") == 1.5


# ------------------------------------------------------------------------------------------------------------- controls


def test_each_setting_has_a_control():
    assert set(Settings().as_dict()) - {"more"} <= set(CONTROLS)
    for control in CONTROLS.values():
        assert control.label
        assert control.tip.endswith((".", "here."))


@pytest.mark.parametrize(("name", "factor"), [("strength", 1), ("stroke_scale", 100), ("size", 1)])
def test_a_controls_range_is_within_the_recipes(name, factor):
    low, high = limits_of(Recipe.model_fields[name])
    control = CONTROLS[name]
    assert low * factor <= control.low < control.high <= high * factor
    assert control.low <= control.default <= control.high


def test_the_feather_and_the_weights_have_the_recipes_range():
    from scumble.recipe import Style

    assert (CONTROLS["feather"].low, CONTROLS["feather"].high) == limits_of(Recipe.model_fields["feather_px"])
    low, high = limits_of(Style.model_fields["weight"])
    assert (CONTROLS["weight"].low, CONTROLS["weight"].high) == (low * 100, high * 100)


def test_choices_of_controls_are_known_to_the_recipe():
    assert {value for value, _ in KEEP_COLORS} < choices_of(Recipe.model_fields["keep_colors"].annotation)
    assert {value for value, _ in QUALITIES} - {"custom"} == choices_of(Recipe.model_fields["quality"].annotation)
    assert MAX_STYLES <= 16
    for name, control in CONTROLS.items():
        if control.choices:
            assert control.default in {value for value, _ in control.choices}, name


def test_defaults_are_those_of_new_settings():
    fresh = Settings().as_dict()
    for name, control in CONTROLS.items():
        if name in fresh and control.default is not None:
            assert fresh[name] == control.default, name
