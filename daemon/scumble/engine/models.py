"""Trained styles as files, and where they are kept.

A **model** is a transformation network with what it was trained for: its styles, each with a small picture, the recipe
of its losses, and the features that they were taken with. It is a .scumble file, sealed (`scumble.engine.sealed`):
nothing in it is ever run, and what is damaged is refused. A style is known again by the SHA-256 of its picture's file,
and by the part of it that was used.

Models that are *kept* are in the folder `home()/models`, and go by their file's name. Torch is imported only where a
network is wanted: the daemon looks at models, and stays small.
"""

import contextlib
import itertools
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scumble.engine.shape import Shape, Upsampling
from scumble.engine.unsealed import Arrays, unsealed
from scumble.errors import ScumbleError
from scumble.home import NO_ROOM, home, private_folder, sync_folder, write_private

if TYPE_CHECKING:
    from torch import Tensor

SUFFIX = ".scumble"
KIND = "scumble model 1"
THUMBNAIL_PX = 512
"""The longest side of a style's picture in a model."""
LARGEST = 256 * 2**20
"""Bytes of a file that is taken for a model."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,99}")
"""What a kept model may be called."""
_THUMBNAIL = "thumbnail.{}"


class Part(BaseModel):
    """A rectangle of a picture, in px."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    x: Annotated[int, Field(ge=0)]
    y: Annotated[int, Field(ge=0)]
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]


class TrainedStyle(BaseModel):
    """A style of a model: its name, the SHA-256 of its picture's file (may be unknown), and the part that was used."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Annotated[str, Field(min_length=1, max_length=300)]
    digest: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    part: Part | None = None


class About(BaseModel):
    """What a model says of itself. `size` is the working size in px at which its strokes have the size that the recipe
    asks for, `losses` those of its last steps, `own_filters` and `noise` as of `Shape`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    styles: Annotated[tuple[TrainedStyle, ...], Field(min_length=1, max_length=16)]
    width: Annotated[int, Field(ge=4, le=256)]
    blocks: Annotated[int, Field(ge=0, le=32)]
    upsampling: Upsampling
    own_filters: bool = False
    noise: bool = False
    size: Annotated[int, Field(ge=16, le=32768)]
    recipe: dict[str, Any]
    features: Annotated[str, Field(max_length=200)]
    steps: Annotated[int, Field(ge=0)]
    minutes: Annotated[float, Field(ge=0)]
    losses: dict[str, float] = {}

    @property
    def shape(self) -> Shape:
        """The network's."""
        return Shape(len(self.styles), self.width, self.blocks, self.upsampling, self.own_filters, self.noise)


@dataclass(frozen=True, eq=False)
class Model:
    """`tensors` as `Shape.tensors` names them, float32 on the CPU; `thumbnails` (height, width, 3), uint8, one for each
    style."""

    about: About
    tensors: Mapping[str, "Tensor"]
    thumbnails: Sequence[NDArray[np.uint8]]

    def data(self) -> bytes:
        """The bytes of its file. Filters are written with half the digits."""
        import torch

        from scumble.engine.sealed import seal

        pictures = {
            _THUMBNAIL.format(index): torch.from_numpy(each.copy()) for index, each in enumerate(self.thumbnails)
        }
        rounded = {
            name: tensor.half() if name.endswith(".filters") else tensor for name, tensor in self.tensors.items()
        }
        return seal(KIND, self.about.model_dump(mode="json"), {**rounded, **pictures})


def write(model: Model, path: Path) -> None:
    """Write a model's file at once; ScumbleError `cannot-write` or `disk-full`, and what was there is untouched."""
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with _writing(path):
        try:
            fresh.write_bytes(model.data())
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)


def read(path: Path) -> Model:
    """The model in a file, every number looked at; ScumbleError `missing-file` or `bad-model`."""
    return parse(_bytes(path), path.name)


def parse(data: bytes, name: str) -> Model:
    """The model in the bytes of a file, called `name` in ScumbleError `bad-model`."""
    import torch

    about, arrays, thumbnails = _seen(data, name)
    return Model(about, {key: torch.from_numpy(array).float() for key, array in arrays.items()}, thumbnails)


