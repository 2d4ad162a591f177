"""The commands that put the plug-ins into programs and take them out: `scumble install` and `uninstall`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scumble.errors import ScumbleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from scumble.bundle import Bundle
    from scumble.hosts import Program
    from scumble.installing import Place
    from scumble.report import Line

_PROGRAMS = click.argument("programs", nargs=-1, type=click.Choice(["krita", "gimp"]), metavar="[krita] [gimp]")
_FOLDER = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The program's own: Krita's data folder, with pykrita in it, or GIMP's of settings, with plug-ins; else all "
    "that are found.",
)
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")

_UNCHANGED = "Nothing was changed: this was only said."


@dataclass(frozen=True)
class _Words:
    """What differs between the programs."""

    restart: str
    unpack: str
    """What to do with a zip."""
    absent: str
    """What to do where the program was not found."""
    boxes: "Mapping[str, tuple[str, str]]"
    """By its channel, what keeps a program in a box from the daemon, and what to do."""


_KRITA = _Words(
    restart="Restart Krita if it is running; the panel is under Settings ▸ Dockers ▸ Scumble.",
    unpack="In Krita: Tools ▸ Scripts ▸ Import Python Plugin from File, then restart it.",
    absent="If Krita is an AppImage or portable, name the folder of its data:",
    boxes={
        "flatpak": (
            "A flatpak cannot start it: run `scumble start` before you paint.",
            "If the panel does not find it: flatpak override --user --filesystem=~/.scumble:ro org.kde.krita",
        ),
        "snap": (
            "A snap can neither start it nor look into ~/.scumble.",
            "Take Krita's AppImage or flatpak; or start the snap with SCUMBLE_URL and SCUMBLE_TOKEN in its "
            "environment.",
        ),
    },
)
_GIMP = _Words(
    restart="Restart GIMP if it is running; it is under Filters ▸ Artistic ▸ Scumble….",
    unpack="GIMP cannot import it: unpack it into one of the folders under Edit ▸ Preferences ▸ Folders ▸ Plug-ins, so "
    "that there is scumble/scumble.py, which on Linux and macOS must be executable; then restart GIMP.",
    absent="If GIMP is somewhere else, name its folder, which stands under Edit ▸ Preferences ▸ Folders ▸ Plug-ins:",
    boxes={
        # its sandbox shares the network and lets it read ~/.scumble
        "flatpak": ("A flatpak cannot start it: run `scumble start` before you paint.", ""),
        "snap": (
            "A snap can neither start it nor look into ~/.scumble.",
            "Take GIMP's AppImage or flatpak; or start the snap with SCUMBLE_URL and SCUMBLE_TOKEN in its environment.",
        ),
    },
)
_WORDS = {"Krita": _KRITA, "GIMP": _GIMP}
_BY_HAND = "Turn it on under Settings ▸ Configure Krita ▸ Python Plugin Manager."


def register(group: click.Group) -> None:
    """Add the commands to the command line."""
    for command in (install, uninstall):
        group.add_command(command)


@click.command()
@_PROGRAMS
@_FOLDER
@click.option("--no-enable", is_flag=True, help="Leave it to you to turn the plug-in on in Krita.")
@click.option(
    "--zip",
    "zip_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Install nothing; write a zip, for Krita's Tools ▸ Scripts ▸ Import Python Plugin from File or to be "
    "unpacked among GIMP's plug-ins.",
)
@_DRY_RUN
def install(
    programs: tuple[str, ...], folder: Path | None, no_enable: bool, zip_file: Path | None, dry_run: bool
) -> None:
    """Put the plug-in into every Krita and GIMP of yours, or of those that you name; in Krita it is turned on, too.

    An earlier version of it is replaced.
    """
    from scumble import starter
    from scumble.bundle import bundle
    from scumble.home import home
    from scumble.report import say

    if no_enable and {*programs} == {"gimp"}:
        raise click.UsageError("GIMP has nothing to turn on: --no-enable is for Krita alone.")
    if zip_file is not None:
        if folder is not None or dry_run or no_enable:
            raise click.UsageError("--zip installs nothing, so no other option goes with it.")
        _write_zip(bundle(_only(programs, "--zip")), zip_file)
        return
    jobs, errors = _to_install(programs, folder)
    if not dry_run:
        starter.write(home())
    _each(jobs, lambda job: _installed(job, enable=not no_enable, dry_run=dry_run))
    click.echo()
    if errors:
        raise _joined(errors)
    fit = dict.fromkeys(job.program for job in jobs if not job.place.is_too_old)
    for line in [_UNCHANGED] if dry_run else [_WORDS[program].restart for program in fit]:
        say(line)


@click.command()
@_PROGRAMS
@_FOLDER
@_DRY_RUN
def uninstall(programs: tuple[str, ...], folder: Path | None, dry_run: bool) -> None:
    """Take the plug-in out of every Krita and GIMP of yours, or of those that you name; its settings and your pictures
    stay."""
    from scumble import installing

    chosen = _bundles(programs, folder)
    jobs = [
        _Job(place, ours)
        for ours in chosen
        for place in ([installing.place_at(ours.program, folder)] if folder else installing.usual_places(ours.program))
    ]
    done = _each(jobs, lambda job: _uninstalled(job, dry_run=dry_run))
    if not done:
        click.echo(f"The plug-in is in no {' and no '.join(ours.program.value for ours in chosen)} of yours.")
        return
    click.echo()
    for line in [_UNCHANGED] if dry_run else dict.fromkeys(f"Restart {job.program} if it is running." for job in done):
        click.echo(line)


# ------------------------------------------------------------------------------------------------------- what to do


@dataclass(frozen=True)
class _Job:
    """A place, and what belongs there."""

    place: "Place"
    ours: "Bundle"

    @property
    def program(self) -> str:
        return self.ours.program.value


def _only(programs: tuple[str, ...], option: str) -> "Program":
    """The one program that is named, which the option needs."""
    from scumble.hosts import Program

    if len({*programs}) != 1:
        raise click.UsageError(f"{option} needs one program: krita or gimp.")
    return Program[programs[0].upper()]


def _bundles(programs: tuple[str, ...], folder: Path | None) -> "list[Bundle]":
    """The bundles of the programs that are named, or of all."""
    from scumble.bundle import bundle
    from scumble.hosts import Program

    if folder is not None:
        return [bundle(_only(programs, "--folder"))]
    return [bundle(program) for program in Program if not programs or program.name.lower() in programs]


def _to_install(programs: tuple[str, ...], folder: Path | None) -> tuple[list[_Job], list[ScumbleError]]:
    """What is to be done, and what of that which is named cannot be; ScumbleError `no-host` where that is all."""
    from scumble import installing

    jobs: list[_Job] = []
    errors: list[ScumbleError] = []
    chosen = _bundles(programs, folder)
    for ours in chosen:
        places = [installing.place_at(ours.program, folder)] if folder else installing.places(ours.program)
        jobs += [_Job(place, ours) for place in places]
        if all(place.is_too_old for place in places):
            errors.append(_nowhere(ours.program, places))
    if len(errors) == len(chosen):
        raise _joined(errors)
    return jobs, errors if programs else []


def _nowhere(program: "Program", places: "Sequence[Place]") -> ScumbleError:
    """Why there is no place for the plug-in."""
    from scumble import hosts

    name, least = program.value, ".".join(map(str, hosts.OLDEST[program]))
    command = f"scumble install {name.lower()}"
    if places:
        text = f"{_title(places[0])} is too old: the plug-in needs {least} or later."
        return ScumbleError("no-host", text, f"Update {name}.")
    if hosts.find(programs=[program]):
        text = f"The folder of {name}'s plug-ins is not known before it has been started once."
        return ScumbleError("no-host", text, f"Start {name}, then run this again.")
    usual = hosts.own_folders(program, "installed", least)[0]
    hint = f"{_WORDS[name].absent} {command} --folder {usual}"
    return ScumbleError("no-host", f"{name} was not found on this machine.", hint)


def _joined(errors: "Sequence[ScumbleError]") -> ScumbleError:
    """Several errors of one kind as one, with a line for each hint."""
    hints = "\n       ".join(error.hint for error in errors)
    return ScumbleError(errors[0].code, " ".join(error.detail for error in errors), hints)


def _each(jobs: "Sequence[_Job]", work: "Callable[[_Job], Iterator[Line]]") -> list[_Job]:
    """Do it in every place, and say what was done; where there was anything to do. One that fails does not keep the
    others from it; then the first error is raised."""
    from scumble.report import Line, Mark, Section, show

    first: ScumbleError | None = None
    done: list[_Job] = []
    for job in jobs:
        lines: list[Line] = []
        try:
            lines.extend(work(job))  # what was done before it failed is told, too
        except ScumbleError as error:
            first = first or error
            if len(jobs) > 1:
                lines.append(Line(Mark.BAD, "failed", error.detail, error.hint))
        if lines:
            done.append(job)
            show(Section(_title(job.place), tuple(lines)))
    if first is not None:
        click.echo()
        raise first
    return done


def _installed(job: _Job, *, enable: bool, dry_run: bool) -> "Iterator[Line]":
    from scumble import installing
    from scumble.hosts import Program
    from scumble.installing import State
    from scumble.report import Line, Mark

    place, ours = job.place, job.ours
    if place.is_too_old:
        yield Line(Mark.WARNING, "plug-in", "This version is too old for it.", "Update it, then run this again.")
        return
    own = place.folder / ours.own
    before = (installing.check if dry_run else installing.install)(place, ours)
    how = {
        State.ABSENT: f"version {ours.version} into {own}",
        State.OTHER: f"version {ours.version} into {own}, in place of {before.version}",
        State.DAMAGED: f"version {ours.version} into {own}, where {before.damage}",
        State.CURRENT: f"version {before.version} is in {own} already",
    }[before.state]
    yield Line(Mark.OK, "plug-in", how)
    if ours.program is Program.KRITA:
        yield _turned_on(place, enable=enable, dry_run=dry_run)
    boxes = _WORDS[job.program].boxes
    for channel in place.channels:
        if channel in boxes:
            yield Line(Mark.NOTE, "daemon", *boxes[channel])


def _turned_on(place: "Place", *, enable: bool, dry_run: bool) -> "Line":
    from scumble import installing
    from scumble.report import Line, Mark

    if place.settings is None:
        return Line(Mark.NOTE, "turned on", "Its settings are not known.", _BY_HAND)
    if not enable:
        return Line(Mark.NOTE, "turned on", "That is left to you.", _BY_HAND)
    if installing.is_on(place):
        return Line(Mark.OK, "turned on", f"in {place.settings} already")
    if not dry_run:
        installing.turn_on(place)
    return Line(Mark.OK, "turned on", f"in {place.settings}")


def _uninstalled(job: _Job, *, dry_run: bool) -> "Iterator[Line]":
    from scumble import installing
    from scumble.report import Line, Mark

    place, ours = job.place, job.ours
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
    say(f"{path} written. {_WORDS[ours.program.value].unpack}")
