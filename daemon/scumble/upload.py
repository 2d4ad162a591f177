"""What a job is sent as: a recipe and its pictures in one multipart body, which is never held as a whole.

A **source** is a picture as a script has it: the path of a file, the bytes of one, a `Picture`, or an array. A **part**
is one piece of the body; its name is what the recipe calls it, so it has to be safe and unique. A **body** is made of
parts and can be sent again: it holds views of arrays and bytes, and reads files as it goes.
"""

import io
import itertools
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scumble.codecs import DEPTHS
from scumble.errors import ScumbleError
from scumble.picture import FORMATS, Picture, encode
from scumble.protocol import LIBRARY
from scumble.recipe import PRESETS, Recipe

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | Picture | NDArray[Any]
"""A picture: a path, the bytes of a file, a `Picture`, or an array (height, width) or (height, width, 1, 3 or 4) of
uint8, uint16, float32 (0 to 1) or bool (a mask)."""
StyleSource = Source | Mapping[str, Any]
"""A style: its picture, or `library:ID`, or a mapping as in a recipe whose `picture` and `part` are sources."""
RecipeSource = Recipe | Mapping[str, Any] | str
"""A recipe, the same as plain values, or the name of a preset."""

MEDIA_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "tiff": "image/tiff",
    "npy": "application/x-npy",
}
"""The formats of `scumble.picture`, as HTTP calls them."""
_RESERVED = frozenset({"recipe", "content", "mask", "style", "options", "lease_s"})
_BLOCK = 2**20
_LONGEST_NAME = 60


@dataclass(frozen=True, eq=False)
class Part:
    """One piece of a body. `data` is a file, or the bytes themselves; `size` is in bytes. A field has no `filename`."""

    name: str
    media_type: str
    data: Path | tuple[memoryview, ...]
    size: int
    filename: str | None = None

    def head(self) -> bytes:
        """Its headers."""
        file = f'; filename="{self.filename}"' if self.filename else ""
        disposition = f'Content-Disposition: form-data; name="{self.name}"{file}'
        return f"{disposition}\r\nContent-Type: {self.media_type}\r\n\r\n".encode("ascii")

    def blocks(self) -> Iterator[memoryview]:
        """Its bytes, in pieces of at most one MiB, which a socket sends well within its timeout."""
        if isinstance(self.data, Path):
            yield from self._read(self.data)
            return
        for view in self.data:
            for start in range(0, len(view), _BLOCK):
                yield view[start : start + _BLOCK]

    def _read(self, path: Path) -> Iterator[memoryview]:
        left = self.size
        try:
            with path.open("rb") as file:
                while left and (block := file.read(min(left, _BLOCK))):
                    left -= len(block)
                    yield memoryview(block)
        except OSError as error:
            raise _unreadable(path, error) from error
        if left:
            raise ScumbleError("bad-picture", f"{path} became shorter while it was read.", "Try again.")


class Body:
    """A multipart/form-data body: its length is known before, and going through it again sends it again."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = tuple(parts)
        self._boundary = secrets.token_hex(16)

    @property
    def content_type(self) -> str:
        """For the request's header."""
        return f"multipart/form-data; boundary={self._boundary}"

    def __len__(self) -> int:
        line = len(self._boundary) + 6  # --boundary, and the line breaks before and after
        return sum(line + len(part.head()) + part.size for part in self._parts) + line + 2

    def __iter__(self) -> Iterator[memoryview]:
        for part in self._parts:
            yield memoryview(f"\r\n--{self._boundary}\r\n".encode() + part.head())
            yield from part.blocks()
        yield memoryview(f"\r\n--{self._boundary}--\r\n".encode())


