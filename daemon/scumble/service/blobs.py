"""Pictures as they came, each kept once under the SHA-256 of its bytes.

A **batch** is the uploads of one request. What it has adopted is *pinned*: nothing sweeps it away before a job refers
to it, or the batch ends.
"""

import contextlib
import hashlib
import io
import logging
import os
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from scumble.errors import ScumbleError
from scumble.home import NO_ROOM, private_folder, sync_folder

log = logging.getLogger(__name__)


class Incoming(io.RawIOBase):
    """A file that is being received: what is written goes to the disk and into `digest`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._sha = hashlib.sha256()
        with no_room(path):
            self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")

    @property
    def digest(self) -> str:
        """The SHA-256 of what was written, in hex."""
        return self._sha.hexdigest()

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        with no_room(self.path):
            self._file.write(data)
        self._sha.update(data)
        self.size += len(data)
        return len(data)

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with no_room(self.path):  # seeking writes out what is held back
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def sync(self) -> None:
        """Bring all of it to the disk."""
        with no_room(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        # a full disk was told already, by `write` or `sync`; there is no file where none could be opened
        with contextlib.suppress(OSError, AttributeError):
            self._file.close()
        super().close()


class Blobs:
    """The folder of all pictures; safe to use from several threads."""

    def __init__(self, folder: Path, incoming: Path) -> None:
        self._folder, self._incoming = private_folder(folder), private_folder(incoming)
        self._lock = threading.Lock()
        self._pins: Counter[str] = Counter()

    def path(self, digest: str) -> Path:
        """Where the picture of that digest is, if it is there."""
        return self._folder / digest

    def sizes(self, digests: Collection[str]) -> int:
        """The bytes that these pictures take."""
        return sum(size_of(self.path(digest)) for digest in digests)

    @contextmanager
    def batch(self) -> Iterator["Batch"]:
        """Receive the uploads of one request; what was not adopted is gone at the end."""
        batch = Batch(self)
        try:
            yield batch
        finally:
            batch.end()

    def sweep(self, wanted: Callable[[], Collection[str]]) -> None:
        """Remove all pictures but the wanted and the pinned ones.

        Nothing is let go between the call of `wanted` and the end: what is taken over from a pin meanwhile stays.
        """
        with self._lock:
            needed = wanted()
            for path in self._folder.iterdir():
                if path.name not in needed and not self._pins[path.name]:
                    _remove(path)

    def clear_incoming(self) -> None:
        """Remove what an earlier life of the daemon left half received."""
        for path in self._incoming.iterdir():
            _remove(path)

    def receive(self) -> Incoming:
        """A new file to receive a picture in."""
        return Incoming(self._incoming / secrets.token_hex(8))

    def pin(self, incoming: Incoming) -> str:
        """Keep a received picture, until `unpin`; returns its digest."""
        incoming.sync()
        incoming.close()  # some systems do not rename what is open
        digest = incoming.digest
        with self._lock, no_room(incoming.path):
            # replacing heals a picture that was damaged on the disk
            incoming.path.replace(self.path(digest))
            sync_folder(self._folder)
            self._pins[digest] += 1
        return digest

    def hold(self, digest: str) -> None:
        """Keep a picture that is there already, until `unpin`."""
        with self._lock:
            self._pins[digest] += 1

    def unpin(self, digest: str) -> None:
        """Let go of a picture that was pinned."""
        with self._lock:
            self._pins[digest] -= 1
            self._pins += Counter()


class Batch:
    """The uploads of one request."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._received: list[Incoming] = []
        self._adopted: list[str] = []

    def incoming(self) -> Incoming:
        """A new file to receive a picture in."""
        self._received.append(self._blobs.receive())
        return self._received[-1]

    def adopt(self, incoming: Incoming) -> str:
        """Keep what was received; its digest. `ScumbleError("disk-full")`."""
        digest = self._blobs.pin(incoming)
        self._adopted.append(digest)
        return digest

    def put(self, data: bytes) -> str:
        """Keep these bytes; their digest."""
        incoming = self.incoming()
        incoming.write(data)
        return self.adopt(incoming)

    def hold(self, digests: Collection[str]) -> None:
        """Keep pictures of an earlier job, from now on; who asked may find that they were gone before."""
        for digest in digests:
            self._blobs.hold(digest)
            self._adopted.append(digest)

    def blob(self, digest: str) -> Path:
        """Where a picture is that was adopted."""
        return self._blobs.path(digest)

    def end(self) -> None:
        """Remove what was not adopted, let go of what was."""
        for incoming in self._received:
            incoming.close()
            _remove(incoming.path)
        for digest in self._adopted:
            self._blobs.unpin(digest)


def size_of(path: Path) -> int:
    """A file's bytes; none if it has just gone."""
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:  # a file more than there need be stops nobody
        log.warning("%s cannot be removed: %s", path, error.strerror)


@contextmanager
def no_room(path: Path) -> Iterator[None]:
    """Turn a full disk, or any other failure to write, into a `ScumbleError`."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise ScumbleError("disk-full", f"The disk that holds {path.parent} is full.") from error
        raise ScumbleError("cannot-write", f"{path.parent} cannot be written: {error.strerror or error}.") from error
