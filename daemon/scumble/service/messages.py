"""What the daemon and a worker say to each other: one JSON object a line, over the worker's stdin and stdout."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from scumble.protocol import Problem, Rectangle, Scale, TrainRequest
from scumble.service.pace import LevelTime

CHECKPOINT, PREVIEW, PAINTED, MODEL = "checkpoint.safetensors", "preview.jpg", "painted.json", "model.scumble"
"""What a worker leaves in a job's folder besides the result."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def line(self) -> bytes:
        """The message as it is sent."""
        return self.model_dump_json().encode() + b"\n"


class Source(_Message):
    """A picture's file, and the part of it that is used."""

    path: Path
    crop: Rectangle | None = None


# ------------------------------------------------------------------------------------------------------ to the worker


class Paint(_Message):
    """Paint a job; `folder` is where its checkpoint, preview and result go."""

    say: Literal["paint"] = "paint"
    job: str
    recipe: dict[str, Any]
    content: Source
    pictures: dict[str, Source]
    folder: Path
    bounds: Rectangle | None = None
    """What is painted of the content; none: nothing."""
    memory_mb: int | None = None
    """Take no more than this, whatever the recipe says."""


class Lesson(_Message):
    """A style that is to be learnt: its picture, what the recipe calls it, and how the model will know it again."""

    picture: str
    source: Source
    name: str


class Train(_Message):
    """Train a model; `folder` is where its checkpoint, preview, report and model go.

    With `ends` it was stopped while it was put away: nothing more is learnt, and what is there is kept.
    """

    say: Literal["train"] = "train"
    job: str
    request: TrainRequest
    recipe: dict[str, Any]
    lessons: tuple[Lesson, ...]
    folder: Path
    ends: bool = False


class PutAway(_Message):
    """Save a training, to go on later: something more urgent is to be done."""

    say: Literal["put away"] = "put away"
    job: str


class Stop(_Message):
    """Stop a job within one iteration."""

    say: Literal["stop"] = "stop"
    job: str
    keep: bool


class Ask(_Message):
    """Say what a job would cost."""

    say: Literal["ask"] = "ask"
    number: int
    recipe: dict[str, Any]
    width: int
    height: int
    bounds: Rectangle


class Leave(_Message):
    """Save what is being painted, and end."""

    say: Literal["leave"] = "leave"


Told = Paint | Train | PutAway | Stop | Ask | Leave
Order = TypeAdapter[Told](Annotated[Told, Field(discriminator="say")])

# ---------------------------------------------------------------------------------------------------- from the worker


class Ready(_Message):
    """The worker has loaded everything; `devices` are all that it sees of its kind, its own first."""

    say: Literal["ready"] = "ready"
    device: str
    description: str
    devices: list[str]
    features: str | None
    """Which `auto` means; none: those cannot be used."""


class Broken(_Message):
    """The worker cannot work; it ends."""

    say: Literal["broken"] = "broken"
    problem: Problem


class Memory(_Message):
    """What the worker holds, and what its device has left, in MB."""

    say: Literal["memory"] = "memory"
    used_mb: float
    free_mb: float


class Began(_Message):
    """A job's pictures are read, and it is known how it will be painted."""

    say: Literal["began"] = "began"
    job: str
    features: str
    preview_bounds: Rectangle | None = None
    iterations: int
    memory_mb: float


class Progress(_Message):
    """An iteration was done."""

    say: Literal["progress"] = "progress"
    job: str
    iteration: int
    iterations: int
    scale: Scale
    progress: float
    seconds_left: float
    losses: dict[str, float]


class Previewed(_Message):
    """There is a new preview in the job's folder."""

    say: Literal["previewed"] = "previewed"
    job: str
    number: int


class Painted(_Message):
    """A job has ended with a picture, or was stopped without one (`file` is None).

    Before it is sent it is written into the job's folder: a daemon that was killed finds it there.
    """

    say: Literal["painted"] = "painted"
    job: str
    stopped: bool
    file: str | None = None
    digest: str = ""
    bytes: int = 0
    features: str = ""
    seconds: float = 0.0
    iteration: int = 0
    iterations: int = 0
    losses: dict[str, float] = {}
    warnings: list[str] = []
    previews: int = 0
    preview_bounds: Rectangle | None = None
    kind: str = ""
    levels: tuple[LevelTime, ...] = ()
    content_px: int = 0
    around_s: float = 0.0
    model: str | None = None
    """What the model that was trained is kept as."""


class Failed(_Message):
    """A job cannot be painted."""

    say: Literal["failed"] = "failed"
    job: str
    problem: Problem


class Left(_Message):
    """A job was put away, to go on later."""

    say: Literal["left"] = "left"
    job: str


class Answer(_Message):
    """What a job would cost, or why that cannot be said."""

    say: Literal["answer"] = "answer"
    number: int
    problem: Problem | None = None
    kind: str = ""
    width: int = 0
    height: int = 0
    levels: list[tuple[int, int]] = []
    """Pixels and iterations of each scale."""
    tile_px: int | None = None
    memory_mb: float = 0.0
    features: str = ""
    device: str = ""
    warnings: list[str] = []


Word = Ready | Broken | Memory | Began | Progress | Previewed | Painted | Failed | Left | Answer
Report = TypeAdapter[Word](Annotated[Word, Field(discriminator="say")])