def job_parts(
    content: Source,
    styles: Sequence[StyleSource] = (),
    *,
    mask: Source | None = None,
    recipe: RecipeSource | None = None,
    regions: Mapping[str, Source] | None = None,
    pictures: Mapping[str, Source] | None = None,
    **fields: Any,
) -> list[Part]:
    """The parts of a job's body: the recipe, the content, and every picture that the recipe names, once.

    The recipe that is sent names its pictures as the parts are called: as before, where that is safe and unique. For
    the rest see `scumble.client.Client.submit`. Errors: bad-recipe, missing-picture, missing-file, bad-picture.
    """
    data = plain(recipe) | fields
    sources = dict(pictures or {})
    if mask is not None:
        if data.get("selection") is not None:
            raise ScumbleError("bad-recipe", "There is a mask, and the recipe names a selection.", "Leave one out.")
        data["selection"] = _named(sources, mask, "mask")
    if regions:
        others = [region for region in data.get("regions", ()) if region["name"] not in regions]
        named = [{"name": name, "mask": _named(sources, source, name)} for name, source in regions.items()]
        data["regions"] = [*others, *named]
    if styles:
        if data.get("styles"):
            hint = "Leave them out; give the pictures that the recipe names in `pictures`."
            raise ScumbleError("bad-recipe", "There are styles, and the recipe lists its own.", hint)
        data["styles"] = [_style(sources, style, f"style-{number}") for number, style in enumerate(styles, 1)]
    checked = Recipe.parse(data)
    parts = _part_names(checked)
    for name in parts:
        if name not in sources:
            hint = "Give it in `pictures`, by the name that the recipe uses."
            raise ScumbleError("missing-picture", f"The recipe names {name!r}, but there is no such picture.", hint)
    text = json.dumps(_renamed(checked, parts), ensure_ascii=False)
    return [
        field("recipe", text, "application/json"),
        picture_part("content", content),
        *(picture_part(part, sources[name]) for name, part in parts.items()),
    ]


def style_parts(styles: Sequence[Source]) -> tuple[list[str], list[Part]]:
    """What the styles of a training are called, and the parts of those that are no `library:ID`.

    Errors: missing-file, bad-picture.
    """
    names, parts = [], []
    for number, style in enumerate(styles, 1):
        if isinstance(style, str) and style.startswith(LIBRARY):
            names.append(style)
            continue
        wish = _safe(os.fspath(style)) if isinstance(style, str | os.PathLike) else f"style-{number}"
        names.append(next(each for each in _variants(wish) if each not in {*names, *_RESERVED}))
        parts.append(picture_part(names[-1], style))
    return names, parts


def plain(recipe: RecipeSource | None) -> dict[str, Any]:
    """A recipe as plain values, not checked yet; a preset by its name. Errors: bad-recipe."""
    if isinstance(recipe, Recipe):
        return recipe.as_dict()
    if isinstance(recipe, str):
        Recipe.from_preset(recipe)
        return {**PRESETS[recipe], "preset": recipe}
    return dict(recipe or {})


def field(name: str, text: str, media_type: str = "text/plain; charset=utf-8") -> Part:
    """A part that is no picture."""
    data = text.encode()
    return Part(name, media_type, (memoryview(data),), len(data))


