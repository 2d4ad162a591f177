"""A worker: the process that paints and trains, on one device, one job after another. The daemon is its only listener.

It is a process of its own so that the daemon stays small and answers at once, so that a crash or the system's want of
memory costs a try and not the daemon, and so that all memory is free when it is sent home. The main thread paints (only
there does glibc keep the pages of large maps, see `scumble.engine.machine.held_pages`); a second one listens. It ends
when its stdin does: a daemon that was killed leaves no worker behind.
"""

import contextlib
import hashlib
import math
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil
import torch
from PIL import Image

from scumble.engine.checkpoint import Checkpoint
from scumble.engine.machine import dtype_of, processor_name
from scumble.engine.painter import Painter, Step
from scumble.engine.schedule import Box, available_bytes
from scumble.errors import ScumbleError
from scumble.home import write_private
from scumble.picture import Picture, encode
from scumble.protocol import PREVIEW_SIDE_PX, Rectangle, Scale
from scumble.recipe import Engine, Recipe
from scumble.service import messages as say
from scumble.service.blobs import no_room
from scumble.service.inputs import read
from scumble.service.pace import PASS, Stopwatch
from scumble.service.problems import problem
from scumble.service.rhythm import Discarded, Leaving, Rhythm, now
from scumble.signature import signed

_PART = "result.part"
_PREVIEW_S, _CHECKPOINT_S, _PROGRESS_S = 1.0, 10.0, 0.1
_NICENESS = 5


class Worker:
    """Paints and trains what it is told to; `send` takes what it has to say."""

    def __init__(self, painter: Painter, send: Callable[[say.Word], None]) -> None:
        self._painter, self._send = painter, send
        self._jobs: queue.Queue[say.Paint | say.Train | None] = queue.Queue()
        self._stops: dict[str, bool] = {}
        self._put_away: set[str] = set()
        self._leaving = False

    def hear(self, line: bytes) -> None:
        """Take a message of the daemon's; from the listening thread."""
        message = say.Order.validate_json(line)
        if isinstance(message, say.Paint | say.Train):
            self._jobs.put(message)
        elif isinstance(message, say.PutAway):
            self._put_away.add(message.job)
        elif isinstance(message, say.Stop):
            self._stops[message.job] = message.keep
        elif isinstance(message, say.Ask):
            self._send(self._answer(message))
        else:
            self._leaving = True
            self._jobs.put(None)

    def work(self) -> None:
        """Paint and train until told to leave; on the main thread."""
        self._tell_memory()
        while not self._leaving and (order := self._jobs.get()) is not None:
            try:
                self._send(self._train(order) if isinstance(order, say.Train) else self._paint(order))
            except Leaving:
                self._send(say.Left(job=order.job))
            except ScumbleError as error:
                self._send(say.Failed(job=order.job, problem=problem(error)))
            except Exception as error:
                traceback.print_exc()
                doing = "training" if isinstance(order, say.Train) else "painting"
                mistake = ScumbleError("internal", f"Scumble made a mistake while {doing}: {_in_a_line(error)}.")
                self._send(say.Failed(job=order.job, problem=problem(mistake)))
            with contextlib.suppress(OSError):
                (order.folder / _PART).unlink(missing_ok=True)
            self._stops.pop(order.job, None)
            self._put_away.discard(order.job)
            self._tell_memory()

    def _train(self, order: say.Train) -> say.Painted:
        from scumble.service.training import train  # most workers never train

        return train(order, self._painter, self._send, self._decide)

    # -------------------------------------------------------------------------------------------------------- painting

    def _paint(self, order: say.Paint) -> say.Painted:
        began = now()
        recipe = Recipe.parse(order.recipe)
        capped = recipe
        if order.memory_mb is not None:
            capped = recipe.changed(memory_mb=min(order.memory_mb, recipe.memory_mb or order.memory_mb))
        content = read("content", order.content.path, order.content.crop)
        pictures = {name: read(name, source.path, source.crop) for name, source in order.pictures.items()}
        part = order.folder / _PART
        _reserve(part, content)
        resume = _checkpoint(order.folder)
        sitting = _Sitting(order, self._send, self._decide, is_resumed=resume is not None)
        self._send(self._began(order, capped, content, sitting))
        loaded = now()
        try:
            painting = self._painter.paint(content, capped, pictures, sitting.on_step, resume=resume)
        except Discarded:
            (order.folder / say.CHECKPOINT).unlink(missing_ok=True)
            return sitting.ended(stopped=True, seconds=now() - began)
        painted = now()
        picture = signed(painting.picture, recipe, painting.features, "content")
        form = "tiff" if picture.depth == "float32" else "png"
        data = encode(picture, form)
        file = f"result.{form}"
        _write(part, order.folder / file, data)
        answer = sitting.ended(
            stopped=painting.stopped,
            file=file,
            digest=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
            features=painting.features,
            seconds=now() - began,
            warnings=list(painting.warnings),
            kind=kind(self._painter, recipe),
            content_px=content.width * content.height,
            around_s=loaded - began + now() - painted,
        )
        with no_room(order.folder):
            write_private(order.folder / say.PAINTED, answer.line())
        (order.folder / say.CHECKPOINT).unlink(missing_ok=True)
        return answer

    def _began(self, order: say.Paint, recipe: Recipe, content: Picture, sitting: "_Sitting") -> say.Began:
        if order.bounds is None or recipe.strength == 0:
            return say.Began(job=order.job, features="none", iterations=0, memory_mb=0)
        bounds = order.bounds
        plan = self._painter.plan(content.size, Box(bounds.x, bounds.y, bounds.width, bounds.height), recipe)
        box = plan.box
        sitting.shown = Rectangle(x=box.x, y=box.y, width=box.width, height=box.height)
        return say.Began(
            job=order.job,
            features=self._painter.features_name(recipe),
            preview_bounds=sitting.shown,
            iterations=sum(level.iterations for level in plan.levels),
            memory_mb=plan.memory_mb,
        )

    def _decide(self, job: str) -> bool:
        """Whether to stop and keep; raises what ends the job without a result."""
        if job in self._stops:  # also when leaving: the daemon has promised that it ends
            if not self._stops[job]:
                raise Discarded
            return True
        if self._leaving or job in self._put_away:
            raise Leaving
        return False

    # ------------------------------------------------------------------------------------------------------- answering

    def _answer(self, question: say.Ask) -> say.Answer:
        try:
            recipe = Recipe.parse(question.recipe)
            bounds = question.bounds
            box = Box(bounds.x, bounds.y, bounds.width, bounds.height)
            plan = self._painter.plan((question.width, question.height), box, recipe)
            finest = plan.levels[-1]
            warnings = []
            if plan.is_tight:
                warnings.append(
                    f"It will be painted in tiles of {plan.tile_px} px to fit into memory, which is slower."
                )
            return say.Answer(
                number=question.number,
                kind=kind(self._painter, recipe),
                width=finest.width,
                height=finest.height,
                levels=[(level.width * level.height, level.iterations) for level in plan.levels],
                tile_px=plan.tile_px,
                memory_mb=plan.memory_mb,
                features=self._painter.features_name(recipe),
                device=str(self._painter.device),
                warnings=warnings,
            )
        except ScumbleError as error:
            return say.Answer(number=question.number, problem=problem(error))
        except Exception as error:
            traceback.print_exc()
            mistake = ScumbleError("internal", f"Scumble made a mistake while planning: {_in_a_line(error)}.")
            return say.Answer(number=question.number, problem=problem(mistake))

    def _tell_memory(self) -> None:
        used = psutil.Process().memory_info().rss
        self._send(say.Memory(used_mb=used / 2**20, free_mb=available_bytes(self._painter.device) / 2**20))


