"""A training in a worker: from what is told of it to a model that is kept, and a report of how it went.

It ends in this order, so that it can be killed at any moment and neither loses the model nor keeps two: what was learnt
is saved a last time, the model is written into the job's folder, kept, reported on, and the end is written down.
"""

import contextlib
import hashlib
import math
import sys
from collections.abc import Callable

from scumble.engine import models
from scumble.engine.machine import held_pages, is_out_of_memory, network_pass
from scumble.engine.models import TrainedStyle
from scumble.engine.painter import Painter
from scumble.errors import ScumbleError
from scumble.home import write_private
from scumble.picture import encode
from scumble.protocol import PREVIEW_SIDE_PX, Scale
from scumble.recipe import Recipe
from scumble.service import messages as say
from scumble.service.blobs import no_room
from scumble.service.inputs import read
from scumble.service.rhythm import Discarded, Leaving, Rhythm, now
from scumble.service.trained import as_part
from scumble.sheet import as_picture, fitted
from scumble.style_training.contents import Drawn
from scumble.style_training.course import Course, Note, suited, usual_steps
from scumble.style_training.report import preview, report
from scumble.style_training.trainer import Studied, Trainer

_PREVIEW_S, _CHECKPOINT_S, _PROGRESS_S = 5.0, 10.0, 0.1
_RECENT = 50
"""Steps over which losses are averaged for those who look on."""
_REPORT = "result.png"


def train(
    order: say.Train, painter: Painter, send: Callable[[say.Word], None], decide: Callable[[str], bool]
) -> say.Painted:
    """Train what was ordered, to the end or until it is stopped; raises `Leaving` when all of it is saved, to go on
    later, and ScumbleError for what cannot be."""
    try:
        return _Sitting(order, painter, send, decide).train()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        hint = "Choose smaller squares, fewer of them in a step, or a narrower network."
        raise ScumbleError("out-of-memory", "The training does not fit into memory.", hint) from error


