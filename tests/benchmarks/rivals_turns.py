"""Work in a process of its own that goes on only when it is told to, and whose time is counted only meanwhile.

Several such processes take turns, an iteration or some at a time, so that what else the machine does falls on all of
them alike. The worker calls `Turns.report` after each iteration; the parent holds a `Worker`.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

Facts = Mapping[str, Any]


class Turns:
    """The worker's side. It takes the standard streams for itself; what the work prints is thrown away."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w")
        self._asked = os.fdopen(os.dup(0))
        quiet = os.open(os.devnull, os.O_RDWR)
        os.dup2(quiet, 0)
        os.dup2(quiet, 1)
        self._wall = self._processor = 0.0
        self._began: tuple[float, float] | None = None
        self._resume()

    def report(self, **facts: Any) -> None:
        """Tell the parent, with the seconds so far, and wait until it says to go on; the waiting is not counted."""
        self.pause()
        self.answer(seconds=self._wall, processor=self._processor, **facts)
        self._resume()

    def pause(self) -> None:
        """Count no time until the next report."""
        if self._began is not None:
            self._wall += time.perf_counter() - self._began[0]
            self._processor += time.process_time() - self._began[1]
            self._began = None

    def answer(self, **facts: Any) -> str:
        """Tell the parent and wait for what it says, whatever the time."""
        print(json.dumps({**facts, "peak_mb": _peak_mb()}), file=self._answers, flush=True)
        said = self._asked.readline()
        if not said:
            sys.exit(0)
        return said.strip()

    def _resume(self) -> None:
        self._began = time.perf_counter(), time.process_time()


def _peak_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


class Worker:
    """The parent's side: a script that makes `Turns`. As a context it is ended on the way out."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.found: list[Facts] = []
        self._begun = False

    def go(self, say: str = "") -> Facts | None:
        """Let it work until its next report, which is also kept in `found`; None when it has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._begun:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(say + "\n")
                self._process.stdin.flush()
        self._begun = True
        line = self._process.stdout.readline()
        if not line:
            if self._process.wait():
                raise RuntimeError(f"{self._process.args!r} failed")
            return None
        facts: Facts = json.loads(line)
        self.found.append(facts)
        return facts

    @property
    def seconds(self) -> float:
        """What it has worked so far."""
        return float(self.found[-1]["seconds"]) if self.found else 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
