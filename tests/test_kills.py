"""The daemon is killed again and again while clients post jobs: nothing that was accepted is lost, nothing is doubled.

SCUMBLE_KILLS=50 is the full run; a dozen says most of it in a minute.
"""

import contextlib
import hashlib
import http.client
import json
import os
import random
import re
import sqlite3
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import psutil
import pytest
from bordered import MASK, content, is_of
from daemons import PATIENCE_S, QUICK, STYLE
from sabotage import EVALUATE, PAINTER, Sabotaged, end

KILLS = int(os.environ.get("SCUMBLE_KILLS", "12"))
CLIENTS = 4
UNFINISHED = 3
"""So many jobs a client has under way at most."""
MOMENTS = ("accepted", "result", "queued", "running", "painted", "posting", "starting", "anywhen", "running", "stored")


@dataclass
class Wish:
    """What one client wants: a picture with a border that no other has. `ids` are the jobs that it was told of."""

    number: int
    iterations: int
    ids: set = field(default_factory=set)
    tries: int = 0
    digest: str = ""

    @property
    def key(self):
        return f"wish-{self.number}"


class Clients:
    """Threads that post, repeat what was not answered, and fetch what is done."""

    def __init__(self, daemon, seed):
        self.daemon, self.rng = daemon, random.Random(seed)
        self.wishes = []
        self.mistakes = []
        self.posting, self.accepted = threading.Event(), threading.Event()
        self.is_enough, self.is_over = threading.Event(), threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.guarded, args=(self.client,)) for _ in range(CLIENTS)]
        self.threads.append(threading.Thread(target=self.guarded, args=(self.fetch,)))

    def guarded(self, what):
        try:
            what()
        except BaseException as error:
            self.mistakes.append(error)
            raise

    def client(self):
        own = []
        while not self.is_enough.wait(0.02):
            if sum(not each.digest for each in own) < UNFINISHED:
                with self.lock:
                    own.append(Wish(len(self.wishes), self.rng.choice([2, 4, 12])))
                    self.wishes.append(own[-1])
                self.insist(own[-1])

    def insist(self, wish):
        """Post it until it is answered; once more now and then, although it was."""
        parts = [
            ("recipe", json.dumps({**QUICK, "iterations": [wish.iterations]})),
            ("content", content(wish.number), "content"),
            MASK,
            ("style", STYLE, "style"),
        ]
        once_more = wish.number % 5 == 0
        deadline = time.monotonic() + 3 * PATIENCE_S
        while not wish.ids or once_more:
            assert time.monotonic() < deadline, "it is never accepted"
            self.posting.set()
            wish.tries += 1
            with contextlib.suppress(OSError, http.client.HTTPException):
                answer = self.daemon.post(*parts, headers={"Idempotency-Key": wish.key})
                assert answer.status in {200, 202}, (answer.status, answer.body)
                once_more = once_more and not wish.ids
                wish.ids.add(answer.json["id"])
                self.accepted.set()
                continue
            time.sleep(0.05)

    def fetch(self):
        """Fetch the results of what is done."""
        while not self.is_over.wait(0.1):
            for wish in [each for each in self.wishes if each.ids and not each.digest]:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    (id,) = wish.ids
                    job = self.daemon.ask("GET", f"/v1/jobs/{id}").json
                    assert job["state"] in {"queued", "running", "done"}, job
                    if job["state"] == "done":
                        wish.digest = hashlib.sha256(self.result(id)).hexdigest()

    def result(self, id):
        answer = self.daemon.ask("GET", f"/v1/jobs/{id}/result")
        assert answer.status == 200, answer.body
        return answer.body


def moment(kind, daemon, clients, rng):
    """Wait for a moment of that kind; whether it came."""
    if kind == "starting":
        time.sleep(rng.uniform(0.0, 2.0))
        return True
    daemon.await_answer()
    jobs = daemon.home / "store" / "jobs"
    if kind in {"posting", "accepted"}:
        event = clients.posting if kind == "posting" else clients.accepted
        event.clear()
        came = event.wait(30)
        time.sleep(rng.uniform(0.0, 0.02) if kind == "posting" else 0)
        return came
    if kind == "stored":  # a new job is on the disk, and has perhaps not been answered
        return appears(jobs, "job.json")
    if kind in {"result", "painted"}:
        return appears(jobs, "result.png" if kind == "result" else "painted.json")
    if kind == "running":
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            running = daemon.ask("GET", "/v1/jobs?state=running").json["jobs"]
            if running and running[0]["iteration"]:
                time.sleep(rng.uniform(0.0, 0.6))
                return True
            time.sleep(0.02)
        return False
    time.sleep(rng.uniform(0.0, 0.3) if kind == "queued" else rng.uniform(0.0, 8.0))
    return True


