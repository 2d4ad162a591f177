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
        self._in_turn = threading.Lock()
        self._used: dict[threading.Thread, tuple[Any, ...]] = {}
        notifier = krita.notifier()
        notifier.setActive(True)
        notifier.imageClosed.connect(self._finish)

    def call(self, thing: Any, slot: str, *nodes: Any) -> threading.Thread:
        """Begin to call a slot of a node or a document, which takes nodes; the thread that does it.

        They wait for each other: in 5.1.5 two calls of `refreshProjection` would compose the same pixels at once.
        """
        from krita import Node

        arguments = [QtCore.Q_ARG(Node, each) for each in nodes]

        def run() -> None:
            with self._in_turn:
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
