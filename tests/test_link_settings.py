"""Settings: kept and read again whatever became of them, and true as recipes."""

import math
from dataclasses import fields, replace

import plugins
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scumble.engine import schedule
from scumble.engine.box import Box
from scumble.recipe import PRESETS, Output, Quality, Recipe
from scumble.service.library import BUNDLED

plugins.link()
from krita_scumble.link.fields import BY_NAME, FIELDS  # noqa: E402
from krita_scumble.link.pixels import Rect  # noqa: E402
from krita_scumble.link.settings import FIRST_STYLE, MAX_STYLES, Settings, StyleRow, auto_feather  # noqa: E402

NIGHT, ZEBRA = StyleRow("library:night", "Swirling night"), StyleRow("library:zebra", "Zebra")
HERON = StyleRow("/pictures/grey heron.jpg", "grey heron", 40, "{77}", "Sky")

texts = st.text(max_size=30)
rows = st.builds(
    StyleRow,
    st.one_of(
        st.sampled_from(["library:night", "/a/b.png", "C:\\pictures\\ä.jpg"]),
        texts.filter(lambda source: source and not source.startswith("~/")),  # hosts give full paths
    ),
    texts.filter(len),
    st.integers(0, 1000),
    st.sampled_from(["", "{1}", "{2}"]),
    st.sampled_from(["", "Sky", "Sky 2", "Hügel"]),
)
mores = st.fixed_dictionaries(
    {},
    optional={
        "features": st.sampled_from(["vgg16", "embedded"]),
        "seed": st.integers(0, 2**63 - 1),
        "chain": st.booleans(),
        "tv_weight": st.floats(0, 1e12),
        "style_layers": st.sampled_from(["all", {"conv1_1": 0.5}]),
        "optimizer": st.sampled_from(["adam", "lbfgs"]),
        "engine": st.sampled_from(["optimise", "fast", "fast+optimise"]),
        "context_px": st.integers(0, 512),
    },
)
settings = st.builds(
    Settings,
    st.lists(rows, max_size=MAX_STYLES).map(tuple),
    st.integers(0, 100),
    st.integers(25, 400),
    st.sampled_from(["off", "luminance", "match"]),
    st.sampled_from(["draft", "normal", "fine", "custom"]),
    st.integers(16, 32768),
    st.sampled_from(["", "80", "80, 50, 30"]),
    st.sampled_from(["selection", "layer"]),
    st.none() | st.integers(0, 1000),
    st.sampled_from(["mask", "layer"]),
    texts,
    mores,
)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


# -------------------------------------------------------------------------------------------------------------- keeping


@given(settings)
def test_settings_survive_being_kept(given_settings):
    assert Settings.from_json(given_settings.as_json) == given_settings
    assert Settings.from_dict(given_settings.as_dict()) == given_settings


@given(junk)
def test_nothing_that_was_kept_breaks_anything(data):
    assert isinstance(Settings.from_dict(data), Settings)
    assert isinstance(Settings.from_recipe(data if isinstance(data, dict) else {}), Settings)


@given(st.sampled_from(sorted(set(Recipe.model_fields) | {"notes"})), junk | st.sampled_from([10**400, [10**400]]))
def test_no_recipe_that_was_stored_breaks_anything(name, value):
    """Such a recipe comes with a document, which may be anybody's."""
    for told in ({name: value}, {"styles": [{name: value, "picture": "a.png"}]}, {"styles": [value], "notes": value}):
        read = Settings.from_recipe(told)
        assert read == Settings.from_json(read.as_json)
    assert isinstance(Settings.from_dict({"more": {name: value}}), Settings)


@pytest.mark.parametrize("name", [each.name for each in fields(Settings)])
@given(value=junk)
def test_a_bad_value_is_left_out_and_the_others_stay(name, value):
    kept = replace(Settings(), strength=30, quality="fine").as_dict() | {name: value}
    read = Settings.from_dict(kept)
    assert read.strength == 30 or name == "strength"
    assert read.quality == "fine" or name == "quality"
    assert 0 <= read.strength <= 100
    assert len(read.styles) <= MAX_STYLES
    Recipe.parse(read.recipe())


def test_unknown_keys_are_left_out():
    assert Settings.from_dict({"strength": 12, "colour": "red", "more": {"sede": 3, "seed": 3}}) == Settings(
        strength=12, more={"seed": 3}
    )
    assert Settings.from_json("no json") == Settings.from_json("[1]") == Settings.from_json("") == Settings()


