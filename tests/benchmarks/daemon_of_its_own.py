"""A daemon for a benchmark, in a folder that is gone afterwards; and how soon it shows something."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scumble.client import Client
from scumble.picture import Picture


@contextlib.contextmanager
def own_daemon() -> Iterator[Client]:
    """A client of it."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SCUMBLE_HOME"] = folder
        with Client.local(home=Path(folder)) as client:
            try:
                yield client
            finally:
                client.shutdown()
                while (Path(folder) / "daemon.json").exists():
                    time.sleep(0.1)


def first_preview(client: Client, content: bytes | np.ndarray | Picture, style: Picture) -> float:
    """Seconds from the post of an everyday job to its first preview; the job is stopped then."""
    began = time.perf_counter()
    job = client.submit(content, [style], quality="draft")
    for news in client.follow(job):
        if news.preview:
            break
    seconds = time.perf_counter() - began
    client.stop(job)
    for _ in client.follow(job):
        pass
    client.forget(job)
    return seconds
