"""What panels show, whatever draws them."""

from pathlib import Path

import plugins
import pytest

plugins.link()
from krita_scumble.link.canvas import LayerName, Region  # noqa: E402
from krita_scumble.link.colors import contrast, faint, signal_color  # noqa: E402
from krita_scumble.link.fields import BY_NAME, FIELDS  # noqa: E402
from krita_scumble.link.settings import StyleRow  # noqa: E402
from krita_scumble.link.shown import (  # noqa: E402
    breakable,
    by_parts,
    chosen_row,
    file_name,
    groups,
    home_shown,
    is_found,
    layer_choices,
    region_choices,
    with_field,
)

REGIONS = (Region("mask-1", "Sky", "mask"), Region("layer-2", "x" * 90, "layer"))


def test_contrast_is_what_wcag_says():
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    # the example that everybody knows: the lightest gray on white that is enough for text
    assert contrast((0x76, 0x76, 0x76), (255, 255, 255)) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize(
    ("window", "text"), [((0, 0, 0), (255, 255, 255)), ((60, 60, 60), (220, 220, 220)), ((240, 240, 240), (20, 20, 20))]
)
def test_signals_can_be_told_from_the_window_and_from_each_other(window, text):
    red, amber, green, blue = (signal_color(name, window, text) for name in ("red", "amber", "green", "blue"))
    for color in (red, amber, green, blue):
        assert contrast(color, window) >= 3
    assert red[0] > 1.5 * max(red[1:])
    assert green[1] > 1.5 * max(green[0], green[2])
    assert amber[0] > amber[1] > amber[2]
    assert blue[2] > 1.2 * max(blue[:2])
    assert signal_color("", window, text) == faint(window, text)


def test_the_regions_begin_with_everywhere_and_end_with_what_is_gone():
    row = StyleRow("library:night", "Night", 100, "mask-9", "Lake")
    choices = region_choices(row, REGIONS)
    assert [(each.id, each.kind) for each in choices] == [
        ("", ""),
        ("mask-1", "mask"),
        ("layer-2", "layer"),
        ("mask-9", "gone"),
    ]
    assert choices[0].name == "Whole selection"
    assert choices[3].name == "Lake (gone)"
    assert len(choices[2].name) == 60
    assert len(region_choices(StyleRow("library:night", "Night", 100, "mask-1"), REGIONS)) == 3


def test_layers_are_named_with_their_documents_where_there_are_several():
    one, other = LayerName("1", "Sky", "a.xcf"), LayerName("2", "Sky", "b.xcf")
    assert layer_choices([one]) == [("1", "Sky")]
    assert layer_choices([one, other]) == [("1", "Sky – a.xcf"), ("2", "Sky – b.xcf")]
    assert len(layer_choices([one] * 100)) == 60


def test_words_are_found_in_names_and_tags():
    assert is_found("OIL night", "Swirling night", ("oil",))
    assert not is_found("oil day", "Swirling night", ("oil",))
    assert is_found("", "Anything", ())


def test_the_newest_result_is_chosen_unless_another_one_was():
    assert chosen_row([], None, -1) == -1
    assert chosen_row([3, 2, 1], 2, 0) == 0
    assert chosen_row([3, 2, 1], 1, 1) == 2
    assert chosen_row([3, 2], 1, 2) == 1
    assert chosen_row([], 1, 1) == -1


def test_more_leaves_defaults_out():
    field = BY_NAME["start_noise"]
    assert with_field({"seed": 1}, field, 0.25) == {"seed": 1, "start_noise": 0.25}
    assert with_field({"seed": 1, "start_noise": 0.25}, field, field.default) == {"seed": 1}
    assert [field for group in groups().values() for field in group] == list(FIELDS)


def test_names_that_no_file_can_have_are_changed():
    assert file_name('Night: "sky" 60/1') == "Night_ _sky_ 60_1"
    assert file_name(" ../..\n") == "_.._"
    assert file_name("...") == "Scumble"


def test_a_line_of_parts_is_broken_between_them_only():
    line = "Selection 8 × 6 at 3, 1; about 14 s; 2.1 GB"
    assert by_parts(line).split(" ") == [part.replace(" ", "\u00a0") for part in line.replace("; ", ";|").split("|")]


def test_a_path_may_be_broken_into_lines():
    path = "/home/marie/" + "long" * 30 + "/file.json"
    assert breakable(path) != path
    assert breakable(path).replace("\u200b", "") == path
    assert breakable("short words only") == "short words only"
    assert home_shown(Path.home() / "x") == str(Path("~") / "x")
    assert home_shown(Path("/nowhere/x")) == str(Path("/nowhere/x"))
