"""A job while the daemon runs: its record, what changes too often to be kept, and what can happen to it."""

import threading
import time
from dataclasses import dataclass, field

from scumble.errors import ScumbleError
from scumble.protocol import Job, Kind, Problem, Scale, State
from scumble.service import messages as say
from scumble.service.problems import problem
from scumble.service.records import Record, Result

MAX_CRASHES = 3
"""So often may a worker end in the middle of a job before the job is given up."""
_KILLED = -9


@dataclass
class Live:
    """One job; everything in it belongs to the lock that `changed` shares."""

    record: Record
    changed: threading.Condition
    seq: int = 1
    phase: str = "waiting"
    progress: float = 0.0
    scale: Scale | None = None
    seconds_left: float | None = None
    began: float | None = None
    memory_mb: float | None = None
    memory_cap_mb: int | None = None
    rests_until: float = 0.0
    notices: tuple[str, ...] = ()
    asked: float = field(default_factory=time.monotonic)
    waiting: int = 0
    is_stopping: bool = False

    @property
    def id(self) -> str:
        """The job's name."""
        return self.record.id

    @property
    def state(self) -> State:
        """Where it is in its life."""
        return self.record.state

    @property
    def kind(self) -> Kind:
        """What it does."""
        return self.record.order.kind

    @property
    def is_abandoned(self) -> bool:
        """Whether it has a lease and nobody asked after it for that long."""
        lease = self.record.order.lease_s
        if lease is None or self.waiting or self.state.is_final or self.record.is_ending:
            return False
        return time.monotonic() - self.asked > lease

    @property
    def worked_s(self) -> float:
        """How long it has been worked on, in all sittings."""
        return self.record.seconds + (time.monotonic() - self.began if self.began is not None else 0.0)

    def touch(self) -> None:
        """Something about it is different: wake those who wait for that."""
        self.seq += 1
        self.changed.notify_all()

    # ------------------------------------------------------------------------------------------ what can happen to it

    def given_to(self, device: str) -> None:
        """A worker takes it."""
        self.record = self.record.changed(state=State.RUNNING, device=device)
        self.phase, self.began, self.is_stopping = "preparing", time.monotonic(), False

    def heard(self, word: say.Began | say.Progress | say.Previewed) -> None:
        """Its worker says how far it is."""
        if isinstance(word, say.Began):
            self.record = self.record.changed(
                features=word.features, iterations=word.iterations, preview_bounds=word.preview_bounds
            )
            self.memory_mb = word.memory_mb
        elif isinstance(word, say.Progress):
            self.record = self.record.changed(iteration=word.iteration, iterations=word.iterations, losses=word.losses)
            self.scale, self.progress, self.seconds_left = word.scale, word.progress, word.seconds_left
            self.phase = "painting" if self.kind is Kind.PAINT else "training"
        else:
            self.record = self.record.changed(previews=self.record.previews + 1)

    def painted(self, word: say.Painted) -> None:
        """It has ended by itself, or was stopped."""
        self._end(
            State.STOPPED if word.stopped else State.DONE,
            result=Result(word.file, word.digest, word.bytes) if word.file else None,
            features=word.features or self.record.features,
            seconds=self.record.seconds + word.seconds,
            iteration=word.iteration,
            iterations=word.iterations,
            losses=word.losses or self.record.losses,
            warnings=(*self.notices, *word.warnings),
            previews=max(self.record.previews, word.previews),
            preview_bounds=word.preview_bounds,
            model=word.model,
        )

    def failed(self, why: Problem) -> None:
        """It cannot be painted."""
        self._end(State.FAILED, problem=why, seconds=self.worked_s, warnings=self.notices)

    def stopped(self) -> None:
        """It was stopped, and there is nothing to keep."""
        self._end(State.STOPPED, seconds=self.worked_s, warnings=self.notices)

    def wait_again(self, *notices: str) -> None:
        """Back into the queue."""
        self.record = self.record.changed(state=State.QUEUED, device=None, seconds=self.worked_s)
        self.phase, self.began, self.seconds_left, self.is_stopping = "waiting", None, None, False
        self.notices += tuple(each for each in notices if each not in self.notices)

    def crashed(self, status: int) -> None:
        """Its worker ended in the middle of it."""
        if self.is_stopping and not self.record.is_ending:
            self.stopped()
            return
        self.record = self.record.changed(crashes=self.record.crashes + 1)
        if self.record.crashes >= MAX_CRASHES:
            self.failed(crash_problem(status))
        elif status == _KILLED and self.memory_mb:  # by the system, for want of memory, as like as not
            had_mb = min(self.memory_mb, self.memory_cap_mb or self.memory_mb)
            self.memory_cap_mb = max(256, int(had_mb / 2))
            self.wait_again("Memory did not suffice: it was painted again with half of it.")
        else:
            self.wait_again("The painting process ended unexpectedly, and was started again.")

    def start_over(self, notice: str) -> None:
        """It had ended, and is to be painted again."""
        self.record = self.record.changed(
            result=None, was_fetched=False, losses={}, iteration=0, warnings=(), problem=None, crashes=0
        )
        self.progress = 0.0
        self.wait_again(notice)

    def _end(self, state: State, **changes: object) -> None:
        self.record = self.record.changed(state=state, is_ending=False, **changes)
        self.began, self.notices, self.is_stopping = None, (), False

    # ---------------------------------------------------------------------------------------------------------- telling

    def view(self, position: int | None) -> Job:
        """The job as it is told to those who ask."""
        record, order = self.record, self.record.order
        is_final = record.state.is_final
        return Job(
            id=record.id,
            kind=order.kind,
            state=record.state,
            phase="finished" if is_final else "stopping" if self.is_stopping or record.is_ending else self.phase,
            position=position,
            iteration=record.iteration,
            iterations=record.iterations,
            scale=self.scale,
            progress=1.0 if record.state is State.DONE else self.progress,
            seconds=round(self.worked_s, 3),
            seconds_left=None if is_final else self.seconds_left,
            losses=record.losses,
            warnings=[*self.notices, *record.warnings],
            features=record.features,
            device=record.device,
            seq=self.seq,
            preview=record.previews,
            width=order.width,
            height=order.height,
            bounds=order.bounds,
            preview_bounds=record.preview_bounds,
            has_result=record.result is not None and record.is_kept,
            model=record.model,
            problem=record.problem,
            recipe=order.recipe.as_dict(),
            continues=order.continues,
            lease_s=order.lease_s,
            created=record.created,
        )


def crash_problem(status: int) -> Problem:
    """What to say of a worker that ended with that exit status."""
    if status == _KILLED:
        return problem(
            ScumbleError("out-of-memory", "The painting process was killed, most likely for want of memory.")
        )
    return problem(ScumbleError("internal", f"The painting process ended unexpectedly (status {status})."))
