"""Painting through the daemon for a person who waits: what `scumble paint --daemon` and `scumble demo` share.

It shows the same as painting in this process does, and Ctrl-C means the same; see `scumble.console`.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from scumble import console
from scumble.client import LEASE_S, Client
from scumble.picture import Picture
from scumble.protocol import LIBRARY, Job
from scumble.recipe import Recipe
from scumble.signature import signed
from scumble.upload import is_deep, picture_part

_EVERY_S = 0.5
"""How long Ctrl-C may take to be heard."""


def connected(url: str | None = None) -> Client:
    """The daemon at `url` or SCUMBLE_URL; else this machine's, started if there is none."""
    if url or os.environ.get("SCUMBLE_URL"):
        return Client(url)
    return Client.local(start=True)


def paint_files(
    url: str | None, content: Path, recipe: Recipe, find: Callable[[str], Path], features: str | None
) -> tuple[Picture, Job]:
    """`paint` at the daemon that is `connected`; `find` gives the file for a name in the recipe."""
    files = {name: find(name) for name in recipe.names if not name.startswith(LIBRARY)}
    for file in (content, *files.values()):
        picture_part("picture", file)  # refused before a daemon is started for it
    with connected(url) as client:
        if client.was_started:
            console.say("The daemon was started; `scumble stop` ends it.")
        return paint(client, content, recipe, files, name=str(content), features=features)


def paint(
    client: Client,
    content: Path,
    recipe: Recipe,
    pictures: Mapping[str, Path],
    *,
    name: str,
    features: str | None = None,
) -> tuple[Picture, Job]:
    """The result, signed with the content's `name`, and the job as it ended.

    `pictures` are files by the names that the recipe uses; `features` are those it was painted with before. Errors:
    those of `Client.submit` and `Client.wait`; cancelled if it was discarded.
    """
    with console.Watch() as watch:
        watch.begin()
        job = client.submit(content, recipe=recipe, pictures=pictures, lease_s=LEASE_S)
        _announce(client, job, recipe, features)
        ended = client.wait(job, watch.on_job, every_s=_EVERY_S)
        result = client.result(ended, "tiff" if is_deep(content) else "png")
    return signed(result, recipe, ended.features or "none", name), ended


def _announce(client: Client, job: Job, recipe: Recipe, features: str | None) -> None:
    if recipe.strength == 0 or job.bounds is None:
        console.say_nothing_to_paint(job.bounds is not None)
        return
    # the daemon's own recipe, which says with which models it paints
    cost = client.estimate(job.recipe, job.width, job.height, job.bounds)
    size = cost.width, cost.height
    console.say_plan(cost.features, size, cost.scales, cost.iterations, cost.device, cost.memory_mb)
    if features is not None and features != cost.features:
        console.say_other_features(features)
