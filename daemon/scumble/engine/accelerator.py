"""How work reaches a device and comes back: all that differs between a CPU, CUDA and MPS, behind one interface.

On a GPU the host only says what is to be done, and is to say it without ever waiting. So pictures come to the device
once per job, a step that is taken again and again is **recorded** (a CUDA graph) and then said in one word, and what is
to be shown is copied beside the work that goes on.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import psutil
import torch
from torch import Tensor

log = logging.getLogger(__name__)

T = TypeVar("T")
Look = Callable[[], np.ndarray]
"""Waits for a picture that is being fetched; from any thread."""

RECORDED_AT_MOST_PX = 2048**2
"""A step on a larger picture computes for longer than it takes to say it, and a recording would hold its memory."""
BROUGHT_BYTES = 2**30
"""Pictures are kept on a GPU during a job up to so many bytes together."""
_CLEAR_REFS, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class Repeated(Generic[T]):
    """A step from one picture to what is found of it, to be taken again and again."""

    def __init__(self, step: Callable[[Tensor], T]) -> None:
        self._step = step

    def __call__(self, x: Tensor) -> T:
        """What the step finds of `x`; the caller's to keep."""
        return self._step(x)

    def forget(self) -> None:
        """To be told when something that the step reads was replaced."""


class Recorded(Repeated[T]):
    """A step that is recorded when it is taken for the second time, and replayed from then on.

    `record` runs it without computing and returns what it gave and a replay, which computes that anew in the same
    memory, from the same memory; `copied` makes of it what later replays do not touch. The first time the step fills
    what it keeps for itself, and nothing in it may wait for the device after that: if recording fails it is taken as
    it is given, and the log says so.
    """

    def __init__(
        self,
        step: Callable[[Tensor], T],
        record: Callable[[Callable[[], T]], tuple[T, Callable[[], None]]],
        copied: Callable[[T], T],
    ) -> None:
        super().__init__(step)
        self._record, self._copied = record, copied
        self._x: Tensor | None = None
        self._recording: tuple[T, Callable[[], None]] | None = None
        self._is_refused = False

    def __call__(self, x: Tensor) -> T:
        if self._is_refused:
            return self._step(x)
        if self._x is None or self._x.shape != x.shape:
            self._recording = None
            self._x = x.clone()
            return self._step(x)
        self._x.copy_(x)
        if self._recording is None and not self._recorded(self._x):
            return self._step(x)
        assert self._recording is not None
        found, replay = self._recording
        replay()
        return self._copied(found)

    def forget(self) -> None:
        self._recording = None

    def _recorded(self, x: Tensor) -> bool:
        try:
            self._recording = self._record(lambda: self._step(x))
        except RuntimeError as error:
            self._is_refused = True
            log.warning("A step cannot be recorded, and is slower so: %s", str(error).partition("\n")[0])
        return not self._is_refused


