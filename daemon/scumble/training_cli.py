"""The command `scumble train-features`: makes Scumble's own features again, or others like them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from scumble.errors import ScumbleError

if TYPE_CHECKING:
    from scumble.training.course import Note
    from scumble.training.trainer import Trainer


@click.command("train-features")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("scumble-lite.safetensors"), metavar="OUT"
)
@click.option("--seed", type=click.IntRange(min=0), default=1, metavar="N", help="Other styles, other features.  [1]")
@click.option(
    "--share", type=click.FloatRange(0, 1, min_open=True), default=1.0, metavar="0..1", help="Of the steps.  [1]"
)
@click.option("--until", type=click.IntRange(min=1), metavar="STEP", help="Stop there, to go on another time.")
@click.option("--device", default="auto", metavar="D", help="auto, cpu, cuda:0, …  [auto]")
def train_features(output: Path, seed: int, share: float, until: int | None, device: str) -> None:
    """Train features on procedural paintings and write them to OUT [scumble-lite.safetensors].

    It takes about an hour on two cores. It may be interrupted: every hundred steps all is kept beside OUT, as
    .training, and the same command goes on from there. The log is written beside too, as .log.
    """
    from scumble.console import say
    from scumble.engine.machine import device_of
    from scumble.training import course as courses
    from scumble.training.trainer import Trainer

    course = courses.standard(seed).shortened(share)
    kept = output.with_suffix(".training")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        trainer = Trainer(course, device_of(device))
        if kept.is_file():
            trainer.load(kept)
            say(f"Going on at step {trainer.step} of {course.steps}.")
        _train(trainer, kept, output.with_suffix(".log"), until)
    except OSError as error:
        raise ScumbleError("cannot-write", f"{output} cannot be written: {error.strerror or error}.") from error
    if trainer.is_done:
        trainer.write(output)
        kept.unlink(missing_ok=True)
        say(f"{output}: after {trainer.seconds / 60:.0f} minutes. Use it with --features {output}.")
    else:
        say(f"Stopped at step {trainer.step} of {course.steps}; the same command goes on.")


def _train(trainer: "Trainer", kept: Path, log: Path, until: int | None) -> None:
    """Train, with a line now and then, saved every hundred steps and at the end."""
    from scumble.console import say
    from scumble.engine.machine import held_pages, network_pass

    with log.open("a", encoding="utf-8") as lines:

        def tell(note: "Note") -> None:
            say(note.line())
            print(note.line(), file=lines, flush=True)
            if note.step % 100 == 0:
                trainer.save(kept)

        with held_pages(), network_pass():
            trainer.run(tell, until=until)
    if not trainer.is_done:
        trainer.save(kept)
