"""Questions to the daemon, asked on threads and answered on the host's own."""

from __future__ import annotations

import threading
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import LinkError

if TYPE_CHECKING:
    from .daemon import Daemon

T = TypeVar("T")
Deliver = typing.Callable[[typing.Callable[[], None]], None]
"""Has something done on the host's thread, soon."""


class Questions:
    """Asks them; after `close` no answer comes any more."""

    def __init__(self, daemon: Daemon, deliver: Deliver) -> None:
        self._daemon = daemon
        self._deliver = deliver
        self._topics: dict[str, _Topic] = {}
        self._is_closed = False

    def close(self) -> None:
        """Nothing is delivered any more."""
        self._is_closed = True
        self._topics.clear()

    def ask(
        self,
        question: Callable[[Daemon], T],
        on_answer: Callable[[T], None],
        on_error: Callable[[LinkError], None] | None = None,
        topic: str = "",
    ) -> None:
        """Ask the daemon something on another thread; the answer, or the error, comes on the host's.

        Of several questions on one `topic` only the latest is answered: one that waits its turn is not even asked.
        """
        asked = _Question(question, on_answer, on_error)
        if not topic:
            thread(lambda: self._tell(asked, self._outcome(asked)), "question")
            return
        about = self._topics.setdefault(topic, _Topic())
        if about.put(asked):
            thread(lambda: self._answer(about), f"questions on {topic}")

    def _answer(self, about: _Topic) -> None:
        while True:
            asked = about.take()
            if asked is None:
                return
            outcome = self._outcome(asked)
            self._tell(asked, outcome, partial(about.is_latest, asked))

    def _outcome(self, asked: _Question) -> Callable[[], None]:
        """What is to be done on the host's thread."""
        try:
            answer = asked.question(self._daemon)
        except LinkError as error:
            return _told(asked.on_error, error)
        except Exception as error:  # the thread's edge
            return _told(asked.on_error, internal(error))
        return _told(asked.on_answer, answer)

    def _tell(
        self, asked: _Question, outcome: Callable[[], None], is_wanted: Callable[[], bool] = lambda: True
    ) -> None:
        def act() -> None:
            if not self._is_closed and is_wanted():
                outcome()

        if not self._is_closed:
            self._deliver(act)


@dataclass(frozen=True, eq=False)
class _Question:
    question: Callable[[Daemon], Any]
    on_answer: Callable[[Any], None]
    on_error: Callable[[LinkError], None] | None


@dataclass(eq=False)
class _Topic:
    """Questions of which only the latest counts."""

    latest: _Question | None = None
    _waiting: _Question | None = None
    _is_busy: bool = False
    _lock: Any = field(default_factory=threading.Lock)

    def put(self, asked: _Question) -> bool:
        """Ask this instead of what waits; whether a thread is needed for it."""
        with self._lock:
            self.latest = self._waiting = asked
            is_needed, self._is_busy = not self._is_busy, True
            return is_needed

    def is_latest(self, asked: _Question) -> bool:
        """Whether nothing was asked after it."""
        return self.latest is asked

    def take(self) -> _Question | None:
        """What to ask next; None: the thread may end."""
        with self._lock:
            asked, self._waiting = self._waiting, None
            self._is_busy = asked is not None
            return asked


def _told(listener: Callable[[Any], None] | None, value: Any) -> Callable[[], None]:
    return lambda: listener(value) if listener is not None else None


def internal(error: Exception) -> LinkError:
    """A mistake of ours on a thread, as an error for the panel."""
    return LinkError("internal", f"{type(error).__name__}: {error}"[:300])


def thread(work: Callable[[], Any], name: str) -> threading.Thread:
    """Have work done on a thread of its own."""
    # a daemon thread: a host that ends does not wait for it
    begun = threading.Thread(target=work, name=f"scumble {name}", daemon=True)
    begun.start()
    return begun
