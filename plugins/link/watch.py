"""What is known of the daemon: whether it is there, how it stands, its style library, its presets, its models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from .daemon import Daemon, Health, Model, Preset, Style
from .desk import Desk
from .errors import LinkError
from .text import tr
from .topics import Listeners, Topic
from .wording import status_line

_LOOKS = 5
"""Of the looks, which come about once a second, every so many asks the daemon."""
_THUMBNAILS, _AT_ONCE = 400, 3
_AWAY = frozenset({"no-daemon", "unreachable", "stopping"})


@dataclass(frozen=True)
class Status:
    """The status line; `dot` is starting, ready, running, error or down."""

    dot: str
    line: str


class Watch:
    """Asks the daemon how it stands, never on the host's thread; `on_error` hears why it cannot be started.

    `on_found` is called when another daemon answers than before.
    """

    def __init__(
        self,
        desk: Desk,
        listeners: Listeners,
        on_error: Callable[[LinkError], None],
        on_found: Callable[[], None],
    ) -> None:
        self.health: Health | None = None
        self.problem: LinkError | None = None
        self.library: tuple[Style, ...] = ()
        self.presets: tuple[Preset, ...] = ()
        self.models: tuple[Model, ...] | None = None
        """The trained styles; None: nobody has been heard of them."""
        self._desk, self._listeners, self._on_error = desk, listeners, on_error
        self._on_found = on_found
        self._is_starting = False
        self._looks = 0
        self._instance: str | None = None
        self._thumbnails: dict[str, bytes] = {}
        self._awaited: list[tuple[str, Callable[[bytes], None]]] = []
        self._put_off: list[tuple[str, Callable[[bytes], None]]] = []
        self._fetching = 0

    # ------------------------------------------------------------------------------------------------ how it stands

    def status(self, is_running: bool, is_starting: bool) -> Status:
        """The status line, while something is painted, or started for."""
        if self._is_starting or (is_starting and self.health is None):
            return Status("starting", tr("Starting…"))
        if self.health is not None:
            return Status("running" if is_running else "ready", status_line(self.health))
        if self.problem is None or self.problem.code == "no-daemon":
            return Status("down", tr("Not running; it starts when you need it"))
        return Status("error", self.problem.detail)

    def look(self) -> None:
        """Ask how the daemon stands, if it is time; one that is not running is not started."""
        self._looks += 1
        if self._looks % _LOOKS == 1 and not self._is_starting:
            self.ask_now()

    def ask_now(self) -> None:
        """Ask how the daemon stands."""
        self._desk.ask(_how_it_stands, self._heard, self._failed, topic="health")

    def start(self) -> None:
        """Start the daemon, or find it."""
        self._begin(_started)

    def restart(self) -> None:
        """End the daemon and start it again; jobs go on."""
        self._begin(_restarted)

    def _begin(self, question: Callable[[Daemon], Health]) -> None:
        self._is_starting = True
        self._listeners.tell(Topic.STATUS)
        self._desk.ask(question, self._heard, self._failed_to_start, topic="start")

    def _heard(self, health: Health) -> None:
        self._is_starting = False
        self.health, self.problem = health, None
        self._listeners.tell(Topic.STATUS)
        if health.instance != self._instance:
            self._instance = health.instance
            self.refresh()
            self._on_found()

    def _failed(self, error: LinkError) -> None:
        if self._is_starting:
            return
        self.health, self.problem = None, error
        self._listeners.tell(Topic.STATUS)

    def _failed_to_start(self, error: LinkError) -> None:
        self._is_starting = False
        self._failed(error)
        self._on_error(error)

    # ------------------------------------------------------------------------------------------- library and presets

    def refresh(self) -> None:
        """Ask for the library, the presets and the models again."""
        self.ask_models()
        self._ask_library()
        self._desk.ask(lambda daemon: tuple(daemon.presets()), self._keep_presets, _nothing, topic="presets")

    def ask_models(self) -> None:
        """Ask which styles are trained; where that has changed, the library is asked too."""
        self._desk.ask(lambda daemon: tuple(daemon.models()), self._keep_models, _nothing, topic="models")

    def _keep_models(self, models: tuple[Model, ...]) -> None:
        if models == self.models:
            return
        is_change, self.models = self.models is not None, models
        self._listeners.tell(Topic.TRAINED)
        if is_change:
            self._ask_library()

    def _ask_library(self) -> None:
        self._desk.ask(lambda daemon: tuple(daemon.styles()), self._keep_library, _nothing, topic="library")

    def _keep_library(self, styles: tuple[Style, ...]) -> None:
        self.library = styles
        self._listeners.tell(Topic.LIBRARY, Topic.TRAINED)
        self._awaited += self._put_off
        self._put_off = []
        self._fetch()

    def _keep_presets(self, presets: tuple[Preset, ...]) -> None:
        self.presets = presets
        self._listeners.tell(Topic.PRESETS)

    def thumbnail(self, style: str, on_bytes: Callable[[bytes], None]) -> None:
        """A small picture of a style of the library, by its id: now, or once the daemon is there, or never."""
        if style in self._thumbnails:
            on_bytes(self._thumbnails[style])
        else:
            self._awaited.append((style, on_bytes))
            self._fetch()

    def _fetch(self) -> None:
        """Ask for what is awaited, a few at a time."""
        while self._awaited and self._fetching < _AT_ONCE:
            style, on_bytes = self._awaited.pop(0)
            if style in self._thumbnails:
                on_bytes(self._thumbnails[style])
                continue
            self._fetching += 1
            self._desk.ask(
                partial(_thumbnail, style), partial(self._keep, style, on_bytes), partial(self._later, style, on_bytes)
            )

    def _keep(self, style: str, on_bytes: Callable[[bytes], None], data: bytes) -> None:
        self._fetching -= 1
        while len(self._thumbnails) >= _THUMBNAILS:
            del self._thumbnails[next(iter(self._thumbnails))]
        self._thumbnails[style] = data
        on_bytes(data)
        self._fetch()

    def _later(self, style: str, on_bytes: Callable[[bytes], None], error: LinkError) -> None:
        self._fetching -= 1
        if error.code in _AWAY:  # asked again when the daemon is heard of
            self._put_off.append((style, on_bytes))
        self._fetch()


def _thumbnail(style: str, daemon: Daemon) -> bytes:
    return daemon.thumbnail(style)


def _nothing(_: Any) -> None:
    """What is missed is asked for again when the daemon is heard of again."""


def _how_it_stands(daemon: Daemon) -> Health:
    daemon.connect(start=False)
    return daemon.health()


def _started(daemon: Daemon) -> Health:
    daemon.connect(start=True)
    return daemon.health()


def _restarted(daemon: Daemon) -> Health:
    daemon.finder.stop()
    daemon.connect(start=True)
    return daemon.health()
