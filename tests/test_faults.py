"""What goes wrong around a daemon: painting fails, the disk is full, files are damaged, the clock jumps.

All with real daemons and real workers. `test_kills` has the power cuts, `test_load` the crowds.
"""

import contextlib
import hashlib
import http.client
import inspect
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import threading
import time
from datetime import datetime

import psutil
import pytest
from bordered import MASK, content, is_of
from daemons import CONTENT, PATIENCE_S, STYLE, Daemon, pixels, running
from sabotage import DECODE, EVALUATE, SIGNED, WRITE, end, sabotaged, small_disk

from scumble import runtime
from scumble.home import write_private
from scumble.picture import Picture, decode, encode

SLOW = "import time; time.sleep(0.1)"
"""Put before an iteration: a job of many iterations takes its time, and nearly no computing."""
BUSY = {"iterations": [400]}
SHORT_S = {"scumble.service.crew": {"_REST_S": 1.0}, "scumble.service.workers": {"_GRACE_S": 2.0}}
"""Pauses that are long for good reason, and that a test need not wait for."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """One for everything that a daemon is to survive."""
    with sabotaged(tmp_path_factory.mktemp("faults") / "daemon", constants=SHORT_S) as daemon:
        yield daemon


@pytest.fixture(autouse=True)
def behaving(request):
    """After each test the daemon is led into nothing any more, and has nothing to do."""
    yield
    if "daemon" in request.fixturenames:
        daemon = request.getfixturevalue("daemon")
        daemon.behave()
        for job in daemon.ask("GET", "/v1/jobs?limit=1000").json["jobs"]:
            daemon.ask("DELETE", f"/v1/jobs/{job['id']}")


def submit(daemon, number, **recipe):
    """Post the job of that number; its id."""
    return daemon.submit(content(number), None, MASK, **recipe)["id"]


def paints(daemon, **more):
    """A job goes through; what is told of it at the end."""
    job = daemon.wait(daemon.submit(**more)["id"])
    assert (job["state"], job["problem"]) == ("done", None)
    assert decode(daemon.result(job["id"])).size == (job["width"], job["height"])
    return job


def begun(daemon, id):
    """Wait until a job is in the middle of it."""
    return daemon.wait(id, lambda job: job["state"] == "running" and job["iteration"] > 0)


def worker(daemon):
    """The process that paints; once there is one."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := daemon.workers()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found[0]


def gone(process):
    """Whether a process has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def states(daemon):
    """All jobs' states, without asking after any of them."""
    return {job["id"]: job["state"] for job in daemon.ask("GET", "/v1/jobs").json["jobs"]}


