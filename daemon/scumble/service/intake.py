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
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, Annotated, Any, cast

from pydantic import Field, TypeAdapter
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.wrappers import Request

from scumble.engine import models
from scumble.engine.job import check
from scumble.errors import ScumbleError
from scumble.picture import Picture, decode
from scumble.protocol import LIBRARY, Name, Rectangle, Tags, TrainRequest
from scumble.recipe import Recipe
from scumble.service.blobs import Batch, Incoming
from scumble.service.openapi import DATA, FORM, TEXT, Data, Form, Part
from scumble.service.orders import Input, Order, Training
from scumble.service.questions import Query, json_object, once, validated
from scumble.service.settings import Limits
from scumble.service.trained import refuse_paths

if TYPE_CHECKING:
    from scumble.service.library import Library

CONTENT, MASK, STYLE, RECIPE, PICTURE, OPTIONS = "content", "mask", "style", "recipe", "picture", "options"
_STYLES = re.compile(rf"{STYLE}(-[0-9]+)?")
_FEATURES = re.compile(r"[A-Za-z0-9-]+")
_NO_LETTER = re.compile(r"[^A-Za-z0-9._ -]+")
_LONGEST_NAME = 80
_LARGE_BYTES, _HEAD_BYTES = 2**25, 2**16
_LEAST_BUFFER = 2**18
_BLOCK_BYTES = 2**20

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

TRAINING = Form(
    (
        Part(OPTIONS, "What to train; without it a model of all styles that are sent.", model=TrainRequest),
        Part(STYLE, "A picture to learn; several are style, style-2, …", is_repeatable=True),
        Part("lease_s", "As for a painting; it may stand in the options, too.", _schema(Lease)),
    ),
    others="A picture to learn; its part's name is what the model calls it.",
)
"""The form of a training."""

MODEL = Data("A .scumble file, as `scumble train` writes it.")
"""A model to keep."""

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


def model_file(request: Request, batch: Batch) -> Incoming:
    """The file of a model, not looked at yet. Errors: unsupported-media, request-too-large, bad-request, disk-full."""
    if request.mimetype != DATA:
        raise ScumbleError("unsupported-media", f"The body is to be {DATA}.")
    file = batch.incoming()
    try:
        while block := request.stream.read(_BLOCK_BYTES):
            file.write(block)
            if file.size > models.LARGEST:
                detail = f"The file is larger than {models.LARGEST // 2**20} MB, which no model is."
                raise ScumbleError("request-too-large", detail, "Send a .scumble file.")
    except ClientDisconnected:
        raise ScumbleError("bad-request", "The body is cut short.") from None
    return file


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
        _check_names((CONTENT, *recipe.names), fields, files)
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

    def training(self, request: Request, batch: Batch, key: str | None) -> Order:
        """The training that a request asks for; its pictures are kept as long as the batch lasts.

        Errors: those of `receive`, bad-recipe, missing-picture, bad-picture, picture-too-large.
        """
        parts = receive(request, batch, self._limits)
        files = _named(parts.files)
        fields = once(parts.fields)
        asked = self._options(fields, files)
        names = tuple(dict.fromkeys(asked.styles)) or tuple(files)
        if not names:
            hint = f"Send it as the file `{STYLE}`, or name one of the library."
            raise ScumbleError("missing-picture", "There is no style to learn.", hint)
        recipe = Recipe.parse(
            {
                "styles": [{"picture": name} for name in names],
                "features": asked.features,
                "stroke_scale": asked.stroke_scale,
            }
        )
        refuse_path(recipe.features)
        _check_names(names, fields, files, "The training")
        given = {name: self._given(name, files, batch) for name in names}
        with self._turn:
            for name, each in given.items():
                self._picture(name, each)
        labels = self._labels(names, asked.name)
        asked = asked.model_copy(update={"styles": names, "name": asked.name or model_name(labels[0])})
        return Order(
            recipe=recipe,
            content=None,
            pictures=tuple(Input(name, batch.adopt(each.file), each.crop) for name, each in given.items()),
            width=asked.square,
            height=asked.square,
            bounds=None,
            lease_s=asked.lease_s,
            key=key,
            training=Training(asked, labels),
        )

    def _options(self, fields: dict[str, str], files: dict[str, Incoming]) -> TrainRequest:
        """What is said of a training, which is taken from among the parts."""
        said = json_object(self._text(OPTIONS, fields, files), "The training")
        lease = validated(_OrderFields, fields, is_text=True).lease_s
        if lease is not None:
            if said.get("lease_s") is not None:
                raise ScumbleError("bad-request", "lease_s: it is there twice.")
            said["lease_s"] = lease
        return validated(TrainRequest, said)

    def _labels(self, names: Sequence[str], wish: str | None) -> tuple[str, ...]:
        """What people call the styles: as the library does, or as their parts are called."""
        labels: list[str] = []
        for name in names:
            if name.startswith(LIBRARY):
                label = self._library.get(name.removeprefix(LIBRARY)).name
            else:
                label = wish if wish and len(names) == 1 and _STYLES.fullmatch(name) else PurePath(name).stem or name
            labels.append(label if label not in labels else f"{label} {len(labels) + 1}")
        return tuple(labels)

    def _recipe(self, fields: dict[str, str], files: dict[str, Incoming]) -> Recipe:
        """The recipe, which is taken from among the parts."""
        recipe = Recipe.parse(json_object(self._text(RECIPE, fields, files), "The recipe", "bad-recipe"))
        refuse_path(recipe.features)
        refuse_paths(recipe)
        return recipe

    def _text(self, part: str, fields: dict[str, str], files: dict[str, Incoming]) -> str | bytes:
        """A part that is JSON, sent as a field or as a file; taken from among them."""
        text: str | bytes = fields.pop(part, "{}")
        if (file := files.pop(part, None)) is not None:
            if text != "{}":
                raise ScumbleError("bad-request", f"{part}: it is there twice.")
            if file.size > self._limits.form_bytes:
                detail = f"The {part} takes more than the limit of {self._limits.form_bytes} bytes."
                raise ScumbleError("request-too-large", detail)
            text = whole(file)
        return text

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


def model_name(label: str) -> str:
    """What a model may be called that was trained for a style of that name."""
    return _NO_LETTER.sub("-", label).strip("._ -")[:_LONGEST_NAME] or STYLE


def _check_names(
    names: Sequence[str], fields: Mapping[str, str], files: Mapping[str, Incoming], who: str = "The recipe"
) -> None:
    """Every picture that is named is there, and every part is named."""
    wanted = [name for name in names if not name.startswith(LIBRARY)]
    missing = [name for name in wanted if name not in files]
    for name in missing:
        if name in fields:
            hint = "Send pictures as files, with a file name."
            raise ScumbleError("bad-request", f"The picture {name!r:.80} is sent as a field.", hint)
    for name in files:
        if name not in wanted:
            near = difflib.get_close_matches(name, missing, 1)
            named = ", ".join(each for each in names if each != CONTENT) or "none"
            hint = f"Did you mean {near[0]!r}?" if near else f"It names: {named}."
            raise ScumbleError("bad-request", f"{who} names no picture {name!r:.80}.", hint)
    if CONTENT in missing:
        hint = f"Send the picture to paint on as the file `{CONTENT}`."
        raise ScumbleError("missing-picture", f"There is no file `{CONTENT}`.", hint)
    if missing:
        hint = "Send it as a file of that name."
        raise ScumbleError("missing-picture", f"{who} names the picture {missing[0]!r:.80}, which is not there.", hint)
