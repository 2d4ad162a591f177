"""The machine that paints: which device, which type to compute in, and how memory is held."""

import contextlib
import ctypes
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from scumble.errors import ScumbleError
from scumble.recipe import Precision

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -3, -4, -8
_NO_MEMORY = ("can't allocate memory", "could not create a primitive", "could not create a memory", "bad_alloc")
_DEFAULT_MMAPS, _DEFAULT_THRESHOLD = 65536, 128 * 1024
HOLD_AT_MOST = 3 * 2**29
"""A step that takes more gives the memory of maps larger than `KEPT_MAP` back after every layer."""
KEPT_MAP = 2**25
"""The most that glibc lets a single map have to be kept by size."""


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
def held_pages(*, all_of_them: bool = True) -> Iterator[None]:
    """Let glibc keep freed memory for the next iteration, and give all of it back at the end.

    By itself it asks the kernel for every large map anew and returns it after use; clearing those pages again in every
    layer of every iteration takes as long as a fifth of the convolutions. What is kept is also split, so that up to
    twice the memory is held; unless `all_of_them` are asked for, pages of what is smaller than `KEPT_MAP` are kept
    alone. Elsewhere than on Linux this does nothing.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is None or not hasattr(libc, "mallopt"):
        yield
        return
    if all_of_them:
        libc.mallopt(_M_MMAP_MAX, 0)
    else:
        libc.mallopt(_M_MMAP_THRESHOLD, KEPT_MAP)
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(_M_ARENA_MAX, 2)  # or every new thread may keep pages of its own
    try:
        yield
    finally:
        libc.mallopt(_M_MMAP_MAX, _DEFAULT_MMAPS)
        libc.mallopt(_M_MMAP_THRESHOLD, _DEFAULT_THRESHOLD)
        libc.mallopt(_M_TRIM_THRESHOLD, _DEFAULT_THRESHOLD)
        libc.malloc_trim(0)


def processor_name(device: torch.device) -> str:
    """What the device calls itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
