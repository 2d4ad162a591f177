"""The last results, so that they can be shown, added again, painted on, or learnt from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .pixels import Rect
from .settings import Settings


@dataclass(frozen=True)
class Result:
    """A picture that was painted. `box` is where it lies, in px of its document; `recipe` is the daemon's."""

    number: int
    title: str
    settings: Settings
    recipe: Mapping[str, Any]
    job_id: str
    box: Rect
    document: str
    above: str = ""
    """The layer that it was made from."""
    layer: str = ""
    """The layer that it became; empty: none yet."""
    thumbnail: bytes = b""
    """A small picture of it, PNG or JPEG; empty: none yet."""
    seconds: float = 0.0
    features: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def output(self) -> str:
        """What the daemon made: "picture", "layer" or "unmasked"; with the last one goes a mask."""
        output: str = self.recipe.get("output", "picture")
        return output


class Results:
    """The last results, newest first: at most `limit`, the oldest go."""

    def __init__(self, limit: int = 20) -> None:
        self._limit = limit
        self._newest_first: list[Result] = []

    def __iter__(self) -> Iterator[Result]:
        return iter(tuple(self._newest_first))

    def __len__(self) -> int:
        return len(self._newest_first)

    def add(self, result: Result) -> tuple[Result, ...]:
        """Put one before all others; those that had to go for it, which nobody can ask for any more."""
        self._newest_first.insert(0, result)
        gone = self._newest_first[self._limit :]
        del self._newest_first[self._limit :]
        return tuple(gone)

    def find(self, number: int) -> Result | None:
        """The one of that number; None where it is gone."""
        return next((each for each in self._newest_first if each.number == number), None)

    def changed(self, result: Result) -> None:
        """Another version of the one of its number; nothing happens where that is gone."""
        self._newest_first = [result if each.number == result.number else each for each in self._newest_first]

    def remove(self, number: int) -> None:
        """Take one off the list."""
        self._newest_first = [each for each in self._newest_first if each.number != number]
