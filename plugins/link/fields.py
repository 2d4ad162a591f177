"""What the controls are called, what they take and what they do: the main ones, and the table behind **More**.

A *choice* is a value of the recipe and the words for it. Labels, tips and the words of choices are English, to be
passed through `tr` where they are shown.
"""

from __future__ import annotations

import math
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import LinkError
from .text import mark, tr

Choices = typing.Tuple[typing.Tuple[str, str], ...]  # noqa: UP006 - the Python of Krita 5.1's own packages is 3.8

MAX_STYLES = 4
KEEP_COLORS: Choices = (("off", mark("Off")), ("luminance", mark("Luminance")), ("match", mark("Match palette")))
QUALITIES: Choices = (
    ("draft", mark("Draft")),
    ("normal", mark("Normal")),
    ("fine", mark("Fine")),
    ("custom", mark("Custom")),
)
AREAS: Choices = (("selection", mark("Selection")), ("layer", mark("Whole layer")))
RESULTS: Choices = (("layer", mark("New layer")), ("mask", mark("New layer + mask")))

_LAYER = re.compile(r"(conv|relu|preact)[1-5]_[1-4]|pool[1-5]")
_KERAS_LAYER = re.compile(r"block([1-5])_conv([1-4])")
_MOST_WEIGHT = 1e12


@dataclass(frozen=True)
class Control:
    """A main control: a setting's name, what it is called, what it does, and what it takes.

    `low` and `high` are what may be typed; `slider` is what a slider runs over where that is less.
    """

    name: str
    label: str
    tip: str
    choices: Choices = ()
    low: int | None = None
    high: int | None = None
    default: Any = None
    unit: str = ""
    slider: tuple[int, int] | None = None

    @property
    def limits(self) -> tuple[int, int]:
        """`low` and `high` of a control that takes numbers."""
        assert self.low is not None and self.high is not None, "it takes no numbers"
        return self.low, self.high


@dataclass(frozen=True)
class Field:
    """A field of the recipe that has no main control.

    `kind` is "choice", "int", "float", "layers", "text" or "bool"; a text's `choices` are only proposals. `default`
    None is "Auto": the daemon chooses, or `trained` does, and the field is left out.
    """

    name: str
    label: str
    kind: str
    choices: Choices = ()
    low: float | None = None
    high: float | None = None
    default: Any = None
    tip: str = ""
    unit: str = ""
    group: str = ""

    def checked(self, value: Any) -> Any:
        """The value as it belongs into a recipe; a text is read. None is "Auto". `LinkError` bad-recipe."""
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        return _CHECKS[self.kind](self, value)

    def shown(self, value: Any) -> str:
        """A value as a text that `checked` takes; empty for "Auto"."""
        if value is None:
            return ""
        if self.kind == "layers":
            return layers_text(value)
        return f"{value:.10g}" if isinstance(value, float) else str(value)

    def wrong(self, value: Any) -> LinkError:
        """That the field does not take this value."""
        detail = tr("{field}: it does not take {value}.", field=tr(self.label), value=repr(value)[:60])
        return LinkError("bad-recipe", detail, self._takes())

    def _takes(self) -> str | None:
        if self.kind in ("int", "float"):
            return tr("Give a number from {low} to {high}.", low=f"{self.low:.10g}", high=f"{self.high:.10g}")
        if self.kind == "layers":
            return tr("Name layers, such as conv4_2, pool3:0.5.")
        if self.kind == "choice":
            return tr("Choose one of the list.")
        return None


# --------------------------------------------------------------------------------------------------------------- values


def _choice(field: Field, value: Any) -> str:
    for known, _ in field.choices:
        if value == known:
            return known
    raise field.wrong(value)


def _is_within(field: Field, number: float) -> bool:
    low, high = field.low, field.high
    assert low is not None and high is not None, "every number of the table has limits"
    return low <= number <= high


def _number(field: Field, value: Any) -> float:
    try:
        # bool is an int in Python, and no number of a recipe
        number = math.nan if isinstance(value, bool) else float(str(value).replace(",", "."))
    except ValueError:
        number = math.nan
    if not _is_within(field, number):
        raise field.wrong(value)
    return number


def _integer(field: Field, value: Any) -> int:
    try:
        number = None if isinstance(value, bool) else int(str(value))  # a seed has more digits than a float holds
    except ValueError:
        number = None
    if number is None or not _is_within(field, number):
        raise field.wrong(value)
    return number


def _boolean(field: Field, value: Any) -> bool:
    if not isinstance(value, bool):
        raise field.wrong(value)
    return value


