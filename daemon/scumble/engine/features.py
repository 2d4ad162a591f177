"""Which features a recipe gets: a name becomes weights, and a profile of what suits them.

A *description* is what is known of weights without their numbers. A *general* name (`auto`, `auto-caffe`, `embedded`)
stands for the best that is here for the device. A **profile** says which layers, frame and weights the everyday presets
use with a kind of features, so that strength 60 means the same look for each.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from scumble.engine import embedded, weight_store, weights
from scumble.engine.weights import ARCHITECTURES, Description, Training, Weights
from scumble.errors import ScumbleError
from scumble.recipe import StyleLoss

_SEEDED = "seeded-"
_LAST_RESORT = "seeded-vgg19-lite"
_IMAGENET = {"auto": ("vgg19",), "auto-caffe": ("vgg19-caffe", "vgg19")}
"""What a general name stands for where there is a GPU, if it is kept here."""

_Found = TypeVar("_Found", Weights, Description)


@dataclass(frozen=True)
class Profile:
    """What suits a kind of features: layers with weights, the style loss, the colour frame's scales, and the everyday
    weights."""

    content_layers: Mapping[str, float]
    style_layers: Mapping[str, float]
    style_loss: StyleLoss
    neighbour_layers: Mapping[str, float]
    frame_scales: tuple[int, ...]
    frame_weight: float
    content_at_60: float
    tv_weight: float


PHOTOGRAPHS = Profile(
    content_layers={"conv4_2": 1.0},
    style_layers={"conv1_1": 0.2, "conv2_1": 0.2, "conv3_1": 0.2, "conv4_1": 0.2, "conv5_1": 0.2},
    style_loss=StyleLoss.GRAM,
    neighbour_layers=dict.fromkeys(("conv1_2", "conv2_2", "conv3_2", "conv3_4", "conv4_2"), 1.0),
    frame_scales=(1, 2, 4),
    frame_weight=0.0,
    content_at_60=0.3,
    tv_weight=0.1,
)
OURS = Profile(
    content_layers={"conv3_2": 1.0},
    style_layers={"conv1_1": 0.25, "conv2_1": 0.25, "conv3_1": 0.25, "conv4_1": 0.25},
    style_loss=StyleLoss.NEIGHBOURS,
    # the fine layers keep the content's own shapes; deeper ones see so far that a house becomes a patch of light
    neighbour_layers={"conv1_1": 2.0, "conv2_1": 1.0, "conv3_1": 1.0},
    # the first 54 filters of conv1_1 are the frame at scale 1
    frame_scales=(2, 4),
    frame_weight=0.5,
    content_at_60=0.3,
    tv_weight=0.3,
)
"""Of features that no photograph taught: seeded ones, and those trained on procedural paintings."""


def profile(found: Weights | Description) -> Profile:
    """The profile of some weights, by what they were trained on."""
    return PHOTOGRAPHS if found.training is Training.PHOTOGRAPHS else OURS


def resolve(name: str, *, gpu: bool) -> Weights:
    """Weights by the name in `Recipe.features`; `ScumbleError` when there are none of that name on this machine.

    `gpu` tells whether they are to run on one, which decides what a general name stands for.
    """
    return _find(name, gpu, weights.seeded, weights.from_file)


def describe(name: str, *, gpu: bool) -> Description:
    """What `resolve` would find, in milliseconds; it refuses the same names, and files that are visibly damaged."""
    return _find(name, gpu, weights.describe_seeded, weights.describe)


def _find(name: str, gpu: bool, seeded: Callable[[str], _Found], read: Callable[[Path], _Found]) -> _Found:
    name = _specific(name, gpu)
    shipped = embedded.shipped()
    if name in shipped:
        label = f"{name} (procedural paintings)"
        return replace(read(shipped[name]), name=label, entry=name, training=Training.PROCEDURAL)
    architecture = name.removeprefix(_SEEDED)
    return seeded(architecture) if name != architecture and architecture in ARCHITECTURES else read(_file(name))


def _specific(name: str, gpu: bool) -> str:
    """What a general name stands for; any other as it is."""
    if gpu and name in _IMAGENET:
        kept = {entry.name for entry in weight_store.available() if entry.present}
        name = next((each for each in _IMAGENET[name] if each in kept), name)
    if name not in {*_IMAGENET, "embedded"}:
        return name
    wanted = (embedded.FULL, embedded.LITE) if gpu else (embedded.LITE,)
    shipped = embedded.shipped()
    return next((each for each in wanted if each in shipped), _LAST_RESORT)


def _file(name: str) -> Path:
    """The file of weights that are kept, or one that is named itself."""
    kept = [entry.name for entry in weight_store.available()]
    if name in kept:
        return weight_store.kept_file(name)
    if Path(name).suffix or "/" in name:
        return Path(name)
    if name in {embedded.LITE, embedded.FULL}:
        hint = "Write `embedded` for the features that did."
        raise ScumbleError("missing-weights", f"The features {name} did not come with this Scumble.", hint)
    known = ", ".join(["auto", "embedded", *kept, *(f"{_SEEDED}{each}" for each in ARCHITECTURES)])
    hint = f"There are: {known}; or give a file."
    raise ScumbleError("bad-recipe", f"features: there are no features {name!r}.", hint)
