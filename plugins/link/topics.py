"""Who wants to know when something changes: widgets listen to topics, the studio tells them."""

from __future__ import annotations

import enum
from collections.abc import Callable


class Topic(enum.Enum):
    """What of the studio can change."""

    SETTINGS = "settings"
    SUBJECT = "subject"
    """The active layer, the selection, the regions, the estimate."""
    RUNS = "runs"
    RESULTS = "results"
    STATUS = "status"
    ERROR = "error"
    """The error or the notice that stands in the panel."""
    PRESETS = "presets"
    LIBRARY = "library"
    TRAINED = "trained"
    """Which styles are trained, and the trainings that have not ended."""
    SHEET = "sheet"


class Listeners:
    """Functions by the topic that they listen to."""

    def __init__(self) -> None:
        self._by_topic: dict[Topic, list[Callable[[], None]]] = {topic: [] for topic in Topic}

    def listen(self, topic: Topic, action: Callable[[], None]) -> Callable[[], None]:
        """Have `action` called whenever that changes; what comes back ends it."""
        self._by_topic[topic].append(action)

        def unlisten() -> None:
            if action in self._by_topic[topic]:
                self._by_topic[topic].remove(action)

        return unlisten

    def tell(self, *topics: Topic) -> None:
        """These have changed."""
        for topic in topics:
            for action in tuple(self._by_topic[topic]):
                action()
