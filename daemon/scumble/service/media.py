"""Pictures as HTTP answers: media types, and which of them a client wants."""

from collections.abc import Sequence

from werkzeug.datastructures import MIMEAccept

from scumble.errors import ScumbleError
from scumble.picture import MAX_PIXELS, decode, encode

FORMATS = {
    "image/png": "png",
    "image/tiff": "tiff",
    "image/webp": "webp",
    "image/jpeg": "jpeg",
    "application/x-npy": "npy",
}
"""Media type → format; where a client likes several equally well it gets the first."""
PICTURES = tuple(FORMATS)
MASKS = ("image/png", "image/tiff", "application/x-npy")
"""The media types without loss."""

_MAGIC = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"RIFF": "image/webp",
    b"II": "image/tiff",
    b"MM": "image/tiff",
    b"\x93NUMPY": "application/x-npy",
}


def media_type(data: bytes) -> str:
    """What kind of picture these bytes are."""
    return next((media for magic, media in _MAGIC.items() if data.startswith(magic)), "application/octet-stream")


def wanted(accept: MIMEAccept, offered: Sequence[str] = PICTURES) -> str:
    """The media type that suits an Accept header best of those `offered`; `ScumbleError("not-acceptable")`."""
    if not accept:
        return offered[0]
    best = max(offered, key=accept.quality)
    if accept.quality(best) <= 0:
        hint = f"Accept {', '.join(offered[:-1])} or {offered[-1]}."
        raise ScumbleError("not-acceptable", f"It cannot be had as {accept.to_header()[:200]}.", hint)
    return best


def converted(data: bytes, media: str) -> bytes:
    """The picture as a file of that media type; the same bytes if it is one already."""
    if media_type(data) == media:
        return data
    return encode(decode(data, name="the result", max_pixels=MAX_PIXELS), FORMATS[media])
