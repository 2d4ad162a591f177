"""What a person sees on stderr while something is done, and how Ctrl-C is heard.

In a terminal there is a live bar, elsewhere a plain line every few seconds. A *watch* looks after one *job* or several.
The first Ctrl-C makes it *stopping*: the job under way ends within one iteration and what is there is kept. The second
makes it *discarded*: nothing is written. A third is an ordinary KeyboardInterrupt.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

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
from scumble.engine.job import bind
from scumble.engine.machine import dtype_of
from scumble.engine.painter import Painter, Painting, Step
from scumble.engine.schedule import Plan, bounds
from scumble.errors import ScumbleError
from scumble.picture import Picture, save
from scumble.recipe import Recipe

now = time.monotonic
PAUSE = 5.0
"""Seconds between two plain lines."""


def say(text: str) -> None:
    """A line for the person, on stderr."""
    click.echo(text, err=True)


def announce(painter: Painter, content: Picture, recipe: Recipe, pictures: Mapping[str, Picture]) -> Plan | None:
    """Say what will be done, and with what; None if nothing is. Refuses what `Painter.paint` would."""
    selected = bounds(bind(content, recipe, pictures).mix)
    if recipe.strength == 0 or selected is None:
        say("Nothing to paint: the strength is 0." if selected else "Nothing to paint: nothing is selected.")
        return None
    plan = painter.plan(content.size, selected, recipe)
    finest, count = plan.levels[-1], len(plan.levels)
    iterations = sum(level.iterations for level in plan.levels)
    features = painter.features(recipe)
    dtype = str(dtype_of(recipe.precision, painter.device)).removeprefix("torch.")
    say(
        f"{features.name} features · {finest.width} × {finest.height} px, {_counted(count, 'level')},"
        f" {_counted(iterations, 'iteration')} · {painter.device}, {dtype} · about {plan.memory_mb:.0f} MB"
    )
    if recipe.features.startswith("auto") and not features.trained:
        wanted = "vgg19-caffe" if recipe.features == "auto-caffe" else "vgg19"
        say(f"There are no ImageNet weights on this machine; `scumble weights download {wanted}` gets them.")
    return plan


def conclude(painting: Painting, output: Path) -> None:
    """Say what came out."""
    for warning in painting.warnings:
        say(warning)
    if painting.stopped and painting.plan:
        whole = sum(level.iterations for level in painting.plan.levels)
        say(f"Stopped after {len(painting.losses)} of {_counted(whole, 'iteration')}; what was there is kept.")
    say(f"{output} written in {painting.seconds:.1f} s.")


class Film:
    """Keeps every so-many-th iteration as a file, all of the size of the finest level so that they make a film."""

    def __init__(self, folder: str, every: int, plan: Plan) -> None:
        self._folder, self._every, self._size = Path(folder), every, (plan.levels[-1].width, plan.levels[-1].height)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ScumbleError("cannot-write", f"{folder} cannot be made: {error.strerror or error}.") from error

    def take(self, step: Step) -> None:
        """Write this iteration's frame, if it is one of those to keep."""
        if step.iteration % self._every == 0:
            image = Image.fromarray(Picture.from_rgb(step.preview()).pixels)
            frame = Picture(np.asarray(image.resize(self._size, Image.Resampling.BICUBIC)))
            save(frame, self._folder / f"frame_{step.iteration:04}.png")


class Watch:
    """Shows the progress of jobs and hears Ctrl-C, inside `with`; raises ScumbleError `cancelled` when discarded."""

    def __init__(self, jobs: int = 1) -> None:
        self._jobs, self._job, self._label = jobs, -1, ""
        self._interrupts = 0
        self._step: Step | None = None
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
        self._job, self._label, self._step = self._job + 1, label, None

    def on_step(self, step: Step) -> bool:
        """Take note of an iteration; the answer is whether to stop."""
        self._give_up_if_discarded()
        self._step = step
        if self._live is None and (not self._spoke or now() - self._spoke >= PAUSE):
            self._spoke = now()
            say("  ".join(part for part in (f"{self._share:4.0%}", self._label, *_facts(step)) if part))
        return self.stopping

    @property
    def _share(self) -> float:
        return (max(self._job, 0) + (self._step.progress if self._step else 0)) / self._jobs

    def __rich__(self) -> Group:
        """The live bar: how much is done and how long it takes; where it is; what the losses are."""
        bar = Table.grid(padding=(0, 1), expand=False)
        if self._step is None and self._share == 0:
            bar.add_row(ProgressBar(total=None, pulse=True, width=40), "preparing")
            return Group(bar)
        left = f"{_clock(self._step.seconds_left)} left" if self._step and self._jobs == 1 else ""
        if self._jobs > 1:
            left = f"{min(self._job + 1, self._jobs)} of {self._jobs}  {self._label}"
        bar.add_row(ProgressBar(total=1, completed=self._share, width=40), f"{self._share:4.0%}", Text(left))
        facts = _facts(self._step)[:-1] if self._step else []
        if self.stopping:
            facts = ["stopping; Ctrl-C again discards everything"]
        return Group(bar, Text("  ".join(facts), style="dim", overflow="ellipsis", no_wrap=True))

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        self._interrupts += 1
        if self._interrupts > 1:
            signal.signal(signal.SIGINT, self._before)
        if self._live is None:
            word = "Discarding…" if self._interrupts > 1 else "Stopping; Ctrl-C again discards everything."
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


def _facts(step: Step) -> list[str]:
    parts = ", ".join(f"{kind} {step.losses[kind]:.3g}" for kind in ("content", "style") if kind in step.losses)
    return [
        f"level {step.level} of {step.levels} ({step.width} × {step.height})",
        f"iteration {step.iteration} of {step.iterations}",
        f"loss {step.losses['total']:.3g}" + (f" ({parts})" if parts else ""),
        f"{_clock(step.seconds_left)} left",
    ]


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02.0f}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
