"""The style library: pictures that the daemon keeps, so that a recipe may name one instead of sending its pixels.

A **style** is a picture with a name, tags and perhaps a *crop*, the part of it that is used. Each has a folder under
its id with `style.json`, the picture's file as it came, and a *thumbnail* of the crop. The **bundled** styles are the
paintings and the swatches of `scumble.drawn`: listed from the start; a painting is drawn when it is first needed. They
cannot be changed or removed.
"""

import hashlib
import itertools
import json
import logging
import re
import secrets
import shutil
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from scumble import __version__
from scumble.codecs import quantised, unit
from scumble.drawn import painting, swatches
from scumble.engine import models
from scumble.errors import ScumbleError
from scumble.home import private_folder, sync_folder, write_private
from scumble.picture import Picture, decode, encode
from scumble.protocol import LIBRARY, Name, Rectangle, Style, StyleChange, Tags
from scumble.service.blobs import no_room
from scumble.service.trained import Known, as_part

log = logging.getLogger(__name__)

THUMBNAIL_PX = 256
"""The longest side of a thumbnail."""
PAINTING_PX = 768
"""The side of a bundled painting."""

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_LONGEST_SLUG = 56
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{each}{n}" for each in ("com", "lpt") for n in range(10))})
"""What Windows takes for a device, whatever folder it is in."""
_RECORD, _PICTURE, _THUMBNAIL = "style.json", "picture", "thumbnail"
_HALF_DONE, _BUNDLED = ".half-done-", ".bundled-"


@dataclass(frozen=True)
class _Bundle:
    name: str
    tags: tuple[str, ...]


BUNDLED: dict[str, _Bundle] = {
    "night": _Bundle("Swirling night", ("oil", "strokes", "blue", "night", "landscape")),
    "dabs": _Bundle("Dabs of light", ("oil", "dots", "bright", "colourful", "landscape")),
    "woodcut": _Bundle("Woodcut", ("print", "lines", "black and white", "landscape")),
    "watercolour": _Bundle("Watercolour poppies", ("watercolour", "soft", "washes", "warm", "landscape")),
    "glass": _Bundle("Stained glass", ("glass", "outlines", "flat", "colourful")),
    "bands": _Bundle("Flowing bands", ("oil", "strokes", "orange", "teal", "landscape")),
    "tides": _Bundle("Tides", ("strokes", "swirls", "blue", "beige", "abstract")),
    "sea-glass": _Bundle("Sea glass", ("glass", "outlines", "teal", "bright", "abstract")),
    "blue-facets": _Bundle("Blue facets", ("shapes", "soft", "blue", "abstract")),
    "moonlit-brush": _Bundle("Moonlit brush", ("brush", "dry", "blue", "night", "abstract")),
    "sand-ripples": _Bundle("Sand ripples", ("dots", "print", "beige", "abstract")),
    "ember-dunes": _Bundle("Ember dunes", ("texture", "orange", "dark", "abstract")),
    "ochre-cutouts": _Bundle("Ochre cut-outs", ("shapes", "outlines", "yellow", "purple", "abstract")),
    "zebra": _Bundle("Zebra", ("lines", "swirls", "bright", "abstract")),
    "meadow-wind": _Bundle("Wind in the meadow", ("strokes", "swirls", "green", "abstract")),
    "torn-paper": _Bundle("Torn paper", ("brush", "dry", "blue", "flat", "abstract")),
    "charcoal-strokes": _Bundle("Charcoal strokes", ("strokes", "swirls", "gray", "abstract")),
    "night-harbour": _Bundle("Night harbour", ("glass", "outlines", "purple", "colourful", "abstract")),
}
"""The bundled styles by id, which is the painting's or the swatch's name."""


_Side = Annotated[int, Field(ge=1)]


