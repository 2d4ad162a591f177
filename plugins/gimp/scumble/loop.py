"""GLib's event loop, which GIMP's windows live on as well."""

from __future__ import annotations

import sys
from collections.abc import Callable

from .gimp import GLib
from .link.canvas import Loop


class GLibLoop(Loop):
    """Does things between GLib's own events, when none of them is waiting; to be made on the main thread.

    An action that raises goes to `on_error`: GLib would only print it.
    """

    def __init__(self, on_error: Callable[[Exception], None] | None = None) -> None:
        self.on_error = on_error

    def deliver(self, action: Callable[[], None]) -> None:
        GLib.idle_add(self._run, action)

    def after(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        is_waiting = True

        def ring() -> bool:
            nonlocal is_waiting
            is_waiting = False
            return self._run(action)

        def cancel() -> None:
            nonlocal is_waiting
            if is_waiting:
                is_waiting = False
                GLib.source_remove(source)

        # no earlier than what GTK has to draw
        source = GLib.timeout_add(max(0, round(seconds * 1000)), ring, priority=GLib.PRIORITY_DEFAULT_IDLE)
        return cancel

    def run_until(self, is_over: Callable[[], bool]) -> None:
        """Turn until that is true; it is asked after each event."""
        context = GLib.MainContext.default()
        while not is_over():
            context.iteration(True)

    def _run(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except Exception as error:  # a callback's outermost edge
            if self.on_error is None:
                sys.excepthook(type(error), error, error.__traceback__)
            else:
                self.on_error(error)
        return False