def until(what, seconds=PATIENCE_S):
    """Wait for something to be true; what it was."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)
    return found


# --------------------------------------------------------------------------------------------------- painting fails


def test_an_exception_while_painting_fails_the_job_alone(daemon):
    daemon.do(EVALUATE, "raise ZeroDivisionError('a mistake\\nof ours')", once=True)
    before = worker(daemon)
    job = daemon.wait(daemon.submit()["id"])
    assert (job["state"], job["problem"]["code"]) == ("failed", "internal")
    assert job["problem"]["detail"] == ("Scumble made a mistake while painting: ZeroDivisionError: a mistake of ours.")
    log = until(lambda: "ZeroDivisionError: a mistake" in daemon.log() and daemon.log())
    assert "Traceback (most recent call last)" in log
    assert not daemon.job(job["id"])["has_result"]
    assert daemon.ask("GET", f"/v1/jobs/{job['id']}/result").code == "wrong-state"
    paints(daemon)
    assert worker(daemon).pid == before.pid


@pytest.mark.parametrize(
    "error", ['RuntimeError("DefaultCPUAllocator: can\'t allocate memory")', "torch.OutOfMemoryError()"]
)
def test_want_of_memory_is_met_with_smaller_tiles(daemon, error):
    large = encode(Picture(pixels(128, 128)), "png")
    daemon.do(EVALUATE, f"import torch; raise {error}", once=True)
    job = paints(daemon, content=large, size=128)
    assert any("in tiles of 64 px to fit into memory" in each for each in job["warnings"]), job["warnings"]
    assert not any("tiles" in each for each in paints(daemon, content=large, size=128)["warnings"])


def test_want_of_memory_that_does_not_end_fails_the_job(daemon):
    daemon.do(EVALUATE, "import torch; raise torch.OutOfMemoryError('CUDA out of memory')")
    job = daemon.wait(daemon.submit(content=encode(Picture(pixels(128, 128)), "png"), size=128)["id"])
    assert (job["state"], job["problem"]["code"]) == ("failed", "out-of-memory")
    assert job["problem"]["hint"]
    daemon.behave()
    paints(daemon)


def test_a_worker_that_the_system_kills_costs_a_try_and_the_memory(daemon):
    daemon.do(EVALUATE, SLOW)
    id = daemon.submit(iterations=[12])["id"]
    begun(daemon, id)
    worker(daemon).kill()
    job = daemon.wait(id)
    assert (job["state"], job["problem"]) == ("done", None)
    assert job["warnings"] == ["Memory did not suffice: it was painted again with half of it."]
    assert decode(daemon.result(id)).size == (64, 48)


def test_a_worker_that_crashes_costs_a_try(daemon):
    daemon.do(EVALUATE, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", once=True)
    job = paints(daemon)
    assert job["warnings"] == ["The painting process ended unexpectedly, and was started again."]
    assert f"ended by itself, with status {-signal.SIGSEGV}" in daemon.log()


def test_the_third_crash_is_the_last(daemon):
    source = "import os, signal; (HERE / 'crashes').open('a').write('x'); os.kill(os.getpid(), signal.SIGKILL)"
    daemon.do(EVALUATE, source)
    first, second = daemon.submit()["id"], submit(daemon, 2)
    job = daemon.wait(first)
    daemon.behave()
    crashes = daemon.tricks / "crashes"
    assert (job["state"], job["problem"]["code"]) == ("failed", "out-of-memory")
    assert job["problem"]["detail"].startswith("The painting process was killed")
    assert "xxx" <= crashes.read_text()[:4] <= "xxxx"  # the second job may have had its turn already
    crashes.unlink()
    assert daemon.wait(second)["state"] == "done"


def test_a_worker_that_hangs_does_not_hold_up_the_end(tmp_path):
    with sabotaged(tmp_path / "daemon", constants=SHORT_S) as daemon:
        daemon.do(EVALUATE, "import time; (HERE / 'hangs').touch(); time.sleep(600)", once=True)
        id = daemon.submit()["id"]
        until((daemon.tricks / "hangs").exists)
        hanging = worker(daemon)
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < 30
        assert gone(hanging)
        assert "does not end, and is killed" in daemon.log()
        daemon.restart()
        job = daemon.wait(id)
        assert (job["state"], job["warnings"]) == ("done", [])


# ----------------------------------------------------------------------------------------------------- the disk is full

DISK_MB = 160


def fill(place, leaving):
    """Leave no more than so many bytes free on the disk at that place, though others write at the same time."""
    with (place / "ballast").open("ab") as file:
        for _ in range(1000):
            state = os.statvfs(place)
            wanted = state.f_bavail * state.f_frsize - leaving
            if wanted <= 0:
                return
            try:
                os.posix_fallocate(file.fileno(), file.tell(), wanted)
            except OSError:
                continue
            file.seek(0, 2)
    raise AssertionError("there is always some room")


class Disk:
    """A small disk; a ballast takes its room."""

    def __init__(self, place):
        self.place, self.ballast = place, place / "ballast"
        self.is_watched = True
        """Whether the daemon must answer right now."""

    @property
    def free(self):
        state = os.statvfs(self.place)
        return state.f_bavail * state.f_frsize

    def fill(self, leaving=0):
        """Leave no more than so many bytes free."""
        fill(self.place, leaving)

    def fill_when(self, condition):
        """Source for a place: once that is true, there is no room from this very moment on."""
        return (
            f"{inspect.getsource(fill)}"
            "import os, sys\n"
            "from pathlib import Path\n"
            "is_worker = sys.argv[0].endswith('worker.py')\n"
            "def count():\n"
            "    with (HERE / 'count').open('ab') as file:\n"
            "        file.write(b'x')\n"
            "        return file.tell()\n"
            f"if {condition}:\n"
            "    PATH.unlink()\n"
            f"    fill(Path({str(self.place)!r}), 0)\n"
        )

    def empty(self):
        """Take the ballast away."""
        self.ballast.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def on_small_disk(tmp_path_factory):
    """A daemon whose folder is on a small disk."""
    folder = tmp_path_factory.mktemp("disk") / "daemon"
    with small_disk(folder / "home", DISK_MB) as is_there:
        if not is_there:
            pytest.skip("no file system can be mounted here, so no disk can be filled")
        with sabotaged(folder, constants=SHORT_S) as daemon:
            yield daemon


@pytest.fixture
def disk(on_small_disk):
    """Its disk; empty again afterwards. Meanwhile health is asked all the time, and always answers."""
    daemon = on_small_disk
    disk = Disk(daemon.home)
    paints(daemon)  # what is kept besides jobs is there already
    (daemon.tricks / "count").unlink(missing_ok=True)
    bad, is_over = [], threading.Event()

    def ask():
        while not is_over.wait(0.1):
            try:
                status = daemon.ask("GET", "/v1/health", timeout_s=20).status
            except (OSError, http.client.HTTPException) as error:
                status = error
            if status != 200 and disk.is_watched:
                bad.append(status)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield disk
    finally:
        disk.empty()
        daemon.behave()
        is_over.set()
        asking.join()
    assert not bad
    assert daemon.process.poll() is None
    for job in daemon.ask("GET", "/v1/jobs?limit=1000").json["jobs"]:
        daemon.ask("DELETE", f"/v1/jobs/{job['id']}")
    assert "Traceback" not in daemon.log()


def post(daemon, given):
    """Post a job that may be refused."""
    parts = [("recipe", json.dumps({"size": 64, "scales": 1, "iterations": [2]}))]
    parts += [("content", given, "content"), ("style", STYLE, "style")]
    return daemon.post(*parts)


@pytest.mark.parametrize("leaving", [0, 2**20, 60 * 2**20])
def test_a_full_disk_takes_no_jobs(on_small_disk, disk, leaving):
    daemon = on_small_disk
    jobs = states(daemon)
    disk.fill(leaving)
    for given in (CONTENT, encode(Picture(pixels(800, 600)), "png")):
        answer = post(daemon, given)
        assert (answer.status, answer.code) == (507, "disk-full")
        assert answer.json["hint"]
    assert len(given) > 2**19  # such a body goes through a file
    disk.fill(leaving)  # again: what was refused leaves room once its files are gone
    style = daemon.post(("picture", CONTENT, "a"), ("name", "In want of room"), path="/v1/styles")
    assert (style.status, style.code) == (507, "disk-full") if leaving == 0 else style.status == 201
    assert states(daemon) == jobs
    assert not list((daemon.home / "store" / "incoming").iterdir())
    disk.empty()
    paints(daemon)


@pytest.mark.parametrize(
    ("place", "condition"),
    [(EVALUATE, "True"), (EVALUATE, "count() == 5"), (SIGNED, "True")],
    ids=["begun", "at the end", "before it is saved"],
)
def test_a_disk_that_fills_up_while_a_job_is_painted_does_not_cost_its_result(on_small_disk, disk, place, condition):
    """The room for it was taken when it began."""
    daemon = on_small_disk
    daemon.do(place, disk.fill_when(condition))
    first, second = submit(daemon, 1, iterations=[5]), submit(daemon, 2, iterations=[5])
    assert is_of(1, daemon.result(first))
    assert disk.free < 2**18
    assert daemon.wait(second, lambda job: job["phase"] == "waiting for room on the disk")["state"] == "queued"
    disk.empty()
    assert is_of(2, daemon.result(second))


@pytest.mark.parametrize(
    ("place", "condition"),
    [(DECODE, "is_worker"), (WRITE, "is_worker and ARGS[0].name == 'painted.json'")],
    ids=["before there is room for it", "after it was saved"],
)
def test_a_job_for_which_there_is_no_room_waits(on_small_disk, disk, place, condition):
    daemon = on_small_disk
    daemon.do(place, disk.fill_when(condition))
    ids = [submit(daemon, number, iterations=[5]) for number in (0, 1)]
    for id in reversed(ids):
        daemon.wait(id, lambda job: job["phase"] == "waiting for room on the disk")
    time.sleep(2)
    for id in ids:
        job = daemon.job(id)
        assert (job["state"], job["problem"]) == ("queued", None)
    disk.empty()
    for number, id in enumerate(ids):
        assert is_of(number, daemon.result(id))
    assert daemon.job(ids[0])["warnings"] == ["The disk was full; it was painted as soon as there was room."]


def test_results_that_nobody_has_yet_outlast_a_full_disk(on_small_disk, disk):
    """Others may fill the disk: that is no reason to throw away what somebody waits for."""
    daemon = on_small_disk
    fetched, waiting = paints(daemon)["id"], submit(daemon, 2)
    assert daemon.wait(waiting)["state"] == "done"
    disk.fill()
    # what was fetched already makes room
    until(lambda: not daemon.job(fetched)["has_result"])
    time.sleep(6)  # more than a round
    assert is_of(2, daemon.result(waiting))


def test_the_database_and_the_log_go_on_when_there_is_room_again(on_small_disk, disk):
    daemon = on_small_disk
    daemon.do(EVALUATE, SLOW)
    kept, stopped, gone = (submit(daemon, n, **BUSY) for n in (1, 2, 3))
    begun(daemon, kept)
    disk.fill()
    assert daemon.ask("POST", f"/v1/jobs/{stopped}/stop", {}).json["state"] == "stopped"
    assert daemon.ask("DELETE", f"/v1/jobs/{gone}").status == 204
    assert daemon.ask("GET", f"/v1/jobs/{gone}").status == 404
    assert daemon.ask("POST", f"/v1/jobs/{kept}/stop", {"keep": True}).status == 200
    job = daemon.wait(kept)
    assert (job["state"], job["has_result"]) == ("stopped", True)
    time.sleep(1.5)
    disk.empty()
    assert daemon.ask("GET", "/v1/jobs/not-there").status == 404
    until(lambda: "GET /v1/jobs/not-there 404" in daemon.log())
    time.sleep(1.5)  # more than a tick
    disk.is_watched = False
    daemon.kill()
    daemon.behave()
    daemon.start()
    found = states(daemon)
    assert (found[kept], found[stopped]) == ("stopped", "stopped")
    assert gone not in found
    answer = daemon.ask("GET", f"/v1/jobs/{kept}/result")
    assert answer.status == 200
    assert is_of(1, answer.body)


def test_a_daemon_starts_on_a_full_disk_or_says_why_not(on_small_disk, disk):
    daemon = on_small_disk
    job = submit(daemon, 2)
    daemon.wait(job)
    disk.is_watched = False
    assert daemon.stop() == 0
    disk.fill()
    daemon.start(wait=False)
    began = time.monotonic()
    while daemon.process.poll() is None and time.monotonic() < began + 20:
        file = runtime.read(daemon.home)
        if file is not None and file.pid == daemon.process.pid:
            break
        time.sleep(0.05)
    if daemon.process.poll() is not None:
        assert "Error: " in daemon.said()
        assert "Traceback" not in daemon.said()
    else:
        daemon.await_answer()
        daemon.stop()
    disk.empty()
    daemon.start()
    assert is_of(2, daemon.result(job))


# ------------------------------------------------------------------------------------------------------- damaged files


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """A daemon whose files are damaged."""
    with sabotaged(tmp_path_factory.mktemp("damage") / "daemon", constants=SHORT_S) as daemon:
        yield daemon


def scribble(path):
    """Write nonsense into the middle of a file."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(range(200, 240))
    path.write_bytes(data)


