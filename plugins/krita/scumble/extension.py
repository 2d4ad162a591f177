"""What Krita is told of Scumble: the docker, and actions that menus and keyboard shortcuts can be bound to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from krita import DockWidgetFactory, DockWidgetFactoryBase, Extension, Krita

from .docker import NAME, ScumbleDocker
from .link import text
from .link.text import mark, tr
from .qt import QtCore
from .widget import guarded

_MENU = "tools/scripts"
_ACTIONS: tuple[tuple[str, str, Callable[[ScumbleDocker], None]], ...] = (
    ("scumble_show", mark("Scumble: show the docker"), lambda docker: docker.come_forward()),
    ("scumble_run", mark("Scumble: run again"), lambda docker: docker.studio.run()),
    ("scumble_keep", mark("Scumble: stop and keep"), lambda docker: _stop(docker, keep=True)),
    ("scumble_stop", mark("Scumble: stop"), lambda docker: _stop(docker, keep=False)),
)
"""Name, text, what is done with the window's docker; their shortcuts stand in scumble.action."""


class ScumbleExtension(Extension):
    """Adds the actions to each window."""

    def setup(self) -> None:
        """Krita asks for it; there is nothing to do."""

    def createActions(self, window: Any) -> None:  # noqa: N802 - Krita's name
        """Add the actions to a window."""
        for name, label, what in _ACTIONS:
            action = window.createAction(name, tr(label), _MENU)
            action.triggered.connect(lambda *_, what=what: _with_docker(what))


def _with_docker(what: Callable[[ScumbleDocker], None]) -> None:
    docker = _docker()
    if docker is not None:
        guarded(docker.studio, what)(docker)


def _docker() -> ScumbleDocker | None:
    """The active window's docker: Python's own object, for what Krita lists of its dockers has none of our methods.

    The window that `createActions` is given does not outlive that call (5.2.9).
    """
    dockers = ScumbleDocker.instances()
    window = Krita.instance().activeWindow()
    active = window.qwindow() if window is not None else None
    own = [docker for docker in dockers if active in (docker.window(), docker.parentWidget())]  # it may float
    if own:
        return own[0]
    return dockers[0] if len(dockers) == 1 else None


def _stop(docker: ScumbleDocker, keep: bool) -> None:
    for ticket in docker.studio.tickets[:1]:
        docker.studio.stop(ticket, keep)


def interface_language(preferred: Sequence[str]) -> str:
    """The language of Krita's interface, of those that Qt prefers: the first one, or "" where there is none.

    Krita goes by the same list, and makes what Settings ▸ Switch Application Language says its only one. `QLocale.name`
    would be another thing: the way of writing numbers, which Windows and macOS set apart from the language.
    """
    return next(iter(preferred), "")


def register() -> None:
    """Tell Krita of it all; once, when the plug-in is loaded."""
    text.use(interface_language(QtCore.QLocale().uiLanguages()))
    krita = Krita.instance()
    krita.addExtension(ScumbleExtension(krita))
    krita.addDockWidgetFactory(DockWidgetFactory(NAME, DockWidgetFactoryBase.DockRight, ScumbleDocker))
