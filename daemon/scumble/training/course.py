"""The course of a training: lessons of so many steps at a size, and what is asked in each step.

A **course** is the complete recipe; the same course gives the same features, to the last digits of the machine's
arithmetic.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Self


@dataclass(frozen=True)
class Lesson:
    """`steps` steps of `batch` pictures of `size` px, of which `fresh` are drawn for the step and the rest come from
    the pool."""

    size: int
    batch: int
    steps: int
    fresh: int


@dataclass(frozen=True)
class Course:
    """What is trained, on what, for how long."""

    architecture: str = "vgg19-lite"
    styles: int = 3000
    seed: int = 1
    learning_rate: float = 3e-3
    heads_rate: float = 0.15
    weight_decay: float = 1e-2
    pool: int = 2048
    lessons: tuple[Lesson, ...] = field(
        default=(Lesson(64, 64, 2000, 12), Lesson(112, 24, 600, 6)),
    )

    @property
    def steps(self) -> int:
        """Of all lessons."""
        return sum(lesson.steps for lesson in self.lessons)

    def shortened(self, share: float) -> Self:
        """The same with fewer steps in every lesson, at least one."""
        lessons = tuple(replace(each, steps=max(1, round(share * each.steps))) for each in self.lessons)
        return replace(self, lessons=lessons)

    def lesson_at(self, step: int) -> Lesson:
        """The lesson that a step belongs to; the last one at the end."""
        for lesson in self.lessons:
            if step < lesson.steps:
                return lesson
            step -= lesson.steps
        return self.lessons[-1]

    def as_json(self) -> str:
        """The course as JSON text."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Note:
    """How it goes: means over the last steps. `right` is the share of styles named right."""

    step: int
    steps: int
    seconds: float
    loss: float
    right: float
    traits: float
    layout: float
    seen: float
    places: float

    def line(self) -> str:
        """For a log."""
        return (
            f"{self.step:6d}/{self.steps} {self.seconds:7.0f} s  loss {self.loss:.3f}  styles {100 * self.right:4.1f} %"
            f"  traits {self.traits:.3f}  layout {self.layout:.3f}  seen {self.seen:.3f}"
            f"  places {self.places:.3f}"
        )


def standard(seed: int) -> Course:
    """The course that the features which come with Scumble went through, with seed 1."""
    return Course(seed=seed)
