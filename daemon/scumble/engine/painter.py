"""The loop that joins it all: content, recipe and pictures in, a painting out.

A `Painter` keeps networks and style statistics warm from job to job; `paint` is for a single one.
"""

import statistics
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from scumble.engine import canvas as easel_canvas
from scumble.engine import optimize
from scumble.engine.canvas import Canvas, to_array, to_tensor
from scumble.engine.compose import Composer, Easel, Matrices, Weighting, weighting
from scumble.engine.features import Profile, profile, resolve
from scumble.engine.frame import Frame
from scumble.engine.job import Job, bind
from scumble.engine.machine import device_of, dtype_of, held_pages, is_out_of_memory
from scumble.engine.neighbours import FINE_GRID, Candidates
from scumble.engine.objective import Evaluation, Objective
from scumble.engine.resample import resize
from scumble.engine.schedule import Box, Footprint, Plan, available_bytes, bounds, footprint, plan
from scumble.engine.targets import Kept, bytes_of, wanted_above_own
from scumble.engine.vgg import Trunk, normalized
from scumble.engine.weights import Weights
from scumble.errors import ScumbleError
from scumble.picture import Picture
from scumble.recipe import Optimizer, Recipe, Start


@dataclass(frozen=True)
class Step:
    """What is known after an iteration. `iteration` counts over all levels from 1; `losses` by kind, and `total`."""

    iteration: int
    iterations: int
    level: int
    levels: int
    width: int
    height: int
    losses: Mapping[str, float]
    progress: float
    seconds_left: float
    preview: Callable[[], np.ndarray]
    """Call it for the box as it looks now: (height, width, 3) float32, 0..1."""


OnStep = Callable[[Step], bool | None]
"""Told after every iteration; a true answer stops the painting and keeps what is there."""


@dataclass(frozen=True)
class Painting:
    """A finished picture, and how it came about. `losses` holds one mapping per iteration."""

    picture: Picture
    recipe: Recipe
    features: str
    box: Box
    mix: np.ndarray
    losses: tuple[Mapping[str, float], ...]
    warnings: tuple[str, ...]
    seconds: float
    stopped: bool
    plan: Plan | None


def paint(
    content: Picture,
    recipe: Recipe,
    pictures: Mapping[str, Picture],
    on_step: OnStep | None = None,
    *,
    device: str = "auto",
) -> Painting:
    """Paint one picture. `pictures` holds styles and masks by the names that the recipe uses; see `Painter.paint`."""
    return Painter(device).paint(content, recipe, pictures, on_step)


SMALLEST_TILE = 64
"""In px: below it most of a window would be halo."""


