"""What all widgets share: they listen to the studio, have names, and a mistake of theirs ends in the panel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .link.guard import guarded
from .link.topics import Topic
from .qt import Qt, QtCore, QtWidgets, is_alive

__all__ = ["call_on", "call_with", "discard", "guarded", "keeps_key", "listen", "named", "plain"]


def call_on(studio: Any, signal: Any, action: Callable[[], Any]) -> None:
    """Call `action()`, guarded, when a signal comes; the signal's own values are left out."""
    run = guarded(studio, action)
    signal.connect(lambda *_values: run())


def call_with(studio: Any, signal: Any, action: Callable[[Any], Any]) -> None:
    """Call `action(value)`, guarded, with a signal's first value."""
    run = guarded(studio, action)
    signal.connect(lambda value, *_values: run(value))


def listen(widget: QtWidgets.QWidget, studio: Any, topic: Topic, show: Callable[[], None]) -> None:
    """Call `show()` when a topic changes, as long as the widget lives."""
    run = guarded(studio, show)

    def heard() -> None:
        if is_alive(widget):
            run()
        else:
            unlisten()

    # no slot of `destroyed`: where Python's collector deletes the widget, what a slot needs is gone before it
    unlisten = studio.listen(topic, heard)


def named(
    widget: QtWidgets.QWidget, name: str, label: str, tip: str, *, description: str | None = None
) -> QtWidgets.QWidget:
    """Give a control its name for tests, for screen readers (`label`), and its tooltip; returns it."""
    widget.setObjectName(name)
    widget.setAccessibleName(label)
    widget.setToolTip(tip)
    widget.setAccessibleDescription(tip if description is None else description)
    return widget


def keeps_key(event: QtCore.QEvent, keys: Sequence[Qt.Key]) -> bool:
    """Whether the event asks if one of these keys is the host's shortcut: it then is the widget's instead."""
    if event.type() != QtCore.QEvent.Type.ShortcutOverride or event.key() not in keys:
        return False
    event.accept()
    return True


def discard(widget: QtWidgets.QWidget) -> None:
    """Take a widget away and delete it when Qt is ready to; until then nobody finds it by its name.

    It keeps its parent: one without belongs to Python, whose collector may delete it in the midst of Qt's work.
    """
    widget.hide()
    for each in (widget, *widget.findChildren(QtWidgets.QWidget)):
        each.setObjectName("")
    widget.deleteLater()


def plain(text: str) -> str:
    """A text as a button or menu shows it: an ampersand is an ampersand, not the mark of a mnemonic."""
    return text.replace("&", "&&")
