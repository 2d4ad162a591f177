"""The one place that imports PyQt: version 5 in Krita 5, version 6 in Krita 6. No call newer than Qt 5.12 is used.

Enumerations are written in full (`Qt.AlignmentFlag.AlignLeft`), which both versions understand.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .link.canvas import Loop


def _wanted() -> str:
    """ "5", "6", or "" for whichever is there."""
    named = os.environ.get("SCUMBLE_QT", "")
    if named in ("5", "6"):
        return named
    return next((version for version in ("5", "6") if f"PyQt{version}" in sys.modules), "")


_WANTED = _wanted()
if _WANTED == "6":
    from PyQt6 import QtCore, QtGui, QtWidgets, sip
elif _WANTED == "5":
    from PyQt5 import QtCore, QtGui, QtWidgets, sip
else:
    try:
        from PyQt5 import QtCore, QtGui, QtWidgets, sip
    except ImportError:  # Krita 6 refuses PyQt5 with a ModuleNotFoundError
        from PyQt6 import QtCore, QtGui, QtWidgets, sip

__all__ = ["QAction", "Qt", "QtCore", "QtGui", "QtLoop", "QtWidgets", "Signal", "drop_point", "is_alive", "open_path"]

Qt = QtCore.Qt
Signal = QtCore.pyqtSignal
QAction = QtGui.QAction if hasattr(QtGui, "QAction") else QtWidgets.QAction


def is_alive(thing: Any) -> bool:
    """Whether Qt has not yet deleted an object that Python still knows."""
    return not sip.isdeleted(thing)


def open_path(path: Path) -> bool:
    """Show a file or a folder in the program that the desktop has for it; False where there is none."""
    return bool(QtGui.QDesktopServices.openUrl(QtCore.QUrl.fromLocalFile(str(path))))


def drop_point(event: Any) -> Any:
    """Where something is dropped, as a QPoint."""
    return event.position().toPoint() if hasattr(event, "position") else event.pos()


class _Post(QtCore.QObject):
    """Carries calls from any thread to the one that made it."""

    sent = Signal(object)


class QtLoop(Loop):
    """Qt's event loop; to be made on the thread that runs it.

    An action that raises goes to `on_error`: PyQt ends the host where an exception leaves a slot.
    """

    def __init__(self, on_error: Callable[[Exception], None] | None = None) -> None:
        self._on_error = on_error
        self._post = _Post()
        self._timers: set[QtCore.QTimer] = set()
        self._post.sent.connect(self._run, Qt.ConnectionType.QueuedConnection)

    def deliver(self, action: Callable[[], None]) -> None:
        self._post.sent.emit(action)

    def after(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        timer = QtCore.QTimer(self._post)
        timer.setSingleShot(True)
        self._timers.add(timer)

        def cancel() -> None:
            if timer in self._timers:
                self._timers.discard(timer)
                timer.stop()
                timer.deleteLater()

        def ring() -> None:
            cancel()
            self._run(action)

        timer.timeout.connect(ring)
        timer.start(max(0, round(seconds * 1000)))
        return cancel

    def _run(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # a slot's outermost edge
            if self._on_error is None:
                sys.excepthook(type(error), error, error.__traceback__)
            else:
                self._on_error(error)