def test_values_beyond_the_ends_are_brought_in():
    read = Settings.from_dict({"strength": 1000, "stroke_scale": 1, "feather": -3, "styles": [{"source": "a.png"}] * 9})
    assert (read.strength, read.stroke_scale, read.feather, len(read.styles)) == (100, 25, 0, 4)
    assert read.styles[0] == StyleRow("a.png", "a", 100)
    assert Settings.from_dict({"styles": []}).styles == ()


def test_the_first_style_is_one_that_comes_with_the_daemon():
    source, name = FIRST_STYLE
    assert BUNDLED[source.removeprefix("library:")].name == name
    assert Settings().styles == (StyleRow(source, name),)
    assert Settings().why_not() is None


# -------------------------------------------------------------------------------------------------------------- recipes


def test_a_new_users_recipe():
    assert Settings().recipe() == {"styles": [{"picture": "library:night"}], "selection": "mask", "output": "unmasked"}
    assert Settings(result="layer").recipe(selection=False, feather_px=7) == {
        "styles": [{"picture": "library:night"}],
        "output": "layer",
        "feather_px": 7,
    }


def test_all_that_is_set_is_in_the_recipe():
    everything = Settings(
        (replace(NIGHT, weight=250, region="{1}", region_name="Sky"), HERON),
        80,
        150,
        "match",
        "custom",
        700,
        "80; 50 30",
        result="mask",
        preset="Mine",
        more={"seed": 3, "style_layers": "all", "chain": False, "optimizer": "lbfgs"},
    )
    recipe = everything.recipe(regions={"{1}": "region-1", "{77}": "region-2"}, feather_px=4)
    assert recipe == {
        "styles": [
            {"picture": "library:night", "weight": 2.5, "region": "Sky"},
            {"picture": "style-2", "weight": 0.4, "region": "Sky 2"},
        ],
        "regions": [{"name": "Sky", "mask": "region-1"}, {"name": "Sky 2", "mask": "region-2"}],
        "selection": "mask",
        "strength": 80,
        "stroke_scale": 1.5,
        "keep_colors": "match",
        "size": 700,
        "iterations": [80, 50, 30],
        "feather_px": 4,
        "output": "unmasked",
        "preset": "Mine",
        "seed": 3,
        "style_layers": "all",
        "optimizer": "lbfgs",
    }
    parsed = Recipe.parse(recipe)
    assert parsed.output is Output.UNMASKED
    assert parsed.styles[1].weight == 0.4


@given(settings, st.booleans(), st.integers(0, 1000))
def test_the_daemon_takes_every_recipe_and_finds_no_default_in_it(given_settings, selection, feather):
    regions = {row.region: f"region-{row.region}" for row in given_settings.styles if row.region}
    recipe = given_settings.recipe(regions=regions, selection=selection, feather_px=feather)
    parsed = Recipe.parse(recipe)
    assert set(recipe) - set(parsed.as_dict()) <= {"styles"}
    assert {region.mask for region in parsed.regions} == set(regions.values())
    by_name = {region.name: region.mask for region in parsed.regions}
    for row, style in zip(given_settings.styles, parsed.styles, strict=True):
        assert (by_name.get(style.region) if style.region else None) == regions.get(row.region)


def test_rows_of_one_region_share_it():
    rows = (replace(NIGHT, region="{1}", region_name="Sky"), replace(ZEBRA, region="{1}", region_name="Sky"))
    recipe = Settings(rows).recipe(regions={"{1}": "region-1"})
    assert recipe["regions"] == [{"name": "Sky", "mask": "region-1"}]
    assert [style["region"] for style in recipe["styles"]] == ["Sky", "Sky"]


def test_a_region_that_was_not_taken_is_the_whole_selection():
    recipe = Settings((HERON,)).recipe(regions={})
    assert "regions" not in recipe
    assert recipe["styles"] == [{"picture": "style-1", "weight": 0.4}]


def test_more_does_not_win_over_what_is_in_sight():
    recipe = Settings(strength=20, quality="fine", more={"quality": "draft"}).recipe()
    assert (recipe["strength"], recipe["quality"]) == (20, "fine")
    assert "quality" not in Settings(more={"quality": "draft"}).recipe()
    assert Settings(quality="custom", more={"quality": "draft"}).recipe()["quality"] == "draft"


# ------------------------------------------------------------------------------------------------------- and back again


def painted_alike(recipe, other):
    """Whether two recipes say the same but for what pictures are called."""
    a, b = Recipe.parse(recipe), Recipe.parse(other)
    nameless = [{"picture": "x", **style.model_dump(exclude={"picture"})} for style in a.styles]
    other_nameless = [{"picture": "x", **style.model_dump(exclude={"picture"})} for style in b.styles]
    return nameless == other_nameless and a.changed(styles=[], regions=[]) == b.changed(styles=[], regions=[])


