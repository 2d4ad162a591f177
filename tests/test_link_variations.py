"""Sheets of variations."""

from dataclasses import replace

import plugins
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scumble.recipe import Recipe

plugins.link()
from krita_scumble.link.errors import LinkError  # noqa: E402
from krita_scumble.link.fields import CONTROLS  # noqa: E402
from krita_scumble.link.settings import Settings, StyleRow  # noqa: E402
from krita_scumble.link.variations import SIZE_PX, STRENGTH, WEIGHTS, plan  # noqa: E402

NIGHT, ZEBRA = StyleRow("library:night", "Swirling night"), StyleRow("library:zebra", "Zebra")
TWO = Settings((NIGHT, ZEBRA))


def values(sheet, name):
    """What that setting is in each cell, by rows."""
    return [[getattr(cell.settings, name) for cell in row] for row in sheet.cells]


def weights(sheet):
    """Weights of the styles in the cells of the first row."""
    return [[row.weight for row in cell.settings.styles] for cell in sheet.cells[0]]


def test_over_strength_and_stroke_scale():
    sheet = plan(Settings(), STRENGTH)
    assert values(sheet, "strength") == [[40] * 3, [60] * 3, [80] * 3]
    assert values(sheet, "stroke_scale") == [[50, 100, 200]] * 3
    assert sheet.cells[1][1].settings == Settings()
    assert sheet.rows == ("Strength 40", "Strength 60", "Strength 80")
    assert sheet.columns == ("Strokes 50 %", "Strokes 100 %", "Strokes 200 %")
    assert sheet.cells[0][2].label == "Strength 40, strokes 200 %"


@pytest.mark.parametrize(
    ("strength", "scale", "strengths", "scales"),
    [
        (0, 25, [0, 20, 40], [25, 50, 100]),
        (100, 400, [60, 80, 100], [100, 200, 400]),
        (15, 30, [15, 35, 55], [30, 60, 120]),
        (85, 300, [45, 65, 85], [75, 150, 300]),
    ],
)
def test_at_the_limits_the_sheet_moves(strength, scale, strengths, scales):
    sheet = plan(Settings(strength=strength, stroke_scale=scale))
    assert [row[0] for row in values(sheet, "strength")] == strengths
    assert values(sheet, "stroke_scale")[0] == scales


def within(name, value):
    return CONTROLS[name].low <= value <= CONTROLS[name].high


@given(st.integers(0, 100), st.integers(25, 400))
def test_wherever_one_is_the_present_settings_are_among_them(strength, scale):
    settings = replace(TWO, strength=strength, stroke_scale=scale)
    for kind in (STRENGTH, WEIGHTS):
        sheet = plan(settings, kind)
        cells = [cell.settings for row in sheet.cells for cell in row]
        assert settings in cells
        assert len({repr(cell) for cell in cells}) == len(cells) == 9
        assert all(within("strength", cell.strength) and within("stroke_scale", cell.stroke_scale) for cell in cells)
        assert [len(row) for row in sheet.cells] == [len(sheet.columns)] * len(sheet.rows)


def test_over_weights():
    sheet = plan(TWO, WEIGHTS)
    assert weights(sheet) == [[50, 150], [100, 100], [150, 50]]
    assert sheet.columns == ("25 to 75", "50 to 50", "75 to 25")
    assert values(sheet, "strength") == [[40] * 3, [60] * 3, [80] * 3]
    assert sheet.title == "Weights of Swirling night and Zebra"


def test_weights_at_the_limits_and_a_third_style():
    sheet = plan(Settings((replace(NIGHT, weight=100), replace(ZEBRA, weight=0), NIGHT)), WEIGHTS)
    assert weights(sheet) == [[50, 50, 100], [75, 25, 100], [100, 0, 100]]
    nothing = Settings((replace(NIGHT, weight=0), replace(ZEBRA, weight=0)))
    assert weights(plan(nothing, WEIGHTS)) == [[50, 150], [100, 100], [150, 50]]


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_two_styles_share_what_they_have(first, second):
    sheet = plan(Settings((replace(NIGHT, weight=first), replace(ZEBRA, weight=second))), WEIGHTS)
    for a, b in weights(sheet):
        assert a + b == (first + second or 200)
        assert a >= 0 <= b


def test_weights_need_two_styles():
    with pytest.raises(LinkError) as raised:
        plan(Settings(), WEIGHTS)
    assert raised.value.code == "no-style"


def test_a_variation_is_painted_small():
    settings = Settings(quality="fine", feather=40, more={"seed": 9})
    sheet = plan(settings)
    small = sheet.small(1, 2, 0.25)
    recipe = small.recipe()
    assert (recipe["size"], recipe["quality"], recipe["seed"], recipe["stroke_scale"]) == (SIZE_PX, "draft", 9, 2.0)
    assert small.feather == 10
    assert small.strength == settings.strength
    assert "iterations" not in recipe
    Recipe.parse(recipe)
    assert sheet.cells[1][2].settings.quality == "fine"  # which a click takes
    assert sheet.small(0, 0, 0.25).strength == 40


def test_a_variation_of_what_is_small_is_no_larger():
    settings = Settings(quality="custom", size=100, iterations="500")
    small = plan(settings).small(1, 1, 1.0)
    assert small.recipe()["size"] == 100
    assert small.feather is None
