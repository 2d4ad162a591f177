"""What makes Krita compose a whole picture anew, done on another thread.

libkis waits in `Node.addChildNode` and `Document.refreshProjection` until all is composed, which takes a second or more
with twelve megapixels, and leaves the user's input lying meanwhile (5.1.5 to 5.3.4). Krita itself allows its strokes to
be started and waited for on any thread. Called by Qt, and not by Python, its functions let Python's other threads run.
"""

from __future__ import annotations

import threading
from typing import Any

from .qt import Qt, QtCore

_PATIENCE_S = 5.0
"""How long the closing of a document waits: a tool's stroke that only Krita's thread can end would hold it forever."""


class Composer:
    """`krita` is Krita's instance. To be used on Krita's own thread."""

    def __init__(self, krita: Any) -> None:
        self._used: dict[threading.Thread, tuple[Any, ...]] = {}
        # 5.1 composes there and then, past its queue: whatever asks meanwhile whether Krita is idle would wait anyway.
        self._refreshes_at_once = krita.version().startswith("5.1")
        notifier = krita.notifier()
        notifier.setActive(True)
        notifier.imageClosed.connect(self._finish)

    def add(self, parent: Any, new: Any, below: Any) -> threading.Thread:
        """Begin to add a node to another, above a third or none; the thread ends when the picture is composed."""
        return self._begin(parent, "addChildNode", new, below)

    def refresh(self, document: Any) -> None:
        """Have a document composed anew."""
        if self._refreshes_at_once:
            document.refreshProjection()
        else:
            self._begin(document, "refreshProjection")

    def _begin(self, thing: Any, slot: str, *nodes: Any) -> threading.Thread:
        from krita import Node

        arguments = [QtCore.Q_ARG(Node, each) for each in nodes]

        def run() -> None:
            QtCore.QMetaObject.invokeMethod(thing, slot, Qt.ConnectionType.DirectConnection, *arguments)

        # What is used must not be forgotten, and so deleted, on the thread.
        self._used = {each: used for each, used in self._used.items() if each.is_alive()}
        thread = threading.Thread(target=run, name="scumble-composer", daemon=True)
        self._used[thread] = (thing, *nodes)
        thread.start()
        return thread

    def _finish(self) -> None:
        """Krita is about to delete a document, whose picture libkis does not hold while it waits for it."""
        for thread in list(self._used):
            thread.join(_PATIENCE_S)
