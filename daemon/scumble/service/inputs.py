"""A job's pictures, read back from where the store keeps them; by the daemon and by its workers."""

import hashlib
from dataclasses import replace
from pathlib import Path

from scumble.errors import ScumbleError
from scumble.picture import Picture, decode
from scumble.protocol import Rectangle

_SEND_AGAIN = "Post the job again, with its pictures."


def read(name: str, path: Path, crop: Rectangle | None) -> Picture:
    """The picture in a file that is called by the SHA-256 of its bytes, or the `crop` of it (px).

    Errors: missing-file, bad-picture.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ScumbleError("missing-file", f"The picture {name!r} of this job is gone: {error.strerror}.") from error
    if hashlib.sha256(data).hexdigest() != path.name:  # raw pixels would be painted as they are
        raise ScumbleError("bad-picture", f"The picture {name!r} of this job was damaged on the disk.", _SEND_AGAIN)
    picture = decode(data, name=name)
    if crop is None:
        return picture
    return replace(picture, pixels=picture.pixels[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width])
