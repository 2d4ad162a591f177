"""A result is *signed*: it carries in its text what it takes to repeat it, wherever it goes."""

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scumble.picture import Picture
    from scumble.recipe import Recipe

RECIPE, CONTENT, FEATURES = "scumble:recipe", "scumble:content", "scumble:features"
"""The texts that a result carries: the recipe as JSON, the photo's path, the name of the features."""


def signed(picture: "Picture", recipe: "Recipe", features: str, content: str) -> "Picture":
    """The picture, carrying its recipe, the features it was painted with, and what `content` was called."""
    story = {RECIPE: recipe.as_json(), CONTENT: content, FEATURES: features}
    return replace(picture, text={**picture.text, **story})
