"""The queue, the workers and what becomes of jobs, with a worker that paints nothing (`fake_worker`)."""

import contextlib
import hashlib
import io
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import fake_worker
import numpy as np
import pytest
from fake_worker import (
    BABBLE,
    CRASH,
    CRASH_ONCE,
    DEAF,
    FAIL,
    KILLED,
    KILLED_ONCE,
    KILLED_TWICE,
    LAST_WORDS,
    MEMORY_MB,
    NO_ROOM,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from scumble.errors import ScumbleError
from scumble.picture import Picture, encode
from scumble.protocol import ContinueRequest, EstimateRequest, Kind, Rectangle, State, TrainRequest
from scumble.recipe import Recipe
from scumble.service import crew, housekeeping, logs, workers
from scumble.service import jobs as jobs_module
from scumble.service import messages as say
from scumble.service.jobs import Jobs
from scumble.service.library import Library
from scumble.service.orders import Input, Order, Training
from scumble.service.settings import Limits, Settings
from scumble.service.store import Store

LONG = 100_000
PATIENCE_S = 120.0

# ------------------------------------------------------------------------------------------------------------- helpers


def until(what, seconds=PATIENCE_S):
    """Wait for something to be true; what it was."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)
    return found


def picture(number):
    """A small picture, another one for each number."""
    generator = random.Random(number)
    return Image.frombytes("RGB", (8, 6), bytes(generator.randrange(256) for _ in range(8 * 6 * 3)))


def png(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


class Desk:
    """A daemon's jobs, and how to order some."""

    def __init__(self, home, **settings):
        limits = Limits(**settings.pop("limits", {}))
        self.settings = Settings(home=home, token="secret", limits=limits, **settings)
        self.jobs = None

    def open(self, command=fake_worker.COMMAND, start=True):
        library = Library(self.settings.library, self.settings.limits.pixels)
        self.jobs = Jobs(self.settings, library, worker_command=command)
        if start:
            self.jobs.start()
        return self

    def __enter__(self):
        return self if self.jobs else self.open()

    def __exit__(self, kind, *trouble):
        self.jobs.close()
        assert kind or all(worker.is_asleep for worker in self.workers)

    @property
    def workers(self):
        return self.jobs._crew._workers

    def mood(self, mood):
        self.settings.home.mkdir(exist_ok=True)
        (self.settings.home / "mood").write_text(mood)

    def diary(self, verb=None):
        """What the workers did: lists of words."""
        try:
            lines = (self.settings.home / "diary").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [line.split() for line in lines if verb is None or line.split()[0] == verb]

    def began(self, id=None):
        return [words for words in self.diary("began") if id is None or words[1] == id]

    def order(self, number=0, iterations=1, seed=0, names=(), batch=None, **fields):
        recipe = Recipe(iterations=(iterations,), seed=seed, styles=[{"picture": name} for name in names])
        pictures = tuple(Input(name, batch.put(png(picture(name)))) for name in names)
        content = Input("content", batch.put(png(picture(number))))
        bounds = Rectangle(x=0, y=0, width=8, height=6)
        return Order(recipe, content, pictures, 8, 6, **{"bounds": bounds, **fields})

    def train(self, steps=LONG, seed=0, **fields):
        """Order a training; its id."""
        asked = TrainRequest(name="learnt", styles=("style",), steps=steps, seed=seed)
        with self.jobs.store.batch() as batch:
            style = Input("style", batch.put(png(picture(9))))
            recipe = Recipe(styles=[{"picture": "style"}])
            order = Order(recipe, None, (style,), 8, 8, None, training=Training(asked, ("style",)), **fields)
            return self.jobs.submit(order)[0].id

    def submitted(self, number=0, iterations=1, seed=0, **fields):
        with self.jobs.store.batch() as batch:
            return self.jobs.submit(self.order(number, iterations, seed, batch=batch, **fields))

    def submit(self, *rest, **fields):
        return self.submitted(*rest, **fields)[0].id

    def state(self, id):
        return self.jobs.get(id).state

    def follow(self, id, enough=lambda job: job.state.is_final):
        """Wait for a job as a client does; its last view."""
        job = self.jobs.get(id)
        end = time.monotonic() + PATIENCE_S
        while not enough(job):
            assert time.monotonic() < end, job
            job = self.jobs.wait(id, job.seq, 5.0)
        return job

    def done(self, id):
        job = self.follow(id)
        assert job.state is State.DONE, job
        return job

    def running(self, id):
        """Until it is painting."""
        return self.follow(id, lambda job: job.state is State.RUNNING and job.iteration > 0)

    def image(self, id):
        data, digest = self.jobs.result(id)
        assert hashlib.sha256(data).hexdigest() == digest
        return Image.open(io.BytesIO(data))

    def queue(self):
        """Ids in the order in which they will be taken, as their positions say."""
        queued = sorted(self.jobs.list(1000, State.QUEUED), key=lambda job: job.position)
        assert [job.position for job in queued] == list(range(len(queued)))
        return [job.id for job in queued]

    def folder(self, id):
        return self.jobs.store.job_folder(id)


def refused(code, call, *rest, **fields):
    with pytest.raises(ScumbleError) as caught:
        call(*rest, **fields)
    assert caught.value.code == code, caught.value.detail
    return caught.value.detail


def is_result(image, number):
    wanted = Image.open(io.BytesIO(fake_worker.inverted(picture(number))))
    return image.tobytes() == wanted.tobytes()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(housekeeping, "_TICK_S", 0.05)
    monkeypatch.setattr(housekeeping, "_ROUND", 2)
    monkeypatch.setattr(workers, "_GRACE_S", 30.0)


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path / "home") as desk:
        yield desk


@pytest.fixture
def idle(tmp_path):
    """A desk whose worker never gets ready, so that jobs wait."""
    desk = Desk(tmp_path / "home")
    desk.mood("silent")
    with desk.open() as desk:
        yield desk


# ------------------------------------------------------------------------------------------------------------ painting


def test_a_job_is_painted_and_told_of(desk):
    job, was_there = desk.submitted(7, iterations=12, names=("style",))
    assert (job.state, job.phase, job.position, job.progress, was_there) == (State.QUEUED, "waiting", 0, 0.0, False)
    job = desk.running(job.id)
    assert (job.iterations, job.device, job.features, job.phase) == (12, "fake:0", "fake", "painting")
    assert job.scale.width == 8
    assert set(job.losses) == {"total"}
    assert job.seconds_left is not None
    job = desk.done(job.id)
    assert (job.iteration, job.progress, job.phase, job.position) == (12, 1.0, "finished", None)
    assert job.warnings == ["It is a fake."]
    assert job.has_result
    assert job.preview >= 1
    assert job.seconds_left is None
    assert job.preview_bounds == Rectangle(x=0, y=0, width=8, height=6)
    assert is_result(desk.image(job.id), 7)
    assert desk.jobs.list() == [desk.jobs.get(job.id)]


def test_the_daemon_does_not_load_torch():
    code = "import sys, scumble.service.jobs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_crop_reaches_the_worker(desk):
    with desk.jobs.store.batch() as batch:
        order = desk.order(3, batch=batch)
        crop = Rectangle(x=2, y=1, width=4, height=3)
        order = replace(order, content=replace(order.content, crop=crop), width=4, height=3)
        id = desk.jobs.submit(order)[0].id
    desk.done(id)
    assert desk.image(id).size == (4, 3)


def test_previews_come_while_it_is_painted(desk):
    id = desk.submit(5, iterations=LONG)
    refused("not-found", desk.jobs.preview, "unknown")
    first = desk.follow(id, lambda job: job.preview > 0).preview
    second = desk.follow(id, lambda job: job.preview > first).preview
    number, data = desk.jobs.preview(id)
    assert number >= second > first
    assert Image.open(io.BytesIO(data)).format == "JPEG"
    waiting = desk.submit(6)
    refused("not-found", desk.jobs.preview, waiting)


def test_a_job_that_fails_says_why(desk):
    job = desk.follow(desk.submit(seed=FAIL))
    assert (job.state, job.problem.code, job.problem.detail) == (State.FAILED, "bad-mask", "The mask does not fit.")
    assert "failed" in refused("wrong-state", desk.jobs.result, job.id)
    assert len(desk.began(job.id)) == 1


def test_a_worker_that_babbles_is_heard_all_the_same(desk, caplog):
    assert is_result(desk.image(desk.done(desk.submit(1, seed=BABBLE)).id), 1)
    assert caplog.text.count("nobody understands") == 5


def test_what_a_worker_writes_into_the_log_carries_its_job(desk, caplog):
    noted = []

    class Notes(logging.Handler):
        def emit(self, record):
            noted.append((logs._job.get(), record.getMessage()))

    caplog.set_level(logging.INFO, workers.log.name)
    notes = Notes()
    workers.log.addHandler(notes)
    try:
        id = desk.submit(1, iterations=10, seed=BABBLE)
        desk.done(id)
        until(lambda: any("babble" in text for _, text in noted))
        assert (id, "worker: babble") in noted
    finally:
        workers.log.removeHandler(notes)


