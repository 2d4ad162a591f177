"""The command line `scumble`.

What a command makes goes to files or stdout, what it has to say to stderr. A refusal is a sentence and a hint, never a
traceback (unless `--debug` is given), with the exit status of its `ScumbleError`. Nothing heavy is imported before a
command runs: `scumble --help` answers at once.
"""

import contextlib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from scumble import __version__, batch_cli, daemon_cli, install_cli, train_cli, training_cli
from scumble.errors import CATALOGUE, ScumbleError
from scumble.options import ORDER, Ordered, Request, painter_of, pretty, shared, write_json

if TYPE_CHECKING:
    from scumble.engine.painter import Step


class _Scumble(click.Group):
    """A group of commands whose errors, click's own too, are all told in the same form."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        words = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in words
        try:
            words = [word for word in words if word != "--debug"]
            status: Any = super().main(words, prog_name or "scumble", complete_var, standalone_mode=False, **extra)
        except ScumbleError as error:
            _refuse(error.detail, error.hint, error.exit_status, debug)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "scumble"
            _refuse(error.format_message(), f"`{command} --help` lists what can be given.", error.exit_code, debug)
        except click.ClickException as error:
            _refuse(error.format_message(), "", error.exit_code, debug)
        except (click.Abort, KeyboardInterrupt):
            _refuse("Interrupted.", "Nothing was written.", CATALOGUE["cancelled"].exit_status, debug)
        except Exception as error:
            entry = CATALOGUE["internal"]
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            hint = "Run it again with --debug to see where, and please report it."
            _refuse(f"{entry.title} (internal: {reason:.300}).", hint, entry.exit_status, debug)
        sys.exit(status if isinstance(status, int) else 0)


def _refuse(sentence: str, hint: str, status: int, debug: bool) -> NoReturn:
    if debug:
        import traceback

        traceback.print_exc()
    click.echo(f"{click.style('Error:', fg='red', bold=True)} {sentence}", err=True)
    if hint:
        click.echo(f"{click.style('Hint:', bold=True)}  {hint}", err=True)
    sys.exit(status)


@click.group(
    "scumble", cls=_Scumble, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, message="scumble %(version)s")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error; with any command.")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Repaint a photo, or a part of it, in the manner of one or several pictures."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """Run the command line."""
    try:
        cli.main()
    except SystemExit as ended:
        if "torch" in sys.modules and isinstance(ended.code, int):
            _leave(ended.code)
        raise


def _leave(status: int) -> NoReturn:
    """End the process at once: all that a command makes is written, and to take torch down takes half a second."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads on, or it was closed
            stream.flush()
    os._exit(status)


# -------------------------------------------------------------------------------------------------------- painting


