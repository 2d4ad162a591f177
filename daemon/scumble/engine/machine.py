"""The machine that paints: which device, which type to compute in, and how memory is held."""

import contextlib
import ctypes
import functools
import platform
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

import torch
from torch import Tensor

from scumble.errors import ScumbleError
from scumble.recipe import Precision

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -3, -4, -8
_NO_MEMORY = ("can't allocate memory", "could not create a primitive", "could not create a memory", "bad_alloc")
_DEFAULT_MMAPS, _DEFAULT_THRESHOLD = 65536, 128 * 1024
HOLD_AT_MOST = 1450 * 2**20
"""A step in one piece that takes more gives the memory of maps larger than `KEPT_MAP` back after every layer."""
HOLD_OF_WINDOW = 3 * 2**28
"""So does one in windows whose maps take more than this."""
KEPT_MAP = 2**25
"""The most that glibc lets a single map have to be kept by size."""
_keeps_maps: ContextVar[bool] = ContextVar("_keeps_maps", default=False)


def device_of(name: str = "auto") -> torch.device:
    """`auto` (CUDA, then MPS, then the CPU), or a name as torch knows it; `ScumbleError("no-device")` if it is not
    there."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        if reason.startswith("Expected one of"):
            reason = "there is no such kind of device"
        raise ScumbleError("no-device", f"The device {name!r} cannot be used: {reason}.") from None
    return device


def is_gpu(device: torch.device) -> bool:
    """Whether networks as large as VGG19 are quick there."""
    return device.type != "cpu"


def dtype_of(precision: Precision, device: torch.device) -> torch.dtype:
    """The type in which the network computes; bfloat16 by itself only where it is native, never where it is
    emulated."""
    if precision is Precision.AUTO:
        return torch.bfloat16 if bfloat16_is_native(device) else torch.float32
    return torch.bfloat16 if precision is Precision.BFLOAT16 else torch.float32


def bfloat16_is_native(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def in_double(x: Tensor) -> Tensor:
    """In float64; on the CPU where the device has no such type."""
    return (x.cpu() if x.device.type == "mps" else x).double()


def is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """Whether torch failed for want of memory; on a CPU it says so only in words, and oneDNN in others."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(words in str(error) for words in _NO_MEMORY)


@contextlib.contextmanager
def held_pages(*, all_maps: bool = True) -> Iterator[None]:
    """Let glibc keep freed memory for the next iteration, and give all of it back at the end.

    By itself it asks the kernel for every large map anew and returns it after use; clearing those pages again in every
    layer of every iteration takes as long as a fifth of the convolutions. Kept is what is smaller than `KEPT_MAP`, and
    with `all_maps` whatever comes and goes in a `network_pass`. It is also split, so that up to twice the memory is
    held. Elsewhere than on Linux this does nothing.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    libc.mallopt(_M_MMAP_THRESHOLD, KEPT_MAP)
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(_M_ARENA_MAX, 2)  # or every new thread may keep pages of its own
    token = _keeps_maps.set(all_maps)
    try:
        yield
    finally:
        _keeps_maps.reset(token)
        libc.mallopt(_M_MMAP_THRESHOLD, _DEFAULT_THRESHOLD)
        libc.mallopt(_M_TRIM_THRESHOLD, _DEFAULT_THRESHOLD)
        libc.malloc_trim(0)


@contextlib.contextmanager
def network_pass() -> Iterator[None]:
    """Where maps come and go that `held_pages` is to keep however large they are; nothing that is as large as the
    picture and stays for long should be made in it."""
    libc = _glibc() if _keeps_maps.get() else None
    if libc is None:
        yield
        return
    token = _keeps_maps.set(False)  # for passes within this one
    libc.mallopt(_M_MMAP_MAX, 0)
    try:
        yield
    finally:
        libc.mallopt(_M_MMAP_MAX, _DEFAULT_MMAPS)
        _keeps_maps.reset(token)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if hasattr(libc, "mallopt") else None


def processor_name(device: torch.device) -> str:
    """What the device calls itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