class Painter:
    """Paints jobs one after another on one device, keeping networks and style targets for the next."""

    def __init__(self, device: str = "auto") -> None:
        self.device = device_of(device)
        self._weights: dict[tuple[str, bool, str], Weights] = {}
        self._trunks: OrderedDict[str, Trunk] = OrderedDict()
        self.targets: Kept[Matrices] = Kept(bytes_of)
        self.candidates: Kept[Candidates] = Kept(lambda found: found.bytes)

    def paint(
        self, content: Picture, recipe: Recipe, pictures: Mapping[str, Picture], on_step: OnStep | None = None
    ) -> Painting:
        """Paint `content` as `recipe` says; what lies outside its regions comes back bit-identical.

        Raises `ScumbleError` for whatever cannot work, before anything is computed. `on_step` may stop the job at any
        iteration; an exception it raises ends the job and goes to the caller.
        """
        began = time.perf_counter()
        job = bind(content, recipe, pictures)
        selected = bounds(job.mix)
        if recipe.strength == 0 or selected is None:
            empty = Box(0, 0, content.width, content.height)
            return Painting(content, recipe, "none", empty, job.mix, (), (), time.perf_counter() - began, False, None)
        todo = self.plan(content.size, selected, recipe)
        with held_pages(todo.memory_mb * 2**20):
            try:
                return self._paint(job, todo, on_step or (lambda _: None), began)
            finally:
                for trunk in self._trunks.values():
                    trunk.release()

    def features(self, recipe: Recipe) -> Weights:
        """The weights that a recipe would be painted with."""
        key = (recipe.features, recipe.normalized, recipe.pooling.value)
        if key not in self._weights:
            found = resolve(recipe.features)
            self._weights = {key: normalized(found, recipe.pooling) if recipe.normalized else found}
        return self._weights[key]

    def plan(self, content_size: tuple[int, int], selected: Box, recipe: Recipe) -> Plan:
        """What a job would do, without doing it. `content_size` is (width, height) in px."""
        weights = self.features(recipe)
        easel = self._easel(recipe, weights, profile(weights))
        return plan(
            *content_size,
            selected,
            recipe,
            self._footprint(recipe, easel),
            available_bytes(self.device),
            int(easel.halo),
        )

    def _footprint(self, recipe: Recipe, easel: Easel) -> Footprint:
        trunk = easel.trunk
        held = sum(w.numel() for w in trunk.weights.filters.values()) * 2 * trunk.dtype.itemsize
        asked = self._weighting(recipe, trunk.weights, profile(trunk.weights))
        columns = sum(trunk.channels.get(tap.replace("preact", "conv"), 512) for tap in asked.neighbours) / FINE_GRID**2
        return footprint(trunk.channels_per_px, trunk.dtype.itemsize, recipe.optimizer, held, columns)

    def _paint(self, job: Job, todo: Plan, on_step: OnStep, began: float) -> Painting:
        recipe = job.recipe
        weights = self.features(recipe)
        suited = profile(weights)
        easel = self._easel(recipe, weights, suited)
        run = _Run(job, todo, on_step)
        composer = Composer(job, easel, self._weighting(recipe, weights, suited), todo.tile_px, self.device)
        x: Tensor | None = None
        for index, level in enumerate(todo.levels):
            canvas = easel_canvas.make(job, todo.box, level, easel.grid, self.device)
            if x is None:
                x = easel_canvas.first_picture(canvas, job, todo.box, self._first_style(job))
            x, composer = self._level(run, canvas.bring(x), canvas, composer, index)
            if run.stopped:
                break
        assert x is not None
        todo = replace(todo, tile_px=composer.tile_px)
        return Painting(
            picture=self._finish(job, todo.box, x),
            recipe=recipe,
            features=weights.name,
            box=todo.box,
            mix=job.mix,
            losses=tuple(run.losses),
            warnings=_warnings(job, todo),
            seconds=time.perf_counter() - began,
            stopped=run.stopped,
            plan=todo,
        )

    def _level(self, run: "_Run", x: Tensor, canvas: Canvas, composer: Composer, index: int) -> tuple[Tensor, Composer]:
        """One level's picture; in smaller tiles, from the level's start, each time that memory does not suffice."""
        done = run.mark()
        while True:
            try:
                return run.descend(x, canvas, composer, index), composer
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            tile = (composer.tile_px or max(canvas.content.shape[2:])) // 64 * 32
            if tile < SMALLEST_TILE:
                raise ScumbleError("out-of-memory", "The device ran out of memory, even in the smallest tiles.")
            composer = replace(composer, tile_px=tile)
            run.return_to(done)

    def _weighting(self, recipe: Recipe, weights: Weights, suited: Profile) -> Weighting:
        return weighting(recipe, suited, weights.architecture)

    def _easel(self, recipe: Recipe, weights: Weights, suited: Profile) -> Easel:
        asked = self._weighting(recipe, weights, suited)
        dtype = dtype_of(recipe.precision, self.device)
        key = f"{weights.digest} {asked.taps} {recipe.pooling} {recipe.padding} {dtype}"
        if key not in self._trunks:
            self._trunks[key] = Trunk(
                weights, asked.taps, pooling=recipe.pooling, padding=recipe.padding, device=self.device, dtype=dtype
            )
            while len(self._trunks) > 2:
                self._trunks.popitem(last=False)
        self._trunks.move_to_end(key)
        frame = Frame(suited.frame_scales, device=self.device, dtype=dtype) if asked.frame and asked.style else None
        return Easel(self._trunks[key], key, frame, self.targets, self.candidates)

    def _first_style(self, job: Job) -> Tensor | None:
        if job.recipe.start is not Start.STYLE or not job.regions[0].styles:
            return None
        return to_tensor(job.regions[0].styles[0].rgb, self.device)

    def _finish(self, job: Job, box: Box, x: Tensor) -> Picture:
        content = to_tensor(job.rgb[box.slices], self.device)
        painted = resize(x, box.height, box.width).clamp(0, 1)
        masks = tuple(to_tensor(region.mask[box.slices], self.device) for region in job.regions)
        shown = easel_canvas.show(content, painted, easel_canvas.keep_mask(job.regions, masks))
        rgb = job.rgb.copy()
        rgb[box.slices] = to_array(shown)
        return job.content.repainted(rgb, job.mix)


