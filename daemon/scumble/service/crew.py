"""The crew: the workers together, who gets which job, and what is heard of them.

A training is given to nobody while a painting waits, and makes way for one: its worker puts it away, and it waits
again. All of it happens under the ledger's lock. A worker that ends in the middle of a job costs the job a try; one
that cannot even begin, so often, makes the jobs fail that wait for it: nobody should wait for what will not come.
"""

import contextlib
import itertools
import logging
import queue
import shutil
import threading
import time
from collections.abc import Sequence

from scumble.errors import ScumbleError
from scumble.protocol import Device, EstimateRequest, Kind, Problem, Rectangle, State
from scumble.recipe import Recipe
from scumble.service import messages as say
from scumble.service.ledger import Ledger
from scumble.service.live import Live, crash_problem
from scumble.service.orders import Input
from scumble.service.pace import JobTime, Paces
from scumble.service.problems import problem
from scumble.service.settings import Settings
from scumble.service.workers import COMMAND, Worker

log = logging.getLogger(__name__)

_ANSWER_S = 60.0
_MAX_FAILED_STARTS = 3
_REST_S = 10.0
"""How long a job waits that found the disk full."""


class Crew:
    """One worker per device, and the jobs that they are given."""

    def __init__(self, ledger: Ledger, paces: Paces, settings: Settings, command: Sequence[str] = COMMAND) -> None:
        self._ledger, self._paces, self._settings, self._command = ledger, paces, settings, command
        self._workers = [self._worker(device) for device in settings.devices]
        self._changed = threading.Condition(ledger.lock)
        self._numbers = itertools.count(1)
        self._questions: dict[int, tuple[Worker, queue.Queue[say.Answer]]] = {}
        self._is_closing = False

    # ---------------------------------------------------------------------------------------------------- told to do

    def wake(self) -> None:
        """Start all workers, so that the first job finds them ready."""
        with self._ledger.lock:
            for worker in self._workers:
                worker.wake()

    def dispatch(self) -> None:
        """Give the jobs that wait to the workers that are free; wake more if there is work for them."""
        with self._ledger.lock:
            waiting = self._ledger.queue()
            for worker in [] if self._is_closing else list(self._workers):
                if not waiting:
                    return
                if worker.is_asleep and worker.failures < _MAX_FAILED_STARTS:
                    worker.wake()
                elif worker.is_free:
                    # trainings are last in the queue, and never overtake a painting, not even one that waits for room
                    fitting = next(
                        (live for live in waiting if live.kind is waiting[0].kind and self._has_room(live)), None
                    )
                    if fitting is None:
                        return
                    waiting = [live for live in waiting if live is not fitting]
                    self._assign(fitting, worker)
            if not self._is_closing:
                self._make_way(waiting)

    def _make_way(self, waiting: Sequence[Live]) -> None:
        """Have so many trainings put away as paintings wait that could be begun."""
        wanted = sum(live.kind is Kind.PAINT and self._has_room(live) for live in waiting)
        wanted -= sum(worker.makes_way for worker in self._workers)
        for worker in self._workers:
            live = self._ledger.get(worker.job)
            if wanted > 0 and live is not None and live.kind is Kind.TRAIN and not worker.makes_way:
                worker.makes_way = True
                worker.tell(say.PutAway(job=live.id))
                log.info("job %s: makes way", live.id)
                wanted -= 1

    def stop(self, live: Live, keep: bool) -> None:
        """Stop a job that is queued or running."""
        is_learnt = live.kind is Kind.TRAIN and live.record.iteration > 0
        if live.state is State.QUEUED and keep and is_learnt:  # it was put away: a worker has to bring it to its end
            live.record = live.record.changed(is_ending=True)
            log.info("job %s: is to be ended", live.id)
        elif live.state is State.QUEUED:
            self._cancelled(live)
            self._ledger.queue_moved()
            log.info("job %s: cancelled", live.id)
        elif live.state is State.RUNNING:
            live.is_stopping = True
            if live.kind is Kind.TRAIN:
                live.record = live.record.changed(is_ending=keep)
            for worker in self._workers:
                if worker.job == live.id:
                    worker.tell(say.Stop(job=live.id, keep=keep))
            log.info("job %s: is being stopped", live.id)
        else:
            return
        self._ledger.changed(live)

    def send_idle_home(self) -> None:
        """End the workers that have had nothing to do for long; their memory is free then."""
        with self._ledger.lock:
            for worker in self._workers:
                idle_s = time.monotonic() - worker.free_since
                if worker.is_free and idle_s > self._settings.idle_s and not self._questions:
                    log.info("The worker for %s goes home, for there is nothing to do.", worker.name)
                    worker.send_home()

    def close(self) -> None:
        """Put the running jobs away and end all workers."""
        with self._ledger.lock:
            self._is_closing = True
            self._changed.notify_all()
            for worker in self._workers:
                worker.send_home()
        for worker in self._workers:
            worker.await_end()

    def describe(self) -> list[Device]:
        """How the workers stand."""
        return [worker.describe() for worker in self._workers]

    @property
    def features(self) -> str | None:
        """Which features `auto` means, if a worker is there to say."""
        return next((worker.ready.features for worker in self._workers if worker.ready), None)

    def answer(self, request: EstimateRequest, recipe: Recipe) -> say.Answer:
        """What a job would cost, as a worker sees it; it can say so while it paints."""
        answers: queue.Queue[say.Answer] = queue.Queue()
        number = next(self._numbers)
        with self._ledger.lock:  # so that it is not sent home between
            worker = self._one_awake()
            self._questions[number] = worker, answers
        bounds = request.bounds or Rectangle(x=0, y=0, width=request.width, height=request.height)
        width, height = request.width, request.height
        worker.tell(say.Ask(number=number, recipe=recipe.as_dict(), width=width, height=height, bounds=bounds))
        try:
            return answers.get(timeout=_ANSWER_S)
        except queue.Empty:
            raise ScumbleError("unreachable", "The worker does not answer.") from None
        finally:
            with self._ledger.lock:
                del self._questions[number]

    def _worker(self, device: str) -> Worker:
        return Worker(device, self._settings, self._heard, self._command)

    # ---------------------------------------------------------------------------------------------------------- heard

    def _heard(self, worker: Worker, word: say.Word | int) -> None:
        with self._ledger.lock:
            if isinstance(word, int):
                self._ended(worker, word)
            elif isinstance(word, say.Ready):
                self._ready(worker, word)
            elif isinstance(word, say.Broken):
                worker.broken = word
            elif isinstance(word, say.Memory):
                worker.memory = word
            elif isinstance(word, say.Answer):
                if word.number in self._questions:
                    self._questions[word.number][1].put(word)
            elif isinstance(word, say.Began | say.Progress | say.Previewed):
                if live := self._ledger.get(word.job):
                    live.heard(word)
                    live.touch()
            else:
                self._job_ended(worker, word)

    def _job_ended(self, worker: Worker, word: say.Painted | say.Failed | say.Left) -> None:
        worker.job, worker.makes_way, worker.free_since = None, False, time.monotonic()
        live = self._ledger.get(word.job)
        if live is None:  # it was forgotten while it was being painted
            shutil.rmtree(self._ledger.store.job_folder(word.job), ignore_errors=True)
        elif isinstance(word, say.Left):
            if live.kind is Kind.TRAIN and live.is_stopping and not live.record.is_ending:
                self._cancelled(live)  # it was put away before it heard of that
            else:
                live.wait_again()
            self._ledger.changed(live)
            self._ledger.queue_moved()
        elif isinstance(word, say.Failed):
            self._fail(live, word.problem)
        else:
            self.painted(live, word)
        self.dispatch()

    def painted(self, live: Live, word: say.Painted) -> None:
        """A job has ended with a picture, or was stopped."""
        live.painted(word)
        self._ledger.changed(live)
        if word.levels:
            self._paces.learn(JobTime(word.kind, word.levels, word.content_px, word.around_s))
        log.info("job %s: %s after %.1f s", live.id, live.state.value, word.seconds)

    def _cancelled(self, live: Live) -> None:
        live.stopped()
        with contextlib.suppress(OSError):
            (self._ledger.store.job_folder(live.id) / say.CHECKPOINT).unlink(missing_ok=True)

    def _fail(self, live: Live, why: Problem) -> None:
        if why.code == "disk-full":  # nothing is wrong with the job: it waits for room
            live.wait_again("The disk was full; it was painted as soon as there was room.")
            live.rests_until = time.monotonic() + _REST_S
        else:
            live.failed(why)
        self._ledger.changed(live)
        log.warning("job %s: %s: %s", live.id, why.code, why.detail)

    def _ready(self, worker: Worker, word: say.Ready) -> None:
        worker.ready, worker.broken, worker.failures, worker.free_since = word, None, 0, time.monotonic()
        log.info("The worker for %s (%s) is ready.", word.device, word.description)
        if worker.device == "auto":
            worker.device = word.device
            self._workers += [self._worker(device) for device in word.devices[1:]]
        self._changed.notify_all()
        self.dispatch()

    def _ended(self, worker: Worker, status: int) -> None:
        job, was_ready, was_sent = worker.job, worker.ready is not None, worker.is_leaving
        live = self._ledger.get(job)
        worker.ended()
        if not was_sent:
            log.warning("The worker for %s ended by itself, with status %d.", worker.name, status)
        if live is not None and live.state is State.RUNNING:
            if was_sent and (live.record.is_ending or not live.is_stopping):
                live.wait_again()
            else:
                live.crashed(status)
            self._ledger.changed(live)
        elif job is not None:  # it was forgotten while it was being painted
            shutil.rmtree(self._ledger.store.job_folder(job), ignore_errors=True)
        why = problem(ScumbleError("stopping", "The daemon is stopping.")) if was_sent else crash_problem(status)
        for asked, answers in self._questions.values():
            if asked is worker:
                answers.put(say.Answer(number=0, problem=why))
        if not was_ready and not was_sent:
            worker.failures += 1
            if worker.failures >= _MAX_FAILED_STARTS and all(each.is_asleep for each in self._workers):
                self._give_up(worker, status)
        self._changed.notify_all()
        self.dispatch()

    def _give_up(self, worker: Worker, status: int) -> None:
        """No worker can be started: those who wait are told. The next job is a new try."""
        for each in self._workers:
            each.failures = 0
        for live in self._ledger.queue():
            self._fail(live, worker.broken.problem if worker.broken else crash_problem(status))

    # -------------------------------------------------------------------------------------------------------- assigning

    def _assign(self, live: Live, worker: Worker) -> None:
        worker.job = live.id
        live.given_to(worker.name)
        worker.tell(self._told(live))
        log.info("job %s: given to %s", live.id, worker.name)
        self._ledger.changed(live)
        self._ledger.queue_moved()

    def _told(self, live: Live) -> say.Paint | say.Train:
        order, folder = live.record.order, self._ledger.store.job_folder(live.id)
        pictures = {each.name: self._source(each) for each in order.pictures}
        if order.training is not None:
            return say.Train(
                job=live.id,
                request=order.training.request,
                recipe=order.recipe.as_dict(),
                lessons=tuple(
                    say.Lesson(picture=style.picture, source=pictures[style.picture], name=label)
                    for style, label in zip(order.recipe.styles, order.training.labels, strict=True)
                ),
                folder=folder,
                ends=live.record.is_ending,
            )
        assert order.content is not None
        return say.Paint(
            job=live.id,
            recipe=order.recipe.as_dict(),
            content=self._source(order.content),
            pictures=pictures,
            folder=folder,
            bounds=order.bounds,
            memory_mb=live.memory_cap_mb,
        )

    def _source(self, given: Input) -> say.Source:
        return say.Source(path=self._ledger.store.blobs.path(given.digest), crop=given.crop)

    def _has_room(self, live: Live) -> bool:
        order = live.record.order
        if time.monotonic() < live.rests_until:
            return False
        try:
            self._ledger.store.check_room(order.width * order.height * 4)
        except ScumbleError:
            live.phase = "waiting for room on the disk"
            return False
        return True

    def _one_awake(self) -> Worker:
        with self._ledger.lock:

            def awake() -> Worker | None:
                return next((each for each in self._workers if each.ready and not each.is_leaving), None)

            def is_decided() -> bool:
                if self._is_closing or first.failures != failures or awake() is not None:
                    return True
                first.wake()  # also when it was still on its way home a moment ago
                return False

            first = self._workers[0]
            failures = first.failures
            self._changed.wait_for(is_decided, _ANSWER_S)
            if (worker := awake()) is not None:
                return worker
            if self._is_closing:
                raise ScumbleError("stopping", "The daemon is stopping.")
            if first.broken is not None:
                raise ScumbleError(first.broken.problem.code, first.broken.problem.detail, first.broken.problem.hint)
            raise ScumbleError("unreachable", "The worker does not start.", "`scumble logs` says why.")
