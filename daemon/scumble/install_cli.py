"""The commands that put the plug-ins into programs and take them out: `scumble install` and `uninstall`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from scumble.errors import ScumbleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from scumble.bundle import Bundle
    from scumble.installing import Place
    from scumble.report import Line

_PROGRAM = click.argument("program", type=click.Choice(["krita"]), metavar="krita")
_FOLDER = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The program's data folder, for Krita the one with pykrita; else every one that is found.",
)
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")

_NEXT = "Restart Krita if it is running; the panel is under Settings ▸ Dockers ▸ Scumble."
_BY_HAND = "Turn it on under Settings ▸ Configure Krita ▸ Python Plugin Manager."
_UNCHANGED = "Nothing was changed: this was only said."
_BOXES = {
    "flatpak": (
        "A flatpak cannot start it: run `scumble start` before you paint.",
        "If the panel does not find it: flatpak override --user --filesystem=~/.scumble:ro org.kde.krita",
    ),
    "snap": (
        "A snap can neither start it nor look into ~/.scumble.",
        "Take Krita's AppImage or flatpak; or start the snap with SCUMBLE_URL and SCUMBLE_TOKEN in its environment.",
    ),
}
"""What keeps a boxed program from the daemon, and what to do."""


def register(group: click.Group) -> None:
    """Add the commands to the command line."""
    for command in (install, uninstall):
        group.add_command(command)


@click.command()
@_PROGRAM
@_FOLDER
@click.option("--no-enable", is_flag=True, help="Leave it to you to turn the plug-in on in Krita.")
@click.option(
    "--zip",
    "zip_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Install nothing; write a zip for Krita's Tools ▸ Scripts ▸ Import Python Plugin from File.",
)
@_DRY_RUN
def install(program: str, folder: Path | None, no_enable: bool, zip_file: Path | None, dry_run: bool) -> None:
    """Put the plug-in into every Krita of yours, and turn it on there.

    An earlier version of it is replaced.
    """
    from scumble import installing, starter
    from scumble.bundle import bundle
    from scumble.home import home
    from scumble.hosts import Program
    from scumble.report import say

    ours = bundle(Program[program.upper()])
    if zip_file is not None:
        if folder is not None or dry_run or no_enable:
            raise click.UsageError("--zip installs nothing, so no other option goes with it.")
        _write_zip(ours, zip_file)
        return
    places = [installing.place_at(folder)] if folder else installing.places(ours.program)
    if all(place.is_too_old for place in places):
        raise _nowhere(places)
    if not dry_run:
        starter.write(home())
    _each(places, lambda place: _installed(place, ours, enable=not no_enable, dry_run=dry_run))
    say(f"\n{_UNCHANGED if dry_run else _NEXT}")


@click.command()
@_PROGRAM
@_FOLDER
@_DRY_RUN
def uninstall(program: str, folder: Path | None, dry_run: bool) -> None:
    """Take the plug-in out of every Krita of yours; its settings and your pictures stay."""
    from scumble import installing
    from scumble.bundle import bundle
    from scumble.hosts import Program

    ours = bundle(Program[program.upper()])
    places = [installing.place_at(folder)] if folder else installing.usual_places()
    if _each(places, lambda place: _uninstalled(place, ours, dry_run=dry_run)):
        click.echo(f"\n{_UNCHANGED if dry_run else 'Restart Krita if it is running.'}")
    else:
        click.echo(f"The plug-in is in no {ours.program.value} of yours.")


def _nowhere(places: "Sequence[Place]") -> ScumbleError:
    from scumble import installing
    from scumble.hosts import OLDEST, Program

    if places:
        least = ".".join(map(str, OLDEST[Program.KRITA]))
        return ScumbleError(
            "no-host", f"{_title(places[0])} is too old: the plug-in needs {least} or later.", "Update it."
        )
    usual = installing.usual_places()[0].folder
    hint = f"If it is an AppImage or portable, name the folder of its data: scumble install krita --folder {usual}"
    return ScumbleError("no-host", "Krita was not found on this machine.", hint)


def _each(places: "Sequence[Place]", work: "Callable[[Place], Iterator[Line]]") -> bool:
    """Do it in every place, and say what was done; whether there was anything to do. One that fails does not keep the
    others from it; then the first error is raised."""
    from scumble.report import Line, Mark, Section, show

    first: ScumbleError | None = None
    is_any = False
    for place in places:
        lines: list[Line] = []
        try:
            lines.extend(work(place))  # what was done before it failed is told, too
        except ScumbleError as error:
            first = first or error
            if len(places) > 1:
                lines.append(Line(Mark.BAD, "failed", error.detail, error.hint))
        if lines:
            is_any = True
            show(Section(_title(place), tuple(lines)))
    if first is not None:
        click.echo()
        raise first
    return is_any


def _installed(place: "Place", ours: "Bundle", *, enable: bool, dry_run: bool) -> "Iterator[Line]":
    from scumble import installing
    from scumble.installing import State
    from scumble.report import Line, Mark

    if place.is_too_old:
        yield Line(Mark.WARNING, "plug-in", "This version is too old for it.", "Update it, then run this again.")
        return
    own = place.folder / ours.own
    before = (installing.check if dry_run else installing.install)(place, ours)
    how = {
        State.ABSENT: f"version {ours.version} into {own}",
        State.OTHER: f"version {ours.version} into {own}, in place of {before.version}",
        State.DAMAGED: f"version {ours.version} into {own}, which was not whole",
        State.CURRENT: f"version {before.version} is in {own} already",
    }[before.state]
    yield Line(Mark.OK, "plug-in", how)
    if not enable or place.settings is None:
        yield Line(
            Mark.NOTE,
            "turned on",
            "That is left to you." if place.settings else "Its settings are not known.",
            _BY_HAND,
        )
    elif installing.is_on(place):
        yield Line(Mark.OK, "turned on", f"in {place.settings} already")
    else:
        if not dry_run:
            installing.turn_on(place)
        yield Line(Mark.OK, "turned on", f"in {place.settings}")
    if place.channel in _BOXES:
        yield Line(Mark.NOTE, "daemon", *_BOXES[place.channel])


def _uninstalled(place: "Place", ours: "Bundle", *, dry_run: bool) -> "Iterator[Line]":
    from scumble import installing
    from scumble.report import Line, Mark

    found = installing.check(place, ours)
    if not found.is_ours:
        return
    # first, so that a second try finds the rest if this fails
    if installing.is_on(place):
        if not dry_run:
            installing.forget(place)
        yield Line(Mark.OK, "turned off", f"in {place.settings}")
    if not dry_run:
        installing.uninstall(place, ours)
    yield Line(Mark.OK, "plug-in", f"version {found.version} out of {place.folder / ours.own}")


def _title(place: "Place") -> str:
    named = (f"{host.program.value} {host.version or '(version unknown)'}, {host.channel}" for host in place.hosts)
    return " and ".join(named) or str(place.folder)


def _write_zip(ours: "Bundle", path: Path) -> None:
    from scumble.bundle import packed
    from scumble.report import say

    try:
        path.write_bytes(packed(ours))
    except OSError as error:
        raise ScumbleError("cannot-write", f"{path} cannot be written: {error.strerror or error}.") from error
    say(f"{path} written. In Krita: Tools ▸ Scripts ▸ Import Python Plugin from File, then restart it.")
