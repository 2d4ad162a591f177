"""Long work on the host's thread, done in short steps between its own events."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from .canvas import Loop, Steps
from .errors import LinkError


def drive(
    loop: Loop, steps: Steps, on_done: Callable[[Any], None], on_error: Callable[[LinkError], None]
) -> Callable[[], None]:
    """Do the first step now and the others one after another, each as a turn of the loop; what comes back ends it.

    `on_done` gets what the steps return, `on_error` what they raise; anything but a `LinkError` is a mistake of ours.
    """
    ended = False

    def turn() -> None:
        if ended:
            return
        error = None
        try:
            next(steps)
        except StopIteration as end:
            result = end.value
        except LinkError as refused:
            error = refused.with_traceback(None)  # which would hold the pixels of the step
        except Exception as mistake:
            error = internal(mistake)
        else:
            loop.after(0, turn)
            return
        if error is None:
            on_done(result)
        else:
            on_error(error)

    def end() -> None:
        nonlocal ended
        ended = True
        steps.close()

    turn()
    return end


def internal(mistake: BaseException) -> LinkError:
    """A mistake of ours as an error for the panel; what a helper needs goes to the host's terminal."""
    traceback.print_exception(type(mistake), mistake, mistake.__traceback__)
    return LinkError("internal", f"{type(mistake).__name__}: {mistake}")