def look(path: Path) -> tuple[About, list[NDArray[np.uint8]]]:
    """What a model says of itself, and the pictures of its styles, every number looked at; ScumbleError as of
    `read`."""
    about, _, thumbnails = _seen(_bytes(path), path.name)
    return about, thumbnails


def _seen(data: bytes, name: str) -> tuple[About, Arrays, list[NDArray[np.uint8]]]:
    try:
        facts, arrays = unsealed(KIND, data)
        about = About.model_validate(facts)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "its description"
        raise _bad(name, f"{place} is not valid ({first['msg']})") from None
    except ValueError:
        raise _bad(name, "it is no model of Scumble's, or it is damaged") from None
    none = np.empty(0, np.uint8)
    thumbnails = [arrays.pop(_THUMBNAIL.format(index), none) for index in range(len(about.styles))]
    if {key: array.shape for key, array in arrays.items()} != about.shape.tensors():
        raise _bad(name, "its numbers are not those of the network that it speaks of")
    for key, array in arrays.items():
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise _bad(name, f"{key} holds values that are not finite")
    for picture in thumbnails:
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
            raise _bad(name, "a picture of its styles is missing")
    return about, arrays, thumbnails


def describe(path: Path) -> About:
    """What a model says of itself, kept as long as the file stays as it is; ScumbleError as of `read`."""
    state = _stat(path)
    return _described(path, state.st_ino, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _described(path: Path, *_state: int) -> About:
    return look(path)[0]


def _bytes(path: Path) -> bytes:
    _stat(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise _bad(path.name, f"it cannot be read ({error.strerror or error})") from error


def _stat(path: Path) -> os.stat_result:
    if not path.is_file():
        raise ScumbleError("missing-file", f"There is no file {path}.")
    state = path.stat()
    if state.st_size > LARGEST:
        raise _bad(path.name, f"it is larger than {LARGEST // 2**20} MB")
    return state


def _bad(name: str, reason: str) -> ScumbleError:
    return ScumbleError("bad-model", f"{name} cannot be used: {reason}.")


# -------------------------------------------------------------------------------------------------------- what is kept


@dataclass(frozen=True)
class Entry:
    """A model that is kept: the name by which a recipe asks for it, its file, and what it says of itself. `written` is
    when, in nanoseconds."""

    name: str
    file: Path
    about: About
    bytes: int
    written: int

    @classmethod
    def of(cls, path: Path) -> "Entry":
        """The one in a file; ScumbleError as of `read`."""
        state = _stat(path)
        return cls(path.stem, path, describe(path), state.st_size, state.st_mtime_ns)


def folder() -> Path:
    """Where models are kept."""
    return home() / "models"


def entries() -> list[Entry]:
    """All that are kept and can be used, by name; others are left out."""
    found = []
    for path in sorted(folder().glob(f"*{SUFFIX}")) if folder().is_dir() else ():
        try:
            found.append(Entry.of(path))
        except (ScumbleError, OSError):  # damaged, or it has just gone
            continue
    return found


def keep(data: bytes, name: str) -> Entry:
    """Take over a model's file under a name; all of it is read first.

    ScumbleError `bad-model`, `bad-request` for a name that cannot be had, `cannot-write` or `disk-full`.
    """
    target = kept(name)
    _seen(data, target.name)
    private_folder(folder())
    with _writing(target):
        write_private(target, data)
    return Entry.of(target)


def keep_beside(data: bytes, name: str) -> Entry:
    """`keep`, but no other model is replaced: where there is one of that name it is kept as `name-2`, …; one that is
    there already, byte for byte, is not kept twice."""
    wished = kept(name)
    _seen(data, wished.name)
    private_folder(folder())
    fresh = wished.with_name(f".{uuid.uuid4().hex}.tmp")
    with _writing(wished):
        try:
            write_private(fresh, data)
            target = next(each for each in _numbered(wished) if _is_had(each, fresh, data))
            sync_folder(folder())
        finally:
            fresh.unlink(missing_ok=True)
    return Entry.of(target)


def _numbered(path: Path) -> Iterator[Path]:
    yield path
    for number in itertools.count(2):
        yield path.with_name(f"{path.stem}-{number}{SUFFIX}")


def _is_had(target: Path, fresh: Path, data: bytes) -> bool:
    """Whether the fresh file could be had under that name, or is there already. Raises OSError."""
    try:
        os.link(fresh, target)  # which replaces nothing, whoever else writes at the same time
    except FileExistsError:
        return target.is_file() and target.read_bytes() == data
    except OSError as error:
        if error.errno in NO_ROOM:
            raise
        if target.exists():  # a file system without links
            return target.is_file() and target.read_bytes() == data
        fresh.replace(target)
    return True


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        code = "disk-full" if error.errno in NO_ROOM else "cannot-write"
        raise ScumbleError(code, f"{target} cannot be written: {error.strerror or error}.") from error


def forget(name: str) -> None:
    """Remove a kept model; ScumbleError `not-found`."""
    path = kept(name)
    if not path.is_file():
        raise ScumbleError("not-found", f"There is no model {name[:80]!r}.", "`scumble models` lists them.")
    path.unlink()


def kept(name: str) -> Path:
    """Where the model of that name is, or would be; ScumbleError `bad-request` for what is no name."""
    name = name.removesuffix(SUFFIX)
    if not NAME.fullmatch(name):
        hint = "Letters, digits, spaces, dots, hyphens and underscores, at most a hundred."
        raise ScumbleError("bad-request", f"{name[:80]!r} cannot be the name of a model.", hint)
    return folder() / f"{name}{SUFFIX}"


def find(name: str) -> Path:
    """The file of a model by its name, or by its path; ScumbleError `missing-model`."""
    if "/" in name or "\\" in name or name.endswith(SUFFIX):
        path = Path(name)
        if path.is_file():
            return path
    if NAME.fullmatch(name.removesuffix(SUFFIX)) and kept(name).is_file():
        return kept(name)
    known = ", ".join(entry.name for entry in entries()) or "none"
    raise ScumbleError("missing-model", f"There is no model {name[:200]!r}.", f"Kept are: {known}.")


def by_picture() -> dict[tuple[str, Part | None], str]:
    """How a recipe calls the kept models that were trained for a picture's file (by its SHA-256) and the part of it;
    the newest, if there are several."""
    found: dict[tuple[str, Part | None], str] = {}
    for entry in sorted(entries(), key=lambda each: each.written):
        styles = entry.about.styles
        for number, style in reversed([*enumerate(styles, 1)]):
            if style.digest:
                found[style.digest, style.part] = entry.name if len(styles) == 1 else f"{entry.name}#{number}"
    return found


def of_picture(digest: str, part: Part | None = None) -> str | None:
    """How a recipe calls the kept model that was trained for a picture's file, of this SHA-256; the newest, if there
    are several. None if there is none."""
    return by_picture().get((digest, part))


def with_style(model: str, digest: str, part: Part | None = None) -> str:
    """The name or path of a model, and with it which of its styles is meant where it leaves that open: the one that was
    trained for a picture's file, of this SHA-256. ScumbleError as of `find` and `describe`."""
    styles = [] if "#" in model else describe(find(model)).styles
    numbers = [number for number, style in enumerate(styles, 1) if (style.digest, style.part) == (digest, part)]
    return f"{model}#{numbers[0]}" if numbers and len(styles) > 1 else model


def style_index(about: About, name: str | None) -> int:
    """Which of a model's styles is meant by a name, or by a number from 1; the first, if none is given. ScumbleError
    `missing-model`."""
    names = [style.name for style in about.styles]
    if name is None or name in names:
        return names.index(name) if name else 0
    if name.isdecimal() and 1 <= int(name) <= len(names):
        return int(name) - 1
    raise ScumbleError("missing-model", f"The model has no style {name[:100]!r}.", f"It has: {', '.join(names)}.")
