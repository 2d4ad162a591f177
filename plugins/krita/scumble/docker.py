"""Krita's docker: it has a studio of its own for each window, and shows the panel."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, ClassVar

from krita import DockWidget

from .canvas import KritaCanvas
from .link.studio import Studio
from .link.text import tr
from .panel import Panel
from .qt import QtLoop, QtWidgets, is_alive
from .widget import guarded

NAME = "scumble"


class ScumbleDocker(DockWidget):
    """One for each of Krita's windows."""

    _living: ClassVar[weakref.WeakSet[ScumbleDocker]] = weakref.WeakSet()

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle(tr("Scumble"))
        self.studio = Studio(KritaCanvas(self), QtLoop(lambda error: self.studio.report(error)))
        self.panel = Panel(self.studio)
        self.setWidget(self.panel)
        leave = _once(guarded(self.studio, self.studio.close))
        QtWidgets.QApplication.instance().aboutToQuit.connect(leave)
        self.destroyed.connect(leave)
        self._living.add(self)

    @classmethod
    def instances(cls) -> tuple[ScumbleDocker, ...]:
        """Those of all windows."""
        return tuple(docker for docker in cls._living if is_alive(docker))

    def canvasChanged(self, canvas: Any) -> None:  # noqa: N802 - Krita's name
        """Another document is active, or none."""
        if self.panel.isVisible():
            guarded(self.studio, self.panel.look)()

    def come_forward(self) -> None:
        """Show it, also where it lies behind another docker."""
        self.show()
        self.raise_()
        self.panel.setFocus()


def _once(action: Callable[[], None]) -> Callable[..., None]:
    """What does it at the first call only: Krita may quit with the window there, or after it was closed."""
    left = [action]

    def act(*_values: Any) -> None:
        if left:
            left.pop()()

    return act