@given(settings)
def test_a_stored_recipe_gives_the_settings_back(given_settings):
    regions = {row.region: "region-1" for row in given_settings.styles if row.region}
    feather = given_settings.feather if given_settings.feather is not None else 5
    recipe = given_settings.recipe(regions=regions, selection=given_settings.area == "selection", feather_px=feather)
    read = Settings.from_recipe(given_settings.stored(recipe))
    assert [row.source for row in read.styles] == [row.source for row in given_settings.styles]
    assert [row.name for row in read.styles] == [row.name for row in given_settings.styles]
    assert [row.region for row in read.styles] == [row.region for row in given_settings.styles]
    assert [row.weight for row in read.styles] == [row.weight for row in given_settings.styles]
    for name in ("strength", "stroke_scale", "keep_colors", "area", "feather", "result"):
        assert getattr(read, name) == getattr(given_settings, name), name
    again = read.recipe(regions=regions, selection=given_settings.area == "selection", feather_px=feather)
    assert painted_alike(recipe, again)


def test_what_the_daemon_made_of_the_recipe_is_as_good():
    """A job's recipe is what is stored, which the daemon has read and written again."""
    made = Settings((NIGHT, HERON), 45, 80, "luminance", "custom", 600, "40", feather=9, more={"chain": True})
    recipe = Recipe.parse(made.recipe(regions={"{77}": "region-1"}, feather_px=9)).as_dict()
    assert Settings.from_recipe(made.stored(recipe)) == made


@pytest.mark.parametrize("more", [{}, {"engine": "optimise"}, {"engine": "fast"}])
def test_an_engine_on_auto_stays_there_whatever_painted(more):
    made = Settings(quality="draft", more=more)
    recipe = {**made.recipe(), "engine": "fast"}
    assert Settings.from_recipe(made.stored(recipe)).more == more
    assert Settings.from_recipe(recipe).more == {"engine": "fast"}, "nobody says that it was Auto"


def test_which_settings_like_and_need_trained_styles():
    assert Settings(quality="draft").likes_trained and not Settings(quality="draft").needs_trained
    assert not Settings(quality="normal").likes_trained
    for engine, needs in (("optimise", False), ("fast", True), ("fast+optimise", True)):
        made = Settings(quality="draft", more={"engine": engine})
        assert (made.likes_trained, made.needs_trained) == (False, needs)


def test_a_recipe_without_notes_says_what_it_can():
    read = Settings.from_recipe(
        {"styles": [{"picture": "/a/blue.png", "weight": 2}], "strength": 33.4, "feather_px": 3}
    )
    assert read == Settings((StyleRow("/a/blue.png", "blue", 200),), 33, area="layer", feather=3, result="layer")


def test_a_stored_recipe_does_not_tell_the_users_name(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "jane"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "jane"))
    path = str(tmp_path / "jane" / "pictures" / "a.png")
    made = Settings((StyleRow(path, "a"),))
    stored = made.stored(made.recipe())
    assert "jane" not in stored
    assert Settings.from_recipe(stored).styles[0].source == path


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_painted_as_it_says(name):
    told = {**PRESETS[name], "preset": name}
    mine = Settings((NIGHT, ZEBRA), 70, feather=3, result="layer", more={"seed": 4})
    chosen = mine.with_recipe(told, name)
    assert (chosen.styles, chosen.feather, chosen.result, chosen.preset) == (mine.styles, 3, "layer", name)
    assert "seed" not in chosen.more
    styles = {"styles": [{"picture": "library:night"}, {"picture": "library:zebra"}]}
    assert painted_alike({**told, **styles, "output": "layer"}, chosen.recipe(selection=False))


def test_what_a_recipe_says_badly_is_as_in_new_settings():
    assert Settings(strength=10, quality="fine").with_recipe({"strength": "much"}).strength == 60


def test_a_published_recipe_opens_custom():
    chosen = Settings().with_recipe(PRESETS["gatys-2016"])
    assert (chosen.quality, chosen.size, chosen.iterations) == ("custom", 512, "500")
    assert chosen.more["optimizer"] == "lbfgs"


def test_colours_by_histogram_are_the_nearest_that_there_is():
    assert Settings.from_recipe({"keep_colors": "histogram"}).keep_colors == "match"


def test_a_job_that_went_on_can_be_learnt_from():
    """Its start is the earlier result, which is no picture of ours."""
    made = Settings((NIGHT,))
    recipe = {**made.recipe(), "start": "picture", "start_picture": "earlier-result", "iterations": [40]}
    read = Settings.from_recipe(made.stored(recipe))
    assert "start" not in read.more
    assert Recipe.parse(read.recipe()).start.value == "content"


