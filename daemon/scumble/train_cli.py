"""The commands `scumble train`, which makes trained styles, and `scumble models`, which keeps them."""

import hashlib
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scumble.errors import ScumbleError
from scumble.options import put

if TYPE_CHECKING:
    from scumble.style_training.contents import Source
    from scumble.style_training.course import Course, Note
    from scumble.style_training.trainer import Studied, Trainer

_SHOWN_S, _SAVED_S = 20.0, 30.0
"""How often the preview is drawn, and how often all is saved."""


@click.command()
@click.option(
    "--style", multiple=True, required=True, metavar="FILE", help="A picture to learn; up to 16 in one model."
)
@click.option(
    "--images",
    metavar="DIR",
    help="Photographs to learn on, by turns with pictures that Scumble draws itself as it goes.",
)
@click.option("-o", "--output", metavar="OUT", help="The .scumble file; else it is kept under the style's name.")
@click.option(
    "--steps", type=click.IntRange(1, 1_000_000), metavar="N", help="How long.  [1500, and 250 for each further style]"
)
@click.option("--size", type=click.IntRange(64, 4096), default=512, metavar="PX", help="Working size it is for.  [512]")
@click.option("--square", type=click.IntRange(32, 1024), default=272, metavar="PX", help="What it looks at.  [272]")
@click.option("--batch", type=click.IntRange(1, 64), default=2, metavar="N", help="Squares in a step.  [2]")
@click.option("--stroke-scale", default=1.0, type=click.FloatRange(0.1, 8), metavar="0.1..8", help="[1]")
@click.option("--features", default="auto", metavar="NAME|FILE", help="By which losses are taken.  [auto]")
@click.option("--width", type=click.IntRange(4, 128), default=16, metavar="N", help="Channels at full size.  [16]")
@click.option("--blocks", type=click.IntRange(0, 16), default=5, metavar="N", help="Residual blocks.  [5]")
@click.option(
    "--upsampling", type=click.Choice(["bilinear", "nearest", "transposed"]), default="bilinear", help="[bilinear]"
)
@click.option("--set", "set_", multiple=True, metavar="KEY=VALUE", help="Any field of the recipe: style_layers=all")
@click.option("--seed", type=click.IntRange(0), default=0, metavar="N", help="Of all that is random.  [0]")
@click.option("--again", is_flag=True, help="Begin anew, also where an earlier training could be gone on with.")
@click.option("--device", default="auto", metavar="auto|cpu|cuda", help="Where to compute.  [auto]")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Processor threads to use; else all.")
def train(style: tuple[str, ...], images: str | None, output: str | None, **asked: Any) -> None:
    """Train a network to paint in the manner of a picture, in one pass.

    \b
        scumble train --style starry.jpg
        scumble paint photo.jpg --style starry.jpg --engine fast

    With several --style one network learns all of them, and they can be mixed by weight. Beside the result a preview
    shows how it comes along, and a report at the end how it went. Ctrl-C stops and keeps what is learnt so far; the
    same command goes on from there.
    """
    import torch

    from scumble.console import say
    from scumble.engine.machine import held_pages, network_pass
    from scumble.engine.painter import Painter
    from scumble.style_training.trainer import Trainer

    if asked["threads"]:
        torch.set_num_threads(asked["threads"])
    studied = _studied(style)
    target = _target(output, studied)
    painter = Painter(asked["device"])
    course = _course(style, asked, gpu=painter.gpu)
    trainer = Trainer(course, studied, _source(images, asked["seed"]), painter)
    state = target.with_suffix(".training")
    if state.is_file() and not asked["again"]:
        trainer.load(state)
        say(f"Going on at step {trainer.step} of {course.steps}.")
    say(f"{painter.features_name(course.recipe)} features · {course.steps} steps of {course.batch} squares of"
        f" {course.square} px · {painter.device}")  # fmt: skip
    with held_pages(), network_pass():
        stopped = _watched(trainer, target, state)
    _conclude(trainer, target, state, stopped=stopped)


def _studied(files: Sequence[str]) -> "list[Studied]":
    from scumble.engine.models import TrainedStyle
    from scumble.picture import load
    from scumble.style_training.trainer import Studied

    found = []
    names: list[str] = []
    for file in files:
        picture = load(file)
        digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()
        stem = Path(file).stem
        names.append(stem if stem not in names else f"{stem} {len(names) + 1}")
        found.append(Studied(picture, TrainedStyle(name=names[-1], digest=digest)))
    return found


def _target(output: str | None, studied: "Sequence[Studied]") -> Path:
    from scumble.engine import models
    from scumble.home import private_folder

    if output is None:
        private_folder(models.folder())
        name = re.sub(r"[^A-Za-z0-9._ -]", "-", studied[0].style.name)
        return models.kept(name.lstrip("._ -")[:80] or "style")
    path = Path(output)
    if path.suffix.lower() != models.SUFFIX:
        raise ScumbleError("cannot-write", f"{path} does not end with {models.SUFFIX}.", "Choose another name.")
    if not path.parent.is_dir():
        raise ScumbleError("cannot-write", f"There is no folder {path.parent}.", "Make it first, or choose another.")
    return path


