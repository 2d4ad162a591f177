"""What a person sees on stderr while something is done, and how Ctrl-C is heard.

In a terminal there is a live bar, elsewhere a plain line every few seconds. A *watch* looks after one *job* or several.
The first Ctrl-C makes it *stopping*: the job under way ends within one iteration and what is there is kept. The second
makes it *discarded*: nothing is written. A third is an ordinary KeyboardInterrupt.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

import click
import numpy as np
from PIL import Image
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scumble.engine.download import Progress as OnBytes
from scumble.engine.job import check
from scumble.errors import ScumbleError
from scumble.picture import Picture, save
from scumble.protocol import Job, State
from scumble.recipe import Engine, Recipe

if TYPE_CHECKING:
    from scumble.engine.painter import Painter, Painting, Step
    from scumble.engine.schedule import Plan

now = time.monotonic
PAUSE = 5.0
"""Seconds between two plain lines."""


def say(text: str) -> None:
    """A line for the person, on stderr."""
    click.echo(text, err=True)


def announce(painter: "Painter", content: Picture, recipe: Recipe, pictures: Mapping[str, Picture]) -> "Plan | None":
    """Say what will be done, and with what; None if nothing is. Refuses what `Painter.paint` would."""
    from scumble.engine.machine import dtype_of
    from scumble.engine.weights import Training

    selected = check(content, recipe, pictures)
    if recipe.strength == 0 or selected is None:
        say_nothing_to_paint(selected is not None)
        return None
    plan = painter.plan(content.size, selected, recipe)
    finest, count = plan.levels[-1], len(plan.levels)
    iterations = sum(level.iterations for level in plan.levels)
    size = finest.width, finest.height
    dtype = str(dtype_of(recipe.precision, painter.device)).removeprefix("torch.")
    say_plan(painter.features_name(recipe), size, count, iterations, f"{painter.device}, {dtype}", plan.memory_mb)
    if recipe.engine is Engine.FAST or recipe.features not in {"auto", "auto-caffe"}:
        return plan
    if painter.features(recipe).training is not Training.PHOTOGRAPHS:
        _say_what_is_better("vgg19-caffe" if recipe.features == "auto-caffe" else "vgg19", painter.gpu)
    return plan


def _say_what_is_better(name: str, gpu: bool) -> None:
    """Say how to get ImageNet's weights, which `auto` did not take; without a GPU only if they are kept already."""
    from scumble.engine.weight_store import available

    if gpu:
        say(f"There are no ImageNet weights on this machine; `scumble weights download {name}` gets them.")
    elif any(entry.name == name and entry.present for entry in available()):
        say(f"`auto` takes the ImageNet weights that are here only with a GPU; --features {name} takes them now.")


def say_nothing_to_paint(is_selected: bool) -> None:
    """Say why nothing will be done."""
    say("Nothing to paint: the strength is 0." if is_selected else "Nothing to paint: nothing is selected.")


def say_plan(features: str, size: tuple[int, int], levels: int, iterations: int, device: str, memory_mb: float) -> None:
    """Say what will be done, and with what; `size` is (width, height) in px."""
    said = features if features.startswith("trained ") else f"{features} features"
    say(
        f"{said} · {size[0]} × {size[1]} px, {_counted(levels, 'level')},"
        f" {_counted(iterations, 'iteration')} · {device} · about {memory_mb:.0f} MB"
    )


def say_other_features(before: str) -> None:
    """Say that a painting is repeated with other features."""
    say(f"It was painted with {before} features before, so it will look different.")


def conclude(painting: "Painting", output: Path) -> None:
    """Say what came out."""
    whole = sum(level.iterations for level in painting.plan.levels) if painting.plan else 0
    cut = (len(painting.losses), whole) if painting.stopped and painting.plan else None
    _conclude(painting.warnings, cut, painting.seconds, output)