class _Record(BaseModel):
    """What `style.json` says. `width` and `height` are the whole picture's; a larger number came later."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    number: int
    name: Name
    tags: Tags
    crop: Rectangle | None
    width: _Side
    height: _Side

    @property
    def is_sound(self) -> bool:
        return self.crop is None or _is_inside(self.crop, self.width, self.height)

    def style(self, id: str) -> Style:
        part = self.crop or Rectangle(x=0, y=0, width=self.width, height=self.height)
        return Style(
            id=id,
            name=self.name,
            tags=self.tags,
            width=part.width,
            height=part.height,
            crop=self.crop,
            is_bundled=False,
            picture=LIBRARY + id,
        )


class Library:
    """The folder of all styles; safe to use from several threads."""

    def __init__(self, folder: Path, max_pixels: int) -> None:
        self._folder = private_folder(folder)
        self._max_pixels = max_pixels
        self._lock = threading.RLock()
        self._drawing = {id: threading.Lock() for id in BUNDLED}
        self._drawn = folder / f"{_BUNDLED}{__version__}"
        self._clear()

    # ------------------------------------------------------------------------------------------------- what is there

    def list(self, tag: str | None = None) -> "list[Style]":
        """All styles, or those with a tag: the user's own, newest first, then the bundled ones."""
        with self._lock:
            own = sorted(self._records(), key=lambda found: -found[1].number)
        styles = [record.style(id) for id, record in own] + [_bundled(id) for id in BUNDLED]
        if tag is not None:
            wanted = tag.strip().casefold()
            styles = [style for style in styles if wanted in (each.casefold() for each in style.tags)]
        return [*self._with_models(*styles)]

    def get(self, id: str) -> Style:
        """The style of that id; ScumbleError `not-found`."""
        return self._with_models(_bundled(id) if id in BUNDLED else self._record(id).style(id))[0]

    def known(self, id: str) -> Known:
        """By what models know a style; ScumbleError `not-found`."""
        return self._digest(id), None if id in BUNDLED else self._record(id).crop

    def picture(self, id: str) -> bytes:
        """The file of a style's picture as it was given, or that of a bundled style; ScumbleError `not-found`."""
        if id in swatches.SWATCHES:
            return swatches.swatch(id)
        if id in BUNDLED:
            return self._draw(id)
        with self._lock:
            self._record(id)
            with _reading(id):
                return (self._folder / id / _PICTURE).read_bytes()

    def thumbnail(self, id: str) -> tuple[bytes, str]:
        """A JPEG, or a PNG where it has alpha, of the part that is used; and a value for its ETag.

        ScumbleError `not-found`, or `bad-picture` where the picture was damaged on the disk.
        """
        crop = self.get(id).crop
        folder = self._drawn / id if id in BUNDLED else self._folder / id
        # the crop is in the name, so that a thumbnail cannot be of another one
        part = "whole" if crop is None else f"{crop.x}-{crop.y}-{crop.width}-{crop.height}"
        file = folder / f"{_THUMBNAIL}-{part}"
        try:
            data = file.read_bytes()
            is_whole = data.endswith((b"\xff\xd9", b"IEND\xaeB`\x82"))
        except OSError:
            is_whole = False
        if not is_whole:
            data = _thumbnail(decode(self.picture(id), name=f"The style {id!r}", max_pixels=self._max_pixels), crop)
            try:
                write_private(file, data, durable=False)
            except OSError as error:  # it can be made again each time
                log.warning("The thumbnail of the style %s cannot be kept: %s", id, error)
        return data, hashlib.sha256(data).hexdigest()[:32]

    # ---------------------------------------------------------------------------------------------------- changing it

    def add(self, data: bytes, name: str, tags: Sequence[str], crop: Rectangle | None) -> Style:
        """Keep a picture; on the disk when this returns.

        Raises ScumbleError `bad-style`, what `decode` raises, `disk-full` or `cannot-write`.
        """
        name, own_tags = _name(name), _tags(tags)
        picture = decode(data, name="The style picture", max_pixels=self._max_pixels)
        _check_crop(crop, picture.width, picture.height)
        beside = self._folder / f"{_HALF_DONE}{secrets.token_hex(6)}"
        with self._lock:
            try:
                with no_room(beside):
                    private_folder(beside)
                    number = 1 + max((record.number for _, record in self._records()), default=0)
                    record = _Record(
                        number=number, name=name, tags=own_tags, crop=crop, width=picture.width, height=picture.height
                    )
                    write_private(beside / _PICTURE, data)
                    write_private(beside / _RECORD, _as_json(record))
                    id = self._free_id(name)
                    beside.rename(self._folder / id)
                    sync_folder(self._folder)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
        return self._with_models(record.style(id))[0]

    def change(self, id: str, change: StyleChange) -> Style:
        """Give a style another name, tags or crop; what the change does not set stays.

        Raises ScumbleError `not-found`, `bad-style`, `disk-full`, `cannot-write`, or `wrong-state` for a bundled one.
        """
        with self._lock:
            self._check_own(id, "changed")
            record = self._record(id)
            fields: dict[str, Any] = {}
            if "name" in change.model_fields_set:
                fields["name"] = _name(change.name)
            if "tags" in change.model_fields_set:
                fields["tags"] = _tags(change.tags)
            if "crop" in change.model_fields_set:
                _check_crop(change.crop, record.width, record.height)
                fields["crop"] = change.crop
            record = record.model_copy(update=fields)
            with no_room(self._folder / id):
                write_private(self._folder / id / _RECORD, _as_json(record))
                if "crop" in fields:
                    for old in (self._folder / id).glob(f"{_THUMBNAIL}-*"):
                        old.unlink(missing_ok=True)
            return self._with_models(record.style(id))[0]

    def remove(self, id: str) -> None:
        """Forget a style; ScumbleError `not-found`, or `wrong-state` for a bundled one."""
        with self._lock:
            self._check_own(id, "removed")
            self._record(id)
            beside = self._folder / f"{_HALF_DONE}{secrets.token_hex(6)}"
            with no_room(self._folder / id):
                (self._folder / id).rename(beside)
                sync_folder(self._folder)
            shutil.rmtree(beside, ignore_errors=True)

    # ----------------------------------------------------------------------------------------------- bundled styles

    def prepare(self, is_closing: Callable[[], bool] = lambda: False) -> None:
        """Draw all bundled styles that are not there yet, and their thumbnails: half a minute of work, once."""
        for id in BUNDLED:
            if is_closing():
                return
            try:
                self.thumbnail(id)
            except Exception:  # it will be tried again when somebody asks for it
                log.exception("The style %s cannot be prepared.", id)

    def _draw(self, id: str) -> bytes:
        file = self._drawn / id / "picture.png"
        with self._drawing[id]:
            try:
                data = file.read_bytes()
                if data.endswith(b"IEND\xaeB`\x82"):
                    return data
            except OSError:
                pass
            began = time.monotonic()
            data = encode(Picture.from_rgb(painting(id, PAINTING_PX, PAINTING_PX)), "png")
            log.info("The style %s was drawn in %.1f s.", id, time.monotonic() - began)
            try:
                private_folder(self._drawn)
                private_folder(file.parent)
                write_private(file, data, durable=False)
            except (OSError, ScumbleError) as error:  # it can be drawn again each time
                log.warning("The style %s was drawn but cannot be kept: %s", id, error)
            return data

    # ------------------------------------------------------------------------------------------------ trained styles

    def _with_models(self, *styles: Style) -> Sequence[Style]:
        """The styles with the kept models that were trained for them."""
        kept = models.by_picture()
        if not kept:
            return styles
        return [
            each.model_copy(update={"model": kept.get((self._digest(each.id) or "", as_part(each.crop)))})
            for each in styles
        ]

    def _digest(self, id: str) -> str | None:
        """The SHA-256 of the file of a style's picture; none where it is not there, or not drawn yet."""
        if id in swatches.SWATCHES:
            return hashlib.sha256(swatches.swatch(id)).hexdigest()
        path = self._drawn / id / "picture.png" if id in BUNDLED else self._folder / id / _PICTURE
        with suppress(OSError):
            state = path.stat()
            return _digest_of(path, state.st_ino, state.st_mtime_ns, state.st_size)
        return None

    # ------------------------------------------------------------------------------------------------------ the disk

    def _clear(self) -> None:
        """Remove what an earlier life of the daemon left half done, and what an earlier version drew."""
        for path in self._folder.glob(".*"):
            if path.name.startswith(_HALF_DONE) or (path.name.startswith(_BUNDLED) and path != self._drawn):
                shutil.rmtree(path, ignore_errors=True)

    def _records(self) -> Iterator[tuple[str, _Record]]:
        """Ids and records of the user's own styles; a damaged one is left out."""
        for folder in self._folder.iterdir():
            if _ID.fullmatch(folder.name) and folder.name not in BUNDLED:
                record = self._read(folder.name)
                if record is not None:
                    yield folder.name, record

    def _record(self, id: str) -> _Record:
        # before any path is made of it
        record = self._read(id) if _ID.fullmatch(id) and id not in BUNDLED else None
        if record is None:
            raise ScumbleError("not-found", f"There is no style {id[:80]!r}.", "`GET /v1/styles` lists them.")
        return record

    def _read(self, id: str) -> _Record | None:
        folder = self._folder / id
        try:
            record = _Record.model_validate_json((folder / _RECORD).read_bytes())
            if record.is_sound and (folder / _PICTURE).is_file():
                return record
            reason = "its crop is outside the picture" if not record.is_sound else "its picture is gone"
        except OSError as error:
            if not folder.exists():
                return None
            reason = str(error.strerror or error)
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]["msg"]
        log.warning("The style %s is damaged and left out: %s.", id, reason)
        return None

    def _check_own(self, id: str, done: str) -> None:
        if id in BUNDLED:
            hint = "Add its picture as a style of your own, and change that."
            raise ScumbleError("wrong-state", f"The style {id!r} came with Scumble and cannot be {done}.", hint)

    def _free_id(self, name: str) -> str:
        slug = _slug(name)
        for count in itertools.count(1):
            id = slug if count == 1 else f"{slug}-{count}"
            if id not in BUNDLED and not (self._folder / id).exists():
                return id
        raise AssertionError


