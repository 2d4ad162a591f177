"""What the user has set: one small tree of values is the complete job, everything but the document's pixels.

A **row** is a style with its weight and its region. **More** holds fields of the recipe by their names, for those that
have no main control. A **recipe** is the daemon's JSON; a *stored* recipe has besides it **notes**, what only the
plug-in knows: where the styles came from, how regions are called, what was left on Auto.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from .errors import LinkError
from .fields import AREAS, BY_NAME, CONTROLS, KEEP_COLORS, MAX_STYLES, QUALITIES, RESULTS, Choices
from .pixels import Rect
from .text import tr

LIBRARY = "library:"
"""How a row names a picture of the daemon's style library: this and the style's id."""
FIRST_STYLE = ("library:night", "Swirling night")
"""What a new user paints with: a style that comes with the daemon."""
SELECTION_PART, CONTENT_PART = "mask", "content"
NOTES = "notes"

OPTIMISE, FAST = "optimise", "fast"
"""Engines by their names in a recipe; any but the first takes only styles that are trained."""

_WORKING_SIZE = {"draft": 384, "normal": 512, "fine": 1024}
_QUALITY_FIELDS = ("size", "iterations")
_CONTEXT_PX, _LEAST_SEEN_PX, _LEAST_MARGIN_PX = 80, 256, 16
_MOST_ITERATIONS = 100_000
_LONGEST_TITLE = 60
_LONGEST_NAME = 200
_AUTO_SHARE, _LEAST_AUTO_PX, _MOST_AUTO_PX = 0.02, 1, 32


@dataclass(frozen=True)
class StyleRow:
    """A style: `source` is "library:ID" or a file's path, `weight` in %; an empty `region` is the whole selection."""

    source: str
    name: str
    weight: int = 100
    region: str = ""
    region_name: str = ""

    @property
    def is_library(self) -> bool:
        """Whether the daemon has the picture."""
        return self.source.startswith(LIBRARY)

    @property
    def is_there(self) -> bool:
        """Whether the picture's file is there; True for what the daemon has. Looks at the disk."""
        return self.is_library or is_file(self.source)