def appears(folder, name):
    """Wait for a file of that name in a folder where there was none."""
    before = set(folder.glob(f"*/{name}"))
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        if set(folder.glob(f"*/{name}")) - before:
            return True
        time.sleep(0.001)
    return False


@pytest.mark.slow
@pytest.mark.timeout(60 + 60 * KILLS)
def test_nothing_is_lost_and_nothing_doubled_by_kill_9(tmp_path):
    daemon = Sabotaged(tmp_path / "daemon")
    daemon.do(EVALUATE, "import time; time.sleep(0.05)")
    often = "import __main__, scumble.service.rhythm as rhythm; __main__._CHECKPOINT_S, rhythm.SHARE = 0.2, 1"
    daemon.do(PAINTER, often)
    rng = random.Random(50)
    clients = Clients(daemon, seed=5)
    seen, came = set(), Counter()
    daemon.start()
    try:
        for thread in clients.threads:
            thread.start()
        for number in range(KILLS):
            kind = MOMENTS[number % len(MOMENTS)]
            came[kind, moment(kind, daemon, clients, rng)] += 1
            assert not clients.mistakes
            seen |= {each.pid for each in daemon.workers()}
            if rng.random() < 0.3:
                daemon.kill()  # the workers too, as by a power cut
            else:
                daemon.process.kill()
                daemon.process.wait(PATIENCE_S)
            daemon.start(wait=False)
        daemon.await_answer()
        seen |= {each.pid for each in daemon.workers()}
        finish(clients)
        check(daemon, clients)
    finally:
        clients.is_enough.set()
        clients.is_over.set()
        for thread in clients.threads:
            thread.join(PATIENCE_S)
        end(daemon)
    assert not clients.mistakes
    database = sqlite3.connect(daemon.home / "store" / "jobs.db")
    with contextlib.closing(database):
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT count(*) FROM jobs").fetchone() == (len(clients.wishes),)
    assert len(seen) > KILLS // 2
    assert not remain(seen)
    repeated = sum(each.tries - 1 for each in clients.wishes)
    again = sum(events.count("given") > 1 for events in told(daemon).values())
    print(f"\n{KILLS} kills, {len(clients.wishes)} jobs, {repeated} posts repeated, {again} jobs begun again")
    print(", ".join(f"{kind} {count}{'' if did else ' in vain'}" for (kind, did), count in sorted(came.items())))


def test_a_worker_with_nothing_to_do_does_not_outlive_its_daemon(tmp_path):
    daemon = Sabotaged(tmp_path / "daemon").start()
    try:
        daemon.wait(daemon.submit()["id"])
        pids = [each.pid for each in daemon.workers()]
        assert len(remain(pids)) == 1
        daemon.process.kill()
        daemon.process.wait(PATIENCE_S)
        deadline = time.monotonic() + 20
        while remain(pids):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        end(daemon)


def finish(clients):
    """No new wishes; wait for those that there are."""
    clients.is_enough.set()
    deadline = time.monotonic() + 2 * PATIENCE_S
    while not all(each.digest for each in clients.wishes):
        assert time.monotonic() < deadline, [each for each in clients.wishes if not each.digest]
        assert not clients.mistakes
        time.sleep(0.1)


def check(daemon, clients):
    """Every wish has come true, once, and nothing lies about."""
    jobs = {job["id"]: job for job in daemon.ask("GET", "/v1/jobs?limit=1000").json["jobs"]}
    ids = [id for wish in clients.wishes for id in wish.ids]
    assert len(ids) == len(set(ids)) == len(clients.wishes)
    assert jobs.keys() == set(ids)
    for wish in clients.wishes:
        (id,) = wish.ids
        assert (jobs[id]["state"], jobs[id]["problem"]) == ("done", None)
        data = clients.result(id)
        assert hashlib.sha256(data).hexdigest() == wish.digest, "it was another one when it was announced"
        assert is_of(wish.number, data)
    store = daemon.home / "store"
    assert not list((store / "incoming").iterdir())
    left = {path.name for path in store.glob("jobs/*/*")}
    assert left <= {"job.json", "result.png", "painted.json", "preview.jpg"}, left
    for id, events in told(daemon).items():
        assert "given" not in events[events.index("done") :], f"{id} was painted again after it was announced"


def told(daemon):
    """What the log says of each job."""
    found = {}
    files = sorted((daemon.home / "logs").glob("daemon.log*"), reverse=True)  # the oldest first
    for line in "".join(file.read_text() for file in files).splitlines():
        if match := re.search(r" job ([0-9a-f]{16}): (given|done)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


def remain(pids):
    """Those of these processes that are still there, and still workers."""
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE and "scumble.service.worker" in process.cmdline():
                found.append(process)
    return found
