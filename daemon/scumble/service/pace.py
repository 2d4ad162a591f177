"""How long a job will take on this machine, from how long earlier ones took.

A job's **kind** says all that its pace depends on besides sizes: parts joined by `|`, the device first, then the
network, the style loss and the like. A level's **step** is its plain iteration; all else of the level, targets and the
search for neighbours above all, is its **extra**. What comes before and after all levels is **around** them.

Each of the three is a sum of terms with factors that are never negative, fitted to what was seen: a constant (of the
extras only the first has one: the network is built once), the pixels, and for neighbours the size of the grid on which
they are looked for (a step) or the comparisons of a search (an extra). A trained model's **pass** is a level of one
step, with next to no extra. One job cannot tell all factors apart; where it says nothing, the built-in factors do,
scaled to what it does say.
"""

import itertools
import json
import logging
import math
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scumble.home import private_folder, write_private

log = logging.getLogger(__name__)

KEPT_JOBS = 12
"""Of each kind; what came before is forgotten."""
KEPT_KINDS = 64
_FADING = 0.75
"""What a job counts, in parts of the one after it."""
_BELIEF = 0.05
"""What a built-in value counts, in parts of a level that was seen."""
_BELIEVED_PX = tuple(side * side for side in (64, 128, 256, 512, 1024, 2048))
_LONGEST_S = 1e6
_VERSION = 1

PASS = "pass"
"""The part of a kind that says that it is one pass of a trained model."""
FINE_GRID, COARSE_GRID, FINE_GRID_PX, MOST_CANDIDATES = 2, 4, 256 * 256, 2**17
"""As in `scumble.engine.candidates`, which needs torch."""

Rows = NDArray[np.float64]
Terms = Callable[[int, bool], tuple[float, ...]]
"""The terms of one level of so many pixels, told whether it is the first; or of one content."""


@dataclass(frozen=True)
class LevelTime:
    """One level as it went. `step_s` is the median of plain iterations, `extra_s` all else of the level."""

    pixels: int
    iterations: int
    step_s: float
    extra_s: float


@dataclass(frozen=True)
class JobTime:
    """One job as it went. `around_s` is what it took besides its levels: decoding, saving."""

    kind: str
    levels: tuple[LevelTime, ...]
    content_px: int
    around_s: float


@dataclass(frozen=True)
class _Factors:
    """What the terms are multiplied by: of a step, an extra, and around."""

    step: Rows
    extra: Rows
    around: Rows


class Paces:
    """What was learnt, kept in a file; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._jobs = _read(path)
        self._fitted: dict[str, _Factors] = {}

    def learn(self, time: JobTime) -> None:
        """Take a finished job into account; one that cannot be true is not."""
        job = _sound(time)
        if job is None:
            return
        with self._lock:
            jobs = [*self._jobs.pop(time.kind, []), job][-KEPT_JOBS:]
            self._jobs[time.kind] = jobs  # at the end: the kind that was seen last
            while len(self._jobs) > KEPT_KINDS:
                del self._jobs[next(iter(self._jobs))]
            self._fitted.pop(time.kind, None)
            try:
                private_folder(self._path.parent)
                write_private(self._path, _as_json(self._jobs), durable=False)
            except Exception as error:  # a pace that is not kept must not cost the job that told it
                log.warning("What was learnt of the machine's pace cannot be kept: %s", error)

    def seconds(self, kind: str, levels: Sequence[tuple[int, int]], content_px: int) -> tuple[float, bool]:
        """How long a job takes, and whether jobs of its kind were measured. `levels` are (pixels, iterations)."""
        with self._lock:
            if kind in self._jobs:
                return _total(kind, self._factors(kind), levels, content_px), True
            guess = _total(kind, built_in(kind), levels, content_px)
            near = self._nearest(kind)
            if near is None:
                return guess, False
            # what is known of the device, carried over to what is known of the kind
            seen = _total(near, self._factors(near), levels, content_px)
            return guess * seen / _total(near, built_in(near), levels, content_px), False

    def _nearest(self, kind: str) -> str | None:
        """The kind of the same device that has most in common with this one; of equals the one seen last."""
        parts = kind.split("|")
        known = [each for each in reversed(self._jobs) if each.split("|")[0] == parts[0]]
        # in order of importance: a network differs more from another than a precision from another
        return max(known, key=lambda each: [a == b for a, b in zip(each.split("|"), parts, strict=False)], default=None)

    def _factors(self, kind: str) -> _Factors:
        if kind not in self._fitted:
            self._fitted[kind] = _fit(kind, self._jobs[kind])
        return self._fitted[kind]


class Stopwatch:
    """Times a job's levels while it paints; started when it is made. With `passes` a level is a single step, and the
    whole of it."""

    def __init__(self, *, passes: bool = False) -> None:
        self._least = 1 if passes else 2
        self._last = time.monotonic()
        self._levels: dict[int, tuple[int, list[float]]] = {}
        self._at = (0, 0)

    def step(self, level: int, iteration: int, width: int, height: int) -> None:
        """Take note that an iteration has ended; `iteration` counts from 1 within the level."""
        now = time.monotonic()
        if level != self._at[0] or iteration <= self._at[1]:  # also when it starts anew, in smaller tiles
            self._levels[level] = width * height, []
        self._levels[level][1].append(now - self._last)
        self._at, self._last = (level, iteration), now

    @property
    def levels(self) -> tuple[LevelTime, ...]:
        """The levels so far. One of a single iteration is left out, unless it is a pass: what it prepared cannot be
        told from its step."""
        found = []
        for pixels, times in self._levels.values():
            if len(times) >= self._least:
                # the first iteration holds all that is done once for the level; of an even number of others half may
                # hold a search
                step = statistics.median_low(times[1:] or times)
                found.append(LevelTime(pixels, len(times), step, max(0.0, sum(times) - step * len(times))))
        return tuple(found)


# ------------------------------------------------------------------------------------------------------- the terms


def _grid(pixels: int) -> float:
    return pixels / (FINE_GRID if pixels <= FINE_GRID_PX else COARSE_GRID) ** 2


def _is_searched(kind: str) -> bool:
    return not {"gram", PASS} & set(kind.split("|"))


def _step_terms(kind: str) -> Terms:
    if not _is_searched(kind):
        return lambda px, first: (1.0, px)
    return lambda px, first: (1.0, px, _grid(px))


def _extra_terms(kind: str) -> Terms:
    if not _is_searched(kind):
        return lambda px, first: (float(first), px)
    # a style is seen as large as the picture, and its mirror image beside it
    return lambda px, first: (float(first), px, _grid(px) * min(2 * _grid(px), MOST_CANDIDATES))


def _around_terms(pixels: int, first: bool = True) -> tuple[float, ...]:
    return 1.0, pixels


_NETWORKS = {"vgg19": 1.0, "scumble-full": 1.0, "vgg16": 0.75, "vgg13": 0.55, "vgg11": 0.35}
"""What a step of it costs, in parts of VGG19's; of any other network that of `vgg19-lite`."""


