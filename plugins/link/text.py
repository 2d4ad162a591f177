"""What users read, in their language: an English sentence is its own key.

A **catalogue** maps English texts to those of one language; it is `locale/LANGUAGE.json`. A text that is not in it, or
whose translation does not fit the English one, is shown in English.
"""

from __future__ import annotations

import json
from pathlib import Path
from string import Formatter
from typing import Any

_FOLDER = Path(__file__).parent / "locale"
_SHOWN: dict[str, str] = {}


def use(language: str) -> None:
    """Show texts in a language from now on: "de", "de_DE" or "de-DE.UTF-8"; English where there is no catalogue."""
    found = _catalogue(language)
    _SHOWN.clear()
    _SHOWN.update(found)


def tr(text: str, **values: Any) -> str:
    """The text in the user's language, with the values in its placeholders: `tr("{count} jobs wait", count=3)`."""
    translated = _SHOWN.get(text)
    if not values:
        return translated or text
    if translated:
        try:
            return translated.format(**values)
        except (LookupError, ValueError, TypeError, AttributeError):
            pass
    return text.format(**values)


def tr_n(one: str, many: str, count: int, **values: Any) -> str:
    """One of two texts, for one thing or for any other number of them, with `{count}` and the values filled in."""
    return tr(one if count == 1 else many, count=count, **values)


def mark(text: str) -> str:
    """The text as it is: says that it is to be translated where it is shown, by `tr`."""
    return text


def placeholders(text: str) -> frozenset[str]:
    """The names between braces in a text. ValueError where the braces do not match."""
    return frozenset(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def _catalogue(language: str) -> dict[str, str]:
    name = language.replace("-", "_").split(".")[0].split("_")[0].lower()
    if not (name.isascii() and name.isalpha()):
        return {}
    try:
        found = json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str) and value and _fits(key, value)}


def _fits(text: str, translation: str) -> bool:
    try:
        return placeholders(text) == placeholders(translation)
    except ValueError:
        return text == translation
