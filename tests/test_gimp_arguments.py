"""GIMP's arguments as settings and back, and recipes as they are given to the procedure."""

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import plugins
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scumble.picture import Picture, encode
from scumble.recipe import PRESETS, Recipe
from scumble.signature import signed

plugins.gimp()
from gimp_scumble import recipes  # noqa: E402
from gimp_scumble.arguments import AUTO, TABLE, Arguments, arguments_of, settings_of  # noqa: E402
from gimp_scumble.link.errors import LinkError  # noqa: E402
from gimp_scumble.link.fields import AREAS, BY_NAME, CONTROLS, KEEP_COLORS, QUALITIES, RESULTS  # noqa: E402
from gimp_scumble.link.settings import Settings, StyleRow  # noqa: E402

HERE = Path.cwd()


def styles_of(*texts, recipe=""):
    return settings_of(Arguments(styles=texts, recipe=recipe)).styles


def refused(code, **given):
    with pytest.raises(LinkError) as caught:
        settings_of(Arguments(**given))
    assert caught.value.code == code
    return caught.value


# ----------------------------------------------------------------------------------------------------------- the table


def test_every_argument_is_in_the_table_and_is_by_default_what_a_new_user_has():
    assert [each.control.name for each in TABLE] == [each.name for each in fields(Arguments)]
    fresh = Settings()
    for each in TABLE:
        expected = {"styles": (), "feather": AUTO, "recipe": ""}.get(each.control.name, ...)
        assert each.default == (getattr(fresh, each.control.name) if expected is ... else expected), each.name
    assert settings_of(Arguments()) == fresh


def test_defaults_and_limits_are_those_of_the_controls():
    for each in TABLE:
        known = CONTROLS.get(each.control.name)
        if known is not None and known.default is not None:
            assert each.default == known.default, each.name
        if isinstance(each.default, int):
            low, high = known.limits
            assert each.limits == (AUTO if each.name == "feather" else low, high)
    assert [each.name for each in TABLE][2] == "stroke-scale"


# ------------------------------------------------------------------------------------------------------------- styles


@pytest.mark.parametrize(
    "text, weight, region, source",
    [
        ("/pics/a.png", 100, "", "/pics/a.png"),
        ("70|/pics/a.png", 70, "", "/pics/a.png"),
        (" 70 % |/pics/a.png", 70, "", "/pics/a.png"),
        ("|/pics/a.png", 100, "", "/pics/a.png"),
        ("70||/pics/a.png", 70, "", "/pics/a.png"),
        ("||/pics/a.png", 100, "", "/pics/a.png"),
        ("0|channel:Sky|/pics/a.png", 0, "channel:Sky", "/pics/a.png"),
        ("| layer:The tree |/pics/a.png", 100, "layer:The tree", "/pics/a.png"),
        ("|mask:12|library:night", 100, "mask:12", "library:night"),
        ("library:night", 100, "", "library:night"),
        ("||/pics/a|b|c.png", 100, "", "/pics/a|b|c.png"),
        ("|/pics/50%.png", 100, "", "/pics/50%.png"),
        (r"80|C:\pics\a.png", 80, "", r"C:\pics\a.png"),
        (r"|channel:Sky|C:\pics\a.png", 100, "channel:Sky", r"C:\pics\a.png"),
        (r"||\\server\pics\a.png", 100, "", r"\\server\pics\a.png"),
        ("pics/a.png", 100, "", str(HERE / "pics/a.png")),
        ("5||~/a.png", 5, "", str(Path.home() / "a.png")),
        ("/pics/ a.png ", 100, "", "/pics/ a.png "),
    ],
)
def test_a_style_is_written_as_weight_region_path(text, weight, region, source):
    (row,) = styles_of(text)
    assert (row.weight, row.region, row.source) == (weight, region, source)


def test_a_style_is_called_by_its_file():
    names = [row.name for row in styles_of("/a/Great wave.jpg", "library:night", "library:other")]
    assert names == ["Great wave", Settings().styles[0].name, "other"]


@pytest.mark.parametrize("text", ["heavy|/a.png", "-5|/a.png", "1001||/a.png", "1.5|/a.png", "channel:Sky|/a.png"])
def test_a_weight_that_is_none_is_refused(text):
    error = refused("bad-recipe", styles=(text,))
    assert text in error.detail
    assert "0 to 1000" in error.hint


def test_there_are_four_styles_at_most():
    assert len(styles_of(*"abcd")) == 4
    assert "4" in refused("bad-recipe", styles=tuple("abcde")).detail
    many = json.dumps({"styles": [{"picture": name} for name in "abcde"]})
    assert "4" in refused("bad-recipe", recipe=many).detail


