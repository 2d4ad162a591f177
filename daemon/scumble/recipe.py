"""What to paint: the complete description of a job, everything but the pixels.

A **recipe** lists **styles** and **regions** and says how strongly, with which features, losses and schedule to paint.
Pictures and masks are named, not held: the command line resolves a name as a path, the daemon as a part of the request.
A **region** is a mask over the content; a style that names none paints the whole selection. A **layer** is named as in
the VGG family: `conv4_2` (or `relu4_2`) is the rectified response of that convolution, which is what the published
settings mean by it; `preact4_2` is the same before its ReLU; `pool4` is the map after the block's pooling.

The same JSON is taken by the command line and the HTTP API, held by presets and stored with every result.
"""

import difflib
import json
import re
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from scumble.errors import ScumbleError

LAYER = re.compile(r"(conv|relu|preact)[1-5]_[1-4]|pool[1-5]")
_KERAS_LAYER = re.compile(r"block([1-5])_conv([1-4])")


class Quality(Enum):
    """How much work a job may cost; each sets a working size and iterations where the recipe names none."""

    DRAFT = "draft"
    NORMAL = "normal"
    FINE = "fine"


class KeepColors(Enum):
    """What the result keeps of the content's colours (Gatys et al. 2016, "Preserving color")."""

    OFF = "off"
    LUMINANCE = "luminance"
    MATCH = "match"
    HISTOGRAM = "histogram"


class Engine(Enum):
    """What paints: the optimisation of the picture, a network that was trained for the style, or the one after the
    other, which starts where the network ends."""

    OPTIMISE = "optimise"
    FAST = "fast"
    FAST_OPTIMISE = "fast+optimise"


class Optimizer(Enum):
    """How the picture descends the loss."""

    LBFGS = "lbfgs"
    ADAM = "adam"
    SGD = "sgd"


class Output(Enum):
    """What the result is. `picture`: the painting mixed over the content. `layer`: the colours of the painting, not
    mixed, with as much alpha as is shown of it, to be laid over the content. `unmasked`: these colours with the
    content's alpha, for a host that has the mask apart."""

    PICTURE = "picture"
    LAYER = "layer"
    UNMASKED = "unmasked"


class Start(Enum):
    """What the first iteration sees."""

    CONTENT = "content"
    NOISE = "noise"
    STYLE = "style"
    BLEND = "blend"
    PICTURE = "picture"


class StyleLoss(Enum):
    """What is compared of a style: Gram matrices, each position with its nearest neighbour in the style, or both."""

    GRAM = "gram"
    NEIGHBOURS = "neighbours"
    BOTH = "both"


class ContentForm(Enum):
    """The content loss: half the sum of squares (Gatys et al. 2015), the sum, or the mean."""

    HALF_SUM = "half-sum"
    SUM = "sum"
    MEAN = "mean"


class Scaling(Enum):
    """`paper`: the losses as printed. `everyday`: each is divided so that it starts at one, at every size and
    network."""

    EVERYDAY = "everyday"
    PAPER = "paper"


class Pooling(Enum):
    """How the network shrinks its maps."""

    AVERAGE = "average"
    MAX = "max"


class Padding(Enum):
    """What a convolution sees beyond the picture's edge."""

    REPLICATE = "replicate"
    REFLECT = "reflect"
    ZEROS = "zeros"


class LayerWeighting(Enum):
    """`given`: the weights as written. `geometric`: powers of two by depth (Novak & Nikulin 2016, section 3.1)."""

    GIVEN = "given"
    GEOMETRIC = "geometric"


class StyleSize(Enum):
    """`strokes`: the style keeps its proportions, sized by the stroke scale. `content`: stretched to the content's
    size."""

    STROKES = "strokes"
    CONTENT = "content"


class Precision(Enum):
    """The type in which the network computes; `auto` takes bfloat16 where the processor has it."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


Weight = Annotated[float, Field(ge=0, le=1e12)]
Layers = dict[str, Weight]


class Region(_Model):
    """A part of the content that styles may name."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """How styles name this region."""
    mask: Annotated[str, Field(min_length=1)]
    """The name of a gray picture of the content's size: white is inside, gray partly."""


class Style(_Model):
    """A picture in whose manner to paint."""

    picture: Annotated[str, Field(min_length=1)]
    """The name of the style picture."""
    weight: Annotated[float, Field(ge=0, le=10)] = 1.0
    """How strongly it counts; styles of one region share it by weight."""
    region: str | None = None
    """The region it paints; none: the whole selection."""
    stroke_scale: Annotated[float, Field(ge=0.1, le=8)] | None = None
    """The size its strokes are seen at; none: the recipe's."""
    part: str | None = None
    """The name of a mask over the style picture: only that part of it counts."""
    keep_colors: KeepColors | None = None
    """Colour preservation for this style; none: the recipe's."""
    model: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    """For `engine: fast`: the model that was trained for it, by its name or its path; `NAME#STYLE` if it holds
    several."""


