"""The argument `recipe`: JSON text, a file with it, or a picture that the daemon has painted and that carries it."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .link.errors import LinkError
from .link.fields import BY_NAME, CONTROLS, KEEP_COLORS, QUALITIES, Field
from .link.settings import LIBRARY, NOTES
from .link.styles import sniff
from .link.text import tr

_KEYWORD = "scumble:recipe"
"""The text of a PNG that the daemon has its recipe in."""
_LARGEST_TEXT = 2**24
_MAIN = {
    field.name: field
    for field in (
        Field("strength", CONTROLS["strength"].label, "float", low=0, high=100),
        Field("stroke_scale", CONTROLS["stroke_scale"].label, "float", low=0.1, high=8),
        Field("keep_colors", CONTROLS["keep_colors"].label, "choice", (*KEEP_COLORS, ("histogram", ""))),
        Field("quality", CONTROLS["quality"].label, "choice", QUALITIES[:-1]),
        Field("size", CONTROLS["size"].label, "int", low=16, high=32768),
    )
}
_OTHERS = {
    *("version", "preset", "styles", "regions", "selection", "feather_px", "output", "iterations", "start_picture"),
    *("steady_picture", "steady_mask", "steady_weight"),
}


def read(given: str) -> dict[str, Any]:
    """The recipe that is given, its fields checked; empty for no text. `LinkError` bad-recipe, missing-file."""
    text, folder = given.strip(), None
    if not text:
        return {}
    if not text.startswith("{"):
        path = Path(text).expanduser()
        text, folder = _text_of(path), path.parent
    try:
        recipe = json.loads(text)
    except (ValueError, RecursionError):
        recipe = None
    if not isinstance(recipe, dict):
        hint = tr("Give a JSON object, such as {example}, or the path of a file.", example='{"optimizer": "lbfgs"}')
        raise LinkError("bad-recipe", tr("The recipe is not JSON: {given}.", given=repr(given[:60])), hint)
    return _beside(_checked(recipe), folder)


def _text_of(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise LinkError("missing-file", tr("There is no recipe {path}.", path=path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LinkError("bad-recipe", tr("{path} cannot be read: {reason}.", path=path, reason=reason)) from None
    if sniff(data) != "png":
        return data.decode("utf-8", "replace")
    found = next((text for keyword, text in _texts(data) if keyword == _KEYWORD), None)
    if found is None:
        raise LinkError("bad-recipe", tr("There is no recipe in {path}.", path=path), tr("Give a JSON file."))
    return found


def _texts(png: bytes) -> Iterator[tuple[str, str]]:
    """The texts of a PNG with their keywords; what is damaged is passed over."""
    at = 8
    while at + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length
        keyword, _, rest = body.partition(b"\0")
        try:
            if kind == b"tEXt":
                yield keyword.decode("latin-1"), rest.decode("latin-1")
            elif kind == b"iTXt":
                text = rest[2:].split(b"\0", 2)[2]
                text = zlib.decompressobj().decompress(text, _LARGEST_TEXT) if rest[0] else text
                yield keyword.decode("latin-1"), text.decode("utf-8")
        except (ValueError, IndexError, zlib.error):
            continue


def _checked(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe without what goes on from another picture. `LinkError` for a field that is not known or not valid."""
    found = {}
    if not isinstance(recipe.get("styles", []), list):
        raise Field("styles", CONTROLS["styles"].label, "text").wrong(recipe["styles"])
    for name, value in recipe.items():
        if name == "start" and value == "picture":
            continue
        field = _MAIN.get(name) or BY_NAME.get(name)
        if field is not None:
            field.checked(value)
        elif name not in _OTHERS and name != NOTES:
            hint = tr("There are: {names}.", names=", ".join(sorted({*_MAIN, *BY_NAME, *_OTHERS})))
            raise LinkError("bad-recipe", tr("The recipe's field {name} is not known.", name=name), hint)
        found[name] = value
    return found


def _beside(recipe: dict[str, Any], folder: Path | None) -> dict[str, Any]:
    """A recipe whose style pictures are looked for in the folder of its file."""
    styles = recipe.get("styles")
    if folder is None or not isinstance(styles, list):
        return recipe
    return {**recipe, "styles": [_placed(style, folder) for style in styles]}


def _placed(style: Any, folder: Path) -> Any:
    picture = style.get("picture") if isinstance(style, dict) else None
    if not isinstance(picture, str) or picture.startswith((LIBRARY, "~/")):
        return style
    return {**style, "picture": str(folder / picture)}