# ----------------------------------------------------------------------------------------------------- what is valid


_T = TypeVar("_T")
_NAMES: TypeAdapter[str] = TypeAdapter(Name)
_TAGS: TypeAdapter[list[str]] = TypeAdapter(Tags)


def _name(name: object) -> str:
    return _valid(_NAMES, "name", name.strip() if isinstance(name, str) else name)


def _tags(tags: object) -> list[str]:
    if isinstance(tags, Sequence) and not isinstance(tags, str):
        stripped = [tag.strip() if isinstance(tag, str) else tag for tag in tags]
        unique: dict[str, Any] = {}
        for tag in stripped:
            unique.setdefault(str(tag).casefold(), tag)
        tags = list(unique.values())
    return _valid(_TAGS, "tags", tags)


def _valid(kind: TypeAdapter[_T], field: str, value: object) -> _T:
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = "".join(f"[{step}]" for step in first["loc"])
        reason = first["msg"]
        if first["type"] == "string_pattern_mismatch":  # pydantic would quote the pattern
            reason = f"There must be no {'commas or ' if field == 'tags' else ''}control characters in it"
        raise ScumbleError("bad-style", f"{field}{place}: {reason}.") from None


def _is_inside(crop: Rectangle, width: int, height: int) -> bool:
    return crop.x + crop.width <= width and crop.y + crop.height <= height