@cli.command(cls=Ordered)
@click.argument("photo", required=False)
@shared
@click.option("--save-recipe", metavar="FILE", help="Write the recipe, as JSON.")
@click.option("--frames", metavar="DIR", help="Write how it comes about: frame_0010.png, frame_0020.png, …")
@click.option("--every", type=click.IntRange(min=1), default=10, metavar="N", help="Iterations between frames.  [10]")
@click.option("--plot", metavar="FILE", help="Write the loss curves, as a picture.")
@click.option("--daemon", is_flag=True, help="Let the daemon paint; one is started if there is none.")
@click.option("--url", metavar="URL", help="Let the daemon there paint; SCUMBLE_TOKEN holds its token.")
@click.option("-o", "--output", metavar="OUT", help="The result; else PHOTO-scumble.png beside the photo.")
@click.pass_context
def paint(ctx: click.Context, /, photo: str | None, **asked: Any) -> None:
    """Paint PHOTO in the manner of one or several styles.

    --region, --weight, --style-scale, --part and --style-colors belong to the --style before them:

    \b
        scumble paint lake.jpg --style night.jpg --region sky.png \\
                               --style dabs.jpg --region water.png

    Ctrl-C stops and keeps what is there; a second one discards it. PHOTO may be left out with --recipe RESULT.png.
    """
    from scumble import console
    from scumble.picture import load, save
    from scumble.recipe import Recipe
    from scumble.signature import FEATURES, signed

    if asked["daemon"] or asked["url"]:
        _own_devices(asked)
    request = Request.read(ctx.meta[ORDER], asked)
    recipe = Recipe.parse(request.data) if asked["daemon"] or asked["url"] else request.recipe()
    path = _photo(photo, request)
    output = Path(asked["output"] or path.with_name(f"{path.stem}-scumble.png"))
    inputs = [path, *map(request.find, recipe.names)]
    _writable(output, inputs)
    for file in filter(None, (asked["save_recipe"], asked["plot"])):
        _writable(Path(file), inputs, is_picture=file == asked["plot"])
    if asked["daemon"] or asked["url"]:
        from scumble.remote import paint_files

        painted, job = paint_files(asked["url"], path, recipe, request.find, request.text.get(FEATURES))
        save(painted, output)
        if asked["save_recipe"]:
            write_json(Path(asked["save_recipe"]), recipe.as_dict())
        console.conclude_job(job, output)
        return
    content, pictures = load(path), request.pictures(recipe)
    painter = painter_of(asked)
    plan = console.announce(painter, content, recipe, pictures)
    if request.text.get(FEATURES, features := painter.features_name(recipe)) != features:
        console.say_other_features(request.text[FEATURES])
    film = console.Film(asked["frames"], asked["every"], plan) if asked["frames"] and plan else None

    def on_step(step: "Step") -> bool:
        if film:
            film.take(step)
        return watch.on_step(step)

    with console.Watch() as watch:
        watch.begin()
        painting = painter.paint(content, recipe, pictures, on_step)
    save(signed(painting.picture, recipe, painting.features, str(path)), output)
    if asked["save_recipe"]:
        write_json(Path(asked["save_recipe"]), recipe.as_dict())
    if asked["plot"] and painting.plan:
        from scumble.plot import plot

        save(plot(painting.losses, painting.plan.levels), asked["plot"])
    console.conclude(painting, output)


@cli.command(cls=Ordered)
@click.argument("photo", required=False)
@shared
@click.option("--rows", required=True, metavar="KEY=V,V,…", help="A field of the recipe and the values to try.")
@click.option("--columns", metavar="KEY=V,V,…", help="A second field. Values that hold commas: KEY=V;V;…")
@click.option("-o", "--output", metavar="OUT", help="The sheet; else PHOTO-sheet.png beside the photo.")
@click.pass_context
def sheet(ctx: click.Context, /, photo: str | None, rows: str, columns: str | None, **asked: Any) -> None:
    """Paint PHOTO over a grid of values, small, onto one contact sheet.

    \b
        scumble sheet lake.jpg --style night.jpg --rows strength=20,40,60,80 --columns stroke_scale=0.5,1,2

    A cell that cannot be painted says why. Each is 256 px wide or high unless --size is given.
    """
    from scumble import console
    from scumble.picture import load, save
    from scumble.recipe import Recipe
    from scumble.sheet import Axis, Tile, as_picture, cells, fitted, grid

    axes = [Axis.parse(text) for text in (rows, columns) if text]
    request = Request.read(ctx.meta[ORDER], asked)
    if not any(text.partition("=")[0].strip() == "size" for text in asked["set_"]):
        request.data["size"] = asked["size"] or 256
    recipe = Recipe.parse(request.data)
    path = _photo(photo, request)
    content = load(path)
    output = Path(asked["output"] or path.with_name(f"{path.stem}-sheet.png"))
    _writable(output, [path, *map(request.find, recipe.names)])
    pictures = request.pictures(recipe)
    painter = painter_of(asked)
    console.announce(painter, content, recipe, pictures)
    began = console.now()
    painted = []
    with console.Watch(len(axes[0].values) * (len(axes[1].values) if columns else 1)) as watch:
        for cell in cells(painter, content, request, axes, watch.begin, watch.on_step):
            painted.append(cell)
            if watch.stopping:
                break
    refused = [cell for cell in painted if isinstance(cell, ScumbleError)]
    if len(refused) == len(painted):
        raise refused[0]
    strip = [Tile("photo", fitted(content, 512, 512))]
    strip += [Tile(Path(style.picture).name, fitted(pictures[style.picture], 512, 512)) for style in recipe.styles]
    save(as_picture(grid(strip, axes, painted)), output)
    refusals = f", {len(refused)} of them refused" if refused else ""
    stopped = "Stopped: " if watch.stopping else ""
    console.say(f"{stopped}{output} written: {len(painted)} cells{refusals}, in {console.now() - began:.1f} s.")


