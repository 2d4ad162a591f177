"""A widget's outermost edge: what a callback raises ends in the panel, not in the host."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def guarded(studio: Any, action: Callable[..., Any]) -> Callable[..., None]:
    """`action` such that what it raises is told to the studio: PyQt ends the host where an exception leaves a slot,
    GTK's callbacks write it to a terminal that nobody sees."""

    @functools.wraps(action)
    def run(*values: Any) -> None:
        try:
            action(*values)
        except Exception as error:  # a callback's outermost edge
            studio.report(error)

    return run
