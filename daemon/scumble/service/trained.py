"""Kept models as recipes call them: by their names alone, and found for the styles that name none.

A client must not choose which files the daemon opens, so a model that is a path is refused, whatever the engine.
"""

from collections.abc import Callable

from scumble.engine import models
from scumble.errors import ScumbleError
from scumble.picture import Picture, encode
from scumble.protocol import Model, ModelStyle, Rectangle
from scumble.recipe import Engine, Recipe

Known = tuple[str | None, Rectangle | None]
"""What a style is known by: the SHA-256 of its picture's file, and the part of it that is used."""


def refuse_paths(recipe: Recipe) -> None:
    """`ScumbleError("bad-recipe")` for a style whose model is a file."""
    for index, style in enumerate(recipe.styles):
        name = (style.model or "").partition("#")[0]
        if style.model is not None and (not models.NAME.fullmatch(name) or name.endswith(models.SUFFIX)):
            hint = "Have it kept first, with `POST /v1/models` or `scumble models add FILE`, then use its name."
            raise ScumbleError("bad-recipe", f"styles[{index}].model: {name!r:.80} is a file, not a name.", hint)


def completed(recipe: Recipe, known: Callable[[str], Known | None]) -> tuple[Recipe, tuple[int, ...]]:
    """The recipe with a model for every style, if it paints with models; and the styles for which one was found.

    `known` says by what a picture is known. Errors: bad-recipe, bad-model, and missing-model, which names the style.
    """
    refuse_paths(recipe)
    if recipe.engine is Engine.OPTIMISE:
        return recipe, ()
    kept = models.by_picture()
    styles, found = [], []
    for index, style in enumerate(recipe.styles):
        data = style.model_dump(mode="json", exclude_defaults=True)
        digest, crop = known(style.picture) or (None, None)
        if style.model is None:
            data["model"] = None if digest is None else kept.get((digest, as_part(crop)))
            if data["model"] is None:
                hint = "Train it with `POST /v1/train` or `scumble train`, or use `engine: optimise`."
                detail = f"styles[{index}]: no trained style is kept for {style.picture!r:.80}."
                raise ScumbleError("missing-model", detail, hint)
            found.append(index)
        else:
            if digest is not None:
                data["model"] = models.with_style(style.model, digest, as_part(crop))
            name, _, which = data["model"].partition("#")
            models.style_index(models.describe(models.find(name)), which or None)
        styles.append(data)
    return recipe.changed(styles=styles), tuple(found)


def as_part(crop: Rectangle | None) -> models.Part | None:
    """A crop as models know it."""
    return None if crop is None else models.Part(**crop.model_dump())


# --------------------------------------------------------------------------------------------------- told to clients


def listed() -> list[Model]:
    """All that are kept."""
    return [view(entry) for entry in models.entries()]


def view(entry: models.Entry) -> Model:
    """A kept model as it is told."""
    about = entry.about
    return Model(
        name=entry.name,
        styles=[
            ModelStyle(
                name=each.name,
                digest=each.digest,
                part=Rectangle(**each.part.model_dump()) if each.part else None,
            )
            for each in about.styles
        ],
        size=about.size,
        steps=about.steps,
        minutes=about.minutes,
        features=about.features,
        bytes=entry.bytes,
    )


def entry(name: str) -> models.Entry:
    """The kept model of that name. Errors: not-found, bad-model for a file that was damaged."""
    if models.NAME.fullmatch(name) and not name.endswith(models.SUFFIX):
        path = models.kept(name)
        if path.is_file():
            return models.Entry.of(path)
    raise ScumbleError("not-found", f"There is no model {name[:80]!r}.", "`GET /v1/models` lists them.")


def thumbnail(name: str, number: int) -> bytes:
    """The picture of the style of that number, from 1, as JPEG. Errors: not-found, bad-model."""
    found = entry(name)
    if number > len(found.about.styles):
        hint = f"It has {len(found.about.styles)}."
        raise ScumbleError("not-found", f"The model {name[:80]!r} has no style {number}.", hint)
    return encode(Picture(models.look(found.file)[1][number - 1]), "jpeg")


def forget(name: str) -> None:
    """Remove a kept model. Errors: not-found, cannot-write."""
    path = models.kept(name) if models.NAME.fullmatch(name) and not name.endswith(models.SUFFIX) else None
    try:
        if path is not None:
            path.unlink()
            return
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ScumbleError("cannot-write", f"{path} cannot be removed: {error.strerror or error}.") from error
    raise ScumbleError("not-found", f"There is no model {name[:80]!r}.", "`GET /v1/models` lists them.")