class Recipe(_Model):
    """The complete request; every field but `styles` has a default."""

    version: Literal[1] = 1
    preset: str = ""
    """The name of the preset it was made from; only a label."""
    styles: Annotated[tuple[Style, ...], Field(max_length=16)] = ()
    """The styles, in order."""
    regions: Annotated[tuple[Region, ...], Field(max_length=16)] = ()
    """The regions that styles may name; they may overlap and be soft."""
    selection: str | None = None
    """The name of the mask of the whole selection; none: the whole picture."""
    feather_px: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """Soften the selection's edge inwards, over so many px of the content."""
    output: Output = Output.PICTURE
    """What the result is: the picture repainted, or the painting alone, with or without its mask."""

    engine: Engine = Engine.OPTIMISE
    """What paints: `optimise`; `fast`, in one pass of a network that was trained for the style (`scumble train`); or
    `fast+optimise`, which goes on from that pass."""
    strength: Annotated[float, Field(ge=0, le=100)] = 60.0
    """Style against content, on a logarithmic scale; 0 gives the content back unchanged."""
    stroke_scale: Annotated[float, Field(ge=0.1, le=8)] = 1.0
    """The size the styles' strokes are seen at: 2 is twice as large."""
    keep_colors: KeepColors = KeepColors.OFF
    """What the result keeps of the content's colours."""
    match_method: Literal["symmetric", "cholesky"] = "symmetric"
    """The root of the covariance used by `keep_colors: match`."""

    quality: Quality = Quality.NORMAL
    """Sets the working size and the iterations where those are not given."""
    size: Annotated[int, Field(ge=16, le=32768)] | None = None
    """The working size: the longest side of the painted part, in px; never above the picture's own."""
    iterations: Annotated[tuple[Annotated[int, Field(ge=1, le=100_000)], ...], Field(min_length=1)] | None = None
    """Iterations per scale, from coarse to fine; a single number counts for each scale."""
    scales: Annotated[int, Field(ge=1, le=10)] | None = None
    """How many sizes, each twice the one before; none: as many as are worth it."""
    least_gain: Annotated[float, Field(ge=0, le=0.5)] = 0.001
    """A scale ends by itself when ten iterations gain less than this part of the loss; 0: never."""
    optimizer: Optimizer = Optimizer.ADAM
    learning_rate: Annotated[float, Field(gt=0, le=10)] | None = None
    """The step, in units of the picture (0..1); none: the optimiser's own."""
    start: Start = Start.CONTENT
    start_picture: str | None = None
    """The name of the picture to go on from, for `start: picture`."""
    start_noise: Annotated[float, Field(ge=0, le=1)] = 0.5
    """The share of noise, for `start: blend`."""
    steady_picture: str | None = None
    """The name of a picture that the painting stays near: of a video, the last painted frame moved to this one."""
    steady_mask: str | None = None
    """The name of a mask over the content: where it stays near `steady_picture`; none: everywhere."""
    steady_weight: Weight = 4.0
    """How strongly it stays near `steady_picture`, measured as `vote_weight` is."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    features: Annotated[str, Field(min_length=1)] = "auto"
    """`auto` (ImageNet's VGG19 if it is there and so is a GPU, else `embedded`), `auto-caffe` (alike), `embedded` (what
    comes with Scumble), `scumble-lite`, `scumble-full`, `vgg11` … `vgg19`, `vgg19-caffe`, `seeded-vgg11` …
    `seeded-vgg19-lite`, or the path of a weights file."""
    pooling: Pooling = Pooling.AVERAGE
    padding: Padding = Padding.REPLICATE
    normalized: bool = True
    """Rescale every filter to a mean activation of one ("normalised VGG", Gatys et al. 2015)."""
    content_layers: Layers | None = None
    """Layer name → weight; none: the network's own choice."""
    style_layers: Layers | Literal["all"] | None = None
    """Layer name → weight, or `all`; none: the network's own choice."""
    layer_weighting: LayerWeighting = LayerWeighting.GIVEN

    style_loss: StyleLoss | None = None
    """What is compared of a style; none: what suits the features."""
    vote_weight: Weight = 1.0
    """With `style_loss: neighbours`: how strongly the style's own patches, at the matched places, draw the pixels."""
    matchings: Annotated[int, Field(ge=1, le=100)] = 3
    """With `style_loss: neighbours`: how often per scale the neighbours are looked for, at most every five
    iterations."""
    scaling: Scaling = Scaling.EVERYDAY
    content_form: ContentForm = ContentForm.MEAN
    content_weight: Weight | None = None
    """α; none: from the strength."""
    style_weight: Weight | None = None
    """β; none: from the strength."""
    tv_weight: Weight | None = None
    """γ of the total variation; none: a little, so that no confetti stays."""
    tv_exponent: Annotated[float, Field(ge=0.5, le=2)] = 1.25
    frame_weight: Weight | None = None
    """Weight of the colour frame's statistics; none: on for features that are not trained on photographs."""
    activation_shift: Annotated[float, Field(ge=-10, le=10)] = 0.0
    """Added to the maps before Gram matrices are taken; -1 as in Novak & Nikulin 2016, section 3.3."""
    chain: bool = False
    """Compare correlations of each style layer with the convolution before it, instead of Gram matrices (ibid.,
    3.5)."""
    style_size: StyleSize = StyleSize.STROKES

    context_px: Annotated[int, Field(ge=0, le=512)] = 80
    """How much of the surroundings the network sees around the selection, in px of the working size."""
    precision: Precision = Precision.AUTO
    memory_mb: Annotated[int, Field(ge=64)] | None = None
    """Paint in tiles rather than take more memory than this; none: what the device has."""

    @field_validator("content_layers", "style_layers", mode="before")
    @classmethod
    def _layers_from_names(cls, value: Any) -> Any:
        if isinstance(value, str) and value != "all":
            value = [part for part in value.replace(" ", "").split(",") if part]
        if isinstance(value, list | tuple):
            pairs = [str(item).partition(":") for item in value]
            value = {name: weight or 1.0 for name, _, weight in pairs}
        if isinstance(value, Mapping):
            value = {_KERAS_LAYER.sub(r"conv\1_\2", str(name)): weight for name, weight in value.items()}
            if not value:
                raise ValueError("name at least one layer")
            for name in value:
                if not LAYER.fullmatch(name):
                    raise ValueError(f"{name!r} is no layer name; write for example conv4_2, preact4_2 or pool3")
        return value

    @field_validator("iterations", mode="before")
    @classmethod
    def _one_number_of_iterations(cls, value: Any) -> Any:
        if isinstance(value, str):
            return [part for part in value.replace(" ", "").split(",") if part]
        return (value,) if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _names_belong_together(self) -> Self:
        names = [region.name for region in self.regions]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"regions: {sorted(twice)[0]!r} is there twice")
        for index, style in enumerate(self.styles):
            if style.region is not None and style.region not in names:
                known = ", ".join(map(repr, names)) or "none"
                raise ValueError(f"styles[{index}].region: there is no region {style.region!r} (regions: {known})")
        if self.start is Start.PICTURE and self.start_picture is None:
            raise ValueError("start_picture: name the picture to go on from")
        if self.steady_mask is not None and self.steady_picture is None:
            raise ValueError("steady_picture: name the picture that `steady_mask` is for")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all pictures and masks that it needs."""
        names = [name for style in self.styles for name in (style.picture, style.part)]
        names += [region.mask for region in self.regions]
        names += [self.selection, self.start_picture, self.steady_picture, self.steady_mask]
        return tuple(dict.fromkeys(name for name in names if name is not None))

    @classmethod
    def parse(cls, data: Mapping[str, Any] | str | bytes) -> Self:
        """Make a recipe from JSON text or a mapping; `ScumbleError("bad-recipe")` names the field that is wrong."""
        if isinstance(data, str | bytes):
            try:
                data = json.loads(data)
            except ValueError as error:
                raise ScumbleError("bad-recipe", f"The recipe is not JSON: {error}.") from None
        if not isinstance(data, Mapping):
            raise ScumbleError("bad-recipe", "The recipe is not a JSON object.")
        try:
            return cls.model_validate(dict(data))
        except ValidationError as error:
            raise ScumbleError("bad-recipe", "; ".join(_sentences(error)) + ".") from None

    @classmethod
    def from_preset(cls, name: str, **changes: Any) -> Self:
        """The named preset with some fields changed; see `PRESETS`."""
        if name not in PRESETS:
            near = difflib.get_close_matches(name, PRESETS, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(PRESETS)}."
            raise ScumbleError("bad-recipe", f"preset: there is no preset {name!r}.", hint)
        return cls.parse({**PRESETS[name], "preset": name, **changes})

    def changed(self, **changes: Any) -> Self:
        """A copy with some fields replaced, validated again."""
        return type(self).parse({**self.as_dict(), **changes})

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, defaults left out."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def as_json(self) -> str:
        """JSON text, defaults left out."""
        return json.dumps(self.as_dict(), ensure_ascii=False)


def _sentences(error: ValidationError) -> list[str]:
    found = error.errors()
    # of a union every branch complains; the one that went deepest is what the user meant
    deepest = {
        each["loc"][0]: max(len(other["loc"]) for other in found if other["loc"][:1] == each["loc"][:1])
        for each in found
        if each["loc"]
    }
    meant = [
        each
        for each in found
        if not each["loc"] or each["loc"][0] in ("styles", "regions") or len(each["loc"]) == deepest[each["loc"][0]]
    ]
    return list(dict.fromkeys(map(_sentence, meant)))[:3]


def _sentence(error: ErrorDetails) -> str:
    place = ""
    for step in error["loc"]:
        if isinstance(step, str) and "[" in step:
            continue  # a branch of a union, which is pydantic's way to see the field and not the user's
        place += f"[{step}]" if isinstance(step, int) else f".{step}"
    place = place.lstrip(".")
    if error["type"] == "extra_forbidden":
        key = str(error["loc"][-1])
        near = difflib.get_close_matches(key, [*Recipe.model_fields, *Style.model_fields, *Region.model_fields], 1)
        return f"{place}: unknown key" + (f" (did you mean {near[0]!r}?)" if near else "")
    message = error["msg"].removeprefix("Value error, ")
    given = "" if error["type"] in {"missing", "value_error"} else f", not {error['input']!r:.60}"
    return f"{place}: {message}{given}" if place else message


_FIVE = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
_PAPER: dict[str, Any] = {
    "scaling": "paper",
    "content_form": "half-sum",
    "padding": "zeros",
    "tv_weight": 0.0,
    "frame_weight": 0.0,
    "scales": 1,
    "iterations": [500],
    "least_gain": 0.0,
    "size": 512,
    "optimizer": "lbfgs",
    "style_loss": "gram",
}
_GATYS: dict[str, Any] = {
    **_PAPER,
    "content_layers": {"conv4_2": 1.0},
    "style_layers": dict.fromkeys(_FIVE, 0.2),
    "content_weight": 1.0,
    "style_weight": 1e3,
}

PRESETS: dict[str, dict[str, Any]] = {
    "draft": {"quality": "draft"},
    "normal": {"quality": "normal"},
    "fine": {"quality": "fine"},
    "texture": {
        "content_weight": 0.0,
        "style_weight": 1.0,
        "tv_weight": 0.0,
        "start": "noise",
        "style_loss": "gram",
        "optimizer": "lbfgs",
    },
    "reconstruct": {
        "content_weight": 1.0,
        "style_weight": 0.0,
        "tv_weight": 0.0,
        "frame_weight": 0.0,
        "start": "noise",
        "optimizer": "lbfgs",
    },
    "masked": {
        "content_layers": {"conv5_2": 1.0},
        "style_layers": "all",
        "layer_weighting": "geometric",
        "style_loss": "gram",
    },
    "gatys-2015": {**_GATYS, "start": "noise"},
    "gatys-2016": {**_GATYS, "style_size": "content"},
    "novak-nikulin-2016": {
        **_GATYS,
        "style_layers": "all",
        "layer_weighting": "geometric",
        "activation_shift": -1.0,
        "chain": True,
    },
    "linkoping": {
        **_GATYS,
        "features": "auto-caffe",
        "content_layers": {"conv5_2": 1.0},
        "normalized": False,
        "optimizer": "adam",
        "tv_weight": 1.0,
        "tv_exponent": 1.25,
        "start": "noise",
    },
    "technion": {
        **_GATYS,
        "style_layers": {"conv1_1": 0.5, "conv2_1": 0.4, "conv3_1": 0.3, "conv4_1": 0.2, "conv5_1": 0.1},
        "style_size": "content",
    },
    "srmist": {**_GATYS, "optimizer": "adam", "tv_weight": 1.0},
}
"""Named recipes: three everyday qualities, style alone, content alone, masks, and published settings."""

PRESET_NOTES: dict[str, str] = {
    "draft": "a first look, in a moment",
    "normal": "the everyday quality",
    "fine": "larger and longer",
    "texture": "the style alone, from noise",
    "reconstruct": "the content alone, from noise: what the features keep of it",
    "masked": "for regions that meet: all style layers, the shallow ones most",
    "gatys-2015": "Gatys, Ecker & Bethge 2015, as published, from noise",
    "gatys-2016": "Gatys, Ecker & Bethge 2016, as published, from the photo",
    "novak-nikulin-2016": "Novak & Nikulin 2016: all layers, chained, shifted activations",
    "linkoping": "a student project's settings: Caffe's weights, Adam, total variation",
    "technion": "a student project's settings: weights that fall with depth",
    "srmist": "a student project's settings: Adam, total variation",
}
"""What each preset is, in a few words."""
