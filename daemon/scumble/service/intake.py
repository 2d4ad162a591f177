"""From a multipart request to an order: its parts become pictures, its recipe is completed, and both are checked.

A **part** is a field (text) or a file (it has a file name, which means nothing here). Files go straight to where the
store keeps them; what is refused leaves nothing there. A picture is found by its part's name, which the recipe uses.
"""

import difflib
import itertools
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Annotated, Any, cast

from pydantic import Field, TypeAdapter
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.wrappers import Request

from scumble.engine.job import check
from scumble.errors import ScumbleError
from scumble.picture import Picture, decode
from scumble.protocol import LIBRARY, Name, Rectangle, Tags
from scumble.recipe import Recipe
from scumble.service.blobs import Batch, Incoming
from scumble.service.openapi import FORM, TEXT, Form, Part
from scumble.service.orders import Input, Order
from scumble.service.questions import Query, json_object, once, validated
from scumble.service.settings import Limits

if TYPE_CHECKING:
    from scumble.service.library import Library

CONTENT, MASK, STYLE, RECIPE, PICTURE = "content", "mask", "style", "recipe", "picture"
_STYLES = re.compile(rf"{STYLE}(-[0-9]+)?")
_FEATURES = re.compile(r"[A-Za-z0-9-]+")
_LARGE_BYTES, _HEAD_BYTES = 2**25, 2**16
_LEAST_BUFFER = 2**18

Lease = Annotated[float, Field(gt=0, le=86_400)]


def _schema(kind: Any) -> dict[str, Any]:
    return TypeAdapter(kind).json_schema()


_WORDS = {**TEXT, "pattern": r"^[^\x00-\x1f\x7f,]{0,40}(,[^\x00-\x1f\x7f,]{0,40}){0,31}$"}
ORDER = Form(
    (
        Part(RECIPE, "What to paint; without it the default recipe.", model=Recipe),
        Part(CONTENT, "The picture to paint on.", is_required=True),
        Part(MASK, "The selection: white is painted, black is kept."),
        Part(STYLE, "A picture in whose manner to paint; several are style, style-2, …", is_repeatable=True),
        Part("lease_s", "The job is stopped when nobody has asked after it for so many seconds.", _schema(Lease)),
    ),
    others="A picture by the name that the recipe uses for it.",
)
"""The form of an order."""

NEW_STYLE = Form(
    (
        Part(PICTURE, "The picture to keep.", is_required=True),
        Part("name", "What people call it.", _schema(Name), is_required=True),
        Part("tags", "Words to find it by, separated by commas or in several parts.", _WORDS, is_repeatable=True),
        Part("crop", "The part of the picture to use; without it all of it.", model=Rectangle),
    )
)
"""The form of a style for the library."""


class _OrderFields(Query):
    """The fields of an order besides the recipe."""

    lease_s: Lease | None = None


class NewStyle(Query):
    """What is said of a style for the library."""

    name: Name
    tags: Tags = Field(default_factory=list)
    crop: Rectangle | None = None


# ---------------------------------------------------------------------------------------------------------------- parts


@dataclass(frozen=True)
class Parts:
    """What came, in order: names and values."""

    fields: Sequence[tuple[str, str]]
    files: Sequence[tuple[str, Incoming]]


def receive(request: Request, batch: Batch, limits: Limits) -> Parts:
    """Take a multipart request's parts in. Errors: unsupported-media, request-too-large, bad-request, disk-full."""
    if request.mimetype != FORM:
        raise ScumbleError("unsupported-media", f"The body is to be {FORM}.")
    parser = FormDataParser(
        stream_factory=lambda *_, **__: cast(IO[bytes], batch.incoming()),
        max_form_memory_size=max(limits.form_bytes, _LEAST_BUFFER),
        max_form_parts=limits.parts,
        silent=False,
    )
    try:
        _, fields, files = parser.parse(request.stream, FORM, request.content_length, request.mimetype_params)
    except RequestEntityTooLarge:
        detail = f"There are more than {limits.parts} parts, or fields of more than {limits.form_bytes} bytes."
        raise ScumbleError("request-too-large", detail, "Send pictures as files, with a file name.") from None
    except (ValueError, ClientDisconnected):
        raise ScumbleError("bad-request", f"The body is not {FORM}, or it is cut short.") from None
    parts = Parts(
        list(fields.items(multi=True)),
        [(name, cast(Incoming, file.stream)) for name, file in files.items(multi=True)],
    )
    if not all(name for name, _ in (*parts.fields, *parts.files)):
        raise ScumbleError("bad-request", "There is a part without a name.")
    if sum(len(text) for _, text in parts.fields) > limits.form_bytes:
        raise ScumbleError("request-too-large", f"The fields take more than the limit of {limits.form_bytes} bytes.")
    return parts