# ---------------------------------------------------------------------------------------------------------------- sizes


@pytest.mark.parametrize("quality", [each.value for each in Quality])
def test_the_working_size_is_the_daemons(quality):
    assert Settings(quality=quality, size=99).working_size() == schedule.WORKING_SIZE[Quality(quality)]
    assert Settings(quality="custom", size=99).working_size() == 99


@given(
    st.integers(1, 6000),
    st.integers(1, 6000),
    st.sampled_from(["draft", "normal", "fine", "custom"]),
    st.integers(64, 2000),
    st.sampled_from([{}, {"context_px": 0}, {"context_px": 300}]),
)
def test_what_is_sent_holds_all_that_the_daemon_looks_at(width, height, quality, size, more):
    """Of a square part in the middle of a large picture; see `plan` in the engine."""
    longest = max(width, height)
    chosen = Settings(quality=quality, size=size, more=more)
    recipe = Recipe.parse(chosen.recipe(selection=False))
    working = recipe.size or schedule.WORKING_SIZE[recipe.quality]
    scale = min(1.0, working / longest)
    selected = Box(50_000, 50_000, longest, longest)
    seen = schedule._with_context(selected, 110_000, 110_000, recipe.context_px / scale, schedule.LEAST_BOX / scale)
    margin = chosen.margin_px(longest)
    assert selected.x - margin <= seen.x
    assert seen.x + seen.width <= selected.x + longest + margin
    assert margin <= max(16, math.ceil(recipe.context_px / scale), math.ceil(schedule.LEAST_BOX / scale / 2))


def test_margins():
    assert Settings().margin_px(512) == 80
    assert Settings().margin_px(1024) == 160
    assert Settings().margin_px(100) == 80
    assert Settings().margin_px(10) == 123
    assert Settings(more={"context_px": 0}).margin_px(512) == 16


def test_auto_feather():
    assert auto_feather(Rect(0, 0, 1000, 500), is_soft=True) == 0
    assert auto_feather(Rect(0, 0, 1000, 500), is_soft=False) == 10
    assert auto_feather(Rect(0, 0, 3, 3), is_soft=False) == 1
    assert auto_feather(Rect(0, 0, 9000, 9000), is_soft=False) == 32


# ---------------------------------------------------------------------------------------------------------------- words


def test_the_layers_name():
    assert Settings().title() == "Swirling night 60"
    assert Settings((NIGHT, ZEBRA), 5).title() == "Swirling night + Zebra 5"
    assert Settings((NIGHT, replace(ZEBRA, weight=0))).title() == "Swirling night 60"
    assert len(Settings((replace(NIGHT, name="long " * 30),), 100).title()) <= 60
    assert Settings((replace(NIGHT, name="long " * 30),), 100).title().endswith("… 100")


@given(settings)
def test_the_layers_name_is_short(given_settings):
    assert len(given_settings.title()) <= 60
    assert given_settings.title().endswith(f" {given_settings.strength}")


def test_why_nothing_can_be_painted(tmp_path):
    picture = tmp_path / "here.png"
    picture.touch()
    here, gone = StyleRow(str(picture), "here"), StyleRow(str(tmp_path / "gone.png"), "gone")
    assert Settings((here, NIGHT)).why_not() is None
    assert Settings(()).why_not().code == "no-style"
    error = Settings((here, gone)).why_not()
    assert error.code == "missing-style"
    assert "gone" in error.detail
    assert (here.is_there, gone.is_there, NIGHT.is_there) == (True, False, True)
    assert not StyleRow("a\0b", "bad").is_there
    assert Settings((replace(NIGHT, weight=0),)).why_not().code == "no-style"


@pytest.mark.parametrize("text", ["many", "80, -3", "0", "1.5", "100001", "80, 50 thirty"])
def test_iterations_that_cannot_be_read(text):
    error = Settings(quality="custom", iterations=text).why_not()
    assert error.code == "bad-recipe"
    assert "iterations" not in Settings(quality="custom", iterations=text).recipe()
    assert Settings(quality="fine", iterations=text).why_not() is None


def test_more_takes_what_the_table_takes():
    told = {field.name: field.default for field in FIELDS}
    assert Settings.from_dict({"more": told}).more == {name: value for name, value in told.items() if value is not None}
    assert "output" in Settings.from_dict({"more": told}).recipe()
    assert not set(BY_NAME) & set(Settings.from_dict({"more": told}).recipe())  # for they are all defaults
