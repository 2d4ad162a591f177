"""Contact sheets: the same painting over a grid of values, and the labelled paper that pictures are laid out on.

An *axis* is a recipe field with the values to try. A *cell* is what stands at a row and a column: the painting, or the
refusal. A *tile* is a picture with its label underneath.
"""

import copy
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from scumble.codecs import quantised
from scumble.errors import ScumbleError
from scumble.options import Request, put
from scumble.picture import Picture
from scumble.recipe import Recipe

if TYPE_CHECKING:
    from scumble.engine.painter import Painter, Step

PAPER, INK, FAINT, ALARM = "#f6f4ef", "#1f1d1a", "#7d776d", "#a33a1c"
MARGIN, GAP, LINE = 24, 12, 20
_STRIP = 96  # px, the height of the pictures above the grid
_WIDEST_LABEL = 180


@dataclass(frozen=True)
class Axis:
    """A recipe field (dotted, as `--set` names it) and the values to try, as text."""

    field: str
    values: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Axis":
        """From `strength=20,40`, or with semicolons where values hold commas: `iterations=9,3;20,10`."""
        name, _, rest = text.partition("=")
        values = tuple(value.strip() for value in rest.split(";" if ";" in rest else ",") if value.strip())
        if not name.strip() or not values:
            raise ScumbleError("bad-recipe", f"{text!r} names no field with values.", "Write strength=20,40,60.")
        return cls(name.strip(), values)


@dataclass(frozen=True)
class Tile:
    """A picture and what is written underneath."""

    label: str
    image: Image.Image


Cell = Image.Image | ScumbleError


def cells(
    painter: "Painter",
    content: Picture,
    request: Request,
    axes: Sequence[Axis],
    on_cell: Callable[[str], None],
    on_step: "Callable[[Step], bool]",
) -> Iterator[Cell]:
    """Paint all values of one or two axes, row by row, on one warm painter; what is refused gives its sentence.

    `on_cell` is told each cell's label before it is painted. A cell shows only the part of the picture that is painted.
    """
    pictures: Mapping[str, Picture] = {}
    rows, columns = axes[0], axes[1] if len(axes) > 1 else Axis("", ("",))
    for row in rows.values:
        for column in columns.values:
            chosen = [(rows.field, row), (columns.field, column)][: len(axes)]
            on_cell(", ".join(f"{name} {value}" for name, value in chosen))
            data = copy.deepcopy(request.data)
            try:
                for name, value in chosen:
                    put(data, name, value)
                recipe = Recipe.parse(data)
                pictures = {**pictures, **request.pictures(recipe, pictures)}
                painting = painter.paint(content, recipe, pictures, on_step)
            except ScumbleError as error:
                if error.code == "cancelled":
                    raise
                yield error
            else:
                seen = Picture(painting.picture.pixels[painting.box.slices], painting.picture.icc)
                yield fitted(seen, *[recipe.size or max(seen.size)] * 2)