@dataclass(frozen=True)
class Settings:
    """All controls. `stroke_scale` in %, `size` in px of the working size, `feather` in px of the image, None: Auto.

    `size` and `iterations` (a text, such as "80, 50, 30") count with the quality "custom".
    """

    styles: tuple[StyleRow, ...] = (StyleRow(*FIRST_STYLE),)
    strength: int = 60
    stroke_scale: int = 100
    keep_colors: str = "off"
    quality: str = "normal"
    size: int = 512
    iterations: str = ""
    area: str = "selection"
    feather: int | None = None
    result: str = "mask"
    preset: str = ""
    more: Mapping[str, Any] = field(default_factory=dict, hash=False)

    # ---------------------------------------------------------------------------------------------------- to keep

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        values["styles"] = [{each.name: getattr(row, each.name) for each in fields(row)} for row in self.styles]
        values["more"] = dict(self.more)
        return values

    @property
    def as_json(self) -> str:
        """JSON text, which `from_json` takes."""
        return json.dumps(self.as_dict(), ensure_ascii=False)

    @classmethod
    def from_dict(cls, data: Any) -> Settings:
        """The settings in a mapping; what is unknown or not valid there is as in new settings."""
        if not isinstance(data, Mapping):
            return cls()
        found = {name: _READERS[name](data[name]) for name in _READERS if name in data}
        return cls(**{name: value for name, value in found.items() if value is not _BAD})

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """The settings in a JSON text; new ones if it is none."""
        return cls.from_dict(_json(text))

    # ------------------------------------------------------------------------------------------------ to the daemon

    def part_names(self) -> list[str]:
        """How the recipe names the rows' pictures: files are "style-1", …; the library's have no part, but a name."""
        return [row.source if row.is_library else f"style-{number}" for number, row in enumerate(self.styles, 1)]

    def recipe(
        self,
        styles: Sequence[str] | None = None,
        regions: Mapping[str, str] | None = None,
        selection: bool = True,
        feather_px: int = 0,
    ) -> dict[str, Any]:
        """The daemon's recipe, defaults left out.

        `styles` are the names of the rows' pictures, else `part_names()`; `regions` the names of the parts with
        regions' masks, by region; a row whose region has no part there paints the whole selection. `selection` is
        whether a part "mask" goes with it; `feather_px` is in px of the image.
        """
        parts = {row.region: part for row in self.styles for part in [(regions or {}).get(row.region)] if part}
        names = self._region_names(parts)
        pictures = self.part_names() if styles is None else styles
        recipe: dict[str, Any] = {"styles": list(map(_style, self.styles, pictures, self._named(names)))}
        if names:
            recipe["regions"] = [{"name": name, "mask": parts[region]} for region, name in names.items()]
        if selection:
            recipe["selection"] = SELECTION_PART
        recipe.update(self._own(feather_px))
        return recipe

    def stored(self, recipe: Mapping[str, Any]) -> str:
        """A recipe made from these settings as JSON to be kept with the layer; see `from_recipe`."""
        names = self._region_names({row.region: "" for row in self.styles if row.region})
        notes = {
            "styles": [{"source": _without_home(row.source), "name": row.name} for row in self.styles],
            "regions": {name: region for region, name in names.items()},
            "area": self.area,
            "feather": self.feather,
            "engine": self.more.get("engine"),
        }
        return json.dumps({**recipe, NOTES: notes}, ensure_ascii=False)

    @classmethod
    def from_recipe(cls, recipe: str | Mapping[str, Any]) -> Settings:
        """The settings that say what a recipe says, such as one stored with a layer; what is not valid is left out."""
        recipe = _mapping(_json(recipe) if isinstance(recipe, str) else recipe)
        notes = _mapping(recipe.get(NOTES))
        known: dict[str, Any] = {"styles": _rows(recipe, notes)}
        known["area"] = notes.get("area", "selection" if recipe.get("selection") else "layer")
        known["feather"] = notes.get("feather", recipe.get("feather_px", 0))
        known["result"] = "mask" if recipe.get("output") == "unmasked" else "layer"
        if "engine" in notes:  # what was chosen: where that was Auto, the recipe says what came of it
            recipe = {**recipe, "engine": notes["engine"]}
        return cls().with_recipe(recipe)._with(known)

    def with_recipe(self, recipe: Mapping[str, Any], preset: str | None = None) -> Settings:
        """These settings, painted as a recipe says: the styles, the area, the feather and the result stay.

        It is what choosing a preset does; `preset` is its name, else what the recipe says.
        """
        fresh, custom = Settings(), any(recipe.get(name) is not None for name in _QUALITY_FIELDS)
        quality = _word(recipe.get("quality"), fresh.quality)
        colors = _word(recipe.get("keep_colors"), fresh.keep_colors)
        more = {name: value for name, value in recipe.items() if name in BY_NAME}
        if custom and quality != fresh.quality:
            more["quality"] = quality  # which says what the one of size and iterations that is not given would be
        known = {
            "strength": recipe.get("strength", fresh.strength),
            "stroke_scale": _percent(recipe.get("stroke_scale", 1.0)),
            "keep_colors": "match" if colors == "histogram" else colors,
            "quality": "custom" if custom else quality,
            "size": recipe.get("size") or _WORKING_SIZE.get(quality, fresh.size),
            "iterations": _iterations_text(recipe.get("iterations")),
            "preset": recipe.get("preset", "") if preset is None else preset,
            "more": more,
        }
        plain = {name: getattr(fresh, name) for name in known}
        return replace(self, **plain)._with(known)

    def _with(self, values: Mapping[str, Any]) -> Settings:
        found = {name: _READERS[name](value) for name, value in values.items()}
        return replace(self, **{name: value for name, value in found.items() if value is not _BAD})

    def _own(self, feather_px: int) -> dict[str, Any]:
        """The recipe's fields that are no pictures."""
        fresh = Settings()
        own: dict[str, Any] = {name: value for name, value in self.more.items() if _differs(name, value)}
        for name in ("preset", "strength", "keep_colors"):
            if getattr(self, name) != getattr(fresh, name):
                own[name] = getattr(self, name)
        if self.stroke_scale != fresh.stroke_scale:
            own["stroke_scale"] = self.stroke_scale / 100
        if self.quality == "custom":
            own["size"] = self.size
            iterations = _numbers(self.iterations)
            if iterations:
                own["iterations"] = iterations
        else:
            own.pop("quality", None)
            if self.quality != fresh.quality:
                own["quality"] = self.quality
        if feather_px:
            own["feather_px"] = feather_px
        own["output"] = "unmasked" if self.result == "mask" else "layer"
        return own

    def _region_names(self, regions: Mapping[str, Any]) -> dict[str, str]:
        """Region → a name for it that people know and that no other one has."""
        found: dict[str, str] = {}
        for row in self.styles:
            if row.region in regions and row.region not in found:
                name, number = (row.region_name or row.region)[: _LONGEST_NAME - 8], 1
                wanted = name
                while name in found.values():
                    number += 1
                    name = f"{wanted} {number}"
                found[row.region] = name
        return found

    def _named(self, names: Mapping[str, str]) -> list[str | None]:
        return [names.get(row.region) for row in self.styles]

    # ------------------------------------------------------------------------------------------------------- engine

    @property
    def needs_trained(self) -> bool:
        """Whether only styles that are trained can be painted with."""
        return self.more.get("engine") not in (None, OPTIMISE)

    @property
    def likes_trained(self) -> bool:
        """Whether it is painted in one pass as soon as every style is trained: a draft whose engine is on Auto."""
        return self.quality == "draft" and self.more.get("engine") is None

    # -------------------------------------------------------------------------------------------------------- sizes

    def working_size(self) -> int:
        """The longest side at which the part is painted, in px; never above the part's own."""
        return _WORKING_SIZE.get(self.quality, self.size)

    def margin_px(self, longest: int) -> int:
        """How much of the surroundings to send on each side, in px of the image; `longest` is the part's longest side.

        What the daemon looks at: its context, and around a small part surroundings up to 256 px of the working size.
        """
        scale = min(1.0, self.working_size() / max(1, longest))
        context: float = self.more.get("context_px", _CONTEXT_PX)
        margin = max(context / scale, (_LEAST_SEEN_PX / scale - longest) / 2)
        return max(_LEAST_MARGIN_PX, math.ceil(margin))

    # ------------------------------------------------------------------------------------------------------ in words

    def title(self) -> str:
        """The name of the new layer: "Style name 60", at most 60 characters."""
        names, number = " + ".join(row.name for row in self.styles if row.weight) or tr("Scumble"), f" {self.strength}"
        room = _LONGEST_TITLE - len(number)
        if len(names) > room:
            names = names[: room - 1].rstrip() + "…"
        return names + number

    def why_not(self) -> LinkError | None:
        """Why these settings cannot be painted; None if they can. Looks for the styles' files."""
        if not self.styles:
            return LinkError("no-style", tr("There is no style."))
        for row in self.styles:
            if not row.is_there:
                return LinkError("missing-style", tr("The picture of the style {name} is gone.", name=row.name))
        if not any(row.weight for row in self.styles):
            return LinkError("no-style", tr("All styles have a weight of 0."))
        if self.quality == "custom" and _numbers(self.iterations) is None:
            detail = tr("Iterations: {given} cannot be read.", given=self.iterations[:40])
            return LinkError("bad-recipe", detail, tr("Give one number for each scale, such as 80, 50, 30."))
        return None