def test_the_folder_is_private(tmp_path):
    before = os.umask(0)
    try:
        with Desk(tmp_path / "new" / "home").open() as desk:
            id = desk.submit(iterations=8)
            desk.done(id)
            desk.jobs.preview(id)
            made = [tmp_path / "new", desk.settings.home, *desk.settings.home.rglob("*")]
            assert {path.name for path in made} >= {"result.png", "jobs.db", "jobs.db-wal", "preview.jpg", "paces.json"}
            assert [path for path in made if path.lstat().st_mode & 0o077] == []
    finally:
        os.umask(before)


# --------------------------------------------------------------------------------------------------------------- queue


def test_jobs_are_painted_in_the_order_in_which_they_came(desk):
    ids = [desk.submit(n) for n in range(5)]
    for id in ids:
        desk.done(id)
    assert [words[1] for words in desk.began()] == ids


def test_a_moved_job_is_painted_at_its_new_place(idle):
    ids = [idle.submit(n) for n in range(4)]
    assert idle.queue() == ids
    before = [idle.jobs.get(id).seq for id in ids]
    assert idle.jobs.move(ids[3], 1).position == 1
    assert idle.queue() == [ids[0], ids[3], ids[1], ids[2]]
    assert all(idle.jobs.get(id).seq > seq for id, seq in zip(ids[1:], before[1:], strict=True))
    assert idle.jobs.move(ids[0], 1_000_000).position == 3
    later = idle.submit(9)
    wanted = [ids[3], ids[1], ids[2], ids[0], later]
    assert idle.queue() == wanted
    idle.jobs.close()
    idle.mood("")
    with idle.open():
        for id in wanted:
            idle.done(id)
        assert [words[1] for words in idle.began()] == wanted


def test_what_does_not_wait_cannot_be_moved(desk):
    running = desk.submit(iterations=LONG)
    desk.running(running)
    assert "running" in refused("wrong-state", desk.jobs.move, running, 0)
    refused("not-found", desk.jobs.move, "unknown", 0)
    desk.jobs.stop(running, keep=False)
    desk.follow(running)
    assert "stopped" in refused("wrong-state", desk.jobs.move, running, 0)


class Alone:
    """Jobs whose workers never begin: everything but painting, and quick to make."""

    def __init__(self, home):
        self.desk = Desk(home)

    def __enter__(self):
        desk = self.desk.open(start=False)
        desk.jobs._crew._is_closing = True  # gives nothing to anybody
        desk.jobs.store.tidy()
        desk.jobs._ledger.load(desk.jobs._take_up)
        return desk

    def __exit__(self, *trouble):
        self.desk.jobs.close()


PLACES = st.tuples(st.integers(0, 99), st.integers(0, 12))
MOVES = st.lists(st.one_of(st.just("new"), PLACES, PLACES, st.integers(0, 99)), max_size=12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MOVES)
def test_any_moves_give_the_order_that_a_list_would(tmp_path, steps):
    home = Path(tempfile.mkdtemp(dir=tmp_path))
    with Alone(home) as desk, desk.jobs.store.batch() as batch:
        wanted = [desk.jobs.submit(desk.order(n, batch=batch))[0].id for n in range(4)]
        for step in steps:
            if step == "new":
                wanted.append(desk.jobs.submit(desk.order(0, batch=batch))[0].id)
            elif isinstance(step, tuple) and wanted:
                id = wanted.pop(step[0] % len(wanted))
                wanted.insert(step[1], id)
                assert desk.jobs.move(id, step[1]).position == wanted.index(id)
            elif isinstance(step, int) and wanted:
                desk.jobs.stop(wanted.pop(step % len(wanted)), keep=False)
            assert desk.queue() == wanted
    with Alone(home) as desk:
        assert desk.queue() == wanted


def test_a_place_between_two_others_can_be_had_any_number_of_times(tmp_path):
    with Alone(tmp_path / "home") as desk:
        wanted = [desk.submit(n) for n in range(3)]
        for _ in range(120):
            desk.jobs.move(wanted[2], 1)
            wanted[1:] = reversed(wanted[1:])
            assert desk.queue() == wanted


def test_no_more_jobs_wait_than_the_limit(tmp_path):
    with Desk(tmp_path / "home", limits={"queue": 2}).open() as desk:
        desk.running(desk.submit(0, iterations=LONG))
        first = desk.submit(1)
        desk.submit(2)
        detail = refused("queue-full", desk.submit, 3)
        assert "2 jobs" in detail
        assert desk.jobs.health().queued == 2
        desk.jobs.stop(first, keep=False)
        desk.submit(4)
        assert len(desk.jobs.list()) == 4


def test_a_job_without_room_on_the_disk_is_refused(desk, monkeypatch):
    def full(store, wanted_bytes=0):
        raise ScumbleError("disk-full", f"{wanted_bytes} are wanted.")

    monkeypatch.setattr(Store, "check_room", full)
    assert "192 are" in refused("disk-full", desk.submit)
    assert desk.jobs.list() == []


# ---------------------------------------------------------------------------------------------------------------- keys


def test_the_same_key_gives_the_same_job_also_after_a_restart(tmp_path):
    desk = Desk(tmp_path / "home")
    with desk.open():
        first, was_there = desk.submitted(1, key="k")
        assert not was_there
        again, was_there = desk.submitted(1, key="k")
        assert (again.id, was_there) == (first.id, True)
        refused("key-reused", desk.submit, 2, key="k")
        assert desk.submit(1, key="other") != first.id
        assert desk.submit(1) != desk.submit(1)
    with desk.open():
        again, was_there = desk.submitted(1, key="k")
        assert (again.id, was_there) == (first.id, True)
        refused("key-reused", desk.submit, 2, key="k")
        desk.jobs.forget(first.id)
        _, was_there = desk.submitted(2, key="k")
        assert not was_there


def test_a_key_used_by_many_at_once_is_one_job(idle):
    barrier = threading.Barrier(20)
    found = []

    def one():
        barrier.wait()
        found.append(idle.submitted(1, key="k"))

    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert len({job.id for job, _ in found}) == 1
    assert sorted(was_there for _, was_there in found) == [False] + [True] * 19
    assert len(idle.jobs.list()) == 1


# ------------------------------------------------------------------------------------------------------ stop and forget


@pytest.mark.parametrize("keep", [False, True])
def test_a_queued_job_is_stopped_at_once(idle, keep):
    first, second = idle.submit(1), idle.submit(2)
    job = idle.jobs.stop(first, keep)
    assert (job.state, job.has_result) == (State.STOPPED, False)
    assert idle.jobs.get(second).position == 0
    assert idle.jobs.stop(first, not keep) == job
    assert "stopped without one" in refused("wrong-state", idle.jobs.result, first)
    idle.jobs.close()
    idle.open()
    assert idle.state(first) is State.STOPPED
    refused("not-found", idle.jobs.stop, "unknown", keep)


def test_a_running_job_is_stopped_and_leaves_nothing(desk):
    id = desk.submit(iterations=LONG)
    desk.running(id)
    job = desk.jobs.stop(id, keep=False)
    assert (job.state, job.phase) == (State.RUNNING, "stopping")
    desk.jobs.stop(id, keep=False)
    job = desk.follow(id)
    assert (job.state, job.has_result, job.phase) == (State.STOPPED, False, "finished")
    desk.done(desk.submit(2))


def test_a_running_job_is_stopped_and_kept(desk):
    id = desk.submit(4, iterations=LONG)
    desk.running(id)
    desk.jobs.stop(id, keep=True)
    job = desk.follow(id)
    assert (job.state, job.has_result) == (State.STOPPED, True)
    assert 0 < job.iteration < LONG
    assert is_result(desk.image(id), 4)


def test_stopping_what_has_ended_changes_nothing(desk):
    for id in (desk.submit(1), desk.submit(2, seed=FAIL)):
        job = desk.follow(id)
        assert desk.jobs.stop(id, keep=False) == job


def test_a_stop_is_kept_when_the_worker_dies_of_it(desk):
    id = desk.submit(iterations=1, seed=DEAF)
    desk.follow(id, lambda job: job.state is State.RUNNING and job.iterations)
    desk.jobs.stop(id, keep=False)
    os.kill(desk.workers[0]._process.pid, signal.SIGKILL)
    assert desk.follow(id).state is State.STOPPED
    assert len(desk.began(id)) == 1


def test_a_stop_that_was_promised_holds_when_the_daemon_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_GRACE_S", 0.5)
    desk = Desk(tmp_path / "home")
    with desk.open():
        id = desk.submit(iterations=1, seed=DEAF)
        desk.follow(id, lambda job: job.state is State.RUNNING and job.iterations)
        desk.jobs.stop(id, keep=False)
    with desk.open():
        assert desk.state(id) is State.STOPPED


def gone(desk, id):
    refused("not-found", desk.jobs.get, id)
    assert not desk.folder(id).exists()
    assert id not in [record.id for record in desk.jobs.store.records()]


def test_jobs_are_forgotten_in_every_state(desk):
    done = desk.done(desk.submit(1)).id
    failed = desk.follow(desk.submit(2, seed=FAIL)).id
    stopped = desk.submit(3, iterations=LONG)
    desk.running(stopped)
    desk.jobs.stop(stopped, keep=True)
    desk.follow(stopped)
    running = desk.submit(4, iterations=LONG)
    desk.running(running)
    queued = desk.submit(5)
    for id in (done, failed, stopped, running):
        desk.jobs.forget(id)
        refused("not-found", desk.jobs.get, id)
        refused("not-found", desk.jobs.forget, id)
        refused("not-found", desk.jobs.result, id)
    until(lambda: not desk.folder(running).exists())
    assert is_result(desk.image(desk.done(queued).id), 5)
    desk.jobs.forget(queued)
    for id in (done, failed, stopped, running, queued):
        gone(desk, id)
    assert list((desk.settings.store / "pictures").iterdir()) == []


