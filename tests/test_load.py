"""Many clients at once, many requests that wait, and many jobs one after another: everyone gets their own, in time."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
import time

import psutil
import pytest
from bordered import MASK, content, is_of
from daemons import PATIENCE_S, QUICK, STYLE, running
from sabotage import EVALUATE, sabotaged

from scumble.client import Client

THOROUGH = bool(os.environ.get("SCUMBLE_THOROUGH"))
CLIENTS, JOBS_EACH = 50, 4
POLLS = 200
pytestmark = pytest.mark.timeout(1500)

_SAMPLER = """
import http.client, json, sys, time
port, token, end = int(sys.argv[1]), sys.argv[2], time.monotonic() + float(sys.argv[3])
times, bad = [], 0
while time.monotonic() < end:
    began = time.perf_counter()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/v1/health", headers={"Authorization": f"Bearer {token}"})
        bad += connection.getresponse().status != 200
        connection.close()
    except OSError:
        bad += 1
    times.append(time.perf_counter() - began)
    print(json.dumps([times[-1], bad]), flush=True)
    time.sleep(0.05)
"""


@contextlib.contextmanager
def sampled(daemon):
    """A process of its own asks for health all the time; in the end the seconds that the answers took."""
    found = []
    command = [sys.executable, "-c", _SAMPLER, str(daemon.port), daemon.token, "600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sampler:
        try:
            yield found
        finally:
            sampler.terminate()
            lines = [json.loads(line) for line in sampler.stdout.read().splitlines() if line.endswith("]")]
    found += sorted(seconds for seconds, _ in lines)
    assert lines[-1][1] == 0, "health was not answered"


@pytest.mark.slow
def test_every_one_of_many_clients_gets_their_own(tmp_path):
    with running(tmp_path / "daemon") as daemon:
        daemon.wait(daemon.submit()["id"])  # the worker is awake
        begin = threading.Barrier(CLIENTS)

        def client(number):
            with Client(daemon.url, daemon.token, timeout_s=PATIENCE_S) as client:
                begin.wait(PATIENCE_S)
                numbers = range(number * JOBS_EACH, (number + 1) * JOBS_EACH)
                jobs = {
                    each: client.submit(content(each), [STYLE], mask=MASK[1], **{**QUICK, "iterations": [1 + each % 2]})
                    for each in numbers
                }
                return {
                    job.id: is_of(each, client.result_bytes(client.wait(job, every_s=10), "image/png"))
                    for each, job in jobs.items()
                }

        began = time.monotonic()
        with sampled(daemon) as health, concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            found = list(pool.map(client, range(CLIENTS)))
        seconds = time.monotonic() - began
        rights = {id: is_right for each in found for id, is_right in each.items()}
        assert len(rights) == CLIENTS * JOBS_EACH
        assert all(rights.values())
        median, late = health[len(health) // 2], health[int(len(health) * 0.99)]
        print(f"\n{len(rights)} jobs of {CLIENTS} clients in {seconds:.1f} s; health {len(health)} times, ", end="")
        print(f"median {median * 1e3:.1f} ms, p99 {late * 1e3:.1f} ms, at most {health[-1] * 1e3:.1f} ms")
        assert late < 1


def test_many_requests_wait_and_the_rest_are_served(tmp_path):
    with sabotaged(tmp_path / "daemon") as daemon:
        daemon.do(EVALUATE, "import time; time.sleep(0.2)")
        running_job = daemon.submit(iterations=[5000])["id"]
        daemon.wait(running_job, lambda job: job["state"] == "running" and job["iteration"] > 0)
        waiting = daemon.submit()["id"]
        seq = daemon.job(waiting)["seq"]
        connections = [http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=90) for _ in range(POLLS)]
        for connection in connections:
            path = f"/v1/jobs/{waiting}?after={seq}&wait=60"
            connection.request("GET", path, headers={"Authorization": f"Bearer {daemon.token}"})
        time.sleep(1)
        times = []
        for number in range(20):
            began = time.perf_counter()
            assert daemon.ask("GET", "/v1/health").json["queued"] == 1 + number
            assert daemon.submit(content(number))["state"] == "queued"
            times.append(time.perf_counter() - began)
        # one poll more is answered at once, and so is one for what is new already
        for query in (f"after={seq}&wait=60", "after=0&wait=60"):
            began = time.monotonic()
            assert daemon.ask("GET", f"/v1/jobs/{waiting}?{query}").json["seq"] == seq
            assert time.monotonic() - began < 20
        print(f"\nhealth and a post beside {POLLS} polls: {max(times) * 1e3:.0f} ms at most")
        assert max(times) < 10
        began = time.monotonic()
        stopping = threading.Thread(target=daemon.stop)
        stopping.start()
        for connection in connections:
            answer = connection.getresponse()
            assert answer.status == 200
            assert json.loads(answer.read())["id"] == waiting
            connection.close()
        stopping.join(PATIENCE_S)
        assert daemon.process.poll() == 0
        assert time.monotonic() - began < 40
        print(f"all answered and the daemon ended within {time.monotonic() - began:.1f} s")


def test_memory_stays_flat(tmp_path):
    early, late = (100, 500) if THOROUGH else (30, 90)
    with running(tmp_path / "daemon") as daemon, daemon.client() as client:
        held = {}
        for number in range(late):
            job = client.submit(content(number % 200), [STYLE], mask=MASK[1], **{**QUICK, "iterations": [1]})
            client.wait(job, every_s=10)
            client.preview(job)
            assert is_of(number % 200, client.result_bytes(job, "image/png"))
            if number + 1 in {10, early, late}:
                held[number + 1] = memory(daemon)
        print("\nMB held by daemon and worker after so many jobs:", held)
        for before, after in zip(held[early], held[late], strict=True):
            assert after < max(1.1 * before, before + 30)


def memory(daemon):
    """MB held by the daemon and by its worker."""
    processes = [psutil.Process(daemon.pid), *daemon.workers()]
    assert len(processes) == 2
    return [round(process.memory_info().rss / 2**20, 1) for process in processes]