def auto_feather(mask_bounds: Rect, is_soft: bool) -> int:
    """The feather that suits a selection, in px: none where it is soft, else a fiftieth of its shorter side."""
    if is_soft:
        return 0
    share = round(_AUTO_SHARE * min(mask_bounds.width, mask_bounds.height))
    return min(max(share, _LEAST_AUTO_PX), _MOST_AUTO_PX)


# -------------------------------------------------------------------------------------------------------------- readers

_BAD: Any = object()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def is_file(path: str) -> bool:
    """Whether there is such a file; never raises."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # a path that the system cannot even ask for
        return False


def _without_home(source: str) -> str:
    """A path as it may be given to others: it does not tell the user's name."""
    with suppress(ValueError, RuntimeError):
        return "~/" + Path(source).relative_to(Path.home()).as_posix()
    return source


def _with_home(source: Any) -> Any:
    with suppress(RuntimeError):  # there is no home
        return str(Path(source).expanduser()) if isinstance(source, str) and source.startswith("~/") else source
    return source


def _word(value: Any, default: str) -> str:
    return value if isinstance(value, str) else default


def _text(longest: int) -> Any:
    return lambda value: value[:longest] if isinstance(value, str) else _BAD


def _one_of(choices: Choices) -> Any:
    return lambda value: value if isinstance(value, str) and any(value == each for each, _ in choices) else _BAD


