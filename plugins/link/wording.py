"""What the panel says in one line: of the area, of a run, of the daemon."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .text import mark, tr, tr_n
from .tickets import Stage, Ticket

if TYPE_CHECKING:
    from .daemon import Device, Estimate, Health, Job
    from .pixels import Rect

_STAGES = {
    Stage.READING: mark("Reading the layer…"),
    Stage.STARTING: mark("Starting…"),
    Stage.SENDING: mark("Sending…"),
    Stage.QUEUED: mark("Waiting…"),
    Stage.RUNNING: mark("Painting…"),
    Stage.FETCHING: mark("Fetching the result…"),
    Stage.INSERTING: mark("Adding the layer…"),
    Stage.DONE: mark("Done"),
    Stage.STOPPED: mark("Stopped"),
    Stage.FAILED: mark("Failed"),
}
_PHASES = {"waiting": mark("Waiting…"), "preparing": mark("Preparing…"), "saving": mark("Saving…")}
_SAID = (
    mark("The style picture {style} is small: strokes will be {factor} times finer than asked."),
    mark("Painted in tiles of {side} px to fit into memory; the picture is the same."),
    mark("It will be painted in tiles of {side} px to fit into memory, which is slower."),
)
"""What the daemon warns of, with what changes from case to case in braces."""
_FEATURES = {"embedded": mark("embedded features")}


def area_line(target: Rect, is_selection: bool, estimate: Estimate | None = None) -> str:
    """What would be painted, at which size, how long it takes and how much memory; the latter once they are known."""
    place = {"width": target.width, "height": target.height, "x": target.x, "y": target.y}
    if is_selection:
        words = [tr("Selection {width} × {height} at {x}, {y}", **place)]
    else:
        words = [tr("Layer {width} × {height} at {x}, {y}", **place)]
    if estimate is not None:
        words.append(tr("works at {width} × {height}", width=estimate.width, height=estimate.height))
        words.append(tr("about {time}", time=duration(estimate.seconds)))
        words.append(memory(estimate.memory_mb))
    return "; ".join(words)


def heard(sentence: str) -> str:
    """A sentence of the daemon in the user's language, if it is a known one."""
    for known in _SAID:
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(known))
        found = re.fullmatch(pattern, sentence)
        if found is not None:
            return tr(known, **found.groupdict())
    return tr(sentence)


def progress_line(ticket: Ticket) -> str:
    """How far a run is."""
    if ticket.stage is Stage.FAILED and ticket.error is not None:
        return ticket.error.detail
    if ticket.stage is Stage.DONE and ticket.kept:
        return tr("Done; stopped early")
    if ticket.is_final:
        return tr(_STAGES[ticket.stage])
    if ticket.is_away:
        return tr("The daemon does not answer; waiting for it…")
    if ticket.is_stopping:
        return tr("Stopping…")
    if ticket.job is not None and ticket.stage is Stage.QUEUED:
        return _queue_line(ticket.job)
    if ticket.job is not None and ticket.stage is Stage.RUNNING:
        return _painting_line(ticket.job)
    return tr(_STAGES[ticket.stage])


def time_left(seconds: float) -> str:
    """How long it will still take: "about 14 s left"."""
    return tr("about {time} left", time=duration(seconds))


def duration(seconds: float) -> str:
    """Seconds as one reads them: "14 s", "3 min", "1 h 20 min"; at least a second."""
    whole = max(1, round(seconds))
    if whole < 100:
        return tr("{count} s", count=whole)
    minutes = round(whole / 60)
    if minutes < 60:
        return tr("{count} min", count=minutes)
    return tr("{hours} h {minutes} min", hours=minutes // 60, minutes=minutes % 60)


def memory(mb: float) -> str:
    """Memory as one reads it: "640 MB", "2.1 GB"."""
    if round(mb) < 1000:
        return tr("{count} MB", count=round(mb))
    tenths = round(mb / 1024 * 10)
    # in parts, for other languages have another sign between them
    return tr("{whole}.{tenth} GB", whole=tenths // 10, tenth=tenths % 10)


def status_line(health: Health) -> str:
    """How the daemon stands: what paints, its free memory, the features in use."""
    words = [_device_words(device) for device in health.devices[:1] if device.description or device.name != "auto"]
    if len(health.devices) > 1:
        words.append(tr_n("and {count} more device", "and {count} more devices", len(health.devices) - 1))
    if health.features and health.features != "auto":  # which says nothing until a worker has started
        words.append(tr(_FEATURES.get(health.features, health.features)))
    return " · ".join(words) or tr("Ready")


def _device_words(device: Device) -> str:
    name = device.description or device.name
    if device.state == "failed":
        return tr("{device} (failed)", device=name)
    if device.memory_free_mb is None:
        return name
    return tr("{device} · {memory} free", device=name, memory=memory(device.memory_free_mb))


def _queue_line(job: Job) -> str:
    if not job.position:
        return tr("Waiting; it is the next")
    return tr_n("Waiting; {count} is before it", "Waiting; {count} are before it", job.position)


def _painting_line(job: Job) -> str:
    if job.phase in _PHASES or not job.iterations:
        return tr(_PHASES.get(job.phase, _PHASES["preparing"]))
    counts = {"iteration": job.iteration, "iterations": job.iterations}
    if job.is_training:
        words = tr("Learning: {iteration} of {iterations}", **counts)
    else:
        words = tr("Painting: {iteration} of {iterations}", **counts)
    if job.seconds_left is not None:
        words += ", " + time_left(job.seconds_left)
    return words