class _Sitting:
    """One training, for as long as it is neither put away nor ended. `decide` says whether to stop and keep, and raises
    what ends the job otherwise; `send` takes what there is to say."""

    def __init__(
        self, order: say.Train, painter: Painter, send: Callable[[say.Word], None], decide: Callable[[str], bool]
    ) -> None:
        self._order, self._painter, self._send, self._decide = order, painter, send, decide
        self._began, self._previews = now(), 0
        self._first = (0, 0.0)
        self._telling = Rhythm(_PROGRESS_S)
        self._showing = Rhythm(_PREVIEW_S)
        self._saving = Rhythm(_CHECKPOINT_S, waits_first=True)

    def train(self) -> say.Painted:
        """See `train`."""
        order = self._order
        trainer = self._trainer()
        is_saved = self._take_up(trainer)
        self._send(
            say.Began(
                job=order.job,
                features=self._painter.features_name(trainer.course.recipe),
                iterations=trainer.course.steps,
                memory_mb=0,
            )
        )
        if not order.ends and not (order.folder / say.MODEL).exists():
            try:
                with held_pages(), network_pass():
                    trainer.run(lambda note: self._after_step(trainer, note))
            except Discarded:
                self._clear()
                return self._ended(trainer, stopped=True)
            is_saved = False
        if not trainer.history:  # it was stopped before there was anything to save
            self._clear()
            return self._ended(trainer, stopped=True)
        return self._concluded(trainer, is_saved=is_saved)

    def _trainer(self) -> Trainer:
        order, asked = self._order, self._order.request
        studied = [
            Studied(
                read(lesson.picture, lesson.source.path, lesson.source.crop),
                # the store calls a picture by its digest
                TrainedStyle(name=lesson.name, digest=lesson.source.path.name, part=as_part(lesson.source.crop)),
            )
            for lesson in order.lessons
        ]
        course = Course(
            recipe=suited(Recipe.parse(order.recipe), gpu=self._painter.gpu),
            size=asked.size,
            square=asked.square,
            batch=asked.batch,
            steps=asked.steps or usual_steps(len(studied)),
            width=asked.width,
            blocks=asked.blocks,
            seed=asked.seed,
        )
        return Trainer(course, studied, Drawn(asked.seed), self._painter)

    def _take_up(self, trainer: Trainer) -> bool:
        """Go on from what an earlier sitting saved; whether there was anything."""
        path = self._order.folder / say.CHECKPOINT
        if not path.exists():
            return False
        try:
            trainer.load(path)
        except ScumbleError as error:
            print(f"{self._order.job}: {error.detail} It starts again.", file=sys.stderr)
            return False
        return True

    def _after_step(self, trainer: Trainer, note: Note) -> bool:
        try:
            stops = self._decide(self._order.job)
        except Leaving:
            self._save(trainer)
            raise
        self._telling.perhaps(lambda: self._tell(trainer, note))
        self._showing.perhaps(lambda: self._show(trainer))
        self._saving.perhaps(lambda: self._save(trainer))
        return stops

    def _tell(self, trainer: Trainer, note: Note) -> None:
        side = trainer.course.square
        if not self._first[0]:  # it holds all that is done once
            self._first = note.step, now()
        pace = note.seconds / note.step
        if note.step > self._first[0]:
            pace = (now() - self._first[1]) / (note.step - self._first[0])
        self._send(
            say.Progress(
                job=self._order.job,
                iteration=note.step,
                iterations=note.steps,
                scale=Scale(width=side, height=side, number=1, count=1),
                progress=note.step / note.steps,
                seconds_left=pace * (note.steps - note.step),
                losses=_losses(trainer),
            )
        )

    def _show(self, trainer: Trainer) -> None:
        # a preview that cannot be written is missed by nobody
        with contextlib.suppress(OSError):
            small = as_picture(fitted(preview(trainer), PREVIEW_SIDE_PX, PREVIEW_SIDE_PX))
            write_private(self._order.folder / say.PREVIEW, encode(small, "jpeg"), durable=False)
            self._previews += 1
            self._send(say.Previewed(job=self._order.job, number=self._previews))

    def _save(self, trainer: Trainer) -> None:
        try:
            trainer.save(self._order.folder / say.CHECKPOINT)
        except OSError as error:
            print(f"the checkpoint of job {self._order.job} cannot be written: {error}", file=sys.stderr)

    # ------------------------------------------------------------------------------------------------------- the end

    def _concluded(self, trainer: Trainer, *, is_saved: bool) -> say.Painted:
        order, folder = self._order, self._order.folder
        file = folder / say.MODEL
        with no_room(folder):
            if not is_saved:
                trainer.save(folder / say.CHECKPOINT)
            if not file.exists():
                write_private(file, trainer.model().data())
            data = file.read_bytes()
        kept = models.keep_beside(data, order.request.name or order.lessons[0].name)
        picture = encode(report(trainer), "png")
        answer = self._ended(
            trainer,
            stopped=not trainer.is_done,
            file=_REPORT,
            digest=hashlib.sha256(picture).hexdigest(),
            size=len(picture),
            model=kept.name,
        )
        with no_room(folder):
            write_private(folder / _REPORT, picture)
            write_private(folder / say.PAINTED, answer.line())
        self._clear()
        return answer

    def _ended(
        self,
        trainer: Trainer,
        *,
        stopped: bool,
        file: str | None = None,
        digest: str = "",
        size: int = 0,
        model: str | None = None,
    ) -> say.Painted:
        return say.Painted(
            job=self._order.job,
            stopped=stopped,
            file=file,
            digest=digest,
            bytes=size,
            features=self._painter.features_name(trainer.course.recipe),
            seconds=now() - self._began,
            iteration=trainer.step,
            iterations=trainer.course.steps,
            losses=_losses(trainer),
            previews=self._previews,
            model=model,
        )

    def _clear(self) -> None:
        for name in (say.CHECKPOINT, say.MODEL):
            (self._order.folder / name).unlink(missing_ok=True)


def _losses(trainer: Trainer) -> dict[str, float]:
    """Means over the last steps, without what JSON cannot say."""
    recent = trainer.history[-_RECENT:]
    means = {kind: sum(each[kind] for each in recent) / len(recent) for kind in (recent[-1] if recent else ())}
    return {kind: value for kind, value in means.items() if math.isfinite(value)}
