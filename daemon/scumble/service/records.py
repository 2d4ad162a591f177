"""What is remembered of a job beyond the daemon's life: what was asked for, where it stands, and how it ended."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from scumble.protocol import Problem, Rectangle, State
from scumble.recipe import Recipe
from scumble.service.orders import Input, Order, Training


@dataclass(frozen=True)
class Result:
    """A picture in the job's folder: its file's name, its SHA-256 and its length in bytes."""

    file: str
    digest: str
    bytes: int


@dataclass(frozen=True)
class Record:
    """One job. `number` counts all jobs of a store, `rank` says in which order those that wait are taken.

    `is_kept` ends when inputs and result were let go to make room; `was_fetched` begins when somebody has the result.
    `is_ending` is a training that was stopped to be kept, until it is; `model` is what its model is called then.
    """

    id: str
    number: int
    order: Order
    rank: float
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    state: State = State.QUEUED
    result: Result | None = None
    features: str | None = None
    device: str | None = None
    seconds: float = 0.0
    iteration: int = 0
    iterations: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    problem: Problem | None = None
    previews: int = 0
    preview_bounds: Rectangle | None = None
    was_fetched: bool = False
    is_kept: bool = True
    crashes: int = 0
    is_ending: bool = False
    model: str | None = None

    def changed(self, **changes: Any) -> "Record":
        """A copy with some fields replaced."""
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        order = self.order
        return {
            "id": self.id,
            "number": self.number,
            "rank": self.rank,
            "created": self.created.isoformat(),
            "state": self.state.value,
            "order": {
                "recipe": order.recipe.as_dict(),
                "content": order.content.as_dict() if order.content else None,
                "pictures": [each.as_dict() for each in order.pictures],
                "width": order.width,
                "height": order.height,
                "bounds": order.bounds.model_dump() if order.bounds else None,
                "lease_s": order.lease_s,
                "key": order.key,
                "continues": order.continues,
                "found": list(order.found),
                "training": order.training.as_dict() if order.training else None,
            },
            "result": [self.result.file, self.result.digest, self.result.bytes] if self.result else None,
            "features": self.features,
            "device": self.device,
            "seconds": self.seconds,
            "iteration": self.iteration,
            "iterations": self.iterations,
            "losses": self.losses,
            "warnings": list(self.warnings),
            "problem": self.problem.model_dump() if self.problem else None,
            "previews": self.previews,
            "preview_bounds": self.preview_bounds.model_dump() if self.preview_bounds else None,
            "was_fetched": self.was_fetched,
            "is_kept": self.is_kept,
            "crashes": self.crashes,
            "is_ending": self.is_ending,
            "model": self.model,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Record":
        """The inverse of `as_dict`; raises KeyError, TypeError, ValueError or ScumbleError for anything else."""
        order = data["order"]
        # what was written before there were models does not speak of them; what was damaged may be anything
        training = order["training"] if "training" in order else None  # noqa: SIM401
        found = order["found"] if "found" in order else ()  # noqa: SIM401
        plain = {
            name: data[name]
            for name in (
                *("id", "number", "rank", "features", "device", "seconds", "iteration", "iterations", "losses"),
                *("previews", "was_fetched", "is_kept", "crashes"),
            )
        }
        return cls(
            **plain,
            created=datetime.fromisoformat(data["created"]),
            state=State(data["state"]),
            order=Order(
                recipe=Recipe.parse(order["recipe"]),
                content=Input.from_dict(order["content"]) if order["content"] or training is None else None,
                pictures=tuple(map(Input.from_dict, order["pictures"])),
                width=order["width"],
                height=order["height"],
                bounds=_rectangle(order["bounds"]),
                lease_s=order["lease_s"],
                key=order["key"],
                continues=order["continues"],
                found=tuple(map(int, found)),
                training=Training.from_dict(training) if training else None,
            ),
            result=Result(*data["result"]) if data["result"] else None,
            warnings=tuple(data["warnings"]),
            problem=Problem.model_validate(data["problem"]) if data["problem"] else None,
            preview_bounds=_rectangle(data["preview_bounds"]),
            is_ending=data.get("is_ending", False),
            model=data.get("model"),
        )


def _rectangle(data: dict[str, int] | None) -> Rectangle | None:
    return Rectangle.model_validate(data) if data else None
