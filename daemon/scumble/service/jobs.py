"""What can be asked of the daemon about jobs: everything between the HTTP API and the workers.

What a client was told is on the disk before it is told: a new job, one that was stopped, moved or forgotten.
"""

import contextlib
import hashlib
import logging
import os
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from pydantic import ValidationError

from scumble import __version__
from scumble.codecs import quantised
from scumble.engine.job import mix_of
from scumble.errors import ScumbleError
from scumble.picture import Picture
from scumble.protocol import LIBRARY, PROTOCOL, ContinueRequest, Estimate, EstimateRequest, Health, Job, Kind, State
from scumble.recipe import Engine, Recipe, Start
from scumble.service import messages as say
from scumble.service.crew import Crew
from scumble.service.housekeeping import Housekeeping
from scumble.service.inputs import read
from scumble.service.ledger import Ledger
from scumble.service.library import Library
from scumble.service.live import Live
from scumble.service.orders import Input, Order
from scumble.service.pace import Paces
from scumble.service.records import Record
from scumble.service.settings import Settings
from scumble.service.store import Store
from scumble.service.trained import Known, completed
from scumble.service.workers import COMMAND

log = logging.getLogger(__name__)

WAITERS = 200
"""Requests that are held open at the same time; more are answered at once."""
_EARLIER_RESULT = "scumble:result"