def grid(strip: Sequence[Tile], axes: Sequence[Axis], painted: Sequence[Cell]) -> Image.Image:
    """The sheet: a strip of tiles above, below it the cells with their values beside and above.

    Of a sheet that was stopped, `painted` holds fewer cells than the grid.
    """
    rows, columns = axes[0], axes[1] if len(axes) > 1 else None
    across = len(columns.values) if columns else 1
    shown = [cell.size for cell in painted if not isinstance(cell, ScumbleError)] or [(256, 256)]
    width, height = max(max(w for w, _ in shown), 96), max(max(h for _, h in shown), 72)
    names = [rows.field, *rows.values]
    left = MARGIN + min(_WIDEST_LABEL, max(round(face(14).getlength(plain(name))) for name in names)) + GAP
    head = LINE + 8 if columns else 0
    top = MARGIN + _STRIP + LINE + 2 * GAP + head
    full = max(left + across * (width + GAP) - GAP, shelf_width(strip, _STRIP) + MARGIN) + MARGIN
    paper = Image.new("RGB", (full, top + len(rows.values) * (height + GAP) - GAP + MARGIN), PAPER)
    pen = ImageDraw.Draw(paper)
    shelf(paper, strip, (MARGIN, MARGIN), _STRIP)
    for index, value in enumerate(columns.values if columns else ()):
        assert columns is not None
        x = left + index * (width + GAP)
        field = clipped(f"{columns.field} ", width, 14)
        pen.text((x, top - head), field, font=face(14), fill=FAINT)
        used = round(face(14).getlength(field))
        pen.text((x + used, top - head), clipped(value, width - used, 14), font=face(14), fill=INK)
    for index, value in enumerate(rows.values):
        y = top + index * (height + GAP)
        pen.text((MARGIN, y), clipped(rows.field, left - MARGIN - GAP, 14), font=face(14), fill=FAINT)
        pen.text((MARGIN, y + LINE), clipped(value, left - MARGIN - GAP, 14), font=face(14), fill=INK)
    for index, cell in enumerate(painted):
        x, y = left + index % across * (width + GAP), top + index // across * (height + GAP)
        if isinstance(cell, ScumbleError):
            pen.rectangle([x, y, x + width - 1, y + height - 1], outline=ALARM)
            text = wrapped(cell.detail, width - 20, 13, max(1, (height - 16) // 17))
            pen.multiline_text((x + 10, y + 8), text, font=face(13), fill=ALARM, spacing=4)
        else:
            paper.paste(cell, (x, y))
    return paper


def as_picture(paper: Image.Image) -> Picture:
    """A sheet as a picture, to be saved."""
    return Picture(np.asarray(paper))


def shelf(paper: Image.Image, tiles: Sequence[Tile], at: tuple[int, int], height: int, colour: str = INK) -> None:
    """Lay tiles side by side, all of one height, their labels underneath."""
    pen = ImageDraw.Draw(paper)
    x, y = at
    for tile in tiles:
        image = scaled(tile.image, round(tile.image.width * height / tile.image.height), height)
        paper.paste(image, (x, y))
        pen.text((x, y + height + 4), clipped(tile.label, image.width + GAP - 4, 13), font=face(13), fill=colour)
        x += image.width + GAP


def shelf_width(tiles: Sequence[Tile], height: int) -> int:
    """How much room `shelf` takes."""
    return sum(round(tile.image.width * height / tile.image.height) + GAP for tile in tiles) - GAP


def scaled(image: Image.Image, width: int, height: int) -> Image.Image:
    """An image at a new size."""
    return image.resize((max(1, width), max(1, height)), Image.Resampling.LANCZOS)


def fitted(picture: Picture, width: int, height: int) -> Image.Image:
    """A picture as an 8-bit image on the paper, scaled down (never up) to fit."""
    paper = np.array([int(PAPER[i : i + 2], 16) / 255 for i in (1, 3, 5)], np.float32)
    rgb = paper + picture.alpha()[..., None] * (picture.rgb() - paper)
    image = Image.fromarray(quantised(rgb, "uint8"))
    factor = min(1.0, width / image.width, height / image.height)
    return image if factor == 1 else scaled(image, round(image.width * factor), round(image.height * factor))


# ------------------------------------------------------------------------------------------------------------- text


@lru_cache(maxsize=32)
def face(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The face of all labels, `size` px high: the one that Pillow brings along, so that it is there everywhere."""
    return ImageFont.load_default(size=size)


def plain(text: str) -> str:
    """A text in the characters that `face` has: accents are taken off, what is left over becomes a question mark."""
    text = text.translate({ord("×"): "x", ord("–"): "-", ord("“"): '"', ord("”"): '"', ord("ß"): "ss", ord("’"): "'"})
    bare = "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))
    return bare.encode("ascii", "replace").decode()


def clipped(text: str, width: float, size: int) -> str:
    """A text cut to a width in px."""
    text = plain(text)
    if face(size).getlength(text) <= width:
        return text
    while text and face(size).getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..." if text else ""


def wrapped(text: str, width: float, size: int, most: int) -> str:
    """A text broken into at most so many lines of a width in px."""
    lines: list[str] = []
    for word in plain(text).split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and face(size).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(clipped(word, width, size))
    if len(lines) > most:
        lines = [*lines[: most - 1], clipped(f"{lines[most - 1]} ...", width, size)]
    return "\n".join(lines)