def test_a_queued_job_is_forgotten(idle):
    first, second = idle.submit(1), idle.submit(2)
    idle.jobs.forget(first)
    gone(idle, first)
    assert idle.queue() == [second]
    assert len(list((idle.settings.store / "pictures").iterdir())) == 1


def test_a_job_that_is_forgotten_by_two_at_once_is_forgotten_once(idle, monkeypatch):
    both = threading.Barrier(2)
    whole = idle.jobs._ledger.forget
    troubles = []

    def together(id):
        both.wait()  # each has found it
        whole(id)

    def one():
        try:
            idle.jobs.forget(id)
        except BaseException as error:
            troubles.append(error)

    monkeypatch.setattr(idle.jobs._ledger, "forget", together)
    id = idle.submit(1)
    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    gone(idle, id)


def test_what_was_forgotten_while_the_store_could_not_be_written_is_forgotten_later(idle, monkeypatch, caplog):
    id = idle.submit(1)
    whole = Store._delete

    def broken(store, ids):
        raise ScumbleError("cannot-write", "The jobs cannot be written.")

    monkeypatch.setattr(Store, "_delete", broken)
    idle.jobs.forget(id)
    refused("not-found", idle.jobs.get, id)
    assert len(idle.jobs.store.records()) == 1
    time.sleep(0.3)
    assert caplog.text.count("The jobs cannot be written.") == 1  # however often it was tried
    monkeypatch.setattr(Store, "_delete", whole)
    until(lambda: not idle.jobs.store.records())


def test_a_worker_that_dies_over_a_forgotten_job_leaves_nothing_of_it(desk):
    id = desk.submit(seed=DEAF)
    desk.follow(id, lambda job: job.state is State.RUNNING and job.iterations)
    desk.jobs.forget(id)
    desk.folder(id).mkdir()  # as if it had written on
    os.kill(desk.workers[0]._process.pid, signal.SIGKILL)
    until(lambda: not desk.folder(id).exists())


# -------------------------------------------------------------------------------------------------------------- leases


def test_a_lease_ends_jobs_that_nobody_asks_after(desk):
    running = desk.submit(1, iterations=LONG, lease_s=0.5)
    queued = desk.submit(2, iterations=LONG, lease_s=0.5)
    kept = desk.submit(3)
    until(lambda: all(record.state is State.STOPPED for record in desk.jobs.store.records()[:2]))
    for id in (running, queued):
        job = desk.jobs.get(id)
        assert job.state is State.STOPPED
        assert job.warnings == ["Nobody asked after it for 0.5 s, so it was stopped."]
        assert not job.has_result
    desk.done(kept)


def test_a_wait_that_is_held_open_renews_the_lease(idle):
    id = idle.submit(1, lease_s=0.4)
    job = idle.jobs.wait(id, idle.jobs.get(id).seq, 1.5)
    assert job.state is State.QUEUED
    for _ in range(5):
        time.sleep(0.15)
        assert idle.jobs.get(id).state is State.QUEUED
    until(lambda: idle.jobs.list()[0].state is State.STOPPED)  # a list asks after nobody


def test_a_lease_begins_anew_with_the_daemon(tmp_path):
    desk = Desk(tmp_path / "home")
    desk.mood("silent")
    with desk.open():
        id = desk.submit(1, lease_s=86_400.0)
    with desk.open():
        live = desk.jobs._ledger.find(id)
        assert live.record.order.lease_s == 86_400.0
        assert not live.is_abandoned
        live.asked -= 86_401
        assert live.is_abandoned
        until(lambda: live.state is State.STOPPED)


# --------------------------------------------------------------------------------------------------------------- waits


class Waiting(threading.Thread):
    """Somebody who waits for a job."""

    def __init__(self, jobs, id, after):
        super().__init__()
        self.jobs, self.id, self.after = jobs, id, after
        self.job = self.took = None
        self.start()

    def run(self):
        began = time.monotonic()
        self.job = self.jobs.wait(self.id, self.after, PATIENCE_S)
        self.took = time.monotonic() - began

    def ended(self):
        self.join(PATIENCE_S / 2)
        assert not self.is_alive()
        return self.job


def is_waited_for(desk, id, count=1):
    return until(lambda: desk.jobs._ledger.find(id).waiting == count)


def test_who_waits_is_woken_by_a_change(idle):
    first, second = idle.submit(1), idle.submit(2)
    waiting = Waiting(idle.jobs, second, idle.jobs.get(second).seq)
    is_waited_for(idle, second)
    idle.jobs.stop(first, keep=False)
    assert waiting.ended().position == 0


def test_who_knows_less_is_answered_at_once(idle):
    id = idle.submit(1)
    job = idle.jobs.get(id)
    assert idle.jobs.wait(id, job.seq - 1, PATIENCE_S) == job
    assert idle.jobs.wait(id, job.seq + 7, PATIENCE_S) == job
    idle.jobs.stop(id, keep=False)
    job = idle.jobs.get(id)
    assert idle.jobs.wait(id, job.seq, PATIENCE_S) == job  # nothing more will come
    refused("not-found", idle.jobs.wait, "unknown", 0, PATIENCE_S)


def test_who_waits_too_long_is_answered_as_it_stands(idle):
    job = idle.jobs.get(idle.submit(1))
    assert idle.jobs.wait(job.id, job.seq, 0.1) == job


def test_who_waits_is_woken_when_the_daemon_ends_or_forgets(tmp_path):
    desk = Desk(tmp_path / "home")
    desk.mood("silent")
    with desk.open():
        first, second = desk.submit(1), desk.submit(2)
        one = Waiting(desk.jobs, first, desk.jobs.get(first).seq)
        two = Waiting(desk.jobs, second, desk.jobs.get(second).seq)
        is_waited_for(desk, first)
        is_waited_for(desk, second)
        desk.jobs.forget(second)
        assert two.ended().state is State.STOPPED
        one.ended()  # which is not told whether its place is another one
        one = Waiting(desk.jobs, first, desk.jobs.get(first).seq)
        is_waited_for(desk, first)
    assert one.ended().state is State.QUEUED


def test_too_many_who_wait_are_answered_at_once(idle, monkeypatch):
    monkeypatch.setattr(jobs_module, "WAITERS", 3)
    id = idle.submit(1)
    seq = idle.jobs.get(id).seq
    held = [Waiting(idle.jobs, id, seq) for _ in range(3)]
    is_waited_for(idle, id, 3)
    assert Waiting(idle.jobs, id, seq).ended().seq == seq
    assert all(each.is_alive() for each in held)
    idle.jobs.stop(id, keep=False)
    assert {each.ended().state for each in held} == {State.STOPPED}
    other = idle.submit(2)
    again = Waiting(idle.jobs, other, idle.jobs.get(other).seq)
    is_waited_for(idle, other)  # there is room again
    idle.jobs.stop(other, keep=False)
    again.ended()


# -------------------------------------------------------------------------------------------------------- end and again


def test_a_running_job_is_put_away_and_goes_on(tmp_path):
    desk = Desk(tmp_path / "home")
    with desk.open():
        running, queued = desk.submit(1, iterations=60), desk.submit(2)
        desk.follow(running, lambda job: job.iteration > 10)
        process = desk.workers[0]._process
    assert process.returncode == 0
    assert desk.diary("ended") == [["ended", running, "left"]]
    with contextlib.closing(Store(desk.settings.store, Limits())) as store:
        assert [record.state for record in store.records()] == [State.QUEUED] * 2
    with desk.open():
        assert desk.done(running).iteration == 60
        desk.done(queued)
        assert is_result(desk.image(running), 1)
        assert is_result(desk.image(queued), 2)
    first, second = desk.began(running)
    assert int(first[2]) == 0
    assert int(second[2]) >= 10


def test_the_time_that_was_worked_on_a_job_is_kept_when_it_is_put_away(tmp_path):
    desk = Desk(tmp_path / "home")
    with desk.open():
        id = desk.submit(1, iterations=LONG)
        worked = desk.follow(id, lambda job: job.iteration > 10).seconds
        assert worked > 0
    desk.mood("silent")
    with desk.open():
        assert desk.jobs.get(id).seconds >= worked


CHILD = """
import sys, threading
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_jobs import Desk
desk = Desk(Path(sys.argv[1])).open()
for n in range(3):
    print(desk.submit(n, iterations=150 if n == 0 else 1), flush=True)
desk.follow(desk.jobs.list()[-1].id, lambda job: job.iteration > 20)
print("now", flush=True)
threading.Event().wait()
"""


def test_jobs_survive_that_the_daemon_is_killed(tmp_path):
    home = tmp_path / "home"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(home), str(Path(__file__).parent)], stdout=subprocess.PIPE
    )
    with child:
        told = [child.stdout.readline().decode().strip() for _ in range(4)]
        child.kill()
    assert told.pop() == "now"
    with Desk(home).open() as desk:
        for number, id in enumerate(told):
            desk.done(id)
            assert is_result(desk.image(id), number)
        resumed = [int(words[2]) for words in desk.began(told[0])]
        assert resumed[0] == 0
        assert resumed[-1] > 0
        assert len(desk.began()) == 4