# ------------------------------------------------------------------------------------------------------------- recipes


def test_a_recipe_sets_what_it_names_and_nothing_else():
    found = settings_of(Arguments(recipe='{"strength": 80, "optimizer": "lbfgs", "seed": 7}'))
    assert found == Settings(strength=80, more={"optimizer": "lbfgs", "seed": 7})


def test_an_argument_that_is_given_comes_before_the_recipe():
    recipe = '{"strength": 80, "stroke_scale": 2, "output": "layer", "feather_px": 4, "selection": "mask"}'
    found = settings_of(Arguments(recipe=recipe, strength=30, area="layer", feather=0))
    assert found == Settings(strength=30, stroke_scale=200, result="layer", feather=0, area="layer")


def test_styles_that_are_given_come_before_those_of_the_recipe():
    recipe = '{"styles": [{"picture": "/x.png", "weight": 0.5}]}'
    assert [row.source for row in styles_of("/a.png", recipe=recipe)] == ["/a.png"]
    assert settings_of(Arguments(recipe=recipe)).styles == (StyleRow("/x.png", "x", 50),)


def test_what_is_stored_with_a_layer_is_a_recipe():
    rows = (StyleRow("/a/b.png", "The wave", 70, "channel:5", "Sky"), StyleRow("library:night", "Swirling night"))
    was = Settings(rows, strength=41, quality="custom", size=300, iterations="8, 4", feather=3, more={"seed": 9})
    stored = was.stored(was.recipe(None, {"channel:5": "region-1"}, True, 3))
    assert settings_of(Arguments(recipe=stored)) == was
    # what the daemon makes of it, which says nothing that is as by default
    told = Recipe.parse({key: value for key, value in json.loads(stored).items() if key != "notes"}).as_dict()
    assert settings_of(Arguments(recipe=was.stored(told))) == was


def test_what_a_recipe_calls_a_region_holds_for_styles_that_are_given():
    recipe = json.dumps({"notes": {"regions": {"Sky": "channel:5", "Sea": ["channel:6"]}}})
    (row,) = styles_of("|channel:5|/a.png", recipe=recipe)
    assert row.region_name == "Sky"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_of_the_daemon_is_a_recipe(name):
    told = Recipe.from_preset(name).as_dict()
    assert settings_of(Arguments(recipe=json.dumps(told))) == Settings().with_recipe(told)


def test_a_recipe_goes_on_painting_without_the_picture_it_went_on_from():
    recipe = {"start": "picture", "start_picture": "start", "strength": 20}
    assert settings_of(Arguments(recipe=json.dumps(recipe))) == Settings(strength=20)


@pytest.mark.parametrize(
    "recipe, word",
    [
        ('{"strenght": 80}', "strenght"),
        ('{"optimizer": "newton"}', "newton"),
        ('{"strength": "high"}', "high"),
        ('{"strength": 101}', "101"),
        ('{"quality": "best"}', "best"),
        ('{"styles": "/a"}', "/a"),
        ('{"styles": null}', "None"),
        ('{"strength": 80', "80"),
        ('{"a":' * 100_000, "a"),
    ],
)
def test_a_recipe_that_is_none_is_refused(recipe, word):
    assert word in refused("bad-recipe", recipe=recipe).detail


def test_a_recipe_may_be_a_file_whose_pictures_lie_beside_it(tmp_path):
    file = tmp_path / "mine.json"
    pictures = ["wave.png", "/else/where.png", "library:night"]
    file.write_text(json.dumps({"strength": 33, "styles": [{"picture": each} for each in pictures]}))
    found = settings_of(Arguments(recipe=str(file)))
    assert found.strength == 33
    assert [row.source for row in found.styles] == [str(tmp_path / "wave.png"), "/else/where.png", "library:night"]


@pytest.mark.parametrize("word", ["plain", "Größe 水"])
def test_a_recipe_may_be_a_picture_that_scumble_has_painted(tmp_path, word):
    """Of Latin-1 and of other letters: PNG has two kinds of text."""
    recipe = Recipe.parse({"strength": 21, "seed": 5, "preset": word})
    painted = signed(Picture(np.zeros((4, 5, 3), np.uint8)), recipe, "embedded", "content")
    file = tmp_path / "painted.png"
    file.write_bytes(encode(painted, "png"))
    assert settings_of(Arguments(recipe=str(file))) == Settings(strength=21, more={"seed": 5}, preset=word)


