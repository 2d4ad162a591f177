"""From the command line to a recipe: the options that `scumble paint` and `scumble sheet` share.

A *recipe option* sets one field of the recipe (`--strength`), a *style option* one field of the `--style` before it
(`--region`); so their order counts. Values are passed on as text: what is valid, the recipe alone knows. A *request* is
the recipe as plain JSON values, before it is checked, and the folder where names in it are looked up second, after the
current one. A signed result carries its recipe, and so can be a request again.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from scumble.errors import ScumbleError
from scumble.signature import RECIPE

if TYPE_CHECKING:
    from scumble.engine.painter import Painter
    from scumble.picture import Picture
    from scumble.recipe import Recipe

Command = TypeVar("Command", bound=Callable[..., Any])

STYLE_FIELDS = {
    "region": "region",
    "weight": "weight",
    "style_scale": "stroke_scale",
    "part": "part",
    "style_colors": "keep_colors",
    "model": "model",
}
"""Style options, and the fields of a style that they set."""
RECIPE_FIELDS = {
    "mask": "selection",
    "feather": "feather_px",
    "result": "output",
    **{
        name: name
        for name in (
            *("engine", "strength", "stroke_scale", "keep_colors", "quality", "size", "iterations"),
            *("optimizer", "features", "seed"),
        )
    },
}
"""Recipe options, and the fields of a recipe that they set."""

_KEEP = "off|luminance|match|histogram"
_OPTIONS = (
    click.option(
        "--style", multiple=True, metavar="FILE", help="A picture in whose manner to paint; as many as you like."
    ),
    click.option("--region", multiple=True, metavar="MASK", help="Where the style before it paints; else everywhere."),
    click.option("--weight", multiple=True, metavar="0..10", help="How strongly the style before it counts."),
    click.option("--style-scale", multiple=True, metavar="0.1..8", help="Stroke scale of the style before it."),
    click.option("--part", multiple=True, metavar="MASK", help="The part that counts of the style before it."),
    click.option("--style-colors", multiple=True, metavar=_KEEP, help="Keep colours, for the style before it."),
    click.option(
        "--model", multiple=True, metavar="NAME|FILE", help="Trained for the style before it; else looked up."
    ),
    click.option(
        "--engine", metavar="optimise|fast|fast+optimise", help="What paints; fast needs trained styles.  [optimise]"
    ),
    click.option("--mask", metavar="FILE", help="The selection: white is painted, gray partly, black stays as it is."),
    click.option("--feather", metavar="PX", help="Soften the selection's edge inwards, over so many px.  [0]"),
    click.option(
        "--result",
        metavar="picture|layer|unmasked",
        help="The picture repainted, or the painting alone, cut out or whole.  [picture]",
    ),
    click.option("--strength", metavar="0..100", help="Style against content; 0 gives the photo back.  [60]"),
    click.option("--stroke-scale", metavar="0.1..8", help="Size of the strokes: 2 is twice as large.  [1]"),
    click.option("--keep-colors", metavar=_KEEP, help="What stays of the photo's colours.  [off]"),
    click.option("--quality", metavar="draft|normal|fine", help="Working size and iterations.  [normal]"),
    click.option("--size", metavar="PX", help="Working size: the longest side of what is painted."),
    click.option("--iterations", metavar="N|N,N,…", help="Iterations per scale, from coarse to fine."),
    click.option("--optimizer", metavar="lbfgs|adam|sgd", help="How the picture descends the loss.  [adam]"),
    click.option(
        "--features", metavar="NAME|FILE", help="Features, such as embedded, vgg19 or a weights file.  [auto]"
    ),
    click.option("--seed", metavar="N", help="Of all that is random.  [0]"),
    click.option("--preset", metavar="NAME", help="Start from a preset; `scumble recipe --list` names them."),
    click.option("--recipe", metavar="FILE", help="Start from a recipe (JSON), or from a result of an earlier run."),
    click.option(
        "--set", "set_", multiple=True, metavar="KEY=VALUE", help="Any field of the recipe: styles.0.weight=0.5"
    ),
    click.option("--device", default="auto", metavar="auto|cpu|cuda", help="Where to compute.  [auto]"),
    click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Processor threads to use; else all."),
)


def shared(command: Command) -> Command:
    """Give a command the shared options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


