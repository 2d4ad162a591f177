"""How a training went, as pictures: what the network makes of contents that it never saw, and the curves of its
losses."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from scumble.drawn import scene
from scumble.engine.schedule import Level
from scumble.picture import Picture
from scumble.plot import plot
from scumble.sheet import FAINT, GAP, INK, LINE, MARGIN, PAPER, Tile, as_picture, face, plain, shelf, shelf_width
from scumble.style_training.contents import Drawn
from scumble.style_training.trainer import Trainer, thumbnail

STRENGTHS = (30.0, 60.0, 90.0)
UNSEEN = 10_000_000
"""Seeds of what is shown begin here, far from those of what is learnt."""
_SIDES, _TALL, _STRIP = (320, 224), 224, 140


def unseen(size: tuple[int, int] = _SIDES, count: int = 2) -> list[Tensor]:
    """Contents that no training sees, (1, 3, height, width) in 0..1: scenes, and one without a horizon."""
    width, height = size
    found = [_tensor(scene(width, height, UNSEEN + number).rgb) for number in range(count)]
    bare = Drawn(UNSEEN).drawn(torch.Generator().manual_seed(UNSEEN))
    side = min(height, bare.shape[2]) // 4 * 4
    return [*found, bare[:, :, :side, :side]]


def preview(trainer: Trainer) -> Picture:
    """One strip: a content and what the network makes of it now, after each style."""
    content = unseen(count=1)[0]
    styles = len(trainer.course.recipe.styles)
    shown = [trainer.repaint(content, _only(index, styles), 60.0) for index in range(styles)]
    tiles = [_tile("content", content), *(_tile(name, each) for name, each in zip(_names(trainer), shown, strict=True))]
    paper = Image.new("RGB", (shelf_width(tiles, _TALL) + 2 * MARGIN, _TALL + LINE + 2 * MARGIN), PAPER)
    shelf(paper, tiles, (MARGIN, MARGIN), _TALL)
    return as_picture(paper)


def report(trainer: Trainer) -> Picture:
    """The whole sheet: the styles, unseen contents before and after at several strengths, and the losses."""
    rows = list(_rows(trainer))
    course = trainer.course
    steps = [Level(course.square, course.square, max(1, trainer.step))]
    curves = Image.fromarray(plot(smoothed(trainer.history), steps).pixels)
    styles = [
        Tile(name, Image.fromarray(thumbnail(each.picture)))
        for name, each in zip(_names(trainer), trainer.styles, strict=True)
    ]
    width = max(curves.width, shelf_width(styles, _STRIP), *(shelf_width(row, _TALL) for row in rows)) + 2 * MARGIN
    head, each = 2 * LINE + GAP, _TALL + LINE + GAP
    height = MARGIN + head + _STRIP + LINE + GAP + len(rows) * each + curves.height + MARGIN
    paper = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(paper)
    pen.text((MARGIN, MARGIN), plain(", ".join(_names(trainer))), font=face(16), fill=INK)
    pen.text((MARGIN, MARGIN + LINE + 2), _facts(trainer), font=face(13), fill=FAINT)
    y = MARGIN + head
    shelf(paper, styles, (MARGIN, y), _STRIP)
    y += _STRIP + LINE + GAP
    for row in rows:
        shelf(paper, row, (MARGIN, y), _TALL)
        y += each
    paper.paste(curves, (MARGIN, y))
    return as_picture(paper)


def smoothed(history: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """Means over a fiftieth of all steps up to each: every square has losses of its own."""
    span = max(1, len(history) // 50)
    found = []
    for end in range(1, len(history) + 1):
        recent = history[max(0, end - span) : end]
        found.append({kind: sum(each[kind] for each in recent) / len(recent) for kind in recent[-1]})
    return found


def _rows(trainer: Trainer) -> Iterator[list[Tile]]:
    names, contents = _names(trainer), unseen()
    for index, name in enumerate(names):
        for content in contents if len(names) == 1 else contents[:1]:
            tiles = [_tile("content", content)]
            for strength in STRENGTHS:
                shown = trainer.repaint(content, _only(index, len(names)), strength)
                tiles.append(_tile(f"{name}, strength {strength:.0f}", shown))
            yield tiles
    if len(names) > 1:
        half = [1 / len(names)] * len(names)
        yield [_tile("content", contents[1]), _tile("all styles, mixed", trainer.repaint(contents[1], half, 60.0))]


def _facts(trainer: Trainer) -> str:
    course = trainer.course
    last = trainer.model().about
    losses = ", ".join(f"{kind} {value:.3g}" for kind, value in last.losses.items())
    return (
        f"{trainer.step} of {course.steps} steps of {course.batch} squares of {course.square} px in"
        f" {trainer.seconds / 60:.1f} minutes; {last.features}; {losses}"
    )


def _names(trainer: Trainer) -> list[str]:
    return [each.style.name for each in trainer.styles]


def _only(index: int, count: int) -> list[float]:
    return [float(each == index) for each in range(count)]


def _tile(label: str, picture: Tensor) -> Tile:
    values = (picture[0].permute(1, 2, 0).clamp(0, 1) * 255).round().byte().numpy()
    return Tile(label, Image.fromarray(values))


def _tensor(rgb: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))[None].float()