def conclude_job(job: Job, output: Path) -> None:
    """Say what came out of a job of the daemon's."""
    cut = (job.iteration, job.iterations) if job.state is State.STOPPED else None
    _conclude(job.warnings, cut, job.seconds, output)


def _conclude(warnings: Sequence[str], cut: tuple[int, int] | None, seconds: float, output: Path) -> None:
    for warning in warnings:
        say(warning)
    if cut:
        say(f"Stopped after {cut[0]} of {_counted(cut[1], 'iteration')}; what was there is kept.")
    say(f"{output} written in {seconds:.1f} s.")


class Film:
    """Keeps every so-many-th iteration as a file, all of the size of the finest level so that they make a film."""

    def __init__(self, folder: str, every: int, plan: "Plan") -> None:
        self._folder, self._every, self._size = Path(folder), every, (plan.levels[-1].width, plan.levels[-1].height)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ScumbleError("cannot-write", f"{folder} cannot be made: {error.strerror or error}.") from error

    def take(self, step: "Step") -> None:
        """Write this iteration's frame, if it is one of those to keep."""
        if step.iteration % self._every == 0:
            image = Image.fromarray(Picture.from_rgb(step.preview()).pixels)
            frame = Picture(np.asarray(image.resize(self._size, Image.Resampling.BICUBIC)))
            save(frame, self._folder / f"frame_{step.iteration:04}.png")


@dataclass(frozen=True)
class Moment:
    """How far a job is, for a person: the `share` of it that is done, 0 to 1, and `facts` in a few words each."""

    phase: str
    share: float
    facts: tuple[str, ...]
    seconds_left: float | None = None

    @classmethod
    def of_step(cls, step: "Step") -> Self:
        """After an iteration of the engine's."""
        size = step.width, step.height
        facts = _facts(step.level, step.levels, size, step.iteration, step.iterations, step.losses)
        return cls("painting", step.progress, facts, step.seconds_left)

    @classmethod
    def of_job(cls, job: Job) -> Self:
        """As the daemon tells it."""
        if job.state is State.QUEUED:
            ahead = f"{_counted(job.position, 'job')} before it" if job.position else ""
            return cls(job.phase, job.progress, (job.phase, ahead))
        if job.state is State.RUNNING and job.scale and job.iteration and "total" in job.losses:
            size = job.scale.width, job.scale.height
            facts = _facts(job.scale.number, job.scale.count, size, job.iteration, job.iterations, job.losses)
            return cls("painting", job.progress, facts, job.seconds_left)
        return cls(job.phase, job.progress, (job.phase,))


