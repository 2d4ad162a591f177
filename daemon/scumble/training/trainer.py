"""The training of a student over a course, that can be stopped and gone on with."""

import math
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import torch

from scumble.engine.weights import SEEDED, Description, Training, Weights, assembled, save
from scumble.errors import ScumbleError
from scumble.training.course import Course, Note
from scumble.training.exam import marked, traits
from scumble.training.pool import Pool
from scumble.training.student import Student
from scumble.training.styles import Styles


class Trainer:
    """A course under way: `run` it until it ends; `save` and `load` let it go on elsewhere."""

    def __init__(self, course: Course, device: torch.device) -> None:
        torch.manual_seed(course.seed)
        self.course, self.device = course, device
        self.step, self.seconds = 0, 0.0
        self._styles = Styles.drawn(course.styles, course.seed).to(device)
        self._traits = traits(self._styles)
        self._student = Student(course.architecture, course.styles, self._traits.shape[1])
        self._student.to(device).to(memory_format=torch.channels_last)
        self._generator = torch.Generator(device).manual_seed(course.seed)
        heads = {id(each) for each in self._student.heads}
        trunk = [each for each in self._student.parameters() if id(each) not in heads]
        groups = [{"params": trunk, "share": 1.0}, {"params": self._student.heads, "share": course.heads_rate}]
        self._optimizer = torch.optim.AdamW(groups, lr=course.learning_rate, weight_decay=course.weight_decay)
        self._pool: Pool | None = None
        self._seen: list[list[float]] = []

    @property
    def is_done(self) -> bool:
        """Whether the course has ended."""
        return self.step >= self.course.steps

    def run(self, on_note: Callable[[Note], None], every: int = 50, until: int | None = None) -> None:
        """Go on to step `until`, or to the end."""
        self._student.train()
        while self.step < min(self.course.steps, until or self.course.steps):
            began = time.perf_counter()
            self._advance()
            self.seconds += time.perf_counter() - began
            if self.step % every == 0 or self.is_done:
                on_note(self._note())

    def _advance(self) -> None:
        lesson = self.course.lesson_at(self.step)
        pool = self._pool_of(lesson.size, lesson.batch)
        pool.add(lesson.fresh)
        shown = pool.take(lesson.batch)
        for group in self._optimizer.param_groups:
            group["lr"] = group["share"] * self._rate()
        answers = self._student(shown.sample.pictures.contiguous(memory_format=torch.channels_last))
        mark = marked(answers, shown, self._traits)
        self._optimizer.zero_grad()
        torch.autograd.backward(mark.loss)
        self._optimizer.step()
        self._seen.append(mark.numbers())
        self.step += 1

    def _pool_of(self, size: int, least: int) -> Pool:
        if self._pool is None or self._pool.size != size:
            self._pool = Pool(self._styles, size, self.course.pool, self._generator)
            while self._pool.filled < 4 * least:
                self._pool.add(least)
        return self._pool

    def _rate(self) -> float:
        """Rises over the first steps, then falls as a cosine."""
        rise = min(1.0, (self.step + 1) / 200)
        fall = 0.5 + 0.5 * math.cos(math.pi * self.step / self.course.steps)
        return self.course.learning_rate * rise * fall + 1e-5

    def _note(self) -> Note:
        means = torch.tensor(self._seen).mean(0).tolist()
        self._seen = []
        return Note(self.step, self.course.steps, self.seconds, *means)

    def features(self) -> Weights:
        """What was learnt, as the engine takes it."""
        found = Description(
            f"{self.course.architecture} (procedural paintings)", self.course.architecture, SEEDED, Training.PROCEDURAL
        )
        return assembled(found, *self._student.folded())

    def write(self, path: Path) -> None:
        """Write the features with the course that made them; `ScumbleError("cannot-write")`."""
        about = {"course": self.course.as_json(), "minutes": f"{self.seconds / 60:.0f}"}
        save(self.features(), path, half=True, about=about)

    def save(self, path: Path) -> None:
        """Write all that is needed to go on but the pool, which is drawn anew."""
        state = {
            "course": self.course.as_json(),
            "step": self.step,
            "seconds": self.seconds,
            "student": self._student.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "generator": self._generator.get_state(),
        }
        fresh = path.with_name(f".{path.name}.part")
        torch.save(state, fresh)
        fresh.replace(path)

    def load(self, path: Path) -> None:
        """Go on from what `save` wrote; `ScumbleError("bad-weights")` if it is damaged or of another course."""
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            course = state["course"]
        except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError) as error:
            raise ScumbleError("bad-weights", f"{path} is no training that can be gone on with.") from error
        if course != self.course.as_json():
            hint = "Give the same options as then, or remove it to begin anew."
            raise ScumbleError("bad-weights", f"{path} is of a training with other settings.", hint)
        self._student.load_state_dict(state["student"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._generator.set_state(state["generator"].cpu())
        self.step, self.seconds = state["step"], state["seconds"]