@cli.command()
@click.option("-o", "--output", default="scumble-demo", metavar="DIR", help="Where to put it.  [scumble-demo]")
@click.option("--size", type=click.IntRange(48, 2048), default=640, metavar="PX", help="Width of the scene.  [640]")
@click.option("--quality", default="draft", metavar="draft|normal|fine", help="How much work to do.  [draft]")
@click.option("--set", "set_", multiple=True, metavar="KEY=VALUE", help="Any other field of the recipe.")
def demo(output: str, size: int, quality: str, set_: tuple[str, ...]) -> None:
    """Draw a scene and six paintings, and let the daemon repaint two parts of the scene after two of them.

    The daemon is started if there is none, and stopped again at the end if it was.
    """
    from scumble.demo import run

    run(Path(output), size, quality, set_)


# -------------------------------------------------------------------------------------------------------- knowing


@cli.command()
@click.option("--preset", metavar="NAME", help="Print this preset.")
@click.option("--list", "listing", is_flag=True, help="List the presets.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of recipes.")
def recipe(preset: str | None, listing: bool, schema: bool) -> None:
    """Print a recipe as JSON: a preset, or every field with its default."""
    from scumble.recipe import PRESET_NOTES, PRESETS, Recipe

    if listing:
        for name in PRESETS:
            click.echo(f"{name:20}  {PRESET_NOTES[name]}")
    elif schema:
        click.echo(pretty(Recipe.model_json_schema()), nl=False)
    else:
        data = Recipe.from_preset(preset).as_dict() if preset else Recipe().model_dump(mode="json")
        click.echo(pretty(data), nl=False)


@cli.group()
def weights() -> None:
    """The weights of networks: what comes with Scumble, and ImageNet's, trained on photographs."""


@weights.command("list")
def weights_list() -> None:
    """What is on this machine, and what can be downloaded."""
    from scumble.engine.weight_store import available

    for entry in available():
        state = f"{entry.size / 1e6:.0f} MB" if entry.size is not None else "not here"
        click.echo(f"{entry.name:12}  {state:8}  {entry.kind:11}  {entry.url or ''}".rstrip())


@weights.command("download")
@click.argument("name", default="vgg19")
def weights_download(name: str) -> None:
    """Bring the weights NAME (vgg19 if not given) from the web; goes on where an earlier download stopped."""
    from scumble.console import bytes_coming, say
    from scumble.engine.weight_store import download

    try:
        with bytes_coming(name) as on_progress:
            path = download(name, on_progress)
    except KeyboardInterrupt:
        raise ScumbleError("cancelled", "The download was stopped.", "The next one goes on from there.") from None
    say(f"{name} is in {path}.")


@weights.command("check")
@click.argument("name", required=False)
def weights_check(name: str | None) -> None:
    """Compare the weights NAME, or all that are here, with the SHA-256 they came with."""
    from scumble.engine import weight_store as store

    checks = [store.check(each) for each in ([name] if name else [e.name for e in store.available() if e.present])]
    for check in checks:
        click.echo(f"{check.name:12}  {check.state}")
    for check in checks:
        if check.state in {"missing", "damaged"}:
            raise ScumbleError("missing-weights" if check.state == "missing" else "bad-weights", check.detail)


