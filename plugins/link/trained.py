"""Which styles are trained: the daemon keeps a model for them, with which it paints in one pass.

A style of the library says so itself. A picture file is known again by its **digest**, the SHA-256 of the bytes that
are sent of it; it is taken on another thread, and kept as long as the file stays as it is.
"""

from __future__ import annotations

import hashlib
import re
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from .daemon import Daemon, Model, Style
from .desk import Desk
from .errors import LinkError
from .settings import FAST, LIBRARY, Settings, StyleRow
from .topics import Listeners, Topic

_DIGESTS = 1000
"""How many are kept."""
_LONGEST_NAME = 60
_State = typing.Tuple[int, int]  # noqa: UP006 - the Python of Krita 5.1's own packages is 3.8


class Trained:
    """Knows it of rows, as far as the daemon and the disk have been heard of them; `read` gives a row's picture."""

    def __init__(self, desk: Desk, listeners: Listeners, read: Callable[[StyleRow], bytes]) -> None:
        self._desk, self._listeners, self._read = desk, listeners, read
        self._digests: dict[str, tuple[_State, str]] = {}
        self._asked: set[tuple[str, _State]] = set()

    def model_of(self, row: StyleRow, library: Sequence[Style], models: Sequence[Model] | None) -> str | None:
        """How a recipe calls the row's model; empty: there is none. None: that is not known yet, but soon may be."""
        if models is None:
            return None
        if row.is_library:
            return library_model(row.source, library)
        if not models:
            return ""
        digest = self._digest(row)
        return None if digest is None else file_model(digest, models)

    def _digest(self, row: StyleRow) -> str | None:
        """The newest that is known, until a file that has changed has been read again."""
        source, state = row.source, _state(row.source)
        if state is None:
            return ""
        known, digest = self._digests.get(source, (None, None))
        if state != known and (source, state) not in self._asked:
            self._asked.add((source, state))
            keep = partial(self._keep, source, state)
            # what cannot be read is not trained
            self._desk.ask(lambda _: digest_of(self._read(row)), keep, lambda error: keep(""))
        return digest

    def _keep(self, source: str, state: _State, digest: str) -> None:
        self._asked.discard((source, state))
        while len(self._digests) >= _DIGESTS:
            del self._digests[next(iter(self._digests))]
        self._digests[source] = state, digest
        self._listeners.tell(Topic.TRAINED)


def digest_of(picture: bytes) -> str:
    """By which the daemon knows a picture's file again."""
    return hashlib.sha256(picture).hexdigest()


def library_model(source: str, library: Sequence[Style]) -> str:
    """How a recipe calls the model of a style of the library; empty: there is none."""
    return next((style.model for style in library if LIBRARY + style.id == source), "")


def file_model(digest: str, models: Sequence[Model]) -> str:
    """How a recipe calls the model of a picture file; empty: there is none."""
    for model in models:
        for number, lore in enumerate(model.styles, 1):
            if digest and lore.digest == digest and lore.is_whole:
                return model.name if len(model.styles) == 1 else f"{model.name}#{number}"
    return ""


def with_engine(recipe: dict[str, Any], settings: Settings, names: Sequence[str | None]) -> dict[str, Any]:
    """The recipe, painted in one pass where the settings like that and each style has a model."""
    return {**recipe, "engine": FAST} if settings.likes_trained and names and all(names) else recipe


def names_at(daemon: Daemon, settings: Settings, parts: Mapping[str, Any]) -> Sequence[str]:
    """The models of the rows as the daemon has them now, by the very bytes that it is sent; empty where it does not
    say. Asks it: not for the host's thread."""
    with suppress(LinkError):
        models = daemon.models()
        library = daemon.styles() if models else ()
        return [
            library_model(row.source, library) if row.is_library else file_model(digest_of(parts[part]), models)
            for row, part in zip(settings.styles, settings.part_names())
        ]
    return ()


def new_name(wanted: str, others: Iterable[str]) -> str:
    """A name for a model that none of the others has: like `wanted`, with what the daemon takes in names."""
    name = re.sub(r"[^A-Za-z0-9._ -]+", "_", wanted).lstrip("._ -").rstrip(". ")[:_LONGEST_NAME] or "style"
    taken, found, number = {other.lower() for other in others}, name, 1
    while found.lower() in taken:
        number += 1
        found = f"{name} {number}"
    return found


def _state(source: str) -> _State | None:
    """What changes where a file does; None where there is none."""
    try:
        about = Path(source).stat()
    except (OSError, ValueError):  # a path that the system cannot even ask for
        return None
    return about.st_mtime_ns, about.st_size
