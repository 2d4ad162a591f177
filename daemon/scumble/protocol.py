"""What goes over the wire: the models of the daemon's HTTP API, version 1, for the daemon and its clients alike.

A **job** is one picture to be painted, or one training. It is *queued*, then *running*, then *done*, *stopped* (by
somebody, with or without a result) or *failed*. Its **sequence number** changes whenever something about it does; its
**preview number** whenever there is a new intermediate picture. A **lease** is how long a job lives without anybody
asking after it. A **style** of the library is a picture that the daemon keeps; a recipe names it `library:ID`. A
**model** is a network that was trained for some styles, and paints after them in one pass; those that are *kept* go by
their names. A **training** makes one. It waits for all paintings, and makes way for them when it runs.

Sizes and places are in px of the content picture unless said otherwise, times in seconds.
"""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

PROTOCOL = 1
"""The version of the API; a client and a daemon that differ in it do not talk."""
LIBRARY = "library:"
"""How a recipe names a picture of the style library: this and the style's id."""
PREVIEW_SIDE_PX = 512
LONGEST_WAIT_S = 60.0
"""The longest that a request for a job is held open."""


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore")


class _Question(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True, extra="forbid", allow_inf_nan=False)


class State(Enum):
    """Where a job is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self in {State.DONE, State.STOPPED, State.FAILED}


class Kind(Enum):
    """What a job does."""

    PAINT = "paint"
    TRAIN = "train"


class Rectangle(_Question):
    """A part of a picture, in px from its upper left corner."""

    x: Annotated[int, Field(ge=0)]
    y: Annotated[int, Field(ge=0)]
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]


class Problem(_Answer):
    """What went wrong (RFC 9457, `application/problem+json`)."""

    type: str = "about:blank"
    title: str
    """What kind of error this is, in a few words."""
    status: int
    """The HTTP status."""
    detail: str
    """What is wrong here, in one sentence."""
    code: str
    """The error's name in the table of errors."""
    hint: str
    """What to do about it, in one sentence."""


class Scale(_Answer):
    """The size at which a job is being painted right now."""

    width: int
    """In px of the working size."""
    height: int
    number: int
    """Which of the scales this is, from 1."""
    count: int
    """How many scales there are."""


class Job(_Answer):
    """One picture to be painted, or one training, and how far it is."""

    id: str
    kind: Kind = Kind.PAINT
    state: State
    phase: str
    """What is being done right now: waiting, preparing, painting, training, saving, or finished."""
    position: int | None = None
    """How many jobs are before it in the queue, while it is queued."""
    iteration: int = 0
    iterations: int = 0
    """Of all scales together, or the steps of a training; 0 until it is known."""
    scale: Scale | None = None
    progress: float = 0.0
    """From 0 to 1."""
    seconds: float = 0.0
    """How long it has been worked on."""
    seconds_left: float | None = None
    losses: dict[str, float] = {}
    """The losses of the latest iteration: total, and content, style and tv as far as there are such terms."""
    warnings: list[str] = []
    features: str | None = None
    """Which features it is painted with, once that is known."""
    device: str | None = None
    seq: int = 0
    """Changes whenever something about the job does; for `after`."""
    preview: int = 0
    """The number of the newest preview; 0: there is none yet."""
    width: int
    """Of the content, and so of the result; of a training that of the squares it looks at."""
    height: int
    bounds: Rectangle | None = None
    """The part of the content that is painted; nothing outside it changes."""
    preview_bounds: Rectangle | None = None
    """The part of the content that previews show."""
    has_result: bool = False
    """Whether there is a picture: the painting, or the report of a training."""
    model: str | None = None
    """What the model is called that a training has made, once it is kept."""
    problem: Problem | None = None
    """Why it failed."""
    recipe: dict[str, Any]
    continues: str | None = None
    """The job from whose result it goes on."""
    lease_s: float | None = None
    created: datetime


class JobList(_Answer):
    """The last jobs, newest first."""

    jobs: list[Job]


class StopRequest(_Question):
    """How to stop a job."""

    keep: bool = False
    """Keep what is there as the result."""


class ContinueRequest(_Question):
    """What is different in a job that goes on from another's result."""

    iterations: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """How many more; none: as the recipe says."""
    changes: dict[str, Any] = {}
    """Fields of the recipe with other values: strength, weights of the styles, ..."""
    lease_s: Annotated[float, Field(gt=0, le=86_400)] | None = None