def built_in(kind: str) -> _Factors:
    """The factors before anything was seen: of two cores of a Xeon at 2.5 GHz in float32; a GPU's are a guess."""
    parts = kind.split("|")
    heavy = next((share for name, share in _NETWORKS.items() for part in parts[1:] if _is_network(part, name)), None)
    step = [0.010, 1.6e-6, 8.5e-6] if heavy is None else [0.04, 7e-6 * heavy, 8.5e-6]
    extra = [0.5, 5e-6, 1.2e-8] if heavy is None else [0.8, 10e-6 * heavy, 1.2e-8]
    if PASS in parts:
        step, extra = [0.03, 1.5e-6], [0.02, 1e-8]
    around = [0.05, 6e-7]
    if parts[0].startswith(("cuda", "mps")):
        share = 0.02 if parts[0].startswith("cuda") else 0.1
        step[1:] = [share * each for each in step[1:]]
        extra[1:] = [share * each for each in extra[1:]]
    count = 3 if _is_searched(kind) else 2
    return _Factors(np.array(step[:count]), np.array(extra[:count]), np.array(around))


def _is_network(part: str, name: str) -> bool:
    words = part.replace("(", " ").split()
    return bool(words) and words[0].removeprefix("seeded-").removesuffix("-caffe").removesuffix("-bn") == name


def _total(kind: str, factors: _Factors, levels: Sequence[tuple[int, int]], content_px: int) -> float:
    step, extra = _step_terms(kind), _extra_terms(kind)
    total = float(np.dot(_around_terms(max(0, content_px)), factors.around))
    todo = [(pixels, iterations) for pixels, iterations in levels if iterations > 0 and pixels > 0]
    for index, (pixels, iterations) in enumerate(todo):
        first = index == 0
        total += iterations * float(np.dot(step(pixels, first), factors.step))
        total += float(np.dot(extra(pixels, first), factors.extra))
    return total


# ------------------------------------------------------------------------------------------------------- the fit


@dataclass(frozen=True)
class _Seen:
    """Seconds that were measured. An error of `scale_s` counts as much as one of its own size elsewhere."""

    terms: tuple[float, ...]
    seconds: float
    scale_s: float
    weight: float


def _fit(kind: str, jobs: Sequence[JobTime]) -> _Factors:
    believed, step, extra = built_in(kind), _step_terms(kind), _extra_terms(kind)
    # How fast the machine is changes with what else it does; how a job's parts relate does not. Squares of relative
    # errors, which tell the latter, would take the fastest job for the truth.
    slowness = [
        (_seconds(job) / _total(kind, believed, _sizes(job), job.content_px), _FADING**age)
        for age, job in enumerate(reversed(jobs))
    ]
    usual = _median(slowness)
    steps, extras, around = [], [], []
    for job, (own, weight) in zip(reversed(jobs), slowness, strict=True):
        share = usual / own
        around_s = share * job.around_s
        around.append(_Seen(_around_terms(job.content_px), around_s, max(around_s, share * 0.1), weight))
        for index, level in enumerate(job.levels):
            step_s, extra_s = share * level.step_s, share * level.extra_s
            steps.append(_Seen(step(level.pixels, index == 0), step_s, step_s, weight))
            # an extra that is little of its level is full of noise, and nobody sees it
            scale = max(extra_s, 0.2 * level.iterations * step_s)
            extras.append(_Seen(extra(level.pixels, index == 0), extra_s, scale, weight))
    return _Factors(
        _fitted(step, steps, believed.step),
        _fitted(extra, extras, believed.extra),
        _fitted(_around_terms, around, believed.around),
    )