def whole(file: Incoming) -> bytes:
    """All bytes of a file that was received."""
    file.seek(0)  # which writes out what is held back
    return file.path.read_bytes()


def new_style(request: Request, batch: Batch, limits: Limits) -> tuple[bytes, NewStyle]:
    """A picture for the style library, and what is said of it."""
    parts = receive(request, batch, limits)
    tags = [tag.strip() for name, text in parts.fields if name == "tags" for tag in text.split(",")]
    said: dict[str, Any] = once((name, text) for name, text in parts.fields if name != "tags")
    said |= {"tags": list(filter(None, tags))}
    if "crop" in said:
        said["crop"] = json_object(said["crop"], "crop")
    files = _named(parts.files)
    for name in files:
        if name != PICTURE:
            raise ScumbleError("bad-request", f"A style has no file {name!r}.", f"Send it as the file `{PICTURE}`.")
    about = validated(NewStyle, said)
    if PICTURE not in files:
        raise ScumbleError("missing-picture", "There is no picture.", f"Send it as the file `{PICTURE}`.")
    return whole(files[PICTURE]), about


# ---------------------------------------------------------------------------------------------------------------- order


def refuse_path(features: object) -> None:
    """`ScumbleError("bad-recipe")` for features that are a file: a client must not choose what the daemon opens."""
    if isinstance(features, str) and not _FEATURES.fullmatch(features):
        hint = "Tell the daemon's machine of the file with `scumble weights use FILE`, then use the name it gets."
        raise ScumbleError("bad-recipe", f"features: {features!r:.80} is a file, not a name.", hint)


@dataclass(frozen=True)
class _Given:
    """A picture of an order, as it came; `crop` is the part of it that is used."""

    file: Incoming
    crop: Rectangle | None = None


class Intake:
    """Makes orders of requests. It takes a `turn` to decode pictures, for they take many times their files' memory."""

    def __init__(self, library: "Library", limits: Limits, turn: threading.Lock) -> None:
        self._library = library
        self._limits = limits
        self._turn = turn

    def order(self, request: Request, batch: Batch, key: str | None) -> Order:
        """The order that a request holds; its pictures are kept as long as the batch lasts.

        Errors: those of `receive`, bad-recipe, missing-picture, bad-picture, picture-too-large, bad-mask, empty-mask.
        """
        parts = receive(request, batch, self._limits)
        files = _named(parts.files)
        fields = once(parts.fields)
        recipe = _completed(self._recipe(fields, files), files)
        _check_names(recipe, fields, files)
        said = validated(_OrderFields, fields, is_text=True)
        given = {CONTENT: _Given(files[CONTENT])} | {name: self._given(name, files, batch) for name in recipe.names}
        with self._turn:
            pictures = {name: self._picture(name, each) for name, each in given.items()}
            width, height = pictures[CONTENT].size
            box = check(pictures[CONTENT], recipe, pictures)
            del pictures
        kept = {name: Input(name, batch.adopt(each.file), each.crop) for name, each in given.items()}
        return Order(
            recipe=recipe,
            content=kept[CONTENT],
            pictures=tuple(kept[name] for name in recipe.names),
            width=width,
            height=height,
            bounds=Rectangle(x=box.x, y=box.y, width=box.width, height=box.height) if box else None,
            lease_s=said.lease_s,
            key=key,
        )

    def _recipe(self, fields: dict[str, str], files: dict[str, Incoming]) -> Recipe:
        """The recipe, which is taken from among the parts."""
        text: str | bytes = fields.pop(RECIPE, "{}")
        if (file := files.pop(RECIPE, None)) is not None:
            if text != "{}":
                raise ScumbleError("bad-request", f"{RECIPE}: it is there twice.")
            if file.size > self._limits.form_bytes:
                detail = f"The recipe takes more than the limit of {self._limits.form_bytes} bytes."
                raise ScumbleError("request-too-large", detail)
            text = whole(file)
        recipe = Recipe.parse(json_object(text, "The recipe", "bad-recipe"))
        refuse_path(recipe.features)
        return recipe

    def _given(self, name: str, files: Mapping[str, Incoming], batch: Batch) -> _Given:
        if not name.startswith(LIBRARY):
            return _Given(files[name])
        try:
            style = self._library.get(name.removeprefix(LIBRARY))
            data = self._library.picture(style.id)
        except ScumbleError as error:
            if error.code != "not-found":
                raise
            hint = "`GET /v1/styles` lists what there is."
            raise ScumbleError("missing-picture", f"There is no {name!r:.80} in the style library.", hint) from error
        file = batch.incoming()
        file.write(data)
        return _Given(file, style.crop)

    def _picture(self, name: str, given: _Given) -> Picture:
        limit = self._limits.pixels
        if given.file.size > _LARGE_BYTES:
            _peek(given.file, name, limit)
        picture = decode(whole(given.file), name=name, max_pixels=limit)
        if (crop := given.crop) is None:
            return picture
        rows, columns = slice(crop.y, crop.y + crop.height), slice(crop.x, crop.x + crop.width)
        return replace(picture, pixels=picture.pixels[rows, columns])