class TrainRequest(_Question):
    """What to train: a network that paints in one pass, on squares of pictures that are drawn as it goes."""

    styles: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=300)], ...], Field(max_length=16)] = ()
    """The pictures to learn, by the names of their parts or as `library:ID`; none: all that are sent, in order."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,99}$")] | None = None
    """What to call the model; none: as the first style is called. Where there is another of that name: `NAME-2`, …"""
    steps: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """How long; none: 1500, and 250 more for each further style."""
    size: Annotated[int, Field(ge=64, le=4096)] = 512
    """The working size at which its strokes are to have their size."""
    square: Annotated[int, Field(ge=32, le=1024, multiple_of=4)] = 272
    """The side of the squares it looks at."""
    batch: Annotated[int, Field(ge=1, le=64)] = 2
    """Squares in a step."""
    stroke_scale: Annotated[float, Field(ge=0.1, le=8)] = 1.0
    """The size the styles' strokes are seen at: 2 is twice as large."""
    features: Annotated[str, Field(min_length=1, max_length=200)] = "auto"
    """By which features losses are taken, as in a recipe."""
    width: Annotated[int, Field(ge=4, le=128)] = 16
    """Channels of the network at full size."""
    blocks: Annotated[int, Field(ge=0, le=16)] = 5
    """Its residual blocks."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Of all that is random."""
    lease_s: Annotated[float, Field(gt=0, le=86_400)] | None = None
    """The training is stopped, and nothing of it kept, when nobody has asked after it for so many seconds."""


class MoveRequest(_Question):
    """Where in the queue a job is to wait."""

    position: Annotated[int, Field(ge=0, le=1_000_000)]
    """How many jobs shall be before it; 0: it is the next."""


class EstimateRequest(_Question):
    """A job that is only thought of."""

    recipe: dict[str, Any]
    """A recipe; the pictures that it names need not exist."""
    width: Annotated[int, Field(ge=1, le=1_000_000)]
    """Of the content."""
    height: Annotated[int, Field(ge=1, le=1_000_000)]
    bounds: Rectangle | None = None
    """The selection's bounds; none: all of the content."""


class Estimate(_Answer):
    """What a job would cost."""

    width: int
    """The size at which it would be painted, its context included, in px."""
    height: int
    iterations: int
    """Of all scales together."""
    scales: int
    tile_px: int | None
    """The side of the tiles it would be painted in; none: in one piece."""
    memory_mb: float
    seconds: float
    """From its start to its result, when nothing else runs."""
    is_measured: bool
    """Whether the seconds come from jobs like it on this machine, or are a guess."""
    features: str
    device: str
    warnings: list[str]


class Device(_Answer):
    """A device that paints."""

    name: str
    """As torch knows it: cpu, cuda:0, ..."""
    description: str
    """What it calls itself."""
    state: str
    """asleep, starting, ready, painting, or failed."""
    job: str | None = None
    """The job that it is painting."""
    memory_free_mb: float | None = None
    memory_used_mb: float | None = None
    """What the worker on it holds."""


class Health(_Answer):
    """Who answers; what follows `protocol` is told only to those who have the token."""

    name: str
    version: str
    protocol: int
    instance: str | None = None
    """Another one each time the daemon starts."""
    pid: int | None = None
    uptime_s: float | None = None
    features: str | None = None
    """Which features `auto` means on this machine."""
    devices: list[Device] | None = None
    queued: int | None = None
    running: int | None = None
    queue_limit: int | None = None
    disk_free_mb: float | None = None
    disk_used_mb: float | None = None
    """What jobs, results and styles take."""
    home: str | None = None
    """The daemon's folder."""


class Style(_Answer):
    """A picture of the style library."""

    id: str
    name: str
    tags: list[str]
    width: int
    """Of the part that is used: the crop if there is one."""
    height: int
    crop: Rectangle | None
    """The part of the picture that is used; none: all of it."""
    is_bundled: bool
    """Whether it came with Scumble."""
    picture: str
    """What a recipe calls it."""
    model: str | None = None
    """What a recipe calls the model that was trained for it, if one is kept: `engine: fast` can paint with it."""


class StyleList(_Answer):
    """The style library."""

    styles: list[Style]


Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
Tags = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[^\x00-\x1f\x7f,]+$")]], Field(max_length=32)
]


class StyleChange(_Question):
    """What to change about a style of the library; what is left out stays."""

    name: Name | SkipJsonSchema[None] = None
    tags: Tags | SkipJsonSchema[None] = None
    crop: Rectangle | None = None
    """The part of the picture to use; null: all of it."""


class ModelStyle(_Answer):
    """A style that a model was trained for."""

    name: str
    digest: str
    """The SHA-256 of its picture's file, in hex; empty where that is not known."""
    part: Rectangle | None
    """The part of the picture that was used; none: all of it."""


class Model(_Answer):
    """A model that is kept. A recipe calls it by its name, or `NAME#STYLE` if it has several styles."""

    name: str
    styles: list[ModelStyle]
    size: int
    """The working size at which its strokes have their size, in px."""
    steps: int
    """How long it was trained."""
    minutes: float
    features: str
    """By which its losses were taken."""
    bytes: int
    """Of its file."""


class ModelList(_Answer):
    """The models that are kept, by name."""

    models: list[Model]


class Preset(_Answer):
    """A recipe with a name."""

    name: str
    description: str
    recipe: dict[str, Any]


class PresetList(_Answer):
    """The recipes with names."""

    presets: list[Preset]


class RuntimeFile(_Answer):
    """What the daemon writes for those who may talk to it: where it is and what to say."""

    url: str
    token: Annotated[str, Field(repr=False)]
    pid: int
    version: str
    protocol: int
    command: list[str]
    """The command line that starts it."""
    instance: str = ""