def _sizes(job: JobTime) -> list[tuple[int, int]]:
    return [(level.pixels, level.iterations) for level in job.levels]


def _seconds(job: JobTime) -> float:
    return job.around_s + sum(level.iterations * level.step_s + level.extra_s for level in job.levels)


def _fitted(terms: Terms, seen: Sequence[_Seen], believed: Rows) -> Rows:
    """The factors ≥ 0 with the least squares of (prediction − seconds) / scale."""
    ratios = [(max(e.seconds, 1e-3 * e.scale_s) / float(np.dot(e.terms, believed)), e.weight) for e in seen]
    believed = believed * min(max(_median(ratios), 1e-6), 1e6)
    rows = [np.array(each.terms) * (math.sqrt(each.weight) / each.scale_s) for each in seen]
    wanted = [each.seconds * math.sqrt(each.weight) / each.scale_s for each in seen]
    for px, first in itertools.product(_BELIEVED_PX, (True, False)):
        row = np.array(terms(px, first))
        rows.append(row * (math.sqrt(_BELIEF) / float(row @ believed)))
        wanted.append(math.sqrt(_BELIEF))
    return _positive_least_squares(np.array(rows), np.array(wanted))


def _median(values: Sequence[tuple[float, float]]) -> float:
    """Of (value, weight) pairs."""
    half = sum(weight for _, weight in values) / 2
    total = 0.0
    for value, weight in sorted(values):
        total += weight
        if total >= half:
            return value
    return 1.0


def _positive_least_squares(matrix: Rows, wanted: Rows) -> Rows:
    """The x ≥ 0 for which matrix · x is nearest to what is wanted: the best of all subsets of columns."""
    count = matrix.shape[1]
    units = np.linalg.norm(matrix, axis=0)
    best, least = np.zeros(count), float(wanted @ wanted)
    for size in range(1, count + 1):
        for chosen in itertools.combinations(range(count), size):
            columns = list(chosen)
            found = np.linalg.lstsq(matrix[:, columns] / units[columns], wanted, rcond=None)[0] / units[columns]
            error = float(np.square(matrix[:, columns] @ found - wanted).sum())
            if (found >= 0).all() and error < least:
                best, least = np.zeros(count), error
                best[columns] = found
    return best


# ------------------------------------------------------------------------------------------------------ the file


def _sound(job: JobTime) -> JobTime | None:
    """The job without what cannot be; None where nothing is left to learn from."""

    def is_time(seconds: float) -> bool:
        return math.isfinite(seconds) and seconds < _LONGEST_S

    levels = tuple(
        LevelTime(each.pixels, each.iterations, max(each.step_s, 1e-6), max(each.extra_s, 0.0))
        for each in job.levels
        if 0 < each.pixels < 2**40 and each.iterations > 0 and is_time(each.step_s) and is_time(each.extra_s)
        if each.step_s > 0
    )
    if not levels or not is_time(job.around_s) or not 0 <= job.content_px < 2**40:
        return None
    return JobTime(job.kind, levels, job.content_px, max(job.around_s, 0.0))


def _as_json(kinds: dict[str, list[JobTime]]) -> bytes:
    jobs = {
        kind: [
            [[[e.pixels, e.iterations, e.step_s, e.extra_s] for e in job.levels], job.content_px, job.around_s]
            for job in jobs
        ]
        for kind, jobs in kinds.items()
    }
    return json.dumps({"version": _VERSION, "kinds": jobs}).encode()


def _read(path: Path) -> dict[str, list[JobTime]]:
    try:
        data = json.loads(path.read_bytes())
        kinds = data["kinds"].items() if data["version"] == _VERSION else ()
        found = {str(kind): [job for each in jobs if (job := _job(kind, each))][-KEPT_JOBS:] for kind, jobs in kinds}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        log.warning("What was learnt of the machine's pace cannot be read and is forgotten: %s", error)
        return {}
    return dict([(kind, jobs) for kind, jobs in found.items() if jobs][-KEPT_KINDS:])


def _job(kind: str, data: Any) -> JobTime | None:
    try:
        levels, content_px, around_s = data
        times = tuple(LevelTime(int(px), int(n), float(step), float(extra)) for px, n, step, extra in levels)
        return _sound(JobTime(kind, times, int(content_px), float(around_s)))
    except (ValueError, TypeError, OverflowError):
        return None