def test_a_packed_text_of_a_picture_is_read(tmp_path):
    """As other programs may write it anew."""
    from PIL import Image, PngImagePlugin

    text = PngImagePlugin.PngInfo()
    text.add_itxt("scumble:recipe", '{"strength": 11}', zip=True)
    Image.new("RGB", (3, 3)).save(tmp_path / "a.png", pnginfo=text)
    assert recipes.read(str(tmp_path / "a.png")) == {"strength": 11}


def test_a_file_without_a_recipe_is_refused(tmp_path):
    picture = tmp_path / "photo.png"
    picture.write_bytes(encode(Picture(np.zeros((4, 5, 3), np.uint8)), "png"))
    assert "photo.png" in refused("bad-recipe", recipe=str(picture)).detail
    picture.write_bytes(picture.read_bytes()[:20])
    assert "photo.png" in refused("bad-recipe", recipe=str(picture)).detail
    assert "nowhere.json" in refused("missing-file", recipe=str(tmp_path / "nowhere.json")).detail
    assert str(tmp_path) in refused("bad-recipe", recipe=str(tmp_path)).detail
    (tmp_path / "list.json").write_text("[1]")
    refused("bad-recipe", recipe=str(tmp_path / "list.json"))
    refused("bad-recipe", recipe="a\0b")


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "source"]), inner)),
    max_leaves=5,
)
NOTES = st.fixed_dictionaries({}, optional=dict.fromkeys(("styles", "regions", "area", "feather"), JSON))
FIELDS = {"notes": st.one_of(NOTES, JSON), **dict.fromkeys((*recipes._MAIN, *recipes._OTHERS, *BY_NAME), JSON)}


@settings(suppress_health_check=[HealthCheck.too_slow])  # beside other work
@given(st.fixed_dictionaries({}, optional=FIELDS), st.sampled_from([(), ("/a.png",)]))
def test_whatever_is_called_a_recipe_sets_something_or_is_a_sentence(recipe, styles):
    try:
        settings_of(Arguments(recipe=json.dumps(recipe), styles=styles))
    except LinkError as error:
        assert error.detail


# ---------------------------------------------------------------------------------------------------- there and back


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0|/"), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)
ROWS = st.builds(
    lambda source, name, weight, region, region_name: StyleRow(
        source, name, weight, region, region_name if region else ""
    ),
    st.one_of(NAMES.map("/pics/{}.png".format), st.sampled_from(["library:night", "library:wave", r"D:\a\b.png"])),
    NAMES,
    st.integers(0, 1000),
    st.sampled_from(["", "channel:5", "mask:17", "layer:3"]),
    NAMES,
)


def _value_of(field):
    if field.kind == "choice":
        return st.sampled_from([value for value, _ in field.choices])
    if field.kind == "int":
        return st.integers(field.low, field.high)
    if field.kind == "float":
        return st.floats(field.low, field.high)
    if field.kind == "bool":
        return st.booleans()
    if field.kind == "layers":
        return st.dictionaries(st.sampled_from(["conv1_1", "relu4_2", "pool3"]), st.floats(0, 100), min_size=1)
    return st.sampled_from(["embedded", "vgg19"])


def _settings(rows, more, **given):
    quality = {"quality": "fine"} if given["quality"] == "custom" and "seed" in more else {}
    return Settings(styles=tuple(rows), more={**more, **quality}, **given)


ALL = st.builds(
    _settings,
    rows=st.lists(ROWS, min_size=1, max_size=4),
    more=st.fixed_dictionaries({}, optional={name: _value_of(field) for name, field in BY_NAME.items()}),
    strength=st.integers(0, 100),
    stroke_scale=st.integers(25, 400),
    keep_colors=st.sampled_from([value for value, _ in KEEP_COLORS]),
    quality=st.sampled_from([value for value, _ in QUALITIES]),
    size=st.integers(16, 32768),
    iterations=st.sampled_from(["", "80, 50, 30", "7"]),
    area=st.sampled_from([value for value, _ in AREAS]),
    feather=st.one_of(st.none(), st.integers(0, 1000)),
    result=st.sampled_from([value for value, _ in RESULTS]),
    preset=st.sampled_from(["", "fine", "My own: größer"]),
)


@given(ALL)
def test_settings_are_the_same_again(settings):
    given = arguments_of(settings)
    assert settings_of(given) == settings
    assert arguments_of(settings_of(given)) == given


def test_a_new_users_settings_need_no_recipe():
    assert arguments_of(Settings()) == Arguments(styles=("100||library:night",))


def test_an_old_quality_behind_another_says_nothing():
    was = Settings(quality="draft", more={"quality": "fine", "seed": 3})
    assert settings_of(arguments_of(was)) == Settings(quality="draft", more={"seed": 3})