def _course(files: Sequence[str], asked: dict[str, Any], *, gpu: bool) -> "Course":
    from scumble.engine.shape import Upsampling
    from scumble.recipe import Recipe
    from scumble.style_training.course import Course, suited, usual_steps

    data: dict[str, Any] = {
        "styles": [{"picture": f"style {number}: {Path(file).name}"} for number, file in enumerate(files, 1)],
        "features": asked["features"],
        "stroke_scale": asked["stroke_scale"],
    }
    for text in asked["set_"]:
        name, equals, value = text.partition("=")
        if not equals:
            raise ScumbleError("bad-recipe", f"--set {text}: there is no “=” in it.", "Write --set tv_weight=0.1.")
        put(data, name.strip(), value)
    if asked["square"] % 4:
        raise ScumbleError("bad-recipe", f"--square {asked['square']}: it is no multiple of four.", "Choose 272.")
    return Course(
        recipe=suited(Recipe.parse(data), gpu=gpu),
        upsampling=Upsampling(asked["upsampling"]),
        steps=asked["steps"] or usual_steps(len(files)),
        **{name: asked[name] for name in ("size", "square", "batch", "width", "blocks", "seed")},
    )


def _source(images: str | None, seed: int) -> "Source":
    """What it learns on: drawn pictures, and photographs by turns with them where there are some."""
    from scumble.style_training.contents import Drawn, Photographs, Turns

    drawn = Drawn(seed)
    return drawn if images is None else Turns(Photographs.of(Path(images)), drawn)


def _watched(trainer: "Trainer", target: Path, state: Path) -> bool:
    """Train, with the preview drawn and all saved now and then; whether it was stopped."""
    from scumble.console import Moment, Watch
    from scumble.picture import save
    from scumble.style_training.report import preview

    due = {"shown": time.monotonic(), "saved": time.monotonic() + _SAVED_S}
    began, first = time.monotonic(), trainer.step

    def tell(note: "Note") -> bool:
        now = time.monotonic()
        if now >= due["shown"]:
            save(preview(trainer), _beside(target, "preview.jpg"))
            due["shown"] = time.monotonic() + _SHOWN_S
        if now >= due["saved"]:
            _saved(trainer, state)
            due["saved"] = time.monotonic() + _SAVED_S
        recent = trainer.history[-50:]
        losses = {kind: sum(each[kind] for each in recent) / len(recent) for kind in recent[-1]}
        parts = ", ".join(f"{kind} {losses[kind]:.3g}" for kind in ("content", "style") if kind in losses)
        facts = (f"step {note.step} of {note.steps}", f"loss {losses['total']:.3g} ({parts})")
        pace = (now - began) / (note.step - first)
        return watch.show(Moment("training", note.step / note.steps, facts, pace * (note.steps - note.step)))

    with Watch() as watch:
        watch.begin()
        trainer.run(tell)
        return watch.stopping


def _conclude(trainer: "Trainer", target: Path, state: Path, *, stopped: bool) -> None:
    from scumble.console import say
    from scumble.engine import models
    from scumble.picture import save
    from scumble.style_training.report import report

    if not trainer.history:
        raise ScumbleError("cancelled", "The training was stopped before its first step.", "Nothing was written.")
    models.write(trainer.model(), target)
    save(report(trainer), _beside(target, "report.png"))
    _beside(target, "preview.jpg").unlink(missing_ok=True)
    if trainer.is_done:
        state.unlink(missing_ok=True)
    else:
        _saved(trainer, state)
    if stopped and not trainer.is_done:
        say(f"Stopped at step {trainer.step} of {trainer.course.steps}; the same command goes on.")
    report_name = _beside(target, "report.png").name
    say(f"{target} written after {trainer.seconds / 60:.1f} minutes of training; {report_name} shows how it went.")


def _saved(trainer: "Trainer", state: Path) -> None:
    try:
        trainer.save(state)
    except OSError as error:
        raise ScumbleError("cannot-write", f"{state} cannot be written: {error.strerror or error}.") from error


def _beside(target: Path, what: str) -> Path:
    return target.with_name(f"{target.stem}-{what}")


# ------------------------------------------------------------------------------------------------------------- models


@click.group()
def models() -> None:
    """Trained styles: those that are kept here paint at once, wherever their picture is the style."""


@models.command("list")
def list_models() -> None:
    """What is kept, and for which styles."""
    from scumble.engine.models import entries

    for entry in entries():
        about = entry.about
        names = ", ".join(style.name for style in about.styles)
        size = entry.file.stat().st_size / 1e6
        click.echo(f"{entry.name:20}  {size:5.1f} MB  {about.steps:6} steps  {about.features}  ({names})")


@models.command("add")
@click.argument("file")
@click.option("--name", metavar="NAME", help="What to call it; else as the file is called.")
def add_model(file: str, name: str | None) -> None:
    """Keep the trained style in FILE."""
    from scumble.engine.models import keep, read

    path = Path(file)
    read(path)
    click.echo(keep(path.read_bytes(), name or path.stem).file)


@models.command("remove")
@click.argument("name")
def remove_model(name: str) -> None:
    """Forget the trained style NAME."""
    from scumble.engine.models import forget

    forget(name)


@models.command("path")
def models_path() -> None:
    """The folder where trained styles are kept."""
    from scumble.engine.models import folder

    click.echo(folder())


def register(group: click.Group) -> None:
    """Add the commands."""
    group.add_command(train)
    group.add_command(models)
