"""A folder of pictures, painted one after another into another folder.

A *source* is a picture of the folder, its *result* the file of that name in the other one. A result that is there, by
the same recipe and from the same bytes, is not painted again; of a video, also from the same last frame. What cannot be
painted is *refused*, and the others go on.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from scumble.errors import ScumbleError
from scumble.journal import Journal
from scumble.picture import FORMATS, Picture, decode, load, save
from scumble.recipe import Recipe
from scumble.signature import signed
from scumble.video import Frame, going_on

if TYPE_CHECKING:
    from scumble.engine.painter import Painter, Painting, Step

SUFFIXES = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tif"}
"""What a result is called of which only the format is given."""
_OF_ALL = frozenset({"cancelled", "bad-recipe", "missing-picture", "bad-weights", "missing-weights", "no-device"})
"""Errors that the next picture would meet as well."""


@dataclass(frozen=True)
class Source:
    """A picture to paint, what it is called within its folder, and so is its result."""

    path: Path
    name: str
    result: Path
    result_name: str


def sources(folder: Path, output: Path, format: str | None = None, *, recursive: bool = False) -> list[Source]:
    """The pictures of a folder, by name, with numbers in it as numbers; what lies in the other folder is none of them.

    Errors: missing-file for a folder that is not there or has none; cannot-write where a result would take the place
    of a source or of another result.
    """
    if not folder.is_dir():
        hint = "`scumble paint` paints a single picture." if folder.exists() else None
        raise ScumbleError("missing-file", f"There is no folder {folder}.", hint)
    if output.exists() and output.samefile(folder):
        raise ScumbleError(
            "cannot-write", f"{output} is the folder of the pictures themselves.", "Choose another folder with -o."
        )
    found: list[Source] = []
    for path in _pictures(folder, output, recursive=recursive):
        name = path.relative_to(folder)
        kind = FORMATS[path.suffix.lower()]
        result = name if format in (None, kind) else name.with_suffix(SUFFIXES[format or kind])
        found.append(Source(path, name.as_posix(), output / result, result.as_posix()))
    if not found:
        suffixes = ", ".join(suffix for suffix, kind in FORMATS.items() if kind != "npy")
        deeper = "" if recursive else ", or --recursive for the folders in it"
        raise ScumbleError(
            "missing-file", f"There is no picture in {folder}.", f"Give a folder with {suffixes}{deeper}."
        )
    found.sort(key=lambda source: _by_name(source.name))
    known: dict[Path, Source] = {}
    for source in found:
        other = known.setdefault(source.result, source)
        if other is not source:
            detail = f"{other.name} and {source.name} would both become {source.result}."
            raise ScumbleError("cannot-write", detail, "Rename one of them, or leave out --format.")
    return found


def _pictures(folder: Path, output: Path, *, recursive: bool) -> Iterator[Path]:
    results = output.resolve()
    may_hold_results = folder.resolve() in results.parents
    for path in folder.rglob("*") if recursive else folder.iterdir():
        if FORMATS.get(path.suffix.lower(), "npy") == "npy" or path.name.startswith(".") or not path.is_file():
            continue
        if not (may_hold_results and results in path.resolve().parents):
            yield path


def _by_name(name: str) -> list[tuple[int, str]]:
    return [(int(part), part) if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


@dataclass
class Tally:
    """What became of the pictures: how many were painted, how many were there; errors by the names of the others."""

    painted: int = 0
    there: int = 0
    refused: dict[str, ScumbleError] = field(default_factory=dict)
    warnings: dict[str, None] = field(default_factory=dict)
    stopped: bool = False

    @property
    def sentence(self) -> str:
        """In a few words."""
        there = f"{self.there} {'was' if self.there == 1 else 'were'} there"
        parts = [there] * bool(self.there) + [f"{len(self.refused)} refused"] * bool(self.refused)
        return ", ".join([f"{self.painted} painted", *parts])


@dataclass(frozen=True)
class Batch:
    """How to paint pictures: all by one recipe with its pictures, on one painter.

    With `again`, those too that are there; with `video` each goes on from the one before. `begin` is told of each
    picture, `announce` of what is about to be painted, `say` of what a person should know; `on_step` may stop it all.
    """

    painter: "Painter"
    recipe: Recipe
    pictures: Mapping[str, Picture]
    journal: Journal
    begin: Callable[[str], None]
    announce: "Callable[[Picture, Recipe, Mapping[str, Picture]], None]"
    say: Callable[[str], None]
    on_step: "Callable[[Step], bool]"
    again: bool = False
    video: bool = False

    def run(self, sources: Sequence[Source], recipe_digest: str, tally: Tally) -> None:
        """Paint them, and count in `tally`; raises what is no single picture's fault. What is finished is kept."""
        last: Source | None = None
        for source in sources:
            self.begin(source.name)
            try:
                data = _bytes(source.path)
                key = _digest(recipe_digest.encode(), data, *(self._state(last) if self.video else ()))
                if not self.again and self.journal.is_done(source.result_name, key) and source.result.is_file():
                    tally.there += 1
                else:
                    painting = self._paint(source, decode(data, name=str(source.path)), last)
                    if painting.stopped:
                        tally.stopped = True
                        return
                    self._keep(source, painting, key)
                    tally.painted += 1
                    tally.warnings |= dict.fromkeys(painting.warnings)
                last = source
            except ScumbleError as error:
                if error.code in _OF_ALL:
                    raise
                tally.refused[source.name] = error
                self.say(f"{source.name}: {error.detail}")

    def _state(self, last: Source | None) -> tuple[bytes, ...]:
        """What of the last frame decides about the next."""
        return (b"video",) if last is None else (b"video", _bytes(last.path), _bytes(last.result))

    def _paint(self, source: Source, content: Picture, last: Source | None) -> "Painting":
        if source.result.exists() and not self.again and not self.journal.knows(source.result_name):
            detail = f"{source.result} is there already, and is not from here."
            raise ScumbleError("cannot-write", detail, "Choose another folder with -o, or paint over it with --again.")
        recipe, pictures = self.recipe, self.pictures
        self.announce(content, recipe, pictures)
        if self.video and last is not None:
            # from the files, also what was just painted: so it is the same, however often it was interrupted
            asked = going_on(Frame(load(last.path), load(last.result)), content, recipe, pictures)
            if asked is None:
                self.say(f"{source.name}: little of the frame before is in it, so it starts afresh.")
            else:
                recipe, pictures = asked
        return self.painter.paint(content, recipe, pictures, self.on_step)

    def _keep(self, source: Source, painting: "Painting", key: str) -> None:
        try:
            source.result.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            detail = f"{source.result.parent} cannot be made: {error.strerror or error}."
            raise ScumbleError("cannot-write", detail) from error
        self.journal.begin(source.result_name)
        # without what it went on from, which is nowhere to be found
        save(signed(painting.picture, self.recipe, painting.features, str(source.path)), source.result)
        self.journal.end(source.result_name, key)


def digest_of(recipe: Recipe, files: Sequence[Path]) -> str:
    """What stands for a recipe and its pictures."""
    return _digest(recipe.as_json().encode(), *map(_bytes, files))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ScumbleError("missing-file", f"There is no file {path}.") from error
    except OSError as error:
        raise ScumbleError("bad-picture", f"{path} cannot be read: {error.strerror or error}.") from error


def _digest(*parts: bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()
