"""The procedure's arguments, and settings as them: `settings_of(arguments_of(settings))` are the same again.

Every main control is an argument. The one called recipe has what else there is: the fields of **More**, the preset, and
what styles and regions are called where a path or an id does not say it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path, PureWindowsPath
from typing import Any

from . import recipes
from .link.errors import LinkError
from .link.fields import CONTROLS, MAX_STYLES, Control
from .link.settings import FIRST_STYLE, LIBRARY, NOTES, Settings, StyleRow, name_of
from .link.text import mark, tr

AUTO = -1
"""The feather that means Auto."""


@dataclass(frozen=True)
class Arguments:
    """What the procedure is given, or gives back to be remembered; a style is "weight|region|path"."""

    styles: tuple[str, ...] = ()
    strength: int = 60
    stroke_scale: int = 100
    keep_colors: str = "off"
    quality: str = "normal"
    size: int = 512
    iterations: str = ""
    area: str = "selection"
    feather: int = AUTO
    result: str = "mask"
    recipe: str = ""


@dataclass(frozen=True)
class Argument:
    """What an argument is called and what it takes; `note` is what scripts must know besides the control's tip."""

    control: Control
    note: str = ""

    @property
    def name(self) -> str:
        """As GIMP has it: "stroke-scale"."""
        return self.control.name.replace("_", "-")

    @property
    def label(self) -> str:
        """In the user's language."""
        return tr(self.control.label)

    @property
    def blurb(self) -> str:
        """What it does, in the user's language."""
        return " ".join(tr(text) for text in (self.control.tip, self.note) if text)

    @property
    def default(self) -> Any:
        """What stands for it where it is not given."""
        return getattr(_DEFAULTS, self.control.name)

    @property
    def limits(self) -> tuple[int, int]:
        """Of an argument that takes numbers."""
        low, high = self.control.limits
        return min(low, self.default), high


_DEFAULTS = Arguments()
_STYLES = replace(
    CONTROLS["styles"],
    tip=mark(
        "The pictures in whose manner the part is painted, up to four: each a path, “weight|path”, or "
        "“weight|region|path”. A path may be “library:night”; a weight is in %; a region is “channel:NAME”, "
        "“mask:NAME” or “layer:NAME”, and the whole selection where it is empty. No style: those of the recipe, or the "
        "sample."
    ),
)
_RECIPE = Control(
    "recipe",
    mark("Recipe"),
    mark(
        "All other settings: JSON text, or the path of a JSON file or of a PNG that Scumble has painted. An argument "
        "that is not as by default comes before what the recipe says."
    ),
)
_CUSTOM = mark("It counts with the quality “custom”.")
_NOTES = {"size": _CUSTOM, "iterations": _CUSTOM, "feather": mark("−1 is Auto.")}
TABLE = tuple(
    Argument({"styles": _STYLES, "recipe": _RECIPE}.get(each.name) or CONTROLS[each.name], _NOTES.get(each.name, ""))
    for each in fields(Arguments)
)
"""All arguments, in their order."""


# ---------------------------------------------------------------------------------------------------------- to settings


def settings_of(arguments: Arguments) -> Settings:
    """What arguments say: what the recipe names is set, then each argument that is not left as it is.

    `LinkError` bad-recipe, missing-file.
    """
    recipe = recipes.read(arguments.recipe)
    given = {
        each.name: getattr(arguments, each.name)
        for each in fields(arguments)
        if getattr(arguments, each.name) != each.default
    }
    given.pop("recipe", None)
    if arguments.styles:
        given["styles"] = _rows(arguments.styles, recipe)
    settings = replace(_said_by(recipe), **given)
    if settings.quality == "custom" and "quality" in recipe:
        # which says what the one of size and iterations that is not given would be
        settings = replace(settings, more={**settings.more, "quality": recipe["quality"]})
    return settings