class _Sitting:
    """One job being painted: what is told, shown and saved on the way, and how often.

    `decide` says whether to stop, see `Worker`; `shown` is the part of the content that previews show.
    """

    def __init__(
        self, order: say.Paint, send: Callable[[say.Word], None], decide: Callable[[str], bool], *, is_resumed: bool
    ) -> None:
        self._order, self._send, self._decide, self._is_resumed = order, send, decide, is_resumed
        self.shown: Rectangle | None = None
        self._watch = Stopwatch(passes=order.recipe.get("engine") == Engine.FAST.value)
        self._step: Step | None = None
        self._before_level = 0
        self._previews = 0
        self._telling = Rhythm(_PROGRESS_S)
        self._showing = Rhythm(_PREVIEW_S)
        self._saving = Rhythm(_CHECKPOINT_S, waits_first=True)

    def on_step(self, step: Step) -> bool:
        """After every iteration; whether to stop and keep what is there."""
        if self._step is None or step.level != self._step.level:
            self._before_level = step.iteration - 1
        self._watch.step(step.level, step.iteration - self._before_level, step.width, step.height)
        self._step = step
        try:
            stops = self._decide(self._order.job)
        except Leaving:
            self._save(step)
            raise
        self._telling.perhaps(lambda: self._tell(step))
        self._showing.perhaps(lambda: self._show(step))
        self._saving.perhaps(lambda: self._save(step))
        return stops

    def ended(self, *, stopped: bool, seconds: float, **rest: Any) -> say.Painted:
        """What to say of the job at its end."""
        step = self._step
        return say.Painted(
            job=self._order.job,
            stopped=stopped,
            seconds=seconds,
            iteration=step.iteration if step else 0,
            iterations=step.iterations if step else 0,
            losses=_finite(step.losses) if step else {},
            previews=self._previews,
            preview_bounds=self.shown,
            levels=() if stopped or self._is_resumed else self._watch.levels,
            **rest,
        )

    def _tell(self, step: Step) -> None:
        self._send(
            say.Progress(
                job=self._order.job,
                iteration=step.iteration,
                iterations=step.iterations,
                scale=Scale(width=step.width, height=step.height, number=step.level, count=step.levels),
                progress=step.progress,
                seconds_left=step.seconds_left,
                losses=_finite(step.losses),
            )
        )

    def _show(self, step: Step) -> None:
        values = np.rint(step.preview().clip(0, 1) * 255).astype(np.uint8)
        image = Image.fromarray(values)
        image.thumbnail((PREVIEW_SIDE_PX, PREVIEW_SIDE_PX), Image.Resampling.BILINEAR)
        # a preview that cannot be written is missed by nobody; a result that cannot will be heard of
        with contextlib.suppress(OSError):
            write_private(self._order.folder / say.PREVIEW, encode(Picture(np.asarray(image)), "jpeg"), durable=False)
            self._previews += 1
            self._send(say.Previewed(job=self._order.job, number=self._previews))

    def _save(self, step: Step) -> None:
        try:
            step.save().write(self._order.folder / say.CHECKPOINT)
        except OSError as error:
            print(f"the checkpoint of job {self._order.job} cannot be written: {error}", file=sys.stderr)