def damage(path):
    """Nothing of it can be read any more."""
    path.write_bytes(bytes(range(256)) * max(1, path.stat().st_size // 256))


@pytest.mark.parametrize("ended", ["stopped", "killed"])
def test_a_damaged_database_is_made_again_from_the_jobs(patient, ended):
    daemon = patient
    daemon.do(EVALUATE, SLOW)
    done = submit(daemon, 1)
    daemon.wait(done)
    waiting = [submit(daemon, n, iterations=[3]) for n in (2, 3)]
    daemon.stop() if ended == "stopped" else daemon.kill()
    for file in (daemon.home / "store").glob("jobs.db*"):  # what a kill leaves in the journal would mend it
        if not file.name.endswith("-shm"):
            damage(file)
    daemon.start()
    assert "The database of jobs is damaged" in daemon.log()
    for number, id in enumerate([done, *waiting], 1):
        assert is_of(number, daemon.result(id))
    with contextlib.closing(sqlite3.connect(daemon.home / "store" / "jobs.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("harm", [scribble, damage, lambda path: path.write_bytes(b""), lambda path: path.unlink()])
def test_a_damaged_result_is_painted_anew(patient, harm):
    daemon = patient
    daemon.behave()
    id = submit(daemon, 4)
    before = daemon.result(id)
    harm(daemon.home / "store" / "jobs" / id / "result.png")
    answer = daemon.ask("GET", f"/v1/jobs/{id}/result")
    assert (answer.status, answer.code) == (409, "wrong-state")
    assert "painted anew" in answer.json["detail"]
    assert daemon.result(id) == before
    assert daemon.job(id)["warnings"] == ["The result was damaged on the disk, and was painted anew."]


@pytest.mark.parametrize("harm", [None, scribble, lambda path: path.write_bytes(b"")])
def test_a_damaged_checkpoint_costs_what_was_painted_and_no_more(patient, harm):
    daemon = patient
    daemon.do(EVALUATE, "(HERE / 'evaluations').open('a').write('x'); " + SLOW)
    id = submit(daemon, 5, iterations=[30])
    daemon.wait(id, lambda job: job["iteration"] >= 10)
    assert daemon.stop() == 0
    checkpoint = daemon.home / "store" / "jobs" / id / "checkpoint.safetensors"
    if harm:
        harm(checkpoint)
    daemon.start()
    assert is_of(5, daemon.result(id))
    assert daemon.job(id)["iteration"] == 30
    evaluations = daemon.tricks / "evaluations"
    count = evaluations.stat().st_size
    evaluations.unlink()
    assert count == 30 if harm is None else count >= 40
    assert ("the checkpoint is damaged" in daemon.log()) == (harm is not None)
    assert not checkpoint.exists()
    (daemon.home / "logs" / "daemon.log").write_bytes(b"")


@pytest.mark.parametrize("form", ["png", "npy"])
@pytest.mark.parametrize("harm", [scribble, lambda path: path.unlink()])
def test_a_damaged_input_fails_the_job_alone(patient, form, harm):
    daemon = patient
    daemon.do(EVALUATE, SLOW)
    first = submit(daemon, 1, iterations=[20])
    given = content(6, form)
    harmed = daemon.submit(given)["id"]
    last = submit(daemon, 2)
    begun(daemon, first)
    harm(daemon.home / "store" / "pictures" / hashlib.sha256(given).hexdigest())
    job = daemon.wait(harmed)
    assert (job["state"], job["has_result"]) == ("failed", False)
    assert job["problem"]["code"] in {"missing-file", "bad-picture"}
    assert job["problem"]["detail"].startswith("The picture 'content' of this job ")
    assert is_of(1, daemon.result(first))
    assert is_of(2, daemon.result(last))
    daemon.behave()
    again = daemon.submit(given)["id"]  # sent again it is whole again
    assert daemon.wait(again)["state"] == "done"


def test_damaged_caches_and_paces_are_made_again(patient):
    daemon = patient
    daemon.behave()
    paints(daemon)
    daemon.stop()
    kept = [daemon.home / "paces.json", *(daemon.home / "cache").iterdir()]
    assert len(kept) > 2
    before = [path.stat().st_size for path in kept]
    for path in kept:
        damage(path)
    daemon.start()
    paints(daemon)
    assert daemon.log().count("is damaged and goes") == len(kept) - 1
    assert [path.stat().st_size for path in kept[1:]] == before[1:]
    answer = daemon.ask("POST", "/v1/estimate", {"recipe": {"styles": [{"picture": "a"}]}, "width": 64, "height": 48})
    assert answer.status == 200
    assert json.loads(kept[0].read_bytes())


def test_a_damaged_style_is_left_out(patient):
    daemon = patient
    ids = [
        daemon.post(("picture", content(n), "a"), ("name", f"Style {n}"), path="/v1/styles").json["id"] for n in (1, 2)
    ]
    records = list((daemon.home / "styles" / ids[0]).glob("*.json"))
    assert len(records) == 1
    damage(records[0])
    for _ in range(2):
        listed = [style["id"] for style in daemon.ask("GET", "/v1/styles").json["styles"]]
        assert ids[1] in listed
        assert ids[0] not in listed
        assert daemon.ask("GET", f"/v1/styles/{ids[0]}").code == "not-found"
        answers = []
        for id in ids:
            recipe = {"size": 64, "scales": 1, "iterations": [2], "styles": [{"picture": f"library:{id}"}]}
            answers.append(daemon.post(("recipe", json.dumps(recipe)), ("content", CONTENT, "content")))
        assert [answer.status for answer in answers] == [422, 202], answers
        assert answers[0].json["detail"]
        assert daemon.wait(answers[1].json["id"])["state"] == "done"
        daemon.restart()


@pytest.mark.parametrize("size", [100, 2**20])
def test_damaged_weights_fail_only_those_who_ask_for_them(tmp_path, size):
    folder = tmp_path / "daemon"
    file = folder / "home" / "weights" / "vgg19.safetensors"
    file.parent.mkdir(parents=True)
    whole = (
        b"\x40\x00\x00\x00\x00\x00\x00\x00" + b'{"conv1_1.weight":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'
    )
    file.write_bytes((whole + bytes(2**20))[:size])
    with running(folder) as daemon:
        damaged = daemon.submit(features="vgg19")["id"]
        embedded = daemon.submit(features="embedded")["id"]
        job = daemon.wait(damaged)
        assert (job["state"], job["problem"]["code"]) == ("failed", "bad-weights")
        assert job["problem"]["hint"]
        assert str(file) in job["problem"]["detail"]
        assert daemon.wait(embedded)["state"] == "done"
        answer = daemon.ask("POST", "/v1/estimate", {"recipe": {"features": "vgg19"}, "width": 64, "height": 48})
        assert answer.code == "bad-weights"
        file.unlink()
        paints(daemon)  # there is nothing to find any more


# ------------------------------------------------------------------------------------------------------ the clock jumps

DAY_S = 86_400


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    """A daemon whose clock jumps."""
    with sabotaged(tmp_path_factory.mktemp("clock") / "daemon", constants=SHORT_S) as daemon:
        yield daemon


def created(job):
    """The day on which it was made, by the daemon's clock."""
    return datetime.fromisoformat(job["created"]).date()


@pytest.mark.parametrize("days", [1, -1])
def test_leases_and_waits_do_not_depend_on_the_clock(timed, days):
    daemon = timed
    daemon.shift_clock(0)
    daemon.do(EVALUATE, SLOW)
    watched = daemon.submit(None, None, ("lease_s", "5"), **BUSY)["id"]
    begun(daemon, watched)
    forgotten = daemon.submit(None, None, ("lease_s", "2"))["id"]
    seq = daemon.job(forgotten)["seq"]
    began = time.monotonic()
    daemon.shift_clock(days * DAY_S)
    while time.monotonic() < began + 1:
        assert daemon.job(watched)["state"] == "running"
    answer = daemon.ask("GET", f"/v1/jobs/{forgotten}?after={seq}&wait=1.5")
    assert answer.json["seq"] == seq
    assert 1.4 < time.monotonic() - began - 1 < 10
    # asking renewed its lease: two seconds from now it ends, and not before
    asked = time.monotonic()
    until(lambda: daemon.job(watched) and states(daemon)[forgotten] == "stopped")
    assert 1.9 < time.monotonic() - asked < 20
    assert daemon.job(watched)["state"] == "running"
    until(lambda: states(daemon)[watched] == "stopped")
    assert daemon.job(watched)["warnings"] == ["Nobody asked after it for 5 s, so it was stopped."]


def test_jobs_keep_their_order_though_the_clock_jumps(timed):
    daemon = timed
    daemon.shift_clock(0)
    daemon.do(EVALUATE, SLOW)
    ids = [daemon.submit(**BUSY)["id"]]
    begun(daemon, ids[0])
    days = [1, -1, 0, -2]
    for number, day in enumerate(days):
        daemon.shift_clock(day * DAY_S)
        ids.append(submit(daemon, number))
    jobs = [daemon.job(id) for id in ids]
    assert len({created(job) for job in jobs}) >= 4
    assert list(states(daemon))[: len(ids)] == ids[::-1]
    daemon.stop()
    daemon.shift_clock(-3 * DAY_S)
    daemon.start()
    assert list(states(daemon))[: len(ids)] == ids[::-1]
    begun(daemon, ids[0])  # it is the first again
    positions = [daemon.job(id)["position"] for id in ids]
    assert positions == [None, 0, 1, 2, 3]
    daemon.shift_clock(3 * DAY_S)
    daemon.ask("POST", f"/v1/jobs/{ids[0]}/stop", {})
    for number, id in enumerate(ids[1:]):
        assert is_of(number, daemon.result(id))
    done = re.findall(r" job ([0-9a-f]{16}): done", daemon.log())
    assert done[-4:] == ids[1:]


# ---------------------------------------------------------------------------------------- two daemons, ends and begins


def test_of_many_daemons_for_one_folder_one_begins(tmp_path):
    daemons = [Daemon(tmp_path / "daemon") for _ in range(4)]
    try:
        for each in daemons:
            each.start(wait=False)
        lost = until(lambda: len(done := [each for each in daemons if each.process.poll() is not None]) == 3 and done)
        (winner,) = [each for each in daemons if each not in lost]
        winner.await_answer()
        assert [each.process.returncode for each in lost] == [3, 3, 3]
        assert winner.said().count("A daemon is running already in") == 3
        assert "Traceback" not in winner.said()
        id = winner.submit()["id"]
        late = Daemon(tmp_path / "daemon").start(wait=False)
        assert late.process.wait(PATIENCE_S) == 3
        assert winner.wait(id)["state"] == "done"
        assert runtime.read(winner.home).pid == winner.process.pid
    finally:
        for each in daemons:
            if each.process is not None:
                end(each)


def test_a_runtime_file_that_a_dead_daemon_left_misleads_nobody(tmp_path):
    with subprocess.Popen(["sleep", "600"]) as bystander:
        try:
            with running(tmp_path / "daemon") as daemon:
                id = daemon.submit()["id"]
                daemon.wait(id)
                file = daemon.home / "daemon.json"
                daemon.kill()
                left = json.loads(file.read_bytes())
                stale = json.dumps({**left, "pid": bystander.pid}).encode()
                write_private(file, stale)
                daemon.scumble("status", status=3)
                daemon.scumble("stop")
                assert bystander.poll() is None
                write_private(file, stale)
                daemon.start()
                assert daemon.job(id)["state"] == "done"
                assert bystander.poll() is None
        finally:
            bystander.kill()


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_daemon_that_is_ended_while_it_begins_leaves_nothing(tmp_path, kind):
    daemon = Daemon(tmp_path / "daemon")
    rng = random.Random(int(kind))
    for _ in range(3):
        daemon.start(wait=False)
        # now and then while modules are imported, the store is opened, the worker is woken
        time.sleep(rng.uniform(0.1, 1.6))
        children = daemon.workers()
        status = daemon.stop(kind)
        assert status in {0, -kind, 128 + kind, 1, 130}, daemon.said()
        until(lambda children=children: all(map(gone, children)))
        if status == 0:
            assert not (daemon.home / "daemon.json").exists()
    with contextlib.closing(daemon.start().client()) as client:
        assert client.health().pid == daemon.process.pid
    end(daemon)
    assert not (daemon.home / "daemon.json").exists()
