"""The course of a style's training: what is trained, on squares of which size, for how long, and how it goes."""

import json
from dataclasses import dataclass

from scumble.engine.features import describe, profile
from scumble.engine.shape import Shape, Upsampling
from scumble.recipe import Recipe, StyleLoss

STRONGEST = 100.0
"""Strengths from `scumble.engine.fast.WEAKEST` to this are asked for while it learns."""
FEW_VOTES = 0.2
"""The weight of votes beside Gram matrices, see `suited`."""


@dataclass(frozen=True)
class Course:
    """All that decides what is learnt, but the style pictures and those that are looked at.

    `recipe` says how losses are made and names the styles. A style is seen at the size that it has for a painting of
    `size` px, the network looks at squares of `square` px.
    """

    recipe: Recipe
    size: int = 512
    square: int = 272
    batch: int = 2
    steps: int = 1500
    learning_rate: float = 2e-3
    width: int = 16
    blocks: int = 5
    upsampling: Upsampling = Upsampling.BILINEAR
    seed: int = 0

    @property
    def shape(self) -> Shape:
        """The network's."""
        styles = len(self.recipe.styles)
        return Shape(styles, self.width, self.blocks, self.upsampling, own_filters=styles > 1, noise=True)

    @property
    def squares_recipe(self) -> Recipe:
        """The recipe for a square: the styles at the size that they have for the whole."""
        scale = self.recipe.stroke_scale * self.size / self.square
        return self.recipe.changed(stroke_scale=min(8.0, max(0.1, scale)))

    def as_json(self) -> str:
        """As JSON text."""
        shape = {"width": self.width, "blocks": self.blocks, "upsampling": self.upsampling.value}
        course = {
            "size": self.size,
            "square": self.square,
            "batch": self.batch,
            "steps": self.steps,
            "learning_rate": self.learning_rate,
            "seed": self.seed,
        }
        return json.dumps({"recipe": self.recipe.as_dict(), **shape, **course}, sort_keys=True)


def usual_steps(styles: int) -> int:
    """How long so many styles are learnt where nobody says: they have much in common, but not all."""
    return 1500 + 250 * (styles - 1)


def suited(recipe: Recipe, *, gpu: bool) -> Recipe:
    """The recipe with what its features need where it does not say what is compared of a style. Where neighbours suit
    them, these alone would teach a network the mean of all that is alike, which is a blur; with Gram matrices beside
    them, and fewer votes, it learns strokes."""
    if recipe.style_loss is not None or profile(describe(recipe.features, gpu=gpu)).style_loss is StyleLoss.GRAM:
        return recipe
    votes = {} if "vote_weight" in recipe.model_fields_set else {"vote_weight": FEW_VOTES}
    return recipe.changed(style_loss=StyleLoss.BOTH.value, **votes)


@dataclass(frozen=True)
class Note:
    """How it goes: means over the last steps. `losses` by kind, each by what the recipe asks of it, and their total."""

    step: int
    steps: int
    seconds: float
    losses: dict[str, float]
