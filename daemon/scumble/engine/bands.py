"""Work on all cores, and on a large picture band by band: with little memory beside the picture.

Many of PyTorch's operators (gathering rows, random numbers) run on one core only, but let go of the interpreter
meanwhile: a thread for each core takes one part of the work after the other. Where the parts of a picture, its
**bands** of rows, lie depends on its shape alone, so that any number of threads comes to the same result.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

BAND_PX = 2**14
"""What is gathered for so many px stays in the processor's cache."""
STRIP_PX = 2**17
"""Of so many px all is computed at once that PyTorch shares among the cores itself."""
Each = Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]
"""Runs work for every part, and returns what came of it when all is done."""


def bands(height: int, width: int, device: torch.device, at_most: int = BAND_PX) -> list[slice]:
    """Rows of a picture, some `at_most` px each; all at once on a GPU, which has its own way to share work."""
    rows = max(1, at_most // width) if device.type == "cpu" else height
    return [slice(start, min(height, start + rows)) for start in range(0, height, rows)]


def strips(picture: Tensor) -> list[slice]:
    """Rows of a picture (…, height, width), few enough that what is computed of some takes little memory, and so many
    that all cores have enough to do."""
    return bands(picture.shape[-2], picture.shape[-1], picture.device, STRIP_PX)


def choosing(field: Tensor, margin: int, none: int, rows: slice, turn: int) -> tuple[Tensor, Tensor]:
    """Which pixels choose anew after their neighbours: those on the black squares of a chessboard in turn 0, on the
    white ones in turn 1. Were all to choose at once, neighbours would change places for ever; and in turns no band
    meets what another is just changing.

    Of `field`, which has `margin` px around the picture, and `none` where nothing is to be chosen, they are some `rows`
    of the picture. Returns where they are in the flattened field, and in the flattened rows.
    """
    stride = field.shape[1]
    within = field[rows.start + margin : rows.stop + margin, margin : stride - margin]
    y, x = (torch.arange(side, device=field.device) for side in within.shape)
    chooses = ((y[:, None] + x) % 2 != (turn + rows.start) % 2).logical_and_(within != none)
    found = chooses.flatten().nonzero()[:, 0]
    row = torch.div(found, within.shape[1], rounding_mode="floor")
    return found + row * (2 * margin) + ((rows.start + margin) * stride + margin), found


@contextmanager
def on_all_cores(device: torch.device) -> Iterator[Each]:
    """Runs parts of work on as many threads as PyTorch has, each on one core; on a GPU one after the other. No part may
    write what another reads."""
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    if threads == 1:
        yield lambda work, parts: [work(part) for part in parts]
        return
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            yield lambda work, parts: list(pool.map(work, parts))
        finally:
            torch.set_num_threads(threads)  # a thread that asks for one core sets some of MKL's state for all
