"""A folder in which computed values outlive the process, for those who would otherwise compute them again.

A *shelf* is the folder, bounded in size; of what no longer fits, the least recently used goes first. A *drawer* is the
part of it for one kind of values. Nothing here ever fails a job: what cannot be read or written is computed, and the
log says why.
"""

import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from scumble.engine.sealed import seal, unseal
from scumble.errors import ScumbleError
from scumble.home import private_folder, write_private

FORMAT = 1
"""To be raised when what is computed, or how it is written, changes."""
_SUFFIX = ".safetensors"
_STALE_S = 3600.0  # a file that is still half written after so long never will be whole

T = TypeVar("T")
Packed = tuple[Mapping[str, Any], Mapping[str, Tensor]]
"""Facts (plain JSON values) and tensors."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shelf:
    """Files in `folder`, together at most `limit_bytes`."""

    folder: Path
    limit_bytes: int

    def read(self, name: str) -> bytes | None:
        """The file of that name, which counts as used now; None if there is none."""
        path = self._path(name)
        try:
            data = path.read_bytes()
            os.utime(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("%s cannot be read: %s", path, error)
            return None
        return data

    def write(self, name: str, data: bytes) -> None:
        """Keep a file, and let others go for it."""
        if len(data) > self.limit_bytes:
            return
        try:
            private_folder(self.folder)
            self._make_room(len(data), self._path(name))
            write_private(self._path(name), data, durable=False)
        except (OSError, ScumbleError) as error:
            _log.warning("%s cannot be written: %s", self._path(name), error)

    def remove(self, name: str) -> None:
        """Let a file go."""
        with contextlib.suppress(OSError):
            self._path(name).unlink()

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{_SUFFIX}"

    def _make_room(self, size: int, target: Path) -> None:
        held = []
        for path in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process may be at it as well
                state = path.stat()
                if path.suffix == _SUFFIX and path != target:
                    held.append((state.st_mtime_ns, path.name, state.st_size))
                elif path.suffix == ".tmp" and state.st_mtime < time.time() - _STALE_S:
                    path.unlink()
        total = size + sum(each for _, _, each in held)
        for _, name, each in sorted(held):
            if total <= self.limit_bytes:
                break
            (self.folder / name).unlink(missing_ok=True)
            total -= each


@dataclass(frozen=True)
class Drawer(Generic[T]):
    """The values of one kind on a shelf, by key; `device` is where they come back to.

    A key's repr must be the same in every process, and tell all that a value depends on but torch's version and the
    kind of device, which are added here.
    """

    shelf: Shelf
    kind: str
    device: torch.device
    pack: Callable[[T], Packed]
    unpack: Callable[[Mapping[str, Any], Mapping[str, Tensor]], T]

    def find(self, key: Hashable) -> T | None:
        """The value of a key, None if it is not there (any more)."""
        name = self._name(key)
        data = self.shelf.read(name)
        if data is None:
            return None
        try:
            facts, tensors = unseal(self._kind, data)
            return self.unpack(facts, {name: tensor.to(self.device) for name, tensor in tensors.items()})
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("%s in %s is damaged and goes: %s", name, self.shelf.folder, error)
            self.shelf.remove(name)
            return None

    def keep(self, key: Hashable, value: T) -> None:
        """Keep a value for later processes."""
        facts, tensors = self.pack(value)
        if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) < self.shelf.limit_bytes:
            self.shelf.write(self._name(key), seal(self._kind, facts, tensors))

    @property
    def _kind(self) -> str:
        return f"scumble {self.kind} {FORMAT}"

    def _name(self, key: Hashable) -> str:
        whole = (self._kind, str(torch.__version__), self.device.type, key)
        return hashlib.sha256(repr(whole).encode()).hexdigest()