class Watch:
    """Shows the progress of jobs and hears Ctrl-C, inside `with`; raises ScumbleError `cancelled` when discarded."""

    def __init__(self, jobs: int = 1, stopping: str = "Ctrl-C again discards everything") -> None:
        """`stopping` tells what to know once Ctrl-C was pressed."""
        self._jobs, self._job, self._label = jobs, -1, ""
        self._stopping = stopping
        self._began, self._durations = now(), list[float]()
        self._interrupts = 0
        self._moment: Moment | None = None
        self._spoke = 0.0
        console = Console(stderr=True)
        self._live = Live(self, console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._interrupted)
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()
        signal.signal(signal.SIGINT, self._before)
        if kind is None:
            self._give_up_if_discarded()

    @property
    def stopping(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._interrupts > 0

    def begin(self, label: str = "") -> None:
        """The next job starts; `label` tells it from the others."""
        if self._moment is not None:
            self._durations.append(now() - self._began)
        self._began = now()
        self._job, self._label, self._moment = self._job + 1, label, None

    def on_step(self, step: "Step") -> bool:
        """Take note of an iteration; the answer is whether to stop."""
        return self.show(Moment.of_step(step))

    def on_job(self, job: Job) -> bool:
        """Take note of how far a job of the daemon's is; the answer is whether to stop it."""
        return self.show(Moment.of_job(job))

    def show(self, moment: Moment) -> bool:
        """Take note of how far it is; the answer is whether to stop."""
        self._give_up_if_discarded()
        is_new = self._moment is None or self._moment.phase != moment.phase
        self._moment = moment
        if self._live is None and ((is_new and self._jobs == 1) or not self._spoke or now() - self._spoke >= PAUSE):
            self._spoke = now()
            say("  ".join(part for part in (f"{self._share:4.0%}", self._place, *moment.facts, self._left) if part))
        return self.stopping

    @property
    def _place(self) -> str:
        """Which of several jobs it is."""
        return f"{min(self._job + 1, self._jobs)} of {self._jobs}  {self._label}" if self._jobs > 1 else self._label

    @property
    def _left(self) -> str:
        """How long all jobs will take, if those to come take as long as those before."""
        if self._moment is None or self._moment.seconds_left is None:
            return ""
        here = self._moment.seconds_left
        each = self._durations or [now() - self._began + here]
        return f"{_clock(here + (self._jobs - max(self._job, 0) - 1) * sum(each) / len(each))} left"

    @property
    def _share(self) -> float:
        return (max(self._job, 0) + (self._moment.share if self._moment else 0)) / self._jobs

    def __rich__(self) -> Group:
        """The live bar: how much is done and how long it takes; where it is; what the losses are."""
        bar = Table.grid(padding=(0, 1), expand=False)
        moment = self._moment
        if self._share == 0 and (moment is None or moment.phase not in {"painting", "training"}):
            words = "  ".join(filter(None, moment.facts)) if moment else "preparing"
            bar.add_row(ProgressBar(total=None, pulse=True, width=40), words)
            return Group(bar)
        left = "  ".join(part for part in (self._place, self._left) if part)
        bar.add_row(ProgressBar(total=1, completed=self._share, width=40), f"{self._share:4.0%}", Text(left))
        facts: Sequence[str] = moment.facts if moment else ()
        if self.stopping:
            facts = [f"stopping; {self._stopping}"]
        return Group(bar, Text("  ".join(facts), style="dim", overflow="ellipsis", no_wrap=True))

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        self._interrupts += 1
        if self._interrupts > 1:
            signal.signal(signal.SIGINT, self._before)
        if self._live is None:
            word = "Discarding…" if self._interrupts > 1 else f"Stopping; {self._stopping}."
            with contextlib.suppress(OSError):
                # a handler must not write through the buffer of sys.stderr: it may be in use right now
                os.write(2, f"{word}\n".encode())

    def _give_up_if_discarded(self) -> None:
        if self._interrupts > 1:
            raise ScumbleError("cancelled", "The painting was discarded.", "Nothing was written.")


@contextlib.contextmanager
def bytes_coming(name: str) -> Iterator[OnBytes]:
    """Show how a download comes along."""
    console = Console(stderr=True)
    if console.is_terminal:
        with Progress(
            "{task.description}",
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
        ) as progress:
            task = progress.add_task(name, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)
        return
    spoke = 0.0

    def plainly(done: int, total: int | None) -> None:
        nonlocal spoke
        if not spoke or now() - spoke >= PAUSE or done == total:
            spoke = now()
            say(f"{name}: {done / 1e6:.1f}" + (f" of {total / 1e6:.1f} MB" if total else " MB"))

    yield plainly


def _facts(
    level: int, levels: int, size: tuple[int, int], iteration: int, iterations: int, losses: Mapping[str, float]
) -> tuple[str, ...]:
    if "total" not in losses:  # it came about in one pass
        return (f"{size[0]} × {size[1]} px",)
    parts = ", ".join(f"{kind} {losses[kind]:.3g}" for kind in ("content", "style") if kind in losses)
    return (
        f"level {level} of {levels} ({size[0]} × {size[1]})",
        f"iteration {iteration} of {iterations}",
        f"loss {losses['total']:.3g}" + (f" ({parts})" if parts else ""),
    )


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02.0f}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