class Ordered(click.Command):
    """A command that keeps in `context.meta[ORDER]` the names of its parameters as they came, one for each time."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        _, _, order = self.make_parser(ctx).parse_args(list(args))
        ctx.meta[ORDER] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)


ORDER = "scumble.order"


@dataclass(frozen=True)
class Request:
    """`data`: the recipe, not checked yet. `text`: what the picture that the recipe came from says of itself."""

    data: dict[str, Any]
    folder: Path | None = None
    text: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, order: Sequence[str], asked: Mapping[str, Any]) -> "Request":
        """What the shared options ask for: the recipe, over it the preset, over it options, over all of it `--set`."""
        from scumble.recipe import PRESETS, Recipe

        request = _stored(asked["recipe"]) if asked["recipe"] else cls({})
        data = request.data
        if preset := asked["preset"]:
            Recipe.from_preset(preset)
            data |= {**PRESETS[preset], "preset": preset}
        data |= {place: asked[option] for option, place in RECIPE_FIELDS.items() if asked[option] is not None}
        styles = _styles(order, asked)
        if styles:
            data["regions"] = _regions(styles)
            data["styles"] = styles
        for text in asked["set_"]:
            name, equals, value = text.partition("=")
            if not equals:
                raise ScumbleError("bad-recipe", f"--set {text}: there is no “=” in it.", "Write --set strength=80.")
            put(data, name.strip(), value)
        return request

    def find(self, name: str) -> Path:
        """The file that a name in the recipe means: from here, else from the recipe's folder."""
        path = Path(name)
        if self.folder is not None and not path.exists() and (self.folder / path).exists():
            return self.folder / path
        return path

    def recipe(self) -> "Recipe":
        """The recipe, checked. Where it is to be painted with trained styles that it does not name, those that are kept
        here for its pictures are filled in."""
        from scumble.recipe import Engine, Recipe

        recipe = Recipe.parse(self.data)
        if recipe.engine is Engine.OPTIMISE:
            return recipe
        styles = [style.model_dump(mode="json", exclude_defaults=True) for style in recipe.styles]
        for style in styles:
            if name := _trained_for(self.find(style["picture"]), style.get("model")):
                style["model"] = name
        return recipe.changed(styles=styles)

    def pictures(self, recipe: "Recipe", known: "Mapping[str, Picture] | None" = None) -> "dict[str, Picture]":
        """All pictures and masks that a recipe names; those in `known` are not read again."""
        from scumble.picture import load

        known = known or {}
        return {name: known[name] if name in known else load(self.find(name)) for name in recipe.names}


def _trained_for(path: Path, model: str | None) -> str | None:
    """The model that is kept for a style's file, or which of the named model's styles it is."""
    from scumble.engine import models

    if not path.is_file():
        return model
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return models.with_style(model, digest) if model else models.of_picture(digest)


def painter_of(asked: Mapping[str, Any]) -> "Painter":
    """The painter that --device and --threads ask for."""
    import torch

    from scumble.engine.painter import Painter

    if asked["threads"]:
        torch.set_num_threads(asked["threads"])
    return Painter(asked["device"])


def put(data: dict[str, Any], name: str, text: str) -> None:
    """Set a field by its dotted name (`styles.0.weight`) to a value: JSON if it parses, else the text itself."""
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    *path, last = name.split(".")
    place: Any = data
    for done, step in enumerate(path):
        if isinstance(place, dict):
            place = place.setdefault(step, {})
        else:
            place = place[_index(place, step, ".".join(path[: done + 1]))]
    if isinstance(place, dict):
        place[last] = value
    else:
        place[_index(place, last, name)] = value


def pretty(data: Mapping[str, Any]) -> str:
    """JSON for people to read and change."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON into a file; ScumbleError `cannot-write`."""
    try:
        path.write_text(pretty(data), encoding="utf-8")
    except OSError as error:
        raise ScumbleError("cannot-write", f"{path} cannot be written: {error.strerror or error}.") from error


def _index(place: Any, step: str, name: str) -> int:
    if not isinstance(place, list):
        raise ScumbleError("bad-recipe", f"{name}: there is nothing of that name.")
    if not step.isdecimal() or int(step) >= len(place):
        raise ScumbleError("bad-recipe", f"{name}: there are {len(place)}, counted from 0.")
    return int(step)


def _styles(order: Sequence[str], asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    values = {name: iter(asked[name]) for name in ("style", *STYLE_FIELDS)}
    styles: list[dict[str, Any]] = []
    for name in order:
        if name == "style":
            styles.append({"picture": next(values[name])})
        elif name in STYLE_FIELDS:
            option, value = f"--{name.replace('_', '-')}", next(values[name])
            if not styles:
                hint = f"Write it after the style that it is meant for: --style A.jpg {option} {value}"
                raise ScumbleError("bad-recipe", f"{option} {value} comes before any --style.", hint)
            if STYLE_FIELDS[name] in styles[-1]:
                picture = styles[-1]["picture"]
                raise ScumbleError("bad-recipe", f"{option} is given twice for --style {picture}.", "Leave one out.")
            styles[-1][STYLE_FIELDS[name]] = value
    return styles


def _regions(styles: list[dict[str, Any]]) -> list[dict[str, str]]:
    """One region for each mask that styles name; the styles then name the region."""
    masks = list(dict.fromkeys(style["region"] for style in styles if "region" in style))
    stems = [Path(mask).stem for mask in masks]
    names = {mask: stem if stem and stems.count(stem) == 1 else mask for mask, stem in zip(masks, stems, strict=True)}
    for style in styles:
        if "region" in style:
            style["region"] = names[style["region"]]
    return [{"name": name, "mask": mask} for mask, name in names.items()]


def _stored(file: str) -> Request:
    """The recipe in a JSON file, or in the text of a picture."""
    from scumble.picture import FORMATS, load
    from scumble.recipe import Recipe

    path = Path(file)
    text: Mapping[str, str] = {}
    try:
        if path.suffix.lower() in FORMATS:
            text = load(path).text
            if RECIPE not in text:
                hint = "Give a picture that scumble has written, or a JSON file."
                raise ScumbleError("bad-recipe", f"{path} holds no recipe.", hint)
            data: str | bytes = text[RECIPE]
        else:
            data = path.read_bytes()
    except FileNotFoundError:
        raise ScumbleError("missing-file", f"There is no file {path}.") from None
    except OSError as error:
        raise ScumbleError("bad-recipe", f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        return Request(Recipe.parse(data).as_dict(), path.parent, text)
    except ScumbleError as error:
        raise ScumbleError(error.code, f"{path}: {error.detail}", error.hint) from None