def picture_part(name: str, source: Source) -> Part:
    """A picture as a part: files and bytes as they are, arrays and pictures as .npy, a view of their memory.

    A `Picture` that has an ICC profile, text, or gray with alpha, which .npy cannot say, is encoded as PNG, or as TIFF
    if it is float32. Errors: missing-file, bad-picture.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        try:
            if path.exists() and not path.is_file():
                raise ScumbleError("bad-picture", f"{path} is not a file.", "Give the path of a picture.")
            size = path.stat().st_size
        except FileNotFoundError as error:
            raise ScumbleError("missing-file", f"There is no file {path}.") from error
        except OSError as error:
            raise _unreadable(path, error) from error
        format = FORMATS.get(path.suffix.lower())
        return Part(name, MEDIA_TYPES.get(format or "", "application/octet-stream"), path, size, name)
    if isinstance(source, Picture):
        if source.icc or source.text or source.pixels.shape[2] == 2:
            format = "tiff" if source.depth == "float32" else "png"
            return _bytes_part(name, MEDIA_TYPES[format], encode(source, format))
        source = source.pixels
    if isinstance(source, np.ndarray):
        return _array_part(name, source)
    return _bytes_part(name, "application/octet-stream", source)


def is_deep(source: Source) -> bool:
    """Whether a picture may hold float32, which of the formats only TIFF and .npy can."""
    if isinstance(source, Picture):
        return source.depth == "float32"
    if isinstance(source, np.ndarray):
        return source.dtype == np.float32
    if isinstance(source, str | os.PathLike):
        return FORMATS.get(Path(source).suffix.lower()) in {None, "tiff", "npy"}
    return bytes(source[:6]).startswith((b"II", b"MM", b"\x93NUMPY"))


# ---------------------------------------------------------------------------------------------------------- details


def _bytes_part(name: str, media_type: str, data: bytes | bytearray | memoryview) -> Part:
    view = memoryview(data).cast("B")
    return Part(name, media_type, (view,), len(view), name)


def _array_part(name: str, array: NDArray[Any]) -> Part:
    if array.dtype == bool:
        array = array.astype(np.uint8) * np.uint8(255)
    shape = array.shape
    if array.dtype.name not in DEPTHS or len(shape) not in (2, 3) or 0 in shape or (len(shape) == 3 and shape[2] > 4):
        detail = f"{name}: an array of {array.dtype.name} {shape} is no picture."
        hint = "Give (height, width) or (height, width, 1, 3 or 4) of uint8, uint16, float32 (0 to 1) or bool."
        raise ScumbleError("bad-picture", detail, hint)
    if len(shape) == 3 and shape[2] == 2:
        return picture_part(name, Picture(array))
    array = np.ascontiguousarray(array)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    data = array.reshape(-1).view(np.uint8).data
    return Part(name, MEDIA_TYPES["npy"], (header.getbuffer(), data), len(header.getbuffer()) + len(data), name)


def _unreadable(path: Path, error: OSError) -> ScumbleError:
    return ScumbleError("bad-picture", f"{path} cannot be read: {error.strerror or error}.")


def _style(sources: dict[str, Source], style: StyleSource, wish: str) -> dict[str, Any]:
    if not isinstance(style, Mapping):
        return {"picture": _named(sources, style, wish)}
    named = {
        key: _named(sources, style[key], f"{wish}-{key}") for key in ("picture", "part") if style.get(key) is not None
    }
    return {**style, **named}


def _named(sources: dict[str, Source], source: Source, wish: str) -> str:
    """What the recipe calls a source: a path by itself, so that one file is sent once; anything else as is wished."""
    if isinstance(source, str) and (source in sources or source.startswith(LIBRARY)):
        return source
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else wish
    while name in sources and not isinstance(source, str | os.PathLike):
        name += "'"
    sources[name] = source
    return name


def _part_names(recipe: Recipe) -> dict[str, str]:
    """For each picture of a recipe what its part is called: safe in a header, and unique."""
    found: dict[str, str] = {}
    for name in recipe.names:
        if not name.startswith(LIBRARY):
            wish = "mask" if name == recipe.selection else _safe(name)
            taken = {*found.values(), *(_RESERVED if name != recipe.selection else ())}
            found[name] = next(each for each in _variants(wish) if each not in taken)
    return found


def _safe(name: str) -> str:
    """The last step of a path, in letters that need no quoting."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(name).name)[-_LONGEST_NAME:].lstrip("-.") or "picture"


def _variants(name: str) -> Iterator[str]:
    """The name, then others like it: a.png, a-2.png, a-3.png, …"""
    yield name
    path = Path(name)
    for number in itertools.count(2):
        yield f"{path.stem}-{number}{path.suffix}"


def _renamed(recipe: Recipe, names: Mapping[str, str]) -> dict[str, Any]:
    """A recipe with other names for its pictures."""
    data = recipe.as_dict()
    places = [(style, key) for style in data.get("styles", ()) for key in ("picture", "part")]
    places += [(region, "mask") for region in data.get("regions", ())]
    places += [(data, "selection"), *((data, key) for key in ("start_picture", "steady_picture", "steady_mask"))]
    for place, key in places:
        if key in place:
            place[key] = names.get(place[key], place[key])
    return data
