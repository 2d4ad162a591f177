"""What the works of a worker share: how often something is done on the way, and the ways in which a job ends early."""

import time
from collections.abc import Callable

SHARE = 60
"""Previews and checkpoints each take at most a sixtieth of the time."""
now = time.monotonic


class Discarded(Exception):  # noqa: N818 - it is a request
    """The job was stopped, and nothing of it is to be kept."""


class Leaving(Exception):  # noqa: N818
    """The job is put away, to go on later."""


class Rhythm:
    """Does something about every `interval_s`, rarer where it would take more than its share of the time."""

    def __init__(self, interval_s: float, *, waits_first: bool = False) -> None:
        self._interval = interval_s
        self._due = now() + interval_s if waits_first else 0.0

    def perhaps(self, action: Callable[[], None]) -> None:
        """Do it, if it is time."""
        began = now()
        if began < self._due:
            return
        action()
        took = now() - began
        self._due = now() + max(self._interval, SHARE * took)
