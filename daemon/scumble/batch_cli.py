"""The command `scumble batch`: a folder of pictures, or the frames of a video, painted by one recipe."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scumble.errors import ScumbleError
from scumble.options import ORDER, Ordered, Request, painter_of, shared

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scumble.batch import Source


@click.command(cls=Ordered)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The folder for the results."
)
@click.option("--format", metavar="png|jpeg|webp|tiff", help="Of the results; else each picture's own.")
@click.option("--recursive", is_flag=True, help="Also the folders in the folder, and so on.")
@click.option("--video", is_flag=True, help="The pictures are frames of a video: each goes on from the one before.")
@click.option("--again", is_flag=True, help="Paint also what is there already.")
@shared
@click.pass_context
def batch(
    ctx: click.Context,
    /,
    folder: Path,
    output: Path,
    format: str | None,
    recursive: bool,
    video: bool,
    again: bool,
    **asked: Any,
) -> None:
    """Paint every picture of the folder DIR, one after another, in the manner of one or several styles.

    \b
        scumble batch photos -o painted --style night.jpg
        scumble batch frames -o painted --style night.jpg --video

    Results have the names of the pictures. One that is there, by the same recipe and from the same picture, is not
    painted again: after Ctrl-C the same command goes on. A picture that cannot be painted is named, and the others go
    on; then the status is 1.
    """
    from scumble import console
    from scumble.batch import SUFFIXES, Batch, Tally, digest_of, sources
    from scumble.engine.fast import files
    from scumble.journal import Journal
    from scumble.signature import FEATURES

    if format is not None and format not in SUFFIXES:
        raise ScumbleError(
            "cannot-write", f"--format {format} is none of {', '.join(SUFFIXES)}.", "Choose one of them."
        )
    request = Request.read(ctx.meta[ORDER], asked)
    recipe = request.recipe()
    found = sources(folder, output, format, recursive=recursive)
    inputs = [*map(request.find, recipe.names), *files(recipe)]
    _refuse_inputs(found, inputs)
    pictures = request.pictures(recipe)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ScumbleError("cannot-write", f"{output} cannot be made: {error.strerror or error}.") from error
    began, tally, announced = console.now(), Tally(), False

    def announce(*job: Any) -> None:
        nonlocal announced
        if not announced:
            console.announce(painter, *job)
            if request.text.get(FEATURES, features := painter.features_name(recipe)) != features:
                console.say_other_features(request.text[FEATURES])
            announced = True

    with Journal(output) as journal:
        painter = painter_of(asked)
        try:
            with console.Watch(len(found), "what is finished is kept") as watch:
                painting = Batch(
                    painter, recipe, pictures, journal, watch.begin, announce, console.say, watch.on_step, again, video
                )
                painting.run(found, digest_of(recipe, inputs), tally)
        except ScumbleError as error:
            if error.code != "cancelled":
                raise
            tally.stopped = True
    for warning in tally.warnings:
        console.say(warning)
    console.say(f"{output}: {tally.sentence}, in {console.now() - began:.1f} s.")
    if tally.stopped:
        hint = "The same command goes on{}.".format(" without --again" if again else "")
        raise ScumbleError("cancelled", "Stopped; what is finished is kept.", hint)
    if tally.refused:
        errors = list(tally.refused.values())
        ctx.exit(errors[0].exit_status if len(errors) == len(found) else 1)


def _refuse_inputs(found: "Iterable[Source]", inputs: "list[Path]") -> None:
    for source in found:
        if source.result.exists() and any(each.exists() and source.result.samefile(each) for each in inputs):
            detail = f"{source.result} is one of the pictures to paint from."
            raise ScumbleError("cannot-write", detail, "Choose another folder with -o.")