@weights.command("use")
@click.argument("file")
def weights_use(file: str) -> None:
    """Take over weights from FILE (.safetensors, .pth)."""
    from scumble.engine.weight_store import use_file

    entry = use_file(Path(file))
    click.echo(f"{entry.name}  {entry.file}")


@weights.command("path")
def weights_path() -> None:
    """The folder where weights are kept."""
    from scumble.home import home

    click.echo(home() / "weights")


@cli.command()
@click.option("--size", type=click.IntRange(min=16), multiple=True, default=(256, 512), metavar="N", help="[256, 512]")
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    multiple=True,
    default=("auto",),
    help="[auto]",
)
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="FILE", help="Write the figures as JSON.")
def bench(size: tuple[int, ...], precision: tuple[str, ...], json_path: Path | None) -> None:
    """Measure how fast this machine paints: a step of each network, and everyday paintings from beginning to end.

    A step is set against the peak of this machine, the rate of a lone convolution, and against a plain loop over
    torchvision's VGG19.
    """
    from scumble.bench import run

    run(list(size), list(precision), json_path)


@cli.command()
@click.option("--copy", "to_copy", is_flag=True, help="Without names, folders and tokens; onto the clipboard too.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def doctor(ctx: click.Context, to_copy: bool, as_json: bool) -> None:
    """Look at everything that may be wrong here, and say what to do about it.

    The status is 0 where nothing is bad, else 1. What --copy puts on the clipboard can be shown to others.
    """
    from scumble.doctor import run
    from scumble.home import home

    ctx.exit(run(home(), to_copy=to_copy, as_json=as_json))


cli.add_command(batch_cli.batch)
daemon_cli.register(cli)
install_cli.register(cli)
cli.add_command(training_cli.train_features)
train_cli.register(cli)


# ---------------------------------------------------------------------------------------------------------- helpers


def _photo(given: str | None, request: Request) -> Path:
    from scumble.signature import CONTENT

    stored = request.text.get(CONTENT)
    if given is None and stored is None:
        raise ScumbleError(
            "missing-file", "No photo is given.", "Write its path, as in: scumble paint PHOTO --style A.jpg"
        )
    return Path(given) if given is not None else request.find(str(stored))


def _own_devices(asked: dict[str, Any]) -> None:
    """Refuse what the daemon decides for itself, and what it does not tell."""
    for option in ("device", "threads"):
        if asked[option] not in {None, "auto"}:
            hint = "Leave it out; `scumble serve --device` says where the daemon computes."
            raise ScumbleError("no-device", f"--{option} has no meaning with a daemon, which has its own.", hint)
    for option in ("frames", "plot"):
        if asked[option]:
            detail = f"--{option} needs every iteration, and a daemon does not tell of each."
            raise ScumbleError("cannot-write", detail, "Leave it out, or paint without --daemon and --url.")


def _writable(path: Path, inputs: Iterable[Path], *, is_picture: bool = True) -> None:
    """Refuse an output now that could not be written after minutes of painting, or would destroy what was given."""
    from scumble.picture import FORMATS

    if is_picture and path.suffix.lower() not in FORMATS:
        raise ScumbleError(
            "cannot-write", f"{path} has none of the suffixes {', '.join(FORMATS)}.", "Choose another name."
        )
    if not path.parent.is_dir():
        raise ScumbleError("cannot-write", f"There is no folder {path.parent}.", "Make it first, or choose another.")
    if path.is_dir():
        raise ScumbleError("cannot-write", f"{path} is a folder.", "Give the name of a file.")
    if path.exists() and any(each.exists() and path.samefile(each) for each in inputs):
        raise ScumbleError(
            "cannot-write", f"{path} is one of the pictures to paint from.", "Choose another name with -o."
        )
