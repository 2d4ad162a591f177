"""An order: what was asked for, checked and complete, before it becomes a job. Pixels are named by their SHA-256."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from scumble.protocol import Kind, Rectangle, TrainRequest
from scumble.recipe import Recipe


@dataclass(frozen=True)
class Input:
    """A picture of an order: `name` is what the recipe calls it, `digest` the SHA-256 of its bytes as they came,
    `crop` the part of it that is used (px)."""

    name: str
    digest: str
    crop: Rectangle | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"name": self.name, "digest": self.digest, "crop": self.crop.model_dump() if self.crop else None}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Input":
        """The inverse of `as_dict`."""
        crop = data["crop"]
        return cls(data["name"], data["digest"], Rectangle.model_validate(crop) if crop else None)


@dataclass(frozen=True)
class Training:
    """What is to be trained: the request, complete, and what people call its styles, in the same order."""

    request: TrainRequest
    labels: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"request": self.request.model_dump(mode="json"), "labels": list(self.labels)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Training":
        """The inverse of `as_dict`."""
        return cls(TrainRequest.model_validate(data["request"]), tuple(data["labels"]))


@dataclass(frozen=True)
class Order:
    """A recipe with its content, and every picture that it names.

    `width` and `height` are the content's, `bounds` is what will be painted of it (None: nothing will). `key` is the
    client's idempotency key, `continues` the id of the job from whose result this one goes on. A `training` has no
    content: its recipe says how losses are made, its width and height are those of the squares. `found` are the styles,
    by their places, whose models were not asked for by name but found.
    """

    recipe: Recipe
    content: Input | None
    pictures: tuple[Input, ...]
    width: int
    height: int
    bounds: Rectangle | None
    lease_s: float | None = None
    key: str | None = None
    continues: str | None = None
    training: Training | None = None
    found: tuple[int, ...] = ()

    @property
    def kind(self) -> Kind:
        """What it asks for."""
        return Kind.PAINT if self.training is None else Kind.TRAIN

    @property
    def fingerprint(self) -> str:
        """What tells this order from another one; as it was asked for, whatever models there are."""
        content = self.content.as_dict() if self.content else None
        recipe = self.recipe.as_dict()
        for place in self.found:
            del recipe["styles"][place]["model"]
        parts: list[Any] = [recipe, content, [each.as_dict() for each in self.pictures]]
        if self.training is not None:
            parts.append(self.training.as_dict())
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def digests(self) -> frozenset[str]:
        """All pixels that it needs."""
        inputs = self.pictures if self.content is None else (self.content, *self.pictures)
        return frozenset(each.digest for each in inputs)
