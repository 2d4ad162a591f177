"""Which features a recipe gets: a name becomes weights, and a profile of what suits them.

A *description* is what is known of weights without their numbers. A **profile** says which layers, frame and weights
the everyday presets use with a kind of features, so that strength 60 means the same look for each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scumble.engine import weights as store
from scumble.engine.weights import ARCHITECTURES, Description, Weights
from scumble.errors import ScumbleError
from scumble.recipe import StyleLoss

EMBEDDED = "seeded-vgg19-lite"
"""What `embedded` means."""


@dataclass(frozen=True)
class Profile:
    """What suits a kind of features: layers with weights, the style loss, the colour frame's scales, and the everyday
    weights."""

    content_layers: Mapping[str, float]
    style_layers: Mapping[str, float]
    style_loss: StyleLoss
    neighbour_layers: tuple[str, ...]
    frame_scales: tuple[int, ...]
    frame_weight: float
    content_at_60: float
    tv_weight: float


TRAINED = Profile(
    content_layers={"conv4_2": 1.0},
    style_layers={"conv1_1": 0.2, "conv2_1": 0.2, "conv3_1": 0.2, "conv4_1": 0.2, "conv5_1": 0.2},
    style_loss=StyleLoss.GRAM,
    neighbour_layers=("conv1_2", "conv2_2", "conv3_2", "conv3_4", "conv4_2"),
    frame_scales=(1, 2, 4),
    frame_weight=0.0,
    content_at_60=0.3,
    tv_weight=0.1,
)
SEEDED = Profile(
    content_layers={"conv3_2": 1.0},
    style_layers={"conv1_1": 0.25, "conv2_1": 0.25, "conv3_1": 0.25, "conv4_1": 0.25},
    style_loss=StyleLoss.NEIGHBOURS,
    neighbour_layers=("conv1_1", "conv2_1", "conv3_1", "conv4_1"),
    # the first 54 filters of conv1_1 are the frame at scale 1
    frame_scales=(2, 4),
    frame_weight=0.5,
    content_at_60=0.3,
    tv_weight=0.3,
)


def profile(found: Weights | Description) -> Profile:
    """The profile of some weights."""
    return TRAINED if found.trained else SEEDED


def resolve(name: str) -> Weights:
    """Weights by the name in `Recipe.features`; `ScumbleError` when there are none of that name on this machine."""
    place = _locate(name)
    return store.seeded(place) if isinstance(place, str) else store.from_file(place)


def describe(name: str) -> Description:
    """What `resolve` would find, in milliseconds; it refuses the same names, and files that are visibly damaged."""
    place = _locate(name)
    return store.describe_seeded(place) if isinstance(place, str) else store.describe(place)


def _locate(name: str) -> str | Path:
    """The architecture of seeded features, or the file of others."""
    if name in {"auto", "auto-caffe"}:
        return _first_present("vgg19-caffe", "vgg19") if name == "auto-caffe" else _first_present("vgg19")
    if name == "embedded":
        name = EMBEDDED
    if name.startswith("seeded-") and name.removeprefix("seeded-") in ARCHITECTURES:
        return name.removeprefix("seeded-")
    if name in {entry.name for entry in store.available()}:
        return store.kept_file(name)
    if Path(name).suffix or "/" in name:
        return Path(name)
    known = [
        "auto",
        "embedded",
        *(entry.name for entry in store.available()),
        *(f"seeded-{name}" for name in ARCHITECTURES),
    ]
    raise ScumbleError(
        "bad-recipe", f"features: there are no features {name!r}.", f"There are: {', '.join(known)}; or give a file."
    )


def _first_present(*names: str) -> str | Path:
    present = {entry.name: entry.file for entry in store.available() if entry.present}
    return next((present[name] for name in names if name in present), EMBEDDED.removeprefix("seeded-"))
