"""The commands around the daemon: `scumble serve`, `start`, `stop`, `status`, `logs` and `jobs`.

What is asked for goes to stdout, the rest to stderr. A *local* daemon is found by the runtime file in Scumble's own
folder; a *remote* one is named by `--url`, and its token by `--token-file` or SCUMBLE_TOKEN. No command shows a token.
"""

import contextlib
import os
import secrets
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click
from click.core import ParameterSource

from scumble.errors import ScumbleError
from scumble.home import home

if TYPE_CHECKING:
    from scumble.protocol import Health, Job, RuntimeFile
    from scumble.service.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

TOKEN = "SCUMBLE_TOKEN"
"""The environment's name for the token."""

_COUNT = click.IntRange(min=1)


def _absolute(_ctx: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    return path and path.absolute()


_TOKEN_FILE = click.option(
    "--token-file", type=click.Path(path_type=Path), callback=_absolute, metavar="FILE", help="A file with the token."
)
_SERVING = (
    click.option("--host", default="127.0.0.1", metavar="H", help="The address to listen on.  [127.0.0.1]"),
    click.option(
        "--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="The port; 0: any free one.  [0]"
    ),
    _TOKEN_FILE,
    click.option("--allow-host", multiple=True, metavar="NAME", help="Answer under this name too, as behind a proxy."),
    click.option("--device", multiple=True, metavar="D", help="auto, cpu, cuda:0, …; one worker for each.  [auto]"),
    click.option(
        "--idle-minutes", type=click.FloatRange(min=0, min_open=True), metavar="M", help="Then memory is freed.  [10]"
    ),
    click.option("--queue", type=_COUNT, metavar="N", help="Jobs that may wait.  [256]"),
    click.option("--keep-results", type=_COUNT, metavar="N", help="Results that are kept.  [200]"),
    click.option("--keep-mb", type=_COUNT, metavar="N", help="Disk space for results and inputs.  [4096]"),
    click.option("--max-body-mb", type=_COUNT, metavar="N", help="The largest request.  [2048]"),
    click.option("--max-pixels", type=_COUNT, metavar="N", help="The largest picture, in pixels."),
)
_WHERE = (
    click.option(
        "--url", envvar="SCUMBLE_URL", metavar="URL", help="A remote daemon; else this machine's.  [$SCUMBLE_URL]"
    ),
    _TOKEN_FILE,
)


def _with(options: Iterable[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    def give(command: Command) -> Command:
        for option in reversed(tuple(options)):
            command = option(command)
        return command

    return give


def register(group: click.Group) -> None:
    """Add the commands to the command line."""
    for command in (serve, start, stop, status, logs, jobs):
        group.add_command(command)


# ----------------------------------------------------------------------------------------------------- its life


@click.command()
@_with(_SERVING)
@click.option("--background", is_flag=True, hidden=True, help="Log to the file alone.")
@click.pass_context
def serve(ctx: click.Context, /, background: bool, **asked: Any) -> None:
    """Run the daemon here, until Ctrl-C.

    It listens on this machine alone, unless --host says otherwise; then a token of yours is needed, in a file that only
    you can read (--token-file) or in SCUMBLE_TOKEN. Everything it keeps is in ~/.scumble, or where SCUMBLE_HOME says.
    """
    settings = _settings(asked)
    # The workers have no use for it.
    os.environ.pop(TOKEN, None)
    from scumble.service.serve import serve as run

    command = [sys.executable, "-m", "scumble", "start", *_words(ctx)]
    run(settings, foreground=not background, command=command, on_ready=lambda file: _announce(settings, file))


@click.command()
@_with(_SERVING)
@click.pass_context
def start(ctx: click.Context, /, **asked: Any) -> None:
    """Start the daemon in the background, unless it is running already."""
    from scumble import runtime

    settings = _settings(asked)  # what it would refuse is better refused here
    words = _words(ctx)
    file, is_new = runtime.start(home(), words)
    if is_new:
        _announce(settings, file)
    else:
        unused = "; it keeps its own options" if words else ""
        _say(f"A daemon is running already at {file.url}{unused}.")


@click.command()
@click.option("--timeout", type=click.FloatRange(min=1), default=30.0, metavar="S", help="How long to wait.  [30]")
def stop(timeout: float) -> None:
    """Stop the daemon; running jobs are saved, and go on when it is started again."""
    from scumble import runtime

    _say("The daemon has stopped." if runtime.stop(home(), timeout) else "No daemon is running.")


def _settings(asked: dict[str, Any]) -> "Settings":
    from scumble.service.settings import Limits, Settings

    token = _token(asked["token_file"])
    mb = 2**20
    given = {
        "body_bytes": asked["max_body_mb"] and asked["max_body_mb"] * mb,
        "pixels": asked["max_pixels"],
        "queue": asked["queue"],
        "results": asked["keep_results"],
        "results_bytes": asked["keep_mb"] and asked["keep_mb"] * mb,
    }
    settings = Settings(
        home=home().absolute(),
        token=token or secrets.token_urlsafe(32),
        host=asked["host"],
        port=asked["port"],
        allowed_hosts=asked["allow_host"],
        devices=asked["device"] or ("auto",),
        limits=replace(Limits(), **{name: value for name, value in given.items() if value is not None}),
    )
    if asked["idle_minutes"] is not None:
        settings = replace(settings, idle_s=60 * asked["idle_minutes"])
    if settings.is_remote and token is None:
        raise ScumbleError(
            "unauthorized",
            f"Other machines can reach {settings.host}, so the token must be one that you chose.",
            "Make one: (umask 077; python3 -c 'import secrets; print(secrets.token_urlsafe())' > token), "
            f"then add --token-file token; or set {TOKEN}.",
        )
    return settings


def _token(file: Path | None) -> str | None:
    from scumble.runtime import check_token, read_token

    if file is not None:
        return read_token(file)
    token = os.environ.get(TOKEN)
    return check_token(token, TOKEN) if token else None


def _words(ctx: click.Context) -> list[str]:
    """The options that were given, as words of a command line; a token is never among them."""
    words = []
    for option in ctx.command.params:
        name = str(option.name)
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE and name != "background":
            value = ctx.params[name]
            words += [f"{option.opts[0]}={each}" for each in (value if option.multiple else (value,))]
    return words


def _announce(settings: "Settings", file: "RuntimeFile") -> None:
    from urllib.parse import urlsplit

    from scumble.runtime import runtime_file

    _say(f"Scumble {file.version} listens at {file.url}; its token is in {runtime_file(settings.home)}.")
    if settings.is_remote:
        port = urlsplit(file.url).port
        _say(
            "Other machines reach it without encryption. Add --allow-host NAME and put TLS in front, for example:\n"
            f"    caddy reverse-proxy --from NAME --to {settings.host}:{port}\n"
            "or leave out --host, and on the other machine:\n"
            f"    ssh -L {port}:127.0.0.1:{port} THIS-MACHINE"
        )


# ------------------------------------------------------------------------------------------------------- watching


@click.command()
@_with(_WHERE)
@click.option("--json", "as_json", is_flag=True, help="Print what the daemon says, as JSON.")
def status(url: str | None, token_file: Path | None, as_json: bool) -> None:
    """Show where the daemon is and how it does; exit status 3 when none is running."""
    from pydantic import ValidationError

    from scumble.protocol import Health
    from scumble.runtime import ask

    url, token = _target(url, token_file)
    try:
        health = Health.model_validate_json(ask(url, "/v1/health", token))
    except ValidationError:
        raise ScumbleError("unreachable", f"What answers at {url} is no daemon.") from None
    click.echo(health.model_dump_json(indent=2) if as_json else "\n".join(_described(url, health)))


@click.command()
@_with(_WHERE)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, metavar="N", help="How many at most.  [20]")
def jobs(url: str | None, token_file: Path | None, limit: int) -> None:
    """List the last jobs, newest first."""
    from pydantic import ValidationError

    from scumble.protocol import JobList
    from scumble.runtime import ask

    url, token = _target(url, token_file)
    try:
        listed = JobList.model_validate_json(ask(url, f"/v1/jobs?limit={limit}", token)).jobs
    except ValidationError:
        raise ScumbleError("unreachable", f"What answers at {url} is no daemon.") from None
    if not listed:
        _say("There are no jobs.")
        return
    now = datetime.now(UTC)
    rows = [("ID", "STATE", "PROGRESS", "SIZE", "AGE", "STYLES"), *(_row(job, now) for job in listed)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on, until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(min=0), default=50, metavar="N", help="How many lines.  [50]")
def logs(follow: bool, lines: int) -> None:
    """Show the end of the daemon's log."""
    path = home() / "logs" / "daemon.log"
    try:
        with _opened(path) as file:
            for line in _last_lines(path, file, lines):
                click.echo(line)
            if follow:
                with contextlib.suppress(KeyboardInterrupt):
                    for text in _growing(path, file):
                        click.echo(text, nl=False)
    except FileNotFoundError:
        raise ScumbleError(
            "missing-file", f"There is no log in {path.parent}.", "It begins with the first `scumble start`."
        ) from None
    except OSError as error:
        raise ScumbleError("missing-file", f"{path} cannot be read: {error.strerror or error}.") from error


def _target(url: str | None, token_file: Path | None) -> tuple[str, str | None]:
    """Where to ask, and with what token."""
    from scumble.runtime import find

    if url:
        return url, _token(token_file)
    if token_file is not None:
        raise click.UsageError("--token-file belongs to --url; the token of this machine's daemon is known.")
    file = find(home())
    if file is None:
        raise ScumbleError("no-daemon", f"No daemon is running in {home()}.")
    return file.url, file.token


def _described(url: str, health: "Health") -> Iterator[str]:
    process = f", process {health.pid}" if health.pid else ""
    up = f", up for {_span(health.uptime_s)}" if health.uptime_s is not None else ""
    yield f"{_plain(health.name)} {_plain(health.version)} at {url}{process}{up}"
    if health.instance is None:
        yield "It tells more to those who have its token."
    for device in health.devices or []:
        parts = [f"{_plain(device.description)}: {_plain(device.state)}"]
        if device.job:
            parts.append(f"job {_plain(device.job)[:16]}")
        if device.memory_used_mb is not None:
            parts.append(f"{_mb(device.memory_used_mb)} in use")
        if device.memory_free_mb is not None:
            parts.append(f"{_mb(device.memory_free_mb)} free")
        yield f"{'Device':9} {_plain(device.name)}, {', '.join(parts)}"
    if health.features is not None:
        yield f"{'Features':9} {_plain(health.features)}"
    if health.queued is not None:
        limit = f" of {health.queue_limit}" if health.queue_limit is not None else ""
        yield f"{'Jobs':9} {health.running or 0} running, {health.queued}{limit} waiting"
    if health.disk_free_mb is not None:
        used = f"{_mb(health.disk_used_mb)} in use, " if health.disk_used_mb is not None else ""
        yield f"{'Disk':9} {used}{_mb(health.disk_free_mb)} free"
    if health.home is not None:
        yield f"{'Folder':9} {_plain(health.home)}"


def _row(job: "Job", now: datetime) -> tuple[str, ...]:
    styles = job.recipe.get("styles")
    pictures = [each.get("picture") for each in styles if isinstance(each, dict)] if isinstance(styles, list) else []
    created = job.created if job.created.tzinfo else job.created.replace(tzinfo=UTC)
    return (
        _plain(job.id)[:16],
        job.state.value,
        f"{100 * job.progress:.0f} %",
        f"{job.width}×{job.height}",
        _span(max(0.0, (now - created).total_seconds())),
        _plain(", ".join(map(str, pictures)))[:60],
    )


def _span(seconds: float) -> str:
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if minutes < 1:
        return f"{seconds:.0f} s"
    if hours < 1:
        return f"{minutes:.0f} min"
    return f"{int(hours)} h {int(minutes % 60)} min" if days < 2 else f"{days:.0f} days"


def _mb(megabytes: float) -> str:
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def _plain(text: str) -> str:
    """Text of somebody else's without what would move the cursor."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _opened(path: Path) -> TextIO:
    return path.open(encoding="utf-8", errors="replace", newline="\n")


def _last_lines(path: Path, file: TextIO, count: int) -> Sequence[str]:
    """The last lines of the log, those of the file before it too where it has just begun."""
    last: deque[str] = deque(maxlen=count)
    with contextlib.suppress(FileNotFoundError), _opened(path.with_name(f"{path.name}.1")) as before:
        last.extend(line.rstrip("\n") for line in before)
    last.extend(line.rstrip("\n") for line in file)
    return last


def _growing(path: Path, file: TextIO, pause_s: float = 0.3) -> Iterator[str]:
    """What is added to the log after what was read of it, also when another file takes its place."""
    first = file
    try:
        while True:
            if text := file.read():
                yield text
                continue
            time.sleep(pause_s)
            with contextlib.suppress(FileNotFoundError):
                if os.fstat(file.fileno()).st_ino != path.stat().st_ino:
                    yield file.read()  # what was written before it was put aside
                    if file is not first:
                        file.close()
                    file = _opened(path)
    finally:
        if file is not first:
            file.close()


def _say(text: str) -> None:
    click.echo(text, err=True)
