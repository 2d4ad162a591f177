"""What is to be painted, and how far it is.

A **ticket** is one press of the button, from reading the layer to the finished picture. A **training** is one too: its
subject is a `Lesson`, and what it ends with is not a picture but a model, which the daemon keeps.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .daemon import Job
    from .errors import LinkError
    from .pixels import Plane


@dataclass(frozen=True)
class Order:
    """A job to be: the daemon's recipe, and the pictures that it names, `content` among them."""

    recipe: Mapping[str, Any]
    parts: Mapping[str, Plane | bytes]


@dataclass(frozen=True)
class Lesson:
    """A training to be, or under way: `source` is the style's, as a row has it; it will be kept as `model`."""

    source: str
    name: str
    model: str = ""


class Stage(enum.Enum):
    """Where a ticket is in its life."""

    READING = "reading"
    """The host reads the layer."""
    STARTING = "starting"
    """The daemon is looked for, or started."""
    SENDING = "sending"
    QUEUED = "queued"
    RUNNING = "running"
    FETCHING = "fetching"
    INSERTING = "inserting"
    """The result is there; the host adds it to the document."""
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self in (Stage.DONE, Stage.STOPPED, Stage.FAILED)


@dataclass(eq=False)
class Ticket:
    """One press of the button. Only the host's thread reads it, only the desk changes it."""

    number: int
    title: str
    subject: object = None
    """The host's; the desk does not look at it."""
    stage: Stage = Stage.READING
    job: Job | None = None
    """The daemon's latest word."""
    preview: bytes | None = None
    """The newest intermediate picture, a JPEG with a long side of at most 512 px."""
    preview_number: int = 0
    result: Plane | None = None
    """The picture of the content's size, from INSERTING on."""
    mask: Plane | None = None
    """Where it is painted and how much, one channel of the content's size; None where the result's alpha says it."""
    error: LinkError | None = None
    """Why it failed."""
    kept: bool = False
    """Whether it was stopped and what was there is the result."""
    warnings: tuple[str, ...] = ()
    is_stopping: bool = False
    """Whether it was asked to stop, and has not yet."""
    is_away: bool = False
    """Whether the daemon does not answer just now."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.stage.is_final

    @property
    def is_training(self) -> bool:
        """Whether a style is learnt, and nothing is painted."""
        return isinstance(self.subject, Lesson)