def _check_crop(crop: Rectangle | None, width: int, height: int) -> None:
    if crop is not None and not _is_inside(crop, width, height):
        detail = f"{crop.width} × {crop.height} px at {crop.x}, {crop.y} do not lie inside {width} × {height} px"
        raise ScumbleError("bad-style", f"crop: {detail}.")


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain)[:_LONGEST_SLUG].strip("-") or "style"
    return f"{slug}-style" if slug in _DEVICES else slug


def _bundled(id: str) -> Style:
    side = swatches.SIZE_PX if id in swatches.SWATCHES else PAINTING_PX
    return Style(
        id=id,
        name=BUNDLED[id].name,
        tags=[*BUNDLED[id].tags],
        width=side,
        height=side,
        crop=None,
        is_bundled=True,
        picture=LIBRARY + id,
    )


@lru_cache(maxsize=1024)
def _digest_of(path: Path, *_state: int) -> str:
    """The SHA-256 of a file as long as it stays as it is."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _as_json(record: _Record) -> bytes:
    return json.dumps(record.model_dump(), ensure_ascii=False, indent=1).encode()


@contextmanager
def _reading(id: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ScumbleError("bad-picture", f"The style {id!r} cannot be read: {error.strerror or error}.") from error


# -------------------------------------------------------------------------------------------------------- thumbnails


def _thumbnail(picture: Picture, crop: Rectangle | None) -> bytes:
    rows, columns = slice(None), slice(None)
    if crop is not None:
        rows, columns = slice(crop.y, crop.y + crop.height), slice(crop.x, crop.x + crop.width)
    small = Picture(_shrunk(picture.pixels[rows, columns], picture.has_alpha), picture.icc)
    alpha = quantised(small.alpha(), "uint8")
    rgba = np.dstack([quantised(small.rgb(), "uint8"), alpha])
    share = min(1.0, THUMBNAIL_PX / max(small.size))
    size = max(1, round(small.width * share)), max(1, round(small.height * share))
    # Pillow weighs colours by their alpha, so that what cannot be seen does not bleed
    pixels = np.asarray(Image.fromarray(rgba).resize(size, Image.Resampling.LANCZOS))
    if pixels[..., 3].min() == 255:
        return encode(Picture(pixels[..., :3]), "jpeg")
    return encode(Picture(pixels), "png")


def _shrunk(pixels: NDArray[Any], has_alpha: bool) -> NDArray[np.float32]:
    """The means of whole squares, so that twice a thumbnail remains, made without a second picture in memory."""
    factor = max(1, max(pixels.shape[:2]) // (2 * THUMBNAIL_PX))
    height, width = (max(1, side // factor) for side in pixels.shape[:2])
    if factor == 1:
        return unit(pixels)
    small = np.empty((height, width, pixels.shape[2]), np.float32)
    down, across = min(factor, pixels.shape[0]), min(factor, pixels.shape[1])
    for row in range(height):
        strip = unit(pixels[row * down : (row + 1) * down, : width * across])
        if has_alpha:
            strip[..., :-1] *= strip[..., -1:]
        small[row] = strip.reshape(down, width, across, -1).mean(axis=(0, 2))
    if has_alpha:
        small[..., :-1] /= np.maximum(small[..., -1:], 1e-6)
    return small
