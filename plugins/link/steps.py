"""Long work on the host's thread, done in short steps between its own events."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from .canvas import Loop, Steps
from .errors import LinkError
from .pixels import Plane, Rect

_STEP_S = 0.07
"""How long a step should take."""
_MOST_PX = 1 << 20
"""A step has at most so many pixels, however fast: the next one may be slow."""
_LEAST_PX = 1 << 15
"""A step has at least so many pixels, however slow: 512 × 64, one row of Krita's bench."""

_Made = TypeVar("_Made")


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


# ------------------------------------------------------------------------------------------------------------- pieces


def in_bands(box: Rect, start_px: int, work: Callable[[int, int], None], whole: int = 1) -> Steps:
    """Have `work(y, rows)` do all rows of a box; each band is as high as the last one's speed allows, and a multiple of
    `whole` rows."""
    y, px = 0, float(start_px)
    while y < box.height:
        rows = min(max(int(px // box.width) // whole, 1) * whole, box.height - y)
        begin = time.perf_counter()
        work(y, rows)
        took = max(time.perf_counter() - begin, 1e-4)
        px = max(min(rows * box.width * _STEP_S / took, 2 * px, _MOST_PX), _LEAST_PX)
        y += rows
        yield


def write(put: Callable[[Any, int, int, int, int], None], plane: Plane, box: Rect, whole: int = 1) -> Steps:
    """Have the rows of a plane put to their places in a box, in bands: put(data, x, y, width, height)."""
    view = memoryview(plane.data).cast("B")

    def work(y: int, rows: int) -> None:
        put(view[y * plane.stride : (y + rows) * plane.stride], box.x, box.y + y, box.width, rows)

    yield from in_bands(box, 1 << 16, work, whole)


def aside(work: Callable[[], _Made]) -> Generator[None, None, _Made]:
    """What takes long and needs no host, on a thread of its own."""
    done: list[_Made] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # a thread's outermost edge; raised again below
            failed.append(error)

    thread = threading.Thread(target=run, name="scumble-aside", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.005)
        yield
    if failed:
        raise failed[0]
    return done[0]