class Accelerator:
    """A CPU; the others do differently what they override."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @contextlib.contextmanager
    def painting(self) -> Iterator[None]:
        """All of one job happens within, on one thread."""
        yield

    def bring(self, array: np.ndarray) -> Tensor:
        """An array on the device, of its shape and type. It must stay as it is while the job lasts, for a CPU shares
        its memory and a GPU does not look at it again."""
        return _as_tensor(array)

    def look(self, picture: Tensor) -> Look:
        """Begin to fetch a picture as it is now; nothing may write into it any more."""
        return lambda: picture.cpu().numpy()

    def repeated(self, step: Callable[[Tensor], T], copied: Callable[[T], T], pixels: int) -> Repeated[T]:
        """A step that reads only its picture, of so many px, and what stays where it is; see `Recorded`."""
        return Repeated(step)

    def free_bytes(self) -> float:
        """The memory that a job may take."""
        return float(psutil.virtual_memory().available)

    def reset_peak(self) -> int:
        """Start a new measurement of peak memory; the bytes held now, by this process or on the device."""
        with contextlib.suppress(OSError):
            _CLEAR_REFS.write_text("5")
        return int(psutil.Process().memory_info().rss)

    def peak_bytes(self) -> int:
        """The most bytes that were held since `reset_peak`; where the system does not tell, those held now."""
        with contextlib.suppress(OSError):
            for line in _STATUS.read_text().splitlines():
                if line.startswith("VmHWM"):
                    return int(line.split()[1]) * 1024
        return int(psutil.Process().memory_info().rss)

    def wait(self) -> None:
        """Until everything that was said is done."""


class Cuda(Accelerator):
    """A GPU of NVIDIA's, or one of AMD's that torch calls so. `cuda` is torch's module, `pinned` makes memory of a
    shape and type that the device reads and writes by itself."""

    def __init__(
        self, device: torch.device, cuda: Any = torch.cuda, pinned: Callable[..., Tensor] | None = None
    ) -> None:
        super().__init__(device)
        self._cuda = cuda
        self._pinned = pinned or (lambda shape, dtype: torch.empty(shape, dtype=dtype, pin_memory=True))
        self._work, self._copies = cuda.Stream(self.device), cuda.Stream(self.device)
        self._brought: dict[tuple[object, ...], tuple[np.ndarray, Tensor]] = {}

    @contextlib.contextmanager
    def painting(self) -> Iterator[None]:
        # one stream for all: what one step lets go is the next one's, and a recording is replayed where it was made
        self._work.wait_stream(self._cuda.current_stream(self.device))
        with self._cuda.device(self.device), self._cuda.stream(self._work), tensor_cores():
            try:
                yield
            finally:
                self._brought.clear()
                self._work.synchronize()
                self._cuda.empty_cache()  # the host that asked for the picture needs the GPU as well

    def bring(self, array: np.ndarray) -> Tensor:
        facts = array.__array_interface__
        key = (facts["data"][0], array.shape, array.strides, facts["typestr"])
        if key in self._brought:
            return self._brought[key][1]
        source = _as_tensor(array)
        there = self._pinned(source.shape, source.dtype).copy_(source).to(self.device, non_blocking=True)
        if there.nbytes + sum(kept.nbytes for _, kept in self._brought.values()) <= BROUGHT_BYTES:
            self._brought[key] = array, there  # with the array, or its address might be another's
        return there

    def look(self, picture: Tensor) -> Look:
        shown, done = self._pinned(picture.shape, picture.dtype), self._cuda.Event()
        self._copies.wait_stream(self._cuda.current_stream(self.device))
        with self._cuda.stream(self._copies):
            shown.copy_(picture, non_blocking=True)
            done.record(self._copies)
        return _Copy(picture, shown, done)

    def repeated(self, step: Callable[[Tensor], T], copied: Callable[[T], T], pixels: int) -> Repeated[T]:
        return Recorded(step, self._record, copied) if pixels <= RECORDED_AT_MOST_PX else Repeated(step)

    def free_bytes(self) -> float:
        free, _ = self._cuda.mem_get_info(self.device)
        # what torch holds and does not use is free for it
        held = self._cuda.memory_reserved(self.device) - self._cuda.memory_allocated(self.device)
        return float(free + held)

    def reset_peak(self) -> int:
        self._cuda.reset_peak_memory_stats(self.device)
        return int(self._cuda.memory_allocated(self.device))

    def peak_bytes(self) -> int:
        return int(self._cuda.max_memory_allocated(self.device))

    def wait(self) -> None:
        self._cuda.synchronize(self.device)

    def _record(self, step: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        graph = self._cuda.CUDAGraph()
        # other threads may ask for the free memory meanwhile
        with self._cuda.graph(graph, stream=self._work, capture_error_mode="thread_local"):
            found = step()
        return found, graph.replay


@dataclass(frozen=True)
class _Copy:
    """A copy under way. It holds what is copied, whose memory would be the next step's otherwise."""

    source: Tensor
    shown: Tensor
    done: Any

    def __call__(self) -> np.ndarray:
        self.done.synchronize()
        return self.shown.numpy()


class Mps(Accelerator):
    """Apple's GPUs, which share the memory of the processor."""

    @contextlib.contextmanager
    def painting(self) -> Iterator[None]:
        try:
            yield
        finally:
            torch.mps.empty_cache()

    def bring(self, array: np.ndarray) -> Tensor:
        source = _as_tensor(array)
        return (source.float() if source.dtype is torch.float64 else source).to(self.device)  # it has no float64

    def free_bytes(self) -> float:
        left = torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
        return float(min(max(left, 0), super().free_bytes()))

    def reset_peak(self) -> int:
        return self.peak_bytes()

    def peak_bytes(self) -> int:
        return int(torch.mps.current_allocated_memory())  # it keeps no peak

    def wait(self) -> None:
        torch.mps.synchronize()


def _as_tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def accelerator(device: torch.device) -> Accelerator:
    """The one of a device; of `cuda`, that of its first."""
    return _accelerator(torch.device("cuda", 0) if device == torch.device("cuda") else device)


@lru_cache(maxsize=16)
def _accelerator(device: torch.device) -> Accelerator:
    kinds: dict[str, type[Accelerator]] = {"cuda": Cuda, "mps": Mps}
    return kinds.get(device.type, Accelerator)(device)


@contextlib.contextmanager
def tensor_cores() -> Iterator[None]:
    """Convolutions in float32 may use TF32, whose ten bits of mantissa are what photographs have; matrix products may
    not, for a Gram matrix is a sum over a million positions."""
    switches: tuple[tuple[Any, str], ...] = (
        (torch.backends.cudnn.conv, "tf32"),  # type: ignore[attr-defined]
        (torch.backends.cuda.matmul, "ieee"),
    )
    before = [each.fp32_precision for each, _ in switches]
    for each, value in switches:
        each.fp32_precision = value
    try:
        yield
    finally:
        for (each, _), value in zip(switches, before, strict=True):
            each.fp32_precision = value