class _Run:
    """The progress of one job over its levels."""

    def __init__(self, job: Job, todo: Plan, on_step: OnStep) -> None:
        self._job, self._plan, self._on_step = job, todo, on_step
        self._work = sum(level.work for level in todo.levels)
        self._done = 0
        self._iteration = 0
        self._paces: deque[float] = deque(maxlen=5)
        self.losses: list[Mapping[str, float]] = []
        self.stopped = False

    def mark(self) -> tuple[int, int]:
        """Where the job is now, for `return_to`."""
        return self._done, self._iteration

    def return_to(self, mark: tuple[int, int]) -> None:
        """Forget what was done since a mark."""
        self._done, self._iteration = mark
        del self.losses[self._iteration :]

    def descend(self, x: Tensor, canvas: Canvas, composer: Composer, index: int) -> Tensor:
        """One level's iterations from `x`; the picture to keep."""
        level = self._plan.levels[index]
        objective = composer.compose(canvas)
        recipe = self._job.recipe
        descent = optimize.make(recipe.optimizer, recipe.learning_rate, canvas.low, canvas.high)
        for iteration in range(level.iterations):
            began = time.perf_counter()
            if objective.matches and iteration in _rounds(level.iterations, recipe.matchings):
                x = self._match(x, objective, first=index == 0 and iteration == 0)
                if recipe.optimizer is Optimizer.LBFGS:  # what it learnt was of another loss
                    descent = optimize.make(recipe.optimizer, recipe.learning_rate, canvas.low, canvas.high)
            evaluation = objective.evaluate(x)
            x = descent.step(x, evaluation.total, evaluation.gradient, iteration / level.iterations)
            self._tell(x, canvas, evaluation, index, time.perf_counter() - began)
            if self.stopped:
                break
        return descent.finish(x)

    def _match(self, x: Tensor, objective: Objective, *, first: bool) -> Tensor:
        start = self._job.recipe.start
        voted = objective.match(x, by_content_alone=first and start is Start.CONTENT)
        return x if first and start is Start.PICTURE else voted

    def _tell(self, x: Tensor, canvas: Canvas, evaluation: Evaluation, index: int, seconds: float) -> None:
        level = self._plan.levels[index]
        pixels = level.width * level.height
        self._done += pixels
        self._iteration += 1
        # the pace changes from minute to minute on a shared machine, and the first iteration is slow
        self._paces.append(seconds / pixels)
        losses = {**evaluation.parts, "total": evaluation.total}
        self.losses.append(losses)
        step = Step(
            iteration=self._iteration,
            iterations=sum(each.iterations for each in self._plan.levels),
            level=index + 1,
            levels=len(self._plan.levels),
            width=level.width,
            height=level.height,
            losses=losses,
            progress=self._done / self._work,
            seconds_left=(self._work - self._done) * statistics.median(self._paces),
            preview=lambda: _preview(canvas, x),
        )
        if self._on_step(step):
            self.stopped = True


def _rounds(iterations: int, count: int) -> set[int]:
    """The iterations before which neighbours are looked for: evenly spread, the first included."""
    return {iterations * each // count for each in range(count)}


def _preview(canvas: Canvas, x: Tensor) -> np.ndarray:
    shown = easel_canvas.show(canvas.content, x.clamp(0, 1), canvas.keep)
    mix = torch.stack(canvas.regions).sum(0).clamp(max=1)
    return to_array(canvas.content + mix * (shown - canvas.content))


def _warnings(job: Job, todo: Plan) -> tuple[str, ...]:
    found = []
    finest = todo.levels[-1]
    for region in job.regions:
        for style in region.styles:
            factor = wanted_above_own(style, job.recipe, finest.height, finest.width)
            if factor > 1.2:
                found.append(
                    f"The style picture {style.label!r} is small: strokes will be {factor:.1f} times finer than asked."
                )
    if todo.tile_px is not None:
        found.append(f"Painted in tiles of {todo.tile_px} px to fit into memory; the picture is the same.")
    return tuple(found)