def _whole(name: str) -> Any:
    low, high = CONTROLS[name].limits

    def read(value: Any) -> Any:
        # an integer of any size is fine, but not for isfinite
        is_number = type(value) is int or (isinstance(value, float) and math.isfinite(value))
        return min(max(round(value), low), high) if is_number else _BAD

    return read


def _style(row: StyleRow, picture: str, region: str | None) -> dict[str, Any]:
    """A row as a style of the recipe."""
    style: dict[str, Any] = {"picture": picture}
    if row.weight != 100:
        style["weight"] = row.weight / 100
    if region is not None:
        style["region"] = region
    return style


def _feather(value: Any) -> Any:
    return None if value is None else _whole("feather")(value)


def _row(value: Any) -> StyleRow | None:
    values = _mapping(value)
    found = {name: read(values[name]) for name, read in _ROW_READERS.items() if name in values}
    found = {name: each for name, each in found.items() if each is not _BAD}
    if not found.get("source"):
        return None
    found.setdefault("name", "")
    found["name"] = found["name"] or name_of(found["source"])
    return StyleRow(**found)


def _style_rows(value: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        return _BAD
    rows = [row for row in map(_row, value) if row is not None]
    return tuple(rows[:MAX_STYLES])


def _more(value: Any) -> dict[str, Any]:
    found = {}
    for name, each in _mapping(value).items():
        if name == "quality" and _word(each, "") in _WORKING_SIZE:
            found[name] = each
        elif name in BY_NAME:
            try:
                checked = BY_NAME[name].checked(each)
            except LinkError:
                continue
            if checked is not None:
                found[name] = checked
    return found


def _differs(name: str, value: Any) -> bool:
    if name == "engine":
        return str(value) != OPTIMISE  # which is the daemon's default, but not Auto
    return name not in BY_NAME or (value is not None and value != BY_NAME[name].default)


def name_of(source: str) -> str:
    """What a row is called whose name nobody knows: a file's name without its ending, a style's id."""
    if source.startswith(LIBRARY):
        return source[len(LIBRARY) :]
    return Path(source).stem or source


def _rows(recipe: Mapping[str, Any], notes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The styles of a recipe as rows; notes know where the pictures came from."""
    given, noted = recipe.get("styles"), notes.get("styles")
    regions = _mapping(notes.get("regions"))
    rows = []
    for index, style in enumerate(given if isinstance(given, (list, tuple)) else ()):
        style = _mapping(style)
        about = _mapping(noted[index] if isinstance(noted, list) and index < len(noted) else None)
        name = style.get("region")
        rows.append(
            {
                "source": _with_home(about.get("source") or style.get("picture")),
                "name": about.get("name", ""),
                "weight": _percent(style.get("weight", 1.0)),
                "region": regions.get(name, name) if isinstance(name, str) else "",
                "region_name": name if isinstance(name, str) else "",
            }
        )
    return rows


def _percent(value: Any) -> Any:
    return value * 100 if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _iterations_text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value or "")


def _numbers(text: str) -> list[int] | None:
    """The numbers in "80, 50, 30"; empty for an empty text, None where something else is in it."""
    words = [word for word in re.split(r"[,;\s]+", text) if word]
    if not all(word.isdecimal() and 1 <= int(word) <= _MOST_ITERATIONS for word in words):
        return None
    return [int(word) for word in words]


_ROW_READERS = {
    "source": _text(4096),
    "name": _text(_LONGEST_NAME),
    "weight": _whole("weight"),
    "region": _text(1000),
    "region_name": _text(_LONGEST_NAME),
}
_READERS = {
    "styles": _style_rows,
    "strength": _whole("strength"),
    "stroke_scale": _whole("stroke_scale"),
    "keep_colors": _one_of(KEEP_COLORS),
    "quality": _one_of(QUALITIES),
    "size": _whole("size"),
    "iterations": _text(400),
    "area": _one_of(AREAS),
    "feather": _feather,
    "result": _one_of(RESULTS),
    "preset": _text(100),
    "more": _more,
}