def kind(painter: Painter, recipe: Recipe) -> str:
    """What jobs have in common that take equally long for equally many pixels."""
    descends = (
        [PASS]
        if recipe.engine is Engine.FAST
        else [
            f"neighbours {recipe.matchings}" if painter.outline(recipe).asked.neighbours else "gram",
            recipe.optimizer.value,
        ]
    )
    parts = [
        str(painter.device),
        processor_name(painter.device),
        painter.features_name(recipe),
        *descends,
        str(dtype_of(recipe.precision, painter.device)),
        f"{len(recipe.styles)} styles",
    ]
    return "|".join(parts)


def _finite(losses: Mapping[str, float]) -> dict[str, float]:
    """What JSON can say: a loss that overflowed is left out."""
    return {name: value for name, value in losses.items() if math.isfinite(value)}


def _in_a_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _checkpoint(folder: Path) -> Checkpoint | None:
    path = folder / say.CHECKPOINT
    if not path.exists():
        return None
    try:
        return Checkpoint.read(path)
    except ValueError as error:
        print(f"{path.parent.name}: the checkpoint is damaged ({error}); the job starts again", file=sys.stderr)
        return None


def _reserve(path: Path, content: Picture) -> None:
    """Take the room that the result may need now, so that minutes of work do not end at a full disk."""
    with no_room(path), os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        size = content.width * content.height * 4 * content.pixels.dtype.itemsize + 2**16
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)


def _write(part: Path, target: Path, data: bytes) -> None:
    """Write the result into its reserved room; it appears under its name all at once, and is on the disk then."""
    with no_room(part):
        with part.open("r+b") as file:
            file.write(data)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)


@click.command()
@click.option("--device", default="auto")
@click.option("--cache", type=click.Path(path_type=Path), required=True)
@click.option("--cache-bytes", type=int, required=True)
def main(device: str, cache: Path, cache_bytes: int) -> None:
    """Paint what is asked for on stdin, answer on stdout."""
    os.umask(0o077)
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    voice = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a library prints goes to the log and not between the messages
    speaking = threading.Lock()

    def send(word: say.Word) -> None:
        with speaking:
            voice.write(word.line())

    try:
        painter = Painter(device, cache=cache, cache_bytes=cache_bytes)
    except ScumbleError as error:
        send(say.Broken(problem=problem(error)))
        return
    features = None
    try:
        features = painter.features(Recipe()).name
    except ScumbleError as error:  # jobs that ask for others can be painted all the same
        print(f"{error.code}: {error.detail}", file=sys.stderr)
    worker = Worker(painter, send)

    def listen() -> None:
        with contextlib.suppress(OSError):  # an answer that nobody takes any more
            for line in sys.stdin.buffer:
                worker.hear(line)
        os._exit(0)  # the daemon is gone

    threading.Thread(target=listen, name="listener", daemon=True).start()
    devices = _devices(painter)
    description = processor_name(painter.device)
    send(say.Ready(device=devices[0], description=description, devices=devices, features=features))
    worker.work()
    os._exit(0)  # the listening thread cannot be waited for: it is in the middle of a read


def _devices(painter: Painter) -> list[str]:
    """The painter's device and all others of its kind, as torch names them."""
    if painter.device.type != "cuda":
        return [str(painter.device)]
    own = torch.cuda.current_device() if painter.device.index is None else painter.device.index
    return list(dict.fromkeys(f"cuda:{index}" for index in (own, *range(torch.cuda.device_count()))))


if __name__ == "__main__":
    main()