def _peek(file: Incoming, name: str, max_pixels: int) -> None:
    """Refuse a picture whose beginning says already that it is too large, before all of it is read."""
    file.seek(0)
    with file.path.open("rb") as beginning:
        head = beginning.read(_HEAD_BYTES)
    try:
        decode(head, name=name, max_pixels=max_pixels)
    except ScumbleError as error:
        if error.code == "picture-too-large":
            raise


def _named(files: Iterable[tuple[str, Incoming]]) -> dict[str, Incoming]:
    """Files by name; of several styles, the later ones are style-2, style-3, …"""
    found: dict[str, Incoming] = {}
    numbers = itertools.count(2)
    for part, file in files:
        name = f"{STYLE}-{next(numbers)}" if part == STYLE and STYLE in found else part
        if name in found:
            raise ScumbleError("bad-request", f"{name!r:.80}: there are two files of that name.")
        found[name] = file
    return found


def _completed(recipe: Recipe, files: Mapping[str, Incoming]) -> Recipe:
    """The recipe with the mask and the styles that came without being named in it."""
    changes: dict[str, Any] = {}
    if MASK in files and recipe.selection is None and MASK not in recipe.names:
        changes["selection"] = MASK
    styles = [name for name in files if _STYLES.fullmatch(name) and name not in recipe.names]
    if styles and not recipe.styles:
        changes["styles"] = [{"picture": name} for name in styles]
    return recipe.changed(**changes) if changes else recipe


def _check_names(recipe: Recipe, fields: Mapping[str, str], files: Mapping[str, Incoming]) -> None:
    """Every picture that is named is there, and every part is named."""
    wanted = [name for name in (CONTENT, *recipe.names) if not name.startswith(LIBRARY)]
    missing = [name for name in wanted if name not in files]
    for name in missing:
        if name in fields:
            hint = "Send pictures as files, with a file name."
            raise ScumbleError("bad-request", f"The picture {name!r:.80} is sent as a field.", hint)
    for name in files:
        if name not in wanted:
            near = difflib.get_close_matches(name, missing, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"It names: {', '.join(recipe.names) or 'none'}."
            raise ScumbleError("bad-request", f"The recipe names no picture {name!r:.80}.", hint)
    if CONTENT in missing:
        hint = f"Send the picture to paint on as the file `{CONTENT}`."
        raise ScumbleError("missing-picture", f"There is no file `{CONTENT}`.", hint)
    if missing:
        hint = "Send it as a file of that name."
        raise ScumbleError(
            "missing-picture", f"The recipe names the picture {missing[0]!r:.80}, which is not there.", hint
        )