def test_a_job_whose_painting_was_done_is_not_painted_again(tmp_path):
    desk = Desk(tmp_path / "home")
    with desk.open():
        id = desk.done(desk.submit(1)).id
        record = desk.jobs._ledger.find(id).record
        desk.jobs._ledger.save()
        # as it stood before the daemon heard of it, and before the worker had cleared up
        desk.jobs.store.update([record.changed(state=State.RUNNING, result=None, warnings=())])
        (desk.folder(id) / "checkpoint.safetensors").write_bytes(b"of the last iteration")
    with desk.open():
        job = desk.jobs.get(id)
        assert (job.state, job.has_result, job.warnings) == (State.DONE, True, ["It is a fake."])
        assert is_result(desk.image(id), 1)
        until(lambda: desk.jobs.store.records()[0].state is State.DONE)
    assert len(desk.began(id)) == 1
    assert not (desk.folder(id) / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("damage", [b"", b"{", b'{"say": "left", "job": "x"}', random.Random(99).randbytes(99)])
def test_a_damaged_note_of_what_was_painted_is_painted_again(tmp_path, damage):
    desk = Desk(tmp_path / "home")
    with desk.open():
        id = desk.done(desk.submit(1)).id
        record = desk.jobs._ledger.find(id).record
        desk.jobs._ledger.save()
        desk.jobs.store.update([record.changed(state=State.RUNNING, result=None)])
        (desk.folder(id) / "painted.json").write_bytes(damage)
    with desk.open():
        desk.done(id)
        assert len(desk.began(id)) == 2


def test_what_a_worker_says_last_is_heard(tmp_path, monkeypatch):
    """It paints on for a second when it is to leave, and the daemon waits for it, and until it has understood."""
    desk = Desk(tmp_path / "home")
    with desk.open():
        (worker,) = desk.workers
        whole = worker._heard

        def slowly(worker, word):
            time.sleep(0.5 if isinstance(word, say.Painted) else 0)
            whole(worker, word)

        monkeypatch.setattr(worker, "_heard", slowly)
        id = desk.submit(1, iterations=60, seed=LAST_WORDS)
        desk.running(id)
    assert desk.jobs._ledger.find(id).state is State.DONE
    store = Store(desk.settings.store, Limits())
    assert store.records()[0].state is State.DONE
    store.close()


def test_a_worker_that_does_not_leave_is_ended_by_force(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_GRACE_S", 0.3)
    desk = Desk(tmp_path / "home")
    with desk.open():
        id = desk.submit(1, seed=DEAF)
        desk.follow(id, lambda job: job.state is State.RUNNING and job.iterations)
        process = desk.workers[0]._process
    assert process.returncode == -signal.SIGKILL
    assert desk.jobs._ledger.find(id).state is State.QUEUED
    assert desk.jobs._ledger.find(id).record.crashes == 0


def test_a_daemon_that_is_stopping_takes_no_jobs(tmp_path):
    desk = Desk(tmp_path / "home")
    with desk.open():
        first = desk.submit(1, key="k")
    refused("stopping", desk.submit, 2)
    assert desk.submit(1, key="k") == first


def test_what_is_submitted_while_it_closes_is_kept_or_refused(tmp_path, monkeypatch):
    desk = Desk(tmp_path / "home", limits={"queue": 10_000}).open()
    until(lambda: desk.workers[0].is_free)
    told, troubles, is_closing = [], [], threading.Event()
    whole = Store.add

    def slow(store, record):
        if told:
            is_closing.wait()
            time.sleep(1)  # longer than a free worker needs to leave
        return whole(store, record)

    def hand_in():
        while not troubles:
            try:
                told.append(desk.submit(1, iterations=1))
            except ScumbleError as error:
                troubles.append(error.code)

    monkeypatch.setattr(Store, "add", slow)
    threads = [threading.Thread(target=hand_in) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: told and desk.jobs.list(state=State.DONE))
    is_closing.set()
    desk.jobs.close()
    for thread in threads:
        thread.join()
    assert set(troubles) == {"stopping"}
    with contextlib.closing(Store(desk.settings.store, Limits())) as store:
        assert {record.id for record in store.records()} == set(told)
    assert len(told) > 1


def test_an_end_before_the_beginning_is_quiet(tmp_path):
    desk = Desk(tmp_path / "home").open(start=False)
    desk.jobs.close()


# ------------------------------------------------------------------------------------------------------------- crashes


def test_a_crash_costs_a_try(desk):
    job = desk.done(desk.submit(1, seed=CRASH_ONCE))
    assert is_result(desk.image(job.id), 1)
    assert job.warnings[0] == "The painting process ended unexpectedly, and was started again."
    assert len(desk.began(job.id)) == 2
    assert len(desk.diary("woke")) == 2


def test_the_third_crash_is_the_last(desk):
    first, second = desk.submit(1, seed=CRASH), desk.submit(2)
    job = desk.follow(first)
    assert (job.state, job.problem.code) == (State.FAILED, "internal")
    assert "status 3" in job.problem.detail
    assert [words[1] for words in desk.began()][:3] == [first] * 3
    desk.done(second)
    assert len(desk.began(first)) == 3


def test_a_killed_job_is_tried_with_half_the_memory(desk):
    job = desk.done(desk.submit(1, seed=KILLED_ONCE))
    assert [words[3] for words in desk.began(job.id)] == ["None", str(MEMORY_MB // 2)]
    assert job.warnings[0] == "Memory did not suffice: it was painted again with half of it."


def test_a_job_that_is_killed_twice_is_tried_with_a_quarter(desk):
    job = desk.done(desk.submit(1, seed=KILLED_TWICE))
    assert [words[3] for words in desk.began(job.id)] == ["None", str(MEMORY_MB // 2), str(MEMORY_MB // 4)]


def test_a_job_that_is_killed_each_time_wants_too_much_memory(desk):
    job = desk.follow(desk.submit(1, seed=KILLED))
    assert (job.state, job.problem.code) == (State.FAILED, "out-of-memory")


@pytest.mark.parametrize(("mood", "code"), [("broken", "no-device"), ("crash", "internal")])
def test_jobs_fail_with_what_keeps_the_worker_from_starting_and_the_next_is_a_new_try(tmp_path, mood, code):
    desk = Desk(tmp_path / "home")
    desk.mood(mood)
    with desk.open():
        for number in (1, 2):
            ids = [desk.submit(number), desk.submit(number + 10)]
            for id in ids:
                job = desk.follow(id)
                assert (job.state, job.problem.code) == (State.FAILED, code)
        until(lambda: desk.workers[0].is_asleep)
        assert desk.jobs.health().devices[0].state == ("failed" if mood == "broken" else "asleep")
        desk.mood("")
        desk.done(desk.submit(3))


def test_a_worker_that_is_no_program_is_a_failure_too(tmp_path):
    desk = Desk(tmp_path / "home")
    with desk.open(command=(str(tmp_path / "nothing"),)):
        job = desk.follow(desk.submit(1))
        assert (job.state, job.problem.code) == (State.FAILED, "internal")


def test_all_devices_are_tried_again_after_all_have_failed(tmp_path):
    desk = Desk(tmp_path / "home", devices=("fake:a", "fake:b"))
    desk.mood("broken")
    with desk.open():
        assert desk.follow(desk.submit(1)).state is State.FAILED
        until(lambda: all(worker.is_asleep for worker in desk.workers))
        desk.mood("")
        ids = [desk.submit(n, iterations=30) for n in range(4)]
        for id in ids:
            desk.done(id)
        until(lambda: all(worker.ready for worker in desk.workers))


def test_a_worker_that_never_gets_ready_can_be_sent_home(idle):
    assert idle.jobs.health().devices[0].state == "starting"
    until(lambda: idle.diary("woke"))
    assert idle.jobs.health().features is None


def test_a_worker_that_does_not_listen_holds_nobody_up(tmp_path, monkeypatch):
    """Neither a recipe that no pipe can hold nor anything else waits for it."""
    monkeypatch.setattr(workers, "_GRACE_S", 0.5)
    desk = Desk(tmp_path / "home")
    desk.mood("deaf")
    with desk.open():
        until(lambda: desk.workers[0].is_free)
        styles = [{"picture": f"{n}" * 20_000} for n in range(16)]
        with desk.jobs.store.batch() as batch:
            order = desk.order(1, batch=batch)
            order = replace(order, recipe=order.recipe.changed(styles=styles))
            id = desk.jobs.submit(order)[0].id
        assert desk.state(id) is State.RUNNING
        assert desk.jobs.health().running == 1
        desk.jobs.stop(id, keep=False)
        second = desk.submit(2)
        assert desk.queue() == [second]


def test_a_listener_survives_whatever_goes_wrong_while_it_hears(desk, monkeypatch, caplog):
    whole = desk.jobs._crew._heard
    troubles = []

    def broken(worker, word):
        whole(worker, word)
        if not troubles:
            troubles.append(word)
            raise ZeroDivisionError

    for worker in desk.workers:
        monkeypatch.setattr(worker, "_heard", broken)
    desk.done(desk.submit(1, iterations=10))
    assert troubles
    assert "Something went wrong" in caplog.text


# ------------------------------------------------------------------------------------------------------------- results


@pytest.mark.parametrize("damage", ["rot", "gone"])
def test_a_damaged_result_is_painted_anew(desk, damage):
    id = desk.done(desk.submit(1)).id
    file = desk.folder(id) / "result.png"
    if damage == "rot":
        data = bytearray(file.read_bytes())
        data[-20] ^= 1
        file.write_bytes(data)
    else:
        file.unlink()
    assert "anew" in refused("wrong-state", desk.jobs.result, id)
    job = desk.done(id)
    assert "The result was damaged on the disk, and was painted anew." in job.warnings
    assert is_result(desk.image(id), 1)
    assert len(desk.began(id)) == 2


def test_a_result_that_cannot_be_read_just_now_is_not_painted_anew(desk, monkeypatch):
    id = desk.done(desk.submit(1)).id
    path_type = type(desk.settings.home)
    whole = path_type.read_bytes

    def broken(path):
        if path.name == "result.png":
            raise OSError(24, "Too many open files")
        return whole(path)

    monkeypatch.setattr(path_type, "read_bytes", broken)
    assert "Too many open files" in refused("internal", desk.jobs.result, id)
    monkeypatch.undo()
    assert desk.state(id) is State.DONE
    assert is_result(desk.image(id), 1)


def test_a_result_that_is_let_go_while_it_is_fetched_is_gone_and_not_painted_anew(desk, monkeypatch):
    id = desk.done(desk.submit(1)).id
    path_type = type(desk.settings.home)
    whole = path_type.read_bytes

    def slow(path):
        if path.name == "result.png":
            desk.jobs._ledger.let_go(desk.jobs._ledger.find(id))
        return whole(path)

    monkeypatch.setattr(path_type, "read_bytes", slow)
    refused("result-gone", desk.jobs.result, id)
    job = desk.jobs.get(id)
    assert (job.state, job.has_result) == (State.DONE, False)
    monkeypatch.undo()
    refused("result-gone", desk.jobs.result, id)
    assert len(desk.began(id)) == 1


def test_letting_go_leaves_alone_what_is_painted_anew(desk):
    id = desk.done(desk.submit(1, iterations=20)).id
    live = desk.jobs._ledger.find(id)
    (desk.folder(id) / "result.png").unlink()
    refused("wrong-state", desk.jobs.result, id)
    desk.jobs._ledger.let_go(live)
    desk.done(id)
    assert is_result(desk.image(id), 1)


def test_being_fetched_is_remembered(tmp_path):
    desk = Desk(tmp_path / "home")
    with desk.open():
        id = desk.done(desk.submit(1)).id
        assert not desk.jobs._ledger.find(id).record.was_fetched
        desk.jobs.fetched(id)
        desk.jobs.fetched("unknown")
    with desk.open():
        assert desk.jobs._ledger.find(id).record.was_fetched


def kept(desk, ids):
    return [desk.jobs.get(id).has_result for id in ids]


def test_old_results_make_room_fetched_ones_first(tmp_path):
    desk = Desk(tmp_path / "home", limits={"results": 100})
    with desk.open():
        ids = [desk.done(desk.submit(n)).id for n in range(6)]
        for id in (ids[3], ids[1]):
            desk.jobs.fetched(id)
        assert kept(desk, ids) == [True] * 6
    for limit, wanted in ((5, [1, 0, 1, 1, 1, 1]), (4, [1, 0, 1, 0, 1, 1]), (2, [0, 0, 0, 0, 1, 1])):
        desk.settings = replace(desk.settings, limits=replace(desk.settings.limits, results=limit))
        with desk.open():
            until(lambda wanted=wanted: kept(desk, ids) == list(map(bool, wanted)))
            time.sleep(0.3)
            assert kept(desk, ids) == list(map(bool, wanted))
            for id, is_kept in zip(ids, wanted, strict=True):
                if is_kept:
                    desk.image(id)
                else:
                    refused("result-gone", desk.jobs.result, id)
                    refused("not-found", desk.jobs.preview, id)
                    assert [path.name for path in desk.folder(id).iterdir()] == ["job.json"]
                    assert desk.state(id) is State.DONE
            assert len(list((desk.settings.store / "pictures").iterdir())) == sum(wanted)


def test_results_take_no_more_bytes_than_the_limit_with_their_inputs(tmp_path):
    desk = Desk(tmp_path / "home")
    with desk.open():
        ids = [desk.done(desk.submit(n)).id for n in range(3)]
        live = [desk.jobs._ledger.find(id) for id in ids]
        room, all_of_it = desk.jobs._house._bytes(live[1:]), desk.jobs._house._bytes(live)
        files = [*(desk.settings.store / "pictures").iterdir(), *(desk.settings.store / "jobs").glob("*/*")]
        assert all_of_it == sum(file.stat().st_size for file in files)
        assert 0 < room < all_of_it
    desk.settings = replace(desk.settings, limits=replace(desk.settings.limits, results_bytes=room + 2000))
    with desk.open():
        until(lambda: kept(desk, ids) == [False, True, True])
        time.sleep(0.3)
        assert kept(desk, ids) == [False, True, True]


def test_no_more_results_go_than_make_room_on_a_tight_disk(tmp_path, monkeypatch):
    """What a job's inputs take counts: they go with its result."""
    desk = Desk(tmp_path / "home")
    with desk.open():
        ids = [desk.done(desk.submit(n)).id for n in range(4)]
        for id in ids[:3]:
            desk.jobs.fetched(id)
        pictures = desk.settings.store / "pictures"

        def tight(store, wanted_bytes=0):
            if len(list(pictures.iterdir())) > 2:
                raise ScumbleError("disk-full", "It is tight.")

        monkeypatch.setattr(Store, "check_room", tight)
        until(lambda: kept(desk, ids) == [False, False, True, True])
        time.sleep(0.3)
        assert kept(desk, ids) == [False, False, True, True]


def test_a_tight_disk_costs_no_results_that_nobody_has_yet(tmp_path, monkeypatch):
    desk = Desk(tmp_path / "home")
    with desk.open():
        ids = [desk.done(desk.submit(n)).id for n in range(3)]
        desk.jobs.fetched(ids[1])

        def tight(store, wanted_bytes=0):
            raise ScumbleError("disk-full", "It is tight.")

        monkeypatch.setattr(Store, "check_room", tight)
        until(lambda: kept(desk, ids) == [True, False, True])
        time.sleep(0.3)
        assert kept(desk, ids) == [True, False, True]


def test_old_jobs_are_forgotten_in_the_end(tmp_path):
    with Desk(tmp_path / "home", limits={"jobs": 3}).open() as desk:
        ids = [desk.done(desk.submit(n)).id for n in range(5)]
        until(lambda: [job.id for job in desk.jobs.list()] == ids[:1:-1])
        for id in ids[:2]:
            gone(desk, id)
        running = desk.submit(9, iterations=LONG)
        desk.running(running)
        waiting = [desk.submit(n, iterations=LONG) for n in range(4)]
        until(lambda: [job.id for job in desk.jobs.list()] == [*waiting[::-1], running])  # which are not old


# ------------------------------------------------------------------------------------------------------------- go on


def test_a_job_goes_on_from_another_with_changes(desk):
    first = desk.done(desk.submit(3, names=("style",))).id
    request = ContinueRequest(iterations=4, changes={"strength": 80}, lease_s=50.0)
    job, was_there = desk.jobs.go_on(first, request, "k")
    assert not was_there
    assert (job.continues, job.lease_s) == (first, 50.0)
    assert job.recipe["strength"] == 80
    assert job.recipe["iterations"] == [4]
    assert (job.recipe["start"], job.recipe["start_picture"]) == ("picture", "scumble:result")
    assert desk.done(job.id).iterations == 4
    order = desk.jobs._ledger.find(job.id).record.order
    digest = desk.jobs.result(first)[1]
    assert [(each.name, each.digest == digest) for each in order.pictures] == [
        ("style", False),
        ("scumble:result", True),
    ]
    assert desk.jobs.go_on(first, request, "k") == (desk.jobs.get(job.id), True)
    refused("key-reused", desk.jobs.go_on, first, ContinueRequest(iterations=5), "k")
    desk.jobs.forget(first)
    third = desk.jobs.go_on(job.id, ContinueRequest(), None)[0]  # its pictures are its own
    desk.done(third.id)


def test_what_cannot_go_on_is_refused(desk):
    running = desk.submit(1, iterations=LONG, names=("style",))
    desk.running(running)
    refused("wrong-state", desk.jobs.go_on, running, ContinueRequest(), None)
    refused("not-found", desk.jobs.go_on, "unknown", ContinueRequest(), None)
    desk.jobs.stop(running, keep=True)
    desk.follow(running)
    count = len(desk.jobs.list())
    changes = {"styles": [{"picture": "another"}]}
    assert "'another'" in refused("missing-picture", desk.jobs.go_on, running, ContinueRequest(changes=changes), None)
    refused("bad-recipe", desk.jobs.go_on, running, ContinueRequest(changes={"strength": 1000}), None)
    for changes in ({"selection": "another"}, {"feather_px": 3}):
        refused("bad-recipe", desk.jobs.go_on, running, ContinueRequest(changes=changes), None)
    desk.jobs._ledger.let_go(desk.jobs._ledger.find(running))
    refused("result-gone", desk.jobs.go_on, running, ContinueRequest(), None)
    assert len(desk.jobs.list()) == count


def test_the_pictures_stay_when_a_job_is_let_go_while_another_goes_on_from_it(desk, monkeypatch):
    first = desk.done(desk.submit(3)).id
    whole = desk.jobs.submit

    def slow(order):
        desk.jobs._ledger.let_go(desk.jobs._ledger.find(first))
        desk.jobs._ledger.sweep()
        return whole(order)

    monkeypatch.setattr(desk.jobs, "submit", slow)
    job, _ = desk.jobs.go_on(first, ContinueRequest(), None)
    assert is_result(desk.image(desk.done(job.id).id), 3)


# ---------------------------------------------------------------------------------------------------------------- masks


def masked(desk, crop=None, **fields):
    """A job that waits, with a mask of which the left half is white, and gray at its right end."""
    mask = np.zeros((6, 8, 1), np.uint8)
    mask[:, :4], mask[:, 7] = 255, 51
    content = np.full((6, 8, 4), 200, np.uint8)
    content[5, :, 3] = 0
    recipe = Recipe.parse({"styles": [{"picture": "style"}], "selection": "mask", **fields})
    with desk.jobs.store.batch() as batch:
        known = {"mask": encode(Picture(mask), "png"), "style": png(picture(3))}
        pictures = tuple(Input(name, batch.put(data)) for name, data in known.items())
        given = Input("content", batch.put(encode(Picture(content), "png")), crop)
        width, height = (crop.width, crop.height) if crop else (8, 6)
        return desk.jobs.submit(Order(recipe, given, pictures, width, height, None))[0].id


def test_a_mask_is_told_from_the_moment_a_job_is_accepted_to_the_end_of_its_inputs(tmp_path):
    wanted = np.zeros((6, 8, 1), np.uint8)
    wanted[:5, :4], wanted[:5, 7] = 255, 51
    with Alone(tmp_path / "home") as desk:
        id = masked(desk)
        found = desk.jobs.mask(id)
        assert (found.depth, found.pixels.tolist()) == ("uint8", wanted.tolist())
        soft = desk.jobs.mask(masked(desk, feather_px=3)).pixels[..., 0]
        assert (soft[:5, 0] == 255).all()
        assert (np.diff(soft[0, :4].astype(int)) < 0).any()
        assert (soft[wanted[..., 0] == 0] == 0).all()
        refused("not-found", desk.jobs.mask, "unknown")
        desk.jobs.stop(id, keep=False)
        assert desk.jobs.mask(id).pixels.tolist() == wanted.tolist()
        desk.jobs._ledger.let_go(desk.jobs._ledger.find(id))
        refused("result-gone", desk.jobs.mask, id)
        refused("result-gone", desk.jobs.order, id)


def test_a_mask_fits_the_part_of_a_content_that_is_used(tmp_path):
    with Alone(tmp_path / "home") as desk:
        id = masked(desk, Rectangle(x=1, y=2, width=4, height=4), selection=None)
        assert desk.jobs.mask(id).pixels[..., 0].tolist() == [[255] * 4] * 3 + [[0] * 4]


def test_a_mask_needs_no_styles_and_is_refused_where_its_pictures_are_damaged(tmp_path):
    with Alone(tmp_path / "home") as desk:
        id = masked(desk)
        inputs = {each.name: each for each in desk.jobs.order(id).pictures}
        path = desk.jobs.store.blobs.path
        path(inputs["style"].digest).unlink()
        desk.jobs.mask(id)
        path(inputs["mask"].digest).write_bytes(b"nonsense")
        refused("bad-picture", desk.jobs.mask, id)
        path(inputs["mask"].digest).unlink()
        refused("result-gone", desk.jobs.mask, id)


def test_the_pictures_stay_while_a_mask_is_made_of_them(tmp_path, monkeypatch):
    with Alone(tmp_path / "home") as desk:
        id = masked(desk)
        desk.jobs.stop(id, keep=False)
        read = jobs_module.read

        def slow(*given):
            desk.jobs._ledger.let_go(desk.jobs._ledger.find(id))
            desk.jobs._ledger.sweep()
            return read(*given)

        monkeypatch.setattr(jobs_module, "read", slow)
        assert desk.jobs.mask(id).pixels.max() == 255
        refused("result-gone", desk.jobs.mask, id)


def test_asking_for_a_mask_renews_the_lease(tmp_path):
    with Alone(tmp_path / "home") as desk:
        id = masked(desk)
        before = desk.jobs._ledger.find(id).asked = time.monotonic() - 50
        desk.jobs.mask(id)
        assert desk.jobs._ledger.find(id).asked > before + 49


# ------------------------------------------------------------------------------------------------- workers and devices


def test_an_idle_worker_goes_home_and_is_woken_by_a_job_and_by_a_question(tmp_path):
    request = EstimateRequest(recipe={"iterations": [3]}, width=8, height=6)
    with Desk(tmp_path / "home", idle_s=0.3).open() as desk:
        for wake in (lambda: desk.done(desk.submit(1)), lambda: desk.jobs.estimate(request)):
            until(lambda: desk.workers[0].is_asleep and desk.jobs.health().devices[0].state == "asleep")
            before = len(desk.diary("woke"))
            wake()
            assert len(desk.diary("woke")) == before + 1
        assert desk.jobs.health().devices[0].state in {"ready", "asleep"}


def test_a_worker_with_work_does_not_go_home(tmp_path):
    with Desk(tmp_path / "home", idle_s=0.1).open() as desk:
        desk.done(desk.submit(1, iterations=40))
        assert len(desk.began()) == 1


def test_two_devices_work_at_the_same_time(tmp_path):
    with Desk(tmp_path / "home", devices=("fake:a", "fake:b")).open() as desk:
        ids = [desk.submit(n, iterations=LONG) for n in range(3)]
        jobs = [desk.running(id) for id in ids[:2]]
        assert {job.device for job in jobs} == {"fake:a", "fake:b"}
        assert desk.queue() == ids[2:]
        health = desk.jobs.health()
        assert (health.running, health.queued) == (2, 1)
        assert sorted(device.job for device in health.devices) == sorted(ids[:2])
        desk.jobs.stop(ids[1], keep=True)
        desk.running(ids[2])
        assert is_result(desk.image(ids[1]), 1)


def test_a_job_is_given_to_one_of_two_who_are_free(tmp_path):
    with Desk(tmp_path / "home", devices=("fake:a", "fake:b")).open() as desk:
        until(lambda: all(worker.is_free for worker in desk.workers))
        first = desk.submit(1, iterations=10)
        desk.done(first)
        second = desk.submit(2, iterations=10)
        desk.done(second)
        until(lambda: all(worker.is_free for worker in desk.workers))
        assert [words[1] for words in desk.began()] == [first, second]


def test_auto_takes_all_devices_of_its_kind(tmp_path):
    desk = Desk(tmp_path / "home")
    desk.mood("two")
    with desk.open():
        ids = [desk.submit(n, iterations=LONG) for n in range(2)]
        assert {desk.running(id).device for id in ids} == {"fake:0", "fake:1"}
        assert [device.name for device in desk.jobs.health().devices] == ["fake:0", "fake:1"]


def test_health_says_how_it_stands(desk):
    running, queued = desk.submit(1, iterations=LONG), desk.submit(2)
    desk.running(running)
    until(lambda: desk.jobs.health().disk_free_mb)
    health = desk.jobs.health()
    assert (health.name, health.protocol, health.pid) == ("scumble", 1, os.getpid())
    assert (health.queued, health.running, health.queue_limit) == (1, 1, 256)
    assert health.features == "fake"
    assert health.home == str(desk.settings.home)
    assert health.instance == desk.jobs.instance
    assert health.uptime_s > 0
    (device,) = health.devices
    assert (device.name, device.state, device.job, device.description) == ("fake:0", "painting", running, "a fake")
    assert (device.memory_used_mb, device.memory_free_mb) == (1, 2)
    assert "secret" not in repr(health)
    assert desk.jobs.list(1)[0].id == queued
    assert [job.id for job in desk.jobs.list(state=State.RUNNING)] == [running]


# ----------------------------------------------------------------------------------------------------------- trainings


def learning(desk, id, steps=3):
    return desk.follow(id, lambda job: job.state is State.RUNNING and job.iteration >= steps)


def test_a_training_is_told_of_and_ends_with_a_model(desk):
    id = desk.train(steps=10)
    job = learning(desk, id)
    assert (job.kind, job.phase, job.iterations, job.model) == (Kind.TRAIN, "training", 10, None)
    job = desk.done(id)
    assert (job.model, job.has_result, job.iteration) == ("learnt", True, 10)
    assert desk.image(id).size == (8, 6)
    refused("not-found", desk.jobs.mask, id)
    refused("wrong-state", desk.jobs.go_on, id, ContinueRequest(), None)


def test_a_training_makes_way_for_a_painting_and_goes_on_from_where_it_was(desk):
    training = desk.train()
    reached = learning(desk, training).iteration
    painting = desk.submit(3, iterations=5)
    assert is_result(desk.image(desk.done(painting).id), 3)
    job = learning(desk, training, reached + 5)
    assert job.warnings == []
    told = [words for words in desk.diary() if words[0] in {"began", "ended", "puts"}]
    assert [words[:2] for words in told[:6]] == [
        ["began", training],
        ["puts", training],
        ["ended", training],
        ["began", painting],
        ["ended", painting],
        ["began", training],
    ]
    assert int(desk.began(training)[1][2]) >= reached


def test_a_training_begins_after_all_paintings_that_wait_also_one_that_came_later(desk):
    first = desk.submit(1, iterations=20)
    training = desk.train(steps=2)
    second, third = desk.submit(2), desk.submit(3)
    assert desk.queue()[-1] == training
    desk.done(training)
    assert [words[1] for words in desk.began()] == [first, second, third, training]


def test_no_training_begins_while_a_painting_waits_for_room(desk):
    painting = desk.submit(seed=NO_ROOM)
    until(lambda: desk.began(painting))
    training = desk.train(steps=2)
    time.sleep(0.3)
    assert desk.state(training) is State.QUEUED
    assert not desk.began(training)


def test_a_training_does_not_make_way_for_what_cannot_be_begun(desk, monkeypatch):
    training = desk.train()
    learning(desk, training)
    monkeypatch.setattr(desk.jobs._crew, "_has_room", lambda live: live.kind is Kind.TRAIN)
    desk.submit()
    learning(desk, training, desk.jobs.get(training).iteration + 10)
    assert not desk.diary("puts")


def test_moves_keep_trainings_behind_paintings_and_paintings_in_their_order(idle):
    first, training, second = idle.submit(1), idle.train(), idle.submit(2)
    assert idle.queue() == [first, second, training]
    idle.jobs.move(second, 0)
    idle.jobs.move(training, 0)
    assert idle.queue() == [second, first, training]
    other = idle.train()
    idle.jobs.move(other, 0)
    assert idle.queue() == [second, first, other, training]


def test_only_as_many_trainings_make_way_as_paintings_come(tmp_path):
    desk = Desk(tmp_path / "home")
    desk.mood("two")
    with desk.open():
        trainings = [desk.train(), desk.train()]
        for each in trainings:
            learning(desk, each)
        desk.done(desk.submit(iterations=20))
        assert len(desk.diary("puts")) == 1


def test_a_training_that_is_stopped_while_it_is_put_away_is_kept_or_not(desk):
    for keep, model in ((True, "learnt"), (False, None)):
        training = desk.train()
        reached = learning(desk, training).iteration
        painting = desk.submit(iterations=LONG)
        desk.running(painting)
        job = desk.jobs.stop(training, keep)
        assert (job.state, job.phase) == ((State.QUEUED, "stopping") if keep else (State.STOPPED, "finished"))
        desk.jobs.stop(painting, False)
        job = desk.follow(training)
        assert (job.state, job.model, job.has_result) == (State.STOPPED, model, keep)
        assert job.iteration >= reached
        assert not (desk.folder(training) / say.CHECKPOINT).exists()


def test_a_training_that_was_never_begun_is_stopped_with_nothing(idle):
    job = idle.jobs.stop(idle.train(), keep=True)
    assert (job.state, job.has_result, job.model) == (State.STOPPED, False, None)


def test_a_stop_that_comes_while_a_training_is_being_put_away_is_not_lost(desk):
    for keep, model in ((True, "learnt"), (False, None)):
        training = desk.train(seed=LAST_WORDS)
        learning(desk, training)
        painting = desk.submit()
        until(lambda training=training: ["puts", training] in desk.diary("puts"))
        desk.jobs.stop(training, keep)
        job = desk.follow(training)
        assert (job.state, job.model) == (State.STOPPED, model)
        desk.done(painting)


def test_a_training_outlives_its_worker(desk):
    job = desk.done(desk.train(steps=8, seed=KILLED_ONCE))
    assert (job.iteration, job.model) == (8, "learnt")
    assert [int(words[2]) for words in desk.began(job.id)] == [0, 5]
    assert job.warnings == ["The painting process ended unexpectedly, and was started again."]


def test_a_training_and_a_stop_to_keep_it_outlive_the_daemon(tmp_path):
    desk = Desk(tmp_path / "home")
    with desk.open():
        going, ending = desk.train(), desk.train()
        reached = learning(desk, going).iteration
    with desk.open():
        learning(desk, going, reached + 2)
        desk.jobs.stop(going, keep=True)
        desk.follow(going)
        reached = learning(desk, ending).iteration
        desk.running(desk.submit(iterations=LONG))
        assert desk.jobs.stop(ending, keep=True).state is State.QUEUED
    with desk.open():
        painting = next(job for job in desk.jobs.list() if job.kind is Kind.PAINT)
        desk.jobs.stop(painting.id, keep=False)
        job = desk.follow(ending)
        assert (job.state, job.model) == (State.STOPPED, "learnt")
        assert job.iteration >= reached


def test_the_lease_of_a_training_that_is_to_be_kept_does_not_end(desk):
    training = desk.train(lease_s=0.3)
    learning(desk, training)
    painting = desk.submit(iterations=LONG)
    desk.running(painting)
    desk.jobs.stop(training, keep=True)
    time.sleep(0.8)
    desk.jobs.stop(painting, keep=False)
    assert desk.follow(training).model == "learnt"


def test_a_training_that_nobody_asks_after_is_stopped(desk):
    training = desk.train(lease_s=0.3)
    learning(desk, training)
    time.sleep(0.8)
    job = desk.follow(training)
    assert (job.state, job.model) == (State.STOPPED, None)


def test_a_training_posted_twice_under_one_key_is_one(desk):
    first = desk.train(steps=2, key="k")
    assert desk.train(steps=2, key="k") == first
    refused("key-reused", desk.train, 3, key="k")


def test_a_damaged_report_does_not_train_again(desk):
    id = desk.done(desk.train(steps=2)).id
    (desk.folder(id) / "result.png").write_bytes(b"damage")
    refused("result-gone", desk.jobs.result, id)
    assert (desk.state(id), len(desk.began(id))) == (State.DONE, 1)


# ----------------------------------------------------------------------------------------------------------- estimates


def test_an_estimate_is_answered_while_a_job_is_painted_and_learns_from_jobs(desk):
    def estimate(**fields):
        return desk.jobs.estimate(EstimateRequest(recipe={"iterations": [10]}, **fields))

    desk.running(desk.submit(1, iterations=LONG))
    found = estimate(width=100, height=50)
    assert (found.width, found.height, found.iterations, found.scales) == (100, 50, 10, 1)
    assert (found.features, found.device, found.memory_mb, found.is_measured) == ("fake", "fake:0", MEMORY_MB, False)
    part = estimate(width=100, height=50, bounds=Rectangle(x=90, y=40, width=10, height=10))
    assert (part.width, part.height) == (10, 10)
    refused("bad-request", estimate, width=100, height=50, bounds=Rectangle(x=91, y=40, width=10, height=10))
    refused("bad-request", estimate, width=100, height=50, bounds=Rectangle(x=0, y=41, width=10, height=10))
    refused("bad-recipe", desk.jobs.estimate, EstimateRequest(recipe={"iterations": 0}, width=1, height=1))
    refused("missing-weights", desk.jobs.estimate, EstimateRequest(recipe={"seed": FAIL}, width=1, height=1))
    desk.jobs.stop(desk.jobs.list()[0].id, keep=True)
    desk.follow(desk.jobs.list()[0].id)
    assert not estimate(width=100, height=50).is_measured  # a part of a job tells nothing
    desk.done(desk.submit(1, iterations=10))
    assert estimate(width=100, height=50).is_measured
    assert desk.jobs._crew._questions == {}


def test_an_estimate_of_a_worker_that_cannot_start_says_why(tmp_path):
    desk = Desk(tmp_path / "home")
    desk.mood("broken")
    with desk.open():
        until(lambda: desk.diary("woke") and desk.workers[0].is_asleep)
        refused("no-device", desk.jobs.estimate, EstimateRequest(recipe={}, width=1, height=1))


def test_an_estimate_is_answered_when_the_worker_dies_of_it(tmp_path):
    desk = Desk(tmp_path / "home")
    desk.mood("dies of questions")
    with desk.open():
        detail = refused("internal", desk.jobs.estimate, EstimateRequest(recipe={}, width=1, height=1))
        assert "status 4" in detail


def test_an_estimate_is_answered_when_the_worker_says_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_GRACE_S", 0.5)
    desk = Desk(tmp_path / "home")
    desk.mood("deaf")
    with desk.open():
        until(lambda: desk.workers[0].is_free)
        monkeypatch.setattr(crew, "_ANSWER_S", 0.3)
        refused("unreachable", desk.jobs.estimate, EstimateRequest(recipe={}, width=1, height=1))
        assert desk.jobs._crew._questions == {}


def test_an_estimate_is_answered_when_the_daemon_ends(tmp_path):
    desk = Desk(tmp_path / "home")
    desk.mood("silent")
    codes = []

    def ask():
        try:
            desk.jobs.estimate(EstimateRequest(recipe={}, width=1, height=1))
        except ScumbleError as error:
            codes.append(error.code)

    with desk.open():
        until(lambda: desk.diary("woke"))
        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(0.2)
    asking.join(30)
    assert codes == ["stopping"]


# ------------------------------------------------------------------------------------------------ clocks and full disks


@pytest.mark.parametrize("days", [-1, 1])
def test_a_wall_clock_that_jumps_changes_nothing(tmp_path, monkeypatch, days):
    with Desk(tmp_path / "home", idle_s=1000.0).open() as desk:
        running = desk.submit(1, iterations=60, lease_s=3600.0)
        queued = desk.submit(2, lease_s=3600.0)
        desk.running(running)
        whole = time.time
        monkeypatch.setattr(time, "time", lambda: whole() + days * 86_400)
        time.sleep(0.3)
        before = desk.jobs.get(running)
        assert before.seconds < 3600
        waited = desk.jobs.wait(queued, desk.jobs.get(queued).seq, 0.2)
        assert waited.state in {State.QUEUED, State.RUNNING, State.DONE}
        assert abs(desk.jobs.health().uptime_s) < 3600
        for id in (running, queued):
            assert desk.done(id).warnings == ["It is a fake."]
        assert not desk.workers[0].is_asleep
        assert [job.id for job in desk.jobs.list()] == [queued, running]


def test_what_cannot_be_saved_is_saved_later(tmp_path, monkeypatch):
    desk = Desk(tmp_path / "home")
    with desk.open():
        id = desk.submit(1, iterations=20)
        desk.running(id)
        whole = Store.update
        tries = []

        def full(store, records):
            tries.append(records)
            raise ScumbleError("disk-full", "The disk is full.")

        monkeypatch.setattr(Store, "update", full)
        desk.done(id)
        desk.jobs.fetched(id)
        until(lambda: len(tries) > 3)
        assert desk.jobs.store.records()[0].state is not State.DONE
        monkeypatch.setattr(Store, "update", whole)
        until(lambda: desk.jobs.store.records()[0].was_fetched)
        assert desk.jobs.store.records()[0].state is State.DONE
    assert len(desk.began()) == 1


def test_what_fails_unforeseen_while_saving_is_saved_later(desk, monkeypatch, caplog):
    id = desk.done(desk.submit(1)).id
    whole = Store.update

    def broken(store, records):
        raise ZeroDivisionError

    monkeypatch.setattr(Store, "update", broken)
    desk.jobs.fetched(id)
    until(lambda: "Something went wrong while tidying up" in caplog.text)
    monkeypatch.setattr(Store, "update", whole)
    until(lambda: desk.jobs.store.records()[0].was_fetched)


def test_a_job_that_finds_the_disk_full_waits_for_room_and_is_not_tried_all_the_time(tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "_REST_S", 0.5)
    with Desk(tmp_path / "home").open() as desk:
        id = desk.submit(1, seed=NO_ROOM)
        until(lambda: len(desk.began(id)) == 1)
        other = desk.submit(2)
        began = time.monotonic()
        desk.done(other)  # which there is room for
        until(lambda: len(desk.began(id)) > 2)
        tries = len(desk.began(id))
        assert tries <= 2 + (time.monotonic() - began) / 0.5
        (desk.settings.home / "room").touch()
        job = desk.done(id)
        assert job.warnings == ["The disk was full; it was painted as soon as there was room.", "It is a fake."]


def test_a_job_is_not_given_out_while_there_is_no_room_for_its_result(desk, monkeypatch):
    until(lambda: desk.workers[0].is_free)
    is_full = threading.Event()
    is_full.set()
    asked = []

    def room(store, wanted_bytes=0):
        if wanted_bytes:
            asked.append(wanted_bytes)
            if is_full.is_set() and len(asked) > 1:  # the first is to take it in
                raise ScumbleError("disk-full", "The disk is full.")

    monkeypatch.setattr(Store, "check_room", room)
    id = desk.submit(1)
    until(lambda: desk.jobs.get(id).phase == "waiting for room on the disk" or desk.began(id))
    assert desk.began(id) == []
    is_full.clear()
    desk.done(id)


def test_housekeeping_goes_on_after_trouble(desk, monkeypatch, caplog):
    whole = housekeeping.Housekeeping.measure
    troubles = []

    def broken(house):
        troubles.append(house)
        raise ZeroDivisionError

    monkeypatch.setattr(housekeeping.Housekeeping, "measure", broken)
    until(lambda: len(troubles) > 2)
    monkeypatch.setattr(housekeeping.Housekeeping, "measure", whole)
    desk.done(desk.submit(1, iterations=10, lease_s=100.0))
    assert "ZeroDivisionError" in caplog.text


# --------------------------------------------------------------------------------------------------------------- stress


def test_many_who_do_anything_at_the_same_time_break_nothing(tmp_path, monkeypatch):
    """Random calls from many threads; then all that is told, kept and on the disk fits together."""
    monkeypatch.setattr(housekeeping, "_TICK_S", 0.02)
    limits = {"results": 8, "jobs": 30, "queue": 12}
    desk = Desk(tmp_path / "home", devices=("fake:a", "fake:b"), idle_s=0.5, limits=limits)
    allowed = {"not-found", "wrong-state", "queue-full", "result-gone", "key-reused"}
    troubles, ids, ends = [], [], time.monotonic() + 4

    def anybody(seed):
        chance = random.Random(seed)
        seeds = [0] * 12 + [FAIL, CRASH_ONCE, KILLED_ONCE, BABBLE]

        def any_id():
            return chance.choice(ids[-20:]) if ids else "none"

        calls = [
            lambda: ids.append(
                desk.submit(
                    chance.randrange(5),
                    iterations=chance.choice([1, 2, 10, 40]),
                    seed=chance.choice(seeds),
                    lease_s=chance.choice([None, None, 0.3]),
                    key=chance.choice([None, None, f"key {chance.randrange(30)}"]),
                )
            ),
            lambda: desk.jobs.get(any_id()),
            lambda: desk.jobs.wait(any_id(), chance.randrange(9), 0.1),
            lambda: desk.jobs.list(state=chance.choice([None, *State])),
            lambda: desk.jobs.stop(any_id(), chance.random() < 0.5),
            lambda: desk.jobs.move(any_id(), chance.randrange(5)),
            lambda: desk.jobs.forget(any_id()),
            lambda: ids.append(desk.jobs.go_on(any_id(), ContinueRequest(iterations=1), None)[0].id),
            lambda: desk.jobs.result(any_id()),
            lambda: desk.jobs.fetched(any_id()),
            lambda: desk.jobs.preview(any_id()),
            desk.jobs.health,
            lambda: assert_painted_once(desk),
            lambda: (desk.folder(any_id()) / "result.png").unlink(missing_ok=True),
        ]
        weights = [8, 3, 3, 2, 2, 3, 2, 3, 6, 3, 3, 1, 8, 1]
        while time.monotonic() < ends:
            try:
                chance.choices(calls, weights)[0]()
            except ScumbleError as error:
                if error.code not in allowed:
                    troubles.append((error.code, error.detail))
            except BaseException as error:
                troubles.append(error)

    with desk.open():
        threads = [threading.Thread(target=anybody, args=(seed,), daemon=True) for seed in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        assert troubles == []
        assert len(ids) > 5
        assert_consistent(desk)
        until(lambda: all(job.state.is_final for job in desk.jobs.list(1000)))
        for job in desk.jobs.list(1000):
            if job.state is State.FAILED:
                assert job.problem.code in {"bad-mask", "internal", "out-of-memory"}, job.problem
        until(lambda: not desk.jobs._ledger._unsaved)
        until(lambda: sum(job.has_result for job in desk.jobs.list(1000)) <= 8)
        assert len(desk.jobs.list(1000)) <= 30
        desk.jobs._ledger.sweep()
        assert_consistent(desk)
    views = {job.id: job.state for job in desk.jobs.list(1000)}
    with desk.open():
        assert {job.id: job.state for job in desk.jobs.list(1000)} == views
        for job in desk.jobs.list(1000):
            if job.has_result and (desk.folder(job.id) / "result.png").exists():
                desk.image(job.id)


def assert_painted_once(desk):
    """Each running job has one worker; one that has none was forgotten."""
    with desk.jobs._ledger.lock:
        painting = [worker.job for worker in desk.workers if worker.job]
        known = [live.id for live in desk.jobs._ledger if live.state is State.RUNNING]
        assert len(set(painting)) == len(painting)
        assert set(known) == {id for id in painting if desk.jobs._ledger.get(id)}


def assert_consistent(desk):
    ledger, store = desk.jobs._ledger, desk.jobs.store
    desk.queue()
    with ledger.lock:
        lives = list(ledger)
        ranks = [live.record.rank for live in lives if not live.state.is_final]
        assert len(set(ranks)) == len(ranks)
        assert_painted_once(desk)
        assert [live.record.number for live in lives] == sorted(live.record.number for live in lives)
        assert set(ledger._keys.values()) <= {live.id for live in lives}
        wanted = {digest for live in lives if live.record.is_kept for digest in live.record.order.digests}
        there = {path.name for path in (desk.settings.store / "pictures").iterdir()}
        assert wanted <= there
    assert desk.jobs._waiters == 0
    assert not store.blobs._pins
    assert not any((desk.settings.store / "incoming").iterdir())
