"""What a panel shows of the studio, whatever draws it: words, lists and their order."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .fields import BY_NAME, FIELDS, Field
from .text import mark, tr
from .wording import duration, memory

if TYPE_CHECKING:
    from .canvas import LayerName, Region
    from .daemon import Health
    from .diagnostics import Check
    from .results import Result
    from .settings import StyleRow
    from .studio import PresetChoice

MOST_LAYERS = 60
"""The most layers that a menu names."""
LONGEST_NAME = 60
PICTURES = ("png", "jpg", "jpeg", "webp", "tif", "tiff", "kra", "ora", "psd", "xcf", "bmp", "gif", "exr")
"""How files end that a style can be taken from."""
DOTS = {"starting": "amber", "ready": "green", "running": "blue", "error": "red"}
"""What a status' dot looks like; any other one is faint."""

_LONG, _JOINT = re.compile(r"\S{20,}"), re.compile(r"([/\\._\-:=]|\w{16})")


# ---------------------------------------------------------------------------------------------------------------- texts


def breakable(text: str) -> str:
    """A text whose long words, such as paths, may be broken into lines; only to be shown, not to be copied."""
    return _LONG.sub(lambda word: _JOINT.sub("\\1\u200b", word.group()), text)


def by_parts(line: str) -> str:
    """A line of parts with semicolons that is broken only between these; only to be shown."""
    return "; ".join(part.replace(" ", "\u00a0") for part in line.split("; "))


def short(name: str) -> str:
    """A name as a menu has room for it."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def file_name(title: str) -> str:
    """A title as a file may be called, without an ending."""
    return "".join("_" if each in '\\/:*?"<>|' or each < " " else each for each in title).strip(". ") or "Scumble"


def home_shown(path: Path) -> str:
    """A path as one writes it: the home folder is ~."""
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except ValueError:
        return str(path)


def with_unit(label: str, unit: str) -> str:
    """What a control is called whose unit stands nowhere else."""
    return tr("{name} ({unit})", name=tr(label), unit=unit) if unit else tr(label)


# ----------------------------------------------------------------------------------------------------- styles, presets


@dataclass(frozen=True)
class RegionChoice:
    """A region to choose; `kind` is "mask", "layer", "gone", or "" for the whole selection."""

    id: str
    name: str
    kind: str


def region_choices(style: StyleRow, regions: Sequence[Region]) -> tuple[RegionChoice, ...]:
    """Where a style may go: everywhere, to the document's regions, and to its own one even if that is gone."""
    found = [RegionChoice("", tr("Whole selection"), "")]
    found += [RegionChoice(region.id, short(region.name), region.kind) for region in regions]
    if all(style.region != choice.id for choice in found):
        name = tr("{name} (gone)", name=style.region_name or style.region)
        found.append(RegionChoice(style.region, short(name), "gone"))
    return tuple(found)


def style_tip(style: StyleRow, is_there: bool) -> str:
    """What there is to say of a style's picture."""
    if not is_there:
        return tr("The file is not there: {path}", path=style.source)
    return style.name if style.is_library else f"{style.name}\n{style.source}"


FLASH = ((0.62, 0.0), (0.14, 0.56), (0.46, 0.56), (0.36, 1.0), (0.86, 0.4), (0.54, 0.4))
"""The corners of the mark of a trained style, in a square of side 1."""


def flash_tip() -> str:
    """What the mark of a trained style says."""
    return tr("Trained: Draft paints with it in an instant.")


@dataclass(frozen=True)
class Deed:
    """A line of a menu: its name for tests, its text, tooltip, and what it does; None: nothing now."""

    name: str
    text: str
    tip: str
    action: Callable[[], Any] | None


def style_deeds(studio: Any, index: int) -> list[Deed]:
    """What the menu of a style offers."""
    style = studio.settings.styles[index]
    model, train = studio.model_of(style), partial(studio.train_style, index)
    tip = tr(
        "Learns to paint like this picture, in the background; Draft then paints with it in an instant. That takes a "
        "while, and every painting goes first."
    )
    if studio.is_training(style):
        deeds = [Deed(f"style-{index}-train", tr("Is being trained"), tip, None)]
    else:
        words = tr("Train this style anew") if model else tr("Train this style")
        deeds = [Deed(f"style-{index}-train", words, tip, train)]
    if model:
        tip = tr("Removes it from this machine. The style itself stays.")
        forget = partial(studio.forget_trained, index)
        deeds.append(Deed(f"style-{index}-forget", tr("Forget what was trained"), tip, forget))
    return deeds


def layer_choices(layers: Sequence[LayerName]) -> list[tuple[str, str]]:
    """Ids and names of the layers for a menu; with their documents where there are several."""
    several = len({layer.document_name for layer in layers}) > 1
    return [
        (layer.id, short(f"{layer.name} – {layer.document_name}" if several else layer.name))
        for layer in layers[:MOST_LAYERS]
    ]