def _text(field: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise field.wrong(value)
    return value.strip()


def _layers(field: Field, value: Any) -> str | dict[str, float]:
    if isinstance(value, str) and value.strip() == "all" and ("all", "all") in field.choices:
        return "all"
    if isinstance(value, str):
        value = [part for part in value.replace(" ", "").split(",") if part]
    if isinstance(value, (list, tuple)):
        value = {name: weight or 1.0 for name, _, weight in (str(part).partition(":") for part in value)}
    if not isinstance(value, Mapping) or not value:
        raise field.wrong(value)
    found = {}
    for name, weight in value.items():
        name = _KERAS_LAYER.sub(r"conv\1_\2", str(name))
        try:
            number = float(weight)
        except (TypeError, ValueError):
            number = math.nan
        if not _LAYER.fullmatch(name) or isinstance(weight, bool) or not 0 <= number <= _MOST_WEIGHT:
            raise field.wrong(f"{name}:{weight}")
        found[name] = number
    return found


def layers_text(value: str | Mapping[str, float] | None) -> str:
    """Layers with weights as a text: "conv4_2, pool3:0.5"; empty for None."""
    if value is None or isinstance(value, str):
        return value or ""
    return ", ".join(name if weight == 1 else f"{name}:{weight:.10g}" for name, weight in value.items())


_CHECKS = {
    "choice": _choice,
    "int": _integer,
    "float": _number,
    "bool": _boolean,
    "text": _text,
    "layers": _layers,
}

# --------------------------------------------------------------------------------------------------------- the controls

CONTROLS: dict[str, Control] = {
    control.name: control
    for control in (
        Control(
            "styles",
            mark("Styles"),
            mark("The pictures in whose manner the part is painted, up to four. Drop picture files here."),
            low=1,
            high=MAX_STYLES,
        ),
        Control(
            "weight",
            mark("Weight"),
            mark("How much this style counts against the others of the same region."),
            low=0,
            high=1000,
            default=100,
            unit="%",
            slider=(0, 200),
        ),
        Control(
            "region",
            mark("Region"),
            mark("Where this style is painted: the whole selection, or a mask or a layer of the document."),
        ),
        Control(
            "strength",
            mark("Strength"),
            mark("How much of the style there is: 0 leaves the picture as it is, 100 is the style above all."),
            low=0,
            high=100,
            default=60,
        ),
        Control(
            "stroke_scale",
            mark("Stroke scale"),
            mark("The size at which the style is seen: at 200 % its strokes are twice as large."),
            low=25,
            high=400,
            default=100,
            unit="%",
        ),
        Control(
            "keep_colors",
            mark("Keep colours"),
            mark(
                "Off: the colours come from the style. Luminance: your colours stay, the style paints light and dark. "
                "Match palette: the style is brought to your colours first."
            ),
            KEEP_COLORS,
            default="off",
        ),
        Control(
            "quality",
            mark("Quality"),
            mark("Draft is for a first look, Fine is larger and takes longer. Custom sets size and iterations."),
            QUALITIES,
            default="normal",
        ),
        Control(
            "size",
            mark("Size"),
            mark("The longest side of the part while it is painted. It is never above the part's own."),
            low=16,
            high=32768,
            default=512,
            unit="px",
            slider=(128, 2048),
        ),
        Control(
            "iterations",
            mark("Iterations"),
            mark("How often it is gone over, for each scale from coarse to fine: 80, 50, 30. Empty: as is usual."),
            default="",
        ),
        Control(
            "area",
            mark("Area"),
            mark("What is painted: the selected part, or all of the layer."),
            AREAS,
            default="selection",
        ),
        Control(
            "feather",
            mark("Feather"),
            mark(
                "Over how many pixels the painting runs out at the selection's edge. Auto: a little where the "
                "selection is hard, none where it is soft already."
            ),
            low=0,
            high=1000,
            unit="px",
            slider=(0, 100),
        ),
        Control(
            "result",
            mark("Result"),
            mark("What is added above your layer: a layer, or a layer whose mask you can go on editing."),
            RESULTS,
            default="mask",
        ),
        Control(
            "preset",
            mark("Preset"),
            mark("Settings with a name: those that come with Scumble, and your own."),
        ),
        Control(
            "variations",
            mark("Variations"),
            mark("Paints a sheet of small pictures with other settings. A click on one takes its settings."),
        ),
    )
}
"""The main controls by the names of settings."""

# ----------------------------------------------------------------------------------------------------------------- more

_FEATURES: Choices = (
    ("auto", mark("Auto")),
    ("auto-caffe", mark("Auto, Caffe's weights")),
    ("embedded", mark("Embedded")),
    *((name, name) for name in ("scumble-lite", "scumble-full")),
    *((name, name) for name in ("vgg11", "vgg13", "vgg16", "vgg19", "vgg19-caffe")),
    *((name, name) for name in ("seeded-vgg11", "seeded-vgg13", "seeded-vgg16", "seeded-vgg19", "seeded-vgg19-lite")),
)
_NETWORK, _LOSS, _DESCENT, _FRAME = mark("Network"), mark("What is compared"), mark("How it is painted"), mark("Frame")
_AUTO_TIP = mark("Empty: chosen to suit.")

FIELDS: tuple[Field, ...] = (
    Field(
        "features",
        mark("Features"),
        "text",
        _FEATURES,
        default="auto",
        tip=mark("The network that looks at the pictures. Auto takes the best one for this machine."),
        group=_NETWORK,
    ),
    Field(
        "content_layers",
        mark("Content layers"),
        "layers",
        tip=mark("Which of the network's layers keep the content, with weights: conv4_2, conv5_2:0.5."),
        group=_NETWORK,
    ),
    Field(
        "style_layers",
        mark("Style layers"),
        "layers",
        (("all", "all"),),
        tip=mark("Which of the network's layers see the style, with weights, or all."),
        group=_NETWORK,
    ),
    Field(
        "layer_weighting",
        mark("Layer weighting"),
        "choice",
        (("given", mark("As given")), ("geometric", mark("By depth"))),
        default="given",
        tip=mark("By depth: each deeper layer counts half as much as the one before it."),
        group=_NETWORK,
    ),
    Field(
        "pooling",
        mark("Pooling"),
        "choice",
        (("average", mark("Average")), ("max", mark("Maximum"))),
        default="average",
        tip=mark("How the network makes its maps smaller."),
        group=_NETWORK,
    ),
    Field(
        "padding",
        mark("Padding"),
        "choice",
        (("replicate", mark("Repeat the edge")), ("reflect", mark("Mirror")), ("zeros", mark("Black"))),
        default="replicate",
        tip=mark("What the network sees beyond the picture's edge."),
        group=_NETWORK,
    ),
    Field(
        "normalized",
        mark("Normalised filters"),
        "bool",
        default=True,
        tip=mark("Rescales every filter so that all count alike."),
        group=_NETWORK,
    ),
    Field(
        "precision",
        mark("Precision"),
        "choice",
        (("auto", mark("Auto")), ("float32", "float32"), ("bfloat16", "bfloat16")),
        default="auto",
        tip=mark("The kind of numbers that the network computes with."),
        group=_NETWORK,
    ),
    Field(
        "style_loss",
        mark("Style loss"),
        "choice",
        (("gram", mark("Gram matrices")), ("neighbours", mark("Nearest neighbours")), ("both", mark("Both"))),
        tip=mark("What is compared of a style: its statistics, or each place with the most similar one in the style."),
        group=_LOSS,
    ),
    Field(
        "vote_weight",
        mark("Vote weight"),
        "float",
        low=0,
        high=_MOST_WEIGHT,
        default=1.0,
        tip=mark("With nearest neighbours: how strongly pieces of the style itself draw the picture."),
        group=_LOSS,
    ),
    Field(
        "matchings",
        mark("Matchings"),
        "int",
        low=1,
        high=100,
        default=3,
        tip=mark("With nearest neighbours: how often they are looked for at each scale."),
        group=_LOSS,
    ),
    Field(
        "style_size",
        mark("Style size"),
        "choice",
        (("strokes", mark("By the stroke scale")), ("content", mark("Stretched to the content"))),
        default="strokes",
        tip=mark("How large the style picture is seen."),
        group=_LOSS,
    ),
    Field(
        "scaling",
        mark("Scaling"),
        "choice",
        (("everyday", mark("Everyday")), ("paper", mark("As in the papers"))),
        default="everyday",
        tip=mark("Everyday: each loss starts at one. As in the papers: as printed."),
        group=_LOSS,
    ),
    Field(
        "content_form",
        mark("Content form"),
        "choice",
        (("half-sum", mark("Half the sum")), ("sum", mark("Sum")), ("mean", mark("Mean"))),
        default="mean",
        tip=mark("How the content's squared differences are put together."),
        group=_LOSS,
    ),
    Field(
        "content_weight",
        mark("Content weight α"),
        "float",
        low=0,
        high=_MOST_WEIGHT,
        tip=mark("Empty: from the strength."),
        group=_LOSS,
    ),
    Field(
        "style_weight",
        mark("Style weight β"),
        "float",
        low=0,
        high=_MOST_WEIGHT,
        tip=mark("Empty: from the strength."),
        group=_LOSS,
    ),
    Field(
        "tv_weight",
        mark("Smoothness γ"),
        "float",
        low=0,
        high=_MOST_WEIGHT,
        tip=mark("The weight of the total variation, which keeps confetti away. Empty: a little."),
        group=_LOSS,
    ),
    Field(
        "tv_exponent",
        mark("Smoothness exponent"),
        "float",
        low=0.5,
        high=2,
        default=1.25,
        tip=mark("Low values keep edges, high ones are soft."),
        group=_LOSS,
    ),
    Field(
        "frame_weight",
        mark("Colour frame"),
        "float",
        low=0,
        high=_MOST_WEIGHT,
        tip=mark("How strongly the style's colours hold. Empty: chosen to suit."),
        group=_LOSS,
    ),
    Field(
        "activation_shift",
        mark("Activation shift"),
        "float",
        low=-10,
        high=10,
        default=0.0,
        tip=mark("Added to the network's maps before they are compared."),
        group=_LOSS,
    ),
    Field(
        "chain",
        mark("Chained layers"),
        "bool",
        default=False,
        tip=mark("Compares each style layer with the one before it."),
        group=_LOSS,
    ),
    Field(
        "match_method",
        mark("Palette method"),
        "choice",
        (("symmetric", mark("Symmetric")), ("cholesky", mark("Cholesky"))),
        default="symmetric",
        tip=mark("How Match palette brings the style to your colours."),
        group=_LOSS,
    ),
    Field(
        "engine",
        mark("Engine"),
        "choice",
        (
            ("optimise", mark("Step by step")),
            ("fast", mark("Trained styles, in one pass")),
            ("fast+optimise", mark("Trained styles, then step by step")),
        ),
        tip=mark("Auto: Draft takes the trained styles where every style is trained; all else goes step by step."),
        group=_DESCENT,
    ),
    Field(
        "scales",
        mark("Scales"),
        "int",
        low=1,
        high=10,
        tip=mark("How many sizes it is painted at, each twice the one before. Empty: as many as are worth it."),
        group=_DESCENT,
    ),
    Field(
        "least_gain",
        mark("Least gain"),
        "float",
        low=0,
        high=0.5,
        default=0.001,
        tip=mark("A size ends by itself when ten iterations gain less than this part of the loss. 0: never."),
        group=_DESCENT,
    ),
    Field(
        "optimizer",
        mark("Optimiser"),
        "choice",
        (("lbfgs", "L-BFGS"), ("adam", "Adam"), ("sgd", "SGD")),
        default="adam",
        tip=mark("How the picture gets from one iteration to the next."),
        group=_DESCENT,
    ),
    Field("learning_rate", mark("Learning rate"), "float", low=1e-9, high=10, tip=_AUTO_TIP, group=_DESCENT),
    Field(
        "start",
        mark("Start"),
        "choice",
        (("content", mark("Content")), ("noise", mark("Noise")), ("style", mark("Style")), ("blend", mark("Blend"))),
        default="content",
        tip=mark("What the painting starts from."),
        group=_DESCENT,
    ),
    Field(
        "start_noise",
        mark("Share of noise"),
        "float",
        low=0,
        high=1,
        default=0.5,
        tip=mark("With the start Blend: 0 is the content, 1 is noise."),
        group=_DESCENT,
    ),
    Field(
        "seed",
        mark("Seed"),
        "int",
        low=0,
        high=2**63 - 1,
        default=0,
        tip=mark("Another number is another roll of the dice."),
        group=_DESCENT,
    ),
    Field(
        "context_px",
        mark("Context"),
        "int",
        low=0,
        high=512,
        default=80,
        tip=mark("How much of the surroundings is looked at, at the size at which it is painted."),
        unit="px",
        group=_FRAME,
    ),
    Field(
        "memory_mb",
        mark("Memory"),
        "int",
        low=64,
        high=2**31 - 1,
        tip=mark("Paints in tiles rather than take more than this. Empty: what the device has."),
        unit="MB",
        group=_FRAME,
    ),
)
"""Every field of the recipe that has no main control, in groups."""

BY_NAME: dict[str, Field] = {field.name: field for field in FIELDS}