def _said_by(recipe: Mapping[str, Any]) -> Settings:
    """New settings with what a recipe names."""
    notes, fresh = _notes_of(recipe), Settings()
    if len(recipe.get("styles", ())) > MAX_STYLES:
        raise _too_many()
    is_said = {
        "styles": "styles" in recipe,
        "area": "area" in notes or "selection" in recipe,
        "feather": "feather" in notes or "feather_px" in recipe,
        "result": "output" in recipe,
    }
    unsaid = {name: getattr(fresh, name) for name, is_there in is_said.items() if not is_there}
    return replace(Settings.from_recipe(recipe), **unsaid)


def _rows(given: tuple[str, ...], recipe: Mapping[str, Any]) -> tuple[StyleRow, ...]:
    if len(given) > MAX_STYLES:
        raise _too_many()
    regions = _notes_of(recipe).get("regions")
    told = regions.items() if isinstance(regions, Mapping) else ()
    region_names = {region: name for name, region in told if isinstance(region, str)}
    rows: list[StyleRow] = []
    for text in given:
        weight, region, source = _split(text)
        about = _noted(recipe, len(rows), source)
        name = about.get("name") or _name_of(source)
        rows.append(StyleRow(source, name, weight, region, about.get("region_name") or region_names.get(region, "")))
    return tuple(rows)


def _split(text: str) -> tuple[int, str, str]:
    """Weight, region and source of "weight|region|path", "weight|path", or "path"; a path may have | in the first."""
    *before, path = text.split("|", 2)
    weight = before[0].strip().rstrip("%").rstrip() if before else ""
    low, high = CONTROLS["weight"].limits
    if weight and not (weight.isdecimal() and low <= int(weight) <= high):
        detail = tr("The style {given} cannot be read.", given=repr(text[:200]))
        hint = tr(
            "Write weight|region|path, such as 70||style.png; the weight is from {low} to {high}.", low=low, high=high
        )
        raise LinkError("bad-recipe", detail, hint)
    region = before[1].strip() if len(before) > 1 else ""
    return int(weight or 100), region, _whole(path)


def _whole(path: str) -> str:
    """A path that does not depend on the folder that GIMP was started in."""
    if path.startswith(LIBRARY) or PureWindowsPath(path).drive:
        return path
    return str(Path(path).expanduser().absolute())


def _name_of(source: str) -> str:
    return FIRST_STYLE[1] if source == FIRST_STYLE[0] else name_of(source)


def _noted(recipe: Mapping[str, Any], index: int, source: str) -> Mapping[str, str]:
    """What a recipe's notes say of the style of that place, or else of any of that source."""
    styles = _notes_of(recipe).get("styles")
    if isinstance(styles, list):
        for about in (*styles[index : index + 1], *styles):
            if isinstance(about, Mapping) and about.get("source") == source:
                return {name: value for name, value in about.items() if isinstance(value, str)}
    return {}


def _notes_of(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    notes = recipe.get(NOTES)
    return notes if isinstance(notes, Mapping) else {}


def _too_many() -> LinkError:
    return LinkError("bad-recipe", tr("There can be {count} styles at most.", count=MAX_STYLES), tr("Leave some out."))


# -------------------------------------------------------------------------------------------------------- from settings


def arguments_of(settings: Settings) -> Arguments:
    """The arguments that say all of some settings. (Of no styles at all there is no way to say it.)"""
    plain = {each.name: getattr(settings, each.name) for each in fields(Arguments) if each.name != "recipe"}
    plain["styles"] = tuple(f"{row.weight}|{row.region}|{row.source}" for row in settings.styles)
    plain["feather"] = AUTO if settings.feather is None else settings.feather
    rest = {name: value for name, value in settings.more.items() if name != "quality" or settings.quality == "custom"}
    if settings.preset:
        rest["preset"] = settings.preset
    if any(row.region_name or row.name != _name_of(row.source) for row in settings.styles):
        rest[NOTES] = {"styles": [_about(row) for row in settings.styles]}
    return Arguments(recipe=json.dumps(rest, ensure_ascii=False) if rest else "", **plain)


def _about(row: StyleRow) -> dict[str, str]:
    """The names that a path and an id do not say."""
    region = {"region_name": row.region_name} if row.region_name else {}
    return {"source": row.source, "name": row.name, **region}
