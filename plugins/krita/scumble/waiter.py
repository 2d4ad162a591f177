"""What libkis waits for, waited for on another thread.

libkis waits in `Node.addChildNode`, `Node.setColorSpace` and `Document.refreshProjection` until Krita's own threads
have composed or converted all, which takes a second or more with twelve megapixels, and leaves the user's input lying
meanwhile (5.1.5 to 5.3.4). Krita itself allows its strokes to be started and waited for on any thread. Called by Qt,
and not by Python, its functions let Python's other threads run.
"""

from __future__ import annotations

import threading
from typing import Any

from .link.canvas import Steps
from .qt import Qt, QtCore

_PATIENCE_S = 5.0
"""How long the closing of a document waits: a tool's stroke that only Krita's thread can end would hold it forever."""
_NAP_S = 0.002
"""How long a step rests that only waits."""


class Waiter:
    """`krita` is Krita's instance. To be used on Krita's own thread."""

    def __init__(self, krita: Any) -> None:
        self._krita = krita
        self._used: dict[threading.Thread, tuple[Any, ...]] = {}
        # 5.1 refreshes there and then, past its queue: whatever asks meanwhile whether Krita is idle would wait anyway.
        self._refreshes_at_once = krita.version().startswith("5.1")
        notifier = krita.notifier()
        notifier.setActive(True)
        notifier.imageClosed.connect(self._finish)

    def add(self, parent: Any, new: Any, below: Any) -> threading.Thread:
        """Begin to add a node to another, above a third or none; the thread ends when the picture is composed."""
        from krita import Node

        nodes = [QtCore.Q_ARG(Node, each) for each in (new, below)]
        return self._begin(parent, "addChildNode", *nodes, used=(new, below))

    def refresh(self, document: Any, node: Any) -> None:
        """Have a document composed anew after one of its nodes was shown or hidden; it is idle."""
        if not self._refreshes_at_once:
            self._begin(document, "refreshProjection")
        elif not self._toggled(document, node):
            document.refreshProjection()

    def _toggled(self, document: Any, node: Any) -> bool:
        """Whether Krita has shown or hidden a node by its own action, the eye in the list of layers: a step of undo,
        but composed aside. It does so in the document that is seen."""
        eye = self._krita.action("toggle_layer_visibility")
        if eye is None or self._krita.activeDocument() != document:
            return False
        before, shown = document.activeNode(), node.visible()
        node.setVisible(not shown)
        document.setActiveNode(node)
        if document.activeNode() == node:
            eye.trigger()
        if before is not None:
            document.setActiveNode(before)
        is_done = node.visible() == shown
        node.setVisible(shown)
        return bool(is_done)

    def change(self, document: Any, node: Any, space: tuple[str, str, str]) -> Steps:
        """Have a document that nobody sees bring a node to another colour space, if it can; done when the steps end."""
        words = [QtCore.Q_ARG(str, word) for word in space]
        thread = self._begin(node, "setColorSpace", *words, used=(document,))
        while thread.is_alive():
            thread.join(_NAP_S)
            yield

    def _begin(self, thing: Any, slot: str, *arguments: Any, used: tuple[Any, ...] = ()) -> threading.Thread:
        def run() -> None:
            QtCore.QMetaObject.invokeMethod(thing, slot, Qt.ConnectionType.DirectConnection, *arguments)

        # What is used must not be forgotten, and so deleted, on the thread.
        self._used = {each: used for each, used in self._used.items() if each.is_alive()}
        thread = threading.Thread(target=run, name="scumble-waiter", daemon=True)
        self._used[thread] = (thing, *arguments, *used)
        thread.start()
        return thread

    def _finish(self) -> None:
        """Krita is about to delete a document, whose picture libkis does not hold while it waits for it."""
        for thread in list(self._used):
            thread.join(_PATIENCE_S)