class Jobs:
    """All jobs and their workers; safe to use from all threads."""

    def __init__(self, settings: Settings, library: Library, worker_command: Sequence[str] = COMMAND) -> None:
        self.settings, self.library = settings, library
        self.instance = secrets.token_hex(8)
        self.store = Store(settings.store, settings.limits)
        self._ledger = Ledger(self.store)
        self._paces = Paces(settings.home / "paces.json")
        self._crew = Crew(self._ledger, self._paces, settings, worker_command)
        self._house = Housekeeping(self._ledger, self._crew, settings)
        self._submitting = threading.Lock()
        self._began = time.monotonic()
        self._waiters = 0
        self.closing = False

    # ------------------------------------------------------------------------------------------------- life and death

    def start(self) -> None:
        """Take up what an earlier life left, and begin to work."""
        self.store.tidy()
        self._ledger.load(self._take_up)
        self._crew.wake()
        self._house.start()

    def close(self) -> None:
        """Put the running jobs away and end the workers; those who wait are answered."""
        with self._submitting, self._ledger.lock:  # a job that is being kept is kept; the next one is refused
            self.closing = True
            for live in self._ledger:
                live.touch()
        self._crew.close()
        self._house.close()
        self._ledger.save()
        self.store.close()

    def _take_up(self, live: Live) -> None:
        """A job that an earlier life did not see the end of: it waits again, unless its worker was done."""
        live.wait_again()
        with contextlib.suppress(OSError, ValidationError):
            word = say.Report.validate_json((self.store.job_folder(live.id) / say.PAINTED).read_bytes())
            if isinstance(word, say.Painted):
                self._crew.painted(live, word)
                for name in (say.CHECKPOINT, say.MODEL):  # the worker may have been killed before it came to this
                    (self.store.job_folder(live.id) / name).unlink(missing_ok=True)

    # ---------------------------------------------------------------------------------------------------- what is asked

    def submit(self, order: Order) -> tuple[Job, bool]:
        """Keep an order as a job; on the disk when this returns. True: it was kept already, under the same key.

        Errors: key-reused, queue-full, disk-full, stopping, bad-recipe, missing-model, bad-model.
        """
        with self._submitting:
            with self._ledger.lock:
                if (known := self._ledger.known(order)) is not None:
                    return self._ledger.view(known), True
                waiting = len(self._ledger.queue())
            if self.closing:
                raise ScumbleError("stopping", "The daemon is stopping and takes no more jobs.")
            if waiting >= self.settings.limits.queue:
                hint = "Wait for a job to end, or cancel one; `scumble serve --queue N` raises the limit."
                raise ScumbleError("queue-full", f"{waiting} jobs are waiting, which is the limit.", hint)
            order = _with_models(order)
            self.store.check_room(order.width * order.height * 4)
            live = self._ledger.add(Record(secrets.token_hex(8), 0, order, 0.0))
        log.info(
            "job %s: taken in, to %s, %d × %d px, %d styles",
            *(live.id, order.kind.value, order.width, order.height, len(order.recipe.styles)),
        )
        with self._ledger.lock:
            self._crew.dispatch()
            return self._ledger.view(live), False

    def get(self, id: str) -> Job:
        """A job; asking renews its lease."""
        with self._ledger.lock:
            live = self._ledger.find(id)
            live.asked = time.monotonic()
            return self._ledger.view(live)

    def wait(self, id: str, after: int, seconds: float) -> Job:
        """A job, as soon as its sequence number is another than `after`, or after so many seconds.

        At once when it has ended, too many wait already, or the daemon is stopping.
        """
        with self._ledger.lock:
            live = self._ledger.find(id)
            live.asked = time.monotonic()
            if self._waiters < WAITERS and not live.state.is_final:
                self._waiters += 1
                live.waiting += 1
                try:
                    live.changed.wait_for(lambda: live.seq != after or self.closing, seconds)
                finally:
                    self._waiters -= 1
                    live.waiting -= 1
                    live.asked = time.monotonic()
            return self._ledger.view(live)

    def list(self, limit: int = 20, state: State | None = None) -> list[Job]:
        """The last jobs, newest first."""
        with self._ledger.lock:
            found = [live for live in reversed(self._ledger) if state is None or live.state is state]
            return [self._ledger.view(live) for live in found[:limit]]

    def stop(self, id: str, keep: bool) -> Job:
        """Stop a job within one iteration; with `keep` what is there becomes its result. Stopping twice is harmless."""
        with self._ledger.lock:
            live = self._ledger.find(id)
            self._crew.stop(live, keep)
            view = self._ledger.view(live)
        self._ledger.save()
        return view

    def move(self, id: str, position: int) -> Job:
        """Put a job that waits to another place in the queue; 0 is the next. `wrong-state` when it does not wait."""
        with self._ledger.lock:
            live = self._ledger.find(id)
            if live.state is not State.QUEUED:
                raise ScumbleError("wrong-state", f"Job {id} is {live.state.value}, and so not in the queue.")
            queue = self._ledger.queue()
            ranks = [each.record.rank for each in queue]
            order = [each for each in queue if each is not live]
            order.insert(position, live)
            order.sort(key=lambda each: each.kind is Kind.TRAIN)  # which stay behind the paintings
            # the ranks that there are, in another order: later jobs and those that come back keep their places
            for each, rank in zip(order, ranks, strict=True):
                if each.record.rank != rank:
                    each.record = each.record.changed(rank=rank)
                    self._ledger.changed(each)
            self._ledger.queue_moved()
            view = self._ledger.view(live)
        self._ledger.save()
        return view

    def forget(self, id: str) -> None:
        """Stop a job if need be, and remove everything of it."""
        with self._ledger.lock:
            self._crew.stop(self._ledger.find(id), keep=False)
        self._ledger.forget(id)
        self._ledger.sweep()
        log.info("job %s: forgotten", id)

    def go_on(self, id: str, request: ContinueRequest, key: str | None) -> tuple[Job, bool]:
        """A new job that goes on from another's result: by optimising, unless a change names another engine.

        Errors: wrong-state, result-gone, missing-model, and those of `submit`.
        """
        with self._ledger.lock:
            old = self._ledger.find(id).record.order
        if old.content is None:
            hint = "Post a new training; of what it has learnt a model is kept."
            raise ScumbleError("wrong-state", f"Job {id} is a training, and has no painting to go on from.", hint)
        # a network would begin with the content again
        changes = {"engine": Engine.OPTIMISE.value, **request.changes}
        changes |= {"start": Start.PICTURE.value, "start_picture": _EARLIER_RESULT}
        if request.iterations is not None:
            changes["iterations"] = [request.iterations]
        recipe = old.recipe.changed(**changes)
        if _area(recipe) != _area(old.recipe):
            hint = "Only how it is painted can change; post a new job to paint another part of the picture."
            raise ScumbleError("bad-recipe", f"A job that goes on paints where job {id} painted.", hint)
        known = {each.name: each for each in old.pictures}
        for name in recipe.names:
            if name not in known and name != _EARLIER_RESULT:
                hint = "A job that goes on has the pictures of the first one; post a new job to use another."
                raise ScumbleError("missing-picture", f"There is no picture {name!r} in job {id}.", hint)
        with self.store.batch() as batch:
            batch.hold(old.digests)  # before it is asked whether they are still there
            data, _ = self.result(id)
            known[_EARLIER_RESULT] = Input(_EARLIER_RESULT, batch.put(data))
            pictures = tuple(known[name] for name in recipe.names)
            size = (old.width, old.height, old.bounds)
            return self.submit(Order(recipe, old.content, pictures, *size, request.lease_s, key, continues=id))

    def result(self, id: str) -> tuple[bytes, str]:
        """A job's picture as a file, PNG or (for floats) TIFF, and its SHA-256. Errors: wrong-state, result-gone."""
        with self._ledger.lock:
            live = self._ledger.find(id)
            live.asked = time.monotonic()
            record = live.record
        if record.result is None:
            why = "was stopped without one" if record.state is State.STOPPED else f"is {record.state.value}"
            raise ScumbleError("wrong-state", f"Job {id} has no result: it {why}.")
        if not record.is_kept:
            raise _gone(id)
        try:
            data = (self.store.job_folder(id) / record.result.file).read_bytes()
        except FileNotFoundError:
            data = b""
        except OSError as error:  # too many open files, say: nothing that painting would mend
            raise ScumbleError("internal", f"The result of job {id} cannot be read: {error.strerror}.") from error
        if hashlib.sha256(data).hexdigest() != record.result.digest:
            if live.kind is Kind.TRAIN:  # which is not to be trained again for it
                hint = "The model is kept all the same."
                raise ScumbleError("result-gone", f"The report of job {id} was damaged on the disk.", hint)
            self._paint_again(live, record)
            hint = "Ask for the job until it is done, then for the result."
            raise ScumbleError(
                "wrong-state", f"The result of job {id} was damaged on the disk; it is painted anew.", hint
            )
        return data, record.result.digest

    def order(self, id: str) -> Order:
        """What was ordered, while its pictures are kept. Errors: not-found, result-gone."""
        with self._ledger.lock:
            live = self._ledger.find(id)
            live.asked = time.monotonic()
            if not live.record.is_kept:
                raise _gone(id)
            return live.record.order

    def mask(self, id: str) -> Picture:
        """How much of the painting is shown where, or will be: gray, uint8, of the content's size.

        Errors: not-found, also for a training, result-gone, and bad-picture for what was damaged on the disk.
        """
        with self.store.batch() as batch:
            batch.hold(self.order(id).digests)
            order = self.order(id)  # its pictures may have gone before they were held
            if order.content is None:
                raise ScumbleError("not-found", f"Job {id} is a training, which has no mask.")
            masks = {order.recipe.selection, *(region.mask for region in order.recipe.regions)}
            try:
                content = self._picture(order.content)
                pictures = {each.name: self._picture(each) for each in order.pictures if each.name in masks}
            except ScumbleError as error:
                raise (_gone(id) if error.code == "missing-file" else error) from None
        return Picture(quantised(mix_of(content, order.recipe, pictures), "uint8")[..., None])

    def fetched(self, id: str) -> None:
        """A job's result was sent to somebody."""
        with self._ledger.lock:
            live = self._ledger.get(id)
            if live is not None and not live.record.was_fetched:
                live.record = live.record.changed(was_fetched=True)
                self._ledger.changed(live)

    def preview(self, id: str) -> tuple[int, bytes]:
        """The number and the JPEG of a job's newest preview; `not-found` while there is none."""
        with self._ledger.lock:
            live = self._ledger.find(id)
            live.asked = time.monotonic()
            number = live.record.previews
        with contextlib.suppress(OSError):
            if number:
                return number, (self.store.job_folder(id) / say.PREVIEW).read_bytes()
        raise ScumbleError("not-found", f"There is no preview of job {id}.", "One comes with the first iteration.")

    def estimate(self, request: EstimateRequest) -> Estimate:
        """What a job would cost. Errors: bad-request, bad-recipe, missing-model, out-of-memory, no-device …"""
        bounds = request.bounds
        if bounds and (bounds.x + bounds.width > request.width or bounds.y + bounds.height > request.height):
            raise ScumbleError("bad-request", "bounds: they reach beyond the picture.")
        answer = self._crew.answer(request, completed(Recipe.parse(request.recipe), self._known)[0])
        if answer.problem is not None:
            raise ScumbleError(answer.problem.code, answer.problem.detail, answer.problem.hint)
        seconds, is_measured = self._paces.seconds(answer.kind, answer.levels, request.width * request.height)
        return Estimate(
            width=answer.width,
            height=answer.height,
            iterations=sum(iterations for _, iterations in answer.levels),
            scales=len(answer.levels),
            tile_px=answer.tile_px,
            memory_mb=round(answer.memory_mb, 1),
            seconds=round(seconds, 2),
            is_measured=is_measured,
            features=answer.features,
            device=answer.device,
            warnings=answer.warnings,
        )

    def health(self) -> Health:
        """How the daemon stands."""
        free_mb, used_mb = self._house.disk_mb
        with self._ledger.lock:
            states = [live.state for live in self._ledger]
            return Health(
                name="scumble",
                version=__version__,
                protocol=PROTOCOL,
                instance=self.instance,
                pid=os.getpid(),
                uptime_s=round(time.monotonic() - self._began, 1),
                features=self._crew.features,
                devices=self._crew.describe(),
                queued=states.count(State.QUEUED),
                running=states.count(State.RUNNING),
                queue_limit=self.settings.limits.queue,
                disk_free_mb=free_mb,
                disk_used_mb=used_mb,
                home=str(self.settings.home),
            )

    def _known(self, name: str) -> Known | None:
        """By what a picture is known that was only named."""
        with contextlib.suppress(ScumbleError):
            if name.startswith(LIBRARY):
                return self.library.known(name.removeprefix(LIBRARY))
        return None

    def _picture(self, given: Input) -> Picture:
        return read(given.name, self.store.blobs.path(given.digest), given.crop)

    def _paint_again(self, live: Live, damaged: Record) -> None:
        with self._ledger.lock:
            self._ledger.find(live.id)
            if not live.record.is_kept:  # since a moment ago
                raise _gone(live.id)
            if live.state.is_final and live.record.result == damaged.result:
                log.error("job %s: its result is damaged, and it is painted again", live.id)
                for path in self.store.job_folder(live.id).glob("result.*"):
                    path.unlink(missing_ok=True)
                (self.store.job_folder(live.id) / say.PAINTED).unlink(missing_ok=True)
                live.start_over("The result was damaged on the disk, and was painted anew.")
                self._ledger.changed(live)
                self._crew.dispatch()
        self._ledger.save()


def _with_models(order: Order) -> Order:
    if order.training is not None:
        return order
    known = {each.name: (each.digest, each.crop) for each in order.pictures}
    recipe, found = completed(order.recipe, known.get)
    return replace(order, recipe=recipe, found=found)


def _area(recipe: Recipe) -> tuple[object, ...]:
    """All that says which part of the picture is painted."""
    return recipe.selection, recipe.feather_px, recipe.regions, {style.region for style in recipe.styles}


def _gone(id: str) -> ScumbleError:
    """Of the result and of the inputs, which go together."""
    return ScumbleError("result-gone", f"The result of job {id} was let go to make room for newer ones.")
