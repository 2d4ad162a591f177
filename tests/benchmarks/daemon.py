"""What the daemon costs on top of the painting itself: HTTP, decoding, encoding, the way through a worker's process.

    python tests/benchmarks/daemon.py [--rounds 5] [--json FILE]

Starts a daemon of its own, in a folder that is gone afterwards. Every figure is the median of the rounds. The painting
is made as small as it can be (one iteration at 64 px), so that what remains is the daemon's own.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from daemon_of_its_own import first_preview, own_daemon

from scumble.client import Client
from scumble.drawn import painting, scene
from scumble.picture import Picture, decode, encode
from scumble.protocol import Job

SIZES = {"1 Mpx": (1200, 840), "12 Mpx": (4000, 3000)}
LEAST = {"size": 64, "scales": 1, "iterations": [1]}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    with own_daemon() as client:
        found = measure(client, asked.rounds)
    print(f"{'':34}" + "".join(f"{name:>12}" for name in SIZES))
    for row in found[next(iter(SIZES))]:
        print(f"{row:34}" + "".join(f"{found[name][row]:10.2f} s" for name in SIZES))
    for row, seconds in found["small"].items():
        print(f"{row:34}{seconds * 1e3:9.1f} ms")
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n")


def measure(client: Client, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds, by size and station, on a daemon that runs; under `small` what does not depend on the size."""
    style = Picture.from_rgb(painting("dabs", 256, 256))
    small = Picture.from_rgb(scene(320, 224).rgb)
    client.paint(small, [style], **LEAST)  # the worker is awake, and knows the style
    found = {name: costs(client, style, size, rounds) for name, size in SIZES.items()}
    health = sorted(timed(client.health)[0] for _ in range(200))
    found["small"] = {
        "POST to first preview, 320 × 224 px": median(rounds, lambda: first_preview(client, small, style)),
        "GET /v1/health, median": health[100],
        "GET /v1/health, 99th percentile": health[197],
    }
    return found


def costs(client: Client, style: Picture, size: tuple[int, int], rounds: int) -> dict[str, float]:
    """A job's stations, for a content of that size sent as raw pixels."""
    width, height = size
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    content = np.kron(coarse, np.ones((8, 8, 1), np.uint8)) // 2 + rng.integers(0, 64, (1, width, 3), dtype=np.uint8)
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        began = time.perf_counter()
        job = client.submit(content, [style], **LEAST)
        posted = time.perf_counter()
        preview, job = follow(client, job)
        done = time.perf_counter()
        png, data = timed(lambda job=job: client.result_bytes(job, "image/png"))
        npy, _ = timed(lambda job=job: client.result_bytes(job, "application/x-npy"))
        decoding, picture = timed(lambda data=data: decode(data))
        encoding, _ = timed(lambda picture=picture: encode(picture, "png"))
        row = {
            "POST to 202": posted - began,
            "202 to first preview": preview - posted,
            "first preview to done": done - preview,
            "result as PNG": png,
            "result as npy": npy,
            "all, with the PNG": done - began + png,
            "(decoding that PNG, by itself)": decoding,
            "(encoding it, by itself)": encoding,
        }
        for name, seconds in row.items():
            found.setdefault(name, []).append(seconds)
        client.forget(job)
    return {name: statistics.median(values) for name, values in found.items()}


def follow(client: Client, job: Job) -> tuple[float, Job]:
    """When the first preview was there, and the job at its end."""
    seen: float | None = None
    for news in client.follow(job):
        job = news
        if job.preview and seen is None:
            seen = time.perf_counter()
    assert job.has_result, job.problem
    return seen or time.perf_counter(), job


def timed(action):
    """Seconds, and what came of it."""
    began = time.perf_counter()
    answer = action()
    return time.perf_counter() - began, answer


def median(rounds: int, action) -> float:
    """Of so many rounds."""
    return statistics.median(action() for _ in range(rounds))


if __name__ == "__main__":
    main()
