"""What `check` refuses is what `bind` cannot use, and its bounds are those of what is painted."""

import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scumble.engine import job as module
from scumble.engine.box import Box, bounds
from scumble.engine.job import bind, check
from scumble.errors import ScumbleError
from scumble.picture import Picture
from scumble.recipe import Recipe

DEPTHS = {"uint8": 255, "uint16": 65535, "float32": 1}
STEADY = ("steady_picture", "steady_mask")
TINY = 1e-25
"""Its square is nothing in float32."""


@st.composite
def pictures(draw, sizes=((3, 4),), channels=(1, 2, 3, 4)):
    """Small pictures of every kind, mostly black, and the faintest values among them."""
    depth = draw(st.sampled_from([*DEPTHS]))
    faint = TINY if depth == "float32" else 1
    shape = (*draw(st.sampled_from(sizes)), draw(st.sampled_from(channels)))
    values = st.lists(st.sampled_from([0, 0, 0, faint, DEPTHS[depth]]), min_size=int(np.prod(shape)), max_size=48)
    if depth == "float32":
        values |= st.just([-1.0] * 48)
    flat = draw(values)[: int(np.prod(shape))]
    return Picture(np.array(flat, depth).reshape(shape))


@st.composite
def cases(draw):
    """A content, a recipe and pictures, some of them missing."""
    names = ["a", "b", "c"]
    known = {name: draw(pictures(sizes=((3, 4),) * 5 + ((4, 3),))) for name in names}
    some = st.sampled_from([*names] * 4 + ["nowhere"])
    regions = [{"name": f"r{index}", "mask": draw(some)} for index in range(draw(st.integers(0, 2)))]
    styles = [
        {
            "picture": draw(some),
            "weight": draw(st.sampled_from([0, 1, 1])),
            "region": draw(st.sampled_from([None, *(region["name"] for region in regions)])),
            "part": draw(st.none() | some),
        }
        for _ in range(draw(st.integers(0, 2)))
    ]
    fields = {"styles": styles, "regions": regions}
    fields |= {"selection": draw(st.none() | some), "start_picture": draw(st.none() | some)}
    fields |= draw(st.sampled_from([{}, {"steady_picture": draw(some)}, {key: draw(some) for key in STEADY}]))
    fields |= draw(st.sampled_from([{}, {"strength": 0}, {"style_weight": 0}]))
    fields["feather_px"] = draw(st.sampled_from([0, 0.7, 3, 1000]))
    return draw(pictures()), Recipe.parse(fields), known


def outcome(ask, *case):
    try:
        return ask(*case)
    except ScumbleError as error:
        return error.code, error.detail


@given(cases())
@settings(max_examples=250, deadline=None)
def test_check_refuses_what_bind_does_and_finds_its_bounds(case):
    found = outcome(check, *case)
    job = outcome(bind, *case)
    if isinstance(job, tuple):
        assert found == job
    else:
        assert found == bounds(job.mix)


@given(cases())
@settings(max_examples=250, deadline=None)
def test_check_refuses_exactly_what_cannot_be_used(case):
    """Bound without being checked, a refused job lacks a picture, or has something empty in it."""
    content, recipe, known = case
    refused = isinstance(outcome(check, *case), tuple)
    regions = recipe.regions if recipe.styles else ()  # without a style nobody looks at them
    masks = [recipe.selection, recipe.steady_mask, *(each.mask for each in regions)]
    sizes = {known[name].size for name in masks if name in known}
    names = [*masks, recipe.start_picture, recipe.steady_picture]
    names += [name for style in recipe.styles for name in (style.picture, style.part)]
    unusable = any(name is not None and name not in known for name in names)
    unusable |= bool(sizes - {content.size})
    unusable |= any(
        style.part in known and style.picture in known and known[style.part].size != known[style.picture].size
        for style in recipe.styles
    )
    if recipe.strength > 0 and recipe.style_weight is None:
        unusable |= not recipe.styles
    if not unusable:
        with mock.patch.object(module, "check"):
            job = bind(*case)
        masks = [known[each.mask].as_mask() for each in regions]
        selection = np.ones((3, 4)) if recipe.selection is None else known[recipe.selection].as_mask()
        used = {style.region for style in recipe.styles} - {None}
        painted = [selection * known[each.mask].as_mask() for each in regions if each.name in used]
        seen = [
            known[each.picture].alpha() * (1 if each.part is None else known[each.part].as_mask())
            for each in recipe.styles
        ]
        parts = [known[each.part].as_mask() for each in recipe.styles if each.part is not None]
        visible = [] if recipe.selection is None else [selection, selection * (content.alpha() > 0)]
        mix = [job.mix] if job.regions else []
        unusable = not all(each.any() for each in [*visible, *masks, *parts, *painted, *seen, *mix])
    assert refused == unusable


LEFT, RIGHT = (Picture(np.array(row, np.uint8).reshape(1, 4, 1)) for row in ([9, 9, 0, 0], [0, 0, 0, 9]))


def halves(left_weight, right_weight, **fields):
    """A recipe for a picture of four pixels, the third of which nobody paints."""
    weights = {"left": left_weight, "right": right_weight}
    regions = [{"name": name, "mask": name} for name in weights]
    styles = [{"picture": "left", "region": name, "weight": weight} for name, weight in weights.items()]
    return LEFT, Recipe.parse({"styles": styles, "regions": regions, **fields}), {"left": LEFT, "right": RIGHT}


@pytest.mark.parametrize(("weights", "box"), [((1, 1), (0, 4)), ((1, 0), (0, 2)), ((0, 1), (3, 1)), ((0, 0), None)])
def test_a_region_whose_styles_have_no_weight_is_not_painted(weights, box):
    case = halves(*weights)
    assert check(*case) == bounds(bind(*case).mix) == (box and Box(box[0], 0, box[1], 1))
    assert [region.name for region in bind(*case).regions] == [
        name for name, weight in zip(("left", "right"), weights, strict=True) if weight
    ]


def test_a_region_beside_the_selection_is_refused():
    for ask in (check, bind):
        with pytest.raises(ScumbleError, match="Region 'right' and the selection"):
            ask(*halves(1, 1, selection="left"))


def test_check_needs_no_torch():
    code = "import sys, scumble.engine.job; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_check_makes_no_copies_in_floats(channels, monkeypatch):
    """Of integer pictures it makes none at all."""

    def forbidden(self):
        raise AssertionError("a copy")

    for name in ("rgb", "alpha", "as_mask"):
        monkeypatch.setattr(Picture, name, forbidden)
    one = Picture(np.full((3, 4, channels), 200, np.uint8))
    recipe = Recipe.parse(
        {
            "styles": [{"picture": "one", "region": "r", "part": "one"}],
            "regions": [{"name": "r", "mask": "one"}],
            "selection": "one",
        }
    )
    assert check(one, recipe, {"one": one}) == bounds(np.ones((3, 4)))