def preset_groups(presets: Sequence[PresetChoice]) -> list[list[PresetChoice]]:
    """The user's own presets, then the others; no group is empty."""
    groups = ([preset for preset in presets if preset.is_own == is_own] for is_own in (True, False))
    return [group for group in groups if group]


def chosen_preset(presets: Sequence[PresetChoice], name: str) -> PresetChoice | None:
    """The one of that name."""
    return next((preset for preset in presets if preset.name == name), None)


def is_found(words: str, name: str, tags: Sequence[str]) -> bool:
    """Whether a search finds a style of the library: each word is in its name or its tags."""
    text = " ".join((name, *tags)).casefold()
    return all(word in text for word in words.casefold().split())


# ----------------------------------------------------------------------------------------------------------------- more


def groups() -> dict[str, list[Field]]:
    """The fields of **More** by their groups, in order."""
    found: dict[str, list[Field]] = {}
    for field in FIELDS:
        found.setdefault(field.group, []).append(field)
    return found


def more_title(more: Mapping[str, Any]) -> str:
    """What the fold is called: it says how much in it is set."""
    count = changed(more)
    return tr("More ({count} changed)", count=count) if count else tr("More")


def changed(more: Mapping[str, Any]) -> int:
    """How many of the fields are set."""
    return sum(name in BY_NAME for name in more)


def with_field(more: Mapping[str, Any], field: Field, value: Any) -> dict[str, Any]:
    """**More** with a field set; a default is left out."""
    found = {name: each for name, each in more.items() if name != field.name}
    if value != field.default and value is not None:
        found[field.name] = value
    return found


# -------------------------------------------------------------------------------------------------------- runs, results


def stylise_words(is_busy: bool) -> tuple[str, str]:
    """What the button is called, and its tip."""
    if is_busy:
        return tr("Stylise (queue)"), tr("Queues one more run, with the settings as they are now.")
    return tr("Stylise"), tr("Paints the selected part in the manner of the styles, as a new layer.")


@dataclass(frozen=True)
class ProgressWords:
    """What the parts of a run's progress do, each with a tip to be translated; `prefix` begins their names."""

    prefix: str
    preview: str
    bar: str
    stop: str
    keep: str


PAINTING = ProgressWords(
    "",
    mark("How it looks at present; it comes into the document at the end."),
    mark("How far it is, over all its scales."),
    mark("Stops it; nothing is added."),
    mark("Stops it and adds what is there so far as the new layer."),
)
TRAINING = ProgressWords(
    "training-",
    mark("What it makes of a few pictures at present."),
    mark("How far it has learnt the style."),
    mark("Stops it; what it has learnt is lost."),
    mark("Stops it and keeps what it has learnt so far."),
)


def result_line(result: Result, is_visible: bool | None) -> str:
    """What there is to say of a result; `is_visible` None: its layer is gone."""
    words = [result.title]
    if result.seconds:
        words.append(duration(result.seconds))
    if is_visible is None:
        words.append(tr("its layer is gone"))
    return " · ".join(words) + "".join(f"\n⚠ {warning}" for warning in result.warnings)


def result_tip(result: Result) -> str:
    """A result's tooltip."""
    return "\n".join(filter(None, (result.title, result.features, *result.warnings)))


def chosen_row(numbers: Sequence[int], before: int | None, row: int) -> int:
    """Which of the results is chosen now, newest first: the one that was, unless it was the newest. −1: none.

    `before` is the number of the one that was chosen, `row` where it stood.
    """
    if before is None or row == 0:
        return 0 if numbers else -1
    return numbers.index(before) if before in numbers else min(row, len(numbers) - 1)


def cell_words(state: str) -> str:
    """What stands in the place of a variation's picture."""
    return {"waiting": tr("Waits"), "painting": tr("Painting…"), "failed": tr("Failed")}.get(state, "")


# ----------------------------------------------------------------------------------------------------------- the daemon


def facts(health: Health | None, log_folder: Path) -> dict[str, tuple[str, str]]:
    """What is known of the daemon: title and text, by names."""
    devices = health.devices if health is not None else ()
    free = [memory(each.memory_free_mb) for each in devices if each.memory_free_mb is not None]
    return {
        "version": (tr("Version"), health.version if health is not None else tr("not running")),
        "device": (tr("Device"), "\n".join(each.description or each.name for each in devices) or "–"),
        "memory": (tr("Memory"), tr("{memory} free", memory=", ".join(free)) if free else "–"),
        "features": (tr("Features"), (health.features if health is not None else "") or "–"),
        "log": (tr("Log folder"), breakable(home_shown(log_folder))),
    }


def checks_text(checks: Sequence[Check]) -> str:
    """What a self-test has found."""
    return "\n".join(f"{'✓' if check.ok else '✕'} {check.name}: {check.text}" for check in checks)
