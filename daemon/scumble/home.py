"""Scumble's own folder, where weights, styles, jobs and logs are kept; only its user may read what is in it."""

import errno
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from scumble.errors import ScumbleError

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
"""How the system says that a disk is full."""


def home() -> Path:
    """Scumble's own folder: $SCUMBLE_HOME, or ~/.scumble."""
    return Path(os.environ.get("SCUMBLE_HOME") or "~/.scumble").expanduser()


def private_folder(path: Path) -> Path:
    """The folder, made if need be, open to its user alone (0700), as are the folders made on the way to it.

    `ScumbleError("cannot-write")` or `("disk-full")` if it cannot be.
    """
    try:
        for missing in [each for each in reversed(path.parents) if not each.exists()]:
            missing.mkdir(mode=0o700, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        if path.stat().st_mode & 0o077:
            path.chmod(0o700)
    except OSError as error:
        code = "disk-full" if error.errno in NO_ROOM else "cannot-write"
        raise ScumbleError(code, f"{path} cannot be made: {error.strerror or error}.") from error
    return path


def refuse_links(paths: Iterable[Path]) -> None:
    """`ScumbleError("cannot-write")` if one of these is a link: what lies behind it may not be Scumble's to change."""
    for path in paths:
        if path.is_symlink():
            hint = "Remove it; SCUMBLE_HOME moves the whole folder to another place."
            raise ScumbleError("cannot-write", f"{path} is a symbolic link, which is not followed.", hint)


def write_private(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file whole or not at all, open to its user alone (0600); a link of that name is replaced, not followed.

    With `durable` it is on the disk when this returns. Raises OSError.
    """
    beside = path.with_name(f".{path.name}-{secrets.token_hex(6)}.tmp")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Bring a folder's list of names to the disk, where the system can do that."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
